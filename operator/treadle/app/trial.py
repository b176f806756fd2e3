"""A tiny Execution, run to its end; `treadle try`.

One rule: what it makes it removes, however it ends.
"""

import asyncio
import secrets

from treadle.app.settings import Settings
from treadle.kube import credentials
from treadle.kube.api import Obj, Objects
from treadle.kube.client import Client
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.ports import TERMINAL, Fault, Missing

LOOK_SECONDS = 0.5

# A fan-out: it shows that the operator reads definitions, walks them and saves.
_DEFINITION = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.numbers",
            "ItemProcessor": {
                "StartAt": "Keep",
                "States": {"Keep": {"Type": "Pass", "End": True}},
            },
            "End": True,
        }
    },
}
_INPUT = {"numbers": [1, 2, 3]}
_OUTPUT = "[1,2,3]"


class TrialFailed(Exception):  # noqa: N818 - it says what happened
    """The Execution did not end as it must; the sentence says what was seen."""


def run(settings: Settings, namespace: str, seconds: float) -> str:
    """Run it in a namespace.

    Returns:
        A sentence that says so.

    Raises:
        ValueError: the credentials cannot be used.
        TrialFailed: it did not succeed in time.
        Fault: the API server refuses, or is away.
    """
    return asyncio.run(_run(settings, namespace, seconds))


async def _run(settings: Settings, namespace: str, seconds: float) -> str:
    endpoint = credentials.load(settings.kubeconfig, settings.context, settings.environment)
    async with Client(endpoint) as api:
        name = f"treadle-try-{secrets.token_hex(4)}"
        await try_out(api, namespace, name, seconds)
        return f"Execution {name} succeeded."


async def try_out(api: Objects, namespace: str, name: str, seconds: float) -> None:
    """Run a StateMachine and an Execution of this name, and remove both.

    Raises:
        TrialFailed: it did not succeed in so many seconds.
        Fault: the API server refuses, or is away.
    """
    machine = STATE_MACHINES.manifest(name, {"definition": _DEFINITION})
    spec = {"stateMachineRef": {"name": name}, "input": _INPUT}
    try:
        await api.create(STATE_MACHINES, namespace, machine)
        await api.create(EXECUTIONS, namespace, EXECUTIONS.manifest(name, spec))
        await _succeeds(api, namespace, name, seconds)
    except BaseException:
        # Also where somebody pressed Ctrl-C: no object stays behind, and what went wrong first is
        # what is told, not what went wrong when they were removed.
        await _remove(api, namespace, name)
        raise
    for fault in await _remove(api, namespace, name):
        raise fault


async def _remove(api: Objects, namespace: str, name: str) -> list[Fault]:
    """Remove both, whatever becomes of the other; gives why one remains."""
    found: list[Fault] = []
    for kind in (EXECUTIONS, STATE_MACHINES):
        try:
            await api.delete(kind, namespace, name)
        except Missing:
            continue
        except Fault as fault:
            found.append(fault)
    return found


async def _succeeds(api: Objects, namespace: str, name: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        status = (await api.get(EXECUTIONS, namespace, name)).get("status") or {}
        if status.get("phase") in TERMINAL or loop.time() >= deadline:
            break
        await asyncio.sleep(LOOK_SECONDS)
    if (status.get("phase"), status.get("output")) != ("Succeeded", _OUTPUT):
        raise TrialFailed(_story(name, status, seconds))


def _story(name: str, status: Obj, seconds: float) -> str:
    phase = status.get("phase")
    if phase is None:
        return (
            f"Execution {name} was not looked at within {seconds:.0f} s: does an operator run, "
            "and does it serve this namespace?"
        )
    said = [
        status[member] for member in ("message", "error", "cause", "output") if member in status
    ]
    return ": ".join((f"Execution {name} is {phase} after at most {seconds:.0f} s", *said))
