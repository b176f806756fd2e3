"""The eighteen intrinsic functions.

One rule: a function gets its evaluated arguments and either gives a value or says in one sentence
why it cannot; what it may build has a bound.

Spec: "Intrinsic Functions", Appendix B; AWS, "Intrinsic functions" where it says more.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from treadle.asl import limits
from treadle.asl.chance import Chance, JavaRandom
from treadle.asl.json import Json, loads
from treadle.asl.values import (
    is_container,
    is_number,
    java_text,
    key_of,
    round_half_up,
    same,
    text_of,
)

Body: TypeAlias = Callable[[list[Json], Chance], Json]

_INTEGER_MIN: Final = -(2**31)
_INTEGER_MAX: Final = 2**31 - 1
_SHOWN_CHARS_MAX: Final = 100


class FunctionFailed(Exception):  # noqa: N818 - the spec's word: States.IntrinsicFailure
    """A function cannot give a value for its arguments. `message` is one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Function:
    """An intrinsic function: its body and how many arguments it takes (None: any number)."""

    body: Body
    arguments_min: int
    arguments_max: int | None


def split_template(text: str) -> tuple[str, ...]:
    """The pieces of a States.Format template between its `{}`; escapes are resolved.

    Raises:
        FunctionFailed: a brace stands alone or a backslash is not followed by what it may escape.
    """
    pieces: list[str] = []
    piece: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            piece.append(unescaped(text, at))
            at += 2
        elif text.startswith("{}", at):
            pieces.append("".join(piece))
            piece = []
            at += 2
        elif character in "{}":
            other = "}" if character == "{" else "{"
            raise FunctionFailed(
                "Invalid template in States.Format: "
                f"matching '{other}' not found for '{character}'."
            )
        else:
            piece.append(character)
            at += 1
    pieces.append("".join(piece))
    return tuple(pieces)


def unescaped(text: str, at: int) -> str:
    r"""The character that the backslash at `at` escapes. Spec: only `'`, `{`, `}` and `\` may be.

    Raises:
        FunctionFailed: it escapes nothing.
    """
    following = text[at + 1 : at + 2]
    if following and following in "'{}\\":
        return following
    raise FunctionFailed("A backslash must be followed by one of ' { } \\")


def fill(pieces: tuple[str, ...], values: list[Json]) -> str:
    """A States.Format template with its values. Spec: "States.Format".

    AWS also prints arrays and objects, as Java does: `{a=1, b=[]}`.

    Raises:
        FunctionFailed: not as many values as `{}`, or a text that no payload could hold.
    """
    if len(values) != len(pieces) - 1:
        raise FunctionFailed(
            "Invalid arguments in States.Format: "
            "number of arguments do not match the occurrences of {}."
        )
    parts = [pieces[0]]
    chars = 0
    for value, piece in zip(values, pieces[1:], strict=True):
        shown = java_text(value)
        chars += len(shown)
        if chars > limits.FORMAT_CHARS_MAX:
            raise FunctionFailed(
                f"The text would have more than {limits.FORMAT_CHARS_MAX:,} characters."
            )
        parts += (shown, piece)
    return "".join(parts)


def _format(arguments: list[Json], _: Chance) -> Json:
    return fill(split_template(_text(arguments[0], "the template")), arguments[1:])


def _string_to_json(arguments: list[Json], _: Chance) -> Json:
    if arguments[0] is None:
        return None
    text = _text(arguments[0], "the argument")
    if not text.strip():
        return None
    try:
        return loads(text)
    except ValueError as e:
        raise FunctionFailed(f"The argument is not JSON: {e}.") from None


def _json_to_string(arguments: list[Json], _: Chance) -> Json:
    return text_of(arguments[0])


def _array(arguments: list[Json], _: Chance) -> Json:
    return arguments


def _array_partition(arguments: list[Json], _: Chance) -> Json:
    items = _items(arguments[0])
    size = _integer(arguments[1], "the chunk size")
    if size < 1:
        _refuse("a positive chunk size", arguments[1])
    return [items[start : start + size] for start in range(0, len(items), size)]


