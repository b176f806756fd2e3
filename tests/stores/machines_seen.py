"""Machines and their revisions as a user of the API server creates and sees them."""

from typing import Any

from tests.runtime.stage import Stage
from treadle.kube.api import Obj
from treadle.kube.kinds import REVISIONS, STATE_MACHINES


def machine(stage: Stage, name: str = "m") -> Obj:
    return stage.objects.get(STATE_MACHINES, "default", name)


def ready(stage: Stage, name: str = "m") -> Obj:
    (condition,) = machine(stage, name)["status"]["conditions"]
    assert condition["type"] == "Ready"
    return condition


def revisions(stage: Stage) -> list[str]:
    return [obj["metadata"]["name"] for obj in stage.objects.each(REVISIONS)]


def create(stage: Stage, spec: Any, name: str = "m", **metadata: Any) -> None:
    obj = {"metadata": {"name": name, **metadata}, "spec": spec}
    stage.objects.create(STATE_MACHINES, "default", obj)
