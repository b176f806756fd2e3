"""Runs `treadle:execution` and AWS's `states:startExecution`: a child is an Execution too.

One rule: what a watch shows of a child is a hint to look; a live read tells how it ended, or that
it is gone. A child is never deleted to stop it: its name stays taken.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from treadle.asl.arns import Account
from treadle.asl.errors import RUNTIME, TASK_FAILED, StateError
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSubmitted, TaskSucceeded
from treadle.kube import names
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import EXECUTIONS
from treadle.kube.podtemplates import FORBIDDEN
from treadle.runners import callers, child, podfacts, startup
from treadle.runners.child import Place, Wish
from treadle.runners.children import Children, is_over, key_of
from treadle.runners.childwrites import ChildWrites
from treadle.runners.launch import NAME_CONFLICT
from treadle.runners.watches import saved_end
from treadle.runners.workqueue import WorkQueue
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    TERMINAL,
    AlreadyExists,
    Attempt,
    Clock,
    Ending,
    ExecutionKey,
    Fault,
    Leadership,
    Mailbox,
    Missing,
    Order,
    Refused,
    Sighting,
    Standings,
    Unavailable,
    UnreadableSnapshot,
)

_log = logging.getLogger(__name__)

_RUNNER = "nested"
_SENT_MAX = 10_000
_NOWHERE: Place = ("", "")

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
        namespaces: that are served; empty for all.
        is_flat: every machine counts as one of the Task's own namespace, as on a desk.
    """

    depth_max: int = 16
    retry_seconds: float = 5.0
    repeat_seconds: float = 30.0
    workers: int = 8
    writes_max: int = 64
    namespaces: Sequence[str] = ()
    is_flat: bool = False


