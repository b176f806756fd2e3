"""The custom resources on a real API server: what it keeps, refuses and shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.people import (
    EXECUTIONS,
    GROUP,
    MACHINES,
    PAGES,
    REVISIONS,
    VERSION,
    People,
    is_refused,
    kubectl,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]

Obj = dict[str, Any]

DEFINITION = {"StartAt": "A", "States": {"A": {"Type": "Pass", "ResultPath": None, "End": True}}}
PAGE = {"digest": "d", "kind": "payload", "encoding": "zlib", "data": "eJw="}
REVISION = {"stateMachine": "m", "digest": "d", "definition": DEFINITION}


def refusal(people: People, plural: str, name: str, patch: Obj) -> str:
    """What the API server says against a merge patch; empty where it takes it."""
    place = (GROUP, VERSION, people.namespace.name, plural)
    custom = people.namespace.custom
    return _said(lambda: custom.patch_namespaced_custom_object(*place, name, patch))


def refusal_of_new(people: People, kind: str, plural: str, name: str, spec: Obj) -> str:
    return _said(lambda: people.create(kind, plural, name, spec))


def _said(call: Callable[[], object]) -> str:
    try:
        call()
    except ApiException as why:
        if is_refused(why):
            return str(json.loads(why.body)["message"])
        raise
    return ""


# ------------------------------------------------------------------------------- as a whole


def test_the_api_server_takes_them_without_a_word_against_them(cluster: Cluster) -> None:
    shown = kubectl(cluster.kubeconfig, "get", "-o", "json", "-f", str(places.ROOT / "crds"))
    crds = json.loads(shown)["items"]
    assert len(crds) == 7
    for crd in crds:
        holds = {each["type"] for each in crd["status"]["conditions"] if each["status"] == "True"}
        assert holds == {"NamesAccepted", "Established"}, crd["metadata"]["name"]


def test_kubectl_explains_them(loner: People) -> None:
    text = " ".join(loner.kubectl("explain", "executions.spec.stop").split())
    assert "Ends the execution" in text
    assert "cause <string> Why, for people." in text
    assert "Amazon States Language" in loner.kubectl("explain", "statemachines.spec.definition")


# ------------------------------------------------------------------------------- Executions


@pytest.mark.parametrize(
    "change",
    [
        {"input": {"items": [{"k": 2}]}},
        {"input": {"more": 1}},
        {"input": None},
        {"name": "other"},
        {"startDeadlineSeconds": 5},
        {"stateMachineRef": {"name": "other"}},
        {"stateMachineRef": {"version": 2}},
        {"stateMachineRef": {"alias": "live"}},
    ],
    ids=json.dumps,
)
def test_what_an_execution_was_told_stays(loner: People, change: Obj) -> None:
    loner.execution("a", "m", input={"items": [{"k": 1}]})
    (member,) = change
    said = refusal(loner, EXECUTIONS, "a", {"spec": change})
    assert f"spec.{member}: " in said
    assert f"{member} cannot be changed once an Execution is created: create another" in said


def test_an_execution_may_be_suspended_resumed_and_stopped_once(loner: People) -> None:
    loner.execution("a", "m")
    changes = ({"suspend": True}, {"suspend": False}, {"suspend": None}, {"stop": {"cause": "x"}})
    for change in changes:
        assert refusal(loner, EXECUTIONS, "a", {"spec": change}) == ""
    for change in ({"stop": {"cause": "y"}}, {"stop": {"error": "E"}}, {"stop": None}):
        said = refusal(loner, EXECUTIONS, "a", {"spec": change})
        assert "spec.stop: " in said
        assert "stop can be neither changed nor taken back" in said
    assert refusal(loner, EXECUTIONS, "a", {"metadata": {"labels": {"x": "y"}}}) == ""
    assert loner.get("a")["spec"]["stop"] == {"cause": "x"}


def test_who_suspends_it_may_be_named_and_need_not_be(loner: People) -> None:
    loner.execution("a", "m")
    named = {"by": "ada", "uid": "u", "generation": 2}
    for change in (
        {"suspend": True, "suspendBy": named},
        {"suspend": False},
        {"suspend": True},
        {"suspend": False, "suspendBy": {"by": "bob", "uid": "u", "generation": 5}},
    ):
        assert refusal(loner, EXECUTIONS, "a", {"spec": change}) == ""
    found = loner.get("a")
    assert found["spec"]["suspendBy"] == {"by": "bob", "uid": "u", "generation": 5}
    assert found["metadata"]["generation"] == 5
    said = refusal(loner, EXECUTIONS, "a", {"spec": {"suspendBy": {"generation": None}}})
    assert "spec.suspendBy.generation: Required value" in said


def test_an_empty_stop_is_one(loner: People) -> None:
    loner.execution("a", "m")
    assert refusal(loner, EXECUTIONS, "a", {"spec": {"stop": {}}}) == ""
    assert loner.get("a")["spec"]["stop"] == {}


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"input": {}, "inputJson": "{}"}, "exclude each other: give one of them"),
        ({"input": [1]}, "spec.input"),
        ({"startDeadlineSeconds": -1}, "spec.startDeadlineSeconds"),
        ({"name": "x" * 81}, "spec.name"),
        ({"stateMachineRef": {"name": "../x"}}, "spec.stateMachineRef.name"),
        ({"stateMachineRef": {}}, "spec.stateMachineRef.name: Required value"),
        ({"stop": {"error": "x" * 257}}, "spec.stop.error"),
    ],
    ids=["two inputs", "no object", "negative", "long name", "no name", "missing", "long error"],
)
def test_what_no_execution_can_be_is_refused(loner: People, spec: Obj, what: str) -> None:
    whole = {"stateMachineRef": {"name": "m"}, **spec}
    assert what in refusal_of_new(loner, "Execution", EXECUTIONS, "a", whole)


def test_what_this_release_does_not_have_is_not_taken_silently(loner: People) -> None:
    manifest = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Execution",
        "metadata": {"name": "a"},
        "spec": {"stateMachineRef": {"name": "m"}, "priority": 1},
    }
    with pytest.raises(AssertionError, match=r'unknown field "spec.priority"'):
        loner.kubectl("create", "-f", "-", text=json.dumps(manifest))


def test_kubectl_shows_where_an_execution_is(loner: People) -> None:
    made = loner.execution("a", "m")
    place = {"path": "", "enteredAt": "2026-01-01T00:00:00.123Z", "attempt": 1, "waitsFor": "items"}
    status = {
        "phase": "Running",
        "startTime": "2026-01-01T00:00:00.123Z",
        "revision": "m-12345678",
        "version": 3,
        "alias": "live",
        "progress": {"done": 37, "total": 100, "failed": 2, "text": "37/100"},
        "currentStates": [{"name": "Resize", **place}, {"name": "Wait", **place}],
    }
    loner.namespace.custom.replace_namespaced_custom_object_status(
        GROUP, VERSION, loner.namespace.name, EXECUTIONS, "a", {**made, "status": status}
    )
    assert loner.status("a") == status
    heads, row = (each.split() for each in loner.kubectl("get", "ex").splitlines())
    assert heads == ["NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "AGE"]
    assert row[:5] == ["a", "m", "Running", "Resize", "37/100"]
    wide = loner.kubectl("get", "ex", "-o", "wide").splitlines()
    assert wide[0].split()[6:] == ["STARTED", "ENDED", "ERROR", "REVISION", "VERSION", "ALIAS"]
    assert wide[1].split()[-3:] == ["m-12345678", "3", "live"]


# --------------------------------------------------------------------------- StateMachines


@pytest.mark.parametrize(
    "definition", [DEFINITION, json.dumps(DEFINITION), [1], 5], ids=["object", "text", "list", "5"]
)
def test_any_definition_is_kept_as_it_is(loner: People, definition: Any) -> None:
    loner.machine("m", definition)
    assert loner.get("m", MACHINES)["spec"] == {"definition": definition}


def test_pod_templates_are_kept_as_they_are(loner: People) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main"}]}}
    spec = {"serviceAccountName": "worker", "podTemplate": template, "jobMode": "plain"}
    loner.machine("m", DEFINITION, podTemplates={"gpu": template}, **spec)
    assert loner.get("m", MACHINES)["spec"] == {
        "definition": DEFINITION,
        "podTemplates": {"gpu": template},
        **spec,
    }


def test_a_name_must_leave_room_for_that_of_its_revisions(loner: People) -> None:
    spec = {"definition": DEFINITION}
    assert refusal_of_new(loner, "StateMachine", MACHINES, "m" * 244, spec) == ""
    said = refusal_of_new(loner, "StateMachine", MACHINES, "m" * 245, spec)
    assert "at most 244 characters" in said


def test_a_mode_that_does_not_run_yet_is_refused(loner: People) -> None:
    spec = {"definition": DEFINITION, "jobMode": "managed"}
    assert 'supported values: "auto", "plain"' in refusal_of_new(
        loner, "StateMachine", MACHINES, "m", spec
    )


# -------------------------------------------------------------------- what never changes


@pytest.mark.parametrize(
    "change",
    [
        {"definition": {"States": {"A": {"Type": "Succeed"}}}},
        {"definition": {"States": {"A": {"ResultPath": "$.x"}}}},
        {"definition": json.dumps(DEFINITION)},
        {"podTemplate": {"spec": {}}},
        {"digest": "e"},
    ],
    ids=json.dumps,
)
def test_a_revision_never_changes(loner: People, change: Obj) -> None:
    loner.create("StateMachineRevision", REVISIONS, "r", REVISION)
    assert "a revision cannot be changed" in refusal(loner, REVISIONS, "r", {"spec": change})
    assert refusal(loner, REVISIONS, "r", {"metadata": {"labels": {"x": "y"}}}) == ""
    assert loner.get("r", REVISIONS)["spec"] == REVISION


def test_a_page_never_changes(loner: People) -> None:
    loner.create("ExecutionPage", PAGES, "p", PAGE)
    for change in ({"data": "eJx="}, {"kind": "history"}, {"digest": "e"}):
        assert "a page cannot be changed" in refusal(loner, PAGES, "p", {"spec": change})
    touched = {"metadata": {"annotations": {"treadle.dev/touched-at": "2026-01-01T00:00:00Z"}}}
    assert refusal(loner, PAGES, "p", touched) == ""


def test_a_page_of_its_largest_size_is_taken(loner: People) -> None:
    loner.create("ExecutionPage", PAGES, "p", {**PAGE, "data": "A" * 700_000})
    heads, row = (each.split() for each in loner.kubectl("get", "exp").splitlines())
    assert heads == ["NAME", "EXECUTION", "HOLDS", "AGE"]
    assert row[:2] == ["p", "payload"]
