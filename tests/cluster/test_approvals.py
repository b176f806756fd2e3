"""People decide on a real API server: who may, who may not and why, and what becomes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.cluster.support.charted import (
    PAST,
    Installation,
    Person,
    said_against,
    signed_in,
)
from tests.cluster.support.machines import chain, passes
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import APPROVALS, GROUP, VERSION, Obj, People, uid_of
from tests.support.treadles import treadle

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds", "installation")]

PATCHES = {"apiGroups": [GROUP], "resources": ["approvals"], "verbs": ["get", "list", "patch"]}
AFTER_SECONDS = 3


@pytest.fixture(scope="module")
def ada(people: People) -> Person:
    return one_who_may(people, "ada")


@pytest.fixture(scope="module")
def bob(people: People) -> Person:
    return one_who_may(people, "bob")


def one_who_may(people: People, name: str, *rules: dict[str, Any]) -> Person:
    """Somebody who may patch approvals, which alone decides nothing."""
    person = Person(people.namespace, name).may(PATCHES, *rules)
    place = (GROUP, VERSION, people.namespace.name, APPROVALS)
    lists = person.custom.list_namespaced_custom_object
    people.namespace.wait(lambda: not said_against(lambda: lists(*place)), f"the rights of {name}")
    return person


def an_approval(people: People, name: str, **spec: Any) -> str:
    whole = {"message": "Ship it?", "who": "somebody", "decisions": [], **spec}
    people.create("Approval", APPROVALS, name, whole)
    return name


def patched(person: Person, name: str, patch: Any) -> str:
    """What the API server says against a patch; empty where it takes it."""
    kind = "json-patch" if isinstance(patch, list) else "merge-patch"
    caller = person.client
    request = caller.param_serialize(
        "PATCH",
        f"/apis/{GROUP}/{VERSION}/namespaces/{person.namespace.name}/{APPROVALS}/{name}",
        header_params={"Content-Type": f"application/{kind}+json"},
        body=patch,
        auth_settings=["BearerToken"],
    )
    answer = caller.call_api(*request)
    answer.read()
    return "" if answer.status < 300 else str(json.loads(answer.data)["message"])


def decides(person: Person, name: str, *, by: str = "", approve: bool = True, **more: str) -> str:
    """What is said against a decision, as `kubectl patch --type json` sends it."""
    decision = {"by": by or person.name, "approve": approve, **more}
    return patched(person, name, [{"op": "add", "path": "/spec/decisions/-", "value": decision}])


# ------------------------------------------------------------------------------------- who may


def test_a_user_who_is_named_may(people: People, ada: Person, bob: Person) -> None:
    name = an_approval(people, "by-user", approvers={"users": ["ada"]}, who="ada")
    said = decides(bob, name)
    assert said.endswith(
        "you may not decide this: who may is ada, and whoever may approve it, a verb of RBAC"
    )
    assert decides(ada, name) == ""


def test_who_is_in_a_group_that_is_named_may(people: People, ada: Person) -> None:
    # Impersonated users are in this one.
    groups = {"groups": ["system:authenticated"]}
    assert decides(ada, an_approval(people, "by-group", approvers=groups)) == ""
    others = {"groups": ["finance"]}
    assert "you may not decide" in decides(ada, an_approval(people, "no-group", approvers=others))


def test_who_has_the_verb_may_for_one_or_for_all(people: People, ada: Person) -> None:
    verb = {"apiGroups": [GROUP], "resources": ["approvals"], "verbs": ["approve"]}
    one = one_who_may(people, "of-one", {**verb, "resourceNames": ["by-verb"]})
    everybody = one_who_may(people, "of-all", verb)
    for name in ("by-verb", "by-verb-too"):
        an_approval(people, name)
    assert "you may not decide" in decides(ada, "by-verb")
    assert decides(one, "by-verb") == ""
    assert "you may not decide" in decides(one, "by-verb-too")
    assert decides(everybody, "by-verb") == ""
    assert decides(everybody, "by-verb-too") == ""


def test_an_editor_may_patch_and_not_decide(people: People) -> None:
    name = an_approval(people, "edited")
    rbac = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "editor"}
    body = {"metadata": {"name": "editor"}, "roleRef": rbac, "subjects": [subject]}
    api: Any = client.RbacAuthorizationV1Api(people.namespace.cluster.client)
    api.create_namespaced_role_binding(people.namespace.name, body)
    editor = Person(people.namespace, "editor")
    label = {"metadata": {"labels": {"team": "t"}}}
    people.namespace.wait(lambda: not patched(editor, name, label), "the right to patch")
    assert "you may not decide" in decides(editor, name)


# ---------------------------------------------------------------------------------- what may not


@pytest.fixture
def asked(people: People, request: pytest.FixtureRequest) -> str:
    """An Approval that Ada and Bob may decide, both of whom must."""
    name = request.node.name.replace("_", "-")[:50].rstrip("-")
    return an_approval(people, name, approvers={"users": ["ada", "bob"]}, quorum=2)


def test_a_decision_is_in_ones_own_name(ada: Person, asked: str) -> None:
    said = decides(ada, asked, by="bob")
    assert said.endswith("a decision is written in your own name: by must be ada")


def test_nobody_decides_twice(ada: Person, bob: Person, asked: str) -> None:
    assert decides(ada, asked) == ""
    assert "nobody decides twice" in decides(ada, asked, approve=False)
    assert decides(bob, asked) == ""


def test_one_request_adds_one_decision(ada: Person, asked: str) -> None:
    both = [{"by": name, "approve": True} for name in ("bob", "ada")]
    assert "one request adds one decision" in patched(ada, asked, {"spec": {"decisions": both}})


def test_nobody_alters_takes_back_or_moves_what_was_said(
    ada: Person, bob: Person, asked: str
) -> None:
    first, second = {"by": "ada", "approve": True}, {"by": "bob", "approve": True}
    assert patched(ada, asked, {"spec": {"decisions": [first]}}) == ""
    for decisions in ([{**first, "approve": False}], [], None, [second], [second, first]):
        said = patched(bob, asked, {"spec": {"decisions": decisions}})
        assert "a decision is neither changed nor taken back" in said, decisions
    assert patched(bob, asked, {"spec": {"decisions": [first, second]}}) == ""


def test_what_is_asked_does_not_change(ada: Person, asked: str) -> None:
    for change in ({"message": "Other?"}, {"quorum": 1}, {"approvers": None}, {"who": None}):
        assert "cannot be changed: only decisions" in patched(ada, asked, {"spec": change})


def test_details_do_not_change_either(people: People, ada: Person) -> None:
    details = {"order": {"n": 7, "none": None}, "euros": 1_000_000}
    name = an_approval(people, "detailed", approvers={"users": ["ada"]}, details=details)
    # The last has as many members, and those that both have are the same.
    for change in (None, {"euros": 5}, {"more": 1}, {"euros": None, "price": 5}):
        said = patched(ada, name, {"spec": {"details": change}})
        assert "details of an Approval cannot be changed: only decisions" in said, change
    assert decides(ada, name) == ""


def test_whose_it_is_does_not_change(people: People, ada: Person) -> None:
    marks = {"treadle.dev/attempt": "a-1"}
    metadata = {"name": "marked", "labels": marks, "annotations": {"treadle.dev/task": "0.1.1"}}
    spec = {"message": "?", "approvers": {"users": ["ada"]}, "decisions": []}
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Approval", "spec": spec}
    place = (GROUP, VERSION, people.namespace.name, APPROVALS)
    people.namespace.custom.create_namespaced_custom_object(*place, {**body, "metadata": metadata})
    for change in (
        {"labels": None},
        {"labels": {"treadle.dev/attempt": None}},
        {"labels": {"treadle.dev/attempt": "a-2"}},
        {"annotations": None},
        {"annotations": {"treadle.dev/task": "0.2.1"}},
    ):
        said = patched(ada, "marked", {"metadata": change})
        assert said.endswith("by what it is marked with, Treadle knows whose it is"), change
    mine = {"labels": {"team": "t"}, "annotations": {"team": "t"}}
    assert patched(ada, "marked", {"metadata": mine}) == ""
    assert patched(ada, "marked", {"metadata": {"labels": {"team": None}}}) == ""
    assert decides(ada, "marked") == ""


def test_a_reason_is_given_where_one_is_due(people: People, ada: Person) -> None:
    users = {"users": ["ada"]}
    name = an_approval(people, "reasoned", approvers=users, reasonRequired=True)
    assert "a reason must be given" in decides(ada, name)
    assert "a reason must be given" in decides(ada, name, reason=" ")
    assert decides(ada, name, reason="it is fine") == ""


def test_nobody_decides_when_it_has_expired(people: People, ada: Person, bob: Person) -> None:
    until = datetime.now(UTC) + timedelta(seconds=AFTER_SECONDS)
    stamp = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    users = {"users": ["ada", "bob"]}
    name = an_approval(people, "late", approvers=users, expiresAt=stamp, quorum=2)
    assert decides(ada, name) == ""
    time.sleep(AFTER_SECONDS + 1)
    late = f"it has expired: nobody may decide any more since {stamp}"
    assert decides(bob, name).endswith(late)
    # When a request came is told by what the API server itself notes, whoever notes something else.
    past = [{"manager": "me", "operation": "Update", "time": PAST, "apiVersion": "treadle.dev/v1"}]
    told = [{"by": "ada", "approve": True}, {"by": "bob", "approve": True}]
    forged = {"metadata": {"managedFields": past}, "spec": {"decisions": told}}
    assert patched(bob, name, forged).endswith(late)
    emptied = {"metadata": {"managedFields": [{}]}, "spec": {"decisions": told}}
    assert "managedFields of an Approval may not be emptied" in patched(bob, name, emptied)
    assert "may not be emptied" in patched(bob, name, {"metadata": {"managedFields": [{}]}})
    assert patched(bob, name, {"metadata": {"labels": {"team": "t"}}}) == ""


@pytest.mark.parametrize("phase", ["Approved", "Rejected", "Expired", "Closed"])
def test_nobody_decides_what_is_over(people: People, ada: Person, phase: str) -> None:
    name = an_approval(people, f"over-{phase.lower()}", approvers={"users": ["ada"]})
    place = (GROUP, VERSION, people.namespace.name, APPROVALS, name)
    status = {"status": {"phase": "Pending"}}
    people.namespace.custom.patch_namespaced_custom_object_status(*place, status)
    status = {"status": {"phase": phase}}
    people.namespace.custom.patch_namespaced_custom_object_status(*place, status)
    assert "it is decided, expired or closed" in decides(ada, name)
    patch = ada.custom.patch_namespaced_custom_object_status
    assert "cannot patch" in said_against(lambda: patch(*place, {"status": {"phase": "Pending"}}))


def test_a_tombstone_is_decided_by_nobody(people: People, ada: Person) -> None:
    name = an_approval(people, "tombstone", approvers={"users": ["ada"]}, closed=True)
    assert "the attempt that asked is over" in decides(ada, name)


def test_nobody_brings_a_decision_along(people: People) -> None:
    maker = one_who_may(people, "maker", {**PATCHES, "verbs": ["create"]})
    assert "by must be maker" in makes(maker, decisions=[{"by": "bob", "approve": True}])


def test_who_makes_one_might_decide_it_and_so_must_be_allowed_to(
    people: People, installation: Installation, tmp_path: Path
) -> None:
    maker = one_who_may(people, "maker-only", {**PATCHES, "verbs": ["create"]})
    said = makes(maker, approvers={"users": ["maker-only"]})
    assert said.endswith(
        "an Approval is made by Treadle, or by those who may approve all of its namespace"
    )
    one = {**PATCHES, "verbs": ["approve"], "resourceNames": ["made"]}
    of_one = one_who_may(people, "maker-of-one", {**PATCHES, "verbs": ["create"]}, one)
    assert "an Approval is made by Treadle" in makes(of_one)
    of_all = one_who_may(people, "maker-of-all", {**PATCHES, "verbs": ["create", "approve"]})
    assert makes(of_all) == ""
    people.delete("made", APPROVALS)
    path = str(installation.kubeconfig(tmp_path))
    operator = client.CustomObjectsApi(config.new_client_from_config(path))  # type: ignore[no-untyped-call]
    assert made_by(operator, people.namespace.name) == ""


def makes(person: Person, **spec: Any) -> str:
    """What the API server says against an Approval that somebody makes."""
    return made_by(person.custom, person.namespace.name, **spec)


def made_by(custom: Any, namespace: str, **spec: Any) -> str:
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Approval",
        "spec": {"message": "?", **spec},
    }
    body["metadata"] = {"name": "made"}
    create = custom.create_namespaced_custom_object
    return said_against(lambda: create(GROUP, VERSION, namespace, APPROVALS, body))


# ------------------------------------------------------------------------------- what becomes of it


@pytest.fixture
def own(loner: People, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator of this test alone."""
    with an_operator(loner, tmp_path / "operator.log") as started:
        yield started


