"""What an execution is called in AWS's terms.

One rule: ARNs are made here and looked up, never parsed back into names.
"""

import hashlib
from dataclasses import dataclass

from treadle.asl import arns
from treadle.engine.context import Identity
from treadle.runtime.ports import ExecutionKey, Request


@dataclass(frozen=True, slots=True)
class Identities:
    """Region and account of ARNs; an empty account is derived from the namespace."""

    region: str
    account: str

    def __call__(self, key: ExecutionKey, request: Request) -> Identity:
        """The identity of an execution."""
        account = self.account or account_of(key.namespace)
        return Identity(
            execution_arn=arns.execution_arn(self.region, account, request.machine, request.name),
            execution_name=request.name,
            machine_arn=arns.state_machine_arn(self.region, account, request.machine),
            machine_name=request.machine,
        )


def account_of(namespace: str) -> str:
    """Twelve digits that follow from a namespace. Source: design.md section 8."""
    digest = hashlib.sha256(namespace.encode()).digest()
    return f"{int.from_bytes(digest[:8]) % 10**12:012d}"
