"""The snapshot: an execution as text, and the pages that this text refers to.

A checkpoint is `VERSION.CORE.TAIL`: the core is packed JSON (or, after `@`, the digests of pages
that hold it), the tail is the newest stretch of history. One rule: release N reads what N-1 wrote;
what the snapshot leaves out can be computed from what it keeps.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from treadle.asl.errors import StateError
from treadle.asl.json import loads
from treadle.asl.program import Machine
from treadle.engine import columns
from treadle.engine.events import TaskId
from treadle.engine.frames import Fork
from treadle.engine.history import PAYLOAD_INLINE_BYTES_MAX, History, unpacked
from treadle.engine.memory import Closing, Memory, Page, Progress, Status
from treadle.engine.payloads import Payload
from treadle.engine.times import from_ms, to_ms

VERSION = 2  # 1 knows no children that begin again; all else it reads
_VERSION_CHARS_MAX = 9  # Python reads no integer of thousands of digits
CORE_BYTES_MAX = 40 * 1024  # of packed text; a larger one becomes pages. A thousand live tasks fit
RESULTS_BYTES_MAX = 16 * 1024  # of raw text; then a Map's results are sealed into a page
PAGE_RAW_BYTES_MAX = 256 * 1024  # stays under 512 KiB however badly it packs
UNPACKED_BYTES_MAX = 64 * 1024 * 1024  # of a core

_PARTS = b"\x00parts\n"  # a page that only lists the pages it was split into
_DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    zlib.error,
)


class Unreadable(Exception):  # noqa: N818 - it says what the snapshot is
    """The snapshot is damaged, incomplete, or newer than this release."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a save writes.

    Attributes:
        checkpoint: the text for the status.
        pages: pages that may not be written yet, by digest; they go first.
        overflow: those of them that only this checkpoint refers to.
    """

    checkpoint: str
    pages: Mapping[str, Page]
    overflow: frozenset[str]


# --------------------------------------------------------------------------------------- encoding


def encode(memory: Memory) -> Encoded:
    """The snapshot of an execution."""
    unsaved = memory.unsaved
    tail = memory.history.tail()
    for digest, raw in memory.history.pages.items():
        _add(unsaved, "history", raw, digest)
    for digest, payload in memory.history.payloads.items():
        if digest not in memory.saved:
            _add(unsaved, "payload", payload.encoded, digest)
    memory.history.pages.clear()
    memory.history.payloads.clear()
    forks = (frame.fork for frame in memory.frames.values())
    version = VERSION if any(fork and fork.again for fork in forks) else 1
    packed = base64.b64encode(zlib.compress(orjson.dumps(_core(memory)), 6)).decode()
    if len(packed) <= CORE_BYTES_MAX:
        return Encoded(f"{version}.{packed}.{tail}", dict(unsaved), frozenset())
    overflow: dict[str, Page] = {}
    digest = _add(overflow, "snapshot", packed.encode())
    pages = {**unsaved, **overflow}
    return Encoded(f"{version}.@{digest}.{tail}", pages, frozenset(overflow))


def _add(pages: dict[str, Page], kind: str, raw: bytes, digest: str | None = None) -> str:
    """Put a page, split where it is long; gives the digest to refer to it by."""
    digest = digest or _digest(raw)
    if len(raw) <= PAGE_RAW_BYTES_MAX:
        pages[digest] = Page(kind, raw)
        return digest
    starts = range(0, len(raw), PAGE_RAW_BYTES_MAX)
    parts = [raw[start : start + PAGE_RAW_BYTES_MAX] for start in starts]
    names = []
    for part in parts:
        name = _digest(part)
        pages[name] = Page(kind, part)
        names.append(name)
    # The list is stored under the whole's digest, so that a payload's digest finds it.
    pages[digest] = Page(kind, _PARTS + "\n".join(names).encode())
    return digest


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _core(memory: Memory) -> dict[str, Any]:
    frames = list(memory.frames.values())
    core: dict[str, Any] = {
        "seed": memory.seed.hex(),
        "started": to_ms(memory.started_at),
        "input": _reference(memory, memory.input),
        "status": memory.status.value,
        "frame": memory.next_frame,
        "entries": memory.entries,
        "history": [memory.history.next_id, memory.history.head],
        "progress": [memory.progress.done, memory.progress.total, memory.progress.failed],
    }
    if memory.deadline_at is not None:
        core["deadline"] = to_ms(memory.deadline_at)
    if memory.suspended:
        core["suspended"] = True
    if memory.redriven:
        core["redriven"] = [to_ms(at) for at in memory.redriven]
    if memory.halted:
        halted = list(memory.halted.values())
        core["halted"] = columns.encode(halted, partial(_reference, memory), partial(_fork, memory))
    if memory.closing:
        core["closing"] = [
            [*task, c.state, c.resource, c.digest, to_ms(c.ended_at)]
            for task, c in memory.closing.items()
        ]
    if frames:
        core["frames"] = columns.encode(frames, partial(_reference, memory), partial(_fork, memory))
        # Which error wins, and what the history says first, depends on this order.
        core["ready"] = columns.differences(_queue(memory, memory.ready))
        core["starved"] = columns.differences(_queue(memory, memory.starved))
    if memory.ended_at is not None:
        core["ended"] = to_ms(memory.ended_at)
        core["output"] = _reference(memory, memory.output)
        core["error"] = [memory.error.name, memory.error.cause] if memory.error else None
    # Last: what is above may have made pages, which are written when this is.
    fresh = (len(page.raw) for d, page in memory.unsaved.items() if d not in memory.saved)
    core["pages"] = memory.pages_bytes + sum(fresh)
    return core


def _reference(memory: Memory, payload: Payload | None) -> Any:
    """A payload in the core: null, `[value]`, or the digest of its page."""
    if payload is None:
        return None
    if payload.size_bytes <= PAYLOAD_INLINE_BYTES_MAX:
        return [orjson.Fragment(payload.encoded)]
    if payload.digest not in memory.saved and payload.digest not in memory.unsaved:
        _add(memory.unsaved, "payload", payload.encoded, payload.digest)
    return payload.digest


def _queue(memory: Memory, ids: Iterable[int]) -> Iterable[int]:
    """Each frame once, where it stands first: what stands behind that does nothing."""
    return dict.fromkeys(number for number in ids if number in memory.frames)


def _fork(memory: Memory, fork: Fork) -> dict[str, Any]:
    if fork.loose_bytes > RESULTS_BYTES_MAX:
        fork.sealed.append(_add(memory.unsaved, "results", _results(fork)))
        fork.loose.clear()
        fork.loose_bytes = 0
    stored = {
        "total": fork.total,
        "concurrency": fork.concurrency_max,
        "cursor": fork.cursor,
        "previous": fork.previous,
        "failed": fork.failed,
        "sealed": fork.sealed,
        "loose": orjson.Fragment(_results(fork)),
    }
    rare = {"spent": fork.spent, "failures": fork.failures, "again": fork.again}
    rare["too_much"] = fork.is_too_much
    return stored | {name: value for name, value in rare.items() if value}


def _results(fork: Fork) -> bytes:
    rows = (f"[{index},{fork.results[index]}]" for index in fork.loose)
    return ("[" + ",".join(rows) + "]").encode()


# --------------------------------------------------------------------------------------- decoding


def missing(checkpoint: str, pages: Mapping[str, bytes]) -> set[str]:
    """Digests of pages that `decode` will need and that are not among `pages` yet.

    Ask again with those added until none is missing.

    Raises:
        Unreadable: the checkpoint is damaged, or newer than this release.
    """
    found = missing_core(checkpoint, pages)
    if found:
        return found
    try:
        core = _read_core(_parts(checkpoint)[1], pages)
        needed: set[str] = set()
        for digest in _digests(core):
            needed |= _absent(digest, pages)
        return needed
    except _DAMAGE as damage:
        raise Unreadable(f"the checkpoint cannot be read: {damage!r}") from damage


def _absent(digest: str, pages: Mapping[str, bytes]) -> set[str]:
    raw = pages.get(digest)
    if raw is None:
        return {digest}
    return {part for part in parts_of(raw) if part not in pages}


def parts_of(raw: bytes) -> list[str]:
    """Digests of the pages that a stored page lists; empty where it holds something itself."""
    return raw[len(_PARTS) :].decode().split("\n") if raw.startswith(_PARTS) else []


def _digests(core: Mapping[str, Any]) -> Iterable[str]:
    references = [core["input"], core.get("output")]
    for frames in (core.get("frames", {}), core.get("halted", {})):
        references += frames.get("data", [])
        references += frames.get("variables", {}).values()  # absent before there were any
        for fork in frames.get("fork", {}).values():
            references += fork["sealed"]
    return (reference for reference in references if isinstance(reference, str))


def decode(checkpoint: str, pages: Mapping[str, bytes], machine: Machine) -> Memory:
    """What `encode` kept.

    Raises:
        Unreadable: see there.
    """
    try:
        _, core_text, tail = _parts(checkpoint)
        return _memory(_read_core(core_text, pages), tail, pages, machine)
    except _DAMAGE as damage:
        raise Unreadable(f"the checkpoint cannot be read: {damage!r}") from damage


def history_of(checkpoint: str, pages: Mapping[str, bytes]) -> tuple[str, str | None, int]:
    """A checkpoint's history tail, the digest of the newest history page, and the next entry's id.

    For readers of history who have no program; `pages` holds all that `missing_core` named.

    Raises:
        Unreadable: see there.
    """
    try:
        _, core_text, tail = _parts(checkpoint)
        next_id, head = _read_core(core_text, pages)["history"]
        return tail, head, next_id
    except _DAMAGE as damage:
        raise Unreadable(f"the checkpoint cannot be read: {damage!r}") from damage


def missing_core(checkpoint: str, pages: Mapping[str, bytes]) -> set[str]:
    """Digests of pages that hold the core itself and are not among `pages` yet.

    Ask again with those added until none is missing.
    """
    core_text = _parts(checkpoint)[1]
    return _absent(core_text[1:], pages) if core_text.startswith("@") else set()


def _parts(checkpoint: str) -> tuple[int, str, str]:
    parts = checkpoint.split(".")
    if not parts[0].isdecimal() or len(parts[0]) > _VERSION_CHARS_MAX:
        raise Unreadable("the checkpoint has no version")
    if int(parts[0]) > VERSION:
        raise Unreadable(
            f"the checkpoint has version {parts[0]}; this release reads up to {VERSION}. "
            "Run the release that wrote it, or a newer one."
        )
    if len(parts) != 3:
        raise Unreadable("the checkpoint is cut")
    return int(parts[0]), parts[1], parts[2]


def whole(digest: str, pages: Mapping[str, bytes]) -> bytes:
    """What a digest stands for, its parts put together where it was split. Raises: Unreadable."""
    raw = pages[digest]
    if not raw.startswith(_PARTS):
        return raw
    joined = b"".join(pages[part] for part in parts_of(raw))
    if _digest(joined) != digest:
        raise Unreadable(f"page {digest} is damaged")
    return joined


def is_list_of_parts(raw: bytes) -> bool:
    """Whether a page only lists others: then its digest is that of the whole."""
    return raw.startswith(_PARTS)


def overflow_of(checkpoint: str, pages: Mapping[str, bytes]) -> frozenset[str]:
    """Digests of the pages that hold a checkpoint's core, where it did not fit."""
    core_text = _parts(checkpoint)[1]
    if not core_text.startswith("@"):
        return frozenset()
    raw = pages.get(core_text[1:], b"")
    return frozenset([core_text[1:], *parts_of(raw)])


