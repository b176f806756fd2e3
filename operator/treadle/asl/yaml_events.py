"""YAML 1.2 into JSON values, from the parser's events.

One rule: only what JSON has comes out. Nothing is constructed from a tag, an alias costs what it
stands for, and a plain text is what the core schema says: no timestamps, no `yes` and `no`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from treadle.asl import limits
from treadle.asl.json import Json, whole
from treadle.asl.limits import TextBounds
from treadle.asl.pointers import escaped
from treadle.asl.yaml_versions import MERGE, MERGE_MESSAGE, Unlike, key_unlike, value_unlike

M = TypeVar("M")


class YamlProblem(Exception):  # noqa: N818 - it becomes a Problem
    """What is wrong with a text, by which rule, at which line and column (from 1)."""

    def __init__(self, code: str, message: str, line: int, column: int, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer
        self.code = code
        self.message = message
        self.line = line
        self.column = column


class Node:
    """A value, where it stands, and what it weighs.

    `weight` is at most the length of the value's JSON text; `height` the levels inside it.
    """

    __slots__ = ("anchor", "column", "height", "inner", "key", "line", "value", "weight")

    def __init__(self, value: Json, event: Event, weight: int) -> None:
        self.value = value
        self.line = event.start_mark.line + 1
        self.column = event.start_mark.column + 1
        self.weight = weight
        self.height = 0
        self.inner: dict[str, Node] = {}
        self.anchor: str | None = None
        self.key: Node | None = None

    def marks(self, make: Callable[[tuple[int, int], dict[str, M]], M]) -> M:
        """The places of this node and of what is in it, built by `make(place, inner)`."""
        inner = {name: node.marks(make) for name, node in self.inner.items()}
        return make((self.line, self.column), inner)


def compose(text: str, bounds: TextBounds) -> tuple[Node, list[Unlike]]:
    """The one document of a text, and the first of what kubectl reads otherwise in it.

    Raises:
        YamlProblem: it is not YAML, not one document, not JSON in meaning, or too large or deep.
    """
    composer = _Composer(bounds)
    for count, event in enumerate(_events(text)):
        if count == limits.YAML_EVENTS_MAX:
            message = "The YAML has too many parts to be read in good time; give it as JSON."
            raise _wrong(event, message, "document-too-large")
        composer.take(event)
    if composer.root is None:
        raise YamlProblem("document-not-parsed", "The text is empty.", 1, 1)
    return composer.root, composer.unlike


def _events(text: str) -> Iterator[Event]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(str(part) for part in (e.problem, e.context) if part)
        raise YamlProblem(
            "document-not-parsed", f"The YAML cannot be read: {what}.", line, column
        ) from None
    except (YAMLError, ValueError, OverflowError, IndexError, AttributeError) as e:
        # The parser has no error of its own for some escapes and characters.
        what = str(e).partition("\n")[0]
        raise YamlProblem(
            "document-not-parsed", f"The YAML cannot be read: {what}.", 1, 1
        ) from None


class _Composer:
    """Builds nodes from events with a stack of its own: no text makes Python recurse."""

    def __init__(self, bounds: TextBounds) -> None:
        self._bounds = bounds
        self.root: Node | None = None
        self.unlike: list[Unlike] = []
        self._open: list[Node] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._weight = 0

    def take(self, event: Event) -> None:
        """The next event."""
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise _wrong(event, "The text has a second document; only one is read.")
            case ScalarEvent():
                self._add(Node(self._scalar(event), event, len(event.value) + 1), event)
            case AliasEvent():
                self._add_alias(event)
            case MappingStartEvent():
                self._open_container(Node({}, event, 2), event)
            case SequenceStartEvent():
                self._open_container(Node([], event, 2), event)
            case MappingEndEvent() | SequenceEndEvent():
                self._close()
            case _:
                pass

    def _scalar(self, event: ScalarEvent) -> Json:
        if self._is_key():
            if event.implicit[0] and event.style in (None, ""):
                message = MERGE_MESSAGE if event.value == MERGE else key_unlike(event.value)
                self._note(event, message)
            return event.value
        tag = str(event.ctag) if event.ctag is not None else ""
        if tag in ("!", "tag:yaml.org,2002:str", "!!str"):
            return event.value
        if tag and not event.implicit[0]:
            raise _wrong(event, f"The tag {tag} is not taken; write the value as JSON has it.")
        if event.style not in (None, ""):
            return event.value
        value = _plain(event)
        self._note(event, value_unlike(event.value, value))
        return value

    def _note(self, event: ScalarEvent, message: str) -> None:
        """What kubectl reads otherwise, if there is something to be said of it."""
        is_merge = message is MERGE_MESSAGE
        # There is always room for a `<<`: a definition with one is refused.
        most = limits.PROBLEMS_MAX * (2 if is_merge else 1)
        if message and len(self.unlike) < most:
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            pointer = self._pointer(event.value if self._is_key() else None)
            self.unlike.append(Unlike(pointer, message, line, column, is_merge))

    def _is_key(self) -> bool:
        return (
            bool(self._open) and isinstance(self._open[-1].value, dict) and not self._open[-1].key
        )

    def _open_container(self, node: Node, event: MappingStartEvent | SequenceStartEvent) -> None:
        if self._is_key():
            raise _wrong(event, "A key must be a text.")
        tag = str(event.ctag) if event.ctag is not None else ""
        if tag and not tag.endswith((":map", ":seq")) and tag != "!":
            raise _wrong(event, f"The tag {tag} is not taken; write the value as JSON has it.")
        node.anchor = event.anchor
        self._spend(node.weight, event)
        self._open.append(node)
        self._check_depth(len(self._open), event)

    def _close(self) -> None:
        node = self._open.pop()
        self._place(node)
        if node.anchor:
            self._anchors[node.anchor] = node

    def _add(self, node: Node, event: ScalarEvent) -> None:
        self._spend(node.weight, event)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node)

    def _add_alias(self, event: AliasEvent) -> None:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise _wrong(event, f"The alias *{event.anchor} names no finished value before it.")
        if self._is_key() and not isinstance(known.value, str):
            raise _wrong(event, "A key must be a text.")
        # An alias costs what it stands for, so that no few lines stand for billions.
        self._spend(known.weight, event)
        self._check_depth(len(self._open) + known.height, event)
        node = Node(known.value, event, known.weight)
        node.height = known.height
        self._place(node)

    def _place(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        holder = self._open[-1]
        holder.height = max(holder.height, node.height + 1)
        holder.weight += node.weight
        if isinstance(holder.value, list):
            holder.inner[str(len(holder.value))] = node
            holder.value.append(node.value)
        elif holder.key is None:
            if node.value in holder.value:
                raise YamlProblem(
                    "document-duplicate-key",
                    f"The key '{node.value:.80}' is given twice in one object.",
                    node.line,
                    node.column,
                    self._pointer(node.value),
                )
            holder.key = node
        else:
            # A member's place is that of its key: that is where people look.
            name = holder.key.value
            node.line, node.column = holder.key.line, holder.key.column
            holder.value[name] = node.value
            holder.inner[name] = node
            holder.key = None

    def _pointer(self, name: str | None) -> str:
        """Of a member of the innermost object, or of the value that is read now."""
        names = [
            str(node.key.value if node.key else len(node.value))
            for node in (self._open if name is None else self._open[:-1])
        ]
        tokens = [escaped(token) for token in (names if name is None else (*names, name))]
        return "".join(f"/{token}" for token in tokens)[: limits.DEFINITION_POINTER_CHARS_MAX]

    def _spend(self, weight: int, event: Event) -> None:
        self._weight += weight
        bounds = self._bounds
        if self._weight > bounds.bytes_max:
            raise _wrong(
                event,
                f"With its aliases written out the {bounds.what} has more than "
                f"{bounds.bytes_max:,} bytes.",
                "document-too-large",
            )

    def _check_depth(self, depth: int, event: Event) -> None:
        if depth > self._bounds.depth_max:
            raise _wrong(event, self._bounds.too_deep, "document-too-deep")


def _wrong(event: Event, message: str, code: str = "document-not-parsed") -> YamlProblem:
    return YamlProblem(code, message, event.start_mark.line + 1, event.start_mark.column + 1)


# YAML 1.2.2, section 10.3.2: the core schema.
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+")
_OTHER_INT = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BITS_MAX: Final = limits.INTEGER_DIGITS_MAX * 3  # less than so many digits, written in base 10
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def _plain(event: ScalarEvent) -> Json:
    text: str = event.value
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        try:
            return whole(text.lstrip("+"))
        except ValueError as why:
            raise _wrong(event, f"The YAML cannot be read: {why}.") from None
    if match := _OTHER_INT.fullmatch(text):
        number = int(match[1], 8) if match[1] else int(match[2], 16)
        if number.bit_length() > _BITS_MAX:
            what = f"an integer has more than {limits.INTEGER_DIGITS_MAX:,} digits"
            raise _wrong(event, f"The YAML cannot be read: {what}.")
        return number
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        raise _wrong(event, f"{text} is not a JSON number.", "document-not-json")
    return text
