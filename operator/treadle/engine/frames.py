"""Frames: running lists of states.

One rule: a frame is in exactly one state and one phase; its children name it as their parent.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from treadle.asl.json import Json
from treadle.asl.program import Machine, State, Task
from treadle.engine.events import TaskId
from treadle.engine.payloads import Payload


class Phase(IntEnum):
    """What a frame is doing in its state. The numbers are part of the snapshot."""

    READY = 0  # entered; its work has not been done yet
    WAITING = 1  # a Wait state, until `due_at`
    RUNNING = 2  # one attempt of a Task is outside; times out at `due_at`
    SLEEPING = 3  # between two attempts, until `due_at`
    FORKED = 4  # its children run


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many items of a distributed Map may fail; None where that is not said.

    Spec: AWS, "Setting failure thresholds for Distributed Map states".
    """

    count: int | None = None
    percentage: float | None = None

    def is_exceeded(self, failed: int, total: int) -> bool:
        """Whether so many failed items of so many are too many."""
        if self.count is None and self.percentage is None:
            return failed > 0
        if self.count is not None and failed > self.count:
            return True
        return self.percentage is not None and failed * 100 > self.percentage * total


@dataclass(slots=True)
class Fork:
    """The children of a Parallel or Map state that is being worked on.

    Attributes:
        total: how many there will be.
        concurrency_max: how many may live at once; 0 for no bound.
        input: what each branch receives; of a Map: the list of its items.
        items: that list; None for a Parallel. Of an object: its members, with Key and Value.
        is_keyed: the items are members of an object.
        cursor: the next index to start.
        live: ids of children that run.
        results: output text by index.
        sealed: digests of pages that hold results.
        loose: indices of results that no page holds, in order of completion.
        previous: id of the history entry that the next child's start follows.
        batches: index of the first item of each child, where a child has several; and at the end,
            how many items there are.
        tolerance: of a distributed Map: how many items may fail.
        failed: items that did; and `failures`: the children that they belong to.
        is_too_much: all of them succeeded, and together gave too much.
        is_mended: another definition says now how many may live at once.
        again: of those, the ones that a redrive begins anew, the next one last.
        spent: nodes that the selectors of its items have visited.
        seconds: how long those took beyond what an item may, since this process holds them.
    """

    total: int
    concurrency_max: int = 0
    input: Payload | None = None
    items: list[Json] | None = None
    is_keyed: bool = False
    cursor: int = 0
    live: set[int] = field(default_factory=set)
    results: dict[int, str] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    loose: list[int] = field(default_factory=list)
    loose_bytes: int = 0
    previous: int = 0
    batches: list[int] | None = None
    tolerance: Tolerance | None = None
    failed: int = 0
    failures: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    is_too_much: bool = False
    is_mended: bool = False
    spent: int = 0
    seconds: float = 0.0

    @property
    def can_start(self) -> bool:
        """Whether another child may start as far as the state's own bound goes."""
        return bool(self.again or self.cursor < self.total) and (
            not self.concurrency_max or len(self.live) < self.concurrency_max
        )

    @property
    def begins_anew(self) -> bool:
        """Whether a redrive begins with all of its children.

        Source: AWS, redrive of a Parallel or Map after States.DataLimitExceeded.
        """
        return self.is_too_much or not self.cursor

    @property
    def next_index(self) -> int:
        """Which child starts next, where one can."""
        return self.again[-1] if self.again else self.cursor

    def begin(self) -> None:
        """The child at `next_index` starts."""
        if self.again:
            self.again.pop()
        else:
            self.cursor += 1

    @property
    def complete(self) -> bool:
        """Whether every child has given its output."""
        return len(self.results) == self.total

    def items_of(self, index: int) -> range:
        """Indices of the items that a child has."""
        if self.batches is None:
            return range(index, index + 1)
        return range(self.batches[index], self.batches[index + 1])

    @property
    def items_total(self) -> int:
        """How many items there are."""
        return self.total if self.batches is None else self.batches[-1]

    @property
    def items_done(self) -> int:
        """How many items belong to children that have given their output."""
        return sum(len(self.items_of(index)) for index in self.results)

    def begin_again(self) -> None:
        """The children that failed and were tolerated are to start anew."""
        self.again = sorted(self.failures, reverse=True)
        self.failures = []
        for index in self.again:
            del self.results[index]
        # Pages hold what they gave before, so all that is left is put together anew.
        self.sealed = []
        self.loose = sorted(self.results)
        self.loose_bytes = sum(map(len, self.results.values()))

    def keep(self, index: int, text: str) -> None:
        """Remember a child's output."""
        self.results[index] = text
        self.loose.append(index)
        self.loose_bytes += len(text)


@dataclass(slots=True)
class Frame:
    """One running list of states.

    Attributes:
        id: unique in its execution; 0 is the root.
        parent: the frame whose Parallel or Map state it belongs to; None for the root.
        index: which branch or item it is.
        machine: its list of states.
        home: the frame whose execution it belongs to: the root, or the nearest child of a
            distributed Map, which is an execution of its own.
        events: of such a child: how many entries its history has.
        started_at: of such a child: when it began.
        state: where it is.
        entry: the number of the state entry, unique in its execution.
        attempt: of the state's work; 1 is the first.
        data: the state's raw input. None while it is still what the parent gave.
        retries: how often each retrier was used in this visit.
        entered_id, entered_at: of the history's StateEntered.
        before_id: of the history entry that StateEntered follows; kept only until the state works.
        last_id: of the history entry that the next one follows.
        scheduled_at: when the attempt that runs was decided.
        deadline_at: when the attempt that runs has lasted too long.
        heartbeat_seconds: how long it may be silent.
        uid: of the Job seen running it.
        started: the history has its TaskStarted; `submitted`: its TaskSubmitted.
        variables: an object of those assigned in this list of states; None where there are none.
        dropped: its children as they were when they were stopped; see `halted`.
        given: what the parent gave, and `parameters`: what the attempt was given; both are kept
            only while this process remembers them, for they can be computed again.
    """

    id: int
    parent: int | None
    index: int
    machine: Machine
    state: str
    home: int = 0
    events: int = 0
    started_at: datetime | None = None
    entry: int = 0
    attempt: int = 1
    data: Payload | None = None
    retries: list[int] = field(default_factory=list)
    entered_id: int = 0
    entered_at: datetime | None = None
    before_id: int = 0
    last_id: int = 0
    phase: Phase = Phase.READY
    due_at: datetime | None = None
    scheduled_at: datetime | None = None
    deadline_at: datetime | None = None
    heartbeat_seconds: int | None = None
    uid: str = ""
    started: bool = False
    submitted: bool = False
    fork: Fork | None = None
    dropped: Fork | None = None
    variables: Payload | None = None
    parameters: Payload | None = None
    given: Payload | None = None

    @property
    def definition(self) -> State:
        """The state it is in."""
        return self.machine.states[self.state]

    @property
    def is_outside(self) -> bool:
        """Whether its attempt has work outside: not where only the answer to its token is left."""
        if self.phase is not Phase.RUNNING:
            return False
        state = self.definition
        return not (self.submitted and isinstance(state, Task) and state.waits_for_token)

    @property
    def task_id(self) -> TaskId:
        """The attempt that it makes."""
        return TaskId(self.id, self.entry, self.attempt)
