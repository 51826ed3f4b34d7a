"""The network namespaces of roots, and the slirp4netns that carries one's packets: a process in the host's namespace.

The walls stand before the first packet can leave, and a sandbox has no right over any of them:

- a route `unreachable` to everything in `walls`, which no socket option turns into another way: with SO_BINDTODEVICE
  the kernel asks for the neighbour itself, and slirp4netns plays only the two machines of `walls.GATEWAY_AND_DNS`;
- a filter of tap0 for their two hardware addresses and ARP's: multicast asks for no neighbour, and slirp4netns passes
  it on to the host's network, whatever the routes say (seen with 1.2.0: SO_BINDTODEVICE and a TTL above 1);
- no IPv6 on tap0, and none in slirp4netns;
- `--disable-host-loopback`: 10.0.2.2 is no way to the host's loopback. 10.0.2.3 answers DNS alone;
- a bound of its descriptors, so that one thread cannot take all of the host's UDP ports through it.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import struct

from solven_env.errors import SandboxError
from solven_env.sandbox import wire
from solven_env.sandbox.network import attempts, netlink
from solven_env.sandbox.network.walls import GATEWAY_AND_DNS, Net, parse, walls
from solven_env.system import mounting
from solven_env.system.blocks import suppress
from solven_env.system.plain import Socket, pair, signal, socket
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from solven_env.sandbox.launch_plan import LaunchPlan

_TAP = "tap0"
_PATIENCE = 20_000
"""Milliseconds until slirp4netns must be ready; it takes 10 on a quiet machine, and the holder waits."""
_OPTIONS = ("--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp")
_LOADERS_LIST = "/etc/ld.so.cache"
_LARGEST = 4096
_MOST_OPEN = 1024
"""Descriptors of a slirp4netns: one for each flow, and a few of its own. A flow of UDP takes a port of the host's for
240 seconds after its last packet (libslirp's SO_EXPIRE), and the host has 28,232 of them
(net.ipv4.ip_local_port_range). At the bound new flows are refused, and those that are there go on."""

# include/uapi/linux/sockios.h, if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
# include/uapi/linux/if_tun.h
_TUNSETIFF, _TUNSETPERSIST, _TUNSETTXFILTER = 0x400454CA, 0x400454CB, 0x400454D1
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_BROADCAST = b"\xff" * 6
_SLIRP = b"\x52\x55"  # how the hardware addresses of slirp's machines begin; their IPv4 addresses follow


class Helper(NamedTuple):
    """A slirp4netns. It ends when `leash`, the write end of a pipe, is closed."""

    pid: int
    pidfd: int
    leash: int


class Network(NamedTuple):
    """A descriptor of a root's own namespace, and who carries its packets, for `internet`.

    `counters` are the kernel's of the namespace, open for `attempts.count`: for `none`, where nobody carries any.
    """

    namespace: int
    helper: Helper | None = None
    counters: tuple[int, ...] = ()


class Surroundings(NamedTuple):
    """The host's own addresses and its /etc/resolv.conf: a network is made for these, and anew when they change."""

    own: tuple[Net, ...] = ()
    resolver: bytes = b""


def surroundings(plan: LaunchPlan) -> Surroundings:
    """The host's as they are now, where the plan's network depends on them."""
    if plan.network != "internet":
        return Surroundings()
    return Surroundings(netlink.own_networks(), _read("/etc/resolv.conf"))


def make(plan: LaunchPlan, host: Surroundings) -> Network | None:
    """The network that the plan asks for, ready; None for the host's. SandboxError says what slirp4netns said."""
    if plan.network == "host":
        return None
    if plan.network == "none":
        namespace, *counters = _namespace(None)
        return Network(namespace, counters=tuple(counters))
    (namespace,) = _namespace(walls(map(parse, plan.allow), host.own))
    try:
        return Network(namespace, _start_helper(plan.slirp4netns, namespace, host.resolver))
    except BaseException:
        os.close(namespace)
        raise


def end(network: Network) -> None:
    """Let go of the namespace, and see its helper's end."""
    for descriptor in (lose_helper(network).namespace, *network.counters):
        os.close(descriptor)


def lose_helper(network: Network) -> Network:
    """The namespace alone, which keeps its commands in, when the end of its helper has been seen."""
    if network.helper is not None:
        _end_helper(network.helper)
    return network._replace(helper=None)


def _namespace(closed: Iterable[Net] | None) -> list[int]:
    """A descriptor of a new network namespace whose loopback is up; with a filtered tap0 and walls where there are any,
    else followed by those of its counters.

    A child makes it: without privilege there is no way back into the host's (setns needs rights over that one).
    """
    ours, theirs = pair()
    child = os.fork()
    if child == 0:
        try:
            mounting.unshare(mounting.CLONE_NEWNET)
            _raise_loopback()
            if closed is not None:
                netlink.make_unreachable(closed)
                _make_tap()
            opened = [os.open("/proc/self/ns/net", os.O_RDONLY), *(attempts.counters() if closed is None else ())]
            wire.send_descriptors(theirs, b"ready", opened)
        except OSError as error:
            theirs.send(str(error).encode())
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        said, descriptors = wire.receive_descriptors(ours, 1 + len(attempts.COUNTERS))
    os.waitpid(child, 0)
    if not descriptors:
        raise SandboxError(f"no network namespace could be made: {said.decode()}")
    return descriptors


def _raise_loopback() -> None:
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = bytearray(struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("H", request, 16)
        struct.pack_into("H", request, 16, flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def _make_tap() -> None:
    """A tap0 that slirp4netns finds, and that takes frames to its two machines only; it stays as its namespace does."""
    machines = [_SLIRP + (GATEWAY_AND_DNS.address + each).to_bytes(4, "big") for each in range(2)]
    wanted = [_BROADCAST, *machines]
    tap = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", _TAP.encode(), _IFF_TAP | _IFF_NO_PI))
        fcntl.ioctl(tap, _TUNSETTXFILTER, struct.pack("HH", 0, len(wanted)) + b"".join(wanted))
        fcntl.ioctl(tap, _TUNSETPERSIST, 1)
    finally:
        os.close(tap)
    with suppress(FileNotFoundError), open(f"/proc/sys/net/ipv6/conf/{_TAP}/disable_ipv6", "w") as setting:
        setting.write("1")


def _start_helper(program: str, namespace: int, resolver: bytes) -> Helper:
    leash, leash_in = os.pipe()
    ready, ready_in = os.pipe()
    said, said_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_helper(program, namespace, resolver, leash, ready_in, said_in)
    with suppress(OSError):  # it did so itself, and may be past its execve or dead
        os.setpgid(pid, pid)
    for descriptor in (leash, ready_in, said_in):
        os.close(descriptor)
    helper = Helper(pid, os.pidfd_open(pid), leash_in)
    waiting = select.poll()
    waiting.register(ready, select.POLLIN)
    try:
        if not waiting.poll(_PATIENCE):
            problem = f"it was not ready within {_PATIENCE // 1000} seconds"
        elif os.read(ready, 1):
            return helper
        else:
            problem = ""
        _end_helper(helper)
        raise SandboxError(
            f"the network helper slirp4netns could not start: {_last_words(said) or problem or 'it said nothing'}",
            fix="Use --network none, which needs none.",
            location=program,
        )
    finally:
        os.close(ready)
        os.close(said)  # from here on nobody hears it: what it says is at the sandbox's mercy


def _become_helper(program: str, namespace: int, resolver: bytes, leash: int, ready: int, said: int) -> NoReturn:
    try:
        os.setpgid(0, 0)
        _hide_host(resolver)
        null = os.open("/dev/null", os.O_RDWR)
        for number, stream in enumerate((null, null, said)):
            os.dup2(stream, number)
        mounting.close_on_exec(3)
        for descriptor in (namespace, leash, ready):
            os.set_inheritable(descriptor, True)
        most = min(_MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[1])  # which is never infinite
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        own = (f"--exit-fd={leash}", f"--ready-fd={ready}", "--netns-type=path", f"/proc/self/fd/{namespace}", _TAP)
        os.execve(program, [program, *_OPTIONS, *own], {})  # noqa: S606 (no shell is meant)
    except BaseException as error:  # whatever it is, nothing of the holder may go on here
        os.write(said, str(error).encode())
    finally:
        os._exit(125)


def _hide_host(resolver: bytes) -> None:
    """Leave slirp4netns of /etc and /run, which its own sandbox keeps, the resolver's address (and the loader's list).

    Started as root it stays root with CAP_NET_BIND_SERVICE alone: enough to read /etc/shadow and to speak to Docker.
    """
    mounting.unshare(mounting.CLONE_NEWNS)
    shown = {"/etc/resolv.conf": resolver, _LOADERS_LIST: _read(_LOADERS_LIST)}
    for directory in ("/etc", "/run"):
        memory = mounting.new_mount(
            "tmpfs", {"mode": "0755"}, mounting.ATTR_NOSUID | mounting.ATTR_NODEV | mounting.ATTR_NOEXEC
        )
        place = os.open(directory, os.O_PATH)
        mounting.attach(memory, place)
    for path, content in shown.items():
        if content:
            with open(path, "xb") as file:
                file.write(content)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _end_helper(helper: Helper) -> None:
    """Kill it with what it has forked, and reap both; being dead already is as good."""
    os.close(helper.leash)
    os.close(helper.pidfd)
    with suppress(ProcessLookupError):
        os.killpg(helper.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-helper.pid, 0)


def _last_words(said: int) -> str:
    """The last words of a dead helper, as far as they are about its death."""
    lines = os.read(said, _LARGEST).decode(errors="replace").splitlines()
    return "; ".join(line for line in lines if not line.startswith(("WARNING: Support for", "child failed")))
