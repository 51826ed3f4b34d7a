"""Sockets, queues, memory and keys of the host's, where the network is `none`."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import Any

from .calls import call, libc
from .tries import Facts, Held, Untried, add, way

KIND = "sockets"


@way(KIND, "abstract, of streams")
def _abstract(facts: Facts) -> str:
    return _connect(socket.SOCK_STREAM, "\0" + facts["abstract"])


@way(KIND, "abstract, of datagrams")
def _abstract_datagram(facts: Facts) -> str:
    return _connect(socket.SOCK_DGRAM, "\0" + facts["abstract"] + "-datagrams")


def _connect(kind: int, address: str) -> str:
    with socket.socket(socket.AF_UNIX, kind) as asking:
        asking.connect(address)
        return "connected"


@way(KIND, "by its path")
def _path(facts: Facts) -> str:
    return _connect(socket.SOCK_STREAM, facts["socket"])


@way(KIND, "a FIFO by its path")
def _fifo(facts: Facts) -> int:
    return os.open(facts["fifo"], os.O_RDWR | os.O_NONBLOCK)


@way(KIND, "the host's loopback")
def _loopback(facts: Facts) -> str:
    with socket.create_connection(("127.0.0.1", facts["port"]), timeout=2):
        return "connected"


@way(KIND, "the host's loopback by UDP")
def _loopback_udp(facts: Facts) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.connect(("127.0.0.1", facts["port"]))
        asking.send(b"?")
        return asking.recv(9)


@way(KIND, "the host's loopback by IPv6")
def _loopback_6(facts: Facts) -> str:
    if not facts["port6"]:
        raise Untried("this host has no IPv6")
    with socket.create_connection(("::1", facts["port6"]), timeout=2):
        return "connected"


# Families that no network namespace keeps in, or that are ways into the kernel

_FAMILIES = {
    "AF_AX25": (3, 5), "AF_IPX": (4, 2), "AF_APPLETALK": (5, 2), "AF_NETROM": (6, 5), "AF_ATMPVC": (8, 2),
    "AF_X25": (9, 5), "AF_ROSE": (11, 5), "AF_KEY": (15, 3), "AF_PACKET": (17, 3), "AF_RDS": (21, 5),
    "AF_PPPOX": (24, 1), "AF_LLC": (26, 2), "AF_CAN": (29, 3), "AF_TIPC": (30, 4), "AF_BLUETOOTH": (31, 3),
    "AF_IUCV": (32, 1), "AF_RXRPC": (33, 2), "AF_PHONET": (35, 2), "AF_IEEE802154": (36, 2), "AF_CAIF": (37, 5),
    "AF_ALG": (38, 5), "AF_NFC": (39, 5), "AF_VSOCK": (40, 1), "AF_KCM": (41, 5), "AF_QIPCRTR": (42, 2),
    "AF_SMC": (43, 1), "AF_XDP": (44, 3), "AF_MCTP": (45, 2),
}  # fmt: skip


def _family(family: int, kind: int) -> Any:
    def attempt(facts: Facts) -> str:
        protocol = 2 if family == 33 else 1 if family in (31, 39) else 0  # rxrpc: over IPv4
        with socket.socket(family, kind, protocol):
            return "made"

    return attempt


for _name, (_number, _kind) in _FAMILIES.items():
    add(KIND, _name, _family(_number, _kind), "rights")


def _raw(protocol: int, family: int = socket.AF_INET) -> Any:
    def attempt(facts: Facts) -> str:
        with socket.socket(family, socket.SOCK_RAW, protocol):
            return "made"

    return attempt


add(KIND, "raw, of ICMP", _raw(1), "rights")
add(KIND, "raw, of TCP", _raw(6), "rights")
add(KIND, "raw, with headers of one's own", _raw(255), "rights")
add(KIND, "raw, of ICMPv6", _raw(58, socket.AF_INET6), "rights")


def _option(level: int, option: int, value: int | bytes) -> Any:
    def attempt(facts: Facts) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
            made.setsockopt(level, option, value)
            return "set"

    return attempt


for _name, _set in {
    "a mark": _option(socket.SOL_SOCKET, 36, 1),
    "a high priority": _option(socket.SOL_SOCKET, socket.SO_PRIORITY, 7),
    "more memory than allowed": _option(socket.SOL_SOCKET, 33, 1 << 20),
    "debugging": _option(socket.SOL_SOCKET, socket.SO_DEBUG, 1),
    "another's address": _option(socket.IPPROTO_IP, 19, 1),
    "repair": _option(socket.IPPROTO_TCP, 19, 1),
}.items():
    add(KIND, _name, _set, "rights")


@way(KIND, "a low port", "rights")
def _low(facts: Facts) -> str:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 81))
        return "bound"


# Netlink


def _ask(protocol: int, kind: int, body: bytes, flags: int = 5, groups: int = 0) -> bytes:
    """The answer to one message; OSError where it is a refusal."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.settimeout(2)
        kernel.bind((0, groups))
        kernel.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = kernel.recv(1 << 16)
        if struct.unpack_from("=H", answer, 4)[0] == 2:
            (code,) = struct.unpack_from("=i", answer, 16)
            if code:
                raise OSError(-code, os.strerror(-code))
        return answer


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


