"""Files that people write: a bare definition, or manifests, as machines with their places.

One rule: everything found in a file has the file's own line and column, also inside a definition
that is a text in a manifest; nothing here raises, whatever the bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final, TypeAlias

from treadle.asl import document, limits
from treadle.asl.errors import InvalidDocument, Problem
from treadle.asl.json import Json
from treadle.asl.program import Program
from treadle.asl.rules import RULES
from treadle.asl.texts import Parsed, Place, parse_text, problems_of_merges
from treadle.kube.kinds import (
    ACTIVITIES,
    ALIASES,
    EXECUTIONS,
    GROUP,
    PAGES,
    REVISIONS,
    STATE_MACHINES,
)
from treadle.kube.quoting import Quoted

KIND: Final = "manifest-kind"
SHAPE: Final = "manifest-shape"
UNLIKE: Final = "manifest-yaml"

CODES: Final[Mapping[str, str]] = {
    KIND: "apiVersion and kind of a manifest of ours are ones that there are.",
    SHAPE: "A manifest has the members that its resource definition allows.",
    UNLIKE: "A manifest says the same to kubectl, which reads YAML 1.1, as to us.",
}
"""The rules for manifests, beside `treadle.asl.rules.RULES`."""

_OURS: Final = {
    kind.name: kind for kind in (STATE_MACHINES, REVISIONS, ALIASES, EXECUTIONS, PAGES, ACTIVITIES)
}
_ASL: Final = frozenset({"StartAt", "States"})


@dataclass(frozen=True, slots=True)
class _Document:
    """One YAML or JSON document, and what stands before it in its file."""

    text: str
    lines_before: int
    parsed: Parsed

    def place(self, pointer: str) -> Place | None:
        """The place in the file of a pointer into the document."""
        found = self.parsed.place_of(pointer)
        return found and (found[0] + self.lines_before, found[1])

    def quoted(self, pointer: str) -> Quoted | None:
        """The text at a pointer as it is spelled in the file, if that can be told."""
        found = self.parsed.place_of(pointer)
        return found and Quoted.after_key(self.text, found, pointer.rpartition("/")[2])

    def unlike(self, pointer: str) -> Iterator[tuple[Problem, bool]]:
        """What kubectl reads otherwise in the manifest at a pointer, and whether that is `<<`."""
        for at, message, line, column, is_merge in self.parsed.unlike:
            if at.startswith(f"{pointer}/"):
                place = self.lines_before + line
                yield Problem(at, UNLIKE, message, line=place, column=column), is_merge

    def problem(self, pointer: str, code: str, message: str, severity: str = "error") -> Problem:
        """A problem at a pointer into the document."""
        line, column = self.place(pointer) or (None, None)
        spec = RULES[code].spec if code in RULES else ""
        return Problem(pointer, code, message, spec, severity, line, column)


@dataclass(frozen=True, slots=True)
class Machine:
    """A StateMachine of a file.

    Attributes:
        name: of its metadata; empty where the file is a bare definition.
        spec: as a StateMachine has it; a bare definition is its only member `definition`.
        pointer: of the spec in its document.
        definition_pointer: of the definition in its document.
    """

    name: str
    spec: Mapping[str, Json]
    pointer: str
    definition_pointer: str
    source: _Document

    @property
    def is_manifest(self) -> bool:
        """Whether it is more than a definition."""
        return bool(self.pointer)

    def inspect(self) -> "Inspected":
        """The Program, unless there are errors; and all problems, at their places in the file."""
        definition = self.spec["definition"]
        express = self.spec.get("type") == "EXPRESS"
        program, problems = document.inspect(definition, express=express)
        if not isinstance(definition, str):
            return program, tuple(self.placed(each, self.definition_pointer) for each in problems)
        quoted = self.source.quoted(self.definition_pointer)
        return program, tuple(self._in_text(each, definition, quoted) for each in problems)

    def value(self) -> Json:
        """The definition as JSON; None where its text cannot be read."""
        definition = self.spec["definition"]
        if not isinstance(definition, str):
            return definition
        try:
            return parse_text(definition).value
        except InvalidDocument:
            return None

    def placed(self, problem: Problem, base: str) -> Problem:
        """A problem whose pointer is relative to `base`, at its place in the file."""
        pointer = base + problem.pointer
        line, column = self.source.place(pointer) or (None, None)
        return replace(problem, pointer=pointer, line=line, column=column)

    def _in_text(self, problem: Problem, text: str, quoted: Quoted | None) -> Problem:
        found = None
        if quoted is not None and problem.line is not None:
            found = quoted.place(text, (problem.line, problem.column or 1))
        if found is None:
            return self.placed(problem, self.definition_pointer)
        line, column = found
        pointer = self.definition_pointer + problem.pointer
        line += self.source.lines_before
        return replace(problem, pointer=pointer, line=line, column=column)


Inspected: TypeAlias = tuple[Program | None, tuple[Problem, ...]]
"""The Program of a machine, unless there are errors; and all problems."""


@dataclass(frozen=True, slots=True)
class File:
    """What is in a file: its machines, and what is wrong with the file itself.

    Attributes:
        others: the manifests beside the machines, as they stand: a name, at least, they have.
    """

    machines: tuple[Machine, ...]
    problems: tuple[Problem, ...]
    others: tuple[Mapping[str, Json], ...] = ()


def read(data: bytes, *, is_chosen: bool = True) -> File:
    """The machines of a file's bytes.

    Args:
        data: JSON, or YAML of one or more documents. Executions and what is not ours is passed
            over.
        is_chosen: whether a document that is neither a manifest nor looks like a definition is
            meant to be one; not so where somebody named a whole directory.
    """
    if len(data) > limits.FILE_BYTES_MAX:
        what = f"The file has more than {limits.FILE_BYTES_MAX:,} bytes; it may not have more."
        return _broken("document-too-large", what, (1, 1))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = data[: e.start].decode("utf-8", "replace")
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        what = f"The file is not UTF-8: byte 0x{data[e.start]:02x} at offset {e.start}."
        return _broken("document-not-parsed", what, place)
    reading = _Reading(is_chosen)
    for count, (lines_before, chunk) in enumerate(_documents(text)):
        if count == limits.FILE_DOCUMENTS_MAX:
            what = f"The file has more than {limits.FILE_DOCUMENTS_MAX:,} documents; split it."
            return _broken("document-too-large", what, (lines_before + 1, 1))
        reading.document(chunk, lines_before)
    if not reading.seen and is_chosen:
        return _broken("document-not-parsed", "The file holds no definition and no manifest.")
    return File(tuple(reading.machines), tuple(reading.problems), tuple(reading.others))


def _broken(code: str, message: str, place: Place = (1, 1)) -> File:
    line, column = place
    return File((), (Problem("", code, message, RULES[code].spec, "error", line, column),))


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Each document of a stream: the number of lines before it, and its text.

    A line that starts with `---` or `...` ends a document wherever it stands (YAML 1.2.2, section
    9.1.2), so that a broken document hides nothing that follows it. JSON has no such line.
    """
    begun, lines = 0, []
    for number, line in enumerate(text.split("\n")):
        if line[:3] not in ("---", "...") or line[3:4] not in ("", " ", "\t", "\r"):
            lines.append(line)
            continue
        if _has_content(lines):
            yield begun, "\n".join(lines)
        rest = line[3:].strip()
        begun, lines = number + 1, []
        if line[0] == "-" and rest and not rest.startswith("#"):
            begun, lines = number, [line]
    if _has_content(lines):
        yield begun, "\n".join(lines)


