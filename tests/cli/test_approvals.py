"""`treadle approvals`, `approve` and `reject`: what is printed, and how a refusal is told."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from treadle.app import deciding
from treadle.app.looking import Cluster
from treadle.cli.main import main
from treadle.runtime.ports import Missing, Refused, Unavailable

WAITING = {
    "metadata": {"name": "ship-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "message": "Ship it? " + "x" * 60,
        "who": "ada",
        "stateMachine": "ship",
        "execution": "run-1",
        "state": "Ask",
        "expiresAt": "2026-01-02T00:00:00Z",
        "decisions": [{"by": "ada", "approve": True}],
    },
}
BARE = {
    "metadata": {"name": "bare", "creationTimestamp": "odd"},
    "spec": {"message": "?"},
    "status": {"decided": "closed", "phase": "Closed"},
}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    def give(found: Any = None, fault: Exception | None = None) -> list[Any]:
        asked: list[Any] = []

        def answer(*words: Any, **more: Any) -> Any:
            asked.append((*words, more))
            if fault is not None:
                raise fault
            return found

        monkeypatch.setattr(deciding, "approvals", answer)
        monkeypatch.setattr(deciding, "decide", answer)
        return asked

    return give


def treadle(*words: str) -> Result:
    return CliRunner().invoke(main, [*words])


Give = Callable[..., list[Any]]


def test_a_table_of_what_is_asked(given: Give) -> None:
    asked = given([WAITING, BARE])
    done = treadle("approvals", "-n", "ns", "--context", "c", "--kubeconfig", "k")
    heads, first, second = done.stdout.splitlines()
    assert heads.split() == ["NAME", "MACHINE", "MESSAGE", "WHO", "EXPIRES", "DECIDED", "AGE"]
    assert first.startswith("ship-1   ship")
    assert "…   ada" in first
    assert second.split()[:3] == ["bare", "?", "closed"]
    assert asked == [(Cluster("k", "c", "ns"), {"mine": False})]


def test_the_wide_one_says_all(given: Give) -> None:
    given([WAITING, BARE])
    heads, first, second = treadle("approvals", "-o", "wide").stdout.splitlines()
    assert heads.split()[-3:] == ["EXECUTION", "STATE", "PHASE"]
    assert "x" * 60 in first
    assert first.split()[-3:] == ["run-1", "Ask", "Pending"]
    assert second.split()[-1] == "Closed"


def test_forms_for_programs(given: Give) -> None:
    given([WAITING])
    assert treadle("approvals", "-o", "name").stdout == "approval.treadle.dev/ship-1\n"
    assert json.loads(treadle("approvals", "-o", "json").stdout)["items"] == [WAITING]
    listed = YAML(typ="safe").load(treadle("approvals", "-o", "yaml").stdout)
    assert (listed["kind"], listed["items"]) == ("List", [WAITING])


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "There are no approvals.\n"), (["--mine"], "Nothing waits for you.\n")],
)
def test_that_there_is_nothing_is_said(given: Give, words: list[str], said: str) -> None:
    given([])
    done = treadle("approvals", *words)
    assert (done.stdout, done.stderr, done.exit_code) == ("", said, 0)


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_decision_is_made_and_told(given: Give, verb: str) -> None:
    asked = given(WAITING)
    done = treadle(verb, "approval.treadle.dev/ship-1", "--reason", "fine")
    past = "approved" if verb == "approve" else "rejected"
    assert done.stdout == f"approval.treadle.dev/ship-1 {past} by ada\n"
    (where, name, more) = asked[0]
    assert (where, name) == (Cluster(None, None, None), "ship-1")
    assert more == {"approve": verb == "approve", "reason": "fine"}
    assert treadle(verb, "ship-1", "-o", "name").stdout == "approval.treadle.dev/ship-1\n"
    assert json.loads(treadle(verb, "ship-1", "-o", "json").stdout) == WAITING


@pytest.mark.parametrize(
    ("fault", "said", "code"),
    [
        (Refused(403, "Forbidden", "… denied request: not you"), "Error: not you\n", 1),
        (Missing("x"), "Error: there is no approval named 'a'; see `treadle approvals`\n", 1),
        (Unavailable("it is away"), "Error: it is away\n", 1),
        (ValueError("no credentials for a cluster"), "Error: no credentials for a cluster\n", 2),
    ],
)
def test_why_not_is_a_sentence(given: Give, fault: Exception, said: str, code: int) -> None:
    given(fault=fault)
    done = treadle("approve", "a")
    assert done.stderr.endswith(said)
    assert done.exit_code == code
