"""What `run` says where there is no status of a command's: 125 when it could not start, 2 for wrong usage."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import PlatformError, SandboxError, UsageError
from tests.profiles import write_profile
from tests.run.namespaces import REFUSING
from tests.sandbox.running import BWRAP, ROOT
from tests.sandbox.terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World


def refused(world: World, *arguments: str, status: int = 125, prefix: tuple[str, ...] = (), **environ: Any) -> str:
    """What is told when nothing could be started; nothing is printed on standard output."""
    done = world.cli("run", *(arguments or ("t1", "--", "true")), prefix=prefix, **environ)
    assert (done.returncode, done.stdout) == (status, b""), done.stderr
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
    assert "the mount is dead" in said or "not connected" in said  # root looks whose it is before it stages it


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


def test_a_missing_slirp4netns_names_the_package_and_the_way_without(bare: World) -> None:
    (bare.base / "bin").mkdir()
    (bare.base / "bin/bwrap").symlink_to(BWRAP)
    if any(os.path.exists(f"{directory}/slirp4netns") for directory in ("/usr/sbin", "/sbin")):
        pytest.skip("found wherever PATH leads")
    said = refused(bare, "t1", "--network", "internet", "--", "true", PATH=str(bare.base / "bin"))
    assert "slirp4netns is not installed" in said
    assert "With --network none it is not needed. Install " in said


@pytest.mark.skipif(not ROOT, reason="mounts something")
def test_a_tun_device_that_cannot_be_opened_is_named(bare: World) -> None:
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")
    said = refused(bare, "t1", "--network", "internet", "--", "true", prefix=hidden)
    assert "/dev/net/tun, which cannot be opened: No such file" in said
    assert "--device /dev/net/tun" in said
    assert "Or use --network none." in said


@pytest.mark.skipif(not ROOT, reason="mounts something")
def test_a_layer_on_a_file_system_that_is_read_only_is_named(bare: World) -> None:
    profile = write_profile(bare.base / "python.yaml", {}, python={"version": "3.12"})
    for arguments in (("apply", str(profile), "t2"), ("run", "t2", "--", "true")):
        assert bare.cli(*arguments).returncode == 0
    frozen = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"; shift; exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", frozen, "sh", str(bare.base / "data"))
    said = refused(bare, "t2", "--", "true", prefix=prefix)
    assert "/upper: the thread's layer is on a file system that is read-only." in said
    assert "Mount it read-write." in said


def test_a_runtime_directory_that_cannot_be_made_is_to_be_elsewhere(bare: World) -> None:
    said = refused(bare, XDG_RUNTIME_DIR="/proc/1")
    assert "the runtime directory cannot be opened" in said
    assert "Let XDG_RUNTIME_DIR name a directory of yours." in said


def test_an_old_bubblewrap_is_refused_with_its_version(bare: World) -> None:
    old = bare.base / "bwrap"
    old.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.6.1 && exit\n'
        "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1\n"
    )
    old.chmod(0o755)
    bare.base.chmod(0o711)
    assert "bubblewrap is 0.6.1, and 0.8 or newer is needed" in refused(bare, SOLVEN_ENV_BWRAP=str(old))
    (bare.base / "config.yaml").write_text(f"sandbox: {{bwrap: {old}}}\n")
    assert str(old) in refused(bare)


def test_a_root_without_the_sandboxs_user_is_told(bare: World) -> None:
    """What `unshare --map-root-user` gives: no other uid, so that nothing can be given to the sandbox's."""
    prefix = ("unshare", "--user", "--map-root-user")
    said = refused(bare, prefix=prefix, XDG_RUNTIME_DIR=str(bare.base / "other"))
    assert "there is no uid 61000 in this user namespace, whose root this process is" in said
    assert "Start solven-env as an ordinary user" in said
    applied = bare.cli("apply", str(bare.profile), "t5", prefix=prefix)
    assert (applied.returncode, b"there is no uid 61000" in applied.stderr) == (1, True)
    assert b"there is no uid 61000" in bare.cli("doctor", "--only", "namespaces", prefix=prefix).stdout


def test_refused_namespaces_name_the_command_that_allows_them(bare: World) -> None:
    said = refused(bare, prefix=REFUSING)
    assert "the limit of user namespaces is 0 (user.max_user_namespaces=0)" in said
    assert "sudo sysctl -w user.max_user_namespaces=15000" in said


def test_a_network_that_the_host_does_not_allow_is_named(bare: World) -> None:
    (bare.base / "config.yaml").write_text("sandbox: {networks: [none, internet]}\n")
    said = refused(bare, "t1", "--network", "host", "--", "true")
    assert "the network host is not allowed on this host" in said
    assert "none, internet" in said


def test_no_session_begins_while_all_threads_take_too_much(bare: World) -> None:
    assert bare.cli("run", "t1", "--keep-alive", "60", "--", "true").returncode == 0
    (bare.base / "config.yaml").write_text("sandbox: {disk: {max: 1KiB}}\n")
    assert bare.cli("run", "t1", "--", "true").returncode == 0  # in the session that goes on
    assert bare.cli("stop", "t1").returncode == 0
    said = refused(bare, "t1", "--", "true")
    assert "and its configuration allows 1.0 KiB" in said
    assert "See what takes it with solven-env du, and free some with solven-env gc" in said


NO_DIRECTORIES = {
    "/nowhere": "No such file or directory",
    "/hello": "Not a directory",
    "/hello/beneath": "Not a directory",
    "/etc/passwd": "Not a directory",
    "/dangling": "No such file or directory",
    "/round": "Too many levels of symbolic links",
    "/out": "No such file or directory",
    "/closed": "Permission denied",
    "/closed/beneath": "Permission denied",
}


