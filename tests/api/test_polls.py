"""Workers ask for work over real HTTP: who is let in, who is held, and what each is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import pytest
from yarl import URL

from tests.support.reviewers import Reviewer
from treadle.api import polls
from treadle.api.callbacks import Callbacks, served
from treadle.api.forwarding import Forwarding
from treadle.api.polls import Polls
from treadle.api.server import Server
from treadle.asl.arns import Account
from treadle.asl.json import Json
from treadle.asl.limits import DEFAULT
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskId, TaskStarted
from treadle.kube.informer import Informer
from treadle.kube.kinds import ACTIVITIES
from treadle.kube.reviews import Reviews
from treadle.runners import activities
from treadle.runners.activities import ActivityRunner
from treadle.runtime.ports import Attempt, ExecutionKey, Order, Refused

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ExecutionKey("shop", "e", "uid-1")
NAME = "system:serviceaccount:shop:packer"
POLL = "/v1/namespaces/shop/activities/pack/poll?worker=w-1"
ARN = Account("us-east-1", "1" * 12).activity_arn("pack")
BEARER = {"Authorization": "Bearer good"}


class Never:
    async def read(self, token: str) -> Attempt | None:
        raise AssertionError(token)


class Place:
    """A process with one activity, `shop/pack`. `taken`: what it was told that workers have."""

    def __init__(self) -> None:
        self.server = Reviewer()
        self.server.known["good"] = NAME
        self.server.rights |= {(NAME, "work", "shop", each) for each in ("pack", "none", "other")}
        self.taken: list[TaskStarted] = []
        self.leads = True
        self.leader: str | None = None
        self.url = ""
        self.count = 0
        api = cast(Any, self.server)
        view = Informer(api, ACTIVITIES, indices=activities.INDICES)
        metadata = {"namespace": "shop", "name": "pack", "uid": "u", "resourceVersion": "1"}
        view.absorb({"metadata": metadata})
        self.activities = ActivityRunner(
            api,
            view,
            lambda _: Account("us-east-1", "1" * 12),
            lambda key, task: f"token of {key.name} {task.entry}",
            self.take,
            mailbox=cast(Any, self),
            clock=lambda: AT,
        )

    async def take(self, key: ExecutionKey, event: Event, is_there: Callable[[], bool]) -> bool:
        assert key == KEY
        assert isinstance(event, TaskStarted)
        if is_there():
            self.taken.append(event)
        return is_there()

    async def offers(self, value: Json = None) -> None:
        self.count += 1
        at = AT + timedelta(seconds=self.count)
        task = Task(
            id=TaskId(0, self.count, 1),
            state="A",
            resource="treadle:activity/pack",
            parameters=value,
            input=value,
            digest="d",
            due_at=at,
            deadline_at=None,
            uid="",
        )
        await self.activities.start(Order(KEY, task, {}, 1_000))

    async def opened(self) -> None:
        """All that there is is known."""

    async def holds(self, count: int) -> None:
        """Wait until so many workers are held."""
        while self.activities._pollers != count:  # noqa: ASYNC110
            await asyncio.sleep(0)  # nobody tells when a request has come to be held

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Place"]:
        async with Forwarding(lambda: self.leads, lambda: self.leader) as forwarding:
            asked = Polls(self.activities, Reviews(cast(Any, self.server)), forwarding)
            answer = cast(Any, None)
            taking = Callbacks(Never(), answer, forwarding, lambda: AT, DEFAULT)
            await self.activities.open(self.opened)
            server = Server(served(taking, asked), "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{await server.open()}"
            try:
                yield self
            finally:
                await server.close()


class Caller:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.headers: Mapping[str, str] = {}

    async def post(
        self, place: Place, path: str = POLL, body: Any = b"", headers: Any = BEARER
    ) -> tuple[int, Any]:
        async with self._session.post(place.url + path, data=body, headers=headers) as answer:
            self.headers = answer.headers
            text = await answer.read()
            return answer.status, json.loads(text) if text else None

    async def aws(self, place: Place, body: Any, token: str | None = "good") -> tuple[int, Any]:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AWSStepFunctions.GetActivityTask",
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/states/aws4_request",
        }
        if token is not None:
            headers["X-Amz-Security-Token"] = token
        sent = body if isinstance(body, bytes) else json.dumps(body)
        return await self.post(place, "/", sent, headers)

    def waiting(self, place: Place, **more: Any) -> "asyncio.Task[tuple[int, Any]]":
        return asyncio.create_task(self.post(place, **more))


def play(scene: Callable[[Place, Caller], Awaitable[None]]) -> None:
    async def act() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            asyncio.timeout(60),
            Place().open() as place,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            await scene(place, Caller(session))

    asyncio.run(act())


def test_by_path_the_input_is_json_itself() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        await place.offers({"n": [1, 2.50, "ü"]})
        answer = {"taskToken": "token of e 1", "input": {"n": [1, 2.5, "ü"]}}
        assert await caller.post(place) == (200, answer)
        assert caller.headers["Content-Type"] == "application/json"
        assert [each.worker for each in place.taken] == ["w-1"]

    play(scene)


def test_by_awss_protocol_it_is_a_text() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        await place.offers({"n": 1})
        asked = {"activityArn": ARN, "workerName": "w-2"}
        answer = {"taskToken": "token of e 1", "input": '{"n":1}'}
        assert await caller.aws(place, asked) == (200, answer)
        assert caller.headers["Content-Type"] == "application/x-amz-json-1.0"
        await place.offers()
        assert (await caller.aws(place, {"activityArn": ARN}))[0] == 200
        assert [each.worker for each in place.taken] == ["w-2", ""]

    play(scene)


def test_where_there_is_nothing_to_do_both_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActivityRunner.poll, "__defaults__", (0.01,))

    async def scene(place: Place, caller: Caller) -> None:
        assert await caller.post(place) == (204, None)
        assert await caller.aws(place, {"activityArn": ARN}) == (200, {})

    play(scene)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer bad"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic good"},
        {"X-Amz-Security-Token": "bad"},
    ],
)
def test_who_is_not_known_is_not_let_in(headers: dict[str, str]) -> None:
    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.post(place, headers=headers)
        assert (status, said["__type"]) == (401, "UnrecognizedClientException")
        assert "audience `treadle`" in said["message"]
        status, said = await caller.aws(place, {"activityArn": ARN}, token=None)
        assert (status, said["__type"]) == (401, "UnrecognizedClientException")

    play(scene)


def test_who_may_not_work_is_told_what_is_missing() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        place.server.rights.clear()
        status, said = await caller.post(place)
        assert (status, said["__type"]) == (403, "AccessDeniedException")
        assert said["message"] == (
            f"{NAME} may not `work` on activities.treadle.dev pack in the namespace shop"
        )

    play(scene)


def test_an_activity_that_does_not_exist_is_awss_error() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.post(place, "/v1/namespaces/shop/activities/none/poll")
        assert (status, said["__type"]) == (400, "ActivityDoesNotExist")
        assert said["message"] == "Activity Does Not Exist: 'shop/none'"
        for arn in (ARN.replace("1" * 12, "2" * 12), "nonsense", ARN.replace("pack", "none")):
            status, said = await caller.aws(place, {"activityArn": arn})
            assert (status, said["__type"]) == (400, "ActivityDoesNotExist")

    play(scene)


@pytest.mark.parametrize(
    "where", ["shop/activities/Pack", "shop/activities/a%2Fb", "S/activities/a"]
)
def test_what_can_be_no_name_is_asked_of_nobody(where: str) -> None:
    async def scene(place: Place, caller: Caller) -> None:
        path = URL(f"{place.url}/v1/namespaces/{where}/poll", encoded=True)
        async with caller._session.post(path, headers=BEARER) as answer:
            assert (await answer.json())["__type"] == "ActivityDoesNotExist"
        assert "SubjectAccessReview" not in place.server.asked

    play(scene)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "SerializationException"),
        ({}, "ValidationException"),
        ({"activityArn": 7}, "ValidationException"),
        ({"activityArn": ARN, "workerName": "w" * 81}, "ValidationException"),
        ({"activityArn": ARN + "x" * 300}, "ValidationException"),
        ({"activityArn": "\ud800"}, "ActivityDoesNotExist"),
        (b"x" * 5_000, "ValidationException"),
    ],
)
def test_what_cannot_be_meant_is_said_to_be_wrong(body: Any, kind: str) -> None:
    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.aws(place, body)
        assert (status, said["__type"]) == (400, kind)
        status, said = await caller.post(place, POLL + "x" * 80)
        assert (status, said["__type"]) == (400, "ValidationException")

    play(scene)


def test_a_body_whose_length_nobody_says_may_be_no_longer_than_others() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1_000

    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.post(place, body=parts())
        assert (status, said["__type"]) == (400, "ValidationException")

    play(scene)


def test_a_body_that_is_not_packed_as_it_says_is_said_to_be_wrong() -> None:
    packed = {**BEARER, "Content-Encoding": "gzip", "Content-Length": "7"}

    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.post(place, body=b"no gzip", headers=packed)
        assert (status, said["__type"]) == (400, "SerializationException")

    play(scene)


def test_half_a_letter_in_a_workers_name_is_none() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        await place.offers()
        asked = {"activityArn": ARN, "workerName": "w-\ud800"}
        assert (await caller.aws(place, asked))[0] == 200
        # A history that holds the other half could not be saved.
        assert [each.worker for each in place.taken] == ["w-?"]

    play(scene)


def test_where_nobody_can_be_asked_it_is_to_be_sent_again() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        place.server.fault = Refused(403, "Forbidden", "tokenreviews is forbidden")
        status, said = await caller.post(place)
        assert (status, said["message"]) == (503, "tokenreviews is forbidden; send it again")

    play(scene)


def test_more_workers_than_there_may_be_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "POLLERS_MAX", 2)

    async def scene(place: Place, caller: Caller) -> None:
        held = [caller.waiting(place) for _ in range(2)]
        await place.holds(2)
        status, said = await caller.post(place)
        assert (status, said["__type"]) == (400, "ActivityWorkerLimitExceeded")
        for each in held:
            each.cancel()

    play(scene)


def test_requests_that_are_held_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "POLLERS_MAX", 1)

    async def scene(_: Place, caller: Caller) -> None:
        async with Place().open() as small:
            held = caller.waiting(small)
            await small.holds(1)
            assert (await caller.post(small))[0] == 503
            held.cancel()
            await small.holds(0)

    play(scene)


def test_who_hangs_up_gives_the_place_back_and_loses_nothing() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        held = caller.waiting(place)
        await place.holds(1)
        held.cancel()
        await place.holds(0)
        await place.offers(1)
        assert (await caller.post(place))[1]["input"] == 1

    play(scene)


def test_a_thousand_are_held_and_ask_the_api_server_next_to_nothing() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        held = [caller.waiting(place) for _ in range(1_000)]
        await place.holds(1_000)
        assert place.server.asked.count("TokenReview") <= 20
        assert place.server.asked.count("SubjectAccessReview") <= 20
        asked = len(place.server.asked)
        for number in range(1_000):
            await place.offers(number)
        answers = await asyncio.gather(*held)
        assert sorted(said["input"] for _, said in answers) == list(range(1_000))
        assert len({said["taskToken"] for _, said in answers}) == 1_000
        assert len(place.server.asked) == asked

    play(scene)


def test_a_standby_hands_it_to_who_leads_and_so_does_who_hangs_up() -> None:
    async def scene(place: Place, caller: Caller) -> None:
        async with Place().open() as standby:
            standby.leads = False
            standby.leader = place.url
            held = caller.waiting(standby)
            await place.holds(1)
            held.cancel()
            await place.holds(0)
            await place.offers(1)
            assert (await caller.post(standby))[1]["taskToken"] == "token of e 1"
            await place.offers(2)
            answer = await caller.aws(standby, {"activityArn": ARN})
            assert answer == (200, {"taskToken": "token of e 2", "input": "2"})
            assert standby.server.asked == [], "who leads asks"

    play(scene)


def test_a_body_that_does_not_come_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "BODY_SECONDS", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def scene(place: Place, caller: Caller) -> None:
        status, said = await caller.post(place, body=slowly())
        assert (status, said["__type"]) == (408, "RequestTimeout")

    play(scene)
