"""Volumes and environment of a container, on a computer that has no containers.

One rule: what a definition refers to by `$(TREADLE_VOLUME_…)` and the other names of the contract
means the same here as in a Pod; what a desk cannot offer is left out, never made up.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from treadle.kube.api import Obj
from treadle.local.files import write_whole

_WRITTEN_OUT = {"ConfigMap": ("configMap", "name"), "Secret": ("secret", "secretName")}

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """A text with `$(NAME)` from the environment; `$$` is a dollar, an unknown name stays.

    Spec: Kubernetes API, Container.command.
    """

    def one(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return environment.get(found[2], found[0])

    return _REFERENCE.sub(one, text)


@dataclass(frozen=True, slots=True)
class Volumes:
    """Where volumes are.

    Attributes:
        shared: for those that nobody has named: a folder for each claim, kept between runs.
        own: of this run, for what is written out of ConfigMaps and Secrets.
        named: folders by volume name.
        objects: ConfigMaps and Secrets of the machine's file, by kind and name.
    """

    shared: Path
    own: Path
    named: Mapping[str, Path] = field(default_factory=dict)
    objects: Mapping[tuple[str, str], Obj] = field(default_factory=dict)

    def lay_out(self, volumes: Iterable[Obj], scratch: Path) -> dict[str, Path]:
        """Make volumes exist; gives their folders by name.

        Args:
            volumes: of a Pod.
            scratch: of the attempt, for what lives as long as a Pod.

        Raises:
            LookupError: a ConfigMap or Secret is not there; the message names it.
            OSError: a folder or file cannot be made.
        """
        return {volume["name"]: self._one(volume, scratch) for volume in volumes}

    def _one(self, volume: Obj, scratch: Path) -> Path:
        name = str(volume["name"])
        if name in self.named:
            return self.named[name]
        for found, (member, key) in _WRITTEN_OUT.items():
            if member not in volume:
                continue
            source = volume[member]
            return self._written_out(found, str(source.get(key, "")), source, name)
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", name)
        place = scratch if "emptyDir" in volume else self.shared
        place = within(place, name if "emptyDir" in volume else str(claim))
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _written_out(self, kind: str, name: str, source: Obj, volume: str) -> Path:
        obj = self.objects.get((kind, name))
        if obj is None and not source.get("optional"):
            raise LookupError(
                f"there is no {kind} '{name}' in the machine's file; add it there, or give a "
                f"folder with --volume {volume}=DIR"
            )
        files = {} if obj is None else dict(contents(obj))
        items = source.get("items")
        if items is not None:
            files = {item["path"]: files[item["key"]] for item in items if item["key"] in files}
        # What is in it is in its name: another template may have a volume of the same name.
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:8]
        place = within(self.own, f"{volume}-{digest}")
        place.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            target = within(place, path)
            if not target.is_file():
                write_whole(target, content)
        return place


def within(folder: Path, path: str) -> Path:
    """A path in a folder. Raises: LookupError (it leads elsewhere)."""
    parts = Path(path).parts
    if not parts or ".." in parts or Path(path).is_absolute():
        raise LookupError(f"{path!r} is no path within a volume")
    return folder / path


def problem_of(obj: Mapping[str, Any]) -> str:
    """Why an object cannot be the ConfigMap or Secret that it says; empty where it can."""
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str):
        return f"a {obj['kind']} has no metadata.name"
    try:
        for path, _ in contents(dict(obj)):
            within(Path(), path)
    except (LookupError, ValueError) as why:
        return f"the {obj['kind']} '{name}' cannot be used: {why}"
    return ""


def contents(obj: Obj) -> Iterable[tuple[str, bytes]]:
    """The files of a ConfigMap or a Secret. Raises: ValueError (it is none)."""
    plain = "data" if obj["kind"] == "ConfigMap" else "stringData"
    packed = "binaryData" if obj["kind"] == "ConfigMap" else "data"
    for member in (plain, packed):
        if not isinstance(obj.get(member) or {}, dict):
            raise ValueError(f"its {member} is not an object")
    for name, text in (obj.get(plain) or {}).items():
        yield name, str(text).encode()
    for name, text in (obj.get(packed) or {}).items():
        yield name, base64.b64decode("".join(str(text).split()), validate=True)
