"""The generator writes whole definitions, the same ones for the same seed."""

from collections.abc import Iterator
from typing import Any

import pytest

from treadle.asl import document
from treadle.sim import machines


def lists_of(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield machine
    for state in machine["States"].values():
        for branch in state.get("Branches", ()):
            yield from lists_of(branch)
        if "ItemProcessor" in state:
            yield from lists_of(state["ItemProcessor"])


def targets_of(state: dict[str, Any]) -> Iterator[str]:
    for member in ("Next", "Default"):
        if member in state:
            yield state[member]
    for choice in (*state.get("Choices", ()), *state.get("Catch", ())):
        yield choice["Next"]


def kinds_of(sample: machines.Sample) -> set[str]:
    return {
        state["Type"] for part in lists_of(sample.definition) for state in part["States"].values()
    }


@pytest.mark.parametrize("seed", range(200))
def test_every_way_leads_somewhere(seed: int) -> None:
    sample = machines.sample(seed)
    seen: set[str] = set()
    for part in lists_of(sample.definition):
        assert part["StartAt"] in part["States"]
        for name, state in part["States"].items():
            assert name not in seen
            seen.add(name)
            targets = list(targets_of(state))
            assert all(target in part["States"] for target in targets)
            ends = state["Type"] in ("Succeed", "Fail", "Choice") or state.get("End") is True
            assert ends != ("Next" in state), (name, state)


@pytest.mark.parametrize("seed", range(100))
def test_every_machine_is_valid(seed: int) -> None:
    assert document.parse(machines.sample(seed).definition).machine.states


def test_the_same_seed_writes_the_same_machine() -> None:
    assert machines.sample(5) == machines.sample(5)
    assert machines.sample(5) != machines.sample(6)


def test_all_kinds_of_states_are_written() -> None:
    kinds = set().union(*(kinds_of(machines.sample(seed)) for seed in range(200)))
    assert kinds == {"Pass", "Task", "Choice", "Wait", "Fail", "Parallel", "Map"}


def test_some_machines_fail_and_most_do_not() -> None:
    fails = sum(machines.sample(seed).fails for seed in range(300))
    assert 20 < fails < 150


@pytest.mark.parametrize("seed", range(40))
def test_an_endless_machine_is_valid_and_says_how_it_ends(seed: int) -> None:
    sample = machines.endless(seed)
    document.parse(sample.definition)
    assert bool(sample.deed) != ("TimeoutSeconds" in sample.definition)
    assert not sample.fails
