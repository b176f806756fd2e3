"""One world: a cluster, people, operators that are killed and start again, and what must hold.

One rule: how an operator is built comes in from outside (`Life`); a world gives it an API, a
transport and a clock, and takes them away.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias

from treadle.asl.program import Program
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import ACTIVITIES, EXECUTIONS, REVISIONS, STATE_MACHINES, Kind
from treadle.runtime.ports import Clock
from treadle.sim import checkers, clock, faults, machines, releases
from treadle.sim.api import SimApi
from treadle.sim.approvals import Deciders
from treadle.sim.checkers import Audit, Outcome
from treadle.sim.cluster import SimCluster, create_before
from treadle.sim.controllers import key_of, later
from treadle.sim.faults import Crash, Faults, Pause, Plan
from treadle.sim.holders import Holders
from treadle.sim.http import SimHttp, SimTransport
from treadle.sim.nesting import NAMESPACES
from treadle.sim.people import People
from treadle.sim.workers import NAME as ACTIVITY
from treadle.sim.workers import Workers

NAMESPACE = NAMESPACES[0]
BOUND_SECONDS = 600.0
"""How long after the faults stop, beyond the undisturbed run, an execution may take."""

SETTLE_SECONDS = 420.0
"""After the last end: a tombstone's 120 s twice, as a restart counts anew; a sweep; a margin."""

GONE_SECONDS = 120.0
"""How long after its deletion an Execution leaves nothing: 60 s, and a sweep."""

TOLD_SECONDS = 90.0
"""How long after the faults stop it may take until the next to lead has swept."""

STOP = {"error": "Sim.Stopped", "cause": "by hand"}

LOOK_SECONDS = 5.0
QUIET_SECONDS = 30.0
"""How long nothing may come back: longer than a request that nobody waits for is on its way."""

SPARE_SECONDS = 120.0
"""How long a revision outlives its use; design.md, section 4."""

RESTART_SECONDS = 1.0
GRACE_SECONDS = 90.0
"""From SIGTERM to the kill, as in the chart."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What one life of an operator is given; `stopping` is set when SIGTERM comes."""

    api: SimApi
    holders: Holders
    workers: Workers
    transport: SimTransport
    clock: Clock
    holder: str
    lease: bool
    stopping: asyncio.Event


Life: TypeAlias = Callable[[Seat], Coroutine[Any, Any, None]]
"""Runs an operator until it is killed, or until it gives up its Lease."""

