"""Whose what we make is and who may enter it, whatever the umask; and what an agent's chmod and leases keep us from."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from tests.profiles import write_profile
from tests.run.world import UID
from tests.sandbox.running import ROOT, wait_for_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

OTHER = ["setpriv", "--reuid", "4242", "--regid", "4242", "--inh-caps=-all"]
MODES = ["0000", "0311", "0500", "0555", "0600"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def modes(*tops: Path) -> dict[str, str]:
    """The modes of all beneath some directories; what is named by chance is named alike."""
    found = {}
    for top in tops:
        for path in (top, *top.rglob("*")):
            name = "/".join("*" if len(part) > 20 else part for part in path.relative_to(top.parent).parts)
            if not path.is_symlink():
                found[name] = oct(mode(path))
    return found


@pytest.mark.attack("rights of files")
def test_a_workspace_is_its_owners_alone_and_threads_are_not_listed(either: World) -> None:
    assert either.run("true").status == 0
    assert (mode(either.storage), mode(either.storage / "threads"), mode(either.workspace())) == (0o755, 0o711, 0o700)


def test_an_open_workspace_is_closed_by_the_next_apply(bare: World) -> None:
    bare.out("chmod 0777 /")
    (bare.storage / "threads").chmod(0o755)
    assert bare.apply().changes == ()
    assert (mode(bare.storage / "threads"), mode(bare.workspace())) == (0o711, 0o700)
    assert bare.run("true").status == 0


@pytest.mark.attack("rights of files")
@pytest.mark.skipif(not ROOT, reason="an ordinary user is no other account")
def test_no_other_account_reads_a_workspace_or_runs_what_is_in_it(bare: World) -> None:
    """A set-uid file of the agent's would make whoever runs it the sandbox's uid."""
    bare.out("cp /usr/bin/id /id && chmod 4755 /id && chmod 0777 /")
    bare.base.chmod(0o711)
    # By a shell: setpriv itself still has root's rights when it looks for the program.
    other = [*OTHER, "--clear-groups", "sh", "-c", 'exec "$@"', "sh"]
    read = subprocess.run([*other, bare.workspace() / "id", "-u"], capture_output=True, text=True, check=False)
    assert read.stdout == f"{UID}\n"  # until the next apply the agent's own mode holds
    bare.apply()
    for argv in ([bare.workspace() / "id"], ["cat", bare.workspace() / "hello"], ["ls", bare.storage / "threads"]):
        denied = subprocess.run([*other, *argv], capture_output=True, text=True, check=False)
        assert "Permission denied" in denied.stderr


def test_a_group_of_the_host_reads_workspaces(bare: World) -> None:
    group = 4711 if ROOT else os.getgid()
    (bare.base / "config.yaml").write_text(f"sandbox: {{group: {group}}}")
    bare.apply()
    bare.apply("t2")
    bare.base.chmod(0o711)
    for thread in ("t1", "t2"):
        assert (mode(bare.workspace(thread)), bare.workspace(thread).stat().st_gid) == (0o750, group)
        assert bare.run("true", thread=thread).status == 0
    if ROOT:
        service = [*OTHER, "--groups", str(group), "sh", "-c", 'exec "$@"', "sh"]
        argv = [*service, "cat", str(bare.workspace() / "hello")]
        assert subprocess.run(argv, capture_output=True, check=True).stdout == b"hello\n"


@pytest.mark.attack("rights of files")
@pytest.mark.parametrize("wanted", MODES)
def test_a_command_that_closes_its_root_keeps_nobody_out(either: World, wanted: str) -> None:
    for keep_alive in (0.0, 0.0 if either.backend == "proot" else 60.0):
        either.out(f"chmod {wanted} /", keep_alive=keep_alive)
        assert mode(either.workspace()) == int(wanted, 8)
        assert either.out("cat /hello", keep_alive=keep_alive) == "hello\n"
        assert mode(either.workspace()) == int(wanted, 8) | 0o700
    either.out(f"chmod {wanted} /")
    (either.workspace() / "hello").unlink() if ROOT else None
    assert either.status().state in ("in-sync", "drift")
    either.workspace().chmod(int(wanted, 8))
    assert solven_env.diff(either.profile, "t1", storage=either.storage).threads[0].state in ("in-sync", "drift")
    either.workspace().chmod(int(wanted, 8))
    either.apply()
    assert mode(either.workspace()) == 0o700
    assert either.out("cat /hello") == "hello\n"
    solven_env.stop("t1", storage=either.storage)


@pytest.mark.skipif(ROOT, reason="no mode keeps root out")
def test_what_a_command_closes_is_a_line_of_status_each_and_opened_by_apply(world: World) -> None:
    """Directories in directories, above several files of ours and of the agent's, and one of the agent's own."""
    files = {"a": "a\n", "d/e/f": "f\n", "d/e/g": "g\n", "d/h": "h\n", "p/q": "q\n"}
    world.profile = write_profile(world.base / "deep.yaml", files, env={"HOME": "/"})
    world.apply()
    world.out("echo mine >/d/e/f; touch /d/e/own; rm /a /p/q; mkdir /own; chmod 000 /d/e /d /own; chmod 500 /p")
    report = world.status()
    assert [(change.cause, change.address) for change in report.changes] == [
        ("drift", "directory:d"),
        ("drift", "directory:p"),
        ("drift", "file:a"),
        ("drift", "file:p/q"),
    ]
    assert report.state == "drift"
    told = world.cli("status", "t1").stdout.decode()
    assert told.count("its mode 0000 keeps its owner out, whom apply lets in again") == 1
    applied = world.apply()
    assert [change.address for change in applied.changes] == [
        *("directory:d", "directory:d/e", "directory:p"),
        *("file:a", "file:d/e/f", "file:p/q"),
    ]
    assert world.status().state == "in-sync"
    assert world.out("cat /d/e/f /a /p/q; ls /d/e/own") == "f\na\nq\n/d/e/own\n"
    assert [mode(world.workspace() / name) for name in ("d", "d/e", "p", "own")] == [0o755, 0o755, 0o755, 0]
    (world.workspace() / "own").chmod(0o700)  # to be removed with the rest


@pytest.mark.skipif(ROOT, reason="no mode keeps root out")
def test_a_mount_out_of_reach_is_told(world: World) -> None:
    (world.base / "closed/x").mkdir(parents=True)
    (world.base / "closed").chmod(0)
    for optional in (True, False):
        mounts = [{"source": f"{world.base}/closed/x", "target": "/opt/x", "optional": optional}]
        world.profile = write_profile(world.base / "mount.yaml", {}, mounts=mounts)
        done = world.cli("apply", str(world.profile), "t1")
        assert done.returncode == (0 if optional else 1), done.stderr
        assert b"Traceback" not in done.stderr
    (world.base / "closed").chmod(0o700)


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_modes_are_ours_whatever_the_umask(thread: World, backend: str) -> None:
    """Everything that apply and run make: storage, state, layers, runtime directory, mount points."""
    thread.backend = backend
    found = []
    for umask in ("022", "000", "027", "077"):
        base = thread.base / f"deep{umask}"
        environ: dict[str, Any] = {
            "SOLVEN_ENV_STORAGE": f"{base}/far/storage",
            "XDG_DATA_HOME": f"{base}/home/data",
            "XDG_RUNTIME_DIR": f"{base}/run/user",
        }
        prefix = ("sh", "-c", f'umask {umask}; exec "$@"', "sh")
        base.mkdir(mode=0o755)
        base.chmod(0o755)
        assert thread.cli("apply", str(thread.profile), "t1", prefix=prefix, **environ).returncode == 0
        kept = ("--keep-alive", "60") if backend == "bubblewrap" else ()
        text = "umask; mkdir -p /made/by/me; touch /made/file"
        ran = thread.cli("run", "t1", *kept, "--", "sh", "-c", text, prefix=prefix, **environ)
        assert (ran.returncode, ran.stdout) == (0, b"0022\n"), ran.stderr
        found.append({name.partition("/")[2]: mode for name, mode in modes(base).items()})
        assert thread.cli("stop", "t1", prefix=prefix, **environ).returncode == 0
    assert found[1:] == [found[0]] * 3
    assert found[0]["far/storage/threads/t1/made/file"] == "0o644"
    assert not [name for name, its in found[0].items() if int(its, 8) & 0o022 and name.startswith(("far", "run"))]


LEASE = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
for name in sys.argv[1:]:
    held = os.open(name, os.O_RDWR)
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    os.chmod(name, 0)
open("/up", "w").close()
time.sleep(600)
"""


