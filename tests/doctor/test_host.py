"""Things of a host that are broken one by one, and what doctor says of each."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.doctor import host
from solven_env.sandbox import cgroups
from tests.doctor.doctor import doctor, edited
from tests.run.world import CHECKOUT
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

mounts = pytest.mark.skipif(not ROOT, reason="mounts something")
NOWHERE = "http://127.0.0.1:9/"
# In a user namespace of the test's own, whose limit of further ones is 0: what an administrator sets.
REFUSING = """
import ctypes, os, sys
child, parent = os.pipe(), os.pipe()
pid = os.fork()
if not pid:
    if ctypes.CDLL(None).unshare(0x10000000): os._exit(99)
    os.write(child[1], b'x'); os.read(parent[0], 1)
    open('/proc/sys/user/max_user_namespaces', 'w').write('0')
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(child[0], 1)
uid, gid = os.getuid(), os.getgid()
open(f'/proc/{pid}/setgroups', 'w').write('deny' if uid else 'allow')
for name, number in (('uid', uid), ('gid', gid)):
    open(f'/proc/{pid}/{name}_map', 'w').write(f'{number} {number} 1' if uid else '0 0 100000')
os.write(parent[1], b'x')
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
# A FUSE mount whose daemon has ended (`dead`), or one that never answers.
FUSE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
if libc.mount(b'fuse', sys.argv[2].encode(), b'fuse', 0, options): sys.exit(os.strerror(ctypes.get_errno()))
if sys.argv[1] == 'dead': os.close(fuse)
else: os.set_inheritable(fuse, True)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def fuse(kind: str, place: Path) -> tuple[str, ...]:
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this machine has no FUSE")
    return ("unshare", "--mount", sys.executable, "-c", FUSE, kind, str(place))


def full(place: Path) -> tuple[str, ...]:
    """A prefix that puts a full file system at a place, for what follows alone."""
    fill = 'mount -t tmpfs -o size=256k tmpfs "$1" && cat /dev/zero >"$1/fill" 2>/dev/null; shift; exec "$@"'
    return ("unshare", "--mount", "sh", "-c", fill, "sh", str(place))


def without(place: Path, program: str) -> tuple[str, ...]:
    """A prefix that takes a program away from /usr/bin, for what follows alone."""
    hide = (
        'mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" &&'
        'mount -t overlay -o "lowerdir=/usr/bin,upperdir=$1/upper,workdir=$1/work" overlay /usr/bin &&'
        'rm "/usr/bin/$2" && shift 2 && exec "$@"'
    )
    return ("unshare", "--mount", "/bin/sh", "-c", hide, "sh", str(place), program)


def test_a_missing_bubblewrap(shared: World) -> None:
    told = doctor(shared, SOLVEN_ENV_BWRAP="/nowhere/bwrap", only=("sandbox", "cache"))
    assert told.level("bubblewrap") == "broken"
    assert "no bubblewrap at /nowhere/bwrap" in told.cause("bubblewrap")
    assert "Install" in told.fix("bubblewrap")
    assert "Not asked" in told.text
    assert told.level("cache") == "ok"  # the others are asked all the same


def test_missing_optional_programs_are_no_failure(shared: World) -> None:
    told = doctor(
        shared, PATH=str(shared.base), SOLVEN_ENV_BWRAP="/usr/bin/bwrap", only=("network helper", "internet", "proot")
    )
    assert told.code == 0, told.text
    assert "slirp4netns is not installed" in told.cause("network helper")
    assert "proot is not installed" in told.cause("proot")
    assert (
        "The proot backend rewrites paths so that a cooperative program sees the workspace as /. "
        "It is a convenience, not a security boundary."
    ) in told.fix("proot")
    assert {told.level("proot"), told.level("network helper")} == {"limited"}


def test_an_old_bubblewrap(shared: World, tmp_path: Path) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    old.chmod(0o755)
    told = doctor(shared, SOLVEN_ENV_BWRAP=str(old), only=("bubblewrap",))
    assert told.broken() == {"bubblewrap"}
    assert "bubblewrap is 0.6.1, and 0.8 or newer is needed" in told.cause("bubblewrap")


def test_a_bubblewrap_that_cannot_start_anything(shared: World) -> None:
    shared.base.chmod(0o711)
    broken = shared.base / "bwrap"
    broken.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo bubblewrap 0.9.0 && exit\necho 'no such day' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    told = doctor(shared, SOLVEN_ENV_BWRAP=str(broken), only=("sandbox",))
    assert told.level("sandbox") == "broken"
    assert "no such day" in told.fix("sandbox")


def test_no_uv(shared: World, tmp_path: Path) -> None:
    (tmp_path / "uv.py").write_text("raise ImportError('no uv\\n  in here')\n")
    told = doctor(shared, "t1", PYTHONPATH=f"{tmp_path}:{CHECKOUT}", only=("bun", "sandbox", "record"))
    assert told.level("uv") == "broken"
    assert "no uv in here" in told.cause("uv")
    assert told.level("sandbox") == told.level("record") == "ok"


