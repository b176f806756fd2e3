"""The client against a real API server: what it answers becomes what the other rooms know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab.namespaces import Namespace
from treadle.kube import client, credentials
from treadle.kube.api import Change, Obj
from treadle.kube.client import Client
from treadle.kube.informer import Informer
from treadle.kube.kinds import EXECUTIONS, JOBS, PAGES, PODS, SECRETS, STATE_MACHINES
from treadle.runtime.ports import AlreadyExists, Conflict, Expired, Missing, Refused

pytestmark = pytest.mark.cluster

DEFINITION = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": None, "End": True}}}


@pytest.fixture
async def api(kubeconfig: Path, crds: None) -> AsyncIterator[Client]:
    async with Client(credentials.load(str(kubeconfig), None, {})) as opened:
        yield opened


def an_execution(name: str = "a", **spec: Any) -> Obj:
    return {
        "apiVersion": EXECUTIONS.api_version,
        "kind": EXECUTIONS.name,
        "metadata": {"name": name, "labels": {"test": "yes"}},
        "spec": {"stateMachineRef": {"name": "m"}, **spec},
    }


def a_secret(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}


# ------------------------------------------------------------------------------------- one object


async def test_an_object_from_its_creation_to_its_end(api: Client, namespace: Namespace) -> None:
    there = namespace.name
    made = await api.create(EXECUTIONS, there, an_execution(input={"a": [1, None, {"b": "ü"}]}))
    assert made["spec"]["input"] == {"a": [1, None, {"b": "ü"}]}
    with pytest.raises(AlreadyExists):
        await api.create(EXECUTIONS, there, an_execution())
    read = await api.get(EXECUTIONS, there, "a")
    assert read["metadata"]["uid"] == made["metadata"]["uid"]
    read["spec"]["suspend"] = True
    changed = await api.update(EXECUTIONS, there, read)
    assert changed["metadata"]["generation"] == 2
    with pytest.raises(Conflict):
        await api.update(EXECUTIONS, there, read)
    with pytest.raises(Conflict):
        await api.delete(EXECUTIONS, there, "a", uid="another")
    with pytest.raises(Conflict):
        await api.delete(EXECUTIONS, there, "a", version=read["metadata"]["resourceVersion"])
    await api.delete(EXECUTIONS, there, "a", uid=made["metadata"]["uid"])
    for missing in (
        api.get(EXECUTIONS, there, "a"),
        api.delete(EXECUTIONS, there, "a"),
        api.patch(EXECUTIONS, there, "a", {"spec": {"suspend": False}}),
        api.update_status(EXECUTIONS, there, {**changed, "status": {"phase": "Running"}}),
    ):
        with pytest.raises(Missing):
            await missing


async def test_a_namespace_that_is_not_there_is_missing(api: Client) -> None:
    with pytest.raises(Missing):
        await api.create(EXECUTIONS, "there-is-no-such-namespace", an_execution())


async def test_patches(api: Client, namespace: Namespace) -> None:
    there = namespace.name
    made = await api.create(EXECUTIONS, there, an_execution())
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    patched = await api.patch(EXECUTIONS, there, "a", {"spec": {"suspend": True}})
    assert patched["spec"]["suspend"] is True
    with pytest.raises(Conflict):
        await api.patch(EXECUTIONS, there, "a", {**stale, "spec": {"suspend": False}})
    phase = {"status": {"phase": "Running"}}
    patched = await api.patch(EXECUTIONS, there, "a", phase, subresource="status")
    assert patched["status"] == {"phase": "Running"}

    def steps(expected: bool, value: Any) -> list[Obj]:
        return [
            {"op": "test", "path": "/spec/suspend", "value": expected},
            {"op": "replace", "path": "/spec/suspend", "value": value},
        ]

    with pytest.raises(Conflict):
        await api.patch(EXECUTIONS, there, "a", steps(False, True), form="json")
    # The test holds; what comes of it is invalid, and would be the next time too.
    with pytest.raises(Refused) as refused:
        await api.patch(EXECUTIONS, there, "a", steps(True, "perhaps"), form="json")
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    patched = await api.patch(EXECUTIONS, there, "a", steps(True, False), form="json")
    assert patched["spec"]["suspend"] is False


async def test_a_status_is_put_without_its_spec(api: Client, namespace: Namespace) -> None:
    """`stores.executions` relies on it: a spec may be large, and a status is written often."""
    there = namespace.name
    made = await api.create(EXECUTIONS, there, an_execution(input={"a": 1}))
    named = ("name", "namespace", "uid", "resourceVersion")
    put: Obj = {
        "apiVersion": EXECUTIONS.api_version,
        "kind": EXECUTIONS.name,
        "metadata": {member: made["metadata"][member] for member in named},
        "status": {"phase": "Running", "checkpoint": "1.x.y"},
    }
    stored = await api.update_status(EXECUTIONS, there, put)
    assert stored["status"] == put["status"]
    assert stored["spec"] == made["spec"]
    assert stored["metadata"]["labels"] == {"test": "yes"}
    assert stored["metadata"]["generation"] == 1
    with pytest.raises(Conflict):
        await api.update_status(EXECUTIONS, there, put)
    put["metadata"] |= {"uid": "another", "resourceVersion": stored["metadata"]["resourceVersion"]}
    with pytest.raises(Conflict):
        await api.update_status(EXECUTIONS, there, put)


@pytest.mark.parametrize("mib", [1.6, 2.2, 3.5])
async def test_too_large_is_refused(api: Client, namespace: Namespace, mib: float) -> None:
    page = {
        "apiVersion": PAGES.api_version,
        "kind": PAGES.name,
        "metadata": {"name": "p"},
        "spec": {
            "digest": "0" * 64,
            "kind": "payload",
            "encoding": "zlib",
            "data": "x" * int(mib * 2**20),
        },
    }
    with pytest.raises(Refused) as refused:
        await api.create(PAGES, namespace.name, page)
    assert refused.value.reason == "RequestEntityTooLarge"


async def test_half_a_surrogate_pair_is_written_as_kubernetes_can(
    api: Client, namespace: Namespace
) -> None:
    made = await api.create(EXECUTIONS, namespace.name, an_execution(input={"a": "\ud800"}))
    assert made["spec"]["input"] == {"a": "\ufffd"}


async def test_a_deleted_job_takes_its_pods_along(
    api: Client, namespace: Namespace, pretend: None
) -> None:
    there = namespace.name
    container = {"name": "main", "image": "i", "command": ["pretend", '{"hang": true}']}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
    await api.create(JOBS, there, {**job, "spec": {"template": template}})
    pods = Informer(api, PODS, (there,))
    async with watching(pods):
        await until(pods, lambda: bool(pods.items()))
        await api.delete(JOBS, there, "j")
        await until(pods, lambda: not pods.items())


# -------------------------------------------------------------------------------- lists, watches


async def test_a_list_comes_whole_out_of_chunks(
    api: Client, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CHUNK_ITEMS", 2)
    for number in range(5):
        await api.create(EXECUTIONS, namespace.name, an_execution(f"e{number}"))
    listing = await api.list(EXECUTIONS, namespace.name)
    assert [obj["metadata"]["name"] for obj in listing.items] == [f"e{n}" for n in range(5)]
    assert {obj["kind"] for obj in listing.items} == {"Execution"}
    assert {obj["apiVersion"] for obj in listing.items} == {"treadle.dev/v1alpha1"}
    assert listing.version.isdecimal()
    everywhere = await api.list(EXECUTIONS, None, labels="test=yes")
    assert len(everywhere.items) >= 5


async def test_selectors(api: Client, namespace: Namespace) -> None:
    there = namespace.name
    for name, phase in (("a", "Running"), ("b", "Succeeded"), ("c", None)):
        await api.create(EXECUTIONS, there, an_execution(name))
        if phase:
            status = {"status": {"phase": phase}}
            await api.patch(EXECUTIONS, there, name, status, subresource="status")

    async def names(**selectors: str) -> list[str]:
        listing = await api.list(EXECUTIONS, there, **selectors)
        return [obj["metadata"]["name"] for obj in listing.items]

    assert await names(fields="status.phase=Running") == ["a"]
    assert await names(fields="status.phase!=Succeeded") == ["a", "c"]
    assert await names(fields="spec.stateMachineRef.name=m") == ["a", "b", "c"]
    assert await names(fields="spec.stateMachineRef.name=n") == []
    assert await names(labels="test=yes", fields="metadata.name=b") == ["b"]
    assert await names(labels="test!=yes") == []


async def test_a_watch_shows_every_change(api: Client, namespace: Namespace) -> None:
    there = namespace.name
    begin = await api.list(STATE_MACHINES, there)
    machine: Obj = {
        "apiVersion": STATE_MACHINES.api_version,
        "kind": STATE_MACHINES.name,
        "metadata": {"name": "m"},
        # Longer than a line that a reader has room for.
        "spec": {"definition": {**DEFINITION, "Comment": "x" * 600_000}},
    }
    await api.create(STATE_MACHINES, there, machine)
    label = {"metadata": {"labels": {"a": "b"}}}
    await api.patch(STATE_MACHINES, there, "m", label)
    await api.delete(STATE_MACHINES, there, "m")
    seen = await some(api.watch(STATE_MACHINES, there, begin.version), 3)
    assert [change.type for change in seen] == ["ADDED", "MODIFIED", "DELETED"]
    assert seen[0].object["spec"]["definition"]["States"]["A"]["Result"] is None
    assert len(seen[0].object["spec"]["definition"]["Comment"]) == 600_000


async def test_what_loses_its_label_has_gone_from_a_watch(
    api: Client, namespace: Namespace
) -> None:
    there = namespace.name
    await api.create(EXECUTIONS, there, an_execution())
    begin = await api.list(EXECUTIONS, there, labels="test=yes")
    for label in (None, "yes"):
        await api.patch(EXECUTIONS, there, "a", {"metadata": {"labels": {"test": label}}})
    seen = await some(api.watch(EXECUTIONS, there, begin.version, labels="test=yes"), 2)
    assert [change.type for change in seen] == ["DELETED", "ADDED"]


async def test_a_watch_has_bookmarks_and_ends(
    api: Client, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server sends a bookmark about once a minute, and one before a watch ends: a shorter watch
    # may end without any.
    monkeypatch.setattr(client, "WATCH_SECONDS", 75)
    begin = await api.list(EXECUTIONS, namespace.name)
    async with asyncio.timeout(100):
        seen = [change async for change in api.watch(EXECUTIONS, namespace.name, begin.version)]
    assert {change.type for change in seen} == {"BOOKMARK"}
    for change in seen:
        assert int(change.object["metadata"]["resourceVersion"]) >= int(begin.version)


async def test_a_version_that_is_too_old_has_expired(api: Client, namespace: Namespace) -> None:
    with pytest.raises(Expired):
        # Of a kind that came after the first version: what is watched from there is not there.
        async for _ in api.watch(EXECUTIONS, None, "1"):
            pass


# --------------------------------------------------------------------------------- the connection


async def test_requests_that_are_cut_off_leave_the_others_alone(
    api: Client, namespace: Namespace
) -> None:
    there = namespace.name
    for _ in range(5):
        calls = [asyncio.create_task(api.list(SECRETS, there)) for _ in range(40)]
        await asyncio.sleep(0)
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert done
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    names = [f"s{number}" for number in range(50)]
    made = await asyncio.gather(*(api.create(SECRETS, there, a_secret(name)) for name in names))
    assert [obj["metadata"]["name"] for obj in made] == names


async def test_its_time_is_the_servers(api: Client, namespace: Namespace) -> None:
    await api.list(SECRETS, namespace.name)
    # The server is on this machine.
    assert abs((api.now() - datetime.now(UTC)).total_seconds()) < 2


async def test_a_view_follows_a_real_server(api: Client, namespace: Namespace) -> None:
    there = namespace.name
    await api.create(SECRETS, there, a_secret("a"))
    view = Informer(api, SECRETS, (there,))
    told: list[tuple[bool, bool]] = []
    view.subscribe(lambda old, new: told.append((old is not None, new is not None)))
    async with watching(view):
        await view.synced.wait()
        view.absorb(await api.create(SECRETS, there, a_secret("b")))
        assert view.get(there, "b") is not None
        await api.delete(SECRETS, there, "a")
        await until(view, lambda: view.get(there, "a") is None)
        answer = await api.patch(SECRETS, there, "b", {"metadata": {"labels": {"x": "y"}}})
        await api.delete(SECRETS, there, "b")
        await until(view, lambda: view.get(there, "b") is None)
        view.absorb(answer)
        assert view.get(there, "b") is None
    assert told[:2] == [(False, True), (False, True)]
    assert told.count((True, False)) == 2


async def some(stream: Any, count: int) -> list[Change]:
    """The first so many changes."""
    seen: list[Change] = []
    async with asyncio.timeout(20), aclosing(stream) as changes:
        async for change in changes:
            if change.type != "BOOKMARK":
                seen.append(change)
            if len(seen) == count:
                break
    return seen


async def until(view: Informer, probe: Callable[[], bool]) -> None:
    """Wait for what a view is to show."""
    changed = asyncio.Event()
    view.subscribe(lambda *_: changed.set())
    async with asyncio.timeout(30):
        while not probe():
            await changed.wait()
            changed.clear()


@asynccontextmanager
async def watching(view: Informer) -> AsyncIterator[None]:
    """While a view is kept."""
    task = asyncio.create_task(view.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
