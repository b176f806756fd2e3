"""A container that ended gives its result or says why it failed."""

import pytest

from tests.runners.pods_seen import (
    FAILED,
    Obj,
    a_job,
    a_pod,
    ended,
    name_of,
    nothing,
    of,
    waits_for,
    when,
)
from treadle.asl.errors import StateError
from treadle.runners.results import Failed, Succeeded

# --------------------------------------------------------------------------------------- results


def test_exit_0_advances_at_once() -> None:
    said = of(a_job(), a_pod(ended(message='{"a": 1}')))
    assert said == Succeeded('{"a": 1}', when(30))


@pytest.mark.parametrize(
    ("message", "output"),
    [("", "{}"), (" \n", "{}"), ("[1]\n", "[1]"), ("null", "null"), ('"ü"', '"ü"')],
)
def test_results_are_json_and_nothing_is_an_empty_object(message: str, output: str) -> None:
    assert of(a_job(), a_pod(ended(message=message))) == Succeeded(output, when(30))


@pytest.mark.parametrize("message", ["nope", "{'a': 1}", "NaN", '{"a":1} {"b":2}'])
def test_what_is_not_json_is_an_invalid_result(message: str) -> None:
    said = of(a_job(), a_pod(ended(message=message)))
    assert isinstance(said, Failed)
    assert said.error.name == "Treadle.InvalidResult"
    assert message in (said.error.cause or "")


def test_the_excerpt_of_an_invalid_result_is_bounded() -> None:
    said = of(a_job(), a_pod(ended(message="x" * 4000)))
    assert isinstance(said, Failed)
    assert len(said.error.cause or "") < 400


@pytest.mark.parametrize(
    ("containers", "size", "fits"),
    [(1, 4095, True), (1, 4096, False), (3, 4095, True), (4, 3071, True), (4, 3072, False)],
)
def test_a_message_that_reaches_the_limit_may_be_cut(
    containers: int, size: int, fits: bool
) -> None:
    message = '"' + "x" * (size - 2) + '"'
    said = of(a_job(), a_pod(ended(message=message), containers=containers))
    assert isinstance(said, Succeeded) is fits
    if not fits:
        assert isinstance(said, Failed)
        assert said.error.name == "States.DataLimitExceeded"
        assert str(size) in (said.error.cause or "")


def test_the_limit_counts_bytes_and_init_containers_too() -> None:
    pod = a_pod(ended(message='"' + "ü" * 2047 + '"'))
    assert name_of(of(a_job(), pod)) == "States.DataLimitExceeded"
    pod = a_pod(ended(message='"' + "x" * 3070 + '"'))
    pod["spec"]["initContainers"] = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert name_of(of(a_job(), pod)) == "States.DataLimitExceeded"


# -------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("job", [a_job(), a_job(FAILED[0])])
def test_a_failure_waits_until_the_job_is_over(job: Obj) -> None:
    assert of(job, a_pod(ended(3), phase="Failed")) == nothing()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (ended(3, "it broke"), StateError("Kubernetes.ExitCode.3", "it broke")),
        (
            ended(143),
            StateError("Kubernetes.ExitCode.143", "The container ended with exit code 143."),
        ),
        (ended(1, '{"error":"Mine","cause":"why"}'), StateError("Mine", "why")),
        (ended(1, '{"error":"Mine","cause":{"a":1}}'), StateError("Mine", '{"a":1}')),
        (ended(1, '{"error":"Mine"}'), StateError("Mine", None)),
        (ended(1, '{"error":""}'), StateError("Kubernetes.ExitCode.1", '{"error":""}')),
        (ended(1, '{"error":7}'), StateError("Kubernetes.ExitCode.1", '{"error":7}')),
        (ended(1, '{"cause":"x"}'), StateError("Kubernetes.ExitCode.1", '{"cause":"x"}')),
        (
            ended(1, '{"errorType": "KeyError", "errorMessage": "k"}\n'),
            StateError("KeyError", '{"errorType": "KeyError", "errorMessage": "k"}'),
        ),
        (
            ended(1, '{"errorType":7,"errorMessage":"k"}'),
            StateError("Kubernetes.ExitCode.1", '{"errorType":7,"errorMessage":"k"}'),
        ),
        (ended(1, "{half"), StateError("Kubernetes.ExitCode.1", "{half")),
        (
            ended(137, "tail of the log", reason="OOMKilled"),
            StateError(
                "Kubernetes.OOMKilled",
                "The container ran out of memory and was killed (exit code 137). tail of the log",
            ),
        ),
    ],
)
def test_a_failing_container_says_why(state: Obj, error: StateError) -> None:
    said = of(a_job(*FAILED), a_pod(state, phase="Failed"))
    assert said == Failed(error, when(30))


def test_an_error_that_may_have_been_cut_is_only_a_cause() -> None:
    message = '{"error":"Mine","cause":"' + "x" * (4096 - 27) + '"}'
    assert len(message) == 4096
    said = of(a_job(*FAILED), a_pod(ended(1, message), phase="Failed"))
    assert said == Failed(StateError("Kubernetes.ExitCode.1", message), when(30))


def test_a_long_error_name_is_cut() -> None:
    message = '{"error":"' + "x" * 300 + '"}'
    said = of(a_job(*FAILED), a_pod(ended(1, message), phase="Failed"))
    assert name_of(said) == "x" * 256


def test_a_program_that_does_not_exist_fails_at_once() -> None:
    pod = a_pod(ended(128, "no such file", reason="StartError"))
    said = of(a_job(), pod)
    assert said == Failed(StateError("Kubernetes.ContainerConfig", "no such file"), when(30))


@pytest.mark.parametrize(
    ("reason", "name"), [("Error", "Kubernetes.ExitCode.2"), ("OOMKilled", "Kubernetes.OOMKilled")]
)
def test_a_failed_init_container_is_named(reason: str, name: str) -> None:
    init = {"name": "fetch", "state": ended(2, "no net", reason=reason)}
    pod = a_pod(waits_for("PodInitializing"), phase="Failed", initContainerStatuses=[init])
    said = of(a_job(*FAILED), pod)
    assert isinstance(said, Failed)
    assert said.error.name == name
    assert "fetch" in (said.error.cause or "")
    assert "no net" in (said.error.cause or "")


def test_a_pod_that_its_node_refused_is_evicted() -> None:
    pod = a_pod(phase="Failed", reason="OutOfcpu", message="Node has no cpu")
    said = of(a_job(*FAILED), pod)
    assert isinstance(said, Failed)
    assert said.error.name == "Kubernetes.Evicted"
    assert "OutOfcpu" in (said.error.cause or "")
