"""What is wrong with a definition, each by its rule and at its place."""

from typing import Any

import pytest

from treadle.asl import document, limits
from treadle.asl.errors import Problem
from treadle.asl.lint import aws_message, diagnostic
from treadle.asl.rules import RULES

Json = dict[str, Any]
PASS = {"Type": "Pass", "End": True}
INNER = {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}
JOB = {"Type": "Task", "Resource": "treadle:job", "End": True}
TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:F", "End": True}
MAP = {"Type": "Map", "ItemProcessor": INNER, "End": True}
WAIT = {"Type": "Wait", "End": True}


def machine(state: object, **members: object) -> Json:
    return {"StartAt": "S", "States": {"S": state, "Z": {"Type": "Succeed"}}, **members}


def problems_of(definition: object, *, express: bool = False) -> list[Problem]:
    return list(document.inspect(definition, express=express)[1])


def found(definition: object, severity: str = "error") -> list[tuple[str, str]]:
    return [(p.pointer, p.code) for p in problems_of(definition) if p.severity == severity]


def choice(**rule: object) -> Json:
    return {"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "Z", **rule}]}


def delayed(most: int, interval: int) -> Json:
    retrier = {"ErrorEquals": ["A"], "MaxDelaySeconds": most, "IntervalSeconds": interval}
    return {**TASK, "Retry": [retrier]}


TOP: list[tuple[object, str, str]] = [
    (None, "", "document-not-object"),
    ([], "", "document-not-object"),
    ({"States": {"S": PASS}}, "", "member-missing"),
    ({"StartAt": "S"}, "", "member-missing"),
    ({"StartAt": "S", "States": []}, "/States", "member-type"),
    ({"StartAt": "S", "States": {}}, "/States", "states-empty"),
    ({"StartAt": 1, "States": {"S": PASS}}, "/StartAt", "member-type"),
    ({"StartAt": "s", "States": {"S": PASS}}, "/StartAt", "target-missing"),
    ({"StartAt": "S", "States": {"S": 1}}, "/States/S", "member-type"),
    (
        {"StartAt": "S", "States": {"S": {"Type": "Pass", "Next": "S"}}},
        "/States",
        "terminal-missing",
    ),
    ({"StartAt": "", "States": {"": PASS}}, "/States/", "state-name-length"),
    ({"StartAt": "n" * 81, "States": {"n" * 81: PASS}}, "/States/" + "n" * 81, "state-name-length"),
    (machine(PASS, Version="2.0"), "/Version", "member-value"),
    (machine(PASS, Comment=1), "/Comment", "member-type"),
    (machine(PASS, TimeoutSeconds=0), "/TimeoutSeconds", "member-range"),
    (machine(PASS, TimeoutSeconds="9"), "/TimeoutSeconds", "member-type"),
    (machine(PASS, TimeoutSeconds=True), "/TimeoutSeconds", "member-type"),
    (machine(PASS, TimeoutSecondsPath="$.a"), "/TimeoutSecondsPath", "member-unknown"),
    (machine(PASS, QueryLanguage="JQ"), "/QueryLanguage", "member-value"),
    (machine(PASS, QueryLanguage="XPath"), "/QueryLanguage", "member-value"),
]


@pytest.mark.parametrize(("definition", "pointer", "code"), TOP, ids=lambda v: repr(v)[:60])
def test_a_wrong_top_level_is_told(definition: object, pointer: str, code: str) -> None:
    assert (pointer, code) in found(definition)


# Of treadle:job: members of Parameters, where (behind Parameters), and which.
PARAMETERS: list[tuple[Json, str, str]] = [
    ({}, "", "task-parameter-missing"),
    ({"image": ""}, "/image", "task-parameter-value"),
    ({"image": "a", "hostPath": "/"}, "/hostPath", "task-parameter-unknown"),
    ({"image": "a", "hostPath.$": "$.x"}, "/hostPath.$", "task-parameter-unknown"),
    ({"image": "a", "command": "ls"}, "/command", "task-parameter-value"),
    ({"image": "a", "args": [1]}, "/args", "task-parameter-value"),
    ({"image": "a", "env": "x"}, "/env", "task-parameter-value"),
    ({"image": "a", "resources": []}, "/resources", "task-parameter-value"),
    ({"image": "a", "template": 1}, "/template", "task-parameter-value"),
    ({"image": "a", "startTimeoutSeconds": 0}, "/startTimeoutSeconds", "task-parameter-value"),
    ({"image": "a", "resultFrom": "stdout"}, "/resultFrom", "task-parameter-value"),
]


@pytest.mark.parametrize(("parameters", "suffix", "code"), PARAMETERS, ids=repr)
def test_a_wrong_parameter_of_a_job_is_told(parameters: Json, suffix: str, code: str) -> None:
    state = {**JOB, "Parameters": parameters}
    assert found(machine(state)) == [(f"/States/S/Parameters{suffix}", code)]


def test_a_job_without_parameters_lacks_its_image() -> None:
    assert found(machine(JOB)) == [("/States/S", "task-parameter-missing")]
    assert found(machine({**JOB, "Parameters": []})) == [
        ("/States/S/Parameters", "task-parameter-value")
    ]


def test_every_parameter_of_a_job_may_be_given_plain_or_from_data() -> None:
    plain: Json = {
        "image": "${IMAGE}",
        "command": ["a"],
        "args": ["b"],
        "env": {"A": "b"},
        "resources": {},
        "input": None,
        "template": "big",
        "startTimeoutSeconds": 9,
        "resultFrom": "log",
    }
    assert problems_of(machine({**JOB, "Parameters": plain})) == problems_of(machine(PASS))
    dynamic = {f"{name}.$": "$.x" for name in plain}
    assert found(machine({**JOB, "Parameters": dynamic})) == []


ARN = "arn:aws:states:us-east-1:000000000001:stateMachine:square"
VALUE, UNKNOWN = "task-parameter-value", "task-parameter-unknown"


@pytest.mark.parametrize(
    ("resource", "parameters", "codes"),
    [
        ("treadle:execution", {"stateMachine": "m", "input": 1, "name": "x"}, []),
        ("treadle:execution.sync", {"stateMachine.$": "$.m", "name.$": "$.n"}, []),
        ("treadle:execution.sync:2", {}, ["task-parameter-missing"]),
        ("treadle:execution", {"stateMachine": "other/m"}, [VALUE]),
        ("treadle:execution", {"stateMachine": "m", "namespace": "b", "name": "x"}, []),
        ("treadle:execution", {"stateMachine": "m", "namespace.$": "$.to"}, []),
        ("treadle:execution", {"stateMachine": "m", "namespace": None}, []),
        ("treadle:execution", {"stateMachine": "m", "namespace": "${TO}"}, []),
        ("treadle:execution", {"stateMachine": "m", "namespace": "B_c"}, [VALUE]),
        ("treadle:execution", {"stateMachine": "m", "namespace": 1}, [VALUE]),
        ("treadle:execution", {"stateMachine": 1}, [VALUE]),
        ("treadle:execution", {"stateMachine": "m", "alias": "a", "version": 3}, []),
        ("treadle:execution", {"stateMachine": "m", "alias": 1, "version": 0}, [VALUE] * 2),
        ("treadle:execution", {"stateMachine": "m", "Input": 1}, [UNKNOWN]),
        ("arn:aws:states:::states:startExecution", {"StateMachineArn": ARN, "Input": "{}"}, []),
        ("arn:aws:states:::states:startExecution.sync", {}, ["task-parameter-missing"]),
        ("arn:aws:states:::states:startExecution.sync:2", {"StateMachineArn": "m"}, []),
        ("arn:aws:states:::states:startExecution.sync:2", {"StateMachineArn": 1}, [VALUE]),
        ("arn:aws:states:::states:startExecution", {"StateMachineArn": f"{ARN}:live"}, []),
        (
            "arn:aws:states:::states:startExecution",
            {"StateMachineArn": ARN, "stateMachine": "m"},
            [UNKNOWN],
        ),
    ],
)
def test_a_child_execution_has_its_members(
    resource: str, parameters: Json, codes: list[str]
) -> None:
    task = {**TASK, "Resource": resource, "Parameters": parameters}
    assert [code for _, code in found(machine(task))] == codes


@pytest.mark.parametrize(
    ("resource", "endpoint", "codes"),
    [
        ("treadle:http", "http://a.svc", []),
        ("treadle:http", "ftp://a", ["task-parameter-value"]),
        ("arn:aws:states:::http:invoke", "https://a", []),
        ("arn:aws:states:::http:invoke", "http://a", ["task-parameter-value"]),
    ],
)
def test_an_http_task_has_its_members(resource: str, endpoint: str, codes: list[str]) -> None:
    parameters: Json = {"ApiEndpoint": endpoint, "Method": "GET"}
    task = {**TASK, "Resource": resource, "Parameters": parameters}
    assert [code for _, code in found(machine(task))] == codes
    wrong = {**task, "Parameters": {"Method": "get", "Body": 1}}
    assert [code for _, code in found(machine(wrong))] == [
        "task-parameter-missing",
        "task-parameter-value",
        "task-parameter-unknown",
    ]


def test_only_our_own_http_task_says_how_long_and_under_which_key() -> None:
    parameters: Json = {"ApiEndpoint": "https://a", "Method": "GET"}
    parameters |= {"timeoutSeconds": 0.5, "idempotencyKey": "entry"}
    ours = {**TASK, "Resource": "treadle:http", "Parameters": parameters}
    assert found(machine(ours)) == []
    wrong = {**parameters, "timeoutSeconds": 0, "idempotencyKey": "state"}
    codes = [code for _, code in found(machine({**ours, "Parameters": wrong}))]
    assert codes == ["task-parameter-value", "task-parameter-value"]
    theirs = {**ours, "Resource": "arn:aws:states:::http:invoke"}
    assert [code for _, code in found(machine(theirs))] == ["task-parameter-unknown"] * 2


@pytest.mark.parametrize(
    ("state", "suffix", "code"),
    [
        ({**PASS, "Result": {"a": "$.b"}}, "/Result/a", "pass-result-static"),
        ({**PASS, "Result": {"a.$": "$.b"}}, "/Result/a.$", "pass-result-static"),
        ({**PASS, "Result": [{"b.$": {"c": "$$.d"}}]}, "/Result/0/b.$/c", "pass-result-static"),
        ({**PASS, "Parameters": {"a": ["$.b"]}}, "/Parameters/a/0", "value-looks-like-path"),
        ({**PASS, "Parameters": {"a": "States.UUID()"}}, "/Parameters/a", "value-looks-like-path"),
        ({"Type": "Fail", "Error": "$.e"}, "/Error", "member-looks-like-path"),
        (choice(StringEquals="$.b"), "/Choices/0/StringEquals", "member-looks-like-path"),
        (delayed(5, 5), "/Retry/0/MaxDelaySeconds", "retry-delay-below-interval"),
        (delayed(1, 2), "/Retry/0/MaxDelaySeconds", "retry-delay-below-interval"),
        ({"Type": "Map", "Iterator": INNER, "End": True}, "/Iterator", "map-member-deprecated"),
        ({**MAP, "Parameters": {}}, "/Parameters", "map-member-deprecated"),
        ({**TASK, "Resource": "arn:${P}:x"}, "/Resource", "resource-placeholder"),
    ],
    ids=repr,
)
def test_a_doubtful_state_is_warned_of(state: Json, suffix: str, code: str) -> None:
    assert found(machine(state)) == []
    assert (f"/States/S{suffix}", code) in found(machine(state), "warning")


@pytest.mark.parametrize(
    "state",
    [
        choice(StringMatches="$.*"),
        choice(StringEqualsPath="$.b"),
        {**PASS, "Parameters": {"a.$": "$.b"}},
        delayed(6, 5),
    ],
    ids=repr,
)
def test_what_is_meant_so_is_not_doubtful(state: Json) -> None:
    assert {code for _, code in found(machine(state), "warning")} <= {"state-unreachable"}


@pytest.mark.parametrize("error", ["States.Timeout", "$5 short", "$"])
def test_an_ordinary_error_name_is_not_doubtful(error: str) -> None:
    warned = found(machine({"Type": "Fail", "Error": error}), "warning")
    assert (("/States/S/Error", "member-looks-like-path") in warned) is (error == "$")


def test_a_state_that_nothing_leads_to_is_warned_of() -> None:
    assert found(machine(PASS), "warning") == [("/States/Z", "state-unreachable")]


def test_states_are_reached_through_every_kind_of_transition() -> None:
    states: Json = {
        "A": {**choice(IsNull=True, Next="B"), "Default": "C"},
        "B": {**TASK, "Catch": [{"ErrorEquals": ["X"], "Next": "D"}]},
        "C": PASS,
        "D": PASS,
    }
    assert problems_of({"StartAt": "A", "States": states}) == []


def test_a_machine_in_jsonata_cannot_have_a_state_in_jsonpath() -> None:
    definition = machine({**PASS, "QueryLanguage": "JSONPath"}, QueryLanguage="JSONata")
    assert found(definition) == [
        ("/States/S/QueryLanguage", "query-language-mixed"),
    ]


def test_the_transitions_of_a_jsonata_state_are_checked() -> None:
    state = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% 1 %}", "Next": "Nope"}
    assert [code for _, code in found(machine(state))] == ["target-missing"]


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::ecs:runTask.sync",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:us-east-1:1:activity:A",
        "treadle:activity/A",
    ],
)
def test_an_express_machine_waits_for_nothing(resource: str) -> None:
    definition = machine({**TASK, "Resource": resource})
    assert found(definition) == []
    errors = [p for p in problems_of(definition, express=True) if p.severity == "error"]
    assert [(p.pointer, p.code) for p in errors] == [("/States/S/Resource", "resource-express")]


