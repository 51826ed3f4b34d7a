"""A process that reads and writes files as a command of the session would see them, for callers outside.

The holder forks it for a staged root, which it enters as a command does: with a mount and a PID namespace of its own,
as the thread's uid, without rights, under the commands' filter, and with `/` as its root. It executes nothing and, once
inside, imports nothing: all that it finds there may be an agent's. What it opens is looked at first (O_PATH), and then
opened by that descriptor, so that no name is looked up twice: it opens regular files and directories alone, never a
FIFO, a device or a socket.

Each caller is served by a process of its own, which ends with the connection. This carries one request after the
other, each a packet of plain data (`wire.pack`), with a descriptor of a file or a pipe where there is much to write.
Answers are `{"ok": value}`, with the descriptor of the file where there is much to read, or `{"failed": errno, …}`;
those to `walk` and `grep` come in as many packets as they need, and then `{"ok": …}`.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time

from solven_env.sandbox import seccomp, wire
from solven_env.sandbox.backends.bubblewrap.reaper import hide_arguments
from solven_env.sandbox.launch_plan import own_of_system
from solven_env.sandbox.roots import staging
from solven_env.sandbox.roots.namespaces import STAGE, confine
from solven_env.system import mounting
from solven_env.system.blocks import holding, suppress
from solven_env.system.plain import Socket, signal, socket
from solven_env.system.removal import remove_entry
from solven_env.system.syscalls import O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, mount_id, openat2
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn, TypeAlias

    from solven_env.sandbox.backends.bubblewrap.session_roots import StagedRoot

    _Content: TypeAlias = tuple[int | None, bytes, int | None]

INLINE = 32 << 10
"""Bytes of a file that travel in the packet itself; one that has as many, or more, travels as a descriptor."""
PULSE = 1.0
"""Seconds between two words to the holder of who is busy with a call."""
_PIECE = 1 << 20
_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = O_PATH | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_ENTRIES = 200
"""Entries in one packet: names have at most 255 bytes, and paths of 4 KiB are few."""
_ROOM = 40 << 10
"""Bytes of entries in one packet."""
_LONGEST_LINE = 500
"""Characters of a line that `grep` shows."""
_LARGEST_SEARCHED = 64 << 20
"""Bytes; a larger file is not searched."""


class Failure(Exception):  # noqa: N818 (it never leaves this process)
    """A request that failed: what is told of it, with the errno."""

    def __init__(self, number: int, path: bytes, **more: object) -> None:
        super().__init__(number)
        self.told = {"failed": number, "path": path, **more}


class Server:
    """A file server as the holder has it: its process, and the way to it for new connections."""

    def __init__(self, pid: int, door: Socket, *, is_bounded: bool) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.door = door
        self.is_bounded = is_bounded
        self.busy_until = 0.0

    def admit(self, connection: Socket) -> None:
        """Hand a caller's connection over."""
        wire.send_descriptors(self.door, b"caller", [connection.fileno()])

    def hear(self) -> None:
        """Take what it says: that it is busy, and will be for a while."""
        with suppress(OSError):
            self.door.recv(16)
        self.busy_until = time.monotonic() + 3 * PULSE

    def end(self) -> None:
        """Kill and reap it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.door.close()


def start(root: StagedRoot, home: int, *, is_bounded: bool) -> Server:
    """Fork the server of a staged root, pid 1 of a namespace; `home` is the one in which we make all other children.

    One that `is_bounded` allocates nothing ahead, which would escape the limit of the disk.
    """
    from solven_env.system.plain import pair

    ours, theirs = pair()
    try:
        mounting.unshare(mounting.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _become(root, theirs, is_bounded=is_bounded)
        finally:
            mounting.join_namespace(home, mounting.CLONE_NEWPID)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Server(pid, ours, is_bounded=is_bounded)


def _become(root: StagedRoot, door: Socket, *, is_bounded: bool) -> NoReturn:
    """Enter the root, give every right up, and serve until the holder ends us."""
    try:
        os.setsid()
        os.umask(0o022)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        mounting.unshare(mounting.CLONE_NEWNS)
        staging.enter(root.plan, root.path, STAGE)
        if root.network is not None:
            mounting.join_namespace(root.network.namespace, mounting.CLONE_NEWNET)
        processes = os.open("/proc", _DIRECTORY)
        hide_arguments(b"files")
        os.chroot(STAGE)
        os.chdir("/")
        mounting.close_all_but({door.fileno(), processes})
        confine(root.plan, seccomp.program(preallocates=not is_bounded))
        _serve(door, processes, frozenset(map(os.fsencode, own_of_system(root.plan))))
    finally:
        os._exit(1)


def _serve(door: Socket, processes: int, system: frozenset[bytes]) -> None:
    """Fork a process for each caller: none waits for another. It ends with its caller, whatever it is at."""
    served: dict[int, _Served] = {}
    poll = select.poll()
    poll.register(door, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll()[:1]:  # closed descriptors' numbers come again
            if descriptor == door.fileno():
                message, descriptors = wire.receive_descriptors(door, 1)
                if not message:
                    return
                for each in descriptors:
                    try:
                        new = _Served(each, _fork(each, door, processes, system))
                    except OSError:  # no process is to be had
                        os.close(each)
                        continue
                    served[each] = served[new.pidfd] = new
                    poll.register(each, 0)  # its end
                    poll.register(new.pidfd, select.POLLIN)
            elif descriptor in served:
                gone = served[descriptor]
                if descriptor == gone.caller:
                    poll.unregister(gone.caller)
                    signal.pidfd_send_signal(gone.pidfd, signal.SIGTERM)  # it tidies up, and ends
                    continue
                for each in (gone.caller, gone.pidfd):
                    with suppress(KeyError):
                        poll.unregister(each)
                    os.close(each)
                    del served[each]
                os.waitpid(gone.pid, 0)


class _Served:
    """A caller's connection, and the process that serves it."""

    def __init__(self, caller: int, pid: int) -> None:
        self.caller = caller
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)


