"""The operator process: builds every room, waits for the Lease, works, and ends tidily.

One rule: in this order: Lease, a complete view of the world, then the first turn.
"""

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, closing, contextmanager
from typing import Any, Self

import uvloop
from aiohttp import web

from treadle.api.callbacks import Callbacks, served
from treadle.api.forwarding import Forwarding
from treadle.api.health import Pulse
from treadle.api.metrics import Metrics
from treadle.api.polls import Polls
from treadle.api.server import Server, application
from treadle.app import logs
from treadle.app.equipment import RESOURCES, Equipment, now
from treadle.app.fairness import Fair
from treadle.app.identify import Identities
from treadle.app.settings import Settings
from treadle.asl.evaluator import EvaluatorLost
from treadle.handlers import watching
from treadle.kube import credentials
from treadle.kube.api import Api
from treadle.kube.client import Client
from treadle.kube.lease import Lease, LeaseLost, NoLease
from treadle.kube.podtemplates import PodDefaults, with_api
from treadle.kube.recorder import Recorder
from treadle.runners.jobs import JobSettings
from treadle.runners.verdict import Policy
from treadle.runtime.driver import Driver
from treadle.runtime.ports import Fault, Sighting
from treadle.sandbox.sandbox import Sandbox
from treadle.stores.executions import StatusStore
from treadle.stores.judgement import Installation
from treadle.stores.judging import Judging
from treadle.stores.keys import TokenKeys
from treadle.stores.machines import RevisionMachines

_log = logging.getLogger(__name__)

_PYTHON = ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
"""All that the process needs which evaluates expressions: credentials are not for it."""

SWEEP_SECONDS = 30.0
SAVE_SECONDS = 6.0
THREADS = 2  # one waits for the sandbox while another one writes what came of it
TOKENS_AGAIN_SECONDS = 5.0
RECURSION_MAX = 40_000
FILES = 32_768  # at once: three times the workers that may wait
STACK_BYTES = 512 * 1024 * 1024  # reserved, not used: pages of a stack cost nothing until touched


def run(settings: Settings) -> int:
    """Run until SIGTERM, or until the Lease is lost.

    Returns:
        The exit status: 0 after SIGTERM, 1 after the Lease was lost.

    Raises:
        ValueError: the credentials cannot be used.
    """
    logs.set_up(settings.log_format, settings.log_level)
    # Watch events are many small dicts that live long: collecting them young is wasted work.
    gc.set_threshold(50_000, 20, 50)
    _allow_connections()
    # An object may be nested as deep as the API server reads, 10,000 levels, and one of anybody's
    # must not end the process: Kopf and json recurse over it. Hence a thread with a deep stack.
    sys.setrecursionlimit(RECURSION_MAX)
    threading.stack_size(STACK_BYTES)
    ended: Future[int] = Future()
    with _Stopping() as stopping:
        thread = threading.Thread(target=_run_in_thread, args=(settings, stopping, ended))
        thread.start()
        thread.join()
    return ended.result()


