"""The launcher's side of a command on a terminal: copies between the caller's terminal and the command's own.

The command never has the caller's (`sandbox.devices`). While its input is that terminal, keys go to it as they are
typed: ^C and ^Z are its own business. Where another program may use the terminal too, standard output being a pipe to
it, the terminal writes lines as it was found to, and a pager that has the keyboard keeps it. In the background we leave
the keyboard alone until we are in the foreground.

What was typed and not yet read when the command ends stays for the next reader. What the command was given and did not
read is lost: to push it back would let a command type into the caller's shell.
"""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from solven_env.sandbox.request import Stream
    from solven_env.sandbox.streams import Part

    Handler = Callable[[int, FrameType | None], None]

_BLOCK = 65536
_PATIENCE = 250
"""Milliseconds after which the size and who has the keyboard are looked at again, where no signal tells."""
_LEFT = 1 << 20
"""Bytes, far more than a pseudo-terminal keeps: so much is read after the end. Another command of the session may have
opened the slave, and write without end."""

_INPUT, _OUTPUT, _LOCAL, _CHARACTERS = 0, 1, 3, 6  # of what termios.tcgetattr returns
_DEADLY = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)


@contextmanager
def served(master: int, slave: int, caller: tuple[Stream, Stream, Stream]) -> Iterator[Part]:
    """The copying between the command's terminal and the caller's (see `streams.relay`).

    `slave` stays open meanwhile: a command may close its last descriptor of the terminal and open another one. However
    this ends, the caller's terminal is as it was found.
    """
    outer = _Outer(master, slave, caller)
    os.set_blocking(master, False)
    with _signals(_handlers(outer)) as outer.is_told:
        try:
            yield outer
        finally:
            outer.give()


class _Outer:
    """The caller's terminal: whether its keyboard is taken, and how it was found."""

    def __init__(self, master: int, slave: int, caller: tuple[Stream, Stream, Stream]) -> None:
        stdin, stdout, stderr = (each if isinstance(each, int) and os.isatty(each) else -1 for each in caller)
        self.master, self.slave = master, slave
        self.keyboard = stdin
        self.shared = stdout < 0
        self.screen = next((each for each in (stdout, stderr, stdin) if each >= 0), -1)
        self.taken = False
        self.found: list[Any] | None = None
        self.typed = b""
        """Bytes that were read from the keyboard and not yet given to the command."""
        self.is_told = False
        """True if a signal tells of a new size, and of who has the keyboard."""
        self.has_ended = False

    @property
    def patience(self) -> int | None:
        return None if self.has_ended or (self.is_told and (self.taken or self.keyboard < 0)) else _PATIENCE

    def wanted(self) -> dict[int, int]:
        """Keys are read only when the command has taken those before."""
        if self.has_ended:
            return {}
        self.take()
        self.copy_size()
        wanted = {self.master: select.POLLIN | (select.POLLOUT if self.typed else 0)}
        if self.taken and not self.typed:
            wanted[self.keyboard] = select.POLLIN
        return wanted

    def move(self, ready: dict[int, int]) -> None:
        if ready.get(self.master, 0) & select.POLLIN:
            self.show(_read_all(self.master))
        if self.typed and ready.get(self.master, 0) & select.POLLOUT:
            self.typed = self.typed[os.write(self.master, self.typed) :]
        if self.keyboard in ready and self.taken:
            self.typed = self.read()

    def end(self) -> None:
        self.has_ended = True
        left = _LEFT
        while left > 0 and (data := _read_all(self.master)):
            self.show(data)
            left -= len(data)
        self.give()  # now: a pipe may still be waiting for its reader, a pager say, which wants the keyboard

    def take(self) -> None:
        """Have each key as it is typed, if there is a keyboard and nobody else has it."""
        if self.taken or self.has_ended or self.keyboard < 0 or not _in_foreground(self.keyboard):
            return
        with suppress(termios.error):  # it was hung up
            found = self.found or termios.tcgetattr(self.keyboard)
            if not self.shared or found[_LOCAL] & termios.ICANON:
                self.found, self.taken = found, True  # first: an interrupt may come in between
                # TCSADRAIN: what was typed already is kept.
                termios.tcsetattr(self.keyboard, termios.TCSADRAIN, _raw(found, keep_output=self.shared))

    def give(self) -> None:
        """Leave the terminal as it was found. In the background it is another program's, with settings of its own."""
        if self.taken and _in_foreground(self.keyboard):
            with suppress(termios.error):
                termios.tcsetattr(self.keyboard, termios.TCSADRAIN, self.found or [])
        self.taken, self.found = False, None

    def resume(self) -> None:
        """After we were stopped, whatever the shell did to its settings meanwhile."""
        self.taken = False
        self.take()
        self.copy_size()

    def copy_size(self) -> None:
        """Tell the command's terminal its size; the kernel sends SIGWINCH inside, if it is another one."""
        with suppress(termios.error):
            termios.tcsetwinsize(self.slave, termios.tcgetwinsize(self.screen))

    def show(self, data: bytes) -> None:
        """Write everything; what a terminal cannot take any more that was hung up is lost."""
        if self.keyboard >= 0 and not self.taken and not self.shared:
            data = data.replace(b"\r\n", b"\n")  # both terminals write lines, as long as we are in the background
        while data and self.screen >= 0:
            try:
                data = data[os.write(self.screen, data) :]
            except BlockingIOError:  # as another program left it
                poll = select.poll()
                poll.register(self.screen, select.POLLOUT)
                poll.poll()
            except OSError:
                self.screen = -1

    def read(self) -> bytes:
        """The keys that were typed; empty, and never again more, once the terminal was hung up."""
        data = _read(self.keyboard)
        if not data:
            self.keyboard, self.taken = -1, False
        return data


