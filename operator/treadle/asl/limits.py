"""Every bound of the product: its unit, its source, the error that names it.

One rule: a loop, queue, text or depth that an untrusted party can grow has its bound here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that an installation or a machine may set. Defaults: design.md, sections 5 and 6."""

    history_events_max: int = 25_000  # AWS: "Maximum execution history size"
    payload_bytes_max: int = 1_048_576  # AWS: 262,144
    execution_pages_bytes_max: int = 64 * 1024 * 1024
    live_frames_max: int = 1_000
    turn_transitions_max: int = 500  # then a turn saves
    stretch_transitions_max: int = 100  # then a turn lets others have the loop: 3 ms, not 15
    variables_bytes_max: int = 10_485_760  # AWS: of all variables of an execution
    error_chars_max: int = 256  # AWS: SendTaskFailure `error`
    cause_chars_max: int = 32_768  # AWS: SendTaskFailure `cause`


DEFAULT = Limits()
AWS = Limits(payload_bytes_max=262_144)

# Fixed: changing one would change what a saved execution means, or protects the process itself.
DEFINITION_BYTES_MAX = 1_048_576  # AWS: 1 MB, also the most that fits in an object
FILE_BYTES_MAX = 4 * 1024 * 1024  # of manifests; an object of a cluster has at most 1.5 MiB
FILE_DOCUMENTS_MAX = 1_000  # of one file of manifests
DEFINITION_DEPTH_MAX = 200  # nesting of a definition's JSON; Python's own stack ends near 1,000
STATE_NAME_CHARS_MAX = 80  # AWS
VARIABLE_NAME_CHARS_MAX = 80  # AWS
STATES_MAX = 10_000  # AWS has no number; bounds validation time
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
ITEMS_READ_MAX = 100_000_000  # AWS: the largest MaxItems
FUNCTION_SECONDS_MAX = 900  # AWS Lambda: the largest timeout of a function
BACKOFF_RATE_MAX = 1e9  # beyond it every second retry waits for the largest delay
DEFINITION_POINTER_CHARS_MAX = 4_096  # names on the way to one value; bounds every pointer we build
YAML_EVENTS_MAX = 75_000  # the parser takes 20 to 65 µs for one; JSON has no such bound
EXPRESSION_CHARS_MAX = 10_000  # of one in JSONata; a program has states and variables
EXPRESSIONS_MAX = 4_000  # of JSONata in one definition, 0.3 ms each; the cache holds them all
ASSIGNMENTS_MAX = 700  # `:=` in the JSONata of one definition: 0.1 to 3 ms each
PATTERNS_MAX = 100  # behind `=~` in one definition: each may take 12 ms and 400 KiB
PROBLEM_CHARS_MAX = 1_000  # of one sentence about a problem
PROBLEMS_MAX = 200  # problems kept of one document: enough to mend, and a status stays small
VISIT_NODES_MAX = 500_000  # nodes visited by all paths of one visit to a state: about a second
ITEMS_NODES_MAX = 1_000_000  # nodes visited by the selectors of all items of one Map: two seconds
ITEM_NODES = 200  # for each item beside those: eight expressions of JSONata
EXPRESSION_SECONDS_MAX = 1.5  # of one JSONata expression, a backstop. AWS: 1
VISIT_SECONDS_MAX = 1.5  # of all of a visit's
ITEMS_SECONDS_MAX = 1.5  # likewise, of what an item takes beyond ITEM_SECONDS
ITEM_SECONDS = 0.005  # of each item: far more than ITEM_NODES take
AGAIN_SECONDS_MAX = 15.0  # of one expression that was evaluated before, in less
EXPRESSION_BYTES_MAX = 256 * 1024 * 1024  # memory of one evaluation; 900,000 objects take 240 MiB
TURN_NODES_MAX = 250_000  # after so many a turn lets others have the loop
FORMAT_CHARS_MAX = 4 * 1024 * 1024  # of one States.Format; more than any payload may have
UNMEASURED_BYTES_MAX = 64 * 1024 * 1024  # what a template may at most make before it is measured
TURN_BYTES_MAX = 8 * 1024 * 1024  # of states' outputs; then a turn is saved, and its pages counted
