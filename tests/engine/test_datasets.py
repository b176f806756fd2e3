"""What an ItemReader would read: from a text to the items of a Map."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.machines import mapping, passing
from treadle.asl.json import dumps
from treadle.engine import teststate
from treadle.engine.teststate import Mock, Refused, Request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPREAD = {
    "StartAt": "I",
    "States": {"I": passing(End=True)},
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
}
READER = "arn:aws:states:::s3:getObject"
PATH = {"End": True}
QUERY = {"End": True, "QueryLanguage": "JSONata", "ItemSelector": "{% $states.context.Map.Item %}"}


def reads(
    text: str | None, given: Any = None, members: Any = PATH, **config: Any
) -> dict[str, Any]:
    """The answer to the test of a Map whose reader reads a text."""
    arguments = {"Arguments": {"Bucket": "b"}} if members is QUERY else {"Parameters": {}}
    reader = {"Resource": READER, **arguments, "ReaderConfig": config}
    state = mapping(SPREAD, ItemReader=reader, **members)
    request = Request(
        state, dumps(given or {}), NOW, level="DEBUG", mock=Mock("[]"), reader_data=text
    )
    return dict(teststate.answer(request))


def items(text: str, given: Any = None, **config: Any) -> Any:
    found = reads(text, given, **config)
    assert found["status"] == "SUCCEEDED", found
    return found["inspectionData"]["afterItemsPath"].value


CSV = 'a,b,\n1,2,3,4\n\n,,,\n\'x\',"y,""z"\n   \n'
ROWS = [
    {"a": "1", "b": "2", "": "3"},
    {"a": "", "b": "", "": ""},
    {"a": "'x'", "b": 'y,"z', "": ""},
    {"a": "   ", "b": "", "": ""},
]


@pytest.mark.parametrize(
    ("text", "config", "wanted"),
    [
        ('[1, {"a": 2}]', {}, [1, {"a": 2}]),
        ("[[1]]", {"InputType": "JSON"}, [[1]]),
        ('{"x/y": [0, {"z": [5]}]}', {"ItemsPointer": "/x~1y/1/z"}, [5]),
        ('{"a": 1}\n\n[2]\r\n"\u2028"', {"InputType": "JSONL"}, [{"a": 1}, [2], "\u2028"]),
        (CSV, {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, ROWS),
        ("", {"InputType": "CSV"}, []),
        (
            "1;2\n3",
            {
                "InputType": "CSV",
                "CSVDelimiter": "SEMICOLON",
                "CSVHeaderLocation": "GIVEN",
                "CSVHeaders": ["x", "y"],
            },
            [{"x": "1", "y": "2"}, {"x": "3", "y": ""}],
        ),
        ("[1, 2, 3]", {"MaxItems": 2}, [1, 2]),
        ("[1, 2, 3]", {"MaxItemsPath": "$.most"}, [1]),
        ("[1, 2, 3]", {"MaxItems": 0}, [1, 2, 3]),
    ],
)
def test_a_text_becomes_items(text: str, config: Any, wanted: Any) -> None:
    assert items(text, {"most": 1}, **config) == wanted


@pytest.mark.parametrize(
    ("text", "config", "cause"),
    [
        ('{"a": 1}', {}, "Attempting to map over non-iterable node."),
        ("[[1]]", {"ItemsPointer": f"/{'9' * 5_000}"}, "Attempting to map over non-iterable node."),
        ("[[1]]", {"ItemsPointer": "/00"}, "Attempting to map over non-iterable node."),
        ("[[1]]", {"ItemsPointer": "/1"}, "Attempting to map over non-iterable node."),
        ("[[1]]", {"ItemsPointer": "/0/0/a"}, "Attempting to map over non-iterable node."),
        ("[", {}, "The items are not JSON"),
        ("1\n{", {"InputType": "JSONL"}, "The items are not JSON"),
        ("a,a\n1,2", {"InputType": "CSV"}, "CSV headers cannot contain duplicates."),
        ("a\n" + "b" * 200_000, {"InputType": "CSV"}, "The items are not CSV"),
        ("[]", {"InputType": "PARQUET"}, "the text of a PARQUET"),
        ("[]", {"ManifestType": "S3_INVENTORY"}, "the text of a MANIFEST"),
        ("[1]", {"MaxItemsPath": "$.most"}, "field MaxItems must be positive"),
    ],
)
def test_a_text_of_no_items_fails_the_reader(text: str, config: Any, cause: str) -> None:
    found = reads(text, {"most": -1}, **config)
    assert (found["status"], found["error"]) == ("FAILED", "States.ItemReaderFailed")
    assert cause in found["cause"]


def test_short_rows_under_many_headers_cost_what_they_make() -> None:
    headers = ",".join(map(str, range(5_000)))
    found = reads(headers + "\n" + "x\n" * 101, InputType="CSV")
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert "cost more" in found["cause"]


def test_items_path_does_not_count_where_there_is_a_reader() -> None:
    found = reads("[[1]]", members={"ItemsPath": "$[0].nope", "End": True})
    assert found["inspectionData"]["afterItemsPath"].value == [[1]]


def test_the_array_at_a_pointer_is_shown() -> None:
    found = reads('{"a": [1, 2]}', ItemsPointer="/a", MaxItems=1)
    assert found["inspectionData"]["afterItemsPointer"].value == [1, 2]
    assert "afterItemsPointer" not in reads("[1]")["inspectionData"]


def test_a_map_of_queries_reads_as_well() -> None:
    found = reads("[7, 8]", members=QUERY, MaxItems="{% 3 - 2 %}")
    selected = found["inspectionData"]["afterItemSelector"].value
    assert [(item["Index"], item["Value"]) for item in selected] == [(0, 7)]


def test_without_a_text_the_items_are_in_the_input() -> None:
    found = reads(None, {"orders": [1, 2]}, members={"ItemsPath": "$.orders", "End": True})
    assert (found["status"], found["output"].value) == ("SUCCEEDED", [])
    assert found["inspectionData"]["afterItemsPath"].value == [1, 2]


def test_a_text_that_no_reader_reads_is_refused() -> None:
    with pytest.raises(Refused, match="go with a Map that has one"):
        teststate.answer(
            Request(mapping(SPREAD, End=True), "[]", NOW, mock=Mock("[]"), reader_data="[]")
        )


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(Refused, match="more than 262,144 characters"):
        reads("[" + "1," * 131_072 + "1]")
