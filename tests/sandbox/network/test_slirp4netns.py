"""The network `internet`, on hosts of the test's own (`hosts`): what is reached from a sandbox, and what ends with it.

Nothing here asks a real address, and no answer can come from outside these namespaces.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import encode_plan
from solven_env.sandbox.request import encode_request
from solven_env.system.effects import drive
from tests.hostile.inside.addresses import CLOUDS, LOOPBACK_PORT, OWN, OWN6, PORT
from tests.sandbox.hosting import CHECKOUT, LAUNCH, Host, inside, running
from tests.sandbox.hosts import GATE, GROUP, INTERNET, NAME, PEER, PUBLIC
from tests.sandbox.running import DEADLINE, POLL, ROOT, Box, command, helpers, pids, wait_for_file, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANSWER = f"answer of {PORT}"
UNREACHABLE = "OSError No route to host"
SILENT = 2.0
"""Seconds to wait for an answer that must not come; the listeners are on this machine and answer at once."""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with running() as made:
        yield made


def test_nothing_of_the_hosts_and_nothing_private_is_reached(box: Box, host: Host) -> None:
    closed = [{"address": each, "protocol": kind} for each in (*OWN, *PUBLIC, GATE, PEER) for kind in ("tcp", "udp")]
    assert host.ask(None, *closed) == [ANSWER] * len(closed)  # they do stand there
    assert host.ask(inside(box), *closed) == [UNREACHABLE] * len(closed)
    six = [{"address": each} for each in OWN6]
    assert host.ask(None, *six) == [ANSWER] * len(six)
    assert host.ask(inside(box), *six) == ["OSError Network is unreachable"] * len(six)
    assert host.run(inside(box), "grep", "-c", "", "/proc/net/if_inet6") == "1\n"  # ::1: no link-local address either


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_internet_is_reached(box: Box, host: Host, protocol: str) -> None:
    assert host.ask(inside(box), {"address": INTERNET, "protocol": protocol}) == [ANSWER]


def test_no_loopback_and_no_machine_of_slirps_leads_to_the_hosts(box: Box, host: Host) -> None:
    assert host.ask(None, {"address": "127.0.0.1", "port": LOOPBACK_PORT}) == [f"answer of {LOOPBACK_PORT}"]
    asked = [
        {"address": address, "port": port, "protocol": protocol, "patience": SILENT}
        for address in ("127.0.0.1", "0.0.0.0", "10.0.2.2", "10.0.2.3", "10.0.2.100", "10.0.2.4")
        for port in (PORT, LOOPBACK_PORT)
        for protocol in ("tcp", "udp")
    ]
    for answer in host.ask(inside(box), *asked):
        assert "answer" not in answer


def test_no_option_of_a_socket_is_a_way_around(box: Box, host: Host) -> None:
    """SO_BINDTODEVICE leaves the routes aside."""
    addresses = (*OWN, *PUBLIC, GATE, PEER, "255.255.255.255", "10.0.2.255", "10.0.2.2")
    asked = [{"address": each, "protocol": "udp", "device": True, "patience": SILENT} for each in addresses]
    asked += [{"address": each, "device": True, "patience": SILENT} for each in addresses]
    for answer in host.ask(inside(box), *asked):
        assert "answer" not in answer


LISTEN = f"""
import socket
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("", 7009))
listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("{GROUP}") + socket.inet_aton("127.0.0.1"))
print("up", flush=True)
while (heard := listening.recv(99)) != b"end":
    print(heard.decode(), flush=True)
"""
SHOUT = f"""
import socket, sys
shouting = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
shouting.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
shouting.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 9)
shouting.sendto(sys.argv[2].encode(), ("{GROUP}", 7009))
if sys.argv[2] != "end":  # when this is answered, what went before has passed
    with socket.create_connection(("{INTERNET}", {PORT})) as connection:
        print(connection.recv(99).decode(), end="")
"""


def test_multicast_does_not_pass(box: Box, host: Host) -> None:
    """slirp4netns 1.2.0 hands it on to the host's network, and brings the answers back."""
    listen = [*host.enter, "python3", "-c", LISTEN]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "up\n"
        assert host.run(inside(box), "python3", "-c", SHOUT, "tap0", "from inside") == ANSWER
        host.out("python3", "-c", SHOUT, "lo", "end")
        assert listener.stdout.read() == ""


