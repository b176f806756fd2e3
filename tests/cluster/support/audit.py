"""What somebody has asked of the API server, by its audit log.

The one rule: only lines that were written after a beginning count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.cluster.lab import places
from tests.support.chart import Right


@dataclass(frozen=True)
class Audit:
    """The requests of one user since a point in the log."""

    user: str
    offset: int

    @staticmethod
    def begin(user: str) -> Audit:
        """From now on."""
        return Audit(user, places.AUDIT_LOG.stat().st_size)

    def used(self) -> set[Right]:
        """What he did and was let do."""
        return {right for right, allowed in self._requests() if allowed}

    def refused(self) -> set[Right]:
        """What he had no right to."""
        return {right for right, allowed in self._requests() if not allowed}

    def _requests(self) -> Iterator[tuple[Right, bool]]:
        with places.AUDIT_LOG.open("rb") as log:
            log.seek(self.offset)
            for line in log:
                if line.endswith(b"\n") and self.user.encode() in line:
                    yield from self._request(json.loads(line))

    def _request(self, event: dict[str, Any]) -> Iterator[tuple[Right, bool]]:
        ref = event.get("objectRef")
        if event["user"]["username"] != self.user or not ref:
            return
        resource = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
        decision = event["annotations"]["authorization.k8s.io/decision"]
        yield Right(ref.get("apiGroup", ""), resource, event["verb"]), decision == "allow"
