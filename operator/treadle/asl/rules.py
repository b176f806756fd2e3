"""The rules that a definition is judged by: the code of each, its sentence, its source.

One rule: a problem has a code of this table, so that the documentation can list them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCHEMA = "SCHEMA_VALIDATION_FAILED"
TARGET = "MISSING_TRANSITION_TARGET"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `aws_code` is the diagnostic code that AWS has for it."""

    summary: str
    spec: str
    aws_code: str = SCHEMA
    is_warning: bool = False


_STATES = "States"
_RETRY = 'Errors, "Retrying after error"'
_TASK = "Task State"
_MACHINE = "Structure of a State Machine"
_JSON = "INVALID_JSON_DESCRIPTION"
_QUERIES = "AWS: transforming data"
_UNSUPPORTED = "UNSUPPORTED_JSONATA_EXPRESSION"

RULES: Final[Mapping[str, Rule]] = {
    # The document as a text and as JSON.
    "document-not-parsed": Rule("A definition in text is JSON or YAML.", _MACHINE, _JSON),
    "document-duplicate-key": Rule("A name occurs once in an object.", _MACHINE, _JSON),
    "document-merge-key": Rule("A definition has no merge key (<<).", _MACHINE, _JSON),
    "document-not-json": Rule("A definition holds JSON values only.", _MACHINE, _JSON),
    "document-not-object": Rule("A definition is an object.", _MACHINE),
    "document-too-large": Rule("A definition has at most 1,048,576 bytes.", "AWS: quotas"),
    "document-too-deep": Rule(
        "Nesting and the names on the way to a value are bounded.", "AWS", "TOO_DEEPLY_NESTED"
    ),
    "too-many-expressions": Rule(
        "A definition has at most 4,000 expressions of JSONata, 600 assignments in them (:=), "
        "100 patterns (=~) and 40,000 terms (@) in the filters of its paths.",
        "Treadle",
    ),
    "too-many-states": Rule("A definition has at most 10,000 states.", "Treadle"),
    "too-many-problems": Rule("At most 200 problems are listed.", "Treadle"),
    # Members.
    "member-missing": Rule("Members that must be there are.", _STATES),
    "member-unknown": Rule("A member that the language does not have is refused.", _STATES),
    "member-type": Rule("A member has the type that the language gives it.", _STATES),
    "member-value": Rule("A member has one of the values that the language allows.", _STATES),
    "member-range": Rule("A number lies in its range.", _STATES),
    "members-exclusive": Rule("Members that exclude each other do not stand together.", _STATES),
    "other-language-member": Rule(
        "A member that only one query language has needs that QueryLanguage.", "Query Languages"
    ),
    "jsonata-half-open": Rule(
        "An expression begins with {% and ends with %}.", _QUERIES, "INVALID_JSONATA_EXPRESSION"
    ),
    "jsonata-invalid": Rule("An expression can be read.", _QUERIES, "INVALID_JSONATA_EXPRESSION"),
    "jsonata-unsupported": Rule(
        "An expression reads $states and variables only.",
        _QUERIES,
        _UNSUPPORTED,
    ),
    "jsonata-states-member": Rule(
        "$states has a member only in the fields that AWS gives it.", _QUERIES, _UNSUPPORTED
    ),
    "query-language-mixed": Rule("A JSONata machine has no JSONPath state.", _QUERIES),
    "not-supported-yet": Rule("What this release cannot run is refused, never skipped.", "Treadle"),
    # States and how they follow each other.
    "states-empty": Rule("States has at least one state.", _MACHINE),
    "state-name-length": Rule(
        "A state's name has 1 to 80 characters.", _STATES, "INVALID_STATE_NAME"
    ),
    "state-name-duplicate": Rule(
        "A state's name is unique in the whole definition.", _STATES, "DUPLICATE_STATE_NAME"
    ),
    "target-missing": Rule("A transition leads to a state of the same States.", _STATES, TARGET),
    "terminal-missing": Rule(
        "A list of states has a state that ends it.", "Transitions", "MISSING_END_STATE"
    ),
    "state-unreachable": Rule(
        "A state that nothing leads to is pointed out.", "Transitions", TARGET, is_warning=True
    ),
    "next-or-end": Rule('A state has either Next or "End": true.', "Transitions"),
    # Paths, templates, conditions.
    "path-invalid": Rule("A path can be read.", "Paths"),
    "reference-path-invalid": Rule("A reference path names one place.", "Reference Paths"),
    "template-invalid": Rule(
        "A key that ends in .$ has a path or an intrinsic function.", "Payload Template"
    ),
    "condition-invalid": Rule("A choice rule has one operator and its operand.", "Choice State"),
    "variable-name": Rule("A variable has the name of an identifier.", "Variables"),
    "variable-outer": Rule(
        "A variable of an enclosing list of states is not assigned.", "Variables"
    ),
    # State types.
    "choices-empty": Rule("Choices has at least one rule.", "Choice State"),
    "wait-members": Rule(
        "A Wait has one of Seconds, SecondsPath, Timestamp, TimestampPath.", "Wait State"
    ),
    "timestamp-invalid": Rule("A timestamp conforms to RFC 3339.", "Timestamps"),
    "fail-path-not-text": Rule(
        "ErrorPath and CausePath call functions that give a text only.", "Fail State"
    ),
    "parallel-branches-empty": Rule("Branches has at least one branch.", "Parallel State"),
    "map-batcher-bounds": Rule("ItemBatcher bounds its batches.", "AWS: ItemBatcher"),
    "map-label-invalid": Rule(
        "A Label has 1 to 40 plain characters.", "AWS: distributed Map", "INVALID_LABEL_NAME"
    ),
    "map-label-duplicate": Rule(
        "A Label is unique in the definition.", "AWS: distributed Map", "DUPLICATE_LABEL_NAME"
    ),
    "map-distributed-express": Rule(
        "An EXPRESS machine has no distributed Map.", "AWS: workflow types"
    ),
    # Retry and Catch.
    "error-equals-empty": Rule("ErrorEquals names at least one error.", "Errors"),
    "error-all-not-alone": Rule("States.ALL stands alone in its ErrorEquals.", "Errors"),
    "error-all-not-last": Rule("States.ALL is in the last retrier or catcher.", "Errors"),
    "retry-attempts-negative": Rule("MaxAttempts is 0 to 99,999,999.", _RETRY),
    "retry-interval-range": Rule("IntervalSeconds is 1 to 99,999,999.", _RETRY),
    "retry-backoff-below-one": Rule("BackoffRate is 1.0 or more.", _RETRY),
    "retry-delay-range": Rule("MaxDelaySeconds is 1 to 31,622,400.", _RETRY),
    # Tasks.
    "resource-invalid": Rule("Resource is a URI.", _TASK),
    "resource-unrecognized": Rule("Resource names an action and a pattern that there are.", _TASK),
    "resource-express": Rule(
        "An EXPRESS machine waits for no job, token or activity.", "AWS: workflow types"
    ),
    "heartbeat-not-below-timeout": Rule("HeartbeatSeconds is below TimeoutSeconds.", _TASK),
    "credentials-role-missing": Rule("Credentials names a RoleArn.", _TASK),
    "task-parameter-missing": Rule("Parameters has what its Resource needs.", "Treadle: tasks"),
    "task-parameter-unknown": Rule("Parameters has what its Resource takes.", "Treadle: tasks"),
    "task-parameter-value": Rule("A parameter has its type and range.", "Treadle: tasks"),
    # Warnings.
    "variable-unassigned": Rule(
        "A variable is assigned on a way to the state that reads it.", "Variables", is_warning=True
    ),
    "jsonata-blanks-outside": Rule(
        "A text that would be an expression has nothing outside of {% and %}.",
        _QUERIES,
        is_warning=True,
    ),
    "jsonata-function-unknown": Rule(
        "An expression calls functions that there are.", _QUERIES, is_warning=True
    ),
    "retry-delay-below-interval": Rule(
        "MaxDelaySeconds is above IntervalSeconds.", _RETRY, is_warning=True
    ),
    "map-member-inline": Rule(
        "A member of the distributed mode has no effect in an inline Map.",
        "AWS: distributed Map",
        is_warning=True,
    ),
    "resource-placeholder": Rule(
        "A Resource with ${...} waits to be filled in.", _TASK, is_warning=True
    ),
    "map-member-deprecated": Rule(
        "Iterator and Parameters of a Map have newer names.", "Map State", is_warning=True
    ),
    "value-looks-like-path": Rule(
        "A text that looks like a path stands where it is taken literally.",
        "Payload Template",
        "NO_DOLLAR",
        is_warning=True,
    ),
    "member-looks-like-path": Rule(
        "A text that looks like a path stands in a member without Path in its name.",
        "Paths",
        "NO_PATH",
        is_warning=True,
    ),
    "pass-result-static": Rule(
        "Result of a Pass is taken literally.", "Pass State", "PASS_RESULT_IS_STATIC", True
    ),
}