def _array_contains(arguments: list[Json], _: Chance) -> Json:
    wanted = arguments[1]
    return any(same(item, wanted, _unbounded) for item in _items(arguments[0]))


def _array_range(arguments: list[Json], _: Chance) -> Json:
    names = ("the first value", "the last value", "the step")
    start, end, step = (_integer(value, name) for value, name in zip(arguments, names, strict=True))
    if step == 0:
        raise FunctionFailed("The step must not be 0.")
    values = range(start, end + (1 if step > 0 else -1), step)
    if len(values) > limits.ARRAY_RANGE_ITEMS_MAX:
        raise FunctionFailed(
            f"The range has {len(values)} items; {limits.ARRAY_RANGE_ITEMS_MAX} are allowed."
        )
    return list(values)


def _array_get_item(arguments: list[Json], _: Chance) -> Json:
    items = _items(arguments[0])
    index = _integer(arguments[1], "the index")
    if not 0 <= index < len(items):
        raise FunctionFailed(f"Index {index} is outside an array of {len(items)} items.")
    return items[index]


def _array_length(arguments: list[Json], _: Chance) -> Json:
    return len(_items(arguments[0]))


def _array_unique(arguments: list[Json], _: Chance) -> Json:
    first: dict[str, Json] = {}
    for item in _items(arguments[0]):
        first.setdefault(key_of(item), item)
    return list(first.values())


def _base64_encode(arguments: list[Json], _: Chance) -> Json:
    return base64.b64encode(_bytes(_short_text(arguments[0]))).decode("ascii")


def _base64_decode(arguments: list[Json], _: Chance) -> Json:
    # MIME's reading: what is not of the alphabet is skipped, padding may be missing.
    digits = _short_text(arguments[0]).partition("=")[0]
    kept = "".join([c for c in digits if c.isascii() and (c.isalnum() or c in "+/")])
    if len(kept) % 4 == 1:
        raise FunctionFailed("The argument is not Base64: its last group has one character.")
    decoded = base64.b64decode(kept + "=" * (-len(kept) % 4))
    return decoded.decode("utf-8", "replace")


def _hash(arguments: list[Json], _: Chance) -> Json:
    data, algorithm = arguments
    make = _ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if make is None:
        _refuse(f"an algorithm of {', '.join(_ALGORITHMS)}", algorithm)
    text = data if isinstance(data, str) else text_of(data)
    return make(_bytes(_short_text(text))).hexdigest()


def _json_merge(arguments: list[Json], _: Chance) -> Json:
    left, right, deep = arguments
    for value in (left, right):
        if value.__class__ is not dict:
            _refuse("two objects", value)
    if deep.__class__ is not bool:
        _refuse("true or false for deep merging", deep)
    return _merged(left, right, limits.VALUE_DEPTH_MAX) if deep else {**left, **right}


def _merged(left: dict[str, Json], right: dict[str, Json], depth: int) -> dict[str, Json]:
    if depth == 0:
        raise FunctionFailed(f"The objects are nested deeper than {limits.VALUE_DEPTH_MAX} levels.")
    merged = {**left, **right}
    for name in left.keys() & right.keys():
        if left[name].__class__ is dict and right[name].__class__ is dict:
            merged[name] = _merged(left[name], right[name], depth - 1)
    return merged


def _math_random(arguments: list[Json], chance: Chance) -> Json:
    start = _integer(arguments[0], "the start")
    end = _integer(arguments[1], "the end")
    if start >= end:
        raise FunctionFailed(f"The start must be below the end: {start} and {end} were given.")
    if len(arguments) == 2:
        return start + chance.below(end - start)
    if not is_number(arguments[2]):
        _refuse("a number for the seed", arguments[2])
    return start + _seeded_below(round_half_up(arguments[2]), end - start)


def _seeded_below(seed: int, bound: int) -> int:
    """java.util.Random(seed).nextInt(bound), so that a seed means what it means on AWS.

    Past 31 bits the bits of nextLong are used, where Java would refuse the bound.
    """
    bits = JavaRandom(seed).bits
    if bound > _INTEGER_MAX:
        return ((bits(32) << 32) | bits(32)) % bound
    if bound & (bound - 1) == 0:
        return (bound * bits(31)) >> 31
    # Java draws again where the last, incomplete block would favour small numbers.
    drawn = bits(31)
    while drawn - drawn % bound + (bound - 1) > _INTEGER_MAX:
        drawn = bits(31)
    return drawn % bound


