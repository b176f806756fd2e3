"""Runs `treadle:job` Tasks as processes of this computer, under the container contract.

One rule: an attempt has one folder and is started there once, whoever comes back to it; what its
process left is told as a container's end would be.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from treadle.asl.errors import RUNTIME, StateError
from treadle.asl.json import dumps
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube import manifests, names
from treadle.kube.api import Obj
from treadle.kube.podtemplates import PodDefaults, main_of
from treadle.local.attempts import Ended, Folder, Line
from treadle.local.commands import POD_DEFAULTS
from treadle.local.engines import Engine
from treadle.local.files import write_whole
from treadle.local.supervisor import NO_SUCH_PROGRAM
from treadle.local.volumes import Volumes
from treadle.runners import results
from treadle.runners.jobs import RESOURCE
from treadle.runners.results import Succeeded
from treadle.runtime.ports import Attempt, Clock, ExecutionKey, Mailbox, Order

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How processes run.

    Attributes:
        attempts: the folder of all attempts' folders.
        cwd: where commands run: the folder of the machine's file.
        volumes: where they are.
        engine: how a container becomes a command line.
        defaults: of the Pods that are played.
        at_once: processes; further ones wait.
        main: the execution whose attempts these are; those of its children lie beside them.
    """

    attempts: Path
    cwd: Path
    volumes: Volumes
    engine: Engine
    defaults: PodDefaults = POD_DEFAULTS
    at_once: int = field(default_factory=lambda: 2 * (os.cpu_count() or 1))
    main: str = ""

    def attempts_of(self, execution: ExecutionKey) -> Path:
        """The folder of the folders of an execution's attempts."""
        if execution.name == self.main or not self.main:
            return self.attempts
        return self.attempts.parent / "children" / execution.name


