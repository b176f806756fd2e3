"""(a) Pass states per CPU second in the engine, and the calibration row beside which to read it."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from treadle.asl import document
from treadle.asl.limits import DEFAULT, Limits
from treadle.asl.program import Program
from treadle.engine.context import Identity
from treadle.engine.events import GoOn
from treadle.engine.execution import Execution

STATES = 20
INPUT_BYTES = 1024
CPU_SECONDS = 1.0
ROUNDS = 5


def rows() -> list[tuple[str, str]]:
    """The calibration row and (a)."""
    return [
        ("calibration: orjson round trips of 10 KiB per CPU second", f"{_calibrate():,.0f}"),
        ("(a) Pass states per CPU second, history encoded", f"{_states(chain(STATES)):,.0f}"),
        ("(a) the same, each with a JSONata Output", f"{_states(jsonata(STATES)):,.0f}"),
        ("(a) CPU of an item in a Map of 10,000 Pass items, of 100: ratio", f"{_map_ratio():.2f}"),
    ]


def chain(states: int) -> dict[str, object]:
    """A machine of Pass states, each of which adds to its input."""
    named: dict[str, object] = {}
    for number in range(states):
        state: dict[str, object] = {
            "Type": "Pass",
            "Parameters": {"key.$": "$.key", "number": number},
            "ResultPath": "$.last",
        }
        state |= {"Next": f"S{number + 1}"} if number + 1 < states else {"End": True}
        named[f"S{number}"] = state
    return {"StartAt": "S0", "States": named}


def jsonata(states: int) -> dict[str, object]:
    """The same in JSONata."""
    named: dict[str, object] = {}
    for number in range(states):
        last = f"{{'key': $states.input.key, 'number': {number}}}"
        output = f"{{% $merge([$states.input, {{'last': {last}}}]) %}}"
        state: dict[str, object] = {"Type": "Pass", "Output": output}
        state |= {"Next": f"S{number + 1}"} if number + 1 < states else {"End": True}
        named[f"S{number}"] = state
    return {"QueryLanguage": "JSONata", "StartAt": "S0", "States": named}


def input_of(size_bytes: int) -> dict[str, object]:
    """An input of about so many bytes."""
    given: dict[str, object] = {"key": "a/b/c.txt", "rows": []}
    rows: list[str] = []
    while len(json.dumps(given)) < size_bytes:
        rows.append(f"row {len(rows)} of the input")
        given["rows"] = rows
    return given


def _calibrate() -> float:
    document_ = input_of(10 * 1024)
    return _rate(lambda: orjson.loads(orjson.dumps(document_)) and 1)


def _states(definition: dict[str, object]) -> float:
    program = document.parse(definition)
    text = json.dumps(input_of(INPUT_BYTES))

    def once() -> int:
        _run(program, text)
        return STATES

    return _rate(once)


def _map_ratio() -> float:
    """How much more an item costs in a large Map than in a small one: rounds of both, in turn."""
    item = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
    each = {"Type": "Map", "ItemProcessor": item, "End": True}
    program = document.parse({"StartAt": "M", "States": {"M": each}})
    limits = replace(DEFAULT, history_events_max=1_000_000)
    ratios = []
    for _ in range(ROUNDS):
        spent = [_spent(program, items, 10_000 // items, limits) for items in (100, 10_000)]
        ratios.append(spent[1] / spent[0])
    return statistics.median(ratios)


def _spent(program: Program, items: int, times: int, limits: Limits) -> float:
    text = json.dumps(list(range(items)))
    began = time.process_time()
    for _ in range(times):
        _run(program, text, limits)
    return time.process_time() - began


def _run(program: Program, text: str, limits: Limits = DEFAULT) -> None:
    """An execution to its end, saved after each turn's worth of work."""
    identity = Identity("arn:aws:states:us-east-1:0:execution:m:e", "e", "arn", "m")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    execution = Execution.start(program, "r", identity, text, seed=b"seed", now=now, limits=limits)
    execution.saved(execution.encode())
    transitions = 0
    while execution.busy:
        execution.handle(GoOn(), now)
        if execution.transitions - transitions >= limits.turn_transitions_max:
            transitions = execution.transitions
            execution.saved(execution.encode())
    assert execution.memory.over


def _rate(once: Callable[[], int]) -> float:
    """Units per CPU second: the median of some rounds."""
    rates = []
    for _ in range(ROUNDS):
        began, units = time.process_time(), 0
        while (spent := time.process_time() - began) < CPU_SECONDS / ROUNDS:
            units += once()
        rates.append(units / spent)
    return statistics.median(rates)
