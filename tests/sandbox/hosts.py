"""Two hosts for tests of the network, in namespaces of their own: A, where sandboxes start, and B, its internet.

`python -m tests.sandbox.hosts`, in new network and mount namespaces (with all rights over them), becomes A, makes B,
says `ready`, and stays until its standard input ends; a line there is a command for it, done when it says `ready` again.
No packet leaves the machine: neither has a way out. Listeners
answer with the number of their port, in TCP and UDP, whatever they are asked.

A has OWN and PUBLIC on its loopback device, a veth with 203.0.113.1, and a name server on 127.0.0.53, which is what its
/etc/resolv.conf names. B has 198.51.100.2, and behind it private addresses (PEER is the first) and those of clouds.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import tempfile

from solven_env.system import mounting
from tests.hostile.inside.addresses import BEYOND, CLOUDS, LOOPBACK_PORT, OWN, OWN6, PORT

PUBLIC = ("192.0.2.7", "10.0.2.15")
GATE = "203.0.113.1"
INTERNET, PEER = "198.51.100.2", BEYOND[0]
GROUP, GROUP_PORT, TFTP_PORT = "239.1.2.3", 7011, 69
ABSTRACT = "solven-host-a"
REMOVABLE = "192.0.2.200"
"""Where A has a route to that a try may remove."""
NAME, NAME_OF_OWN = "solven.example", "own.solven.example"

_RESOLVER = "127.0.0.53"
_LOOPBACK = [
    *(f"ip addr add {address}/32 dev lo" for address in (*OWN, *PUBLIC)),
    f"ip route add {GROUP}/32 dev lo",
    f"ip route add {REMOVABLE}/32 dev lo",
]
_IPV6 = [f"ip -6 addr add {address}/128 dev lo" for address in OWN6]
_B_HAS = (INTERNET, *BEYOND, *CLOUDS)
_VETH = "ip link add outside type veth peer name inside netns {pid}"
_A = [f"ip addr add {GATE}/32 dev outside", "ip link set outside up", "ip route add default dev outside"]
_B = [
    "ip link set lo up",
    *(f"ip addr add {address}/32 dev inside" for address in _B_HAS),
    *("ip link set inside up", "ip route add default dev inside"),
]


ASK = """
import concurrent.futures, json, socket, sys

def ask(address, port=7007, protocol="tcp", device=False, patience=20):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as asking:
        asking.settimeout(patience)
        try:
            if device:
                asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tap0")
                asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            asking.connect((address, port))
            asking.send(b"?")
            return asking.recv(99).decode()
        except OSError as error:
            return type(error).__name__ + " " + (error.strerror or "")

with concurrent.futures.ThreadPoolExecutor(99) as pool:
    print(json.dumps(list(pool.map(lambda how: ask(**how), json.loads(sys.argv[1])))))
"""
"""A program for either side: it asks each of a list of `ask`'s arguments at once, and prints what answered."""


def main() -> None:
    for command in ("ip link set lo up", *_LOOPBACK):
        _do(command)
    for command in _IPV6:
        if os.path.exists("/proc/sys/net/ipv6"):
            _do(command)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"search internal.example\nnameserver {_RESOLVER}\n")
        file.flush()
        os.chmod(file.name, 0o644)
        _do(f"mount --bind {file.name} /etc/resolv.conf")
    up_out, up_in = os.pipe()
    laid_out, laid_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(laid_in)
        os.dup2(laid_out, 0)  # ends when A does
        mounting.unshare(mounting.CLONE_NEWNET)
        os.write(up_in, b"1")
        os.read(0, 1)
        for command in _B:
            _do(command)
        # One for each address: what answers a datagram must come from where it went.
        _serve([each for address in _B_HAS for each in _listeners(PORT, address)], up_in)
        return
    os.close(laid_out)
    os.read(up_out, 1)
    for command in (_VETH.format(pid=pid), *_A):
        _do(command)
    os.write(laid_in, b"1")
    os.read(up_out, 1)
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
        file.write(f"{os.getgid()} {os.getgid()}")
    listeners = [
        *_listeners(PORT),
        *_listeners(LOOPBACK_PORT, "127.0.0.1"),
        *_listeners(53, _RESOLVER),
        *_listeners(TFTP_PORT, "127.0.0.1"),
        *_listeners(GROUP_PORT),
    ]
    abstract = socket.socket(socket.AF_UNIX)  # of this network namespace, as long as it is open
    abstract.bind("\0" + ABSTRACT)
    abstract.listen()
    membership = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
    for each in listeners:
        if each.family == socket.AF_INET and each.type == socket.SOCK_DGRAM and each.getsockname()[1] == GROUP_PORT:
            each.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    try:
        _serve(listeners, 1, b"ready\n")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _do(command: str) -> None:
    subprocess.run(command.split(), check=True)


def _listeners(port: int, address: str = "") -> list[socket.socket]:
    """One for TCP and one for UDP, and two more for IPv6 where the address is any."""
    made = []
    for family in (socket.AF_INET,) if address or not socket.has_ipv6 else (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(family, kind)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
            if kind == socket.SOCK_STREAM:
                listener.listen(64)
            made.append(listener)
    return made


def _serve(listeners: list[socket.socket], tell: int, word: bytes = b"1") -> None:
    """Answer until standard input ends, and do what is asked there."""
    os.write(tell, word)
    while True:
        found = select.select([0, *(each.fileno() for each in listeners)], [], [])[0]
        if 0 in found:
            asked = os.read(0, 999).decode()
            if not asked:
                return
            _do(asked)
            os.write(tell, word)
        for ready in (each for each in listeners if each.fileno() in found):
            if ready.type == socket.SOCK_STREAM:
                connection, _ = ready.accept()
                with connection:
                    connection.sendall(_name(ready))
            else:
                question, asker = ready.recvfrom(512)
                ready.sendto(_reply(ready, question), asker)


def _reply(listener: socket.socket, question: bytes) -> bytes:
    """What it says to a datagram: which port it has, a block of a file (RFC 1350), or an address."""
    port = listener.getsockname()[1]
    if port == TFTP_PORT:
        return b"\0\3\0\1a file"
    return _resolve(question) if port == 53 else _name(listener)


def _name(listener: socket.socket) -> bytes:
    return f"answer of {listener.getsockname()[1]}".encode()


def _resolve(question: bytes) -> bytes:
    """An answer (RFC 1035): every name's one IPv4 address is INTERNET, but that of NAME_OF_OWN, which is A's."""
    address = OWN[0] if question[13:16] == b"own" else INTERNET
    end = question.index(b"\0", 12) + 5
    is_a = question[end - 4 : end - 2] == b"\0\1"
    head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address)
    return head + question[12:end] + (answer if is_a else b"")


if __name__ == "__main__":
    main()
