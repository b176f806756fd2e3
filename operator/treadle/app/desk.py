"""The desk: the operator's own rooms around one execution, on one computer.

One rule: what decides, saves and brings in line is what a cluster has; files stand for the API
server, processes for Jobs.
"""

import asyncio
import logging
import math
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from treadle.api.callbacks import Callbacks, served
from treadle.api.forwarding import Forwarding
from treadle.api.server import Server
from treadle.app import looking
from treadle.app import settings as settings_
from treadle.app.identify import Identities, account_of
from treadle.asl import document
from treadle.asl.arns import listed
from treadle.asl.json import Json, dumps
from treadle.asl.program import Task
from treadle.engine.events import StopRequested
from treadle.kube import decode
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, REVISIONS, STATE_MACHINES
from treadle.kube.lease import NoLease
from treadle.kube.podtemplates import with_api
from treadle.local import engines, mocks
from treadle.local.approvals import Asked, DeskApprovals
from treadle.local.commands import POD_DEFAULTS
from treadle.local.family import AnyAccount, DeskMachines, Family, FamilyApi, is_parked
from treadle.local.files import NAMESPACE
from treadle.local.loops import LASTED, VirtualLoop
from treadle.local.processes import ProcessRunner, ProcessSettings
from treadle.local.runs import Run, Runs
from treadle.local.volumes import Volumes
from treadle.local.watched import Show, WatchedStore
from treadle.local.workers import WorkerRunner, beside
from treadle.runners.addresses import AddressPolicy, Lists
from treadle.runners.http import HttpRunner
from treadle.runners.nested import NestedRunner, NestedSettings
from treadle.runners.transport import AiohttpTransport
from treadle.runtime.driver import ALARM_SECONDS_MAX, Driver
from treadle.runtime.ports import TERMINAL, Missing, Runner
from treadle.stores import endings, histories
from treadle.stores.histories import HistoryEntry, as_aws
from treadle.stores.judgement import Installation, tasks
from treadle.stores.keys import TokenKeys

_log = logging.getLogger(__name__)

NOBODY = Asked({})
INTERRUPTED = "Treadle.Interrupted"
LOOPBACK = "127.0.0.1"
TOKEN_SECRET = "token-keys"
DRAIN_SECONDS = 5.0


class NotRunnable(Exception):  # noqa: N818 - a sentence for whoever asked
    """The machine cannot be run; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an execution ended. `output` is JSON text."""

    status: str
    output: str | None
    error: str | None
    cause: str | None


