"""Activities on the real API server: real tokens, real rights, workers over HTTP, and kills."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes import client

from tests.cluster.lab import places
from tests.cluster.support.machines import chain, each
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People
from tests.support.treadles import begin, tidy
from treadle.app.identify import account_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

FOREIGN = "arn:aws:states:eu-west-1:999999999999:activity:Pack-Orders"
OVER = (400, "TaskTimedOut")
WORKERS = 1_000


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    tidy()


@pytest.fixture
def own(loner: People, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator of this test alone, and the Activity `pack`."""
    loner.create("Activity", "activities", "pack", {"arn": FOREIGN})
    # As a container that is started again in its Pod.
    with an_operator(loner, tmp_path / "operator.log", identity="one") as started:
        yield started


def an_operator(people: People, log: Path, **settings: str) -> OperatorProcess:
    kubeconfig = people.namespace.cluster.kubeconfig
    return OperatorProcess(kubeconfig, log, namespaces=[people.namespace.name], **settings)


def asking(**members: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "treadle:activity/pack", **members}


def a_token(people: People, account: str, *, audience: str = "treadle", may: bool = True) -> str:
    """A token of a new service account, which may work on the activity `pack`."""
    space = people.namespace
    space.core.create_namespaced_service_account(space.name, {"metadata": {"name": account}})
    if may:
        rbac: Any = client.RbacAuthorizationV1Api(space.cluster.client)
        named = {"metadata": {"name": account}}
        rule = {"apiGroups": ["treadle.dev"], "resources": ["activities"], "verbs": ["work"]}
        role = {**named, "rules": [{**rule, "resourceNames": ["pack", "none"]}]}
        rbac.create_namespaced_role(space.name, role)
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": space.name}
        binding = {**named, "roleRef": ref, "subjects": [subject]}
        rbac.create_namespaced_role_binding(space.name, binding)
    return token_of(people, account, audience)


def token_of(people: People, account: str, audience: str) -> str:
    spec = {"audiences": [audience] if audience else None, "expirationSeconds": 3_600}
    made = people.namespace.core.create_namespaced_service_account_token(
        account, people.namespace.name, {"spec": spec}
    )
    return str(made.status.token)


