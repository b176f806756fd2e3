"""Whole machines through the operator on a real API server; the pods are pretended."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.support.machines import call, chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, condition_of, uid_of
from tests.cluster.support.servers import Server

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend", "operator")]

HANG = {"hang": True}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def result(value: Any, **script: Any) -> dict[str, Any]:
    return {"message": json.dumps(value), **script}


def digits(count: int) -> str:
    return "".join(str(n % 10) for n in range(count))


# -------------------------------------------------------------------------------- the language


def test_a_pass_only_machine_needs_nothing_outside(people: People) -> None:
    first = passes(Result={"b": [1, None, "ü"]}, ResultPath="$.a")
    second = passes(Parameters={"taken.$": "$.a.b", "name.$": "$$.Execution.Name"})
    made = people.run("pass", chain(One=first, Two=second), input={"x": 1})
    assert people.succeeds("pass") == {"taken": [1, None, "ü"], "name": "pass"}
    assert people.leftovers(uid_of(made)) == []


def test_jobs_run_in_order_and_hand_their_results_on(people: People) -> None:
    first = task({"echoInput": True, "seconds": 0.3}, ResultPath="$.first")
    second = task({"echoInput": True}, InputPath="$.first", ResultPath="$.second")
    made = people.run("jobs", chain(First=first, Second=second), input={"n": 1})
    assert people.succeeds("jobs") == {"n": 1, "first": {"n": 1}, "second": {"n": 1}}
    jobs = sorted(
        people.jobs(uid_of(made)),
        key=lambda job: job["metadata"]["annotations"]["treadle.dev/task"],
    )
    states = [job["metadata"]["annotations"]["treadle.dev/state"] for job in jobs]
    assert states == ["First", "Second"]


def test_a_choice_goes_the_way_that_its_input_says(people: People) -> None:
    rule = {"Variable": "$.n", "NumericGreaterThan": 2, "Next": "Large"}
    ways = {"Type": "Choice", "Choices": [rule], "Default": "Small"}
    small, large = passes(Result="small", End=True), passes(Result="large", End=True)
    people.machine("choice", chain(Which=ways, Small=small, Large=large))
    for n in (1, 3):
        people.execution(f"choice-{n}", "choice", input={"n": n})
    assert [people.succeeds(f"choice-{n}") for n in (1, 3)] == ["small", "large"]


def test_a_wait_takes_its_time_and_no_more(people: People) -> None:
    people.run("wait", chain(Rest={"Type": "Wait", "Seconds": 2}, After=passes()))
    waiting = people.reaches("wait", lambda s: s.get("currentStates"), "its Wait")
    assert waiting["currentStates"][0]["name"] == "Rest"
    people.succeeds("wait", seconds=20)
    started, ended = (people.status("wait")[name] for name in ("startTime", "completionTime"))
    seconds = _seconds_between(started, ended)
    assert 2 <= seconds < 4


def _seconds_between(earlier: str, later: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_branches_run_side_by_side_and_give_an_array(people: People) -> None:
    branches = [chain(**{f"A{n}": task(result(n, seconds=0.5))}) for n in range(3)]
    people.run("parallel", chain(Fork={"Type": "Parallel", "Branches": branches}))
    assert people.succeeds("parallel") == [0, 1, 2]


def test_a_map_keeps_order_and_its_bound(people: People) -> None:
    inner = chain(Show=task({"echoInput": True, "seconds": 1.5}))
    items = [{"i": i} for i in range(5)]
    mapped = each(inner, ItemsPath="$.items", MaxConcurrency=2)
    made = people.run("map", chain(Every=mapped), input={"items": items})
    people.reaches("map", lambda s: (s.get("progress") or {}).get("total") == 5, "its progress")
    assert people.succeeds("map") == items
    assert people.status("map")["progress"] == {"done": 5, "failed": 0, "total": 5, "text": "5/5"}
    jobs, pods = people.jobs(uid_of(made)), people.pods(uid_of(made))
    assert len(jobs) == 5
    assert _most_at_once(jobs, pods) <= 2


def _most_at_once(jobs: list[dict[str, Any]], pods: list[dict[str, Any]]) -> int:
    """Of Jobs from their creation to the end of their Pod, in whole seconds."""
    ends = {}
    for pod in pods:
        (status,) = pod["status"]["containerStatuses"]
        job = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        ends[job] = status["state"]["terminated"]["finishedAt"]
    lives = [
        (each["metadata"]["creationTimestamp"], ends[each["metadata"]["name"]]) for each in jobs
    ]
    return max(len([1 for made, end in lives if made <= at < end]) for at, _ in lives)


def test_a_failing_branch_stops_its_siblings(people: People) -> None:
    branches = [chain(Hang=task(HANG)), chain(Break=task({"exitCode": 3, "seconds": 0.5}))]
    made = people.run("sibling", chain(Fork={"Type": "Parallel", "Branches": branches}))
    status = people.fails("sibling")
    assert status["error"] == "Kubernetes.ExitCode.3"
    people.namespace.wait(
        lambda: not [p for p in people.pods(uid_of(made)) if p["status"]["phase"] == "Running"],
        "the sibling's Pod to end",
    )


def test_a_retry_makes_a_new_attempt_and_a_catch_goes_elsewhere(people: People) -> None:
    retry = [{"ErrorEquals": ["Kubernetes.ExitCode.4"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    flaky = {"failTimes": 2, "exitCode": 4, "failMessage": "not yet", "message": '"done"'}
    catch = [{"ErrorEquals": ["Own.Error"], "ResultPath": "$.why", "Next": "Mend"}]
    own = {"exitCode": 1, "message": json.dumps({"error": "Own.Error", "cause": "as told"})}
    states = {
        "Flaky": task(flaky, Retry=retry, ResultPath="$.flaky"),
        "Break": task(own, Catch=catch),
        "Mend": passes(),
    }
    made = people.run("retry", chain(**states), input={})
    assert people.succeeds("retry") == {
        "flaky": "done",
        "why": {"Error": "Own.Error", "Cause": "as told"},
    }
    assert len(people.jobs(uid_of(made))) == 4


def test_a_state_that_takes_too_long_is_timed_out_and_its_pod_stopped(people: People) -> None:
    made = people.run("slow", chain(Slow=task(HANG, TimeoutSeconds=2)))
    status = people.ends("slow")
    assert (status["phase"], status["error"]) == ("Failed", "States.Timeout")
    people.namespace.wait(
        lambda: not [p for p in people.pods(uid_of(made)) if p["status"]["phase"] == "Running"],
        "its Pod to end",
    )


# ------------------------------------------------------------------------------------- http


def test_http_calls_carry_a_key_and_are_retried(people: People, server: Server) -> None:
    url = server.url("/status?code=503&times=2")
    retry = [{"ErrorEquals": ["States.Http.StatusCode.503"], "IntervalSeconds": 1}]
    body = {"RequestBody": {"n": 7}, "Headers": {"X-Own": "yes"}}
    asks = call(url, method="POST", more=body, Retry=retry)
    people.run("http", chain(Ask=asks))
    output = people.succeeds("http")
    assert (output["StatusCode"], output["ResponseBody"]) == (200, {"n": 7})
    keys = [asked.key for asked in server.asked("/status") if asked.body == {"n": 7}]
    assert len(keys) == len(set(keys)) == 3, "each attempt has a key of its own"
    assert all(keys)


def test_a_refusing_server_is_the_states_error(people: People, server: Server) -> None:
    asks = call(server.url("/status?code=404"), method="POST", more={"RequestBody": {"n": 404}})
    people.run("refused", chain(Ask=asks))
    status = people.fails("refused")
    assert status["error"] == "States.Http.StatusCode.404"
    assert '"n": 404' in status["cause"]


# ----------------------------------------------------------------------------- what people may do


def test_a_stopped_execution_is_aborted_with_their_words(people: People) -> None:
    made = people.run("stopped", chain(Hang=task(HANG)))
    people.a_pod(uid_of(made))
    people.patch("stopped", {"stop": {"error": "Enough", "cause": "we changed our mind"}})
    status = people.ends("stopped")
    assert (status["phase"], status["error"]) == ("Aborted", "Enough")
    failed = condition_of(status, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "Aborted")
    people.namespace.wait(
        lambda: not [p for p in people.pods(uid_of(made)) if p["status"]["phase"] == "Running"],
        "its Pod to end",
    )


def test_a_suspended_execution_starts_nothing_until_it_is_resumed(people: People) -> None:
    states = {"One": task({"seconds": 1}), "Two": task()}
    made = people.run("paused", chain(**states))
    people.a_job(uid_of(made))
    people.patch("paused", {"suspend": True})
    people.holds("paused", "Suspended")
    (job,) = people.jobs(uid_of(made))
    people.namespace.finished(job["metadata"]["name"])
    # What ended is taken in (its Pod is let go), but the next state does not begin.
    people.namespace.wait(lambda: not _held(people.pods(uid_of(made))), "the Pod's release")
    assert len(people.jobs(uid_of(made))) == 1
    assert people.status("paused")["phase"] == "Running"
    people.patch("paused", {"suspend": False})
    people.succeeds("paused")
    assert condition_of(people.status("paused"), "Suspended").get("status") == "False"
    assert len(people.jobs(uid_of(made))) == 2


def _held(pods: list[dict[str, Any]]) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in pods
        if "treadle.dev/result" in pod["metadata"].get("finalizers", [])
    ]


def test_deleting_an_execution_in_its_midst_leaves_nothing(people: People) -> None:
    big = {"text": digits(200_000)}
    inner = chain(Hang=task(HANG))
    select = {"n.$": "$$.Map.Item.Value", "text.$": "$.text"}
    mapped = each(inner, ItemsPath="$.items", ItemSelector=select)
    keep = passes(Result=digits(20_000), ResultPath="$.more")
    made = people.run("deleted", chain(Keep=keep, Every=mapped), input={**big, "items": [1, 2, 3]})
    uid = uid_of(made)
    people.namespace.wait(
        lambda: len([p for p in people.pods(uid) if p["status"].get("phase") == "Running"]) == 3,
        "three Pods",
    )
    assert (len(people.secrets(uid)), len(people.jobs(uid))) == (3, 3)
    assert people.pages(uid)
    people.delete("deleted")
    people.nothing_is_left(uid, seconds=60)


def test_what_an_execution_was_told_cannot_be_changed_afterwards(people: People) -> None:
    from kubernetes.client.exceptions import ApiException

    people.run("fixed", chain(Only=passes()), input={"a": 1})
    for change in ({"input": {"a": 2}}, {"stateMachineRef": {"name": "other"}}):
        with pytest.raises(ApiException) as refused:
            people.patch("fixed", change)
        assert refused.value.status == 422
    assert people.succeeds("fixed") == {"a": 1}


# ----------------------------------------------------------------------------------- large data


def test_a_large_input_reaches_its_container_as_a_secret(people: People) -> None:
    given = {"text": digits(200 * 1024)}
    made = people.run("secret", chain(Take=task(result({"n": 1}, seconds=0.5))), input=given)
    pod = people.a_pod(uid_of(made))
    (secret,) = people.secrets(uid_of(made))
    (text,) = secret["data"].values()
    assert json.loads(base64.b64decode(text)) == given
    assert secret["immutable"] is True
    volumes = [each.get("secret", {}).get("secretName") for each in pod["spec"]["volumes"]]
    assert secret["metadata"]["name"] in volumes
    assert people.succeeds("secret") == {"n": 1}


def test_a_large_output_lies_in_a_page(people: People) -> None:
    given = {"text": digits(300_000)}
    made = people.run("paged", chain(Keep=passes(), Again=passes()), input=given)
    status = people.ends("paged")
    assert status["phase"] == "Succeeded"
    assert "output" not in status
    ref = status["outputRef"]
    assert ref["bytes"] == len(json.dumps(given, separators=(",", ":")))
    names = {page["metadata"]["name"] for page in people.pages(uid_of(made))}
    assert ref["page"] in names
    size = len(json.dumps(people.get("paged")["status"]))
    assert size < 10 * 1024
    people.delete("paged")
    people.nothing_is_left(uid_of(made))


def test_a_payload_above_its_limit_is_a_named_error(people: People) -> None:
    # Twice the input is above 1 MiB.
    twice = passes(Parameters={"a.$": "$.text", "b.$": "$.text", "c.$": "$.text"})
    people.run("heavy", chain(Keep=passes(), Thrice=twice), input={"text": digits(400_000)})
    assert people.fails("heavy")["error"] == "States.DataLimitExceeded"


def test_exact_text_stays_exact(people: People) -> None:
    text = '{"big": 9007199254740993, "one": 1.0, "b": 1, "a": 2}'
    people.run("exact", chain(Only=passes()), inputJson=text)
    assert people.ends("exact")["output"] == '{"big":9007199254740993,"one":1.0,"b":1,"a":2}'


def test_the_operator_says_what_it_does(people: People, operator: OperatorProcess) -> None:
    assert operator.get("/healthz")[0] == 200
    assert operator.get("/readyz")[0] == 200
    people.run("counted", chain(Only=passes()))
    people.succeeds("counted")
    operator.wait_for(
        lambda: operator.metric('treadle_executions_ended_total{phase="Succeeded"}') >= 1,
        "the end in the metrics",
    )
    assert operator.metric("treadle_executions_started_total") >= 1
    assert operator.metric("treadle_lease_held") == 1
    assert operator.records(), "its log is JSON, line by line"
