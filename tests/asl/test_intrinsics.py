"""The eighteen intrinsic functions: values, limits, what they say when they fail."""

import hashlib
import json
import uuid

import pytest

from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed
from treadle.asl.functions import FUNCTIONS
from treadle.asl.intrinsics import IntrinsicSyntaxError, compile_call
from treadle.asl.json import Json
from treadle.asl.scope import Scope

DATA: Json = {
    "n": 5,
    "f": 1.5,
    "s": "text",
    "null": None,
    "t": True,
    "l": [1, 2, 3],
    "o": {"Arg1": 1, "Arg2": []},
    "tpl": "Hi {}, \\{\\}",
    "bad": "Hi {",
    "long": "x" * 10_001,
    "deep": {"a": {"b": 1, "c": 1}, "d": 1},
    "over": {"a": {"c": 2}, "d": {"e": 2}},
    "odd": {"a,b)": 1, "c'": 2},
    "mixed": [1, 1.0, True, "1", {"a": 1}, {"a": 1.0}, None, None, [1], 1],
}


def value_of(text: str, data: Json = DATA) -> Json:
    context = {"Execution": {"Name": "run"}}
    return compile_call(text).evaluate(Scope(data, lambda: context, Chance(b"seed")))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("States.Array()", []),
        (
            "States.Array( $.n , 'a', 1.5, -2, +3, 1e2, true, false, null )",
            [5, "a", 1.5, -2, 3, 100.0, True, False, None],
        ),
        ("States.Array($.odd['a,b)'], $.odd[\"c'\"])", [1, 2]),
        ("States.Array($$.Execution.Name, States.Array($.n))", ["run", [5]]),
        ("States.ArrayPartition($.l, 2)", [[1, 2], [3]]),
        ("States.ArrayPartition($.l, 1.5)", [[1, 2], [3]]),
        ("States.ArrayPartition(States.Array(), 2)", []),
        ("States.ArrayContains($.l, 2)", True),
        ("States.ArrayContains($.l, 2.0)", True),
        ("States.ArrayContains($.l, true)", False),
        ("States.ArrayContains($.mixed, $.null)", True),
        ("States.ArrayContains($.mixed, States.Array(1.0))", True),
        ("States.ArrayContains($.mixed, $.o)", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(1, 8, 2)", [1, 3, 5, 7]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayRange(3, 1, 1)", []),
        ("States.ArrayRange(0.5, 1.4, 1)", [1]),
        ("States.ArrayGetItem($.l, 0)", 1),
        ("States.ArrayGetItem($.l, 1.5)", 3),
        ("States.ArrayLength($.l)", 3),
        ("States.ArrayUnique($.mixed)", [1, True, "1", {"a": 1}, None, [1]]),
        ("States.Base64Encode('Data to encode')", "RGF0YSB0byBlbmNvZGU="),
        ("States.Base64Encode('é')", "w6k="),
        ("States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", "Data to encode"),
        ("States.Base64Decode('RGF0 YSB0\nbyBlbmNvZGU')", "Data to encode"),
        ("States.Base64Decode('')", ""),
        ("States.Base64Decode('/w==')", "\ufffd"),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.Hash($.o, 'MD5')", hashlib.md5(b'{"Arg1":1,"Arg2":[]}').hexdigest()),
        ("States.Hash('', 'SHA-512')", hashlib.sha512(b"").hexdigest()),
        ("States.JsonMerge($.deep, $.over, false)", {"a": {"c": 2}, "d": {"e": 2}}),
        ("States.JsonMerge($.deep, $.over, true)", {"a": {"b": 1, "c": 2}, "d": {"e": 2}}),
        ("States.JsonToString($.o)", '{"Arg1":1,"Arg2":[]}'),
        ("States.JsonToString('é')", '"é"'),
        ("States.StringToJson('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("States.StringToJson('')", None),
        ("States.StringToJson(' ')", None),
        ("States.StringToJson(null)", None),
        ("States.MathAdd(1, -1)", 0),
        ("States.MathAdd(1.5, 1.51)", 4),
        ("States.MathAdd(-1.5, -1.51)", -3),
        ("States.MathAdd(2147483646, 1)", 2147483647),
        ("States.MathRandom(0, 1)", 0),
        ("States.MathRandom(-5, 5, 42)", -5),
        ("States.StringSplit('1,2;3', ',;')", ["1", "2", "3"]),
        ("States.StringSplit(',,a,,b,', ',')", ["a", "b"]),
        ("States.StringSplit('a b', '')", ["a b"]),
        ("States.StringSplit('', ',')", []),
        ("States.StringSplit('a\\\\b', '\\\\')", ["a", "b"]),
        ("States.StringSplit('a{b', '{')", ["a", "b"]),
        ("States.Format('{}', $.n)", "5"),
        ("States.Format('a {}, b {}', $.s, $.f)", "a text, b 1.5"),
        ("States.Format('{}{}', $.null, $.t)", "nulltrue"),
        ("States.Format('{} {}', $.o, $.l)", "{Arg1=1, Arg2=[]} [1, 2, 3]"),
        ("States.Format('\\{\\} \\'x\\' \\\\ {}', 1)", "{} 'x' \\ 1"),
        ("States.Format($.tpl, $.s)", "Hi text, {}"),
        ("States.Format('no holes')", "no holes"),
        ("States.Format('line\n{}', 1)", "line\n1"),
        ("States.Format('{}', 10000000.0)", "1.0E7"),
        ("States.Format('{}', $.l[?(@ == 1)])", "[1]"),
        ("States.Format('{}', $.l.length())", "3"),
        ("  States.Format( '{}' , 'x' )  ", "x"),
        ("States.Format('{}', States.Format('{}', 'x'))", "x"),
        ("States.ArrayGetItem(States.StringSplit('a-b', '-'), 1)", "b"),
    ],
)
def test_a_function_gives_its_value(text: str, value: Json) -> None:
    # As text, so that 1 and 1.0 and true are told apart.
    assert json.dumps(value_of(text)) == json.dumps(value)


