"""A parsed definition: every path, template and condition compiled once.

One rule: a Program is immutable and holds no ASL spelling, so that engine and runners never parse.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from treadle.asl.choices import Condition
from treadle.asl.json import Json
from treadle.asl.paths import Path, Reference
from treadle.asl.templates import Template


@dataclass(frozen=True, slots=True)
class Retrier:
    """Spec: Errors, "Retrying after error"."""

    errors: tuple[str, ...]
    interval_seconds: int = 1
    attempts_max: int = 3
    backoff_rate: float = 2.0
    delay_seconds_max: int | None = None
    jitter: Literal["FULL", "NONE"] = "NONE"


@dataclass(frozen=True, slots=True)
class Catcher:
    """Spec: Errors, "Fallback states". `result_path` None discards the error output."""

    errors: tuple[str, ...]
    next: str
    result_path: Reference | None
    assign: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBase:
    """Members that every state has. A path of None is ASL's `null`: an empty object (`{}`).

    `next` None means `"End": true` (or a terminal state). `assign` gives an object of variables.
    """

    name: str
    input_path: Path | None
    output_path: Path | None
    next: str | None = None
    assign: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(StateBase):
    """`result` counts only where `has_result`: a Result of null is a result."""

    parameters: Template | None = None
    has_result: bool = False
    result: Json = None
    result_path: Reference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(StateBase):
    """`resource` is the text as written. Timeouts: seconds, or a path to them."""

    resource: str
    parameters: Template | None = None
    result_selector: Template | None = None
    result_path: Reference | None
    timeout_seconds: int | None = None
    timeout_seconds_path: Path | None = None
    heartbeat_seconds: int | None = None
    heartbeat_seconds_path: Path | None = None
    credentials: Template | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """A rule: where its condition holds, `next` is entered."""

    condition: Condition
    next: str
    assign: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(StateBase):
    """Rules in order; `default` where none holds."""

    rules: tuple[ChoiceRule, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(StateBase):
    """Exactly one member is set. `timestamp` is aware UTC."""

    seconds: int | None = None
    seconds_path: Path | None = None
    timestamp: datetime | None = None
    timestamp_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeed(StateBase):
    """Ends its list of states with its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(StateBase):
    """Ends its list of states with an error. A *_path is a Path or an intrinsic in a Template."""

    error: str | None = None
    error_path: Template | None = None
    cause: str | None = None
    cause_path: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel(StateBase):
    """Branches that run side by side on the same input."""

    branches: "tuple[Machine, ...]"
    parameters: Template | None = None
    result_selector: Template | None = None
    result_path: Reference | None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Map(StateBase):
    """One list of states, run for each item. `concurrency_max` 0 means no bound of the user's.

    `item_selector` is also what the older `Parameters` of a Map gives (`Iterator` likewise gives
    `processor`).
    """

    processor: "Machine"
    items_path: Path | None
    item_selector: Template | None = None
    concurrency_max: int = 0
    concurrency_max_path: Path | None = None
    result_selector: Template | None = None
    result_path: Reference | None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


State: TypeAlias = Pass | Task | Choice | Wait | Succeed | Fail | Parallel | Map


@dataclass(frozen=True, slots=True)
class Machine:
    """One list of states: a whole definition, a branch, or what a Map does with an item."""

    start_at: str
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Program:
    """A whole definition, ready to run."""

    machine: Machine
    timeout_seconds: int | None = None
    comment: str | None = None
    version: str | None = None
    definition: Json = field(default=None, repr=False)
    """What was parsed, as JSON: for messages and for `treadle graph`."""
