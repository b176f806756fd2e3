"""Whether a child may be made: its machine is there, and may be started from where its parent is.

One rule: whoever may not start a machine of another namespace is not told whether there is one.
"""

from typing import Final

from treadle.asl.arns import Account
from treadle.asl.errors import StateError
from treadle.kube import versions
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import STATE_MACHINES
from treadle.runners import child
from treadle.runners.child import Wish
from treadle.runtime.ports import Missing

DENIED: Final = "Treadle.StateMachineDenied"
ANYBODY: Final = "*"


def unserved(namespace: str) -> StateError:
    """Another operator, or none, serves the machine's namespace."""
    cause = (
        f"Nothing can be started in namespace {namespace}: this operator does not serve it (its "
        "setting `namespaces`)."
    )
    return StateError(DENIED, cause)


async def refusal(api: Objects, wish: Wish, home: str, account: Account) -> StateError | None:
    """Why a child may not be made now; None where it may. It is read, whatever was seen before.

    Args:
        api: where machines are.
        wish: what a Task asks for.
        home: the Task's namespace.
        account: of that namespace.

    Raises:
        Fault: ask again.
    """
    namespace = wish.namespace or home
    if namespace != home:
        return await _denial(api, wish.machine, namespace, home)
    # By its name alone a machine is waited for, as any Execution does.
    if wish.arn is not None and not await _exists(api, home, wish):
        return child.no_machine(wish.arn, account)
    return None


async def _denial(api: Objects, machine: str, namespace: str, home: str) -> StateError | None:
    try:
        if _allows(await api.get(STATE_MACHINES, namespace, machine), home):
            return None
    except Missing:
        pass
    cause = (
        f"Namespace {namespace} has no StateMachine '{machine}' that may be started from namespace "
        f"{home}. Its owner allows that: /spec/callers/namespaces of the StateMachine must have "
        f'"{home}" or "{ANYBODY}".'
    )
    return StateError(DENIED, cause)


def _allows(machine: Obj, namespace: str) -> bool:
    allowed = (machine["spec"].get("callers") or {}).get("namespaces") or ()
    return namespace in allowed or ANYBODY in allowed


async def _exists(api: Objects, namespace: str, wish: Wish) -> bool:
    place = (namespace, wish.machine)
    try:
        await api.get(STATE_MACHINES, *place)
    except Missing:
        return False
    if wish.version is not None:
        return await versions.version(api, *place, wish.version) is not None
    return wish.alias is None or await versions.alias(api, *place, wish.alias) is not None
