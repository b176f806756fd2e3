"""Members that all types of state share.

One rule: a member that a type lacks reads as absent here; that it must not stand is said elsewhere.
"""

from dataclasses import dataclass

from treadle.asl.fields import Fields
from treadle.asl.program import Data, Machine, PathData, QueryData


@dataclass(frozen=True, slots=True)
class Common:
    """What is read the same way for each type of state. `inner`: branches, or a Map's processor."""

    name: str
    next: str | None
    inner: tuple[Machine, ...]
    express: bool


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
