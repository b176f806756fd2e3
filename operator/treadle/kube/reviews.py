"""Who a Kubernetes token is of, and what they may do: the API server's answers, kept for a while.

One rule: a token is taken for our audience only: what may do other things elsewhere is no business
of ours.
"""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from treadle.kube.api import Objects
from treadle.kube.kinds import ACCESS_REVIEWS, TOKEN_REVIEWS, Kind

AUDIENCE: Final = "treadle"
KNOWN_SECONDS: Final = 120.0
"""How long an answer is kept. Source: kubelet, authentication.webhook.cacheTTL."""

REFUSED_SECONDS: Final = 10.0
"""The same, where it is no: whoever was just given a right is let in soon."""

KEPT_MAX: Final = 20_000
ASKED_MAX: Final = 20
"""Questions at once; a crowd of unknown callers waits for its turn."""

_SERVICE_ACCOUNT = "system:serviceaccount:"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    """Whose token it is, as the API server says."""

    name: str
    uid: str
    groups: tuple[str, ...]

    @property
    def namespace(self) -> str:
        """That of a service account; empty for other users."""
        if not self.name.startswith(_SERVICE_ACCOUNT):
            return ""
        return self.name.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]


class Reviews:
    """See the module."""

    def __init__(self, api: Objects) -> None:
        self._api = api
        self._users: _Kept[str, User | None] = _Kept()
        self._rights: _Kept[tuple[User, Kind, str, str, str], bool] = _Kept()
        self._slots = asyncio.Semaphore(ASKED_MAX)

    async def user(self, token: str) -> User | None:
        """Whose token it is; None where it is not for us, or no longer good. Raises: Fault."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        kept = self._users.get(key)
        if kept is not None:
            return kept[0]
        async with self._slots:
            # Somebody may have asked meanwhile: a crowd with one token asks once.
            kept = self._users.get(key) or (await self._ask_whose(token),)
        self._users.keep(key, kept[0], KNOWN_SECONDS if kept[0] else REFUSED_SECONDS)
        return kept[0]

    async def _ask_whose(self, token: str) -> User | None:
        status = await self._ask(TOKEN_REVIEWS, {"token": token, "audiences": [AUDIENCE]})
        if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
            return None
        said = status.get("user") or {}
        return User(said.get("username", ""), said.get("uid", ""), tuple(said.get("groups") or ()))

    async def may(self, user: User, verb: str, kind: Kind, namespace: str, name: str) -> bool:
        """Whether a user may do something to an object. Raises: Fault."""
        key = (user, kind, verb, namespace, name)
        kept = self._rights.get(key)
        if kept is not None:
            return kept[0]
        async with self._slots:
            kept = self._rights.get(key) or (await self._ask_whether(*key),)
        self._rights.keep(key, kept[0], KNOWN_SECONDS if kept[0] else REFUSED_SECONDS)
        return kept[0]

    async def _ask_whether(
        self, user: User, kind: Kind, verb: str, namespace: str, name: str
    ) -> bool:
        about = {
            "group": kind.group,
            "resource": kind.plural,
            "verb": verb,
            "namespace": namespace,
            "name": name,
        }
        who = {"user": user.name, "uid": user.uid, "groups": list(user.groups)}
        status = await self._ask(ACCESS_REVIEWS, {**who, "resourceAttributes": about})
        return bool(status.get("allowed"))

    async def _ask(self, kind: Kind, spec: dict[str, Any]) -> dict[str, Any]:
        review = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {}, "spec": spec}
        answer = await self._api.create(kind, None, review)
        status: dict[str, Any] = answer.get("status") or {}
        return status


K = TypeVar("K")


class _Kept(Generic[K, T]):
    """Answers, each until it is too old; of too many the oldest goes."""

    def __init__(self) -> None:
        self._answers: OrderedDict[K, tuple[float, T]] = OrderedDict()

    def get(self, key: K) -> tuple[T] | None:
        """The answer, within a tuple for it may be None."""
        kept = self._answers.get(key)
        if kept is None or kept[0] <= asyncio.get_running_loop().time():
            return None
        return (kept[1],)

    def keep(self, key: K, answer: T, seconds: float) -> None:
        """Keep it for so long."""
        self._answers.pop(key, None)
        self._answers[key] = (asyncio.get_running_loop().time() + seconds, answer)
        while len(self._answers) > KEPT_MAX:
            self._answers.popitem(last=False)