def test_what_is_allowed_is_reached_all_the_same(box: Box, host: Host) -> None:
    asked = [{"address": each} for each in (PEER, OWN[0], PUBLIC[0], "169.254.169.254", CLOUDS[0], INTERNET)]
    cases = {
        (PEER,): {PEER},
        ("10.44.0.0/16",): {PEER},
        ("10.0.0.0/8",): {PEER},  # and of the host's own, which a network does not name, none
        ("10.9.8.7", PUBLIC[0]): {"10.9.8.7", PUBLIC[0]},
        ("169.254.169.254",): {"169.254.169.254"},
        ("0.0.0.0/0",): {PEER},
        (CLOUDS[0],): {CLOUDS[0]},
        ("168.0.0.0/5",): set(),  # nor those of clouds
    }
    for allow, opened in cases.items():
        answers = host.ask(inside(box, allow=allow), *asked)
        reached = {how["address"] for how, answer in zip(asked, answers, strict=True) if answer == ANSWER}
        assert reached == opened | {INTERNET}, allow


def test_names_are_resolved_though_the_hosts_resolver_is_on_its_loopback(box: Box, host: Host) -> None:
    text = f"import socket; print(socket.gethostbyname('{NAME}'))"
    assert host.run(inside(box), "python3", "-c", text) == f"{INTERNET}\n"
    assert host.ask(inside(box), {"address": "10.0.2.3", "port": 53}) == ["answer of 53"]
    assert host.run(inside(box), "cat", "/etc/resolv.conf") == "nameserver 10.0.2.3\n"
    assert "\nnameserver 192.0.2.1\n" in host.run(inside(box, network="none"), "cat", "/etc/resolv.conf")
    assert "nameserver 127.0.0.53" in host.run(inside(box, network="host"), "cat", "/etc/resolv.conf")


def test_an_address_that_the_host_gets_later_is_closed_to_the_next_command(box: Box, host: Host) -> None:
    own = inside(box)
    late = "198.51.100.77"
    with host.started(own, "touch /up; read -r _") as kept:
        wait_for_file(own.workspace / "up")
        assert host.ask(own, {"address": late, "patience": SILENT}) != [UNREACHABLE]
        host.do(f"ip addr add {late}/32 dev lo")
        try:
            assert host.ask(None, {"address": late}) == [ANSWER]
            assert host.ask(own, {"address": late}) == [UNREACHABLE]
        finally:
            host.do(f"ip addr del {late}/32 dev lo")
        kept.communicate(b"\n")


def test_another_name_server_of_the_hosts_is_asked_by_the_next_command(box: Box, host: Host) -> None:
    own = inside(box)
    lookup = ("python3", "-c", f"import socket; print(socket.gethostbyname('{NAME}'))")
    first, second = (box.base / name for name in ("first", "second"))
    first.write_bytes(host.out("cat", "/etc/resolv.conf").encode())
    second.write_text("nameserver 127.0.0.54\n")
    with host.started(own, "touch /up; read -r _") as kept:
        wait_for_file(own.workspace / "up")
        host.do(f"cp {second} /etc/resolv.conf")
        try:
            asked = f'RES_OPTIONS="timeout:1 attempts:1" {lookup[0]} -c "{lookup[2]}" 2>&1; true'
            assert "Temporary failure" in host.run(own, "sh", "-c", asked)
        finally:
            host.do(f"cp {first} /etc/resolv.conf")
        assert host.run(own, *lookup) == f"{INTERNET}\n"
        kept.communicate(b"\n")


