"""The Parameters of a `treadle:job` Task.

One rule: what is not listed is refused, and all that is wrong is said at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps
from treadle.kube.api import Obj

INVALID_PARAMETERS = "Treadle.InvalidParameters"

_ENV_MEMBERS = frozenset({"name", "value", "valueFrom"})
_RESOURCE_MEMBERS = frozenset({"limits", "requests", "claims"})


@dataclass(frozen=True, slots=True)
class JobParameters:
    """What a Task asks for, beside the machine's static templates.

    Attributes:
        env: as Kubernetes' list.
        has_input: whether `input` was given (it may be null).
    """

    image: str | None = None
    command: Sequence[str] | None = None
    args: Sequence[str] | None = None
    env: Sequence[Obj] = ()
    resources: Obj | None = None
    has_input: bool = False
    input: Json = None
    template: str | None = None
    start_timeout_seconds: float | None = None


class _Wrong(Exception):  # noqa: N818 - a sentence on its way to a StateError
    """What is wrong with one member."""


def parse(parameters: Json) -> JobParameters | StateError:
    """What a Task's Parameters say."""
    if not isinstance(parameters, dict):
        return StateError(INVALID_PARAMETERS, "Parameters of treadle:job must be an object.")
    wrong = [f"{name} is not a Parameter of treadle:job" for name in unlisted(parameters)]
    read: dict[str, Json] = {}
    for name, reader in MEMBERS.items():
        if name in parameters:
            try:
                read[name] = reader(parameters[name])
            except _Wrong as why:
                wrong.append(f"{name} {why}")
    if wrong:
        return StateError(INVALID_PARAMETERS, "; ".join(wrong) + ".")
    return JobParameters(
        image=read.get("image"),
        command=read.get("command"),
        args=read.get("args"),
        env=read.get("env", ()),
        resources=read.get("resources"),
        has_input="input" in read,
        input=read.get("input"),
        template=read.get("template"),
        start_timeout_seconds=read.get("startTimeoutSeconds"),
    )


def unlisted(parameters: Mapping[str, Json]) -> list[str]:
    """Members that `treadle:job` does not have."""
    return [name for name in parameters if name not in MEMBERS]


def _text(value: Json) -> str:
    if not isinstance(value, str) or not value or value != value.strip():
        raise _Wrong("must be a text without spaces around it")
    return value


def _scalar_text(value: Json) -> str:
    # Data has numbers where a command line has texts: `args.$: "States.Array($.pages)"`.
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return dumps(value)
    raise _Wrong("must hold texts, numbers and booleans only")


def _words(value: Json) -> list[str]:
    if not isinstance(value, list):
        raise _Wrong("must be a list of texts")
    return [_scalar_text(word) for word in value]


def _env(value: Json) -> list[Obj]:
    if isinstance(value, dict):
        return [{"name": name, "value": _scalar_text(each)} for name, each in value.items()]
    if not isinstance(value, list):
        raise _Wrong("must be an object of texts or a list of {name, value}")
    return [_env_entry(entry) for entry in value]


def _env_entry(entry: Json) -> Obj:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _Wrong("must be a list of objects with a name each")
    if not _ENV_MEMBERS.issuperset(entry):
        raise _Wrong(f"entry {entry['name']} may have name, value and valueFrom only")
    if "value" in entry:
        return {**entry, "value": _scalar_text(entry["value"])}
    return entry


def _resources(value: Json) -> Obj:
    if not isinstance(value, dict) or not _RESOURCE_MEMBERS.issuperset(value):
        raise _Wrong("must be an object of limits and requests")
    return value


def _seconds(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise _Wrong("must be a number of seconds above 0")
    return value


def _result_from(value: Json) -> str:
    if value == "log":
        raise _Wrong("`log` is not supported by this release; write to TREADLE_RESULT_FILE")
    if value != "file":
        raise _Wrong("must be `file`")
    return "file"


MEMBERS: Mapping[str, Callable[[Json], Json]] = MappingProxyType(
    {
        "image": _text,
        "command": _words,
        "args": _words,
        "env": _env,
        "resources": _resources,
        "input": lambda value: value,
        "template": _text,
        "startTimeoutSeconds": _seconds,
        "resultFrom": _result_from,
    }
)
"""Every Parameter, with what reads it."""
