"""Chance that a seed decides.

One rule: the same seed gives the same stream on every machine, so a turn that is handled again
draws what it drew before.
"""

import hashlib


class JavaRandom:
    """java.util.Random: a seed of a user's means what it means on AWS."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ 0x5DEECE66D) & _MASK

    def bits(self, count: int) -> int:
        """The next number of so many bits, at most 32."""
        self._state = (self._state * 0x5DEECE66D + 0xB) & _MASK
        return self._state >> (48 - count)

    def unit(self) -> float:
        """nextDouble(): a number in [0, 1)."""
        high = self.bits(26)
        return float((high << 27) + self.bits(27)) / (1 << 53)


_MASK = (1 << 48) - 1


class Chance:
    """A stream of numbers and identifiers derived from a seed: block n is sha256(seed + n).

    `drawn` says how many blocks were taken, so that a stream can go on elsewhere.
    """

    __slots__ = ("drawn", "seed")

    def __init__(self, seed: bytes, drawn: int = 0) -> None:
        self.seed = seed
        self.drawn = drawn

    def uuid(self) -> str:
        """An identifier in the form of a random (version 4) UUID."""
        block = bytearray(self._block()[:16])
        block[6] = block[6] & 0x0F | 0x40
        block[8] = block[8] & 0x3F | 0x80
        text = block.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def unit(self) -> float:
        """A number in [0, 1), uniform."""
        return (int.from_bytes(self._block()[:8], "big") >> 11) / (1 << 53)

    def below(self, n: int) -> int:
        """An integer in [0, n). `n` is at least 1 and below 2**64: the bias stays under 2**-192."""
        return int.from_bytes(self._block(), "big") % n

    def _block(self) -> bytes:
        block = hashlib.sha256(self.seed + self.drawn.to_bytes(8, "big")).digest()
        self.drawn += 1
        return block