def _handlers(outer: _Outer) -> dict[signal.Signals, Handler]:
    """The handlers of signals meanwhile. A handler runs between two steps of ours; a poll goes on afterwards."""

    def resize(_: int, __: FrameType | None) -> None:
        outer.copy_size()

    def resume(_: int, __: FrameType | None) -> None:
        outer.resume()

    def stop(number: int, _: FrameType | None) -> None:
        outer.give()
        again = signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)  # we are stopped here, until somebody continues us
        signal.signal(number, again)
        outer.resume()

    def die(number: int, _: FrameType | None) -> None:
        outer.give()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    return {
        signal.SIGWINCH: resize,
        signal.SIGCONT: resume,
        signal.SIGTSTP: stop,
        **dict.fromkeys(_DEADLY, die),
    }


@contextmanager
def _signals(handlers: Mapping[signal.Signals, Handler]) -> Iterator[bool]:
    """Handle signals that have no handler yet; whether we hear of a new size: Python tells the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    free = {number: handler for number, handler in handlers.items() if signal.getsignal(number) == signal.SIG_DFL}
    for number, handler in free.items():
        signal.signal(number, handler)
    try:
        yield signal.SIGWINCH in free
    finally:
        for number in free:
            signal.signal(number, signal.SIG_DFL)


def _read(descriptor: int) -> bytes:
    """The bytes that are there; empty if there are none, or the other side has gone (EIO)."""
    try:
        return os.read(descriptor, _BLOCK)
    except OSError:
        return b""


def _read_all(master: int) -> bytes:
    """The bytes that are there, at most a block; a terminal gives 4 KiB at a time."""
    parts = []
    size = 0
    while size < _BLOCK and (part := _read(master)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _raw(found: list[Any], *, keep_output: bool) -> list[Any]:
    """The settings of cfmakeraw(3), but for those of the line; output may stay as it is."""
    raw = [*found[:_CHARACTERS], list(found[_CHARACTERS])]
    raw[_INPUT] &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
    raw[_INPUT] &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
    raw[_OUTPUT] &= ~(0 if keep_output else termios.OPOST)
    raw[_LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[_CHARACTERS][termios.VMIN], raw[_CHARACTERS][termios.VTIME] = 1, 0
    return raw


def _in_foreground(descriptor: int) -> bool:
    """True if we may change the terminal without being stopped for it, as always if it does not control us."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True
