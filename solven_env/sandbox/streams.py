"""A command's standard streams: what it is given in the place of its caller's, and what is copied between the two.

A command may open /proc/self/fd/N anew, with more rights than the descriptor has, and from one end of a pipe it gets
the other. So nothing of the caller's goes inside: a command has /dev/null, a terminal of its own (`terminal`), or one
end of a pipe that is made for it here, and whoever waits for it copies, in one loop for all of them.

What a command does not read stays its caller's:

- A file is read beside the caller's place in it. At the end that is moved behind what the command has read, unless
  somebody else has moved it meanwhile. Of two commands at once that share one open file, each gets all of it.
- Of a pipe, and of a socket that carries bytes, the first 4 KiB are shown first, and taken when the command has read
  them. Where somebody else took them meanwhile, nothing is taken: of two commands that read one pipe at once both may
  get these bytes, and none is lost.
- From then on, and of anything else from the start, as much is taken as the command's pipe holds: 64 KiB, and 1 MiB
  where much is read. What the command leaves in there is lost.

A descriptor of the caller's is never changed, neither its owner and mode nor its flags: others have it too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
import sys
import time
from contextlib import contextmanager, suppress

from solven_env.errors import SandboxError
from solven_env.sandbox.capture import Capture
from solven_env.system import pipes
from solven_env.system.effects import Ready
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from solven_env.sandbox.launch_plan import LaunchPlan
    from solven_env.sandbox.request import Stream

    class Part(Protocol):
        """Something that is copied while a command runs."""

        @property
        def patience(self) -> int | None:
            """Milliseconds after which it wants to move whatever happens."""

        def wanted(self) -> dict[int, int]:
            """The events of descriptors that it waits for now; none where it has nothing more to do."""

        def move(self, ready: dict[int, int]) -> None:
            """Copy what can be copied without waiting."""

        def end(self) -> None:
            """The command has ended: what it has written by now is all that is still copied."""


_FIX = "Give it /dev/null, a file, a pipe, a socket or a terminal."
_USELESS = (os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)
_NULL = os.makedev(1, 3)  # Documentation/admin-guide/devices.txt
_BUFFER = 1 << 16
"""Bytes that are copied at once where there is no splice(2), and after which a pipe is made larger."""
_LARGE = 1 << 20
_CAREFUL = 4096
"""Bytes of a pipe that are taken only when the command has read them."""
_PATIENCE = 1.0
"""Seconds that nothing is taken of what a command has left, once it was ended or its time is up: then that is lost."""
_NOTHING: dict[int, int] = {}


def check(streams: tuple[Stream, Stream, Stream]) -> None:
    """See that the three are what a command may have: a directory would lead out of the workspace.

    The next file that is opened would take the number of one that is closed.
    """
    for stream, useless, use in zip(streams, _USELESS, ("read", "written", "written"), strict=True):
        if not isinstance(stream, int):
            continue
        try:
            about, flags = os.fstat(stream), fcntl.fcntl(stream, fcntl.F_GETFL)
        except OSError as error:
            raise SandboxError(f"the command's stream, descriptor {stream}, is not open", fix=_FIX) from error
        if stat.S_ISDIR(about.st_mode):
            raise SandboxError(f"the command's stream, descriptor {stream}, is a directory", fix=_FIX)
        is_kept = _is_null(stream) or os.isatty(stream)
        if not is_kept and (flags & os.O_ACCMODE == useless or flags & os.O_PATH):
            raise SandboxError(f"the command's stream, descriptor {stream}, is open, but cannot be {use}", fix=_FIX)


class Streams:
    """The three streams that a command is `given`, and the `parts` that are copied while it runs."""

    def __init__(self, plan: LaunchPlan, caller: tuple[Stream, Stream, Stream]) -> None:
        """SandboxError where one of the caller's is nothing for a command, or no pipe can be the sandbox uid's."""
        check(caller)
        self.parts: list[_Flow | _Fed | _Taken] = []
        self._lent: list[int] = []
        self._kept: list[int] = []
        try:
            stdin, stdout, stderr = caller
            self.given = (self._input(plan, stdin), output := self._output(plan, 1, stdout), output)
            if not _are_one(stdout, stderr):
                self.given = (*self.given[:2], self._output(plan, 2, stderr))
        except BaseException:
            self.close()
            raise

    def release(self) -> None:
        """Let go of what only the command uses, once it has it."""
        while self._lent:
            os.close(self._lent.pop())

    def close(self) -> None:
        """Let go of everything; what the command has not read is its caller's again."""
        self.release()
        while self.parts:
            self.parts.pop().close()
        while self._kept:
            os.close(self._kept.pop())

    def failure(self) -> SandboxError | None:
        """Reason why the command's input or output is not whole; None where it is.

        The command heard nothing of that itself: of a full disk, say.
        """
        failed = next((part for part in self.parts if part.error is not None), None)
        if failed is None or failed.error is None:
            return None
        return SandboxError(
            f"the command's stream, descriptor {failed.stream}, was not copied to its end: {failed.error.strerror}",
            fix="The command did run: see what it has done, fix this, and run it again.",
        )

    def _input(self, plan: LaunchPlan, stream: Stream) -> int:
        if stream is None or isinstance(stream, bytes):
            return self._fed(plan, stream or b"")
        assert isinstance(stream, int)
        if (uncopied := self._uncopied(stream)) is not None:
            return uncopied
        self._kept.append(source := os.dup(stream))
        reading, writing = _pipe(plan)
        self._kept.append(reading)
        os.set_blocking(writing, False)
        self.parts.append(_inlet(source)(stream, source, writing, reading))
        return reading

    def _fed(self, plan: LaunchPlan, data: bytes) -> int:
        """The reading end of a pipe that gets these bytes, and is at its end then."""
        reading, writing = _pipe(plan)
        self._lent.append(reading)
        self.parts.append(_Fed(writing, data))
        return reading

    def _taken(self, plan: LaunchPlan, number: int, capture: Capture) -> int:
        reading, writing = _pipe(plan)
        self._lent.append(writing)
        self.parts.append(_Taken(number, reading, capture))
        return writing

    def _output(self, plan: LaunchPlan, number: int, stream: Stream) -> int:
        if isinstance(stream, Capture):
            return self._taken(plan, number, stream)
        assert isinstance(stream, int)
        if (uncopied := self._uncopied(stream)) is not None:
            return uncopied
        self._kept.append(sink := pipes.reopen(stream))
        reading, writing = _pipe(plan)
        self._lent.append(writing)
        os.set_blocking(reading, False)
        self.parts.append(_Outlet(stream, reading, sink))
        return writing

    def _uncopied(self, stream: int) -> int | None:
        """Descriptor of a stream that is not copied: a terminal's, which the holder replaces by another,
        or /dev/null, opened anew.
        """
        if os.isatty(stream):
            return stream
        if not _is_null(stream):
            return None
        try:
            null = os.open(os.devnull, fcntl.fcntl(stream, fcntl.F_GETFL) & os.O_ACCMODE)
        except OSError:  # this host has none at its place
            return None
        self._lent.append(null)
        return null if _is_null(null) else None