def test_a_store_that_is_none(shared: World, tmp_path: Path) -> None:
    (tmp_path / "solven-env").mkdir()
    (tmp_path / "solven-env/builds").write_text("")
    told = doctor(shared, "t1", XDG_CACHE_HOME=str(tmp_path), only=("store",))
    assert told.level("store") == "broken"
    assert f"{tmp_path}/solven-env/builds" in told.fix("store")


@pytest.mark.skipif(ROOT, reason="root reads everything")
def test_a_store_that_may_not_be_read(shared: World, tmp_path: Path) -> None:
    (tmp_path / "solven-env/builds").mkdir(mode=0o000, parents=True)
    told = doctor(shared, XDG_CACHE_HOME=str(tmp_path), only=("store",))
    assert told.level("store") == "broken"
    assert "permission denied" in told.cause("store")


def test_a_cache_whose_parent_is_a_file(shared: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = doctor(shared, XDG_CACHE_HOME=f"{tmp_path}/file/cache", only=("cache",))
    assert told.level("cache") == "broken"
    assert "no directory" in told.fix("cache")


@mounts
def test_a_full_cache(shared: World, tmp_path: Path) -> None:
    told = doctor(shared, prefix=full(tmp_path), XDG_CACHE_HOME=str(tmp_path), only=("cache",))
    assert told.level("cache") == "broken"
    assert "no space is left" in told.cause("cache")
    assert str(tmp_path) in told.fix("cache")


@mounts
def test_a_full_storage(shared: World) -> None:
    told = doctor(shared, "t1", prefix=full(shared.storage), only=("storage", "record"))
    assert told.level("storage") == "broken"
    assert "no space is left" in told.cause("storage")
    assert "record" not in told.answers


@mounts
def test_a_dead_storage(shared: World) -> None:
    told = doctor(shared, "t1", prefix=fuse("dead", shared.storage), only=("storage", "record"))
    assert told.broken() == {"storage"}
    assert "the mount is dead: its daemon has ended" in told.cause("storage")


@mounts
def test_a_storage_that_never_answers(shared: World) -> None:
    told = doctor(shared, "t1", prefix=fuse("hung", shared.storage), only=("storage", "record"))
    assert told.broken() == {"storage"}
    assert "does not answer" in told.cause("storage")
    assert "umount" in told.fix("storage")


@mounts
def test_a_full_data_directory(shared: World) -> None:
    told = doctor(shared, "t1", prefix=full(shared.base / "data"), only=("data", "layers"))
    assert told.broken() == {"data"}
    assert "no space is left" in told.cause("data")
    assert "Free space" in told.fix("data")


@pytest.mark.skipif(ROOT, reason="root writes everywhere")
def test_a_cache_that_this_user_may_not_write(shared: World, tmp_path: Path) -> None:
    (tmp_path / "solven-env").mkdir(mode=0o500)
    told = doctor(shared, XDG_CACHE_HOME=str(tmp_path), only=("cache",))
    assert told.broken() == {"cache"}
    assert f"Run: chmod u+rwx {tmp_path}/solven-env" in told.fix("cache")
    told = doctor(shared, XDG_CACHE_HOME="/usr", only=("cache",))
    assert "/usr/solven-env cannot be made: permission denied" in told.cause("cache")
    assert "XDG_CACHE_HOME" in told.fix("cache")


@mounts
def test_a_read_only_cache(shared: World, tmp_path: Path) -> None:
    frozen = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"; shift; exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", frozen, "sh", str(tmp_path))
    told = doctor(shared, prefix=prefix, XDG_CACHE_HOME=str(tmp_path), only=("cache",))
    assert told.broken() == {"cache"}
    assert "the file system is read-only" in told.cause("cache")
    assert f"Run: sudo mount -o remount,rw {tmp_path}" in told.fix("cache")


@mounts
@pytest.mark.parametrize(
    ("program", "package", "broken"),
    [
        ("prlimit", "util-linux", {"prlimit", "sandbox"}),
        ("setsid", "util-linux", {"setsid"}),
        ("bash", "bash", {"bash"}),
    ],
)
def test_a_program_that_the_host_has_not(
    shared: World, tmp_path: Path, program: str, package: str, broken: set[str]
) -> None:
    told = doctor(
        shared, "t1", prefix=without(tmp_path, program), only=("prlimit", "setsid", "bash", "sandbox", "start")
    )
    assert told.broken() == broken
    for question in broken:
        assert f"/{program}" in told.cause(question)
        assert package in told.fix(question).rpartition("nstall")[2]
    if program == "prlimit":
        done = shared.cli("run", "t1", "--", "true", prefix=without(tmp_path, program))
        assert done.returncode == 125
        assert package in done.stderr.decode()


