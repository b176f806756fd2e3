"""The keys that sign task tokens, in a Secret that the operator makes itself.

One rule: it is made once and never changed by us, so that whatever renders a chart again kills no
token of a pause of months. Who rotates adds a key and makes it the current one.
"""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable
from typing import Final

from treadle.engine.events import TaskId
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import SECRETS
from treadle.runtime import tokens
from treadle.runtime.ports import AlreadyExists, Attempt, ExecutionKey, Missing, Unavailable
from treadle.runtime.tokens import Keys

CURRENT: Final = "current"
KEY_BYTES: Final = 32
AGAIN_SECONDS: Final = 5.0
"""How often a token of an unknown key lets the Secret be read again."""


class TokenKeys:
    """Issues tokens and reads them, with the keys of a Secret.

    Args:
        api: where the Secret is, or is made.
        namespace: its namespace.
        name: its name.
        draw: gives so many bytes that nobody can guess.
    """

    def __init__(
        self,
        api: Objects,
        namespace: str,
        name: str,
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._draw = draw
        self._keys: Keys | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def open(self) -> None:
        """Read the keys; the first of all processes makes one.

        Raises:
            Fault: they cannot be read; or what is there are no keys.
        """
        try:
            found = await self._api.get(SECRETS, self._namespace, self._name)
        except Missing:
            found = await self._make()
        self._keys = _keys(found)
        self._read_at = asyncio.get_running_loop().time()

    async def _make(self) -> Obj:
        number = self._draw(4).hex()
        key = base64.b64encode(self._draw(KEY_BYTES)).decode()
        secret = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.name,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "type": "treadle.dev/token-keys",
            "data": {CURRENT: base64.b64encode(number.encode()).decode(), number: key},
        }
        try:
            return await self._api.create(SECRETS, self._namespace, secret)
        except AlreadyExists:
            return await self._api.get(SECRETS, self._namespace, self._name)

    def issue(self, execution: ExecutionKey, task: TaskId) -> str:
        """The token of an attempt. Raises: Unavailable (the keys are not known yet)."""
        if self._keys is None:
            raise Unavailable(self._unread)
        return tokens.issue(self._keys, execution, task)

    async def read(self, token: str) -> Attempt | None:
        """The attempt that a token is of; None where no key has signed it. Raises: Fault."""
        if self._keys is None or tokens.key_id(token) not in self._keys.secrets:
            await self._read_again()
        if self._keys is None:
            # It may be a good one: to say no would be for good.
            raise Unavailable(self._unread)
        return tokens.read(self._keys, token)

    @property
    def _unread(self) -> str:
        return f"the keys in Secret {self._namespace}/{self._name} are not read yet"

    async def _read_again(self) -> None:
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if now - self._read_at < AGAIN_SECONDS:
                return
            self._read_at = now
            await self.open()


def _keys(secret: Obj) -> Keys:
    data = secret.get("data") or {}
    try:
        raw = {name: base64.b64decode(text, validate=True) for name, text in data.items()}
        current = raw.pop(CURRENT).decode()
        if current not in raw or any(len(key) < KEY_BYTES for key in raw.values()):
            raise ValueError
    except (binascii.Error, KeyError, ValueError):
        where = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
        raise Unavailable(
            f"the Secret {where} holds no keys: it needs {CURRENT}, the name of one of its other "
            f"members, and each of those at least {KEY_BYTES} bytes"
        ) from None
    return Keys(current, raw)
