"""What Kopf tells the handlers of an operator, for a simulated one.

One rule: as Kopf does, and no better: a deletion during a gap is never told, and of two lists only
what is in the second is known.
"""

import asyncio
from collections.abc import Callable

from treadle.kube.api import Api, Obj
from treadle.kube.kinds import Kind
from treadle.runtime.ports import Fault

Told = Callable[[str | None, Obj], None]
"""Told of (type, object); the type is None for what a list shows."""

RETRY_SECONDS = 1.0


async def watch(api: Api, kind: Kind, told: Told) -> None:
    """List and watch for ever."""
    while True:
        try:
            listing = await api.list(kind, None)
            for obj in listing.items:
                told(None, obj)
            version = listing.version
            while True:
                async for change in api.watch(kind, None, version):
                    version = change.object["metadata"]["resourceVersion"]
                    if change.type != "BOOKMARK":
                        told(change.type, change.object)
        except Fault:
            # Whatever it was, Kopf lists anew: what went meanwhile is not in the list, that is all.
            await asyncio.sleep(RETRY_SECONDS)
