"""What goes wrong in a world: a plan drawn from its seed, and the dice thrown for each request.

One rule: a plan is a value, so that a world can be run again with one fault less.
"""

import random
from dataclasses import dataclass, field
from typing import Literal

Landing = Literal["answered", "lost", "late", "failed", "throttled"]

What = Literal[
    "label",
    "delete-pod",
    "delete-job",
    "delete-child",
    "delete-approval",
    "evict",
    "collect-pods",
    "compact",
    "suspend",
    "resume",
    "stop",
]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request.

    Attributes:
        landing: `answered`; `lost`: it happens, and its answer is lost; `late`: the client gives
            up, and it happens after that; `failed` and `throttled`: it does not happen.
        before: seconds until it happens (`late`: counted from when the client gives up).
        after: seconds from then until the answer.
    """

    landing: Landing
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Crash:
    """An operator is killed: at its n-th request of a life, or so long after its start.

    Attributes:
        operator: which one, from 0.
        life: which of its lives, from 0.
        call: at this request; 0 where `seconds` counts.
        landed: just after that request happened (its answer is never read), else just before.
        seconds: after its start.
        gently: it is told to end, and killed only when its grace period is over.
        down_seconds: how long it stays down.
        then: what is done to the world while it is down.
    """

    operator: int
    life: int
    call: int = 0
    landed: bool = False
    seconds: float = 0.0
    gently: bool = False
    down_seconds: float = 1.0
    then: tuple[What, ...] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator stands still for so long, and does not know it afterwards."""

    operator: int
    seconds: float
    length_seconds: float


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a person, a drain or the garbage collector does to one object or to all."""

    seconds: float
    what: What


@dataclass(frozen=True, slots=True)
class Release:
    """Something that a person does to versions of a machine."""

    seconds: float
    what: Literal["publish", "route", "withdraw", "start"]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that goes wrong in one world. Rates are chances for each request or event.

    Attributes:
        until: faults stop then (virtual seconds).
        latency: the least and the most seconds of an ordinary request, one way.
        spikes: chance of a request that takes up to `spike_seconds`.
        lost, late, failed, throttled: chances for a write (the last two: for a read too).
        lag_seconds: how far a watch may be behind.
        duplicates: chance of a watch event that comes twice.
        reorders: chance of a watch event that later ones of other objects overtake.
        stream_seconds: a watch is closed by the server after about this long.
        cuts: chance that a watch ends with the events that were on their way.
        operators: how many run at once.
        lease: whether they hold a Lease.
        admission: whether the chart's admission policy is there.
        skews: how far each operator's wall clock is ahead, in seconds.
        machines_go: in the end the machines are deleted too, and their revisions must go.
    """

    until: float = 0.0
    latency: tuple[float, float] = (0.001, 0.01)
    spikes: float = 0.0
    spike_seconds: float = 3.0
    lost: float = 0.0
    late: float = 0.0
    late_seconds: float = 20.0
    failed: float = 0.0
    throttled: float = 0.0
    lag_seconds: float = 0.0
    duplicates: float = 0.0
    reorders: float = 0.0
    stream_seconds: float = 300.0
    cuts: float = 0.0
    operators: int = 1
    lease: bool = True
    admission: bool = True
    skews: tuple[float, ...] = (0.0,)
    machines_go: bool = False
    crashes: tuple[Crash, ...] = ()
    pauses: tuple[Pause, ...] = ()
    deeds: tuple[Deed, ...] = field(default=())
    releases: tuple[Release, ...] = ()


NONE = Plan()
"""Nothing goes wrong: the undisturbed run."""


class Faults:
    """Throws the dice of one client of the API server."""

    def __init__(self, plan: Plan = NONE, seed: int | str = 0) -> None:
        self.plan = plan
        self._dice = random.Random(f"{seed}/faults")

    def fate(self, now: float, *, write: bool) -> Fate:
        """What becomes of the next request."""
        plan, dice = self.plan, self._dice
        low, high = plan.latency
        before = dice.uniform(low, high)
        # Half of the answers arrive at once: then nothing can come between write and answer.
        after = dice.uniform(low, high) if dice.random() < 0.5 else 0.0
        if now >= plan.until:
            return Fate("answered", before, after)
        if dice.random() < plan.spikes:
            before += dice.uniform(0.0, plan.spike_seconds)
        chance = dice.random()
        if write:
            if chance < plan.lost:
                return Fate("lost", before, dice.uniform(0.0, 1.0))
            chance -= plan.lost
            if chance < plan.late:
                return Fate("late", dice.uniform(0.0, plan.late_seconds), dice.uniform(0.1, 1.0))
            chance -= plan.late
        if chance < plan.failed:
            return Fate("failed", before, after)
        chance -= plan.failed
        return Fate("throttled" if chance < plan.throttled else "answered", before, after)

    def lands_after_death(self, now: float) -> float | None:
        """Of a request on its way when its sender dies: in how many seconds it lands, if at all."""
        chance = self._dice.random()
        if chance < 0.3:
            return None
        longest = 0.01 if chance < 0.8 or now >= self.plan.until else self.plan.late_seconds
        return self._dice.uniform(0.0, longest)

    def unsent(self) -> bool:
        """Whether a request was checked but not sent when its sender was frozen."""
        return self._dice.random() < 0.5

    def lag(self, now: float) -> float:
        """How many seconds a watch event takes."""
        low, high = self.plan.latency
        lag = self._dice.uniform(low, high)
        if now < self.plan.until and self._dice.random() < 0.3:
            lag += self._dice.uniform(0.0, self.plan.lag_seconds)
        return lag

    def duplicated(self, now: float) -> bool:
        """Whether a watch event comes twice."""
        return now < self.plan.until and self._dice.random() < self.plan.duplicates

    def held(self, now: float) -> float:
        """How many seconds longer a watch event takes, so that others overtake it."""
        if now < self.plan.until and self._dice.random() < self.plan.reorders:
            return self._dice.uniform(0.0, 2.0)
        return 0.0

    def stream_seconds(self, now: float) -> float:
        """How long a watch stays open."""
        if now >= self.plan.until:
            return self._dice.uniform(240.0, 360.0)
        return self._dice.uniform(0.3, 1.0) * self.plan.stream_seconds

    def cut(self, now: float) -> bool:
        """Whether a watch ends with what was on its way."""
        return now < self.plan.until and self._dice.random() < self.plan.cuts


