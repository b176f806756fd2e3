"""What a model says of a value that is not of its shape, in our words.

One rule: no word of the library that judges reaches a user: a text is no string, an object no
dictionary, and what must be is said.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

_MUST: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is not known here",
    "model_type": lambda _: "must be an object",
    "model_attributes_type": lambda _: "must be an object",
    "dict_type": lambda _: "must be an object",
    "list_type": lambda _: "must be an array",
    "string_type": lambda _: "must be a text",
    "bool_type": lambda _: "must be true or false",
    "bool_parsing": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "float_parsing": lambda _: "must be a number",
    "literal_error": lambda told: f"must be {told['expected']}",
    "greater_than_equal": lambda told: f"must be {told['ge']:,} or more",
    "less_than_equal": lambda told: f"must be {told['le']:,} or less",
    "too_short": lambda told: f"must have {_count(told['min_length'], 'item')} or more",
    "too_long": lambda told: f"may have {_count(told['max_length'], 'item')} at most",
    "string_too_short": lambda told: f"must have {_count(told['min_length'], 'character')} or more",
    "string_too_long": lambda told: f"may have {_count(told['max_length'], 'character')} at most",
    "string_pattern_mismatch": lambda told: f"must match {told['pattern']}",
}


def sentence(error: Mapping[str, Any], whole: str) -> str:
    """What is wrong, as a sentence.

    Args:
        error: one of pydantic's, as `ValidationError.errors()` gives them.
        whole: what is judged, for what is wrong with all of it: `The file`.
    """
    last = error["loc"][-1] if error["loc"] else None
    subject = whole if last is None else f"Item {last}" if isinstance(last, int) else f"{last:.80}"
    must = _MUST.get(error["type"])
    return f"{subject} {must(error.get('ctx', {})) if must else 'cannot be so'}."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
