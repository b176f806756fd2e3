"""Answers instead of running: AWS's file, the plain one, and what is wrong with them."""

import json
from typing import Any

import pytest

from treadle.asl.errors import StateError
from treadle.local import mocks
from treadle.local.mocks import Answer

AWS = {
    "StateMachines": {
        "a": {"TestCases": {"Happy": {"Pay": "Paid"}, "Sad": {"Pay": "Busy"}}},
        "b": {"TestCases": {"Other": {}}},
    },
    "MockedResponses": {
        "Paid": {"0": {"Return": {"paid": True}}},
        "Busy": {"0-1": {"Throw": {"Error": "Busy", "Cause": "later"}}, "2": {"Return": 1}},
    },
}


def read(document: Any, case: str = "") -> mocks.Mocks:
    return mocks.read(json.dumps(document), case)


def test_the_file_of_aws_is_read() -> None:
    assert read(AWS, "Happy") == {"Pay": [Answer(0, 0, {"paid": True}, None)]}
    busy = StateError("Busy", "later")
    assert read(AWS, "Sad") == {"Pay": [Answer(0, 1, None, busy), Answer(2, 2, 1, None)]}
    assert read(AWS, "Other") == {}


def test_the_only_test_case_needs_no_name() -> None:
    assert read({"StateMachines": {"a": {"TestCases": {"One": {}}}}}) == {}


def test_the_plain_form_is_read() -> None:
    always = read({"Pay": {"Return": None}})["Pay"]
    assert (always[0].first, always[0].last > 10_000, always[0].result) == (0, True, None)
    assert [a.first for a in read({"Pay": [{"Return": 1}, {"Throw": {"Error": "E"}}]})["Pay"]] == [
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "must be an object of states"),
        ({"A": 1}, "/A must be an object"),
        ({"A": {}}, "/A must be an object"),
        ({"A": {"x": {"Return": 1}}}, "/A/x: an attempt is a number"),
        ({"A": {"3-1": {"Return": 1}}}, "from the lower to the higher"),
        ({"A": {"0": {"Throw": 1}}}, "/A/0 must have Return, or Throw"),
        ({"A": {"0": {"Throw": {"Error": "e", "Cause": 1}}}}, "both texts"),
        ({"A": {"0": {"Throw": {"Cause": "c"}}}}, "both texts"),
        ({"A": {"0": {"Return": 1, "Throw": {}}}}, "must have Return, or Throw"),
        ({"A": {"0": 3}}, "must have Return, or Throw"),
        (AWS, "name a test case as FILE#CASE; the cases are: Happy, Other, Sad"),
        ({"StateMachines": {}}, "the cases are: none"),
        ({"StateMachines": 1}, "not as AWS has them"),
        ({"StateMachines": {"m": 1}}, "not as AWS has them"),
        ({"StateMachines": {"m": {"TestCases": 1}}}, "not as AWS has them"),
        ({"StateMachines": {"m": {"TestCases": {"c": 1}}}}, "not as AWS has them"),
        ({"StateMachines": {"m": {"TestCases": {"c": {"A": []}}}}}, "not as AWS has them"),
        ({"StateMachines": {"m": {"TestCases": {"c": {"A": "r"}}}}}, "has no 'r'"),
    ],
)
def test_what_is_wrong_is_a_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(document)


def test_what_is_no_json_is_told() -> None:
    with pytest.raises(ValueError, match="the mocks are not JSON"):
        mocks.read("{")
