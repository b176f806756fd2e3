"""The chart's admission policies on a real API server: whom they let through and whom not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.cluster.support.charted import (
    PAST,
    Installation,
    Person,
    late_job,
    said_against,
)
from tests.cluster.support.machines import chain, passes
from tests.cluster.support.people import (
    API_VERSION,
    EXECUTIONS,
    GROUP,
    MACHINES,
    REVISIONS,
    VERSION,
    People,
)
from treadle.runners import launch

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds", "installation")]

FUTURE = "2100-01-01T00:00:00Z"
DEFINITION = chain(Only=passes())
ACCOUNTS_MAX = 8


@pytest.fixture(scope="module")
def ada(people: People) -> Person:
    """She may write machines and executions, and be `reports` and `a0` to `a7`."""
    may_write = {
        "apiGroups": [GROUP],
        "resources": ["*"],
        "verbs": ["get", "create", "update", "patch"],
    }
    names = ["reports", *(f"a{n}" for n in range(ACCOUNTS_MAX))]
    may_be = {
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "resourceNames": names,
        "verbs": ["impersonate"],
    }
    found = Person(people.namespace, "ada").may(may_write, may_be)
    people.namespace.wait(lambda: not said_against(lambda: create(found, {})), "her rights")
    return found


# ----------------------------------------------------------------------------------- late Jobs


def test_a_job_that_comes_after_its_makers_lease_is_refused(people: People) -> None:
    said = late_job(people.namespace, PAST)
    assert "the Lease of its maker has ended" in said
    assert all(words in said for words in launch._TOO_LATE), "the operator knows it by them"


def test_a_job_that_comes_in_time_is_let_through(people: People) -> None:
    assert late_job(people.namespace, FUTURE) == ""


def test_a_job_of_others_is_none_of_its_business(people: People) -> None:
    assert late_job(people.namespace, None) == ""


def test_what_is_no_time_is_not_in_time(people: People) -> None:
    assert late_job(people.namespace, "tomorrow")


# ---------------------------------------------------------------------------- service accounts


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


def create(person: Person, spec: dict[str, Any], kind: str = "StateMachine", **more: Any) -> Any:
    """Create something, without keeping it."""
    whole = {"definition": DEFINITION, **spec}
    plural = MACHINES if kind == "StateMachine" else REVISIONS
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "m"}, "spec": whole}
    place = (GROUP, VERSION, person.namespace.name, plural)
    return person.custom.create_namespaced_custom_object(*place, body, dry_run="All", **more)


PLACES = {
    "of-the-machine": lambda name: {"serviceAccountName": name},
    "of-the-template": lambda name: {"podTemplate": pod(serviceAccountName=name)},
    "of-a-named-template": lambda name: {
        "podTemplates": {"one": {}, "two": pod(serviceAccountName=name)}
    },
    "by-its-old-name": lambda name: {"podTemplate": pod(serviceAccount=name)},
    "by-its-old-name-in-a-named-template": lambda name: {
        "podTemplates": {"one": pod(serviceAccount=name)}
    },
}
every_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())


@every_place
def test_who_may_impersonate_an_account_may_name_it(ada: Person, place: Any) -> None:
    assert said_against(lambda: create(ada, place("reports"))) == ""


@every_place
def test_who_may_not_is_told_which(ada: Person, place: Any) -> None:
    said = said_against(lambda: create(ada, place("builder")))
    assert "you may not impersonate every service account that is named here: builder" in said


def test_one_that_may_not_be_named_is_found_among_others(ada: Person) -> None:
    named = {
        "serviceAccountName": "reports",
        "podTemplates": {"x": pod(serviceAccountName="builder")},
    }
    assert "builder" in said_against(lambda: create(ada, named))


@pytest.mark.parametrize("name", ["", None])
def test_a_name_that_is_taken_away_is_none(ada: Person, name: str | None) -> None:
    assert said_against(lambda: create(ada, {"podTemplate": pod(serviceAccountName=name)})) == ""


@pytest.mark.parametrize("template", [{}, {"spec": None}, {"spec": 1}, {"metadata": {}}])
def test_odd_templates_are_not_its_business(ada: Person, template: dict[str, Any]) -> None:
    assert said_against(lambda: create(ada, {"podTemplate": template})) == ""


def test_each_account_counts_once_and_eight_at_most(ada: Person) -> None:
    def templates(*names: str) -> dict[str, Any]:
        return {f"t{n}": pod(serviceAccountName=name) for n, name in enumerate(names)}

    known = ["reports", *(f"a{n}" for n in range(ACCOUNTS_MAX - 1))]
    many = {"serviceAccountName": "reports", "podTemplates": templates(*known, *known)}
    assert said_against(lambda: create(ada, many)) == ""
    more = {"podTemplates": templates(*known, f"a{ACCOUNTS_MAX - 1}")}
    assert "more than 8 service accounts" in said_against(lambda: create(ada, more))


def test_who_may_be_everybody_may_name_any_number(people: People) -> None:
    admin = Person(people.namespace, "boss").may(
        {"apiGroups": [GROUP], "resources": ["statemachines"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    )
    many = {"podTemplates": {f"t{n}": pod(serviceAccountName=f"x{n}") for n in range(100)}}
    people.namespace.wait(lambda: not said_against(lambda: create(admin, many)), "his rights")


def test_who_changes_what_runs_answers_for_its_account_and_who_labels_it_does_not(
    people: People, ada: Person
) -> None:
    people.machine("theirs", DEFINITION, serviceAccountName="builder")

    def patch(body: dict[str, Any]) -> str:
        place = (GROUP, VERSION, people.namespace.name, MACHINES, "theirs")
        return said_against(lambda: ada.custom.patch_namespaced_custom_object(*place, body))

    assert patch({"metadata": {"labels": {"team": "t"}}}) == ""
    assert "builder" in patch({"spec": {"definition": chain(Other=passes())}})
    assert patch({"spec": {"serviceAccountName": "reports"}}) == ""
    assert patch({"spec": {"definition": chain(Other=passes())}}) == ""


def test_nobody_but_the_operator_writes_a_revision_past_it(
    installation: Installation, ada: Person, tmp_path: Path
) -> None:
    spec = {"stateMachine": "m", "digest": "d", "serviceAccountName": "builder"}
    said = said_against(lambda: create(ada, spec, "StateMachineRevision"))
    assert "builder" in said
    path = str(installation.kubeconfig(tmp_path))
    custom = client.CustomObjectsApi(config.new_client_from_config(path))  # type: ignore[no-untyped-call]
    operator = _Signed(ada.namespace, custom)
    assert said_against(lambda: create(operator, spec, "StateMachineRevision")) == ""  # type: ignore[arg-type]


class _Signed:
    """Somebody with credentials of his own."""

    def __init__(self, namespace: Any, custom: Any) -> None:
        self.namespace, self.custom = namespace, custom


# ----------------------------------------------------------------------------- verbs on executions

CHANGES = {"stop": {"error": "E"}, "suspend": True, "redrive": {"id": "1"}}


@pytest.fixture(scope="module")
def execution(people: People) -> str:
    people.execution("one", "none", startDeadlineSeconds=10_000)
    return "one"


def change(person: Person, name: str, body: dict[str, Any]) -> str:
    place = (GROUP, VERSION, person.namespace.name, EXECUTIONS, name)
    patch = person.custom.patch_namespaced_custom_object
    return said_against(lambda: patch(*place, body, dry_run="All"))


@pytest.mark.parametrize("member", CHANGES)
def test_who_may_only_patch_may_not(ada: Person, execution: str, member: str) -> None:
    said = change(ada, execution, {"spec": {member: CHANGES[member]}})
    assert f"spec.{member} is changed by those who may {member} executions" in said


@pytest.mark.parametrize("member", CHANGES)
def test_who_has_the_verb_may_and_no_more(people: People, execution: str, member: str) -> None:
    rule = {"apiGroups": [GROUP], "resources": ["executions"], "verbs": ["get", "patch", member]}
    person = Person(people.namespace, f"may-{member}").may(rule)
    allowed = {"spec": {member: CHANGES[member]}}
    people.namespace.wait(lambda: not change(person, execution, allowed), "the right")
    for other in CHANGES.keys() - {member}:
        assert change(person, execution, {"spec": {other: CHANGES[other]}})


@pytest.mark.parametrize("member", ["stop", "redrive"])
def test_nobody_names_another_as_who_asks(people: People, execution: str, member: str) -> None:
    name = f"names-{member}"
    rule = {"apiGroups": [GROUP], "resources": ["executions"], "verbs": ["get", "patch", member]}
    creates = {**rule, "verbs": ["create"]}
    person = Person(people.namespace, name).may(rule, creates)
    own, forged = ({**CHANGES[member], "by": by} for by in (name, "somebody"))  # type: ignore[dict-item]
    people.namespace.wait(lambda: not change(person, execution, {"spec": {member: own}}), "it")
    said = change(person, execution, {"spec": {member: forged}})
    assert f"spec.{member} is written in your own name: by must be {name}, or left out" in said
    for wish, refused in ((own, False), (forged, True)):
        spec = {"stateMachineRef": {"name": "none"}, member: wish}
        meta = {"apiVersion": API_VERSION, "kind": "Execution", "metadata": {"name": "new"}}
        body, place = {**meta, "spec": spec}, (GROUP, VERSION, people.namespace.name, EXECUTIONS)
        make = person.custom.create_namespaced_custom_object
        assert bool(said_against(lambda: make(*place, body, dry_run="All"))) is refused  # noqa: B023


def test_who_suspends_or_resumes_it_names_nobody_else_and_no_other_change(people: People) -> None:
    name, suspends = "names-suspend", ["get", "patch", "suspend"]
    rule = {"apiGroups": [GROUP], "resources": ["executions"], "verbs": suspends}
    person = Person(people.namespace, name).may(rule, {**rule, "verbs": ["create"]})
    uid = people.execution("paused", "none", startDeadlineSeconds=10_000)["metadata"]["uid"]
    place = (GROUP, VERSION, people.namespace.name, EXECUTIONS)

    def said(suspend: bool | None, by: str, generation: int, of: str = uid) -> str:
        who = {"by": by, "uid": of, "generation": generation}
        given = {} if suspend is None else {"suspend": suspend}
        return change(person, "paused", {"spec": {**given, "suspendBy": who}})

    people.namespace.wait(lambda: not said(True, name, 2), "the right")
    own = f"by must be {name}, generation 2 and uid {uid}; or leave it out"
    assert own in said(True, "somebody", 2)
    assert own in said(True, name, 2, "another")
    for generation in (1, 3):
        assert own in said(True, name, generation)
    assert own in said(None, name, 2), "it says nothing of who suspends it, if nobody does"
    assert own in said(False, name, 2)

    def does(**spec: Any) -> None:
        patch = person.custom.patch_namespaced_custom_object
        patch(*place, "paused", {"spec": spec})

    # Whoever names nobody is refused nothing, and what stays there is about another generation.
    mine = {"by": name, "uid": uid, "generation": 2}
    does(suspend=True, suspendBy=mine)
    does(suspend=False)
    does(suspend=True)
    found = people.get("paused")
    assert (found["metadata"]["generation"], found["spec"]["suspendBy"]) == (4, mine)
    assert "spec.suspendBy is written in your own name" in said(None, name, 5)
    does(suspendBy=None)
    # What a backup says of another object is about that one.
    spec = {"stateMachineRef": {"name": "none"}, "suspend": True, "suspendBy": mine}
    meta = {"apiVersion": API_VERSION, "kind": "Execution", "metadata": {"name": "restored"}}
    make = person.custom.create_namespaced_custom_object
    assert said_against(lambda: make(*place, {**meta, "spec": spec}, dry_run="All")) == ""


def test_who_may_only_patch_does_not_say_who_suspends(ada: Person, execution: str) -> None:
    named = {"spec": {"suspendBy": {"by": "ada", "uid": "u", "generation": 2}}}
    assert "spec.suspend is changed by those who may suspend" in change(ada, execution, named)


def test_who_may_redrive_takes_back_the_stop_of_what_has_ended_and_no_other(
    people: People,
) -> None:
    verbs = {
        "apiGroups": [GROUP],
        "resources": ["executions"],
        "verbs": ["get", "patch", "redrive"],
    }
    person = Person(people.namespace, "redrives").may(verbs)
    place = (GROUP, VERSION, people.namespace.name, EXECUTIONS)
    again = {"spec": {"stop": None, "redrive": {"id": "1", "by": "redrives"}}}
    for name, phase in (("runs", "Running"), ("over", "Aborted")):
        people.execution(name, "none", startDeadlineSeconds=10_000, stop={})
        status = {"status": {"phase": phase}}
        people.namespace.custom.patch_namespaced_custom_object_status(*place, name, status)
    people.namespace.wait(lambda: not change(person, "over", again), "the right")
    assert "stop can be taken back once the execution has ended" in change(person, "runs", again)
    assert change(person, "over", {"spec": {"stop": None}}), "it goes with a redrive only"


def test_a_verb_for_one_execution_is_for_that_one(people: People, execution: str) -> None:
    everyone = {"apiGroups": [GROUP], "resources": ["executions"], "verbs": ["get", "patch"]}
    one = {**everyone, "verbs": ["stop"], "resourceNames": [execution]}
    person = Person(people.namespace, "of-one").may(everyone, one)
    people.execution("another", "none", startDeadlineSeconds=10_000)
    stop = {"spec": {"stop": {}}}
    people.namespace.wait(lambda: not change(person, execution, stop), "the right")
    assert change(person, "another", stop)


def test_an_input_does_not_change_whatever_members_it_has(people: People, ada: Person) -> None:
    people.execution("told", "none", startDeadlineSeconds=10_000, input={"n": 7, "none": None})
    for given in (None, {"n": 8}, {"more": 1}, {"n": None, "other": 8}):
        said = change(ada, "told", {"spec": {"input": given}})
        assert "input cannot be changed once an Execution is created" in said, given
    assert change(ada, "told", {"metadata": {"labels": {"team": "t"}}}) == ""


def test_who_may_not_delete_it_gives_it_no_owner_with_whom_it_would_go(
    people: People, ada: Person, execution: str
) -> None:
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "no-such-uid"}
    owned = {"metadata": {"ownerReferences": [gone]}}
    assert "by those who may delete it" in change(ada, execution, owned)
    verbs = ["get", "patch", "delete"]
    rule = {"apiGroups": [GROUP], "resources": ["executions"], "verbs": verbs}
    person = Person(people.namespace, "deletes").may(rule)
    people.execution("owned", "none", startDeadlineSeconds=10_000)
    people.namespace.wait(lambda: not change(person, "owned", owned), "the right")


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"treadle.dev/execution": "another"}},
        {"labels": {"treadle.dev/parent-namespace": "another"}},
        {"annotations": {"treadle.dev/awaited": "true"}},
        {"annotations": {"treadle.dev/task": "0.1.1"}},
        {"annotations": {"treadle.dev/execution-name": None}},
    ],
)
def test_nobody_makes_a_child_one_that_is_not_waited_for(
    people: People, ada: Person, metadata: Any
) -> None:
    name = "child"
    if name not in {each["metadata"]["name"] for each in people.all()}:
        whose = {"treadle.dev/execution-name": "parent", "treadle.dev/task": "0.2.1"}
        about = {"name": name, "labels": {"treadle.dev/execution": "uid"}, "annotations": whose}
        spec = {"stateMachineRef": {"name": "none"}, "startDeadlineSeconds": 10_000}
        body = {"apiVersion": API_VERSION, "kind": "Execution", "metadata": about, "spec": spec}
        place = (GROUP, VERSION, people.namespace.name, EXECUTIONS)
        ada.custom.create_namespaced_custom_object(*place, body)
    assert "for whom a child runs" in change(ada, name, {"metadata": metadata})
    assert change(ada, name, {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}}) == ""


def test_what_changes_neither_needs_no_verb(ada: Person, execution: str) -> None:
    assert change(ada, execution, {"metadata": {"labels": {"team": "t"}}}) == ""
    assert change(ada, execution, {"spec": {"suspend": False}}) == ""


def test_kubernetes_own_roles_have_our_rights(people: People, execution: str) -> None:
    rbac: Any = client.RbacAuthorizationV1Api(people.namespace.cluster.client)
    group, space = "rbac.authorization.k8s.io", people.namespace.name
    names = {"view": "viewer", "edit": "editor"}
    for role, name in names.items():
        ref = {"apiGroup": group, "kind": "ClusterRole", "name": role}
        subject = {"apiGroup": group, "kind": "User", "name": name}
        body = {"metadata": {"name": role}, "roleRef": ref, "subjects": [subject]}
        rbac.create_namespaced_role_binding(space, body)
    editor, viewer = (Person(people.namespace, names[role]) for role in ("edit", "view"))
    stop = {"spec": {"stop": {}}}
    people.namespace.wait(lambda: not change(editor, execution, stop), "edit")
    assert said_against(lambda: create(editor, {"serviceAccountName": "any"})) == ""
    place = (GROUP, VERSION, space, EXECUTIONS, execution)
    assert said_against(lambda: viewer.custom.get_namespaced_custom_object(*place)) == ""
    assert "cannot patch" in change(viewer, execution, stop)


# ------------------------------------------------------------------------------------ versions


def test_the_number_of_a_version_is_taken_back_by_people_and_given_by_nobody_else(
    people: People, ada: Person
) -> None:
    name, label = "numbered", "treadle.dev/version"
    spec = {"stateMachine": "numbered", "digest": "d", "definition": DEFINITION}
    people.create("StateMachineRevision", REVISIONS, name, spec)
    place = (GROUP, VERSION, people.namespace.name, REVISIONS, name)

    def said(number: str | None, **labels: str) -> str:
        change = {"metadata": {"labels": {label: number, **labels}}}
        return said_against(lambda: ada.custom.patch_namespaced_custom_object(*place, change))

    assert "is given by Treadle alone" in said("1")
    assert said(None, mine="yes") == ""
    people.delete(name, REVISIONS)
    body = {"apiVersion": API_VERSION, "kind": "StateMachineRevision", "spec": spec}
    metadata = {"name": name, "labels": {label: "1"}}
    # As a backup is restored.
    people.namespace.custom.create_namespaced_custom_object(
        *place[:-1], {**body, "metadata": metadata}
    )
    assert "is given by Treadle alone" in said("2")
    assert said("1", mine="yes") == ""
    assert said(None) == ""
    assert "is given by Treadle alone" in said("1")


def test_a_revision_does_not_change_whatever_members_it_has(people: People, ada: Person) -> None:
    template = {"metadata": {"labels": {"a": "b"}}}
    spec = {"stateMachine": "m", "digest": "d", "definition": DEFINITION, "podTemplate": template}
    people.create("StateMachineRevision", REVISIONS, "templated", spec)
    place = (GROUP, VERSION, people.namespace.name, REVISIONS, "templated")
    patch = {"spec": {"podTemplate": {"metadata": None, "spec": {"hostNetwork": True}}}}
    said = said_against(lambda: ada.custom.patch_namespaced_custom_object(*place, patch))
    assert "a revision cannot be changed" in said


def test_who_may_change_a_revision_cannot_have_it_deleted(people: People, ada: Person) -> None:
    spec = {"stateMachine": "owned", "digest": "d", "definition": DEFINITION}
    people.create("StateMachineRevision", REVISIONS, "owned", spec)
    place = (GROUP, VERSION, people.namespace.name, REVISIONS, "owned")

    def said(**metadata: Any) -> str:
        change = {"metadata": metadata}
        return said_against(lambda: ada.custom.patch_namespaced_custom_object(*place, change))

    gone = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "no-such-uid"}
    assert "has no owner, and is given none" in said(ownerReferences=[gone])
    assert said(labels={"mine": "yes"}) == ""


def test_the_api_server_finds_no_fault_with_the_expressions(installation: Installation) -> None:
    admission: Any = client.AdmissionregistrationV1Api(installation.namespace.cluster.client)
    suffix = f".{installation.namespace.name}"

    def policies() -> list[Any]:
        listed = admission.list_validating_admission_policy().items
        return [each for each in listed if each.metadata.name.endswith(suffix)]

    def checked() -> bool:
        return all(each.status and each.status.observed_generation for each in policies())

    installation.namespace.wait(checked, "the check of the expressions")
    assert len(policies()) == 5
    for each in policies():
        checking = each.status.type_checking
        assert not (checking and checking.expression_warnings), checking
