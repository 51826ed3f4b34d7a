"""A trial whether this host can give each thread a uid of its own, in a process of its own, with what commands need.

Kernels, file systems and containers differ in what they refuse, and no list of them is ever complete. What is made for
this has a random name, and is gone afterwards.
"""

from __future__ import annotations

import os

from solven_env.sandbox import signals
from solven_env.sandbox.launch_plan import Overlay
from solven_env.sandbox.roots import mapping, sources
from solven_env.system import mounting, syscalls
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding, suppress
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def main(builds: str, layers: str, workspaces: str, common: str, first: str, last: str) -> None:
    """Write to standard output why it cannot be done, on one line; nothing where it can.

    The first three are directories in which builds, layers and workspaces lie: their file systems are tried. Builds
    belong to the uid `common`, threads to one from `first` to `last`.
    """
    signals.forget_starter()
    mounting.unshare(mounting.CLONE_NEWNS)
    mounting.make_private("/")
    uids = (int(common), int(first), int(last))
    tries: tuple[tuple[str, Callable[[], None]], ...] = (
        (f"{workspaces} does not keep whom files belong to", lambda: _keep_owners(workspaces, uids)),
        (f"{workspaces} cannot be shown with other owners", lambda: _show(workspaces, uids)),
        (f"no layer in {layers} can lie above {builds} with other owners", lambda: _stack(builds, layers, uids)),
    )
    for failed, attempt in tries:
        try:
            attempt()
        except OSError as error:
            os.write(1, f"{failed}: {error.strerror}".encode())
            return


class _made:  # noqa: N801 (read as a verb)
    """A new directory in `parent`, open, and gone at the end of the block.

    An agent may write in `parent`: nothing is looked up through a link, and nothing is there to be found in it.
    """

    def __init__(self, parent: str) -> None:
        self.parent = os.open(parent, READ_DIRECTORY_ITSELF)
        self.name = f".solven-env-{os.urandom(8).hex()}.tmp"
        self.opened = -1

    def __enter__(self) -> int:
        os.mkdir(self.name, 0o700, dir_fd=self.parent)
        self.opened = syscalls.openat2(self.parent, self.name, READ_DIRECTORY_ITSELF)
        return self.opened

    def __exit__(self, *_: object) -> None:
        os.close(self.opened)
        with suppress(OSError):
            os.rmdir(self.name, dir_fd=self.parent)
        os.close(self.parent)


def _keep_owners(workspaces: str, uids: tuple[int, int, int]) -> None:
    with _made(workspaces) as directory:
        for uid in uids:
            os.fchown(directory, uid, uid)
            if os.fstat(directory).st_uid != uid:  # a mounted bucket ignores it
                raise OSError(0, "a chown changes nothing")


def _show(workspaces: str, uids: tuple[int, int, int]) -> None:
    common, uid, _ = uids
    namespaces: mapping.Namespaces = {}
    with _made(workspaces) as directory:
        os.fchown(directory, uid, uid)
        with holding(mounting.clone_tree("", directory)) as clone:
            mapping.show(clone, uid, common, namespaces)
            if os.fstat(clone).st_uid != common:
                raise OSError(0, "an id-mapped mount changes nothing")


def _stack(builds: str, layers: str, uids: tuple[int, int, int]) -> None:
    """A build with a file, and a layer above it, in which another uid changes that file and makes one."""
    common, uid, _ = uids
    below, above = (f"{parent}/.solven-env-{os.urandom(8).hex()}.tmp" for parent in (builds, layers))
    try:
        for path, owner in ((below, common), (above, 0), (f"{above}/upper", uid), (f"{above}/work", uid)):
            os.mkdir(path, 0o700)
            os.chown(path, owner, owner)
        with open(f"{below}/built", "x") as file:
            os.fchown(file.fileno(), common, common)
        asked = Overlay("/", below, f"{above}/upper", f"{above}/work", "", owner=common)
        with holding(sources.overlay(asked, uid, {})) as mounted:
            _write_as(uid, mounted)
    finally:
        for path in (below, above):
            _remove(path)


def _remove(path: str) -> None:
    for directory, names, others in os.walk(path, topdown=False):
        for name in others:
            os.unlink(f"{directory}/{name}")
        for name in names:
            os.rmdir(f"{directory}/{name}")
    with suppress(FileNotFoundError):
        os.rmdir(path)


def _write_as(uid: int, directory: int) -> None:
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            for name, flags in (("built", os.O_WRONLY), ("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL)):
                with holding(os.open(name, flags, 0o644, dir_fd=directory)) as file:
                    os.write(file, b"written")
            status = 0
        except OSError as error:
            status = error.errno or status
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
