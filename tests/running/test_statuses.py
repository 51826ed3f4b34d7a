"""Which status `run` ends with, and what it says: the command's own, or that there was none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import PlatformError, SandboxError, UsageError
from tests.profiles import write_profile
from tests.sandbox.running import ROOT, survivors, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from tests.running.world import World


@pytest.fixture
def bare(world: World) -> World:
    """A thread without packages: it starts at once, whatever happens to the store."""
    world.profile = write_profile(world.base / "bare.yaml", {"hello": "hello\n"}, env={"HOME": "/"})
    world.apply()
    return world


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "exit 125"), 125),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("sh", "-c", "kill -9 $$"), 137),
        (("nothing-of-this-name",), 127),
        (("/nothing/of/this/name",), 127),
        (("/hello",), 126),
        (("/usr",), 126),
        (("--version",), 127),  # a word of the command's, whatever it looks like
        (("-x", "y"), 127),
    ],
)
def test_the_status_is_the_commands(bare: World, argv: tuple[str, ...], status: int) -> None:
    done = bare.cli("run", "t1", "--", *argv)
    assert (done.returncode, done.stdout) == (status, b""), done.stderr
    assert bare.run(*argv).status == status


def test_a_timeout_ends_everything_with_124(bare: World) -> None:
    done = bare.cli("run", "t1", "--timeout", "0.3", "--", "sh", "-c", "setsid sleep 600 & echo started; sleep 600")
    assert (done.returncode, done.stdout, done.stderr) == (124, b"started\n", b"")
    wait_until_alone(bare.base.name)
    assert bare.run("true", timeout=float("inf")).status == 0
    assert bare.run("true", timeout=1e300).status == 0


def test_streams_are_apart_whole_and_the_commands_own(bare: World) -> None:
    text = (
        "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data); sys.stderr.buffer.write(data[::-1])"
    )
    data = bytes(range(256)) * 4096
    done = bare.cli("run", "t1", "--", "python3", "-c", text, data=data)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, data[::-1])


def test_input_and_output_are_streamed(bare: World) -> None:
    """Each line is answered before the next one is written, and the end of the input is the end."""
    process = bare.start(
        *("run", "t1", "--", "sh", "-c", "while read -r line; do echo got $line; done; echo end"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        process.stdin.write(b"%d\n" % number)
        process.stdin.flush()
        assert process.stdout.readline() == b"got %d\n" % number
    process.stdin.close()
    assert process.stdout.read() == b"end\n"
    assert process.wait() == 0


def test_a_reader_that_goes_away_ends_the_command_as_everywhere(bare: World) -> None:
    line = " ".join(["set -o pipefail;", *bare.command("run", "t1", "--", "sh", "-c", "'yes'"), "| head -n 2"])
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=bare.environ, check=False)
    assert (done.stdout, done.returncode) == (b"y\ny\n", 128 + signal.SIGPIPE)


def test_a_closed_stream_is_empty_and_never_another_file(bare: World) -> None:
    line = " ".join([*bare.command("run", "t1", "--", "sh", "-c", "'readlink /proc/self/fd/0; cat'"), "<&-"])
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=bare.environ, check=False)
    assert (done.returncode, done.stdout) == (0, b"/dev/null\n"), done.stderr
    line = " ".join([*bare.command("run", "t1", "--", "sh", "-c", "'echo said; exit 3'"), ">&- 2>&-"])
    assert subprocess.run(["bash", "-c", line], env=bare.environ, check=False).returncode == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_the_launcher_ends_everything(bare: World, number: signal.Signals, status: int) -> None:
    text = "trap '' INT TERM HUP; setsid sleep 600 & touch /up; sleep 600; sleep 600"
    process = bare.start("run", "t1", "--", "sh", "-c", text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_file(bare.workspace() / "up")
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (status, b"")
    assert b"Traceback" not in err
    wait_until_alone(bare.base.name)


def test_nohup_keeps_its_meaning(bare: World) -> None:
    command = bare.command("run", "t1", "--", "sh", "-c", "touch /up; read -r _; exit 6")
    process = subprocess.Popen(
        ["nohup", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=bare.environ,
    )
    bare.started.append(process)
    wait_for_file(bare.workspace() / "up")
    process.send_signal(signal.SIGHUP)
    process.communicate(b"\n")
    assert process.returncode == 6


def test_an_interrupted_call_of_the_api_ends_the_command(bare: World) -> None:
    """The exception comes from a signal handler, as KeyboardInterrupt does."""
    text = (
        "import solven_env, sys\n"
        "try: solven_env.run('t1', ['sh', '-c', 'touch /up; sleep 600'])\n"
        "except KeyboardInterrupt: sys.exit(42)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", text], env=bare.environ)
    bare.started.append(process)
    wait_for_file(bare.workspace() / "up")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 42
    wait_until_alone(bare.base.name)


def test_killed_launchers_leave_nothing_and_the_next_run_works(bare: World) -> None:
    process = bare.start("run", "t1", "--", "sh", "-c", "setsid sleep 600 & touch /up; sleep 600")
    wait_for_file(bare.workspace() / "up")
    process.kill()
    process.wait()
    wait_until_alone(bare.base.name)
    assert bare.run("true").status == 0


def test_a_killed_holder_is_137_and_the_next_run_works(bare: World) -> None:
    process = bare.start("run", "t1", "--", "sh", "-c", "touch /up; sleep 600")
    wait_for_file(bare.workspace() / "up")
    for pid in survivors(bare.base.name, b"solven_env.sandbox"):
        os.kill(pid, signal.SIGKILL)
    assert process.wait() == 137
    wait_until_alone(bare.base.name)
    assert bare.run("true").status == 0


# What could not start is 125, says why and what mends it, and prints nothing on standard output.


def refused(world: World, *arguments: str, prefix: tuple[str, ...] = (), **environ: Any) -> str:
    done = world.cli("run", *(arguments or ("t1", "--", "true")), prefix=prefix, **environ)
    assert (done.returncode, done.stdout) == (125, b""), done.stderr
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_a_thread_that_was_never_applied_names_apply(bare: World) -> None:
    assert "solven-env apply PROFILE t9" in refused(bare, "t9", "--", "true")
    assert not (bare.storage / "threads/t9").exists()


def test_a_storage_that_is_not_there_is_a_thread_that_was_never_applied(world: World) -> None:
    assert "solven-env apply PROFILE t1" in refused(world)
    assert not world.storage.exists()


def test_a_missing_workspace_is_named_with_what_mends_it(bare: World) -> None:
    (bare.workspace() / "hello").unlink()
    for name in os.listdir(bare.workspace()):
        (bare.workspace() / name).rmdir()
    bare.workspace().rmdir()
    said = refused(bare)
    assert str(bare.workspace()) in said
    assert "apply" in said
    assert not bare.workspace().exists()
    bare.apply()
    assert bare.run("cat", "/hello").out == "hello\n"


@pytest.mark.skipif(not ROOT, reason="mounts something")
def test_a_dead_workspace_is_named(bare: World) -> None:
    """What a FUSE mount is whose daemon has died: ENOTCONN for every look at it."""
    script = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "fuse = os.open('/dev/fuse', os.O_RDWR)\n"
        "options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()\n"
        "target = sys.argv[1].encode()\n"
        "if libc.mount(b'dead', target, b'fuse', 0, options): sys.exit(f'mount: {os.strerror(ctypes.get_errno())}')\n"
        "os.close(fuse)\n"
        "os.execvp(sys.argv[2], sys.argv[2:])\n"
    )
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this machine has no FUSE")
    said = refused(bare, prefix=("unshare", "--mount", sys.executable, "-c", script, str(bare.workspace())))
    assert str(bare.workspace()) in said
    assert "not connected" in said


@pytest.mark.parametrize("place", ["proc", "usr", "tmp"])
def test_something_else_at_a_mount_point_is_named(bare: World, place: str) -> None:
    (bare.workspace() / place).symlink_to(bare.base)
    said = refused(bare)
    assert f"/{place}" in said
    assert "a link stands" in said
    assert "apply" in said
    (bare.workspace() / place).unlink()
    (bare.workspace() / place).write_text("")
    assert "not a directory" in refused(bare)


def test_a_missing_bubblewrap_names_the_package(bare: World) -> None:
    assert "bubblewrap is not installed" in refused(bare, PATH=str(bare.base))
    said = refused(bare, SOLVEN_ENV_BWRAP="/nowhere/bwrap")
    assert "there is no bubblewrap at /nowhere/bwrap" in said
    assert "Install" in said


def test_an_old_bubblewrap_is_refused_with_its_version(bare: World) -> None:
    old = bare.base / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    old.chmod(0o755)
    assert "bubblewrap is 0.6.1, and 0.8 or newer is needed" in refused(bare, SOLVEN_ENV_BWRAP=str(old))
    (bare.base / "config.yaml").write_text(f"sandbox: {{bwrap: {old}}}\n")
    assert str(old) in refused(bare)


def test_refused_namespaces_name_the_command_that_allows_them(bare: World) -> None:
    """In a user namespace of the test's own, whose limit of further ones is 0: what an administrator sets."""
    text = (
        "import ctypes, os, sys\n"
        "child, parent = os.pipe(), os.pipe()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    if ctypes.CDLL(None).unshare(0x10000000): os._exit(99)\n"
        "    os.write(child[1], b'x'); os.read(parent[0], 1)\n"
        "    open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "    os.execvp(sys.argv[2], sys.argv[2:])\n"
        "os.read(child[0], 1)\n"
        "open(f'/proc/{pid}/setgroups', 'w').write(sys.argv[1].partition(' ')[2])\n"
        "for name in ('uid', 'gid'):\n"
        "    inside = '0 0 100000' if sys.argv[1] == 'root allow' else f'{getattr(os, f\"get{name}\")()} ' * 2 + '1'\n"
        "    open(f'/proc/{pid}/{name}_map', 'w').write(inside)\n"
        "os.write(parent[1], b'x')\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    who = "root allow" if ROOT else "user deny"
    drop = () if ROOT else ("setpriv", "--inh-caps=-all", "--ambient-caps=-all")
    said = refused(bare, prefix=(sys.executable, "-c", text, who, *drop))
    assert "the limit of user namespaces is 0 (user.max_user_namespaces=0)" in said
    assert "sudo sysctl -w user.max_user_namespaces=15000" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--network", "internet", "--", "true"), "the network 'internet' is not there yet"),
        (("--network", "host", "--", "true"), "the network host is not allowed on this host"),
        (("--cwd", "/nowhere", "--", "true"), "/nowhere"),
        (("--cwd", "relative", "--", "true"), "the working directory of a command is absolute"),
    ],
)
def test_what_cannot_be_had_is_named(bare: World, arguments: tuple[str, ...], expected: str) -> None:
    (bare.base / "config.yaml").write_text("sandbox: {networks: [none, internet]}\n")
    said = refused(bare, "t1", *arguments)
    assert expected in said
    if "not allowed" in expected:
        assert "none, internet" in said


