"""Argo CD's example: its health checks by a real Lua over recorded objects, and its manifests."""

from pathlib import Path
from typing import Any

import pytest
from lupa import lua51
from ruamel.yaml import YAML

from tests.support import argocd
from tests.support.argocd import Health

Obj = dict[str, Any]

NOT_A_TYPE = (
    'InvalidDefinition: /States/Only/Type: Type is "Dance"; it must be one of Task, Pass, Choice, '
    "Wait, Succeed, Fail, Parallel, Map."
)
SAID = {
    "machine-new": Health("Progressing", "the definition is not judged yet"),
    "machine-ready": Health("Healthy", "executions may start"),
    "machine-invalid": Health("Degraded", NOT_A_TYPE),
    "machine-changed": Health("Progressing", "the definition is not judged yet"),
    "execution-new": Health("Progressing", "Pending"),
    "execution-pending": Health("Progressing", "Pending: StateMachine 'nowhere' does not exist"),
    "execution-running": Health("Progressing", "Running in Hang"),
    "execution-map": Health("Progressing", "Running in Hang, items 1/3"),
    "execution-capacity": Health(
        "Progressing",
        "WaitingForCapacity: Its Pod cannot be scheduled: 0/1 nodes are available: 1 node(s) "
        "didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: "
        "0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    ),
    "execution-suspended": Health("Suspended", "Suspended: nothing new starts; what runs may end"),
    "execution-parked": Health(
        "Degraded", "Parked: its StateMachineRevision parked-9609fe46 is missing"
    ),
    "execution-succeeded": Health("Healthy", "Succeeded"),
    "execution-failed": Health("Degraded", "Failed: Shop.SoldOut: no more"),
    "execution-not-started": Health(
        "Degraded",
        "Failed: Treadle.InvalidDefinition: StateMachine 'wrong': " + NOT_A_TYPE.partition(": ")[2],
    ),
    "execution-timed-out": Health("Degraded", "TimedOut: States.Timeout"),
    "execution-aborted": Health("Degraded", "Aborted: Enough: we changed our mind"),
    "execution-aborted-silently": Health("Degraded", "Aborted"),
}
KINDS = ("StateMachine", "Execution")
RANK = "argocd.argoproj.io/sync-wave"
HOOK = "argocd.argoproj.io/hook"
POLICY = "argocd.argoproj.io/hook-delete-policy"


def loaded(path: Path) -> Obj:
    (document,) = YAML(typ="safe", pure=True).load_all(path.read_text(encoding="utf-8"))
    return dict(document)


# --------------------------------------------------------------------------------------- health


@pytest.mark.parametrize("name", SAID)
def test_each_phase_has_its_health(name: str) -> None:
    assert argocd.health(argocd.recorded(name)) == SAID[name]


def test_every_recorded_object_is_asked_about() -> None:
    assert {path.stem for path in argocd.RECORDED.glob("*.json")} == SAID.keys()


def with_condition(name: str, kind: str, status: str) -> Obj:
    obj = argocd.recorded(name)
    condition = {"type": kind, "status": status, "reason": "Why", "message": "because"}
    obj["status"]["conditions"] = [*obj["status"].get("conditions", []), condition]
    return obj


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("execution-capacity", Health("Suspended", "Suspended: because")),
        ("execution-running", Health("Suspended", "Suspended: because")),
        ("execution-parked", SAID["execution-parked"]),
        ("execution-succeeded", SAID["execution-succeeded"]),
        ("execution-aborted", SAID["execution-aborted"]),
    ],
)
def test_the_weightiest_condition_is_told(name: str, said: Health) -> None:
    assert argocd.health(with_condition(name, "Suspended", "True")) == said


@pytest.mark.parametrize("kind", ["Suspended", "WaitingForCapacity", "Parked"])
def test_a_condition_that_no_longer_holds_says_nothing(kind: str) -> None:
    obj = with_condition("execution-running", kind, "False")
    assert argocd.health(obj) == SAID["execution-running"]


def test_a_machine_that_is_not_known_to_be_ready_is_not_healthy() -> None:
    obj = argocd.recorded("machine-ready")
    for conditions in ([], None, [{"type": "Ready", "status": "Unknown"}]):
        obj["status"]["conditions"] = conditions
        assert argocd.health(obj).status == "Progressing"


@pytest.mark.parametrize("status", [None, {}])
@pytest.mark.parametrize("name", ["machine-new", "execution-new"])
def test_an_object_without_a_status_is_progressing(name: str, status: Obj | None) -> None:
    obj = {**argocd.recorded(name), "status": status}
    assert argocd.health(obj) == SAID[name]


@pytest.mark.parametrize(
    "script",
    [
        "return {status = 'Healthy', message = string.upper('x')}",
        "return {status = 'Healthy', message = ('x'):upper()}",
        "return {status = 'Healthy', message = require('string').upper('x')}",
        "return {status = 'Healthy', message = math.floor(1.5)}",
        "return {status = 'Healthy', message = os.getenv('HOME')}",
        "while true do end",
    ],
)
def test_what_argo_cd_does_not_give_to_a_script_is_not_given_here(script: str) -> None:
    with pytest.raises(lua51.LuaError):
        argocd.health(argocd.recorded("machine-ready"), script)


def test_the_config_map_holds_the_scripts_to_the_letter() -> None:
    data = loaded(argocd.EXAMPLE / "argocd-cm.yaml")["data"]
    scripts = {kind: argocd.health_script("treadle.dev", kind) for kind in KINDS}
    assert data == {
        f"resource.customizations.health.treadle.dev_{kind}": text for kind, text in scripts.items()
    }


# ------------------------------------------------------------------------------------ manifests


def manifest(name: str) -> Obj:
    return loaded(argocd.EXAMPLE / "manifests" / f"{name}.yaml")


def notes(name: str) -> dict[str, str]:
    found: dict[str, str] = manifest(name)["metadata"]["annotations"]
    assert all(isinstance(value, str) for value in found.values())
    return found


def test_the_machine_comes_a_wave_before_its_execution() -> None:
    assert int(notes("machine")[RANK]) < int(notes("execution")[RANK])
    for name in ("execution", "hook"):
        ref = manifest(name)["spec"]["stateMachineRef"]["name"]
        assert ref == manifest("machine")["metadata"]["name"]


def test_the_hook_is_not_deleted_to_be_run_again() -> None:
    """Without a policy that Argo CD knows, BeforeHookCreation holds."""
    assert notes("hook")[HOOK] == "PostSync"
    assert notes("hook")[POLICY] == "HookFailed"


def test_the_application_neither_drops_nulls_nor_replaces() -> None:
    options = loaded(argocd.EXAMPLE / "application.yaml")["spec"]["syncPolicy"]["syncOptions"]
    assert "ServerSideApply=true" in options
    assert not [each for each in options if each.startswith(("Replace", "Force"))]
    assert manifest("machine")["spec"]["definition"]["States"]["Import"]["ResultPath"] is None
