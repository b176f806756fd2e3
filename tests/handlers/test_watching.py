"""Kopf's handlers decode, post and return; Kopf itself writes nothing."""

import asyncio
import getpass
from pathlib import Path
from typing import Any

import kopf
import pytest

from tests.runtime.stage import NOTHING, Stage, on_a_stage
from treadle.handlers import watching
from treadle.kube import credentials
from treadle.kube.kinds import STATE_MACHINES
from treadle.runtime.ports import Sighting


class Door:
    """Keeps what was posted."""

    def __init__(self) -> None:
        self.executions: list[Sighting] = []
        self.machines: list[tuple[str, str, bool]] = []
        self.aliases: list[tuple[str, str]] = []

    def execution_seen(self, sighting: Sighting) -> None:
        self.executions.append(sighting)

    def machine_seen(self, namespace: str, name: str, *, judged: bool) -> None:
        self.machines.append((namespace, name, judged))

    def alias_seen(self, namespace: str, machine: str) -> None:
        self.aliases.append((namespace, machine))


LOGIN = kopf.ConnectionInfo(server="https://example")


def handlers(door: Door) -> dict[str, Any]:
    registry = kopf.OperatorRegistry()
    watching.register(registry, door, lambda: LOGIN)
    found: dict[str, Any] = {
        str(handler.id): handler.fn for handler in registry._watching.get_all_handlers()
    }
    found |= {str(handler.id): handler.fn for handler in registry._activities.get_all_handlers()}
    return found


def tell(door: Door, which: str, kind: str | None, obj: Any) -> None:
    handler = handlers(door)[which]
    asyncio.run(handler(event={"type": kind, "object": obj}, memo=None, logger=None))


def an_execution(**more: Any) -> dict[str, Any]:
    metadata = {
        "name": "e",
        "namespace": "default",
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    spec = {"stateMachineRef": {"name": "m"}, "input": {}}
    return {"metadata": metadata, "spec": spec, **more}


def a_machine(observed: int | None, generation: int = 2) -> dict[str, Any]:
    metadata = {"name": "m", "namespace": "default", "generation": generation}
    status = {} if observed is None else {"status": {"observedGeneration": observed}}
    return {"metadata": metadata, "spec": {}, **status}


def test_only_four_things_are_registered() -> None:
    assert set(handlers(Door())) == {"execution", "machine", "alias", "login"}


def test_nothing_makes_kopf_write() -> None:
    registry = kopf.OperatorRegistry()
    watching.register(registry, Door(), lambda: LOGIN)
    for kind in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(kind.get_all_handlers()) == []


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED"])
def test_an_execution_is_posted_as_it_is_seen(kind: str | None) -> None:
    door = Door()
    tell(door, "execution", kind, an_execution(status={"phase": "Pending"}))
    (sighting,) = door.executions
    assert (sighting.key.name, sighting.version, sighting.phase) == ("e", "7", "Pending")
    assert not sighting.deleted
    assert sighting.loaded is not None


def test_its_deletion_is_posted_too() -> None:
    door = Door()
    tell(door, "execution", "DELETED", an_execution())
    (sighting,) = door.executions
    assert sighting.deleted
    assert sighting.loaded is None


def test_an_execution_that_cannot_be_used_is_posted_all_the_same() -> None:
    door = Door()
    tell(door, "execution", "ADDED", an_execution(spec={}))
    (sighting,) = door.executions
    assert sighting.loaded is not None
    assert sighting.loaded.request is None


@pytest.mark.parametrize(
    ("kind", "observed", "judged"),
    [
        ("ADDED", None, False),
        ("MODIFIED", 1, False),
        ("MODIFIED", 2, True),
        (None, 2, False),  # the first look checks its revision too
        (None, None, False),
    ],
)
def test_a_machine_is_posted_with_whether_it_is_judged(
    kind: str | None, observed: int | None, judged: bool
) -> None:
    door = Door()
    tell(door, "machine", kind, a_machine(observed))
    assert door.machines == [("default", "m", judged)]


def test_a_machine_that_goes_is_nobody_s_business() -> None:
    door = Door()
    tell(door, "machine", "DELETED", a_machine(2))
    assert door.machines == []


def test_one_with_a_promise_to_keep_is_posted_to_be_judged() -> None:
    door, machine = Door(), a_machine(2)
    machine["status"]["conditions"] = [
        {"type": "Published", "status": "False", "reason": "Publishing"}
    ]
    tell(door, "machine", "MODIFIED", machine)
    assert door.machines == [("default", "m", False)]


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED", "DELETED"])
def test_an_alias_is_posted_by_its_machine(kind: str | None) -> None:
    door = Door()
    metadata = {"name": "live", "namespace": "default"}
    tell(door, "alias", kind, {"metadata": metadata, "spec": {"stateMachineRef": {"name": "m"}}})
    assert door.aliases == [("default", "m")]


def test_kopf_logs_in_with_our_credentials() -> None:
    assert handlers(Door())["login"](logger=None) is LOGIN


def test_a_machine_as_a_cluster_has_it_is_posted() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        door = Door()
        handler = handlers(door)["machine"]
        obj = stage.objects.get(STATE_MACHINES, "default", "m")
        await handler(event={"type": "MODIFIED", "object": obj})
        assert door.machines == [("default", "m", True)]

    on_a_stage(play)


@pytest.mark.parametrize("scanning", [True, False])
def test_kopf_is_told_to_be_quiet(scanning: bool) -> None:
    settings = watching.quiet_settings(scanning=scanning)
    assert settings.scanning.disabled is not scanning
    assert settings.posting.enabled is False
    diff = settings.persistence.diffbase_storage
    progress = settings.persistence.progress_storage
    body = kopf.Body({"metadata": {"name": "x"}})
    patch = kopf.Patch()
    essence = kopf.BodyEssence({})
    assert diff.build(body=body) == {}
    assert diff.fetch(body=body) == {}
    key: Any = "handler"
    record: Any = {}
    diff.store(body=body, patch=patch, essence=essence)
    assert progress.fetch(key=key, body=body) is None
    progress.store(key=key, record=record, body=body, patch=patch)
    progress.purge(key=key, body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="x")
    assert progress.clear(essence=essence) is essence
    assert dict(patch) == {}


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {USER}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


@pytest.mark.parametrize(
    ("user", "scheme", "token"), [("token: abc", "Bearer", "abc"), ("", None, None)]
)
def test_kopf_speaks_with_the_token_of_our_client(
    tmp_path: Path, user: str, scheme: str | None, token: str | None
) -> None:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG.replace("USER", user))
    said = watching.login_with(credentials.load(str(path), None, {}))()
    assert (said.server, said.scheme, said.token) == ("http://127.0.0.1:1", scheme, token)
    assert said.certificate_path is None
    assert not said.insecure


async def test_it_watches_as_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: 65532 is in no passwd file."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", nobody)
    logged_in = asyncio.Event()

    def login() -> kopf.ConnectionInfo:
        logged_in.set()
        return LOGIN

    watching_it = asyncio.create_task(watching.watch(Door(), login, ["default"]))
    waits = asyncio.create_task(logged_in.wait())
    await asyncio.wait({watching_it, waits}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert logged_in.is_set()
    watching_it.cancel()
    await asyncio.wait({watching_it}, timeout=10)
