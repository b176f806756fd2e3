"""The HTTP runner: how calls live and end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube import names
from treadle.runners.addresses import AddressPolicy
from treadle.runners.call import CallSettings
from treadle.runners.http import ANSWERED_MAX, HttpRunner, HttpSettings
from treadle.runners.transport import (
    AddressDenied,
    AiohttpTransport,
    AnswerTooLarge,
    HttpAnswer,
    HttpRequest,
    NotARequest,
    SocketFailed,
)
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Attempt, ExecutionKey, NotLeading, Order

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = ExecutionKey("team-a", "run-1", "uid-1")
FIRST = TaskId(1, 7, 1)


class Inbox:
    """A mailbox whose events can be awaited."""

    def __init__(self) -> None:
        self.events: list[tuple[ExecutionKey, Event]] = []
        self._came = asyncio.Event()

    def post(self, execution: ExecutionKey, event: Event) -> None:
        self.events.append((execution, event))
        self._came.set()

    def waits(self, execution: ExecutionKey, task: TaskId, reason: str | None) -> None:
        raise AssertionError(execution, task, reason)

    @property
    def ends(self) -> list[Event]:
        return [event for _, event in self.events if not isinstance(event, TaskStarted)]

    async def end(self, count: int = 1) -> Event:
        """The last of so many ends, once they are there."""
        async with asyncio.timeout(10):
            while len(self.ends) < count:
                self._came.clear()
                await self._came.wait()
        return self.ends[count - 1]


class Lease:
    """Leadership by hand."""

    held = True

    def fresh(self) -> bool:
        return self.held


class Line:
    """A transport whose calls wait until the test answers them."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[HttpRequest, asyncio.Future[HttpAnswer]]] = asyncio.Queue()
        self.cut = 0

    async def call(self, request: HttpRequest) -> HttpAnswer:
        answer: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self.calls.put_nowait((request, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            self.cut += 1
            raise

    async def next(self) -> tuple[HttpRequest, asyncio.Future[HttpAnswer]]:
        async with asyncio.timeout(10):
            return await self.calls.get()


class Tally(NoMeter):
    """Keeps what was counted."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, ...]] = []

    def task_started(self, runner: str) -> None:
        self.counted.append(("started", runner))

    def task_ended(self, runner: str, outcome: str) -> None:
        self.counted.append(("ended", runner, outcome))

    def http_called(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.counted.append(("called", outcome))

    def failed(self, where: str) -> None:
        self.counted.append(("failed", where))


class Bench:
    """A runner and all that it needs."""

    def __init__(self, transport: Any = None, **settings: Any) -> None:
        self.inbox = Inbox()
        self.lease = Lease()
        self.line = Line()
        self.tally = Tally()
        self.runner = HttpRunner(
            transport or self.line,
            self.inbox,
            self.lease,
            lambda: NOW,
            HttpSettings(**settings),
            self.tally,
        )

    async def start(self, **changes: Any) -> None:
        await self.runner.start(an_order(**changes))


def an_order(
    task: TaskId = FIRST,
    resource: str = "treadle:http",
    expired: bool = False,
    key: ExecutionKey = KEY,
    **members: Any,
) -> Order:
    parameters = {"ApiEndpoint": "http://api.example/", "Method": "POST", **members}
    work = Task(task, "Call", resource, parameters, {}, "digest", NOW, None, "")
    return Order(key, work, {}, 2_000, expired=expired)


OK = HttpAnswer(200, "OK", {"content-type": ["text/plain"]}, b"hi")


async def settle() -> None:
    """Let everything run that can run now."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_runs_both_names_and_nothing_else() -> None:
    runner = Bench().runner
    assert runner.resources == {"treadle:http", "arn:aws:states:::http:invoke"}
    assert not runner.makes_objects
    assert runner.current()
    await runner.sweep()


async def test_a_call_is_begun_and_its_answer_posted() -> None:
    bench = Bench()
    await bench.start()
    assert list(bench.runner.existing(KEY)) == [FIRST]
    request, answer = await bench.line.next()
    assert (request.method, request.namespace, request.answer_bytes_max) == ("POST", "team-a", 2000)
    assert bench.inbox.events == [(KEY, TaskStarted(FIRST, ""))]
    answer.set_result(OK)
    event = await bench.inbox.end()
    assert isinstance(event, TaskSucceeded)
    assert event.at == NOW
    assert json.loads(event.output) == {
        "Headers": {"content-type": ["text/plain"]},
        "ResponseBody": "hi",
        "StatusCode": 200,
        "StatusText": "OK",
    }
    assert list(bench.runner.existing(KEY)) == []
    assert bench.tally.counted == [
        ("started", "http"),
        ("called", "2xx"),
        ("ended", "http", "succeeded"),
    ]


async def test_a_second_start_changes_nothing() -> None:
    bench = Bench()
    await bench.start()
    await bench.start()
    _, answer = await bench.line.next()
    answer.set_result(OK)
    event = await bench.inbox.end()
    # Answered, and nobody said yet that this is saved: the same answer again, not a second call.
    await bench.start()
    assert await bench.inbox.end(2) == event
    await bench.runner.ended(Attempt(KEY, FIRST))
    assert bench.line.calls.empty()
    await bench.start()
    await bench.line.next()
    await bench.runner.stop(Attempt(KEY, FIRST))


@pytest.mark.parametrize(
    ("fault", "name", "kind"),
    [
        (AddressDenied("127.0.0.1 is a loopback address"), "Treadle.AddressDenied", "denied"),
        (AnswerTooLarge("more than 2000 bytes"), "States.DataLimitExceeded", "too_large"),
        (SocketFailed("no whole answer"), "States.Http.Socket", "no_answer"),
        (NotARequest("no"), "Treadle.InvalidParameters", "not_sent"),
    ],
)
async def test_calls_that_give_no_answer(fault: Exception, name: str, kind: str) -> None:
    bench = Bench()
    await bench.start()
    _, answer = await bench.line.next()
    answer.set_exception(fault)
    event = await bench.inbox.end()
    assert isinstance(event, TaskFailed)
    assert event.error.name == name
    assert str(fault) in (event.error.cause or "")
    assert ("called", kind) in bench.tally.counted


async def test_a_status_that_is_no_success_is_an_error() -> None:
    bench = Bench()
    await bench.start()
    _, answer = await bench.line.next()
    answer.set_result(HttpAnswer(503, "Unavailable", {}, b"later"))
    event = await bench.inbox.end()
    assert isinstance(event, TaskFailed)
    assert (event.error.name, event.error.cause) == ("States.Http.StatusCode.503", "later")
    assert bench.tally.counted[1:] == [("called", "5xx"), ("ended", "http", "failed")]


async def test_invalid_parameters_fail_the_task_and_send_nothing() -> None:
    bench = Bench()
    await bench.start(Method="BREW")
    event = await bench.inbox.end()
    assert isinstance(event, TaskFailed)
    assert event.error.name == "Treadle.InvalidParameters"
    assert bench.line.calls.empty()


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ("treadle:http", "Treadle.InvalidResult"),
        ("arn:aws:states:::http:invoke", "States.Runtime"),
    ],
)
async def test_a_body_that_cannot_be_used_is_named_as_the_resource_is(
    resource: str, name: str
) -> None:
    bench = Bench()
    await bench.start(resource=resource)
    _, answer = await bench.line.next()
    answer.set_result(HttpAnswer(200, "OK", {"content-type": ["application/json"]}, b"{"))
    event = await bench.inbox.end()
    assert isinstance(event, TaskFailed)
    assert event.error.name == name


