"""Commands through the whole chain: streams, statuses, environment, endings. Real bubblewrap, real kernel."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from solven_env.errors import SandboxError, UsageError
from solven_env.sandbox import runtime
from solven_env.sandbox.backends.bubblewrap import control, holder, session, starting
from solven_env.sandbox.backends.proot import client
from solven_env.sandbox.launch_plan import Bind, StagedFile, StagedLink, Tmpfs
from solven_env.sandbox.limits import Limits
from solven_env.system.effects import drive
from tests.sandbox.running import (
    DEADLINE,
    PATH,
    PROOT,
    ROOT,
    Box,
    Result,
    command,
    survivors,
    wait_for_file,
    wait_until_gone,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 131_071
CHECKOUT = Path(__file__).resolve().parents[4]


def test_a_command_writes_into_its_workspace_as_the_sandbox_user(box: Box) -> None:
    result = box.shell("cat > /made; id -un; id -u; hostname", data=b"from stdin")
    assert (result.status, result.out, result.err) == (0, b"user\n1000\nsandbox\n", b"")
    assert (box.workspace / "made").read_bytes() == b"from stdin"


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 1"), 1),
        (("sh", "-c", "exit 125"), 125),
        (("sh", "-c", "exit 255"), 255),
        (("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-program",), 127),
        (("/no/such/program",), 127),
        (("/etc/passwd",), 126),
        (("/",), 126),
    ],
)
def test_the_status_is_the_commands(box: Box, argv: tuple[str, ...], status: int) -> None:
    assert box.run(*argv).status == status


def test_bubblewraps_own_failure_is_no_status(box: Box) -> None:
    with pytest.raises(UsageError, match="cwd: /missing is no directory inside"):
        box.run("true", cwd="/missing")
    with pytest.raises(SandboxError, match="No such file"):
        box.but(program="/missing/bwrap").run("true")
    assert box.run("pwd", cwd="/usr/lib").out == b"/usr/lib\n"


@pytest.fixture
def ahead(box: Box) -> Iterator[int]:
    """The first process of the next command of a session that lives on."""
    for _ in range(2):
        assert box.run("true", keep_alive=60.0).status == 0
    (found,) = (pid for pid in survivors(box.base.name) if pid != box.holder())
    yield found
    control.stop(box.plan.session, box.runtime)


def test_the_first_process_of_the_next_command_holds_nothing(box: Box, ahead: int) -> None:
    """No connection of a caller's, which would not see its end; no rights but those that bubblewrap needs."""
    while len(os.listdir(f"/proc/{ahead}/fd")) > 1:  # it has just been forked
        continue
    (descriptor,) = (os.readlink(entry) for entry in Path(f"/proc/{ahead}/fd").iterdir())
    assert descriptor.startswith("socket:")
    if ROOT:
        while os.stat(f"/proc/{ahead}").st_uid == 0 and "\nUid:\t0\t" in Path(f"/proc/{ahead}/status").read_text():
            continue
        assert "CapPrm:\t0000000000000000\n" in Path(f"/proc/{ahead}/status").read_text()
    assert box.shell("echo $$").out == b"2\n"
    wait_until_gone(ahead)


def test_one_that_is_gone_is_replaced(box: Box, ahead: int) -> None:
    os.kill(ahead, signal.SIGKILL)
    while Path(f"/proc/{ahead}/stat").read_text().rpartition(") ")[2][0] != "Z":
        continue
    for _ in range(2):
        assert box.shell("cat; exit 3", data=b"in") == Result(3, b"in", b"")


def test_it_goes_with_its_root(box: Box, ahead: int) -> None:
    other = box.but(mounts=(*box.plan.mounts, Tmpfs("/other")))
    assert other.shell("ls -d /other", keep_alive=60.0).out == b"/other\n"
    wait_until_gone(ahead)


@pytest.mark.usefixtures("ahead")
def test_a_mount_point_that_was_moved_away_under_it_is_another_ones(box: Box) -> None:
    for _ in range(3):
        os.rename(box.workspace / "proc", box.workspace / "moved")
        (box.workspace / "moved").rmdir()
        assert box.shell("ls /proc/self/comm", keep_alive=60.0) == Result(0, b"/proc/self/comm\n", b"")


