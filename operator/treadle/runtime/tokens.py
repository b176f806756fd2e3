"""Task tokens: whoever has one may say how an attempt ended.

One rule: a token names its attempt and proves itself by a key, so that no table of tokens is kept:
a pause of a year costs what its frame costs.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from treadle.engine.events import TaskId
from treadle.runtime.ports import Attempt, ExecutionKey

TOKEN_CHARS_MAX = 1_024
"""No token of ours is longer. Source: AWS, "Service integration patterns"."""

_MAC_BYTES = 16  # unguessable, and short enough for a header


@dataclass(frozen=True, slots=True)
class Keys:
    """What tokens are signed with.

    Attributes:
        current: id of the key that signs; new tokens carry it.
        secrets: every key whose tokens are taken, by id.
    """

    current: str
    secrets: Mapping[str, bytes]


def issue(keys: Keys, execution: ExecutionKey, task: TaskId) -> str:
    """The token of an attempt: the same text whenever it is asked for under the same key."""
    said = _text(orjson.dumps([*execution, *task]))
    return f"{keys.current}.{said}.{_mac(keys, keys.current, said)}"


def read(keys: Keys, token: str) -> Attempt | None:
    """The attempt that a token is of; None where no key of ours has signed it."""
    parts = _parts(token)
    if len(parts) != 3 or len(token) > TOKEN_CHARS_MAX or parts[0] not in keys.secrets:
        return None
    if not token.isascii():
        return None  # half a surrogate pair is in no text that could be signed
    number, said, mac = parts
    if not hmac.compare_digest(mac.encode(), _mac(keys, number, said).encode()):
        return None
    namespace, name, uid, *task = orjson.loads(
        base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))
    )
    return Attempt(ExecutionKey(namespace, name, uid), TaskId(*task))


def key_id(token: str) -> str:
    """The id of the key that a token says to be signed with; any text has an answer."""
    return _parts(token)[0]


def _parts(token: str) -> list[str]:
    """Key, text and proof: a key may be called by any name of a Secret's member, as `2027.01`."""
    return token.rsplit(".", 2)


def _mac(keys: Keys, number: str, said: str) -> str:
    # The key's id is signed too: one key's text is no other's.
    whole = hmac.digest(keys.secrets[number], f"{number}.{said}".encode(), "sha256")
    return _text(whole[:_MAC_BYTES])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
