"""Kubernetes Events on the objects that a person would describe.

One rule: an Event is a courtesy: recording one never blocks, never fails, and may be dropped.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from treadle.kube.api import Api, Obj
from treadle.kube.kinds import EVENTS, EXECUTIONS, Kind
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import AlreadyExists, ExecutionKey, Fault, Missing, Unavailable

_log = logging.getLogger(__name__)

QUEUE_MAX = 1_000
PER_MINUTE_MAX = 25
"""Events about one object in a minute; client-go has a burst of 25 too."""

REMEMBERED_MAX = 4_096
MESSAGE_CHARS_MAX = 1_024  # Kubernetes: events.k8s.io/v1 `note`
REASON_CHARS_MAX = 128  # Kubernetes
TRIES_MAX = 3
RETRY_SECONDS = 1.0
_NAME_CHARS_MAX = 200  # with a time and a digest within 253


class ObjectRef(NamedTuple):
    """What an Event is about. `namespace` is empty for a cluster-scoped object."""

    kind: Kind
    namespace: str
    name: str
    uid: str


class _Key(NamedTuple):
    about: ObjectRef
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class _Waiting:
    """An Event to write: how often it happened since the last writing."""

    count: int
    first_at: datetime
    last_at: datetime


@dataclass(slots=True)
class _Written:
    name: str
    count: int


@dataclass(slots=True)
class _Minute:
    began_at: float
    events: int


class Recorder:
    """Writes Events in the background; `run` must run somewhere."""

    def __init__(self, api: Api, component: str, meter: Meter | None = None) -> None:
        self._api = api
        self._component = component
        self._meter = meter or NoMeter()
        self._waiting: OrderedDict[_Key, _Waiting] = OrderedDict()
        self._written: OrderedDict[_Key, _Written] = OrderedDict()
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()
        self._came = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def announce(self, execution: ExecutionKey, type_: str, reason: str, message: str) -> None:
        """Record an Event about an Execution; see `runtime.ports.Announce`."""
        about = ObjectRef(EXECUTIONS, execution.namespace, execution.name, execution.uid)
        self.record(about, type_, reason, message)

    def record(self, about: ObjectRef, type_: str, reason: str, message: str) -> None:
        """Leave an Event to be written. The same one again only counts up.

        Args:
            about: the object.
            type_: "Normal" or "Warning".
            reason: one CamelCase word.
            message: a sentence.
        """
        key = _Key(about, type_, reason[:REASON_CHARS_MAX], _shortened(message))
        now = self._api.now()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.count += 1
            waiting.last_at = now
        elif len(self._waiting) >= QUEUE_MAX or not self._allows(about):
            self._meter.event_dropped()
        else:
            self._waiting[key] = _Waiting(1, now, now)
            self._came.set()
            self._idle.clear()

    async def run(self) -> None:
        """Write what was recorded, for ever."""
        while True:
            await self._came.wait()
            while self._waiting:
                key, waiting = self._waiting.popitem(last=False)
                await self._write(key, waiting)
            self._came.clear()
            self._idle.set()

    async def drain(self, deadline_seconds: float) -> None:
        """Wait until all is written while `run` still runs, or until the deadline."""
        try:
            await asyncio.wait_for(self._idle.wait(), deadline_seconds)
        except TimeoutError:
            _log.info("%d events were not written", len(self._waiting))

    def _allows(self, about: ObjectRef) -> bool:
        now = asyncio.get_running_loop().time()
        minute = self._minutes.get(about.uid)
        if minute is None or now - minute.began_at >= 60:
            minute = self._minutes[about.uid] = _Minute(now, 0)
            self._minutes.move_to_end(about.uid)
            _bound(self._minutes)
        minute.events += 1
        return minute.events <= PER_MINUTE_MAX

    async def _write(self, key: _Key, waiting: _Waiting) -> None:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                await self._put(key, waiting)
                return
            except Unavailable as fault:
                if attempt == TRIES_MAX:
                    self._drop(key, fault)
                    return
                await asyncio.sleep(fault.retry_after_seconds or RETRY_SECONDS)
            except Fault as fault:
                self._drop(key, fault)
                return
            except Exception:
                # One Event that cannot be written must not end the writing of all others.
                _log.exception("event %s about %s", key.reason, key.about.name)
                self._drop(key, None)
                return

    def _drop(self, key: _Key, fault: Fault | None) -> None:
        _log.info("event %s about %s was not written: %r", key.reason, key.about.name, fault)
        self._meter.event_dropped()

    async def _put(self, key: _Key, waiting: _Waiting) -> None:
        namespace = key.about.namespace or "default"
        written = self._written.get(key)
        if written is not None:
            count = written.count + waiting.count
            patch = {"count": count, "lastTimestamp": _text(waiting.last_at)}
            try:
                await self._api.patch(EVENTS, namespace, written.name, patch)
                written.count = count
                self._written.move_to_end(key)
                return
            except Missing:
                # The API server forgets Events after an hour.
                del self._written[key]
        event = self._event(key, waiting)
        with contextlib.suppress(AlreadyExists):  # an earlier try went through unheard
            await self._api.create(EVENTS, namespace, event)
        self._written[key] = _Written(event["metadata"]["name"], waiting.count)
        _bound(self._written)

    def _event(self, key: _Key, waiting: _Waiting) -> Obj:
        about = key.about
        namespace = about.namespace or "default"
        seed = "\n".join((about.uid, key.type, key.reason, key.message))
        digest = hashlib.sha256(seed.encode(errors="replace")).hexdigest()[:8]
        microseconds = int(waiting.first_at.timestamp() * 1_000_000)
        name = f"{about.name[:_NAME_CHARS_MAX].rstrip('-.')}.{microseconds:x}{digest}"
        involved = {
            "apiVersion": about.kind.api_version,
            "kind": about.kind.name,
            "name": about.name,
            "uid": about.uid,
        }
        if about.namespace:
            involved["namespace"] = about.namespace
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.name,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "type": key.type,
            "reason": key.reason,
            "message": key.message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": _text(waiting.first_at),
            "lastTimestamp": _text(waiting.last_at),
            "count": waiting.count,
        }


def _shortened(message: str) -> str:
    if len(message) <= MESSAGE_CHARS_MAX:
        return message
    return message[: MESSAGE_CHARS_MAX - 3] + "..."


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _bound(remembered: OrderedDict[str, _Minute] | OrderedDict[_Key, _Written]) -> None:
    while len(remembered) > REMEMBERED_MAX:
        remembered.popitem(last=False)
