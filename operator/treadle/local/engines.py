"""How a container becomes a command line of this computer: as a plain process, or by podman.

One rule: the container contract holds in both: the same variables name the same things.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from treadle.asl.errors import StateError
from treadle.kube import manifests
from treadle.kube.api import Obj
from treadle.local.attempts import Folder, Line
from treadle.local.volumes import expanded, within

Engine: TypeAlias = Callable[[Obj, Mapping[str, Path], Folder], Line | StateError]
"""(the container `main`, folders of its volumes, the attempt's folder) -> what to run."""


def processes(commands: Mapping[str, Sequence[str]]) -> Engine:
    """Containers as plain processes.

    Args:
        commands: by image, for containers that leave the command to their image.
    """

    def line(main: Obj, places: Mapping[str, Path], folder: Folder) -> Line | StateError:
        environment = _inherited()
        contract = {
            "TREADLE_INPUT_FILE": str(folder.input),
            "TREADLE_RESULT_FILE": str(folder.result),
        }
        for mount in _mounts(main, places):
            contract[manifests.volume_variable(mount["name"])] = str(_place(mount, places))
        # As in a Pod, what is inherited is not what `$(NAME)` refers to.
        given = _given(main, contract)
        environment |= given
        command = [expanded(word, given) for word in main.get("command", ())]
        command = command or list(commands.get(main.get("image", ""), ()))
        if not command:
            cause = (
                f"The image {main.get('image')} decides what is run, and there is no container "
                "here: name a `command`, run with --runner podman, or give --command IMAGE=CMD."
            )
            return StateError("Kubernetes.ContainerConfig", cause)
        args = [expanded(word, given) for word in main.get("args", ())]
        return Line([*command, *args], environment)

    return line


def containers(program: str) -> Engine:
    """Containers by `podman` or `docker`, which take the same arguments."""

    def line(main: Obj, places: Mapping[str, Path], folder: Folder) -> Line | StateError:
        environment = _given(main, {})
        folder.result.touch()
        own = f"treadle-{hashlib.sha256(str(folder.path).encode()).hexdigest()[:16]}"
        argv = [program, "run", "--rm", "--name", own, "--network", "host"]
        argv += ["--volume", f"{folder.input}:{environment['TREADLE_INPUT_FILE']}:ro"]
        argv += ["--volume", f"{folder.result}:{environment['TREADLE_RESULT_FILE']}"]
        for mount in _mounts(main, places):
            mode = ":ro" if mount.get("readOnly") else ""
            argv += ["--volume", f"{_place(mount, places)}:{mount['mountPath']}{mode}"]
        for name, value in environment.items():
            argv += ["--env", f"{name}={value}"]
        command = [expanded(word, environment) for word in main.get("command", ())]
        if command:
            argv += ["--entrypoint", command[0]]
        args = [expanded(word, environment) for word in main.get("args", ())]
        argv += [main.get("image", ""), *command[1:], *args]
        # SIGKILL ends who waits for the container, and not the container.
        return Line(argv, _inherited(), [program, "rm", "--force", own])

    return line


def _inherited() -> dict[str, str]:
    """What a process inherits. Where nothing else is called `python`, we are."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TREADLE_")}
    ours = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join(filter(None, (environment.get("PATH"), ours)))
    return environment


def _given(main: Obj, contract: Mapping[str, str]) -> dict[str, str]:
    """The contract's and the container's own variables; those from objects are left out."""
    given = dict(contract)
    for entry in main.get("env", ()):
        if entry["name"] not in contract and isinstance(entry.get("value"), str):
            given[entry["name"]] = expanded(entry["value"], given)
    return given


def _mounts(main: Obj, places: Mapping[str, Path]) -> list[Obj]:
    return [mount for mount in main.get("volumeMounts", ()) if mount["name"] in places]


def _place(mount: Obj, places: Mapping[str, Path]) -> Path:
    place = places[mount["name"]]
    if not mount.get("subPath"):
        return place
    inner = within(place, str(mount["subPath"]))
    if not inner.exists():  # it may be one of a ConfigMap's files
        inner.mkdir(parents=True)  # as a kubelet does
    return inner