def _math_add(arguments: list[Json], _: Chance) -> Json:
    total = _integer(arguments[0], "the first value") + _integer(arguments[1], "the second value")
    if not _INTEGER_MIN <= total <= _INTEGER_MAX:
        raise FunctionFailed(f"The sum {total} is outside the range of 32-bit integers.")
    return total


def _string_split(arguments: list[Json], _: Chance) -> Json:
    text = _text(arguments[0], "the first argument")
    delimiters = _text(arguments[1], "the delimiters")
    if not delimiters:
        return [text] if text else []
    first = delimiters[0]
    alike = text.translate({ord(delimiter): first for delimiter in delimiters[1:]})
    return [piece for piece in alike.split(first) if piece]


def _uuid(_: list[Json], chance: Chance) -> Json:
    return chance.uuid()


_ALGORITHMS: Final = {
    "MD5": hashlib.md5,
    "SHA-1": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}

FUNCTIONS: Final[dict[str, Function]] = {
    "States.Array": Function(_array, 0, None),
    "States.ArrayContains": Function(_array_contains, 2, 2),
    "States.ArrayGetItem": Function(_array_get_item, 2, 2),
    "States.ArrayLength": Function(_array_length, 1, 1),
    "States.ArrayPartition": Function(_array_partition, 2, 2),
    "States.ArrayRange": Function(_array_range, 3, 3),
    "States.ArrayUnique": Function(_array_unique, 1, 1),
    "States.Base64Decode": Function(_base64_decode, 1, 1),
    "States.Base64Encode": Function(_base64_encode, 1, 1),
    "States.Format": Function(_format, 1, None),
    "States.Hash": Function(_hash, 2, 2),
    "States.JsonMerge": Function(_json_merge, 3, 3),
    "States.JsonToString": Function(_json_to_string, 1, 1),
    "States.MathAdd": Function(_math_add, 2, 2),
    "States.MathRandom": Function(_math_random, 2, 3),
    "States.StringSplit": Function(_string_split, 2, 2),
    "States.StringToJson": Function(_string_to_json, 1, 1),
    "States.UUID": Function(_uuid, 0, 0),
}


def _unbounded(_: int) -> None:
    # The arguments are no larger than a payload, and are compared once.
    return


def _items(value: Json) -> list[Json]:
    if value.__class__ is not list:
        _refuse("an array", value)
    items: list[Json] = value
    return items


def _text(value: Json, role: str) -> str:
    if not isinstance(value, str):
        _refuse(f"text for {role}", value)
    return value


def _short_text(value: Json) -> str:
    text = _text(value, "the argument")
    if len(text) > limits.INTRINSIC_TEXT_CHARS_MAX:
        raise FunctionFailed(
            f"The argument has {len(text)} characters; "
            f"{limits.INTRINSIC_TEXT_CHARS_MAX} are allowed."
        )
    return text


def _bytes(text: str) -> bytes:
    # Java writes a question mark for half of a surrogate pair.
    return text.encode("utf-8", "replace")


def _integer(value: Json, role: str) -> int:
    """A number, rounded to the nearest integer, in the range of Java's int."""
    if not is_number(value):
        _refuse(f"a number for {role}", value)
    # Halves round up: the least that becomes the smallest integer is half below it.
    if not _INTEGER_MIN - 0.5 <= value < _INTEGER_MAX + 0.5:
        raise FunctionFailed(f"{java_text(value)} is outside the range of 32-bit integers.")
    return round_half_up(value)


def _refuse(wanted: str, value: Json) -> NoReturn:
    if is_container(value):
        shown = "an array" if value.__class__ is list else "an object"
    else:
        shown = text_of(value)[:_SHOWN_CHARS_MAX]
    raise FunctionFailed(f"Invalid arguments: expected {wanted}, but got {shown}.")
