"""Settings come from TREADLE_* variables; a flag is stronger; a bad one is a sentence."""

from dataclasses import replace
from typing import Any

import pytest

from treadle.app.settings import Settings, from_environment
from treadle.asl.limits import AWS, BOUNDS, DEFAULT, Bound, Limits

VARIABLES = {
    "KUBECONFIG": ("kubeconfig", "/k", "/k"),
    "TREADLE_CONTEXT": ("context", "c", "c"),
    "TREADLE_NAMESPACES": ("namespaces", "a, b  c,", ("a", "b", "c")),
    "TREADLE_LEASE_NAMESPACE": ("lease_namespace", "n", "n"),
    "TREADLE_LEASE_NAME": ("lease_name", "l", "l"),
    "TREADLE_LEASE": ("lease", "False", False),
    "TREADLE_IDENTITY": ("identity", "me", "me"),
    "TREADLE_HEALTH_HOST": ("health_host", "0.0.0.0", "0.0.0.0"),
    "TREADLE_HEALTH_PORT": ("health_port", "0", 0),
    "TREADLE_API_HOST": ("api_host", "0.0.0.0", "0.0.0.0"),
    "TREADLE_API_PORT": ("api_port", "0", 0),
    "TREADLE_API_URL": ("api_url", "http://treadle:8081", "http://treadle:8081"),
    "POD_IP": ("pod_ip", "10.0.0.1", "10.0.0.1"),
    "TREADLE_TOKEN_SECRET": ("token_secret", "s", "s"),
    "TREADLE_HTTP_ALLOW_LOOPBACK": ("http_allow_loopback", "true", True),
    "TREADLE_HTTP_ALLOW_CIDRS": ("http_allow", "10.0.0.0/8", ("10.0.0.0/8",)),
    "TREADLE_HTTP_DENY_CIDRS": ("http_deny", "10.0.0.0/8 ::1", ("10.0.0.0/8", "::1")),
    "TREADLE_REGION": ("region", "eu-west-1", "eu-west-1"),
    "TREADLE_ACCOUNT": ("account", "1" * 12, "1" * 12),
    "TREADLE_POD_SECURITY_LEVEL": ("pod_security_level", "restricted", "restricted"),
    "TREADLE_START_FAILURE_SECONDS": ("start_failure_seconds", "2.5", 2.5),
    "TREADLE_DRAIN_SECONDS": ("drain_seconds", "5", 5.0),
    "TREADLE_LIMITS_PROFILE": ("limits", "aws", AWS),
    "TREADLE_LOG_FORMAT": ("log_format", "text", "text"),
    "TREADLE_LOG_LEVEL": ("log_level", "DEBUG", "DEBUG"),
}


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [bound.setting for bound in BOUNDS]
    for name in (*VARIABLES, *limits, "POD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


def test_without_any_the_defaults_hold() -> None:
    found = from_environment({})
    expected = Settings(identity=found.identity, environment=found.environment)
    assert found == expected
    assert "-" in found.identity


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_is_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    member, text, value = VARIABLES[name]
    monkeypatch.setenv(name, text)
    assert getattr(from_environment({}), member) == value


def test_every_setting_has_a_variable() -> None:
    members = {member for member, _, _ in VARIABLES.values()}
    assert members == set(Settings.__dataclass_fields__) - {"environment"}


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
def test_each_limit_has_a_variable(monkeypatch: pytest.MonkeyPatch, bound: Bound) -> None:
    for value in {bound.least, bound.most, 0 if bound.is_optional else bound.most}:
        monkeypatch.setenv(bound.setting, str(value))
        for profile, limits in (("default", DEFAULT), ("aws", AWS)):
            monkeypatch.setenv("TREADLE_LIMITS_PROFILE", profile)
            assert from_environment({}).limits == replace(limits, **{bound.name: value})


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
@pytest.mark.parametrize("text", ["-1", "1e3", "1_000", "many", "²", "9" * 19, "9" * 5_000])
def test_a_limit_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, bound: Bound, text: str
) -> None:
    monkeypatch.setenv(bound.setting, text)
    with pytest.raises(ValueError, match="it must be a whole number from") as raised:
        from_environment({})
    said = str(raised.value)
    assert said.startswith(f"{bound.setting} is '{text[:50]}")
    assert f"{bound.least:,} to {bound.most:,}" in said
    assert ("or 0 for no bound" in said) is bound.is_optional
    assert len(said) < 300


