"""Tasks as processes, driven by the desk in this process: what users see of each end."""

import json
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.treadles import gives, manifest, mounting, runs, shell, states, until
from treadle.app import desk
from treadle.app.desk import Result
from treadle.asl.json import Json, dumps, loads
from treadle.local import attempts
from treadle.local.runs import Run, Runs
from treadle.stores.histories import HistoryEntry


@dataclass
class Place:
    """A state directory, and what was shown of what happened there."""

    folder: Path
    shown: list[str] = field(default_factory=list)
    interrupted: int = 0

    def run(self, definition: Any, given: Json = None, name: str = "a", **more: Any) -> Result:
        spec = more.pop("spec", {})
        asked = Run(
            name=name,
            machine="it",
            spec=manifest(definition, **spec)["spec"],
            request={"inputJson": dumps({} if given is None else given)},
            cwd=str(self.folder),
            **more,
        )
        runs_ = Runs(self.folder)
        with runs_.alone(name):
            return desk.run(
                asked,
                self.folder,
                self._show,
                trouble=self.shown.append,
                interrupted=self._interrupted,
                quit_now=lambda: None,
                serving=lambda _: None,
            )

    def _show(self, entries: Sequence[HistoryEntry], status: Mapping[str, Json]) -> None:
        del status
        self.shown += [entry.type for entry in entries]

    def _interrupted(self) -> None:
        self.interrupted += 1


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def output(result: Result) -> Json:
    assert result.status == "Succeeded", result
    return loads(result.output or "")


def error(result: Result) -> tuple[str | None, str]:
    assert result.status == "Failed", result
    return result.error, result.cause or ""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (gives('{"a":[1,"ä"]}'), {"a": [1, "ä"]}),
        ("true", {}),
        ("cat $TREADLE_INPUT_FILE > $TREADLE_RESULT_FILE", {"n": 1}),
        ("pwd | sed 's/.*/\"&\"/' > $TREADLE_RESULT_FILE", "HERE"),
    ],
)
def test_results(script: str, expected: Json, place: Place) -> None:
    found = output(place.run(states(A=shell(script)), {"n": 1}))
    assert found == (str(place.folder) if expected == "HERE" else expected)


@pytest.mark.parametrize(
    ("script", "name", "cause"),
    [
        ("echo no", "", ""),
        ("echo hi > $TREADLE_RESULT_FILE", "Treadle.InvalidResult", "not JSON"),
        ("printf '\\377' > $TREADLE_RESULT_FILE", "Treadle.InvalidResult", "not JSON"),
        ("seq 9999 > $TREADLE_RESULT_FILE", "States.DataLimitExceeded", "4096 bytes"),
        ("echo why; exit 7", "Kubernetes.ExitCode.7", "why"),
        ("kill -9 $$$$", "Kubernetes.ExitCode.137", "137"),
        ("kill -SEGV $$$$", "Kubernetes.ExitCode.139", "139"),
        (gives('{"error":"E","cause":"C"}') + "; exit 1", "E", "C"),
        ("no-such-program", "Kubernetes.ExitCode.127", "not found"),
    ],
)
def test_failures(script: str, name: str, cause: str, place: Place) -> None:
    result = place.run(states(A=shell(script)))
    if not name:
        assert output(result) == {}
        return
    found = error(result)
    assert (found[0], cause in found[1]) == (name, True), found


def test_a_command_that_does_not_exist(place: Place) -> None:
    state = shell("")
    state["Parameters"]["command"] = ["/no/such"]
    name, cause = error(place.run(states(A=state)))
    assert name == "Kubernetes.ContainerConfig"
    assert cause.startswith("It cannot be started: ")
    assert "/no/such" in cause


def test_an_image_that_decides_is_found_out_at_last(place: Place) -> None:
    state = shell("")
    state["Parameters"] = {"image.$": "$.image"}
    name, cause = error(place.run(states(A=state), {"image": "busybox"}))
    assert (name, "busybox" in cause) == ("Kubernetes.ContainerConfig", True)


