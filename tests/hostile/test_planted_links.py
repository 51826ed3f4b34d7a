"""What an agent plants in its workspace is never followed, never waited for, and leads nowhere outside."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import WorkspaceError
from solven_env.state.storage_root import StorageRoot
from solven_env.system.syscalls import RENAME_EXCHANGE, renameat2
from solven_env.workspace.root import Owner, Root
from solven_env.workspace.storage import create_workspace, open_workspace
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.attack("links planted in a workspace")

ROOT = os.geteuid() == 0
OWNER = Owner(61000, 61001)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace's directory, beside an `outside` with things to lose."""
    for place in (tmp_path / "outside", tmp_path / "outside" / "a" / "b" / "c"):
        (place / "empty").mkdir(parents=True)
        (place / "file").write_text("secret")
        (place / "file").chmod(0o600)
        (place / "link").symlink_to("file")
    create_workspace(StorageRoot(tmp_path / "storage"), "t1", None).close()
    return tmp_path / "storage" / "threads" / "t1"


@pytest.fixture
def outside(workspace: Path, tmp_path: Path) -> Iterator[Path]:
    """What lies beside the storage: exactly the same afterwards."""
    place = tmp_path / "outside"
    before = snapshot(place)
    yield place
    assert snapshot(place) == before


@pytest.fixture
def root(workspace: Path) -> Iterator[Root]:
    """The workspace, open; as root with an owner, so that a wrong chown shows."""
    with Root(os.open(workspace, os.O_RDONLY), OWNER if ROOT else None) as opened:
        yield opened


REFUSED = (WorkspaceError, FileExistsError, FileNotFoundError)

WRITES: dict[str, Callable[[Root, str], object]] = {
    "mkdir": lambda root, path: root.mkdir(path),
    "stage": lambda root, path: root.stage(path, b"ours", 0o644),
    "set_aside": lambda root, path: root.set_aside(path),
    "publish": lambda root, path: root.publish(root.stage("ours", b"ours", 0o644), path),
    "exchange": lambda root, path: root.exchange(root.stage("ours", b"ours", 0o644), path),
    "replace": lambda root, path: root.replace(path, b"ours", 0o644),
    "remove": lambda root, path: root.remove(path),
    "remove_directory": lambda root, path: root.remove_directory(path),
}
READS: dict[str, Callable[[Root, str], object]] = {
    "read": lambda root, path: root.read(path),
    "read_link": lambda root, path: root.read_link(path),
    "list": lambda root, path: root.list(path),
}


@pytest.mark.parametrize("operation", [*WRITES, *READS])
@pytest.mark.parametrize("depth", range(3))
def test_a_link_at_any_parent_is_refused(
    root: Root, workspace: Path, outside: Path, operation: str, depth: int
) -> None:
    parents = ["a", "b", "c"]
    above = workspace.joinpath(*parents[:depth])
    above.mkdir(parents=True, exist_ok=True)
    (above / parents[depth]).symlink_to(outside.joinpath(*parents[: depth + 1]))
    for name in ("file", "link", "empty", "new"):
        path = "/".join([*parents, name])
        with pytest.raises(WorkspaceError, match=r"symbolic link|no directory"):
            (WRITES | READS)[operation](root, path)
        assert root.stat(path) is None
        for staged in root.temporaries(""):
            root.remove(staged)
    assert root.temporaries("/".join(parents)) == ()


@pytest.mark.parametrize("target", ["file", "empty", "new"])
@pytest.mark.parametrize("operation", WRITES)
def test_a_link_at_the_last_name_is_itself_what_is_changed(
    root: Root, workspace: Path, outside: Path, operation: str, target: str
) -> None:
    (workspace / "planted").symlink_to(outside / target)
    with suppress(*REFUSED):
        WRITES[operation](root, "planted")
    ours = workspace / "planted"
    assert ours.is_symlink() or not ours.exists() or ours.read_bytes() == b"ours"


@pytest.mark.parametrize("target", ["file", "empty", "new", "../outside/file"])
def test_a_link_is_not_read_through(root: Root, workspace: Path, outside: Path, target: str) -> None:
    (workspace / "planted").symlink_to(outside / target)
    for act in (root.read, root.list):
        with pytest.raises(WorkspaceError, match="planted: "):
            act("planted")
    entry = root.stat("planted")
    assert entry is not None
    assert entry.kind == "symlink"


