"""Parallel and Map: children. Spec: "Parallel State", "Map State"."""

from typing import Final

from treadle.asl.errors import (
    DATA_LIMIT_EXCEEDED,
    ITEM_READER_FAILED,
    RUNTIME,
    EvaluationFailed,
)
from treadle.asl.json import Json, is_plain, is_too_deep, loads
from treadle.asl.limits import BATCH_BYTES_MAX, CONCURRENCY_MAX, COUNT_MAX
from treadle.asl.paths import Path
from treadle.asl.program import Batcher, Machine, Map, Parallel
from treadle.asl.queries import Query, type_name
from treadle.asl.templates import Template
from treadle.engine.flow import (
    Visit,
    arguments,
    assigned,
    bounded,
    effective_input,
    find,
    output,
    rendered,
    too_large,
)
from treadle.engine.frames import Fork, Tolerance
from treadle.engine.payloads import Payload
from treadle.engine.states.numbers import count, percentage, positive
from treadle.engine.steps import Done, StartFork, Step

_BYTES_A_NODE: Final = 64  # to measure an item of so many takes as long as visiting one node


def parallel(state: Parallel, visit: Visit) -> Step:
    """One child a branch, all with the same input."""
    return StartFork(Fork(len(state.branches), input=bounded(arguments(visit), visit)))


def iterate(state: Map, visit: Visit, read: list[Json] | None = None) -> Step:
    """One child an item, or a batch of items; `read`: what its ItemReader gives."""
    if state.reader and read is None:
        sentence = f"Nothing here reads items with {state.reader}; give them in the state's input."
        raise EvaluationFailed(ITEM_READER_FAILED, sentence)
    effective = effective_input(visit)
    # AWS asks for no ItemsPath where there is a reader. Source: recorded executions.
    value: Json = _mapped(state, visit, effective) if read is None else read
    is_keyed = isinstance(value, dict)
    items = [{"Key": k, "Value": v} for k, v in value.items()] if is_keyed else value
    scope = visit.scope(effective.value, "MaxConcurrency")
    concurrency_max = count(state.concurrency_max, "MaxConcurrency", scope, CONCURRENCY_MAX)
    bound = visit.limits.map_concurrency_max
    if bound and len(items) > bound and not state.is_distributed:
        concurrency_max = min(concurrency_max or bound, bound)
    found = Fork(len(items), concurrency_max, effective, items, is_keyed)
    if state.batcher is not None:
        found.batches = _batches(state, state.batcher, visit, found)
        found.total = len(found.batches) - 1
    return StartFork(found)


def _mapped(state: Map, visit: Visit, effective: Payload) -> Json:
    """The array that a Map is over, or in distributed mode the object."""
    value = effective.value
    match state.items:
        case Path():
            value = find(state.items, visit.scope(value, "ItemsPath"))
        case Query():
            value = state.items.value(visit.scope(value, "Items"))
        case Template():
            value = rendered(state.items, effective, visit, visit.scope(value, "Items")).value
        case None:
            pass
    if isinstance(value, list) or (isinstance(value, dict) and state.is_distributed):
        return value
    if isinstance(state.items, Query):
        raise state.items.unexpected("array", value)
    raise EvaluationFailed(RUNTIME, f"Map state input must be an array but was: {type_name(value)}")


def tolerance(state: Map, visit: Visit) -> Tolerance:
    """How many items may fail. Raises: EvaluationFailed."""
    scope = visit.input_scope("ToleratedFailure")
    number, given = state.tolerated_count, state.tolerated_percentage
    allowed = None
    if number is not None:
        allowed = count(number, "ToleratedFailureCount", scope, COUNT_MAX)
    share = None if given is None else percentage(given, "ToleratedFailurePercentage", scope)
    return Tolerance(allowed, share)


