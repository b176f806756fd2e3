"""Questions of a machine to whoever runs it on a desk.

One rule: what can be known before anything runs, that nobody can be asked, is said before.
"""

import asyncio
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import click

from treadle.asl.json import dumps
from treadle.asl.program import Program
from treadle.cli.files import printable
from treadle.kube.approving import RESOURCE, Question
from treadle.local.approvals import Said

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


class Screen(Protocol):
    """What shows the progress, and makes room for a question."""

    def pause(self) -> None:
        """Somebody is asked: show nothing."""

    def go_on(self) -> None:
        """Show the progress again."""


def said_before(texts: Sequence[str]) -> dict[str, bool]:
    """What `--approve STATE=yes|no` says, by state. Raises: ValueError."""
    said = {}
    for text in texts:
        state, equals, answer = text.rpartition("=")
        if not (state and equals) or answer.lower() not in _ANSWERS:
            raise ValueError(f"{text!r} is not --approve STATE=yes or STATE=no")
        said[state] = _ANSWERS[answer.lower()]
    return said


def check(
    program: Program,
    said: Mapping[str, bool],
    mocked: Container[str],
    others: Iterable[Program] = (),
    *,
    has_terminal: bool,
) -> None:
    """Everybody who must be asked can be.

    Args:
        program: of the machine.
        said: what was decided before.
        mocked: states that nobody is asked for.
        others: machines beside it. Whether it starts them is not known before.
        has_terminal: whether somebody sits there.

    Raises:
        ValueError: somebody cannot be asked, or need not be.
    """
    asking = list(_asking(program))
    unknown = said.keys() - {*asking, *(name for other in others for name in _asking(other))}
    if unknown:
        named = ", ".join(sorted(unknown))
        raise ValueError(f"--approve names what is no {RESOURCE} of the machine: {named}")
    open_ = [name for name in asking if name not in said and name not in mocked]
    if open_ and not has_terminal:
        named = ", ".join(f"'{name}'" for name in open_)
        raise ValueError(
            f"these states ask people, and there is no terminal to ask at: {named}. Say --approve "
            "STATE=yes or STATE=no, or run it at a terminal"
        )


def _asking(program: Program) -> Iterator[str]:
    from treadle.stores.judgement import tasks

    return (task.name for _, task, _ in tasks(program) if task.resource == RESOURCE)


class Terminal:
    """Whoever sits at the terminal."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    async def ask(self, state: str, question: Question) -> Said:
        """Ask until there is an answer; the end of input is a no."""
        self._screen.pause()
        try:
            self._print(f"{state} asks: {question.message}")
            if question.details:
                self._print(f"  {dumps(question.details)}")
            approves = None
            while approves is None:
                line = await self._line("yes or no? ")
                if line is None:
                    return Said(False, "the terminal was closed")
                approves = _ANSWERS.get(line.lower())
            reason = ""
            while question.reason_required and not reason:
                line = await self._line("why? ")
                if line is None:
                    return Said(False, "the terminal was closed")
                reason = line
            return Said(approves, reason)
        finally:
            self._screen.go_on()

    def _print(self, text: str) -> None:
        click.echo(printable(text), err=True)

    async def _line(self, prompt: str) -> str | None:
        """A line that is typed; None at the end of input."""
        click.echo(prompt, err=True, nl=False)
        loop = asyncio.get_running_loop()
        typed: asyncio.Future[str] = loop.create_future()

        def read() -> None:
            line = sys.stdin.readline()
            if not typed.done():
                typed.set_result(line)

        # No thread: one that waits for a line could not be told that nobody wants it any more.
        loop.add_reader(sys.stdin.fileno(), read)
        try:
            line = await typed
        finally:
            loop.remove_reader(sys.stdin.fileno())
        return line.strip() if line else None