CHANGES = """
import errno, fcntl, os, socket, struct
from solven_env.sandbox.network import netlink
from solven_env.sandbox.network.walls import Net
for attempt in (lambda: netlink.make_unreachable([Net(0x01010100, 24)]),
                lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1"),
                lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
                lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
                lambda: fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH22x", b"tap0", 0)),
                lambda: fcntl.ioctl(os.open("/dev/net/tun", os.O_RDWR), 0x400454CA, struct.pack("16sH22x", b"tap0", 2)),
                lambda: os.unshare(os.CLONE_NEWNET) if hasattr(os, "unshare") else os.listdir("/nowhere")):
    try:
        attempt()
        print("done")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_a_sandbox_can_change_nothing_of_it(box: Box, host: Host) -> None:
    own = inside(box)
    for name in ("sandbox/network", "system"):
        (own.workspace / "solven_env" / name).mkdir(parents=True)
    for name in ("sandbox/network/netlink.py", "sandbox/network/walls.py", "system/plain.py", "typed.py"):
        (own.workspace / "solven_env" / name).write_text((CHECKOUT / "solven_env" / name).read_text())
    said = host.run(own, "python3", "-c", "import sys; sys.path.append('/')\n" + CHANGES).split()
    assert len(said) == 7
    assert set(said) <= {"EPERM", "EACCES", "EROFS", "ENOENT", "EAFNOSUPPORT"}
    assert said[0] == "EPERM"
    removal = (
        "import socket, struct; s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0);"
        "body = struct.pack('=BBBBBBBBI', 2, 12, 0, 0, 254, 4, 0, 7, 0) + struct.pack('=HH', 8, 1) + bytes([172, 16, 0, 0]);"
        "s.send(struct.pack('=IHHII', 16 + len(body), 25, 5, 1, 0) + body);"
        "print(struct.unpack_from('=i', s.recv(999), 16)[0])"
    )
    assert host.run(own, "python3", "-c", removal) == "-1\n"
    assert host.ask(own, {"address": "172.20.1.1"}) == [UNREACHABLE]


FLOWS = 1300
"""More than the ports that host A is left with, and than a helper may open."""
FLOOD = f"""
import resource, socket, sys
INTERNET, ECHO, PORT, FLOWS = "{INTERNET}", ("{PUBLIC[0]}", 7010), {PORT}, {FLOWS}
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

def udp(port=0, patience=20.0):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(patience)
    made.bind(("", port))
    return made

def is_answered():
    with udp(patience=1.0) as asking:
        asking.connect((INTERNET, PORT))
        try:
            asking.send(b"?")
            return bool(asking.recv(99))
        except OSError:
            return False

def say(*words):
    print(*words, flush=True)

kept_tcp = socket.create_connection(ECHO, timeout=20.0)
kept_udp = udp()
kept_udp.connect(ECHO)

def are_served():
    for kept in (kept_tcp, kept_udp):
        kept.send(b"kept")
        assert kept.recv(99) == b"kept"

are_served()
say("up", is_answered())
held = []
for number in range(FLOWS):
    if sys.argv[1] == "udp":
        with udp(10000 + number) as made:
            made.sendto(b"?", (INTERNET, PORT))
    else:
        made = socket.socket()
        made.settimeout(20.0)
        try:
            made.connect((INTERNET, PORT))
        except OSError:
            break
        held.append(made)
    if number % 50 == 0:  # what is answered has passed, so that no queue runs over
        are_served()
are_served()
say("full", is_answered())
sys.stdin.readline()
are_served()
for made in held:
    made.close()
while held and not is_answered():
    pass
say("over")
sys.stdin.readline()
"""
"""A command that takes as many flows as it can get through its helper, of UDP or TCP, and keeps two from before."""
ECHO = f"""
import select, socket
tcp, udp = socket.create_server(("{PUBLIC[0]}", 7010)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("{PUBLIC[0]}", 7010))
print("up", flush=True)
streams = []
while True:
    for ready in select.select([tcp, udp, *streams], [], [])[0]:
        if ready is tcp:
            streams.append(tcp.accept()[0])
        elif ready is udp:
            udp.sendto(*udp.recvfrom(99))
        elif not (heard := ready.recv(99)):
            streams.remove(ready)
        else:
            ready.sendall(heard)
