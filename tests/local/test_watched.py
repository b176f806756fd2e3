"""A store that shows what it has saved, and says what it cannot."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from treadle.asl.json import Json
from treadle.kube import decode
from treadle.kube.kinds import EXECUTIONS
from treadle.local.files import NAMESPACE, FileApi
from treadle.local.watched import WatchedStore
from treadle.runtime.ports import Failure, Record, Unavailable
from treadle.stores.histories import HistoryEntry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Screen:
    def __init__(self) -> None:
        self.phases: list[Json] = []
        self.troubles: list[str] = []

    def show(self, entries: Sequence[HistoryEntry], status: Mapping[str, Json]) -> None:
        assert not entries
        self.phases.append(status.get("phase"))


async def test_what_is_saved_is_shown_and_what_is_not_is_told(tmp_path: Path) -> None:
    screen = Screen()
    folder = tmp_path / "objects"
    api = FileApi(folder, lambda: NOW)
    store = WatchedStore(api, screen.show, screen.troubles.append)
    manifest = {
        "metadata": {"name": "a"},
        "spec": {"stateMachineRef": {"name": "m"}, "inputJson": "{}"},
    }
    obj = await api.create(EXECUTIONS, NAMESPACE, manifest)
    loaded = await store.load(decode.key(obj))
    record = Record(None, None, failure=Failure("E", "c"))
    folder.rename(tmp_path / "away")
    folder.touch()
    with pytest.raises(Unavailable):
        await store.save(loaded, record, NOW)
    assert "cannot be" in screen.troubles[0]
    folder.unlink()
    (tmp_path / "away").rename(folder)
    await store.save(loaded, record, NOW)
    assert screen.phases[-1] == "Failed"
    assert len(screen.troubles) == 1
