"""`treadle start`, `stop`, `suspend`, `resume` and `redrive`.

One rule: stdout says what was asked for, as kubectl says what it changed.
"""

from dataclasses import dataclass

import click

from treadle.app import acting, following
from treadle.app.looking import Cluster
from treadle.asl.json import loads
from treadle.cli import printing, watch
from treadle.cli.files import json_text, printable
from treadle.cli.look import answered
from treadle.kube.api import Obj
from treadle.runtime.ports import Fault, Missing


def start(
    cluster: Cluster,
    wanted: acting.Wanted,
    given: str | None,
    name: str | None,
    output: str,
    *,
    then_watch: bool,
) -> int:
    """Start an execution; gives the exit status. Raises: UsageError."""

    def work() -> Obj:
        text = None if given is None else json_text(given, "the input")
        return acting.start(cluster, acting.Start(wanted, name, text))

    made = answered(work)
    printing.one(made, output, "created")
    return watch.shown(cluster, made["metadata"]["name"]) if then_watch else 0


def stop(
    cluster: Cluster,
    chosen: acting.Chosen,
    error: str | None,
    cause: str | None,
    output: str,
    *,
    wait: bool,
) -> int:
    """Stop executions; gives the exit status. Raises: UsageError."""
    report = _Report(chosen, output, "stopping")
    stopping: list[str] = []

    def told(outcome: acting.Outcome) -> None:
        if wait and outcome.execution is not None and not outcome.is_over:
            stopping.append(outcome.name)
        else:
            report.take(outcome)

    answered(lambda: acting.stop(cluster, chosen, error, cause, told))
    for name in stopping:
        try:
            report.take(_ended(cluster, name), is_end=True)
        except KeyboardInterrupt:
            return watch.EXIT_INTERRUPTED
    return report.ended("that have not ended")


def _ended(cluster: Cluster, name: str) -> acting.Outcome:
    """An execution that is being stopped, once it has ended."""
    try:
        return acting.Outcome(name, following.follow(cluster, name, lambda *_: None, _trouble))
    except Missing:  # it was there a moment ago
        return acting.Outcome(name, wrong=f"'{name}' was deleted")
    except (following.Deleted, following.Stuck, Fault) as why:
        return acting.Outcome(name, wrong=str(why))


def suspend(cluster: Cluster, chosen: acting.Chosen, suspended: bool, output: str) -> int:
    """Suspend executions, or let them go on; gives the exit status. Raises: UsageError."""
    report = _Report(chosen, output, "suspended" if suspended else "resumed")
    answered(lambda: acting.suspend(cluster, chosen, suspended, report.take))
    return report.ended("that have not ended")


@dataclass(frozen=True, slots=True)
class Redrive:
    """The options of `treadle redrive`, as they were given."""

    state: str | None
    given: str | None
    variables: str | None
    revision: str | None
    latest: bool


def redrive(cluster: Cluster, chosen: acting.Chosen, asked: Redrive, output: str) -> int:
    """Let executions go on that did not succeed; gives the exit status. Raises: UsageError."""
    if asked.revision is not None and asked.latest:
        raise click.UsageError("--revision and --latest exclude each other: give one of them")
    how = answered(lambda: _read(asked))
    report = _Report(chosen, output, "redriven")
    answered(lambda: acting.redrive(cluster, chosen, how, report.take))
    return report.ended("that failed, timed out or were aborted")


def _read(asked: Redrive) -> acting.Redrive:
    """What was asked for. Raises: ValueError."""
    given = None if asked.given is None else json_text(asked.given, "the input")
    variables = None
    if asked.variables is not None:
        variables = loads(json_text(asked.variables, "the variables"))
        if not isinstance(variables, dict):
            raise ValueError("the variables are no object: give each by its name")
    return acting.Redrive(asked.state, given, variables, asked.revision, asked.latest)


class _Report:
    """Prints what becomes of each execution, as it is known.

    Args:
        chosen: which they are.
        output: the form; several as a document are a list.
        deed: what is done to them, where nothing else is said.
    """

    def __init__(self, chosen: acting.Chosen, output: str, deed: str) -> None:
        self._selector = chosen.selector
        self._several = chosen.selector is not None or len(chosen.names) > 1
        self._output = output
        self._deed = deed
        self._listed: list[Obj] = []
        self._told = self._failed = 0

    def take(self, outcome: acting.Outcome, *, is_end: bool = False) -> None:
        """Print what became of one; how it has ended, where that was waited for."""
        self._told += 1
        name = printable(outcome.name)
        if outcome.wrong:
            self._failed += 1
            which = f"'{name}': " if self._several else ""
            click.echo(f"Error: {which}{printable(outcome.wrong)}", err=True)
        if outcome.unchanged:
            click.echo(f"'{name}' {printable(outcome.unchanged)}", err=True)
        if outcome.wrong or outcome.execution is None:
            return
        if self._several and self._output in ("json", "yaml"):
            self._listed.append(outcome.execution)
        else:
            deed = "unchanged" if outcome.unchanged else self._deed
            if is_end:
                deed = outcome.execution["status"]["phase"]
            printing.one(outcome.execution, self._output, deed)

    def ended(self, which: str) -> int:
        """Print what is printed at the end; gives the exit status."""
        if self._several and self._output in ("json", "yaml"):
            listed: Obj = {"apiVersion": "v1", "kind": "List", "items": self._listed}
            printing.document(listed, self._output)
        if not self._told:
            label = printable(str(self._selector))
            click.echo(f"There are no executions {which} with the labels {label}.", err=True)
        return 1 if self._failed else 0


def _trouble(why: str) -> None:
    click.echo(printable(f"{why}; trying again"), err=True)
