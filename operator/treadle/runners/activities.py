"""Activities: attempts whose work is asked for by workers.

One rule: the queue is a difference like any other. What is wanted and no worker has is offered, the
earliest scheduled first; and a worker has it once a save says so.
"""

import asyncio
import heapq
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple
from uuid import uuid4

from treadle.asl.arns import ACTIVITY, Account, parse_resource
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted
from treadle.kube.api import Obj, Objects
from treadle.kube.informer import Informer
from treadle.kube.kinds import ACTIVITIES
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    Attempt,
    Clock,
    ExecutionKey,
    Fault,
    Mailbox,
    Missing,
    NotLeading,
    Order,
    Tokens,
)

_log = logging.getLogger(__name__)

DOES_NOT_EXIST: Final = "ActivityDoesNotExist"
POLL_SECONDS: Final = 60.0
"""How long a worker is kept waiting. Source: AWS API, GetActivityTask."""

HANDING_SECONDS: Final = 5.0
"""How much longer, where something is being handed to it."""

AGAIN_SECONDS: Final = 5.0
"""After this an attempt is offered again that could not be handed out: it is parked, perhaps."""

SETTLE_SECONDS: Final = 10.0
"""How long workers wait at most for the queue of a process that takes over to be whole."""

POLLERS_MAX: Final = 10_000
"""Workers that wait at once."""

BY_NAME: Final = "name"
BY_ARN: Final = "arn"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

Take = Callable[[ExecutionKey, Event, Callable[[], bool]], Awaitable[bool]]
"""See `Driver.answer`."""


def arn_of(obj: Obj) -> str | None:
    """The ARN that an Activity has besides the one of its namespace and name."""
    arn = (obj.get("spec") or {}).get("arn")
    return arn if isinstance(arn, str) else None


INDICES: Final[Mapping[str, Callable[[Obj], str | None]]] = {
    BY_NAME: lambda obj: str(obj["metadata"]["name"]),
    BY_ARN: arn_of,
}
"""What the view of Activities must have."""


class Place(NamedTuple):
    """Which activity."""

    namespace: str
    name: str

    @property
    def may_be(self) -> bool:
        """Whether Kubernetes could have it: anybody may ask for any text."""
        return all(map(_NAME.fullmatch, self))


@dataclass(frozen=True, slots=True)
class Handed:
    """What a worker is given: the attempt's token, and its input as JSON text."""

    token: str
    input: str


class TooManyPollers(Exception):  # noqa: N818 - it says what there is
    """No other worker may wait now."""


@dataclass(eq=False, slots=True)
class _Offer:
    """`uid`: of its hand-out. Where a save says so and its worker was not told, the next one is."""

    order: Order
    place: Place
    uid: str
    resting: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class _Poller:
    worker: str
    place: Place
    told: asyncio.Future[Handed | None]
    is_met: bool = False
    is_gone: bool = False
    given: _Offer | None = None


@dataclass(slots=True)
class _Queue:
    """What is offered of one activity, a heap, and who waits.

    What was withdrawn stays until it is met, or until it may be half of the heap.
    """

    offers: list[tuple[datetime, str, TaskId, int, _Offer]] = field(default_factory=list)
    pollers: OrderedDict[_Poller, None] = field(default_factory=OrderedDict)
    withdrawn: int = 0