@pytest.mark.attack("rights of files")
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_lease_of_a_commands_is_told_and_never_waited_for(bare: World, is_closed: bool) -> None:
    text = LEASE if is_closed else LEASE.replace("os.chmod(name, 0)", "pass")
    running = bare.start("run", "t1", "--", "python3", "-c", text, "/hello")
    wait_for_file(bare.workspace() / "up")
    for verb in (("status", "t1"), ("diff", str(bare.profile), "t1"), ("apply", str(bare.profile), "t1")):
        done = bare.cli(*verb)
        assert done.returncode == 1
        assert b"hello" in done.stderr
        assert b"lease" in done.stderr
        assert b"solven-env stop" in done.stderr
    assert running.poll() is None
    assert bare.run("true").status == 0
    solven_env.stop("t1", storage=bare.storage)
    bare.apply()
    assert bare.status().state == "in-sync"


@pytest.mark.attack("rights of files")
def test_what_we_make_where_an_agent_planted_a_fifo_waits_for_nobody(bare: World) -> None:
    bare.out("rm /hello; mkfifo /hello")
    assert bare.status().state == "drift"
    bare.apply()
    assert bare.out("cat /hello") == "hello\n"


def test_a_build_has_its_modes_whatever_the_umask(lone_world: World, caches: Path) -> None:
    """The shared store's builds were made with another umask."""
    prefix = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    done = lone_world.cli("apply", str(lone_world.profile), "t1", prefix=prefix)
    assert done.returncode == 0, done.stderr
    (build,) = lone_world.builds.glob("python-*")
    assert modes(build).items() <= modes(caches / "solven-env/builds" / build.name).items()
