"""Parallel and Map: children. Spec: "Parallel State", "Map State"."""

from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.json import Json, dumps, is_plain, loads
from treadle.asl.program import Machine, Map, Parallel
from treadle.engine.flow import Visit, assigned, bounded, effective_input, find, output, render
from treadle.engine.frames import Fork
from treadle.engine.payloads import Payload
from treadle.engine.steps import Done, StartFork, Step


def parallel(state: Parallel, visit: Visit) -> Step:
    """One child a branch, all with the same input."""
    given = render(state.parameters, effective_input(visit), visit, "Parameters")
    return StartFork(Fork(total=len(state.branches), input=bounded(given, visit)))


def iterate(state: Map, visit: Visit) -> Step:
    """One child an item."""
    effective = effective_input(visit)
    items = _items(state, visit, effective)
    return StartFork(
        Fork(
            total=len(items),
            concurrency_max=_concurrency(state, visit, effective),
            input=effective,
            items=items,
        )
    )


def _items(state: Map, visit: Visit, effective: Payload) -> list[Json]:
    value = effective.value
    if state.items_path is not None and not state.items_path.is_root:
        value = find(state.items_path, visit.scope(value, "ItemsPath"))
    if not isinstance(value, list):
        raise EvaluationFailed(RUNTIME, f"Map state input must be an array but was: {_kind(value)}")
    return value


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return "object"


def _concurrency(state: Map, visit: Visit, effective: Payload) -> int:
    path = state.concurrency_max_path
    if path is None:
        return state.concurrency_max
    value = find(path, visit.scope(effective.value, "MaxConcurrencyPath"))
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        text = value if isinstance(value, str) else dumps(value)
        raise EvaluationFailed(
            RUNTIME,
            f'The MaxConcurrencyPath field refers to value "{text}" which is not a valid integer: '
            f"{path.text}",
        )
    return value


def child_machine(state: Parallel | Map, index: int) -> Machine:
    """The list of states that a child runs."""
    return state.branches[index] if isinstance(state, Parallel) else state.processor


def item_of(fork: Fork, index: int) -> Json | None:
    """`Map.Item` of a child; None for a branch."""
    if fork.items is None:
        return None
    return {"Index": index, "Value": fork.items[index]}


def child_input(state: Parallel | Map, visit: Visit, fork: Fork, index: int) -> Payload:
    """What a child is given: a function of the parent's visit alone, so it is never stored."""
    assert fork.input is not None
    if isinstance(state, Parallel):
        return fork.input
    assert fork.items is not None
    if state.item_selector is None:
        return Payload(fork.items[index])
    scope = visit.scope(fork.input.value, f"ItemSelector/{index}", item_of(fork, index))
    return bounded(Payload(state.item_selector.render(scope)), visit)


def finish(state: Parallel | Map, visit: Visit, fork: Fork) -> Step:
    """From the children's outputs, in order, to the state's output."""
    text = "[" + ",".join(fork.results[index] for index in range(fork.total)) + "]"
    # A text whose parts were written exactly is what writing the whole would give.
    result = bounded(Payload.of_text(text) if is_plain(text) else Payload(loads(text)), visit)
    given = assigned(state.assign, result, visit)
    return Done(output(visit, result, state.result_selector, state.result_path), state.next, given)