"""


@pytest.fixture
def narrow(box: Box, host: Host) -> Iterator[Host]:
    """Host A with 1,200 ports to give out, and somebody there who says back what is said."""
    setting = "/proc/sys/net/ipv4/ip_local_port_range"
    former, few = (box.base / name for name in ("former", "few"))
    former.write_text(host.out("cat", setting))
    few.write_text("40000 41199")
    host.do(f"cp {few} {setting}")
    try:
        with subprocess.Popen([*host.enter, "python3", "-c", ECHO], stdout=subprocess.PIPE) as echo:
            assert echo.stdout is not None
            assert echo.stdout.readline() == b"up\n"
            yield host
            echo.kill()
    finally:
        host.do(f"cp {former} {setting}")


@contextmanager
def _flood(*line: str) -> Iterator[Callable[[], str]]:
    """A flood that has come to its end, by the command line that starts one; what it says when it is told to go on."""
    with subprocess.Popen(line, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def go_on() -> str:
            stdin.write(b"\n")
            stdin.flush()
            return stdout.readline().decode().strip()

        assert stdout.readline() == b"up True\n"
        assert stdout.readline() == b"full False\n"
        yield go_on
        process.kill()


def _cpu_time(pid: int) -> int:
    """In ticks, of which a second has 100."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.attack("ports of the host")
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_one_thread_cannot_take_all_ports_of_the_host(box: Box, narrow: Host, protocol: str) -> None:
    """Its helper refuses further flows, serves those that are there, and serves new ones when others have ended."""
    own = inside(box, allow=(PUBLIC[0],))
    asked = encode_request(command("python3", "-c", FLOOD, protocol))
    document = json.dumps({"plan": encode_plan(own.plan), "command": asked})
    with _flood(*narrow.enter, sys.executable, "-c", LAUNCH, box.runtime, document) as go_on:
        helper = _only_helper(own)
        assert 1000 < len(os.listdir(f"/proc/{helper}/fd")) <= 1024
        before = _cpu_time(helper)
        time.sleep(0.3)  # what is measured: it does nothing meanwhile
        assert _cpu_time(helper) - before < 15
        neighbour = inside(box.neighbour("second"))
        questions = [{"address": INTERNET, "protocol": "udp"}] * 40
        assert narrow.ask(neighbour, *questions) == [ANSWER] * len(questions)
        lookup = f"import socket; print(socket.gethostbyname('{NAME}'))"
        assert narrow.run(neighbour, "python3", "-c", lookup) == f"{INTERNET}\n"
        assert go_on() == "over"
        assert _only_helper(own) == helper


