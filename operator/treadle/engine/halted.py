"""Halted frames: where an execution that did not succeed stood, so that a redrive goes on there.

One rule: what a failure takes down is kept until somebody above it retries or catches. So what is
over holds all that a redrive needs, and what runs holds nothing of it.
Source: AWS, "Restarting state machine executions with redrive".
"""

from collections.abc import Callable

from treadle.asl.program import Machine, Map, Parallel
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.memory import Memory
from treadle.engine.states.fork import child_machine

Counted = Callable[[Frame], Fork]
"""Gives a frame's children, also how many items each has."""


def forget(memory: Memory, frame: Frame) -> None:
    """What was below a frame is not gone on with: somebody retries or catches."""
    if frame.dropped is None:
        return
    frame.dropped = None
    gone = {frame.id}
    for child in sorted(memory.halted):  # parents before their children
        if memory.halted[child].parent in gone:
            gone.add(child)
            del memory.halted[child]


def keep(memory: Memory) -> None:
    """The execution is over and did not succeed: all its frames halt as they stand."""
    memory.halted = dict(sorted((memory.halted | memory.frames).items()))
    for frame in memory.halted.values():
        if frame.dropped is not None:
            frame.fork, frame.dropped = frame.dropped, None
            if isinstance(frame.definition, Map):
                memory.progress.add(frame.fork)
        frame.phase = Phase.READY if frame.fork is None else Phase.FORKED
        frame.retries = [0] * len(frame.retries)
        frame.uid, frame.parameters = "", None
        frame.due_at = frame.deadline_at = frame.heartbeat_seconds = None
        frame.started = frame.submitted = False


def revive(memory: Memory, machine: Machine, counted: Counted) -> None:
    """Every frame is to go on from where it halted; what had succeeded is kept.

    Args:
        memory: of an execution that is over.
        machine: its top list of states, perhaps of another revision, which `fitting` has judged.
        counted: see there.
    """
    memory.frames, memory.halted = memory.halted, {}
    memory.variables_bytes = 0
    for frame in memory.frames.values():
        if frame.fork is not None and frame.fork.begins_anew:
            _uncount(memory, frame, counted)
    for frame in memory.frames.values():
        frame.machine = machine if frame.parent is None else _machine(memory, frame)
        if frame.variables is not None:
            memory.variables_bytes += frame.variables.size_bytes
        if frame.fork is not None:
            frame.fork.live.clear()
            # What follows from the definition is computed again.
            frame.fork.input, frame.fork.is_mended = None, True
        if frame.parent is not None:
            _fork_of(memory, frame.parent).live.add(frame.id)
    for frame in memory.frames.values():
        if frame.fork is None or frame.fork.begins_anew:
            _begin_anew(memory, frame)
        else:
            _go_on(memory, counted(frame))
        frame.retries = [0] * len(getattr(frame.definition, "retry", ()))
        memory.ready.append(frame.id)


def alone(memory: Memory, counted: Counted) -> Frame:
    """The first list of states is to go on alone, without what was below it; gives its frame."""
    memory.frames, memory.halted = memory.halted, {}
    for frame in memory.frames.values():
        _uncount(memory, frame, counted)
    root = memory.frames[0]
    memory.frames = {0: root}
    root.fork = None
    _begin_anew(memory, root)
    memory.variables_bytes = root.variables.size_bytes if root.variables else 0
    return root


def _uncount(memory: Memory, frame: Frame, counted: Counted) -> None:
    if isinstance(frame.definition, Map) and frame.fork is not None:
        memory.progress.remove(counted(frame))


def _begin_anew(memory: Memory, frame: Frame) -> None:
    """Its state works anew, as another entry: what the old attempts are called is taken."""
    frame.fork = None
    memory.entries += 1
    frame.entry = memory.entries
    frame.attempt = 1
    frame.phase = Phase.READY
    frame.scheduled_at = None


def _machine(memory: Memory, frame: Frame) -> Machine:
    assert frame.parent is not None
    state = memory.frames[frame.parent].definition
    assert isinstance(state, Parallel | Map)
    return child_machine(state, frame.index)


def _fork_of(memory: Memory, number: int) -> Fork:
    fork = memory.frames[number].fork
    assert fork is not None
    return fork


def _go_on(memory: Memory, fork: Fork) -> None:
    """Its children go on; those that a map run had let fail begin anew."""
    memory.progress.failed -= fork.failed
    memory.progress.done -= sum(len(fork.items_of(index)) for index in fork.failures)
    fork.failed = 0
    if fork.failures:
        fork.begin_again()
