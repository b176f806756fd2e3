"""`treadle run`: a machine on this computer, without a cluster.

One rule: the result goes to stdout, and everything else to stderr.
"""

import os
import re
import shlex
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from treadle.asl import document
from treadle.asl.json import Json, dumps, loads
from treadle.asl.limits import TESTS_BYTES_MAX
from treadle.asl.program import Program
from treadle.cli import asking, validate
from treadle.cli.files import content_of, json_text, let_go, printable
from treadle.cli.machines import Found, find, tell
from treadle.kube import sources
from treadle.kube.kinds import EXECUTIONS
from treadle.local.approvals import Asked as PeopleAsked
from treadle.local.commands import POD_DEFAULTS, without_command
from treadle.local.runs import Run, Runs
from treadle.local.volumes import problem_of

EXIT_WRONG = 2
EXIT_INTERRUPTED = 130

_NOT_A_NAME = re.compile(r"[^a-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """The flags of the command, as they were given."""

    machine: str | None
    input: str | None
    name: str | None
    state_dir: str
    resume: str | None
    runner: str
    volumes: Sequence[str]
    commands: Sequence[str]
    workers: Sequence[str]
    mocks: str | None
    time: str
    limits: str | None
    history: str | None
    output: str
    approve: Sequence[str] = ()


def run(asked: Asked) -> int:
    """Run it; gives the exit status. Raises: UsageError."""
    runs = Runs(Path(asked.state_dir).absolute())
    try:
        _check_history(asked.history)
        wanted = _resumed(asked, runs) if asked.resume is not None else _new(asked)
        with runs.alone(wanted.name):
            if asked.resume is None:
                runs.keep(wanted)
            return _live(wanted, runs, asked)
    except ValueError as why:
        raise click.UsageError(str(why)) from None
    except OSError as why:
        raise click.UsageError(f"{why.filename or asked.state_dir}: {why.strerror}") from None


# ------------------------------------------------------------------------------- what is asked for


def _check_history(name: str | None) -> None:
    if name is not None and (Path(name).is_dir() or not Path(name).absolute().parent.is_dir()):
        raise ValueError(f"--history: {name} cannot be a file")


def _resumed(asked: Asked, runs: Runs) -> Run:
    given = {
        "a MACHINE": asked.machine,
        "--input": asked.input,
        "--name": asked.name,
        "--volume": asked.volumes,
        "--command": asked.commands,
        "--worker": asked.workers,
        "--mocks": asked.mocks,
        "--limits": asked.limits,
    }
    also = [what for what, value in given.items() if value]
    if also:
        raise ValueError(
            f"--resume goes on with what was asked for at first: {', '.join(also)} cannot be given "
            "again"
        )
    name, names = asked.resume, runs.names()
    if not name:
        if not names:
            raise ValueError(f"there is nothing to go on with in {runs.folder}")
        name = names[0]
    run = runs.get(name)
    program, _ = document.inspect(run.spec["definition"])
    if program is not None:
        mocked: Container[str] = () if run.mocks is None else _read_mocks(run)
        _check_people(program, asked, mocked, run.machines)
    return run


def _read_mocks(run: Run) -> Container[str]:
    from treadle.local import mocks

    assert run.mocks is not None
    return mocks.read(run.mocks, run.case)


def _new(asked: Asked) -> Run:
    if asked.machine is None:
        raise ValueError("name a MACHINE: a file of a definition or of manifests, or a directory")
    found = _found(asked.machine)
    machine = found.machine
    program = _judged(machine, found.file, asked)
    commands = dict(_pair(text, "--command IMAGE=CMD") for text in asked.commands)
    mocks, case, mocked = _mocks(asked.mocks, program)
    machines = {each.name: each.spec for each in found.machines if each.name}
    _check_people(program, asked, mocked, machines)
    if asked.runner == "process":
        _check_commands(machine, program, commands, mocked)
    workers = dict(_pair(text, "--worker NAME=CMD") for text in asked.workers)
    _check_workers(program, workers, mocked)
    name = machine.name or _name_of(asked.machine)
    # To the microsecond: several may be started at once.
    named = f"{name[:56]}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    return Run(
        name=named if asked.name is None else asked.name,
        machine=name,
        spec=machine.spec,
        request=_request(asked.input, found.others, name),
        cwd=str(_folder(asked.machine)),
        objects=_objects(found),
        volumes={k: str(_directory(v)) for k, v in map(_volume, asked.volumes)},
        commands={image: _words("--command", line) for image, line in commands.items()},
        workers={activity: _words("--worker", line) for activity, line in workers.items()},
        runner=asked.runner,
        mocks=mocks,
        case=case,
        virtual=asked.time == "virtual",
        limits=asked.limits or "",
        machines=machines,
    )


def _found(name: str) -> Found:
    found = find(name)
    if found is None:
        raise SystemExit(EXIT_WRONG)
    return found


def _folder(name: str) -> Path:
    path = Path.cwd() if name == "-" else Path(name).absolute()
    return path if path.is_dir() else path.parent


def _objects(found: Found) -> list[Mapping[str, Json]]:
    objects = [obj for obj in found.others if obj.get("kind") in ("ConfigMap", "Secret")]
    for problem in filter(None, map(problem_of, objects)):
        raise ValueError(f"{found.file}: {problem}")
    return objects


def _judged(machine: sources.Machine, file: str, asked: Asked) -> Program:
    inspected = machine.inspect()
    problems = list(validate.problems_of(machine, inspected, POD_DEFAULTS))
    wrong = [each for each in problems if each.severity == "error"]
    if asked.mocks is None:
        not_run = (each for each in problems if each.code == "resource-not-runnable")
        wrong += [replace(each, severity="error") for each in not_run]
    if tell(file, wrong):
        raise SystemExit(EXIT_WRONG)
    program, _ = inspected
    assert program is not None
    return program


def _check_commands(
    machine: sources.Machine, program: Program, commands: Mapping[str, Any], mocked: Container[str]
) -> None:
    """Every Task must say what to run, as far as that can be told before it is."""
    found = without_command(program, machine.spec, commands)
    states = [(state, image) for state, image in found if state not in mocked]
    if states:
        named = "; ".join(f"'{state}' ({image})" for state, image in states)
        raise ValueError(
            f"no container is run here, and these states leave the command to their image: "
            f"{named}. Give each a `command`, say --command IMAGE=CMD, or take --runner podman"
        )


def _check_people(
    program: Program,
    asked: Asked,
    mocked: Container[str],
    machines: Mapping[str, Mapping[str, Json]],
) -> None:
    said = asking.said_before(asked.approve)
    others = (document.inspect(spec.get("definition"))[0] for spec in machines.values())
    found = [] if not said else [each for each in others if each is not None]
    asking.check(program, said, mocked, found, has_terminal=sys.stdin.isatty())


def _check_workers(program: Program, workers: Container[str], mocked: Container[str]) -> None:
    """Every activity must have who does its work."""
    from treadle.local.workers import without_worker

    found = [each for each in without_worker(program, workers) if each[0] not in mocked]
    if found:
        named = "; ".join(f"'{state}' ({activity})" for state, activity in found)
        raise ValueError(
            f"nobody asks for work here, and these states wait for a worker: {named}. Name a "
            f"command for each activity, say --worker {found[0][1]}=CMD, or answer by --mocks"
        )


def _request(
    text: str | None, others: Sequence[Mapping[str, Json]], machine: str
) -> dict[str, Json]:
    if text is not None:
        return {"inputJson": json_text(text, "the input")}
    for each in others:
        spec = each.get("spec")
        if each.get("kind") == EXECUTIONS.name and isinstance(spec, dict):
            reference = spec.get("stateMachineRef")
            if isinstance(reference, dict) and reference.get("name") == machine:
                return {k: spec[k] for k in ("name", "input", "inputJson") if k in spec}
    return {}


def _mocks(text: str | None, program: Program) -> tuple[str | None, str, frozenset[str]]:
    """The text of a file of mocks, the case of it, and the states that it answers for."""
    if text is None:
        return None, "", frozenset()
    from treadle.local import mocks
    from treadle.stores.judgement import tasks

    file, _, case = text.partition("#")
    data = content_of(file, TESTS_BYTES_MAX)
    if len(data) > TESTS_BYTES_MAX:
        raise ValueError(f"the mocks have more than {TESTS_BYTES_MAX:,} bytes")
    try:
        content = data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"the mocks are not JSON: {file} is not UTF-8") from None
    # A state that is not in it is run: one that is misspelt must not be.
    known = {task.name for _, task, _ in tasks(program)}
    found = mocks.read(content, case)
    unknown = found.keys() - known
    if unknown:
        raise ValueError(f"the mocks name what is no Task of the machine: {', '.join(unknown)}")
    if by_item := [name for name, given in found.items() if mocks.maps_told_apart(given)]:
        raise ValueError(
            f"only `treadle test` tells the items of a Map apart; give {', '.join(by_item)} the "
            "same answers for all items"
        )
    return content, case, frozenset(found)


def _words(option: str, line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as why:
        raise ValueError(f"{option}: {line}: {why}") from None


def _pair(text: str, shape: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{text!r} is not {shape}")
    return name, value


def _volume(text: str) -> tuple[str, str]:
    return _pair(text, "--volume NAME=DIR")


def _directory(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_dir():
        raise ValueError(f"--volume: there is no directory {text}")
    return path


def _name_of(machine: str) -> str:
    stem = "machine" if machine == "-" else Path(machine).absolute().name.partition(".")[0]
    return _NOT_A_NAME.sub("-", stem.lower()).strip("-.") or "machine"


# ------------------------------------------------------------------------------------ its life


def _live(wanted: Run, runs: Runs, asked: Asked) -> int:
    from treadle.app import desk
    from treadle.cli.screens import screen_for
    from treadle.engine.snapshot import Unreadable
    from treadle.runtime.ports import Fault

    _log_to(runs.log(wanted.name))
    resumable = f"go on with it by: treadle run --resume {wanted.name}"
    if asked.state_dir != ".treadle":
        resumable += f" --state-dir {shlex.quote(asked.state_dir)}"
    screen = screen_for(sys.stderr, wanted)
    ask = asking.Terminal(screen).ask if sys.stdin.isatty() else None
    people = PeopleAsked(asking.said_before(asked.approve), ask)

    def quit_now() -> None:
        screen.close()
        click.echo(f"'{wanted.name}' is left as it is; {resumable}", err=True)
        os._exit(EXIT_INTERRUPTED)  # whatever runs is ended by its own supervisor

    try:
        with screen:
            result = desk.run(
                wanted,
                runs.folder,
                screen.show,
                trouble=screen.trouble,
                interrupted=screen.interrupted,
                quit_now=quit_now,
                serving=screen.serving,
                asked=people,
            )
    except (desk.NotRunnable, Fault, Unreadable) as why:
        raise click.UsageError(f"'{wanted.name}': {why}") from None
    not_printed = _not_printed(result, asked.output)
    if asked.history is not None:
        _write_history(wanted, runs, asked.history)
    if not_printed:
        raise click.UsageError(
            f"the result cannot be printed: {not_printed}; to see it, {resumable}"
        )
    return 0 if result.status == "Succeeded" else 1


def _write_history(wanted: Run, runs: Runs, name: str) -> None:
    from treadle.app import desk
    from treadle.engine.snapshot import Unreadable
    from treadle.runtime.ports import Fault

    try:
        desk.write_history(runs.folder, wanted.name, Path(name))
    except (Fault, Unreadable) as why:
        raise click.UsageError(f"'{wanted.name}': {why}") from None
    except OSError as why:
        told = f"the history cannot be written to {printable(name)}: {why.strerror}"
        raise click.UsageError(told) from None


def _log_to(path: Path) -> None:
    import logging

    logging.raiseExceptions = False  # where there is no room for a line, there is none
    logging.basicConfig(filename=path, level=logging.INFO, format="%(asctime)s %(message)s")


def _not_printed(result: Any, form: str) -> str:
    """Print the result; gives why that was not possible, if it was not."""
    try:
        _print(result, form)
    except OSError as why:
        let_go(sys.stdout)
        return str(why.strerror)
    return ""


def _print(result: Any, form: str) -> None:
    if form == "json":
        output = None if result.output is None else loads(result.output)
        said = {
            "status": result.status,
            "output": output,
            "error": result.error,
            "cause": result.cause,
        }
        click.echo(dumps(said))
    elif result.output is not None:
        click.echo(result.output)
    else:
        wrong = ": ".join(filter(None, (result.error, result.cause))) or result.status
        try:
            click.echo("\n".join(map(printable, wrong.splitlines())), err=True)
        except OSError:
            let_go(sys.stderr)
