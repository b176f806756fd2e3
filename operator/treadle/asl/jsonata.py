"""JSONata expressions, behind a small door: compile, evaluate, and what one reads.

One rule: steps, depth and sizes decide what is too much, never the time that a machine takes; what
AWS refuses when a machine is created is refused when it is compiled.

Source: AWS, "Transforming data with JSONata in Step Functions"; the engine is `jlens`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from jlens import Expression as Compiled
from jlens import JlensError

from treadle.asl import limits
from treadle.asl.chance import Chance, JavaRandom
from treadle.asl.json import Json, loads

STATES: Final = "states"

_RANGE_ITEMS_MAX = 1_000  # AWS: $range

_OPEN, _CLOSE = "{%", "%}"
_PLAIN = re.compile(r"\$(\w+)((?:\.[^\W\d]\w*)*)", re.ASCII)
_STATES_REBOUND = re.compile(r"\$states\s*:=")
_LIMITS: Final[Mapping[str, Any]] = {
    "timeout": 30.0,  # a far backstop: the bounds below end everything within seconds
    "max_depth": 500,
    "max_steps": 2_000_000,
    "max_string_length": 4 * 1024 * 1024,
    "max_array_length": 1_000_000,
    "max_result_size": 4 * 1024 * 1024,
}


class JsonataSyntaxError(ValueError):
    """A text that is no expression, or one that AWS refuses. `position` counts from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class JsonataFailed(Exception):  # noqa: N818 - what it is
    """An evaluation failed; the message begins with JSONata's code."""


