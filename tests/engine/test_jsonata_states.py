"""States in JSONata, and beside states in JSONPath."""

from typing import Any

import pytest

from tests.support.desk import Desk, Fails, Gives, script
from tests.support.machines import (
    Definition,
    catcher,
    chain,
    mapping,
    parallel,
    passing,
    retrier,
    task,
)

INPUT = {"n": 7, "names": ["a", "b"], "id": 2**60 + 1}


def jsonata(definition: Definition) -> Definition:
    """The definition in JSONata."""
    return {"QueryLanguage": "JSONata", **definition}


def ran(*states: dict[str, Any], given: Any = None, **named: dict[str, Any]) -> Desk:
    return Desk(jsonata(chain(*states, **named)), INPUT if given is None else given).run()


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ("{% $states.input.n + 1 %}", 8),
        ("{% $states.input.id %}", 2**60 + 1),
        ({"a": ["{% $states.input.n %}", "text"], "b": 1}, {"a": [7, "text"], "b": 1}),
        ("{% null %}", None),
        ("text", "text"),
        (" {% 1 %} ", " {% 1 %} "),
        ("{% $states.context.State.Name %}", "S1"),
        ("{% $now() %}", "2026-01-01T00:00:00.000Z"),
        ("{% {'gone': $states.input.gone} %}", {}),
    ],
)
def test_an_output_is_what_its_expressions_give(output: Any, wanted: Any) -> None:
    assert ran(passing(Output=output)).outcome == ("SUCCEEDED", wanted, None)


def test_without_an_output_a_state_gives_its_input_or_its_result() -> None:
    assert ran(passing()).output == INPUT
    desk = Desk(jsonata(chain(task())), INPUT, script(S1=Gives({"r": 1}))).run()
    assert desk.output == {"r": 1}


def test_arguments_result_and_error_output_have_their_places() -> None:
    definition = chain(
        task(
            Arguments={"n": "{% $states.input.n * 2 %}"},
            Output={"in": "{% $states.input.n %}", "out": "{% $states.result.r %}"},
            Assign={"r": "{% $states.result.r %}"},
        ),
        task(
            Arguments="{% $r %}",
            Catch=[
                catcher(
                    "S3",
                    Output="{% $states.errorOutput.Error & '/' & $states.input.in %}",
                    Assign={"r": "{% $r + 1 %}"},
                )
            ],
        ),
        passing(Output=["{% $states.input %}", "{% $r %}"]),
    )
    desk = Desk(jsonata(definition), INPUT, script(S1=Gives({"r": 3}), S2=Fails("Boom"))).run()
    assert [t.parameters for t in desk.attempts] == [{"n": 14}, 3]
    assert desk.output == ["Boom/7", 4]


def test_a_choice_takes_the_first_rule_that_is_true() -> None:
    choice = {
        "Type": "Choice",
        "Choices": [
            {"Condition": "{% $states.input.n > 9 %}", "Next": "Big"},
            {
                "Condition": "{% $states.input.n > 5 %}",
                "Next": "Middle",
                "Output": "{% $states.input.n %}",
                "Assign": {"by": "rule"},
            },
            {"Condition": True, "Next": "Big"},
        ],
        "Output": "state",
        "Assign": {"by": "state"},
        "Default": "Small",
    }
    ends = {
        name: passing(Output=[name, "{% $states.input %}", "{% $by %}"], End=True)
        for name in ("Big", "Middle", "Small")
    }
    assert ran(choice, **ends).output == ["Middle", 7, "rule"]
    del choice["Choices"][2]
    assert ran(choice, given={"n": 1}, **ends).output == ["Small", "state", "state"]