@dataclass(slots=True)
class _Watch:
    """What this process knows of an attempt that it was asked to run.

    Attributes:
        place: of the child's object; its `uid` is empty while it was not seen.
        maybe_created: a create was sent, whose answer is not read yet.
        told_at: loop time at which its outcome was posted.
        reason: what it was last said to wait for.
        timer: when it is looked at again though nothing changes.
    """

    order: Order
    place: Place = _NOWHERE
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
        self._standings = standings
        self._clock = clock
        self._settings = settings or NestedSettings()
        self._meter = meter or NoMeter()
        self._writes = ChildWrites(api, leading, self._settings.writes_max)
        self._watches: dict[Attempt, _Watch] = {}
        # By the place of a child: who waits for it. One that has a name may have several.
        self._waiting: dict[Place, dict[Attempt, None]] = {}
        # Where children of other namespaces were sent: an attempt that is over does not tell it.
        self._sent: dict[Attempt, str] = {}
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
        if watch is None and not seen:
            return
        if await saved_end(self._standings, attempt) is None:
            return
        # One that was merely started goes its own way, and so does one that others started.
        own = [watch.place] if watch is not None and _may_run(watch) else []
        for place in dict.fromkeys([*own, *map(_place, seen)]):
            await self._stop(place, attempt)
        if watch is not None and watch.told_at is None:
            self._meter.task_ended(_RUNNER, "stopped")
        self._forget(attempt)

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """Attempts of this execution whose children are seen running."""
        return self._children.of(execution)

    async def ended(self, attempt: Attempt) -> None:
        """The attempt's end is saved: nothing is left to tell."""
        self._sent.pop(attempt, None)
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
            for attempt in self._waiting.get(_place(key), ()):
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
            key = ExecutionKey(*watch.place, watch.uid)
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
        if self._settings.is_flat:
            wish = replace(wish, namespace=None)
        depth_max = self._settings.depth_max
        if order.depth + 1 > depth_max:
            cause = f"the setting childDepthMax allows {depth_max} executions above one another"
            self._fail(watch, StateError(child.LIMIT_EXCEEDED, cause))
            return
        place, served = child.place_of(order, wish), self._settings.namespaces
        if served and place[0] not in served:
            self._fail(watch, callers.unserved(place[0]))  # nor may anything there be read
            return
        watch.place = place
        self._waiting.setdefault(watch.place, {})[order.attempt] = None
        if order.restored or watch.uid or watch.maybe_created:
            found = await self._get(watch.place)
            is_ours = found is not None and child.is_of(found, order.attempt, order.task.digest)
            if is_ours or watch.uid:
                await self._take_over(watch, wish, found)
                return
        # What somebody else made is met by the create: whoever may not start it may not share it.
        refusal = await callers.refusal(self._api, wish, order.execution.namespace, account)
        if refusal is not None:
            self._fail(watch, refusal)
            return
        await self._create(watch, wish)

    async def _create(self, watch: _Watch, wish: Wish) -> None:
        order = watch.order
        watch.maybe_created = True
        if watch.place[0] != order.execution.namespace:
            self._sent[order.attempt] = watch.place[0]
            while len(self._sent) > _SENT_MAX:
                del self._sent[next(iter(self._sent))]
        try:
            found = await self._writes.create(child.execution(order, wish))
        except AlreadyExists:
            found = await self._api.get(EXECUTIONS, *watch.place)
        except Refused as why:
            watch.maybe_created = False
            self._refused(watch, why)
            return
        await self._take_over(watch, wish, found)

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
        order, (namespace, name) = watch.order, watch.place
        account = self._accounts(namespace)
        if found is None or (watch.uid and podfacts.uid(found) != watch.uid):
            self._fail(watch, child.deleted(order.task.resource, account, name, None))
            return
        if not watch.uid and wish.name is not None and not child.is_wished(found, wish):
            self._fail(watch, child.exists_already(wish, account))
            return
        digest = order.task.digest
        if not watch.uid and wish.name is None and not child.is_of(found, order.attempt, digest):
            cause = f"An Execution named {name} exists, and this attempt did not make it."
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

    async def _stop(self, place: Place, attempt: Attempt) -> None:
        """Have a child of an attempt stopped, unless it has ended or is being stopped."""
        found = await self._get(place)
        if found is None or names.awaited_by(found) != attempt:
            return
        spec, phase = found["spec"], (found.get("status") or {}).get("phase")
        if phase not in TERMINAL and not isinstance(spec.get("stop"), dict):
            state = podfacts.annotation(found, names.STATE) or ""
            await self._writes.stop(found, child.stop_of(attempt.execution, state, place[0]))
        self._children.over(attempt, key_of(found))

    async def _take_name(self, order: Order) -> None:
        """Take the name of an attempt that ended unseen, so that a late create finds it taken.

        A child that has a name of its own is not named after the attempt, and one that another
        process sent may be in any namespace: one that comes late is stopped when it is seen.
        """
        self._forget(order.attempt)
        namespace = self._sent.get(order.attempt, order.execution.namespace)
        made = child.tombstone(order, namespace)
        try:
            await self._writes.create(made)
        except AlreadyExists:
            await self._stop((namespace, made["metadata"]["name"]), order.attempt)
        except Missing:
            pass  # the namespace is gone: nothing can come late there
        except Refused as why:
            if why.status == 401 or startup.quota_said(why.message) is not None:
                raise Unavailable(why.message) from why
            # A late create will be refused as well.
            _log.warning("no tombstone for %s: %s", order.attempt, why.message)
        self._sent.pop(order.attempt, None)

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
            if seen and await saved_end(self._standings, attempt) is not None:
                for key in seen:
                    await self._stop(_place(key), attempt)
        elif watch.told_at is not None:
            return
        elif not watch.uid:
            await self._start(watch)
        else:
            await self._conclude(watch, await self._get(watch.place))

    async def _conclude(self, watch: _Watch, found: Obj | None) -> None:
        """Tell how a child ended, where it did."""
        order, resource, (namespace, name) = watch.order, watch.order.task.resource, watch.place
        account = self._accounts(namespace)
        is_there = found is not None and podfacts.uid(found) == watch.uid
        status = (found.get("status") or {}) if found is not None and is_there else {}
        if is_there and status.get("phase") in TERMINAL:
            assert found is not None
            self._children.over(order.attempt, key_of(found))
            at = podfacts.instant(status.get("completionTime")) or self._clock()
            try:
                said = child.ended(resource, account, found, await self._read(found))
            except UnreadableSnapshot as why:
                cause = f"how the child Execution {name} ended cannot be read: {why}"
                said = StateError(TASK_FAILED, cause)
            if isinstance(said, StateError):
                self._fail(watch, said, at)
            else:
                self._succeed(watch, said, at)
        elif not is_there or (found is not None and podfacts.is_deleting(found)):
            left = found if is_there else None
            self._fail(watch, child.deleted(resource, account, name, left))

    async def _get(self, place: Place) -> Obj | None:
        try:
            return await self._api.get(EXECUTIONS, *place)
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
        waiting = self._waiting.get(watch.place, {})
        waiting.pop(attempt, None)
        if not waiting:
            self._waiting.pop(watch.place, None)


def _place(key: ExecutionKey) -> Place:
    return key.namespace, key.name


def _may_run(watch: _Watch) -> bool:
    """Whether there may be a child that was waited for."""
    is_awaited = child.is_awaited(watch.order.task.resource)
    return is_awaited and watch.place != _NOWHERE and bool(watch.uid or watch.maybe_created)
