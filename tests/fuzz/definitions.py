"""Definitions, spoken by dice, and the same as YAML.

One rule: what is not changed afterwards is mostly valid, in either language.
"""

import itertools
import json
from typing import Any

from tests.fuzz import expressions
from tests.fuzz.dice import Dice
from treadle.asl.choices import OPERATORS
from treadle.asl.lint_states import MEMBERS

WORDS = (
    *sorted({name for names in MEMBERS.values() for name in names}),
    *("States", "StartAt", "Branches", "ErrorEquals", "ProcessorConfig", "Mode", "Variable", "And"),
    *("Not", "Or", "IsNull", "StringEquals", "Version", "TimeoutSeconds", "QueryLanguage", "a.$"),
    *(
        "DISTRIBUTED",
        "INLINE",
        "JSONata",
        "JSONPath",
        "S1",
        "S2",
        "States.ALL",
        "$",
        "$.a",
        "{% 1 %}",
    ),
    *("1.0", "treadle:job", "treadle:activity/work", "MaxItemsPerBatch", "Seconds", "SecondsPath"),
)
ERRORS = ("Boom", "Other", "States.ALL", "States.Timeout", "States.TaskFailed", "States.Runtime")
_QUERIES = ("$states.input", "{'a': $states.input.a, 'n': 1}", "$states.context.State", "[1..3]",
            "$uuid()", "$v", "$count($states.input.l)", "$string($states.input)", "{'l': [1..4]}",
            "$states.input.nothing", "1/0", "$random()", "$error('x')")  # fmt: skip
_RESULTS = (
    "$states.result",
    "$merge([$states.input, {'r': $states.result}])",
    "{'a': $states.result}",
)
_PATHS = ("$", "$.a", "$.l", "$$.State.Name", "$v", "$.l[0]", "$..a", "$$.Map.Item.Value", "$.a.b")
_CALLS = ("States.UUID()", "States.Array($, 1)", "States.Format('{}', $)", "States.Hash($, 'MD5')",
          "States.MathRandom(0, 9)", "States.JsonToString($)", "States.UUID()")  # fmt: skip

State = dict[str, Any]


def machine(dice: Dice, depth: int = 2) -> dict[str, Any]:
    """A definition."""
    language = dice.one(("JSONPath", "JSONPath", "JSONata"))
    made = _Author(dice).machine(depth, language)
    if language == "JSONata" or dice.one_in(9):
        made["QueryLanguage"] = language
    if dice.one_in(6):
        made["TimeoutSeconds"] = dice.one((1, 5, 60, 99_999_999))
    return made


