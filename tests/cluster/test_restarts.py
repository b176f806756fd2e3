"""The operator ends, well or badly, and comes back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import places
from tests.cluster.support.machines import call, chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import (
    RESULT_FINALIZER,
    People,
    kubectl_program,
    uid_of,
)
from tests.cluster.support.servers import Server

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend")]


def an_operator(people: People, folder: Path, name: str = "operator", **settings: str) -> Any:
    kubeconfig = people.namespace.cluster.kubeconfig
    names = [people.namespace.name]
    settings = {"http_allow_loopback": "true", **settings}
    return OperatorProcess(kubeconfig, folder / f"{name}.log", namespaces=names, **settings)


def test_a_killed_operator_goes_on_where_it_was(loner: People, tmp_path: Path) -> None:
    inner = chain(Echo=task({"echoInput": True, "seconds": 2}))
    machine = chain(
        First=task({"seconds": 1}, ResultPath="$.first"),
        Every=each(inner, ItemsPath="$.items"),
        Last=passes(),
    )
    with an_operator(loner, tmp_path) as operator:
        made = loner.run("killed", machine, input={"items": [1, 2, 3]})
        uid = uid_of(made)
        loner.a_job(uid)
        operator.kill()
        # What ends while nobody looks is found afterwards.
        (job,) = loner.jobs(uid)
        loner.namespace.finished(job["metadata"]["name"])
        operator.start()
        loner.namespace.wait(lambda: len(loner.jobs(uid)) == 4, "the Map's Jobs")
        operator.kill()
        operator.start()
        assert loner.succeeds("killed", seconds=90) == [1, 2, 3]
    assert len(loner.jobs(uid)) == 4, "no attempt was made twice"


def test_deletion_while_the_operator_is_down_is_made_good(loner: People, tmp_path: Path) -> None:
    with an_operator(loner, tmp_path) as operator:
        made = loner.run("gone", chain(Hang=task({"hang": True})))
        loner.a_pod(uid_of(made))
        operator.kill()
        loner.delete("gone")
        operator.start()
        loner.nothing_is_left(uid_of(made), seconds=60)


def test_the_documented_command_frees_pods_of_an_operator_that_is_gone(
    loner: People, tmp_path: Path
) -> None:
    page = (places.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (command,) = re.findall(
        r"```sh\nnamespace=default\n(kubectl get pods.*?)\n```", page, re.DOTALL
    )
    with an_operator(loner, tmp_path):
        uid = uid_of(loner.run("stranded", chain(Hang=task({"hang": True}))))
        pod = loner.a_pod(uid)
    assert RESULT_FINALIZER in pod["metadata"]["finalizers"]
    others = [each for each in pod["metadata"]["finalizers"] if each != RESULT_FINALIZER]
    assert others, "the Job controller has one of its own, which the command must leave"
    folder = str(Path(kubectl_program()).parent)
    environment = {
        **os.environ,
        "KUBECONFIG": str(loner.namespace.cluster.kubeconfig),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }
    environment["namespace"] = loner.namespace.name
    subprocess.run(["sh", "-c", command], env=environment, check=True, timeout=60)
    (left,) = loner.pods()
    assert left["metadata"]["finalizers"] == others


def test_sigterm_lets_a_call_end_and_saves_its_result(loner: People, tmp_path: Path) -> None:
    with Server() as server, an_operator(loner, tmp_path) as operator:
        after = passes(Parameters={"held.$": "$.ResponseBody.held"})
        loner.run("drained", chain(Ask=call(server.url("/hold")), After=after))
        loner.namespace.wait(lambda: server.asked("/hold"), "the call")
        operator.ask_to_end()
        operator.wait_for(lambda: "stopping" in operator.said, "its way out")
        server.release()
        assert operator.ended() == 0
        operator.start()
        assert loner.succeeds("drained") == {"held": True}
        assert len(server.asked("/hold")) == 1, "the answer was saved, so nobody asked again"


def test_sigterm_cuts_off_a_call_that_takes_longer_than_it_may(
    loner: People, tmp_path: Path
) -> None:
    with Server() as server, an_operator(loner, tmp_path, drain_seconds="1") as operator:
        held = "$.ResponseBody.held"
        loner.run("cut", chain(Ask=call(server.url("/hold"), ResultSelector={"held.$": held})))
        loner.namespace.wait(lambda: server.asked("/hold"), "the call")
        assert operator.terminate() == 0
        operator.start()
        loner.namespace.wait(lambda: len(server.asked("/hold")) == 2, "the call once more")
        server.release()
        assert loner.succeeds("cut") == {"held": True}
        assert len({asked.key for asked in server.asked("/hold")}) == 1, "a service can tell"


def test_sigterm_ends_an_idle_operator_at_once_and_frees_its_lease(
    loner: People, tmp_path: Path
) -> None:
    with an_operator(loner, tmp_path) as operator:
        assert operator.terminate(seconds=10) == 0
        # The next one need not wait until the Lease has run out.
        operator.start(wait=False)
        operator.wait_for(lambda: operator.leads, "the Lease", seconds=8)


def test_a_signal_is_seen_whichever_thread_the_kernel_gives_it(
    loner: People, tmp_path: Path
) -> None:
    with an_operator(loner, tmp_path) as operator:
        threads = {int(each.name) for each in Path(f"/proc/{operator.pid}/task").iterdir()}
        os.kill(min(threads - {operator.pid}), signal.SIGTERM)  # Linux takes a thread's id too
        assert operator.ended(10) == 0


def test_a_second_operator_waits_for_the_lease(loner: People, tmp_path: Path) -> None:
    first, second = (an_operator(loner, tmp_path, name) for name in ("first", "second"))
    with first, second_started(second):
        loner.run("once", chain(Only=task({"seconds": 0.2})))
        loner.succeeds("once")
        assert not second.leads
        assert second.get("/readyz")[0] == 200, "a standby must not hold up a rollout"
        loner.machine("more", chain(Only=task({"seconds": 1})))
        loner.execution("more-1", "more")
        first.kill()
        second.wait_for(lambda: second.leads, "the take-over", seconds=20)
        loner.succeeds("more-1")
        assert json.loads(second.said.splitlines()[0]), "its log is JSON"


def second_started(operator: OperatorProcess) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def standing_by() -> Any:
        operator.start(wait=False)
        operator.wait_for(lambda: operator.get("/healthz")[0] == 200, "its server")
        try:
            yield
        finally:
            operator.kill()

    return standing_by()