class Undefined:
    """The value of an expression that found nothing; JSON has no such value."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()


def is_expression(text: str) -> bool:
    """Whether a text of a definition is `{% … %}`."""
    return text.startswith(_OPEN) and text.endswith(_CLOSE) and len(text) >= 4


def is_half_open(text: str) -> bool:
    """Whether a text has one end of an expression and not the other, which AWS refuses."""
    return text.strip().startswith(_OPEN) != text.strip().endswith(_CLOSE)


class Expression:
    """A compiled expression. Build it with `compile_expression`.

    Attributes:
        text: between the delimiters.
        variables: names that it reads, without `$`; `states` too where it does.
        states: the members of `$states` that it reads.
    """

    __slots__ = ("_compiled", "_keys", "_root", "states", "text", "variables")

    def __init__(self, text: str, compiled: Compiled, reads: Mapping[str, Any]) -> None:
        self.text = text
        self._compiled = compiled
        bindings = reads.get("bindings", {})
        self.variables = frozenset(bindings) - _FUNCTIONS.keys()
        states = bindings.get(STATES, {})
        self.states = frozenset(states) if isinstance(states, dict) else frozenset(("*",))
        plain = _PLAIN.fullmatch(text.strip())
        self._root = plain[1] if plain else ""
        self._keys = plain[2].split(".")[1:] if plain else []

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(
        self, values: Mapping[str, Json], chance: Chance, now_ms: int
    ) -> "Json | Undefined":
        """Its value.

        Args:
            values: `states` and the variables, by name.
            chance: what `$random` and `$uuid` draw from.
            now_ms: what `$now` and `$millis` say.

        Raises:
            JsonataFailed: with JSONata's code and message.
        """
        if self._root:
            found = self._plain(values)
            if found is not None:
                return found[0]
        bindings = {**values, **_functions(chance)}
        try:
            text = self._compiled.evaluate_json(
                None, bindings, now=now_ms, seed=chance.below(2**53), **_LIMITS
            )
        except JlensError as why:
            raise JsonataFailed(_said(why)) from None
        except _FunctionFailed as why:
            raise JsonataFailed(str(why)) from None
        return UNDEFINED if text is None else loads(text)

    def _plain(self, values: Mapping[str, Json]) -> tuple[Json] | None:
        """A path of names through objects, in Python: its integers stay what they are."""
        node = values.get(self._root, UNDEFINED)
        for key in self._keys:
            if node.__class__ is not dict or key not in node:
                return None
            node = node[key]
        return None if node is UNDEFINED else (node,)


@lru_cache(maxsize=limits.PATH_CACHE_MAX)
def compile_expression(text: str) -> Expression:
    """The expression of a text `{% … %}`.

    Raises:
        JsonataSyntaxError: it is none, or reads what there is not: the input document at its top.
    """
    body = text[len(_OPEN) : -len(_CLOSE)]
    try:
        compiled = Compiled(body)
    except JlensError as why:
        raise JsonataSyntaxError(_said(why), _position(why)) from None
    reads: Any = compiled.reads(dict.fromkeys(_FUNCTIONS, _nothing))
    if reads.get("everyBinding"):
        raise JsonataSyntaxError("$eval is not available; $parse reads JSON", len(_OPEN))
    # A call of what is no function is read as if it read the input: it is judged as a variable.
    called = dict.fromkeys((*reads.get("bindings", {}), *_FUNCTIONS), _nothing)
    if compiled.reads(called).get("input"):
        message = (
            "There is no input document: $, $$ and bare names have no meaning at the top of an "
            "expression; begin with $states or a variable"
        )
        raise JsonataSyntaxError(message, len(_OPEN))
    rebound = _STATES_REBOUND.search(body)
    if rebound is not None:
        raise JsonataSyntaxError("$states cannot be assigned", len(_OPEN) + rebound.start())
    return Expression(body, compiled, reads)


def _said(why: JlensError) -> str:
    text = str(why)
    return text if text.startswith(f"{why.code}:") else f"{why.code}: {text}"


def _position(why: JlensError) -> int:
    return len(_OPEN) + (why.position or 0)


# ------------------------------------------------------------------------------ AWS's functions


class _FunctionFailed(Exception):  # noqa: N818 - on its way to a JsonataFailed
    pass


def _functions(chance: Chance) -> Mapping[str, Callable[..., Any]]:
    def uuid() -> str:
        return chance.uuid()

    def random(seed: Any = None) -> float:
        return chance.unit() if seed is None else JavaRandom(_whole(seed, "seed")).unit()

    return {**_FUNCTIONS, "uuid": uuid, "random": random}


def _whole(value: Any, what: str) -> int:
    """An integer argument. Source: AWS: "rounded down to the nearest integer"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _FunctionFailed(f"T0410: the {what} must be a number")
    return int(value // 1)


def _partition(items: Sequence[Any], size: Any) -> list[Any]:
    count = _whole(size, "size of the parts")
    if not isinstance(items, list) or count < 1:
        raise _FunctionFailed("T0410: $partition needs an array and a size above 0")
    return [items[at : at + count] for at in range(0, len(items), count)]


def _range(first: Any, last: Any, delta: Any) -> list[int]:
    start, end, step = (_whole(value, "argument of $range") for value in (first, last, delta))
    if step == 0:
        raise _FunctionFailed("T0410: the step of $range must not be 0")
    found = range(start, end + (1 if step > 0 else -1), step)
    if len(found) > _RANGE_ITEMS_MAX:
        raise _FunctionFailed(f"D2014: $range gives at most {_RANGE_ITEMS_MAX:,} numbers")
    return list(found)


_ALGORITHMS: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256"} | {
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


def _hash(data: Any, algorithm: Any) -> str:
    if not isinstance(data, str) or algorithm not in _ALGORITHMS:
        known = ", ".join(_ALGORITHMS)
        raise _FunctionFailed(f"T0410: $hash needs a text and one of {known}")
    return hashlib.new(_ALGORITHMS[algorithm], data.encode(), usedforsecurity=False).hexdigest()


def _parse(text: Any) -> Json:
    if not isinstance(text, str):
        raise _FunctionFailed("T0410: $parse needs a text")
    try:
        return loads(text)
    except ValueError as why:
        raise _FunctionFailed(f"D3120: $parse: {why}") from None


def _nothing(*_: Any) -> None:
    return None


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "parse": _parse,
    "uuid": _nothing,
    "random": _nothing,
}
