"""Targets and ways of the network `internet`: what stands on the host, on its networks, in clouds, and how it is asked.

What answers says `answer of PORT`, so that each try knows whether it got through. The control is made on the host of
the test's own, where all of them are reached.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from .addresses import BEYOND, CLOUDS, LOOPBACK_PORT, OWN, OWN6, OWN_PUBLIC, PORT
from .calls import call
from .sockets import MESSAGES, _ask, _attribute
from .tries import Facts, Held, add, way

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS, WAYS, CHANGES = "network targets", "network ways", "network changes"
SILENT = 1.0
"""Seconds to wait for an answer that must not come; who answers is on this machine. A control waits longer."""

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def _ask_for(
    address: str, protocol: str = "tcp", port: int = PORT, prepare: Callable[[socket.socket], object] | None = None
) -> str:
    """What answers; OSError where nothing does."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, _KINDS[protocol]) as asking:
        asking.settimeout(SILENT)
        if prepare is not None:
            prepare(asking)
        asking.connect((address, port))
        asking.send(b"?")
        return _answer(asking.recv(99))


def _answer(told: bytes) -> str:
    if not told.startswith(b"answer of "):
        raise Held(f"another answer: {told[:30]!r}")
    return told.decode()


def _target(address: str, protocol: str, port: int = PORT) -> Any:
    return lambda facts: _ask_for(address, protocol, port)


for _address in (*OWN, *OWN_PUBLIC, *BEYOND, *CLOUDS, *OWN6):
    for _protocol in _KINDS:
        add(TARGETS, f"{_address} by {_protocol.upper()}", _target(_address, _protocol), "network")


# Names of the host's loopback: the control asks on the host, where each is it

for _address in ("127.0.0.1", "127.0.0.53", "127.1.2.3", "0.0.0.0", "::1", "::ffff:127.0.0.1"):
    for _protocol in _KINDS:
        add(TARGETS, f"loopback {_address} by {_protocol.upper()}", _target(_address, _protocol), "network")
add(TARGETS, "loopback alone, by TCP", _target("127.0.0.1", "tcp", LOOPBACK_PORT), "network")
add(TARGETS, "loopback alone, by UDP", _target("127.0.0.1", "udp", LOOPBACK_PORT), "network")


# The machines that slirp4netns plays. In the control these addresses are not; their ports are the host's loopback


def _played(address: str, protocol: str, port: int) -> Any:
    return lambda facts: _ask_for(address if facts["inside"] else "127.0.0.1", protocol, port)


for _address, _what in {
    "10.0.2.2": "the gateway",
    "10.0.2.3": "the name server",
    "10.0.2.4": "the file server",
}.items():
    for _port in (PORT, LOOPBACK_PORT):
        for _protocol in _KINDS:
            add(
                TARGETS,
                f"{_what} at port {_port} by {_protocol.upper()}",
                _played(_address, _protocol, _port),
                "network",
            )


# Ways to say an address


def _written(text: str) -> Any:
    return lambda facts: _ask_for(socket.inet_ntoa(socket.inet_aton(text)))


for _text in ("168364039", "0x0a090807", "012.011.010.07", "10.591879", "10.9.2055"):
    add(WAYS, f"an address written as {_text}", _written(_text), "network")
add(WAYS, "by a name", lambda facts: _ask_for(socket.gethostbyname(facts["name_of_own"])), "network")
for _address in ("::ffff:10.9.8.7", "::ffff:168.63.129.16", "::ffff:10.44.0.9"):
    for _protocol in _KINDS:
        add(WAYS, f"{_address} by {_protocol.upper()}", _target(_address, _protocol), "network")


# Ways to send. `device` is the interface that leads out, and `own_device` to the host's own addresses: tap0 inside


def _bound(facts: Facts, asking: socket.socket) -> None:
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, facts["device"].encode())


def _bound_own(facts: Facts, asking: socket.socket) -> None:
    _bound({"device": facts["own_device"]}, asking)


