"""The way of data through a state, and what a state's code may see.

Order in JSONPath: raw input, InputPath, Parameters, the state's work, ResultSelector, ResultPath
(into the raw input), OutputPath. In JSONata: Arguments, the work, Output. One rule: every step
gives a new payload or the same one, never a changed one.

Spec: "Input and Output Processing".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from treadle.asl.chance import Chance
from treadle.asl.errors import DATA_LIMIT_EXCEEDED, RUNTIME, EvaluationFailed, StateError
from treadle.asl.json import Json, well_formed
from treadle.asl.limits import UNMEASURED_BYTES_MAX, Limits
from treadle.asl.paths import Path, PathNotFound
from treadle.asl.program import Data, Map, Parallel, PathData, State, Task
from treadle.asl.scope import Effort, Scope
from treadle.asl.templates import Template
from treadle.engine.frames import Frame
from treadle.engine.payloads import Payload
from treadle.engine.times import to_ms

EMPTY = Payload({}, "{}")


@dataclass(frozen=True, slots=True)
class Visit:
    """One entry into a state, as the state's own code sees it.

    `context_of` gives the context object (with `Map.Item` set to its argument where that is not
    None); `seed` is the execution's; `variables` have the values that they had at the entry; `note`
    is told of the data between two steps, by AWS's name for it, where somebody wants to see it.
    """

    frame: Frame
    raw: Payload
    now: datetime
    limits: Limits
    seed: bytes
    context_of: Callable[[Json | None], Json]
    effort: Effort
    variables: Mapping[str, Json]
    note: Callable[[str, Payload], None] | None = None

    def noted(self, stage: str, payload: Payload) -> Payload:
        """The same payload, told to whoever wants to see it."""
        if self.note is not None:
            self.note(stage, payload)
        return payload

    @property
    def state(self) -> State:
        """The state that was entered."""
        return self.frame.definition

    def scope(
        self,
        data: Json,
        stage: str,
        item: Json | None = None,
        produced: Mapping[str, Json] | None = None,
    ) -> Scope:
        """What an expression of a stage may read; the same stage draws the same chances."""
        frame = self.frame
        salt = f"/{frame.entry}/{frame.attempt}/{stage}".encode()
        context = partial(self.context_of, item)
        chance = Chance(self.seed + salt)
        now_ms = to_ms(self.now)
        return Scope(data, context, chance, self.effort, self.variables, produced, now_ms)

    def input_scope(self, stage: str, item: Json | None = None) -> Scope:
        """A scope over the effective input."""
        return self.scope(effective_input(self).value, stage, item)


def find(path: Path, scope: Scope) -> Json:
    """The value at a path; a path that finds nothing fails the state as AWS does."""
    try:
        return path.find(scope)
    except PathNotFound as missing:
        sentence = f"Invalid path '{path.text}' : {missing.message}"
        raise EvaluationFailed(RUNTIME, sentence) from None


def _select(path: Path | None, payload: Payload, visit: Visit, stage: str) -> Payload:
    """InputPath and OutputPath. Spec: "InputPath and OutputPath": null gives `{}`."""
    if path is None:
        return EMPTY
    if path.is_root:
        return payload
    return Payload(find(path, visit.scope(payload.value, stage)))


def rendered(template: Template | None, payload: Payload, visit: Visit, scope: Scope) -> Payload:
    """What a template gives over a scope; the payload itself where there is none."""
    if template is None:
        return payload
    value = template.render(scope)
    # Values are shared, not copied, until they are written: a thousand times `$` would be.
    limits = visit.limits
    readable = payload.size_bytes + max(limits.payload_bytes_max, limits.variable_bytes_max)
    if template.paths * readable > UNMEASURED_BYTES_MAX:
        _refuse_bulk(value, visit)
    return Payload(value)


def _refuse_bulk(value: Json, visit: Visit) -> None:
    """Fail what is larger than any payload, or than any Assign, before it is written.

    Its text is at least so long.
    """
    left = max(visit.limits.payload_bytes_max, visit.limits.assign_bytes_max)
    todo = [value]
    while todo:
        part = todo.pop()
        left -= 1
        if isinstance(part, str):
            left -= len(part)
        elif isinstance(part, dict):
            todo.extend(part.values())
            left -= sum(map(len, part))
        elif isinstance(part, list):
            todo.extend(part)
        if left < 0 or len(todo) > left + 1:
            raise EvaluationFailed(DATA_LIMIT_EXCEEDED, too_large(visit.frame.state))


def effective_input(visit: Visit) -> Payload:
    """The raw input after InputPath."""
    data = visit.state.data
    if isinstance(data, PathData):
        selected = _select(data.input_path, visit.raw, visit, "InputPath")
        return visit.noted("afterInputPath", selected)
    return visit.raw


def arguments(visit: Visit) -> Payload:
    """What the state's work is given: Parameters or Arguments, else the effective input."""
    data = visit.state.data
    effective = effective_input(visit)
    if isinstance(data, PathData):
        template, stage = data.parameters, "Parameters"
    else:
        template, stage = data.arguments, "Arguments"
    given = effective
    if template is not None:
        given = rendered(template, effective, visit, visit.scope(effective.value, stage))
    return visit.noted(f"after{stage}", given)


