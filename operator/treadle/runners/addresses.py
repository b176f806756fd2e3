"""Which addresses an HTTP task may reach.

One rule: an address is judged as the network will use it: an IPv4 address inside an IPv6 one is
judged too. What is denied for everybody cannot be opened by a list.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Where clouds tell a machine its credentials. Link-local IPv6 is one hop away, as 169.254/16 is.
_METADATA: tuple[Network, ...] = (
    IPv4Network("169.254.0.0/16"),
    IPv4Network("168.63.129.16/32"),  # Azure
    IPv4Network("100.100.100.200/32"),  # Alibaba
    IPv4Network("192.0.0.192/32"),  # Oracle
    IPv6Network("fd00:ec2::254/128"),  # AWS
    IPv6Network("fd20:ce::254/128"),  # Google
    IPv6Network("fe80::/10"),
)
_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
# Linux takes all of 0/8 to itself.
_UNSPECIFIED: tuple[Network, ...] = (IPv4Network("0.0.0.0/8"), IPv6Network("::/128"))
_BROADCAST = IPv4Address("255.255.255.255")

# IPv6 prefixes that carry an IPv4 address, and how many bits follow it.
_CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # translated
    (IPv6Network("::/96"), 0),  # compatible
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of one site, in its /96 form
    (IPv6Network("2002::/16"), 80),  # 6to4
)


@dataclass(frozen=True, slots=True)
class Lists:
    """One set of lists.

    Attributes:
        whose: who wrote them, for the sentence: "the installation", "the namespace team-a".
        allow: where not empty, nothing else is allowed.
        deny: never allowed; stronger than `allow`.
    """

    whose: str
    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()

    @classmethod
    def of(cls, whose: str, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> "Lists":
        """Lists from text, `10.0.0.0/8` or a bare address.

        Raises:
            ValueError: a text is no network.
        """
        return cls(whose, tuple(map(ip_network, allow)), tuple(map(ip_network, deny)))

    def verdict(self, address: Address) -> str | None:
        """See AddressPolicy."""
        for network in self.deny:
            if address in network:
                return f"is in {network}, which {self.whose} denies"
        if self.allow and not any(address in network for network in self.allow):
            return f"is in none of the networks that {self.whose} allows"
        return None


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What one namespace may reach.

    Attributes:
        api_server: the API server's Service and endpoint addresses.
        nodes: addresses of the cluster's nodes.
        loopback_allowed: true on a desk only.
        lists: all of them must agree, so a namespace can only narrow.
    """

    api_server: frozenset[Address] = frozenset()
    nodes: frozenset[Address] = frozenset()
    loopback_allowed: bool = False
    lists: tuple[Lists, ...] = ()

    def verdict(self, address: str | Address) -> str | None:
        """Why this address is refused, as a sentence naming the rule; None where it is allowed."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return f"{address} is no IP address"
        if isinstance(parsed, IPv6Address):
            parsed = IPv6Address(int(parsed))  # without its zone, which equality would look at
        for judged in _meanings(parsed):
            reason = self._reason(judged)
            if reason is not None:
                carried = "" if judged == parsed else f" carries {judged}, which"
                return f"{address}{carried} {reason}"
        return None

    def _reason(self, address: Address) -> str | None:
        if _within(address, _METADATA):
            return "is a cloud's metadata or link-local address"
        if address.is_multicast:
            return "is a multicast address"
        if address == _BROADCAST:
            return "is the broadcast address"
        if _within(address, _UNSPECIFIED):
            return "is an unspecified address"
        if _within(address, _LOOPBACK):
            # The lists speak of networks, not of the desk itself.
            return None if self.loopback_allowed else "is a loopback address"
        if address in self.api_server:
            return "is the address of the API server"
        if address in self.nodes:
            return "is the address of a node"
        return next(filter(None, (lists.verdict(address) for lists in self.lists)), None)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _meanings(address: Address) -> Iterator[Address]:
    """All addresses that a packet to this one may end at; a mapped one is only what it carries."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is None:
        yield address
    if address in (IPv6Address(0), IPv6Address(1)):
        return
    for carrier, bits_after in _CARRIERS:
        if address in carrier:
            yield IPv4Address((int(address) >> bits_after) & 0xFFFFFFFF)
