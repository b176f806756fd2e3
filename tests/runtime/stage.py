"""A stage for the turn: a simulated cluster, the real stores, a driver, and hands that record.

One rule: the API server is the simulated one; what goes wrong with a request is said by the test.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from treadle.app.identify import Identities
from treadle.asl.evaluator import Answer, Asked, EvaluatorLost, answer
from treadle.engine.commands import Task
from treadle.engine.events import TaskId, TaskStarted, TaskSucceeded
from treadle.kube import decode
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES, Kind
from treadle.kube.podtemplates import PodDefaults
from treadle.runtime.driver import Driver
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Attempt, ExecutionKey, Fault, Order, Payer, Unavailable
from treadle.runtime.slots import TURNS_AT_ONCE
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.faults import Fate, Faults
from treadle.stores.executions import StatusStore
from treadle.stores.judgement import Installation
from treadle.stores.machines import RevisionMachines

T = TypeVar("T")
Deed = Callable[[], object]

UID = "00000000-0000-0000-0000-000000000001"

JOB = {"Type": "Task", "Resource": "treadle:job", "Parameters": {"image": "i"}}
ONE_TASK = {"StartAt": "A", "States": {"A": {**JOB, "End": True}}}
TWO_TASKS = {"StartAt": "A", "States": {"A": {**JOB, "Next": "B"}, "B": {**JOB, "End": True}}}
TIMED = {"StartAt": "A", "States": {"A": {**JOB, "TimeoutSeconds": 10, "End": True}}}
NOTHING = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
FAILS = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "because"}}}
A_MINUTE = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 60, "End": True}}}
CHAIN: dict[str, Any] = {
    **{f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(1200)},
    "s1200": {"Type": "Succeed"},
}

A1 = TaskId(0, 1, 1)
B1 = TaskId(0, 2, 1)


class Line(SimApi):
    """An operator's connection: a test says what becomes of which request.

    `calls` of `seen` are (verb, kind's name). `lost`: it happens and its answer is lost; `failed`:
    it does not happen; a function: it is called just before the request is sent.
    """

    def __init__(self, cluster: SimCluster) -> None:
        self._script: list[tuple[str, Kind, str | Deed]] = []
        self._fate = "answered"
        self.seen: list[tuple[str, str]] = []
        super().__init__(cluster, _Told(self), "operator")

    def next(self, verb: str, kind: Kind, what: str | Deed, times: int = 1) -> None:
        """Say what becomes of the next such requests."""
        self._script += [(verb, kind, what)] * times

    def count(self, verb: str, kind: Kind) -> int:
        """How many such requests were sent."""
        return self.seen.count((verb, kind.name))

    @property
    def fate(self) -> str:
        return self._fate

    async def _call(self, verb: str, kind: Kind, *more: Any) -> Any:
        self.seen.append((verb, kind.name))
        self._fate = "answered"
        for entry in list(self._script):
            if entry[:2] == (verb, kind):
                self._script.remove(entry)
                if isinstance(entry[2], str):
                    self._fate = entry[2]
                else:
                    entry[2]()
                break
        return await super()._call(verb, kind, *more)


class _Told(Faults):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def fate(self, now: float, *, write: bool) -> Fate:  # noqa: ARG002 - the test has decided
        return Fate(self._line.fate, 0.01, 0.0)  # type: ignore[arg-type]


RESOURCES = frozenset({"treadle:activity/NAME", "treadle:job", "treadle:http", "treadle:other"})


class Hands:
    """A runner that does nothing and remembers what it was asked."""

    makes_objects = True
    asks_first = False

    def __init__(self, resource: str = "treadle:job") -> None:
        self.resources = frozenset({resource})
        self.seeing = True
        self.started: list[Order] = []
        self.stopped: list[TaskId] = []
        self.ends: list[TaskId] = []
        self.there: list[TaskId] = []
        self.faults: deque[Exception] = deque()
        self.stop_faults: deque[Fault] = deque()
        self.tries = 0

    def current(self) -> bool:
        return self.seeing

    async def start(self, order: Order) -> None:
        self.tries += 1
        await asyncio.sleep(0.01)
        if self.faults:
            raise self.faults.popleft()
        self.started.append(order)

    async def stop(self, attempt: Attempt) -> None:
        if self.stop_faults:
            raise self.stop_faults.popleft()
        self.stopped.append(attempt.task)

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:  # noqa: ARG002
        return list(self.there)

    async def ended(self, attempt: Attempt) -> None:
        self.ends.append(attempt.task)

    async def sweep(self) -> None:
        """Nothing."""

    @property
    def asked(self) -> list[TaskId]:
        """The attempts that were started, in order."""
        return [order.task.id for order in self.started]

    def task(self) -> Task:
        """The newest that was started."""
        return self.started[-1].task


class Counts(NoMeter):
    """A meter that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def started(self) -> None:
        self.told.append("started")

    def ended(self, phase: str) -> None:
        self.told.append(("ended", phase))

    def parked(self) -> None:
        self.told.append("parked")

    def failed(self, where: str) -> None:
        self.told.append(("failed", where))

    def saved(self, outcome: str) -> None:
        self.told.append(("saved", outcome))

    def held(self, executions: int, events: int) -> None:
        self.told.append(("held", executions, events))


class Lead:
    """A Lease that a test gives and takes."""

    held = True

    def fresh(self) -> bool:
        return self.held


class Stage:
    """See the module."""

    def __init__(self) -> None:
        self.cluster = SimCluster(seed=1)
        self.objects = self.cluster.objects
        self.api = Line(self.cluster)
        self.said: list[tuple[str, str, str]] = []
        self.lead = Lead()
        self.skip = timedelta()
        self.meter = Counts()
        self.key = ExecutionKey("default", "e", "nobody")
        self.asked: list[Asked] = []
        self.seconds = 0.0
        self.takes_time = False
        """Whether a second of work lets a virtual one pass."""
        self.payers: list[Payer] = []
        self.losses = 0
        """How many evaluations are lost from here on."""
        self.apart = self.most_apart = 0
        """Works that threads are at, and how many they ever were at once."""
        self.free = asyncio.Event()
        """Whether threads have time for what is done in them."""
        self.free.set()
        self.reborn()

    def reborn(self) -> None:
        """Another process takes over; what the one before remembers is gone with it."""
        self.hands = Hands()
        self.store = StatusStore(self.api)
        self.machines = RevisionMachines(self.api, self.now, Installation(PodDefaults(), RESOURCES))
        self.driver = Driver(
            store=self.store,
            machines=self.machines,
            leadership=self.lead,
            clock=self.now,
            identify=Identities("us-east-1", "1" * 12),
            meter=self.meter,
            announce=lambda _, kind, reason, text: self.said.append((kind, reason, text)),
            stopwatch=lambda: self.seconds,
            evaluator=self.evaluated,
            aside=self.aside,
            tokens=lambda key, task: f"token of {key.name}, {'-'.join(map(str, task))}",
        )
        self.driver.serve([self.hands])

    def evaluated(self, asked: Asked) -> Answer:
        """Evaluates expressions; each takes a second."""
        assert self.apart, "an expression is evaluated in the loop"
        self.asked.append(asked)
        self.seconds += 1.0
        if self.losses:
            self.losses -= 1
            raise EvaluatorLost("its process was killed")
        return answer(asked)

    async def aside(self, work: Callable[[], T], payer: Payer) -> T:
        """Does work once there is time for it."""
        self.payers.append(payer)
        self.apart += 1
        self.most_apart = max(self.most_apart, self.apart)
        try:
            await self.free.wait()
            before = self.seconds
            done = work()
            if self.takes_time:
                await asyncio.sleep(self.seconds - before)
            return done
        finally:
            self.apart -= 1

    def no_slot_is_lost(self) -> None:
        """Each turn that is not being made has given its slot back, once."""
        slots = self.driver._slots
        turning = [run for run in self.driver._runs.values() if run.turning is not None]
        assert slots._any._value >= TURNS_AT_ONCE - len(turning)
        assert slots._any._value <= TURNS_AT_ONCE
        assert slots._long._value <= 1

    def now(self) -> datetime:
        return clock.wall() + self.skip

    # ---------------------------------------------------------------------------------- people

    async def apply_machine(self, definition: Any, name: str = "m", **more: Any) -> None:
        """A machine, judged."""
        old = self.objects.peek(STATE_MACHINES, "default", name)
        spec = {"definition": definition, **more}
        if old is None:
            self.objects.create(
                STATE_MACHINES, "default", {"metadata": {"name": name}, "spec": spec}
            )
        else:
            self.objects.update(STATE_MACHINES, "default", {**old, "spec": spec})
        await self.machines.judge("default", name)

    def apply(self, name: str = "e", machine: str = "m", **spec: Any) -> ExecutionKey:
        """An Execution."""
        whole = {"stateMachineRef": {"name": machine}, "input": {"v": 1}, **spec}
        given = {member: value for member, value in whole.items() if value is not None}
        obj = {"metadata": {"name": name}, "spec": given}
        self.key = decode.key(self.objects.create(EXECUTIONS, "default", obj))
        return self.key

    def change(self, name: str = "e", **spec: Any) -> None:
        """Somebody changes an Execution's spec."""
        self.objects.patch(EXECUTIONS, "default", name, {"spec": spec})

    def touch(self, name: str = "e") -> None:
        """Somebody labels an Execution."""
        self.cluster.touch(EXECUTIONS, ("default", name))

    def remove(self, name: str = "e") -> None:
        """Somebody deletes an Execution."""
        self.cluster.remove(EXECUTIONS, ("default", name))

    def set_status(self, name: str = "e", **status: Any) -> None:
        """Another process writes members of a status."""
        self.objects.patch(EXECUTIONS, "default", name, {"status": status}, status=True)

    # ------------------------------------------------------------------------------- the watch

    async def seen(self) -> None:
        """An Execution is applied, and an operator that sees the world has looked at it."""
        self.apply()
        self.driver.open()
        self.see()
        await asyncio.sleep(1)  # virtual seconds

    def see(self, name: str = "e", *, deleted: bool = False) -> None:
        """The watch shows an Execution as it is."""
        self.driver.seen(decode.sighting(self.of(name), deleted=deleted))

    def of(self, name: str = "e") -> Obj:
        return self.objects.get(EXECUTIONS, "default", name)

    def status(self, name: str = "e") -> Obj:
        status: Obj = self.of(name).get("status") or {}
        return status

    def phase(self, name: str = "e") -> str:
        return str(self.status(name).get("phase", ""))

    def condition(self, kind: str, name: str = "e") -> tuple[str, str] | None:
        for condition in self.status(name).get("conditions") or ():
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return None

    async def passes(self, seconds: float) -> None:
        """Let virtual time pass: the loop jumps from timer to timer."""
        await asyncio.sleep(seconds)

    async def running(self, definition: Any = ONE_TASK, **spec: Any) -> ExecutionKey:
        """A machine and an Execution of it, after its first turn."""
        await self.apply_machine(definition)
        key = self.apply(**spec)
        self.driver.open()
        self.see()
        await asyncio.sleep(0.5)
        return key

    async def running_another(self, name: str) -> ExecutionKey:
        """One more Execution of the same machine; its first start is being tried."""
        key = self.apply(name)
        self.see(name)
        await asyncio.sleep(0.1)
        return key

    def succeed(self, key: ExecutionKey, output: str = '{"ok":true}') -> None:
        """What was started last was seen, and gives its result."""
        self.driver.post(key, TaskStarted(self.hands.task().id, UID))
        self.driver.post(key, TaskSucceeded(self.hands.task().id, output, self.now()))


def on_a_stage(play: Callable[[Stage], Awaitable[T]]) -> T:
    """Play it in virtual time; an exception that nobody handled fails it."""

    async def world() -> T:
        stage = Stage()
        result = await play(stage)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, clock.VirtualLoop)
        assert loop.unhandled == []
        stage.no_slot_is_lost()
        return result

    return clock.run(world())


def away() -> Unavailable:
    """No answer."""
    return Unavailable("no answer")


def a_stranger(task: TaskId = A1, uid: str = "nobody") -> Attempt:
    return Attempt(ExecutionKey("default", "e", uid), task)
