"""Definitions as texts."""

import json
from dataclasses import replace

import pytest

from treadle.asl import limits
from treadle.asl.errors import InvalidDocument, Problem
from treadle.asl.json import dumps
from treadle.asl.texts import loads_document, parse_text, problems_of_value


def problem_of(text: str) -> Problem:
    with pytest.raises(InvalidDocument) as caught:
        loads_document(text)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('"text"', "text"),
        ("a: 1\nb: [x, {c: d}]\n", {"a": 1, "b": ["x", {"c": "d"}]}),
        ("{a: 1, b: 'two'}", {"a": 1, "b": "two"}),
        ("# a comment\na: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ('a: ""\nb: ~\nc:\nd: null', {"a": "", "b": None, "c": None, "d": None}),
        ("a: !!str 5\nb: !!map {c: !!seq [1]}", {"a": "5", "b": {"c": [1]}}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("&k a: 1\nb: {*k : 2}", {"a": 1, "b": {"a": 2}}),
        ("%YAML 1.1\n---\na: yes", {"a": "yes"}),
    ],
)
def test_json_and_yaml_are_read(text: str, value: object) -> None:
    assert loads_document(text) == value


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("2001-12-14T21:59:43.10-05:00", "2001-12-14T21:59:43.10-05:00"),
        ("2026-01-31", "2026-01-31"),
        ("yes", "yes"),
        ("off", "off"),
        ("TRUE", True),
        ("False", False),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("-12", -12),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("'1'", "1"),
        ("$.a", "$.a"),
    ],
)
def test_a_plain_scalar_is_what_the_core_schema_says(scalar: str, value: object) -> None:
    read = loads_document(f"a: {scalar}")["a"]
    assert read == value
    assert type(read) is type(value)


def test_a_key_is_its_text() -> None:
    assert loads_document("404: {yes: 1}\nnull: 2\n") == {"404": {"yes": 1}, "null": 2}


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{\n "a": 1,\n "b" 2}', "document-not-parsed", (3, 6)),
        ("a: [1, 2\nb: 3", "document-not-parsed", (2, 2)),
        ("a: b: c", "document-not-parsed", (1, 5)),
        ("", "document-not-parsed", (1, 1)),
        ("# nothing\n", "document-not-parsed", (1, 1)),
        ("a: 1\n---\nb: 2", "document-not-parsed", (2, 1)),
        ("a: \x00", "document-not-parsed", (1, 1)),
        ('a: "\\U7fffffff"', "document-not-parsed", (1, 1)),
        ("? [a]\n: b", "document-not-parsed", (1, 3)),
        ("a: &x [1]\n*x : 2", "document-not-parsed", (2, 1)),
        ("a: !!python/object/apply:os.system [ls]", "document-not-parsed", (1, 4)),
        ("a: !mine b", "document-not-parsed", (1, 4)),
        ('{"a": ' + "1" * 5_000 + "}", "document-not-parsed", (1, 7)),
        ('{"a": NaN}', "document-not-parsed", (1, 7)),
        ('{"NaN": "NaN",\n "b": [1,\n -Infinity]}', "document-not-parsed", (3, 2)),
        ('{"a": 1,\n "b": -' + "9" * 4_301 + "}", "document-not-parsed", (2, 7)),
        ("a: 1\nb: " + "9" * 4_301, "document-not-parsed", (2, 4)),
        ("a: 1\nb: 0x" + "f" * 4_000, "document-not-parsed", (2, 4)),
        ("a: &x [*x]", "document-not-parsed", (1, 8)),
        ("a: *nowhere", "document-not-parsed", (1, 4)),
        ("a: 1\nb: .inf", "document-not-json", (2, 4)),
        ("a: 1\nb: 1e999", "document-not-json", (2, 1)),
        ('{"a": 1,\n "b": 1e999}', "document-not-json", (2, 2)),
        ('{"a": 1,\n "b": "\\ud83d"}', "document-not-json", (2, 2)),
        ('a: 1\nb: "\\ud83d"', "document-not-json", (2, 1)),
        ('{"a": {"b": 1,\n  "b": 2}}', "document-duplicate-key", (2, 3)),
        ("a: 1\nb: 2\na: 3", "document-duplicate-key", (3, 1)),
        ('1: x\n"1": y', "document-duplicate-key", (2, 1)),
        ("[" * 500 + "]" * 500, "document-too-deep", (1, 1)),
        ("[" * 10_000 + "]" * 10_000, "document-too-deep", (1, 1)),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "document-too-deep", (1, 1)),
        ("- " * 10_000 + "a", "document-too-deep", (1, 401)),
        ("x" * (limits.DEFINITION_BYTES_MAX + 1), "document-too-large", (1, 1)),
        ("é" * (limits.DEFINITION_BYTES_MAX // 2 + 1), "document-too-large", (1, 1)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_wrong_with_a_text_has_line_and_column(
    text: str, code: str, place: tuple[int, int]
) -> None:
    problem = problem_of(text)
    assert (problem.code, (problem.line, problem.column)) == (code, place)
    assert len(problem.message) < 400


def test_a_repeated_key_has_its_pointer_in_both_forms() -> None:
    assert problem_of('{"x/y": [0, {"b": 1, "b": 2}]}').pointer == "/x~1y/1/b"
    assert problem_of("x/y:\n- 0\n- b: 1\n  b: 2").pointer == "/x~1y/1/b"


def test_all_repeated_keys_of_a_json_text_are_told() -> None:
    with pytest.raises(InvalidDocument) as caught:
        loads_document('{"a": 1, "a": 2, "b": {"c": 1, "c": 2}}')
    assert [problem.pointer for problem in caught.value.problems] == ["/a", "/b/c"]


def test_a_few_aliases_cannot_stand_for_billions() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 10):
        uses = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{uses}]")
    assert problem_of("\n".join(lines)).code == "document-too-large"


