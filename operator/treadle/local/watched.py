"""A store that shows what it has saved.

One rule: only what is saved is shown, so that nobody sees what a crash could take back.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from treadle.asl.json import Json
from treadle.kube.api import Objects
from treadle.runtime.ports import ExecutionKey, Loaded, Record, Unavailable
from treadle.stores import histories
from treadle.stores.executions import StatusStore
from treadle.stores.histories import HistoryEntry

Show = Callable[[Sequence[HistoryEntry], Mapping[str, Json]], None]
"""(new entries of the history, the status)"""


class WatchedStore(StatusStore):
    """See the module, and `runtime.ports.Store`.

    Args:
        api: where it is kept.
        show: told of what is saved of one execution.
        trouble: told why something cannot be saved.
        name: of that execution; of its children only what is not saved is told.
    """

    def __init__(
        self, api: Objects, show: Show, trouble: Callable[[str], None], name: str = ""
    ) -> None:
        super().__init__(api)
        self._name = name
        self._show = show
        self._trouble = trouble
        self._shown = 0

    async def load(self, key: ExecutionKey) -> Loaded:
        """As ever; what was saved before us is shown too."""
        loaded = await super().load(key)
        await self._tell(loaded)
        return loaded

    async def save(self, loaded: Loaded, record: Record, now: datetime) -> Loaded:
        """As ever, and show it; or say why it cannot be saved, which is tried again."""
        try:
            stored = await super().save(loaded, record, now)
        except Unavailable as why:
            self._trouble(str(why))
            raise
        await self._tell(stored)
        return stored

    async def _tell(self, stored: Loaded) -> None:
        key = stored.key
        if self._name and key.name != self._name:
            return
        metadata = {"namespace": key.namespace, "name": key.name, "uid": key.uid}
        obj = {"metadata": metadata, "status": stored.status}
        entries = await histories.read(self._api, obj, after=self._shown)
        if entries:
            self._shown = entries[-1].id
        self._show(entries, stored.status)
