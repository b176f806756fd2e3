"""HTTP tasks: a call that this process makes.

One rule: a call leaves nothing outside that could be asked later, so it is made at least once, and
each attempt of it carries the same Idempotency-Key in every process.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from treadle.asl import errors
from treadle.asl.errors import StateError
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube import names
from treadle.runners.call import (
    AWS,
    INVALID_PARAMETERS,
    NATIVE,
    Call,
    CallSettings,
    InvalidCall,
    call_of,
    result_of,
)
from treadle.runners.transport import (
    AddressDenied,
    AnswerTooLarge,
    HttpRequest,
    NotARequest,
    SocketFailed,
    Transport,
)
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    Attempt,
    Clock,
    ExecutionKey,
    Leadership,
    Mailbox,
    NotLeading,
    Order,
)

_log = logging.getLogger(__name__)

ADDRESS_DENIED = "Treadle.AddressDenied"
SOCKET = "States.Http.Socket"

LEASE_LOOK_SECONDS = 0.5
ANSWERED_MAX = 1_000
"""Answers remembered until their attempts' ends are saved; a forgotten one is asked for again."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How HTTP tasks run.

    Attributes:
        calls_max: at once; further ones wait.
    """

    calls_max: int = 100
    call: CallSettings = field(default_factory=CallSettings)


class HttpRunner:
    """Runs `treadle:http` and `arn:aws:states:::http:invoke`. See `runtime.ports.Runner`."""

    resources = frozenset({NATIVE, AWS})
    makes_objects = False
    asks_first = False

    def __init__(
        self,
        transport: Transport,
        mailbox: Mailbox,
        leadership: Leadership,
        clock: Clock,
        settings: HttpSettings | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._transport = transport
        self._mailbox = mailbox
        self._leadership = leadership
        self._clock = clock
        self._settings = settings or HttpSettings()
        self._meter = meter or NoMeter()
        self._slots = asyncio.Semaphore(self._settings.calls_max)
        self._calls: dict[str, dict[TaskId, asyncio.Task[None]]] = {}
        self._sent: set[asyncio.Task[None]] = set()
        self._answered: OrderedDict[Attempt, Event] = OrderedDict()
        self._draining = False

    def current(self) -> bool:
        """It sees all that there is: its own calls."""
        return True

    async def start(self, order: Order) -> None:
        """Begin the call and return; see Runner.

        Raises:
            NotLeading: the Lease is not fresh, or this process is about to end.
        """
        if order.expired:
            return
        if self._draining or not self._leadership.fresh():
            raise NotLeading("no HTTP call may begin here")
        key, task = order.execution, order.task.id
        answered = self._answered.get(order.attempt)
        if answered is not None:
            self._mailbox.post(key, answered)
        elif task not in self._calls.get(key.uid, {}):
            call = asyncio.create_task(self._run(order), name=f"http {key.name} {task}")
            self._calls.setdefault(key.uid, {})[task] = call
            call.add_done_callback(lambda done: self._forget(order.attempt, done))
            self._meter.task_started("http")

    async def stop(self, attempt: Attempt) -> None:
        """Cut the call off, whatever the other side has done by then; see Runner."""
        self._answered.pop(attempt, None)
        call = self._calls.get(attempt.execution.uid, {}).get(attempt.task)
        if call is not None and not call.cancelling() and call.cancel():
            self._meter.task_ended("http", "stopped")

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return any(self._calls.values())

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """See Runner."""
        return list(self._calls.get(execution.uid, ()))

    async def ended(self, attempt: Attempt) -> None:
        """See Runner."""
        self._answered.pop(attempt, None)

    async def sweep(self) -> None:
        """A call leaves nothing to sweep."""

    async def drain(self, deadline_seconds: float) -> None:
        """Begin nothing more; wait for calls that were sent, then cut off the rest in silence.

        Their attempts stay as they are saved: the next process makes the calls again.
        """
        self._draining = True
        calls = {call for of_one in self._calls.values() for call in of_one.values()}
        for call in calls - self._sent:
            call.cancel()
        if self._sent:
            await asyncio.wait(set(self._sent), timeout=deadline_seconds)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    # --------------------------------------------------------------------------------- one call

    def _forget(self, attempt: Attempt, call: asyncio.Task[None]) -> None:
        of_one = self._calls.get(attempt.execution.uid, {})
        if of_one.get(attempt.task) is call:
            del of_one[attempt.task]
        if not of_one:
            self._calls.pop(attempt.execution.uid, None)
        self._sent.discard(call)

    async def _run(self, order: Order) -> None:
        outcome = await self._outcome(order)
        self._forget_self(order.attempt)
        task = order.task.id
        event: Event
        if isinstance(outcome, str):
            event = TaskSucceeded(task, outcome, self._clock())
        else:
            event = TaskFailed(task, outcome, self._clock())
        self._meter.task_ended("http", "succeeded" if isinstance(outcome, str) else "failed")
        self._answered[order.attempt] = event
        while len(self._answered) > ANSWERED_MAX:
            self._answered.popitem(last=False)
        self._mailbox.post(order.execution, event)

    def _forget_self(self, attempt: Attempt) -> None:
        # Before the event is posted: whoever handles it must not find the call still running.
        call = asyncio.current_task()
        assert call is not None
        self._forget(attempt, call)

    async def _outcome(self, order: Order) -> str | StateError:
        try:
            parameters, bytes_max = order.task.parameters, order.payload_bytes_max
            call = call_of(order.task.resource, parameters, self._settings.call, bytes_max)
        except InvalidCall as invalid:
            return invalid.error
        try:
            async with self._slots:
                await self._lease()
                return await self._answer(order, _addressed(order, call))
        except Exception as error:
            # Without this the attempt would wait for ever for an event that nobody sends.
            _log.exception("http call of %s: %s", order.execution.name, order.task.id)
            self._meter.failed("runners")
            return StateError(errors.RUNTIME, f"The call failed here: {type(error).__name__}")

    async def _lease(self) -> None:
        """Wait until the Lease is fresh: the check comes right before the sending."""
        while not self._leadership.fresh():  # noqa: ASYNC110 - freshness is told by a clock
            await asyncio.sleep(LEASE_LOOK_SECONDS)

    async def _answer(self, order: Order, request: HttpRequest) -> str | StateError:
        call = asyncio.current_task()
        assert call is not None
        self._sent.add(call)
        self._mailbox.post(order.execution, TaskStarted(order.task.id, ""))
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        kind, outcome = await self._exchange(request, order)
        self._meter.http_called(kind, loop.time() - began_at)
        return outcome

    async def _exchange(self, request: HttpRequest, order: Order) -> tuple[str, str | StateError]:
        try:
            answer = await self._transport.call(request)
        except AddressDenied as denied:
            return "denied", StateError(ADDRESS_DENIED, f"{request.url}: {denied}")
        except AnswerTooLarge as large:
            return "too_large", StateError(errors.DATA_LIMIT_EXCEEDED, f"{request.url}: {large}")
        except SocketFailed as failed:
            return "no_answer", StateError(SOCKET, f"{request.url}: {failed}")
        except NotARequest as wrong:
            return "not_sent", _not_sent(order.task.resource, wrong)
        result = result_of(order.task.resource, answer, order.payload_bytes_max)
        return f"{answer.status // 100}xx", result


def _not_sent(resource: str, wrong: NotARequest) -> StateError:
    name = INVALID_PARAMETERS if resource == NATIVE else errors.RUNTIME
    return StateError(name, f"The parameters of {resource} make no request: {wrong}")


def _addressed(order: Order, call: Call) -> HttpRequest:
    """The request with its key and whose address lists judge it."""
    task = order.task.id
    headers = list(call.request.headers)
    if not call.has_key:
        first = task._replace(attempt=1) if call.key_per_entry else task
        headers.append(("Idempotency-Key", names.attempt(order.execution, first)))
    return replace(call.request, headers=headers, namespace=order.execution.namespace)
