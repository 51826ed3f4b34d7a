"""What a look costs, in exact numbers of system calls, and what it sees nevertheless (docs/reconciling.md).

Everything that an apply looks at is changed between two applies of one process, to the same size and with the same time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import DamagedRecordError
from solven_env.system import reread
from tests.profiles import write_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TIME = 10**18
"""Modification time of every file that is changed, in nanoseconds since 1970."""

DOTFILES = {
    ".bashrc": {"template": "bashrc.j2"},
    ".templated": {"template": "beside.j2"},
    ".said": "one {{ user_id }}\n",
    "bin/tool": {"source": "tool", "mode": "0755"},
}


class World:
    """A profile with a template and a source beside it, in a directory of its own, and a thread that it is applied to."""

    def __init__(self, top: Path) -> None:
        self.top, self.profile = top, top / "test.yaml"
        self.workspace = top / "storage/threads/t1"
        self.record = top / "storage/.solven-env/threads/t1/state.json"
        top.mkdir(exist_ok=True)
        write_profile(self.profile, DOTFILES, inputs={"user_id": {"type": "string", "default": "user"}})
        (top / "beside.j2").write_text("template one\n")
        (top / "tool").write_text("source one\n")
        for path in (self.profile, top / "beside.j2", top / "tool"):
            os.utime(path, ns=(TIME, TIME))

    def apply(self, storage: str | Path | None = None) -> list[str]:
        """The addresses that an apply changes."""
        (report,) = solven_env.apply(self.profile, "t1", storage=storage or self.top / "storage").threads
        return sorted(change.address for change in report.changes)

    def rewrite(self, path: Path, before: str = "one", after: str = "two") -> None:
        """Change a file in place, which keeps its size and its time."""
        text, about = path.read_text(), path.stat()
        assert before in text
        path.write_text(text.replace(before, after))
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)


@pytest.fixture
def world(tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A thread in sync, of which this process knows all that it can know."""
    monkeypatch.setattr(reread, "TICK", 0)  # files are remembered at once
    made = World(tmp_path / "world")
    made.apply()
    assert made.apply() == made.apply() == []
    time.sleep(0.02)  # a tick of the file system's clock
    return made


def _link(world: World) -> None:
    (world.workspace / ".other").write_text("one user\n")
    (world.workspace / ".said").unlink()
    (world.workspace / ".said").symlink_to(".other")


def _linked_directory(world: World) -> None:
    (world.workspace / "bin").rename(world.workspace / "elsewhere")
    (world.workspace / "bin").symlink_to("elsewhere")


def _replaced_mode(world: World) -> None:
    (world.workspace / "bin/tool").chmod(0o644)


CHANGES: Mapping[str, tuple[Callable[[World], object], list[str]]] = {
    "the profile": (lambda world: world.rewrite(world.profile, "one {{", "two {{"), ["file:.said"]),
    "a template": (lambda world: world.rewrite(world.top / "beside.j2"), ["file:.templated"]),
    "a template that hides a shipped one": (
        lambda world: (world.top / "bashrc.j2").write_text("mine\n"),
        ["file:.bashrc"],
    ),
    "a template that says thread": (
        lambda world: (world.top / "beside.j2").write_text("{{ thread }}\n"),
        ["file:.templated"],
    ),
    "a source": (lambda world: world.rewrite(world.top / "tool"), ["file:bin/tool"]),
    "a file": (lambda world: world.rewrite(world.workspace / ".said"), ["file:.said"]),
    "a file that is gone": (lambda world: (world.workspace / ".said").unlink(), ["file:.said"]),
    "a link in a file's place": (_link, ["file:.said"]),
    "a link in a directory's place": (_linked_directory, ["directory:bin", "file:bin/tool"]),
    "a file in a mount's place": (lambda world: (world.workspace / "tmp").write_text(""), ["mount:tmp"]),
    "a link in a mount's place": (lambda world: (world.workspace / "tmp").symlink_to("bin"), ["mount:tmp"]),
    "a mode": (_replaced_mode, ["file:bin/tool"]),
    "the workspace": (
        lambda world: shutil.rmtree(world.workspace),
        ["directory:/", "directory:bin", "file:.bashrc", "file:.said", "file:.templated", "file:bin/tool"],
    ),
}


@pytest.mark.parametrize(("change", "changed"), CHANGES.values(), ids=CHANGES)
def test_what_changed_between_two_applies_is_seen(
    world: World, change: Callable[[World], object], changed: list[str]
) -> None:
    change(world)
    assert world.apply() == changed
    assert world.apply() == []


def test_another_variable_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLVEN_INPUT_USER_ID", "ada")
    assert world.apply() == ["file:.said", "settings:launch"]


def test_another_record_is_seen(world: World) -> None:
    world.rewrite(world.record, '"mode": "0755"', '"mode": "0999"')
    with pytest.raises(DamagedRecordError):
        world.apply()
    world.rewrite(world.record, '"mode": "0999"', '"mode": "0755"')
    assert world.apply() == []


def test_another_configuration_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    config = world.top / "config.yaml"
    config.write_text(f"storages: {{here: {{root: {world.top}/storage}}}}\n")
    monkeypatch.setenv("SOLVEN_ENV_CONFIG", str(config))
    assert world.apply("here") == []
    world.rewrite(config, "/storage", "/another")
    assert "directory:/" in world.apply("here")


