"""Attempts of a command to reach what its network does not have, as the kernel counts them.

In the network `none` there is a way to loopback and to nothing else, and /etc/resolv.conf names a server to which there
is none (`roots.etc`). So each question for a name and each connection to an address outside fails at once with
ENETUNREACH, and the kernel counts it (IPSTATS_MIB_OUTNOROUTES in net/ipv4/tcp_ipv4.c, udp.c and their like for IPv6).
No stream of the command is read for this.
"""

from __future__ import annotations

import os

from solven_env.system import mounting
from solven_env.system.blocks import holding, suppress

_IPV4 = "/proc/self/net/snmp"
_IPV6 = "/proc/self/net/snmp6"


def count(namespace: int) -> int:
    """Number of packets and connections in a network namespace to which there was no way, from its beginning.

    This process is in that namespace meanwhile, and must have no other thread.
    """
    with holding(os.open("/proc/self/ns/net", os.O_RDONLY)) as home:
        mounting.join_namespace(namespace, mounting.CLONE_NEWNET)
        try:
            return _count()
        finally:
            mounting.join_namespace(home, mounting.CLONE_NEWNET)


def _count() -> int:
    found = 0
    names: list[bytes] = []
    for line in _lines(_IPV4):
        if line.startswith(b"Ip:"):  # twice: the names, then the numbers
            words = line.split()
            if names:
                found += int(words[names.index(b"OutNoRoutes")])
            names = words
    for line in _lines(_IPV6):
        if line.startswith(b"Ip6OutNoRoutes"):
            found += int(line.split()[1])
    return found


def _lines(path: str) -> list[bytes]:
    with suppress(FileNotFoundError), open(path, "rb") as file:  # a kernel without IPv6 has one of them
        return file.read().splitlines()
    return []
