"""Attempts of a command to reach what its network does not have, as the kernel counts them.

In the network `none` there is a way to loopback and to nothing else, and /etc/resolv.conf names a server to which there
is none (`roots.etc`). So each question for a name and each connection to an address outside fails at once with
ENETUNREACH, and the kernel counts it (IPSTATS_MIB_OUTNOROUTES in net/ipv4/tcp_ipv4.c, udp.c and their like for IPv6).
No stream of the command is read for this.
"""

from __future__ import annotations

import os

from solven_env.system.blocks import suppress
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNTERS = ("/proc/self/net/snmp", "/proc/self/net/snmp6")
_LARGEST = 1 << 16


def counters() -> list[int]:
    """Descriptors of the counters of this process's network namespace: they count for it, whoever reads them."""
    opened = []
    for path in COUNTERS:
        with suppress(FileNotFoundError):  # a kernel without IPv6
            opened.append(os.open(path, os.O_RDONLY))
    return opened


def count(opened: Iterable[int]) -> int:
    """Number of packets and connections to which there was no way, since the namespace of these counters began."""
    found = 0
    names: list[bytes] = []
    for line in b"".join(os.pread(counter, _LARGEST, 0) for counter in opened).splitlines():
        if line.startswith(b"Ip:"):  # twice: the names, then the numbers
            words = line.split()
            if names:
                found += int(words[names.index(b"OutNoRoutes")])
            names = words
        elif line.startswith(b"Ip6OutNoRoutes"):
            found += int(line.split()[1])
    return found
