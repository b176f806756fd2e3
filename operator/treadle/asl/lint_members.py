"""Members that all types of state share.

One rule: a member that a type lacks reads as absent here; that it must not stand is said elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from treadle.asl.fields import Fields
from treadle.asl.json import Json
from treadle.asl.pointers import escaped
from treadle.asl.program import Data, Machine, PathData, QueryData


@dataclass(frozen=True, slots=True)
class Common:
    """What is read the same way for each type of state. `inner`: branches, or a Map's processor."""

    name: str
    next: str | None
    inner: tuple[Machine, ...]
    express: bool


# What is taken as it is written, and other lists of states.
_NOT_EVALUATED: Final = frozenset(
    (
        "Branches",
        "Comment",
        "Default",
        "ErrorEquals",
        "ItemProcessor",
        "Iterator",
        "Label",
        "Next",
        "QueryLanguage",
        "Resource",
        "Result",
        "Retry",
        "Type",
    )
)


def evaluated_members(holder: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """The members in which something may be evaluated, with their pointers into the holder.

    Args:
        holder: a state, which may be wrong. Its rules and catchers are holders themselves.
    """
    for name, member in holder.items():
        if name in ("Catch", "Choices") and isinstance(member, list):
            for index, item in enumerate(member):
                for suffix, value in evaluated_members(item) if isinstance(item, dict) else ():
                    yield f"/{name}/{index}{suffix}", value
        elif name not in _NOT_EVALUATED:
            yield f"/{escaped(name)}", member


def read_data(state: Fields) -> Data:
    """The way of data through a state; members that its type lacks are absent."""
    if state.is_jsonata:
        return QueryData(state.template("Arguments"), state.template("Output"))
    return PathData(
        input_path=state.path("InputPath", nullable=True),
        result_path=state.reference("ResultPath"),
        output_path=state.path("OutputPath", nullable=True),
        parameters=state.template("Parameters"),
        result_selector=state.template("ResultSelector"),
    )