@dataclass
class Fleet:
    """Workers of one service account.

    Attributes:
        handed: how often each token was handed out.
        said: by input, each result that a worker gave.
        acknowledged: of these, the one that was answered 200; none where the operator died then.
    """

    people: People
    operator: OperatorProcess
    token: str
    session: aiohttp.ClientSession
    handed: Counter[str] = field(default_factory=Counter)
    said: dict[str, list[int]] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer; 0 where nothing answers."""
        url = f"http://127.0.0.1:{self.operator.api_port}{path}"
        data = None if body is None else json.dumps(body)
        try:
            async with self.session.post(url, data=data, headers=headers) as answer:
                text = await answer.read()
                return answer.status, json.loads(text) if text else None
        except (aiohttp.ClientError, OSError):
            return 0, None

    async def poll(
        self, worker: str = "w", token: str = "", activity: str = "pack"
    ) -> tuple[int, Any]:
        place = f"/v1/namespaces/{self.people.namespace.name}/activities/{activity}"
        bearer = f"Bearer {token or self.token}"
        status, said = await self.post(f"{place}/poll?worker={worker}", Authorization=bearer)
        if status == 200:
            self.handed[said["taskToken"]] += 1
        return status, said

    async def takes(self, worker: str = "w") -> dict[str, Any]:
        """A task, however often it has to be asked for."""
        while True:
            status, said = await self.poll(worker)
            if status == 200:
                return dict(said)
            await asyncio.sleep(0.2)

    async def aws(self, action: str, token: str = "", **given: Any) -> tuple[int, Any]:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AWSStepFunctions.{action}",
            "Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/states/aws4",
            "X-Amz-Security-Token": token or self.token,
        }
        return await self.post("/", given, **headers)

    async def says(self, token: str, what: str, body: Any = None) -> tuple[int, str]:
        """Say it until it is taken or refused."""
        while True:
            status, said = await self.post(f"/v1/tasks/{token}/{what}", body)
            if status in (200, 400):
                return status, str((said or {}).get("__type", ""))
            await asyncio.sleep(0.2)

    async def works(self, worker: str) -> None:
        """Take task after task, and give each input a number of its own."""
        while True:
            task = await self.takes(worker)
            key, number = json.dumps(task["input"], sort_keys=True), len(self.handed)
            self.said.setdefault(key, []).append(number)
            if (await self.says(task["taskToken"], "success", number))[0] == 200:
                self.acknowledged[key] = number


def play(people: People, own: OperatorProcess, scene: Any) -> None:
    async def act() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await scene(Fleet(people, own, a_token(people, "packer"), session))

    asyncio.run(act())


async def aside(work: Any, *given: Any) -> Any:
    return await asyncio.to_thread(work, *given)


async def until(people: People, probe: Any, what: str) -> None:
    await aside(people.namespace.wait, probe, what)


# ------------------------------------------------------------------------------------- who may


def test_who_has_the_right_is_let_in_and_nobody_else(loner: People, own: OperatorProcess) -> None:
    async def scene(fleet: Fleet) -> None:
        loner.run("one", chain(Pack=asking(Parameters={"n": 1})))
        others = a_token(loner, "nobody", may=False)
        for_all = token_of(loner, "packer", "")
        assert (await fleet.poll(token="nonsense"))[0] == 401
        assert (await fleet.poll(token=for_all))[0] == 401, "a token for the API server is not ours"
        status, said = await fleet.poll(token=others)
        assert (status, said["__type"]) == (403, "AccessDeniedException")
        assert (
            f"system:serviceaccount:{loner.namespace.name}:nobody may not `work`" in said["message"]
        )
        status, said = await fleet.poll(activity="none")
        assert (status, said["__type"]) == (400, "ActivityDoesNotExist")
        status, said = await fleet.poll()
        assert (status, said["input"]) == (200, {"n": 1})
        assert await fleet.says(said["taskToken"], "success", {"by": "a worker"}) == (200, "")
        assert loner.succeeds("one") == {"by": "a worker"}
        assert await fleet.says(said["taskToken"], "success", 2) == OVER

    play(loner, own, scene)


def test_awss_own_protocol_is_served_for_both_arns(loner: People, own: OperatorProcess) -> None:
    account = account_of(loner.namespace.name)
    derived = f"arn:aws:states:us-east-1:{account}:activity:pack"

    async def scene(fleet: Fleet) -> None:
        for number, arn in enumerate((derived, FOREIGN)):
            name = f"run-{number}"
            loner.run(name, chain(Pack={"Type": "Task", "Resource": arn}), input={"n": number})
            status, said = await fleet.aws("GetActivityTask", activityArn=arn, workerName="w")
            assert (status, said["input"]) == (200, f'{{"n":{number}}}')
            done = {"taskToken": said["taskToken"], "output": "[1]"}
            assert (await fleet.aws("SendTaskHeartbeat", taskToken=said["taskToken"]))[0] == 200
            assert await fleet.aws("SendTaskSuccess", **done) == (200, {})
            assert loner.succeeds(name) == [1]
        status, said = await fleet.aws("GetActivityTask", token="bad", activityArn=FOREIGN)
        assert (status, said["__type"]) == (401, "UnrecognizedClientException")

    play(loner, own, scene)


def test_an_activity_that_does_not_exist_fails_its_task(
    loner: People, own: OperatorProcess
) -> None:
    assert own.running
    loner.run("lost", chain(Pack=asking(Resource="treadle:activity/lost")))
    assert loner.fails("lost")["error"] == "ActivityDoesNotExist"


# ------------------------------------------------------------------------------------ the queue


def test_tasks_are_handed_out_in_order_also_after_a_kill(
    loner: People, own: OperatorProcess
) -> None:
    async def scene(fleet: Fleet) -> None:
        for number in range(6):
            name = f"run-{number}"
            loner.run(name, chain(Pack=asking()), input={"n": number})
            loner.reaches(name, waits_for_a_worker, "the queue")
        inputs = [(await fleet.takes())["input"]["n"] for _ in range(3)]
        own.kill()
        await aside(own.start)
        inputs += [(await fleet.takes())["input"]["n"] for _ in range(3)]
        assert inputs == list(range(6))
        assert set(fleet.handed.values()) == {1}

    play(loner, own, scene)


def waits_for_a_worker(status: Any) -> bool:
    return [place["waitsFor"] for place in status.get("currentStates", ())] == ["worker"]


def test_a_worker_has_its_task_though_the_operator_was_killed(
    loner: People, own: OperatorProcess
) -> None:
    async def scene(fleet: Fleet) -> None:
        loner.run("one", chain(Pack=asking()))
        task = await fleet.takes("worker 7")
        own.kill()
        await aside(own.start)
        nothing = asyncio.create_task(fleet.poll())
        assert await fleet.says(task["taskToken"], "success", 7) == (200, "")
        assert loner.succeeds("one") == 7
        nothing.cancel()
        assert sum(fleet.handed.values()) == 1

    play(loner, own, scene)


def test_a_lost_worker_is_noticed_by_its_silence(loner: People, own: OperatorProcess) -> None:
    async def scene(fleet: Fleet) -> None:
        retry = [{"ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1}]
        loner.run("one", chain(Pack=asking(HeartbeatSeconds=2, Retry=retry)))
        lost = await fleet.takes("lost")
        task = await fleet.takes("other")
        assert await fleet.says(lost["taskToken"], "success", "lost") == OVER
        assert await fleet.says(task["taskToken"], "success", "other") == (200, "")
        assert loner.succeeds("one") == "other"

    play(loner, own, scene)


def test_nothing_is_lost_or_doubled_while_the_operator_is_killed(
    loner: People, own: OperatorProcess
) -> None:
    """Forty tasks of eight executions, ten workers, three kills at any instant."""

    async def scene(fleet: Fleet) -> None:
        # What the operator dies with between its save and its answer comes back by this.
        again = {
            "HeartbeatSeconds": 5,
            "Retry": [{"ErrorEquals": ["States.HeartbeatTimeout"], "MaxAttempts": 9}],
        }
        given = {"of.$": "$$.Execution.Name", "n.$": "$"}
        inner = chain(Pack=asking(Parameters=given, **again))
        loner.machine("fan", chain(All=each(inner, ItemsPath="$.items")))
        assert loner.judged("fan")["status"] == "True"
        workers = [asyncio.create_task(fleet.works(f"w{number}")) for number in range(10)]
        for number in range(8):
            loner.execution(f"fan-{number}", "fan", input={"items": list(range(5))})
        for share in (4, 14, 28):
            await until(loner, lambda share=share: len(fleet.said) >= share, "answers")
            own.kill()
            await aside(own.start)
        for number in range(8):
            name = f"fan-{number}"
            output = await aside(loner.succeeds, name)
            for n in range(5):
                key = json.dumps({"n": n, "of": name})
                assert output[n] in fleet.said[key]
                assert fleet.acknowledged.get(key, output[n]) == output[n]
        assert set(fleet.handed.values()) == {1}
        for worker in workers:
            worker.cancel()

    play(loner, own, scene)


def test_a_standby_holds_workers_for_who_leads(
    loner: People, own: OperatorProcess, tmp_path: Path
) -> None:
    second = an_operator(loner, tmp_path / "second.log")
    second.start(wait=False)

    async def scene(fleet: Fleet) -> None:
        beside = Fleet(loner, second, fleet.token, fleet.session)
        held = asyncio.create_task(beside.takes())
        loner.run("one", chain(Pack=asking()))
        task = await held
        assert not second.leads
        assert await fleet.says(task["taskToken"], "success", 7) == (200, "")
        assert loner.succeeds("one") == 7

    try:
        play(loner, own, scene)
    finally:
        second.terminate()


# ------------------------------------------------------------------------------------- programs


def test_any_program_is_a_worker(loner: People, own: OperatorProcess, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(a_token(loner, "packer"))
    code = (
        "import json, os, sys; n = json.load(sys.stdin)['n']\n"
        "open(os.environ['TREADLE_RESULT_FILE'], 'w').write(json.dumps(n * n)); sys.exit(n == 3)"
    )
    words = ("activity", "worker", "pack", "-n", loner.namespace.name, "--concurrency", "2")
    where = ("--token-file", "token", "--url", f"http://127.0.0.1:{own.api_port}")
    begin(tmp_path, *words, *where, "--", sys.executable, "-c", code)
    catch = [{"ErrorEquals": ["Kubernetes.ExitCode.1"], "Next": "Caught"}]
    inner = chain(
        Pack=asking(Parameters={"n.$": "$"}, Catch=catch, End=True),
        Caught={"Type": "Pass", "Result": "caught"},
    )
    definition = chain(All=each(inner, ItemsPath="$.items"))
    loner.run("squares", definition, input={"items": [1, 2, 3, 4]})
    assert loner.succeeds("squares") == [1, 4, "caught", 16]


def test_the_workers_of_the_example_do_its_work(
    loner: People, own: OperatorProcess, tmp_path: Path
) -> None:
    example = places.ROOT / "examples" / "worker-fleet"
    for name in ("activity.yaml", "machine.yaml"):
        loner.kubectl("apply", "-f", str(example / name))
    # Its ServiceAccount, Role and RoleBinding; its Deployment is the process below.
    documents = (example / "workers.yaml").read_text().split("\n---\n")
    loner.kubectl("apply", "-f", "-", text="\n---\n".join(documents[:3]))
    (tmp_path / "token").write_text(token_of(loner, "worker-fleet", "treadle"))
    env = {
        "TREADLE_API_URL": f"http://127.0.0.1:{own.api_port}",
        "NAMESPACE": loner.namespace.name,
        "TOKEN_FILE": str(tmp_path / "token"),
    }
    command = [sys.executable, str(example / "worker.py")]
    with subprocess.Popen(command, env=env) as worker:
        try:
            loner.kubectl("apply", "-f", str(example / "execution.yaml"))
            assert loner.succeeds("worker-fleet-1") == {
                "scene": "loom",
                "film": "05ac00-2b3a1e-079506-aa7db8-c5b568-7ceb96",
            }
        finally:
            worker.kill()


# ---------------------------------------------------------------------------------- many who wait


def calls(operator: OperatorProcess) -> Counter[str]:
    """Requests to the API server so far, by verb and resource."""
    found: Counter[str] = Counter()
    for line in operator.get("/metrics")[1].splitlines():
        if line.startswith("treadle_api_requests_total"):
            name, _, value = line.rpartition(" ")
            labels = dict(part.split("=") for part in name.partition("{")[2][:-1].split(","))
            found[f"{labels['verb']} {labels['resource']}"] += int(float(value))
    return found


def test_a_thousand_that_wait_cost_no_request(loner: People, own: OperatorProcess) -> None:
    sweeps = "treadle_sweep_seconds_count"

    async def scene(fleet: Fleet) -> None:
        before_mib = own.rss_mib
        held = [asyncio.create_task(fleet.poll(f"w{number}")) for number in range(WORKERS)]
        waiting = "treadle_activity_workers"
        await until(loner, lambda: own.metric(waiting) == WORKERS, "them all")
        # What an operator does anyway, with a sweep in it.
        swept = own.metric(sweeps)
        began = calls(own)
        await until(loner, lambda: own.metric(sweeps) > swept, "a sweep")
        more = calls(own) - began
        print(f"\n{WORKERS} workers: {own.rss_mib - before_mib:.1f} MiB; {dict(more)}")
        assert not [each for each in more if "reviews" in each or "activities" in each], more
        assert sum(more.values()) < 40, more
        assert own.rss_mib - before_mib < 100
        loner.run("one", chain(Pack=asking()))
        done, _ = await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        ((status, said),) = [each.result() for each in done]
        assert status == 200
        assert await fleet.says(said["taskToken"], "success", 7) == (200, "")
        assert loner.succeeds("one") == 7
        for each_one in held:
            each_one.cancel()

    play(loner, own, scene)
