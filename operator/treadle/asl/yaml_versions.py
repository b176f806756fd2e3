"""What YAML 1.1, as kubectl reads a manifest, takes a plain text for, where YAML 1.2 differs.

One rule: whatever the two do not read alike is told with a spelling that both read alike.
"""

import re
from math import isfinite, isinf
from typing import Final, NamedTuple

from treadle.asl.json import Json, told

MERGE: Final = "<<"


class Unlike(NamedTuple):
    """A plain text that kubectl reads otherwise: where it stands, and what to write instead.

    `is_merge` for `<<`, which no reading of ours follows.
    """

    pointer: str
    message: str
    line: int
    column: int
    is_merge: bool


MERGE_MESSAGE: Final = (
    "<< takes over the members of another object in YAML 1.1; YAML 1.2, which is read here, has no "
    "such key. Write the members out; if a member of this name is meant, put the name in quotes."
)

# What kubectl has is go.yaml.in/yaml/v2, resolve.go: its words, its numbers, no others of YAML 1.1
# (a time of day and a date are texts to it).
_TRUE: Final = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE: Final = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_WORDS: Final[dict[str, Json]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
}
_INT: Final = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))"
)
_BASES: Final = (16, 2, 8, 10)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
# Written again by kubectl, whose floats as keys have 32 bits, it is the same text.
_FLOAT_KEY: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,5})\.[0-9]{0,5}[1-9]")
_INT64: Final = 1 << 63
_DIGITS_MAX: Final = 70  # of 64 bits in base 2, with some to spare
_SHOWN_CHARS: Final = 80


def value_unlike(text: str, ours: Json) -> str:
    """What is to be said of a plain value; empty where kubectl reads it as `ours` too."""
    theirs = _read(text)
    if _kind(theirs) == _kind(ours) and theirs == ours:
        return ""
    if ours.__class__ is float and not isfinite(ours):
        return ""  # a problem by itself
    shown = text[:_SHOWN_CHARS]
    if ours.__class__ is int and abs(ours) >= _INT64:
        return (
            f"kubectl keeps no whole number past 64 bits: {shown} becomes {told(theirs)}. Write it "
            "in quotes, or the definition as a text."
        )
    return (
        f"kubectl takes {shown} for {told(theirs)} (YAML 1.1), and here it is {told(ours):.80} "
        f"(YAML 1.2); write {told(theirs)} or {told(ours):.80}, whichever is meant."
    )


def key_unlike(text: str) -> str:
    """What is to be said of a plain key; empty where kubectl takes it for the same name."""
    theirs = _read(text)
    if isinstance(theirs, str):
        return ""
    shown = f'"{text[:_SHOWN_CHARS]}"'
    if theirs is None:
        return f"kubectl takes this key for null, and refuses it; write {shown}, in quotes."
    if isinstance(theirs, bool):
        name = told(theirs)
    elif isinstance(theirs, float):
        name = text if _is_kept(text) else "another name"
    else:
        name = str(theirs)
    if name == text:
        return ""
    what = "a truth value" if isinstance(theirs, bool) else "a number"
    return (
        f"kubectl takes the key {shown} for {what}, and makes {name} of it (YAML 1.1); write it in "
        "quotes."
    )


def _is_kept(text: str) -> bool:
    digits = text.replace(".", "").lstrip("-0")
    return bool(_FLOAT_KEY.fullmatch(text)) and len(digits) <= 6 and abs(float(text)) >= 1e-4


def _kind(value: Json) -> type:
    # 1 and 1.0 are the same number in JSON.
    return int if value.__class__ is float else value.__class__


def _read(text: str) -> Json:
    """The value that kubectl takes a plain text for; what it refuses is a text here."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return _float(text.replace("_", ""), text) if _POINT.fullmatch(text) else text
    if text[0] not in "+-0123456789":
        return text
    plain = text.replace("_", "")
    whole = _INT.fullmatch(plain)
    if whole and len(plain) <= _DIGITS_MAX:
        digits, base = next(
            pair for pair in zip(whole.groups()[1:], _BASES, strict=True) if pair[0]
        )
        number = int(whole[1] + digits, base)
        if -_INT64 <= number < _INT64:
            return number
        if whole[1] == "" and number < 2 * _INT64:
            return float(number)
    return _float(plain, text) if _FLOAT.fullmatch(plain) else text


def _float(plain: str, text: str) -> Json:
    number = float(plain)
    # Past a float's range it stays a text.
    return text if isinf(number) else number
