"""How one client sees the simulated cluster: latency, lost answers, lagging watches, its death.

One rule: a request is a step of the cluster, not of its sender: a sender that dies or gives up does
not call it back.
"""

import asyncio
import bisect
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from itertools import count
from typing import Any, Literal, TypeVar

import orjson

from treadle.kube import selectors
from treadle.kube.api import Change, Listing, Obj
from treadle.kube.kinds import Kind
from treadle.runtime.ports import Fault, Unavailable
from treadle.sim import clock
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import key_of, later
from treadle.sim.faults import Faults
from treadle.sim.objects import Key, Logged

T = TypeVar("T")

Hook = Callable[[str, Kind, str | None, Any], None]
"""Told of each write when it is sent: verb, kind, namespace, object or name."""

BOOKMARK_SECONDS = 60.0


class SimApi:
    """Implements `kube.api.Api` for one client: a life of an operator, or a person.

    `on_call` is asked before each request is sent whether the client lives, or dies before or just
    after the request happens.
    """

    def __init__(
        self,
        cluster: SimCluster,
        faults: Faults | None = None,
        who: str = "kubectl",
        *,
        process: clock.Process | None = None,
    ) -> None:
        self._cluster = cluster
        self._faults = faults or Faults()
        self.who = who
        self.process = process or clock.Process(who)
        self.calls = 0
        self.on_call: Callable[[int], Literal["live", "before", "after"]] = lambda _: "live"
        self.on_write: list[Hook] = []
        self.on_death: Callable[[], None] = lambda: None
        self._clock_offset: float | None = None
        self._streams: list[_Stream] = []
        self._on_their_way: dict[int, Callable[[], object]] = {}
        self._held: dict[int, float] = {}  # requests that a frozen client has yet to send
        self._tickets = count()

    # --------------------------------------------------------------------------------- requests

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        """A consistent read."""
        return await self._call(
            "get", kind, namespace, name, lambda: self._cluster.objects.get(kind, namespace, name)
        )

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Listing:
        """A consistent list."""
        return await self._call(
            "list",
            kind,
            namespace,
            labels or "",
            lambda: self._cluster.objects.listing(kind, namespace, labels, fields),
        )

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """POST."""
        sent = orjson.dumps(obj)

        def work() -> Obj:
            new: Obj = orjson.loads(sent)
            if self._cluster.admission is not None:
                self._cluster.admission(kind, new, self._cluster.objects.now())
            return self._cluster.objects.create(kind, namespace, new)

        return await self._call("create", kind, namespace, obj, work)

    async def update(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """PUT."""
        sent = orjson.dumps(obj)
        return await self._call(
            "update",
            kind,
            namespace,
            obj,
            lambda: self._cluster.objects.update(kind, namespace, orjson.loads(sent)),
        )

    async def update_status(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """PUT of /status."""
        sent = orjson.dumps(obj)
        return await self._call(
            "update_status",
            kind,
            namespace,
            obj,
            lambda: self._cluster.objects.update(kind, namespace, orjson.loads(sent), status=True),
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        form: Literal["merge", "json"] = "merge",
        subresource: str | None = None,
    ) -> Obj:
        """PATCH."""
        sent = orjson.dumps(patch)
        return await self._call(
            "patch",
            kind,
            namespace,
            name,
            lambda: self._cluster.objects.patch(
                kind,
                namespace,
                name,
                orjson.loads(sent),
                form=form,
                status=subresource == "status",
            ),
        )

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        """DELETE in the background."""
        await self._call(
            "delete",
            kind,
            namespace,
            name,
            lambda: self._cluster.objects.delete(kind, namespace, name, uid=uid, version=version),
        )

    def now(self) -> datetime:
        """The API server's time, as well as a Date header of whole seconds lets us know it."""
        offset = self._clock_offset or 0.0
        return clock.wall(offset)

    # ---------------------------------------------------------------------------------- watches

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        version: str,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> AsyncIterator[Change]:
        """Changes after a version, until the server closes the stream."""
        match = _both(selectors.labels(labels), selectors.fields(kind, fields))
        stream = await self._call(
            "watch",
            kind,
            namespace,
            version,
            lambda: self._open(kind, namespace, int(version), match),
        )
        try:
            while True:
                change = await stream.next()
                if change is None:
                    return
                yield change
        finally:
            stream.close()

    def _open(
        self, kind: Kind, namespace: str | None, version: int, match: selectors.Match
    ) -> "_Stream":
        stream = _Stream(self._cluster, self._faults, kind, namespace, match, self.process)
        self._streams.append(stream)
        stream.begin(version)
        return stream

    # ----------------------------------------------------------------------------------- dying

    def step(self) -> Literal["live", "before", "after"]:
        """Count a request that is about to be sent; `before`: the client is dead now."""
        if self.process.dead:
            return "before"
        self.calls += 1
        end = self.on_call(self.calls)
        if end == "before":
            self.die()
        return end

    def die(self) -> None:
        """Kill the client. Requests on their way may land all the same, now or later."""
        self._cluster.note(f"{self.who} is killed")
        self.process.kill()
        for stream in self._streams:
            stream.close()
        loop = asyncio.get_running_loop()
        on_their_way, self._on_their_way = self._on_their_way, {}
        for land in on_their_way.values():
            seconds = self._faults.lands_after_death(loop.time())
            if seconds is not None:
                later(seconds, land)
        self.on_death()

    def freeze(self, seconds: float) -> None:
        """Freeze the client. Of requests on their way some had not left it yet."""
        if self.process.dead:
            return
        self._cluster.note(f"{self.who} is frozen for {seconds:.1f} s")
        until = asyncio.get_running_loop().time() + seconds
        for ticket in self._on_their_way:
            if self._faults.unsent():
                self._held[ticket] = until
        self.process.freeze(seconds)

    # ------------------------------------------------------------------------------- in detail

    async def _call(
        self, verb: str, kind: Kind, namespace: str | None, what: Any, work: Callable[[], T]
    ) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if self.process.dead:
            return await answer
        write = verb not in ("get", "list", "watch")
        end = self.step()
        if end == "before":
            return await answer
        name = what["metadata"].get("name", "") if isinstance(what, dict) else what
        line = f"{self.who} {verb} {kind.name} {name}"
        if write:
            for hook in self.on_write:
                hook(verb, kind, namespace, what)
        if end == "after":
            self._land(line, work)
            self.die()
            return await answer
        fate = self._faults.fate(loop.time(), write=write)
        if fate.landing in ("failed", "throttled"):
            self._cluster.note(f"{line}: {fate.landing}")
            wait = 1.0 if fate.landing == "throttled" else None
            later(fate.before, self._answer, answer, None, Unavailable(fate.landing, wait))
        elif fate.landing == "late":
            self._cluster.note(f"{line}: given up")
            later(fate.after, self._answer, answer, None, Unavailable("no answer in time"))
            later(fate.after + fate.before, self._land, line, work)
        else:
            ticket = next(self._tickets)
            self._on_their_way[ticket] = lambda: self._land(line, work)
            later(fate.before, self._arrive, ticket, line, work, answer, fate)
        return await answer

    def _arrive(
        self,
        ticket: int,
        line: str,
        work: Callable[[], T],
        answer: asyncio.Future[T],
        fate: Any,
    ) -> None:
        held_until = self._held.pop(ticket, None)
        if held_until is not None and ticket in self._on_their_way:
            seconds = held_until - asyncio.get_running_loop().time() + fate.before
            later(max(0.0, seconds), self._arrive, ticket, line, work, answer, fate)
            return
        if self._on_their_way.pop(ticket, None) is None:
            return  # its sender died; whether and when it lands was decided then
        result, error = self._land(line, work)
        if fate.landing == "lost":
            self._cluster.note(f"{line}: its answer is lost")
            error = Unavailable("connection reset")
        if fate.after:
            later(fate.after, self._answer, answer, result, error)
        else:
            self._answer(answer, result, error)

    def _land(self, line: str, work: Callable[[], T]) -> tuple[T | None, Fault | None]:
        self._cluster.note(line)
        try:
            return work(), None
        except Fault as error:
            self._cluster.note(f"  {type(error).__name__} {error}")
            return None, error

    def _answer(self, answer: asyncio.Future[T], result: T | None, error: Fault | None) -> None:
        if self.process.dead or answer.done():
            return
        server = clock.wall()
        self._clock_offset = -server.microsecond / 1e6
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]


def _both(one: selectors.Match, other: selectors.Match) -> selectors.Match:
    if other is selectors.everything:
        return one
    return lambda obj: one(obj) and other(obj)


class _Stream:
    """One open watch. Events of one object keep their order; those of others may overtake them."""

    def __init__(
        self,
        cluster: SimCluster,
        faults: Faults,
        kind: Kind,
        namespace: str | None,
        match: selectors.Match,
        process: clock.Process,
    ) -> None:
        self._cluster = cluster
        self._faults = faults
        self._kind = kind
        self._namespace = namespace
        self._match = match
        self._process = process
        self._queue: list[tuple[float, int, Change]] = []  # (when, tie, what)
        self._last_at: dict[Key, float] = {}
        self._arrived: deque[Change] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ties = count()
        self._ended = False
        self._delivered = 0

    def begin(self, version: int) -> None:
        """Replay what happened after a version, then follow. Raises: Expired."""
        for entry in self._cluster.objects.since(self._kind, version):
            self._offer(entry)
        self._delivered = version
        self._cluster.objects.followers.setdefault(self._kind, []).append(self._seen)
        now = asyncio.get_running_loop().time()
        later(self._faults.stream_seconds(now), self._end)
        later(BOOKMARK_SECONDS, self._bookmark)

    async def next(self) -> Change | None:
        """The next event; None when the server has closed the stream."""
        while not self._arrived:
            if self._ended:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        change = self._arrived.popleft()
        self._delivered = max(self._delivered, _version(change))
        return change

    def close(self) -> None:
        """Nobody listens any more."""
        self._ended = True
        followers = self._cluster.objects.followers.get(self._kind, [])
        if self._seen in followers:
            followers.remove(self._seen)
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        """The server closes the stream: what is on its way arrives or is cut off."""
        if self._ended:
            return
        now = asyncio.get_running_loop().time()
        seen = max([self._delivered, *(_version(change) for change in self._arrived)])
        # After an overtaking, a cut would lose an event for ever: a real stream cannot do that,
        # because its client resumes from the last version that it saw.
        resumable = all(_version(change) > seen for _, _, change in self._queue)
        if not (resumable and self._faults.cut(now)):
            self._arrived.extend(change for _, _, change in self._queue)
        self._queue.clear()
        self.close()
        self._wake()

    def _bookmark(self) -> None:
        if self._ended:
            return
        if not self._queue:
            version = str(self._cluster.objects.version)
            obj = {"kind": self._kind.name, "metadata": {"resourceVersion": version}}
            self._arrived.append(Change("BOOKMARK", obj))
            self._wake()
        later(BOOKMARK_SECONDS, self._bookmark)

    def _seen(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        assert kind == self._kind
        self._offer(Logged(self._cluster.objects.version, old, new))

    def _offer(self, entry: Logged) -> None:
        change = self._change_of(entry)
        if change is None:
            return
        now = asyncio.get_running_loop().time()
        key = key_of(change.object)
        last = max((at for at, _, _ in self._queue[-1:]), default=0.0)
        at = now + self._faults.lag(now)
        held = self._faults.held(now)
        at = at + held if held else max(at, last)
        at = max(at, self._last_at.get(key, 0.0))
        self._last_at[key] = at
        bisect.insort(self._queue, (at, next(self._ties), change), key=lambda item: item[:2])
        if self._faults.duplicated(now):
            again = Change(change.type, orjson.loads(orjson.dumps(change.object)))
            bisect.insort(self._queue, (at, next(self._ties), again), key=lambda item: item[:2])
        self._schedule()

    def _change_of(self, entry: Logged) -> Change | None:
        """What a watcher with these selectors sees of a write."""
        old, new = entry.old, entry.new
        some = new or old
        assert some is not None
        if self._namespace not in (None, some["metadata"].get("namespace")):
            return None
        was = old is not None and self._match(old)
        now = new is not None and self._match(new)
        if now:
            return Change("MODIFIED" if was else "ADDED", orjson.loads(orjson.dumps(new)))
        if not was:
            return None
        gone: Obj = orjson.loads(orjson.dumps(old))
        gone["metadata"]["resourceVersion"] = str(entry.version)
        return Change("DELETED", gone)

    def _schedule(self) -> None:
        if self._timer is not None:
            if self._timer.when() <= self._queue[0][0]:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._queue[0][0], self._deliver, context=clock.OUTSIDE)

    def _deliver(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time() + 1e-9
        while self._queue and self._queue[0][0] <= now:
            self._arrived.append(self._queue.pop(0)[2])
        if self._queue:
            self._schedule()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done() and not self._process.dead:
            self._reader.set_result(None)


def _version(change: Change) -> int:
    return int(change.object["metadata"]["resourceVersion"])
