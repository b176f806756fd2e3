"""People who decide on Approvals: several, twice, and too late; and what must hold of each.

One rule: whether a decision counts is judged from the order in which it landed, never from what an
operator says of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS, Kind
from treadle.kube.manifests import ATTEMPT_NUMBER
from treadle.runtime.ports import Missing, Refused
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import key_of, later

_TERMINAL = frozenset({"Approved", "Rejected", "Expired", "Closed"})


def in_time(old: Obj, now: datetime) -> None:
    """The chart's admission policy: nobody decides after expiry. Raises: Refused.

    The real policy compares the time of the request, which has whole seconds.
    """
    until = old["spec"].get("expiresAt")
    if until and now.replace(microsecond=0) >= datetime.fromisoformat(until):
        name = old["metadata"]["name"]
        raise Refused(403, "Forbidden", f'approvals "{name}" is forbidden: it has expired')


class Deciders:
    """Whoever is asked by an Approval.

    Its details script them: `{"decide": [{"by", "approve", "seconds" or "before", "rejects"}]}`:
    seconds after it was made, or before it expires; so many attempts are rejected before. Everybody
    tries twice.

    Attributes:
        violations: what did not hold of an Approval.
    """

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self.violations: list[str] = []
        cluster.objects.listeners.append(self._seen)

    def _seen(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        if kind != APPROVALS or new is None:
            return
        if old is None:
            script = (new["spec"].get("details") or {}).get("decide") or ()
            for number, entry in enumerate(script):
                # One after the other, also where all come at the last moment.
                seconds = self._seconds(new, entry) + number / 1000
                later(seconds, self._decide, new, entry)
            return
        self._check(old, new)

    def _seconds(self, approval: Obj, entry: Mapping[str, Any]) -> float:
        if "before" not in entry:
            return float(entry["seconds"])
        until = datetime.fromisoformat(approval["spec"]["expiresAt"])
        left = (until - self._cluster.objects.now()).total_seconds()
        return max(0.0, left - float(entry["before"]))

    # --------------------------------------------------------------------------------- deciding

    def _decide(self, asked: Obj, entry: Mapping[str, Any]) -> None:
        first = self._takes(asked, entry)
        again = self._takes(asked, {**entry, "approve": not entry["approve"]})
        name = asked["metadata"]["name"]
        if again and first:
            self._violated(f"{entry['by']} decides twice on Approval {name}")
        if first and entry.get("before", 1) < 0:
            self._violated(f"{entry['by']} decides on Approval {name} after it expired")

    def _takes(self, asked: Obj, entry: Mapping[str, Any]) -> bool:
        """Whether the API server takes a decision."""
        namespace, name = key_of(asked)
        attempt = int(asked["metadata"]["annotations"][ATTEMPT_NUMBER])
        approves = entry["approve"] and attempt > entry.get("rejects", 0)
        said = {"by": entry["by"], "approve": approves}
        patch = [{"op": "add", "path": "/spec/decisions/-", "value": said}]
        objects = self._cluster.objects
        stored = objects.peek(APPROVALS, namespace, name)
        if stored is None or stored["metadata"]["uid"] != asked["metadata"]["uid"]:
            return False
        try:
            in_time(stored, objects.now())
            objects.patch(APPROVALS, namespace, name, patch, form="json")
        except (Missing, Refused) as why:
            self._cluster.note(f"{said['by']} cannot decide on {name}: {why}")
            return False
        return True

    # --------------------------------------------------------------------------------- checking

    def _check(self, old: Obj, new: Obj) -> None:
        name, before, after = new["metadata"]["name"], _phase(old), _phase(new)
        if before == after:
            return
        if before in _TERMINAL:
            self._violated(f"Approval {name} was {before} and is {after}")
        decided = _tally(new["spec"].get("decisions") or (), new["spec"].get("quorum", 1))
        # Nobody need count the votes for an attempt that is over.
        if after in _TERMINAL - {"Closed"} and (decided or "Expired") != after:
            self._violated(f"Approval {name} is {after} though it is {decided or 'undecided'}")

    def _violated(self, sentence: str) -> None:
        self._cluster.note(f"VIOLATION: {sentence}")
        self.violations.append(sentence)


def _phase(approval: Obj) -> str:
    return (approval.get("status") or {}).get("phase") or "Pending"


def _tally(decisions: Sequence[Mapping[str, Any]], quorum: int) -> str:
    """What the decisions come to, in the order in which they landed."""
    for votes, each in enumerate(decisions, 1):
        if not each["approve"]:
            return "Rejected"
        if votes >= quorum:
            return "Approved"
    return ""