def test_threads_share_what_does_not_say_which_they_are(world: World) -> None:
    sources = [solven_env.plan(world.profile, name, storage=world.top / "storage") for name in ("t1", "t2")]
    data = [plan.desired.states["file:.said"].data for plan in sources]
    assert data[0] is data[1]
    (world.top / "beside.j2").write_text("{{ thread }}\n")
    for name in ("t1", "t2"):
        plan = solven_env.plan(world.profile, name, storage=world.top / "storage")
        assert plan.desired.states["file:.templated"].data == f"{name}\n".encode()


COUNTED = """
import os, sys
import solven_env
from solven_env.system import reread
reread.TICK = 0
profile, storage, *threads = sys.argv[1:]
for thread in threads:
    for _ in range(3):
        solven_env.apply(profile, thread, storage=storage)
os.path.exists("/counted-from-here")
for thread in threads:
    assert not solven_env.apply(profile, thread, storage=storage).threads[0].changes
os.path.exists("/counted-to-here")
"""


MADE = """
import os, sys
import solven_env
from solven_env.system import reread
reread.TICK = 0
profile, storage, *threads = sys.argv[1:]
for thread in ("first", "second"):
    solven_env.apply(profile, thread, storage=storage)
os.path.exists("/counted-from-here")
for thread in threads:
    solven_env.apply(profile, thread, storage=storage)
os.path.exists("/counted-to-here")
"""


def counted(world: World, *threads: str, program: str = COUNTED) -> Counter[str]:
    """The system calls on files of an apply of each of these threads, by name; one that finds nothing to do, or all."""
    trace = world.top / "trace"
    strace = ("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=%file,%desc,io_submit")
    python = (sys.executable, "-c", program, str(world.profile), str(world.top / "storage"), *threads)
    subprocess.run([*strace, *python], check=True)
    lines = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines()]
    first, last = (next(n for n, line in enumerate(lines) if f"counted-{way}" in line) for way in ("from", "to"))
    return Counter(line.partition("(")[0] for line in lines[first + 1 : last])


LOOK = {
    # 7 mounts twice (may it be mounted, and upon what), 2 templates and the shipped one, the source, the profile, two
    # places of a configuration; rendered bytes that are there, by their size (4); each descriptor once it is open; and
    # modes: of the workspace (2), of `threads`, of a directory
    "newfstatat": 37,
    # the storage's id, record (is it there, and what it says), its directory, lock, workspace (2), a directory, 4 files;
    # the directory of rendered bytes
    "openat2": 13,
    # the storage, and which uids there are
    "openat": 2,
    # the id (2), the record (2), 4 files, and which uids there are
    "read": 9,
    # the listings of the workspace and of the record's directory, whose descriptors are copied for Python
    "getdents64": 4,
    "fcntl": 7,
    "lseek": 2,
    "fstatfs": 1,  # may other hosts mount the storage?
    "statx": 1,  # which storage is it?
    "readlink": 2,  # what this host knows of it
    "flock": 2,
    "close": 18,
}
"""The system calls of an apply that finds nothing to do, in a profile with four files and without packages."""

FOR_ROOT = {"openat": 1, "read": 1, "close": 1}
"""Those of them that tell whether the sandbox's uid is there."""


def test_a_look_at_a_thread_in_sync_costs_so_many_calls(world: World, memory_path: Path) -> None:
    """On a disk and in memory: what is looked at again has been looked at by this process before."""
    expected = Counter(LOOK)
    if os.geteuid() != 0:
        expected.subtract(FOR_ROOT)
    assert counted(world, "t1") == expected
    assert counted(World(memory_path / "world"), "t1") == expected


MAKE = {
    # the profile, two places of a configuration; 4 templates and sources, 7 mounts; what is mounted upon (7); the lock
    # (2) and what is beside it (1); rendered bytes that are there, by their size (4); 7 files when they are open, and 4
    # again when they have their owner; 2 directories before and after that; a directory that was made and is written in
    # (2); modes of the workspace (4) and of `threads` (1)
    "newfstatat": 48,
    # the storage's id; the record and its generations, which are missing (5); directories that are missing, those above,
    # and themselves once they are made (16); the lock (3) and that of all threads (2); the directory of rendered bytes;
    # the workspace (4); what an apply before this one kept, or named a generation (2); the record of what was meant
    "openat2": 35,
    # the storage, which uids there are, and 4 files with 3 records, under temporary names
    "openat": 9,
    "write": 7,
    "read": 5,  # the id (2), which uids there are, and the record of what was meant (2), whose place another takes
    "mkdirat": 5,  # the workspace, a directory in it, and of the state: the thread's, `generations`, the generation
    "fchownat": 6,  # the workspace, a directory and 4 files
    "renameat2": 6,  # 4 files, the record of what is meant, the generation
    "renameat": 1,  # the record
    "fstatfs": 4,  # may other hosts mount it? is there a disk (3)?
    "getdents64": 2,  # the leftovers of a killed apply
    "lseek": 1,
    "fcntl": 9,
    "statx": 1,
    "readlink": 2,
    "flock": 4,  # the thread, and what threads share: taken and let go
    "close": 38,
}
"""The system calls of an apply that makes a thread, in the same profile: no file twice, no directory for each file."""

WAITS = {"io_submit": 3, "fsync": 2}
"""Its five waits for a disk: three are for many files at once."""
WAITS_IN_MEMORY = {"fsync": 16}
"""What is waited for: 7 files, and 9 directories in which names changed."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_new_thread_costs_so_many_calls(world: World, memory_path: Path) -> None:
    assert counted(world, "new", program=MADE) == Counter(MAKE) + Counter(WAITS)
    assert counted(World(memory_path / "world"), "new", program=MADE) == Counter(MAKE) + Counter(WAITS_IN_MEMORY)