class _Author:
    """Writes one definition; names are unique in the whole of it."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._numbers = itertools.count(1)

    def machine(self, depth: int, language: str) -> dict[str, Any]:
        """A list of states."""
        names = [f"S{next(self._numbers)}" for _ in range(self._dice.randint(1, 4 if depth else 2))]
        states: dict[str, State] = {}
        for position, name in enumerate(names):
            following = names[position + 1] if position + 1 < len(names) else None
            states |= self._state(name, following, depth, language)
        return {"StartAt": names[0], "States": states}

    def _state(
        self, name: str, following: str | None, depth: int, language: str
    ) -> dict[str, State]:
        dice = self._dice
        kinds = ["Pass", "Pass", "Task", "Task", "Wait", "Choice"]
        kinds += ["Parallel", "Map", "Map"] if depth else []
        kinds += ["Fail", "Succeed"] if following is None and dice.one_in(3) else []
        kind = dice.one(kinds)
        state: State = {"Type": kind}
        if language == "JSONPath" and dice.one_in(6):
            language = state["QueryLanguage"] = "JSONata"
        is_query = language == "JSONata"
        inner = str(state.get("QueryLanguage", "JSONPath")) if depth else language
        more = self._members(kind, state, following, depth, inner if is_query else language)
        if kind not in ("Fail", "Wait", "Choice"):
            self._flow(kind, state, is_query)
        if kind not in ("Fail", "Succeed") and dice.one_in(3):
            key, value = ("v", f"{{% {dice.one(_QUERIES)} %}}") if is_query else ("v.$", "$")
            state["Assign"] = {f"{depth}{key}"[1:] if depth == 2 else f"v{depth}" + key[1:]: value}
        if kind not in ("Choice", "Fail", "Succeed"):
            state |= {"Next": following} if following else {"End": True}
        return {name: state, **more}

    def _members(
        self, kind: str, state: State, following: str | None, depth: int, language: str
    ) -> dict[str, State]:
        """What a state of a kind must have; and the states that it needs beside it."""
        dice, is_query = self._dice, language == "JSONata" or "QueryLanguage" in state
        match kind:
            case "Task":
                state["Resource"] = dice.one(("treadle:activity/work", "treadle:activity/work"))
                for member in ("TimeoutSeconds", "HeartbeatSeconds"):
                    if dice.one_in(4):
                        state[member] = {"TimeoutSeconds": 20, "HeartbeatSeconds": 9}[member]
                return self._ladder(state)
            case "Wait":
                state["Seconds"] = dice.one((0, 1, 9, "{% 1 + 1 %}" if is_query else 3))
            case "Choice":
                return self._choice(state, following, is_query)
            case "Fail":
                state |= {"Error": dice.one(ERRORS[:2]), "Cause": dice.text().replace("\x00", "")}
            case "Parallel":
                state["Branches"] = dice.several(lambda: self.machine(depth - 1, language), 2)
                state["Branches"] += [self.machine(depth - 1, language)]
                return self._ladder(state)
            case "Map":
                return self._map(state, depth, language, is_query)
        return {}

    def _map(self, state: State, depth: int, language: str, is_query: bool) -> dict[str, State]:
        dice = self._dice
        state["ItemProcessor"] = self.machine(depth - 1, language)
        if dice.one_in(3):
            state["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED"} | dice.one(
                ({"ExecutionType": "STANDARD"}, {"ExecutionType": "EXPRESS"})
            )
            state |= dice.one(
                ({}, {"ToleratedFailureCount": 1}, {"ToleratedFailurePercentage": 40})
            )
            state |= dice.one(({}, {"ItemBatcher": {"MaxItemsPerBatch": 2}}))
        state |= dice.one(({}, {"MaxConcurrency": 1}, {"MaxConcurrency": 2}))
        if is_query:
            state["Items"] = dice.one(
                ("{% $states.input.l %}", [1, "{% $states.input %}"], "{% [1..5] %}")
            )
        else:
            state["ItemsPath"] = dice.one(("$.l", "$$.Execution.Input.l", "$"))
        if dice.one_in(2):
            state["ItemSelector"] = (
                {"i": "{% $states.context.Map.Item.Index %}", "l": [1, 2]}
                if is_query
                else {"i.$": "$$.Map.Item.Index", "l": [1, 2]}
            )
        return self._ladder(state)

    def _choice(self, state: State, following: str | None, is_query: bool) -> dict[str, State]:
        dice = self._dice
        end = f"S{next(self._numbers)}"
        rules: list[State] = []
        for _ in range(dice.randint(1, 3)):
            rule: State
            if is_query:
                rule = {"Condition": dice.one(("{% $states.input.n = 1 %}", True, "{% 1 = 1 %}"))}
            else:
                rule = {"Variable": dice.one(_PATHS), "IsPresent": True}
                if dice.one_in(3):
                    operator = dice.one(sorted(OPERATORS))
                    operand = "$.a" if operator.endswith("Path") else _operand(operator)
                    rule = {"Variable": dice.one(_PATHS), operator: operand}
                if dice.one_in(4):
                    rule = {dice.one(("And", "Or")): [rule, {"Not": rule}]}
            rules.append({**rule, "Next": end})
        state["Choices"] = rules
        if following or dice.one_in(2):
            state["Default"] = following or end
        return {end: {"Type": "Pass", "End": True}}

    def _flow(self, kind: str, state: State, is_query: bool) -> None:
        """Members of the way of data."""
        dice = self._dice
        if is_query:
            if dice.one_in(2):
                queries = _QUERIES + (_RESULTS if kind in ("Task", "Map", "Parallel") else ())
                state["Output"] = {"o": f"{{% {dice.one(queries)} %}}", "k": [1]}
            return
        if dice.one_in(6):
            state["InputPath"] = dice.one(("$", "$.a", None))
        if kind in ("Task", "Pass", "Parallel") and dice.one_in(3):
            state["Parameters"] = {"p.$": dice.one(_PATHS + _CALLS), "k": 1}
        if kind == "Pass" and dice.one_in(3):
            state["Result"] = dice.one(({"l": [1, 2, 3]}, "r", None, {"a": 1}))
        if kind != "Succeed" and dice.one_in(3):
            state["ResultPath"] = dice.one(("$", "$.r", "$.a.b", None))
        if dice.one_in(8):
            state["OutputPath"] = dice.one(("$", "$.a", "$..a", None))
        if kind in ("Task", "Map", "Parallel") and dice.one_in(6):
            state["ResultSelector"] = {"s.$": dice.one(_PATHS[:5])}

    def _ladder(self, state: State) -> dict[str, State]:
        dice = self._dice
        if dice.one_in(3):
            state["Retry"] = [
                {
                    "ErrorEquals": [dice.one(ERRORS)],
                    "IntervalSeconds": dice.one((1, 3)),
                    "MaxAttempts": dice.one((0, 1, 2)),
                    "BackoffRate": dice.one((1.0, 2.5)),
                    "JitterStrategy": dice.one(("NONE", "FULL")),
                }
            ]
        if not dice.one_in(3):
            return {}
        end = f"S{next(self._numbers)}"
        state["Catch"] = [{"ErrorEquals": [dice.one(ERRORS)], "Next": end}]
        return {end: {"Type": "Pass", "End": True}}


def _operand(operator: str) -> Any:
    if operator.startswith(("Is", "Boolean")):
        return True
    if operator.startswith("Numeric"):
        return 1
    return "2026-01-31T12:00:00Z" if operator.startswith("Timestamp") else "a*"


def with_expressions(dice: Dice, value: Any) -> Any:
    """A definition in which some texts are other expressions or paths."""
    if isinstance(value, dict):
        return {key: with_expressions(dice, item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_expressions(dice, item) for item in value]
    if isinstance(value, str) and dice.one_in(3):
        if value.startswith("{%"):
            return f"{{% {expressions.expression(dice, 2)} %}}"
        if value.startswith("$"):
            return expressions.path(dice)
    return value


# ---------------------------------------------------------------------------------------- YAML


def as_yaml(dice: Dice, value: Any, indent: int = 0) -> str:
    """A value as YAML, in one of many styles; not always what it was."""
    if indent > 40 or dice.one_in(12):
        return json.dumps(value) + "\n"
    space = " " * indent
    if isinstance(value, dict) and value:
        lines = ""
        for key, item in value.items():
            anchor = f"&{dice.one('ab')} " if dice.one_in(15) else ""
            below = isinstance(item, dict | list) and item
            shown = _key(dice, key)
            if below and not dice.one_in(12):
                lines += f"{space}{shown}: {anchor}\n{as_yaml(dice, item, indent + 2)}"
            else:
                alias = f"*{dice.one('ab')}" if dice.one_in(30) else _scalar(dice, item, indent)
                lines += f"{space}{shown}: {anchor}{alias}\n"
        return lines
    if isinstance(value, list) and value:
        return "".join(f"{space}-\n{as_yaml(dice, item, indent + 2)}" for item in value)
    return f"{space}{_scalar(dice, value, indent)}\n"


def _key(dice: Dice, key: str) -> str:
    return key if key.isalnum() and not dice.one_in(10) else json.dumps(key)


def _scalar(dice: Dice, value: Any, indent: int) -> str:
    if not isinstance(value, str):
        return dice.one(
            (json.dumps(value), json.dumps(value), ".5", "0x1F", "~", "1e400", ".inf", "!!str 1")
        )
    kind = dice.random()
    if kind < 0.4:
        return json.dumps(value, ensure_ascii=dice.one_in(2))
    if kind < 0.6:
        return "'" + value.replace("'", "''") + "'"
    if kind < 0.7:
        return dice.one(("|", ">", "|-", ">2")) + f"\n{' ' * (indent + 3)}{value}"
    return value
