"""The stream of chance: derived, uniform enough, in form."""

import uuid

from treadle.asl.chance import Chance


def test_the_same_seed_gives_the_same_stream() -> None:
    first, second = Chance(b"seed"), Chance(b"seed")
    assert [first.uuid(), first.unit(), first.below(10)] == [
        second.uuid(),
        second.unit(),
        second.below(10),
    ]


def test_another_seed_gives_another_stream() -> None:
    assert Chance(b"a").uuid() != Chance(b"b").uuid()


def test_a_stream_does_not_repeat_itself() -> None:
    chance = Chance(b"seed")
    assert len({chance.uuid() for _ in range(100)}) == 100


def test_an_identifier_is_a_version_4_uuid() -> None:
    chance = Chance(b"seed")
    for _ in range(50):
        text = chance.uuid()
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)


def test_numbers_stay_in_their_range_and_spread() -> None:
    chance = Chance(b"seed")
    units = [chance.unit() for _ in range(1000)]
    assert all(0 <= unit < 1 for unit in units)
    assert 0.4 < sum(units) / len(units) < 0.6
    assert {chance.below(3) for _ in range(100)} == {0, 1, 2}
    assert chance.below(1) == 0
