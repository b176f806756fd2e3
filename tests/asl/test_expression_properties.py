"""Whatever text and data come: a value, or one of the declared errors. And soon."""

import time
from contextlib import suppress

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from treadle.asl.chance import Chance
from treadle.asl.choices import OPERATORS, ConditionSyntaxError, compile_condition
from treadle.asl.errors import EvaluationFailed
from treadle.asl.functions import FUNCTIONS
from treadle.asl.intrinsics import IntrinsicSyntaxError, compile_call
from treadle.asl.json import Json
from treadle.asl.paths import PathNotFound, PathSyntaxError, compile_path, compile_reference
from treadle.asl.scope import Scope
from treadle.asl.templates import TemplateSyntaxError, compile_template

NAMES = st.sampled_from(["a", "b", "c", "x y", "", "d.$"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["1", "2016-03-14T01:59:00Z", "0000-01-01T00:00:00Z", "\ud800", "a" * 999])
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
LITERALS = st.sampled_from(["1", "-1.5", "'a'", '"1"', "true", "null", "[1,'a']", "{'a':1}", "b"])


def joined(parts: st.SearchStrategy[list[str]]) -> st.SearchStrategy[str]:
    return parts.map("".join)


PLAIN_STEPS = st.sampled_from([".a", ".b", "['c']", "['a','b']", "[0]", "[-1]", "[0,1]", "[*]"])
OPERANDS = joined(st.tuples(st.sampled_from("@$"), joined(st.lists(PLAIN_STEPS, max_size=3))))
COMPARISONS = joined(
    st.tuples(
        OPERANDS,
        st.sampled_from(["==", "!=", "<", ">=", " in ", " contains ", " size ", " empty "]),
        LITERALS | OPERANDS,
    ).map(list)
)
FILTERS = st.lists(COMPARISONS | OPERANDS, min_size=1, max_size=3).map(
    lambda tests: f"[?({' || '.join(tests)})]"
)
STEPS = (
    PLAIN_STEPS
    | FILTERS
    | st.sampled_from(["..a", "..*", "..[0]", ".*", "[1:]", "[-2:1]", ".length()", ".keys()"])
)
PATHS = joined(st.lists(STEPS, max_size=5)).map(lambda steps: "$" + steps)
NOISE = st.text(alphabet="$.@[]()'\"*?:,!&|=<>/\\ ab01-", max_size=30).map(lambda t: "$" + t)
ARGUMENTS = PATHS | LITERALS | st.sampled_from(["'{}'", "'\\{'", "$$", "2147483648"])
CALLS = st.builds(
    lambda name, arguments: f"{name}({', '.join(arguments)})",
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(ARGUMENTS, max_size=3),
)


def scope_of(data: Json) -> Scope:
    return Scope(data, lambda: {"a": data}, Chance(b"seed"))


@given(PATHS | NOISE, DATA)
@settings(max_examples=400)
def test_a_path_gives_a_value_or_its_own_errors(text: str, data: Json) -> None:
    with suppress(PathSyntaxError, PathNotFound, EvaluationFailed):
        compile_path(text).find(scope_of(data))


@given(PATHS, DATA)
def test_a_path_finds_the_same_again(text: str, data: Json) -> None:
    with suppress(PathSyntaxError, PathNotFound, EvaluationFailed):
        path = compile_path(text)
        first = path.find(scope_of(data))
        assert path.find(scope_of(data)) == first
        assert path.is_definite or isinstance(first, list)


@given(PATHS | NOISE, DATA, DATA)
def test_a_reference_puts_or_fails_by_name(text: str, data: Json, value: Json) -> None:
    with suppress(PathSyntaxError, EvaluationFailed):
        reference = compile_reference(text)
        put = reference.put(data, value)
        assert compile_path(text).find_in(put) == value


@given(CALLS | NOISE.map(lambda text: f"States.Array({text})"), DATA)
@settings(max_examples=400)
def test_a_call_gives_a_value_or_its_own_errors(text: str, data: Json) -> None:
    with suppress(IntrinsicSyntaxError, EvaluationFailed):
        compile_call(text).evaluate(scope_of(data))


@given(st.dictionaries(NAMES, DATA | PATHS | CALLS), DATA)
def test_a_template_gives_a_value_or_its_own_errors(template: Json, data: Json) -> None:
    with suppress(TemplateSyntaxError, EvaluationFailed):
        compile_template(template).render(scope_of(data))


RULES = st.recursive(
    st.builds(
        lambda variable, operator, operand: {"Variable": variable, operator: operand},
        PATHS,
        st.sampled_from(sorted(OPERATORS)),
        SCALARS | PATHS,
    ),
    lambda inner: (
        st.builds(lambda rules: {"And": rules}, st.lists(inner, max_size=3))
        | st.builds(lambda rule: {"Not": rule}, inner)
        | st.builds(lambda rules: {"Or": rules}, st.lists(inner, max_size=3))
    ),
    max_leaves=5,
)


@given(RULES | DATA, DATA)
@settings(max_examples=200)
def test_a_condition_gives_an_answer_or_its_own_errors(rule: Json, data: Json) -> None:
    with suppress(ConditionSyntaxError, EvaluationFailed):
        assert compile_condition(rule).matches(scope_of(data)) in (True, False)


@given(PATHS)
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_no_path_holds_the_loop_over_a_large_payload(text: str) -> None:
    row = {"a": list(range(20)), "b": {"c": "x" * 200, "a": [1, "a"]}, "c": None}
    data = {"a": [row] * 300, "b": [[row] * 20] * 20, "c": row}
    path = compile_path("$")
    with suppress(PathSyntaxError):
        path = compile_path(text)
    began = time.process_time()
    with suppress(PathNotFound, EvaluationFailed):
        path.find(scope_of(data))
    # Some 0.2 s without coverage; an unbounded path takes minutes.
    assert time.process_time() - began < 5