def _has_content(lines: list[str]) -> bool:
    return any(not line.startswith("%") and line.partition("#")[0].strip() for line in lines)


class _Reading:
    """One file being read."""

    def __init__(self, is_chosen: bool) -> None:
        self._is_chosen = is_chosen
        self.seen = False
        self.machines: list[Machine] = []
        self.problems: list[Problem] = []
        self.others: list[Mapping[str, Json]] = []

    def document(self, text: str, lines_before: int) -> None:
        """The next document."""
        self.seen = True
        try:
            parsed = parse_text(text, for_kubectl=True)
        except InvalidDocument as e:
            self._add(e.problems, lines_before)
            return
        source = _Document(text, lines_before, parsed)
        value = parsed.value
        if (
            isinstance(value, dict)
            and not _ASL & value.keys()
            and {"apiVersion", "kind"} & {*value}
        ):
            self._manifest(value, "", source)
        elif self._is_chosen or (isinstance(value, dict) and _ASL & value.keys()):
            if merges := problems_of_merges(parsed.unlike):
                self._add(merges, lines_before)
                return
            self.machines.append(Machine("", {"definition": value}, "", "", source))

    def _add(self, problems: Sequence[Problem], lines_before: int) -> None:
        self.problems += [replace(each, line=(each.line or 1) + lines_before) for each in problems]

    def _manifest(self, value: Mapping[str, Json], pointer: str, source: _Document) -> None:
        api_version, kind = value.get("apiVersion"), value.get("kind")
        items = value.get("items")
        if kind in ("List", f"{STATE_MACHINES.name}List") and isinstance(items, list):
            for index, item in enumerate(items):
                # A list in a list is not Kubernetes' either, which also ends the recursion.
                if isinstance(item, dict) and not str(item.get("kind")).endswith("List"):
                    self._manifest(item, f"{pointer}/items/{index}", source)
            return
        wrong = _wrong_kind(api_version, kind)
        if wrong is not None:
            member, message = wrong
            at = f"{pointer}/{member}" if member in value else pointer
            self.problems.append(source.problem(at, KIND, message))
            return
        if _is_ours(api_version, kind):
            unlike = list(source.unlike(pointer))
            self.problems += [problem for problem, _ in unlike]
            if any(is_merge for _, is_merge in unlike):
                return  # what is missing may be what it takes over
        if kind == STATE_MACHINES.name and api_version == STATE_MACHINES.api_version:
            self._machine(value, pointer, source)
        elif isinstance(metadata := value.get("metadata"), dict) and metadata.get("name"):
            self.others.append(value)

    def _machine(self, value: Mapping[str, Json], pointer: str, source: _Document) -> None:
        metadata, spec = value.get("metadata"), value.get("spec")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if not isinstance(metadata, dict) or not (name or metadata.get("generateName")):
            what = "A StateMachine needs metadata with a name."
            self._shape("metadata", value, pointer, source, what)
        elif name is not None and not isinstance(name, str):
            self._shape("name", metadata, f"{pointer}/metadata", source, "A name must be a text.")
        if not isinstance(spec, dict):
            self._shape("spec", value, pointer, source, "A StateMachine needs a spec, an object.")
        elif "definition" not in spec:
            what = "The spec of a StateMachine needs a definition."
            self._shape("definition", spec, f"{pointer}/spec", source, what)
        else:
            where = f"{pointer}/spec"
            text = name if isinstance(name, str) else ""
            self.machines.append(Machine(text, spec, where, f"{where}/definition", source))

    def _shape(
        self, member: str, holder: Mapping[str, Json], at: str, source: _Document, message: str
    ) -> None:
        pointer = f"{at}/{member}" if member in holder else at
        self.problems.append(source.problem(pointer, SHAPE, message))


