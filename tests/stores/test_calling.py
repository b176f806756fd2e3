"""What is wrong with `functions` and with the Tasks that call them is a problem of the machine."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from treadle.kube.podtemplates import PodDefaults
from treadle.stores.judgement import Installation, Judgement, judge
from treadle.stores.machines import digest_of

HERE = Installation(PodDefaults(), frozenset({"treadle:job", "treadle:http"}))
ARN = "arn:aws:lambda:us-east-1:123456789012:function:resize"
INVOKE = "arn:aws:states:::lambda:invoke"
IMAGE = {"image": "python:3.11"}


def chain(state: Any, name: str = "A") -> Any:
    return {"StartAt": name, "States": {name: {"Type": "Task", "End": True, **state}}}


def judged(functions: Any = None, state: Any = None) -> Judgement:
    spec = {"definition": chain(state or {"Resource": ARN})}
    if functions is not None:
        spec["functions"] = functions
    return judge({"metadata": {}, "spec": spec}, HERE)


def said(found: Judgement) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in found.errors]


def test_the_example_is_without_a_problem() -> None:
    path = Path(__file__).parents[2] / "examples" / "lambda" / "machine.yaml"
    (machine,) = (
        each for each in YAML(typ="safe").load_all(path) if each["kind"] == "StateMachine"
    )
    assert judge(machine, HERE).problems == ()


def invoking(**parameters: Any) -> Any:
    return {"Resource": INVOKE, "Parameters": parameters}


# ------------------------------------------------------------------------------------- the map


@pytest.mark.parametrize(
    "target",
    [
        IMAGE,
        {"image": "i", "command": ["python", "f.py"]},
        {"url": "http://resize"},
        {"url": "HTTPS://resize.default.svc:8443/a/b?c=d"},
    ],
)
@pytest.mark.parametrize("name", [ARN, f"{ARN}:7", "123456789012:function:resize", "resize"])
def test_a_good_function_is_no_problem(name: str, target: Any) -> None:
    assert said(judged({ARN: IMAGE, name: target})) == []


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ({}, [("", "function-invalid")]),
        ("python", [("", "function-invalid")]),
        ({"image": "i", "url": "http://h"}, [("", "function-invalid")]),
        ({"image": "i", "imago": 1}, [("/imago", "function-invalid")]),
        ({"image": "i", "a/b": 1}, [("/a~1b", "function-invalid")]),
        ({"image": ""}, [("/image", "function-invalid")]),
        ({"image": " i"}, [("/image", "function-invalid")]),
        ({"image": None}, [("/image", "function-invalid")]),
        ({"image": "i", "command": "sh"}, [("/command", "function-invalid")]),
        ({"image": "i", "command": []}, [("/command", "function-invalid")]),
        ({"image": "i", "command": [1]}, [("/command", "function-invalid")]),
        ({"url": "http://h", "command": ["sh"]}, [("/command", "function-invalid")]),
        ({"command": ["sh"]}, [("", "function-invalid"), ("/command", "function-invalid")]),
        ({"stateMachine": "m"}, [("/stateMachine", "not-supported-yet")]),
        (
            {"stateMachine": "m", "image": "i"},
            [("", "function-invalid"), ("/stateMachine", "not-supported-yet")],
        ),
        ({"url": ""}, [("/url", "function-invalid")]),
        ({"url": 7}, [("/url", "function-invalid")]),
        ({"url": "resize"}, [("/url", "function-invalid")]),
        ({"url": "ftp://resize"}, [("/url", "function-invalid")]),
        ({"url": "http://"}, [("/url", "function-invalid")]),
        ({"url": "http://a b"}, [("/url", "function-invalid")]),
        ({"url": "http://h:port"}, [("/url", "function-invalid")]),
        ({"url": "http://[h"}, [("/url", "function-invalid")]),
        ({"url": "http://me:secret@h"}, [("/url", "function-invalid")]),
    ],
)
def test_a_bad_function_is_named_with_what_is_wrong(target: Any, wrong: Any) -> None:
    found = judged({ARN: target})
    assert found.reason == "InvalidFunctions"
    assert said(found) == [(f"/functions/{ARN}{pointer}", code) for pointer, code in wrong]
    assert all(problem.message for problem in found.problems)


def test_a_key_that_names_no_function_is_a_problem() -> None:
    assert said(judged({ARN: IMAGE, "a b/c": IMAGE})) == [("/functions/a b~1c", "function-invalid")]


@pytest.mark.parametrize("functions", [[], "x"])
def test_functions_are_an_object(functions: Any) -> None:
    assert said(judged(functions)) == [("/functions", "function-invalid")]


def test_templates_and_functions_are_judged_together() -> None:
    spec = {"definition": chain({"Resource": ARN}), "functions": {"a b": {}}, "podTemplates": []}
    found = judge({"metadata": {}, "spec": spec}, HERE)
    pointers = [pointer for pointer, _ in said(found)]
    assert pointers == ["/podTemplates", "/functions/a b", "/functions/a b"]


def test_functions_are_part_of_what_a_revision_holds() -> None:
    spec = {"definition": chain({"Resource": ARN})}
    digests = {digest_of({**spec, **more}) for more in ({}, {"functions": {ARN: IMAGE}})}
    assert len(digests) == 2


# ----------------------------------------------------------------------------------- the calls


def test_an_unlisted_function_is_named_with_the_remedy() -> None:
    for functions in (None, {}, {"other": IMAGE}):
        found = judged(functions)
        assert found.reason == "ResourceNotRunnable"
        assert said(found) == [("/States/A/Resource", "resource-not-runnable")]
        assert ARN in found.errors[0].message
        assert "spec.functions" in found.errors[0].message


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"FunctionName": "resize"}, []),
        ({"FunctionName": ARN, "Payload.$": "$", "LogType": "None"}, []),
        ({"FunctionName": "resize", "InvocationType": "RequestResponse"}, []),
        ({"FunctionName.$": "$.f"}, []),
        ({"FunctionName": "gone"}, [("/FunctionName", "resource-not-runnable")]),
        ({"FunctionName": "a b"}, [("/FunctionName", "resource-not-runnable")]),
        ({"FunctionName": 7}, [("/FunctionName", "task-parameter-value")]),
        ({"Payload": 1}, [("", "task-parameter-missing")]),
        ({"FunctionName": "only", "Qualifier": "live"}, []),
        ({"FunctionName": "only:live", "Qualifier": "live"}, []),
        ({"FunctionName": "only", "Qualifier.$": "$.q"}, []),
        ({"FunctionName": "only", "Qualifier": 7}, [("/Qualifier", "task-parameter-value")]),
        ({"FunctionName.$": "$.f", "Qualifier": 7}, [("/Qualifier", "task-parameter-value")]),
        ({"FunctionName": "resize", "Qualifier": None}, []),
        (
            {"FunctionName": "a b", "Qualifier.$": "$.q"},
            [("/FunctionName", "resource-not-runnable")],
        ),
        ({"FunctionName": "only"}, [("/FunctionName", "resource-not-runnable")]),
        (
            {"FunctionName": "only", "Qualifier": "old"},
            [("/FunctionName", "resource-not-runnable")],
        ),
        (
            {"FunctionName": "only:live", "Qualifier": "old"},
            [("/Qualifier", "task-parameter-value")],
        ),
        (
            {"FunctionName": "resize", "InvocationType": "Event"},
            [("/InvocationType", "not-supported-yet")],
        ),
        ({"FunctionName": "resize", "InvocationType": None}, []),
        ({"FunctionName": "resize", "InvocationType.$": "$.t"}, []),
        (
            {"FunctionName.$": "$.f", "InvocationType": "Event"},
            [("/InvocationType", "not-supported-yet")],
        ),
        (
            {"InvocationType": "Event"},
            [("", "task-parameter-missing"), ("/InvocationType", "not-supported-yet")],
        ),
        (
            {"FunctionName": 7, "InvocationType": "Event", "Qualifier": 7},
            [
                ("/FunctionName", "task-parameter-value"),
                ("/InvocationType", "not-supported-yet"),
                ("/Qualifier", "task-parameter-value"),
            ],
        ),
        (
            {"FunctionName": "resize", "ClientContext.$": "$"},
            [("/ClientContext.$", "not-supported-yet")],
        ),
        ({"FunctionName": "resize", "Paylod": 1}, [("/Paylod", "task-parameter-unknown")]),
    ],
)
def test_what_a_call_says_is_judged(parameters: Any, wrong: Any) -> None:
    functions = {"resize": IMAGE, "only:live": IMAGE}
    found = judged(functions, invoking(**parameters))
    expected = [(f"/States/A/Parameters{pointer}", code) for pointer, code in wrong]
    assert said(found) == expected


def test_a_call_without_parameters_names_no_function() -> None:
    found = judged({"resize": IMAGE}, {"Resource": INVOKE})
    assert said(found) == [("/States/A", "task-parameter-missing")]


def test_parameters_of_a_call_are_an_object() -> None:
    found = judged({"resize": IMAGE}, {"Resource": INVOKE, "Parameters": [1]})
    assert said(found) == [("/States/A/Parameters", "task-parameter-value")]


def test_a_call_that_waits_for_a_token_is_a_call() -> None:
    waits = {**invoking(FunctionName="resize"), "Resource": f"{INVOKE}.waitForTaskToken"}
    assert said(judged({"resize": IMAGE}, waits)) == []
    assert said(judged({}, waits)) == [
        ("/States/A/Parameters/FunctionName", "resource-not-runnable")
    ]


@pytest.mark.parametrize("member", ["ItemProcessor", "Iterator"])
def test_a_call_is_found_wherever_it_stands(member: str) -> None:
    each = chain({"Type": "Map", member: chain({"Resource": ARN})}, "M")
    definition = chain({"Type": "Parallel", "Branches": [each]}, "P")
    found = judge({"metadata": {}, "spec": {"definition": definition}}, HERE)
    assert said(found) == [
        (f"/States/P/Branches/0/States/M/{member}/States/A/Resource", "resource-not-runnable")
    ]
