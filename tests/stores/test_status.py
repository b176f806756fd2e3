"""What people read in an Execution's status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.runtime.stage import FAILS, JOB, NOTHING, ONE_TASK
from tests.support.machines import chain, waiting
from treadle.asl import document
from treadle.asl.errors import StateError
from treadle.engine.context import Identity
from treadle.engine.events import StopRequested, SuspendChanged, TaskFailed, TaskId, Tick
from treadle.engine.execution import Execution
from treadle.kube import names
from treadle.runtime.ports import ExecutionKey, Failure, Loaded, Record
from treadle.stores import status as statuses

NOW = datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)
KEY = ExecutionKey("default", "e", "u")
LOADED = Loaded(KEY, "7", None, None, {}, None, None, "", generation=3)
IDENTITY = Identity("arn:aws:states:r:1:execution:m:e", "e", "", "m")


def started(definition: Any, given: str = "{}", **more: Any) -> Execution:
    program = document.parse(definition)
    seed = b"s" * 16
    return Execution.start(program, "d", IDENTITY, given, seed=seed, now=NOW, **more)


def shown(execution: Execution, loaded: Loaded = LOADED, **more: Any) -> dict[str, Any]:
    record = Record(execution, "m-1", encoded=execution.encode(), **more)
    return statuses.of_record(loaded, record, NOW)


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str] | None:
    for each in status.get("conditions") or ():
        if each["type"] == kind:
            return each["status"], each["reason"], each["message"]
    return None


def test_a_running_one_says_where_it_is() -> None:
    status = shown(started(ONE_TASK))
    assert status["phase"] == "Running"
    assert status["startTime"] == "2026-01-01T00:00:00.123Z"
    assert status["revision"] == "m-1"
    assert status["observedGeneration"] == 3
    assert status["currentStates"] == [
        {
            "name": "A",
            "path": "A",
            "enteredAt": "2026-01-01T00:00:00.123Z",
            "attempt": 1,
            "waitsFor": "task",
        }
    ]
    assert status["checkpoint"].startswith("1.")
    assert "conditions" not in status
    assert "completionTime" not in status
    assert "progress" not in status


def test_a_waiting_one_says_until_when() -> None:
    (place,) = shown(started(chain(W=waiting(10))))["currentStates"]
    assert (place["waitsFor"], place["until"]) == ("time", "2026-01-01T00:00:10.123Z")


def test_pending_says_why_and_since_when() -> None:
    status = statuses.of_record(LOADED, Record(None, None, None, NOW, "no machine"), NOW)
    assert status == {
        "phase": "Pending",
        "message": "no machine",
        "pendingSince": "2026-01-01T00:00:00.123Z",
        "observedGeneration": 3,
    }


def test_pending_without_a_reason_says_nothing() -> None:
    assert statuses.of_record(LOADED, Record(None, None), NOW)["message"] == ""


def test_since_when_it_was_pending_stays() -> None:
    status = shown(started(NOTHING), pending_since=NOW)
    assert status["pendingSince"] == "2026-01-01T00:00:00.123Z"


def test_success_has_its_output_and_complete() -> None:
    status = shown(started(NOTHING, '{"a":1.0}'))
    assert (status["phase"], status["output"]) == ("Succeeded", '{"a":1.0}')
    assert status["completionTime"] == "2026-01-01T00:00:00.123Z"
    assert status["currentStates"] == []
    assert condition(status, "Complete") == ("True", "Succeeded", "the execution succeeded")
    assert condition(status, "Failed") is None
    assert "error" not in status


def test_an_output_that_is_too_big_is_a_page() -> None:
    execution = started(NOTHING, '{"a":"' + "x" * 5000 + '"}')
    status = shown(execution)
    output = execution.memory.output
    assert output is not None
    assert "output" not in status
    assert status["outputRef"] == {"page": names.page(KEY, output.digest), "bytes": 5008}
    assert output.digest in execution.encode().pages


def test_failure_has_its_error_and_failed() -> None:
    status = shown(started(FAILS))
    assert (status["phase"], status["error"], status["cause"]) == ("Failed", "E", "because")
    assert condition(status, "Failed") == ("True", "Failed", "because")
    assert condition(status, "Complete") is None


def test_a_failure_without_words_says_its_phase() -> None:
    status = shown(started({"StartAt": "A", "States": {"A": {"Type": "Fail"}}}))
    assert "error" not in status
    assert "cause" not in status
    assert condition(status, "Failed") == ("True", "Failed", "Failed")


def test_a_failure_without_a_cause_says_its_error() -> None:
    status = shown(started({"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E"}}}))
    assert condition(status, "Failed") == ("True", "Failed", "E")


def test_a_long_cause_is_cut() -> None:
    execution = started(ONE_TASK)
    error = StateError("E", "x" * 30_000)
    execution.handle(TaskFailed(TaskId(0, 1, 1), error, NOW), NOW)
    status = shown(execution)
    assert len(status["cause"]) == statuses.CAUSE_BYTES_MAX
    assert execution.memory.error == error


def test_a_timeout_is_a_failure_with_its_own_phase() -> None:
    execution = started({**ONE_TASK, "TimeoutSeconds": 5})
    execution.handle(Tick(), NOW + timedelta(seconds=6))
    status = shown(execution)
    assert (status["phase"], status["error"]) == ("TimedOut", "States.Timeout")
    assert condition(status, "Failed") == ("True", "TimedOut", "States.Timeout")


def test_a_stop_is_a_failure_with_its_own_phase() -> None:
    execution = started(ONE_TASK)
    execution.handle(StopRequested("Enough", "now"), NOW)
    status = shown(execution)
    assert (status["phase"], status["error"], status["cause"]) == ("Aborted", "Enough", "now")
    assert condition(status, "Failed") == ("True", "Aborted", "now")


def test_one_that_never_started_says_why() -> None:
    failure = Failure("Treadle.InvalidDefinition", "bad")
    status = statuses.of_record(LOADED, Record(None, None, None, NOW, None, failure), NOW)
    assert (status["phase"], status["error"], status["cause"]) == ("Failed", failure.error, "bad")
    assert status["completionTime"] == status["pendingSince"]
    assert condition(status, "Failed") == ("True", "Failed", "bad")
    assert "checkpoint" not in status


def test_the_items_of_maps_are_counted() -> None:
    one = {"StartAt": "B", "States": {"B": {**JOB, "End": True}}}
    machine = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": one, "End": True}
    status = shown(started({"StartAt": "M", "States": {"M": machine}}, '{"items":[1,2,3]}'))
    assert status["progress"] == {"done": 0, "total": 3, "failed": 0, "text": "0/3"}
    assert [place["path"] for place in status["currentStates"]] == ["M[0]/B", "M[1]/B", "M[2]/B"]


def test_only_some_of_many_places_are_shown() -> None:
    one = {"StartAt": "B", "States": {"B": {**JOB, "End": True}}}
    machine = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": one, "End": True}
    items = ",".join("1" * 50)
    execution = started({"StartAt": "M", "States": {"M": machine}}, f'{{"items":[{items}]}}')
    assert len(shown(execution)["currentStates"]) == statuses.PLACES_MAX


def test_waiting_for_capacity_comes_and_goes() -> None:
    execution = started(ONE_TASK)
    status = shown(execution, capacity=("a", "b"))
    assert condition(status, "WaitingForCapacity") == ("True", "NoCapacity", "a; b")
    loaded = replace(LOADED, status=status)
    later = shown(execution, loaded)
    assert condition(later, "WaitingForCapacity") == ("False", "Running", "")


def test_a_long_wait_is_cut() -> None:
    status = shown(started(ONE_TASK), capacity=("x" * 5000,))
    said = condition(status, "WaitingForCapacity")
    assert said is not None
    assert len(said[2]) == statuses.CAPACITY_CHARS_MAX


def test_one_that_has_ended_waits_for_nothing() -> None:
    execution = started(ONE_TASK, suspended=False)
    before = shown(execution, capacity=("a",))
    execution.handle(SuspendChanged(True), NOW)
    suspended = shown(execution, replace(LOADED, status=before), capacity=("a",))
    assert condition(suspended, "Suspended") == (
        "True",
        "SpecSuspend",
        "nothing new starts; what runs may end",
    )
    execution.handle(StopRequested(), NOW)
    after = shown(execution, replace(LOADED, status=suspended), capacity=("a",))
    assert condition(after, "WaitingForCapacity") == ("False", "Running", "")
    assert condition(after, "Suspended") == ("False", "Resumed", "")
    assert condition(after, "Failed") == ("True", "Aborted", "Aborted")


def test_the_conditions_of_others_stay() -> None:
    theirs = {"type": "Theirs", "status": "True"}
    loaded = replace(LOADED, status={"conditions": [theirs]})
    assert theirs in shown(started(NOTHING), loaded)["conditions"]


def test_parking_changes_nothing_but_a_condition() -> None:
    stored = {"phase": "Running", "checkpoint": "99.x.y", "observedGeneration": 1}
    loaded = replace(LOADED, status=stored)
    status = statuses.of_record(loaded, Record(None, "m-1", parked="newer"), NOW)
    assert {name: status[name] for name in stored} == stored
    assert condition(status, "Parked") == ("True", "CannotContinue", "newer")


def test_one_that_goes_on_is_parked_no_longer() -> None:
    parked = statuses.of_record(LOADED, Record(None, "m-1", parked="newer"), NOW)
    loaded = replace(LOADED, status=parked)
    for status in (
        shown(started(ONE_TASK), loaded),
        shown(started(NOTHING), loaded),
        statuses.of_record(loaded, Record(None, None, failure=Failure("E", "why")), NOW),
    ):
        assert condition(status, "Parked") == ("False", "Continues", "")
