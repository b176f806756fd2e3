"""The eight types of state.

One rule: a reader gives a state whatever is wrong with it; whoever has a report with errors throws
the state away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from treadle.asl import limits
from treadle.asl.choices import Condition, ConditionSyntaxError, compile_condition
from treadle.asl.fields import Fields, literal_paths, looks_like_path, shown
from treadle.asl.lint_failures import read_catchers, read_retriers
from treadle.asl.lint_tasks import read_credentials, read_resource
from treadle.asl.paths import Path, compile_path
from treadle.asl.program import (
    Choice,
    ChoiceRule,
    Fail,
    Machine,
    Map,
    Parallel,
    Pass,
    State,
    Succeed,
    Task,
    Wait,
)
from treadle.asl.templates import Template, TemplateSyntaxError, compile_value
from treadle.asl.timestamps import parse_timestamp


@dataclass(frozen=True, slots=True)
class Common:
    """What is read the same way for each type of state. `inner`: branches, or a Map's processor."""

    name: str
    next: str | None
    inner: tuple[Machine, ...]
    express: bool


_FLOW: Final = "Assign Comment End Next QueryLanguage Type"
_DATA: Final = "InputPath OutputPath"
_FAILURES: Final = "Catch Retry"
_RESULT: Final = "Parameters ResultPath ResultSelector"
_DISTRIBUTED: Final = (
    "ItemBatcher ItemReader Label ResultWriter ToleratedFailureCount ToleratedFailureCountPath "
    "ToleratedFailurePercentage ToleratedFailurePercentagePath"
)

MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(members.split())
    for name, members in {
        "Task": f"{_FLOW} {_DATA} {_FAILURES} {_RESULT} Credentials Resource TimeoutSeconds "
        "TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath",
        "Pass": f"{_FLOW} {_DATA} Parameters Result ResultPath",
        "Choice": f"Assign Comment QueryLanguage Type {_DATA} Choices Default",
        "Wait": f"{_FLOW} {_DATA} Seconds SecondsPath Timestamp TimestampPath",
        "Succeed": f"Comment QueryLanguage Type {_DATA}",
        "Fail": "Comment QueryLanguage Type Cause CausePath Error ErrorPath",
        "Parallel": f"{_FLOW} {_DATA} {_FAILURES} {_RESULT} Branches",
        "Map": f"{_FLOW} {_DATA} {_FAILURES} {_RESULT} ItemProcessor ItemSelector ItemsPath "
        "Iterator MaxConcurrency MaxConcurrencyPath",
    }.items()
}
"""The members of each type of state in JSONPath. Spec: "States", the table of fields."""

_LATER: Final[Mapping[str, frozenset[str]]] = {
    "Map": frozenset(_DISTRIBUTED.split()),
}

FLOWING: Final = frozenset({"Task", "Pass", "Wait", "Parallel", "Map"})
"""The types that have Next or End."""


def read_state(kind: str, state: Fields, common: Common) -> State:
    """The state of an object.

    Args:
        kind: one of `MEMBERS`.
        state: its members; what is wrong goes to its report.
        common: what was read before.
    """
    state.only(MEMBERS[kind], _LATER.get(kind, ()))
    return _READERS[kind](state, common)


def _read_pass(state: Fields, common: Common) -> State:
    for suffix, text in literal_paths(state.value.get("Result")):
        state.report.add(
            state.at("Result") + suffix,
            "pass-result-static",
            f"{shown(text)} is taken literally; use Parameters to have it evaluated.",
        )
    return Pass(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
        parameters=state.template("Parameters"),
        has_result="Result" in state,
        result=state.value.get("Result"),
        result_path=state.reference("ResultPath"),
    )


def _read_task(state: Fields, common: Common) -> State:
    state.require("Resource")
    state.exclusive("TimeoutSeconds", "TimeoutSecondsPath")
    state.exclusive("HeartbeatSeconds", "HeartbeatSecondsPath")
    timeout = state.whole("TimeoutSeconds", 1, limits.SECONDS_MAX)
    heartbeat = state.whole("HeartbeatSeconds", 1, limits.SECONDS_MAX)
    if timeout is not None and heartbeat is not None and heartbeat >= timeout:
        state.wrong(
            "HeartbeatSeconds",
            "heartbeat-not-below-timeout",
            f"HeartbeatSeconds is {heartbeat}; it must be below TimeoutSeconds, {timeout}.",
        )
    return Task(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
        resource=read_resource(state, express=common.express),
        parameters=state.template("Parameters"),
        result_selector=state.template("ResultSelector"),
        result_path=state.reference("ResultPath"),
        timeout_seconds=timeout,
        timeout_seconds_path=state.single_path("TimeoutSecondsPath"),
        heartbeat_seconds=heartbeat,
        heartbeat_seconds_path=state.single_path("HeartbeatSecondsPath"),
        credentials=read_credentials(state),
        retry=read_retriers(state),
        catch=read_catchers(state),
    )


