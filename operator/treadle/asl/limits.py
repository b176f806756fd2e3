"""Every bound of the product: its unit, its source, the error that names it.

One rule: a loop, queue, text or depth that an untrusted party can grow has its bound here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that an installation or a machine may set; `BOUNDS` says what each one is."""

    payload_bytes_max: int = 1_048_576
    history_events_max: int = 25_000
    execution_pages_bytes_max: int = 64 * 1024 * 1024
    execution_seconds_max: int = 0
    express_seconds_max: int = 0
    variables_bytes_max: int = 10_485_760
    assign_bytes_max: int = 1_048_576
    variable_bytes_max: int = 1_048_576
    map_concurrency_max: int = 0
    live_frames_max: int = 1_000
    error_chars_max: int = 256
    cause_chars_max: int = 32_768
    turn_transitions_max: int = 500  # then a turn saves
    child_depth_max: int = 16


SETTINGS: Final = "TREADLE_LIMITS_"
"""What the names of all variables begin with that set limits."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What one of `Limits` is.

    Attributes:
        name: of the limit.
        unit: what it counts, and `of`: of what.
        least, most: of the values that a setting may have.
        beyond: the error of what is larger; or, where nothing fails, what happens to it.
        source: where AWS says so, or why it is ours alone.
        aws: AWS's value; None where AWS has no such limit.
        is_optional: 0 stands for no bound.
        is_for_machines: a machine may set it too, and not the installation alone.
    """

    name: str
    unit: str
    of: str
    least: int
    most: int
    beyond: str
    source: str
    aws: int | None = None
    is_optional: bool = False
    is_for_machines: bool = True

    @property
    def member(self) -> str:
        """How manifests and values spell it."""
        first, *others = self.name.split("_")
        return first + "".join(map(str.capitalize, others))

    @property
    def setting(self) -> str:
        """The variable that sets it for an installation."""
        return f"{SETTINGS}{self.name.upper()}"

    @property
    def allowed(self) -> str:
        """What a setting may be, in words."""
        also = ", or 0 for no bound" if self.is_optional else ""
        return f"a whole number from {self.least:,} to {self.most:,}{also}"

    def allows(self, value: object) -> bool:
        """Whether a setting may be this."""
        if value.__class__ is not int:
            return False
        assert isinstance(value, int)
        return self.least <= value <= self.most or (self.is_optional and value == 0)

    def is_above(self, value: int, other: int) -> bool:
        """Whether one value of it lets more pass than another."""
        if self.is_optional and 0 in (value, other):
            return value == 0 != other
        return value > other

    def lower(self, value: int, other: int) -> int:
        """The value of two that lets less pass."""
        return other if self.is_above(value, other) else value


_QUOTAS = 'AWS, "Quotas"'

BOUNDS: Final = (
    Bound(
        "payload_bytes_max",
        "bytes of JSON",
        "an execution's input, and the input, the arguments, the result and the output of a state",
        256,
        1_048_576,  # Kubernetes: MaxSecretSize, and the most that a request to etcd may have
        "`States.DataLimitExceeded`",
        _QUOTAS,
        aws=262_144,
    ),
    Bound(
        "history_events_max",
        "events",
        "the history of an execution, or of a child of a distributed Map",
        10,
        1_000_000,
        "`States.Runtime`, the last event",
        f"{_QUOTAS}; of EXPRESS, AWS keeps no history",
        aws=25_000,
    ),
    Bound(
        "execution_pages_bytes_max",
        "bytes",
        "all ExecutionPages that an execution ever wrote, before they are packed",
        65_536,
        1_073_741_824,
        "`Treadle.LimitExceeded`",
        "ours: etcd is shared",
    ),
    Bound(
        "execution_seconds_max",
        "seconds",
        "an execution, from its start",
        1,
        99_999_999,
        "`States.Timeout`, phase TimedOut",
        f"{_QUOTAS}: a year",
        aws=31_536_000,
        is_optional=True,
    ),
    Bound(
        "express_seconds_max",
        "seconds",
        "an execution of a machine of type EXPRESS, beside executionSecondsMax",
        1,
        99_999_999,
        "`States.Timeout`, phase TimedOut",
        f"{_QUOTAS}: five minutes",
        aws=300,
        is_optional=True,
        is_for_machines=False,
    ),
    Bound(
        "variables_bytes_max",
        "bytes of JSON",
        "all variables of an execution",
        256,
        10_485_760,
        "`States.DataLimitExceeded`",
        'AWS, "Passing data between states with variables"',
        aws=10_485_760,
    ),
    Bound(
        "assign_bytes_max",
        "bytes of JSON",
        "all that one Assign gives",
        256,
        1_048_576,
        "`States.DataLimitExceeded`",
        'AWS, "Passing data between states with variables"',
        aws=262_144,
    ),
    Bound(
        "variable_bytes_max",
        "bytes of JSON",
        "one variable",
        256,
        1_048_576,
        "`States.DataLimitExceeded`",
        'AWS, "Passing data between states with variables"',
        aws=262_144,
    ),
    Bound(
        "map_concurrency_max",
        "iterations",
        "an inline Map, at once, whatever its MaxConcurrency",
        1,
        10_000,
        "the others wait",
        'AWS, "Using Map state in Inline mode"',
        aws=40,
        is_optional=True,
    ),
    Bound(
        "live_frames_max",
        "branches, iterations and children",
        "an execution, at once; further ones of a Map wait, a Parallel has all its branches",
        1,
        10_000,
        "the others wait",
        "ours: what lives is in the Execution's status",
    ),
    Bound(
        "error_chars_max",
        "characters",
        "the name of an error",
        64,
        256,
        "it is cut",
        "AWS API, SendTaskFailure",
        aws=256,
    ),
    Bound(
        "cause_chars_max",
        "characters",
        "the cause of an error",
        256,
        32_768,
        "it is cut",
        "AWS API, SendTaskFailure",
        aws=32_768,
    ),
    Bound(
        "turn_transitions_max",
        "state entries",
        "one turn",
        1,
        10_000,
        "the turn is saved, and goes on",
        "ours: no execution holds the operator",
        is_for_machines=False,
    ),
    Bound(
        "child_depth_max",
        "executions",
        "above one another: children, and children of children",
        1,
        100,
        "`Treadle.LimitExceeded`",
        "ours: a machine may start itself",
        is_for_machines=False,
    ),
)

