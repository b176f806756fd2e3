"""What is fuzzed in the engine: damaged checkpoints, and events in any order.

One rule: a target lets through what the product says it may raise, and nothing else.
"""

import base64
import json
import zlib
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Any

from tests.fuzz import corpus, definitions, evaluating, mutation
from tests.fuzz.dice import Dice
from tests.support.desk import IDENTITY, REVISION, Desk, shown
from treadle.asl import document
from treadle.asl.errors import InvalidDocument, StateError
from treadle.asl.json import loads
from treadle.asl.limits import VISIT_SECONDS_MAX, Limits
from treadle.asl.program import Program
from treadle.engine import snapshot
from treadle.engine.events import (
    Event,
    GoOn,
    StopRequested,
    SuspendChanged,
    TaskFailed,
    TaskHeartbeat,
    TaskId,
    TaskStarted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.execution import Execution
from treadle.engine.invariants import InvariantBroken, check
from treadle.engine.snapshot import Unreadable

INPUTS = (
    {"l": [1, {"a": 2}, []], "n": 1, "a": {"b": [1]}},
    {"l": []},
    [],
    {},
    [[1], {"l": [0]}],
    "x",
)
OUTPUTS = (
    '{"a": 1}',
    "[1,2]",
    "null",
    '"x"',
    "nonsense",
    "1e400",
    "",
    '{"l":[1,2,3]}',
    '"\\ud800"',
)
NAMES = ("Boom", "Other", "States.Timeout", "States.TaskFailed", "States.ALL", None, "", "x" * 400)
_KINDS = ("start", "give", "give", "give", "fail", "beat", "tick", "tick", "tick", "go", "suspend",
          "resume", "resume", "restart", "stop")  # fmt: skip
_STEPS_MAX = 400


# ------------------------------------------------------------------------------------- events


class Events:
    """Any machine, told anything in any order."""

    name = "events"
    seconds_max = 60.0  # of all that it is told; of each see `_check_time`

    def seconds(self) -> float:
        """See `Target`."""
        return evaluating.seconds()

    def make(self, dice: Dice) -> Any:
        """A machine, its input, its bounds, and what it is told: kinds with numbers."""
        definition = (
            definitions.machine(dice)
            if dice.one_in(2)
            else dice.one(corpus.values("machines.jsonl"))
        )
        if dice.one_in(4):
            definition = definitions.with_expressions(dice, definition)
        if dice.one_in(6):
            definition = mutation.value(dice, definition, words=definitions.WORDS)
        told = [
            [dice.one(_KINDS), *(dice.randint(0, 99) for _ in range(3))]
            for _ in range(dice.randint(0, 40))
        ]
        return [definition, dice.one(INPUTS), dice.one_in(3), told]

    def run(self, given: Any) -> str:
        """Tell it; it must stay sound, survive being saved, and end by a name."""
        definition, data, narrow, told = given
        limits = Limits()
        if narrow:
            limits = Limits(60, 900, 1_000_000, 3, 4, 2, 900)
        try:
            desk = Desk(
                definition,
                data,
                limits=limits,
                thorough=False,
                stopwatch=evaluating.seconds,
                evaluator=evaluating.answer,
            )
        except InvalidDocument:
            return "refused"
        for kind, *numbers in told:
            if kind == "restart":
                before = shown(desk.execution)
                desk.restart()
                assert shown(desk.execution) == before
            else:
                began = evaluating.seconds()
                _tell(desk, kind, numbers)
                _check_time(began)
        for _ in range(_STEPS_MAX):
            began = evaluating.seconds()
            if not desk.step():
                break
            _check_time(began)
        return _ending(desk)


def _check_time(began: float) -> None:
    # A visit may begin just before the stretch is full.
    assert evaluating.seconds() - began < 2 * VISIT_SECONDS_MAX + 1


def _tell(desk: Desk, kind: str, numbers: list[int]) -> None:
    which, what, when = numbers
    tasks = [*desk.wanted, *desk.execution.closing(), TaskId(which % 9, what % 9, 1 + when % 3)]
    task = tasks[which % len(tasks)]
    at = desk.now + timedelta(seconds=when - 50 if when % 2 else 0)
    events: dict[str, Event] = {
        "start": TaskStarted(
            task, ("", "u", "5f0c2a1e-0000-4000-8000-00000000000" + str(what % 10))[what % 3]
        ),
        "give": TaskSucceeded(task, OUTPUTS[what % len(OUTPUTS)], at),
        "fail": TaskFailed(task, StateError(NAMES[what % len(NAMES)], "why"), at),
        "beat": TaskHeartbeat(task, at),
        "tick": Tick(),
        "go": GoOn(),
        "suspend": SuspendChanged(True),
        "resume": SuspendChanged(False),
        "stop": StopRequested(*(("E", "why"), (None, None))[what % 2]),
    }
    if kind == "tick":
        due_at = desk.execution.next_due()
        desk.now = max(desk.now, due_at or desk.now) + timedelta(seconds=when % 4)
    desk.tell(events[kind])


def _ending(desk: Desk) -> str:
    if desk.error is None:
        return desk.status
    name, cause = desk.error
    assert cause is None or isinstance(cause, str)
    if str(name).startswith(("States.", "Treadle.")):
        return f"{desk.status} {name}"
    # What a task failed with, a person stopped it with, or a Fail state says.
    told = {given and given[:256] for given in NAMES} | {"E", "x" * 256}
    assert name in told or _says_error(desk.program.definition), name
    return f"{desk.status} (its own)"


def _says_error(value: Any) -> bool:
    text = json.dumps(value)
    return '"Error"' in text or '"ErrorPath"' in text


# -------------------------------------------------------------------------------- checkpoints


class Checkpoint:
    """Damaged checkpoints and pages: read, or Unreadable."""

    name = "checkpoint"
    seconds_max = 2.0

    def seconds(self) -> float:
        """See `Target`."""
        return evaluating.seconds()

    def make(self, dice: Dice) -> Any:
        """A definition, a checkpoint that was one of it, and pages."""
        definition, checkpoint, pages = _saved(dice)
        kind = dice.random()
        if kind < 0.6:
            checkpoint = _with_other_core(dice, checkpoint, pages)
        elif kind < 0.7:
            checkpoint = _with_other_tail(dice, checkpoint)
        elif kind < 0.9 or not pages:
            checkpoint = mutation.text(dice, checkpoint)
        if pages and dice.one_in(2):
            digest = dice.one(sorted(pages))
            pages[digest] = mutation.text(dice, pages[digest])
        if pages and dice.one_in(8):
            del pages[dice.one(sorted(pages))]
        return [definition, checkpoint, pages]

    def run(self, given: Any) -> str:
        """Read it in every way there is."""
        definition, checkpoint, written = given
        program = _program(json.dumps(definition))
        pages = {digest: text.encode("utf-8", "replace") for digest, text in written.items()}
        for read in (
            snapshot.missing,
            snapshot.missing_core,
            snapshot.history_of,
            snapshot.overflow_of,
        ):
            with suppress(Unreadable):
                read(checkpoint, pages)
        try:
            execution = Execution.restore(program, REVISION, IDENTITY, checkpoint, pages)
        except Unreadable as why:
            assert str(why)
            return "unreadable"
        try:
            check(execution.memory)
        except (InvariantBroken, ArithmeticError, AttributeError, LookupError, TypeError):
            return "unsound"  # somebody made it so; whoever goes on with it parks it
        return "sound"


@lru_cache(maxsize=64)
def _program(definition: str) -> Program:
    return document.parse(definition)


def _saved(dice: Dice) -> tuple[Any, str, dict[str, str]]:
    definition = dice.one(corpus.values("machines.jsonl"))
    desk = Desk(definition, dice.one(INPUTS), thorough=False)
    for _ in range(dice.randint(0, 12)):
        numbers = [dice.randint(0, 99) for _ in range(3)]
        _tell(desk, dice.one(("start", "give", "tick", "go", "beat")), numbers)
    encoded = desk.save()
    return definition, encoded.checkpoint, {d: raw.decode() for d, raw in desk.pages.items()}


def _with_other_core(dice: Dice, checkpoint: str, pages: dict[str, str]) -> str:
    version, core, tail = checkpoint.split(".")
    packed = pages[core[1:]] if core.startswith("@") else core
    value = loads(zlib.decompress(base64.b64decode(packed)))
    changed = mutation.value(dice, value, (dice.value(3),), (*value, *value.get("frames", ())))
    try:
        raw = json.dumps(changed).encode()
    except (ValueError, RecursionError):
        raw = b"[" * 9_999
    if dice.one_in(200):
        raw = b" " * dice.one((10**6, 10**8)) + raw
    return f"{version}.{base64.b64encode(zlib.compress(raw)).decode()}.{tail}"


def _with_other_tail(dice: Dice, checkpoint: str) -> str:
    version, core, _ = checkpoint.split(".")
    raw = mutation.text(dice, '[1,0,"ExecutionStarted",0,null]\n[2,1,"x",0,{}]').encode(
        "utf-8", "replace"
    )
    raw *= 60_000_000 // len(raw) if raw and dice.one_in(40) else 1
    return f"{version}.{core}.{base64.b64encode(zlib.compress(raw)).decode()}"