async def test_an_error_of_our_own_ends_the_attempt() -> None:
    bench = Bench()
    await bench.start()
    _, answer = await bench.line.next()
    answer.set_exception(ZeroDivisionError("ours"))
    event = await bench.inbox.end()
    assert isinstance(event, TaskFailed)
    assert event.error.name == "States.Runtime"
    assert ("failed", "runners") in bench.tally.counted


async def keys_of(*tasks: TaskId, **members: Any) -> list[str]:
    bench = Bench()
    found = []
    for task in tasks:
        await bench.start(task=task, **members)
        request, answer = await bench.line.next()
        found += [value for name, value in request.headers if name.lower() == "idempotency-key"]
        answer.set_result(OK)
    return found


async def test_each_attempt_has_its_own_key_and_an_entry_can_keep_one() -> None:
    second = FIRST._replace(attempt=2)
    one, two = names.attempt(KEY, FIRST), names.attempt(KEY, second)
    assert await keys_of(FIRST, second) == [one, two]
    assert await keys_of(FIRST, second, idempotencyKey="entry") == [one, one]
    assert await keys_of(FIRST, Headers={"IDEMPOTENCY-KEY": "mine"}) == ["mine"]
    assert await keys_of(FIRST, resource="arn:aws:states:::http:invoke") == [one]


async def test_without_a_fresh_lease_nothing_begins() -> None:
    bench = Bench()
    bench.lease.held = False
    with pytest.raises(NotLeading):
        await bench.start()
    assert list(bench.runner.existing(KEY)) == []


async def test_a_call_that_waited_is_not_sent_until_the_lease_is_fresh_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("treadle.runners.http.LEASE_LOOK_SECONDS", 0.001)
    bench = Bench()
    await bench.start()
    bench.lease.held = False
    await settle()
    assert bench.line.calls.empty()
    assert bench.inbox.events == []
    bench.lease.held = True
    await bench.line.next()
    await bench.runner.drain(0)


async def test_an_attempt_that_ended_unseen_needs_no_call() -> None:
    bench = Bench()
    await bench.start(expired=True)
    await settle()
    assert bench.line.calls.empty()


