"""The IPv4 networks that the network `internet` must not reach: pure arithmetic. IPv6 does not pass at all.

A route `unreachable` to each is the wall. The most specific route counts, so what may pass is cut out of them.
"""

from __future__ import annotations

from solven_env.system.plain import socket
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Net(NamedTuple):
    """An IPv4 network, or an address as one of length 32."""

    address: int
    length: int

    def holds(self, other: Net) -> bool:
        """True where all of `other` lies in this network."""
        return self.length <= other.length and (self.address ^ other.address) >> (32 - self.length) == 0


def parse(text: str) -> Net:
    """Read `10.20.0.0/16`, or an address.

    >>> parse("10.0.0.0/8").length
    8
    """
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
"""Networks that `allow` may open."""


class Service(NamedTuple):
    """A service of a cloud to its machines, at an address that is the same on all of them, as its own page says."""

    net: Net
    what: str
    source: str


SERVICES = tuple(
    Service(parse(text), what, source)
    for text, what, source in (
        # Outside every private network: nothing else closes them.
        (
            "168.63.129.16",
            "Azure: the host (agent, DNS, DHCP, probes)",
            "learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16",
        ),
        (
            "161.26.0.0/16",
            "IBM Cloud: infrastructure (DNS, NTP, mirrors)",
            "cloud.ibm.com/docs/vpc?topic=vpc-service-endpoints-for-vpc",
        ),
        (
            "166.8.0.0/14",
            "IBM Cloud: private endpoints of services",
            "cloud.ibm.com/docs/vpc?topic=vpc-service-endpoints-for-vpc",
        ),
        (
            "192.80.8.124",  # metadata.packet.net, later metadata.platformequinix.com
            "Equinix Metal: metadata",
            "deploy.equinix.com/developers/docs/metal/server-metadata/metadata",
        ),
        ("183.60.82.98", "Tencent Cloud: DNS of private networks", "cloud.tencent.com/document/product/1689/90577"),
        ("183.60.83.19", "Tencent Cloud: DNS of private networks", "cloud.tencent.com/document/product/1689/90577"),
        # Within private networks: here so that `allow` opens them only by name. 169.254.169.254 is also that of
        # Azure, DigitalOcean, Google, Hetzner, Huawei, IBM, Linode, OpenStack, Oracle, OVH and Vultr.
        (
            "169.254.169.254",
            "AWS and most others: metadata",
            "docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html",
        ),
        (
            "169.254.170.2",
            "AWS: credentials of a task (ECS)",
            "docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
        ),
        (
            "169.254.170.23",
            "AWS: credentials of a pod (EKS)",
            "docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html",
        ),
        ("169.254.42.42", "Scaleway: metadata", "github.com/scaleway/scaleway-sdk-go: api/instance/v1"),
        ("169.254.0.23", "Tencent Cloud: metadata", "cloud.tencent.com/document/product/213/4934"),
        (
            "100.100.100.200",
            "Alibaba Cloud: metadata",
            "www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata",
        ),
        ("100.96.0.96", "Volcano Engine: metadata", "github.com/volcengine/cello: pkg"),
        (
            "192.0.0.192",
            "Oracle Cloud Classic: metadata",
            "docs.oracle.com/en/cloud/iaas/compute-iaas-cloud/stcsg/retrieving-instance-metadata.html",
        ),
    )
)
"""Closed like the host's own addresses: `allow` opens one only where it is written alone (or its network, or less)."""
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

    An address of the host's own or of a cloud's `SERVICES` is open only to an entry that is as specific: a wider
    network does not name it.
    """
    opened = tuple(allow)
    closed = {part for net in PRIVATE for part in _without(net, (*opened, GATEWAY_AND_DNS))}
    closed |= {
        part
        for net in (*own, *(service.net for service in SERVICES))
        for part in _without(net, (*(each for each in opened if each.length >= net.length), GATEWAY_AND_DNS))
    }
    closed |= {part for net in NEVER for part in _without(net, (GATEWAY_AND_DNS,))}
    kept: list[Net] = []
    for net in sorted(closed):  # what holds others comes before them
        if not (kept and kept[-1].holds(net)):
            kept.append(net)
    return kept


def _without(net: Net, holes: Sequence[Net]) -> list[Net]:
    """The rest of a network when the holes are cut out."""
    if any(hole.holds(net) for hole in holes):
        return []
    cut = [hole for hole in holes if net.holds(hole)]
    if not cut:
        return [net]
    half = net.length + 1
    return [*_without(Net(net.address, half), cut), *_without(Net(net.address | 1 << (32 - half), half), cut)]