@pytest.mark.parametrize(
    ("seed", "bound", "value"),
    [
        (42, 10, 0),
        (42, 999, 125),
        (42, 1024, 745),
        (42, 1500000000, 117392763),
        (0, 10, 0),
        (0, 999, 672),
        (0, 1024, 748),
        (0, 1500000000, 516548029),
        (-1, 10, 3),
        (-1, 999, 41),
        (-1, 1024, 275),
        (-1, 1500000000, 577549913),
        (123456789, 10, 5),
        (123456789, 999, 403),
        (123456789, 1024, 679),
        (123456789, 1500000000, 1426010965),
        (4, 10, 2),
        (4, 999, 404),
        (4, 1024, 748),
        (4, 1500000000, 467700105),
    ],
)
def test_a_seed_means_what_it_means_in_java(seed: int, bound: int, value: int) -> None:
    """Expected: what Java's Random of the seed gives first for the bound."""
    assert value_of(f"States.MathRandom(0, {bound}, {seed})") == value


def test_random_numbers_stay_below_their_end() -> None:
    wide = value_of("States.MathRandom(-2147483648, 2147483647, 7)")
    assert -2147483648 <= wide < 2147483647
    scope = Scope({}, dict, Chance(b"seed"))
    call = compile_call("States.MathRandom(1, 4)")
    assert {call.evaluate(scope) for _ in range(60)} == {1, 2, 3}


