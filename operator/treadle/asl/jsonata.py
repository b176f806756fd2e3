"""JSONata expressions, behind a small door: compile, evaluate, and what one reads.

One rule: steps, depth and sizes decide what is too much, long before the time that a machine takes
does; what AWS refuses when a machine is created is refused when it is compiled.

Source: AWS, "Transforming data with JSONata in Step Functions"; the engine is `jlens`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from jlens import Expression as Compiled
from jlens import JlensError

from treadle.asl import limits
from treadle.asl.chance import Chance, JavaRandom
from treadle.asl.json import Json, dumps, loads
from treadle.asl.jsonata_text import later_operator, top_reference
from treadle.asl.scope import Effort, Scope

STATES: Final = "states"

_RANGE_ITEMS_MAX = 360_145  # AWS takes so many of $range and refuses one more

_OPEN, _CLOSE = "{%", "%}"
_PLAIN = re.compile(r"\$(\w+)((?:\.[^\W\d]\w*)*)", re.ASCII)
_NAME = re.compile(r"\$(\w+)")
_STATES_REBOUND = re.compile(r"\$states\s*:=")
# An evaluation begins with few steps and is made again with more, so that what it cost is known:
# the engine does not count for us. The repetitions add a twentieth.
_STEPS: Final = (250, 5_000, 100_000, 2_000_000)
_STEPS_EXCEEDED = "U1006"
_STEPS_A_NODE = 16  # what takes as long as visiting one node of a path
_BYTES_READ_A_NODE = 512  # of JSON, handed to the engine
_BYTES_GIVEN_A_NODE = 64  # of JSON, taken from it; they stay
_LIMITS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "max_depth": 500,
        "max_string_length": 4 * 1024 * 1024,
        "max_array_length": 900_000,  # AWS: 873,782
        "max_result_size": 4 * 1024 * 1024,
    }
)


class JsonataSyntaxError(ValueError):
    """A text that is no expression, or one that AWS refuses.

    Attributes:
        message: a sentence without its stop.
        position: in the text, from 0.
        aws: AWS's sentence.
        is_unsupported: it can be read, and AWS refuses what it reads.
    """

    def __init__(self, message: str, position: int, aws: str, *, is_unsupported: bool) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.aws = aws
        self.is_unsupported = is_unsupported


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
        variables: names that it reads, without `$`, and that are not its own.
        names: those that it must be given: where it assigns some itself, all that it has.
        states: the members of `$states` that it reads.
    """

    __slots__ = (
        "_compiled",
        "_draws",
        "_keys",
        "_root",
        "names",
        "states",
        "text",
        "variables",
    )

    def __init__(self, text: str, compiled: Compiled, reads: Mapping[str, Any]) -> None:
        self.text = text
        self._compiled = compiled
        bindings = reads.get("bindings", {})
        self.variables = frozenset(bindings) - _FUNCTIONS.keys() - {STATES}
        # The engine tells no name that is also assigned; it tells that it is unsure.
        unsure = _NAME.findall(text) if reads.get("input") else ()
        self.names = self.variables.union(unsure) - _FUNCTIONS.keys() - {STATES}
        self._draws = any(f"${name}" in text for name in _DRAWING)
        states = bindings.get(STATES, {})
        self.states = frozenset(states) if isinstance(states, dict) else frozenset(("*",))
        plain = _PLAIN.fullmatch(text.strip())
        self._root = plain[1] if plain else ""
        self._keys = plain[2].split(".")[1:] if plain else []

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, values: Mapping[str, Json], scope: Scope) -> "Json | Undefined":
        """Its value.

        Args:
            values: `states` and the variables, by name.
            scope: what it draws from, when it is, and what it may cost.

        Raises:
            JsonataFailed: with JSONata's code and message.
            EvaluationFailed: the visit costs too much.
        """
        effort = scope.effort
        effort.spend(1)
        if self._root:
            found = self._plain(values)
            if found is not None:
                return found[0]
        effort.spend(sum(map(_size, values.values())) // _BYTES_READ_A_NODE)
        bindings = {**values, **_drawing(scope.chance)} if self._draws else dict(values)
        text = _evaluated(self._compiled, bindings, scope.now_ms, scope.chance, effort)
        if text is None:
            return UNDEFINED
        effort.spend(len(text) // _BYTES_GIVEN_A_NODE)
        return loads(text)

    def gives_function(self, values: Mapping[str, Json], scope: Scope) -> bool:
        """Whether its value, which JSON cannot have, is a function."""
        # In a parenthesis of its own a regular expression could not be read.
        asking = compile_expression(f"{_OPEN}$type({self.text}){_CLOSE}")
        return asking.evaluate(values, scope) == "function"

    def _plain(self, values: Mapping[str, Json]) -> tuple[Json] | None:
        """A path of names through objects, in Python: its integers stay what they are."""
        node = values.get(self._root, UNDEFINED)
        for key in self._keys:
            if node.__class__ is not dict or key not in node:
                return None
            node = node[key]
        return None if node is UNDEFINED else (node,)


def _evaluated(
    compiled: Compiled, bindings: dict[str, Any], now_ms: int, chance: Chance, effort: Effort
) -> str | None:
    """The JSON text of a value; None where it is undefined. Raises: JsonataFailed."""
    seed = chance.below(2**53)
    for steps in _STEPS:
        effort.spend(steps // _STEPS_A_NODE)
        try:
            return compiled.evaluate_json(
                None,
                bindings,
                now=now_ms,
                seed=seed,
                max_steps=steps,
                timeout=effort.seconds_left(),
                **_LIMITS,
            )
        except JlensError as why:
            if why.code != _STEPS_EXCEEDED or steps == _STEPS[-1]:
                raise JsonataFailed(_said(why)) from None
        except _FunctionFailed as why:
            raise JsonataFailed(str(why)) from None
    raise AssertionError("the last number of steps returns or raises")


def _size(value: Json) -> int:
    """About how many bytes of JSON a value has."""
    if isinstance(value, str):
        return len(value)
    return len(dumps(value)) if isinstance(value, dict | list) else 8


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
        raise JsonataSyntaxError(
            _said(why), _position(why), str(why), is_unsupported=False
        ) from None
    later = later_operator(body)
    if later is not None:
        raise _later(*later)
    for name, (function, signature) in _FUNCTIONS.items():
        if f"${name}" in body:
            compiled.register_function(name, function, signature)
    reads: Any = compiled.reads()
    if reads.get("everyBinding"):
        raise _unsupported(
            "$eval is not available; $parse reads JSON", "Reference to '$eval' is not supported."
        )
    # A call of what is no function is read as if it read the input: it is judged as a variable.
    called = dict.fromkeys(reads.get("bindings", {}), _nothing)
    top = _read_at_top(compiled.reads(called).get("input"), body)
    if top is not None:
        raise _reads_input(top)
    rebound = _STATES_REBOUND.search(body)
    if rebound is not None:
        aws = "Reference to '$states' is not supported."
        raise _unsupported("$states cannot be assigned", aws, rebound.start())
    return Expression(body, compiled, reads)


def _read_at_top(told: Any, body: str) -> str | None:
    """The engine tells names, or "everything", also where it cannot follow a call or a value."""
    if isinstance(told, dict):
        return next(iter(told), None)
    return top_reference(body) if told else None


def _later(operator: str, at: int) -> JsonataSyntaxError:
    aws = f'S0211: The symbol "{operator[1]}" cannot be used as a unary operator'
    message = f"{aws}; {operator} came with JSONata 2.1, and AWS has 2.0.6"
    return JsonataSyntaxError(message, len(_OPEN) + at, aws, is_unsupported=False)


def _reads_input(name: str) -> JsonataSyntaxError:
    place = "" if name == "$$" else " at the top level"
    return _unsupported(
        f"There is no input document, so {name} has no meaning at the top of an expression; begin "
        "with $states or a variable",
        f"Reference to '{name}'{place} is not supported.",
    )


def _unsupported(message: str, aws: str, at: int = 0) -> JsonataSyntaxError:
    return JsonataSyntaxError(message, len(_OPEN) + at, aws, is_unsupported=True)


def _said(why: JlensError) -> str:
    text = str(why)
    return text if text.startswith(f"{why.code}:") else f"{why.code}: {text}"


def _position(why: JlensError) -> int:
    return len(_OPEN) + (why.position or 0)


# ------------------------------------------------------------------------------ AWS's functions


class _FunctionFailed(Exception):  # noqa: N818 - on its way to a JsonataFailed
    pass


def _drawing(chance: Chance) -> Mapping[str, Callable[..., Any]]:
    def uuid(*_: Any) -> str:  # as in $map(…, $uuid), which hands it each item
        return chance.uuid()

    def random(seed: Any = None, *more: Any) -> float:
        if more:
            raise _FunctionFailed("T0410: $random takes a seed and no more")
        return chance.unit() if seed is None else JavaRandom(_whole(seed, "seed")).unit()

    return {"uuid": uuid, "random": random}


_DRAWING: Final = frozenset(("uuid", "random"))

# What gives None is undefined, as on AWS where an argument is missing or makes no sense.


def _whole(value: Any, what: str) -> int:
    """An integer argument, without its fraction. Source: measured on AWS (its guide: "down")."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _FunctionFailed(f"T0410: the {what} must be a number")
    return int(value)


def _partition(items: Any = None, size: Any = None) -> list[Any] | None:
    if items is None or size is None:
        return None
    count = _whole(size, "size of the parts")
    if not isinstance(items, list):
        raise _FunctionFailed("T0410: $partition needs an array")
    if count < 1 or not items:
        return None
    return [items[at : at + count] for at in range(0, len(items), count)]


def _range(first: Any = None, last: Any = None, delta: Any = None) -> list[int] | int | None:
    if first is None or last is None or delta is None:
        return None
    start, end, step = (_whole(value, "argument of $range") for value in (first, last, delta))
    if step == 0:
        return None
    count = (end - start) // step + 1
    if count > _RANGE_ITEMS_MAX:
        raise _FunctionFailed(f"D2014: $range gives at most {_RANGE_ITEMS_MAX:,} numbers")
    if count < 1:
        return None
    return start if count == 1 else list(range(start, end + (1 if step > 0 else -1), step))


_ALGORITHMS: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256"} | {
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


def _hash(data: Any = None, algorithm: Any = None) -> str | None:
    if data is None or algorithm is None:
        return None
    named = _ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if not isinstance(data, str) or named is None:
        known = ", ".join(_ALGORITHMS)
        raise _FunctionFailed(f"T0410: $hash needs a text and one of {known}")
    return hashlib.new(named, data.encode(), usedforsecurity=False).hexdigest()


def _parse(text: Any = None) -> Json:
    if text is None:
        return None
    if not isinstance(text, str):
        raise _FunctionFailed("T0410: $parse needs a text")
    try:
        return loads(text)
    except ValueError as why:
        raise _FunctionFailed(f"D3120: $parse: {why}") from None


def _nothing(*_: Any) -> None:
    return None


# With its signature the engine knows how many arguments a function takes, and refuses more. Those
# that draw are given to each evaluation.
_FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], str]]] = {
    "partition": (_partition, "<x?x?:x>"),
    "range": (_range, "<x?x?x?:x>"),
    "hash": (_hash, "<x?x?:x>"),
    "parse": (_parse, "<x?:x>"),
    "uuid": (_nothing, "<:s>"),
    "random": (_nothing, "<x?:n>"),
}
