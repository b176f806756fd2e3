"""Texts that behave in a known way.

One rule: the same arguments give the same text.
"""

import base64


def incompressible(size: int, salt: int = 1) -> str:
    """A text that packs badly."""
    parts: list[str] = []
    while len(parts) * 10 < size:
        salt = (salt * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        parts.append(base64.b85encode(salt.to_bytes(8, "big")).decode())
    return "".join(parts)[:size]
