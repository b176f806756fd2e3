"""Definitions in a few words.

One rule: a helper gives plain ASL, so that a test's machine could be pasted into AWS.
"""

from typing import Any, Final

State = dict[str, Any]
Definition = dict[str, Any]

WORK: Final = "arn:aws:states:::sqs:sendMessage"
"""A Resource of which nothing is known but that it begins when it is scheduled."""


def chain(*states: State, **named: State) -> Definition:
    """States one after the other: `S1`, `S2`…, then those with names. Each keeps its own Next."""
    all_named = {f"S{number}": state for number, state in enumerate(states, 1)} | named
    names = list(all_named)
    linked: dict[str, State] = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        linked[name] = {**all_named[name], **_onward(all_named[name], following)}
    return {"StartAt": names[0], "States": linked}


def _onward(state: State, following: str | None) -> State:
    ends_itself = state["Type"] in ("Succeed", "Fail", "Choice")
    if ends_itself or "Next" in state or "End" in state:
        return {}
    return {"Next": following} if following else {"End": True}


def passing(**members: Any) -> State:
    """A Pass state."""
    return {"Type": "Pass", **members}


def task(**members: Any) -> State:
    """A Task state."""
    return {"Type": "Task", "Resource": "treadle:activity/work", **members}


def waiting(seconds: int = 10, **members: Any) -> State:
    """A Wait state."""
    return {"Type": "Wait", "Seconds": seconds, **members}


def failing(error: str = "Boom", **members: Any) -> State:
    """A Fail state."""
    return {"Type": "Fail", "Error": error, **members}


def parallel(*branches: Definition, **members: Any) -> State:
    """A Parallel state."""
    return {"Type": "Parallel", "Branches": list(branches), **members}


def mapping(processor: Definition, **members: Any) -> State:
    """An inline Map state."""
    return {"Type": "Map", "ItemProcessor": processor, **members}


def retrier(*errors: str, **members: Any) -> State:
    """A retrier."""
    return {"ErrorEquals": list(errors or ("States.ALL",)), **members}


def catcher(following: str, *errors: str, **members: Any) -> State:
    """A catcher."""
    return {"ErrorEquals": list(errors or ("States.ALL",)), "Next": following, **members}


def endless(state: State) -> Definition:
    """A state again and again, until its output is `stop`."""
    rule = {"Variable": "$", "StringEquals": "stop", "Next": "End"}
    again = {"Type": "Choice", "Choices": [rule], "Default": "Again"}
    states = {"Again": {**state, "Next": "Ask"}, "Ask": again, "End": {"Type": "Succeed"}}
    return {"StartAt": "Again", "States": states}
