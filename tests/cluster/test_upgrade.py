"""Two builds take turns, by `helm upgrade` and `helm rollback`, while executions run."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.lab import operator_image, places
from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support import charted
from tests.cluster.support.charted import RELEASE, helm
from tests.cluster.support.machines import State, call, chain, each, job, passes
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import RESULT_FINALIZER, Obj, People, is_over, kubectl, uid_of
from tests.cluster.support.servers import Server
from tests.cluster.torture.checks import audited
from tests.cluster.torture.frames import frames_of
from tests.support import chart
from treadle import __version__
from treadle.kube import credentials
from treadle.kube.client import Client
from treadle.stores import histories

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.node,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("crds", "own_image", "next_image"),
]

ROLLOUT_SECONDS = 60
# What the versions of both builds are, by the tags of their images.
OLD, NEW = operator_image.TAG, "next"
VERSIONS = {OLD: __version__, NEW: f"{__version__}.post1"}
DOOR = f"{places.BRIDGE_ADDRESS}/32"
# Longer than a rollout, which every execution of a wave is to see from its midst.
LONG_SECONDS = 40


@pytest.fixture(scope="module")
def next_image(cluster: Cluster) -> None:
    """The image of the second build is on the node."""
    charted.give_image(cluster, NEW, version=VERSIONS[NEW])


# ------------------------------------------------------------------------------------ what runs


def machines(door: Server) -> dict[str, State]:
    """One for each kind of thing in whose midst an execution may be; their tasks call the door."""
    then_echo = '; cat "$TREADLE_INPUT_FILE" > "$TREADLE_RESULT_FILE"'
    work = ["sh", "-c", f"sleep {LONG_SECONDS}{then_echo}"]
    as_told = ["sh", "-c", f'sleep "$(cat "$TREADLE_INPUT_FILE")"{then_echo}']
    long = {"Type": "Wait", "Seconds": LONG_SECONDS}
    busy = partial(call, method="POST", ResultSelector={"code.$": "$.StatusCode"})
    patience = {"ErrorEquals": ["States.Http.StatusCode.503"], "IntervalSeconds": LONG_SECONDS}
    once, always = door.url("/status?code=503&times=1"), door.url("/status?code=503")
    gone = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]}
    return {
        "wait": chain(Rest=long, Last=passes()),
        "task": chain(Work=job(work), Last=passes()),
        "call": chain(Ask=call(door.url("/hold"), OutputPath="$.ResponseBody")),
        "retry": chain(Ask=busy(once, more=_says("retry"), Retry=[patience])),
        "catch": chain(
            Ask=busy(always, more=_says("catch"), Retry=[{**patience, "MaxAttempts": 1}], **gone),
            Done={"Type": "Succeed"},
            Failed={"Type": "Fail", "Error": "Door.Busy", "Cause": "nobody was let in"},
        ),
        "map": chain(Every=each(chain(Item=job(as_told)), ItemsPath="$.seconds", MaxConcurrency=2)),
        "parallel": chain(
            Both={"Type": "Parallel", "Branches": [chain(Left=long), chain(Right=job(work))]}
        ),
        "loop": chain(
            Count=passes(Parameters={"n.$": "States.MathAdd($.n, 1)"}),
            Enough={
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericGreaterThan": 14, "Next": "Done"}],
                "Default": "Rest",
            },
            Rest={"Type": "Wait", "Seconds": 3, "Next": "Count"},
            Done={"Type": "Succeed"},
        ),
    }


def _says(word: str) -> State:
    # By their bodies the door tells one's calls from another's.
    return {"RequestBody": {"from": word}}


# The third and fourth item of the Map take long: two are done, two run, two wait.
INPUT = {"n": 0, "seconds": [0, 0, LONG_SECONDS, LONG_SECONDS, 0, 0]}
JOBS_EACH_WAVE = 1 + len(INPUT["seconds"]) + 1  # type: ignore[arg-type]
PLACES = {
    "wait": {"Rest time"},
    "task": {"Work task"},
    "call": {"Ask task"},
    "retry": {"Ask retry"},
    "catch": {"Ask retry"},
    "map": {"Item task"},
    "parallel": {"Left time", "Right task"},
    "loop": {"Rest time"},
}


@dataclass
class Side:
    """A namespace and what its executions call, one door for each wave."""

    people: People
    doors: dict[str, Server]

    def begin(self, wave: str) -> list[str]:
        """Start a wave of executions; gives their names."""
        for shape, definition in machines(self.doors[wave]).items():
            self.people.run(f"{wave}-{shape}", definition, input=INPUT)
        return [f"{wave}-{shape}" for shape in PLACES]

    def in_midst(self, wave: str) -> bool:
        """Whether every execution of a wave is in its midst."""
        return all(self._in_midst(f"{wave}-{shape}", shape) for shape in PLACES) and bool(
            self.doors[wave].asked("/hold")
        )

    def _in_midst(self, name: str, shape: str) -> bool:
        execution = self.people.get(name)
        status = execution.get("status") or {}
        there = {f"{at['name']} {at['waitsFor']}" for at in status.get("currentStates", ())}
        running = [
            pod
            for pod in self.people.pods(uid_of(execution))
            if pod["status"].get("phase") == "Running"
        ]
        half = shape != "map" or status.get("progress", {}).get("done") == 2
        return (
            there == PLACES[shape]
            and half
            and len(running) == {"task": 1, "parallel": 1, "map": 2}.get(shape, 0)
        )

    def over(self, names: list[str]) -> list[str]:
        """Which of the executions have ended."""
        return [name for name in names if is_over(self.people.status(name))]


@pytest.fixture
def home(cluster: Cluster) -> Iterator[Namespace]:
    """The release's namespace."""
    with charted.a_home(cluster) as made:
        charted.adopt_kinds(cluster, made.name)
        yield made


