"""Machines are judged, executions wait for them, and kubectl shows both well."""

from __future__ import annotations

import json

import pytest

from tests.cluster.support.machines import chain, each, passes, task
from tests.cluster.support.people import MACHINES, REVISIONS, People, condition_of, uid_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend", "operator")]


def test_all_problems_of_a_definition_are_said_at_once(people: People) -> None:
    states = {
        "A": {"Type": "Pass", "Next": "Nowhere"},
        "B": {"Type": "Dance", "End": True},
        "C": {"Type": "Task", "Resource": "treadle:job", "Parameters": {"imago": "x"}, "End": True},
    }
    people.machine("wrong", {"StartAt": "Missing", "States": states})
    ready = people.judged("wrong")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidDefinition")
    problems = people.status("wrong", MACHINES)["problems"]
    pointers = {problem["pointer"] for problem in problems}
    assert {"/StartAt", "/States/A/Next", "/States/B/Type", "/States/C/Parameters"} <= pointers
    assert all(problem["code"] and problem["message"] for problem in problems)

    people.execution("wrong-1", "wrong")
    status = people.fails("wrong-1")
    assert status["error"] == "Treadle.InvalidDefinition"
    assert condition_of(status, "Failed")["status"] == "True"


def test_a_corrected_machine_becomes_ready_and_runs(people: People) -> None:
    people.machine("mended", chain(A={"Type": "Dance"}))
    assert people.judged("mended")["status"] == "False"
    definition = json.dumps(chain(A=passes(Result=1)))
    manifest = _machine("mended", definition)
    people.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=manifest)
    assert people.holds("mended", "Ready", plural=MACHINES)["reason"] == "Valid"
    people.execution("mended-1", "mended")
    assert people.succeeds("mended-1") == 1
    revision = people.status("mended", MACHINES)["revision"]
    assert people.status("mended-1")["revision"] == revision["name"]
    held = people.get(revision["name"], REVISIONS)["spec"]
    assert held["digest"] == revision["digest"]


def test_a_running_execution_keeps_its_revision(people: People) -> None:
    people.machine("pinned", chain(Rest=task({"seconds": 1}), Say=passes(Result="old")))
    made = people.execution("pinned-1", "pinned")
    people.a_job(uid_of(made))
    people.kubectl(
        *("apply", "--server-side", "--force-conflicts", "-f", "-"),
        text=_machine("pinned", json.dumps(chain(Say=passes(Result="new")))),
    )
    people.judged("pinned")
    people.execution("pinned-2", "pinned")
    assert people.succeeds("pinned-2") == "new"
    people.delete("pinned", MACHINES)
    assert people.succeeds("pinned-1") == "old"


def test_an_execution_waits_for_its_machine(people: People) -> None:
    people.execution("early", "late")
    status = people.reaches("early", lambda s: s.get("phase") == "Pending", "phase Pending")
    assert "late" in status["message"]
    people.machine("late", chain(Only=passes(Result="at last")))
    assert people.succeeds("early") == "at last"


def test_an_execution_waits_until_its_start_deadline(people: People) -> None:
    people.execution("patient", "never", startDeadlineSeconds=2)
    status = people.fails("patient", seconds=30)
    assert status["error"] == "Treadle.StartDeadlineExceeded"
    assert "never" in status["cause"]


def test_nulls_that_kubectl_drops_are_noticed(people: People) -> None:
    definition = chain(Only=passes(ResultPath=None, Result=1))
    manifest = json.dumps(json.loads(_machine("nulls", "")) | {"spec": {"definition": definition}})
    people.kubectl("apply", "-f", "-", text=manifest)
    ready = people.judged("nulls")
    assert (ready["status"], ready["reason"]) == ("False", "NullsDropped")
    assert "--server-side" in json.dumps(people.status("nulls", MACHINES)["problems"])
    people.delete("nulls", MACHINES)
    people.kubectl("apply", "--server-side", "-f", "-", text=manifest)
    assert people.judged("nulls")["status"] == "True"
    people.execution("nulls-1", "nulls", input={"kept": True})
    assert people.succeeds("nulls-1") == {"kept": True}


def test_kubectl_get_shows_what_an_operator_on_call_looks_for(people: People) -> None:
    inner = chain(Count=task({"seconds": 1}))
    people.run(
        "shown",
        chain(Every=each(inner, ItemsPath="$.items", MaxConcurrency=1)),
        input={"items": [1, 2, 3]},
    )
    people.reaches(
        "shown", lambda s: (s.get("progress") or {}).get("done") == 1, "one item done", seconds=30
    )
    heads, row = _table(people.kubectl("get", "ex", "shown"))
    assert heads == ["NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "AGE"]
    assert row[:3] == ["shown", "shown", "Running"]
    assert row[4].endswith("/3")
    people.kubectl("wait", "--for=condition=Complete", "--timeout=60s", "ex/shown")
    assert _table(people.kubectl("get", "ex", "shown"))[1][2] == "Succeeded"
    heads, row = _table(people.kubectl("get", "sm", "shown"))
    assert (heads[:2], row[:2]) == (["NAME", "READY"], ["shown", "True"])
    assert "shown" in people.kubectl("get", "treadle"), "our kinds share a category"


def test_kubectl_selects_executions_by_phase(people: People) -> None:
    people.machine("picked", chain(Only=passes()))
    people.execution("picked-1", "picked")
    people.succeeds("picked-1")
    listed = people.kubectl("get", "ex", "--field-selector=status.phase=Succeeded", "-o", "name")
    assert "picked-1" in listed
    assert "picked-1" not in people.kubectl(
        "get", "ex", "--field-selector=status.phase=Running", "-o", "name"
    )


def test_kubectl_describe_tells_the_error_and_its_event(people: People) -> None:
    people.run("told", chain(Break=task({"exitCode": 9, "message": "out of thread"})))
    people.fails("told")
    people.kubectl("wait", "--for=condition=Failed", "--timeout=30s", "ex/told")

    def described() -> str | None:
        text = people.kubectl("describe", "ex", "told")
        return text if "Events:" in text and "Warning" in text else None

    text = people.namespace.wait(described, "its Event", seconds=30)
    assert "Kubernetes.ExitCode.9" in text
    assert "out of thread" in text


def test_an_unusable_spec_is_a_named_error(people: People) -> None:
    people.machine("usable", chain(Only=passes()))
    people.execution("unusable", "usable", inputJson="{no json")
    status = people.fails("unusable")
    assert status["error"] == "Treadle.InvalidExecution"


def _machine(name: str, definition: str) -> str:
    return json.dumps(
        {
            "apiVersion": "treadle.dev/v1alpha1",
            "kind": "StateMachine",
            "metadata": {"name": name},
            "spec": {"definition": definition},
        }
    )


def _table(text: str) -> tuple[list[str], list[str]]:
    heads, row, *_ = text.splitlines()
    columns = [heads.index(head) for head in heads.split()]
    ends = [*columns[1:], None]
    return heads.split(), [row[start:end].strip() for start, end in zip(columns, ends, strict=True)]
