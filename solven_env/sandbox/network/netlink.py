"""The kernel's IPv4 routes through its own socket (rtnetlink(7)): a host may lack iproute2, and each `ip` takes 1 ms.

Both functions work in the network namespace of the process, and raise OSError.
"""

from __future__ import annotations

import os
import struct

from solven_env.sandbox.network.walls import Net
from solven_env.system.plain import Socket, socket
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# include/uapi/linux/netlink.h
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_SOL_NETLINK, _GET_STRICT_CHK = 270, 12
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
# include/uapi/linux/rtnetlink.h
_NEWROUTE, _GETROUTE = 24, 26
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, destination's length, source's, tos, table, protocol, scope, type, flags
_ATTRIBUTE = struct.Struct("=HH")  # length with this header, type
_DESTINATION = 1
_TABLE_MAIN, _TABLE_LOCAL, _PROTOCOL_STATIC = 254, 255, 4
_LOCAL, _UNREACHABLE = 2, 7
_LARGEST = 1 << 16


def own_networks() -> tuple[Net, ...]:
    """Every address that the kernel takes for the host's own: those of its interfaces, and any other local route."""
    with _connect() as kernel:
        # Without it older kernels list every route there is; the kernels that do not know it are too old for us.
        kernel.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
        body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _TABLE_LOCAL, 0, 0, _LOCAL, 0)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _GETROUTE, _REQUEST | _DUMP, 1, 0) + body)
        return tuple(sorted(Net(*found) for answer in _answers(kernel) if (found := _local(answer))))


def make_unreachable(nets: Iterable[Net]) -> None:
    """Add a route to each that answers EHOSTUNREACH at once, whatever protocol."""
    with _connect() as kernel:
        for net in nets:
            destination = net.address.to_bytes(4, "big")
            body = _ROUTE.pack(socket.AF_INET, net.length, 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, 0, _UNREACHABLE, 0)
            body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(destination), _DESTINATION) + destination
            flags = _REQUEST | _ACK | _CREATE | _EXCL
            kernel.send(_HEADER.pack(_HEADER.size + len(body), _NEWROUTE, flags, 1, 0) + body)
            for _ in _answers(kernel):
                pass


def _connect() -> Socket:
    return Socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


def _answers(kernel: Socket) -> Iterator[bytes]:
    """The bodies of the messages that answer one request, to its end."""
    while True:
        packet = kernel.recv(_LARGEST)
        while packet:
            length, kind, *_ = _HEADER.unpack_from(packet)
            body, packet = packet[_HEADER.size : length], packet[(length + 3) & ~3 :]
            if kind == _DONE:
                return
            if kind == _ERROR:
                (code,) = struct.unpack_from("=i", body)
                if code:
                    raise OSError(-code, os.strerror(-code), "netlink")
                return
            yield body


def _local(body: bytes) -> tuple[int, int] | None:
    """The address and the length of a local route."""
    _, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    attributes = body[_ROUTE.size :]
    while (table, kind) == (_TABLE_LOCAL, _LOCAL) and attributes:
        size, what = _ATTRIBUTE.unpack_from(attributes)
        if what == _DESTINATION:
            return int.from_bytes(attributes[_ATTRIBUTE.size : size], "big"), length
        attributes = attributes[(size + 3) & ~3 :]
    return None
