"""Command blocks of the pages for users, and running them as a reader would.

One rule: a block of ```sh or ```console runs, or the comment just above it says what it needs:

    <!-- needs: cluster -->

Blocks of one page share a folder, in order. A fence just below a line that is nothing but `NAME`:
is the file NAME there. In a console block, lines after `$ COMMAND` are what it prints, standard
error too: `…` stands for anything in a line, a line of `…` for any number of lines, and blanks
count as one. A command succeeds, unless `$ echo $?` after it shows another status.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOOLS = frozenset(("go", "helm", "node"))
"""Programs that a block may need and that are used where they are."""

OUTSIDE = frozenset(
    (
        "chart",
        "cloud",
        "cluster",
        "docker",
        "image",
        "itself",
        "network",
        "podman",
        "ports",
        "root",
        "storage",
    )
)
"""What a test of a page has not. `cluster` is for tests/cluster, and so are `chart`, an operator
within the cluster that serves the namespace default, `storage`, volumes for what is claimed, and
`image`, our own where the cluster finds it, in `$REGISTRY`. `itself` is for blocks that run the
tests, this one with them; `ports` for those that serve on ports which a test must not take:
tests/examples runs the same on free ones."""

BLOCK_SECONDS = 120.0

_FENCE = re.compile(r"^ {0,3}```+ *([\w+-]*)(.*)$")
_NEEDS = re.compile(r"^<!-- needs: ([a-z]+(?:, [a-z]+)*) -->$")
_FILE = re.compile(r"^`([\w./-]+)`:$")
_GO = Path("/usr/local/go/bin")
_MARK = "-- end of a command:"


@dataclass(frozen=True, slots=True)
class Block:
    """A fence of a page.

    Attributes:
        line: of the page, from 1.
        language: `sh`, `console` or another.
        text: what is in it.
        needs: words of the comment above it.
        file: the name of the file that it is.
    """

    line: int
    language: str
    text: str
    needs: frozenset[str] = frozenset()
    file: str = ""

    @property
    def runs(self) -> bool:
        """Whether it is commands."""
        return self.language in ("sh", "console")


def pages() -> list[Path]:
    """All pages for users."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "examples").glob("*/README.md")),
    ]


def name_of(page: Path) -> str:
    """Its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """All fences of a page, in order.

    Raises:
        ValueError: a fence has no end.
    """
    found: list[Block] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    above = ""
    for number, line in lines:
        opened = _FENCE.match(line)
        if opened:
            found.append(_block(number, opened[1], "\n".join(_until_closed(lines)), above))
        if line.strip():
            above = line.strip()
    return found


def _until_closed(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == "```":
            return
        yield line
    raise ValueError("a fence has no end")


def _block(line: int, language: str, text: str, above: str) -> Block:
    needs, file = _NEEDS.match(above), _FILE.match(above)
    words = frozenset(needs[1].split(", ")) if needs else frozenset()
    return Block(line, language, text + "\n", words, file[1] if file else "")


def lacking(needs: frozenset[str], *, given: frozenset[str] = frozenset()) -> list[str]:
    """Words of `needs` that are not there, beside those given."""
    tools = {word for word in needs & TOOLS if shutil.which(word, path=_path())}
    return sorted(needs - tools - given)


# --------------------------------------------------------------------------------- a page's folder


def prepare(folder: Path) -> None:
    """Make a folder look like the repository's root, `.venv` ready and `treadle` installed."""
    for name in ("Makefile", "crds", "helm", "operator", "pyproject.toml", "requirements"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples", folder / "examples")
    for name in (".venv", "bin"):
        (folder / name).mkdir()
    for each in Path(sys.prefix).iterdir():
        if each.name[0] != ".":
            (folder / ".venv" / each.name).symlink_to(each)
    (folder / ".venv" / ".run-ready").touch()
    for name, entry in (("treadle", "main"), ("kubectl-treadle", "plugin")):
        program = folder / "bin" / name
        program.write_text(
            f"#!{sys.executable}\nfrom treadle.cli.main import {entry}\n\n{entry}()\n"
        )
        program.chmod(0o755)


def _path(*before: Path) -> str:
    return os.pathsep.join([*map(str, before), os.environ["PATH"], str(_GO)])


def environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What the blocks of a page see; nothing of ours, of make's or of a cluster leaks in."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TREADLE_", "MAKE", "MFLAGS", "PYTEST", "COV", "KUBECONFIG"))
    }
    return {
        **kept,
        "PATH": _path(folder / "bin"),
        "PYTHONPATH": str(ROOT / "operator"),
        "COLUMNS": "100",
        **variables,
    }


class Page:
    """The blocks of a page, run one after the other in a folder; see the module.

    Args:
        folder: a new one.
        variables: of the environment.
        seconds: that a block may take.
    """

    def __init__(self, folder: Path, *, seconds: float = BLOCK_SECONDS, **variables: str) -> None:
        prepare(folder)
        self._folder = folder
        self._environment = environment(folder, variables)
        self._seconds = seconds
        self._groups: list[int] = []

    def run(self, block: Block) -> None:
        """Run a block, or write its file.

        Raises:
            AssertionError: it failed, or printed something else than it shows.
        """
        if block.file:
            path = self._folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            status, said = self._shell("set -eu\n" + block.text)
            assert status == 0, f"line {block.line} ends with {status}:\n{said}"
        elif block.language == "console":
            self._console(block)

    def close(self) -> None:
        """Stop what the blocks left running, by the group of each one's own shell."""
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:
                continue

    def _console(self, block: Block) -> None:
        asked = commands(block.text)
        script = "".join(
            f"{each.text}\nstatus=$?; echo; echo '{_MARK}' $status; (exit $status)\n"
            for each in asked
        )
        _, said = self._shell(script)
        parts = re.split(rf"\n?{_MARK} (\d+)\n", said)
        ended = list(zip(parts[::2], parts[1::2], strict=False))
        assert len(ended) == len(asked), f"line {block.line} went no further:\n{said}"
        for number, (command, (output, status)) in enumerate(zip(asked, ended, strict=True)):
            following = asked[number + 1].text if number + 1 < len(asked) else ""
            told = f"line {block.line}: {command.text}\n{output}"
            assert status == "0" or following == "echo $?", f"status {status}: {told}"
            shown = command.output
            assert not shown or matches(shown, output.splitlines()), f"not as shown: {told}"

    def _shell(self, script: str) -> tuple[int, str]:
        path = self._folder / ".output"
        with path.open("w+b") as output:
            shell = subprocess.Popen(
                ["sh", "-c", script],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.append(shell.pid)
            try:
                status = shell.wait(self._seconds)
            except subprocess.TimeoutExpired:
                os.killpg(shell.pid, signal.SIGKILL)
                status = shell.wait()
        return status, path.read_text(encoding="utf-8", errors="replace")


# ------------------------------------------------------------------------------- console blocks


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the lines that it is said to print."""

    text: str
    output: Sequence[str]


def commands(text: str) -> list[Command]:
    """The commands of a console block; a line that begins with `> ` goes on with one."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [Command("\n".join(words), output) for words, output in found]


def matches(shown: Sequence[str], said: Sequence[str]) -> bool:
    """Whether what a command printed is what is shown of it."""
    pattern = ""
    for line in filter(None, map(_squeezed, shown)):
        if line == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*".join(map(re.escape, line.split("…"))) + "\n"
    printed = "".join(f"{line}\n" for line in filter(None, map(_squeezed, said)))
    return re.fullmatch(pattern, printed) is not None


def _squeezed(line: str) -> str:
    return " ".join(line.split())