def test_without_the_bound_it_could(narrow: Host) -> None:
    """The same flood through a slirp4netns that somebody starts by hand: then nobody on the host has a port."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * FLOWS:
        pytest.skip("the limit of open files is a bound by itself here")
    rights, own = ((), ()) if ROOT else (("--user", "--map-root-user"), ("--user", "--preserve-credentials"))
    asleep = [*narrow.enter, "unshare", *rights, "--net", "sh", "-c", "echo $$; exec sleep 600"]
    with subprocess.Popen(asleep, stdout=subprocess.PIPE) as namespace:
        assert namespace.stdout is not None
        pid = namespace.stdout.readline().decode().strip()
        carry = [*narrow.enter, "slirp4netns", "--configure", "--disable-host-loopback", "--ready-fd=1", pid, "tap0"]
        with subprocess.Popen(carry, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as helper:
            assert helper.stdout is not None
            assert helper.stdout.read(1) == b"1"
            enter = ("nsenter", f"--target={pid}", *own, "--net")
            with _flood(*enter, "python3", "-c", FLOOD, "udp"):
                (answer,) = narrow.ask(None, {"address": INTERNET, "protocol": "udp"})
                assert answer != ANSWER
            helper.kill()
        namespace.kill()


def _only_helper(box: Box) -> int:
    (pid,) = helpers(box.holder())
    return pid


def test_one_helper_a_namespace_is_gone_with_it(box: Box) -> None:
    own = inside(box)
    with session.start(own.plan, command("sh", "-c", "touch /up; exec sleep 600"), own.runtime) as first:
        wait_for_file(own.workspace / "up")
        helper = _only_helper(own)
        assert own.shell("true").status == 0
        assert _only_helper(own) == helper  # of the same shape
        assert box.shell("true").status == 0
        wait_until_gone(helper) if helpers(own.holder()) != [helper] else None
        with session.start(
            inside(box, allow=(PEER,)).plan, command("sh", "-c", "touch /up2; exec sleep 600"), own.runtime
        ) as second:
            wait_for_file(own.workspace / "up2")
            both = helpers(own.holder())
            assert len(both) == 2
            second.kill()
            drive(second.wait())
        first.kill()
        drive(first.wait())
    for pid in both:
        wait_until_gone(pid)


def test_a_dropped_root_takes_its_helper_along(box: Box) -> None:
    own = inside(box)
    with session.start(own.plan, command("sleep", "600"), own.runtime) as first:
        helper = _only_helper(own)
        with session.start(
            box.plan, command("sleep", "600"), own.runtime
        ) as second:  # a newer shape, and no command left
            first.kill()
            drive(first.wait())
            wait_until_gone(helper)
            assert helpers(own.holder()) == []
            second.kill()
            drive(second.wait())


@pytest.mark.parametrize("victim", ["launcher", "holder", "helper"])
def test_a_kill_leaves_no_helper(box: Box, victim: str) -> None:
    own = inside(box)
    document = json.dumps({"plan": encode_plan(own.plan), "command": encode_request(command("sh", "-c", "touch /up; exec sleep 600"))})  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", LAUNCH, own.runtime, document], cwd=CHECKOUT) as launcher:
        wait_for_file(own.workspace / "up")
        holder = own.holder()
        helper = _only_helper(own)
        assert holder is not None
        os.kill({"launcher": launcher.pid, "holder": holder, "helper": helper}[victim], signal.SIGKILL)
        if victim == "helper":
            _wait_until_reaped(helper)
            assert launcher.poll() is None  # its command lives on, without a network
            assert own.shell("true").status == 0
            assert _only_helper(own) != helper
            launcher.kill()
        launcher.wait()
    wait_until_gone(helper)
    wait_until_gone(holder)
    assert own.shell("exit 9").status == 9


def _wait_until_reaped(pid: int) -> None:
    wait_until_gone(pid)
    end = time.monotonic() + DEADLINE
    while pid in pids():
        assert time.monotonic() < end, "a zombie"
        time.sleep(POLL)


def test_a_lost_network_is_replaced_for_the_next_command(box: Box, host: Host) -> None:
    own = inside(box)
    with host.started(own, "touch /up; read -r _") as kept:
        wait_for_file(own.workspace / "up")
        helper = _only_helper(own)
        os.kill(helper, signal.SIGKILL)
        _wait_until_reaped(helper)
        assert host.ask(own, {"address": INTERNET}) == [ANSWER]
        kept.communicate(b"\n")
        assert kept.returncode == 0


def test_the_helper_has_nothing_of_the_hosts(box: Box) -> None:
    """No descriptor but its own, no file but the resolver's address, no right, and a filter of system calls."""
    own = inside(box)
    with session.start(own.plan, command("sleep", "600"), own.runtime) as started:
        helper = _only_helper(own)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{helper}/status").read_text().splitlines())
        assert int(status["CapEff"], 16) & ~(1 << 10) == 0  # CAP_NET_BIND_SERVICE
        assert int(status["CapBnd"], 16) & ~(1 << 10) == 0
        assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
        root = Path(f"/proc/{helper}/root")
        assert {path.name for path in root.iterdir()} == {"etc", "run"}
        assert {path.name for path in (root / "etc").iterdir()} <= {"resolv.conf", "ld.so.cache"}
        assert not any((root / "run").iterdir())
        entries = [os.readlink(entry) for entry in Path(f"/proc/{helper}/fd").iterdir()]
        kinds = sorted(entry.rpartition("/")[2].partition(":")[0] for entry in entries)
        # Two pipes of ours, and a socket to the child that has opened tap0.
        assert kinds == ["net", "null", "null", "pipe", "pipe", "socket", "tun"]
        started.kill()
        drive(started.wait())


def test_a_sandbox_neither_sees_nor_signals_the_helper(box: Box) -> None:
    own = inside(box)
    with session.start(own.plan, command("sleep", "600"), own.runtime) as started:
        helper = _only_helper(own)
        assert own.shell("ls /proc; cat /proc/[0-9]*/cmdline").out.count(b"slirp") == 0
        own.shell("kill -9 -1")
        assert _only_helper(own) == helper
        started.kill()
        drive(started.wait())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("#!/bin/sh\necho 'no such option' >&2; exit 3\n", "no such option"),
        ("#!/bin/sh\nexit 0\n", "it said nothing"),
        ("no program\n", "Exec format error"),
        (None, "No such file"),
    ],
)
def test_a_helper_that_does_not_start_is_told_with_its_words(box: Box, program: str | None, said: str) -> None:
    path = box.base / "slirp4netns"
    if program is not None:
        path.write_text(program)
        path.chmod(0o755)
    with pytest.raises(SandboxError, match=said) as caught:
        inside(box, slirp4netns=str(path)).shell("true")
    assert "--network none" in caught.value.fix
    assert box.shell("exit 7").status == 7