def test_all_problems_are_told_at_once() -> None:
    definition = machine(
        {
            "Type": "Task",
            "Resource": "fn",
            "InputPath": "x",
            "Retry": [{"ErrorEquals": [], "MaxAttempts": -1}],
            "Catch": [{"Next": "Nope"}],
            "Extra": 1,
        },
        Version="3",
    )
    assert sorted(found(definition)) == [
        ("/States/S", "next-or-end"),
        ("/States/S/Catch/0", "member-missing"),
        ("/States/S/Catch/0/Next", "target-missing"),
        ("/States/S/Extra", "member-unknown"),
        ("/States/S/InputPath", "path-invalid"),
        ("/States/S/Resource", "resource-invalid"),
        ("/States/S/Retry/0/ErrorEquals", "error-equals-empty"),
        ("/States/S/Retry/0/MaxAttempts", "retry-attempts-negative"),
        ("/Version", "member-value"),
    ]


def test_the_list_of_problems_is_bounded() -> None:
    states = {f"S{n}": {"Type": "Nope" * 1_000, "Next": f"X{n}"} for n in range(200)}
    errors = found({"StartAt": "S0", "States": states})
    assert len(errors) == limits.PROBLEMS_MAX + 1
    assert errors[-1] == ("", "too-many-problems")
    told = problems_of({"StartAt": "S" * 200_000, "States": {"S": PASS}})
    assert all(len(p.message) <= limits.PROBLEM_CHARS_MAX for p in told)


