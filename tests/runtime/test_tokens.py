"""Tokens: of one attempt, unguessable, and known again without a table."""

import pytest

from treadle.engine.events import TaskId
from treadle.runtime.ports import Attempt, ExecutionKey
from treadle.runtime.tokens import TOKEN_CHARS_MAX, Keys, issue, key_id, read

KEY = ExecutionKey("team-a", "order-1", "7f0b2c52-9d05-4b5f-8a39-0f4a6a1c7c11")
TASK = TaskId(3, 41, 2)
ONE, TWO = b"1" * 32, b"2" * 32
KEYS = Keys("k1", {"k1": ONE})


def test_a_token_names_its_attempt() -> None:
    assert read(KEYS, issue(KEYS, KEY, TASK)) == Attempt(KEY, TASK)


def test_an_attempt_has_one_token() -> None:
    assert issue(KEYS, KEY, TASK) == issue(KEYS, KEY, TASK)
    others = {
        issue(KEYS, KEY, TASK._replace(frame=4)),
        issue(KEYS, KEY, TASK._replace(entry=42)),
        issue(KEYS, KEY, TASK._replace(attempt=3)),
        issue(KEYS, KEY._replace(uid="another"), TASK),
        issue(Keys("k1", {"k1": TWO}), KEY, TASK),
        issue(Keys("k2", {"k2": ONE}), KEY, TASK),
    }
    assert len(others) == 6
    assert issue(KEYS, KEY, TASK) not in others


def test_every_changed_character_makes_it_none_of_ours() -> None:
    token = issue(KEYS, KEY, TASK)
    for place, letter in enumerate(token):
        forged = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        assert read(KEYS, forged) is None, place
    for cut in range(len(token)):
        assert read(KEYS, token[:cut]) is None
    assert read(KEYS, token + "A") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "k1",
        "k1..",
        "k1.W10.",
        "no.W10.W10",
        "k1.é.é",
        "k1.a.\ud800",
        "\0" * 9,
        "k1." * 400,
    ],
)
def test_any_text_has_an_answer(text: str) -> None:
    assert read(KEYS, text) is None
    key_id(text)


def test_a_key_that_was_rotated_out_of_use_still_knows_its_tokens() -> None:
    old = issue(KEYS, KEY, TASK)
    both = Keys("k2", {"k1": ONE, "k2": TWO})
    assert read(both, old) == Attempt(KEY, TASK)
    new = issue(both, KEY, TASK)
    assert key_id(new) == "k2"
    assert read(both, new) == Attempt(KEY, TASK)
    assert read(Keys("k2", {"k2": TWO}), old) is None


def test_a_key_may_have_dots_in_its_name() -> None:
    keys = Keys("2027.01", {"2027.01": ONE, "2027": TWO})
    token = issue(keys, KEY, TASK)
    assert key_id(token) == "2027.01"
    assert read(keys, token) == Attempt(KEY, TASK)


def test_the_longest_names_fit() -> None:
    far = ExecutionKey("n" * 63, "e" * 253, "u" * 36)
    token = issue(KEYS, far, TaskId(10**9, 10**9, 10**6))
    assert len(token) <= TOKEN_CHARS_MAX
    assert read(KEYS, token) == Attempt(far, TaskId(10**9, 10**9, 10**6))
    assert all(letter.isalnum() or letter in "-_." for letter in token), "it goes into a path"