async def relay(parts: Sequence[Part], until: int) -> None:
    """Copy until the descriptor `until` can be read."""
    waits = _Waits({until: select.POLLIN})
    while until not in (ready := await waits.ready(parts)):
        _move(parts, ready)


async def deliver(parts: Sequence[Part], deadline: float | None) -> bool:
    """Copy what a command has left that has ended; whether all of it was taken.

    From the `deadline` on, on the monotonic clock, only as long as some of it is taken now and then.
    """
    with _no_signal():
        for part in parts:
            part.end()
    waits = _Waits({})
    while any(part.wanted() for part in parts):
        left = None if deadline is None else max(deadline - time.monotonic(), _PATIENCE)
        ready = await waits.ready(parts, left)
        if not ready:
            return False
        _move(parts, ready)
    return True


def _move(parts: Sequence[Part], ready: dict[int, int]) -> None:
    with _no_signal():
        for part in parts:
            part.move(ready)


class _Flow:
    """One direction: from `source` to `sink`, one of which is our end of the command's pipe; it never waits."""

    patience: int | None = None

    def __init__(self, stream: int, source: int, sink: int, pipe: int) -> None:
        self.stream = stream
        self.source = source
        self.sink = sink
        self.pipe = pipe
        self.is_open = True
        self.is_full = False
        """True while it waits for the sink, and not for the source."""
        self.rest = b""
        """Bytes that were read and not yet written, where there is no splice(2)."""
        self.moved = 0
        self.error: OSError | None = None
        self.read = pipes.take if pipes.is_socket(source) else os.read
        self.write = pipes.send if pipes.is_socket(sink) else os.write
        self.has_splice = self.read is os.read and self.write is os.write
        self.wants_source = {source: select.POLLIN}
        self.wants_sink = {sink: select.POLLOUT}

    def wanted(self) -> dict[int, int]:
        if not self.is_open:
            return _NOTHING
        return self.wants_sink if self.is_full else self.wants_source

    def move(self, ready: dict[int, int]) -> None:
        if not self.is_open or (self.sink if self.is_full else self.source) not in ready:
            return
        try:
            self.step(_LARGE)
        except BlockingIOError:  # of source or sink, the kernel does not say: not the one that was waited for
            self.is_full = bool(self.rest) or not self.is_full

    def step(self, most: int) -> None:
        """Copy up to `most` bytes; BlockingIOError where none can be."""
        try:
            moved = self.splice(most) if self.has_splice else self.copy(min(most, _BUFFER))
        except BlockingIOError:
            raise  # by no name: a frame that held it would be held by it, and a command line collects no such rings
        except OSError as error:
            self.fail(error)
            return
        self.is_full = bool(self.rest)
        if self.moved < _BUFFER <= self.moved + moved:
            pipes.resize(self.pipe, _LARGE)
        self.moved += moved
        if not moved:
            self.stop()

    def fail(self, error: OSError) -> None:
        """Go on without splice(2) where that is what failed, or stop."""
        if error.errno == errno.EINVAL and self.has_splice:
            self.has_splice = False
            return
        if error.errno not in (errno.EPIPE, errno.ECONNRESET):
            self.error = error
        self.stop()

    def splice(self, most: int) -> int:
        return pipes.splice(self.source, self.sink, most)

    def copy(self, most: int) -> int:
        self.rest = self.rest or self.read(self.source, most)
        written = self.write(self.sink, self.rest) if self.rest else 0
        self.rest = self.rest[written:]
        return written

    def stop(self) -> None:
        """Close our end of the pipe, which tells the command: the end of its input, or that nobody reads its output."""
        if self.is_open:
            self.is_open = False
            os.close(self.pipe)

    def end(self) -> None:
        self.stop()

    def close(self) -> None:
        self.stop()