def test_identifiers_come_from_the_scopes_chance() -> None:
    assert uuid.UUID(value_of("States.UUID()")).version == 4
    assert value_of("States.UUID()") == value_of("States.UUID()")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("States.ArrayPartition($.n, 2)", "expected an array, but got 5"),
        ("States.ArrayPartition($.l, 0)", "expected a positive chunk size, but got 0"),
        ("States.ArrayPartition($.l, 'a')", 'expected a number for the chunk size, but got "a"'),
        ("States.ArrayContains($.o, 2)", "expected an array, but got an object"),
        ("States.ArrayRange(1, 9, 0)", "The step must not be 0"),
        ("States.ArrayRange(0, 1000, 1)", "The range has 1001 items; 1000 are allowed"),
        ("States.ArrayRange(0, $.l, 1)", "expected a number for the last value"),
        ("States.ArrayGetItem($.l, 3)", "Index 3 is outside an array of 3 items"),
        ("States.ArrayGetItem($.l, -1)", "Index -1 is outside"),
        ("States.ArrayGetItem($.l, true)", "expected a number for the index, but got true"),
        ("States.ArrayLength('abc')", "expected an array"),
        ("States.ArrayUnique($.s)", "expected an array"),
        ("States.Base64Encode($.n)", "expected text for the argument"),
        ("States.Base64Encode($.long)", "10001 characters; 10000 are allowed"),
        ("States.Base64Decode('A')", "not Base64"),
        ("States.Hash('a', 'SHA-3')", "expected an algorithm of MD5, SHA-1"),
        ("States.Hash('a', 1)", "expected an algorithm"),
        ("States.Hash($.long, 'MD5')", "10000 are allowed"),
        ("States.JsonMerge($.l, $.o, false)", "expected two objects, but got an array"),
        ("States.JsonMerge($.o, null, false)", "expected two objects, but got null"),
        ("States.JsonMerge($.o, $.o, 0)", "expected true or false for deep merging"),
        ("States.StringToJson('{')", "is not JSON"),
        ("States.StringToJson($.n)", "expected text"),
        ("States.MathAdd('1', 2)", "expected a number for the first value"),
        ("States.MathAdd(2147483647, 1)", "2147483648 is outside the range of 32-bit integers"),
        ("States.MathAdd(2147483647.5, 1)", "outside the range of 32-bit integers"),
        ("States.MathAdd(1e300, 1)", "1.0E300 is outside the range"),
        ("States.MathRandom(2, 2)", "The start must be below the end"),
        ("States.MathRandom(1, 2, 'x')", "expected a number for the seed"),
        ("States.StringSplit($.n, ',')", "expected text for the first argument"),
        ("States.StringSplit('a', 1)", "expected text for the delimiters"),
        ("States.StringSplit('a\\n', ',')", "A backslash must be followed by one of"),
        ("States.Format('{}')", "number of arguments do not match the occurrences of {}"),
        ("States.Format('x', 1)", "number of arguments do not match"),
        ("States.Format($.n, 1)", "expected text for the template"),
        ("States.Format('a {', 1)", "matching '}' not found for '{'"),
        ("States.Format('a }', 1)", "matching '{' not found for '}'"),
        ("States.Format($.bad, 1)", "matching '}' not found for '{'"),
        ("States.Format('a \\x {}', 1)", "A backslash must be followed"),
    ],
)
def test_a_function_that_cannot_says_why(text: str, message: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        value_of(text)
    assert caught.value.name == "States.IntrinsicFailure"
    assert caught.value.cause.startswith(f"The function '{text}' had the following error: ")
    assert message in caught.value.cause


def test_objects_nested_too_deeply_are_not_merged_deeply() -> None:
    deep: Json = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(EvaluationFailed, match="nested deeper"):
        value_of("States.JsonMerge($, $, true)", deep)


@pytest.mark.parametrize("text", ["States.Format('{}', $.nope)", "States.Array(  $.nope.x )"])
def test_an_argument_that_is_not_there_fails_as_aws_words_it(text: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        value_of(text, {"other": 1})
    path = "$.nope.x" if "nope.x" in text else "$.nope"
    assert caught.value.name == "States.Runtime"
    assert caught.value.cause == (
        f"The function '{text}' had the following error: The JsonPath argument for the field "
        f"'{path}' could not be found in the input '{{\"other\":1}}'"
    )


def test_a_nested_failure_names_the_whole_call() -> None:
    text = "States.Format('{}', States.ArrayLength(5))"
    with pytest.raises(EvaluationFailed, match=r"The function 'States\.Format\('\{\}', States"):
        value_of(text)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "Expected the name"),
        ("$.a", 0, "Expected the name"),
        ("States.Format", 13, "Expected '('"),
        ("States.Nope(1)", 0, "There is no intrinsic function States.Nope"),
        ("States.UUID", 11, "Expected '('"),
        ("States.UUID(", 12, "Expected a text"),
        ("States.UUID(1)", 0, "takes 0 arguments, but 1 are given"),
        ("States.Format()", 0, "takes at least 1 arguments"),
        ("States.MathRandom(1)", 0, "takes 2 to 3 arguments"),
        ("States.MathRandom(1, 2, 1e942)", 24, "The number is too large"),
        ("States.Array(-1e999)", 13, "The number is too large"),
        ("States.UUID() x", 14, "Expected nothing behind"),
        ("States.Array('a)", 13, "not closed"),
        ("States.Array('a' 'b')", 17, "Expected ',' or"),
        ("States.Array(1 2)", 15, "Expected ',' or"),
        ("States.Array(1,)", 15, "Expected a text"),
        ("States.Array(*)", 13, "Expected a text"),
        ("States.Array(1x)", 15, "Expected '('"),
        ("States.Array(maybe)", 18, "Expected '('"),
        ("States.Array($.a[)", 17, "Could not parse"),
        ("States.Array($.)", 15, "Path must not end"),
        ("States.Array($.a['b)", 17, "Property has not been closed"),
    ],
)
def test_what_is_no_call_is_refused_where_it_goes_wrong(
    text: str, position: int, message: str
) -> None:
    with pytest.raises(IntrinsicSyntaxError) as caught:
        compile_call(text)
    assert message in caught.value.message
    assert caught.value.position == position


def test_ten_functions_may_be_nested_in_another() -> None:
    def nested(levels: int) -> str:
        return "States.Array(" * levels + ")" * levels

    compile_call(nested(11))
    with pytest.raises(IntrinsicSyntaxError, match="At most 10 functions"):
        compile_call(nested(12))


def test_there_are_eighteen_functions() -> None:
    assert len(FUNCTIONS) == 18


def test_a_call_knows_its_text_and_is_compiled_once() -> None:
    call = compile_call("States.UUID()")
    assert (call.text, call.name, repr(call)) == (
        "States.UUID()",
        "States.UUID",
        "Call('States.UUID()')",
    )
    assert compile_call("States.UUID()") is call
