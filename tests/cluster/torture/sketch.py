"""States of machines of the mix, drawn: Jobs that play a script, calls of a recording server."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]

EXPENDABLE = "Expendable"
"""In the name of a state whose running Pods may be deleted."""

IMAGE = "busybox:1.36"
GONE = ["Kubernetes.PodDeleted", "Kubernetes.JobDeleted"]


@dataclass(frozen=True)
class Sketch:
    """Draws states."""

    draw: random.Random
    caller_url: str

    def job(self, name: str, *, seconds: tuple[int, int] = (4, 8), **more: Any) -> Obj:
        """A Job that gives back its input; where its name says so, its Pods may be deleted."""
        script = json.dumps({"seconds": self.draw.randint(*seconds), "echoInput": True})
        state: Obj = {
            "Type": "Task",
            "Resource": "treadle:job",
            "Parameters": {
                "image": IMAGE,
                "command": ["pretend", script],
                "input": {"by": name, "of.$": "$$.Execution.Name"},
            },
            "ResultPath": f"$.{name}",
            **more,
        }
        if EXPENDABLE in name:
            state["Retry"] = [*state.get("Retry", []), forgiving()]
        return state

    def script(self, told: Obj, **more: Any) -> Obj:
        """A Job of a script of its own."""
        return {
            "Type": "Task",
            "Resource": "treadle:job",
            "Parameters": {"image": IMAGE, "command": ["pretend", json.dumps(told)]},
            **more,
        }

    def call(self, name: str, *, fail_times: int = 0, status: int = 503, **more: Any) -> Obj:
        """An HTTP call to the recording server, which answers as its body says."""
        return {
            "Type": "Task",
            "Resource": "treadle:http",
            "Parameters": {
                "ApiEndpoint": f"{self.caller_url}/call",
                "Method": "POST",
                "RequestBody": {
                    "call.$": f"States.Format('{{}}/{name}', $$.Execution.Name)",
                    "seconds": round(self.draw.uniform(0.3, 2.5), 1),
                    "failTimes": fail_times,
                    "status": status,
                },
            },
            "ResultSelector": {"said.$": "$.ResponseBody.said", "code.$": "$.StatusCode"},
            "ResultPath": f"$.{name}",
            **more,
        }


def forgiving() -> Obj:
    """The retrier of a state whose running Pods may be deleted."""
    return {"ErrorEquals": GONE, "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 50}
