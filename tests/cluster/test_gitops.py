"""A GitOps tool that applies everything again each second, all the while it runs.

The same manifests in three namespaces under one operator: applied once, applied again and again by
server-side apply, and by client-side apply. Each round of the last two changes an annotation, so
that the API server really writes, and every save of ours meets another resourceVersion.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes import client, watch

from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.machines import call, chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import (
    API_VERSION,
    EXECUTIONS,
    GROUP,
    MACHINES,
    PAGES,
    REVISIONS,
    TERMINAL,
    VERSION,
    People,
    is_over,
    uid_of,
)
from tests.cluster.support.servers import Server
from tests.cluster.torture.frames import Step, frames_of
from treadle.kube import credentials, names
from treadle.kube.client import Client
from treadle.stores import histories

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend"), pytest.mark.timeout(300)]

Obj = dict[str, Any]

CALM, SERVER_SIDE, CLIENT_SIDE = "calm", "server-side", "client-side"
APPLY = {
    CALM: ("apply", "--server-side", "--field-manager=gitops"),
    SERVER_SIDE: ("apply", "--server-side", "--field-manager=gitops"),
    CLIENT_SIDE: ("apply",),
}
# Who may have written what is not our status.
THEIRS = {
    CALM: {"gitops"},
    SERVER_SIDE: {"gitops"},
    CLIENT_SIDE: {"kubectl-client-side-apply"},
}
BY_HAND = "by-hand"
ROUND = "example.com/round"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
EVERY_SECONDS = 1.0
END_SECONDS = 120.0
ROUNDS_AFTER = 3
STOPPED = "stopped"
again = pytest.mark.parametrize("how", [SERVER_SIDE, CLIENT_SIDE])


# --------------------------------------------------------------------------------- the manifests


def machines(server: Server) -> dict[str, tuple[Obj, Obj]]:
    """Definitions and inputs, by name: states of several types, some of them slow."""
    flaky = {"seconds": 1, "exitCode": 4, "failTimes": 2, "failMessage": "not yet", "message": "7"}
    flaky_retry = {"ErrorEquals": ["Kubernetes.ExitCode.4"], "IntervalSeconds": 2}
    sold_out = {"exitCode": 1, "message": json.dumps({"error": "Shop.SoldOut", "cause": "no more"})}
    retry = {"ErrorEquals": ["Shop.SoldOut"], "IntervalSeconds": 1, "MaxAttempts": 1}
    catch = {"ErrorEquals": ["Shop.SoldOut"], "ResultPath": "$.why", "Next": "Mend"}
    echo = task({"echoInput": True, "seconds": 3})
    rest = {"Type": "Wait", "Seconds": 8}
    ways = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.n", "NumericGreaterThan": 1, "Next": "Large"}],
        "Default": "Small",
    }
    branches = [
        chain(Left=echo, LeftToo=task({"seconds": 4, "message": '"left"'})),
        chain(Right={"Type": "Wait", "Seconds": 5}, RightToo=passes(Result="right")),
    ]
    items = [{"k": k} for k in range(5)]
    stubborn = task(sold_out, Retry=[retry], Catch=[catch])
    return {
        "jobs": (chain(One=echo, Two=echo, Three=echo), {"n": 1}),
        "map": (
            chain(
                Every=each(chain(Work=echo), ItemsPath="$.items", MaxConcurrency=2),
                Sum=passes(Parameters={"count.$": "States.ArrayLength($)"}),
            ),
            {"items": items},
        ),
        "wait": (chain(Rest=rest, Which=ways, Small=passes(End=True), Large=echo), {"n": 2}),
        "parallel": (chain(Fork={"Type": "Parallel", "Branches": branches}), {"n": 3}),
        "retry": (chain(Flaky=task(flaky, Retry=[flaky_retry]), Rest=rest), {"n": 4}),
        "caught": (chain(Buy=stubborn, Never=passes(End=True), Mend=rest), {"n": 5}),
        "failed": (chain(Rest=rest, Buy=task(sold_out, Retry=[retry])), {"n": 6}),
        "large": (
            chain(Rest=rest, Work=task({"message": "7"}, ResultPath="$.n")),
            {"text": "0123456789" * 4_000},
        ),
        "http": (
            chain(Rest=rest, Ask=call(server.url("/echo"), method="POST", more=_BODY, **_SAID)),
            {"n": 8},
        ),
        STOPPED: (chain(Hang=task({"hang": True})), {"n": 9}),
    }


_BODY = {"RequestBody": {"n.$": "$.n"}}
_SAID = {"ResultSelector": {"said.$": "$.ResponseBody"}}


def manifests(server: Server, marks: Obj) -> dict[tuple[str, str], Obj]:
    """A machine and an Execution of each name, by kind and name."""
    found = {}
    for name, (definition, given) in machines(server).items():
        ref = {"stateMachineRef": {"name": name}, "input": given, "startDeadlineSeconds": 120}
        for kind, spec in (("StateMachine", {"definition": definition}), ("Execution", ref)):
            metadata = {
                "name": name,
                "labels": {"app.kubernetes.io/instance": "gitops"},
                "annotations": {"example.com/owner": "the people", **marks},
            }
            found[kind, name] = {
                "apiVersion": API_VERSION,
                "kind": kind,
                "metadata": metadata,
                "spec": spec,
            }
    return found


# ------------------------------------------------------------------------------------- the applier


@dataclass
class Applier:
    """Applies all manifests again every second, by its own clock, until it is told to end.

    Args:
        people: of the namespace.
        how: as what.
        server: that HTTP Tasks call.
    """

    people: People
    how: str
    server: Server
    rounds: int = 0
    ending: threading.Event = field(default_factory=threading.Event)

    def apply(self) -> None:
        """One round."""
        self.rounds += 1
        marks = {} if self.how == CALM else {ROUND: str(self.rounds)}
        listed = {"apiVersion": "v1", "kind": "List"}
        items = list(manifests(self.server, marks).values())
        text = json.dumps({**listed, "items": items})
        self.people.kubectl(*APPLY[self.how], "-f", "-", text=text)

    def repeat(self) -> None:
        """Rounds until the end; each begins a second after the last began, or when it is over."""
        deadline = time.monotonic() + END_SECONDS + 60
        due = time.monotonic() + EVERY_SECONDS
        while not self.ending.wait(max(0.0, due - time.monotonic())):
            assert time.monotonic() < deadline, "nobody told the applier to end"
            due = time.monotonic() + EVERY_SECONDS
            self.apply()


class Witness:
    """Sees every version of our objects and every Job of some namespaces, by watches."""

    def __init__(self, cluster: Cluster, namespaces: set[str]) -> None:
        self._namespaces = namespaces
        custom = client.CustomObjectsApi(cluster.client)
        batch = client.BatchV1Api(cluster.client)
        ours = custom.list_cluster_custom_object
        self._kinds = {
            EXECUTIONS: (ours, {"group": GROUP, "version": VERSION, "plural": EXECUTIONS}),
            MACHINES: (ours, {"group": GROUP, "version": VERSION, "plural": MACHINES}),
            "jobs": (batch.list_job_for_all_namespaces, {}),
        }
        self.seen: dict[str, list[tuple[str, Obj]]] = {kind: [] for kind in self._kinds}
        self._ending = threading.Event()

    def look(self, kind: str) -> None:
        """Watch one kind until the end."""
        call_, arguments = self._kinds[kind]
        version = "0"
        while not self._ending.is_set():
            looking: Any = watch.Watch  # the package has no types
            stream = looking().stream(
                call_, **arguments, resource_version=version, timeout_seconds=3
            )
            for event in stream:
                obj = event["raw_object"]
                version = obj["metadata"]["resourceVersion"]
                if obj["metadata"].get("namespace") in self._namespaces:
                    self.seen[kind].append((event["type"], obj))

    def end(self) -> None:
        """Let the watches run out."""
        self._ending.set()

    def versions(self, kind: str, namespace: str, name: str) -> list[Obj]:
        """All versions of one object, oldest first."""
        return [
            obj
            for _, obj in self.seen[kind]
            if (obj["metadata"]["namespace"], obj["metadata"]["name"]) == (namespace, name)
        ]

    def jobs(self, namespace: str) -> list[Obj]:
        """Every Job that was ever created."""
        return [
            obj
            for what, obj in self.seen["jobs"]
            if what == "ADDED" and obj["metadata"]["namespace"] == namespace
        ]


@dataclass
class Runs:
    """What came of it all."""

    spaces: dict[str, People]
    witness: Witness
    rounds: dict[str, int]
    rounds_running: dict[str, int]
    ended: dict[tuple[str, str], Obj]
    server: Server


@pytest.fixture(scope="module")
def runs(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with ExitStack() as stack:
        spaces = {how: People(stack.enter_context(cluster.namespace())) for how in APPLY}
        namespaces = [people.namespace.name for people in spaces.values()]
        server = stack.enter_context(Server())
        log = tmp_path_factory.mktemp("gitops") / "operator.log"
        settings = {"http_allow_loopback": "true", "account": "123456789012"}
        operator = OperatorProcess(cluster.kubeconfig, log, namespaces=namespaces, **settings)
        witness = Witness(cluster, set(namespaces))
        appliers = {how: Applier(people, how, server) for how, people in spaces.items()}
        with operator, ThreadPoolExecutor(len(appliers) + 3) as threads:
            work = [threads.submit(witness.look, kind) for kind in witness.seen]
            try:
                found = _play(appliers, threads, work)
            finally:
                witness.end()
                for applier in appliers.values():
                    applier.ending.set()
            for each_ in work:
                each_.result(60)
            rounds = {how: applier.rounds for how, applier in appliers.items()}
            yield Runs(spaces, witness, rounds, *found, server)
        for people in spaces.values():
            people.free_pods()


def _play(
    appliers: dict[str, Applier], threads: ThreadPoolExecutor, work: list[Future[None]]
) -> tuple[dict[str, int], dict[tuple[str, str], Obj]]:
    """Apply, apply again until all has ended and some rounds longer.

    Returns:
        Rounds until everything had ended, and the Executions as they were then.
    """
    for applier in appliers.values():
        applier.apply()
    for how in (SERVER_SIDE, CLIENT_SIDE):
        work.append(threads.submit(appliers[how].repeat))
    for applier in appliers.values():
        # What people change by hand is in no manifest.
        people = applier.people
        people.a_pod(uid_of(people.get(STOPPED)))
        stop = json.dumps({"spec": {"stop": {"error": "Enough", "cause": "by hand"}}})
        people.kubectl(
            "patch", "ex", STOPPED, "--type=merge", f"--field-manager={BY_HAND}", "-p", stop
        )
    ended = {}
    for how, applier in appliers.items():
        for name in machines(applier.server):
            applier.people.reaches(name, is_over, "its end", seconds=END_SECONDS)
            ended[how, name] = applier.people.get(name)
    running = {how: applier.rounds for how, applier in appliers.items()}
    for how in (SERVER_SIDE, CLIENT_SIDE):
        _has_gone_on(appliers[how], running[how] + ROUNDS_AFTER)
    return running, ended


def _has_gone_on(applier: Applier, rounds: int) -> None:
    applier.people.namespace.wait(lambda: applier.rounds > rounds, "further rounds")


# ------------------------------------------------------------------------------ nothing restarts


def _names(runs: Runs) -> list[str]:
    return list(machines(runs.server))


@again
def test_it_was_applied_again_many_times_while_it_ran(runs: Runs, how: str) -> None:
    print(f"\n{how}: {runs.rounds_running[how]} rounds during the runs, {runs.rounds[how]} in all")
    assert runs.rounds_running[how] >= 5
    assert runs.rounds[how] > runs.rounds_running[how] + ROUNDS_AFTER - 1
    for plural in (MACHINES, EXECUTIONS):
        for name in _names(runs):
            versions = runs.witness.versions(plural, runs.spaces[how].namespace.name, name)
            seen = {each_["metadata"]["annotations"].get(ROUND) for each_ in versions}
            assert len(seen) >= 5, f"{plural} {name}: the API server wrote {seen}"


@again
def test_every_run_ends_as_an_undisturbed_one_with_the_same_history(runs: Runs, how: str) -> None:
    calm, torn = (_results(runs.spaces[where]) for where in (CALM, how))
    assert calm.keys() == torn.keys() == set(_names(runs))
    for name, usual in calm.items():
        assert torn[name] == usual, name
    phases = Counter(status["phase"] for status, _ in calm.values())
    assert phases == {"Succeeded": len(calm) - 2, "Failed": 1, "Aborted": 1}


def _results(people: People) -> dict[str, tuple[Obj, dict[str, list[Step]]]]:
    return asyncio.run(_read(people))


async def _read(people: People) -> dict[str, tuple[Obj, dict[str, list[Step]]]]:
    endpoint = credentials.load(str(people.namespace.cluster.kubeconfig), None, os.environ)
    found = {}
    async with Client(endpoint) as api:
        for obj in people.all():
            status = obj["status"]
            shown = {k: status.get(k) for k in ("phase", "error", "cause", "output", "progress")}
            shown["page"] = (status.get("outputRef") or {}).get("bytes")
            frames = frames_of(await histories.read(api, obj))
            steps = {path: [_timeless(each_) for each_ in f.steps] for path, f in frames.items()}
            found[obj["metadata"]["name"]] = (shown, steps)
    return found


def _timeless(step: Step) -> Step:
    """Without the time in an answer's headers."""
    return step[0], re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "then", step[1])


