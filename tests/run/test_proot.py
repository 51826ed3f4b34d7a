"""The backend proot by name: what it says, what it leaves, and that nothing outlives its command, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import PlatformError, SandboxError
from solven_env.sandbox.backends.proot import STATEMENT
from tests.profiles import write_profile
from tests.run.namespaces import REFUSING, UNTRACEABLE
from tests.run.world import UID, tree
from tests.sandbox.running import DEADLINE, ROOT, survivors, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

needs_a_user = pytest.mark.skipif(ROOT, reason="root's commands need a mount namespace")
PLACES: list[tuple[str, ...]] = [(), pytest.param(REFUSING, marks=needs_a_user)]  # type: ignore[list-item]


def hiding(world: World) -> tuple[str, ...]:
    """A command that goes out of the way of signals, and begets without end."""
    text = (
        "trap '' INT TERM HUP; setsid sh -c 'while :; do setsid sleep 600; done' & setsid sleep 600 & touch /up; "
        "sleep 600; sleep 600"
    )
    return ("env", f"MARKED={world.base.name}", "sh", "-c", text)


@pytest.fixture
def under(bare: World) -> World:
    """A thread without packages that runs on proot."""
    bare.backend = "proot"
    return bare


@pytest.fixture
def proot(thread: World) -> World:
    """A thread with packages that runs on proot."""
    thread.backend = "proot"
    return thread


def clean(world: World) -> set[str]:
    """What is in the workspace but for the files of the profile and the tests."""
    return tree(world.workspace()) - {"hello", "up", ".bashrc", ".bash_profile"}


def test_the_profile_says_which_backend_and_each_command_says_it_once(under: World) -> None:
    profile = write_profile(under.base / "proot.yaml", {}, sandbox={"backend": "proot"})
    done = under.cli("apply", str(profile), "t2")
    assert (done.returncode, done.stderr.decode().count(STATEMENT)) == (0, 1), done.stderr
    under.backend = "bubblewrap"  # which names nothing on the command line
    done = under.cli("run", "t2", "--network", "none", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.returncode, done.stdout) == (0, b"out\n")
    line, rest = done.stderr.decode().split("\n", 1)
    assert (line.startswith("backend: proot, which enforces neither network (asked for: none)"), rest) == (
        True,
        "err\n",
    )
    assert STATEMENT in line
    done = under.cli("run", "t2", "--backend", "bubblewrap", "--", "true")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("prefix", PLACES)
def test_nothing_is_left_in_the_workspace(under: World, prefix: tuple[str, ...]) -> None:
    (under.workspace() / "var").mkdir()
    done = under.cli("run", "t1", "--", "sh", "-c", "ls -A / && echo mine > /mine && mkdir /kept", prefix=prefix)
    assert {"usr", "etc", "proc", "tmp", "var", "run", "hello"} <= set(done.stdout.decode().split())
    assert clean(under) == {"mine", "kept", "var"}
    assert under.cli("run", "t1", "--timeout", "0.2", "--", "sleep", "600", prefix=prefix).returncode == 124
    assert clean(under) == {"mine", "kept", "var"}
    left = [path.name for path in (under.base / "data").rglob("*") if path.name not in ("turn", "use")]
    assert not [name for name in left if name.startswith("stage-") or name == "made"]


@pytest.mark.parametrize("prefix", PLACES)
def test_mount_points_stay_for_a_command_that_still_runs(under: World, prefix: tuple[str, ...]) -> None:
    line = [*prefix, *under.command("run", "t1", "--", "sh", "-c", "touch /up; read -r _; ls / && echo works")]
    first = subprocess.Popen(line, env=under.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    under.started.append(first)
    wait_for_file(under.workspace() / "up")
    assert under.run("true").status == 0
    assert (under.workspace() / "usr").is_dir()
    out, _ = first.communicate(b"\n")
    assert {"usr", "works"} <= set(out.decode().split())
    assert clean(under) == set()


def test_mount_points_stay_for_a_session_of_bubblewrap(under: World) -> None:
    under.run("true", backend="bubblewrap")
    for path in sorted(under.workspace().rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
    text = "touch /up; read -r _; ls /usr/bin/env && echo works"
    ours = under.start("run", "t1", "--", "sh", "-c", "touch /ours; read -r _", stdin=subprocess.PIPE)
    wait_for_file(under.workspace() / "ours")
    other = subprocess.Popen(
        [sys.executable, "-m", "solven_env", "run", "t1", "--", "sh", "-c", text],
        env=under.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    under.started.append(other)
    wait_for_file(under.workspace() / "up")
    ours.communicate(b"\n")
    out, _ = other.communicate(b"\n")
    assert out == b"/usr/bin/env\nworks\n"


@pytest.mark.parametrize("prefix", PLACES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_launcher(under: World, prefix: tuple[str, ...], number: signal.Signals) -> None:
    read, write = os.pipe()
    text = f"import os; print(os.getpid(), flush=True); os.execv({sys.executable!r}, {under.command('run', 't1', '--', *hiding(under))!r})"
    process = subprocess.Popen([*prefix, sys.executable, "-c", text], stdout=write, env=under.environ)
    under.started.append(process)
    os.close(write)
    with open(read) as file:
        launcher = int(file.readline())
        wait_for_file(under.workspace() / "up")
        os.kill(launcher, number)
    assert process.wait() != 0
    wait_until_alone(under.base.name)
    end = time.monotonic() + DEADLINE
    # The supervisor tidies up, and without namespaces nothing about it names this test.
    while left := [*clean(under), *under.base.glob("data/solven-env/layers/*/*/*/proot/stage-*")]:
        assert time.monotonic() < end, left


def parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_status_and_explain_name_every_limit_but_that_of_time(under: World) -> None:
    limits = {"memory": "1GiB", "processes": 9, "wall_time": 60}
    profile = write_profile(under.base / "proot.yaml", {}, sandbox={"backend": "proot", "limits": limits})
    under.apply("t2", profile=profile)
    told = {each.limit: each.why for each in under.status("t2").unenforced}
    assert told == {"memory": "the backend is proot", "processes": "the backend is proot"}
    explained = solven_env.explain("t2", ["true"], storage=under.storage).limits
    assert {limit.name: limit.unenforced for limit in explained if limit.unenforced} == told


@pytest.mark.parametrize("prefix", PLACES)
@pytest.mark.parametrize("program", ["proot", "supervisor"])
def test_nothing_outlives_proot_or_its_supervisor(under: World, prefix: tuple[str, ...], program: str) -> None:
    """With proot gone, its programs would run with the paths of the host."""
    line = [*prefix, *under.command("run", "t1", "--", *hiding(under))]
    process = subprocess.Popen(line, env=under.environ, stderr=subprocess.DEVNULL)
    under.started.append(process)
    wait_for_file(under.workspace() / "up")
    (traces,) = survivors(under.base.name, b"proot\0-v\0")
    os.kill(traces if program == "proot" else parent(traces), signal.SIGKILL)
    assert process.wait() == 137
    wait_until_alone(under.base.name)
    assert under.run("true").status == 0  # which removes what the killed one could not
    assert clean(under) == set()


def test_a_command_cannot_end_what_watches_it_and_live_on(under: World) -> None:
    done = under.sh("setsid sleep 600 & kill -9 1; kill -9 $PPID; kill -9 -1; sleep 600", timeout=60.0)
    assert done.status == 137
    wait_until_alone(under.base.name)


@pytest.mark.skipif(not ROOT, reason="only root has another uid to drop to")
def test_commands_of_root_are_the_sandboxs(under: World) -> None:
    said = under.out("cat /proc/self/status; touch /mine")
    fields = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert [fields[name].strip() for name in ("Uid", "Gid", "Groups", "NoNewPrivs", "CapEff")] == [
        *("\t".join([str(UID)] * 4),) * 2,
        *("", "1", "0" * 16),
    ]
    assert under.sh("cat /etc/shadow; cat /proc/1/environ").out == ""
    assert (under.workspace() / "mine").stat().st_uid == UID


@pytest.mark.skipif(not ROOT, reason="an ordinary user needs none")
def test_root_without_namespaces_is_refused(under: World) -> None:
    done = under.cli("run", "t1", "--", "true", prefix=REFUSING)
    assert done.returncode == 125
    assert b"needs a mount namespace" in done.stderr


@pytest.mark.skipif(ROOT, reason="root needs a namespace first")
def test_a_refused_ptrace_is_told(under: World) -> None:
    done = under.cli("run", "t1", "--", "true", prefix=UNTRACEABLE)
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"ptrace" in done.stderr


def test_a_missing_proot_names_the_package_before_anything_is_built(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.profile = write_profile(world.base / "bare.yaml", {})
    world.apply()
    monkeypatch.setenv("PATH", str(world.base))
    with pytest.raises(PlatformError, match="proot is not installed") as caught:
        solven_env.run("t1", ["true"], storage=world.storage, backend="proot")
    assert "nstall" in caught.value.fix


@pytest.mark.parametrize(
    ("networks", "asked", "expected"),
    [
        (
            "[none, internet]",
            "none",
            "gives commands the network host, and this host's configuration allows none, internet",
        ),
        ("[host]", "none", "the network none is not allowed on this host"),
    ],
)
def test_a_cap_of_the_hosts_is_kept(under: World, networks: str, asked: str, expected: str) -> None:
    (under.base / "config.yaml").write_text(f"sandbox: {{networks: {networks}}}\n")
    done = under.cli("run", "t1", "--network", asked, "--", "true")
    assert done.returncode == 125
    assert expected in done.stderr.decode()


@pytest.mark.parametrize("place", ["usr", "tmp", ".solven", ".solven/skills/system"])
def test_a_link_planted_at_a_mount_point_is_named_and_not_followed(proot: World, place: str) -> None:
    (proot.storage / "skills/system").mkdir(parents=True)
    victim = proot.base / "victim"
    victim.mkdir()
    planted = proot.workspace() / place
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.symlink_to(victim)
    with pytest.raises(SandboxError, match="a link stands") as caught:
        proot.run("true")
    assert caught.value.location == f"/{place}"
    planted.unlink()
    planted.symlink_to("/hello")
    with pytest.raises(SandboxError, match="a link stands"):
        proot.run("true")
    assert os.listdir(victim) == []


def test_a_link_where_a_mount_point_was_is_not_removed(under: World) -> None:
    """What was made is an empty directory; what stands there at the end is the agent's."""
    victim = under.base / "victim"
    victim.mkdir()
    (victim / "srv").mkdir()
    under.profile = write_profile(under.base / "deep.yaml", {}, links={"a/srv": {"to": "skills/x"}})
    (under.storage / "skills/x").mkdir(parents=True)
    under.apply("t3")
    process = under.start("run", "t3", "--", "sh", "-c", "touch /up; read -r _", stdin=subprocess.PIPE)
    wait_for_file(under.workspace("t3") / "up")
    (under.workspace("t3") / "a").rename(under.workspace("t3") / "moved")
    (under.workspace("t3") / "a").symlink_to(victim)
    process.communicate(b"\n")
    assert (victim / "srv").is_dir()
    assert (under.workspace("t3") / "a").is_symlink()