class _Pulse:
    """Tells the holder that somebody uses the files, at most once a second; ends us between two steps if we shall."""

    def __init__(self, door: Socket) -> None:
        self.door = door
        self.told = 0.0
        self.is_over = False
        signal.signal(signal.SIGTERM, self.note)

    def note(self, *_: object) -> None:
        self.is_over = True

    def beat(self) -> None:
        if self.is_over:
            raise SystemExit
        now = time.monotonic()
        if now - self.told >= PULSE:
            self.told = now
            with suppress(OSError):
                self.door.send(b"busy", socket.MSG_DONTWAIT)


def _fork(caller: int, door: Socket, processes: int, system: frozenset[bytes]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            pulse = _Pulse(door)
            mounting.close_all_but({caller, door.fileno(), processes})
            links = os.open("self/fd", _DIRECTORY, dir_fd=processes)
            os.close(processes)
            files = ServedFiles(os.open("/", _DIRECTORY), links, system, pulse)
            connection = Socket(fileno=caller)
            while _answer(connection, files):
                pass
        finally:
            os._exit(0)
    return pid


def _answer(caller: Socket, files: ServedFiles) -> bool:
    """Do what a caller asks for; False when it is gone."""
    try:
        message, descriptors = wire.receive_descriptors(caller, 1)
        if not message:
            return False
        try:
            asked = wire.unpack(message)
            value, opened = files.do(asked.pop("do"), asked, descriptors, caller)
            answer = {"ok": value}
        except Failure as failure:
            answer, opened = failure.told, None
        except OSError as error:
            answer, opened = {"failed": error.errno or errno.EIO, "path": b""}, None
        finally:
            for each in descriptors:
                os.close(each)
        try:
            wire.send_descriptors(caller, wire.pack(answer), [] if opened is None else [opened])
        finally:
            if opened is not None:
                os.close(opened)
    except (OSError, ValueError):
        return False
    return True


class ServedFiles:
    """The files of a root that this process has entered. `links` is this process's /proc/self/fd, and `system` are the
    names in the root that are not the workspace's.
    """

    def __init__(self, root: int, links: int, system: frozenset[bytes], pulse: _Pulse) -> None:
        self.root = root
        self.links = links
        self.system = system
        self.pulse = pulse
        self.calls: dict[str, Callable[..., Any]] = {
            name: getattr(self, name)
            for name in (
                *("read", "write", "walk", "stat", "realpath", "make_dir", "remove", "rename", "grep", "link"),
                *("set_mode",),
            )
        }

    def do(self, call: str, asked: dict[str, Any], given: list[int], caller: Socket) -> tuple[Any, int | None]:
        """The value of one call, and the descriptor that goes with it."""
        self.pulse.beat()
        if call in ("walk", "grep"):
            return self.calls[call](caller, **asked), None
        if call == "read":
            return self.read(**asked)
        if call == "write":
            self.write(given[0] if given else None, **asked)
            return None, None
        return self.calls[call](**asked), None

    # Looking

    def find(self, path: bytes, *, follow: bool = True) -> int:
        """A descriptor (O_PATH) of what is at a path; a link at its end is followed unless told otherwise."""
        try:
            return openat2(self.root, path, O_PATH | (0 if follow else os.O_NOFOLLOW), resolve=_INSIDE)
        except OSError as error:
            raise Failure(error.errno or errno.EIO, path) from error

    def parent(self, path: bytes) -> tuple[holding, bytes]:
        """The directory of a path, and the name in it."""
        above, _, name = path.rstrip(b"/").rpartition(b"/")
        if name in (b"", b".", b".."):
            raise Failure(errno.EINVAL, path)
        try:
            return holding(openat2(self.root, above or b"/", _DIRECTORY, resolve=_INSIDE)), name
        except OSError as error:
            raise Failure(error.errno or errno.EIO, path) from error

    def reopen(self, found: int, flags: int, path: bytes) -> int:
        """The same file, opened."""
        try:
            return os.open(str(found), flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=self.links)
        except OSError as error:
            raise Failure(error.errno or errno.EIO, path) from error

    def regular(self, path: bytes, flags: int) -> int:
        """A regular file, opened; nothing else is ever opened."""
        with holding(self.find(path)) as found:
            mode = os.fstat(found).st_mode
            if stat.S_ISDIR(mode):
                raise Failure(errno.EISDIR, path)
            if not stat.S_ISREG(mode):
                raise Failure(errno.EINVAL, path, kind=kind(mode))
            return self.reopen(found, flags, path)

    def stat(self, path: bytes, *, follow: bool = True) -> dict[str, Any]:
        """Kind, size, mode, time and, of a link, target."""
        with holding(self.find(path, follow=follow)) as found:
            about = os.fstat(found)
            target = os.readlink(b"", dir_fd=found) if stat.S_ISLNK(about.st_mode) else None
            return entry(path, about, target)

    def realpath(self, path: bytes) -> bytes:
        """The path without links. Parts that do not exist stay as they are, and so does a link in a circle."""
        return os.path.realpath(path)

    # Reading

    def read(self, path: bytes, offset: int) -> tuple[bytes | None, int | None]:
        """The bytes from `offset` on; of a file that has many, its descriptor."""
        opened = self.regular(path, os.O_RDONLY)
        try:
            first = b""
            while len(first) < INLINE and (piece := os.pread(opened, INLINE - len(first), offset + len(first))):
                first += piece  # a file of /proc gives less than is asked for
        except OSError as error:
            os.close(opened)
            raise Failure(error.errno or errno.EIO, path) from error
        if len(first) == INLINE:
            return None, opened
        os.close(opened)
        return first, None

    # Writing

    def write(
        self,
        source: int | None,
        path: bytes,
        mode: int | None,
        *,
        data: bytes = b"",
        size: int | None = None,
        parents: bool,
        exclusive: bool,
    ) -> None:
        """Have a file with these bytes: whole, or as it was.

        They are `data`, or come from `source`: all of a file, or `size` of them from a pipe.
        What is at the end of a link, is mounted, or lies in a directory that takes no new name is written in place.
        """
        if path.endswith(b"/"):
            raise Failure(errno.EISDIR, path)
        if parents:
            self._make_above(path)
        where, name = self.parent(path)
        with where as directory:
            try:
                before = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                before = None
            if before is not None and exclusive:
                raise Failure(errno.EEXIST, path)
            if before is not None and stat.S_ISDIR(before.st_mode):
                raise Failure(errno.EISDIR, path)
            if before is not None and not stat.S_ISLNK(before.st_mode) and not stat.S_ISREG(before.st_mode):
                raise Failure(errno.EINVAL, path, kind=kind(before.st_mode))
            if before is not None and (
                stat.S_ISLNK(before.st_mode) or before.st_nlink > 1 or _is_mount(directory, os.fsdecode(name))
            ):
                return self._write_in_place(path, (source, data, size), mode)
            if before is not None and not os.access(name, os.W_OK, dir_fd=directory):
                os.close(
                    self.regular(path, os.O_WRONLY)
                )  # which fails: a new file in its place would be no such failure
            kept = mode if mode is not None else stat.S_IMODE(before.st_mode) & 0o7777 if before else None
            beside = b".%s.%s" % (name[:200], os.urandom(6).hex().encode())
            try:
                opened, has_name = _unfinished(directory, beside, 0o644 if kept is None else kept)
            except PermissionError:
                if before is None:
                    raise Failure(errno.EACCES, path) from None
                return self._write_in_place(path, (source, data, size), mode)
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error
            try:
                with holding(opened):
                    if kept is not None:
                        os.fchmod(opened, kept)
                    self._fill(opened, source, data, size)
                    if not has_name:
                        os.link(str(opened), beside, src_dir_fd=self.links, dst_dir_fd=directory)
                if exclusive:
                    os.link(beside, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
                    os.unlink(beside, dir_fd=directory)
                else:
                    os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException as error:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=directory)
                if not isinstance(error, OSError):
                    raise
                raise Failure(error.errno or errno.EIO, path) from error
        return None

    def _fill(self, opened: int, source: int | None, data: bytes, size: int | None) -> None:
        if source is None:
            _write(opened, data)
            return
        mode = os.fstat(source).st_mode
        done = 0
        if stat.S_ISREG(mode):
            while moved := _send(source, opened, done):
                done += moved
                self.pulse.beat()
            return
        if not stat.S_ISFIFO(mode) or size is None:
            raise OSError(errno.EINVAL, "neither a regular file nor a pipe")
        piece = memoryview(bytearray(_PIECE))  # splice(2) takes half as long again
        # Not to its end: a process that its writer has forked meanwhile may keep it open.
        while done < size and (moved := os.readv(source, [piece[: size - done]])):
            _write(opened, piece[:moved])
            done += moved
            self.pulse.beat()
        if done < size:  # whoever wrote has gone
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))

    def _write_in_place(self, path: bytes, content: _Content, mode: int | None) -> None:
        with holding(self.regular(path, os.O_WRONLY)) as opened:
            try:
                os.ftruncate(opened, 0)
                self._fill(opened, *content)
                if mode is not None:
                    os.fchmod(opened, mode)
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error

    def make_dir(self, path: bytes, *, parents: bool, mode: int | None = None) -> None:
        """Make a directory (0755); with `parents` those above it too, and one that is there is no failure."""
        try:
            with holding(self.find(path)) as found:
                if not stat.S_ISDIR(os.fstat(found).st_mode):
                    raise Failure(errno.EEXIST, path)
            if not parents:
                raise Failure(errno.EEXIST, path)
            return
        except Failure as failure:
            if failure.told["failed"] != errno.ENOENT:
                raise
        if parents:
            self._make_above(path)
        self._make(path, parents=parents, mode=mode)

    def _make_above(self, path: bytes) -> None:
        """Make the directories above a path that are missing, the highest first."""
        missing = []
        above = _above(path)
        while above:
            try:
                with holding(self.find(above)) as found:
                    if not stat.S_ISDIR(os.fstat(found).st_mode):
                        raise Failure(errno.ENOTDIR, path)
                break
            except Failure as failure:
                if failure.told["failed"] != errno.ENOENT:
                    raise
            missing.append(above)
            above = _above(above)
        for each in reversed(missing):
            self._make(each, parents=True)

    def _make(self, path: bytes, *, parents: bool, mode: int | None = None) -> None:
        where, name = self.parent(path)
        with where as directory:
            try:
                os.mkdir(name, 0o755, dir_fd=directory)
                if mode is not None:
                    os.chmod(name, mode, dir_fd=directory)
            except FileExistsError:
                if not parents:
                    raise Failure(errno.EEXIST, path) from None
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error

    def set_mode(self, path: bytes, mode: int) -> None:
        """Set the mode of a file or a directory."""
        with holding(self.find(path)) as found:
            try:
                os.chmod(str(found), mode, dir_fd=self.links)
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error

    def link(self, path: bytes, target: bytes) -> None:
        """Make a symbolic link."""
        where, name = self.parent(path)
        with where as directory:
            try:
                os.symlink(target, name, dir_fd=directory)
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error

    def remove(self, path: bytes, *, recursive: bool) -> None:
        """Remove a file, a link itself, or a directory: an empty one, or with `recursive` all of it."""
        where, name = self.parent(path)
        with where as directory:
            try:
                is_directory = stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
                if not is_directory:
                    os.unlink(name, dir_fd=directory)
                elif not recursive:
                    os.rmdir(name, dir_fd=directory)
                elif failures := remove_entry(directory, os.fsdecode(name)).failures:
                    below, error = failures[0]
                    raise Failure(
                        error.errno or errno.EIO, os.path.dirname(path.rstrip(b"/")) + b"/" + os.fsencode(below)
                    )
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error

    def rename(self, path: bytes, target: bytes) -> None:
        """Rename, over a file that is there."""
        here, name = self.parent(path)
        there, new = self.parent(target)
        with here as source, there as sink:
            try:
                os.rename(name, new, src_dir_fd=source, dst_dir_fd=sink)
            except OSError as error:
                raise Failure(error.errno or errno.EIO, path) from error

    # Trees

    def walk(self, caller: Socket, path: bytes, depth: int, most: int, *, whole: bool = False) -> bool:
        """Send what lies beneath a directory, `depth` levels down, in the order of names; whether that is all.

        What cannot be looked into is left out, or with `whole` a failure.
        """
        batch = _Batch(caller)
        left = most
        for each in self._beneath(path, depth, whole=whole):
            if left <= 0:
                batch.send()
                return False
            left -= 1
            batch.add(each)
        batch.send()
        return True

    def _beneath(self, path: bytes, depth: int, *, whole: bool = False) -> Iterator[dict[str, Any]]:
        """Entries of a directory and, where `depth` is more than 1, of those in it. No link is followed but at `path`.

        Directories that are too deep, or go meanwhile, or keep us out, are left out beneath the first one; so is what
        is not the workspace's, where all of / is looked through.
        """
        with holding(self.find(path)) as found:
            if not stat.S_ISDIR(os.fstat(found).st_mode):
                raise Failure(errno.ENOTDIR, path)
            is_root = os.path.samestat(os.fstat(found), os.fstat(self.root))
            opened = self.reopen(found, os.O_RDONLY | os.O_DIRECTORY, path)
        waiting: list[tuple[bytes, int]] = []
        prefix = path.rstrip(b"/") + b"/"
        left_out = self.system if is_root and depth > 1 else frozenset()
        yield from self._entries(opened, prefix, depth, waiting, left_out)
        while waiting:
            below, left = waiting.pop()
            try:
                with holding(self.find(below, follow=False)) as found:
                    if not stat.S_ISDIR(os.fstat(found).st_mode):
                        continue
                    opened = self.reopen(found, os.O_RDONLY | os.O_DIRECTORY, below)
            except Failure as failure:
                if whole and failure.told["failed"] not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                continue
            yield from self._entries(opened, below + b"/", left, waiting)

    def _entries(
        self,
        opened: int,
        prefix: bytes,
        depth: int,
        waiting: list[tuple[bytes, int]],
        left_out: frozenset[bytes] = frozenset(),
    ) -> Iterator[dict[str, Any]]:
        with holding(opened):
            below = []
            for name in sorted({*map(os.fsencode, os.listdir(opened))} - left_out):
                self.pulse.beat()
                try:
                    about = os.stat(name, dir_fd=opened, follow_symlinks=False)
                    target = os.readlink(name, dir_fd=opened) if stat.S_ISLNK(about.st_mode) else None
                except OSError:  # gone meanwhile
                    continue
                if stat.S_ISDIR(about.st_mode) and depth > 1:
                    below.append((prefix + name, depth - 1))
                yield entry(prefix + name, about, target)
            waiting.extend(reversed(below))

    def grep(self, caller: Socket, path: bytes, text: bytes, most: int) -> bool:
        """Send the lines that have a text, of a file or of the regular files beneath a directory; whether all came.

        What cannot be read, is larger than 64 MiB or has a NUL in its first bytes is left out.
        """
        batch = _Batch(caller)
        left = most
        for file, is_named in self._searched(path):
            try:
                opened = self.regular(file, os.O_RDONLY)
            except Failure:
                if is_named:
                    raise
                continue
            with holding(opened), suppress(OSError):
                if os.fstat(opened).st_size > _LARGEST_SEARCHED:
                    continue
                self.pulse.beat()
                for number, line in _lines_with(opened, text):
                    if left <= 0:
                        batch.send()
                        return False
                    left -= 1
                    batch.add({"path": file, "line": number, "text": line[: 4 * _LONGEST_LINE]})
        batch.send()
        return True

    def _searched(self, path: bytes) -> Iterator[tuple[bytes, bool]]:
        with holding(self.find(path)) as found:
            is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
        if not is_directory:
            yield path, True
            return
        for each in self._beneath(path, 1 << 30):
            if each["kind"] == "file":
                yield each["path"], False


