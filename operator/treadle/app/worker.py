"""`treadle activity worker`: a program does the work of an activity, a process for each task.

One rule: whoever has taken a task says how it ended until it is told that this is saved, or that
nobody waits for it any more.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from treadle.asl.errors import DATA_LIMIT_EXCEEDED, StateError
from treadle.asl.json import dumps, loads
from treadle.asl.limits import DEFAULT
from treadle.kube.podtemplates import API_URL
from treadle.runners import results

NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
TOKEN_FILE: Final = Path("/var/run/secrets/treadle.dev/token")

GRACE_SECONDS = 30.0  # Kubernetes: terminationGracePeriodSeconds
REAP_SECONDS = 2.0
"""What was killed is gone at once; a process that waits for a disk is left to itself."""

AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0)
"""Delays after what went wrong; the last one repeats."""

_HELD = aiohttp.ClientTimeout(total=90.0, connect=10.0)  # longer than a poll is held
_SOON = aiohttp.ClientTimeout(total=40.0, connect=10.0)  # longer than a save may take
_CONFIG = "Kubernetes.ContainerConfig"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker is to do.

    Attributes:
        url: of the operator's API.
        activity: the name of the Activity, in `namespace`.
        command: of each task.
        token_file: a token of a service account, of the audience `treadle`; read again and again.
        worker: how it calls itself.
        concurrency: tasks at once.
        once: whether it ends after one task.
        heartbeat_seconds: how often it says that a task is alive.
    """

    url: str
    namespace: str
    activity: str
    command: Sequence[str]
    token_file: Path
    worker: str
    concurrency: int = 1
    once: bool = False
    heartbeat_seconds: float = 20.0


def wanted(
    activity: str,
    command: Sequence[str],
    *,
    url: str | None,
    namespace: str | None,
    token_file: str | None,
    worker: str | None,
    **others: Any,
) -> Wanted:
    """What a worker is to do, completed by where it runs.

    Raises:
        ValueError: nobody says where the operator is; or there is no token, or no such program.
    """
    found = url or os.environ.get(API_URL, "")
    if not found.startswith(("http://", "https://")):
        given = f"{found!r} is no URL" if found else f"neither --url nor ${API_URL} is given"
        raise ValueError(
            f"{given}: say where the operator's API is, as http://treadle.treadle:8081"
        )
    if namespace is None:
        try:
            namespace = NAMESPACE_FILE.read_text().strip()
        except OSError:
            namespace = "default"
    path = Path(token_file) if token_file is not None else TOKEN_FILE
    _token(path)
    try:
        tempfile.gettempdir()
    except OSError as why:
        raise ValueError(f"{why}: mount a volume at /tmp for the files of tasks") from None
    if shutil.which(command[0]) is None:
        # It would take one task after the other, and fail them all.
        raise ValueError(f"there is no program {command[0]!r} here that may be run")
    worker = worker or os.uname().nodename
    return Wanted(found.rstrip("/"), namespace, activity, command, path, worker[:80], **others)


def run(asked: Wanted, tell: Callable[[str], None]) -> None:
    """Work until SIGTERM or Ctrl-C: then what was begun is ended. A second one ends it at once.

    Args:
        asked: what is to be done.
        tell: told what people may want to know.
    """
    asyncio.run(_run(asked, tell))


async def _run(asked: Wanted, tell: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    # Who waits for work holds a connection; those of aiohttp's own bound would be the only ones.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        worker = Worker(asked, session, tell)
        working = asyncio.ensure_future(worker.work())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: worker.stop() or working.cancel())
        with contextlib.suppress(asyncio.CancelledError):
            await working


class Gone(Exception):  # noqa: N818 - it says what it is
    """Nobody waits for this task any more."""


