"""Variables read where nothing can have assigned them."""

from typing import Any

import pytest

from tests.support.machines import catcher, chain, failing, mapping, parallel, passing, task
from treadle.asl import document

SPREAD = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


EVEN = "$even := function($n) { $n = 0 ? true : $odd($n - 1) }"
ODD = "$odd := function($n) { $n = 0 ? false : $even($n - 1) }"


def found(definition: Any) -> list[tuple[str, str]]:
    program, problems = document.inspect(definition)
    assert program is not None
    codes = ("variable-unassigned", "jsonata-function-unknown")
    return [(p.pointer, p.code) for p in problems if p.code in codes]


def reading(*names: str) -> dict[str, Any]:
    return passing(QueryLanguage="JSONata", Output=[f"{{% ${name} %}}" for name in names])


@pytest.mark.parametrize(
    "definition",
    [
        chain(passing(Assign={"x": 1}), reading("x")),
        chain(passing(Assign={"x": 1}), passing(), passing(Parameters={"a.$": "$x.b"})),
        chain(passing(Assign={"x": 1}), mapping(chain(I=reading("x")))),
        chain(passing(Assign={"x": 1}), parallel(chain(I=passing(InputPath="$x")))),
        chain(task(Catch=[catcher("S2", Assign={"x": 1})]), reading("x")),
        chain(
            {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.a", "IsNull": True, "Next": "S2", "Assign": {"x": 1}},
                    {"Variable": "$.a", "IsNull": False, "Next": "S2"},
                ],
            },
            reading("x"),
        ),
        chain(passing(QueryLanguage="JSONata", Output="{% ($y := 1; $y + $sum([1])) %}")),
        chain(passing(QueryLanguage="JSONata", Output="{% $map([1], function($v) { $v }) %}")),
        chain(passing(QueryLanguage="JSONata", Output="{% $uuid() & $partition([1], 1) %}")),
        chain(passing(QueryLanguage="JSONata", Output=f"{{% ({EVEN}; {ODD}; $even(10)) %}}")),
        chain(
            {
                "Type": "Choice",
                "QueryLanguage": "JSONata",
                "Choices": [{"Condition": True, "Next": "S2", "Comment": "{% $x %}"}],
            },
            passing(),
        ),
        chain(passing(Comment="{% $x %}", Result={"a.$": "$x"}, Parameters={"b": "$x"})),
        # A loop: on its second round the variable is there.
        {
            "StartAt": "A",
            "States": {
                "A": {**reading("x"), "Next": "B"},
                "B": passing(Assign={"x": 1}, Next="A"),
                "C": failing(),
            },
        },
    ],
)
def test_what_some_way_assigns_is_not_told(definition: Any) -> None:
    assert found(definition) == []


@pytest.mark.parametrize(
    ("definition", "wanted"),
    [
        (chain(reading("x")), ["/States/S1/Output/0"]),
        (chain(passing(Assign={"x": 1, "y.$": "$x"})), ["/States/S1/Assign/y.$"]),
        (chain(passing(Parameters={"a.$": "$x"})), ["/States/S1/Parameters/a.$"]),
        (
            chain(passing(Parameters={"a.$": "States.Format('$no {}', $x)"})),
            ["/States/S1/Parameters/a.$"],
        ),
        (
            chain(parallel(chain(I=passing(Assign={"x": 1}))), reading("x")),
            ["/States/S2/Output/0"],
        ),
        (
            chain(
                passing(Assign={"x": 1}),
                mapping(
                    {**chain(I=reading("x")), "ProcessorConfig": SPREAD},
                ),
            ),
            ["/States/S2/ItemProcessor/States/I/Output/0"],
        ),
        (
            chain(task(Assign={"x": 1}, Catch=[catcher("S2")], Next="S3"), reading("x"), passing()),
            ["/States/S2/Output/0"],
        ),
    ],
)
def test_what_no_way_assigns_is_told(definition: Any, wanted: list[str]) -> None:
    assert found(definition) == [(pointer, "variable-unassigned") for pointer in wanted]


def test_a_function_that_there_is_not_is_told() -> None:
    state = passing(QueryLanguage="JSONata", Output="{% $lenght($states.input) %}")
    assert found(chain(state)) == [("/States/S1/Output", "jsonata-function-unknown")]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (passing(QueryLanguage="JSONata", Output="{% $exists($x) ? 1 : 2 %}"), "is undefined."),
        (passing(Parameters={"a.$": "$x"}), "reading it fails the state."),
    ],
)
def test_what_a_read_of_no_variable_does_is_told(state: dict[str, Any], told: str) -> None:
    (problem,) = document.inspect(chain(state))[1]
    assert problem.message.endswith(told)