def test_aliases_cannot_nest_deeper_than_a_text() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, limits.DEFINITION_DEPTH_MAX + 1)]
    assert problem_of("\n".join(lines)).code == "document-too-deep"


def test_an_anchor_may_be_used_again() -> None:
    assert loads_document("a: &x 1\nb: *x\nc: &x 2\nd: *x") == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_yaml_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "YAML_EVENTS_MAX", 100)
    text = "a: [" + "x," * limits.YAML_EVENTS_MAX + "x]"
    assert problem_of(text).code == "document-too-large"


def test_places_are_found_by_pointer() -> None:
    json_text = '{\n  "a/b": [10,\n   {"c": 1}],\n  "d": "x, }"\n}'
    place_of = parse_text(json_text).place_of
    assert place_of("") == (1, 1)
    assert place_of("/a~1b") == (2, 3)
    assert place_of("/a~1b/0") == (2, 11)
    assert place_of("/a~1b/1/c") == (3, 5)
    assert place_of("/d") == (4, 3)
    assert place_of("/d/nowhere") == (4, 3)
    yaml_place_of = parse_text("a/b:\n- 10\n- c: 1\nd: x\n").place_of
    assert yaml_place_of("/a~1b/1/c") == (3, 3)
    assert yaml_place_of("/d/nowhere") == (4, 1)


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        ({1: 2}, "document-not-json", ""),
        ({"a": {"b\ud83d": 1}}, "document-not-json", "/a"),
        ({"a": ["b\ud83d"]}, "document-not-json", "/a/0"),
        ({"a": [float("nan")]}, "document-not-json", "/a/0"),
        ({"a": (1, 2)}, "document-not-json", "/a"),
        ({"a": b"x"}, "document-not-json", "/a"),
        ({"k" * 5_000: [1]}, "document-too-deep", ""),
    ],
)
def test_what_is_not_json_is_told(value: object, code: str, pointer: str) -> None:
    (problem,) = problems_of_value(value)
    assert (problem.code, problem.pointer) == (code, pointer)


def test_a_value_that_holds_itself_is_too_deep() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert problems_of_value(loop)[0].code == "document-too-deep"


def test_a_value_shared_too_often_is_too_large() -> None:
    few = replace(limits.OF_DEFINITIONS, bytes_max=10_000)
    value: object = "x"
    for _ in range(30):
        value = [value, value]
    assert problems_of_value(value, few)[0].code == "document-too-large"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1, "b": 2}, "c": x"y}',
        '{"a": {"b": 1, "b": 2}}], "c": 1}',
        '{"a": {"b": 1, "b": 2},',
        '{"a": {"b": 1, "b": 2}, "c": NaN}',
    ],
)
def test_a_key_that_is_given_twice_in_what_is_no_json_is_no_trouble(text: str) -> None:
    assert problem_of(text).code in ("document-not-parsed", "document-duplicate-key")


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ("{% $v.a %}", limits.EXPRESSIONS_MAX),
        ("{% ($a := 1; $b := 2; $a + $b) %}", limits.ASSIGNMENTS_MAX // 2),
        ("$[?(@.a =~ /x/)]", limits.PATTERNS_MAX),
        ("$[?(@.a =~ /x/ || @.a =~ /y/)]", limits.PATTERNS_MAX // 2),
        ("$[?(@.a == 1 || @.b == 2)]", limits.FILTER_TERMS_MAX // 2),
    ],
)
def test_expressions_and_patterns_of_a_definition_have_a_number(texts: str, count: int) -> None:
    assert problems_of_value({"a": [texts] * count}) == []
    (problem,) = problems_of_value({"a": [texts] * (count + 1)})
    assert problem.code == "too-many-expressions"


def test_a_merge_key_is_the_fault_that_is_told() -> None:
    problem = problem_of("StartAt: A\nStates:\n  A:\n    <<: {Type: Pass}\n    End: true\n")
    assert (problem.code, problem.pointer) == ("document-merge-key", "/States/A/<<")
    assert (problem.line, problem.column) == (4, 5)
    assert loads_document('"<<": 1') == {"<<": 1}


def test_a_file_of_tests_has_bounds_of_its_own() -> None:
    large = json.dumps({"a": "x" * (2 * limits.DEFINITION_BYTES_MAX), "b": ["{% 1 %}"] * 5_000})
    assert loads_document(large, limits.OF_TESTS)["b"][0] == "{% 1 %}"
    deep = "[" * 250 + "]" * 250
    assert dumps(loads_document(deep, limits.OF_TESTS)) == deep
    assert loads_document(f"a: {deep}", limits.OF_TESTS)
    with pytest.raises(InvalidDocument, match="The file of tests is nested deeper than 254 levels"):
        loads_document(f"a: [[[[[[{deep}]]]]]]", limits.OF_TESTS)
    few = replace(limits.OF_TESTS, bytes_max=20)
    for text in ('{"a": "' + "x" * 20 + '"}', "a: &a [xxxxxxx]\nb: *a"):
        with pytest.raises(InvalidDocument, match=r"[Tt]he file of tests has"):
            loads_document(text, few)


@pytest.mark.parametrize("text", ['{{"a": {}}}', "a: {}", "a: +{}"])
def test_an_integer_has_as_many_digits_as_can_be_read(text: str) -> None:
    digits = "9" * limits.INTEGER_DIGITS_MAX
    assert loads_document(text.format(digits)) == {"a": int(digits)}
    problem = problem_of(text.format(digits + "9"))
    assert "an integer has more than 4,300 digits" in problem.message