class Worker:
    """See the module. `stop` ends it once what was begun has ended."""

    def __init__(
        self, asked: Wanted, session: aiohttp.ClientSession, tell: Callable[[str], None]
    ) -> None:
        self._asked = asked
        self._session = session
        self._tell = tell
        self._polls: set[asyncio.Task[Any]] = set()
        self._said = ""
        self._stopping = False

    async def work(self) -> None:
        """Do task after task, as many at once as wanted."""
        count = 1 if self._asked.once else self._asked.concurrency
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._work())

    def stop(self) -> bool:
        """Ask for no more work; gives whether that is new."""
        is_new, self._stopping = not self._stopping, True
        for poll in self._polls:
            poll.cancel()
        return is_new

    async def _work(self) -> None:
        failures = 0
        while not self._stopping:
            poll = asyncio.ensure_future(self._poll())
            self._polls.add(poll)
            await asyncio.wait({poll})
            self._polls.discard(poll)
            if poll.cancelled():
                continue
            found = poll.result()
            if isinstance(found, str):
                await self._trouble(found, failures)
                failures += 1
                continue
            failures, self._said = 0, ""
            if found is not None:
                await self._do(found["taskToken"], found["input"])
                if self._asked.once:
                    return

    async def _trouble(self, why: str, failures: int) -> None:
        if why != self._said:
            self._said = why
            self._tell(f"{why}; trying again")
        pause = asyncio.ensure_future(asyncio.sleep(_again(failures)))
        self._polls.add(pause)
        await asyncio.wait({pause})
        self._polls.discard(pause)

    # ----------------------------------------------------------------------------- the operator

    async def _poll(self) -> Mapping[str, Any] | str | None:
        """A task; None where there is none, a text where something is wrong."""
        asked = self._asked
        path = f"/v1/namespaces/{quote(asked.namespace)}/activities/{quote(asked.activity)}/poll"
        try:
            token = _token(asked.token_file)
            async with self._session.post(
                f"{asked.url}{path}",
                params={"worker": asked.worker},
                headers={"Authorization": f"Bearer {token}"},
                timeout=_HELD,
            ) as answer:
                body = await answer.read()
                if answer.status == 204:
                    return None
                if answer.status != 200:
                    return _sentence(answer.status, body)
                return _handed(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as why:
            return f"{asked.url}: {why or type(why).__name__}"

    async def _say(self, token: str, what: str, body: str) -> str:
        """Say it until it is taken; gives why it is refused, which is for good. Raises: Gone."""
        url, failures = f"{self._asked.url}/v1/tasks/{token}/{what}", 0
        while True:
            try:
                async with self._session.post(
                    url, data=body.encode("utf-8", "surrogatepass"), timeout=_SOON
                ) as answer:
                    said = await answer.read()
                    if answer.status == 200:
                        return ""
                    if answer.status == 400:
                        return _refused(said)
                    why = _sentence(answer.status, said)
            except (aiohttp.ClientError, TimeoutError) as error:
                why = f"{self._asked.url}: {error or type(error).__name__}"
            self._tell(f"{what}: {why}; trying again")
            await asyncio.sleep(_again(failures))
            failures += 1

    # --------------------------------------------------------------------------------- one task

    async def _do(self, token: str, value: Any) -> None:
        try:
            async with self._alive(token):
                outcome = await self._tried(dumps(value))
            await self._answer(token, outcome)
        except* Gone as why:
            self._tell(f"a task is over before it is done: {why.exceptions[0]}")

    async def _answer(self, token: str, outcome: str | StateError) -> None:
        if isinstance(outcome, str):
            refused = await self._say(token, "success", outcome)
            if not refused:
                return
            outcome = StateError(DATA_LIMIT_EXCEEDED, refused)
        name, cause = outcome.name or "", outcome.cause or ""
        said = {
            "error": name[: DEFAULT.error_chars_max],
            "cause": cause[: DEFAULT.cause_chars_max],
        }
        await self._say(token, "failure", dumps(said))

    @asynccontextmanager
    async def _alive(self, token: str) -> AsyncIterator[None]:
        """Say meanwhile that it is; where nobody waits any more, what is done is cut off."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._asked.heartbeat_seconds)
                await self._say(token, "heartbeat", "")

        async with asyncio.TaskGroup() as group:
            beating = group.create_task(beat())
            yield
            beating.cancel()

    async def _tried(self, given: str) -> str | StateError:
        try:
            with tempfile.TemporaryDirectory(prefix="treadle-", ignore_cleanup_errors=True) as made:
                return await self._outcome(Path(made), given)
        except OSError as why:
            return StateError(_CONFIG, f"The task's files cannot be written: {why}.")

    async def _outcome(self, folder: Path, given: str) -> str | StateError:
        """Run the command: what it gives, or its error, as a container's."""
        (folder / "input.json").write_text(given, encoding="utf-8", errors="surrogatepass")
        result = folder / "result"
        result.touch()
        places = {
            "TREADLE_INPUT_FILE": str(folder / "input.json"),
            "TREADLE_RESULT_FILE": str(result),
        }
        with (folder / "input.json").open("rb") as stdin:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._asked.command,
                    stdin=stdin,
                    env={**os.environ, **places},
                    start_new_session=True,
                )
            except (OSError, ValueError) as why:
                return StateError(_CONFIG, f"It cannot be started: {why}.")
        try:
            code = await process.wait()
        finally:
            await _end(process)
        return _read(result, code if code >= 0 else 128 - code)


def _read(result: Path, code: int) -> str | StateError:
    most = DEFAULT.payload_bytes_max
    with result.open("rb") as file:
        given = file.read(most + 1)
    if code == 0 and len(given) > most:
        return StateError(DATA_LIMIT_EXCEEDED, f"The result has more than {most:,} bytes.")
    text = given.decode("utf-8", "replace").strip()
    if code == 0:
        return results.result_of(text)
    own = results.own_error(text)
    if own is not None:
        return own
    return results.exit_code(code, text or f"The command ended with exit code {code}.")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it where it runs, and whatever it left running, as in a container."""
    if process.returncode is None:
        _send(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    _send(process, signal.SIGKILL)
    await process.wait()
    await _reap(process.pid)


async def _reap(group: int) -> None:
    """Ask how the others of its group ended, where they are ours: those of a container's first."""
    with contextlib.suppress(TimeoutError, ChildProcessError):
        async with asyncio.timeout(REAP_SECONDS):
            while True:
                if os.waitpid(-group, os.WNOHANG)[0] == 0:  # noqa: ASYNC222 - it waits for none
                    await asyncio.sleep(0.01)  # how they end is told to who waits, and to no loop


def _send(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as why:
        raise ValueError(
            f"the token cannot be read from {path}: {getattr(why, 'strerror', None) or why}; give "
            "--token-file, a service account's token of the audience `treadle`"
        ) from None


def _handed(body: bytes) -> Mapping[str, Any]:
    found = loads(body)
    if isinstance(found, dict) and isinstance(found.get("taskToken"), str) and "input" in found:
        return found
    raise ValueError("what answers is no API of Treadle")


def _again(failures: int) -> float:
    return AGAIN_SECONDS[min(failures, len(AGAIN_SECONDS) - 1)]


def _refused(body: bytes) -> str:
    said = _said(body)
    if said.get("__type") in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
        raise Gone(str(said.get("message")))
    return str(said.get("message") or body[:200])


def _sentence(status: int, body: bytes) -> str:
    return f"{_said(body).get('message') or 'no answer'} (HTTP {status})"


def _said(body: bytes) -> Mapping[str, Any]:
    try:
        said = loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
