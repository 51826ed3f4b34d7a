"""What the network `internet` must not reach, as IPv4 networks: pure arithmetic. IPv6 does not pass at all.

A route `unreachable` to each is the wall. The most specific route counts, so what may pass is cut out of them.
"""

from __future__ import annotations

from solven_env.sandbox.plain import socket
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Net(NamedTuple):
    """An IPv4 network, or an address as one of length 32."""

    address: int
    length: int

    def holds(self, other: Net) -> bool:
        """Whether all of `other` lies in this network."""
        return self.length <= other.length and (self.address ^ other.address) >> (32 - self.length) == 0


def parse(text: str) -> Net:
    """`10.20.0.0/16`, or an address."""
    address, _, length = text.partition("/")
    return Net(int.from_bytes(socket.inet_aton(address), "big"), int(length or 32))


PRIVATE = tuple(
    map(
        parse,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
            "100.64.0.0/10",  # carriers' (RFC 6598), and many overlay networks'
            "169.254.0.0/16",  # link-local (RFC 3927): the metadata of clouds
            "192.0.0.0/24",  # protocol assignments (RFC 6890), metadata of some clouds
            "198.18.0.0/15",  # benchmarks (RFC 2544), and virtual networks of proxies
        ),
    )
)
"""What `allow` may open."""
NEVER = tuple(
    map(
        parse,
        (
            "0.0.0.0/8",  # this host (RFC 1122)
            "10.0.2.0/24",  # what slirp4netns gives the namespace
            "127.0.0.0/8",  # loopback is the namespace's own
            "224.0.0.0/4",  # multicast: the host's network answers to it (mDNS, SSDP)
            "240.0.0.0/4",  # reserved, and the broadcast address
        ),
    )
)
GATEWAY_AND_DNS = parse("10.0.2.2/31")
"""The two machines that slirp4netns plays. The first would be the host's loopback, had it not been told otherwise."""


def walls(allow: Iterable[Net], own: Iterable[Net]) -> list[Net]:
    """The networks that are closed where `allow` is asked for and the host's own addresses are `own`.

    An address of the host's own is open only to an entry that is as specific: a network does not name it.
    """
    opened = tuple(allow)
    closed = {part for net in PRIVATE for part in _without(net, (*opened, GATEWAY_AND_DNS))}
    closed |= {
        part
        for net in own
        for part in _without(net, (*(each for each in opened if each.length >= net.length), GATEWAY_AND_DNS))
    }
    closed |= {part for net in NEVER for part in _without(net, (GATEWAY_AND_DNS,))}
    kept: list[Net] = []
    for net in sorted(closed):  # what holds others comes before them
        if not (kept and kept[-1].holds(net)):
            kept.append(net)
    return kept


def _without(net: Net, holes: Sequence[Net]) -> list[Net]:
    """What is left of a network when the holes are cut out."""
    if any(hole.holds(net) for hole in holes):
        return []
    cut = [hole for hole in holes if net.holds(hole)]
    if not cut:
        return [net]
    half = net.length + 1
    return [*_without(Net(net.address, half), cut), *_without(Net(net.address | 1 << (32 - half), half), cut)]
