"""The client against a small server that says what a real API server says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from treadle.kube import client as module
from treadle.kube.client import Client
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import EXECUTIONS, JOBS, PODS
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import (
    AlreadyExists,
    Conflict,
    Expired,
    Fault,
    Missing,
    Refused,
    Unavailable,
)

Obj = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Configuration:
    """What the `kubernetes` package keeps of credentials."""

    token: str = "Bearer old"
    api_key: dict[str, str] = field(default_factory=dict)
    refresh_api_key_hook: Any = None
    broken: bool = False

    def auth_settings(self) -> Obj:
        if self.broken:
            raise LookupError("the plugin is not there")
        value = self.api_key.get("BearerToken", self.token)
        return {"BearerToken": {"in": "header", "value": value}}


@dataclass
class Counts(NoMeter):
    calls: list[tuple[str, str, int]] = field(default_factory=list)

    def api_called(self, verb: str, resource: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((verb, resource, code))


@dataclass
class Stage:
    client: Client
    asked: list[web.Request]
    bodies: list[Any]
    counts: Counts
    configuration: Configuration


@asynccontextmanager
async def answering(handler: Handler, **options: Any) -> AsyncIterator[Stage]:
    """A client of a server that answers everything by one handler."""
    asked: list[web.Request] = []
    bodies: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        raw = await request.read()
        bodies.append(json.loads(raw) if raw else None)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    configuration, counts = Configuration(), Counts()

    def read() -> Configuration:
        return Configuration(api_key={"BearerToken": "Bearer new"})

    async with TestServer(app) as server:
        endpoint = Endpoint(
            str(server.make_url("")).rstrip("/"), None, None, None, configuration, read
        )
        async with Client(endpoint, meter=counts, **options) as client:
            yield Stage(client, asked, bodies, counts, configuration)


def saying(code: int, body: Any = None, headers: dict[str, str] | None = None) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(body if body is not None else {}, status=code, headers=headers)

    return handle


def status(code: int, reason: str = "", message: str = "no") -> Handler:
    return saying(code, {"kind": "Status", "code": code, "reason": reason, "message": message})


def an_object(name: str = "a") -> Obj:
    return {"metadata": {"name": name, "resourceVersion": "7"}}


async def test_that_nobody_answers_is_said_in_words(unused_tcp_port_factory: Any) -> None:
    server = f"http://127.0.0.1:{unused_tcp_port_factory()}"
    endpoint = Endpoint(server, None, None, None, Configuration(), Configuration)
    async with Client(endpoint) as client:
        with pytest.raises(Unavailable, match=r"executions/a: Cannot connect to host 127\.0\.0\.1"):
            await client.get(EXECUTIONS, "ns", "a")


# ------------------------------------------------------------------------------ what is asked


@pytest.mark.parametrize(
    ("namespace", "name", "what"),
    [
        ("ns", "", 'executions "" not found'),
        ("ns", ".", 'executions "." not found'),
        ("ns", "..", 'executions ".." not found'),
        (".", "a", 'namespaces "." not found'),
        ("..", "a", 'namespaces ".." not found'),
    ],
)
async def test_what_cannot_be_a_name_is_not_there_and_not_asked_for(
    namespace: str, name: str, what: str
) -> None:
    async with answering(saying(200, an_object())) as stage:
        with pytest.raises(Missing) as found:
            await stage.client.get(EXECUTIONS, namespace, name)
        assert str(found.value) == what
        with pytest.raises(Missing):
            await stage.client.patch(EXECUTIONS, namespace, name, {})
        assert stage.asked == []


async def test_requests_go_where_the_api_server_has_them() -> None:
    async with answering(saying(200, an_object())) as stage:
        api = stage.client
        await api.get(EXECUTIONS, "ns", "a")
        await api.create(PODS, "ns", an_object())
        await api.update(JOBS, "ns", an_object())
        await api.update_status(EXECUTIONS, "ns", an_object())
        await api.patch(JOBS, "ns", "a", {"spec": {}})
        await api.patch(JOBS, "ns", "a", [], form="json", subresource="status")
        await api.delete(JOBS, "ns", "a", uid="u", version="7")
        await api.delete(JOBS, "ns", "a")
        executions = "/apis/treadle.dev/v1alpha1/namespaces/ns/executions/a"
        job = "/apis/batch/v1/namespaces/ns/jobs/a"
        assert [(each.method, each.path) for each in stage.asked] == [
            ("GET", executions),
            ("POST", "/api/v1/namespaces/ns/pods"),
            ("PUT", job),
            ("PUT", f"{executions}/status"),
            ("PATCH", job),
            ("PATCH", f"{job}/status"),
            ("DELETE", job),
            ("DELETE", job),
        ]
        kinds = [each.headers.get("Content-Type") for each in stage.asked]
        assert kinds[4:6] == ["application/merge-patch+json", "application/json-patch+json"]
        assert stage.bodies[-2:] == [
            {
                "propagationPolicy": "Background",
                "preconditions": {"uid": "u", "resourceVersion": "7"},
            },
            {"propagationPolicy": "Background"},
        ]
        assert {each.headers["Authorization"] for each in stage.asked} == {"Bearer old"}


async def test_a_name_cannot_lead_elsewhere() -> None:
    async with answering(saying(200, an_object())) as stage:
        await stage.client.get(JOBS, "ns", "../x?y=/z")
        assert stage.asked[0].raw_path.endswith("/jobs/..%2Fx%3Fy=%2Fz")


async def test_every_request_is_counted_with_what_came_of_it() -> None:
    async with answering(status(404, "NotFound")) as stage:
        with pytest.raises(Missing):
            await stage.client.get(JOBS, "ns", "a")
        with pytest.raises(Missing):
            await stage.client.patch(JOBS, "ns", "a", {}, subresource="status")
        assert stage.counts.calls == [("get", "jobs", 404), ("patch", "jobs/status", 404)]


# ----------------------------------------------------------------------------- what is answered


@pytest.mark.parametrize(
    ("code", "reason", "message", "fault"),
    [
        (404, "NotFound", "no", Missing),
        (404, "", "404 page not found", Unavailable),
        (409, "AlreadyExists", "no", AlreadyExists),
        (409, "Conflict", "no", Conflict),
        (410, "Expired", "no", Expired),
        (400, "BadRequest", "no", Refused),
        (401, "Unauthorized", "no", Refused),
        (403, "Forbidden", "no", Refused),
        (422, "Invalid", "no", Refused),
        (415, "UnsupportedMediaType", "no", Refused),
        (302, "", "elsewhere", Refused),
        (429, "TooManyRequests", "no", Unavailable),
        (500, "InternalError", "no", Unavailable),
        (503, "ServiceUnavailable", "no", Unavailable),
        (504, "Timeout", "no", Unavailable),
    ],
)
async def test_a_refusal_is_a_fault(
    code: int, reason: str, message: str, fault: type[Fault]
) -> None:
    async with answering(status(code, reason, message)) as stage:
        with pytest.raises(fault) as raised:
            await stage.client.create(JOBS, "ns", an_object())
        assert type(raised.value) is fault
        if isinstance(raised.value, Refused):
            assert (raised.value.status, raised.value.reason) == (code, reason)
            assert raised.value.message == message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (500, "etcdserver: request is too large"),
        (500, "rpc error: trying to send message larger than max (2200000 vs. 2097152)"),
        (413, "Request entity too large: limit is 3145728"),
    ],
)
async def test_what_is_too_large_will_always_be(code: int, message: str) -> None:
    async with answering(status(code, "", message)) as stage:
        with pytest.raises(Refused) as raised:
            await stage.client.update(JOBS, "ns", an_object())
        assert (raised.value.status, raised.value.reason) == (413, "RequestEntityTooLarge")


async def test_a_failed_test_of_a_json_patch_is_a_conflict() -> None:
    async with answering(status(422, "Invalid")) as stage:
        patch = [{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/a"}]
        with pytest.raises(Conflict):
            await stage.client.patch(JOBS, "ns", "a", patch, form="json")
        with pytest.raises(Refused):
            await stage.client.patch(JOBS, "ns", "a", patch[1:], form="json")


async def test_an_object_that_a_patch_makes_invalid_is_no_conflict() -> None:
    causes = [{"reason": "FieldValueInvalid", "message": "no", "field": "spec.a"}]
    said = {"code": 422, "reason": "Invalid", "message": "no", "details": {"causes": causes}}
    async with answering(saying(422, said)) as stage:
        patch = [{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/a"}]
        with pytest.raises(Refused):
            await stage.client.patch(JOBS, "ns", "a", patch, form="json")


async def test_what_no_utf8_can_hold_is_sent_as_json_has_it() -> None:
    async with answering(saying(200)) as stage:
        sent = {**an_object(), "cause": "half a pair: \ud800", "number": 2**70}
        await stage.client.update(JOBS, "ns", sent)
        assert stage.bodies == [sent]


async def test_what_is_nested_too_deeply_is_not_sent() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    async with answering(saying(200)) as stage:
        with pytest.raises(Refused):
            await stage.client.create(JOBS, "ns", {"metadata": {"name": "a"}, "spec": deep})
        assert stage.asked == []


async def test_requests_that_are_cut_off_leave_room_for_others() -> None:
    asked = asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("/slow"):
            asked.set()
            await asyncio.Event().wait()
        return web.json_response(an_object())

    async with answering(handle, connections_max=2) as stage:
        for _ in range(3):
            calls = [asyncio.create_task(stage.client.get(JOBS, "ns", "slow")) for _ in range(4)]
            await asked.wait()
            for call in calls:
                call.cancel()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended)
        assert await stage.client.get(JOBS, "ns", "a") == an_object()


async def test_a_busy_server_says_when_to_ask_again() -> None:
    async with answering(saying(429, {}, {"Retry-After": "3"})) as stage:
        with pytest.raises(Unavailable) as raised:
            await stage.client.get(JOBS, "ns", "a")
        assert raised.value.retry_after_seconds == 3


@pytest.mark.parametrize("code", [200, 500])
async def test_what_is_not_json_is_no_answer(code: int) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=code, text="<html>a gateway's page</html>")

    async with answering(handle) as stage:
        with pytest.raises(Unavailable):
            await stage.client.get(JOBS, "ns", "a")


async def test_no_answer_in_time_is_unavailable() -> None:
    async def handle(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with answering(handle, request_seconds=0.05) as stage:
        with pytest.raises(Unavailable):
            await stage.client.create(JOBS, "ns", an_object())
        assert stage.counts.calls == [("create", "jobs", 0)]


async def test_a_broken_connection_is_unavailable() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with answering(handle) as stage:
        with pytest.raises(Unavailable):
            await stage.client.create(JOBS, "ns", an_object())
        assert len(stage.asked) == 1, "a write is never sent again by itself"


# -------------------------------------------------------------------------------- credentials


async def test_a_token_that_is_not_let_in_is_read_again_once() -> None:
    async def handle(request: web.Request) -> web.Response:
        good = request.headers["Authorization"] == "Bearer new"
        return web.json_response(an_object(), status=201 if good else 401)

    async with answering(handle) as stage:
        await stage.client.create(JOBS, "ns", an_object())
        await stage.client.create(JOBS, "ns", an_object())
        sent = [each.headers["Authorization"] for each in stage.asked]
        assert sent == ["Bearer old", "Bearer new", "Bearer new"]


async def test_a_token_that_stays_refused_is_not_read_for_every_request() -> None:
    async with answering(status(401, "Unauthorized")) as stage:
        for _ in range(5):
            with pytest.raises(Refused):
                await stage.client.get(JOBS, "ns", "a")
        assert len(stage.asked) == 6, "one more try, once"


async def test_credentials_that_cannot_be_had_are_no_answer() -> None:
    async with answering(saying(200)) as stage:
        stage.configuration.broken = True
        with pytest.raises(Unavailable, match="the plugin is not there"):
            await stage.client.get(JOBS, "ns", "a")
        assert stage.asked == []


# ----------------------------------------------------------------------------------- the lists


def in_chunks(chunks: list[list[str]], *, expire_once: bool = False) -> Handler:
    expired = False

    async def handle(request: web.Request) -> web.Response:
        nonlocal expired
        at = int(request.query.get("continue", "0"))
        if at == 1 and expire_once and not expired:
            expired = True
            return web.json_response({"reason": "Expired"}, status=410)
        more = str(at + 1) if at + 1 < len(chunks) else ""
        return web.json_response(
            {
                "apiVersion": "batch/v1",
                "kind": "JobList",
                "metadata": {"resourceVersion": "9", "continue": more},
                "items": [an_object(name) for name in chunks[at]],
            }
        )

    return handle


async def test_a_list_is_read_to_its_end() -> None:
    async with answering(in_chunks([["a", "b"], ["c"]])) as stage:
        listing = await stage.client.list(JOBS, None, labels="x=y", fields="metadata.name=a")
        assert [each["metadata"]["name"] for each in listing.items] == ["a", "b", "c"]
        assert listing.version == "9"
        assert {(each["apiVersion"], each["kind"]) for each in listing.items} == {
            ("batch/v1", "Job")
        }
        first = stage.asked[0]
        assert first.path == "/apis/batch/v1/jobs"
        assert dict(first.query) == {
            "limit": "500",
            "labelSelector": "x=y",
            "fieldSelector": "metadata.name=a",
        }
        assert "resourceVersion" not in first.query, "it is a consistent one"


async def test_a_list_whose_rest_expires_is_begun_again() -> None:
    async with answering(in_chunks([["a"], ["b"]], expire_once=True)) as stage:
        listing = await stage.client.list(JOBS, "ns")
        assert [each["metadata"]["name"] for each in listing.items] == ["a", "b"]
        assert len(stage.asked) == 4


# --------------------------------------------------------------------------------- the watches


def streaming(*parts: bytes, broken: bool = False, silent: bool = False) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        for part in parts:
            await stream.write(part)
        if silent:
            await asyncio.Event().wait()
        if broken:
            assert request.transport is not None
            request.transport.abort()
        return stream

    return handle


def line(kind: str, version: str = "7", **metadata: Any) -> bytes:
    change = {"type": kind, "object": {"metadata": {"resourceVersion": version, **metadata}}}
    return json.dumps(change).encode() + b"\n"


async def test_a_watch_gives_changes_until_the_server_closes_it() -> None:
    long = line("MODIFIED", name="x" * 300_000)
    parts = (line("ADDED")[:20], line("ADDED")[20:] + long + line("BOOK")[:5], line("BOOK")[5:])
    async with answering(streaming(*parts)) as stage:
        changes = [each async for each in stage.client.watch(JOBS, "ns", "5", labels="x=y")]
        assert [each.type for each in changes] == ["ADDED", "MODIFIED", "BOOK"]
        assert len(changes[1].object["metadata"]["name"]) == 300_000
        query = stage.asked[0].query
        assert (query["watch"], query["allowWatchBookmarks"]) == ("1", "true")
        assert (query["resourceVersion"], query["labelSelector"]) == ("5", "x=y")
        assert stage.counts.calls == [("watch", "jobs", 200)]


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        (
            streaming(
                b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'
            ),
            Expired,
        ),
        (streaming(b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n'), Unavailable),
        (status(410, "Expired"), Expired),
        (status(403, "Forbidden"), Refused),
        (streaming(line("ADDED"), broken=True), Unavailable),
        (streaming(b"{no json}\n"), Unavailable),
    ],
)
async def test_a_watch_that_ends_badly_says_how(handler: Handler, fault: type[Fault]) -> None:
    async with answering(handler) as stage:
        with pytest.raises(fault):
            async for _ in stage.client.watch(JOBS, "ns", "5"):
                pass


async def test_a_silent_watch_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    async with answering(streaming(line("ADDED"), silent=True)) as stage:
        watch = aiter(stage.client.watch(JOBS, "ns", "5"))
        assert (await anext(watch)).type == "ADDED"
        with pytest.raises(Unavailable):
            await anext(watch)


# --------------------------------------------------------------------------------------- the logs


async def said(stage: Stage, *, follow: bool = False) -> bytes:
    return b"".join([part async for part in stage.client.log("ns", "a", "main", follow=follow)])


async def test_a_log_comes_as_it_is() -> None:
    async with answering(streaming(b"one\n\xff", b"two")) as stage:
        assert await said(stage) == b"one\n\xfftwo"
        await said(stage, follow=True)
        assert [each.path for each in stage.asked] == ["/api/v1/namespaces/ns/pods/a/log"] * 2
        assert [dict(each.query) for each in stage.asked] == [
            {"container": "main"},
            {"container": "main", "follow": "true"},
        ]


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        (status(404, "NotFound"), Missing),
        (status(400, "BadRequest", "container is waiting to start"), Refused),
        (status(500), Unavailable),
        (streaming(b"one", broken=True), Unavailable),
    ],
)
async def test_a_log_that_cannot_be_had_says_why(handler: Handler, fault: type[Fault]) -> None:
    async with answering(handler) as stage:
        with pytest.raises(fault):
            await said(stage)


async def test_only_a_log_that_is_followed_may_be_silent() -> None:
    async with answering(streaming(b"one", silent=True), request_seconds=0.05) as stage:
        with pytest.raises(Unavailable):
            await said(stage)
        followed = aiter(stage.client.log("ns", "a", "main", follow=True))
        assert await anext(followed) == b"one"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(followed), 0.5)


# -------------------------------------------------------------------------------------- the time


async def test_the_time_is_the_servers() -> None:
    async with answering(saying(200, {}, {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"})) as stage:
        assert abs(stage.client.now() - datetime.now(UTC)) < timedelta(seconds=60)
        await stage.client.get(JOBS, "ns", "a")
        ahead = stage.client.now() - datetime(2030, 1, 1, tzinfo=UTC)
        assert timedelta(0) < ahead < timedelta(seconds=60)
        assert stage.client.now() >= datetime(2030, 1, 1, tzinfo=UTC)
