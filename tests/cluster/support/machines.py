"""Definitions for tests, short to write. Pure.

The one rule: a state says what it does; where it goes next follows from its place in the chain.
"""

from __future__ import annotations

import json
from typing import Any

State = dict[str, Any]

IMAGE = "busybox:1.36"
_ENDS = ("Succeed", "Fail")


def chain(**states: State) -> dict[str, Any]:
    """A definition whose states follow one another, except where a state says otherwise."""
    names = list(states)
    listed = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        state = states[name]
        if not {"Next", "End", "Choices"} & state.keys() and state["Type"] not in _ENDS:
            way = {"End": True} if following is None else {"Next": following}
            state = {**state, **way}
        listed[name] = state
    return {"StartAt": names[0], "States": listed}


def passes(**members: Any) -> State:
    """A Pass state."""
    return {"Type": "Pass", **members}


def task(script: dict[str, Any] | None = None, **members: Any) -> State:
    """A Job on the pretend node that ends as its script says."""
    command = ["pretend", json.dumps(script or {})]
    return job(command, **members)


def job(
    command: list[str], *, image: str = IMAGE, more: State | None = None, **state: Any
) -> State:
    """A Job; `more` are further Parameters."""
    parameters = {"image": image, "command": command, **(more or {})}
    return {"Type": "Task", "Resource": "treadle:job", "Parameters": parameters, **state}


def call(url: str, *, method: str = "GET", more: State | None = None, **state: Any) -> State:
    """An HTTP call; `more` are further Parameters."""
    parameters = {"ApiEndpoint": url, "Method": method, **(more or {})}
    return {"Type": "Task", "Resource": "treadle:http", "Parameters": parameters, **state}


def each(inner: dict[str, Any], **members: Any) -> State:
    """A Map over its input."""
    return {"Type": "Map", "ItemProcessor": inner, **members}
