"""Uids of Jobs in a snapshot: 16 bytes each, packed together.

One rule: what is unpacked is what was packed, whatever it was.
"""

import base64
from collections.abc import Sequence
from typing import Any

_NO_UID = bytes(16)


def packed(uids: Sequence[str]) -> Any:
    """Uids as a snapshot keeps them: a text, or a list where one of them is no UUID."""
    if not any(uids):
        return ""
    try:
        raw = b"".join(bytes.fromhex(uid.replace("-", "")) if uid else _NO_UID for uid in uids)
    except ValueError:
        return list(uids)
    text = base64.b64encode(raw).decode()
    # Other spellings of a UUID, and what is none, stay as they are.
    return text if unpacked(text, len(uids)) == list(uids) else list(uids)


def unpacked(kept: Any, count: int) -> list[str]:
    """So many uids; empty texts stand for none."""
    if isinstance(kept, list):
        return kept
    if not kept:
        return [""] * count
    raw = base64.b64decode(kept)
    chunks = (raw[start : start + 16] for start in range(0, len(raw), 16))
    return ["" if chunk == _NO_UID else _uid(chunk.hex()) for chunk in chunks]


def _uid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
