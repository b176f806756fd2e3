"""One evaluation of a JSONata expression, as data: it may be made here or in another process.

One rule: an answer depends on what is asked alone, and nothing that is asked raises.

Source: AWS, "Transforming data with JSONata in Step Functions"; the engine is `jlens`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import orjson
from jlens import Expression, JlensError

from treadle.asl import limits
from treadle.asl.chance import Chance
from treadle.asl.json import Json, loads
from treadle.asl.jsonata_functions import FunctionFailed, drawing, registered


@dataclass(frozen=True, slots=True)
class Asked:
    """An evaluation to make.

    Attributes:
        text: of the expression, without its delimiters.
        bindings: JSON of what it reads, by name.
        now_ms: what `$now` and `$millis` say.
        seed: of `$shuffle`, and of the engine's own chances.
        chance: the seed of `$uuid` and `$random`, in hex; empty where it has neither.
        drawn: how often that was drawn from before.
        steps_max: how many steps it may take.
        seconds_max: how long it may take.
    """

    text: str
    bindings: str
    now_ms: int
    seed: int
    chance: str
    drawn: int
    steps_max: int
    seconds_max: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        value: JSON; None where it is undefined, or failed.
        failure: JSONata's code and message; empty where it did not fail.
        lacks_steps: it failed because it may take too few steps.
        drawn: see `Asked`; afterwards.
    """

    value: str | None = None
    failure: str = ""
    lacks_steps: bool = False
    drawn: int = 0


class EvaluatorLost(Exception):  # noqa: N818 - it says what happened
    """Whoever evaluates is gone, and nothing is known of the expression: ask again, later."""


Evaluator: TypeAlias = Callable[[Asked], Answer]
"""Makes evaluations. Raises: EvaluatorLost, and nothing else."""

TIMED_OUT: Final = "D1012"
"""The code of what takes too long. Source: JSONata."""

_STEPS_EXCEEDED = "U1006"
_LIMITS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "max_depth": 500,
        "max_string_length": 4 * 1024 * 1024,
        "max_array_length": 900_000,  # AWS: 873,782
        "max_result_size": 4 * 1024 * 1024,
    }
)


def answer(asked: Asked) -> Answer:
    """Make an evaluation here.

    Steps and sizes bound it, but neither all the memory that it takes nor every built-in function:
    what others wrote is better evaluated in a process of its own.
    """
    chance = Chance(bytes.fromhex(asked.chance), asked.drawn)
    try:
        value = _compiled(asked.text).evaluate_json(
            None,
            {**_values(asked.bindings), **(drawing(chance) if asked.chance else {})},
            now=asked.now_ms,
            seed=asked.seed,
            max_steps=asked.steps_max,
            timeout=asked.seconds_max,
            **_LIMITS,
        )
    except JlensError as why:
        return Answer(failure=said(why), lacks_steps=why.code == _STEPS_EXCEEDED)
    except FunctionFailed as why:
        return Answer(failure=str(why))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as why:
        # A number that no float holds, or a panic of the engine, which is no Exception.
        return Answer(failure=f"D1001: {why}".partition("\n")[0][: limits.PROBLEM_CHARS_MAX])
    return Answer(value, drawn=chance.drawn)


def _values(bindings: str) -> Json:
    # For the engine all numbers are floats: nothing is lost where orjson makes some of integers.
    try:
        return orjson.loads(bindings)
    except orjson.JSONDecodeError:
        return loads(bindings)


def _compiled(text: str) -> Expression:
    is_short = len(text) <= limits.EXPRESSION_CACHED_CHARS_MAX
    return _kept(text) if is_short else _compile(text)


@lru_cache(maxsize=limits.EXPRESSION_CACHE_MAX)
def _kept(text: str) -> Expression:
    return _compile(text)


def _compile(text: str) -> Expression:
    return registered(Expression(text), text)


def said(why: JlensError) -> str:
    """The code and the message of an error of the engine."""
    text = str(why)
    return text if text.startswith(f"{why.code}:") else f"{why.code}: {text}"
