"""Names say an attempt, and what anybody writes in their place is not believed."""

from typing import Any

import pytest

from treadle.engine.events import TaskId
from treadle.kube import names
from treadle.runtime.ports import Attempt, ExecutionKey

KEY = ExecutionKey("default", "e", "u1")


def a_job(task: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "default",
            "labels": {names.EXECUTION_UID: "u1"},
            "annotations": {names.EXECUTION_NAME: "e", names.TASK_ID: task},
            **metadata,
        }
    }


def test_what_is_written_is_read_back() -> None:
    task = TaskId(0, 25_000, 3)
    assert names.attempt_of(a_job(names.task_id_text(task))) == Attempt(KEY, task)


def test_the_largest_number_has_twelve_digits() -> None:
    most = 10**12 - 1
    assert names.attempt_of(a_job(f"0.{most}.1")) == Attempt(KEY, TaskId(0, most, 1))
    assert names.attempt_of(a_job(f"0.{most + 1}.1")) is None


def test_a_number_that_python_would_not_read_is_nobodys_attempt() -> None:
    # int() raises above 4,300 digits; one Job of anybody's would end the watch of all.
    assert names.attempt_of(a_job(f"0.{'9' * 5_000}.1")) is None


@pytest.mark.parametrize(
    "task", ["", "1", "1.2", "1.2.3.4", "a.1.1", "-1.1.1", "1..1", "٣.1.1", "²1.1.1", "1.1.1 "]
)
def test_a_text_that_is_no_attempt_is_nobodys(task: str) -> None:
    assert names.attempt_of(a_job(task)) is None


def test_a_label_makes_no_job_that_of_another_namespace() -> None:
    labels = {names.EXECUTION_UID: "u1", names.PARENT_NAMESPACE: "other"}
    job = a_job("1.1.1", labels=labels)
    assert names.attempt_of(job) == Attempt(KEY, TaskId(1, 1, 1))
    parent = names.parent_of(job)
    assert parent == Attempt(KEY._replace(namespace="other"), TaskId(1, 1, 1))


@pytest.mark.parametrize("value", ["", None])
def test_a_parent_without_a_namespace_is_of_the_same(value: Any) -> None:
    labels = {names.EXECUTION_UID: "u1", names.PARENT_NAMESPACE: value}
    assert names.parent_of(a_job("1.1.1", labels=labels)) == Attempt(KEY, TaskId(1, 1, 1))
    assert names.parent_of({}) is None


@pytest.mark.parametrize("metadata", [{"labels": {}}, {"labels": None}, {"annotations": None}])
def test_an_object_without_our_labels_is_not_ours(metadata: Any) -> None:
    assert names.attempt_of(a_job("1.1.1", **metadata)) is None
    assert names.attempt_of({}) is None


def test_an_attempts_name_is_short_legal_and_its_own() -> None:
    long = ExecutionKey("default", "X_" * 100, "u1")
    for key in (KEY, long, ExecutionKey("default", "...", "u1")):
        assert len(names.attempt(key, TaskId(1, 2, 3))) <= 57
    numbers = [TaskId(1, 2, 3), TaskId(1, 2, 4), TaskId(12, 3, 1), TaskId(1, 23, 1)]
    assert len({names.attempt(KEY, task) for task in numbers}) == len(numbers)
    other = ExecutionKey("default", "e", "u2")
    assert names.attempt(KEY, numbers[0]) != names.attempt(other, numbers[0])
