"""Runs `treadle:execution` and AWS's `states:startExecution`: a child is an Execution too.

One rule: what a watch shows of a child is a hint to look; a live read tells how it ended, or that
it is gone. A child is never deleted to stop it: its name stays taken.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from treadle.asl.arns import Account
from treadle.asl.errors import RUNTIME, TASK_FAILED, StateError
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSubmitted, TaskSucceeded
from treadle.kube import names, versions
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.kube.podtemplates import FORBIDDEN
from treadle.runners import child, podfacts, startup
from treadle.runners.child import Wish
from treadle.runners.children import Children, is_over, key_of
from treadle.runners.launch import NAME_CONFLICT
from treadle.runners.workqueue import WorkQueue
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    TERMINAL,
    AlreadyExists,
    Attempt,
    Clock,
    Conflict,
    Ending,
    ExecutionKey,
    Fault,
    Leadership,
    Mailbox,
    Missing,
    NotLeading,
    Order,
    Refused,
    Sighting,
    Standing,
    Standings,
    Unavailable,
    UnreadableSnapshot,
)

_log = logging.getLogger(__name__)

_RUNNER = "nested"

Read: TypeAlias = Callable[[Obj], Awaitable[Ending]]
"""Reads how an Execution ended, also what is too large for its status."""

Accounts: TypeAlias = Callable[[str], Account]
"""What stands in the ARNs of a namespace."""


@dataclass(frozen=True, slots=True)
class NestedSettings:
    """What an installation may set.

    Attributes:
        depth_max: executions above one another; see `asl.limits`.
        retry_seconds: after the API server did not answer, or a quota was full.
        repeat_seconds: after which an outcome is told again that no save has taken up.
        workers: attempts that are looked at once.
        writes_max: writes that are on their way at once.
    """

    depth_max: int = 16
    retry_seconds: float = 5.0
    repeat_seconds: float = 30.0
    workers: int = 8
    writes_max: int = 64


@dataclass(slots=True)
class _Watch:
    """What this process knows of an attempt that it was asked to run.

    Attributes:
        name: of the child's object; its `uid` is empty while it was not seen.
        maybe_created: a create was sent, whose answer is not read yet.
        told_at: loop time at which its outcome was posted.
        reason: what it was last said to wait for.
        timer: when it is looked at again though nothing changes.
    """

    order: Order
    name: str = ""
    uid: str = ""
    maybe_created: bool = False
    told_at: float | None = None
    reason: str | None = None
    timer: asyncio.TimerHandle | None = None


class NestedRunner:
    """See the module. `run` must be running, and be told what is seen of Executions.

    Args:
        read: tells how a child ended.
        accounts: whose machines ARNs name.
        standings: asks the driver where an attempt stands.
    """

    resources = child.RESOURCES
    makes_objects = True
    asks_first = True

    def __init__(
        self,
        api: Objects,
        read: Read,
        accounts: Accounts,
        *,
        mailbox: Mailbox,
        leading: Leadership,
        standings: Standings,
        clock: Clock,
        settings: NestedSettings | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._api = api
        self._read = read
        self._accounts = accounts
        self._mailbox = mailbox
        self._leading = leading
        self._standings = standings
        self._clock = clock
        self._settings = settings or NestedSettings()
        self._meter = meter or NoMeter()
        self._slots = asyncio.Semaphore(self._settings.writes_max)
        self._watches: dict[Attempt, _Watch] = {}
        # By namespace and name of a child: who waits for it. One that has a name may have several.
        self._waiting: dict[tuple[str, str], dict[Attempt, None]] = {}
        self._children = Children()
        self._queue: WorkQueue[Attempt] = WorkQueue()

    # ---------------------------------------------------------------------- the Runner protocol

    def current(self) -> bool:
        """What became of children is asked, attempt by attempt; see `asks_first`."""
        return True

    async def start(self, order: Order) -> None:
        """Make the child exist, or take its name where the attempt ended unseen. Raises: Fault."""
        if order.expired:
            await self._take_name(order)
            return
        watch = self._watches.get(order.attempt)
        if watch is None:
            watch = self._watches[order.attempt] = _Watch(order)
            watch.uid = order.task.uid
            if not order.restored:
                self._meter.task_started(_RUNNER)
        watch.told_at = None  # whoever asks again has not heard it
        await self._start(watch)

    async def stop(self, attempt: Attempt) -> None:
        """Stop the child that an attempt waited for, where its end is saved. Raises: Fault."""
        watch = self._watches.get(attempt)
        seen = self._children.waited_for(attempt)
        if watch is None and seen is None:
            return
        if not await self._is_over(attempt):
            return
        # One that was merely started goes its own way, and so does one that others started.
        if seen is not None:
            await self._stop(seen.namespace, seen.name, attempt)
        elif watch is not None and _may_run(watch):
            await self._stop(attempt.execution.namespace, watch.name, attempt)
        if watch is not None and watch.told_at is None:
            self._meter.task_ended(_RUNNER, "stopped")
        self._forget(attempt)

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """Attempts of this execution whose children are seen running."""
        return self._children.of(execution)

    async def ended(self, attempt: Attempt) -> None:
        """The attempt's end is saved: nothing is left to tell."""
        self._forget(attempt)

    async def sweep(self) -> None:
        """Tell again what no save has taken up."""
        now = asyncio.get_running_loop().time()
        for attempt, watch in list(self._watches.items()):
            if watch.told_at is not None and now - watch.told_at >= self._settings.repeat_seconds:
                watch.told_at = None
                self._queue.put(attempt)

    # --------------------------------------------------------------------------------- watching

    async def run(self) -> None:
        """Look at what is seen, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.workers):
                    group.create_task(self._work())
        finally:
            for attempt in list(self._watches):
                self._forget(attempt)

    def seen(self, sighting: Sighting) -> None:
        """An Execution was seen, or seen to go: perhaps somebody waits for it."""
        key, parent = sighting.key, sighting.parent
        runs = parent is not None and self._children.seen(sighting, parent)
        if runs and parent is not None and parent not in self._watches:
            self._queue.put(parent)  # perhaps nobody waits for it any more
        if is_over(sighting):
            for attempt in self._waiting.get((key.namespace, key.name), ()):
                self._queue.put(attempt)

    def compare(self, active: Sequence[Sighting]) -> None:
        """Take a consistent list of the executions that have not ended.

        A child that it lacks has ended or gone, which a watch may have missed.
        """
        listed = {sighting.key for sighting in active}
        self._children.keep(listed)
        for sighting in active:
            self.seen(sighting)
        for attempt, watch in list(self._watches.items()):
            key = ExecutionKey(attempt.execution.namespace, watch.name, watch.uid)
            if watch.uid and key not in listed:
                self._queue.put(attempt)

    # --------------------------------------------------------------------------------- starting

    async def _start(self, watch: _Watch) -> None:
        order = watch.order
        account = self._accounts(order.execution.namespace)
        wish = child.wish_of(order.task, account)
        if isinstance(wish, StateError):
            self._fail(watch, wish)
            return
        depth_max = self._settings.depth_max
        if order.depth + 1 > depth_max:
            cause = f"the setting childDepthMax allows {depth_max} executions above one another"
            self._fail(watch, StateError(child.LIMIT_EXCEEDED, cause))
            return
        self._expect(watch, child.name_of(order, wish))
        if order.restored or watch.uid or watch.maybe_created:
            found = await self._get(order.execution.namespace, watch.name)
            if found is not None or watch.uid:
                await self._take_over(watch, wish, found)
                return
        if wish.arn is not None and not await self._has_machine(order, wish):
            self._fail(watch, child.no_machine(wish.arn, account))
            return
        await self._create(watch, wish)

    def _expect(self, watch: _Watch, name: str) -> None:
        if not watch.name:
            watch.name = name
            place = (watch.order.execution.namespace, name)
            self._waiting.setdefault(place, {})[watch.order.attempt] = None

    async def _has_machine(self, order: Order, wish: Wish) -> bool:
        place = (order.execution.namespace, wish.machine)
        try:
            await self._api.get(STATE_MACHINES, *place)
        except Missing:
            return False
        if wish.version is not None:
            return await versions.version(self._api, *place, wish.version) is not None
        return wish.alias is None or await versions.alias(self._api, *place, wish.alias) is not None

    async def _create(self, watch: _Watch, wish: Wish) -> None:
        order = watch.order
        watch.maybe_created = True
        try:
            found = await self._post(child.execution(order, wish))
        except AlreadyExists:
            found = await self._api.get(EXECUTIONS, order.execution.namespace, watch.name)
        except Refused as why:
            watch.maybe_created = False
            self._refused(watch, why)
            return
        await self._take_over(watch, wish, found)

    async def _post(self, made: Obj) -> Obj:
        async with self._slots:
            self._check_lease()
            return await self._api.create(EXECUTIONS, made["metadata"]["namespace"], made)

    def _check_lease(self) -> None:
        # After the wait for a slot: the Lease may have ended meanwhile.
        if not self._leading.fresh():
            raise NotLeading("the Lease is not fresh")

    def _refused(self, watch: _Watch, why: Refused) -> None:
        """A refusal is the state's error, unless it passes by itself: then it is tried again."""
        reason = startup.quota_said(why.message) if why.status == 403 else None
        if why.status == 401:
            raise Unavailable(why.message) from why
        if reason is None:
            self._fail(watch, StateError(FORBIDDEN, why.message))
            return
        self._wait_for(watch, reason)
        self._look_after(watch, self._settings.retry_seconds)

    async def _take_over(self, watch: _Watch, wish: Wish, found: Obj | None) -> None:
        """Adopt what has the child's name, or say that it is another's."""
        order = watch.order
        account = self._accounts(order.execution.namespace)
        if found is None or (watch.uid and podfacts.uid(found) != watch.uid):
            self._fail(watch, child.deleted(order.task.resource, account, watch.name, None))
            return
        if not watch.uid and wish.name is not None and not child.is_wished(found, wish):
            self._fail(watch, child.exists_already(wish, account))
            return
        digest = order.task.digest
        if not watch.uid and wish.name is None and not child.is_of(found, order.attempt, digest):
            cause = f"An Execution named {watch.name} exists, and this attempt did not make it."
            self._fail(watch, StateError(NAME_CONFLICT, cause))
            return
        watch.uid = podfacts.uid(found)
        self._wait_for(watch, None)
        self._mailbox.post(order.execution, TaskStarted(order.task.id, watch.uid))
        answer = child.submitted(order.task.resource, order.attempt, account, found)
        at = child.began_at(found) if order.restored else self._clock()
        if not child.is_awaited(order.task.resource):
            self._succeed(watch, answer, at)
            return
        self._mailbox.post(order.execution, TaskSubmitted(order.task.id, answer, at))
        await self._conclude(watch, found)

    # --------------------------------------------------------------------------------- stopping

    async def _is_over(self, attempt: Attempt) -> bool:
        # A process stops only what its saved snapshot knows to be over, whoever asks for it.
        standing = await self._standings(attempt)
        if standing is Standing.UNKNOWN:
            raise Unavailable("it is not known whether the attempt is over")
        return standing in (Standing.OVER, Standing.GONE)

    async def _stop(self, namespace: str, name: str, attempt: Attempt) -> None:
        """Have a child of an attempt stopped, unless it has ended or is being stopped."""
        found = await self._get(namespace, name)
        if found is None or names.awaited_by(found) != attempt:
            return
        spec, phase = found["spec"], (found.get("status") or {}).get("phase")
        if phase not in TERMINAL and not isinstance(spec.get("stop"), dict):
            state = podfacts.annotation(found, names.STATE) or ""
            patch = [
                {"op": "test", "path": "/metadata/uid", "value": podfacts.uid(found)},
                {
                    "op": "add",
                    "path": "/spec/stop",
                    "value": child.stop_of(attempt.execution.name, state),
                },
            ]
            async with self._slots:
                self._check_lease()
                # Where it is gone, what took its name is not ours to stop.
                with contextlib.suppress(Missing, Conflict):
                    await self._api.patch(EXECUTIONS, namespace, name, patch, form="json")
        self._children.over(attempt, key_of(found))

    async def _take_name(self, order: Order) -> None:
        """Take the name of an attempt that ended unseen, so that a late create finds it taken.

        A child that has a name of its own is not named after the attempt: one that comes late is
        stopped when it is seen.
        """
        self._forget(order.attempt)
        try:
            await self._post(child.tombstone(order))
        except AlreadyExists:
            name = names.attempt(order.execution, order.task.id)
            await self._stop(order.execution.namespace, name, order.attempt)
        except Refused as why:
            if why.status == 401 or startup.quota_said(why.message) is not None:
                raise Unavailable(why.message) from why
            # A late create will be refused as well.
            _log.warning("no tombstone for %s: %s", order.attempt, why.message)

    # ---------------------------------------------------------------------------------- working

    async def _work(self) -> None:
        while True:
            attempt = await self._queue.take()
            try:
                await self._settle(attempt)
            except Fault as fault:
                _log.info("child of %s: %r", attempt, fault)
                self._look_again(attempt)
            except Exception:
                # We are wrong. The attempt must not wait for ever for what nobody can tell.
                _log.exception("the child of %s cannot be understood", attempt)
                self._meter.failed("runners")
                watch = self._watches.get(attempt)
                if watch is not None:
                    self._fail(watch, StateError(RUNTIME, "its child cannot be understood here"))
            finally:
                self._queue.done(attempt)

    async def _settle(self, attempt: Attempt) -> None:
        watch = self._watches.get(attempt)
        if watch is None:
            seen = self._children.waited_for(attempt)
            if seen is not None and await self._is_over(attempt):
                await self._stop(seen.namespace, seen.name, attempt)
        elif watch.told_at is not None:
            return
        elif not watch.uid:
            await self._start(watch)
        else:
            found = await self._get(attempt.execution.namespace, watch.name)
            await self._conclude(watch, found)

    async def _conclude(self, watch: _Watch, found: Obj | None) -> None:
        """Tell how a child ended, where it did."""
        order, resource = watch.order, watch.order.task.resource
        account = self._accounts(order.execution.namespace)
        is_there = found is not None and podfacts.uid(found) == watch.uid
        status = (found.get("status") or {}) if found is not None and is_there else {}
        if is_there and status.get("phase") in TERMINAL:
            assert found is not None
            self._children.over(order.attempt, key_of(found))
            at = podfacts.instant(status.get("completionTime")) or self._clock()
            try:
                said = child.ended(resource, account, found, await self._read(found))
            except UnreadableSnapshot as why:
                cause = f"how the child Execution {watch.name} ended cannot be read: {why}"
                said = StateError(TASK_FAILED, cause)
            if isinstance(said, StateError):
                self._fail(watch, said, at)
            else:
                self._succeed(watch, said, at)
        elif not is_there or (found is not None and podfacts.is_deleting(found)):
            left = found if is_there else None
            self._fail(watch, child.deleted(resource, account, watch.name, left))

    async def _get(self, namespace: str, name: str) -> Obj | None:
        try:
            return await self._api.get(EXECUTIONS, namespace, name)
        except Missing:
            return None

    # ---------------------------------------------------------------------------------- telling

    def _succeed(self, watch: _Watch, output: str, at: datetime) -> None:
        order = watch.order
        self._told(watch, "succeeded")
        self._mailbox.post(order.execution, TaskSucceeded(order.task.id, output, at))

    def _fail(self, watch: _Watch, error: StateError, at: datetime | None = None) -> None:
        order = watch.order
        self._wait_for(watch, None)
        self._told(watch, "failed")
        failed = TaskFailed(order.task.id, error, at or self._clock())
        self._mailbox.post(order.execution, failed)

    def _told(self, watch: _Watch, outcome: str) -> None:
        if watch.told_at is None:
            self._meter.task_ended(_RUNNER, outcome)
        watch.told_at = asyncio.get_running_loop().time()

    def _wait_for(self, watch: _Watch, reason: str | None) -> None:
        if watch.reason != reason:
            watch.reason = reason
            self._mailbox.waits(watch.order.execution, watch.order.task.id, reason)

    def _look_again(self, attempt: Attempt) -> None:
        watch = self._watches.get(attempt)
        if watch is not None:
            self._look_after(watch, self._settings.retry_seconds)
        # What nobody waits for is seen again by the sweep's list.

    def _look_after(self, watch: _Watch, seconds: float) -> None:
        if watch.timer is not None:
            watch.timer.cancel()
        loop = asyncio.get_running_loop()
        watch.timer = loop.call_later(seconds, self._queue.put, watch.order.attempt)

    def _forget(self, attempt: Attempt) -> None:
        watch = self._watches.pop(attempt, None)
        if watch is None:
            return
        if watch.timer is not None:
            watch.timer.cancel()
        place = (attempt.execution.namespace, watch.name)
        waiting = self._waiting.get(place, {})
        waiting.pop(attempt, None)
        if not waiting:
            self._waiting.pop(place, None)


def _may_run(watch: _Watch) -> bool:
    """Whether there may be a child that was waited for."""
    is_awaited = child.is_awaited(watch.order.task.resource)
    return is_awaited and bool(watch.uid or watch.maybe_created)
