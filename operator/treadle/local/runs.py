"""What was asked of a desk, kept so that it can be gone on with.

One rule: a run is written down whole before anything of it happens, so that whoever comes back
needs nothing but its name.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from treadle.asl.json import Json, dumps, loads
from treadle.local.files import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Run:
    """See the module.

    Attributes:
        name: of the execution.
        machine: the StateMachine's name, and `spec`: its spec.
        request: the Execution's spec.
        cwd: where Tasks run.
        objects: ConfigMaps and Secrets of the machine's file.
        volumes: folders by volume name.
        commands: command lines by image.
        workers: command lines by activity.
        runner: "process", "podman" or "docker".
        mocks: the text of a file of answers, and `case`: the test case in it.
        virtual: whether time is.
        limits: name of their profile; empty for that of the environment.
        machines: specs of the other StateMachines that it may start, by name.
    """

    name: str
    machine: str
    spec: Mapping[str, Json]
    request: Mapping[str, Json]
    cwd: str
    objects: Sequence[Mapping[str, Json]] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    runner: str = "process"
    mocks: str | None = None
    case: str = ""
    virtual: bool = False
    limits: str = ""
    machines: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    workers: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs in a state directory."""

    folder: Path

    def of(self, name: str) -> Path:
        """A run's own folder. Raises: ValueError (no such name can be)."""
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r:.100} cannot be a name: 1 to 80 letters, digits, '.', '_' and '-', a "
                "letter or digit first"
            )
        return self.folder / "runs" / name

    def log(self, name: str) -> Path:
        """Where what happens to a run is written down, for whoever looks for an error of ours."""
        return self.of(name) / "treadle.log"

    def keep(self, run: Run) -> None:
        """Write a run down, while `alone`. Raises: ValueError (one has that name); OSError."""
        path = self.of(run.name) / "run.json"
        if path.exists():
            raise ValueError(
                f"there is an execution named '{run.name}' in {self.folder}; go on with it by "
                f"--resume {run.name}, or choose another --name"
            )
        write_whole(path, dumps(asdict(run)).encode())

    def get(self, name: str) -> Run:
        """A run that was written down. Raises: ValueError."""
        from pydantic import TypeAdapter  # noqa: PLC0415 - slow to import, and seldom needed

        try:
            kept = Run(**loads((self.of(name) / "run.json").read_bytes()))
            run = TypeAdapter(Run).validate_python(asdict(kept))
        except (FileNotFoundError, NotADirectoryError):
            known = ", ".join(self.names()[:10]) or "none yet"
            raise ValueError(
                f"there is no execution named '{name}' in {self.folder}; there are: {known}"
            ) from None
        except (TypeError, ValueError):
            raise ValueError(f"{self.of(name) / 'run.json'} is damaged") from None
        if run.name != name:
            raise ValueError(f"{self.of(name) / 'run.json'} is of '{run.name}'")
        return run

    def names(self) -> list[str]:
        """All runs, the newest first."""
        found = sorted(
            (self.folder / "runs").glob("*/run.json"),
            key=lambda path: path.stat().st_mtime_ns,
            reverse=True,
        )
        return [path.parent.name for path in found]

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Nobody else runs it meanwhile. Raises: ValueError (somebody does); OSError."""
        folder = self.of(name)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"the state directory {self.folder} is no directory")
        # Inputs, Secrets and what processes inherit are in here, which is nobody else's business.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(handle, name)
            yield
        finally:
            os.close(handle)

    def _take(self, handle: int, name: str) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"'{name}' is being run by another process") from None
