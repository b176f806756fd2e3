"""What users read: AWS's history of an execution.

One rule: ids count from 1 without a gap; an entry, once numbered, is never changed.
"""

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from treadle.engine.payloads import Payload
from treadle.engine.times import to_ms

PAYLOAD_INLINE_BYTES_MAX = 4_096  # a larger one is a page of its own; entries name its digest
TAIL_BYTES_MAX = 4_096  # compressed; design.md section 5: "flushed to a page when it grows"
TAIL_RAW_BYTES_MAX = (
    192 * 1024
)  # bounds a page however well it packs; under snapshot.PAGE_RAW_BYTES_MAX


@dataclass(slots=True)
class History:
    """The newest entries, and the digest of the page that holds those before them.

    Attributes:
        next_id: of the next entry.
        head: digest of the newest page; each page names its predecessor.
        lines: encoded entries that no page holds yet.
        pages: pages made since they were last taken, by digest.
    """

    next_id: int = 1
    head: str | None = None
    lines: list[bytes] = field(default_factory=list)
    pages: dict[str, bytes] = field(default_factory=dict)
    payloads: dict[str, Payload] = field(default_factory=dict)
    _fresh: list[tuple[int, int, str, int, Mapping[str, Any] | None]] = field(default_factory=list)

    def add(
        self, kind: str, previous: int, at: datetime, details: Mapping[str, Any] | None = None
    ) -> int:
        """Append an entry.

        Args:
            kind: AWS's event type.
            previous: id of the entry that led to this one; 0 for none.
            at: when it happened.
            details: AWS's detail members; a Payload stands for its text.

        Returns:
            Its id.
        """
        number = self.next_id
        self.next_id = number + 1
        self._fresh.append((number, previous, kind, to_ms(at), details))
        return number

    def encode_fresh(self) -> None:
        """Turn what was added into lines; cheap to call again."""
        for entry in self._fresh:
            self.lines.append(orjson.dumps(entry, default=self._encode_payload))
        self._fresh.clear()

    def _encode_payload(self, value: object) -> Any:
        assert isinstance(value, Payload), type(value)
        if value.size_bytes <= PAYLOAD_INLINE_BYTES_MAX:
            return {"~": orjson.Fragment(value.encoded)}
        self.payloads[value.digest] = value
        return {"#": value.digest, "bytes": value.size_bytes}

    def tail(self) -> str:
        """The text of the entries that travel in the checkpoint; too many move to pages first."""
        self.encode_fresh()
        if not self.lines:
            return ""
        packed = b""
        if sum(map(len, self.lines)) <= TAIL_RAW_BYTES_MAX:
            packed = zlib.compress(b"\n".join(self.lines), 6)
        if not packed or len(packed) > TAIL_BYTES_MAX:
            self._flush()
            return ""
        return base64.b64encode(packed).decode()

    def _flush(self) -> None:
        start = 0
        while start < len(self.lines):
            end, size = start, 0
            while end < len(self.lines) and (end == start or size < TAIL_RAW_BYTES_MAX):
                size += len(self.lines[end])
                end += 1
            self._add_page(self.lines[start:end])
            start = end
        self.lines.clear()

    def _add_page(self, lines: Iterable[bytes]) -> None:
        previous = b'"' + self.head.encode() + b'"' if self.head else b"null"
        raw = b'{"previous":' + previous + b',"entries":[' + b",".join(lines) + b"]}"
        self.head = Payload(None, raw.decode()).digest
        self.pages[self.head] = raw

    @classmethod
    def restored(cls, next_id: int, head: str | None, tail: str) -> "History":
        """From what a snapshot keeps."""
        return cls(next_id=next_id, head=head, lines=tail_lines(tail))


def tail_lines(tail: str) -> list[bytes]:
    """The encoded entries of a tail's text, one `[id, previous, type, at_ms, details]` a line.

    Raises:
        ValueError: see `unpacked`; or zlib.error.
    """
    if not tail:
        return []
    return unpacked(tail, 2 * TAIL_RAW_BYTES_MAX).split(b"\n")


def unpacked(packed: str, bytes_max: int) -> bytes:
    """The bytes of a text in Base64 that packs them.

    Raises:
        ValueError: it is no such text, is cut, or holds more than `bytes_max`; or zlib.error.
    """
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(base64.b64decode(packed, validate=True), bytes_max)
    if not unpacker.eof:
        raise ValueError("cut, or larger than any snapshot")
    return raw