def _with(address: str, protocol: str, prepare: Callable[[Facts, socket.socket], object]) -> Any:
    return lambda facts: _ask_for(address, protocol, prepare=lambda asking: prepare(facts, asking))


def _set(level: int, option: int, value: int | bytes) -> Callable[[Facts, socket.socket], object]:
    return lambda facts, asking: asking.setsockopt(level, option, value)


def _outgoing(facts: Facts, asking: socket.socket) -> None:
    asking.setsockopt(socket.IPPROTO_IP, 50, struct.pack("!I", socket.if_nametoindex(facts["own_device"])))


_OPTIONS: dict[str, Callable[[Facts, socket.socket], object]] = {
    "bound to the device": _bound_own,
    "by the device alone": _outgoing,
    "without routes": _set(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1),
    "with broadcast": _set(socket.SOL_SOCKET, socket.SO_BROADCAST, 1),
    "with a mark": _set(socket.SOL_SOCKET, 36, 7),
    "with a type of service": _set(socket.IPPROTO_IP, socket.IP_TOS, 0x10),
    "with a priority": _set(socket.SOL_SOCKET, socket.SO_PRIORITY, 6),
    "from any address": _set(socket.IPPROTO_IP, 15, 1),
    "as a proxy": _set(socket.IPPROTO_IP, 19, 1),
    "with a short life": _set(socket.IPPROTO_IP, socket.IP_TTL, 1),
    "without fragments": _set(socket.IPPROTO_IP, 10, 2),
    "by a loose route": _set(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([0x83, 7, 4, 10, 9, 8, 7, 0])),
    "by a strict route": _set(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([0x89, 7, 4, 10, 9, 8, 7, 0])),
    "with a record of its route": _set(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([7, 7, 4, 0, 0, 0, 0, 0])),
}
for _name, _prepare in _OPTIONS.items():
    for _protocol in _KINDS:
        add(WAYS, f"{_name}, by {_protocol.upper()}", _with("10.9.8.7", _protocol, _prepare), "network")
for _address in ("10.44.0.9", "168.63.129.16", "169.254.169.254", "203.0.113.1"):
    for _protocol in _KINDS:
        add(
            WAYS,
            f"{_address} bound to the device, by {_protocol.upper()}",
            _with(_address, _protocol, _bound_own if _address in OWN else _bound),
            "network",
        )


def _unconnected(address: str, flags: int = 0, size: int = 1, ancillary: Any = ()) -> Any:
    def attempt(facts: Facts) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(SILENT)
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            given = [(*each[:2], each[2](facts)) for each in ancillary]
            asking.sendmsg([b"?" * size], given, flags, (address, PORT))
            return _answer(asking.recv(99))

    return attempt


def _information(facts: Facts) -> bytes:
    """struct in_pktinfo: which interface a datagram leaves by."""
    return struct.pack("=i4s4s", socket.if_nametoindex(facts["own_device"]), bytes(4), bytes(4))


add(WAYS, "without a connection", _unconnected("10.9.8.7"), "network")
add(WAYS, "a datagram without routes", _unconnected("10.9.8.7", socket.MSG_DONTROUTE), "network")
add(
    WAYS,
    "a datagram that says its interface",
    _unconnected("10.9.8.7", 0, 1, ((socket.IPPROTO_IP, 8, _information),)),
    "network",
)
add(WAYS, "a datagram in fragments", _unconnected("10.9.8.7", 0, 11), "network")
add(WAYS, "everybody on the network", _unconnected("255.255.255.255"), "network")
add(WAYS, "the broadcast of a network", _unconnected("10.9.8.7", socket.MSG_CONFIRM), "network")


@way(WAYS, "fast open", "network")
def _fast_open(facts: Facts) -> str:
    with socket.socket() as asking:
        asking.settimeout(SILENT)
        with contextlib.suppress(BlockingIOError):  # the first time there is no cookie yet
            asking.sendto(b"?", socket.MSG_FASTOPEN, ("10.9.8.7", PORT))
        return _answer(asking.recv(99))


