"""A machine's limits: it lowers what its installation allows, and raises nothing."""

from dataclasses import replace
from typing import Any

import pytest

from tests.runtime.stage import NOTHING, Stage, on_a_stage
from tests.stores.machines_seen import create, machine, ready, revisions
from treadle.asl.limits import AWS, BOUNDS, DEFAULT, MACHINE_BOUNDS, Bound, Limits
from treadle.kube.kinds import REVISIONS
from treadle.kube.podtemplates import PodDefaults
from treadle.runtime.ports import Pinned
from treadle.stores.judgement import Installation
from treadle.stores.limiting import problems, resolved
from treadle.stores.machines import RevisionMachines, digest_of

EXPRESS_OF_AWS = replace(AWS, execution_seconds_max=300)


def said(limits: Any, here: Limits = DEFAULT, *, express: bool = False) -> list[tuple[str, str]]:
    return [(p.pointer, p.code) for p in problems(limits, here, express=express)]


def holds(limits: Any, here: Limits = DEFAULT, *, express: bool = False) -> Limits:
    return resolved({} if limits is None else {"limits": limits}, here, express=express)


# ------------------------------------------------------------------------------------ problems


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        (None, "/limits"),
        ([], "/limits"),
        ({"profile": "azure"}, "/limits/profile"),
        ({"profile": None}, "/limits/profile"),
        ({"profile": ["aws"]}, "/limits/profile"),
        ({"payloadMax": 1_000}, "/limits/payloadMax"),
        ({"a/b~": 1}, "/limits/a~1b~0"),
        ({"payload_bytes_max": 1_000}, "/limits/payload_bytes_max"),
        ({"turnTransitionsMax": 10}, "/limits/turnTransitionsMax"),
        ({"expressSecondsMax": 10}, "/limits/expressSecondsMax"),
        ({"payloadBytesMax": "1000"}, "/limits/payloadBytesMax"),
        ({"payloadBytesMax": 1e3}, "/limits/payloadBytesMax"),
        ({"payloadBytesMax": True}, "/limits/payloadBytesMax"),
        ({"payloadBytesMax": 255}, "/limits/payloadBytesMax"),
        ({"payloadBytesMax": 1_048_577}, "/limits/payloadBytesMax"),
        ({"payloadBytesMax": 0}, "/limits/payloadBytesMax"),
        ({"executionSecondsMax": -1}, "/limits/executionSecondsMax"),
    ],
)
def test_what_is_no_limit_is_a_problem(limits: Any, pointer: str) -> None:
    assert said(limits) == [(pointer, "limits-invalid")]


@pytest.mark.parametrize("bound", MACHINE_BOUNDS, ids=lambda bound: bound.name)
def test_a_limit_may_be_lowered_to_anything_and_not_raised(bound: Bound) -> None:
    here = replace(DEFAULT, **{bound.name: bound.least + 1})
    assert said({bound.member: bound.least}, here) == []
    assert said({bound.member: bound.least + 1}, here) == []
    above = [(f"/limits/{bound.member}", "limits-above-installation")]
    assert said({bound.member: bound.least + 2}, here) == above
    assert said({bound.member: bound.most}, here) == above
    if bound.is_optional:
        assert said({bound.member: 0}, here) == above
        assert said({bound.member: 0}) == []


def test_a_limit_above_is_told_with_both_numbers_and_the_remedy() -> None:
    here = Limits(history_events_max=1_000, map_concurrency_max=40)
    found = problems({"historyEventsMax": 25_000, "mapConcurrencyMax": 0}, here, express=False)
    assert [problem.message for problem in found] == [
        "historyEventsMax is 25,000; this installation allows 1,000 events: lower it, or have the "
        "setting TREADLE_LIMITS_HISTORY_EVENTS_MAX raised",
        "mapConcurrencyMax is 0, which is no bound; this installation allows 40 iterations: lower "
        "it, or have the setting TREADLE_LIMITS_MAP_CONCURRENCY_MAX raised",
    ]


def test_all_problems_are_told_at_once() -> None:
    limits = {"profile": 1, "payloadBytesMax": 1, "x": 1, "historyEventsMax": 30_000}
    assert len(said(limits)) == 4


def test_an_express_machine_has_the_seconds_of_its_type() -> None:
    above = [("/limits/executionSecondsMax", "limits-above-installation")]
    assert said({"executionSecondsMax": 301}, AWS) == []
    assert said({"executionSecondsMax": 301}, AWS, express=True) == above
    assert said({"executionSecondsMax": 300}, AWS, express=True) == []


# -------------------------------------------------------------------------------- what holds


