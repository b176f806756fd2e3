"""Paths: what a state reads, and where its result is put.

One rule: a path never changes a document, and putting a value copies the spine alone.
"""

import re
from functools import lru_cache
from typing import Final

from treadle.asl import limits
from treadle.asl.errors import RESULT_PATH_MATCH_FAILURE, EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.path_syntax import PathSyntaxError, read_steps
from treadle.asl.scope import Effort, Scope
from treadle.asl.steps import Index, PathNotFound, Property, Steps, Walk, evaluate, is_definite
from treadle.asl.values import text_of

__all__ = [
    "Path",
    "PathNotFound",
    "PathSyntaxError",
    "Reference",
    "compile_path",
    "compile_reference",
]


class Path:
    """A compiled path. Spec: "Paths". Build it with `compile_path`."""

    __slots__ = (
        "_keys",
        "_named",
        "_steps",
        "is_definite",
        "is_root",
        "reads_context",
        "text",
        "variable",
    )

    def __init__(self, text: str, steps: Steps, *, reads_context: bool, variable: str = "") -> None:
        self.text = text
        self.reads_context = reads_context
        self.variable = variable
        """The variable that it reads, without the `$`; empty where it reads none."""
        self.is_root = not steps and not reads_context and not variable
        self.is_definite = is_definite(steps)
        self._steps = steps
        self._keys = _keys_of(steps)
        self._named = self._keys is not None and all(isinstance(key, str) for key in self._keys)

    def __repr__(self) -> str:
        return f"Path({self.text!r})"

    def find(self, scope: Scope) -> Json:
        """What the path selects; an indefinite path gives the array of its matches.

        Raises:
            PathNotFound: a definite path matches nothing, or its variable has no value.
            EvaluationFailed: it visits more than `PATH_NODES_MAX` nodes.
        """
        return self.find_in(self.document(scope), scope.effort)

    def document(self, scope: Scope) -> Json:
        """What the steps of the path begin in. Raises: PathNotFound."""
        if self.variable:
            if self.variable not in scope.variables:
                raise PathNotFound(lambda: f"The variable '${self.variable}' has no value")
            return scope.variables[self.variable]
        return scope.context if self.reads_context else scope.data

    def find_in(self, document: Json, effort: Effort | None = None) -> Json:
        """What the path selects of a document, whether or not it reads the context object."""
        keys = self._keys
        if keys is None:
            return self._search(document, effort)
        node = document
        try:
            if self._named:
                for key in keys:
                    node = node[key]
            else:
                for key in keys:
                    if key.__class__ is int and node.__class__ is not list:
                        return self._search(document, effort)
                    node = node[key]
        except (KeyError, IndexError, TypeError):
            return self._search(document, effort)
        return node

    def _search(self, document: Json, effort: Effort | None) -> Json:
        found = evaluate(self._steps, document, Walk(document, effort))
        if not self.is_definite:
            return found
        if not found:
            steps = self._steps
            raise PathNotFound(
                lambda: "No results for path: $" + "".join([step.text for step in steps])
            )
        return found[-1]