class ProcessRunner:
    """See the module, and `runtime.ports.Runner`."""

    resources = frozenset({RESOURCE})
    makes_objects = False  # a process has no name that another could take
    asks_first = False

    def __init__(
        self, settings: ProcessSettings, mailbox: Mailbox, clock: Clock, stamp: "Stamp"
    ) -> None:
        self._settings = settings
        self._mailbox = mailbox
        self._clock = clock
        self._stamp = stamp
        self._slots = asyncio.Semaphore(settings.at_once)
        self._watches: dict[Attempt, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether a process runs or is about to."""
        return bool(self._watches)

    def current(self) -> bool:
        """Whether whatever ended has been told: `recover` did, and whoever waits is told."""
        return True

    async def start(self, order: Order) -> None:
        """Start the attempt's process, or come back to it; see Runner."""
        if not order.expired and order.attempt not in self._watches:
            self._watch(order.attempt, self._run(order))

    def _watch(self, attempt: Attempt, course: Coroutine[None, None, None]) -> None:
        watch = asyncio.create_task(course, name=f"process {attempt.task}")
        self._watches[attempt] = watch
        watch.add_done_callback(lambda done: self._over(attempt, done))

    def _over(self, attempt: Attempt, watch: asyncio.Task[None]) -> None:
        self._watches.pop(attempt, None)
        if not watch.cancelled() and (why := watch.exception()) is not None:
            # We are wrong. The attempt must not wait for ever.
            _log.error("%s", attempt, exc_info=why)
            self._fail(attempt, StateError(RUNTIME, f"it could not be run here: {why!r}"))

    async def stop(self, attempt: Attempt) -> None:
        """End it: SIGTERM, and SIGKILL after its grace; see Runner."""
        if not self._folder(attempt).stop() and (watch := self._watches.get(attempt)) is not None:
            watch.cancel()  # it waits for its turn

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """See Runner."""
        return [each.task for each in self._watches if each.execution == execution]

    def runs(self, attempt: Attempt) -> bool:
        """Whether the attempt's process runs or is about to."""
        return attempt in self._watches

    async def ended(self, attempt: Attempt) -> None:
        """Its folder stays, for people to look at."""

    async def sweep(self) -> None:
        """Nothing is missed here: whoever waits for a lock is told."""

    def recover(self, execution: ExecutionKey) -> None:
        """Tell what ended while nobody looked; before any turn, so that it beats a deadline.

        What still runs is watched, wanted or not: what is no longer wanted is then stopped.
        """
        for path in sorted(self._settings.attempts_of(execution).glob("*.*.*")):
            task = names.task_id_of(path.name)
            folder = Folder(path)
            if task is None:
                continue
            if folder.ended() is not None:
                self._tell(Attempt(execution, task), folder)
            elif folder.runs():
                self._watch(Attempt(execution, task), self._come_back(Attempt(execution, task)))

    async def drain(self) -> None:
        """Wait until every process that was told to end has."""
        while self._watches:
            await asyncio.wait(set(self._watches.values()))

    # ------------------------------------------------------------------------------- in detail

    def _folder(self, attempt: Attempt) -> Folder:
        attempts = self._settings.attempts_of(attempt.execution)
        return Folder(attempts / names.task_id_text(attempt.task))

    async def _run(self, order: Order) -> None:
        folder = self._folder(order.attempt)
        attempt = order.attempt
        if folder.ended() is not None:
            self._tell(attempt, folder)
            return
        async with self._slots:
            try:
                found = self._begin(order, folder)
            except OSError as why:
                found = StateError("Kubernetes.ContainerConfig", f"{folder.path}: {why.strerror}.")
            if isinstance(found, StateError):
                self._fail(attempt, found)
                return
            await self._follow(attempt, found)

    async def _come_back(self, attempt: Attempt) -> None:
        """Watch what an earlier run started."""
        async with self._slots:
            await self._follow(attempt, None)

    async def _follow(self, attempt: Attempt, process: "Process") -> None:
        folder = self._folder(attempt)
        self._post(
            attempt, TaskStarted(attempt.task, names.attempt(attempt.execution, attempt.task))
        )
        await _in_thread(folder.wait, process)
        self._tell(attempt, folder)

    def _begin(self, order: Order, folder: Folder) -> "Process | StateError":
        """Start the process unless somebody did; gives what to wait for beside the lock."""
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = folder.lock()
        if lock is None:
            return None  # a supervisor of an earlier run is at it
        try:
            if folder.has_started():
                return None
            line = self._prepared(order, folder)
            if isinstance(line, StateError):
                return line
            return folder.start(lock, line, self._settings.cwd)
        finally:
            os.close(lock)

    def _prepared(self, order: Order, folder: Folder) -> Line | StateError:
        defaults = self._settings.defaults
        job = manifests.job(order, defaults=defaults, create_before=None, now=self._clock())
        if isinstance(job, StateError):
            return job
        pod = job["spec"]["template"]
        volumes = [v for v in pod["spec"].get("volumes", ()) if v["name"] != manifests.INPUT_VOLUME]
        try:
            write_whole(folder.input, dumps(manifests.input_of(order.task)).encode())
            places = self._settings.volumes.lay_out(volumes, folder.path / "scratch")
            return self._settings.engine(main_of(pod), places, folder)
        except (LookupError, OSError) as why:
            return StateError("Kubernetes.ContainerConfig", f"{_sentence(why)}.")

    def _tell(self, attempt: Attempt, folder: Folder) -> None:
        ended = folder.ended()
        if ended is None:
            cause = (
                "The process and its supervisor were killed, or the computer was switched off; "
                f"what it printed is in {folder.path / 'log'}."
            )
            self._fail(attempt, StateError("Kubernetes.NodeLost", cause))
            return
        said = _said(ended, folder, self._stamp(ended.at))
        if isinstance(said, Succeeded):
            self._post(attempt, TaskSucceeded(attempt.task, said.output, said.at))
        else:
            self._post(attempt, TaskFailed(attempt.task, said.error, said.at))

    def _fail(self, attempt: Attempt, error: StateError) -> None:
        self._post(attempt, TaskFailed(attempt.task, error, self._clock()))

    def _post(self, attempt: Attempt, event: Event) -> None:
        self._mailbox.post(attempt.execution, event)


Process = subprocess.Popen[bytes] | None
"""A supervisor that is our child; None where an earlier run started it."""

Stamp = Callable[[datetime], datetime]
"""The time of what happened outside, on the clock of whoever runs the machine."""


def _sentence(why: Exception) -> str:
    if isinstance(why, OSError) and why.filename:
        return f"{why.filename}: {why.strerror}"
    return str(why.args[-1])


def _said(ended: Ended, folder: Folder, at: datetime) -> results.Succeeded | results.Failed:
    if ended.reason and ended.exit_code == NO_SUCH_PROGRAM:
        error = StateError("Kubernetes.ContainerConfig", f"It cannot be started: {ended.reason}.")
        return results.Failed(error, at)
    failed = ended.exit_code != 0
    done = {"exitCode": ended.exit_code, "message": folder.message(failed=failed)}
    pod: Obj = {"spec": {"containers": [{}]}}
    return results.failure(pod, done, at) if failed else results.success(pod, done, at)


async def _in_thread(wait: Callable[[], None], process: "Process") -> None:
    """Wait for something that blocks, in a thread that does not keep us from ending."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def work() -> None:
        wait()
        if process is not None:
            process.wait()  # it is our child: nobody else takes its remains away
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=work, daemon=True).start()
    await done
