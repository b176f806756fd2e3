"""The world of one execution in virtual time: attempts are answered, timers fire, nobody waits.

One rule: nothing outside is touched, not even a clock; a second run gives the same.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Protocol, TypeAlias

from treadle.asl.errors import StateError
from treadle.engine.commands import Task
from treadle.engine.events import (
    Event,
    GoOn,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.execution import Execution
from treadle.engine.frames import Frame, Phase
from treadle.engine.times import after


@dataclass(frozen=True, slots=True)
class Reply:
    """What an attempt gets after so many seconds: the JSON text of its output, or an error.

    Neither: nobody ever answers it. `submitted` is the text of what its call gave at once, where it
    is over later than that; `worker` how the worker of an activity calls itself.
    """

    output: str | None = None
    error: StateError | None = None
    after_seconds: float = 0.0
    submitted: str | None = None
    worker: str = ""


Replies: TypeAlias = Callable[[Task], Reply | None]
"""What an attempt gets; None where nobody ever answers it."""


class Onlooker(Protocol):
    """Whoever wants to see what no history tells."""

    def at_rest(self, frames: Iterable[Frame]) -> None:
        """These may have changed, and nothing but time changes them again."""

    def failing(self, frame: Frame, error: StateError, now: datetime) -> None:
        """An attempt of this frame is about to fail."""


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int
    task: TaskId = field(compare=False)
    reply: Reply = field(compare=False)


class World:
    """See the module.

    Attributes:
        now: virtual; it only goes on in `pass_time`.
    """

    def __init__(
        self,
        execution: Execution,
        now: datetime,
        replies: Replies,
        onlooker: Onlooker | None = None,
    ) -> None:
        self.now = now
        self._execution = execution
        self._replies = replies
        self._onlooker = onlooker
        self._due: list[_Due] = []
        self._asked: set[TaskId] = set()
        self._told: list[int] | None = None  # frames; None for all
        self._known = 0

    def act(self) -> bool:
        """Do one of the things that happen now; gives whether there was one."""
        if self._execution.memory.over:
            return False
        return self._go_on() or self._ask() or self._answer()

    def pass_time(self) -> bool:
        """Go to the next instant at which something happens; gives whether there is one."""
        timer = self._execution.next_due()
        instants = [at for at in (timer, self._due[0].at if self._due else None) if at is not None]
        if not instants or self._execution.memory.over:
            return False
        self.now = max(self.now, min(instants))
        if not self._answer():
            self._told = None  # a timer is anybody's
            self._execution.handle(Tick(), self.now)
        return True

    def tell(self, event: Event) -> None:
        """What a person does, now."""
        self._told = None  # it may concern any of them
        self._execution.handle(event, self.now)

    def _go_on(self) -> bool:
        return self._execution.busy and self._execution.handle(GoOn(), self.now)

    def _ask(self) -> bool:
        """What is wanted now, and was not before, is answered some time."""
        execution = self._execution
        changed = self._changed()
        if self._onlooker is not None:
            self._onlooker.at_rest(changed)
        running = [frame.task_id for frame in changed if frame.phase is Phase.RUNNING]
        fresh = [task for task in running if task not in self._asked]
        for task_id in fresh:
            self._asked.add(task_id)
            task = execution.task(task_id)
            reply = (self._replies(task) if task is not None else None) or Reply()
            execution.handle(TaskStarted(task_id, "", reply.worker), self.now)
            if reply.submitted is not None:
                execution.handle(TaskSubmitted(task_id, reply.submitted, self.now), self.now)
            if reply.output is not None or reply.error is not None:
                at = after(self.now, reply.after_seconds)
                heapq.heappush(self._due, _Due(at, len(self._asked), task_id, reply))
        return bool(fresh)

    def _changed(self) -> list[Frame]:
        """The frames that may have changed since this was asked last, oldest first.

        Of a thousand items each would else cost a look at all others.
        """
        memory, told = self._execution.memory, self._told
        self._told, known = [], self._known
        self._known = memory.next_frame
        if told is None:
            return list(memory.frames.values())
        new = takewhile(lambda number: number >= known, reversed(memory.frames))
        numbers = {*told, *new} & memory.frames.keys()
        return [memory.frames[number] for number in sorted(numbers)]

    def _answer(self) -> bool:
        """What is due by now."""
        if not self._due or self._due[0].at > self.now:
            return False
        due = heapq.heappop(self._due)
        reply = due.reply
        if reply.error is not None:
            self._fail(due, reply.error)
        elif reply.output is not None:
            done = TaskSucceeded(due.task, reply.output, due.at, by_token=True)
            self._tell(done, due.task.frame)
        return True

    def _fail(self, due: _Due, error: StateError) -> None:
        frame = self._execution.memory.frames.get(due.task.frame)
        if self._onlooker is not None and frame is not None and frame.task_id == due.task:
            self._onlooker.failing(frame, error, self.now)
        self._tell(TaskFailed(due.task, error, due.at, by_token=True), due.task.frame)

    def _tell(self, event: Event, number: int) -> None:
        """Let the execution handle what happens to a frame.

        That can change the frame itself, those that it is within, and Maps that wait for room.
        """
        memory, told = self._execution.memory, self._told
        for changing in (number, *memory.starved) if told is not None else ():
            frame = memory.frames.get(changing)
            while frame is not None and told is not None:
                told.append(frame.id)
                frame = None if frame.parent is None else memory.frames[frame.parent]
        self._execution.handle(event, self.now)
