"""What an execution did, on the states of its machine."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.machines import catcher, chain, failing, mapping, parallel, passing, task
from treadle.cli.graph.model import Graph, Run, graph, nodes_of
from treadle.cli.graph.runs import coloured
from treadle.cli.graph.texts import run_words
from treadle.stores.histories import HistoryEntry

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class Told:
    """A history as it is written: one entry a second."""

    def __init__(self) -> None:
        self.entries: list[HistoryEntry] = []

    def then(self, type_: str, name: str = "", *, after: int | None = None) -> int:
        number = len(self.entries) + 1
        details: Mapping[str, Any] = {"name": name} if name else {}
        at = BEGUN + timedelta(seconds=number)
        previous = number - 1 if after is None else after
        self.entries.append(HistoryEntry(number, previous, type_, at, details))
        return number


def runs(found: Graph) -> dict[str, Run | None]:
    return {node.name: node.run for node in nodes_of(found.flow)}


def statuses(definition: Any, entries: Sequence[HistoryEntry]) -> dict[str, str]:
    found = runs(coloured(graph(definition), entries))
    return {name: run.status if run else "" for name, run in found.items()}


def test_without_a_history_nothing_is_coloured() -> None:
    plain = graph(chain(passing()))
    assert coloured(plain, []) == plain


def test_visits_and_their_seconds_are_added_up() -> None:
    told = Told()
    told.then("ExecutionStarted")
    for _ in range(3):
        told.then("PassStateEntered", "S1")
        told.then("PassStateExited", "S1")
    told.then("ExecutionSucceeded")
    found = coloured(graph(chain(passing(), passing())), told.entries)
    assert runs(found) == {"S1": Run("Succeeded", 3, 3.0), "S2": None}
    assert found.status == "Succeeded"


def test_a_state_that_is_not_left_is_running() -> None:
    told = Told()
    told.then("ExecutionStarted")
    told.then("TaskStateEntered", "S1")
    told.then("TaskScheduled")
    told.then("TaskFailed")  # a retry is waiting
    told.then("TaskScheduled")
    found = coloured(graph(chain(task())), told.entries)
    assert runs(found) == {"S1": Run("Running", 1, 3.0)}
    assert found.status == "Running"


def test_an_error_that_was_retried_leaves_no_mark_and_one_that_was_caught_does() -> None:
    told = Told()
    told.then("TaskStateEntered", "S1")
    told.then("TaskFailed")
    told.then("TaskSucceeded")
    told.then("TaskStateExited", "S1")
    told.then("TaskStateEntered", "S2")
    told.then("TaskTimedOut")
    told.then("TaskStateExited", "S2")
    definition = chain(task(), task(Catch=[catcher("S3")]), passing())
    assert statuses(definition, told.entries) == {"S1": "Succeeded", "S2": "Caught", "S3": ""}


def test_the_state_that_failed_is_marked_and_what_was_cut_off_too() -> None:
    told = Told()
    fork = told.then("ParallelStateEntered", "Fork")
    told.then("TaskStateEntered", "A", after=fork)
    told.then("TaskStateEntered", "B", after=fork)
    told.then("TaskFailed", after=2)
    told.then("ExecutionFailed")
    definition = chain(Fork=parallel(chain(A=task()), chain(B=task())))
    expected = {"Fork": "Failed", "A": "Failed", "B": "Aborted"}
    assert statuses(definition, told.entries) == expected


def test_what_is_left_open_within_a_state_that_was_left_was_cut_off() -> None:
    told = Told()
    told.then("MapStateEntered", "Each")
    told.then("TaskStateEntered", "A", after=1)
    told.then("FailStateEntered", "F", after=1)
    told.then("MapStateFailed")
    told.then("MapStateExited", "Each")
    told.then("WaitStateEntered", "After")
    inner = {"StartAt": "A", "States": {"A": task(Next="F"), "F": failing()}}
    definition = chain(Each=mapping(inner, Catch=[catcher("After")]), After={"Type": "Wait"})
    assert statuses(definition, told.entries) == {
        "Each": "Caught",
        "A": "Aborted",
        "F": "Failed",
        "After": "Running",
    }


def test_an_aborted_execution_leaves_aborted_states() -> None:
    for ending, status in (("ExecutionAborted", "Aborted"), ("ExecutionTimedOut", "Failed")):
        told = Told()
        told.then("MapStateEntered", "Each")
        told.then("WaitStateEntered", "A")
        told.then(ending)
        definition = chain(Each=mapping(chain(A={"Type": "Wait", "Seconds": 1})))
        assert statuses(definition, told.entries) == {"Each": status, "A": "Aborted"}


def test_one_that_is_suspended_or_goes_on_runs() -> None:
    told = Told()
    told.then("TaskStateEntered", "A")
    for each in ("ExecutionSuspended", "ExecutionResumed"):
        told.then(each)
        assert coloured(graph(chain(A=task())), told.entries).status == "Running"


def test_one_that_is_redriven_runs() -> None:
    told = Told()
    told.then("TaskStateEntered", "A")
    for each in ("TaskFailed", "ExecutionFailed", "ExecutionRedriven", "TaskScheduled"):
        told.then(each)
    definition = chain(A=task())
    assert coloured(graph(definition), told.entries).status == "Running"
    told.then("TaskStateExited", "A")
    told.then("ExecutionSucceeded")
    assert statuses(definition, told.entries) == {"A": "Succeeded"}


def test_what_a_history_says_of_unknown_states_is_passed_over() -> None:
    told = Told()
    told.then("PassStateExited", "Gone")
    told.then("TaskFailed", after=77)
    assert statuses(chain(passing()), told.entries) == {"S1": ""}


def test_runs_in_words() -> None:
    assert run_words(Run("Succeeded", 1, 2.04)) == "✓ Succeeded, 2.0s"
    assert run_words(Run("Failed", 3, 65)) == "✗ Failed ×3, 1m05s"
    assert run_words(Run("Caught", 3, 65, 1)) == "! Caught 1 of 3, 1m05s"
