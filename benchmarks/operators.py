"""An operator as a benchmark runs it: a process of its own, and what its /metrics say."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from treadle.kube import credentials
from treadle.kube.client import Client

ROOT = Path(__file__).parents[1]
HEALTH_PORT = 18080
READY_SECONDS = 60.0


def kubeconfig() -> str:
    """The cluster to measure on."""
    return os.environ.get("KUBECONFIG") or str(ROOT / ".cluster" / "kubeconfig")


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """A client of our own, beside the operator's."""
    async with Client(credentials.load(kubeconfig(), None, {})) as api:
        yield api


class Operator:
    """A running operator."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def metrics(self) -> Counter[str]:
        """Every sample, by its name and labels."""
        url = f"http://127.0.0.1:{HEALTH_PORT}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
        found: Counter[str] = Counter()
        for name, value in re.findall(r"^(treadle_\S+|process_\S+) (\S+)$", text, re.MULTILINE):
            found[name] = float(value)  # type: ignore[assignment]
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@asynccontextmanager
async def operator() -> AsyncIterator[Operator]:
    """Run an operator until the end of the block."""
    environment = {
        **os.environ,
        "KUBECONFIG": kubeconfig(),
        "TREADLE_HEALTH_PORT": str(HEALTH_PORT),
        "TREADLE_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "treadle", "operator", env=environment, cwd=ROOT
    )
    try:
        await _ready(process)
        yield Operator(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> None:
    """Until it leads and its first turn may begin."""
    url = f"http://127.0.0.1:{HEALTH_PORT}/metrics"
    async with aiohttp.ClientSession() as session:

        async def leads() -> bool:
            if process.returncode is not None:
                raise RuntimeError(f"the operator ended with status {process.returncode}")
            try:
                async with session.get(url) as answer:
                    return "treadle_lease_held 1.0" in await answer.text()
            except aiohttp.ClientError:
                return False

        await until(leads, READY_SECONDS)


async def until(probe: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Ask until the answer is yes. Raises: TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await probe():  # noqa: ASYNC110 - what is asked is in another process
            await asyncio.sleep(0.1)  # only before and after what is measured
