"""What is wrong with a machine's `limits`, and what holds for its executions.

One rule: a machine lowers what its installation allows, and raises nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from treadle.asl.errors import Problem
from treadle.asl.fields import shown
from treadle.asl.json import Json
from treadle.asl.limits import MACHINE_BOUNDS, PROFILES, Bound, Limits, lowest
from treadle.asl.pointers import escaped

INVALID: Final = "limits-invalid"
ABOVE: Final = "limits-above-installation"

_BOUNDS: Final = {bound.member: bound for bound in MACHINE_BOUNDS}
_MEMBERS: Final = ("profile", *_BOUNDS)


def problems(limits: Json, installation: Limits, *, express: bool) -> Iterator[Problem]:
    """All that is wrong with `spec.limits`; the pointers are relative to the spec.

    Args:
        limits: the member.
        installation: what it may not raise.
        express: whether the machine's type is EXPRESS.
    """
    if not isinstance(limits, dict):
        yield Problem("/limits", INVALID, "limits must be an object of limits.")
        return
    allowed = _of_type(installation, express)
    for member, value in limits.items():
        where = f"/limits/{escaped(member)}"
        bound = _BOUNDS.get(member)
        if member == "profile":
            if not isinstance(value, str) or value not in PROFILES:
                message = f"profile is {shown(value)}; it must be one of {', '.join(PROFILES)}."
                yield Problem(where, INVALID, message)
        elif bound is None:
            message = f"{member:.80} is no limit; there are {', '.join(_MEMBERS)}."
            yield Problem(where, INVALID, message)
        elif not bound.allows(value):
            message = f"{member} is {shown(value)}; it must be {bound.allowed}."
            yield Problem(where, INVALID, message)
        elif bound.is_above(value, getattr(allowed, bound.name)):
            yield Problem(where, ABOVE, _above(bound, value, getattr(allowed, bound.name)))


def _above(bound: Bound, value: int, allowed: int) -> str:
    told = f"{value:,}" if value else "0, which is no bound"
    return (
        f"{bound.member} is {told}; this installation allows {allowed:,} {bound.unit}: lower it, "
        f"or have the setting {bound.setting} raised"
    )


def resolved(spec: Mapping[str, Json], installation: Limits, *, express: bool) -> Limits:
    """What holds for the executions of a machine, or of a revision.

    Whatever it asks for, nothing is above the installation's, which may have been lowered since
    the machine was judged.
    """
    given = spec.get("limits")
    given = given if isinstance(given, dict) else {}
    profile = PROFILES.get(str(given.get("profile")), installation)
    asked = {
        bound.name: given[member]
        for member, bound in _BOUNDS.items()
        if bound.allows(given.get(member))
    }
    wanted = replace(_of_type(profile, express), **asked)
    return lowest(wanted, _of_type(installation, express))


def _of_type(limits: Limits, express: bool) -> Limits:
    """Where `express_seconds_max` is what bounds an execution's time, too."""
    if not express:
        return limits
    seconds = _BOUNDS["executionSecondsMax"]
    lower = seconds.lower(limits.execution_seconds_max, limits.express_seconds_max)
    return replace(limits, execution_seconds_max=lower)
