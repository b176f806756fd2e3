"""What is always true of an execution's memory, between any two events.

One rule: it looks and changes nothing; whoever asks pays for the whole walk.
"""

from collections.abc import Iterator

from treadle.asl.program import Map, Parallel, Task, Wait
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.memory import Memory

_PHASES = {
    Phase.WAITING: Wait,
    Phase.RUNNING: Task,
    Phase.SLEEPING: Task | Parallel | Map,
    Phase.FORKED: Parallel | Map,
}


class InvariantBroken(Exception):  # noqa: N818 - style.md names it
    """We are wrong: the sentence says what is not as it must be."""


def check(memory: Memory) -> None:
    """Look at everything.

    Raises:
        InvariantBroken: with all that is wrong.
    """
    wrong = [*_of_the_whole(memory), *_of_queues(memory)]
    for frame in memory.frames.values():
        wrong += (f"frame {frame.id} in '{frame.state}': {what}" for what in _of(memory, frame))
    if wrong:
        raise InvariantBroken("; ".join(wrong))


def _of_the_whole(memory: Memory) -> Iterator[str]:
    if memory.over != (memory.ended_at is not None):
        yield "it has ended without a time, or has a time without having ended"
    if not memory.over and memory.halted:
        yield "it is not over and frames have halted"
    if memory.over and (memory.frames or memory.ready or memory.starved or memory.timers):
        yield "it is over and something is left to do"
    if not memory.over and 0 not in memory.frames:
        yield "it is not over and its first list of states is gone"
    if not memory.over and (memory.output is not None or memory.error is not None):
        yield "it is not over and has an outcome"
    if memory.output is not None and memory.error is not None:
        yield "it has an output and an error"
    progress = memory.progress
    if min(progress.done, progress.total) < 0 or progress.done > progress.total:
        yield f"progress is {progress}"


def _of_queues(memory: Memory) -> Iterator[str]:
    ready = set(memory.ready)
    for frame in memory.frames.values():
        if frame.phase is Phase.READY and frame.id not in ready:
            yield f"frame {frame.id} has work to do and nobody will look"
        waits = frame.fork is not None and frame.fork.can_start
        if waits and frame.id not in ready and frame.id not in memory.starved:
            yield f"frame {frame.id} could start a child and nobody will look"
    timed = {timer.frame for timer in memory.timers if memory.timed(timer) is not None}
    due = {frame.id for frame in memory.frames.values() if frame.due_at is not None}
    if timed != due:
        yield f"timers are set for frames {sorted(timed)}, due are {sorted(due)}"


def _of(memory: Memory, frame: Frame) -> Iterator[str]:
    if frame.id >= memory.next_frame or not 0 < frame.entry <= memory.entries:
        yield "its numbers were never given"
    home = memory.frames.get(frame.home)
    if home is None:
        yield "the execution that it belongs to is gone"
        return
    next_id = memory.history.next_id if frame.home == 0 else home.events + 1
    if not 0 < frame.entered_id < next_id:
        yield "its entry into the state is not in the history"
    if frame.last_id >= next_id:
        yield "it follows an entry that does not exist"
    retriers = getattr(frame.definition, "retry", ())
    if len(frame.retries) != len(retriers):
        yield "its counts are not those of its retriers"
    elif any(used > r.attempts_max for used, r in zip(frame.retries, retriers, strict=True)):
        yield "a retrier was used more often than it may be"
    yield from _of_phase(frame)
    if frame.parent is not None:
        yield from _of_parent(memory, frame, frame.parent)
    if frame.fork is not None:
        yield from _of_fork(memory, frame, frame.fork)


def _of_phase(frame: Frame) -> Iterator[str]:
    kind = _PHASES.get(frame.phase)
    if kind is not None and not isinstance(frame.definition, kind):
        yield f"its state cannot be in phase {frame.phase.name}"
    if (frame.phase is Phase.FORKED) != (frame.fork is not None):
        yield "it has children without being forked, or is forked without children"
    if frame.phase in (Phase.WAITING, Phase.SLEEPING) and frame.due_at is None:
        yield "it sleeps for ever"
    if frame.phase is Phase.RUNNING and frame.scheduled_at is None:
        yield "it runs and was never scheduled"


def _of_parent(memory: Memory, frame: Frame, number: int) -> Iterator[str]:
    parent = memory.frames.get(number)
    if parent is None:
        yield f"its parent {number} is gone"
    elif parent.fork is None or frame.id not in parent.fork.live:
        yield f"its parent {number} does not know it"
    elif not 0 <= frame.index < parent.fork.cursor or frame.index in parent.fork.results:
        yield f"its parent {number} has not started it, or has its result"


def _of_fork(memory: Memory, frame: Frame, fork: Fork) -> Iterator[str]:
    if not fork.live <= memory.frames.keys():
        yield "a child is gone"
    started = len(fork.live) + len(fork.results) + len(fork.again)
    if started != fork.cursor or fork.cursor > fork.total:
        yield (
            f"{len(fork.live)} children live and {len(fork.results)} are done, "
            f"of {fork.cursor} started, of {fork.total}"
        )
    if fork.complete and frame.id not in memory.ready:
        yield "its children are done and it is not"
    if fork.concurrency_max and len(fork.live) > fork.concurrency_max:
        yield "more children live than may"
    if len(set(fork.loose)) != len(fork.loose) or not set(fork.loose) <= fork.results.keys():
        yield "its results are counted twice, or lost"