Compile: TypeAlias = Callable[[Mapping[str, Any]], Program]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a world.

    Attributes:
        outcomes: by the name of the Execution.
        violations: what did not hold; empty in a good world.
        digest: of the whole trace.
        ended_at: virtual seconds when the last execution ended.
        lives: how many lives the operators had.
    """

    outcomes: Mapping[str, Outcome]
    violations: Sequence[str]
    digest: str
    trace: Sequence[str]
    ended_at: float
    lives: int


@dataclass(frozen=True, slots=True)
class Setting:
    """A world before anything happens.

    Attributes:
        seed: of everything random in it but names.
        names: seed of its uids, shared with the undisturbed run.
        plan: what goes wrong.
        samples: a machine each, with one Execution.
        life: builds and runs an operator.
        compile: parses a definition, for the checkers.
        expected: the outcomes of the undisturbed run, where there is one.
        bound_seconds: when every execution must have ended.
    """

    seed: int | str
    names: str
    plan: Plan
    samples: Sequence[machines.Sample]
    life: Life
    compile: Compile
    expected: Mapping[str, Outcome] | None = None
    bound_seconds: float = BOUND_SECONDS


class _Operator:
    """An operator with all its lives."""

    def __init__(self, world: "World", number: int) -> None:
        self._world = world
        self._number = number
        self.lives = 0
        self.api: SimApi | None = None

    def start(self) -> None:
        """Begin the next life."""
        world, plan = self._world, self._world.setting.plan
        life, self.lives = self.lives, self.lives + 1
        seed = f"{world.setting.seed}/{self._number}/{life}"
        dice = Faults(plan, seed)
        api = SimApi(world.cluster, dice, f"operator-{self._number}.{life}")
        transport = SimTransport(world.http, api, dice, seed)
        crash = next(
            (c for c in plan.crashes if (c.operator, c.life) == (self._number, life)), None
        )
        api.on_death = lambda: self._died(api, crash)
        if crash is not None and crash.call:
            api.on_call = lambda call: self._fate_at(crash, call)
        elif crash is not None:
            grace_seconds = GRACE_SECONDS if crash.gently else 0.0
            later(crash.seconds + grace_seconds, self._kill, api)
        world.audit.watch(api, transport)
        skew = plan.skews[self._number % len(plan.skews)]
        stopping = asyncio.Event()
        if crash is not None and crash.gently:
            later(crash.seconds, self._tell_to_end, api, stopping)
        now = partial(clock.wall, skew)
        others = (world.holders, world.workers)
        seat = Seat(api, *others, transport, now, api.who, plan.lease, stopping)
        self.api = api
        task = api.process.start(world.setting.life(seat))
        task.add_done_callback(lambda ended: self._ended(api, ended))

    def _fate_at(self, crash: Crash, call: int) -> Any:
        if call != crash.call or self._world.calm():
            return "live"
        return "after" if crash.landed else "before"

    def _kill(self, api: SimApi) -> None:
        if not api.process.dead and not self._world.calm():
            api.die()

    def _tell_to_end(self, api: SimApi, stopping: asyncio.Event) -> None:
        if not api.process.dead:
            self._world.cluster.note(f"{api.who} is told to end")
            stopping.set()

    def _died(self, api: SimApi, crash: Crash | None) -> None:
        if self.api is not api:
            return
        later(RESTART_SECONDS if crash is None else crash.down_seconds, self.start)
        if crash is not None and not self._world.calm():
            for what in crash.then:
                later(crash.down_seconds / 2, self._world.people.do, what)

    def _ended(self, api: SimApi, task: "asyncio.Task[None]") -> None:
        """It ended of itself: it gave up its Lease, or it is broken."""
        if api.process.dead or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._world.audit.violations.append(f"{api.who} broke: {error!r}")
        self._world.cluster.note(f"{api.who} ended: {error!r}")
        api.die()


class World:
    """See the module."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        plan = setting.plan
        admission = create_before if plan.admission else None
        self.cluster = SimCluster(setting.seed, admission, setting.names)
        self.holders = Holders(self.cluster, plan, setting.seed)
        self.deciders = Deciders(self.cluster)
        self.http = SimHttp(self.cluster, self.holders)
        programs = {
            name: setting.compile(definition)
            for number, sample in enumerate(setting.samples)
            for name, definition in _machines_of(number, sample)
        }
        programs[releases.MACHINE] = setting.compile(releases.definition())
        strict = plan.operators == 1 or plan.lease
        self.audit = Audit(self.cluster, programs, strict=strict)
        self.workers = Workers(
            self.cluster, self.holders, plan, setting.seed, self.audit.handed_out
        )
        self.people = People(self.cluster, plan, setting.seed)
        self.audit.deleted_by_hand = self.people.deleted_names
        for number, sample in enumerate(setting.samples):
            if not sample.deed:
                self.people.stoppable.add(f"e{number}")
        self.people.on_redriven = self._look_whether_over
        self.operators = [_Operator(self, number) for number in range(plan.operators)]
        self._all_over = asyncio.Event()
        self._deeds_left = 0
        self._loop = asyncio.get_running_loop()
        assert isinstance(self._loop, clock.VirtualLoop)
        self.cluster.objects.listeners.append(self._seen)
        self.releases = releases.Releases(self.cluster, plan, setting.seed, self._did)
        self._deeds_left += self.releases.planned

    def calm(self) -> bool:
        """Whether faults have stopped."""
        return self._loop.time() >= self.setting.plan.until

    async def run(self) -> Report:
        """Live through it."""
        for namespace in NAMESPACES:
            activity = {"metadata": {"name": ACTIVITY}}
            self.cluster.objects.create(ACTIVITIES, namespace, activity)
        for number, sample in enumerate(self.setting.samples):
            self._apply(number, sample)
        for namespace in NAMESPACES:
            self.workers.start(namespace)
        for pause in self.setting.plan.pauses:
            later(pause.seconds, self._pause, pause)
        for operator in self.operators:
            operator.start()
        await self._until_over()
        ended_at = self._loop.time()
        outcomes = self._outcomes()
        self._compare(outcomes)
        await asyncio.sleep(max(0.0, self.setting.plan.until - ended_at))
        await self._until_empty(SETTLE_SECONDS, pages=False)
        if self._outcomes() != outcomes:
            self._violated("an outcome changed after the end")
        await self._until_told()
        self.releases.look()
        for execution in self.cluster.objects.each(EXECUTIONS):
            self.audit.violations += checkers.mistold(self.cluster, execution)
        for execution in list(self.cluster.objects.each(EXECUTIONS)):
            self.cluster.remove(EXECUTIONS, key_of(execution))
        await self._until_empty(GONE_SECONDS, pages=True)
        if self.setting.plan.machines_go:
            await self._let_machines_go()
        self._stop()
        return Report(
            outcomes,
            (
                *self.audit.violations,
                *self.holders.violations,
                *self.deciders.violations,
                *self.people.violations,
                *self.releases.violations,
            ),
            self.cluster.digest(),
            tuple(self.cluster.trace),
            ended_at,
            sum(operator.lives for operator in self.operators),
        )

    def _apply(self, number: int, sample: machines.Sample) -> None:
        objects = self.cluster.objects
        for name, definition in _machines_of(number, sample):
            spec = {"definition": definition, "callers": {"namespaces": [*NAMESPACES]}}
            for namespace in NAMESPACES if name in sample.children else (NAMESPACE,):
                machine = {"metadata": {"name": name}, "spec": spec}
                objects.create(STATE_MACHINES, namespace, machine)
        spec = {"stateMachineRef": {"name": f"m{number}"}, "input": sample.input}
        objects.create(EXECUTIONS, NAMESPACE, {"metadata": {"name": f"e{number}"}, "spec": spec})

        if sample.deed:
            self._deeds_left += 1
            later(sample.deed_seconds, self._do, number, sample)

    def _do(self, number: int, sample: machines.Sample) -> None:
        """What a person does to an Execution that does not end of itself."""
        key = (NAMESPACE, f"e{number}")
        if sample.deed == "stop":
            self.cluster.edit(EXECUTIONS, key, {"stop": STOP})
        else:
            execution = self.cluster.objects.get(EXECUTIONS, *key)
            self.cluster.remove(EXECUTIONS, key)
            calm_seconds = max(0.0, self.setting.plan.until - self._loop.time())
            later(calm_seconds + GONE_SECONDS, self._must_be_gone, execution)
            # Another one of this name, which ends, is none of its business.
            spec = {**execution["spec"], "stateMachineRef": {"name": "m0"}}
            self.cluster.objects.create(
                EXECUTIONS, NAMESPACE, {"metadata": {"name": key[1]}, "spec": spec}
            )
        self._did()

    def _did(self) -> None:
        self._deeds_left -= 1
        self._look_whether_over()

    def _must_be_gone(self, execution: Obj) -> None:
        for sentence in checkers.remains(
            self.cluster, pages=True, uid=execution["metadata"]["uid"]
        ):
            self._violated(f"{sentence} though its Execution was deleted")

    def _pause(self, pause: Pause) -> None:
        api = self.operators[pause.operator].api
        if api is not None:
            api.freeze(pause.length_seconds)

    def _seen(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        del old, new
        if kind == EXECUTIONS:
            self._look_whether_over()

    def _look_whether_over(self) -> None:
        left = self._deeds_left or self.people.redriving
        if not left and not checkers.unfinished(self.cluster):
            self._all_over.set()

    async def _until_over(self) -> None:
        bound = self.setting.plan.until + self.setting.bound_seconds
        try:
            async with asyncio.timeout(bound):
                await self._all_over.wait()
        except TimeoutError:
            for sentence in checkers.unfinished(self.cluster):
                self._violated(f"{sentence} {bound:.0f} s after its start")

    def _outcomes(self) -> dict[str, Outcome]:
        return {
            execution["metadata"]["name"]: checkers.outcome_of(execution)
            for execution in self.cluster.objects.each(EXECUTIONS)
            if names.attempt_of(execution) is None  # of a child, its parent tells
        }

    def _compare(self, outcomes: Mapping[str, Outcome]) -> None:
        for name, expected in (self.setting.expected or {}).items():
            if outcomes.get(name) != expected:
                self._violated(f"{name} ended as {outcomes.get(name)}, undisturbed as {expected}")

    async def _let_machines_go(self) -> None:
        """A revision that nobody names goes after a while; only the sweep sees to that."""
        for machine in list(self.cluster.objects.each(STATE_MACHINES)):
            self.cluster.remove(STATE_MACHINES, key_of(machine))
        self.releases.end()
        await asyncio.sleep(SPARE_SECONDS + GONE_SECONDS)
        for revision in self.cluster.objects.each(REVISIONS):
            self._violated(f"StateMachineRevision {revision['metadata']['name']} remains")

    async def _until_empty(self, seconds: float, *, pages: bool) -> None:
        """Nothing may remain after so long; a tombstone may come late, so that it is looked on."""
        bound = self._loop.time() + seconds
        empty_since: float | None = None
        while True:
            left, now = checkers.remains(self.cluster, pages=pages), self._loop.time()
            if not left and empty_since is not None and now - empty_since >= QUIET_SECONDS:
                return
            if left and now >= bound:
                break
            empty_since = None if left else now if empty_since is None else empty_since
            await asyncio.sleep(LOOK_SECONDS)
        for sentence in left:
            self._violated(sentence)

    async def _until_told(self) -> None:
        """Executions may all have ended with nobody left to look at what changed last."""
        bound = self._loop.time() + TOLD_SECONDS
        while self.releases.untold() and self._loop.time() < bound:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(LOOK_SECONDS)

    def _violated(self, sentence: str) -> None:
        self.cluster.note(f"VIOLATION: {sentence}")
        self.audit.violations.append(sentence)

    def _stop(self) -> None:
        for operator in self.operators:
            api, operator.api = operator.api, None
            if api is not None and not api.process.dead:
                api.die()
        loop = self._loop
        assert isinstance(loop, clock.VirtualLoop)
        for context in loop.unhandled:
            self._violated(f"unhandled: {context.get('exception')!r} {context.get('message')}")


def _machines_of(number: int, sample: machines.Sample) -> Iterator[tuple[str, dict[str, Any]]]:
    """The machines of a sample, the one of its Execution first."""
    yield f"m{number}", sample.definition
    yield from sample.children.items()


class _Errors(logging.Handler):
    """What an operator logs as an error is one: a room says so when it is wrong."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else ""
        self._world.audit.violations.append(f"logged: {record.getMessage()}: {error!r}")


@contextlib.contextmanager
def _errors_noticed(world: World) -> Iterator[None]:
    logger, handler = logging.getLogger("treadle"), _Errors(world)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def live_through(setting: Setting) -> Report:
    """Run a world to its end."""

    async def main() -> Report:
        world = World(setting)
        with _errors_noticed(world):
            return await world.run()

    number = setting.seed if isinstance(setting.seed, int) else 0
    return clock.run(main(), number)


def samples_of(seed: int) -> tuple[machines.Sample, ...]:
    """The machines of a seed; several plans share them, so that one undisturbed run serves all."""
    group = seed // PLANS_EACH
    endless = () if group % 3 else (machines.endless(group),)
    samples = (machines.sample(f"{group}/{number}") for number in range(1 + group % 2))
    return (*samples, *endless)


PLANS_EACH = 8


@lru_cache(maxsize=64)
def undisturbed(group: int, life: Life, compile_: Compile) -> Report:
    """The run of a group's machines in which nothing goes wrong."""
    seed = group * PLANS_EACH
    return live_through(Setting(seed, f"g{group}", faults.NONE, samples_of(seed), life, compile_))


def setting_of(seed: int, life: Life, compile_: Compile) -> Setting:
    """The world of a seed."""
    group = seed // PLANS_EACH
    calm = undisturbed(group, life, compile_)
    return Setting(
        seed,
        f"g{group}",
        faults.a_plan(seed),
        samples_of(seed),
        life,
        compile_,
        calm.outcomes,
        calm.ended_at + BOUND_SECONDS,
    )
