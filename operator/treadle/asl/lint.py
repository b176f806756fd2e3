"""What is wrong with a definition: findings, AWS's words for them, and where transitions lead.

One rule: all of a definition's problems are found in one pass; nothing is raised on the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

from treadle.asl import limits
from treadle.asl.errors import Problem
from treadle.asl.json import Json
from treadle.asl.pointers import escaped, unescaped
from treadle.asl.rules import RULES, SCHEMA

Where: TypeAlias = Literal["here", "holder", "nowhere"]


@dataclass(frozen=True, slots=True)
class Finding(Problem):
    """A problem with AWS's sentence for it ("" where ours is used) and where AWS puts it."""

    aws: str = ""
    aws_where: Where = "here"


class Diagnostic(NamedTuple):
    """A problem as AWS's ValidateStateMachineDefinition gives it; a location may be missing."""

    severity: str
    code: str
    message: str
    location: str | None


class Report:
    """Collects what is wrong; keeps at most `PROBLEMS_MAX` errors and as many warnings."""

    __slots__ = ("errors", "warnings")

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    @property
    def is_full(self) -> bool:
        """Whether further errors would only be counted away."""
        return len(self.errors) > limits.PROBLEMS_MAX

    def add(
        self, pointer: str, code: str, message: str, *, aws: str = "", where: Where = "here"
    ) -> None:
        """Note a problem. `code` is one of `RULES`, which knows its source and severity."""
        rule = RULES[code]
        message, aws = _cut(message), _cut(aws)
        if rule.is_warning:
            if len(self.warnings) < limits.PROBLEMS_MAX:
                warning = Finding(
                    pointer, code, message, rule.spec, "warning", None, None, aws, where
                )
                self.warnings.append(warning)
            return
        if len(self.errors) < limits.PROBLEMS_MAX:
            self.errors.append(
                Finding(pointer, code, message, rule.spec, "error", None, None, aws, where)
            )
        elif not self.is_full:
            full = RULES["too-many-problems"]
            message = f"There are more than {limits.PROBLEMS_MAX} problems; the rest is not listed."
            self.errors.append(Finding("", "too-many-problems", message, full.spec))


def aws_message(problems: Sequence[Problem]) -> str:
    """The message of AWS's InvalidDefinition for these problems; warnings are left out.

    Spec: recorded answers of CreateStateMachine.
    """
    diagnostics = [diagnostic(p) for p in problems if p.severity == "error"]
    told = [f"{d.code}: {d.message} at {d.location or 'null'}" for d in diagnostics]
    return f"Invalid State Machine Definition: '{', '.join(told)}'"


def diagnostic(problem: Problem) -> Diagnostic:
    """A problem in AWS's form. Spec: AWS API, ValidateStateMachineDefinitionDiagnostic."""
    code = RULES[problem.code].aws_code if problem.code in RULES else SCHEMA
    message, where = problem.message, "here"
    if isinstance(problem, Finding):
        message, where = problem.aws or message, problem.aws_where
    pointer = problem.pointer
    if where == "holder":
        pointer = pointer.rpartition("/")[0]
    location = None if where == "nowhere" else _location(pointer)
    return Diagnostic(problem.severity.upper(), code, message, location)


def _cut(sentence: str) -> str:
    short = len(sentence) <= limits.PROBLEM_CHARS_MAX
    return sentence if short else sentence[: limits.PROBLEM_CHARS_MAX - 1] + "…"


_LISTS = frozenset({"And", "Branches", "Catch", "Choices", "ErrorEquals", "Or", "Retry"})


def _location(pointer: str) -> str:
    """AWS has `/States/C/Choices[0]/Next` where a JSON pointer has `/States/C/Choices/0/Next`."""
    shown: list[str] = []
    for token in pointer.split("/")[1:]:
        if token.isdecimal() and shown and shown[-1] in _LISTS:
            shown[-1] += f"[{token}]"
        else:
            shown.append(unescaped(token))
    return "/" + "/".join(shown)


def check_transitions(machine: dict[str, Json], pointer: str, report: Report) -> None:
    """Whether each transition of a list of states leads somewhere, and whether it can end.

    Args:
        machine: an object whose `States` is an object; its states may be wrong.
        pointer: of the machine.
        report: takes `target-missing`, `terminal-missing` and `state-unreachable`.

    Spec: "Transitions".
    """
    states = machine["States"]
    start = machine.get("StartAt")
    targets = {name: list(_targets(state)) for name, state in states.items()}
    if isinstance(start, str) and start not in states:
        _report_target(f"{pointer}/StartAt", start, states, report)
    for name, found in targets.items():
        for suffix, target in found:
            if target not in states:
                place = f"{pointer}/States/{escaped(name)}{suffix}"
                _report_target(place, target, states, report)
    if not any(_is_terminal(state) for state in states.values()):
        report.add(
            f"{pointer}/States",
            "terminal-missing",
            'No state ends this list of states; give one "End": true, or add a Succeed or Fail.',
            aws="Workflow has no terminal state",
            where="nowhere",
        )
    elif isinstance(start, str) and start in states:
        _check_reachable(start, targets, pointer, report)


def _report_target(pointer: str, target: str, states: dict[str, Json], report: Report) -> None:
    if report.is_full:
        return
    known = ", ".join(islice(states, 5)) + (", …" if len(states) > 5 else "")
    report.add(
        pointer,
        "target-missing",
        f"There is no state '{target:.80}' in these States; they are: {known}. "
        "A transition cannot leave its States.",
        aws=f"Missing 'Next' target: {target}",
    )


def _check_reachable(
    start: str, targets: dict[str, list[tuple[str, str]]], pointer: str, report: Report
) -> None:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in targets:
            reached.add(name)
            waiting.extend(target for _, target in targets[name])
    for name in targets:
        if name not in reached:
            report.add(
                f"{pointer}/States/{escaped(name)}",
                "state-unreachable",
                f"Nothing leads to the state '{name}'; remove it or lead to it.",
                aws=f'State "{name}" is not reachable.',
            )


def _targets(state: Json) -> Iterator[tuple[str, str]]:
    """The transitions of a state, read from its JSON: of broken states too."""
    if not isinstance(state, dict):
        return
    for name in ("Next", "Default"):
        if isinstance(target := state.get(name), str):
            yield f"/{name}", target
    for name in ("Choices", "Catch"):
        if isinstance(rules := state.get(name), list):
            for index, rule in enumerate(rules):
                if isinstance(rule, dict) and isinstance(target := rule.get("Next"), str):
                    yield f"/{name}/{index}/Next", target


def _is_terminal(state: Json) -> bool:
    # A state that is no object could have been anything: its own problem is enough.
    return (
        not isinstance(state, dict)
        or state.get("End") is True
        or state.get("Type") in ("Succeed", "Fail")
    )