@way(WAYS, "fast open at connecting", "network")
def _fast_open_connect(facts: Facts) -> str:
    return _ask_for("10.9.8.7", prepare=lambda asking: asking.setsockopt(socket.IPPROTO_TCP, 30, 1))


@way(WAYS, "several paths (MPTCP)", "network")
def _multipath(facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as asking:
        asking.settimeout(SILENT)
        asking.connect(("10.9.8.7", PORT))
        return _answer(asking.recv(99))


@way(WAYS, "UDP-Lite", "network")
def _lite(facts: Facts) -> str:
    """Nobody listens: a refusal is an answer, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136) as asking:
        return _refused(asking)


@way(WAYS, "SCTP", "network")
def _sctp(facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132) as asking:
        return _refused(asking)


@way(WAYS, "DCCP", "network")
def _dccp(facts: Facts) -> str:
    with socket.socket(socket.AF_INET, 6, 33) as asking:
        return _refused(asking)


def _refused(asking: socket.socket) -> str:
    asking.settimeout(SILENT)
    try:
        asking.connect(("10.9.8.7", 7999))
        asking.send(b"?")
        asking.recv(9)
    except ConnectionRefusedError:
        pass
    return "somebody there refused it"


def _ping(address: str) -> Any:
    """An echo by a socket of ICMP's own kind, which needs no right."""

    def attempt(facts: Facts) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as asking:
            asking.settimeout(SILENT)
            asking.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1) + b"solven", (address, 0))
            told, (answering, _) = asking.recvfrom(99)
            if answering != address or told[0]:
                raise Held(f"{answering} said {told[0]}")
            return "it answered"

    return attempt


for _address in ("10.9.8.7", "10.44.0.9", "168.63.129.16", "169.254.169.254"):
    add(WAYS, f"an echo of {_address}", _ping(_address), "network")


def _raw_echo(facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asking:
        asking.settimeout(SILENT)
        asking.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FE, 0, 1), ("10.9.8.7", 0))
        return str(asking.recv(99)[:1])


add(WAYS, "a raw echo", _raw_echo, "network")


@way(WAYS, "a packet of one's own", "network")
def _own_packet(facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sending:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20, 0, 0, 9, 255, 0, bytes(4), bytes([10, 9, 8, 7]))
        return f"sent {sending.sendto(header, ('10.9.8.7', 0))}"


