"""What a Map's ItemReader would read, where its text is given: the items of the Map.

One rule: nothing is read here. A text in memory becomes items as AWS makes them, or the state fails
as on AWS.

Source: AWS, "ItemReader"; recorded causes.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from treadle.asl.errors import ITEM_READER_FAILED, EvaluationFailed
from treadle.asl.json import Json, loads
from treadle.asl.limits import ITEMS_READ_MAX
from treadle.asl.pointers import unescaped
from treadle.asl.program import Map, Reading
from treadle.engine.flow import Visit
from treadle.engine.payloads import Payload
from treadle.engine.states.numbers import count

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_DELIMITERS: Final = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


def items(state: Map, text: str, visit: Visit) -> list[Json]:
    """The items of a Map whose reader finds a text.

    Raises:
        EvaluationFailed: the text is not what the ReaderConfig says.
    """
    reading = state.reading
    match reading.input_type:
        case "CSV":
            found = list(_rows(reading, text, visit))
        case "JSON":
            found = _array(reading, _json(text), visit)
        case "JSONL":
            found = [_json(line) for line in text.split("\n") if line.strip()]
        case kind:
            raise _failed(f"Items cannot be read from the text of a {kind}.")
    if reading.items_max is None:
        return found
    most = count(reading.items_max, "MaxItems", visit.input_scope("MaxItems"), ITEMS_READ_MAX)
    return found[: most or None]


def _failed(sentence: str) -> EvaluationFailed:
    return EvaluationFailed(ITEM_READER_FAILED, sentence)


def _json(text: str) -> Json:
    try:
        return loads(text)
    except ValueError as why:
        raise _failed(f"The items are not JSON: {why}") from None


def _array(reading: Reading, value: Json, visit: Visit) -> list[Json]:
    """The array at ItemsPointer. Spec: RFC 6901."""
    for token in reading.pointer.split("/")[1:]:
        name = unescaped(token)
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            value = None
    if not isinstance(value, list):
        raise _failed("Attempting to map over non-iterable node.")
    if reading.pointer:
        visit.noted("afterItemsPointer", Payload(value))
    return value


def _rows(reading: Reading, text: str, visit: Visit) -> Iterator[dict[str, Json]]:
    """Texts by header: what a short row lacks is empty, what a long one has more is dropped."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_DELIMITERS[reading.delimiter])
    try:
        headers = next(lines, []) if reading.headers is None else reading.headers
        if len(set(headers)) < len(headers):
            raise _failed("CSV headers cannot contain duplicates.")
        for row in filter(None, lines):
            visit.effort.spend(len(headers))
            fields = iter(row)
            yield {header: next(fields, "") for header in headers}
    except csv.Error as why:
        raise _failed(f"The items are not CSV: {why}") from None