async def test_stopping_cuts_the_call_off_and_posts_nothing() -> None:
    bench = Bench()
    await bench.start()
    await bench.line.next()
    await bench.runner.stop(Attempt(KEY, FIRST))
    await bench.runner.stop(Attempt(KEY, FIRST))
    await settle()
    assert bench.line.cut == 1
    assert bench.inbox.ends == []
    assert list(bench.runner.existing(KEY)) == []
    await bench.runner.stop(Attempt(KEY, FIRST))
    assert bench.tally.counted == [("started", "http"), ("ended", "http", "stopped")]


async def test_executions_are_told_apart_by_uid() -> None:
    bench = Bench()
    other = KEY._replace(uid="uid-2")
    await bench.start()
    await bench.start(key=other)
    assert list(bench.runner.existing(other)) == [FIRST]
    await bench.line.next()
    await bench.line.next()
    await bench.runner.stop(Attempt(other, FIRST))
    await settle()
    assert list(bench.runner.existing(KEY)) == [FIRST]
    await bench.runner.drain(0)


async def test_only_so_many_calls_are_out_at_once() -> None:
    bench = Bench(calls_max=2)
    tasks = [TaskId(frame, 1, 1) for frame in range(5)]
    for task in tasks:
        await bench.start(task=task)
    await settle()
    assert bench.line.calls.qsize() == 2
    assert list(bench.runner.existing(KEY)) == tasks
    for _ in tasks:
        _, answer = await bench.line.next()
        answer.set_result(OK)
    await bench.inbox.end(5)


async def test_draining_waits_for_calls_that_were_sent_and_begins_no_other() -> None:
    bench = Bench(calls_max=1)
    await bench.start()
    await bench.start(task=TaskId(2, 1, 1))  # waits for the first one's place
    _, answer = await bench.line.next()
    draining = asyncio.create_task(bench.runner.drain(10))
    await settle()
    with pytest.raises(NotLeading):
        await bench.start(task=TaskId(3, 1, 1))
    answer.set_result(OK)
    await asyncio.wait_for(draining, 10)
    assert [type(event) for event in bench.inbox.ends] == [TaskSucceeded]
    assert bench.line.calls.empty()


async def test_draining_cuts_off_what_is_late_in_silence() -> None:
    bench = Bench()
    await bench.start()
    await bench.line.next()
    await asyncio.wait_for(bench.runner.drain(0.01), 10)
    assert bench.line.cut == 1
    assert bench.inbox.ends == []
    assert list(bench.runner.existing(KEY)) == []


async def test_remembered_answers_are_bounded() -> None:
    class Instant:
        async def call(self, request: HttpRequest) -> HttpAnswer:
            assert request.method == "POST"
            return OK

    bench = Bench(Instant())
    for frame in range(ANSWERED_MAX + 5):
        await bench.start(task=TaskId(frame, 1, 1))
    await bench.inbox.end(ANSWERED_MAX + 5)
    assert len(bench.runner._answered) == ANSWERED_MAX


# ------------------------------------------------------------------------------ on real servers


Call = Callable[..., Awaitable[Event]]


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """Makes a call of a path on a real server and gives how the task ended."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        match request.path:
            case "/json":
                return web.json_response({"got": (await request.read()).decode()})
            case "/hang":
                await asyncio.Event().wait()
            case "/large":
                return web.Response(text="x" * 5_000)
            case "/away":
                return web.Response(status=307, headers={"Location": "http://169.254.169.254/"})
        return web.Response(status=404)

    transport = AiohttpTransport(lambda _: AddressPolicy(loopback_allowed=True))
    bench = Bench(transport, call=CallSettings(timeout_seconds=0.2))
    async with RawTestServer(handler) as server:

        async def make(path: str, **members: Any) -> Event:
            url = path if "://" in path else str(server.make_url(path))
            await bench.start(ApiEndpoint=url, **members)
            event = await bench.inbox.end()
            bench.inbox.events.clear()
            await bench.runner.ended(Attempt(KEY, FIRST))
            return event

        yield make
    await transport.close()


async def test_json_goes_there_and_back(call: Call) -> None:
    event = await call("/json", RequestBody={"a": [1, 2]})
    assert isinstance(event, TaskSucceeded)
    result = json.loads(event.output)
    assert result["ResponseBody"] == {"got": '{"a":[1,2]}'}
    assert result["Headers"]["content-type"] == ["application/json; charset=utf-8"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/hang", "States.Http.Socket"),
        ("/large", "States.DataLimitExceeded"),
        ("/away", "States.Http.StatusCode.307"),
        ("/none", "States.Http.StatusCode.404"),
        ("http://169.254.169.254/latest/meta-data", "Treadle.AddressDenied"),
        ("http://127.0.0.1:1/", "States.Http.Socket"),
    ],
)
async def test_what_goes_wrong_has_its_name(call: Call, path: str, name: str) -> None:
    event = await call(path)
    assert isinstance(event, TaskFailed)
    assert event.error.name == name