@way(WAYS, "a frame of one's own", "network")
def _own_frame(facts: Facts) -> str:
    """slirp4netns takes a frame to any address: what the routes forbid would go out all the same."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sending:
        sending.bind((facts["device"], 0))
        return f"sent {sending.send(bytes(60))}"


@way(WAYS, "a frame by the tap itself", "network")
def _tap(facts: Facts) -> str:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", b"try1", 0x1002))
    return "another tap"


@way(WAYS, "multicast", "network")
def _multicast(facts: Facts) -> str:
    def prepare(asking: socket.socket) -> None:
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 9)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SILENT)
        prepare(asking)
        asking.sendto(b"?", (facts["group"], facts["group_port"]))
        return _answer(asking.recv(99))


@way(WAYS, "multicast bound to the device", "network")
def _multicast_bound(facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SILENT)
        _bound_own(facts, asking)
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 9)
        asking.sendto(b"?", (facts["group"], facts["group_port"]))
        return _answer(asking.recv(99))


@way(WAYS, "from an address of the host's", "network")
def _from_own(facts: Facts) -> str:
    return _ask_for("10.9.8.7", prepare=lambda asking: asking.bind(("192.0.2.7", 0)))


@way(WAYS, "listen at an address of the host's", "network")
def _listen(facts: Facts) -> str:
    with socket.socket() as listening:
        listening.bind(("192.0.2.7", 7070))
        return "bound"


# Changes of the network itself: the control's end with its host


def _message(name: str) -> Any:
    return lambda facts: _ask(*MESSAGES[name])


for _name in ("a pair of interfaces", "an address", "a route", "a rule", "a neighbour", "a queue"):
    add(CHANGES, f"by adding {_name}", _message(_name), "network")


@way(CHANGES, "by removing a wall", "network")
def _remove(facts: Facts) -> bytes:
    """In the control, which has none, by removing the route to a group that the test has added there."""
    address, length = ("172.16.0.0", 12) if facts["inside"] else (facts["removed"], 32)
    body = struct.pack("=BBBBBBBBI", 2, length, 0, 0, 254, 0, 255, 0, 0) + _attribute(1, socket.inet_aton(address))
    return _ask(0, 25, body)


def _ioctl(request: int, argument: Callable[[Facts], bytes]) -> Any:
    def attempt(facts: Facts) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, request, argument(facts))
            return "done"

    return attempt


def _interface(facts: Facts, rest: bytes) -> bytes:
    return struct.pack("16s", facts["device"].encode()) + rest.ljust(24, b"\0")


add(
    WAYS,
    "by another hardware address of a neighbour",
    _ioctl(
        0x8955,
        lambda facts: struct.pack(
            "=H2x4s8xHB13xi16x16s",
            2,
            bytes([10, 0, 2, 2]) if facts["inside"] else bytes([198, 51, 100, 2]),
            1,
            0x52,
            6,
            facts["device"].encode(),
        ),
    ),
    "network",
)
add(
    WAYS,
    "by another hardware address of its own",
    _ioctl(0x8924, lambda facts: _interface(facts, struct.pack("=H", 1) + bytes([2, 0, 0, 0, 0, 9]))),
    "network",
)
add(
    WAYS,
    "by another size of packets",
    _ioctl(0x8922, lambda facts: _interface(facts, struct.pack("=i", 1400))),
    "network",
)
add(
    WAYS,
    "by listening to all frames",
    _ioctl(0x8914, lambda facts: _interface(facts, struct.pack("=H", 0x1143))),
    "network",
)


@way(CHANGES, "by forwarding", "network")
def _forward(facts: Facts) -> int:
    return os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY)


@way(CHANGES, "by IPv6 again", "network")
def _six(facts: Facts) -> int:
    return os.open(f"/proc/sys/net/ipv6/conf/{facts['device']}/disable_ipv6", os.O_WRONLY)


@way(CHANGES, "by the host's network namespace", "network")
def _join(facts: Facts) -> int:
    return call("setns", os.open(f"/proc/{facts['host_pid']}/ns/net", os.O_RDONLY), 0x40000000)


@way(CHANGES, "by a namespace with the device in it", "network")
def _unshare(facts: Facts) -> int:
    return call("unshare", 0x40000000)


@way(WAYS, "by the helper's process", "network")
def _helper(facts: Facts) -> str:
    """In the control it is the process that is host A."""
    os.kill(facts["helper"], 0)
    return "it can be signalled"


@way(WAYS, "by an abstract socket of the host's", "network")
def _abstract(facts: Facts) -> str:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect("\0" + facts["abstract"])
        return "connected"


# What slirp can do besides


def _datagram(address: str, port: int, packet: bytes, wanted: Callable[[bytes], bool]) -> Any:
    def attempt(facts: Facts) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(SILENT)
            asking.sendto(packet, (address if facts["inside"] else "127.0.0.1", port))
            told = asking.recv(999)
            if not wanted(told):
                raise Held(f"it said {told[:30]!r}")
            return "a file of the host's"

    return attempt


add(
    WAYS,
    "a file of the host's by TFTP",
    _datagram("10.0.2.2", 69, b"\0\1/etc/passwd\0octet\0", lambda told: told[:2] == b"\0\3"),
    "network",
)
