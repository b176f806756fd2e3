"""Checked reading of one object of a definition.

One rule: reading never raises. What is wrong goes to the report and reads as if it were absent.
"""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from treadle.asl import json, limits
from treadle.asl.json import Json
from treadle.asl.jsonata import JsonataSyntaxError, is_expression
from treadle.asl.lint import Report
from treadle.asl.paths import (
    Path,
    PathSyntaxError,
    Reference,
    assigned_name,
    compile_path,
    compile_reference,
    is_variable_name,
)
from treadle.asl.pointers import escaped
from treadle.asl.queries import Query, compile_query, compile_text
from treadle.asl.queries import compile_template as compile_query_template
from treadle.asl.templates import Template, TemplateSyntaxError, compile_template

_STATES = "states"  # reserved: Spec, "Variables"

# Members that one language alone has. Spec: "States", the tables of fields.
_PATHS: Final = (
    "CausePath ErrorPath HeartbeatSecondsPath InputPath ItemsPath MaxConcurrencyPath OutputPath "
    "Parameters Result ResultPath ResultSelector SecondsPath TimeoutSecondsPath TimestampPath "
    "ToleratedFailureCountPath ToleratedFailurePercentagePath Variable"
)
_OF_LANGUAGE: Final[Mapping[str, frozenset[str]]] = {
    "JSONata": frozenset({"Arguments", "Condition", "Items", "Output"}),
    "JSONPath": frozenset(_PATHS.split()),
}


