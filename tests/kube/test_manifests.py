"""An order becomes a Job that is safe by default and says whose attempt it is."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from treadle.asl.errors import StateError
from treadle.engine.commands import Task
from treadle.engine.events import TaskId
from treadle.kube import manifests, names
from treadle.kube.podtemplates import PodDefaults, merged, problems
from treadle.runtime.ports import ExecutionKey, Order

NOW = datetime(2026, 1, 1, 12, 0, 0, 700_000, tzinfo=UTC)
KEY = ExecutionKey("default", "thumbnails-1", "uid-of-execution")


def an_order(parameters: Any = None, *, pods: dict[str, Any] | None = None, **more: Any) -> Order:
    given: dict[str, Any] = {
        "id": TaskId(2, 7, 3),
        "state": "Resize Ünit",
        "resource": "treadle:job",
        "parameters": {"image": "img"} if parameters is None else parameters,
        "input": {"key": "a/b.pdf"},
        "digest": "d1",
        "due_at": NOW,
        "deadline_at": None,
        "uid": "",
        "path": "Each[4]/Resize Ünit",
        **more,
    }
    return Order(KEY, Task(**given), pods or {}, 1_048_576)


def job(order: Order, **more: Any) -> dict[str, Any]:
    made = manifests.job(
        order, **{"defaults": PodDefaults(), "create_before": None, "now": NOW, **more}
    )
    assert not isinstance(made, StateError), made
    return made


def error(order: Order, **more: Any) -> StateError:
    made = manifests.job(
        order, **{"defaults": PodDefaults(), "create_before": None, "now": NOW, **more}
    )
    assert isinstance(made, StateError)
    return made


def main(made: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = made["spec"]["template"]["spec"]["containers"][0]
    return container


def env(made: dict[str, Any]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in main(made)["env"]}


def test_the_smallest_job_reads_as_a_whole() -> None:
    name = names.attempt(KEY, TaskId(2, 7, 3))
    labels = {"treadle.dev/execution": "uid-of-execution", "treadle.dev/attempt": name}
    annotations = {
        "treadle.dev/execution-name": "thumbnails-1",
        "treadle.dev/task": "2.7.3",
        "treadle.dev/task-digest": "d1",
        "treadle.dev/state": "Resize Ünit",
        "treadle.dev/path": "Each[4]/Resize Ünit",
        "treadle.dev/attempt-number": "3",
    }
    assert job(an_order(), create_before=NOW + timedelta(seconds=15)) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": labels,
            # Whole seconds, downwards: a creationTimestamp has no others.
            "annotations": {**annotations, "treadle.dev/create-before": "2026-01-01T12:00:15Z"},
            "ownerReferences": [
                {
                    "apiVersion": "treadle.dev/v1alpha1",
                    "kind": "Execution",
                    "name": "thumbnails-1",
                    "uid": "uid-of-execution",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {**annotations, "treadle.dev/input": '{"key":"a/b.pdf"}'},
                    "finalizers": ["treadle.dev/result"],
                },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "main",
                            "image": "img",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "env": [
                                {"name": "TREADLE_INPUT_FILE", "value": "/treadle/input.json"},
                                {"name": "TREADLE_RESULT_FILE", "value": "/dev/termination-log"},
                            ],
                            "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "volumeMounts": [
                                {
                                    "name": "treadle-input",
                                    "mountPath": "/treadle",
                                    "readOnly": True,
                                }
                            ],
                        }
                    ],
                    "volumes": [
                        {
                            "name": "treadle-input",
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "input.json",
                                        "fieldRef": {
                                            "apiVersion": "v1",
                                            "fieldPath": (
                                                "metadata.annotations['treadle.dev/input']"
                                            ),
                                        },
                                    }
                                ]
                            },
                        }
                    ],
                },
            },
        },
    }


def test_what_the_object_says_names_the_attempt_again() -> None:
    order = an_order()
    made = job(order)
    assert names.attempt_of(made) == order.attempt
    pod = {"metadata": {**made["spec"]["template"]["metadata"], "namespace": "default"}}
    assert names.attempt_of(pod) == order.attempt


def test_layers_lie_over_one_another_in_order() -> None:
    chart = {"spec": {"nodeSelector": {"a": "chart", "b": "chart"}, "priorityClassName": "low"}}
    pods = {
        "serviceAccountName": "worker",
        "podTemplate": {"spec": {"nodeSelector": {"b": "machine"}, "tolerations": [{"key": "x"}]}},
        "podTemplates": {
            "gpu": {
                "metadata": {"labels": {"queue": "gpu"}, "annotations": {"n": "1"}},
                "spec": {"nodeSelector": {"c": "gpu"}, "tolerations": []},
            }
        },
    }
    order = an_order({"image": "img", "template": "gpu"}, pods=pods)
    made = job(order, defaults=PodDefaults(chart))
    spec = made["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"a": "chart", "b": "machine", "c": "gpu"}
    assert (spec["priorityClassName"], spec["serviceAccountName"]) == ("low", "worker")
    assert spec["tolerations"] == []
    assert made["metadata"]["labels"]["queue"] == "gpu"
    assert made["spec"]["template"]["metadata"]["annotations"]["n"] == "1"


def test_short_members_lie_over_the_template_of_main() -> None:
    container = {
        "name": "main",
        "image": "old",
        "command": ["a", "b"],
        "workingDir": "/w",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {}}}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    }
    sidecar = {"name": "proxy", "image": "p"}
    pods = {"podTemplate": {"spec": {"containers": [sidecar, container]}}}
    parameters = {
        "image": "new",
        "command": ["c"],
        "args": ["$(A)", 7, True],
        "env": {"B": "x", "N": 3},
        "resources": {"limits": {"cpu": 2}},
    }
    made = job(an_order(parameters, pods=pods))
    got = main(made)
    assert (got["image"], got["command"], got["workingDir"]) == ("new", ["c"], "/w")
    assert got["args"] == ["$(A)", "7", "true"]
    assert got["resources"] == {"limits": {"cpu": 2, "memory": "1Gi"}}
    assert [e for e in got["env"] if not e["name"].startswith("TREADLE")] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "x"},  # not beside the valueFrom below it
        {"name": "N", "value": "3"},
    ]
    other = made["spec"]["template"]["spec"]["containers"][1]
    assert other["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (
            {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]},
            {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]},
            {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]},
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
            {
                "volumes": [
                    {"name": "v", "configMap": {"name": "c"}},
                    {"name": "w", "emptyDir": {}},
                ]
            },
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/w"}]},
            {"volumeMounts": [{"name": "v", "mountPath": "/b"}, {"name": "v", "mountPath": "/c"}]},
            {
                "volumeMounts": [
                    {"name": "v", "mountPath": "/b"},
                    {"name": "v", "mountPath": "/c"},
                    {"name": "w", "mountPath": "/w"},
                ]
            },
        ),
    ],
)
def test_maps_merge_and_lists_replace_except_by_name(base: Any, over: Any, expected: Any) -> None:
    assert merged(base, over) == expected


def test_a_template_cannot_take_our_own_members_away() -> None:
    template = {
        "metadata": {
            "labels": {"treadle.dev/attempt": "x"},
            "annotations": {"treadle.dev/task": "9.9.9", "treadle.dev/input": "{}"},
            "finalizers": ["other"],
        },
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "terminationMessagePolicy": "File",
                    "terminationMessagePath": "/result",
                    "env": [{"name": "TREADLE_INPUT_FILE", "value": "/etc/passwd"}],
                }
            ]
        },
    }
    made = job(an_order(pods={"podTemplate": template}))
    metadata = made["spec"]["template"]["metadata"]
    assert metadata["labels"]["treadle.dev/attempt"] == made["metadata"]["name"]
    assert metadata["annotations"]["treadle.dev/task"] == "2.7.3"
    assert metadata["annotations"]["treadle.dev/input"] == '{"key":"a/b.pdf"}'
    assert metadata["finalizers"] == ["treadle.dev/result", "other"]
    assert main(made)["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert env(made)["TREADLE_RESULT_FILE"] == "/result"
    assert env(made)["TREADLE_INPUT_FILE"] == "/treadle/input.json"


def test_mounted_volumes_are_told_to_the_container() -> None:
    template = {
        "spec": {
            "volumes": [{"name": "scratch-1.a", "emptyDir": {}}],
            "containers": [
                {"name": "main", "volumeMounts": [{"name": "scratch-1.a", "mountPath": "/s"}]}
            ],
        }
    }
    made = job(an_order(pods={"podTemplate": template}))
    assert env(made)["TREADLE_VOLUME_SCRATCH_1_A"] == "/s"
    assert [v["name"] for v in made["spec"]["template"]["spec"]["volumes"]] == [
        "scratch-1.a",
        "treadle-input",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, None), (300, 360), (0.2, 61), (-10, 50), (-500, 1)]
)
def test_the_jobs_own_deadline_is_a_minute_behind(seconds: float | None, expected: Any) -> None:
    at = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert job(an_order(deadline_at=at))["spec"].get("activeDeadlineSeconds") == expected


def test_the_start_timeout_counts_from_when_the_attempt_began() -> None:
    made = job(
        an_order({"image": "i", "startTimeoutSeconds": 90}, due_at=NOW - timedelta(seconds=30))
    )
    assert made["metadata"]["annotations"]["treadle.dev/start-by"] == "2026-01-01T12:01:00.700000Z"


# --------------------------------------------------------------------------------- the input file


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"image": "i"}, '{"key":"a/b.pdf"}'),
        ({"image": "i", "input": [1, "ü"]}, '[1,"ü"]'),
        ({"image": "i", "input": None}, "null"),
    ],
)
def test_the_input_is_that_of_the_parameters_or_of_the_state(parameters: Any, text: str) -> None:
    made = job(an_order(parameters))
    assert made["spec"]["template"]["metadata"]["annotations"]["treadle.dev/input"] == text


def test_an_input_above_128_kib_goes_through_a_secret() -> None:
    small, big = "x" * (128 * 1024 - 2), "ü" * 70_000
    order = an_order(input=small)
    assert manifests.input_secret(order, job(order)) is None
    order = an_order(input=big)
    made = job(order)
    secret = manifests.input_secret(order, made)
    assert secret is not None
    name = made["metadata"]["name"]
    assert secret["metadata"]["name"] == name
    assert secret["metadata"]["ownerReferences"] == made["metadata"]["ownerReferences"]
    assert secret["immutable"] is True
    assert base64.b64decode(secret["data"]["input.json"]).decode() == f'"{big}"'
    template = made["spec"]["template"]
    assert template["spec"]["volumes"] == [
        {"name": "treadle-input", "secret": {"secretName": name}}
    ]
    assert "treadle.dev/input" not in template["metadata"]["annotations"]
    assert made["metadata"]["annotations"]["treadle.dev/input-secret"] == name


def test_an_input_above_a_mebibyte_is_the_states_error() -> None:
    assert error(an_order(input="x" * (1024 * 1024))).name == "States.DataLimitExceeded"
    assert isinstance(job(an_order(input="x" * (1024 * 1024 - 2))), dict)


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([], "must be an object"),
        ({}, "image is missing"),
        ({"image": ""}, "image must be a text"),
        ({"image": 5}, "image must be a text"),
        ({"image": " i"}, "image must be a text"),
        ({"image": "i", "command": "sh"}, "command must be a list"),
        ({"image": "i", "args": [{"a": 1}]}, "args must hold texts"),
        ({"image": "i", "args": [None]}, "args must hold texts"),
        ({"image": "i", "env": {"A": []}}, "env must hold texts"),
        ({"image": "i", "env": "A=1"}, "env must be an object"),
        ({"image": "i", "env": [{"value": "x"}]}, "env must be a list of objects"),
        ({"image": "i", "env": [{"name": "A", "hostPath": "x"}]}, "entry A may have"),
        ({"image": "i", "resources": {"cpu": 1}}, "resources must be"),
        ({"image": "i", "template": "none"}, "no Pod template named none"),
        ({"image": "i", "startTimeoutSeconds": True}, "startTimeoutSeconds must be"),
        ({"image": "i", "startTimeoutSeconds": 0}, "startTimeoutSeconds must be"),
        ({"image": "i", "resultFrom": "mail"}, "resultFrom must be"),
        ({"image": "i", "resultFrom": "log"}, "not supported"),
        ({"image": "i", "hostNetwork": True}, "hostNetwork is not a Parameter"),
    ],
)
def test_parameters_that_cannot_be_used_are_the_states_error(parameters: Any, words: str) -> None:
    found = error(an_order(parameters))
    assert found.name == "Treadle.InvalidParameters"
    assert words in (found.cause or "")


def test_all_that_is_wrong_is_said_at_once() -> None:
    cause = error(an_order({"image": 5, "command": "sh", "nodeName": "n"})).cause or ""
    assert all(word in cause for word in ("image", "command", "nodeName"))


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"spec": {"restartPolicy": "OnFailure"}}, "restartPolicy"),
        ({"spec": []}, "spec of a Pod template"),
        ({"metadata": "x"}, "metadata of a Pod template"),
        ({"spec": {"containers": "main"}}, "containers of a Pod template"),
        ({"spec": {"volumes": [{}]}}, "volumes of a Pod template"),
        ([1], "must be an object"),
        ({"spec": {"containers": [{"name": "main", "volumeMounts": [1]}]}}, "volumeMounts"),
    ],
)
def test_a_template_without_the_shape_of_one_is_refused(template: Any, words: str) -> None:
    found = error(an_order(pods={"podTemplate": template}))
    assert found.name == "Treadle.InvalidParameters"
    assert words in (found.cause or "")


def test_pods_above_the_level_are_refused() -> None:
    pods = {"podTemplate": {"spec": {"hostNetwork": True}}}
    found = error(an_order(pods=pods))
    assert found.name == "Kubernetes.Forbidden"
    assert "hostNetwork" in (found.cause or "")
    assert job(an_order(pods=pods), defaults=PodDefaults(level="privileged"))


def test_the_default_pod_is_restricted() -> None:
    assert job(an_order(), defaults=PodDefaults(level="restricted"))


def test_a_machines_templates_are_judged_without_its_data() -> None:
    pods: dict[str, Any] = {
        "podTemplate": {"spec": {"tolerations": []}},
        "podTemplates": {"fine": {}, "a/b": {"spec": {"hostPID": True}}},
    }
    assert [pointer for pointer, _ in problems(pods, PodDefaults())] == ["/podTemplates/a~1b"]
    assert [p for p, _ in problems({"podTemplate": []}, PodDefaults())] == ["/podTemplate"]
    assert [p for p, _ in problems({"podTemplates": []}, PodDefaults())] == ["/podTemplates"]


# ------------------------------------------------------------------------------------- tombstones


def test_a_tombstone_takes_the_name_and_never_runs() -> None:
    order = an_order(parameters={"not": "usable"})
    made = manifests.tombstone(order, create_before=NOW)
    real = job(an_order())
    assert made["metadata"]["name"] == real["metadata"]["name"]
    assert made["metadata"]["labels"] == real["metadata"]["labels"]
    assert made["metadata"]["ownerReferences"] == real["metadata"]["ownerReferences"]
    assert made["metadata"]["annotations"]["treadle.dev/create-before"] == "2026-01-01T12:00:00Z"
    assert (made["spec"]["suspend"], made["spec"]["activeDeadlineSeconds"]) == (True, 0)
    assert "finalizers" not in made["spec"]["template"]["metadata"]


def test_env_may_be_kubernetes_own_list() -> None:
    ref = {"secretKeyRef": {"name": "s", "key": "k"}}
    entries = [{"name": "A", "value": 1.5}, {"name": "B", "valueFrom": ref}, {"name": "C"}]
    made = job(an_order({"image": "i", "env": entries, "resultFrom": "file"}))
    assert main(made)["env"][2:] == [
        {"name": "A", "value": "1.5"},
        {"name": "B", "valueFrom": ref},
        {"name": "C"},
    ]


def test_parameters_and_an_input_that_fits_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    order = an_order()
    read: list[str] = []
    for name in ("parse", "dumps"):
        monkeypatch.setattr(manifests, name, noting(read, getattr(manifests, name)))
    assert manifests.input_secret(order, job(order)) is None
    assert read == ["parse", "dumps"]


def noting(calls: list[str], real: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*given: Any) -> Any:
        calls.append(real.__name__)
        return real(*given)

    return noted
