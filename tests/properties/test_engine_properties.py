"""What holds for every machine, every world and every moment."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.desk import BEGIN, Desk, Script
from tests.support.machines import Definition
from tests.support.strategies import ERRORS, VALUES, limits, machines, worlds
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.asl.limits import Limits
from treadle.engine.events import (
    Event,
    StopRequested,
    SuspendChanged,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    Tick,
)

STEPS_MAX = 300
ordinary = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


@ordinary
@given(machines(), worlds(), limits(), st.data())
def test_a_run_that_is_cut_anywhere_ends_the_same(
    machine: tuple[Definition, Any], world: Script, bounds: Limits, data: st.DataObject
) -> None:
    whole = Desk(*machine, world, limits=bounds, thorough=False).run(STEPS_MAX)
    count = len(whole.told)
    everywhere = set(range(count))
    one = {data.draw(st.integers(0, count - 1))} if count else set()
    some = data.draw(st.sets(st.sampled_from(sorted(everywhere)))) if count else set()
    for cuts in (everywhere, one, some):
        cut = Desk(*machine, world, limits=bounds, thorough=False)
        for position, (now, event) in enumerate(whole.told):
            if position in cuts:
                cut.restart()
            cut.now = now
            cut.tell(event)
        assert cut.outcome == whole.outcome
        assert cut.history() == whole.history()
        assert cut.wanted == whole.wanted


@ordinary
@given(machines(), worlds(), limits(), st.randoms(use_true_random=False))
def test_late_and_repeated_events_change_nothing(
    machine: tuple[Definition, Any], world: Script, bounds: Limits, dice: Any
) -> None:
    whole = Desk(*machine, world, limits=bounds, thorough=False).run(STEPS_MAX)
    desk = Desk(*machine, world, limits=bounds, thorough=False)
    for position, (now, event) in enumerate(whole.told):
        desk.now = now
        desk.tell(event)
        if desk.execution.busy:
            continue  # whatever it is told, it goes on with the work of its last turn
        before = desk.execution.encode().checkpoint
        for _ in range(3):
            _, old = dice.choice(whole.told[: position + 1])
            if isinstance(old, Tick) or _still_matters(desk, old):
                continue
            assert not desk.execution.handle(old, now)
        for stranger in (TaskId(0, 9_999, 1), TaskId(9_999, 1, 1)):
            assert not desk.execution.handle(TaskFailed(stranger, StateError("E"), now), now)
        assert desk.execution.encode().checkpoint == before
    assert desk.outcome == whole.outcome
    assert desk.history() == whole.history()


def _still_matters(desk: Desk, event: Event) -> bool:
    # Of an attempt that ended unseen it matters that it exists after all.
    return isinstance(event, TaskStarted) and event.task in desk.execution.closing()


def events(desk: Desk) -> st.SearchStrategy[Event]:
    """Anything that anybody might say."""
    known = st.sampled_from([*desk.wanted, *desk.execution.closing(), TaskId(0, 1, 1)])
    small = st.integers(0, 9)
    tasks = st.one_of(known, known, st.builds(TaskId, small, small, small))
    outputs = st.one_of(st.sampled_from([dumps(v) for v in VALUES]), st.text(max_size=9))
    at = st.sampled_from([BEGIN, desk.now])
    errors = st.builds(StateError, st.sampled_from(ERRORS), st.none() | st.text(max_size=9))
    return st.one_of(
        st.builds(TaskStarted, tasks, st.sampled_from(["", "u", "5" * 32])),
        st.builds(TaskSucceeded, tasks, outputs, at, st.booleans()),
        st.builds(TaskSucceeded, tasks, outputs, at, st.booleans()),
        st.builds(TaskSubmitted, tasks, outputs, at),
        st.builds(TaskFailed, tasks, errors, at, st.booleans()),
        st.just(Tick()),
        st.builds(SuspendChanged, st.booleans()),
        st.sampled_from([Tick(), Tick(), Tick(), StopRequested("E", "why")]),
    )


@settings(ordinary, max_examples=50)
@given(machines(), limits(), st.booleans(), st.data())
def test_whatever_is_said_in_whatever_order_everything_stays_sound(
    machine: tuple[Definition, Any], bounds: Limits, suspended: bool, data: st.DataObject
) -> None:
    desk = Desk(*machine, limits=bounds, suspended=suspended)
    for _ in range(data.draw(st.integers(0, 20))):
        if data.draw(st.booleans()):
            desk.now = max(desk.now, desk.execution.next_due() or desk.now)
        desk.tell(data.draw(events(desk)))
        if data.draw(st.booleans()):
            desk.restart()


@ordinary
@given(machines(), worlds(), limits())
def test_every_run_ends_unless_it_waits_for_an_attempt_without_a_time(
    machine: tuple[Definition, Any], world: Script, bounds: Limits
) -> None:
    desk = Desk(*machine, world, limits=bounds, thorough=False).run(5_000)
    if not desk.over:
        assert desk.wanted
        assert desk.execution.next_due() is None
        assert not desk.execution.busy
    else:
        assert desk.types()[-1].startswith("Execution")
        assert desk.wanted == []
