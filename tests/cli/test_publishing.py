"""`treadle publish`, `versions` and `unpublish`, by what they ask of an API server."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.clusters import Cluster, reached
from tests.support.treadles import until
from treadle.cli.main import main
from treadle.kube import versions
from treadle.kube.api import Obj
from treadle.kube.kinds import ALIASES, EXECUTIONS, REVISIONS, STATE_MACHINES
from treadle.runtime.ports import Conflict

READY = {"type": "Ready", "status": "True"}
REVISION = {"name": "m-aaaaaaaa", "digest": "a" * 64}


def call(*words: str) -> Result:
    found = CliRunner().invoke(main, list(words))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def judged(*conditions: Obj, generation: int = 1, **more: Any) -> Obj:
    status = {"observedGeneration": generation, "conditions": [*conditions], "revision": REVISION}
    return {**status, **more}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = reached(tmp_path, monkeypatch)
    made.put(STATE_MACHINES, "m", spec={"definition": {}}, status=judged(READY))
    a_version(made, 3)
    return made


def a_version(cluster: Cluster, number: int, **notes: str) -> None:
    metadata: Obj = {"labels": {versions.NUMBER: str(number)}, "annotations": notes}
    cluster.put(REVISIONS, f"m-{number}", spec={"stateMachine": "m"}, **metadata)


def an_alias(cluster: Cluster, name: str, *routes: tuple[int, int]) -> None:
    spec = {
        "stateMachineRef": {"name": "m"},
        "routes": [{"version": version, "weight": weight} for version, weight in routes],
    }
    cluster.put(ALIASES, name, spec=spec)


def machine(cluster: Cluster) -> Obj:
    return asyncio.run(cluster.get(STATE_MACHINES, "team", "m"))


def answering(cluster: Cluster, answer: Callable[[Obj], Obj]) -> None:
    """Be the operator: give a status once spec.publish is changed."""

    def work() -> None:
        until(lambda: machine(cluster)["spec"].get("publish"), "spec.publish")
        cluster.put(STATE_MACHINES, "m", status=answer(machine(cluster)))

    threading.Thread(target=work, daemon=True).start()


def published(found: Obj) -> Obj:
    return published_as(3)(found)


def published_as(number: int) -> Callable[[Obj], Obj]:
    def status(found: Obj) -> Obj:
        id_ = found["spec"]["publish"]["id"]
        version = {"number": number, "revision": "m-aaaaaaaa", "id": id_}
        condition = {"type": "Published", "status": "True", "reason": "Published"}
        generation = found["metadata"]["generation"]
        return judged(READY, condition, generation=generation, version=version)

    return status


# -------------------------------------------------------------------------------------- publish


def test_what_is_published_is_said_with_its_number(cluster: Cluster) -> None:
    answering(cluster, published)
    found = call("publish", "m", "--description", "the third")
    assert found.stdout == "statemachinerevision.treadle.dev/m-aaaaaaaa is version 3\n"
    assert machine(cluster)["spec"]["publish"] == {"id": "a" * 64, "description": "the third"}
    assert machine(cluster)["spec"]["definition"] == {}


def test_one_that_is_not_judged_yet_is_waited_for(cluster: Cluster) -> None:
    cluster.put(STATE_MACHINES, "m", status=judged(READY, generation=0))

    def answer() -> None:
        until(lambda: cluster.asked.count("team") > 3, "that it is looked at")
        cluster.put(STATE_MACHINES, "m", status=judged(READY))
        until(lambda: machine(cluster)["spec"].get("publish"), "spec.publish")
        cluster.put(STATE_MACHINES, "m", status=published(machine(cluster)))

    threading.Thread(target=answer, daemon=True).start()
    assert call("publish", "m").exit_code == 0
    assert machine(cluster)["spec"]["publish"] == {"id": "a" * 64}


def test_it_may_have_an_id_of_its_own(cluster: Cluster) -> None:
    answering(cluster, published)
    found = call("publish", "m", "--id", "v3", "-o", "json")
    assert json.loads(found.stdout) == {"version": 3, "revision": "m-aaaaaaaa", "id": "v3"}
    assert machine(cluster)["spec"]["publish"] == {"id": "v3"}


def test_but_no_empty_one(cluster: Cluster) -> None:
    cluster.put(STATE_MACHINES, "new", spec={"definition": {}})
    found = call("publish", "new", "--id", "")
    assert (found.exit_code, "the id is empty" in found.stderr) == (2, True)


def test_what_was_published_before_is_said_at_once(cluster: Cluster) -> None:
    cluster.put(STATE_MACHINES, "m", status=judged(READY))
    answering(cluster, published)
    call("publish", "m")
    found = call("publish", "m", "-o", "name")
    assert found.stdout == "statemachinerevision.treadle.dev/m-aaaaaaaa\n"
    assert machine(cluster)["spec"]["publish"]["id"] == "a" * 64


def test_what_was_taken_back_is_published_anew(cluster: Cluster) -> None:
    version = {"number": 3, "revision": "m-aaaaaaaa", "id": "a" * 64, "latest": 5}
    cluster.put(STATE_MACHINES, "m", status=judged(READY, version=version))
    asyncio.run(cluster.delete(REVISIONS, "team", "m-3"))
    answering(cluster, published_as(7))
    a_version(cluster, 7)
    assert call("publish", "m").exit_code == 0
    assert machine(cluster)["spec"]["publish"]["id"] == "a" * 64 + "-6"


def failing(reason: str, message: str, kind: str = "Published") -> Callable[[Obj], Obj]:
    def status(found: Obj) -> Obj:
        wrong = {"type": kind, "status": "False", "reason": reason, "message": message}
        conditions = [wrong] if kind == "Ready" else [READY, wrong]
        return judged(*conditions, generation=found["metadata"]["generation"])

    return status


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (failing("TooManyVersions", "1,000 versions are there"), "m' is not published: 1,000"),
        (failing("Invalid", "/: it is empty", "Ready"), "'m' cannot run, and is not published: /:"),
    ],
)
def test_what_is_not_published_is_a_sentence(
    answer: Callable[[Obj], Obj], sentence: str, cluster: Cluster
) -> None:
    answering(cluster, answer)
    found = call("publish", "m", "--id", "a")
    assert found.exit_code == 1
    assert sentence in found.stderr


def test_nobody_waits_for_ever(cluster: Cluster) -> None:
    found = call("publish", "m", "--seconds", "0.3")
    assert found.exit_code == 1
    assert "'m' is not published after 0.3 s" in found.stderr


def test_nor_for_a_judgement_that_nobody_makes(cluster: Cluster) -> None:
    cluster.put(STATE_MACHINES, "m", status=judged(READY, generation=0))
    found = call("publish", "m", "--seconds", "0.3")
    assert (found.exit_code, "'m' is not published after 0.3 s" in found.stderr) == (1, True)
    assert "publish" not in machine(cluster)["spec"]


def test_a_machine_that_is_not_there(cluster: Cluster) -> None:
    for words in (("publish", "no"), ("versions", "no"), ("unpublish", "no", "1")):
        found = call(*words)
        assert found.exit_code == 2
        assert "there is no StateMachine named 'no' in namespace 'team'" in found.stderr


def test_somebody_else_changes_it_at_the_same_time(cluster: Cluster) -> None:
    refused = iter([Conflict("it was changed")])

    class Once(dict[tuple[str, str], Any]):
        def get(self, key: Any, usual: Any = None) -> Any:
            return next(refused, usual) if key == ("patch", STATE_MACHINES.plural) else usual

    cluster.refuses = Once()
    answering(cluster, published)
    assert call("publish", "m").exit_code == 0


def test_an_id_whose_version_was_taken_back(cluster: Cluster) -> None:
    asyncio.run(cluster.delete(REVISIONS, "team", "m-3"))
    answering(cluster, published)
    found = call("publish", "m", "--id", "v3")
    assert found.exit_code == 1
    assert "the id 'v3' was version 3 of 'm', which was taken back" in found.stderr


def test_another_id_meanwhile(cluster: Cluster) -> None:
    def other(found: Obj) -> Obj:
        cluster.put(STATE_MACHINES, "m", status={})
        patch = {"spec": {"publish": {"id": "other"}}}
        asyncio.run(cluster.patch(STATE_MACHINES, "team", "m", patch))
        return judged(READY, generation=found["metadata"]["generation"])

    answering(cluster, other)
    found = call("publish", "m")
    assert "somebody has changed spec.publish of 'm' meanwhile" in found.stderr


# ------------------------------------------------------------------------- versions, unpublish


def test_versions_are_listed_the_newest_first(cluster: Cluster) -> None:
    asyncio.run(cluster.delete(REVISIONS, "team", "m-3"))
    assert "'m' has no versions" in call("versions", "m").stderr
    a_version(cluster, 1)
    a_version(cluster, 2, **{versions.DESCRIPTION: "better"})
    cluster.put(REVISIONS, "m-3", spec={"stateMachine": "m"})
    cluster.put(REVISIONS, "o-1", spec={"stateMachine": "o"}, labels={versions.NUMBER: "1"})
    an_alias(cluster, "live", (2, 90), (1, 10))
    an_alias(cluster, "next", (2, 100))
    rows = [line.split() for line in call("versions", "m").stdout.splitlines()]
    assert rows == [
        ["VERSION", "REVISION", "AGE", "ALIASES", "DESCRIPTION"],
        ["2", "m-2", "live", "90%,", "next", "100%", "better"],
        ["1", "m-1", "live", "10%"],
    ]
    found = json.loads(call("versions", "m", "-o", "json").stdout)
    assert [obj["metadata"]["name"] for obj in found["items"]] == ["m-2", "m-1"]
    assert call("versions", "m", "-o", "name").stdout.endswith("/m-2\n" + _NAMED + "m-1\n")


_NAMED = "statemachinerevision.treadle.dev/"


def test_a_version_is_taken_back_unless_an_alias_names_it(cluster: Cluster) -> None:
    a_version(cluster, 1, **{versions.ID: "a", "other": "stays"})
    an_alias(cluster, "live", (1, 100))
    found = call("unpublish", "m", "1")
    assert found.exit_code == 2
    assert "version 1 of 'm' is named by the alias 'live': change that first" in found.stderr
    asyncio.run(cluster.delete(ALIASES, "team", "live"))
    found = call("unpublish", "m", "1")
    assert found.stdout == "statemachinerevision.treadle.dev/m-1 is no version any more\n"
    metadata = asyncio.run(cluster.get(REVISIONS, "team", "m-1"))["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({}, {"other": "stays"})
    found = call("unpublish", "m", "1")
    assert "StateMachine 'm' has no version 1" in found.stderr


# ----------------------------------------------------------------------------------------- start


def test_a_version_or_an_alias_is_started(cluster: Cluster) -> None:
    cluster.put(STATE_MACHINES, "m", status=judged({"type": "Ready", "status": "False"}))
    a_version(cluster, 1)
    an_alias(cluster, "live", (1, 100), (9, 0))
    for name, words, ref in (
        ("a", ["--version", "1"], {"name": "m", "version": 1}),
        ("b", ["--alias", "live"], {"name": "m", "alias": "live"}),
    ):
        assert call("start", "m", "--name", name, *words).exit_code == 0
        spec = asyncio.run(cluster.get(EXECUTIONS, "team", name))["spec"]
        assert spec["stateMachineRef"] == ref


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--version", "2"], "StateMachine 'm' has no version 2"),
        (["--alias", "live"], "StateMachine 'm' has no alias 'live'"),
        (["--alias", "live", "--version", "1"], "give --version or --alias, not both"),
        (["--alias", "half"], "StateMachine 'm' has no version 9, which its alias 'half' names"),
    ],
)
def test_what_there_is_not_is_not_started(
    words: list[str], sentence: str, cluster: Cluster
) -> None:
    an_alias(cluster, "half", (3, 50), (9, 50))
    found = call("start", "m", *words)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert asyncio.run(cluster.list(EXECUTIONS, "team")).items == []