@pytest.mark.parametrize("link", ["/proc/self/root", "/proc/self/cwd"])
def test_the_kernels_own_links_are_refused(root: Root, workspace: Path, link: str) -> None:
    (workspace / "planted").symlink_to(link)
    with pytest.raises(WorkspaceError):
        root.list("planted")
    with pytest.raises(WorkspaceError):
        root.read("planted/etc/passwd")


@pytest.mark.parametrize("where", ["threads", "threads/t1"])
@pytest.mark.parametrize("target", ["outside", "outside/file", "nowhere"])
def test_a_link_at_the_workspace_is_refused(
    tmp_path: Path, workspace: Path, outside: Path, where: str, target: str
) -> None:
    place = tmp_path / "storage" / where
    place.rename(tmp_path / "away")
    place.symlink_to(tmp_path / target)
    for act in (open_workspace, create_workspace):
        with pytest.raises(WorkspaceError, match=r"symbolic link|no directory") as caught:
            act(StorageRoot(tmp_path / "storage"), "t1", OWNER if ROOT else None)
        assert caught.value.location == str(workspace)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_at_the_workspace_is_refused(tmp_path: Path, workspace: Path) -> None:
    workspace.rmdir()
    workspace.write_text("")
    for act in (open_workspace, create_workspace):
        with pytest.raises(WorkspaceError, match="no directory"):
            act(StorageRoot(tmp_path / "storage"), "t1", None)


def test_a_workspace_that_is_exchanged_for_a_link_stays_the_one_that_was_opened(
    root: Root, workspace: Path, outside: Path, tmp_path: Path
) -> None:
    workspace.rename(tmp_path / "away")
    workspace.symlink_to(outside)
    root.publish(root.stage("file", b"ours", 0o644), "file")
    assert (tmp_path / "away" / "file").read_bytes() == b"ours"


def plant_fifo(path: Path) -> None:
    """A FIFO that nobody writes to: opening it to read waits for ever."""
    os.mkfifo(path)


def plant_socket(path: Path) -> None:
    """A socket, by a relative name: an absolute one may be too long."""
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def plant_device(path: Path) -> None:
    """The terminal of whoever opens it."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(5, 0))
    except PermissionError:
        pytest.skip("no devices can be made here")


@pytest.mark.parametrize("plant", [plant_fifo, plant_socket, plant_device])
def test_what_is_no_file_is_not_waited_for(root: Root, workspace: Path, plant: Callable[[Path], None]) -> None:
    plant(workspace / "planted")
    entry = root.stat("planted")
    assert entry is not None
    assert entry.kind == "other"
    with pytest.raises(WorkspaceError, match="planted: "):
        root.read("planted")
    staged = root.stage("planted", b"ours", 0o644)
    with pytest.raises(FileExistsError):
        root.publish(staged, "planted")
    root.exchange(staged, "planted")
    assert root.read("planted") == b"ours"
    assert root.temporaries("") == (staged,)
    root.remove(staged)
    assert root.list("") == ("planted",)


def test_names_that_are_not_utf8_come_and_go(root: Root, workspace: Path) -> None:
    (workspace / os.fsdecode(b"d\xff")).mkdir()
    (workspace / os.fsdecode(b"d\xff") / os.fsdecode(b"\xfe\n")).write_bytes(b"x")
    assert root.list("") == ("d\udcff",)
    assert root.list("d\udcff") == ("\udcfe\n",)
    assert root.read("d\udcff/\udcfe\n") == b"x"
    root.publish(root.stage("d\udcff/\udcfd", b"y", 0o644), "d\udcff/\udcfd")
    assert os.listdir(os.fsencode(workspace) + b"/d\xff") in ([b"\xfd", b"\xfe\n"], [b"\xfe\n", b"\xfd"])


def test_a_hard_link_to_a_file_outside_is_replaced_not_written(root: Root, workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "file"
    os.link(outside, workspace / "file")
    root.replace("file", b"ours", 0o644)
    assert (workspace / "file").read_bytes() == b"ours"
    assert outside.read_text() == "secret"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600


# Trees made to exhaust


@pytest.fixture
def deep_workspace(workspace: Path) -> Iterator[Path]:
    """A workspace that is removed afterwards by a program that gets to its bottom: shutil.rmtree recurses."""
    yield workspace
    subprocess.run(["rm", "-rf", workspace], check=True)


def plant_deep(place: Path, depth: int, name: str) -> None:
    """Directories inside each other, two a level, deeper than a path can say."""
    here = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("0", dir_fd=here)
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("leaf", os.O_CREAT, dir_fd=here))
    os.close(here)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """A process that may open few more files than it has."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
