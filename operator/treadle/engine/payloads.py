"""JSON data that moves between states, with its text at most once made.

One rule: a payload is never changed; what changes a document makes a new one.
"""

import hashlib

from treadle.asl.json import Json, dumps, loads


class Payload:
    """A value, its exact text and the digest of that text; each is made when first asked for."""

    __slots__ = ("_digest", "_size", "_text", "_value")

    _unread = object()

    def __init__(self, value: Json, text: str | None = None) -> None:
        self._value = value
        self._text = text
        self._digest: str | None = None
        self._size = -1

    @classmethod
    def of_text(cls, text: str) -> "Payload":
        """A payload whose text is known to be JSON; the value is read when it is needed."""
        return cls(cls._unread, text)

    @classmethod
    def read(cls, text: str) -> "Payload":
        """A payload of a text that may not be JSON.

        Raises:
            ValueError: it is not, or it is nested too deeply.
        """
        payload = cls(loads(text))
        payload._text = dumps(payload._value)
        return payload

    @property
    def value(self) -> Json:
        """As Python data. Raises ValueError where the text was not JSON."""
        if self._value is self._unread:
            assert self._text is not None
            self._value = loads(self._text)
        return self._value

    @property
    def text(self) -> str:
        """As compact JSON."""
        if self._text is None:
            self._text = dumps(self._value)
        return self._text

    @property
    def size_bytes(self) -> int:
        """Of the text in UTF-8, which is what AWS counts."""
        if self._size < 0:
            text = self.text
            self._size = len(text) if text.isascii() else len(text.encode())
        return self._size

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        if self._digest is None:
            self._digest = hashlib.sha256(self.encoded).hexdigest()
        return self._digest

    @property
    def encoded(self) -> bytes:
        """The text in UTF-8."""
        return self.text.encode()

    def __repr__(self) -> str:
        return f"Payload({self.text[:60]!r})"