def an_operator(people: People, log: Path) -> OperatorProcess:
    kubeconfig = people.namespace.cluster.kubeconfig
    return OperatorProcess(kubeconfig, log, namespaces=[people.namespace.name])


def asks(**parameters: Any) -> dict[str, Any]:
    members = {name: parameters.pop(name) for name in ("Catch", "Retry") if name in parameters}
    users = {"users": ["ada", "bob"]}
    parameters = {"message": "Ship it?", "approvers": users, **parameters}
    return {"Type": "Task", "Resource": "treadle:approval", "Parameters": parameters, **members}


def run(people: People, **parameters: Any) -> Obj:
    """Start a machine that asks; gives the Approval."""
    given = parameters.pop("input", {})
    made = people.run("ask", chain(Ask=asks(**parameters)), input=given)
    return people.an_approval(uid_of(made))


def name_of(approval: Obj) -> str:
    return str(approval["metadata"]["name"])


def shown(people: People) -> list[str]:
    """The row that `kubectl get apv` prints."""
    _, row = people.kubectl("get", "apv").splitlines()
    return row.split()


def test_what_was_decided_is_the_output_and_is_shown(
    loner: People, own: OperatorProcess, tmp_path: Path
) -> None:
    ada = one_who_may(loner, "ada")
    approval = run(loner, details={"order.$": "$.order"}, input={"order": 7})
    assert approval["spec"]["details"] == {"order": 7}
    *row, _ = shown(loner)
    assert row == [name_of(approval), "ask", "Ship", "it?", "ada,", "bob"]
    assert decides(ada, name_of(approval), reason="looks fine") == ""
    output = loner.succeeds("ask")
    (decision,) = output.pop("decisions")
    assert output == {"approved": True}
    at = datetime.fromisoformat(decision.pop("at"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert decision == {"by": "ada", "approve": True, "reason": "looks fine"}
    assert "approved by ada" in loner.kubectl("get", "apv")
    history = treadle(
        tmp_path,
        "history",
        "ask",
        "--kubeconfig",
        str(loner.namespace.cluster.kubeconfig),
        "-n",
        loner.namespace.name,
        "-o",
        "json",
    ).stdout
    succeeded = [e for e in json.loads(history)["events"] if e["type"] == "TaskSucceeded"]
    (details,) = (each["taskSucceededEventDetails"] for each in succeeded)
    assert json.loads(details["output"])["decisions"][0]["reason"] == "looks fine"


def test_two_must_be_for_it(loner: People, own: OperatorProcess) -> None:
    ada, bob = one_who_may(loner, "ada"), one_who_may(loner, "bob")
    name = name_of(run(loner, quorum=2))
    assert decides(ada, name) == ""
    loner.reaches(
        name, lambda status: status.get("decided") == "1 of 2", "one of two", plural=APPROVALS
    )
    assert decides(bob, name) == ""
    assert [each["by"] for each in loner.succeeds("ask")["decisions"]] == ["ada", "bob"]


def test_one_against_it_is_an_error_that_says_who(loner: People, own: OperatorProcess) -> None:
    ada = one_who_may(loner, "ada")
    name = name_of(run(loner, quorum=2))
    assert decides(ada, name, approve=False, reason="too dear") == ""
    status = loner.fails("ask")
    assert status["error"] == "Treadle.ApprovalRejected"
    (decision,) = json.loads(status["cause"])["decisions"]
    assert (decision["by"], decision["reason"]) == ("ada", "too dear")
    assert loner.status(name, APPROVALS)["phase"] == "Rejected"


def test_expiry_is_caught(loner: People, own: OperatorProcess) -> None:
    catch = [{"ErrorEquals": ["Treadle.ApprovalExpired"], "Next": "Late"}]
    machine = chain(Ask=asks(expiresSeconds=3, Catch=catch), Late=passes(Result="late"))
    approval = loner.an_approval(uid_of(loner.run("ask", machine)))
    assert loner.succeeds("ask") == "late"
    assert loner.status(name_of(approval), APPROVALS)["phase"] == "Expired"


def test_one_that_is_deleted_by_hand_is_an_error(loner: People, own: OperatorProcess) -> None:
    loner.delete(name_of(run(loner)), APPROVALS)
    assert loner.fails("ask")["error"] == "Treadle.ApprovalDeleted"


def test_a_dead_attempt_is_decided_by_nobody(loner: People, own: OperatorProcess) -> None:
    ada = one_who_may(loner, "ada")
    name = name_of(run(loner))
    loner.patch("ask", {"stop": {}})
    loner.reaches(
        name, lambda status: status.get("phase") == "Closed", "its closing", plural=APPROVALS
    )
    assert "it is decided, expired or closed" in decides(ada, name)
    uid = uid_of(loner.get("ask"))
    loner.delete("ask")
    loner.nothing_is_left(uid)


def test_a_decision_that_no_operator_saw_is_not_lost(loner: People, own: OperatorProcess) -> None:
    ada, bob = one_who_may(loner, "ada"), one_who_may(loner, "bob")
    name = name_of(run(loner, expiresSeconds=8, quorum=2))
    assert decides(ada, name) == ""
    own.kill()
    assert decides(bob, name) == ""
    time.sleep(10)  # longer than it may take: what was in time counts
    own.start()
    output = loner.succeeds("ask")
    assert [each["by"] for each in output["decisions"]] == ["ada", "bob"]
    assert len(loner.approvals(uid_of(loner.get("ask")))) == 1


def test_a_standby_takes_over_what_is_asked(loner: People, tmp_path: Path) -> None:
    ada = one_who_may(loner, "ada")
    with an_operator(loner, tmp_path / "first.log") as first:
        name = name_of(run(loner))
        second = an_operator(loner, tmp_path / "second.log")
        second.start(wait=False)
        try:
            first.kill()
            assert decides(ada, name) == ""
            assert [each["by"] for each in loner.succeeds("ask")["decisions"]] == ["ada"]
            assert second.leads
        finally:
            second.terminate()


# ------------------------------------------------------------------------------------- commands


def test_people_list_and_decide_by_command(people: People, ada: Person, tmp_path: Path) -> None:
    account = f"system:serviceaccount:{people.namespace.name}:clerk"
    people.namespace.core.create_namespaced_service_account(
        people.namespace.name, {"metadata": {"name": "clerk"}}
    )
    people.kubectl("create", "role", "clerk", "--verb=get,list,patch", "--resource=approvals")
    people.kubectl(
        "create",
        "rolebinding",
        "clerk",
        "--role=clerk",
        f"--serviceaccount={people.namespace.name}:clerk",
    )
    file = str(signed_in(people.namespace, "clerk", tmp_path / "clerk.kubeconfig"))
    where = ("--kubeconfig", file, "-n", people.namespace.name)
    an_approval(people, "for-clerk", approvers={"users": [account]}, reasonRequired=True)
    an_approval(people, "for-ada", approvers={"users": ["ada"]})
    people.namespace.wait(
        lambda: treadle(tmp_path, "approvals", *where).returncode == 0, "the rights of the clerk"
    )
    mine = treadle(tmp_path, "approvals", "--mine", *where, "-o", "name")
    assert "approval.treadle.dev/for-clerk" in mine.stdout.split()
    assert "approval.treadle.dev/for-ada" not in mine.stdout.split()
    refused = treadle(tmp_path, "approve", "for-clerk", *where)
    assert (refused.returncode, refused.stderr) == (
        1,
        "Error: a reason must be given with each decision\n",
    )
    refused = treadle(tmp_path, "reject", "for-ada", *where)
    assert refused.stderr.startswith("Error: you may not decide this")
    done = treadle(tmp_path, "approve", "for-clerk", "--reason", "fine", *where)
    assert done.stdout == f"approval.treadle.dev/for-clerk approved by {account}\n"
    again = treadle(tmp_path, "reject", "for-clerk", "--reason", "oh", *where)
    assert again.stderr.startswith("Error: nobody decides twice")
    mine = treadle(tmp_path, "approvals", "--mine", *where, "-o", "name")
    assert "approval.treadle.dev/for-clerk" not in mine.stdout.split()
    listed = treadle(tmp_path, "approvals", *where, "-o", "json")
    assert "for-ada" in [each["metadata"]["name"] for each in json.loads(listed.stdout)["items"]]
