"""What an agent's code must not reach. Each attempt is made inside and must fail for the right reason."""

from __future__ import annotations

import os
import platform
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from solven_env.sandbox import seccomp
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import Bind, Tmpfs
from tests.sandbox.running import DEADLINE, ROOT, Box, command, pids, survivors, wait_for_file


@pytest.mark.skipif(not ROOT, reason="what root keeps is out of an ordinary user's reach anyway")
@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/sudoers", "/etc/ssl/private"])
def test_what_the_host_keeps_for_root_is_not_there(box: Box, path: str) -> None:
    assert not box.shell(f"cat {path} || ls {path}").out


@pytest.mark.skipif(not ROOT, reason="needs a file of root's")
def test_a_root_only_file_cannot_be_read_even_where_it_is_mounted(box: Box) -> None:
    secret = box.base / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (secret / "key").chmod(0o600)
    secret.chmod(0o755)
    mine = box.but(mounts=(*box.plan.mounts, Bind("/shown", str(secret))))
    result = mine.shell("ls /shown; cat /shown/key")
    assert result.out == b"key\n"
    assert b"Permission denied" in result.err


def test_credentials_in_etc_are_not_there(box: Box) -> None:
    """The host's own list of files, not ours: whatever it has that is not on the list stays outside."""
    names = (
        "pip.conf npmrc netrc apt docker kubernetes krb5.keytab wireguard NetworkManager cloud ssh sudoers.d shadow-"
    )
    listed = box.shell("ls -A /etc").out.decode().split()
    assert set(names.split()).isdisjoint(listed)
    assert {"passwd", "group", "hosts", "ssl", "nsswitch.conf"} <= set(listed)
    assert box.shell("cat /etc/passwd").out.count(b"\n") == 3


def test_another_thread_is_nowhere(box: Box) -> None:
    other = box.neighbour("other")
    with session.start(other.plan, command("sh", "-c", "echo secret > /secret; exec sleep 600"), box.runtime):
        wait_for_file(other.workspace / "secret")
        for path in (str(other.workspace / "secret"), str(box.base), "/../../secret", "/proc/1/root" + str(box.base)):
            assert box.shell(f"cat {path} || ls {path}").out == b"", path
        found = box.shell(
            "grep -rl secret /tmp /run /var /dev/shm /proc/[0-9]*/environ 2>/dev/null; ls /proc | grep -c '^[0-9]'"
        )
        assert int(found.out) <= 5


def test_host_processes_are_invisible_and_cannot_be_signalled(box: Box) -> None:
    text = (
        "import os, sys\n"
        "for pid in range(2, int(sys.argv[1])):\n"
        "  try: os.kill(pid, 0)\n"
        "  except OSError: continue\n"
        "  print(pid)"
    )
    seen = box.run("python3", "-c", text, str(max(pids()) + 10))
    assert [int(pid) for pid in seen.out.split()] == [2]


