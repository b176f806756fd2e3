"""Who may do what: the operator in its scope, its hooks, and users."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest

from tests.runtime.stage import Stage, on_a_stage
from tests.support import chart
from tests.support.chart import Right, granted, hook_of, of_kind, of_rules
from treadle.app import trial
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.kube.schemas import ExecutionSpec

NAMESPACED = {"scope": "namespaces", "namespaces": ["a", "b"]}
# In namespaced scope only these are not about one namespace: kinds, policies, and roles that nobody
# is bound to.
CLUSTER_WIDE = (
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ClusterRole",
)
LEASES = {Right("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}
KEYS = {Right("", "secrets", verb) for verb in ("get", "create")}
CLUSTER_ONLY = {
    Right("authentication.k8s.io", "tokenreviews", "create"),
    Right("authorization.k8s.io", "subjectaccessreviews", "create"),
    Right("", "nodes", "list"),
    Right("apiextensions.k8s.io", "customresourcedefinitions", "list"),
    Right("apiextensions.k8s.io", "customresourcedefinitions", "watch"),
}


def rules_of(role: str) -> set[Right]:
    """What Kubernetes adds to its own role of this name."""
    label = f"rbac.authorization.k8s.io/aggregate-to-{role}"
    roles = of_kind(chart.objects(), "ClusterRole")
    return {
        right
        for each in roles
        if each["metadata"]["labels"].get(label) == "true"
        for right in of_rules(each["rules"])
    }


# --------------------------------------------------------------------------------- the operator


def test_in_namespaced_scope_nothing_is_granted_cluster_wide() -> None:
    objs = chart.objects(NAMESPACED)
    assert of_kind(objs, "ClusterRoleBinding") == []
    wide = [obj for obj in objs if "namespace" not in obj["metadata"]]
    assert {obj["kind"] for obj in wide} <= set(CLUSTER_WIDE)
    account = chart.account(objs)
    assert {place for place, _ in granted(objs, account)} == {"treadle-system", "a", "b"}


def test_there_it_is_granted_the_same_in_each_namespace() -> None:
    objs = chart.objects(NAMESPACED)
    found = {p: of_rules(r) for p, r in granted(objs, chart.account(objs))}
    assert found["a"] == found["b"]
    assert found["treadle-system"] == LEASES | KEYS
    wide = chart.objects()
    assert chart.rights(wide, chart.account(wide)) == found["a"] | LEASES | KEYS | CLUSTER_ONLY


def test_a_namespace_of_the_release_may_be_served_too() -> None:
    objs = chart.objects({"scope": "namespaces", "namespaces": ["treadle-system"]})
    found = list(granted(objs, chart.account(objs)))
    assert [place for place, _ in found] == ["treadle-system", "treadle-system"]


def test_it_may_read_no_secret_but_its_own_keys() -> None:
    objs = chart.objects()
    for place, rules in granted(objs, chart.account(objs)):
        for rule in rules:
            if "secrets" not in rule["resources"]:
                continue
            is_own = rule.get("resourceNames") == ["treadle-token-keys"]
            assert set(rule["verbs"]) <= {"create", "delete"} | ({"get"} if is_own else set())
            assert not is_own or place == "treadle-system"


def test_it_may_make_no_pod_itself() -> None:
    objs = chart.objects()
    assert Right("", "pods", "create") not in chart.rights(objs, chart.account(objs))


def test_no_rule_has_a_wildcard() -> None:
    objs = chart.objects()
    rules = [rule for role in of_kind(objs, "Role", "ClusterRole") for rule in role["rules"]]
    assert [rule for rule in rules if "*" in str(rule)] == []


@pytest.mark.parametrize("given", ["", "other"])
def test_only_its_own_lease_is_renewed(given: str) -> None:
    objs = chart.objects({"lease": {"name": given}})
    (role,) = [o for o in of_kind(objs, "Role") if not hook_of(o)]
    (renews,) = [rule for rule in role["rules"] if "update" in rule["verbs"]]
    assert renews["resourceNames"] == [given or "treadle"]


def test_policies_hold_where_the_operator_serves() -> None:
    for binding in of_kind(chart.objects(NAMESPACED), "ValidatingAdmissionPolicyBinding"):
        selector = binding["spec"]["matchResources"]["namespaceSelector"]
        (expression,) = selector["matchExpressions"]
        assert expression["values"] == ["a", "b"]
    for binding in of_kind(chart.objects(), "ValidatingAdmissionPolicyBinding"):
        assert "matchResources" not in binding["spec"]


# What they say is tried out on an API server; here, that they refuse and which verbs they ask for.
def test_policies_refuse_and_ask_for_their_verbs() -> None:
    policies = of_kind(chart.objects(), "ValidatingAdmissionPolicy")
    asked = {
        policy["metadata"]["name"].partition(".")[0]: set(
            re.findall(r"check\('(\w+)'\)", str(policy["spec"]["validations"]))
        )
        for policy in policies
    }
    assert asked == {
        "late-jobs": set(),
        "service-accounts": {"impersonate"},
        "execution-verbs": {"stop", "suspend", "redrive", "delete"},
        "approvals": {"approve"},
        "versions": set(),
    }
    assert [p for p in policies if p["spec"]["failurePolicy"] != "Fail"] == []


def test_who_asks_is_proven_also_where_an_execution_is_created() -> None:
    policies = of_kind(chart.objects(), "ValidatingAdmissionPolicy")
    (policy,) = [p for p in policies if p["metadata"]["name"].startswith("execution-verbs")]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    said = [each["expression"] for each in policy["spec"]["validations"]]
    for verb in ("stop", "redrive"):
        assert len([e for e in said if f"{verb}.by == request.userInfo.username" in e]) == 1


def test_each_policy_is_bound_to_deny() -> None:
    objs = chart.objects()
    bound = {
        binding["spec"]["policyName"]: binding["spec"]["validationActions"]
        for binding in of_kind(objs, "ValidatingAdmissionPolicyBinding")
    }
    policies = of_kind(objs, "ValidatingAdmissionPolicy")
    assert bound == {policy["metadata"]["name"]: ["Deny"] for policy in policies}


# ---------------------------------------------------------------------------------------- hooks


def test_the_test_hook_may_do_what_a_trial_asks_and_no_more() -> None:
    async def play(stage: Stage) -> list[tuple[str, str]]:
        with suppress(trial.TrialFailed):
            await trial.try_out(stage.api, "default", "t", seconds=1.0)
        return stage.api.seen

    plurals = {kind.name: kind.plural for kind in (EXECUTIONS, STATE_MACHINES)}
    asked = {Right("treadle.dev", plurals[name], verb) for verb, name in on_a_stage(play)}
    assert chart.rights(chart.objects(), "treadle-try") == asked


def test_where_no_roles_are_wanted_there_are_none() -> None:
    objs = chart.objects({"rbac": {"create": False, "aggregate": False}})
    kinds = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    assert of_kind(objs, *kinds) == []


# ---------------------------------------------------------------------------------------- users


def test_viewers_look_and_editors_write_and_administrators_tidy_up() -> None:
    view, edit, admin = (rules_of(role) for role in ("view", "edit", "admin"))
    assert view < edit < admin
    assert {right.verb for right in view} == {"get", "list", "watch"}
    written = {right.resource for right in edit if right.verb == "create"}
    assert written == {"statemachines", "statemachinealiases", "executions", "activities"}
    assert not [r for r in admin if r.resource.endswith("/status")], "the operator's alone"


def test_editors_have_a_verb_for_each_member_that_changes() -> None:
    verbs = {right.verb for right in rules_of("edit") if right.resource == "executions"}
    ruled = str(ExecutionSpec.model_config["json_schema_extra"])
    # stateMachineRef has a rule of its own; stop's rule lets it be given once.
    changes = {
        field.alias
        for name, field in ExecutionSpec.model_fields.items()
        if field.alias and f"{field.alias} cannot be changed" not in ruled
    } - {"stateMachineRef", "suspendBy"}  # the latter goes with suspend
    assert changes <= verbs
