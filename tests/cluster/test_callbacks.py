"""Task tokens on the real API server: answered over HTTP, across kills, by way of a standby."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support.machines import chain, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, uid_of
from tests.cluster.support.servers import Server

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend")]

OVER = (400, "TaskTimedOut")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def own(loner: People, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator of this test alone."""
    with an_operator(loner, tmp_path / "operator.log") as started:
        yield started


def an_operator(people: People, log: Path, **settings: str) -> OperatorProcess:
    kubeconfig = people.namespace.cluster.kubeconfig
    names = [people.namespace.name]
    return OperatorProcess(
        kubeconfig, log, namespaces=names, http_allow_loopback="true", **settings
    )


def asking(server: Server, **members: Any) -> dict[str, Any]:
    """A Task that tells a server its token, and waits."""
    body = {"token.$": "$$.Task.Token"}
    call = {"ApiEndpoint": server.url("/echo"), "Method": "POST", "RequestBody": body}
    return {
        "Type": "Task",
        "Resource": "treadle:http.waitForTaskToken",
        "Parameters": call,
        **members,
    }


def told(people: People, server: Server, count: int = 1) -> list[str]:
    """The tokens that a server was told, once there are so many."""

    def look() -> list[str]:
        found = [asked.body["token"] for asked in server.asked("/echo")]
        return found if len(found) >= count else []

    return list(people.namespace.wait(look, f"{count} tokens"))


def post(operator: OperatorProcess, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
    """Status, and the type of AWS's error; 0 where nothing answers."""
    url = f"http://127.0.0.1:{operator.api_port}{path}"
    data = b"" if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=data, method="POST", headers=headers), timeout=60
        ) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, str(json.load(refused)["__type"])
    except OSError:
        return 0, ""


def waits(people: People, name: str) -> None:
    people.reaches(
        name,
        lambda status: [p["waitsFor"] for p in status.get("currentStates", ())] == ["callback"],
        "the wait for its callback",
    )


def test_an_answer_is_the_result_and_is_saved_when_it_is_acknowledged(
    loner: People, own: OperatorProcess, server: Server
) -> None:
    loner.run("ask", chain(Ask=asking(server)))
    (token,) = told(loner, server)
    waits(loner, "ask")
    assert post(own, f"/v1/tasks/{token[:-2]}/success", 1) == (400, "InvalidToken")
    assert post(own, f"/v1/tasks/{token}/heartbeat") == (200, "")
    assert post(own, f"/v1/tasks/{token}/success", {"by": "Ada"}) == (200, "")
    assert json.loads(loner.status("ask")["output"]) == {"by": "Ada"}, "saved before it was told"
    assert post(own, f"/v1/tasks/{token}/success", {"by": "Eve"}) == OVER
    assert loner.succeeds("ask") == {"by": "Ada"}
    assert token not in json.dumps(loner.get("ask"))


def test_awss_own_protocol_is_served(loner: People, own: OperatorProcess, server: Server) -> None:
    catch = [{"ErrorEquals": ["No"], "Next": "Caught"}]
    loner.run("ask", chain(Ask=asking(server, Catch=catch, Next="Caught"), Caught=passes()))
    (token,) = told(loner, server)
    json_type = "application/x-amz-json-1.0"
    target = {"X-Amz-Target": "AWSStepFunctions.SendTaskFailure", "Content-Type": json_type}
    said = {"taskToken": token, "error": "No", "cause": "because"}
    assert post(own, "/", said, **target) == (200, "")
    assert loner.succeeds("ask") == {"Error": "No", "Cause": "because"}
    assert post(own, "/", said, **target) == OVER


def test_a_wait_outlives_its_operator_and_starts_nothing_again(
    loner: People, own: OperatorProcess, server: Server
) -> None:
    loner.run("ask", chain(Ask=asking(server, HeartbeatSeconds=600)))
    (token,) = told(loner, server)
    waits(loner, "ask")
    own.kill()
    assert post(own, f"/v1/tasks/{token}/success", 1) == (0, "")
    own.start()
    assert post(own, f"/v1/tasks/{token}/success", 7) == (200, "")
    assert loner.succeeds("ask") == 7
    assert len(server.asked("/echo")) == 1


def test_a_job_hands_its_token_on_and_is_over_when_the_state_still_waits(
    loner: People, own: OperatorProcess
) -> None:
    state = task({"seconds": 0}, Resource="treadle:job.waitForTaskToken")
    state["Parameters"]["env"] = {"TOKEN.$": "$$.Task.Token"}
    made = loner.run("ask", chain(Ask=state))
    job = loner.a_job(uid_of(made))
    env = {
        e["name"]: e.get("value") for e in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    waits(loner, "ask")
    assert post(own, f"/v1/tasks/{env['TOKEN']}/success", 7) == (200, "")
    assert loner.succeeds("ask") == 7


def test_a_silent_holder_is_given_up(loner: People, own: OperatorProcess, server: Server) -> None:
    loner.run("ask", chain(Ask=asking(server, HeartbeatSeconds=2)))
    (token,) = told(loner, server)
    assert loner.fails("ask")["error"] == "States.Timeout"
    assert post(own, f"/v1/tasks/{token}/success", 1) == OVER


def test_a_token_is_dead_when_its_attempt_its_execution_or_its_namespace_is(
    loner: People, own: OperatorProcess, server: Server
) -> None:
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    loner.run("ask", chain(Ask=asking(server, Retry=retry)))
    (first,) = told(loner, server)
    assert post(own, f"/v1/tasks/{first}/failure", {"error": "Again"}) == (200, "")
    _, second = told(loner, server, 2)
    assert post(own, f"/v1/tasks/{first}/success", "first") == OVER
    loner.patch("ask", {"stop": {"error": "Enough"}})
    assert loner.ends("ask")["phase"] == "Aborted"
    assert post(own, f"/v1/tasks/{second}/success", "second") == OVER
    loner.delete("ask")
    assert post(own, f"/v1/tasks/{second}/success", "second") == OVER


def answered(operator: OperatorProcess, token: str, value: Any) -> tuple[int, str]:
    """What the holder of a token is answered who asks until somebody leads, and is known to."""
    said = [(0, "")]

    def asked() -> bool:
        said.append(post(operator, f"/v1/tasks/{token}/success", value))
        return said[-1][0] not in (0, 503)

    operator.wait_for(asked, "an answer", 60)
    return said[-1]


def test_a_standby_passes_an_answer_on_and_answers_itself_after_a_take_over(
    loner: People, server: Server, tmp_path: Path
) -> None:
    with an_operator(loner, tmp_path / "first.log") as first:
        second = an_operator(loner, tmp_path / "second.log")
        second.start(wait=False)
        try:
            for name in ("one", "two"):
                loner.run(name, chain(Ask=asking(server)))
            one, two = told(loner, server, 2)
            assert answered(second, one, 1) == (200, "")
            assert post(first, f"/v1/tasks/{one}/success", 1) == OVER
            assert not second.leads
            first.kill()
            assert answered(second, two, 2) == (200, "")
            assert second.leads
            assert sorted(loner.succeeds(name) for name in ("one", "two")) == [1, 2]
        finally:
            second.terminate()
