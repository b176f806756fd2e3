"""Questions to people on a desk: answered before, or by whoever sits there.

One rule: a desk has no objects for people to patch; what is asked, and what comes of it, is as on a
cluster.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from treadle.asl.errors import RUNTIME, StateError
from treadle.asl.json import dumps
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube import approving
from treadle.kube.approving import RESOURCE, Question
from treadle.runners import decisions
from treadle.runtime.ports import Attempt, Clock, ExecutionKey, Mailbox, Order

_log = logging.getLogger(__name__)

NOBODY = "Nobody can be asked here."


class Said(NamedTuple):
    """What somebody decided."""

    approve: bool
    reason: str = ""


Ask: TypeAlias = Callable[[str, Question], Awaitable[Said]]
"""Asks who sits there: (state, question)."""


class Asked(NamedTuple):
    """Who answers questions on a desk.

    Attributes:
        said: what was decided before, by state.
        ask: for all other states; None where nobody can be asked.
    """

    said: Mapping[str, bool]
    ask: Ask | None = None


class DeskApprovals:
    """Runs `treadle:approval` on a desk. See `runtime.ports.Runner`.

    `by` is who sits there.
    """

    resources = frozenset({RESOURCE})
    makes_objects = False
    asks_first = False

    def __init__(self, asked: Asked, by: str, mailbox: Mailbox, clock: Clock) -> None:
        self._said, self._ask = asked
        self._by = by
        self._mailbox = mailbox
        self._clock = clock
        self._asking: dict[Attempt, asyncio.Task[None]] = {}
        self._one = asyncio.Lock()  # a terminal has room for one question

    @property
    def busy(self) -> bool:
        """Whether somebody is being asked."""
        return bool(self._asking)

    def current(self) -> bool:
        """See Runner."""
        return True

    async def start(self, order: Order) -> None:
        """Ask, and return; see Runner."""
        if order.attempt in self._asking:
            return
        asking = asyncio.create_task(self._decide(order), name=f"ask {order.task.state}")
        self._asking[order.attempt] = asking
        asking.add_done_callback(lambda _: self._asking.pop(order.attempt, None))

    async def stop(self, attempt: Attempt) -> None:
        """See Runner."""
        asking = self._asking.get(attempt)
        if asking is not None:
            asking.cancel()

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """See Runner."""
        return [attempt.task for attempt in self._asking if attempt.execution == execution]

    async def ended(self, attempt: Attempt) -> None:
        """See Runner: nothing holds a decision."""

    async def sweep(self) -> None:
        """See Runner: there is nothing outside."""

    def drain(self) -> None:
        """Ask nobody any more."""
        for asking in self._asking.values():
            asking.cancel()

    # ----------------------------------------------------------------------------------- asking

    async def _decide(self, order: Order) -> None:
        self._mailbox.post(order.execution, TaskStarted(order.task.id, ""))
        question = approving.parse(order.task.parameters)
        if isinstance(question, StateError):
            self._fail(order, question)
            return
        try:
            async with asyncio.timeout(self._seconds(order, question)):
                said = await self._answer(order.task.state, question)
        except TimeoutError:
            self._fail(order, StateError(decisions.EXPIRED, _cause([])))
        except Exception as error:
            # Without this the attempt would wait for ever for an event that nobody sends.
            _log.exception("the question of %s", order.task.state)
            cause = f"nobody could be asked: {type(error).__name__}"
            self._fail(order, StateError(RUNTIME, cause))
        else:
            self._tell(order, said)

    def _seconds(self, order: Order, question: Question) -> float | None:
        if question.expires_seconds is None:
            return None
        until = order.task.due_at + timedelta(seconds=question.expires_seconds)
        return max(0.0, (until - self._clock()).total_seconds())

    async def _answer(self, state: str, question: Question) -> Said:
        if state in self._said:
            return Said(self._said[state])
        if self._ask is None:
            return Said(False, NOBODY)
        async with self._one:
            return await self._ask(state, question)

    def _tell(self, order: Order, said: Said) -> None:
        now = self._clock()
        decision: dict[str, Any] = {"by": self._by, "approve": said.approve, "at": _instant(now)}
        if said.reason:
            decision["reason"] = said.reason
        if not said.approve:
            self._fail(order, StateError(decisions.REJECTED, _cause([decision])))
            return
        output = dumps({"approved": True, "decisions": [decision]})
        self._post(order, TaskSucceeded(order.task.id, output, now))

    def _fail(self, order: Order, error: StateError) -> None:
        self._post(order, TaskFailed(order.task.id, error, self._clock()))

    def _post(self, order: Order, event: Event) -> None:
        # Before the event: whoever handles it must not find the question still open.
        self._asking.pop(order.attempt, None)
        self._mailbox.post(order.execution, event)


def _cause(made: list[dict[str, Any]]) -> str:
    return dumps({"approved": False, "decisions": made})


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