@again
def test_no_attempt_has_a_second_job(runs: Runs, how: str) -> None:
    made = {}
    for where in (CALM, how):
        jobs = runs.witness.jobs(runs.spaces[where].namespace.name)
        made[where] = Counter(
            (
                job["metadata"]["annotations"][names.EXECUTION_NAME],
                job["metadata"]["annotations"][names.STATE],
                job["metadata"]["annotations"][names.TASK_ID],
            )
            for job in jobs
        )
        uids = {uid_of(each_) for each_ in runs.spaces[where].all()}
        assert {job["metadata"]["labels"][names.EXECUTION_UID] for job in jobs} <= uids
    assert set(made[how].values()) == {1}
    # The numbers of frames of a Map depend on which item ends first; their count does not.
    assert _per_state(made[how]) == _per_state(made[CALM])
    assert _per_state(made[how])["map", "Work"] == 5
    assert _per_state(made[how])["retry", "Flaky"] == 3


def _per_state(made: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for (execution, state, _), count in made.items():
        found[execution, state] += count
    return found


def test_each_call_was_made_once(runs: Runs) -> None:
    keys = [asked.key for asked in runs.server.asked("/echo")]
    assert len(keys) == len(set(keys)) == len(runs.spaces)


@again
def test_what_has_ended_stays_as_it_ended(runs: Runs, how: str) -> None:
    people = runs.spaces[how]
    for name in _names(runs):
        before, now = runs.ended[how, name], people.get(name)
        assert uid_of(now) == uid_of(before)
        assert now["status"] == before["status"], name


# ---------------------------------------------------------------------------------- nothing flaps

ORDER = {"": 0, "Pending": 1, "Running": 2, **dict.fromkeys(TERMINAL, 3)}


@again
def test_no_phase_goes_back(runs: Runs, how: str) -> None:
    where = runs.spaces[how].namespace.name
    for name in _names(runs):
        versions = runs.witness.versions(EXECUTIONS, where, name)
        assert len({uid_of(obj) for obj in versions}) == 1
        phases = [(obj.get("status") or {}).get("phase", "") for obj in versions]
        ranks = [ORDER[phase] for phase in phases]
        assert ranks == sorted(ranks), (name, phases)
        assert len({phase for phase in phases if phase in TERMINAL}) == 1


@again
@pytest.mark.parametrize("plural", [MACHINES, EXECUTIONS])
def test_no_condition_flaps(runs: Runs, how: str, plural: str) -> None:
    where = runs.spaces[how].namespace.name
    for name in _names(runs):
        history: dict[str, list[tuple[str, str]]] = {}
        for obj in runs.witness.versions(plural, where, name):
            for condition in (obj.get("status") or {}).get("conditions") or []:
                now = (condition["lastTransitionTime"], condition["status"])
                told = history.setdefault(condition["type"], [])
                if told[-1:] != [now]:
                    told.append(now)
        for kind, told in history.items():
            assert told == sorted(told, key=lambda each_: each_[0]), (name, kind, told)
            # Neither a status that comes back nor a new time without a new status.
            assert len(told) == len({status for _, status in told}), (name, kind, told)
        expected = {"Ready"} if plural == MACHINES else {"Complete", "Failed"}
        assert len(history.keys() & expected) == 1


@again
def test_a_machine_is_judged_once(runs: Runs, how: str) -> None:
    people = runs.spaces[how]
    for name in _names(runs):
        versions = runs.witness.versions(MACHINES, people.namespace.name, name)
        told = {json.dumps(obj["status"], sort_keys=True) for obj in versions if "status" in obj}
        assert len(told) == 1, name
    assert len(people.all(REVISIONS)) == len(_names(runs))


# ------------------------------------------------------------------ nothing is ours but status


@again
def test_specs_labels_and_annotations_are_as_they_were_applied(runs: Runs, how: str) -> None:
    people = runs.spaces[how]
    wanted = manifests(runs.server, {ROUND: str(runs.rounds[how])})
    for (kind, name), manifest in wanted.items():
        obj = people.get(name, MACHINES if kind == "StateMachine" else EXECUTIONS)
        metadata, spec = obj["metadata"], dict(obj["spec"])
        if (kind, name) == ("Execution", STOPPED):
            assert spec.pop("stop") == {"error": "Enough", "cause": "by hand"}
        assert spec == manifest["spec"]
        assert metadata["labels"] == manifest["metadata"]["labels"]
        annotations = dict(metadata["annotations"])
        assert (annotations.pop(LAST_APPLIED, None) is not None) == (how == CLIENT_SIDE)
        assert annotations == manifest["metadata"]["annotations"]
        assert not {"finalizers", "ownerReferences", "generateName"} & metadata.keys()
        assert metadata["generation"] == (2 if name == STOPPED and kind == "Execution" else 1)


@again
def test_of_their_objects_we_own_the_status_alone(runs: Runs, how: str) -> None:
    people = runs.spaces[how]
    for obj in [*people.all(MACHINES), *people.all(EXECUTIONS)]:
        theirs: list[Obj] = []
        ours: list[Obj] = []
        for entry in obj["metadata"]["managedFields"]:
            known = entry["manager"] in {*THEIRS[how], BY_HAND}
            (theirs if known else ours).append(entry)
        assert [entry.get("subresource") for entry in ours] == ["status"], ours
        assert all(set(entry["fieldsV1"]) == {"f:status"} for entry in ours)
        assert all("f:status" not in entry["fieldsV1"] for entry in theirs)
        assert all("subresource" not in entry for entry in theirs)


@again
def test_pages_and_revisions_are_not_in_their_way(runs: Runs, how: str) -> None:
    people = runs.spaces[how]
    assert people.all(PAGES), "the large input lies in one"
    for obj in [*people.all(PAGES), *people.all(REVISIONS)]:
        assert ROUND not in (obj["metadata"].get("annotations") or {})
        assert "app.kubernetes.io/instance" not in (obj["metadata"].get("labels") or {})