class Reference:
    """A compiled reference path. Spec: "Reference Paths". Build it with `compile_reference`."""

    __slots__ = ("_keys", "is_root", "text")

    def __init__(self, text: str, keys: tuple[str | int, ...]) -> None:
        self.text = text
        self.is_root = not keys
        self._keys = keys

    def __repr__(self) -> str:
        return f"Reference({self.text!r})"

    def put(self, document: Json, value: Json) -> Json:
        """A document with the value at this place. Objects are made where they are missing.

        Args:
            document: shared with the result except for the spine; unchanged.
            value: shared with the result.

        Raises:
            EvaluationFailed: States.ResultPathMatchFailure; something on the way is neither
                missing nor an object (or an array that has the index).

        Spec: "ResultPath": the path may name fields that the input does not have.
        """
        if self.is_root:
            return value
        spine: list[Json] = []
        node = document
        for key in self._keys:
            spine.append(node)
            node = self._step(node, key)
        for holder, key in zip(reversed(spine), reversed(self._keys), strict=True):
            if holder is _ABSENT:
                value = {key: value}
            elif isinstance(key, str):
                value = {**holder, key: value}
            else:
                items = holder.copy()
                items[key] = value
                value = items
        return value

    def _step(self, node: Json, key: str | int) -> Json:
        if isinstance(key, str):
            if node is _ABSENT:
                return _ABSENT
            if node.__class__ is dict:
                return node.get(key, _ABSENT)
        elif node.__class__ is list and -len(node) <= key < len(node):
            return node[key]
        shown = "{}" if node is _ABSENT else text_of(node)
        raise EvaluationFailed(
            RESULT_PATH_MATCH_FAILURE, f'Unable to apply step "{key}" to input {shown}'
        )


@lru_cache(maxsize=limits.PATH_CACHE_MAX)
def compile_path(text: str) -> Path:
    """The path of a text: `$...` reads the data, `$$...` the context object, `$name...` a variable.

    Raises:
        PathSyntaxError: the text is no path.

    Spec: "Paths". The dialect is Jayway JsonPath's.
    """
    if not text.startswith("$"):
        raise PathSyntaxError("A path must begin with '$'", 0)
    reads_context = text.startswith("$$")
    at = 2 if reads_context else 1
    path = text.rstrip(" ")  # as Jayway does
    variable = "" if reads_context else _variable(path)
    at += len(variable)
    if path[at : at + 1] not in ("", ".", "["):
        raise PathSyntaxError(f"Illegal character at position {at} expected '.' or '['", at)
    steps = read_steps(path, at)
    return Path(text, steps, reads_context=reads_context, variable=variable)


def is_variable_name(text: str) -> bool:
    """Whether a variable may have this name. Spec: "Variables": Unicode's identifiers."""
    return text.isidentifier() and len(text) <= limits.VARIABLE_NAME_CHARS_MAX


def assigned_name(key: str, *, is_jsonata: bool) -> str:
    """The variable that a key of an Assign names: `.$` belongs to JSONPath's templates alone."""
    return key if is_jsonata else key.removesuffix(".$")


def _variable(path: str) -> str:
    """The name behind the `$`, if there is one."""
    found = _NAME.match(path, 1)
    return found[0] if found is not None and found[0].isidentifier() else ""


@lru_cache(maxsize=limits.PATH_CACHE_MAX)
def compile_reference(text: str) -> Reference:
    """The reference path of a text: names and indexes only, nothing of the context object.

    Raises:
        PathSyntaxError: the text is no reference path.

    Spec: "Reference Paths".
    """
    if text.startswith("$$"):
        raise PathSyntaxError("A reference path cannot point into the context object", 1)
    path = compile_path(text)
    if path.variable:
        raise PathSyntaxError("A reference path cannot point into a variable", 1)
    keys = path._keys
    if keys is None:
        raise PathSyntaxError("A reference path has only names and indexes: $.a.b[0]", 1)
    unquoted = _QUOTED.sub("", text)
    found = _NOT_IN_REFERENCE.search(unquoted)
    if found is not None:
        raise PathSyntaxError(
            f"A reference path has no '{found[0]}' outside quotes", text.index(found[0])
        )
    return Reference(text, keys)


_ABSENT: Final = object()
_NAME = re.compile(r"\w+")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_NOT_IN_REFERENCE = re.compile(r"[@,:?*]")


def _keys_of(steps: Steps) -> tuple[str | int, ...] | None:
    """The keys of a path that is nothing but single names and indexes."""
    keys: list[str | int] = []
    for step in steps:
        if isinstance(step, Property) and len(step.names) == 1:
            keys.append(step.names[0])
        elif isinstance(step, Index) and len(step.indexes) == 1:
            keys.append(step.indexes[0])
        else:
            return None
    return tuple(keys)
