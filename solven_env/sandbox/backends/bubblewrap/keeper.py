"""A process that keeps what a command prints when nobody reads it, and its input open: commands that outlive their
callers have one each, in the place of a launcher.

The holder forks it and treats it as the command's launcher: how the command ends is told to it, and with its death the
command is killed. It reads the command's output always, so that a command never waits for a reader, and keeps the last
bytes of each stream. It has no rights: what it handles is an agent's.

A caller who attaches asks, one request after the other: `read` for what follows the bytes that it has seen, which waits
for more if there is none; `write` and `close` for the input; `resize` for a terminal.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time

from solven_env.sandbox import wire
from solven_env.sandbox.roots.namespaces import confine
from solven_env.system import mounting
from solven_env.system.blocks import suppress
from solven_env.system.plain import Socket, pair
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from solven_env.sandbox.launch_plan import LaunchPlan

_PIECE = 1 << 16
_MOST_PIECES = 4096
"""Pieces of one stream, whatever their size: from then on they are joined, and lose their order among the streams."""
_ROOM = 40 << 10
"""Bytes of output in one answer."""
_MOST_LEFT = 1 << 20
"""Bytes that are read of an output after the end: another process of the session may have it, and write for ever."""
_MOST_INPUT = 1 << 20
"""Bytes of input that wait for the command; what is beyond waits at the caller."""


class Pipes(NamedTuple):
    """The keeper's ends of a command's streams: input, and outputs by their number. A terminal is both, and `slave`."""

    stdin: int
    outputs: dict[int, int]
    slave: int = -1


class OutputKeeper(NamedTuple):
    """A keeper as the holder has it: its process, the connection on which it is a launcher, and the way to it."""

    pidfd: int
    pid: int
    launcher: Socket
    entry: Socket


def start(pipes: Pipes, most: int, plan: LaunchPlan, seccomp: bytes) -> OutputKeeper:
    """Fork a keeper that keeps `most` bytes of each output."""
    launcher, theirs = pair()
    entry, door = pair()
    try:
        pid = os.fork()
        if pid == 0:
            _become(_Keeping(pipes, most, theirs, door), plan, seccomp)
    except BaseException:
        launcher.close()
        entry.close()
        raise
    finally:
        theirs.close()
        door.close()
    entry.setblocking(False)  # one that somebody has stopped holds nobody else up
    return OutputKeeper(os.pidfd_open(pid), pid, launcher, entry)


def admit(keeper: OutputKeeper, connection: Socket) -> None:
    """Hand a caller's connection over."""
    wire.send_descriptors(keeper.entry, b"caller", [connection.fileno()])


def _become(keeping: _Keeping, plan: LaunchPlan, seccomp: bytes) -> NoReturn:
    try:
        os.setsid()
        pipes = keeping.pipes
        used = {pipes.stdin, *pipes.outputs.values(), pipes.slave, keeping.launcher.fileno(), keeping.door.fileno()}
        mounting.close_all_but(used - {-1})
        confine(plan, seccomp)
        for each in {pipes.stdin, *pipes.outputs.values()} - {-1}:
            os.set_blocking(each, False)
        while keeping.serve():
            pass
    finally:
        os._exit(0)