@pytest.fixture
def sides(cluster: Cluster) -> Iterator[tuple[Side, Side]]:
    """One whose operator is upgraded, and one that nobody disturbs."""
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            people = People(stack.enter_context(cluster.namespace()))
            stack.callback(people.free_pods)
            doors = {
                wave: stack.enter_context(Server(places.BRIDGE_ADDRESS))
                for wave in ("first", "second")
            }
            made.append(Side(people, doors))
        yield made[0], made[1]


# ----------------------------------------------------------------------------------- who leads


def operators(home: Namespace) -> dict[str, Obj]:
    """The operator's Pods by name, whatever they are about to do."""
    label = "app.kubernetes.io/component=operator"
    found = home.core.list_namespaced_pod(home.name, label_selector=label).items
    return {pod.metadata.name: pod for pod in found}


def leader(home: Namespace, tag: str) -> str | None:
    """The Pod that holds the Lease, if it runs this build."""
    leases: Any = client.CoordinationV1Api(home.cluster.client)
    holder = leases.read_namespaced_lease(RELEASE, home.name).spec.holder_identity or ""
    for name, pod in operators(home).items():
        image = pod.spec.containers[0].image
        if holder.startswith(name) and image.endswith(f":{tag}"):
            return name
    return None


def leads(home: Namespace, tag: str) -> str:
    """The Pod of a build that comes to lead; it says itself which version it is."""
    name = home.wait(lambda: leader(home, tag), f"build {tag} to lead", seconds=60)
    config = home.cluster.kubeconfig
    said = kubectl(config, "exec", "-n", home.name, name, "--", "treadle", "--version")
    assert said.split()[-1] == VERSIONS[tag]
    return name


def hand_over(home: Namespace, old: str, door: Server, tag: str) -> None:
    """After a rollout: the old Pod lets its call end, then the new one leads."""
    config = home.cluster.kubeconfig
    stopping = partial(kubectl, config, "logs", "-n", home.name, old)
    home.wait(lambda: "stopping" in stopping(), "the old Pod's SIGTERM")
    assert leader(home, tag) is None, "the old Pod's call is not over"
    door.release()
    leads(home, tag)
    home.wait(lambda: old not in operators(home), "the old Pod's end")


