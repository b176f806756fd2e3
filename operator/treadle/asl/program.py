"""A parsed definition: every path, template and condition compiled once.

One rule: a Program is immutable and holds no ASL spelling, so that engine and runners never parse.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from treadle.asl.arns import Pattern
from treadle.asl.choices import Condition
from treadle.asl.json import Json
from treadle.asl.paths import Path, Reference
from treadle.asl.queries import Query
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
class PathData:
    """The way of data through a state in JSONPath. A path of None is ASL's `null`: `{}`.

    Spec: "Input and Output Processing".
    """

    input_path: Path | None
    result_path: Reference | None
    output_path: Path | None
    parameters: Template | None = None
    result_selector: Template | None = None


@dataclass(frozen=True, slots=True)
class QueryData:
    """The way of data through a state in JSONata. None: what the state has anyway.

    Spec: "Input and Output Processing"; AWS, "Transforming data with JSONata".
    """

    arguments: Template | None = None
    output: Template | None = None


Data: TypeAlias = PathData | QueryData
Whole: TypeAlias = int | Path | Query
"""A whole number: written, at a path, or of an expression."""


@dataclass(frozen=True, slots=True)
class Catcher:
    """Where an error leads. `data` takes the error output as a state's takes its result.

    Spec: Errors, "Fallback states".
    """

    errors: tuple[str, ...]
    next: str
    data: Data
    assign: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBase:
    """Members that every state has.

    `next` None means `"End": true` (or a terminal state). `assign` gives an object of variables.
    """

    name: str
    data: Data
    next: str | None = None
    assign: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(StateBase):
    """`result` counts only where `has_result`: a Result of null is a result."""

    has_result: bool = False
    result: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(StateBase):
    """`resource` is the text as written, `pattern` when it is over by that."""

    resource: str
    pattern: Pattern = "request-response"
    timeout_seconds: Whole | None = None
    heartbeat_seconds: Whole | None = None
    credentials: Template | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()

    @property
    def waits_for_token(self) -> bool:
        """Whether it is over when the holder of its token says so."""
        return self.pattern == "waitForTaskToken"

    @property
    def has_token(self) -> bool:
        """Whether the holder of a token may end it. Source: AWS, "Service integration patterns"."""
        return self.pattern != "request-response"


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """A rule: where its condition holds, `next` is entered."""

    condition: Condition
    next: str
    data: Data
    assign: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(StateBase):
    """Rules in order; `default` where none holds."""

    rules: tuple[ChoiceRule, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(StateBase):
    """Exactly one member is set. A written `timestamp` is aware UTC."""

    seconds: Whole | None = None
    timestamp: datetime | Path | Query | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeed(StateBase):
    """Ends its list of states with its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(StateBase):
    """Ends its list of states with an error; each template gives a text."""

    error: Template | None = None
    cause: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel(StateBase):
    """Branches that run side by side on the same input."""

    branches: "tuple[Machine, ...]"
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Batcher:
    """How items are put together. Spec: AWS, "ItemBatcher". At least one bound is set."""

    items_max: Whole | None = None
    bytes_max: Whole | None = None
    input: Template | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How an ItemReader takes its items from a file. Spec: AWS, "ItemReader", ReaderConfig.

    `headers` None: the first row has them. `pointer`: a JSON Pointer to the array of items.
    """

    input_type: str = "JSON"
    delimiter: str = "COMMA"
    headers: tuple[str, ...] | None = None
    pointer: str = ""
    items_max: Whole | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Map(StateBase):
    """One list of states, run for each item. `concurrency_max` 0 means no bound of the user's.

    `items` None: the state's input is the list of items. `item_selector` is also what the older
    `Parameters` of a Map gives (`Iterator` likewise gives `processor`). What follows
    `is_distributed` counts only there. `reader` and `writer`: Resources of its ItemReader and
    ResultWriter; `reading`: of that reader.
    """

    processor: "Machine"
    items: Path | Template | Query | None = None
    item_selector: Template | None = None
    concurrency_max: Whole = 0
    is_distributed: bool = False
    label: str = ""
    batcher: Batcher | None = None
    tolerated_count: Whole | None = None
    tolerated_percentage: float | Path | Query | None = None
    reader: str = ""
    reading: Reading = Reading()
    writer: str = ""
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
    evaluates: bool = False
    """Whether anything of it is in JSONata, which may take long."""