class _Outlet(_Flow):
    """Output of the command on its way to the caller."""

    def __init__(self, stream: int, reading: int, sink: int) -> None:
        super().__init__(stream, reading, sink, reading)
        self.left: int | None = None
        """Number of bytes still to be copied, once the command has ended."""
        self.is_pipe = stat.S_ISFIFO(os.fstat(sink).st_mode)
        self.has_reader = self.is_pipe or pipes.is_socket(sink)
        """True where poll(2) says when the reader has gone."""
        if self.has_reader:
            self.wants_source[sink] = 0  # of which errors are told
            if self._is_broken({sink: _events(sink)}):
                self.stop()  # before the command starts: its first write is told

    def _is_broken(self, ready: dict[int, int]) -> bool:
        return self.has_reader and bool(ready.get(self.sink, 0) & (select.POLLERR | select.POLLHUP))

    def move(self, ready: dict[int, int]) -> None:
        if self._is_broken(ready):
            self.stop()
        elif self.left is None:
            super().move(ready)
        elif self.sink in ready:
            before = self.moved
            with suppress(BlockingIOError):
                self.step(self.left)
            self._leave(self.left - (self.moved - before))

    def splice(self, most: int) -> int:
        """A pipe has 16 places: each piece that is moved takes one, however small, while those that are written share
        them. So what comes first is written: whoever reads it only when we have ended gets 64 KiB, as of any pipe.
        """
        if self.rest or (self.is_pipe and self.moved < _BUFFER):
            # One that may wait takes a page whenever poll(2) says that it takes something.
            return self.copy(min(most, pipes.PAGE if os.get_blocking(self.sink) else _BUFFER))
        return super().splice(most)

    def end(self) -> None:
        """Another command of the session may hold this pipe too, write into it without end, and read from it."""
        if self.is_open:
            self._leave(sys.maxsize)

    def _leave(self, most: int) -> None:
        """So much is still to be copied, or what is there where that is less."""
        self.is_full = True
        self.left = min(most, pipes.count(self.source) + len(self.rest)) if self.is_open else 0
        if not self.left:
            self.stop()


