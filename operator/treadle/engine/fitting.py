"""Whether an execution that halted can go on with another definition.

One rule: what had succeeded is kept, so whatever decides which children there are, and what each is
given, must be as it was; all else may be mended.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from treadle.asl.json import Json
from treadle.asl.pointers import escaped
from treadle.engine.frames import Frame
from treadle.engine.memory import Memory

_DECIDING: Final = {
    "Parallel": ("InputPath", "Parameters", "Arguments"),
    "Map": (
        *("InputPath", "Parameters", "ItemsPath", "Items", "ItemSelector"),
        *("ItemBatcher", "ItemReader", "Label"),
    ),
}
"""Members that decide which children a state has and what each is given."""

_NUMBERS: Final = ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")
"""Members that may be other numbers; what must be evaluated may fail, and nobody would be there."""

_LANGUAGE: Final = "QueryLanguage"


def misfits(memory: Memory, before: Json, after: Json) -> list[str]:
    """What of a definition does not fit an execution that halted in another; empty where it fits.

    Args:
        memory: of the execution.
        before: the definition that it ran.
        after: the definition that it is to go on with.

    Returns:
        A sentence for each thing, with its pointer into `after`.
    """
    children: defaultdict[int | None, list[Frame]] = defaultdict(list)
    for frame in memory.halted.values():
        children[frame.parent].append(frame)
    found: dict[str, None] = {}  # a thousand items that halted in one state are one thing
    languages = _language(before, "JSONPath"), _language(after, "JSONPath")
    places = [(frame, _List(before, after, "", *languages)) for frame in children[None]]
    while places:
        frame, here = places.pop()
        sentences = list(_of(frame, here))
        found |= dict.fromkeys(sentences)
        if not sentences:
            places += ((child, here.inside(frame, child.index)) for child in children[frame.id])
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _List:
    """A list of states in both definitions, and where it is in the later one."""

    before: Any
    after: Any
    pointer: str
    language_before: str
    language_after: str

    def inside(self, frame: Frame, index: int) -> "_List":
        """The list that a child of a frame's state runs."""
        before, after = self.before["States"][frame.state], self.after["States"][frame.state]
        pointer = _pointer(self, frame)
        if after["Type"] == "Parallel":
            lists = before["Branches"][index], after["Branches"][index]
            return replace(
                self, before=lists[0], after=lists[1], pointer=f"{pointer}/Branches/{index}"
            )
        name = "ItemProcessor" if "ItemProcessor" in after else "Iterator"
        lists = _processor(before), after[name]
        return replace(self, before=lists[0], after=lists[1], pointer=f"{pointer}/{name}")


def _pointer(here: _List, frame: Frame) -> str:
    return f"{here.pointer}/States/{escaped(frame.state)}"


def _processor(state: Any) -> Any:
    return state.get("ItemProcessor", state.get("Iterator"))


def _of(frame: Frame, here: _List) -> Iterator[str]:
    pointer, states = _pointer(here, frame), here.after["States"]
    state = states.get(frame.state)
    if state is None:
        yield f"{pointer}: the execution halted in the state '{frame.state}', which is not there"
        return
    if frame.fork is None or frame.fork.begins_anew:
        return  # its state begins anew, whatever it is now
    kept = here.before["States"][frame.state]
    if state["Type"] != kept["Type"]:
        yield f"{pointer}/Type: it is {state['Type']} and was {kept['Type']}"
        return
    if _language(state, here.language_after) != _language(kept, here.language_before):
        yield f"{pointer}/{_LANGUAGE}: it decides what the children are given, and is another"
    for member in _DECIDING[kept["Type"]]:
        if state.get(member) != kept.get(member):
            yield f"{pointer}/{member}: it decides what the children are given, and is another"
    for member in _NUMBERS:
        for named in (member, f"{member}Path"):
            given = state.get(named, 0)
            if isinstance(given, str) and given != kept.get(named):
                yield f"{pointer}/{named}: only a number may take the place of what it was"
    yield from _of_children(pointer, kept, state)


def _of_children(pointer: str, kept: Any, state: Any) -> Iterator[str]:
    if kept["Type"] == "Parallel":
        old, new = len(kept["Branches"]), len(state["Branches"])
        if old != new:
            yield f"{pointer}/Branches: they are {new} and were {old}"
    elif _mode(kept) != _mode(state):
        yield f"{pointer}/ItemProcessor/ProcessorConfig/Mode: it is {_mode(state)}"


def _language(holder: Any, usual: str) -> str:
    language: str = holder.get(_LANGUAGE, usual)
    return language


def _mode(state: Any) -> str:
    mode: str = _processor(state).get("ProcessorConfig", {}).get("Mode", "INLINE")
    return mode
