"""The kills: when, where, and what happens to Pods while the operator is down.

The one rule: everything is drawn from the seed, but what there is to hit is the cluster's business.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cluster.torture.mix import Mix
from tests.cluster.torture.proxy import JOB, STATUS, Trap, Write
from tests.cluster.torture.sketch import EXPENDABLE
from tests.cluster.torture.stage import Obj, Operator, Stage, comes, in_parallel
from treadle.kube import names
from treadle.kube.kinds import JOBS, PODS, Kind
from treadle.runners import podfacts
from treadle.runtime.ports import Conflict, Missing

RANDOM = "random"
UNFINISHED_TARGET = 32
UNFINISHED_MIN = 20
CLOSE_SECONDS = 0.050
# Long enough that most of 200 executions come and go before the fiftieth kill.
_PAUSE_SECONDS = {STATUS: (0.3, 7.5), JOB: (0.3, 7.5), RANDOM: (0.2, 9.0)}
_SPRING_SECONDS = 12.0
_FINISHED_MAX = 10
_RUNNING_MAX = 2
_FED_PER_KILL_MAX = 8  # more than that end at once, which no execution of the mix does
_OWN_ENDS_MAX = 3
_SETTLED_SECONDS = 4.0


@dataclass
class Kill:
    """One kill, for the table.

    Args:
        where: STATUS or JOB for one within 50 ms after such a write's answer, else RANDOM.
        after_ms: from that answer to the signal.
        seen: whether the operator had been given the answer.
        finished, running, jobs: how many finished and running Pods, and running Jobs, were deleted.
        down_seconds: until it was started again.
        back_seconds: from there to its next write outside of its Lease; None if it died before.
    """

    number: int
    at_seconds: float
    where: str
    after_ms: float | None
    seen: bool
    unfinished: int
    finished: int = 0
    running: int = 0
    jobs: int = 0
    down_seconds: float = 0.0
    back_seconds: float | None = None


@dataclass
class Torture:
    """Kills an operator while executions of a mix are fed to it.

    Args:
        show: told of each kill once all is known of it.
        deletions: how many running attempts were deleted, by execution and state.
        violations: what must not be.
        fed: how many executions were created before the last kill.
    """

    stage: Stage
    operator: Operator
    mix: Mix
    draw: random.Random
    show: Callable[[Kill], None]
    kills: list[Kill] = field(default_factory=list)
    deletions: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    fed: int = 0
    _began_at: float = 0.0
    _started_at: float = 0.0
    _first_write: int = 0

    async def run(self, kills: int, executions: int) -> None:
        """Kill so many times; at least so many executions are created, the last ones unkilled."""
        self._began_at = time.monotonic()
        feeding = asyncio.create_task(self._feed(executions + _FED_PER_KILL_MAX * kills))
        try:
            self._start()
            await comes(self._is_under_way, 60)
            todo = self._wheres(kills)
            while todo:
                where = todo.pop(0)
                kill = await self._kill(where)
                self.kills.append(kill)
                if kill.where != where:
                    todo.append(where)  # nothing to hit, or hit too late: once more
                await self._while_down(kill)
                self._start()
        finally:
            feeding.cancel()
        self.show(self.kills[-1])
        self.fed = len(self.stage.plans)
        for number in range(len(self.stage.plans), executions):
            await self.stage.submit(self.mix.plan(number))

    def _wheres(self, kills: int) -> list[str]:
        third = -(-kills // 3)
        wheres = [STATUS] * third + [JOB] * third
        wheres = (wheres + [RANDOM] * kills)[: max(kills, 2)]
        self.draw.shuffle(wheres)
        return wheres

    async def _feed(self, at_most: int) -> None:
        while len(self.stage.plans) < at_most:
            while self.stage.unfinished() < UNFINISHED_TARGET:
                await self.stage.submit(self.mix.plan(len(self.stage.plans)))
            await asyncio.sleep(0.1)

    def _is_under_way(self) -> bool:
        return self.stage.unfinished() >= UNFINISHED_MIN and self.operator.process.leads

    def _start(self) -> None:
        self._first_write = len(self.operator.proxy.writes)
        self._started_at = time.monotonic()
        self.operator.start()

    # ---------------------------------------------------------------------------------- a kill

    async def _kill(self, where: str) -> Kill:
        pause = self.draw.uniform(*_PAUSE_SECONDS[where])
        pass_on = self.draw.random() < 0.5
        delay = self.draw.uniform(0.0, 0.030)
        skip = self.draw.randrange(6) if where == STATUS else self.draw.randrange(2)
        await asyncio.sleep(pause)
        if where == RANDOM:
            return self._end(RANDOM, None, seen=False)
        loop = asyncio.get_running_loop()
        died: asyncio.Future[Kill] = loop.create_future()

        def end(write: Write) -> None:
            if not died.done():
                died.set_result(self._end(where, write, seen=pass_on))

        def sprung(write: Write) -> bool:
            if pass_on:
                loop.call_later(delay, end, write)
            else:
                end(write)
            return pass_on

        self.operator.proxy.set_trap(Trap(where, skip, sprung))
        try:
            return await asyncio.wait_for(died, _SPRING_SECONDS)
        except TimeoutError:
            self.operator.proxy.lift_trap()
            return self._end(RANDOM, None, seen=False)

    def _end(self, where: str, write: Write | None, *, seen: bool) -> Kill:
        unfinished = self.stage.unfinished()
        if self.operator.process.running:
            os.kill(self.operator.process.pid, signal.SIGKILL)
            now = time.monotonic()
            self.operator.process.kill()  # and wait until it is gone
        else:
            now = time.monotonic()
            self._note_own_end()
        after = None if write is None else now - write.answered_at
        if after is not None and after > CLOSE_SECONDS:
            where = RANDOM
        kill = Kill(
            number=len(self.kills) + 1,
            at_seconds=now - self._began_at,
            where=where,
            after_ms=None if after is None else after * 1000,
            seen=seen,
            unfinished=unfinished,
        )
        if self.kills:
            self.kills[-1].back_seconds = self._back_seconds()
            self.show(self.kills[-1])
        return kill

    def _note_own_end(self) -> None:
        tail = self.operator.process.tail
        self.violations.append(f"the operator ended by itself before kill {len(self.kills) + 1}")
        if len(self.violations) >= _OWN_ENDS_MAX:
            raise AssertionError(f"{self.violations}\n{tail}")

    def _back_seconds(self) -> float | None:
        for write in self.operator.proxy.writes[self._first_write :]:
            if write.kind in (STATUS, JOB):
                return write.received_at - self._started_at
        return None

    # -------------------------------------------------------------------------------- while down

    async def _while_down(self, kill: Kill) -> None:
        down_at = time.monotonic()
        pods = [pod for pod in self.stage.pods.items() if names.attempt_of(pod)]
        finished = [pod for pod in pods if _may_go(pod)]
        running = [pod for pod in pods if _is_expendable(pod)]
        doomed = [pod for pod in finished if self.draw.random() < 0.7][:_FINISHED_MAX]
        taken = self.draw.sample(running, min(len(running), self.draw.randint(0, _RUNNING_MAX)))
        # A Job takes its Pod with it.
        by_job = [pod for pod in taken if self.draw.random() < 0.3]
        by_pod = [pod for pod in taken if pod not in by_job]
        kill.finished = sum(await in_parallel(self._delete(PODS, pod) for pod in doomed))
        kill.running = sum(await in_parallel(self._take(PODS, pod) for pod in by_pod))
        kill.jobs = sum(await in_parallel(self._take(JOBS, pod) for pod in by_job))
        await asyncio.sleep(self.draw.uniform(0.1, 1.2))
        kill.down_seconds = time.monotonic() - down_at

    async def _take(self, kind: Kind, pod: Obj) -> bool:
        attempt = names.attempt_of(pod)
        assert attempt is not None
        state = pod["metadata"]["annotations"][names.STATE]
        self.deletions[attempt.execution.name, state] += 1
        return await self._delete(kind, pod)

    async def _delete(self, kind: Kind, pod: Obj) -> bool:
        meta = pod["metadata"]
        name = meta["name"] if kind == PODS else meta["labels"][names.ATTEMPT_NAME]
        uid = meta["uid"] if kind == PODS else podfacts.controller_uid(pod)
        try:
            await self.stage.api.delete(kind, self.stage.namespace, name, uid=uid)
        except (Missing, Conflict):
            return False
        return True


def _may_go(pod: Obj) -> bool:
    """Whether a Pod has finished, and in a way that its deletion cannot put in doubt.

    A program that failed in the second of its Pod's deletion cannot be told from one that the
    deletion made fail, so those that failed are left alone for some seconds.
    """
    done = podfacts.terminated(pod)
    held = names.RESULT_FINALIZER in (pod["metadata"].get("finalizers") or ())
    if done is None or not held or podfacts.is_deleting(pod):
        return False
    ended = podfacts.finished_at(pod)
    settled = ended is not None and time.time() - ended.timestamp() >= _SETTLED_SECONDS
    return settled or (done["exitCode"] == 0 and bool(done.get("message")))


def _is_expendable(pod: Obj) -> bool:
    """Whether a Pod runs and its state retries its deletion."""
    state = (pod["metadata"].get("annotations") or {}).get(names.STATE, "")
    runs = "running" in (podfacts.status_of(pod, podfacts.MAIN).get("state") or {})
    return EXPENDABLE in state and runs and not podfacts.is_deleting(pod)
