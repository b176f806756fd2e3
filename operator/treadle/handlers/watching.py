"""What Kopf watches for us: Executions and StateMachines.

One rule: a handler decodes, posts and returns. Kopf writes nothing: no annotation, no finalizer.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import kopf

from treadle.kube import decode, versions
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import ALIASES, EXECUTIONS, GROUP, STATE_MACHINES, VERSION
from treadle.runtime.ports import Sighting


class Doorway(Protocol):
    """Where handlers post."""

    def execution_seen(self, sighting: Sighting) -> None:
        """An Execution was seen, or seen to go."""

    def machine_seen(self, namespace: str, name: str, *, judged: bool) -> None:
        """A StateMachine was seen; `judged`: its status is about its present generation."""

    def alias_seen(self, namespace: str, machine: str) -> None:
        """A StateMachineAlias of a machine was seen, or seen to go."""


Login = Callable[[], kopf.ConnectionInfo]


def register(registry: kopf.OperatorRegistry, doorway: Doorway, login: Login) -> None:
    """Attach our handlers to a registry. `login` gives the credentials that we use too."""

    @kopf.on.event(GROUP, VERSION, EXECUTIONS.plural, registry=registry, id="execution")
    async def execution_changed(event: kopf.RawEvent, **_: Any) -> None:
        deleted = event["type"] == "DELETED"
        doorway.execution_seen(decode.sighting(dict(event["object"]), deleted=deleted))

    @kopf.on.event(GROUP, VERSION, STATE_MACHINES.plural, registry=registry, id="machine")
    async def machine_changed(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            return
        machine: Any = event["object"]
        metadata = machine["metadata"]
        # The first look at it (no type) checks the revision too.
        judged = event["type"] is not None and decode.is_settled(machine)
        doorway.machine_seen(metadata["namespace"], metadata["name"], judged=judged)

    @kopf.on.event(GROUP, VERSION, ALIASES.plural, registry=registry, id="alias")
    async def alias_changed(event: kopf.RawEvent, **_: Any) -> None:
        alias: Any = event["object"]
        doorway.alias_seen(alias["metadata"]["namespace"], versions.machine_of(alias))

    @kopf.on.login(registry=registry, id="login")
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        return login()


def login_with(endpoint: Endpoint) -> Login:
    """Kopf's login with the credentials that our own client uses."""

    def login() -> kopf.ConnectionInfo:
        scheme, _, token = endpoint.headers().get("Authorization", "").partition(" ")
        certificate, key = endpoint.certificate_paths
        return kopf.ConnectionInfo(
            server=endpoint.server,
            ca_path=endpoint.ca_path,
            insecure=endpoint.insecure,
            scheme=scheme or None,
            token=token or None,
            certificate_path=certificate,
            private_key_path=key,
        )

    return login


async def watch(doorway: Doorway, login: Login, namespaces: Sequence[str]) -> None:
    """Watch until cancelled; no namespace means all of them."""
    registry = kopf.OperatorRegistry()
    register(registry, doorway, login)
    # Only peering needs one, but Kopf would make it of the user's name, and in a container our user
    # has none.
    identity: Any = "treadle"
    await kopf.operator(
        identity=identity,
        registry=registry,
        settings=quiet_settings(scanning=not namespaces),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
    )


class _NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is compared, so nothing is kept; the default copies every body of every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return kopf.BodyEssence({})

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """No handler is retried, so no progress is kept."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def quiet_settings(*, scanning: bool) -> kopf.OperatorSettings:
    """Kopf's settings for an operator that only watches.

    Args:
        scanning: look for namespaces and CRDs that come later; needs cluster-wide rights.
    """
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = not scanning
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = [1, 2, 3, 5, 8, 13]
    return settings