class Fields:
    """The members of one object, its pointer, and the report that its problems go to.

    `language` is the one that its members are in; `prefix` leads to it from its state, as AWS
    writes it: `Choices[0]/`.
    """

    __slots__ = ("language", "pointer", "prefix", "report", "value")

    def __init__(
        self,
        value: dict[str, Json],
        pointer: str,
        report: Report,
        language: str = "JSONPath",
        prefix: str = "",
    ) -> None:
        self.value = value
        self.pointer = pointer
        self.report = report
        self.language = language
        self.prefix = prefix

    @property
    def is_jsonata(self) -> bool:
        """Whether `{% … %}` is evaluated in its members."""
        return self.language == "JSONata"

    def __contains__(self, name: str) -> bool:
        return name in self.value

    def at(self, name: str) -> str:
        """The pointer of a member."""
        return f"{self.pointer}/{escaped(name)}"

    def wrong(self, name: str, code: str, message: str, aws: str = "") -> None:
        """Note a problem of a member."""
        self.report.add(self.at(name), code, message, aws=aws)

    def require(self, *names: str) -> None:
        """Note which members are missing, together."""
        missing = [name for name in names if name not in self.value]
        if missing:
            told = ", ".join(missing)
            self.report.add(
                self.pointer,
                "member-missing",
                f"These members are missing: {told}.",
                aws=f"These fields are required: [{told}]",
            )

    def exclusive(self, *names: str) -> None:
        """Note members that stand together and must not."""
        given = [name for name in names if name in self.value]
        if len(given) > 1:
            self.wrong(
                given[1],
                "members-exclusive",
                f"{' and '.join(given)} exclude each other; keep one.",
            )

    def only(self, known: Collection[str]) -> None:
        """Note members that are not known, and those of the other language."""
        other = "JSONPath" if self.is_jsonata else "JSONata"
        for name in self.value:
            if name in known:
                continue
            if name in _OF_LANGUAGE[other]:
                self.report.add(
                    self.at(name),
                    "other-language-member",
                    f"{name} belongs to {other}, and the QueryLanguage here is {self.language}.",
                    aws=f"The QueryLanguage is set to '{self.language}', but field '{name}' is "
                    f"only supported for the '{other}' QueryLanguage",
                    where="holder",
                )
            elif not self.report.is_full:
                self._unknown(name, known)

    def _unknown(self, name: str, known: Collection[str]) -> None:
        near = get_close_matches(name[:80], known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(sorted(known))}."
        self.report.add(
            self.at(name),
            "member-unknown",
            f"There is no member '{name:.80}' here. {hint}",
            aws=f"Field '{name}' is not supported",
            where="holder",
        )

    def text(self, name: str) -> str | None:
        """A text."""
        value = self.value.get(name)
        if isinstance(value, str):
            return value
        if name in self.value:
            self._not_a(name, "a text")
        return None

    def one_of(self, name: str, values: Collection[str]) -> str | None:
        """One of some texts."""
        value = self.value.get(name)
        if isinstance(value, str) and value in values:
            return value
        if name in self.value:
            told = ", ".join(values)
            self.wrong(
                name,
                "member-value",
                f"{name} is {shown(value)}; it must be one of {told}.",
                f"The field '{name}' should have one of these values: [{told}]",
            )
        return None

    def whole(self, name: str, low: int, high: int, code: str = "member-range") -> int | None:
        """A whole number in a range, both ends included."""
        value = self.value.get(name)
        if value.__class__ is int:
            if low <= value <= high:
                return int(value)
            self.wrong(
                name,
                code,
                f"{name} is {shown(value)}; it must be from {low:,} to {high:,}.",
            )
        elif name in self.value:
            self._not_a(name, "a whole number")
        return None

    def number(self, name: str, low: float, high: float, code: str) -> float | None:
        """A number in a range, both ends included."""
        value = self.value.get(name)
        if value.__class__ in (int, float):
            if low <= value <= high:
                return float(value)
            self.wrong(name, code, f"{name} is {shown(value)}; it must be from {low} to {high:g}.")
        elif name in self.value:
            self._not_a(name, "a number")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """An array of texts."""
        value = self.value.get(name)
        if not isinstance(value, list):
            if name in self.value:
                self._not_a(name, "an array of texts")
            return None
        wrong = [index for index, item in enumerate(value) if not isinstance(item, str)]
        for index in wrong:
            message = f"An item of {name} is {shown(value[index])}; it must be a text."
            self.report.add(f"{self.at(name)}/{index}", "member-type", message)
        return None if wrong else tuple(value)

    def inner(self, name: str) -> "Fields | None":
        """An object."""
        value = self.value.get(name)
        if isinstance(value, dict):
            return self._below(value, self.at(name), f"{name}/")
        if name in self.value:
            self._not_a(name, "an object")
        return None

    def each(self, name: str) -> Iterator["Fields"]:
        """The objects of an array."""
        value = self.value.get(name)
        if not isinstance(value, list):
            if name in self.value:
                self._not_a(name, "an array of objects")
            return
        for index, item in enumerate(value):
            pointer = f"{self.at(name)}/{index}"
            if isinstance(item, dict):
                yield self._below(item, pointer, f"{name}[{index}]/")
            else:
                message = f"An item of {name} is {shown(item)}; it must be an object."
                self.report.add(pointer, "member-type", message)

    def _below(self, value: dict[str, Json], pointer: str, way: str) -> "Fields":
        return Fields(value, pointer, self.report, self.language, self.prefix + way)

    def path(self, name: str, *, nullable: bool = False) -> Path | None:
        """A path; absent reads as `$` where null is a value of its own."""
        value = self.value.get(name, "$" if nullable else None)
        if isinstance(value, str):
            try:
                return compile_path(value)
            except PathSyntaxError as e:
                self.wrong(name, "path-invalid", _path_message(name, value, e))
        elif name in self.value and not (nullable and value is None):
            self._not_a(name, "a path, such as $.a.b" + (", or null" if nullable else ""))
        return None

    def single_path(self, name: str) -> Path | None:
        """A path that names one place."""
        path = self.path(name)
        if path is not None and not path.is_definite:
            message = f"{name} must name one place; {path.text:.80} may find several."
            self.wrong(name, "reference-path-invalid", message)
        return path

    def reference(self, name: str) -> Reference | None:
        """A reference path; absent reads as `$`, null as None."""
        value = self.value.get(name, "$")
        if isinstance(value, str):
            try:
                return compile_reference(value)
            except PathSyntaxError as e:
                message = _path_message(name, value, e)
                self.wrong(name, "reference-path-invalid", message)
        elif value is not None:
            self._not_a(name, "a reference path, such as $.a.b, or null")
        return None

    def template(self, name: str) -> Template | None:
        """A payload template, in the object's language."""
        if name not in self.value:
            return None
        value = self.value[name]
        if self.is_jsonata:
            return self._query_template(name, value)
        try:
            compiled = compile_template(value)
        except TemplateSyntaxError as e:
            for suffix, message in e.problems:
                self.report.add(
                    self.at(name) + suffix,
                    "template-invalid",
                    _sentence(message),
                    aws=message.partition(": ")[0],
                )
            return None
        self._warn_of_literal_paths(name, value)
        return compiled

    def _query_template(self, name: str, value: Json) -> Template | None:
        try:
            return compile_query_template(value, self.prefix + name)
        except JsonataSyntaxError:
            return None  # what is wrong with expressions is told by `check_expressions`

    def query(self, name: str) -> Query | None:
        """An expression; None where the member is none, or is not in JSONata."""
        value = self.value.get(name)
        if not (self.is_jsonata and isinstance(value, str) and is_expression(value)):
            return None
        try:
            return compile_query(value, self.prefix + name)
        except JsonataSyntaxError:
            return None

    def given_text(self, name: str) -> Template | None:
        """A text, or in JSONata an expression that gives one."""
        text = self.text(name)
        if text is None:
            return None
        if not self.is_jsonata:
            return Template(lambda _: text, is_constant=True)
        try:
            return compile_text(text, self.prefix + name)
        except JsonataSyntaxError:
            return None

    def computed(self, name: str, low: int, high: int) -> int | Path | Query | None:
        """A whole number in a range: written, at the path of `NAMEPath`, or of an expression."""
        value = self.value.get(name)
        if self.is_jsonata:
            if isinstance(value, str) and is_expression(value):
                return self.query(name)
            return self.whole(name, low, high)
        self.exclusive(name, f"{name}Path")
        path = self.single_path(f"{name}Path")
        return self.whole(name, low, high) if path is None else path

    def assign(self) -> Template | None:
        """An Assign: a payload template of an object whose names are variables."""
        if "Assign" not in self.value:
            return None
        given = self.value["Assign"]
        if not isinstance(given, dict):
            self._not_a("Assign", "an object of variables")
            return None
        for name in given:
            variable = assigned_name(name, is_jsonata=self.is_jsonata)
            if not is_variable_name(variable) or variable == _STATES:
                self.report.add(
                    f"{self.at('Assign')}/{escaped(name)}",
                    "variable-name",
                    f"'{variable:.100}' cannot be the name of a variable: a letter or '_', then "
                    f"letters, digits and '_', at most {limits.VARIABLE_NAME_CHARS_MAX}; "
                    f"'{_STATES}' is taken.",
                )
        return self.template("Assign")

    def _warn_of_literal_paths(self, name: str, value: Json) -> None:
        for suffix, text in texts_like_paths(value):
            if suffix.endswith(".$"):
                continue  # evaluated
            self.report.add(
                self.at(name) + suffix,
                "value-looks-like-path",
                f"{shown(text)} is taken literally; end the key in .$ to have it evaluated.",
            )

    def _not_a(self, name: str, kind: str) -> None:
        message = f"{name} is {shown(self.value[name])}; it must be {kind}."
        self.wrong(name, "member-type", message)


def shown(value: Json) -> str:
    """A value for a message, cut where it is long."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def looks_like_path(value: Json) -> bool:
    """Whether a text would be a path or a call if it were evaluated."""
    if not isinstance(value, str):
        return False
    if value.startswith("States."):
        return value.endswith(")")
    return value in ("$", "$$") or value.startswith(("$.", "$$.", "$["))


def texts_like_paths(value: Json) -> Iterator[tuple[str, str]]:
    """The texts in a value that look like paths, with their pointers into it."""
    stack: list[tuple[str, Json]] = [("", value)]
    while stack:
        pointer, node = stack.pop()
        if isinstance(node, dict):
            stack.extend((f"{pointer}/{escaped(name)}", item) for name, item in node.items())
        elif isinstance(node, list):
            stack.extend((f"{pointer}/{i}", item) for i, item in enumerate(node))
        elif looks_like_path(node):
            yield pointer, node


def _path_message(name: str, value: str, error: PathSyntaxError) -> str:
    return f"{name} cannot read {shown(value)}: {error.message} (position {error.position})."


def _sentence(message: str) -> str:
    return message if message.endswith(".") else message + "."
