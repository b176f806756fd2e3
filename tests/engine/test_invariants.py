"""The invariants notice what they say they notice."""

from collections.abc import Callable

import pytest

from tests.support.desk import BEGIN, Desk
from tests.support.machines import chain, mapping, parallel, retrier, task, waiting
from treadle.asl.errors import StateError
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.invariants import InvariantBroken, check
from treadle.engine.memory import Memory, Status
from treadle.engine.payloads import Payload


def a_desk() -> Desk:
    """Frame 0 is forked; 1 runs a task, 2 waits, 3 is a Map with two of three items in 4 and 5."""
    return Desk(
        chain(
            P=parallel(
                chain(A=task(Retry=[retrier(MaxAttempts=2)])),
                chain(B=waiting()),
                chain(C=mapping(chain(C1=task()), MaxConcurrency=2)),
            )
        ),
        [1, 2, 3],
    )


def fork_of(memory: Memory, number: int) -> Fork:
    fork = memory.frames[number].fork
    assert fork is not None
    return fork


def changed(number: int, **members: object) -> Callable[[Memory], None]:
    def change(memory: Memory) -> None:
        for name, value in members.items():
            setattr(memory.frames[number], name, value)

    return change


def whole(**members: object) -> Callable[[Memory], None]:
    def change(memory: Memory) -> None:
        for name, value in members.items():
            setattr(memory, name, value)

    return change


def without(number: int) -> Callable[[Memory], None]:
    return lambda memory: memory.frames.pop(number) and None


def another(number: int, **members: int) -> Callable[[Memory], None]:
    def change(memory: Memory) -> None:
        for name, value in members.items():
            setattr(fork_of(memory, number), name, value)

    return change


WRONGS: list[tuple[Callable[[Memory], object], str]] = [
    (whole(ended_at=BEGIN), "has a time without having ended"),
    (whole(status=Status.FAILED, ended_at=BEGIN), "it is over and something is left to do"),
    (without(0), "its first list of states is gone"),
    (without(0), "frame 1 in 'A': the execution that it belongs to is gone"),
    (whole(output=Payload(1)), "it is not over and has an outcome"),
    (whole(output=Payload(1), error=StateError("E")), "it has an output and an error"),
    (lambda m: setattr(m.progress, "done", 9), "progress is"),
    (changed(1, phase=Phase.READY), "frame 1 has work to do and nobody will look"),
    (another(3, concurrency_max=0), "frame 3 could start a child and nobody will look"),
    (lambda m: m.timers.clear(), "timers are set for frames [], due are [2]"),
    (changed(1, id=99), "its numbers were never given"),
    (changed(1, entry=0), "its numbers were never given"),
    (changed(1, entered_id=0), "its entry into the state is not in the history"),
    (changed(1, last_id=999), "it follows an entry that does not exist"),
    (changed(1, retries=[]), "its counts are not those of its retriers"),
    (changed(1, retries=[3]), "a retrier was used more often than it may be"),
    (changed(1, phase=Phase.WAITING), "its state cannot be in phase WAITING"),
    (changed(1, phase=Phase.FORKED), "is forked without children"),
    (changed(2, due_at=None), "it sleeps for ever"),
    (changed(1, scheduled_at=None), "it runs and was never scheduled"),
    (lambda m: fork_of(m, 0).live.discard(1), "its parent 0 does not know it"),
    (changed(1, index=7), "its parent 0 has not started it"),
    (without(4), "a child is gone"),
    (another(3, cursor=3), "2 children live and 0 are done, of 3 started, of 3"),
    (another(3, total=0), "its children are done and it is not"),
    (another(3, concurrency_max=1), "more children live than may"),
    (lambda m: fork_of(m, 3).loose.extend([0, 0]), "its results are counted twice, or lost"),
]


@pytest.mark.parametrize(("break_it", "sentence"), WRONGS)
def test_what_is_wrong_is_told(break_it: Callable[[Memory], object], sentence: str) -> None:
    memory = a_desk().execution.memory
    check(memory)
    break_it(memory)
    with pytest.raises(InvariantBroken) as broken:
        check(memory)
    assert sentence in str(broken.value)


def test_looking_changes_nothing() -> None:
    desk = a_desk()
    before = desk.execution.encode()
    check(desk.execution.memory)
    assert desk.execution.encode() == before
    assert isinstance(desk.execution.memory.frames[0], Frame)
