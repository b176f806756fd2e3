"""Tasks of random machines that ask people; who answers is scripted in their details.

One rule: what they give tells who decided and no times, so that it is the same in every world.
"""

import random
from typing import Any

from treadle.sim.nesting import State, retrier

_DECIDED_AGAINST = {
    "Rejected": "Treadle.ApprovalRejected",
    "Expired": "Treadle.ApprovalExpired",
}


def asking(dice: random.Random, message: str) -> tuple[State, str]:
    """A question to people, and the error that it ends with; empty where it is approved."""
    verdict = dice.choice(("Approved", "Rejected", "Expired", "nearly", "nearly"))
    quorum = dice.choice((1, 1, 2))
    parameters, decide = _votes(dice, verdict, quorum)
    retried = [*_DECIDED_AGAINST.values()] if verdict == "nearly" else []
    details: dict[str, Any] = {"decide": decide}
    if dice.random() < 0.4:
        details["fragile"] = True
        retried.append("Treadle.ApprovalDeleted")
    state: State = {
        "Type": "Task",
        "Resource": "treadle:approval",
        "Parameters": {"message": message, "details": details, "quorum": quorum, **parameters},
        # When somebody decided is another world's.
        "ResultSelector": {"ok.$": "$.approved", "by.$": "$.decisions[*].by"},
    }
    if retried:
        state["Retry"] = [retrier(retried, attempts=30)]
    return state, _DECIDED_AGAINST.get(verdict, "")


def _votes(
    dice: random.Random, verdict: str, quorum: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """More parameters, and who says what when; the last ones change nothing any more."""
    at = dice.choice((0.0, 0.01, 1.0, 8.0))
    if verdict == "nearly":
        said = {"approve": True, "before": dice.choice((0.005, 0.05, 0.3, 1.0))}
        said["rejects"] = dice.randint(0, 5)
        votes = [{"by": f"p{n}", **said} for n in range(quorum)]
        return {"expiresSeconds": dice.randint(2, 5)}, votes
    votes = [{"by": f"p{n}", "approve": True, "seconds": at + n / 2} for n in range(quorum - 1)]
    if verdict == "Expired":
        late = {"by": "late", "approve": True, "before": -1.0}
        return {"expiresSeconds": dice.randint(3, 30)}, [*votes[:1], late]
    approves = verdict == "Approved"
    votes.append({"by": "last", "approve": approves, "seconds": at + 2})
    votes.append({"by": "after", "approve": not approves, "seconds": at + 2.5})
    return ({"expiresSeconds": 3600} if dice.random() < 0.5 else {}), votes