def _is_ours(api_version: Json, kind: Json) -> bool:
    return isinstance(kind, str) and kind in _OURS and _OURS[kind].api_version == api_version


def _wrong_kind(api_version: Json, kind: Json) -> tuple[str, str] | None:
    """The member that is wrong and why; None where the kind is one of ours, or not meant to be."""
    api_text = api_version if isinstance(api_version, str) else ""
    kind_text = kind if isinstance(kind, str) else ""
    group, _, _ = api_text.rpartition("/")
    if group == GROUP:
        if kind_text not in _OURS:
            near = get_close_matches(kind_text.title(), [name.title() for name in _OURS], 1)
            known = [name for name in _OURS if name.title() in near] or list(_OURS)
            hint = f"did you mean {known[0]}?" if near else f"there are: {', '.join(known)}."
            return "kind", f"{GROUP} has no kind '{kind_text:.80}'; {hint}"
        wanted = _OURS[kind_text].api_version
        if api_text != wanted:
            return "apiVersion", f"apiVersion is '{api_text:.80}'; it must be {wanted}."
    elif kind_text in _OURS and (not group or "treadle" in group.lower()):
        # A StateMachine of another group is another product's, and none of our business.
        wanted = _OURS[kind_text].api_version
        told = f"is '{api_text:.80}'" if api_text else "is missing"
        return "apiVersion", f"apiVersion {told}; that of {kind_text} is {wanted}."
    return None
