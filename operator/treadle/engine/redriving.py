"""Whether an execution can be redriven as somebody asks.

One rule: each objection is a sentence, and all are told at once; where there is none, it goes on.
Source: AWS, RedriveExecution, `redriveStatusReason`.
"""

from collections.abc import Iterator

from treadle.asl.errors import EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.limits import Limits
from treadle.asl.paths import is_variable_name
from treadle.asl.program import Program
from treadle.engine import fitting, mapruns, variables
from treadle.engine.events import RedriveRequested
from treadle.engine.memory import Memory, Status
from treadle.engine.payloads import Payload


def objections(
    memory: Memory, program: Program, limits: Limits, event: RedriveRequested, ran: Json = None
) -> list[str]:
    """Why an execution cannot be redriven; empty where it can.

    Args:
        memory: of the execution.
        program: what it is to go on with.
        limits: its bounds.
        event: how it is asked for.
        ran: the definition that it ran, where it is to go on with another.

    Returns:
        Sentences. Those about a member of the event begin with its pointer, those about a state of
        the other definition with the state's.
    """
    if not memory.over:
        return ["the execution has not ended"]
    if memory.status is Status.SUCCEEDED:
        return ["the execution succeeded; one that failed, timed out or was aborted can go on"]
    if not memory.halted:
        return ["the execution ended under a release that did not keep where it was"]
    events = memory.history.next_id - 1
    runs = sum(frame.home == 0 and mapruns.is_run(frame) for frame in memory.halted.values())
    if events + runs + (memory.suspended != event.suspended) + 2 >= limits.history_events_max:
        most = limits.history_events_max
        return [f"its history has {events} entries; the setting historyEventsMax allows {most}"]
    if event.enters_anew:
        return list(_to_entering(memory, program, limits, event))
    return [] if ran is None else fitting.misfits(memory, ran, program.definition)


def _to_entering(
    memory: Memory, program: Program, limits: Limits, event: RedriveRequested
) -> Iterator[str]:
    root, states = memory.halted[0], program.machine.states
    name = event.state or root.state
    if name not in states:
        known = ", ".join(f"'{state}'" for state in states)
        yield f"/from: '{name}' is not one of the machine's outermost states, which are {known}"
    if event.input is not None:
        size, most = len(event.input.encode()), limits.payload_bytes_max
        if size > most:
            yield f"/input: it has {size} bytes; the setting payloadBytesMax allows {most}"
        elif (wrong := _wrong_with(event.input)) is not None:
            yield f"/input: it is not JSON: {wrong}"
    elif name != root.state:
        yield f"/input: it is missing, and the execution never entered '{name}'"
    if event.variables is not None:
        for each in event.variables:
            if not is_variable_name(each):
                yield f"/variables: {each[:100]!r} cannot be the name of a variable"
        try:
            variables.check(memory, root, Payload(event.variables), limits)
        except EvaluationFailed as failure:
            yield f"/variables: {failure.cause}"


def _wrong_with(text: str) -> str | None:
    try:
        Payload.read(text)
    except ValueError as why:
        return str(why)
    return None
