"""Rules for `sandbox.allow`: the IPv4 addresses and networks that the network `internet` can open."""

from __future__ import annotations

import re

from solven_env.typed import NamedTuple

_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+(?:/\d+)?", re.ASCII)
_NOWHERE = "is no address that a connection can go to"
_OTHER = "Write one that the host reaches."
# Networks that cannot be opened, not even a part of them: the rest of the message, and the fix.
_CLOSED = (
    (
        "127.0.0.0/8",
        "is the sandbox's own loopback, and the host's is never reachable",
        "Let the service listen on another address of the host's, and write that.",
    ),
    ("10.0.2.0/24", "lies in 10.0.2.0/24, which the sandbox's own network has", _OTHER),
    ("0.0.0.0/8", _NOWHERE, _OTHER),
    ("224.0.0.0/4", _NOWHERE, _OTHER),
    ("240.0.0.0/4", _NOWHERE, _OTHER),
)


class Problem(NamedTuple):
    """The mistake in an entry, in words that follow the entry, and its fix."""

    what: str
    fix: str


def problem(text: str) -> Problem | None:
    """The mistake in an entry; None for an address or a network that can be opened.

    >>> problem("10.20.0.0/16")
    >>> problem("10.20.0.1/16").what
    'has bits behind its prefix'
    """
    import ipaddress  # 3 ms, and few profiles have an entry

    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return Problem("is neither an address nor a network", "Write, for example, 10.20.0.0/16.")
    if isinstance(network, ipaddress.IPv6Network):
        return Problem("is IPv6, which the network internet does not carry", "Write IPv4 addresses and networks.")
    if not _IPV4.fullmatch(text):
        return Problem("is not written with the length of its prefix", f"Write {network}.")
    if str(network.network_address) != text.partition("/")[0]:
        return Problem("has bits behind its prefix", f"Write {network}, or the address alone.")
    for closed, what, fix in _CLOSED:
        if network.subnet_of(ipaddress.IPv4Network(closed)):
            return Problem(what, fix)
    return None
