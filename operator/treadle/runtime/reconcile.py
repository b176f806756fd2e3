"""Bringing the world in line: wanted and missing is started, existing and not wanted is stopped.

One rule: it acts on what the last save says, and the same function serves an event, a sweep and a
restart.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from treadle.asl.arns import listed
from treadle.asl.errors import RUNTIME, StateError
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId
from treadle.engine.execution import Execution
from treadle.engine.memory import Closing
from treadle.runtime import functions
from treadle.runtime.handling import Handling
from treadle.runtime.meter import Meter
from treadle.runtime.ports import (
    Attempt,
    Clock,
    ExecutionKey,
    Fault,
    Leadership,
    NotLeading,
    Order,
    Runner,
    Standing,
    Tokens,
    Unavailable,
)
from treadle.runtime.run import Run

_log = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Delays between tries of one act outside; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Starts and stops what runs do outside.

    Attributes:
        post: leaves an event in a mailbox.
        handling: has the engine tell what may need evaluations.
        tokens: gives an attempt's token, where its work is handed one.
    """

    runners: Sequence[Runner]
    leadership: Leadership
    clock: Clock
    post: Callable[[ExecutionKey, Event], None]
    meter: Meter
    handling: Handling
    tokens: Tokens | None = None

    def align(self, run: Run) -> None:
        """Begin what is missing and end what is too much; returns at once."""
        execution = run.execution
        if execution is None and not run.gone and not run.over:
            return  # what is stored has to be read first: not knowing is no reason to stop anything
        wanted = set(execution.wanted()) if execution is not None and not run.gone else set()
        wanted = {task for task in wanted if run.saved.standing(task) is Standing.LIVE}
        for task in wanted:
            effect = run.effects.get(task)
            if effect is None or effect.cancelling():
                self._note_unasked(run, task)
                run.effects[task] = self._begin(run, task)
        run.unasked &= wanted
        for task in run.effects.keys() - wanted:
            # What is over in memory only is not over yet.
            if run.standing(task) in _FINISHED:
                self._end(run, task, run.effects.pop(task))
        for runner in self.runners:
            for task in runner.existing(run.key):
                if run.standing(task) in _FINISHED and task not in run.effects:
                    self._end(run, task, None)
        self._close(run)

    # ------------------------------------------------------------------------------- starting

    def _note_unasked(self, run: Run, task: TaskId) -> None:
        """What another process began may have ended in time: no timer comes before that is told."""
        assert run.execution is not None
        if task not in run.restored:
            return
        runner = self._runner(run.execution.resource(task) or "")
        if runner is not None and runner.asks_first:
            run.unasked.add(task)

    def _begin(self, run: Run, task: TaskId) -> asyncio.Task[None]:
        return asyncio.create_task(self._start(run, task), name=f"start {run.key.name} {task}")

    async def _start(self, run: Run, task: TaskId) -> None:
        async def once() -> None:
            try:
                await self._try_start(run, task)
            except Fault:
                raise
            except Exception as error:
                # We are wrong. Without this the attempt would count as begun and wait for ever.
                _log.exception("start %s of %s", task, run.key.name)
                self.meter.failed("runtime")
                cause = f"the attempt could not be started here: {type(error).__name__}"
                failed = TaskFailed(task, StateError(RUNTIME, cause), self.clock())
                self.post(run.key, failed)

        await self._until_done(once, f"start {task} of {run.key.name}")

    async def _try_start(self, run: Run, task: TaskId) -> None:
        work = None
        async with run.hands:
            if run.standing(task) is Standing.LIVE and run.execution is not None:
                tell = partial(self._work, run, run.execution, task)
                work = await self.handling.asked(run, tell)
        # The first await comes after this look, so what is started is still wanted and saved.
        standing, pinned = run.standing(task), run.pinned
        if standing not in (Standing.LIVE, Standing.UNKNOWN):
            return
        if standing is Standing.UNKNOWN or work is None or pinned is None:
            # To leave now would be for ever: the attempt would count as begun.
            raise Unavailable("what is stored is being read, or its end is not saved yet")
        is_mocked = work.state in pinned.answered
        native = work if is_mocked else functions.native(work, pinned.functions)
        if isinstance(native, StateError):
            self.post(run.key, TaskFailed(task, native, self.clock()))
            return
        runner = self._runner(native.resource)
        if runner is None:
            cause = f"nothing here runs the Resource {work.resource}"
            error = StateError("Treadle.ResourceNotRunnable", cause)
            self.post(run.key, TaskFailed(task, error, self.clock()))
            return
        order = Order(
            run.key,
            native,
            pinned.pods,
            pinned.limits.payload_bytes_max,
            restored=task in run.restored,
            depth=_depth(run),
            machine=run.machine,
        )
        await runner.start(order)
        run.unasked.discard(task)

    def _work(self, run: Run, execution: Execution, task: TaskId) -> Task | None:
        tokens = None if self.tokens is None else partial(self.tokens, run.key)
        return execution.task(task, tokens)

    def _runner(self, resource: str) -> Runner | None:
        name = listed(resource)
        return next((runner for runner in self.runners if name in runner.resources), None)

    # ------------------------------------------------------------------------------- stopping

    def _end(self, run: Run, task: TaskId, starting: asyncio.Task[None] | None) -> None:
        if task in run.closers:
            return
        if starting is not None and not starting.done():
            # A create may be on its way; what it makes is stopped as something that exists.
            starting.cancel()
        name = f"stop {run.key.name} {task}"
        ending = asyncio.create_task(self._stop(run, task, task in run.outcomes), name=name)
        run.closers[task] = ending
        ending.add_done_callback(lambda done: self._ended(run, task, done))

    def _ended(self, run: Run, task: TaskId, ending: asyncio.Task[None]) -> None:
        run.closers.pop(task, None)
        if not ending.cancelled():
            self._close(run)  # its name could not be taken before

    async def _stop(self, run: Run, task: TaskId, had_outcome: bool) -> None:
        attempt = Attempt(run.key, task)

        async def once() -> None:
            for runner in self.runners:
                if had_outcome:
                    await runner.ended(attempt)
                else:
                    await runner.stop(attempt)

        await self._until_done(once, f"stop {task} of {run.key.name}")
        run.outcomes.discard(task)

    def _close(self, run: Run) -> None:
        """Take the names of attempts that ended before anybody saw their objects."""
        if run.execution is None or run.pinned is None or run.gone:
            return
        # A copy: a thread may be at it.
        for task, closing in list(run.execution.closing().items()):
            if task in run.closers:
                continue
            native = functions.native_resource(closing.resource, run.pinned.functions)
            runner = self._runner(native)
            if runner is None or not runner.makes_objects:
                continue
            if run.saved.standing(task) is Standing.OVER:
                name = f"close {run.key.name} {task}"
                taking = asyncio.create_task(self._take_name(run, task, closing, runner), name=name)
                run.closers[task] = taking

    async def _take_name(self, run: Run, task: TaskId, closing: Closing, runner: Runner) -> None:
        pinned = run.pinned
        assert pinned is not None
        work = Task(
            id=task,
            state=closing.state,
            resource=closing.resource,
            parameters={},
            input={},
            digest=closing.digest,
            due_at=closing.ended_at,
            deadline_at=closing.ended_at,
            uid="",
        )
        bytes_max = pinned.limits.payload_bytes_max
        order = Order(run.key, work, pinned.pods, bytes_max, expired=True, machine=run.machine)

        async def once() -> None:
            if not run.gone:  # then nobody can create it any more
                await runner.start(order)

        if not await self._until_done(once, f"close {task} of {run.key.name}"):
            run.closers.pop(task, None)

    # ------------------------------------------------------------------------------- trying

    async def _until_done(self, act: Callable[[], Awaitable[None]], what: str) -> bool:
        """Do it, however often it takes; gives whether it was done: not where we are wrong."""
        tries = 0
        while True:
            delay = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
            tries += 1
            try:
                if not self.leadership.fresh():
                    raise NotLeading("the Lease is not fresh")
                await act()
                return True
            except Unavailable as fault:
                delay = fault.retry_after_seconds or delay
                _log.info("%s: %s; again in %s s", what, fault, delay)
            except Fault as fault:
                _log.info("%s: %r; again in %s s", what, fault, delay)
            except Exception:
                # We are wrong. The others go on, and what this leaves is a difference that the next
                # look at this execution, at the latest the sweep's, sees again.
                _log.exception("%s", what)
                self.meter.failed("runtime")
                return False
            await asyncio.sleep(delay)


def _depth(run: Run) -> int:
    """How many executions stand above this one."""
    request = run.loaded.request if run.loaded is not None else None
    return request.depth if request is not None else 0


_FINISHED = frozenset({Standing.OVER, Standing.GONE})
