"""Volumes whose files a test can see.

The one rule: a test that cannot see the files does not claim to have: it is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.lab.namespaces import Namespace


@contextmanager
def folder_as_volume(space: Namespace, claim: str, folder: Path) -> Iterator[Path]:
    """Make a folder of this machine, as the volume that a claim of the namespace asks for."""
    folder.mkdir()
    folder.chmod(0o777)
    core = space.core
    storage: Any = client.StorageV1Api(space.cluster.client)
    if any(_is_default(each) for each in storage.list_storage_class().items):
        pytest.skip("this cluster provisions volumes by itself: their files cannot be compared")
    body = {
        "metadata": {"name": f"{space.name}-{claim}"},
        "spec": {
            "capacity": {"storage": "64Mi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": {"namespace": space.name, "name": claim},
        },
    }
    core.create_persistent_volume(body)
    try:
        yield folder
    finally:
        core.delete_persistent_volume(f"{space.name}-{claim}")


def _is_default(storage_class: Any) -> bool:
    marks = storage_class.metadata.annotations or {}
    return bool(marks.get("storageclass.kubernetes.io/is-default-class") == "true")
