"""Arguments that name files: `-` for stdin, a directory for the manifests in it.

One rule: what cannot be read is a usage error, with a sentence.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import click

from treadle.asl.json import loads
from treadle.asl.limits import FILE_BYTES_MAX

_SUFFIXES = (".json", ".yaml", ".yml")


class Input(NamedTuple):
    """A file that was read; `is_chosen` unless it came with its directory."""

    name: str
    data: bytes
    is_chosen: bool


def read_all(names: tuple[str, ...]) -> Iterator[Input]:
    """Every file that arguments name; at most one byte more than a file may have of each.

    A directory without manifests stands for the directories in it.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    for name in names:
        path = Path(name)
        if name != "-" and _is(path.is_dir, path):
            yield from _directory(path)
        else:
            yield _one(name)


def _one(name: str) -> Input:
    if name == "-":
        return Input("<stdin>", sys.stdin.buffer.read(FILE_BYTES_MAX + 1), True)
    return Input(click.format_filename(name), _read(Path(name)), True)


def _is(kind: Callable[[], bool], path: Path) -> bool:
    try:
        return kind()
    except OSError as e:  # the directory that it is in may not be searched
        raise _unreadable(path, e) from None


def _directory(path: Path) -> Iterator[Input]:
    files = _files(path)
    if not files:
        folders = [each for each in _within(path) if _is(each.is_dir, each)]
        files = [file for folder in folders for file in _files(folder)]
    if not files:
        shown = click.format_filename(path)
        raise click.UsageError(f"there is no *.yaml, *.yml or *.json in '{shown}'")
    for each in files:
        yield Input(click.format_filename(each), _read(each), False)


def _files(path: Path) -> list[Path]:
    named = [each for each in _within(path) if each.suffix in _SUFFIXES]
    return [each for each in named if _is(each.is_file, each)]


def _within(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as e:
        raise _unreadable(path, e) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as e:
        raise _unreadable(path, e) from None


def _unreadable(path: Path, why: OSError | ValueError) -> click.UsageError:
    said = why.strerror if isinstance(why, OSError) else str(why)
    return click.UsageError(f"'{click.format_filename(path)}' cannot be read: {said}")


def let_go(stream: IO[str]) -> None:
    """Write to a stream no more, not even what is still in its buffer when we end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def printable(text: str) -> str:
    """A text on one line of a terminal: what is not shown as it is, is shown as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def duration(seconds: float) -> str:
    """A length of time for people: 1.3s, 1m05s, 2h01m, 90d00h."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h"
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def json_text(given: str, what: str) -> str:
    """The JSON text of an argument: itself, of a file (`@FILE`), or of stdin (`-`).

    Raises:
        ValueError: it is not JSON, or too long; `what` names it in the sentence. Or the file
            cannot be read.
    """
    text = _content(given, what)
    try:
        loads(text)
        return text if isinstance(text, str) else text.decode()
    except ValueError as why:
        raise ValueError(f"{what} is not JSON: {why}") from None


def plain_text(given: str, what: str) -> str:
    """The text of an argument, likewise, that need not be JSON.

    Raises:
        ValueError: it is not UTF-8, or too long; or the file cannot be read.
    """
    text = _content(given, what)
    try:
        return text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8") from None


def _content(given: str, what: str) -> str | bytes:
    text: str | bytes = given
    if given == "-":
        text = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    elif given.startswith("@"):
        try:
            text = content_of(given[1:])
        except OSError as why:
            raise ValueError(f"{given[1:]}: {why.strerror}") from None
    if len(text) > FILE_BYTES_MAX:
        raise ValueError(f"{what} has more than {FILE_BYTES_MAX:,} bytes")
    return text


def content_of(name: str, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """A file; at most one byte more than it may have. Raises: OSError."""
    with Path(name).open("rb") as file:
        return file.read(bytes_max + 1)
