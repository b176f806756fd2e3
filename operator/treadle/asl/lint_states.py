"""The eight types of state.

One rule: a reader gives a state whatever is wrong with it; whoever has a report with errors throws
the state away.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from treadle.asl import limits
from treadle.asl.arns import parse_resource
from treadle.asl.choices import OPERATORS, Condition, ConditionSyntaxError, compile_condition
from treadle.asl.fields import Fields, looks_like_path, shown, texts_like_paths
from treadle.asl.jsonata import is_expression
from treadle.asl.lint_failures import read_catchers, read_retriers
from treadle.asl.lint_maps import read_map
from treadle.asl.lint_members import Common, read_data
from treadle.asl.lint_tasks import read_credentials, read_resource
from treadle.asl.paths import Path
from treadle.asl.program import (
    Choice,
    ChoiceRule,
    Data,
    Fail,
    Parallel,
    Pass,
    QueryData,
    State,
    Succeed,
    Task,
    Wait,
    Whole,
)
from treadle.asl.queries import Query
from treadle.asl.templates import Template, TemplateSyntaxError, compile_value
from treadle.asl.timestamps import parse_timestamp

_FLOW: Final = "Assign Comment End Next QueryLanguage Type"
_FAILURES: Final = "Catch Retry"
_MAP: Final = (
    "ItemBatcher ItemProcessor ItemReader ItemSelector Iterator Label MaxConcurrency ResultWriter "
    "ToleratedFailureCount ToleratedFailurePercentage"
)


def _table(rows: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return {kind: frozenset(members.split()) for kind, members in rows.items()}


_DATA: Final = "InputPath OutputPath"
_RESULT: Final = "Parameters ResultPath ResultSelector"
MEMBERS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "JSONPath": _table(
        {
            "Task": f"{_FLOW} {_DATA} {_FAILURES} {_RESULT} Credentials Resource TimeoutSeconds "
            "TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath",
            "Pass": f"{_FLOW} {_DATA} Parameters Result ResultPath",
            "Choice": f"Assign Comment QueryLanguage Type {_DATA} Choices Default",
            "Wait": f"{_FLOW} {_DATA} Seconds SecondsPath Timestamp TimestampPath",
            "Succeed": f"Comment QueryLanguage Type {_DATA}",
            "Fail": "Comment QueryLanguage Type Cause CausePath Error ErrorPath",
            "Parallel": f"{_FLOW} {_DATA} {_FAILURES} {_RESULT} Branches",
            "Map": f"{_FLOW} {_DATA} {_FAILURES} {_RESULT} {_MAP} ItemsPath MaxConcurrencyPath "
            "ToleratedFailureCountPath ToleratedFailurePercentagePath",
        }
    ),
    "JSONata": _table(
        {
            "Task": f"{_FLOW} {_FAILURES} Arguments Output Credentials Resource TimeoutSeconds "
            "HeartbeatSeconds",
            "Pass": f"{_FLOW} Output",
            "Choice": "Assign Comment QueryLanguage Type Output Choices Default",
            "Wait": f"{_FLOW} Output Seconds Timestamp",
            "Succeed": "Comment QueryLanguage Type Output",
            "Fail": "Comment QueryLanguage Type Cause Error",
            "Parallel": f"{_FLOW} {_FAILURES} Arguments Output Branches",
            "Map": f"{_FLOW} {_FAILURES} {_MAP} Output Items",
        }
    ),
}
"""The members of each type of state, by language. Spec: "States", the tables of fields."""

KINDS: Final = tuple(MEMBERS["JSONPath"])

FLOWING: Final = frozenset({"Task", "Pass", "Wait", "Parallel", "Map"})
"""The types that have Next or End."""


def read_state(kind: str, state: Fields, common: Common) -> State:
    """The state of an object.

    Args:
        kind: one of `MEMBERS`.
        state: its members; what is wrong goes to its report.
        common: what was read before.
    """
    state.only(MEMBERS[state.language][kind])
    return _READERS[kind](state, common)


def _read_pass(state: Fields, common: Common) -> State:
    for suffix, text in texts_like_paths(state.value.get("Result")):
        state.report.add(
            state.at("Result") + suffix,
            "pass-result-static",
            f"{shown(text)} is taken literally; use Parameters to have it evaluated.",
        )
    return Pass(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        data=read_data(state),
        has_result="Result" in state,
        result=state.value.get("Result"),
    )


def _read_task(state: Fields, common: Common) -> State:
    state.require("Resource")
    timeout = state.computed("TimeoutSeconds", 1, limits.SECONDS_MAX)
    heartbeat = state.computed("HeartbeatSeconds", 1, limits.SECONDS_MAX)
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        state.wrong(
            "HeartbeatSeconds",
            "heartbeat-not-below-timeout",
            f"HeartbeatSeconds is {heartbeat}; it must be below TimeoutSeconds, {timeout}.",
        )
    resource = read_resource(state, express=common.express)
    return Task(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        data=read_data(state),
        resource=resource,
        pattern=parse_resource(resource).pattern,
        timeout_seconds=timeout,
        heartbeat_seconds=heartbeat,
        credentials=read_credentials(state),
        retry=read_retriers(state),
        catch=read_catchers(state),
    )


def _read_choice(state: Fields, common: Common) -> State:
    state.require("Choices")
    if state.value.get("Choices") == []:
        state.wrong("Choices", "choices-empty", "Choices is empty; a Choice needs a rule.")
    data = read_data(state)
    return Choice(
        name=common.name,
        data=data,
        rules=tuple(_read_rule(rule, data) for rule in state.each("Choices")),
        default=state.text("Default"),
        assign=state.assign(),
    )


def _read_rule(rule: Fields, data: Data) -> ChoiceRule:
    rule.require("Next")
    rule.text("Comment")
    if rule.is_jsonata:
        rule.only(_QUERY_RULE)
        data = QueryData(output=rule.template("Output"))
        condition = _query_condition(rule)
    else:
        condition = _path_condition(rule)
    return ChoiceRule(condition, rule.text("Next") or "", data, rule.assign())


_NEVER: Final = Condition(lambda _: False)
_QUERY_RULE: Final = frozenset({"Assign", "Comment", "Condition", "Next", "Output"})
_NOT_COMPARED: Final = frozenset({"Assign", "Comment", "Condition", "Next", "Output"})


def _query_condition(rule: Fields) -> Condition:
    rule.require("Condition")
    value = rule.value.get("Condition")
    if isinstance(value, bool):
        return Condition(lambda _: value)
    query = rule.query("Condition")
    if query is not None:
        return Condition(query.truth)
    if "Condition" in rule and not (isinstance(value, str) and is_expression(value)):
        message = f"Condition is {shown(value)}; it must be a boolean or an expression {{% … %}}."
        rule.wrong("Condition", "member-type", message)
    return _NEVER


def _path_condition(rule: Fields) -> Condition:
    foreign = {n: rule.value[n] for n in ("Condition", "Output") if n in rule}
    Fields(foreign, rule.pointer, rule.report).only(())
    body = {name: value for name, value in rule.value.items() if name not in _NOT_COMPARED}
    condition = _NEVER
    if body or "Condition" not in rule:
        try:
            condition = compile_condition(body)
        except ConditionSyntaxError as e:
            for suffix, message in e.problems:
                rule.report.add(rule.pointer + suffix, "condition-invalid", message + ".")
    for suffix, text in texts_like_paths(body):
        reading = f"{suffix.rpartition('/')[2]}Path"
        if reading in OPERATORS:
            rule.report.add(
                rule.pointer + suffix,
                "member-looks-like-path",
                f"{shown(text)} is compared literally; {reading} reads it.",
            )
    return condition


def _read_wait(state: Fields, common: Common) -> State:
    names: tuple[str, ...] = ("Seconds", "Timestamp")
    if not state.is_jsonata:
        names = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
    given = [name for name in names if name in state]
    if len(given) != 1:
        told = " and ".join(given) if given else "none"
        message = f"A Wait has exactly one of {', '.join(names)}; given: {told}."
        state.report.add(state.pointer, "wait-members", message)
    seconds: Whole | None = None
    if len(given) < 2:  # else all is said
        seconds = state.computed("Seconds", 0, limits.SECONDS_MAX)
    return Wait(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        data=read_data(state),
        seconds=seconds,
        timestamp=_read_timestamp(state),
    )


def _read_timestamp(state: Fields) -> datetime | Path | Query | None:
    path = None if state.is_jsonata else state.single_path("TimestampPath")
    found = path or state.query("Timestamp")
    text = state.text("Timestamp")
    if found is not None or text is None or (state.is_jsonata and is_expression(text)):
        return found
    timestamp = parse_timestamp(text)
    if timestamp is None:
        state.wrong(
            "Timestamp",
            "timestamp-invalid",
            f"Timestamp is {shown(text)}; it must be like 2026-01-31T12:00:00Z.",
            "String does not match RFC3339 timestamp",
        )
    return timestamp


def _read_succeed(state: Fields, common: Common) -> State:
    return Succeed(name=common.name, data=read_data(state))


def _read_fail(state: Fields, common: Common) -> State:
    return Fail(
        name=common.name,
        data=read_data(state),
        error=_read_text(state, "Error"),
        cause=_read_text(state, "Cause"),
    )


def _read_text(state: Fields, name: str) -> Template | None:
    """Error and Cause of a Fail, and the path that stands for each in JSONPath."""
    if state.is_jsonata:
        return state.given_text(name)
    state.exclusive(name, f"{name}Path")
    if looks_like_path(state.value.get(name)):
        message = f"{name} is taken literally; {name}Path reads a path."
        state.wrong(name, "member-looks-like-path", message)
    return _read_text_path(state, f"{name}Path") or state.given_text(name)


_GIVE_TEXT: Final = frozenset(
    {
        "States.ArrayGetItem",
        "States.Base64Decode",
        "States.Base64Encode",
        "States.Format",
        "States.Hash",
        "States.JsonToString",
        "States.UUID",
    }
)


def _read_text_path(state: Fields, name: str) -> Template | None:
    text = state.text(name)
    if text is None:
        return None
    try:
        template = compile_value(text, name)
    except TemplateSyntaxError:
        message = (
            f"{name} is {shown(text)}; it must be a path, such as $.error, or a call of an "
            "intrinsic function that gives a text."
        )
        state.wrong(
            name,
            "path-invalid",
            message,
            f"The value for the field '{name}' must be a valid JSONPath or a valid intrinsic "
            "function call",
        )
        return None
    called = text.partition("(")[0].strip()
    if not text.startswith("$") and called not in _GIVE_TEXT:
        message = f"{called} does not give a text; {name} needs one."
        state.wrong(name, "fail-path-not-text", message)
    return template


def _read_parallel(state: Fields, common: Common) -> State:
    state.require("Branches")
    if state.value.get("Branches") == []:
        state.wrong(
            "Branches", "parallel-branches-empty", "Branches is empty; a Parallel needs a branch."
        )
    return Parallel(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        data=read_data(state),
        branches=common.inner,
        retry=read_retriers(state),
        catch=read_catchers(state),
    )


_Reader: TypeAlias = Callable[[Fields, Common], State]
_READERS: Final[Mapping[str, _Reader]] = {
    "Task": _read_task,
    "Pass": _read_pass,
    "Choice": _read_choice,
    "Wait": _read_wait,
    "Succeed": _read_succeed,
    "Fail": _read_fail,
    "Parallel": _read_parallel,
    "Map": read_map,
}
