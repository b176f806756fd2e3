"""`python -m tests.cluster.callbacks`: many callbacks while the operator is killed again and again.

Executions of six Tasks each that wait for their tokens are created, and their tokens handed out,
before the clock starts. Then each token is answered with a number of its own, by callers that
repeat until a 200 or a 400, while the operator is killed with -9. Afterwards each number that was
acknowledged must be in its execution's result, and none twice. KUBECONFIG names the cluster; else
it is that of `make control-plane`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.machines import chain, each
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import EXECUTIONS, People, apply_crds, is_over

TOKENS_EACH = 6
CALLERS = 100
WAIT_SECONDS = 1_800.0


@dataclass
class Asked:
    """Tokens that were handed out, by execution and index; a repeated call hands out the same."""

    tokens: dict[tuple[str, int], str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        """What a Task tells: whose token it is."""
        said = await request.json()
        place = (said["name"], said["index"])
        before = self.tokens.setdefault(place, said["token"])
        if before != said["token"]:
            self.violations.append(f"{place} has two tokens")
        return web.json_response({})


def main() -> int:
    """Run once and print; gives 1 where something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    cluster = Cluster.reach(Path(os.environ.get("KUBECONFIG") or places.KUBECONFIG))
    apply_crds(cluster.kubeconfig)
    with tempfile.TemporaryDirectory() as folder, cluster.namespace() as served:
        people = People(served)
        operator = OperatorProcess(
            cluster.kubeconfig,
            Path(folder, "operator.log"),
            namespaces=[served.name],
            http_allow_loopback="true",
            identity="one",  # as a container that is started again in its Pod
        )
        with operator:
            violations = asyncio.run(_run(people, operator, given.executions, given.kills))
    for violation in violations[:20]:
        print(f"VIOLATION: {violation}")
    print(f"{len(violations)} violations")
    return 1 if violations else 0


async def _run(people: People, operator: OperatorProcess, executions: int, kills: int) -> list[str]:
    asked = Asked()
    app = web.Application()
    app.router.add_post("/ask", asked.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    asked.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ask"
    names = [f"e{number}" for number in range(executions)]
    await asyncio.to_thread(_create, people, asked, names)
    total = executions * TOKENS_EACH
    await _until(lambda: len(asked.tokens) == total, "every token to be handed out")
    print(f"{executions} executions wait for {total} tokens", flush=True)
    sent = {place: number for number, place in enumerate(sorted(asked.tokens))}
    began_at = time.monotonic()
    statuses, repeats = await _answer(asked, operator, sent, kills)
    seconds = time.monotonic() - began_at
    taken = sum(1 for status in statuses.values() if status in (200, 400))
    print(
        f"{taken} answers acknowledged in {seconds:.0f} s: {taken / seconds:.0f} a second, with "
        f"{kills} kills; {repeats} were sent again"
    )
    print(f"last statuses: {dict(Counter(statuses.values()))}", flush=True)
    await _until(lambda: _over(people) == executions, "every execution to end")
    violations = asked.violations + _compare(people, names, sent, statuses)
    await runner.cleanup()
    return violations


def _create(people: People, asked: Asked, names: list[str]) -> None:
    call = {
        "ApiEndpoint": asked.url,
        "Method": "POST",
        "RequestBody": {
            "token.$": "$$.Task.Token",
            "name.$": "$$.Execution.Name",
            "index.$": "$",
        },
    }
    ask = {"Type": "Task", "Resource": "treadle:http.waitForTaskToken", "Parameters": call}
    people.machine("ask", chain(All=each(chain(Ask=ask), ItemsPath="$.items")))
    assert people.judged("ask")["status"] == "True"
    for name in names:
        people.execution(name, "ask", input={"items": list(range(TOKENS_EACH))})


async def _answer(
    asked: Asked, operator: OperatorProcess, sent: dict[tuple[str, int], int], kills: int
) -> tuple[dict[tuple[str, int], int], int]:
    """Answer every token; gives the last status of each, and how many were sent again."""
    waiting = list(sent)[::-1]
    statuses: dict[tuple[str, int], int] = {}
    repeats = 0

    async def call(session: aiohttp.ClientSession) -> None:
        nonlocal repeats
        while waiting:
            place = waiting.pop()
            path = f"/v1/tasks/{asked.tokens[place]}/success"
            while place not in statuses:
                status = await _post(session, operator, path, sent[place])
                if status in (200, 400):
                    statuses[place] = status
                else:
                    repeats += 1
                    await asyncio.sleep(0.2)

    async def kill() -> None:
        for number in range(kills):
            share = len(sent) * (number + 1) // (kills + 1)
            await _until(lambda share=share: len(statuses) >= share, "answers")  # type: ignore[misc]
            operator.kill()
            await asyncio.to_thread(operator.start)

    connector = aiohttp.TCPConnector(limit=CALLERS)
    async with aiohttp.ClientSession(connector=connector) as session:
        killing = asyncio.create_task(kill())
        await asyncio.gather(*(call(session) for _ in range(CALLERS)))
        await killing
    return statuses, repeats


async def _post(
    session: aiohttp.ClientSession, operator: OperatorProcess, path: str, number: int
) -> int:
    url = f"http://127.0.0.1:{operator.api_port}{path}"
    try:
        async with session.post(url, data=str(number)) as answer:
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, OSError):
        return 0


def _over(people: People) -> int:
    return sum(is_over(each.get("status") or {}) for each in people.all(EXECUTIONS))


def _compare(
    people: People,
    names: list[str],
    sent: dict[tuple[str, int], int],
    statuses: dict[tuple[str, int], int],
) -> list[str]:
    found = {each["metadata"]["name"]: each.get("status") or {} for each in people.all(EXECUTIONS)}
    violations = []
    seen: Counter[int] = Counter()
    for name in names:
        status = found[name]
        output: Any = json.loads(status.get("output") or "null")
        wanted = [sent[(name, index)] for index in range(TOKENS_EACH)]
        if output != wanted:
            violations.append(f"{name}: {status.get('phase')}, {output} instead of {wanted}")
        seen.update(output or ())
    violations += [f"{number} is in {times} results" for number, times in seen.items() if times > 1]
    violations += [f"{place} was never answered" for place in sent if place not in statuses]
    return violations


async def _until(condition: Any, what: str) -> None:
    ends_at = time.monotonic() + WAIT_SECONDS
    while not await asyncio.to_thread(condition):
        if time.monotonic() > ends_at:
            raise TimeoutError(f"waited {WAIT_SECONDS:.0f} s for {what}")
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