class Interrupts:
    """What Ctrl-C does: once, the execution is stopped; twice, this process ends.

    Args:
        first, second: told of each.
    """

    def __init__(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        self._first = first
        self._second = second
        self._count = 0

    def __call__(self) -> None:
        """Ctrl-C was pressed."""
        self._count += 1
        (self._first if self._count == 1 else self._second)()


def run(
    run: Run,
    folder: Path,
    show: Show,
    *,
    trouble: Callable[[str], None],
    interrupted: Callable[[], None],
    quit_now: Callable[[], None],
    serving: Callable[[str], None],
    asked: Asked = NOBODY,
) -> Result:
    """Run an execution to its end, from its beginning or from where it was left.

    Args:
        run: what was asked for.
        folder: the state directory.
        show: told of all that is saved.
        trouble: told why something cannot be saved, which is then tried again.
        interrupted: told when somebody asks for its end, which then follows.
        quit_now: told when somebody cannot wait for that; must end the process.
        serving: told the URL where answers to task tokens are taken, where there are tokens.
        asked: who answers questions to people.

    Raises:
        NotRunnable: the machine cannot be run.
        ValueError: what is written down cannot be used.
        OSError, Fault: the state directory cannot be written.
        Unreadable: the checkpoint is damaged, or newer than this release.
    """
    loop = VirtualLoop() if run.virtual else asyncio.new_event_loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        desk = _Desk(run, folder, show, trouble, loop, asked)
        return runner.run(desk.live(interrupted, quit_now, serving))


class _Runners(NamedTuple):
    processes: ProcessRunner
    http: HttpRunner
    nested: NestedRunner
    approvals: DeskApprovals
    transport: AiohttpTransport


class _Desk:
    """Every room of one desk."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        show: Show,
        trouble: Callable[[str], None],
        loop: asyncio.AbstractEventLoop,
        asked: Asked,
    ) -> None:
        self._run = run
        self._asked = asked
        self._show = show
        self._runs = Runs(folder)
        self._settings = settings_.from_environment({"limits_profile": run.limits or None})
        self._virtual = loop if isinstance(loop, VirtualLoop) else None
        self._answers = None if run.mocks is None else mocks.read(run.mocks, run.case)
        self._ended = asyncio.Event()
        # Each run has its own machine: another run of that name may have another.
        own = self._runs.of(run.name)
        apart = {kind.plural: own for kind in (STATE_MACHINES, REVISIONS)}
        self._family = Family()
        self._api = FamilyApi(folder, self._now, apart, own, run.name, self._family.seen)
        self._store = WatchedStore(self._api, self._shown, trouble, run.name)

    def _now(self) -> datetime:
        return self._virtual.now() if self._virtual else datetime.now(UTC)

    def _shown(self, entries: Sequence[HistoryEntry], status: Mapping[str, Json]) -> None:
        self._show(entries, status)
        if status.get("phase") in TERMINAL or is_parked(status):
            self._ended.set()

    async def live(
        self,
        interrupted: Callable[[], None],
        quit_now: Callable[[], None],
        serving: Callable[[str], None],
    ) -> Result:
        """See `run`."""
        # With answers at hand any Resource can be asked for.
        kinds = (ProcessRunner, HttpRunner, NestedRunner, DeskApprovals, WorkerRunner)
        resources = frozenset[str]().union(*(each.resources for each in kinds))
        if self._answers is not None:
            resources |= _named_by(self._specs())
        answered = None if self._answers is None else frozenset(self._answers)
        here = Installation(POD_DEFAULTS, resources, self._settings.limits, answered)
        machines = DeskMachines(self._api, self._now, here)
        tokens = TokenKeys(self._api, NAMESPACE, TOKEN_SECRET)
        driver = self._driver(machines, tokens)
        async with self._taking(driver, tokens, serving) as url:
            runners = self._runners(driver, resources, url)
            return await self._live(machines, driver, runners, interrupted, quit_now)

    @asynccontextmanager
    async def _taking(
        self, driver: Driver, tokens: TokenKeys, serving: Callable[[str], None]
    ) -> AsyncIterator[str]:
        """Take answers to task tokens; gives the URL, empty where there are no tokens."""
        if self._virtual or not _has_tokens(self._specs()):
            yield ""
            return
        await tokens.open()
        async with Forwarding(lambda: True, lambda: None) as forwarding:
            taking = Callbacks(tokens, driver.answer, forwarding, self._now, self._settings.limits)
            server = Server(served(taking), LOOPBACK, 0)
            url = f"http://{LOOPBACK}:{await server.open()}"
            serving(url)
            try:
                yield url
            finally:
                await server.close()

    def _runners(self, driver: Driver, resources: frozenset[str], url: str) -> _Runners:
        processes = ProcessRunner(
            self._process_settings(url),
            driver,
            self._now,
            (lambda _: self._now()) if self._virtual else (lambda at: at),
        )
        transport = AiohttpTransport(lambda _: self._address_policy())
        http = HttpRunner(transport, driver, NoLease(), self._now)
        nested = self._nesting(driver)
        approvals = DeskApprovals(self._asked, self._user, driver, self._now)
        workers = WorkerRunner(self._run.workers, processes, driver, self._now)
        runners: list[Runner] = [processes, http, nested, approvals, workers]
        if self._answers is not None:
            answering = mocks.MockRunner(self._answers, resources, runners, driver, self._now)
            runners = [answering, *runners]
        driver.serve(runners)
        return _Runners(processes, http, nested, approvals, transport)

    def _nesting(self, driver: Driver) -> NestedRunner:
        account = AnyAccount(self._settings.region, self._settings.account or account_of(NAMESPACE))
        return NestedRunner(
            self._api,
            partial(endings.read, self._api),
            lambda _: account,
            mailbox=driver,
            leading=NoLease(),
            standings=driver.standing,
            clock=self._now,
            settings=NestedSettings(self._settings.limits.child_depth_max, is_flat=True),
        )

    @property
    def _user(self) -> str:
        """Who sits here."""
        environment = self._settings.environment
        return environment.get("USER") or environment.get("LOGNAME") or "somebody"

    async def _live(
        self,
        machines: DeskMachines,
        driver: Driver,
        runners: _Runners,
        interrupted: Callable[[], None],
        quit_now: Callable[[], None],
    ) -> Result:
        processes, http, nested, approvals, transport = runners
        self._family.doors += [driver.seen, nested.seen]
        looking_on = asyncio.create_task(nested.run())
        obj = await self._ready(machines)
        if self._virtual:
            self._virtual.busy = lambda: processes.busy or http.busy or approvals.busy
            self._virtual.at_end = self._ended.set
            for entry in (await histories.read(self._api, obj))[-1:]:
                self._virtual.not_before(entry.at)
        key = decode.key(obj)

        def stop() -> None:
            interrupted()
            for each in {key: None, **dict.fromkeys(self._family.alive)}:
                driver.post(each, StopRequested(INTERRUPTED, "Somebody pressed Ctrl-C."))

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, Interrupts(stop, quit_now))
        for each in (obj, *self._api.children()):
            if (each.get("status") or {}).get("phase") not in TERMINAL:
                processes.recover(decode.key(each))
                self._family.seen(each)
        driver.seen(decode.sighting(obj))
        driver.open()
        if (obj.get("status") or {}).get("phase") not in TERMINAL:
            await self._ended.wait()
        if not (self._virtual and self._virtual.is_over):
            # Those that were merely started, too; and those that are being stopped.
            await self._family.over()
        looking_on.cancel()
        approvals.drain()
        await processes.drain()
        await http.drain(0)
        await driver.drain(DRAIN_SECONDS)
        await transport.close()
        return await self._result()

    def _address_policy(self) -> AddressPolicy:
        lists = Lists.of("the desk", self._settings.http_allow, self._settings.http_deny)
        return AddressPolicy(loopback_allowed=True, lists=(lists,))

    def _driver(self, machines: DeskMachines, tokens: TokenKeys) -> Driver:
        return Driver(
            store=self._store,
            machines=machines,
            leadership=NoLease(),
            clock=self._now,
            identify=Identities(self._settings.region, self._settings.account),
            # Virtual time is changed by nobody: nothing has to be looked at meanwhile.
            alarm_seconds_max=math.inf if self._virtual else ALARM_SECONDS_MAX,
            stopwatch=None if self._virtual else time.thread_time,
            tokens=None if self._virtual else tokens.issue,
            log=str(self._runs.log(self._run.name)),
        )

    def _process_settings(self, url: str) -> ProcessSettings:
        run, folder = self._run, self._runs.of(self._run.name)
        if run.runner == "process":
            engine = engines.processes(run.commands)
        else:
            engine = engines.containers(run.runner)
        volumes = Volumes(
            shared=self._runs.folder / "volumes",
            own=folder / "volumes",
            named={name: Path(place) for name, place in run.volumes.items()},
            objects={(obj["kind"], obj["metadata"]["name"]): dict(obj) for obj in run.objects},
        )
        defaults = with_api(POD_DEFAULTS, url) if url else POD_DEFAULTS
        attempts = folder / "attempts"
        return ProcessSettings(
            attempts, Path(run.cwd), volumes, beside(engine), defaults, main=self._run.name
        )

    async def _ready(self, machines: DeskMachines) -> Obj:
        """The Execution, made if it is not there; its machine is judged before that."""
        name = self._run.name
        try:
            return await self._api.get(EXECUTIONS, NAMESPACE, name)
        except Missing:
            await self._apply_machine(machines)
        spec = {**self._run.request, "stateMachineRef": {"name": self._run.machine}}
        return await self._api.create(EXECUTIONS, NAMESPACE, EXECUTIONS.manifest(name, spec))

    async def _apply_machine(self, machines: DeskMachines) -> None:
        for name, spec in self._specs().items():
            await self._apply(name, spec)
            await machines.judge(NAMESPACE, name)
        # What is wrong with another one, its execution is told.
        judged = await self._api.get(STATE_MACHINES, NAMESPACE, self._run.machine)
        for condition in judged["status"]["conditions"]:
            if condition["type"] == "Ready" and condition["status"] != "True":
                raise NotRunnable(condition["message"])

    async def _apply(self, name: str, spec: Mapping[str, Json]) -> None:
        manifest = STATE_MACHINES.manifest(name, dict(spec))
        try:
            stored = await self._api.get(STATE_MACHINES, NAMESPACE, name)
        except Missing:
            await self._api.create(STATE_MACHINES, NAMESPACE, manifest)
        else:
            if stored["spec"] != manifest["spec"]:
                await self._api.update(STATE_MACHINES, NAMESPACE, manifest)

    def _specs(self) -> Mapping[str, Mapping[str, Json]]:
        """All machines, by name."""
        return {**self._run.machines, self._run.machine: self._run.spec}

    async def _result(self) -> Result:
        obj = await self._api.get(EXECUTIONS, NAMESPACE, self._run.name)
        status = obj["status"]
        if why := is_parked(status):
            raise NotRunnable(why)
        if self._virtual and self._virtual.is_over and status["phase"] not in TERMINAL:
            raise NotRunnable(LASTED)
        entries = await histories.read(self._api, obj)
        said = entries[-1].details if entries else {}
        return Result(
            status["phase"],
            said.get("output"),
            said.get("error", status.get("error")),
            said.get("cause", status.get("cause")),
        )


def _named_by(specs: Mapping[str, Mapping[str, Json]]) -> frozenset[str]:
    """Every Resource of some machines."""
    return frozenset(listed(task.resource) for task in _tasks(specs))


def _has_tokens(specs: Mapping[str, Mapping[str, Json]]) -> bool:
    return any(task.has_token for task in _tasks(specs))


def _tasks(specs: Mapping[str, Mapping[str, Json]]) -> Iterator[Task]:
    for spec in specs.values():
        program, _ = document.inspect(spec["definition"])
        for _, task, _ in tasks(program) if program else ():
            yield task


def write_history(folder: Path, name: str, path: Path) -> None:
    """Write the whole history of an execution as AWS's GetExecutionHistory gives it.

    It may be a pipe or a device, so it is not renamed into its place.

    Raises:
        OSError: it cannot be written.
        Fault, Unreadable: what is stored cannot be read.
    """
    entries = looking.history(looking.Desk(folder), name)
    path.write_bytes(dumps({"events": [as_aws(entry) for entry in entries]}).encode())