def _allow_connections() -> None:
    """A worker that waits is an open connection, and container runtimes allow 1,024 files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Stopping:
    """The signals that end this process, each as a byte of a socket.

    Python runs a handler in the main thread, which sleeps while the loop turns in another one; and
    does not wake it where the kernel gives the signal to that other one.
    """

    def __init__(self) -> None:
        self._told, self._tell = socket.socketpair()
        for end in (self._told, self._tell):
            end.setblocking(False)
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._tell.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # without a handler there is no byte
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for end in (self._told, self._tell):
            end.close()

    def attach(self) -> asyncio.Event:
        """Called in the loop: the event that is set when it is time to stop, or is already."""
        asyncio.get_running_loop().add_reader(self._told, self._asked)
        return self._event

    def _asked(self) -> None:
        self._told.recv(64)
        self._event.set()


def _run_in_thread(settings: Settings, stopping: _Stopping, ended: "Future[int]") -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ended.set_result(runner.run(_run(settings, stopping)))
    except BaseException as why:
        ended.set_exception(why)


async def _run(settings: Settings, stopping: _Stopping) -> int:
    stop = stopping.attach()
    metrics = Metrics()
    endpoint = credentials.load(settings.kubeconfig, settings.context, settings.environment)
    python = {name: settings.environment[name] for name in _PYTHON if name in settings.environment}
    async with Client(endpoint, meter=metrics) as api:
        with closing(Sandbox(python)) as sandbox, _threads() as threads:
            operator = _Operator(settings, api, metrics, endpoint, sandbox, threads)
            return await operator.live(stop)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    threads = ThreadPoolExecutor(THREADS, "evaluate")
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


class _Operator:
    """Every room of one process, and the doorway of its handlers."""

    def __init__(
        self,
        settings: Settings,
        api: Api,
        metrics: Metrics,
        endpoint: credentials.Endpoint,
        sandbox: Sandbox,
        threads: Executor,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._endpoint = endpoint
        self._sandbox = sandbox
        self._namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._lease = _lease(settings, api, metrics)
        self._tokens = TokenKeys(api, settings.lease_namespace, settings.token_secret)
        self._recorder = Recorder(api, "treadle", metrics)
        self._store = StatusStore(api)
        jobs = _job_settings(settings)
        here = Installation(jobs.defaults, RESOURCES, settings.limits)
        self._machines = RevisionMachines(api, now, here)
        identities = Identities(settings.region, settings.account)
        self._driver = Driver(
            store=self._store,
            machines=self._machines,
            leadership=self._lease,
            clock=now,
            identify=identities,
            meter=metrics,
            announce=self._recorder.announce,
            stopwatch=sandbox.seconds,
            evaluator=sandbox.answer,
            aside=Fair(_by(threads), THREADS),
            tokens=self._tokens.issue,
        )
        self._judging = Judging(self._machines.judge, self._machine_judged, metrics)
        self._alias_judging = Judging(
            self._machines.aliases.judge, self._driver.machine_changed, metrics
        )
        self._equipment = Equipment(
            settings,
            api,
            self._driver,
            self._lease,
            self._tokens,
            identities,
            jobs,
            endpoint,
            metrics,
        )
        self._driver.serve(self._equipment.runners)
        self._pulse = Pulse()
        self._opened = False

    # ------------------------------------------------------------------------------- the doorway

    def execution_seen(self, sighting: Sighting) -> None:
        """See `handlers.watching.Doorway`."""
        self._driver.seen(sighting)
        self._equipment.nested.seen(sighting)

    def machine_seen(self, namespace: str, name: str, *, judged: bool) -> None:
        """See `handlers.watching.Doorway`."""
        if judged:
            self._driver.machine_changed(namespace, name)
        else:
            self._judging.post(namespace, name)

    def alias_seen(self, namespace: str, machine: str) -> None:
        """See `handlers.watching.Doorway`."""
        self._machines.aliases.seen(namespace, machine)
        self._alias_judging.post(namespace, machine)

    def _machine_judged(self, namespace: str, name: str) -> None:
        self._driver.machine_changed(namespace, name)
        if self._machines.aliases.has(namespace, name):
            self._alias_judging.post(namespace, name)

    # ---------------------------------------------------------------------------------- the life

    async def live(self, stopping: asyncio.Event) -> int:
        """Work until told to stop; gives the exit status."""
        async with AsyncExitStack() as servers:
            await self._serve(servers)
            stop = asyncio.create_task(stopping.wait())
            if not await _first(self._lease.acquire(), stop):
                return 0
            stop.cancel()
            _log.info("leading as %s", self._settings.identity)
            return await self._work(stopping)

    async def _serve(self, servers: AsyncExitStack) -> None:
        settings = self._settings
        if settings.health_port:
            app = application({"loop": self._pulse.check}, {"view": self._ready}, self._metrics)
            await _open(servers, app, settings.health_host, settings.health_port)
        if settings.api_port:
            forwarding = Forwarding(self._lease.fresh, self._lease.leader)
            await servers.enter_async_context(forwarding)
            leads = self._lease.fresh
            callbacks = Callbacks(
                self._tokens, self._driver.answer, forwarding, now, settings.limits, leads
            )
            polls = Polls(self._equipment.activities, self._equipment.reviews, forwarding)
            await _open(servers, served(callbacks, polls), settings.api_host, settings.api_port)

    def _ready(self) -> str | None:
        # A standby is ready: it waits for the Lease, and must not hold up a rollout.
        if self._lease.fresh() and not self._opened:
            return "the first list of Jobs, Pods and Approvals is not there yet"
        return None

    async def _work(self, stopping: asyncio.Event) -> int:
        lost = False
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._works(stopping)]
                await stopping.wait()
                await self._end()
                # Kopf last: when it ends, it cancels whatever else still runs.
                for task in tasks:
                    task.cancel()
        except* LeaseLost as why:
            _log.error("%s; this process ends", why.exceptions[0])
            lost = True
        return 1 if lost else 0

    def _works(self, stopping: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        return [
            self._lease.keep(),
            self._open_tokens(),
            self._open_sandbox(),
            self._equipment.jobs.run(),
            self._equipment.pods.run(),
            self._equipment.activity_view.run(),
            self._equipment.job_runner.run(),
            self._equipment.nested.run(),
            self._equipment.approvals.run(),
            self._equipment.approval_runner.run(),
            self._judging.run(),
            self._alias_judging.run(),
            self._recorder.run(),
            self._pulse.run(),
            self._equipment.addresses.run(),
            self._open(),
            self._sweep(),
            self._watch(stopping),
        ]

    async def _open(self) -> None:
        await self._equipment.jobs.synced.wait()
        await self._equipment.pods.synced.wait()
        await self._equipment.approvals.synced.wait()
        await self._equipment.addresses.known.wait()
        self._driver.open()
        self._opened = True
        gc.freeze()
        _log.info("the world is seen; turns begin")
        await self._equipment.activities.open(self._settled)

    async def _settled(self) -> None:
        """All executions that there are have been looked at."""
        await self._compare()
        await self._driver.settled()

    async def _open_tokens(self) -> None:
        """Attempts that need a token wait until its key is known; all others do not."""
        while True:
            try:
                return await self._tokens.open()
            except Fault as fault:
                _log.warning("no task token can be given: %r", fault)
                await asyncio.sleep(TOKENS_AGAIN_SECONDS)

    async def _open_sandbox(self) -> None:
        try:
            await asyncio.to_thread(self._sandbox.open)
        except EvaluatorLost as why:
            _log.warning("no expression of JSONata can be evaluated yet: %s", why)

    async def _watch(self, stopping: asyncio.Event) -> None:
        login = watching.login_with(self._endpoint)
        await watching.watch(self, login, self._settings.namespaces)
        stopping.set()  # Kopf has ended: there is nothing to be told of any more

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            began_at = asyncio.get_running_loop().time()
            for step in (
                self._compare,
                self._driver.sweep,
                self._equipment.job_runner.sweep,
                self._equipment.nested.sweep,
                self._equipment.approval_runner.sweep,
                self._equipment.activities.sweep,
                self._sweep_machines,
                self._tokens.open,
            ):
                # One that fails for good, for want of a right perhaps, must not stop the others.
                try:
                    await step()
                except Fault as fault:
                    _log.warning("the sweep is cut short: %r", fault)
                except Exception:
                    # We are wrong about what one object holds: all the others go on.
                    _log.exception("the sweep is cut short")
                    self._metrics.failed("app")
            self._metrics.swept(asyncio.get_running_loop().time() - began_at)

    async def _compare(self) -> None:
        active = await self._store.active(self._namespaces)
        self._driver.compare(active)
        self._equipment.nested.compare(active)

    async def _sweep_machines(self) -> None:
        await self._machines.sweep(self._namespaces)

    async def _end(self) -> None:
        """SIGTERM: start nothing, let calls end, save, give up the Lease."""
        _log.info("stopping")
        self._driver.quiesce()
        self._equipment.activities.drain()
        await self._equipment.http.drain(self._settings.drain_seconds)
        await self._driver.drain(SAVE_SECONDS)
        await self._recorder.drain(2.0)
        await self._lease.release()


def _by(threads: Executor) -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    return lambda work: asyncio.get_running_loop().run_in_executor(threads, work)


async def _open(servers: AsyncExitStack, app: web.Application, host: str, port: int) -> None:
    server = Server(app, host, port)
    await server.open()
    servers.push_async_callback(server.close)


def _lease(settings: Settings, api: Api, metrics: Metrics) -> Lease | NoLease:
    if not settings.lease:
        return NoLease()
    where = (settings.lease_namespace, settings.lease_name)
    return Lease(
        api,
        *where,
        settings.identity,
        serves=settings.namespaces,
        address=settings.api_address,
        meter=metrics,
    )


def _job_settings(settings: Settings) -> JobSettings:
    patience = settings.start_failure_seconds
    defaults = PodDefaults(level=settings.pod_security_level)
    return JobSettings(
        defaults=with_api(defaults, settings.api_url) if settings.api_url else defaults,
        policy=Policy(image_pull_seconds=patience, container_config_seconds=patience),
    )


async def _first(work: Coroutine[Any, Any, Any], other: asyncio.Task[Any]) -> bool:
    """Do some work unless another task ends before; gives whether it was done."""
    task = asyncio.create_task(work)
    await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
        return True
    task.cancel()
    return False
