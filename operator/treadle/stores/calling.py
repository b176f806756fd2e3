"""What is wrong with a machine's `functions`, and with the Tasks that call them.

One rule: all that is wrong is said at once, each with a place, a code and the remedy.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from treadle.asl.arguments import Written
from treadle.asl.arns import FUNCTION_FORMS, FunctionName, parse_function, parse_resource
from treadle.asl.errors import Problem, StateError
from treadle.asl.fields import shown
from treadle.asl.json import Json
from treadle.asl.pointers import escaped
from treadle.asl.web import url_problem
from treadle.kube import parameters
from treadle.runtime.functions import Functions, find, invoked, wrong_members

INVALID: Final = "function-invalid"
NOT_RUNNABLE: Final = "resource-not-runnable"
NOT_YET: Final = "not-supported-yet"

_TARGETS = ("image", "url", "stateMachine")
_MEMBERS = (*_TARGETS, "command")
# AWS API, Invoke.
_PARAMETERS = ("FunctionName", "Payload", "Qualifier", "InvocationType", "LogType", "ClientContext")


# ----------------------------------------------------------------------------------- the map


def problems(functions: Json) -> Iterator[Problem]:
    """All that is wrong with `spec.functions`; the pointers are relative to the spec."""
    if not isinstance(functions, dict):
        yield Problem("/functions", INVALID, "functions must be an object of functions.")
        return
    for name, target in functions.items():
        where = f"/functions/{escaped(name)}"
        if parse_function(name) is None:
            yield Problem(
                where, INVALID, f"{shown(name)} names no function; give {FUNCTION_FORMS}."
            )
        if isinstance(target, dict):
            yield from _target_problems(where, target)
        else:
            yield Problem(where, INVALID, "A function must be an object with image or url.")


def _target_problems(where: str, target: Mapping[str, Json]) -> Iterator[Problem]:
    for member in target:
        if member not in _MEMBERS:
            message = f"{member:.80} is not known; known are {', '.join(_MEMBERS)}."
            yield Problem(f"{where}/{escaped(member)}", INVALID, message)
    given = [member for member in _TARGETS if member in target]
    if len(given) != 1:
        told = f"not {' and '.join(given)}" if given else "it has neither"
        yield Problem(where, INVALID, f"A function has either image or url; {told}.")
    if "stateMachine" in target:
        message = "stateMachine is not supported yet; use image or url."
        yield Problem(f"{where}/stateMachine", NOT_YET, message)
    for member, wrong in _READERS.items():
        said = wrong(target) if member in target else None
        if said:
            yield Problem(f"{where}/{member}", INVALID, said)


def _image(target: Mapping[str, Json]) -> str | None:
    read = parameters.parse({"image": target["image"]})
    return read.cause if isinstance(read, StateError) else None


def _command(target: Mapping[str, Json]) -> str | None:
    words = target["command"]
    if "image" not in target:
        wanted = "left out, or stand beside an image"
    elif isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        return None
    else:
        wanted = "an array of texts"
    return f"command is {shown(words)}; it must be {wanted}."


def _url(target: Mapping[str, Json]) -> str | None:
    url = target["url"]
    wrong = url_problem(url) if isinstance(url, str) else f"{shown(url)} must be a text"
    return f"url: {wrong}." if wrong else None


_READERS: Final = {"image": _image, "command": _command, "url": _url}
"""What says what is wrong with a member that is there."""


# --------------------------------------------------------------------------------- the calls


def call_problems(
    pointer: str, resource: str, written: Written, functions: Functions
) -> Iterator[Problem]:
    """What is wrong with a Task that calls a function, as far as it does not depend on data.

    Args:
        pointer: to the Task.
        resource: its Resource.
        written: its arguments.
        functions: the machine's.
    """
    if parse_resource(resource).kind == "lambda":
        yield from _unlisted(f"{pointer}/Resource", resource, parse_function(resource), functions)
        return
    if written.is_computed:
        return
    where = f"{pointer}/{written.member}"
    if not written.is_object:
        message = f"{written.member} must be an object here."
        yield Problem(where, "task-parameter-value", message)
        return
    for name, key in written.keys.items():
        if name not in _PARAMETERS:
            message = f"{key:.80} is not taken here; known are {', '.join(_PARAMETERS)}."
            yield Problem(f"{where}/{escaped(key)}", "task-parameter-unknown", message)
        elif name == "ClientContext":
            message = "ClientContext is not supported yet; pass it in Payload."
            yield Problem(f"{where}/{escaped(key)}", NOT_YET, message)
    yield from _member_problems(where if written.is_given else pointer, written, functions)


_CODES = {"Treadle.InvalidParameters": NOT_YET, "Lambda.ResourceNotFoundException": NOT_RUNNABLE}
"""The code of what a state would fail with; of any other, `task-parameter-value`."""


def _member_problems(where: str, written: Written, functions: Functions) -> Iterator[Problem]:
    known = {"FunctionName": "from-data", **written.literals}  # whatever it is, others are judged
    if "FunctionName" not in written.keys:
        message = f"{written.member} must have {written.spelled('FunctionName')}."
        yield Problem(where, "task-parameter-missing", message)
    wrong = list(wrong_members(known))
    for member, error in wrong:
        code = _CODES.get(error.name or "", "task-parameter-value")
        yield Problem(f"{where}/{member}", code, error.cause or "")
    is_known = "Qualifier" in written.literals or "Qualifier" not in written.keys
    if not wrong and "FunctionName" in written.literals and is_known:
        name, place = written.literals["FunctionName"], f"{where}/FunctionName"
        yield from _unlisted(place, name, invoked(known), functions)


def _unlisted(
    place: str, text: str, name: FunctionName | None, functions: Functions
) -> Iterator[Problem]:
    if name is None:
        message = f"{shown(text)} names no function; give {FUNCTION_FORMS}."
        yield Problem(place, NOT_RUNNABLE, message)
    elif find(functions, name) is None:
        message = (
            f"the function {name} is not in spec.functions: add it there, with the image or the "
            "url that runs it"
        )
        yield Problem(place, NOT_RUNNABLE, message)
