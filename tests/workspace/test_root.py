"""What each operation of a workspace's root does on disk."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.errors import ExchangeUnsupportedError, SolvenError, WorkspaceError
from solven_env.system import durable
from solven_env.workspace import root as root_module
from solven_env.workspace.root import Entry, Owner, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = os.geteuid() == 0
OWNER = Owner(61000, 61001)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """An open, empty workspace at `tmp_path`."""
    with Root(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY), None) as opened:
        yield opened


def tree(path: Path) -> list[str]:
    """What is beneath a directory."""
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


def mode(path: Path) -> int:
    """The permission bits of what has this name."""
    return stat.S_IMODE(path.lstat().st_mode)


# Paths

BAD_PATHS = ["", ".", "..", "/", "/etc/passwd", "a/", "a//b", "./a", "a/.", "../a", "a/../b", "a\0b", "\ud800"]

OPERATIONS: dict[str, Callable[[Root, str], object]] = {
    "stat": lambda root, path: root.stat(path),
    "read": lambda root, path: root.read(path),
    "read_link": lambda root, path: root.read_link(path),
    "mkdir": lambda root, path: root.mkdir(path),
    "stage": lambda root, path: root.stage(path, b"", 0o644),
    "set_aside": lambda root, path: root.set_aside(path),
    "publish to": lambda root, path: root.publish("file", path),
    "publish from": lambda root, path: root.publish(path, "new"),
    "exchange with": lambda root, path: root.exchange("file", path),
    "exchange": lambda root, path: root.exchange(path, "file"),
    "replace": lambda root, path: root.replace(path, b"", 0o644),
    "remove": lambda root, path: root.remove(path),
    "remove_directory": lambda root, path: root.remove_directory(path),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_is_none_is_refused(root: Root, tmp_path: Path, operation: str, path: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(WorkspaceError):
        OPERATIONS[operation](root, path)
    assert tree(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


@settings(deadline=None)
@given(path=st.text(max_size=40))
def test_no_text_is_anything_but_a_path_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    place = tmp_path_factory.getbasetemp()
    with Root(os.open(place, os.O_RDONLY), None) as root:
        try:
            entry = root.stat(path)
        except WorkspaceError as refused:
            assert str(refused).isprintable()
        else:
            assert (entry is not None) == os.path.lexists(place / path)


# Following links


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("real", "real"),
        ("/real", "real"),
        ("../../real", "real"),  # commands are at /, above which is /
        ("d/../real", "real"),
        ("./d//inner", "d/inner"),
        ("to-d/inner", "d/inner"),
        ("/to-d/up", "real"),
        ("real/", None),
        ("real/.", None),
        ("d", None),
        ("/", None),
        ("nothing", None),
        ("d/nothing", None),
        ("loop", None),
        ("link", None),
        ("fifo", None),
        ("barred", None),
        ("bar/inner", None),
        ("bar/../real", None),
        ("to-bar/inner", None),
        ("/etc/passwd", None),
        ("x" * 300, None),
        ("d/" * 1500 + "x", None),
    ],
)
def test_a_link_is_followed_as_commands_see_it(root: Root, tmp_path: Path, target: str, leads_to: str | None) -> None:
    for name in ("d", "bar"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inner").touch()
    for name in ("real", "barred"):
        (tmp_path / name).touch()
    for name, to in (("loop", "loop"), ("to-d", "d"), ("d/up", "../real"), ("to-bar", "/bar"), ("link", target)):
        (tmp_path / name).symlink_to(to)
    os.mkfifo(tmp_path / "fifo")
    assert root.follow("link", {"barred", "bar"}) == leads_to


@pytest.mark.parametrize(
    ("target", "leads_to"), [("nothing", "nothing"), ("d/../nothing", "nothing"), ("nothing/x", None), ("bar", None)]
)
def test_a_link_can_be_followed_to_where_nothing_is(
    root: Root, tmp_path: Path, target: str, leads_to: str | None
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(target)
    assert root.follow("link", {"bar"}, to_nothing=True) == leads_to


def test_as_many_links_are_followed_as_by_the_kernel(root: Root, tmp_path: Path) -> None:
    (tmp_path / "0").touch()
    for number in range(1, 42):
        (tmp_path / str(number)).symlink_to(str(number - 1))
    assert (root.follow("40"), root.follow("41")) == ("0", None)
    assert (tmp_path / "40").exists()
    with pytest.raises(OSError, match="Too many levels"):
        (tmp_path / "41").stat()


# Looking


def test_stat_tells_each_kind(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o4751)
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory").chmod(0o1700)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert root.stat("file") == Entry("file", 0o4751, 5)
    directory = root.stat("directory")
    assert directory is not None
    assert (directory.kind, directory.mode) == ("directory", 0o1700)
    assert root.stat("link") == Entry("symlink", 0o777, 4)
    assert root.stat("dangling") == Entry("symlink", 0o777, 7)
    assert root.stat("fifo") == Entry("other", 0o600, 0)


def test_stat_is_none_where_nothing_can_be(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "directory" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("directory")
    assert [root.stat(path) for path in ("gone", "gone/x", "file/x", "link/inner", "link/x")] == [None] * 5


def test_read_gives_bytes_up_to_its_limit(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\xff\r\n")
    assert root.read("file") == b"\0\xff\r\n"
    assert root.read("file", limit=4) == b"\0\xff\r\n"
    with pytest.raises(WorkspaceError, match="file: the file is too large: over 3 bytes"):
        root.read("file", limit=3)
    (tmp_path / "empty").touch()
    assert root.read("empty", limit=0) == b""


def test_read_never_takes_more_than_it_may(root: Root, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(WorkspaceError, match="too large"):
        root.read("sparse")


def test_a_file_that_grows_while_read_is_cut_off(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"")
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        (tmp_path / "log").write_bytes(b"x" * 100)
        return status

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(WorkspaceError, match="too large"):
        root.read("log", limit=99)


@pytest.mark.parametrize("path", ["gone", "gone/file"])
def test_what_is_gone_is_not_found(root: Root, path: str) -> None:
    for act in (root.read, root.read_link, root.list, root.remove, root.remove_directory):
        with pytest.raises(FileNotFoundError):
            act(path)


def test_read_refuses_what_is_no_file(root: Root, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(WorkspaceError, match="directory: something else than a file"):
        root.read("directory")


def test_read_link_tells_where_it_leads(root: Root, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("../../etc/passwd")
    (tmp_path / "file").write_text("")
    assert root.read_link("link") == "../../etc/passwd"
    with pytest.raises(WorkspaceError, match="file: "):
        root.read_link("file")


def test_list_is_sorted_and_knows_the_top(root: Root, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("b", "a", "ä", ".c"):
        (tmp_path / "d" / name).write_text("")
    assert root.list("d") == (".c", "a", "b", "ä")
    assert root.list("") == ("d",)
    assert root.list("d", 4) == root.list("d")
    few = root.list("d", 2)
    assert len(few) == 2
    assert set(few) < set(root.list("d"))
    assert few == tuple(sorted(few))
    with pytest.raises(WorkspaceError):
        root.list("d/a")


# Directories


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("wanted", [0o755, 0o700, 0o1777])
def test_mkdir_makes_the_mode_exactly(root: Root, tmp_path: Path, umask: int, wanted: int) -> None:
    if umask == 0o777 and not ROOT:
        pytest.skip("a directory that its owner cannot open can only be mended by root")
    before = os.umask(umask)
    try:
        root.mkdir("d", wanted)
    finally:
        os.umask(before)
    assert mode(tmp_path / "d") == wanted


def test_mkdir_needs_its_parent_and_a_free_name(root: Root, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        root.mkdir("a/b")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            root.mkdir(name)
    assert tree(tmp_path) == ["file", "link"]


def test_only_empty_directories_are_removed(root: Root, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty") as caught:
        root.remove_directory("d")
    assert caught.value.errno == errno.ENOTEMPTY
    root.remove_directory("d/e")
    root.remove_directory("d")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError):
        root.remove_directory("file")
    assert tree(tmp_path) == ["file"]


# Files


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
@pytest.mark.parametrize("wanted", [0o644, 0o600, 0o755, 0o444])
def test_a_staged_file_is_complete_and_apart(root: Root, tmp_path: Path, umask: int, wanted: int) -> None:
    (tmp_path / "bin").mkdir()
    before = os.umask(umask)
    try:
        staged = root.stage("bin/hello", b"#!/bin/sh\n", wanted)
    finally:
        os.umask(before)
    assert tree(tmp_path) == ["bin", staged]
    assert (tmp_path / staged).read_bytes() == b"#!/bin/sh\n"
    assert mode(tmp_path / staged) == wanted
    assert root.temporaries("bin") == (Path(staged).name,)
    root.publish(staged, "bin/hello")
    assert tree(tmp_path) == ["bin", "bin/hello"]
    assert mode(tmp_path / "bin/hello") == wanted
    assert root.temporaries("bin") == ()


@pytest.mark.parametrize("wanted", [0o640, 0o444, 0o4755, 0o200])
def test_a_staged_file_is_never_readable_more_widely_than_wanted(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    seen: list[tuple[str, int]] = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object) -> object:
            seen.extend((name, mode(path)) for path in tmp_path.iterdir())
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    for name in ("write", "fchmod", "fsync"):
        spy(name)
    before = os.umask(0)
    try:
        root.stage("file", b"x", wanted)
    finally:
        os.umask(before)
    assert [name for name, _ in seen][-1] == "fsync"
    assert {at & ~wanted & 0o7077 for _, at in seen} == {0}
    assert seen[-1][1] == wanted


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("step", ["write", "fsync"])
def test_a_failed_stage_leaves_nothing(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(WorkspaceError, match="bashrc: ") as caught:
        root.stage("bashrc", b"x", 0o644)
    assert caught.value.fix
    assert tree(tmp_path) == []


def test_a_short_write_is_continued(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:3])))
    assert (tmp_path / root.stage("file", b"0123456789", 0o644)).read_bytes() == b"0123456789"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_modes_is_written_all_the_same(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fchmod", refuse)
    root.publish(root.stage("file", b"x", 0o644), "file")
    root.mkdir("d", 0o711)
    assert tree(tmp_path) == ["d", "file"]


def test_a_directory_that_cannot_be_synced_is_no_failure(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def refuse_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_directories)
    root.publish(root.stage("file", b"x", 0o644), "file")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_publish_replaces_nothing(root: Root, tmp_path: Path, flags: None) -> None:
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "d").mkdir()
    staged = root.stage("new", b"ours", 0o644)
    for path in ("file", "link", "d"):
        with pytest.raises(FileExistsError):
            root.publish(staged, path)
    assert (tmp_path / "file").read_text() == "theirs"
    assert tree(tmp_path) == sorted([staged, "d", "file", "link"])
    root.publish(staged, "d/new")
    assert (tmp_path / "d" / "new").read_text() == "ours"


@pytest.fixture(params=[None, errno.EINVAL, errno.ENOTSUP])
def flags(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows renameat2's flags, and such as do not."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    if request.param is not None:
        monkeypatch.setattr(durable, "renameat2", refuse)
        monkeypatch.setattr(root_module, "renameat2", refuse)


def test_exchange_loses_nothing(root: Root, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_text("theirs")
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "link").symlink_to("outside")
    staged = root.stage("d/file", b"ours", 0o644)
    root.exchange(staged, "d/file")
    assert (tmp_path / "d" / "file").read_text() == "ours"
    assert (tmp_path / staged).read_text() == "theirs"
    root.exchange("link", staged)
    assert root.read_link(staged) == "outside"
    assert root.temporaries("d") == (Path(staged).name,)
    root.remove(staged)
    assert (tmp_path / "link").read_text() == "theirs"
    assert (tmp_path / "outside").read_text() == "untouched"


def test_exchange_needs_both(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for a, b in (("file", "gone"), ("gone", "file")):
        with pytest.raises(FileNotFoundError):
            root.exchange(a, b)
    assert tree(tmp_path) == ["file"]


def test_a_file_system_that_cannot_exchange_says_so_and_changes_nothing(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    monkeypatch.setattr(root_module, "renameat2", refuse)
    with pytest.raises(ExchangeUnsupportedError):
        root.exchange("a", "b")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["a", "b"]


def test_replace_takes_the_place_of_a_link_and_leaves_what_it_leads_to(root: Root, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "b").symlink_to("outside")
    root.replace("b", b"ours", 0o640)
    assert tree(tmp_path) == ["b", "outside"]
    assert not (tmp_path / "b").is_symlink()
    assert ((tmp_path / "b").read_text(), stat.S_IMODE((tmp_path / "b").stat().st_mode)) == ("ours", 0o640)
    assert (tmp_path / "outside").read_text() == "untouched"


def test_remove_takes_anything_but_a_directory(root: Root, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "file").write_text("")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "file", "fifo"):
        root.remove(name)
    with pytest.raises(WorkspaceError, match="d: a directory stands where"):
        root.remove("d")
    assert tree(tmp_path) == ["d", "kept"]


def test_what_is_set_aside_is_whatever_stood_there(root: Root, tmp_path: Path) -> None:
    (tmp_path / "d" / "inner").mkdir(parents=True)
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "link").symlink_to("outside")
    directory, link = root.set_aside("d"), root.set_aside("link")
    assert tree(tmp_path) == sorted([directory, f"{directory}/inner", link, "outside"])
    assert root.read_link(link) == "outside"
    assert set(root.temporaries("")) == {directory, link}
    with pytest.raises(FileNotFoundError):
        root.set_aside("d")


def test_temporaries_are_told_by_their_whole_name(root: Root, tmp_path: Path) -> None:
    ours = [f".solven-env-{digit * 16}.tmp" for digit in "abc"]
    (tmp_path / ours[0]).mkdir()
    (tmp_path / ours[1]).symlink_to("nowhere")
    (tmp_path / ours[2]).write_text("")
    for name in (".solven-env-x.tmp", f".solven-env-{'a' * 16}.tmp2", f"solven-env-{'a' * 16}.tmp"):
        (tmp_path / name).write_text("theirs")
    assert root.temporaries("") == tuple(ours)
    (tmp_path / "link").symlink_to(".")
    assert [root.temporaries(path) for path in ("gone", "link", ".solven-env-x.tmp")] == [()] * 3


# What the system refuses

REFUSALS = [
    (errno.EACCES, "permission denied"),
    (errno.ENOSPC, "no space"),
    (errno.EROFS, "read-only"),
    (errno.ELOOP, "symbolic link"),
    (errno.ENOTCONN, "mount is dead"),
    (errno.EIO, "daemon failed"),
    (errno.ENAMETOOLONG, "too long"),
    (errno.EAGAIN, "lease"),
]


@pytest.mark.parametrize(("number", "message"), REFUSALS)
def test_a_refusal_names_the_path_and_what_to_do(
    root: Root, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(root_module, "openat2", refuse)
    for name, operation in OPERATIONS.items():
        if name == "stat" and number == errno.ELOOP:
            continue
        with pytest.raises(WorkspaceError, match=message) as caught:
            operation(root, "a/b")
        assert caught.value.fix
        assert caught.value.location in ("a/b", "new", "file")


def test_names_are_shown_without_control_codes(root: Root, tmp_path: Path) -> None:
    (tmp_path / "\x1b[2J\udcff").mkdir()
    with pytest.raises(WorkspaceError) as caught:
        root.read("\x1b[2J\udcff")
    assert caught.value.location == r"\x1b[2J\udcff"


def test_a_name_that_is_too_long_is_refused(root: Root) -> None:
    with pytest.raises(WorkspaceError, match="too long"):
        root.mkdir("a" * 256)


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_our_own_file_is_read_whatever_its_mode_and_keeps_it(root: Root, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o210)
    assert root.read("secret") == b"x"
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o210


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_permission_denied_is_a_workspace_error(root: Root, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/file").write_text("")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(WorkspaceError, match="closed/file: permission denied"):
            root.read("closed/file")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_leased_file_is_not_waited_for(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # what the kernel tells a lease's holder
    leased = os.open(tmp_path / "file", os.O_RDWR)
    try:
        try:
            fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            pytest.skip("this file system has no leases")
        with pytest.raises(WorkspaceError, match="lease"):
            root.read("file")
    finally:
        os.close(leased)
        signal.signal(signal.SIGIO, before)


def test_closing_twice_is_no_error_and_ends_it(tmp_path: Path) -> None:
    root = Root(os.open(tmp_path, os.O_RDONLY), None)
    root.close()
    root.close()
    with pytest.raises((SolvenError, OSError)):
        root.list("")


# Owners

needs_root = pytest.mark.skipif(not ROOT, reason="only root gives files away")


def owner(path: Path) -> tuple[int, int]:
    """Whose it is: uid and gid."""
    status = path.lstat()
    return status.st_uid, status.st_gid


@needs_root
def test_what_is_written_is_the_owners(tmp_path: Path) -> None:
    with Root(os.open(tmp_path, os.O_RDONLY), OWNER) as root:
        root.mkdir("d")
        root.publish(root.stage("d/file", b"x", 0o4755), "d/file")
    assert [owner(tmp_path / path) for path in ("d", "d/file")] == [OWNER, OWNER]
    assert mode(tmp_path / "d/file") == 0o4755


@needs_root
def test_adopt_gives_everything_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a" / "link").symlink_to("/etc")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "theirs").write_text("")
    os.chown(tmp_path / "theirs", *OWNER)
    changed = (tmp_path / "theirs").stat().st_ctime_ns
    with Root(os.open(tmp_path, os.O_RDONLY), OWNER) as root:
        assert root.adopt() == ()
        everything = [tmp_path, *tmp_path.rglob("*")]
        assert {owner(path) for path in everything} == {OWNER}
        assert (tmp_path / "theirs").stat().st_ctime_ns == changed
        before = [path.lstat() for path in everything]
        assert root.adopt() == ()
        assert [path.lstat().st_ctime_ns for path in everything] == [status.st_ctime_ns for status in before]
    assert owner(tmp_path.parent) == (0, 0)


@needs_root
def test_adopt_leaves_hard_links_and_devices(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "shadow"
    (workspace / "d").mkdir(parents=True)
    outside.write_text("secret")
    os.link(outside, workspace / "d" / "innocent")
    try:
        os.mknod(workspace / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        left: tuple[str, ...] = ("d/innocent", "null")
    except PermissionError:  # in a container that may not make devices
        left = ("d/innocent",)
    with Root(os.open(workspace, os.O_RDONLY), OWNER) as root:
        assert root.adopt() == left
    assert owner(outside) == (0, 0)
    assert owner(workspace / "d") == OWNER


@needs_root
def test_adopt_stays_on_its_file_system(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    (workspace / "bin").mkdir(parents=True)
    (workspace / "passwd").touch()
    outside.mkdir()
    (outside / "tool").touch()
    script = (
        "import os, sys; from solven_env.workspace.root import Owner, Root\n"
        "print(*Root(os.open(sys.argv[1], os.O_RDONLY), Owner(61000, 61001)).adopt())"
    )
    mounted = 'mount --bind "$2" "$1/bin" && mount --bind "$2/tool" "$1/passwd" || exit 77; exec "$3" -c "$4" "$1"'
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, "sh", workspace, outside, sys.executable, script],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
        check=False,
    )
    if ran.returncode == 77 or (ran.returncode and not ran.stdout):
        pytest.skip("nothing can be mounted here")
    assert ran.stdout.split() == ["bin", "passwd"]
    assert [owner(path) for path in (outside, outside / "tool")] == [(0, 0), (0, 0)]
    assert owner(workspace) == OWNER


def test_without_an_owner_nothing_is_adopted(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert root.adopt() == ()
    assert owner(tmp_path / "file") == (os.geteuid(), os.getegid())