def test_a_hint_names_what_was_meant() -> None:
    (problem,) = problems_of({"StartAt": "S", "States": {"S": {**PASS, "ResultPth": "$"}}})
    assert "Did you mean ResultPath?" in problem.message


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ({"StartAt": "S"}, "SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /"),
        (
            machine({"Type": "Pass", "Next": "N"}),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: N at /States/S/Next",
        ),
        (
            machine(choice(IsNull=True, Next="N")),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: N at /States/S/Choices[0]/Next",
        ),
        (
            {"StartAt": "S", "States": {"S": {"Type": "Pass", "Next": "S"}}},
            "MISSING_END_STATE: Workflow has no terminal state at null",
        ),
        (
            machine({**PASS, "Catch": []}),
            "SCHEMA_VALIDATION_FAILED: Field 'Catch' is not supported at /States/S",
        ),
        (
            machine({**PASS, "Parameters": {"a.$": "a"}}),
            "SCHEMA_VALIDATION_FAILED: The value for the field 'a.$' must be a valid JSONPath or a "
            "valid intrinsic function call at /States/S/Parameters/a.$",
        ),
        (
            machine({**WAIT, "Timestamp": "now"}),
            "SCHEMA_VALIDATION_FAILED: String does not match RFC3339 timestamp at "
            "/States/S/Timestamp",
        ),
        (
            machine({**PASS, "Output": 1}),
            "SCHEMA_VALIDATION_FAILED: The QueryLanguage is set to 'JSONPath', but field 'Output' "
            "is only supported for the 'JSONata' QueryLanguage at /States/S",
        ),
    ],
)
def test_aws_words_are_used_where_they_are_known(definition: Json, told: str) -> None:
    message = aws_message(problems_of(definition))
    assert message == f"Invalid State Machine Definition: '{told}'"


