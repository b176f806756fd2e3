"""The scripted world of a case: what each attempt of a Task is answered.

One rule: a case's expectation is never read here.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps
from treadle.engine.commands import Task
from treadle.local.world import Reply

_PLACEHOLDER = re.compile(r"<[A-Za-z0-9_.\-]+(?::\d+)?>")


class Served:
    """Answers the attempts of one run of a case, each recorded row once."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self._rows: list[Mapping[str, Any]] = list(case.get("tasks") or ())
        self._worker = _worker(case.get("setup"))
        self._functions: Mapping[str, Mapping[str, Any]] = case.get("functions") or {}

    def answer(self, task: Task) -> Reply | None:
        """The answer; None where the attempt is never answered."""
        row = self._take(task)
        if row is not None:
            return _of_row(row, self._worker)
        return self._call(task)

    def _take(self, task: Task) -> Mapping[str, Any] | None:
        ours = [row for row in self._rows if row["state"] == task.state]
        equal = [row for row in ours if _fits(row.get("request"), task.parameters)]
        for row in equal or ours:
            self._rows.remove(row)
            return row
        return None

    def _call(self, task: Task) -> Reply | None:
        name, given, wrap = task.resource, task.parameters, False
        if name.endswith(":lambda:invoke") and isinstance(given, dict):
            name, given, wrap = str(given.get("FunctionName")), given.get("Payload", {}), True
        function = self._functions.get(name) or self._functions.get(name.rpartition(":")[0])
        return _of_function(function, given, wrap=wrap) if function else None


def _worker(setup: Json) -> str:
    """How the worker of a case's activity calls itself: a member anywhere in what set it up."""
    if isinstance(setup, dict):
        name = setup.get("WorkerName")
        return name if isinstance(name, str) else _worker(list(setup.values()))
    if isinstance(setup, list):
        return next(filter(None, map(_worker, setup)), "")
    return ""


def _of_row(row: Mapping[str, Any], worker: str) -> Reply:
    submitted = dumps(row["submitted"]) if "submitted" in row else None
    if str(row.get("end", "")).endswith("TimedOut"):
        return Reply(submitted=submitted, worker=worker)
    if "output" in row:
        return Reply(output=dumps(row["output"]), submitted=submitted, worker=worker)
    # What a function itself wrote has spaces; an integration writes it anew without.
    written = json.dumps if row["end"].startswith("LambdaFunction") else dumps
    error = StateError(_text(row.get("error"), written), _text(row.get("cause"), written))
    return Reply(error=error, submitted=submitted, worker=worker)


def _text(value: Json, written: Callable[[Json], str]) -> str | None:
    return value if value is None or isinstance(value, str) else written(value)


def _of_function(function: Mapping[str, Any], given: Json, *, wrap: bool) -> Reply | None:
    after = 0.0
    match function["does"]:
        case "identity":
            value = given
        case "return":
            value = function.get("value")
        case "return-bytes":
            value = function["char"] * function["size"]
        case "sleep-then-identity":
            value, after = given, float(function.get("seconds", 0))
        case "raise":
            written = dumps if wrap else json.dumps
            return Reply(error=StateError(function.get("type"), written(_raised(function))))
        case _:
            return None
    return Reply(output=dumps(_envelope(value) if wrap else value), after_seconds=after)


def _raised(function: Mapping[str, Any]) -> Json:
    """What Lambda's Python runtime answers for a handler that raises in its first line."""
    message, kind = function.get("message"), function.get("type")
    line = f'  File "/var/task/handler.py", line 2, in handler\n    raise {kind}("{message}")\n'
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": "00000000-0000-4000-8000-000000000000",
        "stackTrace": [line],
    }


def _envelope(value: Json) -> Json:
    return {"ExecutedVersion": "$LATEST", "Payload": value, "StatusCode": 200}


def _fits(recorded: Json, given: Json) -> bool:
    """Whether a recorded request is this one; its placeholders match anything."""
    if isinstance(recorded, dict) and isinstance(given, dict):
        return recorded.keys() == given.keys() and all(
            _fits(value, given[name]) for name, value in recorded.items()
        )
    if isinstance(recorded, list) and isinstance(given, list):
        return len(recorded) == len(given) and all(map(_fits, recorded, given))
    if isinstance(recorded, str) and isinstance(given, str):
        return recorded == given or bool(re.fullmatch(_pattern(recorded), given, re.DOTALL))
    if isinstance(given, str) and not isinstance(recorded, str):
        # A recording shows JSON inside a text as JSON.
        return _fits_text(recorded, given)
    return type(recorded) is type(given) and bool(recorded == given)


def _fits_text(recorded: Json, given: str) -> bool:
    try:
        value = json.loads(given)
    except ValueError:
        return False
    return not isinstance(value, str) and _fits(recorded, value)


def _pattern(recorded: str) -> str:
    fixed: Sequence[str] = _PLACEHOLDER.split(recorded)
    return ".*".join(re.escape(part) for part in fixed)