def _read_choice(state: Fields, common: Common) -> State:
    state.require("Choices")
    if state.value.get("Choices") == []:
        state.wrong("Choices", "choices-empty", "Choices is empty; a Choice needs a rule.")
    return Choice(
        name=common.name,
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
        rules=tuple(_read_rule(rule) for rule in state.each("Choices")),
        default=state.text("Default"),
        assign=state.assign(),
    )


def _read_rule(rule: Fields) -> ChoiceRule:
    rule.require("Next")
    if "Condition" in rule or "Output" in rule:
        Fields(
            {name: rule.value[name] for name in ("Condition", "Output") if name in rule},
            rule.pointer,
            rule.report,
        ).only(())
    body = {
        name: value
        for name, value in rule.value.items()
        if name not in ("Comment", "Next", "Assign", "Condition", "Output")
    }
    condition = _NEVER
    if body or "Condition" not in rule:
        try:
            condition = compile_condition(body)
        except ConditionSyntaxError as e:
            for suffix, message in e.problems:
                rule.report.add(rule.pointer + suffix, "condition-invalid", message + ".")
    for suffix, text in literal_paths(body):
        if not suffix.endswith(("Variable", "Path")):
            rule.report.add(
                rule.pointer + suffix,
                "member-looks-like-path",
                f"{shown(text)} is compared literally; an operator that ends in Path reads it.",
            )
    return ChoiceRule(condition, rule.text("Next") or "", rule.assign())


_NEVER: Final = Condition(lambda _: False)


def _read_wait(state: Fields, common: Common) -> State:
    names = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
    given = [name for name in names if name in state]
    if len(given) != 1:
        told = " and ".join(given) if given else "none"
        message = f"A Wait has exactly one of {', '.join(names)}; given: {told}."
        state.report.add(state.pointer, "wait-members", message)
    text = state.text("Timestamp")
    timestamp = None if text is None else parse_timestamp(text)
    if text is not None and timestamp is None:
        state.wrong(
            "Timestamp",
            "timestamp-invalid",
            f"Timestamp is {shown(text)}; it must be like 2026-01-31T12:00:00Z.",
            "String does not match RFC3339 timestamp",
        )
    return Wait(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
        seconds=state.whole("Seconds", 0, limits.SECONDS_MAX),
        seconds_path=state.single_path("SecondsPath"),
        timestamp=timestamp,
        timestamp_path=state.single_path("TimestampPath"),
    )


def _read_succeed(state: Fields, common: Common) -> State:
    return Succeed(
        name=common.name,
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
    )


def _read_fail(state: Fields, common: Common) -> State:
    state.exclusive("Error", "ErrorPath")
    state.exclusive("Cause", "CausePath")
    for name in ("Error", "Cause"):
        if looks_like_path(state.value.get(name)):
            message = f"{name} is taken literally; {name}Path reads a path."
            state.wrong(name, "member-looks-like-path", message)
    return Fail(
        name=common.name,
        input_path=_ROOT,
        output_path=_ROOT,
        error=state.text("Error"),
        error_path=_read_text_path(state, "ErrorPath"),
        cause=state.text("Cause"),
        cause_path=_read_text_path(state, "CausePath"),
    )


_ROOT: Final[Path] = compile_path("$")
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
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
        branches=common.inner,
        parameters=state.template("Parameters"),
        result_selector=state.template("ResultSelector"),
        result_path=state.reference("ResultPath"),
        retry=read_retriers(state),
        catch=read_catchers(state),
    )


def _read_map(state: Fields, common: Common) -> State:
    if "Iterator" not in state:
        state.require("ItemProcessor")
    state.exclusive("ItemProcessor", "Iterator")
    state.exclusive("ItemSelector", "Parameters")
    state.exclusive("MaxConcurrency", "MaxConcurrencyPath")
    for old, new in (("Iterator", "ItemProcessor"), ("Parameters", "ItemSelector")):
        if old in state:
            state.wrong(old, "map-member-deprecated", f"{old} is the older name of {new}.")
    parameters, selector = state.template("Parameters"), state.template("ItemSelector")
    return Map(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        input_path=state.path("InputPath", nullable=True),
        output_path=state.path("OutputPath", nullable=True),
        processor=common.inner[0] if common.inner else _NOTHING,
        items_path=state.path("ItemsPath") or _ROOT,
        item_selector=selector if selector is not None else parameters,
        concurrency_max=state.whole("MaxConcurrency", 0, limits.COUNT_MAX) or 0,
        concurrency_max_path=state.single_path("MaxConcurrencyPath"),
        result_selector=state.template("ResultSelector"),
        result_path=state.reference("ResultPath"),
        retry=read_retriers(state),
        catch=read_catchers(state),
    )


_NOTHING: Final = Machine("", {})

_Reader: TypeAlias = Callable[[Fields, Common], State]
_READERS: Final[Mapping[str, _Reader]] = {
    "Task": _read_task,
    "Pass": _read_pass,
    "Choice": _read_choice,
    "Wait": _read_wait,
    "Succeed": _read_succeed,
    "Fail": _read_fail,
    "Parallel": _read_parallel,
    "Map": _read_map,
}