def test_aws_lists_problems_with_commas() -> None:
    definition = machine({**PASS, "Catch": [], "Retry": []})
    assert aws_message(problems_of(definition)).count("', ") == 0
    assert aws_message(problems_of(definition)).count(", SCHEMA_VALIDATION_FAILED: ") == 1


def test_a_plain_problem_has_a_diagnostic_too() -> None:
    plain = diagnostic(Problem("/a~1b", "our-own", "Wrong."))
    assert plain == ("ERROR", "SCHEMA_VALIDATION_FAILED", "Wrong.", "/a/b")
    (warning,) = [p for p in problems_of(machine(PASS)) if p.severity == "warning"]
    assert diagnostic(warning) == (
        "WARNING",
        "MISSING_TRANSITION_TARGET",
        'State "Z" is not reachable.',
        "/States/Z",
    )


def test_every_rule_has_a_sentence_and_a_source() -> None:
    assert all(rule.summary.endswith(".") and rule.spec for rule in RULES.values())


def test_every_problem_is_by_a_known_rule() -> None:
    for definition, _, _ in TOP:
        for problem in problems_of(definition):
            rule = RULES[problem.code]
            assert problem.severity == ("warning" if rule.is_warning else "error")
            assert problem.spec == rule.spec
            assert problem.message.endswith((".", "?", "…"))


