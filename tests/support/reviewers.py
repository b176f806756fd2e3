"""An API server that is only asked who somebody is and what they may do.

One rule: it counts what it is asked; who is known, the test says.
"""

import asyncio
from typing import Any

from treadle.kube.api import Obj
from treadle.kube.kinds import TOKEN_REVIEWS, Kind
from treadle.runtime.ports import Fault, Missing


class Reviewer:
    """See the module.

    Attributes:
        known: by token, the name of its user; all are of the audience `treadle`.
        rights: of users: (name, verb, namespace, object).
        asked: kinds of the reviews.
        fault: what is raised instead of an answer.
        open: whether answers come.
    """

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.rights: set[tuple[str, str, str, str]] = set()
        self.audiences: list[str] = ["treadle"]
        self.asked: list[str] = []
        self.fault: Fault | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        """There is nothing."""
        raise Missing(f"{kind.name} {namespace}/{name}")

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """A review."""
        assert namespace is None
        self.asked.append(kind.name)
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        spec = obj["spec"]
        return {**obj, "status": self._whose(spec) if kind == TOKEN_REVIEWS else self._may(spec)}

    def _whose(self, spec: dict[str, Any]) -> dict[str, Any]:
        assert spec["audiences"] == ["treadle"]
        name = self.known.get(spec["token"])
        if name is None:
            return {"authenticated": False, "error": "invalid bearer token"}
        user = {"username": name, "uid": "u", "groups": ["system:serviceaccounts"]}
        return {"authenticated": True, "user": user, "audiences": self.audiences}

    def _may(self, spec: dict[str, Any]) -> dict[str, Any]:
        about = spec["resourceAttributes"]
        assert (about["group"], about["resource"]) == ("treadle.dev", "activities")
        right = (spec["user"], about["verb"], about["namespace"], about["name"])
        return {"allowed": right in self.rights}