class _Inlet(_Flow):
    """Input of the caller on its way to the command: a device's data, or packets, as much as the pipe holds."""

    def __init__(self, stream: int, source: int, writing: int, reading: int) -> None:
        super().__init__(stream, source, writing, writing)
        self.reading = reading

    def close(self) -> None:
        self.stop()
        self.settle(pipes.count(self.reading))

    def settle(self, unread: int) -> None:
        """Leave to the caller what is left in the pipe, where that can be."""


class _FileInlet(_Inlet):
    """A file, which is read from where its caller is in it."""

    def __init__(self, stream: int, source: int, writing: int, reading: int) -> None:
        super().__init__(stream, source, writing, reading)
        self.place = self.begin = os.lseek(source, 0, os.SEEK_CUR)

    def splice(self, most: int) -> int:
        moved = pipes.splice(self.source, self.sink, most, self.place)
        self.place += moved
        return moved

    def copy(self, most: int) -> int:
        data = os.pread(self.source, most, self.place)
        moved = os.write(self.sink, data) if data else 0
        self.place += moved
        return moved

    def settle(self, unread: int) -> None:
        if os.lseek(self.source, 0, os.SEEK_CUR) == self.begin:
            os.lseek(self.source, max(self.place - unread, self.begin), os.SEEK_SET)


class _CarefulInlet(_Inlet):
    """A pipe, or a socket that carries bytes. At first the command's pipe has room for one write, and is shown one."""

    def __init__(self, stream: int, source: int, writing: int, reading: int) -> None:
        super().__init__(stream, source, writing, reading)
        self.shown = b""
        """Bytes that the command was given and that are not yet taken from its caller."""
        self.taken = 0
        pipes.resize(writing, pipes.PAGE)

    @property
    def is_careful(self) -> bool:
        return self.taken < _CAREFUL

    def wanted(self) -> dict[int, int]:
        if self.is_open and self.is_careful and self.shown:
            return self.wants_sink
        return super().wanted()

    def step(self, most: int) -> None:
        if not self.is_careful:
            super().step(most)
            return
        try:
            data = pipes.peek(self.source, pipes.PAGE)
            self.shown = data[: os.write(self.sink, data)] if data else b""
        except BlockingIOError:
            raise
        except OSError as error:
            self.fail(error)
            return
        self.is_full = False
        if not data:
            self.stop()

    def move(self, ready: dict[int, int]) -> None:
        if not self.shown:
            super().move(ready)
        elif self.is_open and self.sink in ready:  # the command has read all of it
            self._take(len(self.shown))
            if not self.is_careful:
                pipes.resize(self.sink, _BUFFER)

    def _take(self, size: int) -> None:
        """Take from the caller what the command has read, unless somebody else has."""
        shown, self.shown = self.shown[:size], b""
        self.taken += len(shown)
        with suppress(OSError):
            while shown and (found := pipes.peek(self.source, len(shown))) and shown.startswith(found):
                pipes.take(self.source, len(found))
                shown = shown[len(found) :]

    def settle(self, unread: int) -> None:
        self._take(max(len(self.shown) - unread, 0))