class _Batch:
    """Entries on their way, many in a packet."""

    def __init__(self, caller: Socket) -> None:
        self.caller = caller
        self.entries: list[dict[str, Any]] = []
        self.size = 0

    def add(self, each: dict[str, Any]) -> None:
        self.entries.append(each)
        self.size += len(each["path"]) + len(each.get("text") or b"") + len(each.get("target") or b"") + 100
        if len(self.entries) >= _ENTRIES or self.size >= _ROOM:
            self.send()

    def send(self) -> None:
        if self.entries:
            self.caller.send(wire.pack({"more": self.entries}))
        self.entries, self.size = [], 0


def kind(mode: int) -> str:
    """`file`, `directory`, `link` or `other`."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def entry(path: bytes, about: os.stat_result, target: bytes | None) -> dict[str, Any]:
    """A name as it is told."""
    return {
        "path": path,
        "kind": kind(about.st_mode),
        "size": about.st_size,
        "mode": stat.S_IMODE(about.st_mode),
        "mtime": about.st_mtime_ns,
        "target": target,
    }


def _is_mount(directory: int, name: str) -> bool:
    return mount_id(directory, name) != mount_id(directory, ".")


def _unfinished(directory: int, beside: bytes, mode: int) -> tuple[int, bool]:
    """A new file without a name, which goes with whoever writes it; or one that has it, where that is not to be had."""
    try:
        return os.open(b".", os.O_WRONLY | os.O_TMPFILE, mode, dir_fd=directory), False
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS):
            raise
    return os.open(beside, _NEW, mode, dir_fd=directory), True


def _send(source: int, sink: int, offset: int) -> int:
    """Copy bytes from a place in a file: by the kernel, or by us where the file system does not offer it."""
    try:
        return os.sendfile(sink, source, offset, _PIECE)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
    return os.write(sink, os.pread(source, _PIECE, offset))


def _write(opened: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(opened, rest) :]


def _lines_with(opened: int, text: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbered lines that have a text; none of a file with a NUL in its first bytes. A line without end is cut."""
    rest, number, is_first = b"", 0, True
    while True:
        piece = os.read(opened, _PIECE)
        if is_first and b"\0" in piece[:8192]:
            return
        is_first = False
        data = rest + piece
        end = data.rfind(b"\n") + 1 if piece else len(data)
        if len(data) - end > _PIECE:
            end = len(data)
        lines, rest = data[:end], data[end:]
        count = lines.count(b"\n") + (not lines.endswith(b"\n") and bool(lines))
        if text in lines:
            for place, line in enumerate(lines.split(b"\n"), number + 1):
                if text in line:
                    yield place, line
        number += count
        if not piece:
            return


def _above(path: bytes) -> bytes:
    """The directory of a path as text; empty for the root."""
    return path.rstrip(b"/").rpartition(b"/")[0]
