"""Executions as the API server gives them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from treadle.engine.events import TaskId
from treadle.kube import decode
from treadle.kube.api import Obj
from treadle.runtime.ports import Attempt, ExecutionKey, Request, Stop

KEY = ExecutionKey("team-a", "run-1", "uid-1")
REF = {"stateMachineRef": {"name": "m"}}


def an_execution(spec: Any = REF, status: Any = None, **metadata: Any) -> Obj:
    obj: Obj = {
        "apiVersion": "treadle.dev/v1alpha1",
        "kind": "Execution",
        "metadata": {
            "namespace": "team-a",
            "name": "run-1",
            "uid": "uid-1",
            "resourceVersion": "7",
            "generation": 2,
            "creationTimestamp": "2026-01-01T12:00:00Z",
            **metadata,
        },
        "spec": spec,
    }
    return obj if status is None else {**obj, "status": status}


def asked(**spec: Any) -> Request:
    found = decode.request(an_execution({**REF, **spec}))
    assert isinstance(found, Request)
    return found


def test_the_least_that_one_can_ask_for() -> None:
    assert asked() == Request(
        machine="m",
        input="{}",
        name="run-1",
        start_deadline_seconds=60,
        stop=None,
        suspend=False,
    )


@pytest.mark.parametrize(
    ("said", "whom"),
    [
        ({"by": "ada", "uid": "uid-1", "generation": 2}, "ada"),
        ({"by": "ada", "uid": "uid-1", "generation": 1}, None),
        ({"by": "ada", "uid": "uid-1", "generation": 3}, None),
        ({"by": "ada", "uid": "uid-0", "generation": 2}, None),
        ({"by": "ada", "generation": 2}, None),
        ({"by": "ada", "uid": "uid-1"}, None),
        ({"uid": "uid-1", "generation": 2}, None),
        ({"by": 7, "uid": "uid-1", "generation": 2}, None),
        ("ada", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("suspend", [True, False])
def test_who_suspends_or_resumes_it_is_who_changed_the_spec_last(
    said: Any, whom: str | None, suspend: bool
) -> None:
    found = asked(suspend=suspend, suspendBy=said)
    assert (found.suspend, found.suspend_by) == (suspend, whom)


def test_all_that_one_can_ask_for() -> None:
    found = asked(
        name="my run",
        input={"b": [1, None], "a": "ü"},
        startDeadlineSeconds=5,
        stop={"error": "E", "cause": "because", "by": "ada"},
        suspend=True,
    )
    assert found.name == "my run"
    assert found.input == '{"b":[1,null],"a":"ü"}'
    assert found.start_deadline_seconds == 5
    assert found.stop == Stop("E", "because", "ada")
    assert found.suspend


def test_an_empty_stop_is_a_stop() -> None:
    assert asked(stop={}).stop == Stop(None, None)


@pytest.mark.parametrize("text", ['{"a":1.0}', "[1, 2]", "null", '"x"', "12345678901234567890123"])
def test_input_as_text_is_kept_to_the_letter(text: str) -> None:
    assert asked(inputJson=text).input == text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (None, "stateMachineRef/name is missing"),
        ({}, "stateMachineRef/name is missing"),
        ({"stateMachineRef": {}}, "stateMachineRef/name is missing"),
        ({"stateMachineRef": "m"}, "stateMachineRef/name is missing"),
        ({"stateMachineRef": {"name": "m", "version": "3"}}, "version is no number"),
        ({"stateMachineRef": {"name": "m", "version": 3, "alias": "live"}}, "give one of them"),
        ({**REF, "input": {}, "inputJson": "{}"}, "input and inputJson; give one"),
        ({**REF, "inputFrom": {}}, "inputFrom is not supported yet"),
        ({**REF, "inputJson": "{"}, "inputJson is not JSON"),
        ({**REF, "inputJson": "NaN"}, "inputJson is not JSON"),
        ({**REF, "inputJson": ""}, "inputJson is not JSON"),
        ({**REF, "inputJson": 1}, "inputJson is not JSON"),
        ({**REF, "inputJson": "[" * 100_000}, "inputJson is not JSON"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(spec: Any, words: str) -> None:
    obj = an_execution(spec)
    found = decode.request(obj)
    assert isinstance(found, str)
    assert found.startswith("/spec")
    assert words in found
    loaded = decode.loaded(obj)
    assert (loaded.request, loaded.problem) == (None, found)
    decode.sighting(obj)


def test_what_is_stored_is_loaded() -> None:
    status = {
        "phase": "Running",
        "checkpoint": "1.x.y",
        "revision": "m-12345678",
        "pendingSince": "2026-01-01T12:00:01.500Z",
    }
    loaded = decode.loaded(an_execution(status=status))
    assert (loaded.key, loaded.version, loaded.generation) == (KEY, "7", 2)
    assert (loaded.phase, loaded.checkpoint, loaded.revision) == ("Running", "1.x.y", "m-12345678")
    assert loaded.pending_since == datetime(2026, 1, 1, 12, 0, 1, 500_000, UTC)
    assert loaded.status == status
    assert not loaded.deleting
    assert loaded.request == replace(asked(), input="")


def test_an_input_is_not_read_again_once_a_checkpoint_holds_it() -> None:
    wrong = {**REF, "inputJson": "{"}
    assert isinstance(decode.request(an_execution(wrong)), str)
    loaded = decode.loaded(an_execution(wrong, {"checkpoint": "1.x.y"}))
    assert loaded.request == replace(asked(), input="")


def test_before_the_first_save_there_is_nothing() -> None:
    loaded = decode.loaded(an_execution())
    assert (loaded.phase, loaded.checkpoint, loaded.revision, loaded.status) == ("", None, None, {})


def test_an_execution_that_is_being_deleted_says_so() -> None:
    obj = an_execution(deletionTimestamp="2026-01-01T13:00:00Z")
    assert decode.loaded(obj).deleting
    seen = decode.sighting(obj)
    assert seen.deleting
    assert seen.loaded is None


def test_a_sighting_tells_what_to_look_at() -> None:
    status = {"phase": "Failed", "checkpoint": "c", "completionTime": "2026-01-01T14:00:00.000Z"}
    seen = decode.sighting(an_execution({**REF, "stop": {"error": "E"}, "suspend": True}, status))
    assert (seen.key, seen.version, seen.phase) == (KEY, "7", "Failed")
    assert (seen.stop, seen.suspend) == (Stop("E", None), True)
    assert seen.ended_at == datetime(2026, 1, 1, 14, tzinfo=UTC)
    assert (seen.deleting, seen.deleted) == (False, False)


def test_one_that_was_never_saved_comes_with_all_of_it() -> None:
    obj = an_execution()
    assert decode.sighting(obj).loaded == decode.loaded(obj)
    assert decode.sighting(obj, deleted=True).loaded is None
    assert decode.sighting(an_execution(status={"checkpoint": "c"})).loaded is None


@pytest.mark.parametrize("member", ["input", "variables"])
def test_a_redrive_that_cannot_be_used_is_a_sentence(member: str) -> None:
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    obj = an_execution({**REF, "redrive": {"id": "1", member: deep, "by": "ada"}})
    assert decode.sighting(obj).redrive
    found = decode.loaded(obj).redrive
    assert found is not None
    assert (found.id, found.event.by) == ("1", "ada")
    assert found.problem == (
        "/spec/redrive has an input or variables that cannot be used: nested too deeply"
    )


# ------------------------------------------------------------------------------------- children

OWNER = {"kind": "Execution", "name": "parent", "uid": "p", "controller": True}
WHOSE = {
    "labels": {"treadle.dev/execution": "p"},
    "annotations": {
        "treadle.dev/execution-name": "parent",
        "treadle.dev/task": "1.2.3",
        "treadle.dev/depth": "2",
    },
}


def test_a_child_says_which_attempt_waits_for_it_and_how_deep_it_is() -> None:
    obj = an_execution(ownerReferences=[OWNER], **WHOSE)
    parent = decode.sighting(obj).parent
    assert parent == Attempt(ExecutionKey("team-a", "parent", "p"), TaskId(1, 2, 3))
    found = decode.request(obj)
    assert isinstance(found, Request)
    assert found.depth == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        WHOSE,
        {**WHOSE, "ownerReferences": [{**OWNER, "uid": "other"}]},
        {**WHOSE, "ownerReferences": [{**OWNER, "controller": False}]},
        {"ownerReferences": [OWNER]},
    ],
)
def test_nobody_waits_for_what_is_not_owned(metadata: Any) -> None:
    assert decode.sighting(an_execution(**metadata)).parent is None