class ActivityRunner:
    """Runs `treadle:activity/NAME` and AWS's ARNs of activities. See `runtime.ports.Runner`.

    Args:
        api: tells whether an Activity exists that is not seen.
        view: of Activities, with `INDICES`.
        accounts: what stands in the ARNs of a namespace.
        tokens: gives an attempt's token.
        take: has it saved that a worker has an attempt.
        mailbox: where what happened is left.
        clock: the time.
        draw: names hand-outs, each once: a UUID.
    """

    resources = frozenset({ACTIVITY})
    makes_objects = False
    asks_first = False

    def __init__(
        self,
        api: Objects,
        view: Informer,
        accounts: Callable[[str], Account],
        tokens: Tokens,
        take: Take,
        mailbox: Mailbox,
        clock: Clock,
        draw: Callable[[], str] = lambda: str(uuid4()),
        meter: Meter | None = None,
    ) -> None:
        self._api = api
        self._view = view
        self._accounts = accounts
        self._tokens = tokens
        self._take = take
        self._mailbox = mailbox
        self._clock = clock
        self._draw = draw
        self._meter = meter or NoMeter()
        self._queues: dict[Place, _Queue] = {}
        self._offers: dict[ExecutionKey, dict[TaskId, _Offer]] = {}
        self._ties = count()
        self._handing: set[asyncio.Task[None]] = set()
        self._pollers = 0
        self._offered = 0
        self._open = False
        self._draining = False

    # ------------------------------------------------------------------------- what is wanted

    def current(self) -> bool:
        """No timer waits for it: a worker's word comes by its token."""
        return True

    async def start(self, order: Order) -> None:
        """Offer the attempt, unless a worker has it; see Runner.

        Raises:
            Fault: nobody knows whether there is such an Activity.
        """
        key, task = order.execution, order.task
        if order.expired or task.uid or task.id in self._offers.get(key, ()):
            return
        place = await self._place(key.namespace, task.resource)
        if place is None:
            self._fail(order)
            return
        offer = _Offer(order, place, self._draw())
        self._offers.setdefault(key, {})[task.id] = offer
        self._count(offers=1)
        self._queue(offer)

    async def _place(self, namespace: str, resource: str) -> Place | None:
        """The activity that a Task's Resource names; None where there is none. Raises: Fault."""
        name = self._accounts(namespace).activity_named(resource)
        if name is not None and await self.exists(Place(namespace, name)):
            return Place(namespace, name)
        if parse_resource(resource).kind != "activity":
            return None
        seen = [_place(obj) for obj in self._view.find(BY_ARN, resource)]
        if not any(place.namespace == namespace for place in seen):
            listing = await self._api.list(ACTIVITIES, namespace)
            seen = [_place(obj) for obj in listing.items if arn_of(obj) == resource]
        return min((place for place in seen if place.namespace == namespace), default=None)

    async def exists(self, place: Place) -> bool:
        """Whether there is such an Activity. Raises: Fault."""
        if self._view.get(*place) is not None:
            return True
        if not place.may_be:
            return False
        # What a view does not show is a question.
        try:
            await self._api.get(ACTIVITIES, *place)
        except Missing:
            return False
        return True

    def named_by(self, arn: str, home: str) -> Place | None:
        """The activity that a worker names; None for none that is seen.

        Args:
            arn: of an activity.
            home: the worker's namespace, which comes first where several have this ARN; then those
                whose account it has, for an Activity of any namespace may say that it is its own.
        """
        name = arn.rpartition(":")[2]
        named = [_place(obj) for obj in self._view.find(BY_NAME, name)]
        owners = [each for each in named if self._is_named(each, arn)]
        others = [_place(obj) for obj in self._view.find(BY_ARN, arn)]
        at_home = [each for each in (*owners, *others) if each.namespace == home]
        found = at_home or owners or others
        if not found and home and self._is_named(Place(home, name), arn):
            return Place(home, name)  # it may be new
        return min(found, default=None)

    def _is_named(self, place: Place, arn: str) -> bool:
        return self._accounts(place.namespace).activity_arn(place.name) == arn

    async def stop(self, attempt: Attempt) -> None:
        """Offer it no more; a worker that has it learns so when it answers. See Runner."""
        self._withdraw(attempt)

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """See Runner."""
        return list(self._offers.get(execution, ()))

    async def ended(self, attempt: Attempt) -> None:
        """See Runner."""
        self._withdraw(attempt)

    async def sweep(self) -> None:
        """Fail what waits for a worker of an Activity that has gone."""
        offers = [offer for of_one in self._offers.values() for offer in of_one.values()]
        for place in {offer.place for offer in offers}:
            if not await self.exists(place):
                for offer in offers:
                    if offer.place == place and self._withdraw(offer.order.attempt):
                        self._fail(offer.order)

    async def open(self, settled: Callable[[], Awaitable[None]]) -> None:
        """Begin to hand out, once it is known what is first; after a while in any case.

        Args:
            settled: waits until what waits was offered.
        """
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await settled()
        except (Fault, TimeoutError) as why:
            _log.info("the order of what waits for workers is not known whole: %r", why)
        self._open = True
        for queue in list(self._queues.values()):
            self._match(queue)

    def drain(self) -> None:
        """Hand out nothing more; who waits is sent away."""
        self._draining = True
        for queue in self._queues.values():
            for poller in queue.pollers:
                poller.told.set_result(None)
            queue.pollers.clear()

    def _fail(self, order: Order) -> None:
        namespace, resource = order.execution.namespace, order.task.resource
        name = self._accounts(namespace).activity_named(resource)
        missing = f"no Activity in the namespace {namespace} has this as its spec.arn"
        if name is not None:
            missing = f"there is no Activity {name} in the namespace {namespace}"
        cause = f"Activity Does Not Exist: '{resource}': {missing}"
        error = StateError(DOES_NOT_EXIST, cause)
        failed = TaskFailed(order.task.id, error, self._clock(), never_began=True)
        self._mailbox.post(order.execution, failed)

    # ------------------------------------------------------------------------------ the queue

    def _queue(self, offer: _Offer) -> None:
        offer.resting = None
        queue = self._queues.setdefault(offer.place, _Queue())
        key, task = offer.order.execution, offer.order.task
        entry = (task.due_at, key.uid, task.id, next(self._ties), offer)
        heapq.heappush(queue.offers, entry)
        self._match(queue)

    def _withdraw(self, attempt: Attempt) -> _Offer | None:
        of_one = self._offers.get(attempt.execution, {})
        offer = of_one.pop(attempt.task, None)
        if not of_one:
            self._offers.pop(attempt.execution, None)
        if offer is None:
            return None
        self._count(offers=-1)
        if offer.resting is not None:
            offer.resting.cancel()
        queue = self._queues.get(offer.place)
        if queue is not None:
            self._sift(queue)
            self._tidy(offer.place)
        return offer

    def _count(self, *, offers: int = 0, pollers: int = 0) -> None:
        self._offered += offers
        self._pollers += pollers
        self._meter.queued(self._offered, self._pollers)

    def _is_offered(self, offer: _Offer) -> bool:
        return self._offers.get(offer.order.execution, {}).get(offer.order.task.id) is offer

    def _match(self, queue: _Queue) -> None:
        while queue.offers and queue.pollers and self._open and not self._draining:
            offer = heapq.heappop(queue.offers)[-1]
            if not self._is_offered(offer):
                continue
            poller, _ = queue.pollers.popitem(last=False)
            poller.is_met = True
            handing = asyncio.create_task(self._hand(offer, poller))
            self._handing.add(handing)
            handing.add_done_callback(self._handing.discard)

    def _sift(self, queue: _Queue) -> None:
        """Drop what was withdrawn, once that may be half of what is there."""
        queue.withdrawn += 1
        if 2 * queue.withdrawn >= len(queue.offers):
            queue.offers = [entry for entry in queue.offers if self._is_offered(entry[-1])]
            heapq.heapify(queue.offers)
            queue.withdrawn = 0

    def _tidy(self, place: Place) -> None:
        queue = self._queues.get(place)
        if queue is not None and not queue.offers and not queue.pollers:
            del self._queues[place]

    # ------------------------------------------------------------------------------ the workers

    async def poll(self, place: Place, worker: str, seconds: float = POLL_SECONDS) -> Handed | None:
        """What a worker is to do; None where for so long there is nothing.

        Raises:
            TooManyPollers: see there.
            NotLeading: this process is about to end.
        """
        if self._draining:
            raise NotLeading("this process is about to end")
        if self._pollers >= POLLERS_MAX:
            raise TooManyPollers
        poller = _Poller(worker, place, asyncio.get_running_loop().create_future())
        self._count(pollers=1)
        self._wait(poller)
        try:
            await asyncio.wait({poller.told}, timeout=seconds)
            if poller.is_met:
                await asyncio.wait({poller.told}, timeout=HANDING_SECONDS)
            handed = poller.told.result() if poller.told.done() else None
            if poller.given is not None:
                self._withdraw(poller.given.order.attempt)
            return handed
        except asyncio.CancelledError:
            if poller.given is not None:
                self._offer_again(poller.given)
            raise
        finally:
            self._count(pollers=-1)
            poller.is_gone = True
            self._queues.setdefault(place, _Queue()).pollers.pop(poller, None)
            self._tidy(place)

    def _wait(self, poller: _Poller, *, first: bool = False) -> None:
        queue = self._queues.setdefault(poller.place, _Queue())
        queue.pollers[poller] = None
        if first:
            queue.pollers.move_to_end(poller, last=False)
        poller.is_met = False
        self._match(queue)

    async def _hand(self, offer: _Offer, poller: _Poller) -> None:
        """Give an attempt to a worker: it is told when a save says that it has it."""
        key, task = offer.order.execution, offer.order.task
        try:
            token = self._tokens(key, task.id)
            started = TaskStarted(task.id, offer.uid, poller.worker)
            is_taken = await self._take(key, started, lambda: not poller.is_gone)
        except Fault as why:
            _log.info("%s of %s is not handed out: %r", task.id, key.name, why)
            self._rest(offer, poller)
        except Exception:
            # We are wrong about this one; the worker may be given another.
            _log.exception("%s of %s is not handed out", task.id, key.name)
            self._meter.failed("runners")
            self._rest(offer, poller)
        else:
            self._handed(offer, poller, token if is_taken else None)

    def _handed(self, offer: _Offer, poller: _Poller, token: str | None) -> None:
        if poller.is_gone:
            self._offer_again(offer)
        elif token is None:
            self._withdraw(offer.order.attempt)
            self._wait(poller, first=True)  # it is over, or another process has handed it out
        else:
            self._meter.task_started("activity")
            poller.given = offer
            poller.told.set_result(Handed(token, dumps(offer.order.task.parameters)))

    def _offer_again(self, offer: _Offer) -> None:
        """Who was to have it was not told of it."""
        if self._is_offered(offer):
            self._queue(offer)

    def _rest(self, offer: _Offer, poller: _Poller) -> None:
        """It cannot be handed out now, and nobody knows until when."""
        if self._is_offered(offer):
            loop = asyncio.get_running_loop()
            offer.resting = loop.call_later(AGAIN_SECONDS, self._queue, offer)
        if not poller.is_gone:
            self._wait(poller, first=True)


def _place(obj: Obj) -> Place:
    metadata = obj["metadata"]
    return Place(metadata["namespace"], metadata["name"])