def role_arn(credentials: Template | None, visit: Visit) -> str | None:
    """The RoleArn of a Task's Credentials. Source: AWS, "Accessing cross-account resources"."""
    if credentials is None:
        return None
    value = rendered(credentials, visit.raw, visit, visit.input_scope("Credentials")).value
    role = bounded(Payload(value["RoleArn"]), visit)
    return role.value if isinstance(role.value, str) else role.text


def output(visit: Visit, data: Data, result: Payload, *, failed: bool = False) -> Payload:
    """From what a state's work gave to the state's output.

    Args:
        visit: of the state.
        data: its own, a rule's or a catcher's.
        result: its result or, where it `failed`, its error output.
        failed: see there.
    """
    if not isinstance(data, PathData):
        if data.output is None:
            return bounded(result, visit)
        scope = _over(result, visit, "Output", failed=failed)
        return bounded(rendered(data.output, result, visit, scope), visit)
    selected = result
    if data.result_selector is not None:
        scope = visit.scope(result.value, "ResultSelector")
        selected = rendered(data.result_selector, result, visit, scope)
    visit.noted("afterResultSelector", selected)
    merged = visit.noted("afterResultPath", _put(data, visit.raw, selected))
    return bounded(_select(data.output_path, merged, visit, "OutputPath"), visit)


def _put(data: PathData, raw: Payload, result: Payload) -> Payload:
    """ResultPath: where the result goes in the raw input; None discards the result."""
    if data.result_path is None:
        return raw
    if data.result_path.is_root:
        return result
    return Payload(data.result_path.put(raw.value, result.value))


_WITH_RESULT = (Task, Parallel, Map)


def _over(result: Payload, visit: Visit, stage: str, *, failed: bool) -> Scope:
    """What Assign and Output read. Spec: "Variables", and the reserved variable `$states`."""
    if isinstance(visit.state.data, PathData):
        return visit.scope(result.value, stage)
    produced = {}
    if failed:
        produced = {"errorOutput": result.value}
    elif isinstance(visit.state, _WITH_RESULT):
        produced = {"result": result.value}
    return visit.scope(visit.raw.value, stage, produced=produced)


def assigned(
    assign: Template | None, result: Payload, visit: Visit, *, failed: bool = False
) -> Payload | None:
    """The variables that a state assigns, over its result, input or error output.

    Spec: "Variables": all expressions see the values at the state's entry. How large they may be
    is asked where they are kept, by `variables.check`.
    """
    if assign is None:
        return None
    scope = _over(result, visit, "Assign", failed=failed)
    given = rendered(assign, result, visit, scope)
    size_bytes(given)
    return given


def short(error: StateError, limits: Limits) -> StateError:
    """An error that is no longer than it may be. Source: AWS, SendTaskFailure."""
    return StateError(
        error.name and well_formed(error.name[: limits.error_chars_max]),
        error.cause and well_formed(error.cause[: limits.cause_chars_max]),
    )


def fits(payload: Payload, limits: Limits) -> bool:
    """Whether a payload may pass. Source: AWS, "Quotas"."""
    return payload.size_bytes <= limits.payload_bytes_max


def too_large(name: str) -> str:
    """AWS's sentence about what does not fit: `name` is a state's, or a task's Resource."""
    return (
        f"The state/task '{name}' returned a result with a size exceeding the maximum number of "
        "bytes service limit."
    )


def bounded(payload: Payload, visit: Visit) -> Payload:
    """The same payload, or the failure of one that is too large."""
    if size_bytes(payload) <= visit.limits.payload_bytes_max:
        return payload
    raise EvaluationFailed(DATA_LIMIT_EXCEEDED, too_large(visit.frame.state))


def size_bytes(payload: Payload) -> int:
    """Its size as JSON. Raises: EvaluationFailed (it cannot be written)."""
    try:
        return payload.size_bytes
    except ValueError as why:
        raise EvaluationFailed(RUNTIME, f"The data is {why}.") from None
