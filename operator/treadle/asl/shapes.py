"""Whether a mocked result of a Task is one that the called service could have given.

One rule: what is refused is refused with AWS's own sentence, and what nobody described is not
refused. The shapes are those of `treadle.asl.answers`, read when a result is looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from treadle.asl.answers import Form, forms_of
from treadle.asl.arns import parse_resource
from treadle.asl.json import Json
from treadle.asl.services import Code, Shape

Mode: TypeAlias = Literal["STRICT", "PRESENT", "NONE"]


def result_problem(resource: str, result: Json, mode: Mode) -> str | None:
    """What is wrong with a mocked result; None where nothing is, or where nobody can tell.

    Members that the service's model does not have are not looked at. A member is known by its name
    in PascalCase; whether an acronym in it is written `DB` or `Db` makes no difference.

    Args:
        resource: of the Task. Has no model, so that nothing is refused: HTTP and API Gateway
            calls, `eks:call` and `eks:runJob`, activities, functions by their own ARN, `treadle:`,
            services and actions not known, and what a worker sends back with a task token.
        result: as in the mock, after its text was read.
        mode: STRICT wants the model's required members too; NONE wants nothing.

    Returns:
        The first problem. A required member that is missing comes before what is wrong with its
        brothers; these are looked at in the order of the result.

    Source: AWS, "Testing state machines with TestState API": "Mock validation modes", "Testing
    Activity, .sync, and .waitForTaskToken states". Recorded are the sentences on texts, numbers
    and arrays, on the bounds of numbers and the least length; on the object that a result must be,
    of a Map. The others are in their manner.
    """
    if mode == "NONE":
        return None
    forms = list(forms_of(parse_resource(resource)))
    if not forms:
        return None
    if not isinstance(result, dict):
        return "Mocked result must be a JSON object."
    for form in forms:
        # Of two forms that a result may have, the members of neither can be demanded.
        problem = _Look(form, strict=mode == "STRICT" and len(forms) == 1).problem(result)
        if problem:
            return f"Mock result schema validation error: {problem}"
    return None


_Part: TypeAlias = tuple[Json, Shape | str, str]
"""A part of a result, its shape or code, the name of the member that holds it."""


class _Look:
    """One look at a result: a part after the other, from above, without recursion."""

    def __init__(self, form: Form, *, strict: bool) -> None:
        self._form = form
        self._strict = strict
        self._known: dict[int, tuple[Mapping[str, Code], Mapping[str, str]]] = {}

    def problem(self, result: Json) -> str:
        """The first problem, without its beginning; "" where there is none."""
        waiting: list[_Part] = [(result, self._form.members, "")]
        while waiting:
            value, shape, name = waiting.pop()
            parts: list[_Part] = []
            if isinstance(shape, str):
                problem = _leaf_problem(value, shape, name, self._form.timestamps)
            elif isinstance(shape, Mapping):
                problem, parts = self._structure(value, shape, name)
            else:
                problem, parts = self._collection(value, shape, name)
            if problem:
                return problem
            waiting += reversed(parts)
        return ""

    def _structure(
        self, value: Json, members: Mapping[str, Code], name: str
    ) -> tuple[str, list[_Part]]:
        if not isinstance(value, dict):
            return f"Field '{name}' must be an object", []
        codes, required = self._names(members)
        given = {key: _folded(key) for key in value}
        there = set(given.values()) if required else ()
        for folded, member in required.items():
            if folded not in there:
                told = _sdk_spelling(member) if self._form.is_sdk else member
                return f"Required field '{told}' is missing", []
        return "", [
            (value[key], self._meaning(codes[folded]), key)
            for key, folded in given.items()
            if folded in codes
        ]

    def _collection(self, value: Json, shape: Sequence[Code], name: str) -> tuple[str, list[_Part]]:
        kind, code = str(shape[0]), shape[1]
        wanted, told = (list, "an array") if kind[0] == "l" else (dict, "an object")
        if not isinstance(value, wanted):
            return f"Field '{name}' must be {told}", []
        if problem := _bound_problem(len(value), kind[1:], name, _LENGTH):
            return problem, []
        items: Iterable[Json] = value if isinstance(value, list) else value.values()
        meaning = self._meaning(code)
        return "", [(item, meaning, name) for item in items]

    def _meaning(self, code: Code) -> Shape | str:
        return code if isinstance(code, str) else self._form.shapes[code]

    def _names(self, members: Mapping[str, Code]) -> tuple[Mapping[str, Code], Mapping[str, str]]:
        """By folded name, the codes of members, and the names of those that are demanded.

        Kept, because a list may have very many structures of one shape.
        """
        known = self._known.get(id(members))
        if known is None:
            bare = {member.removeprefix("!"): member for member in members}
            codes = {_folded(name): members[member] for name, member in bare.items()}
            demanded = [name for name, member in bare.items() if self._strict and name != member]
            known = self._known[id(members)] = codes, {_folded(name): name for name in demanded}
        return known


def _leaf_problem(value: Json, code: str, name: str, timestamps: tuple[type, ...]) -> str:
    kind, rest = code[0], code[1:]
    if kind == "a":
        return ""
    types, told = _LEAVES[kind]
    is_right = value.__class__ in (timestamps if kind == "t" else types)
    if not is_right:
        return f"Field '{name}' must be {told}"
    match kind:
        case "s" | "x":
            return _bound_problem(len(value), rest, name, _LENGTH)
        case "n":
            return _bound_problem(value, rest, name, _RANGE)
        case "e" if value not in rest.split("|"):
            return f"Field '{name}' is not an expected value"
        case _:
            return ""


_LENGTH: Final = ("is smaller than the minimum length", "exceeds the maximum length")
_RANGE: Final = ("is less than the minimum value", "exceeds the maximum value")
_LEAVES: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "b": ((bool,), "a boolean"),
    "e": ((str,), "a string"),
    "n": ((int, float), "a number"),
    "s": ((str,), "a string"),
    "t": ((str,), "a string"),
    "x": ((str,), "a string"),
}


def _bound_problem(found: float, bounds: str, name: str, sentences: tuple[str, str]) -> str:
    least, _, most = bounds.partition(":")
    if least and found < float(least):
        return f"Field '{name}' {sentences[0]}"
    if most and found > float(most):
        return f"Field '{name}' {sentences[1]}"
    return ""


def _folded(name: str) -> str:
    """The same for spellings that differ in acronyms alone. A first capital stays one."""
    return name[:1] + name[1:].lower()


def _sdk_spelling(name: str) -> str:
    """A member as a call of an SDK has it: no acronym at its beginning.

    `DBInstances` is `DbInstances`, `ARN` is `Arn`, `ETag` is itself.
    """
    end = next((at for at, char in enumerate(name) if not char.isupper()), len(name))
    if name[end : end + 1].islower():
        end -= 1
    return name[:1] + name[1:end].lower() + name[max(end, 1) :]
