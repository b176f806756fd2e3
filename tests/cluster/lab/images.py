"""Stand-ins for the few public images that the tests use, made without a registry.

The one rule: an image does what the tests and examples ask of its namesake (the programs on its
PATH), and is made once per user and recipe.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from tests.cluster.lab import build, places
from tests.cluster.lab.processes import run

PAUSE = "localhost/treadle-pause:1"
_PYTHON = "docker.io/library/python:3.11-slim"
_BUSYBOX = "docker.io/library/busybox:1.36"
# Debian 12 is what the real image of that time is made of, and its Python is 3.11.
_SUITE = "bookworm"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
_NOT_SHIPPED = (
    *("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"),
    *("usr/share/locale", "usr/share/info"),
)


def make() -> list[Path]:
    """The image archives, made if they are not in the cache yet."""
    recipe = hashlib.sha256(Path(__file__).read_bytes())
    recipe.update((build.RUNTIME.folder / "pause" / "main.go").read_bytes())
    folder = places.CACHE / "images" / recipe.hexdigest()[:16]
    makers: dict[str, Callable[[Path], None]] = {
        "pause.tar": _make_pause,
        "busybox.tar": _make_busybox,
        "python.tar": _make_python,
    }
    with build.locked(places.CACHE / "images.lock"):
        for name, maker in makers.items():
            if not (folder / name).exists():
                print(f"making the image {name}", file=sys.stderr, flush=True)
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    maker(Path(scratch))
                    Path(scratch, "image.tar").rename(folder / name)
    return [folder / name for name in makers]


def _make_pause(scratch: Path) -> None:
    root = scratch / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy2(build.program("pause"), root / "bin" / "pause")
    pack(scratch, root, PAUSE, {"Entrypoint": ["/bin/pause"]})


def _make_busybox(scratch: Path) -> None:
    root = scratch / "root"
    for folder in ("bin", "etc", "dev", "proc", "sys", "root", "tmp", "var/www"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text(_USERS, encoding="ascii")
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n", encoding="ascii")
    busybox = shutil.which("busybox") or "/bin/busybox"
    shutil.copy2(busybox, root / "bin" / "busybox")
    for applet in run(busybox, "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    pack(scratch, root, _BUSYBOX, {"Cmd": ["sh"]})


def _make_python(scratch: Path) -> None:
    root = scratch / "root"
    packages = "python3,python3-pip,python3-venv,ca-certificates"
    options = ("--variant=minbase", f"--include={packages}")
    run("debootstrap", *options, _SUITE, root, "http://deb.debian.org/debian")
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (root / "usr/local/bin/python3").symlink_to("/usr/bin/python3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()  # the namesake lets pip install
    for unneeded in _NOT_SHIPPED:
        for entry in (root / unneeded).iterdir():
            is_folder = entry.is_dir() and not entry.is_symlink()
            shutil.rmtree(entry) if is_folder else entry.unlink()
    pack(scratch, root, _PYTHON, {"Cmd": ["python3"], "Env": [PATH, "LANG=C.UTF-8"]})


def pack(
    scratch: Path,
    root: Path,
    name: str,
    config: dict[str, object],
    below: tuple[Path, ...] = (),
) -> None:
    """Write `image.tar`: a layer that holds `root`, and what containerd wants to know of it.

    Args:
        below: further layers that it lies upon, lowest first.
    """
    own = scratch / "own.tar"
    write_layer(root, own)
    layers = {f"layer{number}.tar": file for number, file in enumerate((*below, own))}
    about = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Env": [PATH], **config},
        "rootfs": {"type": "layers", "diff_ids": [_digest(file) for file in layers.values()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": list(layers)}]
    with tarfile.open(scratch / "image.tar", "w") as image:
        for file, value in (("config.json", about), ("manifest.json", manifest)):
            text = json.dumps(value).encode()
            entry = tarfile.TarInfo(file)
            entry.size = len(text)
            image.addfile(entry, BytesIO(text))
        for file, layer in layers.items():
            image.add(layer, file)


def write_layer(root: Path, file: Path) -> None:
    """Write a folder as a layer."""
    run("tar", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-cf", file, ".")


def _digest(layer: Path) -> str:
    with layer.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def architecture() -> str:
    """Go's name of this machine's processor, which images use too."""
    return subprocess.run(
        ["go", "env", "GOARCH"], capture_output=True, text=True, check=True
    ).stdout.strip()