DEFAULT = Limits()
AWS = replace(DEFAULT, **{bound.name: bound.aws for bound in BOUNDS if bound.aws is not None})
PROFILES: Final[Mapping[str, Limits]] = {"default": DEFAULT, "aws": AWS}
MACHINE_BOUNDS: Final = tuple(bound for bound in BOUNDS if bound.is_for_machines)


def lowest(limits: Limits, other: Limits) -> Limits:
    """Of each limit the value that lets less pass."""
    values = {
        bound.name: bound.lower(getattr(limits, bound.name), getattr(other, bound.name))
        for bound in BOUNDS
    }
    return replace(limits, **values)


# Fixed: changing one would change what a saved execution means, or protects the process itself.
DEFINITION_BYTES_MAX = 1_048_576  # AWS: 1 MB, also the most that fits in an object
FILE_BYTES_MAX = 4 * 1024 * 1024  # of manifests; an object of a cluster has at most 1.5 MiB
FILE_DOCUMENTS_MAX = 1_000  # of one file of manifests
DEFINITION_DEPTH_MAX = 200  # nesting of a definition's JSON; Python's own stack ends near 1,000
TESTS_BYTES_MAX = 16 * 1024 * 1024  # of a file of workflow tests: inputs, answers and outputs
TESTS_DEPTH_MAX = 254  # of its nesting: more is written by nothing of ours
STATE_NAME_CHARS_MAX = 80  # AWS
VARIABLE_NAME_CHARS_MAX = 80  # AWS
STATES_MAX = 10_000  # AWS has no number; bounds validation time
INTEGER_DIGITS_MAX = 4_300  # Python's own bound: reading more takes the square of their number
PATH_CHARS_MAX = 4_096  # a path is a line of text, not a program
PATH_STEPS_MAX = 256
PATH_NODES_MAX = 250_000  # nodes visited by one evaluation, so that `$..*..*` ends: about 0.4 s
INTRINSIC_NESTING_MAX = 10  # AWS: "up to 10 nested intrinsic functions"
INTRINSIC_TEXT_CHARS_MAX = 10_000  # AWS: Base64 and Hash take up to 10,000 characters
ARRAY_RANGE_ITEMS_MAX = 1_000  # AWS: States.ArrayRange
TEMPLATE_DEPTH_MAX = 200
PATH_CACHE_MAX = 4_096  # compiled paths (and as many references, and calls) kept for the next use
PATH_FILTER_DEPTH_MAX = 16  # filters, groups and literals inside one another
PATTERN_STATES_MAX = 1_000  # of one `=~` pattern, after {m,n} is written out
CONDITION_DEPTH_MAX = 100  # And, Or and Not inside one another
VALUE_DEPTH_MAX = 200  # nesting of a value that is compared or printed: two frames of stack a level
RETRY_DELAY_SECONDS_MAX = 31_622_400  # AWS: the largest MaxDelaySeconds
SECONDS_MAX = 99_999_999  # AWS: the largest TimeoutSeconds, HeartbeatSeconds, IntervalSeconds
COUNT_MAX = 99_999_999  # AWS: the largest MaxAttempts
CONCURRENCY_MAX = 2**63 - 1  # AWS takes any; the settings bound what really runs
BATCH_BYTES_MAX = 262_144  # AWS: the largest MaxInputBytesPerBatch
LABEL_CHARS_MAX = 40  # AWS: Label of a distributed Map
TEST_DATA_CHARS_MAX = 262_144  # AWS: the longest mapItemReaderData of a TestState
ITEMS_READ_MAX = 100_000_000  # AWS: the largest MaxItems
VERSIONS_MAX = 1_000  # AWS: published versions of a state machine
ALIASES_MAX = 100  # AWS: aliases of a state machine
FUNCTION_SECONDS_MAX = 900  # AWS Lambda: the largest timeout of a function
BACKOFF_RATE_MAX = 1e9  # beyond it every second retry waits for the largest delay
DEFINITION_POINTER_CHARS_MAX = 4_096  # names on the way to one value; bounds every pointer we build
YAML_EVENTS_MAX = 75_000  # the parser takes 20 to 65 µs for one; JSON has no such bound
EXPRESSION_CHARS_MAX = 10_000  # of one in JSONata; a program has states and variables
EXPRESSIONS_MAX = 4_000  # of JSONata in one definition, 0.3 ms each; the cache holds them all
ASSIGNMENTS_MAX = 600  # `:=` in the JSONata of one definition: 0.1 to 3 ms each
FILTER_TERMS_MAX = 40_000  # `@` in the paths of one definition, 25 µs each
PATTERNS_MAX = 100  # behind `=~` in one definition: each may take 12 ms and 400 KiB
VIRTUAL_SECONDS_MAX = 100 * 366 * 86_400  # of an execution in virtual time: a hundred years
APPROVAL_MESSAGE_CHARS_MAX = 1_024  # a question is a line or two; details may be longer
APPROVAL_PEOPLE_MAX = 100  # users that one names, and groups
APPROVAL_WHO_CHARS_MAX = 256  # of a user's name, or a group's
APPROVAL_REASON_CHARS_MAX = 1_024  # of one decision
APPROVAL_DECISIONS_MAX = 100  # bounds one Approval: 100 reasons of 1,024 characters
APPROVAL_DETAILS_BYTES_MAX = 262_144  # of JSON that people read before they decide
PROBLEM_CHARS_MAX = 1_000  # of one sentence about a problem
PROBLEMS_MAX = 200  # problems kept of one document: enough to mend, and a status stays small
VISIT_NODES_MAX = 500_000  # nodes visited by all paths of one visit to a state: about a second
ITEMS_NODES_MAX = 1_000_000  # nodes visited by the selectors of all items of one Map: two seconds
EXPRESSION_CACHE_MAX = 512  # compiled expressions that are kept; each has 70 bytes a character
EXPRESSION_CACHED_CHARS_MAX = 1_000  # of an expression that is kept compiled
ITEM_NODES = 200  # for each item beside those: eight expressions of JSONata
EXPRESSION_SECONDS_MAX = 1.5  # of one JSONata expression, a backstop. AWS: 1
VISIT_SECONDS_MAX = 1.5  # of all of a visit's
STRETCH_SECONDS_MAX = 0.5  # of work, likewise: expressions may take longer than they count
STRETCH_TRANSITIONS_MAX = 100  # then a turn lets others have the loop: 3 ms, not 15
ITEMS_SECONDS_MAX = 1.5  # likewise, of what an item takes beyond ITEM_SECONDS
ITEM_SECONDS = 0.005  # of each item: far more than ITEM_NODES take
AGAIN_SECONDS_MAX = 15.0  # of one expression that was evaluated before, in less
EXPRESSION_BYTES_MAX = 256 * 1024 * 1024  # memory of one evaluation; 900,000 objects take 240 MiB
TURN_NODES_MAX = 250_000  # after so many a turn lets others have the loop
FORMAT_CHARS_MAX = 4 * 1024 * 1024  # of one States.Format; more than any payload may have
UNMEASURED_BYTES_MAX = 64 * 1024 * 1024  # what a template may at most make before it is measured
TURN_BYTES_MAX = 8 * 1024 * 1024  # of states' outputs; then a turn is saved, and its pages counted


@dataclass(frozen=True, slots=True)
class TextBounds:
    """What a text of JSON or YAML may have.

    Attributes:
        what: it is, for people.
        bytes_max: of it, of the values in it, and of what aliases stand for.
        depth_max: levels of nesting.
        remedy: what to do about one that has more.
        is_program: whether expressions in it are compiled, so that they are counted.
    """

    what: str
    bytes_max: int
    depth_max: int
    remedy: str
    is_program: bool

    @property
    def too_deep(self) -> str:
        """What is said of one with more levels."""
        remedy = f"; {self.remedy}" if self.is_program else ""
        return f"The {self.what} is nested deeper than {self.depth_max} levels{remedy}."


OF_DEFINITIONS: Final = TextBounds(
    "definition",
    DEFINITION_BYTES_MAX,
    DEFINITION_DEPTH_MAX,
    "make a part of it a machine of its own",
    is_program=True,
)
OF_TESTS: Final = TextBounds(
    "file of tests", TESTS_BYTES_MAX, TESTS_DEPTH_MAX, "make two of it", is_program=False
)
