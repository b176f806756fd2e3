"""Redrives: what is over, and did not succeed, is to go on.

One rule: each id is answered once, by the save that holds what followed or by a sentence.
Source: AWS, RedriveExecution.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from treadle.asl.evaluator import Evaluator
from treadle.engine.context import Identity
from treadle.engine.events import RedriveRequested
from treadle.engine.execution import Execution
from treadle.runtime.handling import Handling
from treadle.runtime.meter import Meter
from treadle.runtime.ports import (
    Announce,
    Clock,
    ExecutionKey,
    Loaded,
    Machines,
    Missing,
    Pinned,
    Record,
    Redrive,
    Request,
    Store,
    UnreadableSnapshot,
)
from treadle.runtime.run import Run

Identify = Callable[[ExecutionKey, Request], Identity]


class _Refused(Exception):  # noqa: N818 - it says what happened
    """It cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Redrives:
    """Lets executions go on; see `Turns` for what it is made of."""

    store: Store
    machines: Machines
    clock: Clock
    meter: Meter
    identify: Identify
    handling: Handling
    announce: Announce
    stopwatch: Callable[[], float] | None = None
    evaluator: Evaluator | None = None

    async def answer(self, run: Run) -> None:
        """Let an execution go on where that is asked for; or save why it cannot.

        Raises:
            Conflict: somebody else wrote.
            Fault: nothing is lost; ask again.
        """
        asked = run.loaded.redrive if run.loaded else None
        if asked is None or run.redriving == asked:
            return  # of the latter the turn saves what follows
        if run.execution is None and not run.over:
            return  # it is to start first
        try:
            await self._go_on(run, asked)
        except _Refused as why:
            assert run.loaded is not None
            await self.refuse(run, run.loaded, str(why))
            return
        run.redriving = asked
        run.over = False
        run.ended_at = None
        run.dirty = True

    async def _go_on(self, run: Run, asked: Redrive) -> None:
        loaded, execution = run.loaded, run.execution
        assert loaded is not None
        if execution is None or loaded.request is None or run.pinned is None:
            raise _Refused("the execution never started; create another one")
        if asked.problem is not None:
            raise _Refused(asked.problem)
        if loaded.request.stop is not None and execution.memory.over:
            raise _Refused("/spec/stop: it is still there; take it back in the same change")
        pinned = await self._pinned(run, run.pinned, asked)
        other = None if pinned is run.pinned else pinned.revision
        event = replace(await self._event(run, execution, asked.event), revision=other)
        again = Execution(
            pinned.program,
            pinned.digest,
            self.identify(run.key, loaded.request),
            execution.memory,
            pinned.limits,
            self.stopwatch,
            self.evaluator,
        )
        ran = run.pinned.program.definition
        objections = again.objections(event, ran=ran if other else None)
        if objections:
            raise _Refused(_told(asked, objections))
        run.execution, run.pinned = again, pinned
        await self.handling.apart(run, lambda: again.handle(event, self.clock()))

    async def _pinned(self, run: Run, pinned: Pinned, asked: Redrive) -> Pinned:
        """What it is to go on with."""
        if asked.revision is None or asked.revision == pinned.revision:
            return pinned
        try:
            found = await self.machines.taken(run.key.namespace, asked.revision)
        except Missing:
            raise _Refused(
                f"/spec/redrive/revision: there is no StateMachineRevision '{asked.revision}'"
            ) from None
        if found.machine != pinned.machine:
            raise _Refused(
                f"/spec/redrive/revision: '{asked.revision}' is a revision of the StateMachine "
                f"'{found.machine}', and the execution runs '{pinned.machine}'"
            )
        return found

    async def _event(
        self, run: Run, execution: Execution, event: RedriveRequested
    ) -> RedriveRequested:
        """The event with all that it leaves to the history."""
        assert run.loaded is not None
        assert run.pinned is not None
        request = run.loaded.request
        if request is not None:
            event = replace(event, suspended=request.suspend, suspended_by=request.suspend_by)
        halted = execution.memory.halted.get(0)
        if event.state is None or event.input is not None or halted is None:
            return event
        if event.state == halted.state or event.state not in run.pinned.program.machine.states:
            return event
        try:
            given = await self.store.entered_with(run.loaded, event.state)
        except UnreadableSnapshot as why:
            raise _Refused(
                f"/spec/redrive/input: it is missing, and cannot be read: {why}"
            ) from why
        return replace(event, input=given)

    async def refuse(self, run: Run, loaded: Loaded, why: str) -> None:
        """Answer a redrive that is asked for with why it is not. Raises: Fault."""
        if loaded.redrive is None:
            return
        record = Record(None, loaded.revision, redrive=loaded.redrive.id, refused=why)
        run.loaded = await self.store.save(loaded, record, self.clock())
        self.announce(run.key, "Warning", "RedriveRefused", why)


def _told(asked: Redrive, objections: Sequence[str]) -> str:
    """The objections, each with its pointer in the Execution."""
    if asked.event.enters_anew:
        objections = [f"/spec/redrive{each}" if each[0] == "/" else each for each in objections]
    elif objections[0].startswith("/"):
        within = "; ".join(objections)
        return f"/spec/redrive/revision: '{asked.revision}' does not fit the execution: {within}"
    return "; ".join(objections)
