"""The pretend node's statuses, without a cluster."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.cluster.lab import pretend_script as script

NOW = "2030-01-01T00:00:00Z"


def pod(
    told: dict[str, Any] | None = None, *, containers: int = 1, **metadata: dict[str, str]
) -> dict[str, Any]:
    command = [] if told is None else ["pretend", json.dumps(told)]
    others = [{"name": f"side-{n}", "image": "i"} for n in range(containers - 1)]
    main = {"name": "main", "image": "i", "command": command}
    return {
        "metadata": {"name": "p", **metadata},
        "spec": {"restartPolicy": "Never", "containers": [*others, main]},
        "status": {"phase": "Pending"},
    }


def last_status(found: dict[str, Any]) -> dict[str, Any]:
    plan = script.scripts(found)
    return script.status(found, plan, set(plan), NOW, NOW)


def end_of_main(found: dict[str, Any]) -> Any:
    (main,) = (c for c in last_status(found)["containerStatuses"] if c["name"] == "main")
    return main["state"]["terminated"]


def test_a_pod_without_a_script_succeeds_at_once_with_an_empty_message() -> None:
    plain = pod()
    assert script.scripts(plain)["main"] == script.Script()
    assert last_status(plain)["phase"] == "Succeeded"
    assert "message" not in end_of_main(plain)


def test_a_pod_that_is_restarted_for_ever_runs_for_ever() -> None:
    served = pod()
    served["spec"]["restartPolicy"] = "Always"
    assert script.scripts(served)["main"].seconds == math.inf


def test_the_annotation_speaks_for_the_main_container_only() -> None:
    told = {script.SCRIPT: json.dumps({"exitCode": 3})}
    plan = script.scripts(pod(containers=2, annotations=told))
    assert {name: each.exit_code for name, each in plan.items()} == {"side-0": 0, "main": 3}


def test_the_input_comes_back_as_the_message() -> None:
    echoing = pod({"echoInput": True}, annotations={script.INPUT: '{"a":1}'})
    assert end_of_main(echoing)["message"] == '{"a":1}'


@pytest.mark.parametrize(("attempt", "code", "message"), [(1, 5, "no"), (2, 5, "no"), (3, 0, "y")])
def test_the_first_attempts_fail(attempt: int, code: int, message: str) -> None:
    told = {"failTimes": 2, "exitCode": 5, "failMessage": "no", "message": "y"}
    ended = end_of_main(pod(told, labels={script.ATTEMPT: str(attempt)}))
    assert (ended["exitCode"], ended.get("message", "")) == (code, message)


def test_out_of_memory_is_137() -> None:
    ended = end_of_main(pod({"reason": "OOMKilled"}))
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_the_end_of_a_long_message_stays() -> None:
    long = pod({"message": "x" * 5000 + "end"})
    assert len(end_of_main(long)["message"]) == 4096
    assert end_of_main(long)["message"].endswith("end")
    assert len(end_of_main(pod({"message": "x" * 5000}, containers=6))["message"]) == 2048


def test_an_evicted_pod_says_who_disrupted_it() -> None:
    status = last_status(pod({"evicted": True}))
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["conditions"][-1]["type"] == "DisruptionTarget"


def test_a_pod_runs_until_its_last_container_ends() -> None:
    found = pod(containers=2)
    plan = script.scripts(found)
    status = script.status(found, plan, {"main"}, NOW, NOW)
    assert status["phase"] == "Running"
    assert [next(iter(c["state"])) for c in status["containerStatuses"]] == [
        "running",
        "terminated",
    ]


def test_a_stopped_container_ends_by_sigterm_and_an_ended_one_as_it_did() -> None:
    plan = {"a": script.Script(exit_code=4), "b": script.Script(seconds=9, message="done")}
    after = script.stopped(plan, {"a"})
    assert (after["a"].exit_code, after["b"].exit_code, after["b"].message) == (4, 143, "")


def test_a_waiting_container_waits_for_ever_unless_told_how_long() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}
    found = pod(waiting)
    plan = script.scripts(found)
    assert plan["main"].seconds == math.inf
    assert script.scripts(pod({**waiting, "seconds": 2}))["main"].seconds == 2
    status = script.waiting_status(found, plan, NOW)
    assert status["phase"] == "Pending"
    state = status["containerStatuses"][0]["state"]
    assert state == {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_script_that_cannot_be_read_is_the_containers_failure(text: str) -> None:
    wrong = pod()
    wrong["spec"]["containers"][0]["command"] = ["pretend", text]
    assert end_of_main(wrong)["exitCode"] == 2
