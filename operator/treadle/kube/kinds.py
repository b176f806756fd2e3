"""The kinds of objects that Treadle reads or writes."""

from dataclasses import dataclass
from typing import Any

GROUP = "treadle.dev"
VERSION = "v1alpha1"


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives in the API."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        """As in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def manifest(self, name: str, spec: Any) -> dict[str, Any]:
        """An object of this kind, as it is applied."""
        metadata = {"name": name}
        return {
            "apiVersion": self.api_version,
            "kind": self.name,
            "metadata": metadata,
            "spec": spec,
        }


STATE_MACHINES = Kind(GROUP, VERSION, "statemachines", "StateMachine")
REVISIONS = Kind(GROUP, VERSION, "statemachinerevisions", "StateMachineRevision")
ALIASES = Kind(GROUP, VERSION, "statemachinealiases", "StateMachineAlias")
EXECUTIONS = Kind(GROUP, VERSION, "executions", "Execution")
ACTIVITIES = Kind(GROUP, VERSION, "activities", "Activity")
PAGES = Kind(GROUP, VERSION, "executionpages", "ExecutionPage")
APPROVALS = Kind(GROUP, VERSION, "approvals", "Approval")
JOBS = Kind("batch", "v1", "jobs", "Job")
PODS = Kind("", "v1", "pods", "Pod")
SECRETS = Kind("", "v1", "secrets", "Secret")
EVENTS = Kind("", "v1", "events", "Event")
QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota")
NODES = Kind("", "v1", "nodes", "Node")
TOKEN_REVIEWS = Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview")
ACCESS_REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")
WHO_AM_I = Kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview")
MAY_I = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