def test_no_capability_no_new_privilege_and_a_filter(box: Box) -> None:
    status = dict(
        line.split(":\t") for line in box.shell("cat /proc/self/status").out.decode().splitlines() if ":\t" in line
    )
    assert {status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"].split()) in [("1", "2", ["1000"]), ("1", "2", [])]
    host_uid = os.geteuid() if not ROOT else 61000
    with session.start(box.plan, command("sleep", "611"), box.runtime):
        about = _status_of(b"sleep\x00611\x00", box.base.name)
    (line,) = (line for line in about.splitlines() if line.startswith("Uid:"))
    assert set(line.split()[1:]) == {str(host_uid)}


def _status_of(command_line: bytes, mark: str) -> str:
    """/proc/PID/status of the test's own process with this command line, as soon as there is one."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        for pid in survivors(mark, command_line):
            with suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes() == command_line:
                    return Path(f"/proc/{pid}/status").read_text()
    raise AssertionError(f"no {command_line!r}")


CALL = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
result = libc.syscall(*(int(each) for each in sys.argv[1:]))
print(errno.errorcode.get(ctypes.get_errno(), 0) if result < 0 else "done")
"""
NEW_USER = 0x10000000


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("io_uring_setup", (1, 0), "ENOSYS"),
        ("keyctl", (0, -3, 0), "ENOSYS"),
        ("add_key", (0, 0, 0, 0, 0), "ENOSYS"),
        ("bpf", (0, 0, 0), "ENOSYS"),
        ("userfaultfd", (0,), "ENOSYS"),
        ("perf_event_open", (0, 0, 0, 0, 0), "ENOSYS"),
        ("clone3", (0, 0), "ENOSYS"),
        ("fsopen", (0, 0), "ENOSYS"),
        ("open_tree", (-100, 0, 0), "ENOSYS"),
        ("mount", (0, 0, 0, 0, 0), "EPERM"),
        ("umount2", (0, 0), "EPERM"),
        ("unshare", (NEW_USER,), "EPERM"),
        ("setns", (0, 0), "EPERM"),
        ("ptrace", (0, 0, 0, 0), "EPERM"),
        ("process_vm_readv", (1, 0, 0, 0, 0, 0), "EPERM"),
        ("pivot_root", (0, 0), "EPERM"),
    ],
)
def test_calls_that_are_refused(box: Box, name: str, arguments: tuple[int, ...], expected: str) -> None:
    number = seccomp.NUMBERS[name][platform.machine() == "aarch64"]
    result = box.run("python3", "-c", CALL, str(number), *map(str, arguments))
    assert result.out.decode().strip() == expected, result.err


@pytest.mark.parametrize("network", ["none", "host"])
@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_ALG, socket.AF_PACKET])
def test_a_socket_that_no_network_namespace_keeps_in_is_refused(box: Box, family: int, network: str) -> None:
    """By AF_VSOCK a command reached the hypervisor whatever its network, and other threads' commands had its ports."""
    code = f"import socket; socket.socket({int(family)}, socket.SOCK_STREAM)"
    result = box.but(network=network).run("python3", "-c", code)
    assert b"Address family not supported" in result.err


def test_a_user_namespace_by_clone_is_refused_too(box: Box) -> None:
    """The filter cannot see it: clone(2) has too many uses. `--disable-userns` refuses it (ENOSPC)."""
    clone = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    assert box.run("python3", "-c", CALL, str(clone), str(NEW_USER | 17), "0", "0", "0", "0").out == b"ENOSPC\n"


def test_set_uid_programs_and_devices_have_no_effect(box: Box) -> None:
    assert b"nosuid" in box.shell("cat /proc/mounts").out
    for line in box.shell("cat /proc/mounts").out.decode().splitlines():
        _, target, _, options, *_ = line.split()
        assert "nosuid" in options.split(","), line
        assert "nodev" in options.split(",") or target.startswith("/dev/"), line
    made = box.shell("mknod /null c 1 3; mknod /tmp/null c 1 3; su -c id; ls /null /tmp/null")
    assert b"Operation not permitted" in made.err
    assert made.out == b""


def test_devices_are_the_few_that_programs_count_on(box: Box) -> None:
    listed = box.shell("ls /dev; echo > /dev/null; head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c")
    names = b"fd full null ptmx pts random shm stderr stdin stdout tty urandom zero 3 5"
    assert b" ".join(listed.out.split()) == names
    assert box.run("python3", "-c", "import os; print(os.ttyname(os.openpty()[1]))").out == b"/dev/pts/0\n"


def test_a_system_directory_cannot_be_changed(box: Box) -> None:
    for path in ("/usr/bin", "/bin", "/lib", "/etc", "/sys", "/etc/alternatives"):
        assert b"Read-only" in box.shell(f"touch {path}/x").err, path


def test_a_fork_bomb_of_orphans_ends_with_its_command(box: Box) -> None:
    text = "i=0; while [ $i -lt 60 ]; do (setsid sleep 600 & ) & i=$((i+1)); done >/dev/null 2>&1; wait; exit 5"
    assert box.shell(text, timeout=20.0).status == 5  # the fixture finds none of the 60


def test_memory_at_tmp_has_its_size(box: Box) -> None:
    mine = box.but(mounts=(*(m for m in box.plan.mounts if m.target != "/tmp"), Tmpfs("/tmp", size=1 << 20)))
    assert b"No space left" in mine.shell("head -c 2000000 /dev/zero > /tmp/x").err