def test_that_none_can_be_forked_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(starting, "fork", refuse)
    lively: Any = SimpleNamespace(commands=2, next=None, pids=-1)
    holder._fork_ahead(lively, cast("Any", None))
    assert lively.next is None


def test_streams_are_binary_and_apart(box: Box) -> None:
    data = bytes(range(256)) * 4096
    result = box.shell("cat > /tmp/data; cat /tmp/data; cat /tmp/data >&2", data=data)
    assert (result.status, result.out, result.err) == (0, data, data)


def test_pipes_can_be_opened_anew_by_name(box: Box) -> None:
    launcher = [sys.executable, "-m", "tests.sandbox.launcher", *launcher_arguments(box)]
    text = "echo out > /dev/stdout; cat /dev/stdin > /dev/stderr"
    result = subprocess.run([*launcher, text], cwd=CHECKOUT, input=b"err", capture_output=True, check=True)
    assert (result.stdout, result.stderr) == (b"out\n", b"err")


def test_the_environment_is_exactly_the_given_one(box: Box) -> None:
    env = {
        "PATH": PATH,
        "B": "line\nbreak 'quoted'",
        "C": os.fsdecode(b"\xff\xfe"),
        "LONG": "x" * (LONGEST - 6),
    }
    result = box.run("env", "-0", env=env)
    assert result.status == 0
    assert dict(pair.split(b"=", 1) for pair in result.out.split(b"\0") if pair) == {
        b"PWD": b"/",
        **{os.fsencode(name): os.fsencode(value) for name, value in env.items()},
    }


def test_a_preloaded_library_is_the_commands_alone(box: Box) -> None:
    """Of bubblewrap, prlimit and true only the two inside are asked to load it."""
    result = box.run("true", env={"PATH": PATH, "LD_PRELOAD": "/no/such.so"})
    assert result.err.count(b"/no/such.so") == 2


def test_arguments_arrive_as_they_are(box: Box) -> None:
    arguments = ["--", "-n", "a\nb", "'\"$x`", "", os.fsdecode(b"\xff"), "y" * LONGEST]
    result = box.run("printf", "%s\\0", *arguments)
    assert result.out == b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
    # `printf --` takes the first one: it is an option of printf's, not ours.


def test_an_argument_that_is_too_long_is_an_error(box: Box) -> None:
    with pytest.raises(UsageError, match="argument 1 has 131072 bytes"):
        box.run("true", "x" * (LONGEST + 1))


def test_no_descriptor_is_inherited(box: Box) -> None:
    with open("/dev/zero", "rb") as secret:
        os.set_inheritable(secret.fileno(), True)
        for _ in range(2):  # a first command, and one of a holder that has served others
            assert box.shell("echo /proc/self/fd/*").out.split() == [
                b"/proc/self/fd/%d" % each for each in (0, 1, 2, 3)
            ]
            # 3 is the shell's own open directory


def test_only_the_commands_own_processes_are_visible(box: Box) -> None:
    listed = box.shell("echo /proc/[0-9]*").out.split()
    assert listed == [b"/proc/1", b"/proc/2"]
    about = box.shell("for what in environ root cwd exe fd/0 mem; do cat /proc/1/$what >/dev/null && echo $what; done")
    assert about.out == b""
    assert box.shell("tr '\\0' ' ' < /proc/1/cmdline").out.startswith(
        os.fsencode(box.plan.program) + b" --unshare-user"
    )


def test_limits_hold_inside(box: Box) -> None:
    assert box.shell("ulimit -n; ulimit -c", limits=Limits(open_files=77)).out == b"77\n0\n"


def test_a_timeout_ends_everything_that_was_started(box: Box) -> None:
    text = "(setsid sh -c 'echo $$ > /stray; exec sleep 600') & while [ ! -s /stray ]; do :; done; sleep 600"
    assert box.shell(text, timeout=2.0).status == 124
    assert (box.workspace / "stray").exists()