# ------------------------------------------------------------------------------ what became of it

Outcome = tuple[Obj, dict[str, list[str]]]


def outcomes(people: People) -> dict[str, Outcome]:
    """Each execution's end, and its history: of each frame the types in their order."""
    return asyncio.run(_outcomes(people))


async def _outcomes(people: People) -> dict[str, Outcome]:
    endpoint = credentials.load(str(people.namespace.cluster.kubeconfig), None, os.environ)
    found = {}
    async with Client(endpoint) as api:
        for obj in people.all():
            status = obj["status"]
            shown = {key: status.get(key) for key in ("phase", "error", "cause", "output")}
            frames = frames_of(await histories.read(api, obj))
            types = {path: [step[0] for step in frame.steps] for path, frame in frames.items()}
            found[obj["metadata"]["name"]] = (shown, types)
    return found


def jobs_made(namespace: Namespace, offset: int) -> Counter[str]:
    """How often each name of a Job was created, by the audit log."""
    lines = audited(places.AUDIT_LOG, offset, namespace.name).values()
    asked = ("create", "jobs", 201)
    return Counter(line.name for line in lines if (line.verb, line.resource, line.code) == asked)


def held(people: People) -> list[str]:
    """Pods that still wait for an operator."""
    return [
        pod["metadata"]["name"]
        for pod in people.pods()
        if RESULT_FINALIZER in pod["metadata"].get("finalizers", ())
    ]


def test_nothing_is_lost_by_an_upgrade_and_a_rollback(
    home: Namespace, sides: tuple[Side, Side], tmp_path: Path
) -> None:
    offset = places.AUDIT_LOG.stat().st_size
    torn, calm = sides
    for door in calm.doors.values():
        door.release()
    space = torn.people.namespace.name
    values = {"scope": "namespaces", "namespaces": [space], "http": {"allowCIDRs": [DOOR]}}
    beside = OperatorProcess(
        home.cluster.kubeconfig,
        tmp_path / "operator.log",
        namespaces=[calm.people.namespace.name],
        http_allow_cidrs=DOOR,
    )
    rollout = {"wait": "watcher", "timeout": ROLLOUT_SECONDS}
    wait = torn.people.namespace.wait
    with helm(home) as release, charted.running(home, values), beside:
        old = leads(home, OLD)
        first = torn.begin("first")
        calm.begin("first")
        wait(lambda: torn.in_midst("first"), "the first wave's midst")
        image = charted.image_values(NEW)
        release.upgrade(chart.FOLDER, RELEASE, {**values, **image}, **rollout)
        assert torn.over(first) == [], "all of them see the upgrade"
        hand_over(home, old, torn.doors["first"], NEW)

        old = leads(home, NEW)
        second = torn.begin("second")
        calm.begin("second")
        wait(lambda: torn.in_midst("second"), "the second wave's midst")
        release.rollback(RELEASE, version=1, **rollout)
        assert torn.over(second) == [], "all of them see the rollback"
        hand_over(home, old, torn.doors["second"], OLD)

        for side in sides:
            for name in (*first, *second):
                side.people.ends(name, seconds=120)
        wait(lambda: not held(torn.people), "the Pods to be let go")
        usual = outcomes(calm.people)
        assert outcomes(torn.people) == usual
    assert Counter(status["phase"] for status, _ in usual.values()) == {
        "Succeeded": 14,
        "Failed": 2,
    }
    made = [jobs_made(side.people.namespace, offset) for side in sides]
    assert [set(names.values()) for names in made] == [{1}, {1}], "no name was created twice"
    assert [len(names) for names in made] == [2 * JOBS_EACH_WAVE] * 2
    # A call that was under way ended and was saved: nobody made it again.
    assert [len(door.asked("/hold")) for door in torn.doors.values()] == [1, 1]
