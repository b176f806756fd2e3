"""What a Task is given, as far as its definition tells: `Parameters`, or JSONata's `Arguments`.

One rule: what data decides is named and never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from treadle.asl.json import Json
from treadle.asl.jsonata import is_expression


@dataclass(frozen=True, slots=True)
class Written:
    """The arguments of a Task before it runs.

    Attributes:
        member: `Parameters` or `Arguments`.
        is_given: the Task has that member.
        is_object: it is an object; otherwise there are no names to know.
        is_computed: an expression gives all of it.
        keys: how each name is written, which may end in `.$`.
        literals: the values that data does not decide.
    """

    member: str
    is_given: bool
    is_object: bool
    is_computed: bool
    keys: Mapping[str, str]
    literals: Mapping[str, Json]

    def spelled(self, name: str) -> str:
        """How a name may be written, for messages."""
        return name if self.member == "Arguments" else f"{name} (or {name}.$)"


def written_arguments(task: Mapping[str, Json], *, is_jsonata: bool) -> Written:
    """The arguments of a Task's object."""
    member = "Arguments" if is_jsonata else "Parameters"
    given = task.get(member, {})
    is_computed = is_jsonata and isinstance(given, str) and is_expression(given)
    if not isinstance(given, dict):
        return Written(member, member in task, False, is_computed, {}, {})
    if is_jsonata:
        keys = {key: key for key in given}
        literals = {key: value for key, value in given.items() if not _is_expression(value)}
    else:
        keys = {key.removesuffix(".$"): key for key in given}
        literals = {key: value for key, value in given.items() if not key.endswith(".$")}
    return Written(member, member in task, True, False, keys, literals)


def _is_expression(value: Json) -> bool:
    return isinstance(value, str) and is_expression(value)
