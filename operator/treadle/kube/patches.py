"""Merge patches (RFC 7386) and JSON patches (RFC 6902), as an API server applies them.

One rule: the document that is patched is never changed; a patched copy is given.
"""

from typing import Any

from treadle.asl.pointers import unescaped
from treadle.kube.api import Obj
from treadle.runtime.ports import Conflict, Refused

_REJECTED = "the server rejected our request due to an error in our request"


def merge(target: Any, patch: Any) -> Any:
    """The target with a merge patch applied: null removes, objects merge, the rest replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json(target: Obj, operations: list[Obj]) -> Obj:
    """The target with a JSON patch applied.

    Raises:
        Conflict: a `test` failed (the API server says 422 Invalid, as for a missing path; the
            client tells the two apart by the operations it sent).
        Refused: a path is missing.
    """
    document: Any = target
    tested = any(operation["op"] == "test" for operation in operations)
    for operation in operations:
        try:
            document = _applied(document, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            if tested:
                raise Conflict(_REJECTED) from None
            raise Refused(422, "Invalid", _REJECTED) from None
    assert isinstance(document, dict)
    return document


def _applied(document: Any, operation: Obj) -> Any:
    keys = [unescaped(key) for key in operation["path"].split("/")[1:]]
    match operation["op"]:
        case "test":
            if _at(document, keys) != operation["value"]:
                raise ValueError("test")
            return document
        case "add":
            return _changed(document, keys, operation["value"], "add")
        case "replace":
            return _changed(document, keys, operation["value"], "replace")
        case "remove":
            return _changed(document, keys, None, "remove")
        case _:
            raise ValueError("not an operation")


def _at(document: Any, keys: list[str]) -> Any:
    for key in keys:
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def _changed(document: Any, keys: list[str], value: Any, op: str) -> Any:
    key, *rest = keys
    if isinstance(document, list):
        return _changed_list(document, key, rest, value, op)
    if not isinstance(document, dict):
        raise TypeError("not a container")
    copy = dict(document)
    if rest:
        copy[key] = _changed(copy[key], rest, value, op)
    elif op == "add":
        copy[key] = value
    elif op == "replace":
        copy[key]  # must be there
        copy[key] = value
    else:
        del copy[key]
    return copy


def _changed_list(document: list[Any], key: str, rest: list[str], value: Any, op: str) -> list[Any]:
    copy = list(document)
    index = len(copy) if key == "-" else int(key)
    if rest:
        copy[index] = _changed(copy[index], rest, value, op)
    elif op == "add":
        if index > len(copy):
            raise IndexError(index)
        copy.insert(index, value)
    elif op == "replace":
        copy[index] = value
    else:
        del copy[index]
    return copy