def test_unknown_members_and_warnings_are_bounded_too() -> None:
    many = limits.PROBLEMS_MAX + 50
    literal = {f"k{n}": "$.x" for n in range(many)}
    unknown = {f"k{n}": 1 for n in range(many)}
    program, problems = document.inspect(machine({**PASS, "Parameters": literal}))
    assert program is not None
    assert len(problems) == limits.PROBLEMS_MAX
    assert len(found(machine({**PASS, **unknown}))) == limits.PROBLEMS_MAX + 1


def nested(levels: int) -> Json:
    inner: Json = {"StartAt": "L0", "States": {"L0": PASS}}
    for level in range(1, levels):
        state = {"Type": "Parallel", "Branches": [inner], "End": True}
        inner = {"StartAt": f"L{level}", "States": {f"L{level}": state}}
    return inner


def test_whatever_is_nested_is_read_or_told() -> None:
    deep_value: Any = "x"
    deep_rule: Any = {"Variable": "$.a", "IsNull": True}
    for _ in range(195):
        deep_value = {"a": deep_value}
        deep_rule = {"Not": deep_rule}
    assert found(nested(49)) == []
    assert [code for _, code in found(nested(60))] == ["document-too-deep"]
    assert [code for _, code in found(nested(100_000))] == ["document-too-deep"]
    assert found(machine({**PASS, "Parameters": deep_value})) == []
    too_deep = {"Type": "Choice", "Choices": [{**deep_rule, "Next": "Z"}]}
    assert [code for _, code in found(machine(too_deep))] == ["condition-invalid"]