def test_what_a_thread_changes_stays_in_its_copy(proot: World) -> None:
    proot.apply("t2")
    site = "/.venv/lib/python3.12/site-packages"
    proot.out(f"echo 'X = 1' > {site}/mine.py; echo 'Y = 1' >> {site}/six.py; ln -s /etc /.venv/planted")
    assert proot.out("python -c 'import mine, six; print(mine.X, six.Y)'") == "1 1\n"
    assert proot.sh("python -c 'import mine'", "t2").status != 0
    copies = list((proot.base / "data").rglob("copy"))
    assert len(copies) == 4
    build = next(path for path in proot.builds.glob("python-*/tree/lib/python*/site-packages/six.py"))
    for copy in copies:
        for path in copy.rglob("six.py"):
            assert (path.stat().st_ino, path.stat().st_nlink) != (build.stat().st_ino, 1)
            assert path.stat().st_nlink == 1
    assert "Y = 1" not in build.read_text()
    assert proot.status("t1").state == "in-sync"


def test_builds_are_made_under_proot_too(lone_world: World) -> None:
    """With a bubblewrap that nobody may start; the build is the one that bubblewrap makes."""
    lone_world.backend = "proot"
    profile = lone_world.base / "proot.yaml"
    text = lone_world.profile.read_text()
    assert "sandbox:" not in text
    profile.write_text(text + "sandbox: {backend: proot}\n")
    os.symlink(lone_world.profile.with_suffix(".lock"), profile.with_suffix(".lock"))
    done = lone_world.cli("apply", str(profile), "t1", SOLVEN_ENV_BWRAP="/nowhere/bwrap")
    assert done.returncode == 0, done.stderr
    ran = lone_world.cli(
        "run", "t1", "--", "python", "-c", "import six, sys; print(sys.prefix)", SOLVEN_ENV_BWRAP="/nowhere"
    )
    assert (ran.returncode, ran.stdout) == (0, b"/.venv\n"), ran.stderr
    assert "Would make no changes" in lone_world.sh("uv sync --frozen --inexact --dry-run").err
    (build,) = lone_world.builds.glob("python-*")
    before = {name: path.read_bytes() for name, path in _files(build / "tree")}
    owners = {path.lstat().st_uid for path in (build / "tree").rglob("*")}
    subprocess.run(["rm", "-r", str(build)], check=True)
    lone_world.backend = "bubblewrap"
    lone_world.apply()
    (again,) = lone_world.builds.glob("python-*")
    assert again.name == build.name
    after = {name: path.read_bytes() for name, path in _files(again / "tree")}
    assert before == after
    assert owners == {path.lstat().st_uid for path in (again / "tree").rglob("*")}


def _files(directory: Path) -> list[tuple[str, Path]]:
    """Without bytecode, which holds the time of its source."""
    return [
        (str(path.relative_to(directory)), path)
        for path in directory.rglob("*")
        if not path.is_symlink() and path.is_file() and path.suffix != ".pyc"
    ]
