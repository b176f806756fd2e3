"""What an execution is called in AWS's terms.

One rule: ARNs are made here and looked up, never parsed back into names.
"""

import hashlib
from dataclasses import dataclass

from treadle.asl.arns import Account
from treadle.engine.context import Identity
from treadle.runtime.ports import ExecutionKey, Request


@dataclass(frozen=True, slots=True)
class Identities:
    """Region and account of ARNs; an empty account is derived from the namespace."""

    region: str
    account: str

    def __call__(self, key: ExecutionKey, request: Request) -> Identity:
        """The identity of an execution."""
        account = self.of(key.namespace)
        return Identity(
            execution_arn=account.execution_arn(request.machine, request.name),
            execution_name=request.name,
            machine_arn=account.machine_arn(request.machine),
            machine_name=request.machine,
            version_arn=_qualified(account, request.machine, request.version),
            alias_arn=_qualified(account, request.machine, request.alias),
        )

    def of(self, namespace: str) -> Account:
        """What stands in the ARNs of a namespace."""
        return Account(self.region, self.account or account_of(namespace))


def _qualified(account: Account, machine: str, qualifier: int | str | None) -> str:
    return "" if qualifier is None else account.machine_arn(f"{machine}:{qualifier}")


def account_of(namespace: str) -> str:
    """Twelve digits that follow from a namespace. Source: design.md section 8."""
    digest = hashlib.sha256(namespace.encode()).digest()
    return f"{int.from_bytes(digest[:8]) % 10**12:012d}"
