"""Who took a Pod away, as an error of the attempt.

One rule: the DisruptionTarget condition speaks first, then the Pod's own reason, then its deletion.
"""

from treadle.asl.errors import TIMEOUT, StateError
from treadle.kube.api import Obj
from treadle.runners import podfacts

EVICTED = "Kubernetes.Evicted"
PREEMPTED = "Kubernetes.Preempted"
NODE_LOST = "Kubernetes.NodeLost"
POD_DELETED = "Kubernetes.PodDeleted"

# Reasons of the DisruptionTarget condition. TerminationByKubelet is told apart by the Pod's own.
_CONDITION_REASONS = {
    "PreemptionByScheduler": PREEMPTED,
    "EvictionByEvictionAPI": EVICTED,
    # The taints that come by themselves are those of a node that is not ready or not reachable.
    "DeletionByTaintManager": NODE_LOST,
    "DeletionByPodGC": NODE_LOST,
}
# Reasons of the Pod itself, set by a kubelet or the node controller.
_POD_REASONS = {
    "Evicted": EVICTED,
    "Terminated": EVICTED,  # graceful node shutdown
    "NodeShutdown": EVICTED,
    "Shutdown": EVICTED,
    "Preempting": PREEMPTED,  # by a critical Pod of the node
    "Preempted": PREEMPTED,
    "NodeLost": NODE_LOST,
    "DeadlineExceeded": TIMEOUT,
}


def reason_of(pod: Obj) -> str | None:
    """The error's name, where the Pod's own reason is one of being taken away."""
    return _POD_REASONS.get(str((pod.get("status") or {}).get("reason", "")))


def error_of(pod: Obj) -> StateError | None:
    """Why a Pod was taken away; None where nobody took it."""
    condition = podfacts.disruption(pod)
    if condition is not None:
        name = _CONDITION_REASONS.get(str(condition.get("reason"))) or reason_of(pod) or EVICTED
        return StateError(name, _sentence(pod, condition.get("message")))
    name_of_reason = reason_of(pod)
    if name_of_reason is not None:
        return StateError(name_of_reason, _sentence(pod, None))
    done = podfacts.terminated(pod) or {}
    if done.get("reason") == "ContainerStatusUnknown":
        return StateError(NODE_LOST, _sentence(pod, done.get("message")))
    if podfacts.is_deleting(pod):
        return StateError(POD_DELETED, _sentence(pod, "Somebody deleted the Pod."))
    return None


def unexplained(pod: Obj) -> StateError:
    """A Pod that is over though no container of it ran: its node refused it."""
    reason = (pod.get("status") or {}).get("reason") or "no reason given"
    return StateError(EVICTED, _sentence(pod, f"The node did not run the Pod ({reason})."))


def _sentence(pod: Obj, said: object) -> str:
    """What is known, for people: the condition's words, then the Pod's."""
    words = [str(each) for each in (said, (pod.get("status") or {}).get("message")) if each]
    node = (pod.get("spec") or {}).get("nodeName")
    where = f" on node {node}" if node else ""
    return f"Pod {pod['metadata'].get('name')}{where}: {' '.join(words) or 'it was taken away'}"
