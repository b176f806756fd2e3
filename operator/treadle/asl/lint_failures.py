"""Retry and Catch of a state.

One rule: an array is judged item by item, then as a whole (where States.ALL stands).
"""

from collections.abc import Sequence

from treadle.asl import limits
from treadle.asl.errors import ALL
from treadle.asl.fields import Fields
from treadle.asl.paths import compile_path
from treadle.asl.program import Catcher, Data, PathData, QueryData, Retrier

_ROOT = compile_path("$")
_RETRIER = frozenset(
    {
        "BackoffRate",
        "Comment",
        "ErrorEquals",
        "IntervalSeconds",
        "JitterStrategy",
        "MaxAttempts",
        "MaxDelaySeconds",
    }
)
_CATCHER = {
    "JSONPath": frozenset({"Assign", "Comment", "ErrorEquals", "Next", "ResultPath"}),
    "JSONata": frozenset({"Assign", "Comment", "ErrorEquals", "Next", "Output"}),
}


def read_retriers(state: Fields) -> tuple[Retrier, ...]:
    """The retriers of a state. Spec: Errors, "Retrying after error"."""
    items = list(state.each("Retry"))
    retriers = tuple(_read_retrier(item) for item in items)
    _check_all(items, [retrier.errors for retrier in retriers], "retrier")
    return retriers


def read_catchers(state: Fields) -> tuple[Catcher, ...]:
    """The catchers of a state. Spec: Errors, "Fallback states"."""
    items = list(state.each("Catch"))
    catchers = tuple(_read_catcher(item) for item in items)
    _check_all(items, [catcher.errors for catcher in catchers], "catcher")
    return catchers


def _read_retrier(item: Fields) -> Retrier:
    item.only(_RETRIER)
    item.require("ErrorEquals")
    item.text("Comment")
    interval = item.whole("IntervalSeconds", 1, limits.SECONDS_MAX, "retry-interval-range")
    attempts = item.whole("MaxAttempts", 0, limits.COUNT_MAX, "retry-attempts-negative")
    backoff = item.number("BackoffRate", 1.0, limits.BACKOFF_RATE_MAX, "retry-backoff-below-one")
    delay = item.whole("MaxDelaySeconds", 1, limits.RETRY_DELAY_SECONDS_MAX, "retry-delay-range")
    jitter = item.one_of("JitterStrategy", ("FULL", "NONE"))
    interval = 1 if interval is None else interval
    if delay is not None and delay <= interval:
        item.wrong(
            "MaxDelaySeconds",
            "retry-delay-below-interval",
            f"MaxDelaySeconds is {delay} and IntervalSeconds {interval}: each wait is cut to "
            f"{delay} s, and BackoffRate has no effect.",
        )
    return Retrier(
        errors=_read_errors(item),
        interval_seconds=interval,
        attempts_max=3 if attempts is None else attempts,
        backoff_rate=2.0 if backoff is None else backoff,
        delay_seconds_max=delay,
        jitter="FULL" if jitter == "FULL" else "NONE",
    )


def _read_catcher(item: Fields) -> Catcher:
    item.only(_CATCHER[item.language])
    item.require("ErrorEquals", "Next")
    item.text("Comment")
    return Catcher(
        errors=_read_errors(item),
        next=item.text("Next") or "",
        data=_read_data(item),
        assign=item.assign(),
    )


def _read_data(item: Fields) -> Data:
    if item.is_jsonata:
        return QueryData(output=item.template("Output"))
    return PathData(_ROOT, item.reference("ResultPath"), _ROOT)


def _read_errors(item: Fields) -> tuple[str, ...]:
    errors = item.texts("ErrorEquals")
    if errors == ():
        message = "ErrorEquals is empty; name at least one error, or States.ALL."
        item.wrong("ErrorEquals", "error-equals-empty", message)
    return errors or ()


def _check_all(items: Sequence[Fields], errors: Sequence[tuple[str, ...]], word: str) -> None:
    for index, (item, names) in enumerate(zip(items, errors, strict=True)):
        if ALL not in names:
            continue
        if len(names) > 1:
            message = f"{ALL} must be alone in its ErrorEquals; it matches the others anyway."
            item.wrong("ErrorEquals", "error-all-not-alone", message)
        if index < len(items) - 1:
            message = f"{ALL} must be in the last {word}; the ones after it would never be used."
            item.wrong("ErrorEquals", "error-all-not-last", message)
