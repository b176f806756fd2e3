"""Our own expressions give what JSONata 2.0.6 makes of them, which `jsonata/expect.mjs` wrote down.

One rule: where they give something else, `jsonata/differences.json` has it, with the reason.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed
from treadle.asl.jsonata import JsonataSyntaxError
from treadle.asl.queries import compile_query
from treadle.asl.scope import Scope

Row: TypeAlias = dict[str, Any]


def read(name: str) -> Any:
    return json.loads((Path(__file__).parent / "jsonata" / name).read_text(encoding="utf-8"))


CORPUS, EXPECTED, DIFFERENCES = map(read, ("corpus.json", "expected.json", "differences.json"))
DIFFERENT: dict[str, Row] = {
    text: row for difference in DIFFERENCES for text, row in difference["rows"].items()
}

# All of them; $random and $shuffle by what is the same each time.
FUNCTIONS = re.findall(
    r"\w+",
    """
    abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl
    decodeUrlComponent distinct each encodeUrl encodeUrlComponent error eval exists filter floor
    formatBase formatInteger formatNumber fromMillis join keys length lookup lowercase map match max
    merge millis min not now number pad parseInteger power random reduce replace reverse round
    shuffle sift single sort split spread sqrt string substring substringAfter substringBefore sum
    toMillis trim type uppercase zip
    """,
)

_CODE = re.compile(r"(?:^|evaluation\. )([A-Z]\d{4}): ")


def row_of(text: str) -> Row:
    """What we make of an expression, as a row of expected.json; or that it is refused."""
    states = CORPUS["states"]
    scope = Scope(
        states["input"],
        lambda: states["context"],
        Chance(b"seed"),
        variables=CORPUS["variables"],
        now_ms=CORPUS["now"],
    )
    try:
        return {"value": compile_query("{%" + text + "%}", "Output").value(scope)}
    except JsonataSyntaxError as why:
        return {"refused": True} if why.is_unsupported else {"error": _code(why.message)}
    except EvaluationFailed as why:
        if why.cause.endswith("returned nothing (undefined)."):
            return {"undefined": True}
        if why.cause.endswith("returned an unsupported result type."):
            return {"function": True}
        return {"error": _code(why.cause)}


def _code(sentence: str) -> str:
    found = _CODE.search(sentence)
    return found[1] if found else sentence


def is_same(one: Any, other: Any) -> bool:
    """Strictly: true is not 1, and members have an order; but 1.0 is 1, as JSON has one number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


@pytest.mark.parametrize("group", EXPECTED)
def test_an_expression_gives_what_jsonata_gives(group: str) -> None:
    wrong = {}
    for text, expected in EXPECTED[group].items():
        ours, wanted = row_of(text), DIFFERENT.get(text, expected)
        if not is_same(ours, wanted):
            wrong[text] = {"ours": ours, "wanted": wanted}
    assert wrong == {}


def test_what_was_written_down_is_of_this_corpus() -> None:
    written = {group: list(rows) for group, rows in EXPECTED.items()}
    assert written == CORPUS["groups"], "run jsonata/expect.mjs"


def test_a_difference_is_one_and_has_a_reason() -> None:
    expected = {text: row for rows in EXPECTED.values() for text, row in rows.items()}
    for difference in DIFFERENCES:
        assert difference["reason"]
        assert [t for t, row in difference["rows"].items() if is_same(row, expected[t])] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_several_expressions(name: str) -> None:
    called = Counter(
        word
        for texts in CORPUS["groups"].values()
        for t in texts
        for word in re.findall(r"\$\w+", t)
    )
    assert called[f"${name}"] >= 5


def test_most_codes_of_failures_come_about() -> None:
    codes = {row["error"] for rows in EXPECTED.values() for row in rows.values() if "error" in row}
    assert len(codes) >= 75


def test_rows_are_compared_strictly() -> None:
    assert is_same({"value": [1, {"a": 2.0}]}, {"value": [1.0, {"a": 2}]})
    assert not is_same({"value": True}, {"value": 1})
    assert not is_same({"value": None}, {"undefined": True})
    assert not is_same({"value": {"a": 1, "b": 2}}, {"value": {"b": 2, "a": 1}})
    assert not is_same({"value": [1]}, {"value": [1, 1]})
