"""What tests of a machine have covered: states, rules of a Choice, retriers, catchers.

One rule: what ran is a Program as any other. What cannot be told from outside of it is told by
conditions and lists of states that note that they were asked; nothing of what they give is changed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from treadle.asl import retrying
from treadle.asl.chance import Chance
from treadle.asl.choices import Condition
from treadle.asl.errors import StateError
from treadle.asl.program import Catcher, Choice, Machine, Map, Parallel, Program, State, Task
from treadle.asl.scope import Scope
from treadle.engine import failures
from treadle.engine.frames import Frame, Phase
from treadle.local.trails import Visit, visits
from treadle.stores.histories import HistoryEntry
from treadle.stores.judgement import states

KINDS: Final = ("states", "choices", "retriers", "catchers")


@dataclass(slots=True)
class Coverage:
    """Of one machine, over all its tests.

    Attributes:
        points: all that can be covered: the kind by JSON pointer into the definition.
        seen: pointers of what was.
        unclear: pointers of catchers of which one or another was used, and not known which.
    """

    points: Mapping[str, str]
    seen: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)

    @property
    def missed(self) -> list[str]:
        """Pointers of what was not covered, in the order of the definition."""
        return [pointer for pointer in self.points if pointer not in self.seen]

    @property
    def percent(self) -> float:
        """How much of all was."""
        return 100 * (len(self.points) - len(self.missed)) / len(self.points)

    def counts(self) -> dict[str, tuple[int, int]]:
        """By kind: how many were covered, and how many there are."""
        total = Counter(self.points.values())
        seen = Counter(self.points[pointer] for pointer in self.points if pointer in self.seen)
        return {kind: (seen[kind], total[kind]) for kind in KINDS if total[kind]}


def of(program: Program) -> Coverage:
    """The coverage of a machine that nothing has run."""
    return Coverage(dict(_points(program)))


def _points(program: Program) -> Iterator[tuple[str, str]]:
    for pointer, state, _ in states(program.machine, program.definition):
        yield pointer, "states"
        if isinstance(state, Choice):
            yield from ((f"{pointer}/Choices/{n}", "choices") for n in range(len(state.rules)))
            if state.default is not None:
                yield f"{pointer}/Default", "choices"
        if isinstance(state, Task | Parallel | Map):
            yield from ((f"{pointer}/Retry/{n}", "retriers") for n in range(len(state.retry)))
            yield from ((f"{pointer}/Catch/{n}", "catchers") for n in range(len(state.catch)))


# -------------------------------------------------------------------------------------- watching


class _States(dict[str, State]):
    """A list of states: one is asked for by whatever is in it."""

    def __init__(self, found: Mapping[str, State], pointers: Mapping[str, str], seen: set[str]):
        super().__init__(found)
        self._pointers = pointers
        self._seen = seen

    def __getitem__(self, name: str) -> State:
        self._seen.add(self._pointers[name])
        return super().__getitem__(name)


class Watch:
    """One run of a machine being looked at.

    Attributes:
        program: to run: the machine's own, with conditions and lists of states that take notes.
    """

    def __init__(self, program: Program, coverage: Coverage) -> None:
        self._coverage = coverage
        self._own = program
        self._pointers = {
            state.name: pointer for pointer, state, _ in states(program.machine, program.definition)
        }
        self.program = replace(program, machine=self._machine(program.machine))

    def _machine(self, machine: Machine) -> Machine:
        found = {name: self._state(state) for name, state in machine.states.items()}
        return replace(machine, states=_States(found, self._pointers, self._coverage.seen))

    def _state(self, state: State) -> State:
        match state:
            case Choice():
                return self._choice(state)
            case Parallel():
                return replace(state, branches=tuple(map(self._machine, state.branches)))
            case Map():
                return replace(state, processor=self._machine(state.processor))
        return state

    def _choice(self, state: Choice) -> Choice:
        pointer = self._pointers[state.name]
        last = len(state.rules) - 1
        rules = []
        for number, rule in enumerate(state.rules):
            otherwise = f"{pointer}/Default" if number == last else ""
            condition = self._condition(rule.condition, f"{pointer}/Choices/{number}", otherwise)
            rules.append(replace(rule, condition=condition))
        return replace(state, rules=tuple(rules))

    def _condition(self, condition: Condition, pointer: str, otherwise: str) -> Condition:
        def matches(scope: Scope) -> bool:
            holds = condition.matches(scope)
            # Rules are asked in order up to the first that holds: where the last one does not,
            # none did.
            if holds or otherwise:
                self._see(pointer if holds else otherwise)
            return holds

        return Condition(matches)

    def _see(self, pointer: str) -> None:
        if pointer in self._coverage.points:
            self._coverage.seen.add(pointer)

    # -------------------------------------------------------------------- retriers and catchers

    def at_rest(self, frames: Iterable[Frame]) -> None:
        """Note which retriers wait: between two events nothing but time can end that."""
        for frame in frames:
            if frame.phase is Phase.SLEEPING:
                for number, used in enumerate(frame.retries):
                    if used:
                        self._see(f"{self._pointers[frame.state]}/Retry/{number}")

    def failing(self, frame: Frame, error: StateError, now: datetime) -> None:
        """An attempt is about to fail. Within a distributed Map no history will tell of that."""
        if frame.home == 0:
            return
        state, reported = frame.definition, failures.Ended.REPORTED
        decision = failures.next_step(state, error, frame.retries, now, Chance(b""), reported)
        if isinstance(decision, failures.CatchTo) and isinstance(state, Task):
            number = [each is decision.catcher for each in state.catch].index(True)
            self._see(f"{self._pointers[state.name]}/Catch/{number}")

    def ended(self, history: Iterable[HistoryEntry]) -> None:
        """Note which catchers led on, as the whole history tells it."""
        for visit in visits(self._own, history):
            state = visit.state
            if isinstance(state, Task | Parallel | Map) and state.catch:
                found = _caught(visit, state.catch)
                pointers = [f"{self._pointers[state.name]}/Catch/{number}" for number in found]
                if len(pointers) == 1:
                    self._see(pointers[0])
                self._coverage.unclear.update(pointers if len(pointers) > 1 else ())


def _caught(visit: Visit, catchers: tuple[Catcher, ...]) -> list[int]:
    """The catchers, by number, one of which ended a visit; none where it ended otherwise."""
    if visit.next is None or not _has_failed(visit):
        return []
    target = visit.next.state.name
    fitting = [number for number, each in enumerate(catchers) if each.next == target]
    if visit.error is None or len(fitting) == 1:
        return fitting
    taking = [n for n in fitting if retrying.matches(catchers[n].errors, visit.error)]
    return taking[:1] or fitting


def _has_failed(visit: Visit) -> bool:
    """Whether a visit that was followed by another one ended by a catcher."""
    assert visit.next is not None
    if visit.next.state.name != visit.state.next:
        return True
    told = [each for each in visit.entries if not each.type.endswith(("Exited", "Aborted"))]
    return bool(told) and told[-1].type.endswith(("Failed", "TimedOut"))
