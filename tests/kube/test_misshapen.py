"""Every word about a value's shape is ours."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treadle.kube.misshapen import sentence


class Inner(BaseModel):
    n: int = 0


class Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    inner: Inner = Inner()
    free: dict[str, Any] = {}
    items: list[str] = Field([], min_length=1, max_length=2)
    text: str = Field("", min_length=2, max_length=3)
    named: str = Field("", pattern="^a$")
    truth: bool = False
    whole: int = Field(0, ge=1_000, le=2_000)
    share: float = 0.0
    kind: Literal["a", "b"] = "a"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "The spec must be an object."),
        ({"inner": 5}, "inner must be an object."),
        ({"free": []}, "free must be an object."),
        ({"items": {}}, "items must be an array."),
        ({"items": [5]}, "Item 0 must be a text."),
        ({"items": []}, "items must have 1 item or more."),
        ({"items": ["a", "b", "c"]}, "items may have 2 items at most."),
        ({"text": 5}, "text must be a text."),
        ({"text": "a"}, "text must have 2 characters or more."),
        ({"text": "abcd"}, "text may have 3 characters at most."),
        ({"named": "b"}, "named must match ^a$."),
        ({"truth": "x"}, "truth must be true or false."),
        ({"whole": "x"}, "whole must be a whole number."),
        ({"whole": 1}, "whole must be 1,000 or more."),
        ({"whole": 9_000}, "whole must be 2,000 or less."),
        ({"share": "x"}, "share must be a number."),
        ({"kind": "c"}, "kind must be 'a' or 'b'."),
        ({"other": 1}, "other is not known here."),
    ],
)
def test_what_must_be_is_said_in_our_words(value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(value)
    assert [sentence(each, "The spec") for each in caught.value.errors()] == [said]


def test_what_nobody_thought_of_has_no_foreign_words() -> None:
    assert sentence({"type": "frozen", "loc": ("a",), "msg": "Input"}, "") == "a cannot be so."
    assert sentence({"type": "missing", "loc": ("a", "b")}, "") == "b is missing."