@pytest.fixture
def closing(bare: World) -> Iterator[World]:
    """A thread whose `/closed` is open again in the end, for whoever removes it."""
    yield bare
    (bare.workspace() / "closed").chmod(0o755)


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_a_working_directory_that_is_none_is_wrong_usage(closing: World, backend: str) -> None:
    """It is looked up inside: `/out` leads to a directory that only the host has."""
    text = f"ln -s /nothing /dangling; ln -s /round /round; ln -s {closing.base} /out; mkdir -p /closed/beneath; chmod 0 /closed"
    assert closing.run(shell=text).status == 0
    for directory, why in NO_DIRECTORIES.items():
        if backend == "proot" and directory.startswith("/closed") and ROOT:
            continue  # proot tells of modes what it likes, as root
        said = refused(closing, "t1", "--backend", backend, "--cwd", directory, "--", "pwd", status=2)
        assert f"cwd: {directory} is no directory inside that a command can enter" in said
        assert why in said or backend == "proot"  # whose answers are not always the kernel's
        assert "--unshare-all" not in said
    for directory, seen in (("/usr/../usr/bin", "/usr/bin"), ("/proc", "/proc"), ("/tmp", "/tmp")):
        done = closing.cli("run", "t1", "--backend", backend, "--cwd", directory, "--", "/bin/pwd", "-P")
        assert done.stdout.decode() == f"{seen}\n"


def test_more_words_than_bubblewrap_takes_are_wrong_usage(bare: World) -> None:
    assert bare.run("sh", "-c", "echo $#", "sh", *"x" * 8_800).out == "8800\n"
    said = refused(bare, "t1", "--", "echo", *"x" * 9_100, status=2)
    assert "command: its 9101 words and " in said
    assert "by a file or standard input" in said


HIDING_SETSID = (
    *("unshare", "--mount", "sh", "-c"),
    'mount --bind /dev/null /usr/bin/setsid && exec "$@"',
    "sh",
)


@pytest.mark.skipif(not ROOT, reason="mounts something")
def test_a_missing_setsid_names_its_package(bare: World) -> None:
    traced = refused(bare, "t1", "--backend", "proot", "--", "true", prefix=HIDING_SETSID)
    with Terminal() as terminal:
        terminal.start((*HIDING_SETSID, *bare.command("run", "t1", "--", "true")), bare.environ)
        assert terminal.status() == 125
        shown = terminal.shown.decode()
    for said in (traced, shown):
        assert "/usr/bin/setsid is missing" in said
        assert "util-linux" in said


def test_a_relative_working_directory_is_wrong_usage(bare: World) -> None:
    for more in ((), ("--explain",)):
        done = bare.cli("run", "t1", "--cwd", "relative", *more, "--", "true")
        assert (done.returncode, done.stdout) == (2, b"")
        assert "'relative' is not absolute.\n  It is a path inside: begin it with /." in done.stderr.decode()


@pytest.mark.parametrize(
    ("sandbox", "expected"),
    [
        (
            "{backend: proot, limits: {processes: 9, enforce: strict}}",
            "processes cannot be enforced: the backend is proot",
        ),
        ("{limits: {memory: 1GiB, enforce: strict}}", "the limit of memory cannot be enforced: no cgroup (v2)"),
    ],
)
def test_what_a_profile_asks_and_cannot_have_is_named(bare: World, sandbox: str, expected: str) -> None:
    profile = bare.base / "asks.yaml"
    profile.write_text(f"version: 1\nname: asks\nrelease: 1.0.0\nsandbox: {sandbox}\n")
    assert bare.cli("apply", str(profile), "t2").returncode == 0
    assert expected in refused(bare, "t2", "--", "true")


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
        ("t1", "--timeout", "inf", "--", "true"),
        ("t1", "--timeout", "soon", "--", "true"),
        ("t1", "--env", "=x", "--", "true"),
        ("t1", "--env", "SURELY_NOBODY_HAS_THIS", "--", "true"),
        ("t1", "ls", "-l"),
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
        (("true", 1), {}, UsageError),
        (("true",), {"env": {"A": 1}}, UsageError),
        (("true",), {"cwd": 5}, UsageError),
        (("true",), {"timeout": "5"}, UsageError),
        (("true",), {"timeout": float("inf")}, UsageError),
        (("true",), {"keep_alive": None}, UsageError),
        (("true", "a\0b"), {}, UsageError),
        (("true",), {"env": {"A": "x\0--bind\0/\0/host"}}, UsageError),
        (("true",), {"env": {"A=B": "x"}}, UsageError),
        (("true",), {"env": {"": "x"}}, UsageError),
        (("true",), {"cwd": "/\0"}, UsageError),
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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "t9", "--", "true"), "Run: solven-env apply --storage {} PROFILE t9"),
        (("run", "t9", "--", "true"), "or run: solven-env doctor --storage {} t9"),
        (("run", "t9", "--explain", "--format", "json", "--", "true"), "solven-env apply --storage {} PROFILE t9"),
        (("doctor", "t9"), "solven-env apply --storage {} PROFILE t9"),
        (("doctor", "t9", "--format", "json"), "solven-env apply --storage {} PROFILE t9"),
    ],
)
def test_a_fix_names_the_storage_that_the_command_line_named(
    bare: World, arguments: tuple[str, ...], expected: str
) -> None:
    storage = f"{bare.base}/another storage"
    done = bare.cli(arguments[0], "--storage", storage, *arguments[1:])
    said = " ".join((done.stdout + done.stderr).decode().split())
    assert expected.format(f"'{storage}'") in said
    done = bare.cli(*arguments)
    assert "--storage" not in (done.stdout + done.stderr).decode()