def _read_core(text: str, pages: Mapping[str, bytes]) -> Any:
    packed = whole(text[1:], pages).decode() if text.startswith("@") else text
    return loads(unpacked(packed, UNPACKED_BYTES_MAX))


def _payload(reference: Any, pages: Mapping[str, bytes]) -> Payload | None:
    if reference is None:
        return None
    if isinstance(reference, str):
        return Payload.of_text(whole(reference, pages).decode())
    return Payload(reference[0])


def _memory(core: Any, tail: str, pages: Mapping[str, bytes], machine: Machine) -> Memory:
    given = _payload(core["input"], pages)
    assert given is not None
    memory = Memory(
        seed=bytes.fromhex(core["seed"]),
        input=given,
        started_at=from_ms(core["started"]),
        deadline_at=from_ms(core["deadline"]) if "deadline" in core else None,
        history=History.restored(core["history"][0], core["history"][1], tail),
        next_frame=core["frame"],
        entries=core["entries"],
        status=Status(core["status"]),
        suspended=core.get("suspended", False),
        progress=Progress(*core["progress"]),
        pages_bytes=core["pages"],
        redriven=[from_ms(at) for at in core.get("redriven", [])],
    )
    for frame, entry, attempt, state, resource, digest, ended in core.get("closing", []):
        closing = Closing(state, resource, digest, from_ms(ended))
        memory.closing[TaskId(frame, entry, attempt)] = closing
    if "ended" in core:
        memory.ended_at = from_ms(core["ended"])
        memory.output = _payload(core["output"], pages)
        memory.error = StateError(*core["error"]) if core["error"] else None
    memory.saved.update(pages)
    payload, fork = partial(_payload, pages=pages), partial(_restore_fork, pages=pages)
    if "halted" in core:
        memory.halted = columns.decode(core["halted"], machine, payload, fork)
    if "frames" in core:
        memory.frames = columns.decode(core["frames"], machine, payload, fork)
        _rebuild(memory)
        memory.ready.extend(columns.sums(core["ready"]))
        memory.starved.update(dict.fromkeys(columns.sums(core["starved"])))
    return memory


def _restore_fork(stored: Any, pages: Mapping[str, bytes]) -> Fork:
    fork = Fork(
        total=stored["total"],
        concurrency_max=stored["concurrency"],
        cursor=stored["cursor"],
        previous=stored["previous"],
        failed=stored.get("failed", 0),  # absent before items could fail
        sealed=stored["sealed"],
        spent=stored.get("spent", 0),
        failures=stored.get("failures", []),
        again=stored.get("again", []),
        is_too_much=stored.get("too_much", False),
    )
    for digest in fork.sealed:
        for index, value in loads(whole(digest, pages)):
            fork.results[index] = Payload(value).text
    for index, value in stored["loose"]:
        fork.keep(index, Payload(value).text)
    return fork


def _rebuild(memory: Memory) -> None:
    """What is not stored because it follows from the rest."""
    for frame in memory.frames.values():
        if frame.parent is not None:
            parent_fork = memory.frames[frame.parent].fork
            assert parent_fork is not None
            parent_fork.live.add(frame.id)
        if frame.due_at is not None:
            memory.set_timer(frame, frame.due_at)
        if frame.variables is not None:
            memory.variables_bytes += frame.variables.size_bytes