def _batches(state: Map, batcher: Batcher, visit: Visit, found: Fork) -> list[int]:
    """Where each batch begins, and how many items there are. Spec: AWS, "ItemBatcher"."""
    assert found.items is not None
    total = len(found.items)
    scope = visit.input_scope("ItemBatcher")
    most = total
    if batcher.items_max is not None:
        most = positive(batcher.items_max, "MaxItemsPerBatch", scope, COUNT_MAX)
    if batcher.bytes_max is None:
        return [*range(0, total, most), total] if total else [0]
    room = positive(batcher.bytes_max, "MaxInputBytesPerBatch", scope, BATCH_BYTES_MAX)
    room -= _batch(state, visit, found, []).size_bytes
    starts, taken, size = [0], 0, 0
    for index in range(total):
        bytes_more = selected(state, visit, found, index).size_bytes + 1  # and its comma
        visit.effort.spend(bytes_more // _BYTES_A_NODE)
        if taken and (taken == most or size + bytes_more > room + 1):
            starts.append(index)
            taken, size = 0, 0
        taken += 1
        size += bytes_more
    return [*starts, total] if total else [0]


def child_machine(state: Parallel | Map, index: int) -> Machine:
    """The list of states that a child runs."""
    return state.branches[index] if isinstance(state, Parallel) else state.processor


def item_of(state: Parallel | Map, fork: Fork, index: int) -> Json | None:
    """`Map.Item` of an item; None for a branch."""
    if fork.items is None or not isinstance(state, Map):
        return None
    value = fork.items[index]
    source = {"Source": "STATE_DATA"} if state.is_distributed else {}
    if fork.is_keyed:
        return {"Index": index, "Key": value["Key"], "Value": value["Value"], **source}
    return {"Index": index, "Value": value, **source}


def child_input(state: Parallel | Map, visit: Visit, fork: Fork, index: int) -> Payload:
    """What a child is given: a function of the parent's visit alone, so it is never stored."""
    assert fork.input is not None
    if isinstance(state, Parallel):
        return fork.input
    if fork.batches is None:
        return selected(state, visit, fork, index)
    items: list[Json] = []
    left = visit.limits.payload_bytes_max
    for item in fork.items_of(index):
        given = selected(state, visit, fork, item)
        left -= given.size_bytes
        if left < 0:
            raise EvaluationFailed(DATA_LIMIT_EXCEEDED, too_large(visit.frame.state))
        items.append(given.value)
    return bounded(_batch(state, visit, fork, items), visit)


def selected(state: Map, visit: Visit, fork: Fork, index: int) -> Payload:
    """An item as ItemSelector gives it."""
    assert fork.input is not None
    assert fork.items is not None
    if state.item_selector is None:
        return bounded(Payload(fork.items[index]), visit)
    scope = visit.scope(fork.input.value, f"ItemSelector/{index}", item_of(state, fork, index))
    return bounded(rendered(state.item_selector, fork.input, visit, scope), visit)


def _batch(state: Map, visit: Visit, fork: Fork, items: list[Json]) -> Payload:
    assert state.batcher is not None
    assert fork.input is not None
    batch: dict[str, Json] = {}
    if state.batcher.input is not None:
        scope = visit.scope(fork.input.value, "ItemBatcher/BatchInput")
        batch["BatchInput"] = rendered(state.batcher.input, fork.input, visit, scope).value
    batch["Items"] = items
    return Payload(batch)


def finish(state: Parallel | Map, visit: Visit, fork: Fork) -> Step:
    """From the children's outputs, in order, to the state's output."""
    text = "[" + ",".join(fork.results[index] for index in range(fork.total)) + "]"
    if is_too_deep(text):
        # One level at a time: a loop around a Parallel can nest without end.
        raise EvaluationFailed(RUNTIME, "The data is nested too deeply.")
    # A text whose parts were written exactly is what writing the whole would give.
    return over(state, visit, Payload.of_text(text) if is_plain(text) else Payload(loads(text)))


def over(state: Parallel | Map, visit: Visit, result: Payload) -> Step:
    """From the array of the children's outputs to the state's output."""
    bounded(result, visit)
    given = assigned(state.assign, result, visit)
    return Done(output(visit, state.data, result), state.next, given)
