"""Entries of a history are about states; those that follow a redrive, too."""

from typing import Any

import pytest

from tests.support.desk import BEGIN, Desk, Fails, Gives, script
from tests.support.machines import catcher, chain, mapping, parallel, task, waiting
from treadle.engine.events import RedriveRequested, StopRequested
from treadle.stores.histories import HistoryEntry
from treadle.stores.owners import Owners


def told(desk: Desk) -> list[tuple[str, str | None]]:
    """Each entry of a Task's work, with the state that it is about."""
    owners, found = Owners(), []
    for each in desk.history():
        entry = HistoryEntry(each.id, each.previous, each.type, BEGIN, each.details)
        state = owners.take(entry)
        assert owners.of(entry.id) == state
        if "Task" in entry.type and "State" not in entry.type:
            found.append((entry.type.removeprefix("Task"), state))
    return found


def of(kind: str, desk: Desk) -> list[str | None]:
    return [state for each, state in told(desk) if each == kind]


def redriven(desk: Desk, **how: Any) -> Desk:
    assert desk.tell(RedriveRequested(**how))
    return desk.run()


def test_an_entry_is_about_the_state_of_the_one_before() -> None:
    desk = Desk(chain(parallel(chain(A=task()), chain(B=task())), C=task())).run()
    assert told(desk)[:2] == [("Scheduled", "A"), ("Scheduled", "B")]
    assert sorted(map(str, of("Succeeded", desk))) == ["A", "B", "C"]


@pytest.mark.parametrize("is_stopped", [True, False])
def test_tasks_that_go_on_are_told_by_their_order(is_stopped: bool) -> None:
    branches = parallel(chain(A=task()), chain(B=task()), chain(W=waiting()), chain(D=task()))
    answers = script() if is_stopped else script(B=[Fails(), Gives(1)], D=Gives(1, after=9))
    desk = Desk(chain(branches), {}, answers)
    if is_stopped:
        desk.tick()
        assert desk.tell(StopRequested())
    desk.run()
    before = len(of("Scheduled", desk))
    redriven(desk)
    again = of("Scheduled", desk)[before:]
    assert again == (["A", "B", "D"] if is_stopped else ["B", "D"])
    assert sorted(map(str, of("Succeeded", desk)[-len(again) :])) == again


def test_items_of_a_map_are_about_the_state_in_it() -> None:
    answers = script(One=[Gives(1), Fails(), Gives(2), Gives(3)])
    desk = Desk(chain(Each=mapping(chain(One=task()))), [1, 2, 3], answers).run()
    assert set(of("Scheduled", redriven(desk))) == {"One"}


def test_what_was_cut_off_in_a_group_that_was_left_is_not_gone_on_with() -> None:
    branches = parallel(chain(A=task()), chain(B=task()), Catch=[catcher("Then")])
    answers = script(A=Fails(), Then=[Fails(), Gives(1)])
    desk = Desk(chain(branches, Then=task()), {}, answers).run()
    assert of("Scheduled", redriven(desk))[-1] == "Then"


def test_a_state_that_is_entered_anew_is_told_by_its_name() -> None:
    desk = Desk(chain(A=task(), B=task()), {}, script(B=[Fails(), Fails(), Gives(1)])).run()
    redriven(desk, state="A", input="{}")
    assert of("Scheduled", desk) == ["A", "B", "A", "B"]
    assert of("Scheduled", redriven(desk))[-1] == "B"