@pytest.mark.parametrize(("depth", "name"), [(1500, "z"), (100, "z" * 255)])
def test_adoption_goes_to_the_bottom_of_any_tree(
    root: Root, deep_workspace: Path, outside: Path, few_descriptors: None, depth: int, name: str
) -> None:
    plant_deep(deep_workspace, depth, name)
    (deep_workspace / "out").symlink_to(outside)
    assert root.adopt() == ()
    here = os.open(deep_workspace, os.O_RDONLY)
    for _ in range(depth):
        assert os.fstat(here)[4:6] == OWNER
        assert os.stat("0", dir_fd=here)[4:6] == OWNER
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    assert os.stat("leaf", dir_fd=here)[4:6] == OWNER
    os.close(here)
    assert (deep_workspace / "out").lstat().st_uid == OWNER.uid


def test_a_deep_tree_is_refused_by_name_and_nothing_breaks(root: Root, deep_workspace: Path) -> None:
    plant_deep(deep_workspace, 40, "z" * 250)
    with pytest.raises(WorkspaceError, match="too long"):
        root.stat("/".join(["z" * 250] * 40))
    assert root.list("/".join(["z" * 250] * 10)) == ("0", "z" * 250)


# Races


class Swapper:
    """An agent that lets a directory and a link to the outside trade places, as fast as it can."""

    def __init__(self, workspace: Path, target: Path) -> None:
        """Make `d` (a directory) and `l` (a link to `target`) in the workspace."""
        (workspace / "d").mkdir()
        (workspace / "l").symlink_to(target)
        self._place = os.open(workspace, os.O_RDONLY)
        self._done = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._swap)

    def __enter__(self) -> Swapper:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        os.close(self._place)

    def _swap(self) -> None:
        self._started.set()
        while not self._done.is_set():
            renameat2(self._place, "d", self._place, "l", RENAME_EXCHANGE)


def test_a_parent_that_is_swapped_for_a_link_leads_nowhere(root: Root, workspace: Path, outside: Path) -> None:
    with Swapper(workspace, outside):
        for number in range(2000):
            with suppress(*REFUSED):
                root.publish(root.stage(f"d/{number}", b"ours", 0o644), f"d/{number}")
            with suppress(*REFUSED):
                root.remove("d/file")
    directory = workspace / ("l" if (workspace / "d").is_symlink() else "d")
    assert all(path.name.isdecimal() or path.name.startswith(".solven-env-") for path in directory.iterdir())


def test_a_last_name_that_is_swapped_for_a_link_is_never_gone_through(
    root: Root, workspace: Path, outside: Path
) -> None:
    with Swapper(workspace, outside):
        for _ in range(500):
            for act in (root.list, root.read):
                with suppress(*REFUSED):
                    assert act("d") in ((), ("inner",))
            with suppress(*REFUSED):
                root.mkdir("d/inner", 0o700)
            with suppress(*REFUSED):
                root.remove_directory("d/inner")


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_adoption_is_not_led_outside_by_a_swap(root: Root, workspace: Path, outside: Path) -> None:
    with Swapper(workspace, outside):
        for _ in range(200):
            root.adopt()
    assert outside.stat().st_uid == 0


def test_a_staged_file_that_is_swapped_for_a_link_is_published_as_it_is(
    root: Root, workspace: Path, outside: Path
) -> None:
    staged = root.stage("file", b"ours", 0o644)
    (workspace / staged).unlink()
    (workspace / staged).symlink_to(outside / "file")
    root.publish(staged, "file")
    assert root.read_link("file") == str(outside / "file")