def test_what_a_command_leaves_running_ends_with_it(box: Box) -> None:
    keeper = session.start(box.plan, command("sleep", "600"), box.runtime)
    with keeper:
        assert box.shell("setsid sleep 600 </dev/null >/dev/null 2>&1 & (setsid sleep 600 &) ; exit 4").status == 4
        holder = box.holder()
        assert holder is not None
        assert descendants(holder) == {"bwrap", "sleep"} | {"python"}
        keeper.kill()
        assert [drive(keeper.wait()), drive(keeper.wait())] == [137, 137]


def descendants(pid: int) -> set[str]:
    """Names of all processes in the PID namespaces beneath `pid`'s, itself included."""
    found = set()
    queue = [pid]
    while queue:
        pid = queue.pop()
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        found.add("python" if name.startswith("python") else name)
        queue += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def test_a_closed_handle_kills(box: Box) -> None:
    with session.start(box.plan, command("sleep", "600"), box.runtime):
        holder = box.holder()
    assert holder is not None
    wait_until_gone(holder)


def test_commands_of_one_session_share_tmp_and_a_neighbour_has_its_own(box: Box) -> None:
    other = box.neighbour("other")
    with (
        session.start(box.plan, command("sleep", "600"), box.runtime),
        session.start(other.plan, command("sleep", "600"), box.runtime),
    ):
        box.shell("echo here > /tmp/note; echo here > /dev/shm/note; echo here > /var/note; echo here > /run/note")
        assert box.shell("cat /tmp/note /dev/shm/note /var/note /run/note").out == b"here\n" * 4
        # Another shape of the same session: the same memory.
        assert box.but(network="host").shell("cat /tmp/note /dev/shm/note").out == b"here\n" * 2
        assert other.shell("cat /tmp/note /dev/shm/note /var/note /run/note").out == b""
        holder = box.holder()
    assert holder is not None
    wait_until_gone(holder)
    assert box.shell("cat /tmp/note").status == 1


def test_loopback_is_up_and_the_sessions_own(box: Box) -> None:
    listen = (
        "import socket,sys; s=socket.create_server(('127.0.0.1', 7)); open('/up','w'); s.accept()[0].sendall(b'hi')"
    )
    ask = "import socket,os; s=socket.create_connection(('127.0.0.1', 7)); os.write(1, s.recv(9))"
    limited = box.but(mounts=box.plan.mounts)
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        with session.start(limited.plan, command("python3", "-c", listen.replace("7)", "7007)")), box.runtime):
            wait_for_file(box.workspace / "up")
            assert box.run("python3", "-c", ask.replace("7)", "7007)")).out == b"hi"
        refused = box.run("python3", "-c", ask.replace("7)", f"{port})"))
        assert b"ConnectionRefused" in refused.err
        outside.settimeout(DEADLINE)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(greet, outside)
            assert box.but(network="host").run("python3", "-c", ask.replace("7)", f"{port})")).out == b"host"


def greet(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"host")


def test_launchers_that_find_no_holder_at_once_make_one(box: Box) -> None:
    text = "mkdir -p /seen; readlink /proc/self/ns/net > /seen/$1; while [ ! -e /go ]; do :; done; exit $1"
    together = 12
    barrier = threading.Barrier(together)

    def launch(number: int) -> int:
        barrier.wait()
        return box.run("sh", "-c", text, "sh", str(number)).status

    with ThreadPoolExecutor(together) as pool:
        statuses = [pool.submit(launch, number) for number in range(together)]
        for number in range(together):
            wait_for_file(box.workspace / "seen" / str(number))
        (box.workspace / "go").touch()
        assert [status.result() for status in statuses] == list(range(together))
    assert len({path.read_bytes() for path in (box.workspace / "seen").iterdir()}) == 1


def test_many_short_commands_meet_ending_holders(box: Box) -> None:
    """Each holder ends with its last command, so the next launcher finds one that is just about to end."""
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda number: box.run("sh", "-c", f"exit {number}").status, [7] * 40)) == {7}


def test_a_session_is_over_before_its_last_command_is(box: Box) -> None:
    """Else the next command, started at once, would join a session that shows what was there before."""
    for argv in (("true",), ("no-such-program",)):
        box.run(*argv)
        assert os.listdir(box.runtime) == []
    with pytest.raises(UsageError, match="cwd: /missing"):
        box.run("true", cwd="/missing")
    assert os.listdir(box.runtime) == []


