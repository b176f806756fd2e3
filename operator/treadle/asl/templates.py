"""Payload templates: JSON in which a key that ends in `.$` names a path or a call.

One rule: what does not change is never copied; a template without such keys is its own value.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from treadle.asl import limits
from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.intrinsics import Call, IntrinsicSyntaxError, compile_call
from treadle.asl.json import Json
from treadle.asl.paths import Path, PathNotFound, PathSyntaxError, compile_path
from treadle.asl.pointers import escaped
from treadle.asl.scope import Scope
from treadle.asl.values import text_of

Build: TypeAlias = Callable[[Scope], Json]
Problems: TypeAlias = list[tuple[str, str]]


class TemplateSyntaxError(ValueError):
    """A value that is no template. `problems`: each a JSON pointer into it and a sentence."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {message}" for pointer, message in problems))
        self.problems = list(problems)


class Template:
    """A compiled template. Build it with `compile_template` or `compile_value`."""

    __slots__ = ("is_constant", "paths", "render")

    def __init__(self, render: Build, *, is_constant: bool, paths: int = 1) -> None:
        self.is_constant = is_constant
        self.paths = paths
        """How many paths and calls it has: each may give as much as all that it reads."""
        self.render = render
        """The value over a scope.

        Raises:
            EvaluationFailed: States.Runtime where a path matches nothing (the spec would have
                States.ParameterPathFailure, AWS does not), States.IntrinsicFailure.

        Spec: "Payload Template".
        """


def compile_template(value: Json) -> Template:
    """The template of a value of a definition.

    Raises:
        TemplateSyntaxError: with everything that is wrong in it.

    Spec: "Payload Template". As on AWS, objects inside arrays are templates too.
    """
    problems: Problems = []
    build = _compile(value, "", problems, limits.TEMPLATE_DEPTH_MAX)
    if problems:
        raise TemplateSyntaxError(problems)
    if build is None:
        return Template(lambda _: value, is_constant=True)
    return Template(build, is_constant=False, paths=_paths(value))


def _paths(value: Json) -> int:
    if isinstance(value, list):
        return sum(map(_paths, value))
    if not isinstance(value, dict):
        return 0
    return sum(1 if name.endswith(".$") else _paths(member) for name, member in value.items())


def compile_value(text: str, field: str = "") -> Template:
    """The template of a single path or call.

    Args:
        text: `$...`, `$$...` or a call of an intrinsic function.
        field: the field that holds it, for messages.

    Raises:
        TemplateSyntaxError: it is neither; with the pointer "".

    Spec: "Fail State": ErrorPath and CausePath.
    """
    problems: Problems = []
    build = _compile_dynamic(text, field, "", problems)
    if problems:
        raise TemplateSyntaxError(problems)
    return Template(build, is_constant=False)


def _compile(value: Json, pointer: str, problems: Problems, depth: int) -> Build | None:
    """How to build a value; None where it never changes."""
    kind = value.__class__
    if kind is not dict and kind is not list:
        return None
    if depth == 0:
        problems.append(
            (pointer, f"The template is nested deeper than {limits.TEMPLATE_DEPTH_MAX} levels")
        )
        return None
    if kind is dict:
        return _compile_object(value, pointer, problems, depth - 1)
    built = [
        (index, build)
        for index, item in enumerate(value)
        if (build := _compile(item, f"{pointer}/{index}", problems, depth - 1)) is not None
    ]
    return array_of(value, built) if built else None


def _compile_object(
    value: dict[str, Json], pointer: str, problems: Problems, depth: int
) -> Build | None:
    built: list[tuple[str, Build]] = []
    constant: dict[str, Json] = {}
    for name, member in value.items():
        place = f"{pointer}/{escaped(name)}"
        dynamic = name.endswith(".$")
        key = name.removesuffix(".$")
        if dynamic and key in value:
            problems.append((place, f"The field '{key}' is given twice: as '{key}' and '{name}'"))
        build = (
            _compile_dynamic(member, name, place, problems)
            if dynamic
            else _compile(member, place, problems, depth)
        )
        constant[key] = member
        if build is not None:
            built.append((key, build))
    return object_of(constant, built) if built else None


def _compile_dynamic(value: Json, field: str, place: str, problems: Problems) -> Build:
    if not isinstance(value, str):
        problems.append((place, f"The value for the field '{field}' must be a STRING"))
        return _nothing
    try:
        if value.startswith("$"):
            return _path(compile_path(value), field)
        return _call(compile_call(value))
    except (PathSyntaxError, IntrinsicSyntaxError) as e:
        problems.append(
            (
                place,
                f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic "
                f"function call: {e.message} (position {e.position})",
            )
        )
        return _nothing


def _nothing(_: Scope) -> Json:
    return None  # pragma: no cover - it stands for what has a problem, and is not evaluated


def _path(path: Path, field: str) -> Build:
    if path.is_root:
        return lambda scope: scope.data

    def read(scope: Scope) -> Json:
        document: Json = None
        try:
            document = path.document(scope)
            return path.find_in(document, scope.effort)
        except PathNotFound as e:
            raise _not_found(path, field, document, e) from None

    return read


def _not_found(path: Path, field: str, document: Json, error: PathNotFound) -> EvaluationFailed:
    if not field:
        return EvaluationFailed(RUNTIME, f"Invalid path '{path.text}' : {error.message}")
    return EvaluationFailed(
        RUNTIME,
        f"The JSONPath '{path.text}' specified for the field '{field}' could not be found in the "
        f"input '{text_of(document)}'",
    )


def _call(call: Call) -> Build:
    return call.evaluate


def object_of(constant: dict[str, Json], built: list[tuple[str, Build]]) -> Build:
    """How to build an object of which some members change; all are in `constant` too."""
    if len(built) == len(constant):
        return lambda scope: {key: build(scope) for key, build in built}

    def render(scope: Scope) -> Json:
        # The copy keeps the order of the keys.
        value = constant.copy()
        for key, build in built:
            value[key] = build(scope)
        return value

    return render


def array_of(constant: list[Json], built: list[tuple[int, Build]]) -> Build:
    """How to build an array of which some items change; all are in `constant` too."""

    def render(scope: Scope) -> Json:
        value = constant.copy()
        for index, build in built:
            value[index] = build(scope)
        return value

    return render
