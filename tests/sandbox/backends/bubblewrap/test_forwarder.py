"""Ports of a session that the host reaches: whole data, many at once, half-closed, and nothing the other way."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import UsageError
from tests.run.conftest import _settle
from tests.run.world import new_world, remove
from tests.sandbox.running import ROOT, pids, survivors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World

PROFILE = """
version: 1
name: served
release: 1.0.0
sandbox: {processes: session, network: NETWORK}
"""
ECHO = """
import socket, threading
server = socket.create_server(("127.0.0.1", PORT), backlog=200)
open("/up", "w").close()
def serve(each):
    received = b""
    while piece := each.recv(65536):
        received += piece
    each.sendall(received[::-1])
    each.close()
while True:
    each, _ = server.accept()
    threading.Thread(target=serve, args=(each,)).start()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = new_world(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        _settle(made, patch)
        for network in ("none", "host"):
            made.profile = made.base / f"{network}.yaml"
            made.profile.write_text(PROFILE.replace("NETWORK", network))
            made.apply(network)
        yield made
    made.close()
    remove(made.base)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
        sending.join()
        return answer


@pytest.mark.parametrize("network", ["none", "host"])
def test_a_published_port_carries_data_both_ways(world: World, network: str) -> None:
    inside = free_port()
    with solven_env.Sandbox.connect(network, storage=world.storage) as sandbox:
        port = sandbox.publish(inside)
        assert sandbox.publish(inside) == port != sandbox.publish(inside + 1)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as early:
            assert early.recv(1) == b""
        program = ECHO.replace("PORT", str(inside))
        sandbox.run(
            ["sh", "-c", 'rm -f /up; setsid python3 -c "$0" & while [ ! -e /up ]; do sleep 0.01; done', program]
        )
        assert ask(port, b"hello") == b"olleh"
        large = os.urandom(8 << 20)
        assert ask(port, large) == large[::-1]
        answers: list[bytes] = []
        asking = [threading.Thread(target=lambda: answers.append(ask(port, b"ab" * 1000))) for _ in range(100)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        assert answers == [b"ba" * 1000] * 100
        for _ in range(20):  # callers that go without a word, and one that stays
            socket.create_connection(("127.0.0.1", port)).close()
        idle = socket.create_connection(("127.0.0.1", port))
        assert ask(port, b"hello") == b"olleh"
    with idle:
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert survivors(world.base.name) == []


def test_the_listener_is_on_loopback_and_its_process_has_no_rights(world: World) -> None:
    with solven_env.Sandbox.connect("none", storage=world.storage) as sandbox:
        port = sandbox.publish(8000)
        hexadecimal = f"{port:04X}"
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line]
        assert [each for each in listening if each.endswith(f":{hexadecimal}")] == [f"0100007F:{hexadecimal}"]
        # Inside nothing listens, and nothing that the host has is reached.
        reached = sandbox.run(["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"])
        assert "refused" in reached.stderr
        forwarders = [each for each in pids() if _is_forwarder(each, port)]
        assert len(forwarders) == 1
        status = Path(f"/proc/{forwarders[0]}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["CapEff"] == fields["CapPrm"] == "0" * 16
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
        if ROOT:
            assert "0" not in fields["Uid"].split()
        assert sandbox.run("ls -d /proc/[0-9]*/ | wc -l").stdout.strip() in "123456"


def _is_forwarder(pid: int, port: int) -> bool:
    try:
        links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        table = Path("/proc/net/tcp").read_text().splitlines()
    except OSError:
        return False
    inodes = [line.split()[9] for line in table if line.split()[1].endswith(f":{port:04X}")]
    return pid != os.getpid() and any(f"socket:[{each}]" in links for each in inodes)


def test_a_forwarder_that_is_killed_is_replaced_and_bad_ports_are_told(world: World) -> None:
    with solven_env.Sandbox.connect("none", storage=world.storage) as sandbox:
        port = sandbox.publish(8000)
        (forwarder,) = [each for each in pids() if _is_forwarder(each, port)]
        os.kill(forwarder, 9)
        until = time.monotonic() + 20
        while sandbox.publish(8000) == port and time.monotonic() < until:
            time.sleep(0.01)
        assert sandbox.publish(8000) != port
        for bad in (0, 65536, True, "80"):
            with pytest.raises(UsageError, match="port"):
                sandbox.publish(bad)  # type: ignore[arg-type]