def test_a_dead_holder_is_replaced(box: Box) -> None:
    with session.start(box.plan, command("sleep", "600"), box.runtime) as running:
        holder = box.holder()
        assert holder is not None
        os.kill(holder, signal.SIGKILL)
        assert drive(running.wait()) == 137
    assert os.listdir(box.runtime) == []
    assert box.run("true").status == 0
    # A socket that nobody removed is no obstacle either.
    if (ending := box.holder()) is not None:
        wait_until_gone(ending)
    directory = runtime.open_directory(box.runtime)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(runtime.address(directory, runtime.socket_name(box.plan.session)))
    os.close(directory)
    assert box.run("true").status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_the_launcher_ends_the_command(box: Box, number: signal.Signals) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox.launcher", *launcher_arguments(box), "touch /up; sleep 600 & sleep 600"],
        cwd=CHECKOUT,
        stderr=subprocess.DEVNULL,
    )
    wait_for_file(box.workspace / "up")
    holder = box.holder()
    assert holder is not None
    launcher.send_signal(number)
    assert launcher.wait() == -number
    wait_until_gone(holder)


def launcher_arguments(box: Box) -> list[str]:
    return [box.plan.session, str(box.workspace), box.runtime]


def test_a_runtime_directory_that_is_not_ours_alone_is_refused(box: Box) -> None:
    open_to_all = box.base / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    link = box.base / "link"
    link.symlink_to(box.base)
    file = box.base / "file"
    file.touch()
    for path in (open_to_all, link, file):
        with pytest.raises(SandboxError, match="runtime directory"):
            drive(session.run(box.plan, command("true"), str(path)))
    if ROOT:
        open_to_all.chmod(0o700)
        os.chown(open_to_all, 61000, 61000)
        with pytest.raises(SandboxError, match="not yours alone"):
            drive(session.run(box.plan, command("true"), str(open_to_all)))