def test_a_limit_that_is_empty_is_the_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_LIMITS_PAYLOAD_BYTES_MAX", "")
    monkeypatch.setenv("TREADLE_LIMITS_PROFILE", "")
    assert from_environment({}).limits == DEFAULT


def test_a_limit_that_is_misspelt_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_LIMITS_PAYLOAD_MAX", "1000")
    with pytest.raises(ValueError, match="TREADLE_LIMITS_PAYLOAD_MAX is no limit; there are: TR"):
        from_environment({})


def test_a_profile_that_was_asked_for_is_stronger_than_its_variable_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TREADLE_LIMITS_PROFILE", "default")
    monkeypatch.setenv("TREADLE_LIMITS_LIVE_FRAMES_MAX", "7")
    assert from_environment({"limits_profile": None}).limits == Limits(live_frames_max=7)
    expected = replace(AWS, live_frames_max=7)
    assert from_environment({"limits_profile": "aws"}).limits == expected


@pytest.mark.parametrize("level", ["privileged", "baseline", "restricted"])
def test_each_level_of_pod_security_can_be_set(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("TREADLE_POD_SECURITY_LEVEL", level)
    assert from_environment({}).pod_security_level == level


def test_the_lease_is_where_the_pod_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "treadle-system")
    assert from_environment({}).lease_namespace == "treadle-system"


def test_a_flag_is_stronger_than_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_NAMESPACES", "a")
    monkeypatch.setenv("TREADLE_HEALTH_PORT", "8081")
    flags = {"namespaces": ("b",), "health_port": 0, "lease": False, "context": "c"}
    found = from_environment(flags)
    assert (found.namespaces, found.health_port, found.lease) == (("b",), 0, False)
    assert found.context == "c"


def test_a_flag_that_was_not_given_is_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_NAMESPACES", "a")
    monkeypatch.setenv("TREADLE_LEASE", "false")
    found = from_environment({"namespaces": (), "lease": None, "kubeconfig": None})
    assert (found.namespaces, found.lease, found.kubeconfig) == (("a",), False, None)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("TREADLE_HEALTH_PORT", "http", "must be a port number"),
        ("TREADLE_HEALTH_PORT", "65536", "must be a port number"),
        ("TREADLE_HEALTH_PORT", "-1", "must be a port number"),
        ("TREADLE_LEASE", "yes", "must be true or false"),
        ("TREADLE_HTTP_ALLOW_LOOPBACK", "1", "must be true or false"),
        ("TREADLE_POD_SECURITY_LEVEL", "none", "must be privileged, baseline or restricted"),
        ("TREADLE_START_FAILURE_SECONDS", "soon", "must be a number of seconds above 0"),
        ("TREADLE_START_FAILURE_SECONDS", "0", "must be a number of seconds above 0"),
        ("TREADLE_START_FAILURE_SECONDS", "inf", "must be a number of seconds above 0"),
        ("TREADLE_LIMITS_PROFILE", "azure", "must be one of default, aws"),
        ("TREADLE_LOG_FORMAT", "xml", "must be one of json, text"),
        ("TREADLE_LOG_LEVEL", "LOUD", "must be one of INFO, DEBUG, WARNING, ERROR, CRITICAL"),
    ],
)
def test_a_bad_one_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, sentence: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=sentence) as raised:
        from_environment({})
    assert name in str(raised.value)


def test_the_environment_is_kept_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_ANYTHING", "secret-value")
    found: Any = from_environment({})
    assert found.environment["TREADLE_ANYTHING"] == "secret-value"
    assert "secret-value" not in repr(found)
