"""Activities on a desk: a process for each task, of the command that somebody has named.

One rule: it is a process as that of a Job, under the same contract; nobody has to ask for work.
"""

import asyncio
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from treadle.asl.arns import ACTIVITY, listed, parse_resource
from treadle.asl.errors import StateError
from treadle.asl.program import Program
from treadle.engine.events import TaskFailed, TaskHeartbeat, TaskId
from treadle.kube.api import Obj
from treadle.local import engines
from treadle.local.attempts import Folder, Line
from treadle.local.engines import Engine
from treadle.local.processes import ProcessRunner
from treadle.runners.activities import DOES_NOT_EXIST
from treadle.runners.jobs import RESOURCE
from treadle.runtime.ports import Attempt, Clock, ExecutionKey, Mailbox, Order
from treadle.stores.judgement import tasks

BEAT_SECONDS: Final = 0.4
"""How often it is said of a process that it is alive: the least of HeartbeatSeconds is 1."""


def without_worker(program: Program, workers: Container[str]) -> Iterator[tuple[str, str]]:
    """States and the activities that nobody does the work of."""
    for _, task, _ in tasks(program):
        name = parse_resource(task.resource).action
        if listed(task.resource) == ACTIVITY and name not in workers:
            yield task.name, name


def beside(engine: Engine) -> Engine:
    """An engine for Jobs, beside which workers are plain processes."""
    plain = engines.processes({})

    def either(main: Obj, places: Mapping[str, Path], folder: Folder) -> Line | StateError:
        is_worker = listed(main.get("image", "")) == ACTIVITY
        return (plain if is_worker else engine)(main, places, folder)

    return either


class WorkerRunner:
    """See the module, and `runtime.ports.Runner`.

    Args:
        workers: command lines, by activity.
        processes: what runs them; it tells of them, and stops them.
        mailbox: where it is left that there is none.
        clock: the time.
    """

    resources = frozenset({ACTIVITY})
    makes_objects = False
    asks_first = False

    def __init__(
        self,
        workers: Mapping[str, Sequence[str]],
        processes: ProcessRunner,
        mailbox: Mailbox,
        clock: Clock,
    ) -> None:
        self._workers = workers
        self._processes = processes
        self._mailbox = mailbox
        self._clock = clock
        self._beating: dict[Attempt, asyncio.Task[None]] = {}

    def current(self) -> bool:
        """See Runner."""
        return True

    async def start(self, order: Order) -> None:
        """Start the worker's process, or come back to it; see Runner."""
        task = order.task
        name = parse_resource(task.resource).action
        command = self._workers.get(name)
        if command is None:
            cause = f"Activity Does Not Exist: '{task.resource}': no --worker {name}=CMD is given"
            error = StateError(DOES_NOT_EXIST, cause)
            failed = TaskFailed(task.id, error, self._clock(), never_began=True)
            self._mailbox.post(order.execution, failed)
            return
        parameters = {"image": task.resource, "command": list(command), "input": task.parameters}
        job = replace(task, resource=RESOURCE, parameters=parameters)
        await self._processes.start(replace(order, task=job, pods={}))
        if order.attempt not in self._beating:
            beating = asyncio.create_task(self._beat(order.attempt), name=f"beat {task.id}")
            self._beating[order.attempt] = beating
            beating.add_done_callback(lambda _: self._beating.pop(order.attempt, None))

    async def _beat(self, attempt: Attempt) -> None:
        """Say that it is alive while it is, as `treadle activity worker` does."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if not self._processes.runs(attempt):
                return
            self._mailbox.post(attempt.execution, TaskHeartbeat(attempt.task, self._clock()))

    async def stop(self, attempt: Attempt) -> None:
        """The process is stopped by what runs it."""

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """What runs is told by what runs it."""
        del execution
        return ()

    async def ended(self, attempt: Attempt) -> None:
        """See Runner."""

    async def sweep(self) -> None:
        """See Runner."""