def test_a_broken_host_configuration_is_named_with_its_place(bare: World) -> None:
    (bare.base / "config.yaml").write_text("sandbox: {networks: [all]}\n")
    assert "config.yaml:1:22: " in refused(bare)


@pytest.mark.parametrize(
    "arguments",
    [
        ("t1",),
        ("t1", "--shell", "true", "--", "true"),
        ("../t1", "--", "true"),
        ("t1", "--timeout", "0", "--", "true"),
        ("t1", "--timeout", "-1", "--", "true"),
        ("t1", "--timeout", "nan", "--", "true"),
        ("t1", "--timeout", "soon", "--", "true"),
        ("t1", "--env", "=x", "--", "true"),
        ("t1", "--network", "all", "--", "true"),
        ("t1", "--storage", "nowhere", "--", "true"),
    ],
)
def test_wrong_usage_is_2(bare: World, arguments: tuple[str, ...]) -> None:
    done = bare.cli("run", *arguments)
    assert (done.returncode, done.stdout) == (2, b""), done.stderr


@pytest.mark.parametrize(
    ("command", "options", "error"),
    [
        ("ls -l", {}, UsageError),
        ((), {}, UsageError),
        (("true",), {"shell": "true"}, UsageError),
        (("true", "a\0b"), {}, SandboxError),
        (("true",), {"env": {"A": "x\0--bind\0/\0/host"}}, SandboxError),
        (("true",), {"env": {"A=B": "x"}}, SandboxError),
        (("true",), {"env": {"": "x"}}, SandboxError),
        (("true",), {"cwd": "/\0"}, SandboxError),
    ],
)
def test_the_api_refuses_what_is_no_command(
    bare: World, command: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        solven_env.run("t1", command, storage=bare.storage, **options)


def test_the_api_raises_what_the_command_line_tells(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match="never applied"):
        solven_env.run("t9", ["true"], storage=bare.storage)
    monkeypatch.setenv("SOLVEN_ENV_BWRAP", "/nowhere/bwrap")
    with pytest.raises(PlatformError):
        solven_env.run("t1", ["true"], storage=bare.storage)


def test_a_variable_of_a_profile_cannot_add_an_option_of_bubblewraps(world: World) -> None:
    """U+0000 separates what bubblewrap reads."""
    world.profile = write_profile(world.base / "evil.yaml", {}, env={"A": "x\0--bind\0/\0/host"})
    with pytest.raises(solven_env.SolvenError):
        world.apply()
        world.run("ls", "/host")