@pytest.mark.skipif(ROOT, reason="root needs no user namespace; the suite runs as an ordinary user too")
def test_refused_namespaces_are_one_error_with_the_command_that_mends_it(box: Box) -> None:
    """In a user namespace of the test's own, whose limit of further ones is 0: what a host's administrator sets."""
    refuse = 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --inh-caps=-all --ambient-caps=-all "$@"'
    launcher = [sys.executable, "-m", "tests.sandbox.launcher", *launcher_arguments(box), "true"]
    result = subprocess.run(
        ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", refuse, "sh", *launcher],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the limit of user namespaces is 0 (user.max_user_namespaces=0)" in result.stderr
    assert "sudo sysctl -w user.max_user_namespaces=15000" in result.stderr
    assert result.returncode == 1


def test_root_needs_a_uid_to_drop_to_and_nobody_else_has_one(box: Box) -> None:
    wrong: list[tuple[int | None, int | None]] = [(None, None), (0, 0), (61000, 0)] if ROOT else [(61000, 61000)]
    for uid, gid in wrong:
        with pytest.raises(SandboxError, match="host uid"):
            box.but(uid=uid, gid=gid).run("true")


def test_what_is_staged(box: Box) -> None:
    tool = box.base / "tool"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    shared = box.base / "shared"
    (shared / "skills").mkdir(parents=True)
    (shared / "skills" / "read.me").write_text("skill")
    shared.joinpath("skills").chmod(0o755)
    mine = box.but(
        mounts=(
            *box.plan.mounts,
            Tmpfs("/run/solven-env", read_only=True),
            Bind("/run/solven-env/bin/tool", str(tool)),
            Bind("/.solven/skills/system", str(shared), beneath="skills"),
            Bind("/.ticket", str(shared), beneath="none", optional=True),
        ),
        files=(
            *box.plan.files,
            StagedFile("/run/solven-env/note", b"bytes\xff", 0o600),
            StagedFile("/etc/motd", b"hello"),
        ),
        links=(StagedLink("/run/solven-env/tool", "bin/tool"),),
    )
    result = mine.shell("/run/solven-env/tool; cat /.solven/skills/system/read.me /etc/motd; ls -A /; ls -A /.solven")
    assert result.err == b""
    assert result.out.startswith(b"tool\nskillhello.solven\nbin\n")
    assert b".ticket" not in result.out
    for path in ("/run/solven-env/new", "/etc/new", "/usr/new", "/.solven/skills/system/new", "/dev/new", "/sys/new"):
        assert mine.shell(f"echo > {path}").err.endswith(b"Read-only file system\n"), path
    assert mine.shell("echo > /.solven/mine; mv /run/solven-env /run/x").err.endswith(b"Device or resource busy\n")
    assert (box.workspace / ".solven" / "mine").exists()
    made = [path.relative_to(box.workspace) for path in box.workspace.rglob("*") if path.is_file()]
    assert made == [Path(".solven/mine")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mounts": (Bind("/x", "/no/such"),)}, "does not exist"),
        ({"mounts": (Bind("/x", "/etc/passwd"),)}, "cannot be mounted upon"),
        ({"mounts": (Bind("/x", "/usr", beneath="../etc"),)}, "cannot be"),
        ({"files": (StagedFile("/x/y", b""),), "mounts": ()}, "beneath no Etc and no read-only Tmpfs"),
        ({"links": (StagedLink("/x", "y"),), "mounts": ()}, "beneath no Etc and no read-only Tmpfs"),
        ({"files": (StagedFile("/tmp/y", b""),)}, "beneath no Etc and no read-only Tmpfs"),
        ({"workspace": "/no/such"}, "the workspace cannot be opened"),
    ],
)
def test_a_plan_that_cannot_be_staged_is_one_error_and_leaves_nothing(
    box: Box, change: dict[str, object], message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        box.but(**change).run("true")
    assert not [path for path in box.workspace.rglob("*") if path.is_file()]
    assert box.run("true").status == 0


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
@pytest.mark.parametrize("what", ["closed", "directory", "path"])
def test_a_stream_that_is_closed_or_leads_out_is_refused(box: Box, stream: str, what: str) -> None:
    """The number of a closed one would be the next file's: the runtime directory's, where the holder listens."""
    number = os.open(box.base, {"closed": os.O_RDONLY, "directory": os.O_RDONLY, "path": os.O_PATH}[what])
    if what == "closed":
        os.close(number)
    try:
        with pytest.raises(SandboxError, match=f"descriptor {number}, is"):
            drive(
                session.run(
                    box.plan, command("sh", "-c", "ls /proc/self/fd/*/../ > /out", **{stream: number}), box.runtime
                )
            )
    finally:
        if what != "closed":
            os.close(number)
    assert os.listdir(box.workspace) == []


HOARD = """
import resource, socket, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
ours, theirs = socket.socketpair()
for _ in range(2):
    socket.send_fds(ours, [b"x"], [0] * 250)
open("/up", "w").close()
time.sleep(600)
"""


@pytest.mark.skipif(ROOT, reason="the kernel lets root pass any number; the suite runs as an ordinary user too")
def test_descriptors_that_a_command_holds_back_in_sockets_are_an_error_for_the_others(box: Box) -> None:
    """The kernel counts them for the user, who is the same inside and outside."""
    neighbour = box.neighbour("other")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        with session.start(box.plan, command("python3", "-c", HOARD), box.runtime) as hoarding:
            wait_for_file(box.workspace / "up")
            with pytest.raises(SandboxError, match="under way"):
                neighbour.shell("true")
            hoarding.kill()
            assert drive(hoarding.wait()) == 137
        assert neighbour.shell("exit 3").status == 3
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(ROOT, reason="RLIMIT_NPROC does not bind root; the suite runs as an ordinary user too")
def test_a_user_whose_processes_are_too_many_gets_one_error_that_leaves_nothing(box: Box) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    record = box.base / "record"
    record.mkdir()
    before = os.listdir("/proc/self/fd")
    resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
    try:
        with pytest.raises(SandboxError, match="could not be started: Resource temporarily unavailable"):
            drive(session.run(box.plan, command("true"), box.runtime))
        with pytest.raises(SandboxError, match="could not be started: Resource temporarily unavailable"):
            drive(client.run(box.plan._replace(program=PROOT), command("true"), box.runtime, str(record)))
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
    assert os.listdir("/proc/self/fd") == before