def a_plan(seed: int) -> Plan:
    """A plan for a seed: each kind of fault is there in some worlds and missing in others."""
    dice = random.Random(f"{seed}/plan")

    def some(chance: float, most: float) -> float:
        return dice.uniform(0.0, most) if dice.random() < chance else 0.0

    until = dice.uniform(20.0, 90.0)
    operators = 2 if dice.random() < 0.25 else 1
    lease = operators == 1 or dice.random() < 0.6
    return Plan(
        until=until,
        latency=(0.001, dice.choice((0.005, 0.02, 0.1))),
        spikes=some(0.4, 0.1),
        lost=some(0.5, 0.15),
        late=some(0.4, 0.08),
        failed=some(0.4, 0.1),
        throttled=some(0.2, 0.1),
        lag_seconds=some(0.5, 5.0),
        duplicates=some(0.4, 0.2),
        reorders=some(0.4, 0.2),
        stream_seconds=dice.choice((10.0, 60.0, 300.0)),
        cuts=some(0.5, 1.0),
        operators=operators,
        lease=lease,
        admission=dice.random() < 0.7,
        skews=tuple(dice.choice((0.0, 0.0, -1.5, 2.5)) for _ in range(operators)),
        machines_go=dice.random() < 0.1,
        crashes=_crashes(dice, operators, until),
        pauses=_pauses(dice, operators, until),
        deeds=_deeds(dice, until),
        releases=_releases(random.Random(f"{seed}/releases"), until),
    )


def _releases(dice: random.Random, until: float) -> tuple[Release, ...]:
    if dice.random() < 0.7:
        return ()
    some: tuple[Literal["publish", "route", "withdraw", "start"], ...] = (
        *("publish",) * 3,
        *("route",) * 2,
        *("withdraw",) * 2,
        *("start",) * 4,
    )
    times = sorted(dice.uniform(0.0, until) for _ in range(dice.randint(4, 16)))
    first = Release(times[0], "publish")
    return (first, *(Release(seconds, dice.choice(some)) for seconds in times[1:]))


def _crashes(dice: random.Random, operators: int, until: float) -> tuple[Crash, ...]:
    crashes: list[Crash] = []
    for operator in range(operators):
        for life in range(dice.choice((0, 1, 1, 2, 3, 5))):
            down = dice.choice((0.0, 0.5, 3.0, 30.0))
            then = _MEANWHILE[dice.randrange(len(_MEANWHILE))] if dice.random() < 0.4 else ()
            if dice.random() < 0.7:
                call = int(dice.expovariate(1 / 30)) + 1
                landed = dice.random() < 0.5
                crash = Crash(operator, life, call, landed, down_seconds=down, then=then)
                crashes.append(crash)
            else:
                seconds = dice.uniform(0.0, until / 2)
                gently = dice.random() < 0.4
                crashes.append(Crash(operator, life, 0, False, seconds, gently, down, then))
    return tuple(crashes)


_MEANWHILE: tuple[tuple[What, ...], ...] = (
    ("collect-pods",),
    ("delete-job",),
    ("delete-approval",),
    ("delete-job", "collect-pods"),
    ("delete-child",),
    ("evict", "delete-pod"),
    ("compact",),
)


def _pauses(dice: random.Random, operators: int, until: float) -> tuple[Pause, ...]:
    if dice.random() < 0.7:
        return ()
    return tuple(
        Pause(operator, dice.uniform(0.0, until * 0.7), dice.choice((4.0, 14.0, 30.0)))
        for operator in range(operators)
        if dice.random() < 0.7
    )


def _deeds(dice: random.Random, until: float) -> tuple[Deed, ...]:
    deeds: list[Deed] = []
    for what, chance, most in (
        ("label", 0.4, 6),
        ("delete-pod", 0.3, 3),
        ("delete-job", 0.3, 2),
        ("delete-child", 0.3, 3),
        ("delete-approval", 0.3, 3),
        ("evict", 0.3, 3),
        ("collect-pods", 0.4, 3),
        ("compact", 0.5, 4),
        ("stop", 0.4, 3),
    ):
        if dice.random() < chance:
            for _ in range(dice.randint(1, most)):
                deeds.append(Deed(dice.uniform(0.0, until), what))  # type: ignore[arg-type]
    if dice.random() < 0.3:
        begins = sorted(dice.uniform(0.0, until) for _ in range(2))
        deeds += [Deed(begins[0], "suspend"), Deed(begins[1], "resume")]
    return tuple(sorted(deeds, key=lambda deed: deed.seconds))
