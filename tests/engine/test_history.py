"""The history: gapless, linked, and never longer in a status than it may be."""

import pytest

from tests.support.desk import Desk, Gives
from tests.support.histories import entries
from tests.support.machines import chain, endless, passing, task
from tests.support.texts import incompressible
from treadle.asl.json import loads
from treadle.asl.limits import Limits
from treadle.engine.history import TAIL_BYTES_MAX, TAIL_RAW_BYTES_MAX, History, tail_lines
from treadle.engine.payloads import Payload
from treadle.engine.snapshot import PAGE_RAW_BYTES_MAX
from treadle.engine.times import EPOCH

NOISE = incompressible(60_000)


def test_ids_count_from_one_and_each_entry_names_what_it_follows() -> None:
    history = History()
    assert history.add("A", 0, EPOCH) == 1
    assert history.add("B", 1, EPOCH, {"name": "x"}) == 2
    assert [loads(line) for line in tail_lines(history.tail())] == [
        [1, 0, "A", 0, None],
        [2, 1, "B", 0, {"name": "x"}],
    ]
    assert history.next_id == 3


def test_a_history_of_nothing_is_no_text() -> None:
    assert History().tail() == ""
    assert tail_lines("") == []


def test_reading_the_tail_changes_nothing() -> None:
    history = History()
    history.add("A", 0, EPOCH)
    assert history.tail() == history.tail()
    history.add("B", 1, EPOCH)
    assert len(tail_lines(history.tail())) == 2


def test_a_small_payload_travels_in_its_entry_and_a_large_one_has_a_page() -> None:
    history = History()
    small, large = Payload({"a": 1}), Payload("x" * 5_000)
    history.add("A", 0, EPOCH, {"input": small, "output": large})
    (line,) = tail_lines(history.tail())
    assert loads(line)[4] == {
        "input": {"~": {"a": 1}},
        "output": {"#": large.digest, "bytes": 5_002},
    }
    assert history.payloads == {large.digest: large}


def test_a_tail_that_grows_becomes_pages_that_name_their_predecessor() -> None:
    history = History()
    heads = []
    for number in range(600):
        history.add("A", number, EPOCH, {"name": NOISE[number * 90 :][:90]})
        history.tail()
        if history.head not in heads and history.head is not None:
            heads.append(history.head)
    assert len(heads) > 2
    previous = [loads(history.pages[head])["previous"] for head in heads]
    assert previous == [None, *heads[:-1]]
    ids = [e[0] for head in heads for e in loads(history.pages[head])["entries"]]
    rest = [loads(line)[0] for line in tail_lines(history.tail())]
    assert ids + rest == list(range(1, 601))


def test_a_page_is_bounded_however_well_it_packs() -> None:
    history = History()
    for number in range(3_000):
        history.add("A", number, EPOCH, {"name": "x" * 200})
    assert history.tail() == ""
    sizes = [len(page) for page in history.pages.values()]
    assert len(sizes) > 2
    assert max(sizes) < PAGE_RAW_BYTES_MAX


def test_a_tail_is_never_longer_than_it_may_be() -> None:
    desk = Desk(endless(task()), answer=lambda t: Gives(NOISE[t.id.entry * 450 :][:900]))
    for _ in range(60):
        desk.step()
        encoded = desk.save()
        tail = encoded.checkpoint.split(".")[2]
        assert len(tail) <= TAIL_BYTES_MAX * 4 / 3 + 4
    numbers = [e.id for e in desk.history()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert any(page.startswith(b'{"previous":"') for page in desk.pages.values())


def test_a_restart_keeps_the_chain_of_pages() -> None:
    one = Desk(endless(task()), answer=lambda t: Gives(NOISE[t.id.entry * 450 :][:900]))
    two = Desk(endless(task()), answer=lambda t: Gives(NOISE[t.id.entry * 450 :][:900]))
    for _ in range(40):
        one.step()
        one.save()
        two.step()
        two.restart()
    assert one.history() == two.history()
    assert one.checkpoint == two.checkpoint


def test_an_entry_that_is_larger_than_a_page_is_a_page() -> None:
    history = History()
    for number in range(3):
        history.add("A", number, EPOCH, {"cause": "x" * TAIL_RAW_BYTES_MAX})
    history.tail()
    assert len(history.pages) == 3


def test_a_repeated_turn_refers_to_the_same_pages() -> None:
    def turn() -> Desk:
        desk = Desk(chain(*[passing(Result=NOISE[:900])] * 40), limits=Limits())
        desk.save()
        return desk

    one, two = turn(), turn()
    assert one.pages == two.pages
    assert one.checkpoint == two.checkpoint


@pytest.mark.parametrize("size", [100, 5_000])
def test_payloads_are_read_back_from_wherever_they_are(size: int) -> None:
    desk = Desk(chain(passing(Result="y" * size)))
    desk.save()
    history = entries(desk.checkpoint, desk.pages)
    assert history[2].details == {"name": "S1", "output": "y" * size}
