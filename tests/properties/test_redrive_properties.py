"""What holds for every machine that is redriven, wherever it halted and however often."""

import hashlib
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.desk import Answer, Desk, Fails, Gives, Script
from tests.support.machines import Definition
from tests.support.strategies import ERRORS, VALUES, definitions, inputs, limits, machines, worlds
from treadle.asl.json import Json, dumps
from treadle.asl.limits import Limits
from treadle.engine.commands import Task
from treadle.engine.events import Event, RedriveRequested, TaskId, TaskSucceeded

AGAIN = RedriveRequested()
STEPS_MAX = 1_000
STATES = ("S1", "S2", "S3", None)
FORGIVING = ("Catch", "Retry", "ToleratedFailureCount", "ToleratedFailureCountPath")
CHANCES = {"States.UUID()": "$", "$random()": "7", "$uuid()": "8", "$millis()": "9"}
ordinary = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


class Told(Desk):
    """A desk that keeps which attempts gave their result.

    Attributes:
        good: those attempts.
    """

    def __init__(self, *what: Any, **more: Any) -> None:
        self.good: list[TaskId] = []
        super().__init__(*what, **more)

    def tell(self, event: Event) -> bool:
        changed = super().tell(event)
        if changed and isinstance(event, TaskSucceeded):
            self.good.append(event.task)
        assert self.over or not self.execution.memory.halted
        return changed


def plain(value: Any) -> Any:
    """A definition without chances, and in which nothing that fails is forgiven."""
    if isinstance(value, str):
        for chance, fixed in CHANCES.items():
            value = value.replace(chance, fixed)
        return value
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in FORGIVING and _is_kept(k)}
    return value


def _is_kept(member: str) -> bool:
    return member not in ("ToleratedFailurePercentage", "TimeoutSeconds")


def a_world(salt: int, failures: int) -> Script:
    """What an attempt gives follows from what it is given; whether it fails, from its name."""

    def answer(task: Task) -> Answer:
        said = f"{salt}/{task.state}/{dumps(task.parameters)}"
        what = hashlib.sha256(said.encode()).digest()
        dice = hashlib.sha256(f"{said}/{tuple(task.id)}".encode()).digest()
        after = (0.0, 0.0, 0.25, 0.5)[dice[1] % 4]
        if dice[0] < failures:
            return Fails(ERRORS[dice[2] % len(ERRORS)], "why", after)
        return Gives(VALUES[what[2] % len(VALUES)], after)

    return answer


def go(desk: Desk, dice: Random, cuts: float, stop_after: int | None = None) -> None:
    """Run a desk, with restarts, until it is over or stopped."""
    for step in range(STEPS_MAX):
        if not desk.step():
            return
        if dice.random() < cuts:
            desk.restart()
        if step == stop_after:
            desk.stop("Stopped")
            return


@ordinary
@given(
    st.tuples(definitions(), inputs()),
    st.integers(0, 2**32),
    st.sampled_from([0, 30, 70]),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=4),
)
def test_once_all_goes_well_it_ends_as_if_nothing_had_happened(
    machine: tuple[Definition, Any],
    salt: int,
    failures: int,
    cuts: float,
    stops: list[int | None],
) -> None:
    definition, given_ = plain(machine[0]), machine[1]
    undisturbed = Desk(definition, given_, a_world(salt, 0), thorough=False).run(STEPS_MAX)
    desk, dice = Told(definition, given_, a_world(salt, failures)), Random(salt)
    for stop_after in stops:
        go(desk, dice, cuts, stop_after)
        if not desk.over or desk.status == "SUCCEEDED":
            break
        desk.now += timedelta(seconds=1)
        assert desk.tell(AGAIN)
    desk.answer = a_world(salt, 0)
    go(desk, dice, cuts)
    _is_in_order(desk)
    if undisturbed.status == "SUCCEEDED":
        assert desk.outcome == undisturbed.outcome
        progress = desk.execution.progress
        assert progress.done == progress.total
        _nothing_that_succeeded_ran_again(desk)


def _nothing_that_succeeded_ran_again(desk: Told) -> None:
    state = {asked.id: asked.state for asked in desk.attempts}
    assert len(state) == len(desk.attempts), "an attempt's name was used twice"
    succeeded = {(task.frame, state[task]): task for task in desk.good}
    for task, name in state.items():
        before = succeeded.get((task.frame, name))
        assert before is None or task.entry <= before.entry


def _is_in_order(desk: Desk) -> None:
    count = 0
    for number, entry in enumerate(desk.history(), start=1):
        assert entry.id == number
        assert entry.previous is None or entry.previous < number
        if entry.type == "ExecutionRedriven":
            count += 1
        if entry.type in ("ExecutionRedriven", "MapRunRedriven"):
            assert (entry.details or {})["redriveCount"] == count
    assert count == len(desk.execution.memory.redriven)


def redrives() -> st.SearchStrategy[RedriveRequested]:
    """However one may be asked for."""
    texts = st.none() | st.sampled_from([dumps(value) for value in VALUES])
    assigned: st.SearchStrategy[dict[str, Json] | None] = st.sampled_from(
        [None, {}, {"v2": 1}, {"v2": "x" * 300, "other": [1]}]
    )
    anew = st.builds(RedriveRequested, st.sampled_from(STATES), texts, assigned)
    return st.one_of(st.just(AGAIN), anew)


@settings(ordinary, max_examples=50)
@given(machines(), worlds(), limits(), st.booleans(), st.integers(0, 2**32), st.data())
def test_however_it_is_redriven_everything_stays_sound(
    machine: tuple[Definition, Any],
    world: Script,
    bounds: Limits,
    suspended: bool,
    salt: int,
    data: st.DataObject,
) -> None:
    desk, dice = Told(*machine, world, limits=bounds), Random(salt)
    desk.suspend(suspended)
    for _ in range(data.draw(st.integers(1, 4))):
        go(desk, dice, 0.2, data.draw(st.none() | st.integers(0, 12)))
        if not desk.over:
            desk.stop()
        desk.now += timedelta(seconds=1)
        event = data.draw(redrives())
        has_succeeded = desk.status == "SUCCEEDED"
        refused = desk.execution.objections(event)
        assert refused or not has_succeeded
        assert desk.tell(event) == (not refused)
    _is_in_order(desk)


@ordinary
@given(machines(), worlds(), limits(), st.lists(redrives(), min_size=1, max_size=3), st.data())
def test_a_redriven_run_that_is_cut_anywhere_ends_the_same(
    machine: tuple[Definition, Any],
    world: Script,
    bounds: Limits,
    events: list[RedriveRequested],
    data: st.DataObject,
) -> None:
    whole = Desk(*machine, world, limits=bounds, thorough=False)
    for event in events:
        whole.run(data.draw(st.sampled_from([3, 9, STEPS_MAX])))
        if not whole.over:
            whole.stop("Stopped")
        whole.now += timedelta(seconds=1)
        whole.tell(event)
    whole.run(STEPS_MAX)
    cut = Desk(*machine, world, limits=bounds, thorough=False)
    dice = Random(len(whole.told))
    for now, told in whole.told:
        if dice.random() < 0.5:
            cut.restart()
        cut.now = now
        cut.tell(told)
    assert cut.outcome == whole.outcome
    assert cut.history() == whole.history()
    assert cut.wanted == whole.wanted