def test_an_environment_that_is_not_utf_8(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD", os.fsdecode(b"\xff\xfe"))
    script = "printf '%s' \"$ODD\" | od -An -tx1 | sed 's/.*/\"&\"/' > $TREADLE_RESULT_FILE"
    assert output(place.run(states(A=shell(script)))) == " ff fe"


CODE = {"name": "code", "configMap": {"name": "code"}}


def test_a_config_map_is_a_folder(place: Place) -> None:
    code = {"kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"a.json": "[1]"}}
    script = "cat $(TREADLE_VOLUME_CODE)/a.json > $TREADLE_RESULT_FILE"
    spec = {"podTemplate": mounting(CODE)}
    assert output(place.run(states(A=shell(script)), spec=spec, objects=[code])) == [1]


def test_a_config_map_that_is_missing(place: Place) -> None:
    name, cause = error(place.run(states(A=shell("")), spec={"podTemplate": mounting(CODE)}))
    assert name == "Kubernetes.ContainerConfig"
    assert "there is no ConfigMap 'code'" in cause


def test_a_folder_that_cannot_be_made_is_named(place: Place) -> None:
    (place.folder / "volumes").touch()
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    name, cause = error(place.run(states(A=shell("")), spec={"podTemplate": mounting(claim)}))
    assert name == "Kubernetes.ContainerConfig"
    assert f"{place.folder}/volumes" in cause


def test_an_attempt_that_has_no_place_is_told(place: Place) -> None:
    Runs(place.folder).of("a").mkdir(parents=True)
    (Runs(place.folder).of("a") / "attempts").touch()
    assert error(place.run(states(A=shell(""))))[0] == "Kubernetes.ContainerConfig"


def test_a_timeout_ends_the_process(place: Place) -> None:
    script = f"echo $$$$ > {place.folder}/pid; sleep 100; true"
    name, _ = error(place.run(states(A=shell(script, TimeoutSeconds=1))))
    assert name == "States.Timeout"
    assert not runs(int((place.folder / "pid").read_text()))


def test_a_branch_that_fails_ends_its_siblings(place: Place) -> None:
    slow = f"echo $$$$ > {place.folder}/pid; sleep 100; true"
    quick = f"while ! test -s {place.folder}/pid; do sleep 0.02; done; exit 3"
    branches = [states(B=shell(slow)), states(C=shell(quick))]
    both = {"Type": "Parallel", "Branches": branches, "End": True}
    assert error(place.run(states(A=both)))[0] == "Kubernetes.ExitCode.3"
    assert not runs(int((place.folder / "pid").read_text()))


def test_a_retry_is_another_attempt(place: Place) -> None:
    script = f"echo x >> {place.folder}/tries; test $(wc -l < {place.folder}/tries) = 3"
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]
    assert output(place.run(states(A=shell(script, Retry=retry)), virtual=True)) == {}
    assert place.shown.count("TaskFailed") == 2


def test_a_map_runs_only_so_many_at_once(place: Place) -> None:
    count = f"cd {place.folder}; mkdir -p now; : > now/$$$$; ls now | wc -l >> most; sleep 0.05"
    one = states(One=shell(f"{count}; rm now/$$$$"))
    each = {"Type": "Map", "ItemProcessor": one, "End": True}
    assert output(place.run(states(A=each), list(range(24)))) == [{}] * 24
    most = [int(line) for line in (place.folder / "most").read_text().split()]
    assert len(most) == 24
    assert max(most) <= 2 * (os.cpu_count() or 1)


def test_whoever_waits_for_its_turn_is_never_started(place: Place) -> None:
    at_once = 2 * (os.cpu_count() or 1)
    script = f"echo x >> {place.folder}/starts; sleep 100"
    one = states(One=shell(script))
    each = {"Type": "Map", "ItemProcessor": one, "End": True}
    result = place.run({**states(A=each), "TimeoutSeconds": 2}, list(range(3 * at_once)))
    assert result.status == "TimedOut"
    assert (place.folder / "starts").read_text() == "x\n" * at_once


def test_ctrl_c_stops_all_that_runs(place: Place) -> None:
    script = f"trap 'echo tidy > {place.folder}/end; exit 1' TERM; echo > {place.folder}/on; "

    def press() -> None:
        until((place.folder / "on").exists, "the start")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    result = place.run(states(A=shell(script + "while true; do sleep 0.05; done")))
    thread.join()
    assert (result.status, result.error) == ("Aborted", desk.INTERRUPTED)
    assert (place.folder / "end").read_text() == "tidy\n"
    assert place.interrupted == 1


def test_a_finished_run_gives_its_result_again(place: Place) -> None:
    machine = states(A=shell(f"echo x >> {place.folder}/starts; " + gives("5")))
    assert output(place.run(machine)) == 5
    assert output(place.run(machine)) == 5
    assert (place.folder / "starts").read_text() == "x\n"


def test_the_supervisor_killed_is_a_node_lost(place: Place) -> None:
    # The command knows its parent, and stays until it dies with it.
    script = "kill -9 $PPID; sleep 100"
    name, cause = error(place.run(states(A=shell(script))))
    assert name == "Kubernetes.NodeLost"
    assert f"{place.folder}/runs/a/attempts" in cause


@pytest.mark.parametrize("size", [5_000, 300_000])
def test_large_outputs_and_causes_are_whole(size: int, place: Place) -> None:
    text = "ä" * size
    assert output(place.run(states(A={"Type": "Pass", "End": True}), {"a": text})) == {"a": text}
    fail = states(A={"Type": "Fail", "Error": "E", "CausePath": "$.a"})
    name, cause = error(place.run(fail, {"a": text[:20_000]}, name="b"))
    assert (name, cause) == ("E", text[:20_000])


def test_an_input_that_is_too_large_fails_before_it_starts(place: Place) -> None:
    result = place.run(states(A={"Type": "Pass", "End": True}), "x" * 2_000_000)
    assert error(result)[0] == "States.DataLimitExceeded"


def test_two_machines_of_one_name_keep_apart(place: Place) -> None:
    one, two = states(A=shell(gives("1"))), states(A=shell(gives("2")))
    assert output(place.run(one, name="a")) == 1
    assert output(place.run(two, name="b")) == 2
    assert output(place.run(one, name="c")) == 1


def test_a_machine_that_cannot_be_run_says_why(place: Place) -> None:
    with pytest.raises(desk.NotRunnable, match="Next"):
        place.run(states(A={"Type": "Pass", "Next": "B"}))


def test_mocks_answer_and_the_others_are_run(place: Place) -> None:
    answers = {
        "Mocked": [{"Throw": {"Error": "Busy", "Cause": "later"}}, {"Return": {"paid": True}}],
        "Short": {"0": {"Throw": {"Error": "No"}}},
    }
    retry = [{"ErrorEquals": ["States.ALL"]}]
    machine = states(
        Run=shell(gives("1"), Next="Mocked"),
        Mocked=shell("exit 9", Retry=retry, Next="Short"),
        Short=shell("exit 9", Retry=retry),
    )
    result = place.run(machine, mocks=json.dumps(answers), virtual=True)
    name, cause = error(result)
    assert (name, "no answer for attempt 3 of 'Short'" in cause) == ("Treadle.NoMock", True)
    assert place.shown.count("TaskSucceeded") == 2


def test_what_nothing_runs_needs_a_mock(place: Place) -> None:
    queue = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}
    queue["Parameters"] = {"QueueUrl": "q", "MessageBody": "m"}
    machine = states(A=queue)
    answers = json.dumps({"A": {"Return": 1}})
    assert output(place.run(machine, mocks=answers)) == 1
    name, _ = error(place.run(machine, mocks=json.dumps({"Other": {"Return": 1}}), name="b"))
    assert name == "Treadle.ResourceNotRunnable"


def test_a_sigkill_after_the_grace(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "GRACE_SECONDS", 0.3)
    script = f"trap '' TERM; echo $$$$ > {place.folder}/pid; while true; do sleep 0.05; done"
    assert error(place.run(states(A=shell(script, TimeoutSeconds=1))))[0] == "States.Timeout"
    assert not runs(int((place.folder / "pid").read_text()))


def test_each_attempt_has_its_own_answer(place: Place) -> None:
    thrown = {name: {"Error": name, "Cause": ""} for name in ("First", "Later")}
    answers = {
        "A": {
            "1-2": {"Throw": thrown["Later"]},
            "0": {"Throw": thrown["First"]},
            "3": {"Return": {"n": 3}},
        }
    }
    retry = [
        {"ErrorEquals": ["First"], "MaxAttempts": 1},
        {"ErrorEquals": ["Later"], "MaxAttempts": 2},
    ]
    machine = states(A=shell("exit 9", Retry=retry))
    assert output(place.run(machine, mocks=json.dumps(answers), virtual=True)) == {"n": 3}
