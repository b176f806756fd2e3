"""Answers to task tokens over real HTTP: what a caller sends, and what it is told."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, cast

import aiohttp
import pytest

from treadle.api import callbacks
from treadle.api.callbacks import Callbacks, served
from treadle.api.forwarding import Forwarding
from treadle.api.server import Server
from treadle.asl.errors import StateError
from treadle.asl.limits import DEFAULT
from treadle.engine.events import Event, TaskFailed, TaskHeartbeat, TaskId, TaskSucceeded
from treadle.runtime import tokens
from treadle.runtime.ports import Attempt, ExecutionKey, Unavailable
from treadle.runtime.tokens import Keys

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY, TASK = ExecutionKey("default", "e", "uid-1"), TaskId(0, 1, 1)
KEYS = Keys("k", {"k": b"k" * 32})
TOKEN = tokens.issue(KEYS, KEY, TASK)
AWS = {"Content-Type": "application/x-amz-json-1.0"}
OVER = ("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
FORGED = ("InvalidToken", "Invalid Token: 'Invalid token'")


class Known:
    async def read(self, token: str) -> Attempt | None:
        return tokens.read(KEYS, token)


class Place:
    """A process that takes answers.

    `taken`: what it says of them; `told`: what it was told; `came`: released for each call.
    """

    def __init__(self) -> None:
        self.told: list[tuple[ExecutionKey, Event]] = []
        self.asked: asyncio.Queue[Event] = asyncio.Queue()
        self.taken: bool | Exception = True
        self.leads = True
        self.leader: str | None = None
        self.saving = asyncio.Event()
        self.saving.set()
        self.came = asyncio.Semaphore(0)
        self.url = ""

    async def answer(self, execution: ExecutionKey, event: Event) -> bool:
        self.told.append((execution, event))
        self.asked.put_nowait(event)
        await self.saving.wait()
        if isinstance(self.taken, Exception):
            raise self.taken
        return self.taken

    def does_lead(self) -> bool:
        self.came.release()
        return self.leads

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Place"]:
        async with Forwarding(self.does_lead, lambda: self.leader) as forwarding:
            leads = self.does_lead
            taking = Callbacks(Known(), self.answer, forwarding, lambda: AT, DEFAULT, leads)
            server = Server(served(taking), "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{await server.open()}"
            try:
                yield self
            finally:
                await server.close()


class Caller:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(
        self, place: Place, path: str, body: Any = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        async with self._session.post(place.url + path, data=body, headers=headers) as answer:
            self.headers = answer.headers
            return answer.status, json.loads(await answer.read())

    async def tell(self, place: Place, what: str, body: Any = b"", token: str = TOKEN) -> Any:
        return await self.post(place, f"/v1/tasks/{token}/{what}", body)

    async def aws(self, place: Place, action: str, body: Any) -> Any:
        headers = {**AWS, "X-Amz-Target": f"AWSStepFunctions.{action}"}
        sent = body if isinstance(body, bytes) else json.dumps(body)
        return await self.post(place, "/", sent, headers)


def play(scene: Callable[[Place, Caller], Awaitable[None]]) -> None:
    async def act() -> None:
        async with asyncio.timeout(60), Place().open() as place, aiohttp.ClientSession() as session:
            await scene(place, Caller(session))

    asyncio.run(act())


def refused(answer: tuple[int, Any]) -> tuple[str, str]:
    status, said = answer
    assert status == 400, answer
    assert said.keys() == {"__type", "message"}
    return said["__type"], said["message"]


def test_the_body_of_a_success_is_the_output() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        assert await caller.tell(place, "success", '{"ok": [1, 2.50]}') == (200, {})
        done = TaskSucceeded(TASK, '{"ok": [1, 2.50]}', AT, by_token=True)
        assert place.told == [(KEY, done)]

    play(scene)


def test_a_failure_says_what_it_likes() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        said = {"error": "No", "cause": "because"}
        assert await caller.tell(place, "failure", json.dumps(said)) == (200, {})
        assert await caller.tell(place, "failure") == (200, {})
        assert [event for _, event in place.told] == [
            TaskFailed(TASK, StateError("No", "because"), AT, by_token=True),
            TaskFailed(TASK, StateError(None, None), AT, by_token=True),
        ]

    play(scene)


def test_a_heartbeat_says_nothing() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        assert await caller.tell(place, "heartbeat") == (200, {})
        assert place.told == [(KEY, TaskHeartbeat(TASK, AT))]

    play(scene)


def test_aws_protocol_says_the_same() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        success = {"taskToken": TOKEN, "output": "[1]"}
        assert await caller.aws(place, "SendTaskSuccess", success) == (200, {})
        assert caller.headers["Content-Type"] == "application/x-amz-json-1.0"
        failure = {"taskToken": TOKEN, "error": "No", "cause": "because"}
        assert await caller.aws(place, "SendTaskFailure", failure) == (200, {})
        assert await caller.aws(place, "SendTaskHeartbeat", {"taskToken": TOKEN}) == (200, {})
        assert [event for _, event in place.told] == [
            TaskSucceeded(TASK, "[1]", AT, by_token=True),
            TaskFailed(TASK, StateError("No", "because"), AT, by_token=True),
            TaskHeartbeat(TASK, AT),
        ]

    play(scene)


@pytest.mark.parametrize("what", ["success", "failure", "heartbeat"])
def test_what_is_over_and_what_is_forged_get_awss_errors(what: str) -> None:
    async def scene(place: Place, caller: Caller) -> None:
        body = "{}"
        assert refused(await caller.tell(place, what, body, token=TOKEN[:-1])) == FORGED
        assert refused(await caller.tell(place, what, body, token="x%2Fy%00z")) == FORGED
        assert place.told == []
        place.taken = False
        assert refused(await caller.tell(place, what, body)) == OVER

    play(scene)


def test_an_output_must_be_json() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        for body in (b"", b"{", b"\xff", b"NaN", b"[" * 200_000):
            kind, message = refused(await caller.tell(place, "success", body))
            assert kind == "InvalidOutput"
            assert message.startswith("Invalid Output: '")
        assert place.told == []

    play(scene)


def test_what_is_too_long_is_refused() -> None:
    most = DEFAULT.payload_bytes_max

    async def scene(place: Place, caller: Caller) -> None:
        for body in (b'"%s"' % (b"x" * most), b"x" * (3 * most)):
            kind, message = refused(await caller.tell(place, "success", io.BytesIO(body)))
            assert (kind, "'output'" in message) == ("ValidationException", True)
        for name, size in (("error", DEFAULT.error_chars_max), ("cause", DEFAULT.cause_chars_max)):
            said = json.dumps({name: "x" * (size + 1)})
            kind, message = refused(await caller.tell(place, "failure", said))
            assert (kind, f"'{name}'" in message) == ("ValidationException", True)
        long = {"taskToken": "x" * 2_049, "output": "1"}
        assert refused(await caller.aws(place, "SendTaskSuccess", long))[0] == "ValidationException"
        assert place.told == []

    play(scene)


@pytest.mark.parametrize(
    ("action", "body", "kind"),
    [
        ("SendTaskSuccess", b"{", "SerializationException"),
        ("SendTaskSuccess", b"[]", "SerializationException"),
        ("SendTaskSuccess", {"taskToken": TOKEN}, "ValidationException"),
        ("SendTaskSuccess", {"output": "1"}, "ValidationException"),
        ("SendTaskSuccess", {"taskToken": 7, "output": "1"}, "ValidationException"),
        ("SendTaskSuccess", {"taskToken": TOKEN, "output": {"a": 1}}, "ValidationException"),
        ("SendTaskFailure", {"taskToken": TOKEN, "error": 5}, "ValidationException"),
        ("DeleteEverything", {}, "UnknownOperationException"),
        ("", {}, "UnknownOperationException"),
    ],
)
def test_what_cannot_be_meant_is_said_to_be_wrong(action: str, body: Any, kind: str) -> None:
    async def scene(place: Place, caller: Caller) -> None:
        assert refused(await caller.aws(place, action, body))[0] == kind
        assert place.told == []

    play(scene)


@pytest.mark.parametrize("path", ["/", f"/v1/tasks/{TOKEN}/success"])
def test_a_body_that_is_not_packed_as_it_says_is_said_to_be_wrong(path: str) -> None:
    packed = {"Content-Encoding": "gzip", "Content-Length": "7"}

    async def scene(place: Place, caller: Caller) -> None:
        answer = await caller.post(place, path, b"no gzip", packed)
        assert refused(answer)[0] == "SerializationException"

    play(scene)


def test_an_action_that_is_no_text_is_said_to_be_wrong_too() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        # aiohttp's client would not send it.
        reader, writer = await asyncio.open_connection("127.0.0.1", int(place.url.split(":")[-1]))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: \xff\r\n")
        writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert b" 400 " in answer
        assert b"UnknownOperationException" in answer

    play(scene)


def test_what_is_not_saved_in_time_is_to_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "ANSWER_SECONDS", 0.05)

    async def scene(place: Place, caller: Caller) -> None:
        place.saving.clear()
        status, said = await caller.tell(place, "success", "1")
        assert (status, said["__type"]) == (503, "ServiceUnavailable")
        assert caller.headers["Retry-After"] == "1"
        place.saving.set()
        place.taken = Unavailable("e cannot go on")
        status, said = await caller.tell(place, "success", "1")
        assert (status, said["message"]) == (503, "e cannot go on; send it again")

    play(scene)


def test_more_calls_than_there_may_be_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "CALLS_MAX", 2)

    async def scene(place: Place, caller: Caller) -> None:
        async with Place().open() as small:
            small.saving.clear()
            calls = [asyncio.create_task(caller.tell(small, "heartbeat")) for _ in range(2)]
            for _ in calls:
                await small.asked.get()
            assert (await caller.tell(small, "heartbeat"))[0] == 503
            small.saving.set()
            assert await asyncio.gather(*calls) == [(200, {})] * 2
        assert (await caller.tell(place, "heartbeat"))[0] == 200

    play(scene)


def test_a_body_that_does_not_come_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "BODY_SECONDS", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.tell(place, "success", slowly())
        assert (status, said["__type"]) == (408, "RequestTimeout")

    play(scene)


async def never() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


def test_whose_token_is_not_ours_is_refused_before_the_body_is_read() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        async with asyncio.timeout(callbacks.BODY_SECONDS / 2):
            assert refused(await caller.tell(place, "success", never(), token="x")) == FORGED

    play(scene)


def test_a_large_body_in_which_is_no_token_of_ours_is_not_parsed() -> None:
    padding = "x" * callbacks.LARGE_BYTES

    async def scene(place: Place, caller: Caller) -> None:
        for token in ("", TOKEN[:-1], "\ud800"):
            body = json.dumps({"taskToken": token, "output": padding})
            assert refused(await caller.aws(place, "SendTaskSuccess", body.encode())) == FORGED
        assert refused(await caller.aws(place, "SendTaskSuccess", b"[" * 20_000)) == FORGED
        # As compressed it is short.
        sent = {
            **AWS,
            "X-Amz-Target": "AWSStepFunctions.SendTaskSuccess",
            "Content-Encoding": "gzip",
        }
        assert refused(await caller.post(place, "/", gzip.compress(b"[" * 20_000), sent)) == FORGED
        large = json.dumps(padding)
        for body in ({"taskToken": TOKEN, "output": large}, {"output": large, "taskToken": TOKEN}):
            assert await caller.aws(place, "SendTaskSuccess", body) == (200, {})
        assert len(place.told) == 2

    play(scene)


def test_few_large_bodies_are_read_at_once_of_whom_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callbacks, "LARGE_MAX", 1)
    monkeypatch.setattr(callbacks, "BODY_SECONDS", 0.5)

    async def scene(_: Place, caller: Caller) -> None:
        async with Place().open() as small:
            headers = {**AWS, "X-Amz-Target": "AWSStepFunctions.SendTaskSuccess"}
            packed = {**headers, "Content-Encoding": "gzip", "Content-Length": "100"}
            slow = [
                asyncio.create_task(caller.post(small, "/", never(), sent))
                for sent in (headers, packed)
            ]
            for _ in slow:
                await small.came.acquire()
            # What is small, and who has a token, is not held up.
            assert (await caller.aws(small, "SendTaskHeartbeat", {"taskToken": TOKEN}))[0] == 200
            assert (await caller.tell(small, "success", json.dumps("x" * 20_000)))[0] == 200
            assert [status for status, _ in await asyncio.gather(*slow)] == [408, 408]

    play(scene)


def test_a_standby_holds_few_large_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "LARGE_MAX", 1)
    monkeypatch.setattr(callbacks, "BODY_SECONDS", 0.5)
    large = json.dumps("x" * callbacks.LARGE_BYTES)

    async def scene(place: Place, caller: Caller) -> None:
        async with Place().open() as standby:
            standby.leads, standby.leader = False, place.url
            place.saving.clear()
            first = asyncio.create_task(caller.tell(standby, "success", large))
            await place.asked.get()
            status, said = await caller.tell(standby, "success", large)
            assert (status, said["__type"]) == (408, "RequestTimeout"), "one is passed on"
            second = asyncio.create_task(caller.tell(standby, "success", "1"))
            await place.asked.get()
            place.saving.set()
            assert await asyncio.gather(first, second) == [(200, {})] * 2
            # Which keys there are, only who leads knows for sure.
            assert refused(await caller.tell(standby, "success", large, token="x")) == FORGED
            assert (await caller.tell(standby, "success", large)) == (200, {})

    play(scene)


def test_between_two_that_are_parsed_the_loop_is_everybodys() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        taking = Callbacks(Known(), place.answer, cast(Any, None), lambda: AT, DEFAULT)
        turns: list[str] = []

        async def others() -> None:
            while True:
                turns.append("other")
                await asyncio.sleep(0)  # a turn of the loop is what it counts

        async def parse() -> None:
            await taking.parsed(lambda: turns.append("parsed"))

        other = asyncio.create_task(others())
        await asyncio.gather(*(parse() for _ in range(3)))
        other.cancel()
        parsed = [place for place, each in enumerate(turns) if each == "parsed"]
        assert len(parsed) == 3
        assert all(after - before > 1 for before, after in pairwise(parsed))

    play(scene)


def test_a_standby_hands_it_to_who_leads() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        async with Place().open() as standby:
            standby.leads = False
            standby.leader = place.url
            assert await caller.tell(standby, "success", "[1]") == (200, {})
            assert place.told == [(KEY, TaskSucceeded(TASK, "[1]", AT, by_token=True))]
            asked = {"taskToken": TOKEN, "output": "[2]"}
            assert await caller.aws(standby, "SendTaskSuccess", asked) == (200, {})
            assert caller.headers["Content-Type"] == "application/x-amz-json-1.0"
            place.taken = False
            assert refused(await caller.tell(standby, "heartbeat")) == OVER
            assert standby.told == []

    play(scene)


def test_two_that_think_the_other_leads_do_not_hand_it_on_for_ever() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        async with Place().open() as standby:
            standby.leads = place.leads = False
            standby.leader, place.leader = place.url, standby.url
            status, said = await caller.tell(standby, "heartbeat")
            assert (status, said["message"]) == (503, "no process leads now; send it again")

    play(scene)


@pytest.mark.parametrize("leader", [None, "http://127.0.0.1:1"])
def test_while_nobody_leads_it_is_to_be_sent_again(leader: str | None) -> None:
    async def scene(place: Place, caller: Caller) -> None:
        place.leads, place.leader = False, leader
        status, said = await caller.tell(place, "heartbeat")
        assert (status, said["__type"]) == (503, "ServiceUnavailable")

    play(scene)


def test_other_paths_and_methods_are_not_served() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        async with aiohttp.ClientSession() as session:
            for method, path, status in (
                ("GET", f"/v1/tasks/{TOKEN}/success", 405),
                ("POST", f"/v1/tasks/{TOKEN}/other", 404),
                ("POST", "/v1/tasks//success", 404),
            ):
                async with session.request(method, place.url + path) as answer:
                    assert answer.status == status

    play(scene)
