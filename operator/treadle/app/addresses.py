"""Which addresses HTTP tasks may reach, from settings and from what the cluster shows."""

import asyncio
import logging
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from treadle.app.settings import Settings
from treadle.kube.api import Api
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import NODES
from treadle.runners.addresses import Address, AddressPolicy, Lists
from treadle.runtime.ports import Fault, Refused

_log = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 5.0


class Addresses:
    """The policy of every namespace; nodes are listed again and again in cluster scope.

    No turn begins before `known` is set: until then a node could be called.
    """

    def __init__(self, settings: Settings, api: Api, endpoint: Endpoint) -> None:
        self._api = api
        self.known = asyncio.Event()
        self._host = urlsplit(endpoint.server).hostname or ""
        self._service_host = settings.environment.get("KUBERNETES_SERVICE_HOST", "")
        self._lists_nodes = not settings.namespaces
        self._policy = AddressPolicy(
            loopback_allowed=settings.http_allow_loopback,
            lists=(Lists.of("the installation", settings.http_allow, settings.http_deny),),
        )

    def policy(self, namespace: str) -> AddressPolicy:
        """What a namespace may reach."""
        del namespace  # a namespace's own lists come with its settings, later
        return self._policy

    async def run(self) -> None:
        """Keep the addresses of the API server and the nodes up to date."""
        while True:
            delay = REFRESH_SECONDS
            try:
                await self._refresh()
                self.known.set()
            except Refused as refused:
                # No right to list nodes, and none to come: work, and say what is not known.
                _log.error("nodes cannot be listed, so HTTP tasks may call them: %s", refused)
                self.known.set()
            except (Fault, OSError) as fault:
                _log.warning("addresses of nodes or API server are not known: %r", fault)
                delay = RETRY_SECONDS
            await asyncio.sleep(delay)

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        servers: set[Address] = set()
        for host in filter(None, {self._host, self._service_host}):
            for *_, address in await loop.getaddrinfo(host, None):
                servers.add(ip_address(str(address[0]).partition("%")[0]))
        self._policy = replace(self._policy, api_server=frozenset(servers))
        if self._lists_nodes:
            nodes: set[Address] = set()
            for node in (await self._api.list(NODES, None)).items:
                nodes |= set(_addresses_of(node))
            self._policy = replace(self._policy, nodes=frozenset(nodes))


def _addresses_of(node: dict[str, object]) -> list[Address]:
    status = node.get("status")
    listed = status.get("addresses") if isinstance(status, dict) else None
    found = []
    for entry in listed or []:
        try:
            found.append(ip_address(entry["address"]))
        except ValueError:
            continue  # a host name
    return found