_IFNAME = _attribute(3, b"try0\0")
_LINK = bytes(16)  # struct ifinfomsg
_NEW = 0x605  # request, acknowledge, create, exclusive
MESSAGES = {
    # What: protocol, type, body, flags
    "a pair of interfaces": (0, 16, _LINK + _IFNAME + _attribute(18, _attribute(1, b"veth\0")), _NEW),
    "an interface down": (0, 16, struct.pack("=BxHiII", 0, 0, 1, 0, 1), 5),
    "an address": (0, 20, struct.pack("=BBBBI", 2, 32, 0, 254, 1) + _attribute(2, bytes([192, 0, 2, 99])), _NEW),
    "a route": (0, 24, struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 4, 254, 7, 0) + _attribute(1, bytes([192, 0, 2, 98])), _NEW),
    "a rule": (0, 32, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 1, 0) + _attribute(6, struct.pack("=I", 9)), _NEW),
    "a neighbour": (0, 28, struct.pack("=BxHiHBB", 2, 0, 1, 0x80, 0, 0) + _attribute(1, bytes([127, 0, 0, 9])) + _attribute(2, bytes(6)), _NEW),
    "a queue": (0, 36, struct.pack("=BxHiIII", 0, 0, 1, 0x10000, 0xFFFFFFFF, 0) + _attribute(1, b"pfifo\0"), _NEW),
    "the audit's settings": (9, 1000, b"", 5),
    "a message for the audit": (9, 1107, b"solven try", 5),
    "policies of IPsec": (6, 0x15, bytes(0), 0x305),
    "tables of the packet filter": (12, 0xA01, struct.pack("=BBH", 2, 0, 0), 0x305),
    "processes' events": (11, 3, struct.pack("=IIIIHHI", 1, 1, 0, 0, 4, 0, 1), 0),
}  # fmt: skip


def _message(protocol: int, kind: int, body: bytes, flags: int) -> Any:
    def attempt(facts: Facts) -> bytes:
        return _ask(protocol, kind, body, flags, groups=1 if protocol == 11 else 0)

    return attempt


for _name, _what in MESSAGES.items():
    add(KIND, f"netlink: {_name}", _message(*_what), "rights")


@way(KIND, "netlink: the host's sockets")
def _diagnosed(facts: Facts) -> str:
    """unix_diag: every socket of the network namespace, with its name."""
    found = b""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as kernel:
        kernel.settimeout(2)
        body = struct.pack("=BBHIIIII", 1, 0, 0, 0xFFFFFFFF, 0, 1, 0, 0)
        kernel.send(struct.pack("=IHHII", 16 + len(body), 20, 0x301, 1, 0) + body)
        while True:
            part = kernel.recv(1 << 16)
            found += part
            if struct.unpack_from("=H", part, 4)[0] in (2, 3):
                break
    if facts["abstract"].encode() not in found:
        raise Held("the host's is not among them")
    return "listed"


# System V, POSIX, keys


@way("shared memory and queues", "memory by its key")
def _shm(facts: Facts) -> bytes:
    found = libc.shmget(facts["key"], ctypes.c_size_t(0), 0)
    if found < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    libc.shmat.restype = ctypes.c_void_p
    return ctypes.string_at(libc.shmat(found, None, 0), 9)


@way("shared memory and queues", "memory by its number")
def _shm_number(facts: Facts) -> bytes:
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(facts["shm"], None, 0)
    if at == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "shmat")
    return ctypes.string_at(at, 9)


@way("shared memory and queues", "semaphores")
def _semaphores(facts: Facts) -> str:
    if libc.semget(facts["key"], 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "semget")
    return "opened"


@way("shared memory and queues", "messages")
def _messages(facts: Facts) -> str:
    found = libc.msgget(facts["key"], 0)
    if found < 0 or libc.msgsnd(found, struct.pack("=q8s", 1, b"inside"), ctypes.c_size_t(8), 0o4000):
        raise OSError(ctypes.get_errno(), "msgget")
    return "sent"


@way("shared memory and queues", "a queue of POSIX")
def _queue(facts: Facts) -> str:
    numbers = {"x86_64": 240, "aarch64": 180}
    descriptor = libc.syscall(ctypes.c_long(numbers[os.uname().machine]), facts["queue"].encode(), os.O_RDWR, 0, None)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "mq_open")
    return "opened"


@way("keys", "the user's ring")
def _user_ring(facts: Facts) -> int:
    """KEYCTL_SEARCH in the user's keyring, which namespaces of a network or of processes do not keep apart."""
    return call("keyctl", 10, -4, b"user", facts["key_name"].encode(), 0)


@way("keys", "what a key holds")
def _key(facts: Facts) -> bytes:
    held = ctypes.create_string_buffer(64)
    call("keyctl", 11, facts["key_number"], held, 64)
    return held.value


@way("keys", "the list of all")
def _keys(facts: Facts) -> str:
    with open("/proc/keys") as file:
        if facts["key_name"] not in file.read():
            raise Held("the host's is not listed")
    return "listed"


@way("keys", "the session's ring")
def _session_ring(facts: Facts) -> int:
    return call("keyctl", 1, 0, 0, 0)


@way("keys", "a key by asking")
def _asked(facts: Facts) -> int:
    return call("request_key", b"user", facts["key_name"].encode(), 0, 0)