@mounts
@pytest.mark.parametrize(
    ("broken", "cause", "fix"),
    [
        (
            'echo text >"$1"; mount --bind "$1" /dev/null',
            "what stands there is -rw-r--r--",
            "Run: sudo umount /dev/null",
        ),
        ("mkdir $1; mount -t tmpfs tmpfs $1; cp -a /dev/zero /dev/full $1; mount --bind $1 /dev", "/dev/null", "mknod"),
        ('mknod -m 600 "$1" c 1 3; mount --bind "$1" /dev/null', "its mode is 0600", "Run: sudo chmod 666 /dev/null"),
    ],
    ids=["a file", "nothing", "a mode"],
)
def test_a_null_device_that_is_none(shared: World, tmp_path: Path, broken: str, cause: str, fix: str) -> None:
    prefix = ("unshare", "--mount", "sh", "-c", f'{broken}; shift; exec "$@"', "sh", str(tmp_path / "made"))
    told = doctor(shared, "t1", prefix=prefix, only=("devices", "/dev/null"))
    assert told.level("devices") == "broken"
    assert "/dev/null" in told.cause("devices")
    assert cause in told.cause("devices")
    assert fix in told.fix("devices")


def test_limits_of_memory_are_told_of_without_a_thread(shared: World) -> None:
    told = doctor(shared, only=("memory",))
    is_delegated = cgroups.find_parent() is not None
    assert told.level("memory") == ("ok" if is_delegated else "limited")
    assert "memory controller is delegated" in told.cause("memory")


def test_refused_namespaces(shared: World) -> None:
    drop = () if ROOT else ("setpriv", "--inh-caps=-all", "--ambient-caps=-all")
    told = doctor(shared, prefix=(sys.executable, "-c", REFUSING, *drop), only=("namespaces",))
    assert told.level("namespaces") == "broken"
    assert "user.max_user_namespaces=0" in told.fix("namespaces")
    assert "sudo sysctl -w user.max_user_namespaces=15000" in told.fix("namespaces")


def test_an_invalid_host_configuration(shared: World) -> None:
    with edited(shared.base / "config.yaml", "sandbox: {networks: [all]}\n"):
        told = doctor(shared, "t1", only=("configuration", "record"))
    assert told.level("configuration") == "broken"
    assert "config.yaml:1:22:" in told.cause("configuration")
    assert "record" not in told.answers


def test_a_runtime_directory_that_is_open_to_others(shared: World, tmp_path: Path) -> None:
    (tmp_path / "solven-env").mkdir(mode=0o755)
    told = doctor(shared, XDG_RUNTIME_DIR=str(tmp_path), only=("runtime directory",))
    assert told.level("runtime directory") == "broken"
    assert "not yours alone" in told.cause("runtime directory")
    assert f"Run: chmod 700 {tmp_path}/solven-env" in told.fix("runtime directory")


def test_a_file_in_the_place_of_the_runtime_directory(shared: World, tmp_path: Path) -> None:
    (tmp_path / "solven-env").touch()
    told = doctor(shared, XDG_RUNTIME_DIR=str(tmp_path), only=("runtime directory",))
    assert told.broken() == {"runtime directory"}
    assert "no directory stands there" in told.cause("runtime directory")
    assert f"Run: mv {tmp_path}/solven-env " in told.fix("runtime directory")
    told = doctor(shared, XDG_RUNTIME_DIR="/etc/passwd", only=("runtime directory",))
    assert told.broken() == {"runtime directory"}
    assert "/etc/passwd" in told.cause("runtime directory")


def test_registries_that_are_not_to_be_reached(shared: World, tmp_path: Path) -> None:
    told = doctor(shared, UV_DEFAULT_INDEX=NOWHERE.replace("//", "//user:secret@"), npm_config_registry=NOWHERE)
    assert told.code == 0
    assert {told.level("package index"), told.level("npm registry")} == {"limited"}
    assert "refused" in told.fix("package index")
    assert "secret" not in told.text
    told = doctor(shared, UV_DEFAULT_INDEX=NOWHERE, XDG_CACHE_HOME=str(tmp_path / "none"))
    assert told.level("bun") == "limited"
    assert not (tmp_path / "none").exists()


def test_a_storage_that_the_host_does_not_know(shared: World) -> None:
    told = doctor(shared, SOLVEN_ENV_STORAGE="prod")
    assert told.broken() == {"storage"}
    assert "knows no storage 'prod'" in told.cause("storage")


@pytest.mark.parametrize(
    ("value", "label", "is_root", "level", "said"),
    [
        ("", "", False, None, ""),
        ("0", "unconfined", False, "ok", "=0"),
        ("1", "unconfined", False, "limited", "this Python has none"),
        ("1", "docker-default (enforce)", False, "limited", "this Python has none"),
        ("1", "solven-env (unconfined)", False, "ok", "this Python has the profile solven-env (unconfined)"),
        ("1", "unconfined", True, "ok", "bubblewrap needs a profile"),
    ],
)
def test_the_switch_of_apparmor_and_the_profile_of_who_makes_the_namespace(
    value: str, label: str, is_root: bool, level: str | None, said: str
) -> None:
    files = {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": value, "/proc/self/attr/current": label}
    answer = host.judge_apparmor(lambda path: files.get(path, ""), is_root=is_root)
    assert (answer and answer.level) == level
    assert answer is None or said in f"{answer.detail} {answer.cause}"
