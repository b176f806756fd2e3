"""What AWS's services can be asked and what they answer, as Step Functions spells it.

One rule: services.jsonl.gz is opened when somebody asks, and by this module alone. It is a part of
the program as the modules are, with the same content on every run.

A gzip of lines of JSON. The first is `{source, actions}`: where all this is from, and of each
service its actions, separated by spaces. Each other is `[service, outputs, shapes]`: the code of
every action's output, null where it has none, and a list. A code is a number, the place of a shape
in that list, or a text:

    a         anything
    b         a boolean
    t         a timestamp
    s x n     a text, a blob, a number; then the bounds of its length or value: `s1:128`, `n0:`
    e         a text that is one of those that follow: `eON|OFF`

A shape in the list is an object of members and their codes, a name with ! before it being required;
or `[l, code]`, a list and its items; or `[m, code]`, a map and its values. Their greatest size
may follow: `l:100`. tests/support/service_models.py writes the file; the models are those that
botocore carries, under the Apache License 2.0.
"""

import pkgutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from treadle.asl.json import loads

Code: TypeAlias = str | int
Shape: TypeAlias = Mapping[str, Code] | Sequence[Code]

_FILE: Final = "services.jsonl.gz"
_GZIP: Final = 31  # what zlib calls a window with a header and a sum
_PIECE_BYTES: Final = 262_144
_SERVICES_KEPT: Final = 4  # the largest is a megabyte of Python objects


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    Attributes:
        outputs: the code of what each action answers; None of one that answers nothing.
        shapes: what the numbers among codes mean.
    """

    outputs: Mapping[str, Code | None]
    shapes: Sequence[Shape]


def has_action(service: str, action: str) -> bool | None:
    """Whether a service has an action; None of a service that is not known.

    Args:
        service: lower-case letters and digits, as after `aws-sdk:`.
        action: camelCase.

    Source: AWS, "Learning to use AWS service SDK integrations in Step Functions".
    """
    actions = _index().get(service)
    return None if actions is None else action in actions.split(" ")


@lru_cache(maxsize=_SERVICES_KEPT)
def find_service(name: str) -> Service | None:
    """What a service answers; None of one that is not known. Takes 20 ms."""
    start = f'["{name}",'.encode()
    for line in _lines():
        if line.startswith(start):
            _, outputs, shapes = loads(line)
            return Service(outputs, shapes)
    return None


@lru_cache(maxsize=1)
def _index() -> Mapping[str, str]:
    actions: Mapping[str, str] = loads(next(_lines()))["actions"]
    return actions


def _lines() -> Iterator[bytes]:
    """The lines of the file; no more of it is unpacked than is asked for."""
    packed = pkgutil.get_data("treadle.asl", _FILE)
    assert packed is not None, f"the package is without {_FILE}"
    unpacker = zlib.decompressobj(_GZIP)
    rest = b""
    while packed:
        *lines, rest = (rest + unpacker.decompress(packed, _PIECE_BYTES)).split(b"\n")
        yield from lines
        packed = unpacker.unconsumed_tail
