"""How the two processes speak: each message is a head in JSON and a body of text.

One rule: a message is read whole or not at all.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_SIZES = struct.Struct(">II")


def packed(head: Mapping[str, Any], body: str = "") -> bytes:
    """The bytes of a message."""
    first, second = json.dumps(head).encode(), body.encode()
    return _SIZES.pack(len(first), len(second)) + first + second


def is_whole(message: bytes | bytearray) -> bool:
    """Whether all bytes of a message are there."""
    return len(message) >= _SIZES.size and len(message) >= _SIZES.size + sum(
        _SIZES.unpack_from(message)
    )


def unpacked(message: bytes) -> tuple[dict[str, Any], str]:
    """The head and the body of a whole message."""
    first, second = _SIZES.unpack_from(message)
    body = _SIZES.size + first
    return json.loads(message[_SIZES.size : body]), message[body : body + second].decode()


def read(stream: BinaryIO) -> tuple[dict[str, Any], str] | None:
    """The next message; None where the stream ends."""
    start = stream.read(_SIZES.size)
    if len(start) < _SIZES.size:
        return None
    rest = stream.read(sum(_SIZES.unpack(start)))
    message = start + rest
    return unpacked(message) if is_whole(message) else None
