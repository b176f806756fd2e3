"""Limits: what each is, which of two lets less pass, and the profiles."""

from dataclasses import fields

import pytest

from treadle.asl.limits import (
    AWS,
    BOUNDS,
    DEFAULT,
    MACHINE_BOUNDS,
    PROFILES,
    Bound,
    Limits,
    lowest,
)

BY_NAME = {bound.name: bound for bound in BOUNDS}
PAYLOAD, SECONDS = BY_NAME["payload_bytes_max"], BY_NAME["execution_seconds_max"]


def test_each_limit_is_told_of_once() -> None:
    assert [field.name for field in fields(Limits)] == [bound.name for bound in BOUNDS]


def test_a_limit_is_spelt_as_manifests_and_variables_are() -> None:
    assert PAYLOAD.member == "payloadBytesMax"
    assert PAYLOAD.setting == "TREADLE_LIMITS_PAYLOAD_BYTES_MAX"


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
def test_its_values_are_ones_that_it_may_have(bound: Bound) -> None:
    for limits in PROFILES.values():
        assert bound.allows(getattr(limits, bound.name))
    for value in (bound.least, bound.most):
        assert bound.allows(value)
    for value in (bound.least - 1, bound.most + 1):
        assert bound.allows(value) == (value == 0 and bound.is_optional)
    for other in (True, 1e3, "1000", None):
        assert not bound.allows(other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload_bytes_max", 262_144),
        ("history_events_max", 25_000),
        ("execution_seconds_max", 365 * 24 * 60 * 60),
        ("express_seconds_max", 5 * 60),
        ("variables_bytes_max", 10 * 1024 * 1024),
        ("assign_bytes_max", 256 * 1024),
        ("variable_bytes_max", 256 * 1024),
        ("map_concurrency_max", 40),
        ("error_chars_max", 256),
        ("cause_chars_max", 32_768),
    ],
)
def test_the_profile_aws_has_the_values_of_aws(name: str, value: int) -> None:
    assert getattr(AWS, name) == value


def test_what_aws_does_not_bound_is_as_by_default() -> None:
    ours = [bound.name for bound in BOUNDS if bound.aws is None]
    assert ours == [
        "execution_pages_bytes_max",
        "live_frames_max",
        "turn_transitions_max",
        "child_depth_max",
    ]
    assert all(getattr(AWS, name) == getattr(DEFAULT, name) for name in ours)


def test_a_machine_sets_all_but_those_of_the_installation() -> None:
    assert set(BOUNDS) - set(MACHINE_BOUNDS) == {
        BY_NAME["express_seconds_max"],
        BY_NAME["turn_transitions_max"],
        BY_NAME["child_depth_max"],
    }


@pytest.mark.parametrize(
    ("bound", "value", "other", "above"),
    [
        (PAYLOAD, 2_000, 1_000, True),
        (PAYLOAD, 1_000, 1_000, False),
        (PAYLOAD, 1_000, 2_000, False),
        (SECONDS, 2_000, 1_000, True),
        (SECONDS, 0, 1_000, True),
        (SECONDS, 1_000, 0, False),
        (SECONDS, 0, 0, False),
    ],
)
def test_which_of_two_values_lets_more_pass(
    bound: Bound, value: int, other: int, above: bool
) -> None:
    assert bound.is_above(value, other) is above
    assert bound.lower(value, other) == (other if above else value)


def test_the_lowest_of_two_is_taken_limit_by_limit() -> None:
    one = Limits(payload_bytes_max=1_000, history_events_max=100)
    two = Limits(payload_bytes_max=2_000, map_concurrency_max=5)
    expected = Limits(payload_bytes_max=1_000, history_events_max=100, map_concurrency_max=5)
    assert lowest(one, two) == lowest(two, one) == expected
    assert lowest(DEFAULT, AWS) == AWS
