"""`treadle validate`: what is wrong with definitions and manifests, before a cluster sees them.

One rule: what the operator would say of a StateMachine is said here, at the file's own lines.
"""

import json
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import click

from treadle.asl.errors import Problem
from treadle.asl.limits import DEFAULT
from treadle.asl.lint import diagnostic
from treadle.asl.pointers import escaped
from treadle.asl.rules import RULES
from treadle.cli.files import Input, printable, read_all
from treadle.kube import misshapen, podtemplates, sources
from treadle.kube.podtemplates import PodDefaults
from treadle.stores import calling, judgement, limiting

_IN_MANIFEST = re.compile(r"\A(/items/\d+)?/spec/definition(?=/|\Z)")
_POD_MEMBERS = [[name] for name in judgement.PODS]


class Verdict(NamedTuple):
    """What is wrong in one file, in the order of its lines."""

    file: str
    machines: int
    problems: tuple[Problem, ...]


def run(names: tuple[str, ...], output: str) -> int:
    """Judge files and print what is wrong with them.

    Returns:
        The exit status: 1 where there is an error.

    Raises:
        UsageError: a file cannot be read.
    """
    # Files that cannot be read are told before anything is printed of the others.
    verdicts = [judge(each) for each in list(read_all(names))]
    if output == "json":
        found = [as_json(each.file, problem) for each in verdicts for problem in each.problems]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for each in verdicts:
            for problem in each.problems:
                click.echo(as_text(each.file, problem))
        click.echo(_summary(verdicts), err=True)
    return int(_count(verdicts, "error") > 0)


def judge(given: Input) -> Verdict:
    """All problems of one file."""
    found = sources.read(given.data, is_chosen=given.is_chosen)
    problems = list(found.problems)
    for machine in found.machines:
        problems += problems_of(machine, machine.inspect(), PodDefaults())
    problems.sort(key=lambda each: (each.line or 0, each.column or 0, each.severity))
    return Verdict(given.name, len(found.machines), tuple(problems))


def problems_of(
    machine: sources.Machine, inspected: sources.Inspected, defaults: PodDefaults
) -> Iterator[Problem]:
    """All problems of one machine: of its definition, its spec and its Pod templates.

    Args:
        machine: of a file.
        inspected: what its `inspect` gave.
        defaults: of Pods, where it is to run.
    """
    program, problems = inspected
    yield from problems
    if program is not None:
        functions = machine.spec.get("functions", {})
        # What is wrong with the functions themselves is told with the spec.
        usable = functions if not list(calling.problems(functions)) else {}
        for each in judgement.not_runnable(program, _resources(), usable):
            # Another installation may run it.
            yield machine.placed(replace(each, severity="warning"), machine.definition_pointer)
    if machine.is_manifest:
        found = list(_misshapen(machine))
        found += calling.problems(machine.spec.get("functions", {}))
        found += _of_limits(machine, {each.pointer for each in found})
        if not any(each.pointer.split("/")[1:2] in _POD_MEMBERS for each in found):
            found += _of_pods(machine, defaults)
        yield from (machine.placed(each, machine.pointer) for each in found)


def _resources() -> frozenset[str]:
    from treadle.runners.activities import ActivityRunner
    from treadle.runners.approvals import ApprovalRunner
    from treadle.runners.http import HttpRunner
    from treadle.runners.jobs import JobRunner
    from treadle.runners.nested import NestedRunner

    runners = (JobRunner, HttpRunner, NestedRunner, ApprovalRunner, ActivityRunner)
    return frozenset().union(*(each.resources for each in runners))


def _misshapen(machine: sources.Machine) -> Iterator[Problem]:
    """What the API server would refuse: members that a StateMachine's spec does not have so."""
    from pydantic import ValidationError

    from treadle.kube.schemas import StateMachineSpec

    known = {field.alias or name for name, field in StateMachineSpec.model_fields.items()}
    for name in machine.spec.keys() - known:
        message = f"The spec of a StateMachine has no member '{name:.80}'."
        yield Problem(f"/{escaped(name)}", sources.SHAPE, message)
    try:
        StateMachineSpec.model_validate(machine.spec)
    except ValidationError as e:
        for error in e.errors(include_url=False, include_input=False):
            tokens = [str(token) for token in error["loc"]]
            pointer = "".join(f"/{escaped(token)}" for token in tokens)
            yield Problem(pointer, sources.SHAPE, misshapen.sentence(error, "The spec"))


def _of_limits(machine: sources.Machine, told: Container[str]) -> Iterator[Problem]:
    given, express = machine.spec.get("limits", {}), judgement.is_express(machine.spec)
    for each in limiting.problems(given, DEFAULT, express=express):
        if each.code == limiting.ABOVE:
            # Another installation may allow more.
            yield replace(each, severity="warning")
        elif each.pointer not in told:
            yield each


def _of_pods(machine: sources.Machine, defaults: PodDefaults) -> Iterator[Problem]:
    pods = {name: machine.spec[name] for name in judgement.PODS if name in machine.spec}
    for pointer, message in podtemplates.problems(pods, defaults):
        yield Problem(pointer, "pod-template", message)


def as_text(file: str, problem: Problem) -> str:
    """One line, as compilers write them."""
    place = f"{file}:{problem.line or 1}:{problem.column or 1}"
    where = f" at {problem.pointer}" if problem.pointer else ""
    said = f"{problem.severity}: {problem.message} [{problem.code}]{where}"
    return printable(f"{place}: {said}")


def as_json(file: str, problem: Problem) -> dict[str, Any]:
    """A problem for programs. AWS's words are there where AWS has such a rule."""
    rule = RULES.get(problem.code)
    aws = _as_aws(problem) if rule and not rule.spec.startswith("Treadle") else {}
    return {
        "file": file,
        "line": problem.line or 1,
        "column": problem.column or 1,
        "pointer": problem.pointer,
        "code": problem.code,
        **aws,
        "severity": problem.severity,
        "message": problem.message,
    }


def _as_aws(problem: Problem) -> dict[str, Any]:
    # AWS is given a definition alone.
    found = diagnostic(replace(problem, pointer=_IN_MANIFEST.sub("", problem.pointer)))
    return {"awsCode": found.code, "awsMessage": found.message, "awsLocation": found.location}


def _count(verdicts: Iterable[Verdict], severity: str) -> int:
    return sum(each.severity == severity for verdict in verdicts for each in verdict.problems)


def _summary(verdicts: list[Verdict]) -> str:
    counted = (
        (_count(verdicts, "error"), "error"),
        (_count(verdicts, "warning"), "warning"),
        (sum(verdict.machines for verdict in verdicts), "state machine"),
    )
    errors, warnings, machines = (f"{n} {what}{'' if n == 1 else 's'}" for n, what in counted)
    return f"{errors} and {warnings} in {machines}"
