"""What the container of a state has printed.

One rule: where several Pods may be meant, none is chosen by chance: it is said which there are.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from treadle.app import standstills
from treadle.app.evidence import Evidence, gather_pods
from treadle.app.looking import Cluster, on_cluster
from treadle.app.verdicts import since
from treadle.kube import names
from treadle.kube.api import ClusterApi, Obj
from treadle.kube.manifests import ATTEMPT_NUMBER
from treadle.runners import podfacts
from treadle.runtime.ports import Missing

_INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose log: of which execution, and what is said of the state; None where it is not."""

    name: str
    state: str | None = None
    attempt: int | None = None
    index: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Pod of a state.

    Attributes:
        path: where in the machine it is, with indices.
        index: of the items around it, outermost first, with dots; empty where there is none.
    """

    pod: Obj
    state: str
    path: str
    attempt: int
    index: str

    @property
    def pod_name(self) -> str:
        """The Pod's."""
        return str(self.pod["metadata"]["name"])

    @property
    def goes_on(self) -> bool:
        """Whether its container has not ended."""
        return podfacts.phase(self.pod) not in podfacts.TERMINAL_PHASES


class Several(Exception):  # noqa: N818 - it says what was found
    """More than one Pod may be meant."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        super().__init__(f"{len(candidates)} Pods may be meant")
        self.candidates = candidates


class NoPod(Exception):  # noqa: N818 - it says what was found
    """There is none; the sentence says what is known."""


def read(place: Cluster, wanted: Wanted, write: Callable[[bytes], None], *, follow: bool) -> None:
    """Give what a container has printed to `write`; to follow it, until it ends.

    Raises:
        Several, NoPod: see there.
        Missing, Fault, ValueError: as `looking.on_cluster`.
    """

    async def work(api: ClusterApi, namespace: str) -> None:
        chosen = choose(await gather_pods(api, namespace, wanted.name), wanted)
        try:
            async for part in api.log(namespace, chosen.pod_name, podfacts.MAIN, follow=follow):
                write(part)
        except Missing as why:
            raise NoPod(f"the Pod {chosen.pod_name} of '{chosen.state}' is gone") from why

    on_cluster(place, work)


def choose(seen: Evidence, wanted: Wanted) -> Candidate:
    """The Pod that is meant. Raises: Several, NoPod."""
    every = [_candidate(pod) for pod in seen.pods if podfacts.annotation(pod, names.STATE)]
    found = [each for each in every if _is_meant(each, wanted)]
    newest: dict[str, Candidate] = {}
    for each in sorted(found, key=_newness):
        newest[each.path] = each  # of the attempts at one place, the last one
    chosen = list(newest.values())
    if not chosen:
        raise NoPod(_nothing(seen, wanted, every))
    running = [each for each in chosen if each.goes_on]
    if len(chosen) > 1 and len(running) != 1:
        raise Several(chosen)
    return chosen[0] if len(chosen) == 1 else running[0]


def _candidate(pod: Obj) -> Candidate:
    state = podfacts.annotation(pod, names.STATE) or ""
    path = podfacts.annotation(pod, names.PATH) or state
    number = podfacts.annotation(pod, ATTEMPT_NUMBER) or ""
    attempt = int(number) if number.isdecimal() and len(number) < 10 else 0
    return Candidate(pod, state, path, attempt, ".".join(_INDEX.findall(path)))


def _newness(each: Candidate) -> tuple[str, int]:
    return str(each.pod["metadata"].get("creationTimestamp", "")), each.attempt


def _is_meant(each: Candidate, wanted: Wanted) -> bool:
    return (
        wanted.state in (None, each.state)
        and wanted.attempt in (None, each.attempt)
        # The item's own index is enough where nothing else has it.
        and wanted.index in (None, each.index, each.index.rpartition(".")[2])
    )


def _nothing(seen: Evidence, wanted: Wanted, every: Sequence[Candidate]) -> str:
    """What is known where there is no Pod."""
    if "pods" in seen.unread:
        return f"Pods cannot be read: {seen.unread['pods']}"
    states = standstills.states_of(list(seen.history))
    state = wanted.state
    if state is None:
        return f"'{seen.name}' has no Pod" + ("" if seen.history else ": it has not started")
    if state not in states.values():
        entered = ", ".join(dict.fromkeys(states.values())) or "none yet"
        return f"'{seen.name}' has not entered a state named '{state}'; it has entered: {entered}"
    if any(each.state == state for each in every):
        others = ", ".join(
            f"attempt {each.attempt}" + (f" of item {each.index}" if each.index else "")
            for each in every
            if each.state == state
        )
        return f"no Pod of '{state}' is that attempt or item; there are: {others}"
    last = [entry for entry in seen.history if states.get(entry.id) == state][-1]
    when = since(last.at.isoformat(), seen.now)
    wrong = f": {standstills.error_of(last)}" if last.details.get("error") else ""
    return (
        f"no Pod of '{state}' is there, or there is one no more; the last that its history says "
        f"is {last.type}, {when} ago{wrong}"
    )