@pytest.mark.parametrize(
    ("state", "location", "sentence"),
    [
        (
            passing(Output={"a": [1, "{% $gone %}"]}),
            "Output/a[1]",
            "The JSONata expression '$gone' specified for the field 'Output/a[1]' returned "
            "nothing (undefined).",
        ),
        (
            passing(Assign={"x": "{% 1 + 'a' %}"}),
            "Assign/x",
            "The JSONata expression '1 + 'a'' specified for the field 'Assign/x' threw an error "
            'during evaluation. T2002: The right side of the "+" operator must evaluate to a '
            "number",
        ),
        (
            passing(Output="{% function($x) { $x } %}"),
            "Output",
            "The JSONata expression 'function($x) { $x }' specified for the field 'Output' "
            "returned an unsupported result type.",
        ),
        (
            {"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "S2"}]},
            "Choices[0]/Condition",
            "The JSONata expression '1' specified for the field 'Choices[0]/Condition' returned "
            "an unexpected result type. Expected 'boolean', but was 'number' for value: 1",
        ),
        (
            {"Type": "Wait", "Seconds": "{% 'soon' %}"},
            "Seconds",
            "The JSONata expression ''soon'' specified for the field 'Seconds' returned an "
            "unexpected result type. Expected 'number', but was 'string' for value: \"soon\"",
        ),
        (
            {"Type": "Wait", "Timestamp": "{% 'soon' %}"},
            "Timestamp",
            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time "
            "format string: soon",
        ),
        (
            task(TimeoutSeconds="{% 1.5 %}"),
            "TimeoutSeconds",
            "The TimeoutSeconds field cannot be parsed as an integer: 1.5",
        ),
        (
            task(TimeoutSeconds="{% 0 %}"),
            "TimeoutSeconds",
            "TimeoutSeconds must be between 1 and 99999999.",
        ),
        (
            mapping(chain(I=passing()), Items="{% $states.input.n %}"),
            "Items",
            "The JSONata expression '$states.input.n' specified for the field 'Items' returned "
            "an unexpected result type. Expected 'array', but was 'number' for value: 7",
        ),
    ],
)
def test_a_failing_expression_fails_its_state_as_on_aws(
    state: dict[str, Any], location: str, sentence: str
) -> None:
    desk = ran(state, passing())
    head = "An error occurred while executing the state 'S1' (entered at the event id #2). "
    cause = head + sentence
    assert desk.outcome == ("FAILED", None, ("States.QueryEvaluationError", cause))
    told = next(e for e in desk.history() if e.type == "EvaluationFailed")
    assert told.details == {
        "error": "States.QueryEvaluationError",
        "cause": cause,
        "location": location,
        "state": "S1",
    }


def test_a_failing_expression_is_caught_and_retried() -> None:
    state = task(
        Arguments="{% $states.input.gone %}",
        Retry=[retrier("States.QueryEvaluationError", MaxAttempts=1)],
        Catch=[catcher("S2", "States.QueryEvaluationError", Output="caught")],
    )
    desk = ran(state, passing())
    assert (desk.output, desk.attempts) == ("caught", [])
    assert desk.types().count("EvaluationFailed") == 2


@pytest.mark.parametrize(
    "state",
    [
        mapping(chain(I=passing()), Items="{% 1 %}"),
        parallel(chain(I=passing()), Arguments="{% $gone %}"),
    ],
)
def test_a_fork_whose_own_expression_fails_is_told_as_failed(state: dict[str, Any]) -> None:
    kind = state["Type"]
    assert ran(state).types() == [
        "ExecutionStarted",
        f"{kind}StateEntered",
        "EvaluationFailed",
        f"{kind}StateFailed",
        "ExecutionFailed",
    ]


def test_a_map_and_a_parallel_take_expressions() -> None:
    each = mapping(
        chain(I=passing(Output="{% $states.input.v & $states.input.i & $x %}")),
        Items=["p", "{% $states.input.names[1] %}"],
        ItemSelector={
            "v": "{% $states.context.Map.Item.Value %}",
            "i": "{% $string($states.context.Map.Item.Index) %}",
        },
        MaxConcurrency="{% 1 %}",
        Output={"all": "{% $states.result %}", "n": "{% $states.input.n %}"},
    )
    both = parallel(
        chain(A=passing()),
        chain(B=passing(Output="{% $states.input %}")),
        Arguments="{% $states.input.all[0] %}",
    )
    desk = ran(passing(Assign={"x": "!"}), each, both)
    assert desk.output == ["p0!", "p0!"]


def test_a_fail_says_what_its_expressions_give() -> None:
    fail = {"Type": "Fail", "Error": "{% 'E' & $states.input.n %}", "Cause": "c"}
    assert ran(fail).error == ("E7", "c")


def test_waits_take_numbers_and_instants() -> None:
    desk = ran({"Type": "Wait", "Seconds": "{% $states.input.n %}", "Output": "{% $millis() %}"})
    assert desk.output == 1_767_225_607_000
    desk = ran({"Type": "Wait", "Timestamp": "{% '2026-01-01T00:00:09Z' %}"})
    assert desk.now.second == 9


def test_languages_stand_beside_each_other() -> None:
    definition = chain(
        passing(Parameters={"x.$": "$.n"}, Assign={"v.$": "$.x"}),
        passing(QueryLanguage="JSONata", Output={"y": "{% $states.input.x + $v %}"}),
        passing(InputPath="$.y"),
    )
    assert Desk(definition, INPUT).run().output == 14


def test_chances_and_times_are_the_same_after_a_restart() -> None:
    """What is computed again after a restart must be what was computed first."""
    items = mapping(
        chain(I=task(Arguments=["{% $uuid() %}", "{% $random() %}", "{% $now() %}"])),
        Items="{% [1, 2] %}",
        ItemSelector={"id": "{% $uuid() %}", "at": "{% $millis() %}"},
        MaxConcurrency=1,
    )
    definition = jsonata(chain({"Type": "Wait", "Seconds": 3}, items))
    whole = Desk(definition, INPUT).run()
    cut = Desk(definition, INPUT)
    while cut.step():
        cut.restart()
    assert cut.outcome == whole.outcome
    assert [t.parameters for t in cut.attempts] == [t.parameters for t in whole.attempts]
    assert [t.input for t in cut.attempts] == [t.input for t in whole.attempts]


def test_an_expression_that_costs_too_much_ends_with_a_named_error() -> None:
    desk = ran(passing(Output=["{% ($f := function() { $f() }; $f()) %}"] * 9))
    assert desk.error is not None
    assert desk.error[0] == "States.QueryEvaluationError"


@pytest.mark.parametrize(
    ("language", "role"), [("JSONata", "{% $states.input.role %}"), ("JSONPath", None)]
)
def test_credentials_are_told_in_the_history(language: str, role: str | None) -> None:
    credentials = {"RoleArn": role} if role else {"RoleArn.$": "$.role"}
    state = task(QueryLanguage=language, Credentials=credentials)
    desk = Desk(chain(state), {"role": "arn:r"}).run()
    scheduled = next(e.details for e in desk.history() if e.type == "TaskScheduled")
    assert scheduled is not None
    assert scheduled["taskCredentials"] == {"roleArn": "arn:r"}