@pytest.mark.parametrize(
    ("limits", "here", "express", "expected"),
    [
        (None, DEFAULT, False, DEFAULT),
        (None, AWS, False, AWS),
        (None, AWS, True, EXPRESS_OF_AWS),
        ({}, DEFAULT, True, DEFAULT),
        ({"profile": "aws"}, DEFAULT, False, AWS),
        ({"profile": "aws"}, DEFAULT, True, EXPRESS_OF_AWS),
        ({"profile": "default"}, AWS, False, AWS),
        ({"liveFramesMax": 5}, DEFAULT, False, Limits(live_frames_max=5)),
        ({"profile": "aws", "liveFramesMax": 5}, DEFAULT, False, replace(AWS, live_frames_max=5)),
        # A member is stronger than its profile, within the installation.
        (
            {"profile": "aws", "mapConcurrencyMax": 50, "executionSecondsMax": 0},
            DEFAULT,
            False,
            replace(AWS, map_concurrency_max=50, execution_seconds_max=0),
        ),
        (
            {"profile": "aws", "executionSecondsMax": 600},
            DEFAULT,
            True,
            replace(AWS, execution_seconds_max=600),
        ),
        # A profile is cut to the installation without a word.
        (
            {"profile": "aws"},
            Limits(payload_bytes_max=1_000),
            False,
            replace(AWS, payload_bytes_max=1_000),
        ),
        # The installation may have been lowered since the machine was judged.
        (
            {"historyEventsMax": 900},
            Limits(history_events_max=800),
            False,
            Limits(history_events_max=800),
        ),
        # What another release may have taken is passed over.
        ({"profile": "new", "payloadBytesMax": "x", "other": 1}, DEFAULT, False, DEFAULT),
        ({"profile": ["aws"]}, DEFAULT, False, DEFAULT),
        ([], DEFAULT, False, DEFAULT),
    ],
)
def test_what_holds_for_a_machine(
    limits: Any, here: Limits, express: bool, expected: Limits
) -> None:
    found = holds(limits, here, express=express)
    assert found == expected
    assert not any(
        bound.is_above(getattr(found, bound.name), getattr(here, bound.name)) for bound in BOUNDS
    )


# ------------------------------------------------------------------------------- the revision


def test_a_revision_holds_the_limits_that_are_given() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING, "limits": {"profile": "aws", "liveFramesMax": 5}})
        assert await stage.machines.judge("default", "m")
        (revision,) = stage.objects.each(REVISIONS)
        assert revision["spec"]["limits"] == {"profile": "aws", "liveFramesMax": 5}
        pinned = await stage.machines.current("default", "m")
        assert isinstance(pinned, Pinned)
        assert pinned.limits == replace(AWS, live_frames_max=5)

    on_a_stage(play)


def test_other_limits_make_another_revision_and_none_the_digest_of_before() -> None:
    spec = {"definition": NOTHING, "serviceAccountName": "sa"}
    # As releases before this one computed it.
    assert digest_of(spec) == "477636c608e4b438790e10bbc9632b9d063e7eec1b2b8afbbedbfe5360d13f65"
    assert digest_of({**spec, "limits": {"liveFramesMax": 5}}) != digest_of(spec)
    assert digest_of({**spec, "limits": {}}) != digest_of(spec)


def test_a_machine_above_its_installation_is_not_ready_and_has_no_revision() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING, "limits": {"payloadBytesMax": 1_000_000}})
        here = Installation(PodDefaults(), frozenset(), AWS)
        await RevisionMachines(stage.api, stage.now, here).judge("default", "m")
        assert (ready(stage)["status"], ready(stage)["reason"]) == ("False", "InvalidLimits")
        said = "/limits/payloadBytesMax: payloadBytesMax is 1,000,000; this installation allows"
        assert ready(stage)["message"].startswith(f"{said} 262,144 bytes of JSON")
        (problem,) = machine(stage)["status"]["problems"]
        assert problem["code"] == "limits-above-installation"
        assert revisions(stage) == []

    on_a_stage(play)


def test_a_machine_that_was_ready_is_held_to_an_installation_that_was_lowered() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING, "limits": {"payloadBytesMax": 1_000_000}})
        assert await stage.machines.judge("default", "m")
        after = RevisionMachines(
            stage.api, stage.now, Installation(PodDefaults(), frozenset(), AWS)
        )
        pinned = await after.current("default", "m")
        assert isinstance(pinned, Pinned)
        assert pinned.limits.payload_bytes_max == 262_144

    on_a_stage(play)


def test_executions_of_a_machine_are_held_to_its_limits() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING, "limits": {"payloadBytesMax": 300}})
        assert await stage.machines.judge("default", "m")
        stage.apply(input={"padding": "z" * 300})
        stage.driver.open()
        stage.see()
        await stage.passes(1)
        assert (stage.phase(), stage.status()["error"]) == ("Failed", "States.DataLimitExceeded")
        assert "payloadBytesMax allows 300" in stage.status()["cause"]

    on_a_stage(play)
