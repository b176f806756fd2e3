"""Answers instead of running: AWS's file, the plain one, and what is wrong with them."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.asl.errors import StateError
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.local import mocks
from treadle.local.mocks import Answer
from treadle.runtime.ports import Attempt, ExecutionKey, Order
from treadle.sim import clock

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


def test_cases_of_one_name_are_told_apart_by_their_machines() -> None:
    machines = {name: {"TestCases": {"Happy": {name: "Paid"}}} for name in ("shop", "bank")}
    document = {**AWS, "StateMachines": machines}
    assert read(document, "bank/Happy").keys() == {"bank"}
    with pytest.raises(ValueError, match="the cases are: bank/Happy, shop/Happy"):
        read(document, "Happy")


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
        ({"A": 1}, "/A: this must be a list of answers"),
        ({"A": {}}, "/A: this must be a list of answers"),
        ({"A": {"x": {"Return": 1}}}, "/A/x: an attempt is a number"),
        ({"A": {"3-1": {"Return": 1}}}, "from the lower to the higher"),
        ({"A": {"0": {"Throw": 1}}}, "/A/0: an answer must have Return, or Throw"),
        (
            {"A": {"0": {"Throw": {"Error": "e", "Cause": 1}}}},
            "with a text as Error and perhaps one as Cause",
        ),
        ({"A": {"0": {"Throw": {"Cause": "c"}}}}, "with a text as Error and perhaps one as Cause"),
        ({"A": {"0": {"Return": 1, "Throw": {}}}}, "must have Return, or Throw"),
        ({"A": {"0": 3}}, "must have Return, or Throw"),
        ({"A": {"0": {"Throw": {"Error": "e", "Cuase": "c"}}}}, "must have Return, or Throw"),
        ({"A": {"Delay": 1}}, "/A: an answer must have Return, or Throw"),
        ({"A": {"Return": 1, "Delay": -1}}, "/A/Delay: Delay must be a number of seconds from 0"),
        ({"A": [{"Return": 1, "Delay": "1"}]}, "/A/0/Delay: Delay must be a number"),
        ({"A": {"Return": 1, "Delay": True}}, "/A/Delay: Delay must be a number"),
        ({"A": {"Visits": {}}}, "/A/Visits: this must be an object of answers by number"),
        ({"A": {"Visits": {"a": {"Return": 1}}}}, "/A/Visits/a: a visit is a number .* or \\* for"),
        ({"A": {"Items": {"2-1": {"Return": 1}}}}, "/A/Items/2-1: a range goes"),
        ({"A": {"Visits": {"0": {"Return": 1}}, "0": 1}}, "/A: beside Visits there can be nothing"),
        ({"A": {"Visits": {"0": {"Items": {"0": 1}}}}}, "/A/Visits/0: there can be no Items here"),
        ({"a/b": {}}, "/a~1b: this must be"),
        (AWS, "FILE#MACHINE/CASE where .* the cases are: a/Happy, a/Sad, b/Other"),
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


def nested(levels: int) -> Any:
    answers: Any = {"Return": 1}
    for _ in range(levels):
        answers = {"Items": {"0": answers}}
    return answers


def test_items_are_told_apart_in_so_many_maps_and_no_more() -> None:
    assert mocks.maps_told_apart(read({"A": nested(16)})["A"]) == 16
    with pytest.raises(ValueError, match="there can be no Items here"):
        read({"A": nested(17)})


ONE, TWO, THREE = ({"Return": n} for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("answers", "attempt", "visit", "items", "result"),
    [
        (ONE, 99, 99, (9,), 1),
        ([ONE, TWO], 1, 5, (), 2),
        ([ONE, TWO], 2, 0, (), None),
        ({"1-2": ONE, "2-3": TWO}, 2, 0, (), 1),
        ({"1-2": ONE, "2-3": TWO}, 3, 0, (), 2),
        ({"Visits": {"*": THREE, "0": ONE, "1-2": TWO}}, 0, 0, (), 1),
        ({"Visits": {"*": THREE, "0": ONE, "1-2": TWO}}, 0, 2, (), 2),
        ({"Visits": {"*": THREE, "0": ONE, "1-2": TWO}}, 0, 3, (), 3),
        ({"Visits": {"1": ONE}}, 0, 0, (), None),
        ({"Items": {"1": ONE}}, 0, 0, (1, 7), 1),
        ({"Items": {"1": {"Items": {"7": ONE}}}}, 0, 0, (1, 7), 1),
        ({"Items": {"1": {"Items": {"7": ONE}}}}, 0, 0, (1,), None),
        ({"Items": {"1": {"Visits": {"2": [ONE, TWO]}}}}, 1, 2, (1,), 2),
        ({"Items": {"*": ONE}}, 0, 0, (), None),
    ],
)
def test_an_answer_is_found(
    answers: Any, attempt: int, visit: int, items: tuple[int, ...], result: int | None
) -> None:
    found = mocks.find(read({"A": answers})["A"], attempt, visit, items)
    assert (found.result if found else None) == result


def test_it_is_known_in_how_many_maps_answers_depend_on_the_item() -> None:
    within = {"Items": {"0": {"Visits": {"0": ONE}}, "1": {"Items": {"0": ONE}}}}
    found = read({"A": ONE, "B": {"Visits": {"0": ONE}}, "C": within})
    assert [mocks.maps_told_apart(found[name]) for name in "ABC"] == [0, 0, 2]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "the mocks are not JSON or YAML: line 1: The JSON cannot be read|not JSON or YAML"),
        ("A: [", "the mocks are not JSON or YAML: line 1"),
        ("A: 1\nA: 2", "the mocks are not JSON or YAML: line 2: .*given twice"),
    ],
)
def test_what_is_neither_json_nor_yaml_is_told(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        mocks.read(text)


def test_yaml_is_read() -> None:
    assert mocks.read("A: [{Return: 1, Delay: 2.5}]") == {"A": [Answer(0, 0, 1, None, 2.5)]}


TESTS = {
    "machine": "m.yaml",
    "tests": [{"name": "one", "mocks": {"A": {"Return": 1}}}, {"name": "two"}],
}


def test_a_file_of_tests_is_read() -> None:
    assert read(TESTS, "one")["A"][0].result == 1
    assert read(TESTS, "two") == {}
    assert read({**TESTS, "tests": TESTS["tests"][:1]})["A"][0].result == 1


@pytest.mark.parametrize(
    ("document", "case", "sentence"),
    [
        (TESTS, "", "name a test as FILE#NAME; the tests are: one, two"),
        (TESTS, "three", "the tests are: one, two"),
        ({**TESTS, "tests": 1}, "", "the tests are: none"),
        ({**TESTS, "tests": [{"name": "a", "mocks": 1}]}, "a", "name a test"),
        ({**TESTS, "tests": [{"name": "a", "mocks": {"A": 1}}]}, "a", "/tests/0/mocks/A: this"),
    ],
)
def test_a_test_that_is_not_there_is_a_sentence(document: Any, case: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(document, case)


# ------------------------------------------------------------------------------------- the runner

KEY = ExecutionKey("ns", "e", "u")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Box:
    """A mailbox that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def post(self, execution: ExecutionKey, event: Event) -> None:
        assert execution == KEY
        self.events.append(event)

    def waits(self, execution: ExecutionKey, task: TaskId, reason: str | None) -> None:
        raise AssertionError(f"{execution} {task}: a mock waits for no capacity: {reason}")


