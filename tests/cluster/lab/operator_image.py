"""Our own image, made from the Dockerfile's instructions without a registry.

The one rule: what runs in it, and how it is run, is what the Dockerfile says; how it gets there is
the lab's own way. Two layers: the lower one is made anew only when requirements change.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tests.cluster.lab import build, images, places
from tests.cluster.lab.processes import run

REPOSITORY = "docker.io/library/treadle"
TAG = "lab"
_DOCKERFILE = places.ROOT / "Dockerfile"
_PACKAGES = "opt/treadle/lib/python3.11/site-packages"


def make(tag: str = TAG, *, version: str = "") -> Path:
    """The archive of our own image, made as the Dockerfile says if it is not in the cache yet.

    Args:
        tag: of the image.
        version: what it says of itself, if that is not the present tree's version.
    """
    runtime = _runtime()
    made_from = hashlib.sha256(runtime.parent.name.encode() + _DOCKERFILE.read_bytes())
    made_from.update(Path(__file__).read_bytes())
    files = _own_files(version)
    for name, content in files.items():
        made_from.update(name.encode() + content)
    archive = runtime.parent / f"treadle-{tag}-{made_from.hexdigest()[:16]}.tar"
    with build.locked(places.CACHE / "images.lock"):
        if not archive.exists():
            print(f"making the image {REPOSITORY}:{tag}", file=sys.stderr, flush=True)
            for old in archive.parent.glob(f"treadle-{tag}-*.tar"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
                _make_operator(Path(scratch), f"{REPOSITORY}:{tag}", runtime, files)
                Path(scratch, "image.tar").rename(archive)
    return archive


def _make_operator(scratch: Path, name: str, runtime: Path, files: dict[str, bytes]) -> None:
    root = scratch / "root"
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if target.parent.name == "bin" else 0o644)
    images.pack(scratch, root, name, _config_of_dockerfile(), below=(runtime,))


def _own_files(version: str) -> dict[str, bytes]:
    """The files of the upper layer: our modules, and the program that runs them."""
    source = places.ROOT / "operator"
    modules = {
        f"{_PACKAGES}/{path.relative_to(source)}": path.read_bytes()
        for path in sorted(source.rglob("*.py"))
    }
    if version:
        about = f"{_PACKAGES}/treadle/__init__.py"
        modules[about], changed = re.subn(
            rb'(?m)^__version__ = ".*"$', f'__version__ = "{version}"'.encode(), modules[about]
        )
        assert changed == 1, f"{about} says no version"
    said = re.search(r"printf '(.+)' > /(\S+)", _DOCKERFILE.read_text(encoding="utf-8"))
    assert said, "the Dockerfile makes no program"
    return {**modules, said[2]: said[1].replace("\\n", "\n").encode()}


def _config_of_dockerfile() -> dict[str, object]:
    """What the Dockerfile's last stage says of how its image is run."""
    *_, stage = _DOCKERFILE.read_text(encoding="utf-8").split("\nFROM ")
    said = dict(re.findall(r"^(ENV|USER|ENTRYPOINT|CMD) (.+)$", stage, re.MULTILINE))
    variables = [
        word.replace("$PATH", images.PATH.partition("=")[2]) for word in said["ENV"].split()
    ]
    return {
        "Env": variables,
        "User": said["USER"],
        "Entrypoint": json.loads(said["ENTRYPOINT"]),
        "Cmd": json.loads(said["CMD"]),
    }


def _runtime() -> Path:
    """The layer that our image's own programs lie upon: Python and what it needs at run time."""
    python = next(archive for archive in images.make() if archive.name == "python.tar")
    needs = places.ROOT / "requirements" / "run.txt"
    digest = hashlib.sha256(python.parent.name.encode() + needs.read_bytes()).hexdigest()[:16]
    layer = places.CACHE / "images" / f"runtime-{digest}" / "layer.tar"
    with build.locked(places.CACHE / "images.lock"):
        if not layer.exists():
            print("making the layer below our own image", file=sys.stderr, flush=True)
            layer.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=layer.parent) as scratch:
                _make_runtime(Path(scratch), python, needs)
                Path(scratch, "layer.tar").rename(layer)
    return layer


def _make_runtime(scratch: Path, python: Path, needs: Path) -> None:
    root = scratch / "root"
    root.mkdir()
    run("tar", "-C", scratch, "-xf", python, "layer0.tar")
    run("tar", "--numeric-owner", "-C", root, "-xf", scratch / "layer0.tar")
    wheels = root / "wheels"
    # Fetched from outside, where pip is set up as this machine needs it; for the image's Python.
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[images.architecture()]
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (36, 34, 28, 17, 12, 5)]
    which = ("--python-version=3.11", "--only-binary=:all:", *platforms)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "download", "--require-hashes", *which, "-d", wheels, "-r", needs)
    shutil.copy2(needs, wheels)
    inside = ("chroot", root)
    run(*inside, "python3", "-m", "venv", "/opt/treadle")
    run(
        *(*inside, "/opt/treadle/bin/python", "-m", "pip", "install", "--quiet"),
        *("--no-index", "--find-links=/wheels", "--require-hashes", "-r", f"/wheels/{needs.name}"),
    )
    shutil.rmtree(wheels)
    images.write_layer(root, scratch / "layer.tar")