class _Fed:
    """Bytes on their way to the command's standard input."""

    patience: int | None = None
    stream = 0

    def __init__(self, writing: int, data: bytes) -> None:
        os.set_blocking(writing, False)
        self.pipe = writing
        self.rest = memoryview(data)
        self.is_open = True
        self.error: OSError | None = None
        self.wants = {writing: select.POLLOUT}
        if not data:
            self.close()

    def wanted(self) -> dict[int, int]:
        return self.wants if self.is_open else _NOTHING

    def move(self, ready: dict[int, int]) -> None:
        if not self.is_open or self.pipe not in ready:
            return
        try:
            self.rest = self.rest[os.write(self.pipe, self.rest[:_BUFFER]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the command reads no more
            self.rest = memoryview(b"")
        if not self.rest:
            self.close()

    def end(self) -> None:
        self.close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.pipe)


class _Taken:
    """Output of the command on its way to a `Capture`."""

    patience: int | None = None

    def __init__(self, number: int, reading: int, capture: Capture) -> None:
        os.set_blocking(reading, False)
        self.stream = number
        self.pipe = reading
        self.capture = capture
        self.moved = 0
        self.is_open = True
        self.error: OSError | None = None
        self.wants = {reading: select.POLLIN}

    def wanted(self) -> dict[int, int]:
        return self.wants if self.is_open else _NOTHING

    def move(self, ready: dict[int, int]) -> None:
        if self.is_open and self.pipe in ready and (not self.take(_LARGE) or self.capture.is_over):
            self.close()

    def take(self, most: int) -> int:
        try:
            piece = os.read(self.pipe, most)
        except BlockingIOError:
            return most  # another reader was quicker
        if self.moved < _BUFFER <= self.moved + len(piece):
            pipes.resize(self.pipe, _LARGE)
        self.moved += len(piece)
        if piece:
            self.capture.take(piece)
        return len(piece)

    def end(self) -> None:
        """Another command of the session may hold this pipe too, and write into it without end."""
        left = pipes.count(self.pipe) if self.is_open else 0
        while left > 0 and (size := self.take(left)):
            left -= size
        self.close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.pipe)


def _inlet(source: int) -> type[_Inlet]:
    """Class that reads a descriptor of the caller's as its kind needs."""
    mode = os.fstat(source).st_mode
    if stat.S_ISFIFO(mode) or (stat.S_ISSOCK(mode) and pipes.is_stream(source)):
        return _CarefulInlet
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        with suppress(OSError):  # as of some files in /proc
            os.lseek(source, 0, os.SEEK_CUR)
            return _FileInlet
    return _Inlet


def _are_one(stdout: Stream, stderr: Stream) -> bool:
    if isinstance(stdout, int) and isinstance(stderr, int):
        return pipes.are_one(stdout, stderr)
    return stdout is stderr


def _is_null(descriptor: int) -> bool:
    about = os.fstat(descriptor)
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == _NULL


def _pipe(plan: LaunchPlan) -> tuple[int, int]:
    """Both ends of a new pipe that belongs to the uid that root drops to: scripts open /dev/stderr anew."""
    reading, writing = os.pipe()
    if plan.uid is not None and plan.gid is not None and os.geteuid() == 0:
        try:
            os.fchown(reading, plan.uid, plan.gid)
        except OSError as error:
            os.close(reading)
            os.close(writing)
            raise SandboxError(
                f"nothing can belong to the sandbox's uid {plan.uid} here: {error.strerror}",
                fix="In a container, choose a sandbox.uid that /proc/self/uid_map maps.",
            ) from error
    return reading, writing


class _Waits:
    """Descriptors that the parts want, which are mostly those that they wanted before."""

    def __init__(self, always: dict[int, int]) -> None:
        self.always = always
        self.wanted: list[dict[int, int]] | None = None
        self.together: dict[int, int] = {}

    async def ready(self, parts: Sequence[Part], seconds: float | None = None) -> dict[int, int]:
        """Events of all that is wanted, as soon as there are some, or a part's patience is over."""
        wanted = [part.wanted() for part in parts]
        if wanted != self.wanted:
            self.wanted, self.together = wanted, {}
            for each in (self.always, *wanted):
                for descriptor, events in each.items():
                    self.together[descriptor] = self.together.get(descriptor, 0) | events
        for part in parts:
            if part.patience is not None:
                patience = part.patience / 1000
                seconds = patience if seconds is None else min(patience, seconds)
        return await Ready(self.together, seconds)


def _events(descriptor: int) -> int:
    """The events that a descriptor has now though nobody asked for any: errors, and that its other end has gone."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return dict(poll.poll(0)).get(descriptor, 0)


@contextmanager
def _no_signal() -> Iterator[None]:
    """That nobody reads is an error (EPIPE) meanwhile, and no signal, whatever our process does with SIGPIPE."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGPIPE,))
    try:
        yield
    finally:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait((signal.SIGPIPE,), 0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPIPE,))
