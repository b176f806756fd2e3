"""Held Pods are freed, those of others and other finalizers are left alone."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.app.freeing import PASSES_MAX, free_pods
from treadle.kube import names
from treadle.kube.kinds import PODS
from treadle.runtime.ports import Refused, Unavailable

JOBS_OWN = "batch.kubernetes.io/job-tracking"
OURS = names.RESULT_FINALIZER


def a_pod(
    stage: Stage, name: str, *finalizers: str, namespace: str = "a", ours: bool = True
) -> None:
    stage.objects.namespaces.setdefault(namespace, "Active")
    labels = {names.ATTEMPT_NAME: name} if ours else {}
    metadata = {"name": name, "labels": labels, "finalizers": list(finalizers)}
    spec = {"containers": [{"name": "main", "image": "i"}]}
    stage.objects.create(PODS, namespace, {"metadata": metadata, "spec": spec})


def left(stage: Stage, name: str, namespace: str = "a") -> list[str]:
    found: dict[str, Any] = stage.objects.get(PODS, namespace, name)
    return list(found["metadata"].get("finalizers") or [])


def test_our_finalizer_goes_and_others_stay() -> None:
    async def play(stage: Stage) -> None:
        a_pod(stage, "both", JOBS_OWN, OURS)
        a_pod(stage, "alone", OURS)
        a_pod(stage, "free", JOBS_OWN)
        a_pod(stage, "strange", OURS, ours=False)
        assert await free_pods(stage.api, ["a"]) == 2
        assert [left(stage, name) for name in ("both", "alone", "free", "strange")] == [
            [JOBS_OWN],
            [],
            [JOBS_OWN],
            [OURS],
        ]

    on_a_stage(play)


def test_only_the_named_namespaces_are_touched_or_all() -> None:
    async def play(stage: Stage) -> None:
        for namespace in ("a", "b", "c"):
            a_pod(stage, "pod", OURS, namespace=namespace)
        assert await free_pods(stage.api, ["a", "b"]) == 2
        assert left(stage, "pod", "c") == [OURS]
        assert await free_pods(stage.api, [None]) == 1
        assert await free_pods(stage.api, [None]) == 0

    on_a_stage(play)


def test_a_pod_that_comes_a_moment_later_is_freed_too() -> None:
    async def play(stage: Stage) -> None:
        asyncio.get_running_loop().call_later(1, a_pod, stage, "late", OURS)
        assert await free_pods(stage.api, ["a"]) == 1
        assert left(stage, "late") == []

    on_a_stage(play)


def test_pods_that_never_cease_to_come_are_said() -> None:
    async def play(stage: Stage) -> None:
        for number in range(PASSES_MAX):
            stage.api.next("list", PODS, lambda number=number: a_pod(stage, f"p{number}", OURS))
        with pytest.raises(Unavailable, match="is there still an operator"):
            await free_pods(stage.api, ["a"])

    on_a_stage(play)


def test_a_refusal_is_not_kept_quiet() -> None:
    def refuse() -> None:
        raise Refused(403, "Forbidden", "pods is forbidden")

    async def play(stage: Stage) -> None:
        stage.api.next("list", PODS, refuse)
        with pytest.raises(Refused):
            await free_pods(stage.api, ["a"])

    on_a_stage(play)
