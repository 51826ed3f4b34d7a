"""Id-mapped mounts (mount_setattr(2)): files of one uid, and of the gid of that number, are shown as another's.

Builds belong to one uid and linked workspaces to other threads'; each command sees them as its own thread's, and what
it makes there belongs on disk to whom it should. Nothing is chowned. Linux 5.12 has such mounts, 5.19 overlays above
them; not every file system allows them.
"""

from __future__ import annotations

import os

from solven_env.system import mounting
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Namespaces: TypeAlias = dict[tuple[int, int], int]
    """User namespaces (descriptors) by the two uids that they exchange: one serves any number of mounts."""

_ALL = 4294967295
"""Number of ids: the last of them, (uid_t)-1, is none (user_namespaces(7))."""


def show(mount: int, disk: int, shown: int, namespaces: Namespaces) -> None:
    """Let a detached mount, and all beneath it, show `disk`'s files as `shown`'s. OSError where this host cannot."""
    key = (disk, shown)
    if key not in namespaces:
        namespaces[key] = _exchange(disk, shown)
    mounting.map_ids(mount, namespaces[key])


def close(namespaces: Namespaces) -> None:
    """Let the namespaces go; mounts that use them keep theirs."""
    while namespaces:
        os.close(namespaces.popitem()[1])


def _exchange(disk: int, shown: int) -> int:
    """A user namespace that exchanges the two ids and leaves every other what it is.

    Only a process can make one, so one is made for it, which ends at once. Ids without a place in the map would be
    nobody's: a workspace whose group is one of the host's could not be written any more.
    """
    ready, hers = os.pipe()
    hold, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(ours)
            mounting.unshare(mounting.CLONE_NEWUSER)
            os.write(hers, b"1")
            os.read(hold, 1)  # until it has been opened
            status = 0
        except OSError as error:
            status = error.errno or status
        finally:
            os._exit(status)
    os.close(hers)
    os.close(hold)
    try:
        if os.read(ready, 1):
            lines = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in _extents(disk, shown))
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/{pid}/{name}", "w") as file:
                    file.write(lines)
            return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    finally:
        os.close(ready)
        os.close(ours)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    raise OSError(status, os.strerror(status), "unshare")


def _extents(disk: int, shown: int) -> list[tuple[int, int, int]]:
    low, high = min(disk, shown), max(disk, shown)
    extents = [
        (0, 0, low),
        (low, high, 1),
        (low + 1, low + 1, high - low - 1),
        (high, low, 1),
        (high + 1, high + 1, _ALL - high - 1),
    ]
    return [extent for extent in extents if extent[2]]
