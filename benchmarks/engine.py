"""(a) Pass states per CPU second in the engine, and the calibration row beside which to read it."""

import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from treadle.asl import document
from treadle.engine.context import Identity
from treadle.engine.execution import Execution

STATES = 20
INPUT_BYTES = 1024
CPU_SECONDS = 1.0
ROUNDS = 5


def rows() -> list[tuple[str, str]]:
    """The calibration row and (a)."""
    return [
        ("calibration: orjson round trips of 10 KiB per CPU second", f"{_calibrate():,.0f}"),
        ("(a) Pass states per CPU second, history encoded", f"{_pass_states():,.0f}"),
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


def _pass_states() -> float:
    program = document.parse(chain(STATES))
    text = json.dumps(input_of(INPUT_BYTES))
    identity = Identity("arn:aws:states:us-east-1:0:execution:m:e", "e", "arn", "m")
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def once() -> int:
        execution = Execution.start(program, "r", identity, text, seed=b"seed", now=now)
        execution.encode()
        assert execution.memory.over
        return STATES

    return _rate(once)


def _rate(once: Callable[[], int]) -> float:
    """Units per CPU second: the median of some rounds."""
    rates = []
    for _ in range(ROUNDS):
        began, units = time.process_time(), 0
        while (spent := time.process_time() - began) < CPU_SECONDS / ROUNDS:
            units += once()
        rates.append(units / spent)
    return statistics.median(rates)
