"""JSONata expressions, behind a small door: compile, evaluate, and what one reads.

One rule: steps, depth and sizes decide what is too much; the time and the memory of whoever
evaluates decide about what those do not see. What AWS refuses when a machine is created is refused
when it is compiled.

Source: AWS, "Transforming data with JSONata in Step Functions"; the engine is `jlens`.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from jlens import Expression as Compiled
from jlens import JlensError

from treadle.asl import limits
from treadle.asl.evaluator import TIMED_OUT, Answer, Asked, answer, said
from treadle.asl.json import Json, dumps, is_well_formed, loads_shallow
from treadle.asl.jsonata_functions import DRAWING, FUNCTIONS, nothing, registered
from treadle.asl.jsonata_text import assigned_names, later_operator, top_reference
from treadle.asl.scope import Scope, out_of_seconds

STATES: Final = "states"

_OPEN, _CLOSE = "{%", "%}"
_PLAIN = re.compile(r"\$(\w+)((?:\.[^\W\d]\w*)*)", re.ASCII)
_NAME = re.compile(r"\$(\w+)\b(?!\s*\()")
# An evaluation begins with few steps and is made again with more, so that what it cost is known:
# the engine does not count for us. The repetitions add a tenth at most, beyond the first.
_STEPS: Final = (250, 1_000, 10_000, 100_000, 2_000_000)
_STEPS_A_NODE = 16  # what takes as long as visiting one node of a path
_BYTES_READ_A_NODE = 512  # of JSON, handed to the engine
_BYTES_GIVEN_A_NODE = 64  # of JSON, taken from it; they stay


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
        names: those that it must be given; some that it assigns itself are among them.
        states: the members of `$states` that it reads.
    """

    __slots__ = ("_draws", "_keys", "_reads", "_root", "names", "states", "text", "variables")

    def __init__(self, text: str, reads: Mapping[str, Any], own: Collection[str]) -> None:
        self.text = text
        bindings = reads.get("bindings", {})
        # A function may call one that is assigned after it: the engine tells it as if not assigned.
        self.variables = frozenset(bindings) - FUNCTIONS.keys() - {STATES, *own}
        # The engine tells neither a name that is also assigned, though it tells that it is unsure,
        # nor one that is a function's too, which a variable of that name hides unless it is called.
        self.names = self.variables.union(_NAME.findall(text)) - {STATES}
        self._reads = {} if reads.get("input") else bindings
        self._draws = any(f"${name}" in text for name in DRAWING)
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
        text = self._evaluated(values, scope)
        if text is None:
            return UNDEFINED
        effort.spend(len(text) // _BYTES_GIVEN_A_NODE)
        try:
            return loads_shallow(text)
        except ValueError:
            raise JsonataFailed("U1001: The result is nested too deeply") from None

    def _evaluated(self, values: Mapping[str, Json], scope: Scope) -> str | None:
        """The JSON text of its value; None where it is undefined. Raises: see `evaluate`."""
        effort, chance = scope.effort, scope.chance
        try:
            bindings = dumps(self._read_of(values))
        except ValueError as why:
            raise JsonataFailed(f"U1001: What the expression reads is {why}") from None
        effort.spend(len(bindings) // _BYTES_READ_A_NODE)
        seed = chance.below(2**53)
        of_chance = chance.seed.hex() if self._draws else ""
        made, seconds = Answer(), limits.EXPRESSION_SECONDS_MAX
        for steps in _STEPS:
            effort.spend(steps // _STEPS_A_NODE)
            seconds = effort.seconds_left()
            made = (effort.evaluator or answer)(
                Asked(
                    *(self.text, bindings, scope.now_ms, seed, of_chance, chance.drawn),
                    *(steps, seconds),
                )
            )
            if not made.lacks_steps:
                break
        if made.failure.startswith(TIMED_OUT) and seconds < limits.EXPRESSION_SECONDS_MAX:
            raise out_of_seconds()  # others before it took most of it
        if made.failure:
            raise JsonataFailed(made.failure)
        if self._draws:
            chance.drawn = made.drawn
        return made.value

    def gives_function(self, values: Mapping[str, Json], scope: Scope) -> bool:
        """Whether its value, which JSON cannot have, is a function."""
        # In a parenthesis of its own a regular expression could not be read.
        try:
            asking = compile_expression(f"{_OPEN}$type({self.text}){_CLOSE}")
            return asking.evaluate(values, scope) == "function"
        except (JsonataSyntaxError, JsonataFailed):
            return False  # it was as deep as it may be, or is another one by other chances

    def _read_of(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """As much of the values as it reads: the same result, for the price of that."""
        reads = self._reads
        return {name: _cut(value, reads.get(name, True)) for name, value in values.items()}

    def _plain(self, values: Mapping[str, Json]) -> tuple[Json] | None:
        """A path of names through objects, in Python: its integers stay what they are."""
        node = values.get(self._root, UNDEFINED)
        for key in self._keys:
            if node.__class__ is not dict or key not in node:
                return None
            node = node[key]
        return None if node is UNDEFINED else (node,)


def _cut(value: Json, read: Any) -> Json:
    """A value without the members of objects that nobody reads."""
    if read is True or value.__class__ is not dict:
        return value
    return {name: _cut(member, read[name]) for name, member in value.items() if name in read}


@lru_cache(maxsize=limits.PATH_CACHE_MAX)
def compile_expression(text: str) -> Expression:
    """The expression of a text `{% … %}`.

    Raises:
        JsonataSyntaxError: it is none, or reads what there is not: the input document at its top.
    """
    body = text[len(_OPEN) : -len(_CLOSE)]
    if not is_well_formed(body):
        message = "half of a surrogate pair, which no UTF-8 can hold"
        raise JsonataSyntaxError(message, len(_OPEN), message, is_unsupported=False)
    if len(body) > limits.EXPRESSION_CHARS_MAX:
        message = (
            f"it has {len(body):,} characters and may have {limits.EXPRESSION_CHARS_MAX:,}; "
            "assign parts of it to variables in a state before"
        )
        raise JsonataSyntaxError(message, len(_OPEN), message, is_unsupported=False)
    try:
        compiled = Compiled(body)
    except JlensError as why:
        raise JsonataSyntaxError(
            said(why), _position(why), str(why), is_unsupported=False
        ) from None
    later = later_operator(body)
    if later is not None:
        raise _later(*later)
    reads: Any = registered(compiled, body).reads()
    if reads.get("everyBinding"):
        raise _unsupported(
            "$eval is not available; $parse reads JSON", "Reference to '$eval' is not supported."
        )
    # A call of what is no function is read as if it read the input: it is judged as a variable.
    called = dict.fromkeys(reads.get("bindings", {}), nothing)
    told = compiled.reads(called).get("input") if "input" in reads else None
    top = _read_at_top(told, body)
    if top is not None:
        raise _reads_input(top)
    own = assigned_names(body)
    if STATES in own:
        aws = "Reference to '$states' is not supported."
        raise _unsupported("$states cannot be assigned", aws, own[STATES])
    return Expression(body, reads, own)


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


def _position(why: JlensError) -> int:
    return len(_OPEN) + (why.position or 0)
