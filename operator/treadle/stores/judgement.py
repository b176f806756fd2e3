"""What is wrong with a StateMachine, from its object alone.

One rule: whatever can be known before anything runs is a problem of the machine, not of an
execution.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from treadle.asl import document
from treadle.asl.arguments import Written, written_arguments
from treadle.asl.arns import listed
from treadle.asl.errors import Problem
from treadle.asl.json import Json
from treadle.asl.limits import DEFAULT, Limits
from treadle.asl.pointers import escaped
from treadle.asl.program import Machine, Map, Parallel, Program, QueryData, State, Task
from treadle.kube import podtemplates
from treadle.kube.api import Obj
from treadle.kube.podtemplates import PodDefaults
from treadle.runtime.functions import Functions, calls_function
from treadle.stores import calling, limiting

PODS = ("serviceAccountName", "podTemplate", "podTemplates", "jobMode")
"""Members of a StateMachine's spec that say how its Jobs run."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Installation:
    """What there is to run machines.

    Attributes:
        defaults: of Pods.
        resources: those that runners serve.
        limits: of executions; a machine may lower them.
        answered: states whose Tasks are answered by mocks; None where there are no mocks. Where
            there are, any Resource may be asked for.
    """

    defaults: PodDefaults
    resources: frozenset[str]
    limits: Limits = DEFAULT
    answered: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Problems, and the reason for the condition `Ready` where some are errors.

    `program` is the definition; None where it cannot be read.
    """

    reason: str
    problems: tuple[Problem, ...]
    program: Program | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that keep the machine from running."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def is_express(spec: Mapping[str, Json]) -> bool:
    """Whether a machine's or a revision's type allows less."""
    return spec.get("type") == "EXPRESS"


def judge(obj: Obj, installation: Installation) -> Judgement:
    """All problems of a StateMachine. May take seconds: the definition may be long."""
    spec = obj["spec"]
    dropped = _nulls_dropped(obj)
    if dropped:
        return Judgement("NullsDropped", dropped)
    program, problems = document.inspect(spec.get("definition"), express=is_express(spec))
    if program is None:
        return Judgement("InvalidDefinition", problems)
    pods = {member: spec[member] for member in PODS if member in spec}
    wrong = podtemplates.problems(pods, installation.defaults)
    templates = tuple(Problem(where, "pod-template", said) for where, said in wrong)
    functions = tuple(calling.problems(spec.get("functions", {})))
    limits = tuple(
        limiting.problems(spec.get("limits", {}), installation.limits, express=is_express(spec))
    )
    wrong_spec = {
        "InvalidPodTemplate": templates,
        "InvalidFunctions": functions,
        "InvalidLimits": limits,
    }
    for reason, found in wrong_spec.items():
        if found:
            return Judgement(reason, problems + templates + functions + limits, program)
    if installation.answered is not None:
        return Judgement("ResourceNotRunnable", problems, program)
    served = installation.resources
    unserved = tuple(not_runnable(program, served, spec.get("functions", {})))
    return Judgement("ResourceNotRunnable", problems + unserved, program)


def not_runnable(
    program: Program, served: frozenset[str], functions: Functions
) -> Iterator[Problem]:
    """A problem for each Resource that no runner serves and no function stands for."""
    for pointer, task, written in tasks(program):
        if calls_function(task.resource):
            yield from calling.call_problems(pointer, task.resource, written, functions)
        elif listed(task.resource) not in served:
            message = f"nothing here runs {task.resource}; what is run: {', '.join(sorted(served))}"
            yield Problem(f"{pointer}/Resource", calling.NOT_RUNNABLE, message)
    for pointer, state, _ in states(program.machine, program.definition):
        if isinstance(state, Map) and state.reader:
            message = f"nothing here reads items with {state.reader}; give them in the input"
            yield Problem(f"{pointer}/ItemReader", calling.NOT_RUNNABLE, message)
        if isinstance(state, Map) and state.writer:
            message = "nothing here writes or transforms results; take them from the output"
            yield Problem(f"{pointer}/ResultWriter", calling.NOT_RUNNABLE, message)


def tasks(program: Program) -> Iterator[tuple[str, Task, Written]]:
    """Every Task: where it is, as it was parsed, and its arguments as they were written."""
    for pointer, state, source in states(program.machine, program.definition):
        if isinstance(state, Task):
            is_jsonata = isinstance(state.data, QueryData)
            yield pointer, state, written_arguments(source, is_jsonata=is_jsonata)


def states(
    machine: Machine, written: Json, pointer: str = ""
) -> Iterator[tuple[str, State, Mapping[str, Json]]]:
    """Every state before those inside it: where it is, as parsed, and as it was written."""
    for name, state in machine.states.items():
        where, source = f"{pointer}/States/{escaped(name)}", written["States"][name]
        yield where, state, source
        if isinstance(state, Parallel):
            for number, branch in enumerate(state.branches):
                yield from states(branch, source["Branches"][number], f"{where}/Branches/{number}")
        elif isinstance(state, Map):
            member = "ItemProcessor" if "ItemProcessor" in source else "Iterator"
            yield from states(state.processor, source[member], f"{where}/{member}")


def as_status(problem: Problem) -> Mapping[str, Any]:
    """A problem as the status shows it."""
    found: dict[str, Any] = {
        "pointer": problem.pointer,
        "code": problem.code,
        "message": problem.message,
        "severity": problem.severity,
    }
    if problem.line is not None:
        found["line"] = problem.line
    return found


def _nulls_dropped(obj: Obj) -> tuple[Problem, ...]:
    """Nulls that client-side `kubectl apply` left out: `ResultPath: null` would be lost."""
    text = (obj["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if not text:
        return ()
    try:
        applied = json.loads(text)["spec"]["definition"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    found: list[str] = []
    _compare(applied, obj["spec"].get("definition"), "", found)
    return tuple(
        Problem(
            pointer,
            "nulls-dropped",
            "this null was dropped by client-side kubectl apply; use "
            "`kubectl apply --server-side`, or write the definition as text",
        )
        for pointer in found
    )


def _compare(applied: Json, stored: Json, pointer: str, found: list[str]) -> None:
    if isinstance(applied, dict) and isinstance(stored, dict):
        for key, value in applied.items():
            step = f"{pointer}/{escaped(key)}"
            if value is None and key not in stored:
                found.append(step)
            else:
                _compare(value, stored.get(key), step, found)
    elif isinstance(applied, list) and isinstance(stored, list):
        for index, (one, other) in enumerate(zip(applied, stored, strict=False)):
            _compare(one, other, f"{pointer}/{index}", found)
