"""One look at how much disk the directories of a thread take, while an agent changes them.

What is counted is blocks, as du(1) counts them, an inode once. A file counts at least 4 KiB and each further name of it
512 bytes: otherwise empty files and hard links would use up the host's inodes, and make each look as long as an agent
likes. A file system of other hosts (FUSE, NFS) counts the larger of blocks and size, since a bucket keeps no holes.

No link is followed and no mount is crossed: each directory is opened from the one above (openat2(2)). Directories below
level 512 are walked after all others, from descriptors that are kept for them, so that neither depth nor long paths end
a look. More than 1,024 such directories at once, or one that no descriptor is left for, cannot be looked at: then the
look is not `whole`, and whoever asks must believe the worst. Memory is bounded: of more than 250,000 entries only
larger ones are remembered, and a small file that is renamed during a look may then count twice.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from solven_env.system import syscalls
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding, suppress
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

FILE, NAME = 4096, 512
"""Bytes that a file counts at least, and that each further name of it counts."""
PACE = 500
"""Entries a second that a look asks a file system of other hosts for."""

_BLOCK = 512  # st_blocks counts these, whatever the file system's own are (stat(2))
_LEVELS = 512
_MOST_DEEP = 1024
_REMEMBERED = 250_000
_LARGE = 1 << 20
_PIECE = 16  # entries between two moments at which the pace is kept
_BELOW = syscalls.CONFINED | syscalls.RESOLVE_NO_XDEV
_WITHOUT_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Tree(NamedTuple):
    """A directory of the host. `beneath` is resolved through no link: an agent may write there."""

    path: str
    beneath: str = ""


class Look:
    """A look that is going on. Entries are remembered over all of its trees, so that none counts twice.

    `is_local`: the file systems are this host's alone. `whole` is False once something could not be looked at.
    """

    def __init__(self, *, is_local: bool) -> None:
        self.is_local = is_local
        self.whole = True
        self.devices: set[int] = set()
        self._seen: set[tuple[int, int]] = set()
        self._asked = 0
        self._began = time.monotonic()

    def take(self, tree: Tree, enough: float) -> int:
        """The bytes of a tree that were not counted yet; no more is looked at once they are more than `enough`."""
        return self._sum(tree, enough, before=None)

    def take_before(self, tree: Tree, moment: int) -> int:
        """The bytes of what was there at a `moment` (nanoseconds since 1970), as it is now.

        A file counts unless it was born later. Where births are not known, all that is there counts.
        """
        return self._sum(tree, float("inf"), before=moment)

    def take_open(self, pids: Collection[int]) -> int:
        """The bytes of files on the trees' file systems that processes have open and that were not counted yet.

        These are files without a name, and those that are open for writing, wherever they were moved to. Those that are
        only mapped are seen by root alone (proc(5), map_files), and a descriptor that is nowhere but in a message of a
        socket by nobody.
        """
        total = 0
        for pid in pids:
            for kind in ("fd", "map_files"):
                with suppress(OSError), os.scandir(f"/proc/{pid}/{kind}") as opened:  # it may end meanwhile
                    total += sum(map(self._open_file, opened))
        return total

    def _open_file(self, descriptor: os.DirEntry[str]) -> int:
        try:
            about = descriptor.stat()
            is_written = descriptor.stat(follow_symlinks=False).st_mode & stat.S_IWUSR  # proc(5)
        except OSError:
            return 0
        is_ours = stat.S_ISREG(about.st_mode) and about.st_dev in self.devices and (is_written or not about.st_nlink)
        if not is_ours or (about.st_dev, about.st_ino) in self._seen:
            return 0
        return self._count(about)

    def _sum(self, tree: Tree, enough: float, before: int | None) -> int:
        try:
            top = _open(tree)
        except OSError as error:  # it was removed, or what is mounted there does not answer: nobody writes there
            self.whole = self.whole and error.errno not in _WITHOUT_DESCRIPTORS
            return 0
        about = os.fstat(top)
        self.devices.add(about.st_dev)
        if (about.st_dev, about.st_ino) in self._seen:  # a link to the thread's own directory
            os.close(top)
            return 0
        total = self._count(about)
        deep = [top]
        levels: list[_Level] = []
        try:
            while deep and total <= enough:
                levels.append(_Level(deep.pop()))
                while levels and total <= enough:
                    taken, directory = self._read(levels[-1], before)
                    total += taken
                    if directory is None:
                        levels.pop().close()
                    elif not _descend(levels, deep, directory):
                        self.whole = False
        finally:
            for level in levels:
                level.close()
            for descriptor in deep:
                os.close(descriptor)
        return total

    def _read(self, level: _Level, before: int | None) -> tuple[int, str | None]:
        """The bytes of the next entries, up to the next directory, and that one's name; None at the end.

        One loop without calls: this is where the time of a look is spent.
        """
        total = 0
        seen = self._seen
        try:
            for entry in level.entries:
                if not self.is_local:
                    self._keep_pace()
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if before is not None and about.st_ctime_ns >= before and _is_younger(level, entry.name, before):
                    pass
                elif (about.st_dev, about.st_ino) in seen:
                    total += NAME
                else:
                    total += self._count(about)
                if stat.S_ISDIR(about.st_mode):
                    return total, entry.name
        except OSError:  # what is left cannot be read: its daemon has died, say
            pass
        return total, None

    def _count(self, about: os.stat_result) -> int:
        size = about.st_blocks * _BLOCK
        if not self.is_local and size < about.st_size:
            size = about.st_size
        if size < FILE:
            size = FILE
        if size >= _LARGE or len(self._seen) < _REMEMBERED:
            self._seen.add((about.st_dev, about.st_ino))
        return size

    def _keep_pace(self) -> None:
        self._asked += 1
        if not self.is_local and self._asked % _PIECE == 0:
            time.sleep(max(0.0, self._began + self._asked / PACE - time.monotonic()))


class _Level:
    """A directory that is being read. Its entries come as they are asked for, however many there are."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        try:
            self.entries = os.scandir(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        self.entries.close()
        os.close(self.descriptor)


def is_local(tree: Tree) -> bool:
    """True where the tree's file system is this host's alone, so that what it has free tells of what was written."""
    with holding(_open(tree)) as directory:
        return syscalls.is_local(directory)


def _open(tree: Tree) -> int:
    with holding(os.open(tree.path, syscalls.HOLD_DIRECTORY)) as base:
        return syscalls.openat2(base, tree.beneath or ".", READ_DIRECTORY_ITSELF)


def _descend(levels: list[_Level], deep: list[int], name: str) -> bool:
    """Open a directory, to be walked now or later; False where there is no room for it."""
    if len(levels) >= _LEVELS and len(deep) >= _MOST_DEEP:
        return False
    try:
        opened = syscalls.openat2(levels[-1].descriptor, name, READ_DIRECTORY_ITSELF, resolve=_BELOW)
        if len(levels) >= _LEVELS:
            deep.append(opened)
        else:
            levels.append(_Level(opened))
    except OSError as error:  # it is gone, another mount, or a file server refuses it
        return error.errno not in _WITHOUT_DESCRIPTORS
    return True


def _is_younger(level: _Level, name: str, moment: int) -> bool:
    """True for an entry that was born after a moment, or is gone."""
    try:
        with holding(os.open(name, syscalls.O_PATH | os.O_NOFOLLOW, dir_fd=level.descriptor)) as opened:
            return syscalls.about(opened).born >= moment
    except OSError:  # gone already
        return True