def order(entry: int = 1, attempt: int = 1) -> Order:
    task = Task(TaskId(0, entry, attempt), "A", "treadle:job", {}, {}, "d", NOW, None, "")
    return Order(KEY, task, {}, 1000)


def runner(answers: Any) -> tuple[Box, mocks.MockRunner]:
    box = Box()
    return box, mocks.MockRunner(read({"A": answers}), frozenset(), [], box, lambda: NOW)


def test_an_answer_that_comes_later_comes_once() -> None:
    async def play() -> None:
        box, answering = runner({"Return": 1, "Delay": 60})
        await answering.start(order())
        await answering.start(order())
        assert list(answering.existing(KEY)) == [TaskId(0, 1, 1)]
        assert list(answering.existing(KEY._replace(uid="v"))) == []
        await asyncio.sleep(59)  # virtual seconds
        assert [type(event) for event in box.events] == [TaskStarted]
        await asyncio.sleep(100)  # virtual seconds
        assert [type(event) for event in box.events] == [TaskStarted, TaskSucceeded]
        assert list(answering.existing(KEY)) == []

    clock.run(play())


def test_an_answer_that_nobody_waits_for_does_not_come() -> None:
    async def play() -> None:
        box, answering = runner({"Throw": {"Error": "E"}, "Delay": 60})
        await answering.start(order())
        await answering.stop(Attempt(KEY, TaskId(0, 1, 1)))
        await asyncio.sleep(100)  # virtual seconds
        assert [type(event) for event in box.events] == [TaskStarted]

    clock.run(play())


async def test_visits_are_told_apart_by_their_entries() -> None:
    box, answering = runner({"Visits": {"0": [{"Throw": {"Error": "E"}}, ONE], "1": TWO}})
    for entry, attempt in ((3, 1), (3, 2), (7, 1), (9, 1)):
        await answering.start(order(entry, attempt))
    ended = [event for event in box.events if not isinstance(event, TaskStarted)]
    assert [getattr(event, "output", None) for event in ended] == [None, "1", "2", None]
    last = ended[-1]
    assert isinstance(last, TaskFailed)
    assert last.error.name == "Treadle.NoMock"


RANGES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda each: (each[0], sum(each))),
    max_size=8,
)


@given(RANGES)
def test_of_ranges_that_overlap_the_first_one_that_fits_is_taken(ranges: Any) -> None:
    rows = [(first, last, index) for index, (first, last) in enumerate(ranges)]
    numbered = mocks.Numbered(rows)
    assert numbered == rows
    for number in range(21):
        fitting = (row for row in rows if row[0] <= number <= row[1])
        assert numbered.at(number) == next(fitting, None)


@pytest.mark.parametrize(
    "answers",
    [
        {"Items": {str(number): {"Return": number} for number in range(20_000)}},
        {"Visits": {str(number): {"Return": number} for number in range(20_000)}},
        [{"Return": number} for number in range(20_000)],
    ],
    ids=["items", "visits", "attempts"],
)
def test_many_rows_are_not_looked_at_one_by_one(answers: Any) -> None:
    found = read({"A": answers})["A"]
    began = time.process_time()
    for number in range(20_000):
        attempt = number if isinstance(answers, list) else 0
        answer = mocks.find(found, attempt, number, (number,))
        assert answer is not None
        assert answer.result == number
    assert time.process_time() - began < 1