class _Stream:
    """The last bytes of one output, in pieces: each has its place in the order of all, and its offset."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.pieces: list[tuple[int, int, bytearray]] = []
        self.end = 0
        self.size = 0

    def take(self, order: int, data: bytes) -> None:
        if self.pieces and (self.pieces[-1][0] == order or len(self.pieces) >= _MOST_PIECES):
            self.pieces[-1][2].extend(data)
        else:
            self.pieces.append((order, self.end, bytearray(data)))
        self.end += len(data)
        self.size += len(data)
        while self.pieces and self.size - len(self.pieces[0][2]) >= self.most:
            self.size -= len(self.pieces.pop(0)[2])
        if self.size > 2 * self.most:  # one piece is all: not at each byte, since the rest is moved
            place, offset, piece = self.pieces[0]
            surplus = self.size - self.most
            self.pieces[0] = (place, offset + surplus, piece[surplus:])
            self.size = self.most

    def since(self, seen: int) -> list[tuple[int, int, bytes]]:
        """The order, the offset and the bytes of what follows the first `seen` ones, as much as an answer has room."""
        found = []
        first = max(self.end - self.most, 0)
        room = _ROOM
        for order, offset, piece in self.pieces:
            if room <= 0:
                break
            begin = max(seen, offset, first)
            if begin < offset + len(piece):
                found.append((order, begin, bytes(piece[begin - offset : begin - offset + _ROOM])))
                room -= len(found[-1][2])
        return found


class _Keeping:
    """All that a keeper knows. `callers` are attached; `waiting` are those whose `read` has no answer yet."""

    def __init__(self, pipes: Pipes, most: int, launcher: Socket, door: Socket) -> None:
        self.pipes = pipes
        self.launcher = launcher
        self.door = door
        self.streams = {number: _Stream(most) for number in pipes.outputs}
        self.began = time.monotonic()
        self.order = 0
        self.last = 0
        self.open = {descriptor: number for number, descriptor in pipes.outputs.items()}
        self.stdin = pipes.stdin
        self.input = b""
        self.closes = False
        self.ended: dict[str, Any] | None = None
        self.callers: dict[int, Socket] = {}
        self.waiting: dict[int, dict[int, int]] = {}
        self.writing: dict[int, bytes] = {}

    def serve(self) -> bool:
        """Do what is to be done now; False when the holder has gone."""
        poll = select.poll()
        for descriptor in (*self.open, *(each for each in self.callers if each not in self.writing)):
            poll.register(descriptor, select.POLLIN)
        poll.register(self.door, select.POLLIN)
        if self.ended is None:
            poll.register(self.launcher, select.POLLIN)
        if self.input and self.stdin >= 0:
            both = select.POLLIN if self.stdin in self.open else 0
            poll.register(self.stdin, select.POLLOUT | both)
        for descriptor, events in poll.poll():
            if descriptor == self.door.fileno():
                if not self.admit():
                    return False
            elif descriptor == self.launcher.fileno():
                self.hear()
            elif descriptor in self.callers:
                self.answer(descriptor)
            else:
                if events & ~select.POLLOUT and descriptor in self.open:
                    self.take(descriptor)
                if events & (select.POLLOUT | select.POLLERR) and descriptor == self.stdin:
                    self.feed()
        return True

    def admit(self) -> bool:
        message, descriptors = wire.receive_descriptors(self.door, 1)
        for each in descriptors:
            self.callers[each] = Socket(fileno=each)
            self.callers[each].setblocking(False)
        return bool(message)

    def hear(self) -> None:
        """The command has ended: what it has written by now is all that is kept."""
        told = wire.receive(self.launcher)
        for descriptor in tuple(self.open):
            left = _MOST_LEFT
            while descriptor in self.open and left > 0 and (size := self.take(descriptor)):
                left -= size
        self.close_input()
        for descriptor in self.pipes.outputs.values():
            os.close(descriptor)
        self.open.clear()
        killed = {"kind": "exited", "status": 137, "limits": []}
        self.ended = (told or killed) | {"seconds": time.monotonic() - self.began}
        self.tell_waiting()

    def take(self, descriptor: int) -> int:
        """Read some output; 0 where there is none now, or no more."""
        number = self.open[descriptor]
        try:
            data = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return 0
        except OSError:  # a terminal that nobody has any more
            data = b""
        if not data:
            self.open.pop(descriptor, None)
            return 0
        if number != self.last:
            self.order, self.last = self.order + 1, number
        self.streams[number].take(self.order, data)
        self.tell_waiting()
        return len(data)

    def feed(self) -> None:
        """Give the command some of its input."""
        try:
            self.input = self.input[os.write(self.stdin, self.input[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:  # nobody reads it
            self.input, self.closes = b"", True
        if not self.input:
            if self.closes:
                self.close_input()
            for caller in tuple(self.writing):
                self.reply(caller, {"written": self.stdin >= 0})

    def close_input(self) -> None:
        self.input = b""
        if self.stdin >= 0 and self.stdin not in self.pipes.outputs.values():
            os.close(self.stdin)
        self.stdin = -1
        for caller in tuple(self.writing):
            self.reply(caller, {"written": False})

    def answer(self, caller: int) -> None:
        """Do what a caller asks for; it is let go when it has gone or says what is not understood."""
        try:
            asked = wire.receive(self.callers[caller])
        except BlockingIOError:
            return
        except ValueError:
            asked = None
        do = None if asked is None else asked.get("do")
        if asked is None or do not in ("read", "write", "close", "resize"):
            self.part(caller)
        elif do == "read":
            self.waiting[caller] = dict(asked["seen"])
            self.tell(caller, now=asked["now"])
        elif do == "write":
            if self.stdin < 0 or self.closes:
                self.reply(caller, {"written": False})
                return
            self.input += asked["data"]
            self.writing[caller] = b""
            if len(self.input) <= _MOST_INPUT:
                self.reply(caller, {"written": True})
        elif do == "close":
            self.end_input()
            self.reply(caller, {"written": True})
        else:
            if self.pipes.slave >= 0:
                size = struct.pack("HHHH", asked["rows"], asked["columns"], 0, 0)
                fcntl.ioctl(self.pipes.slave, termios.TIOCSWINSZ, size)
            self.reply(caller, {"written": self.pipes.slave >= 0})

    def end_input(self) -> None:
        """Close the input behind what waits for the command; on a terminal that is the key for it (^D)."""
        if self.pipes.slave >= 0:
            self.input += b"\x04"
        elif self.input:
            self.closes = True
        else:
            self.close_input()

    def tell_waiting(self) -> None:
        for caller in tuple(self.waiting):
            self.tell(caller, now=False)

    def tell(self, caller: int, *, now: bool) -> None:
        """Answer a caller that waits for output, if there is some, or an end."""
        seen = self.waiting[caller]
        found = sorted(
            (order, number, offset, data)
            for number, stream in self.streams.items()
            for order, offset, data in stream.since(seen.get(number, 0))
        )
        chunks, room = [], _ROOM
        for _, number, offset, data in found:
            if room <= 0:
                break
            chunks.append((number, offset, data[:room]))
            room -= len(data)
        is_all = room > 0 or not found
        if chunks or now or self.ended is not None:
            del self.waiting[caller]
            sizes = {number: stream.end for number, stream in self.streams.items()}
            self.reply(
                caller, {"chunks": chunks, "ended": self.ended if is_all else None, "all": is_all, "sizes": sizes}
            )

    def reply(self, caller: int, answer: dict[str, Any]) -> None:
        self.writing.pop(caller, None)
        try:
            self.callers[caller].send(wire.pack(answer), _DONT_WAIT)
        except OSError:  # it has gone, or reads no answers
            self.part(caller)

    def part(self, caller: int) -> None:
        self.waiting.pop(caller, None)
        self.writing.pop(caller, None)
        with suppress(KeyError):
            self.callers.pop(caller).close()


_DONT_WAIT = 0x40  # MSG_DONTWAIT, include/linux/socket.h
