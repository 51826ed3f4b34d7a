"""The standard streams of a process whose caller speaks a protocol by them.

They are the protocol's alone: from `claim` on, what prints goes to standard error, and what reads finds the end.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
from typing import TYPE_CHECKING

from solven_env.errors import UsageError
from solven_env.programs.on_loop import on_loop
from solven_env.system.effects import Ready

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 1 << 16
_LONGEST = 64 << 20
"""Bytes of the longest line that is read."""


def claim() -> tuple[int, int]:
    """The caller's standard input and output, as descriptors that no child gets.

    In their place are /dev/null and standard error: no import, warning, progress or child of ours reads or writes what
    the caller reads and writes.
    """
    sys.stdout.flush()
    wire = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3), fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    return wire


class Lines:
    """The lines that come by a descriptor, as they come; waiting for one takes no thread, and can be cancelled."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = bytearray()

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        """The next line; UsageError for one of more than 64 MiB.

        A last one without its end is none: who wrote it has ended.
        """
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            piece = await on_loop(_read(self._descriptor))
            if searched > _LONGEST:
                raise UsageError(f"the client sends a line of more than {_LONGEST:,} bytes")
            if not piece:
                raise StopAsyncIteration
            self._rest += piece
        line = bytes(self._rest[: end + 1])
        del self._rest[: end + 1]
        return line.decode(errors="replace")


class Writer:
    """Text that goes to a descriptor. When its reader is gone, `gone` is called, and what comes then is dropped."""

    def __init__(self, descriptor: int, gone: Callable[[], object]) -> None:
        self._descriptor = descriptor
        self._gone = gone

    async def write(self, text: str) -> None:
        """Write all of it: while the reader does not read, this waits, and nobody else does."""
        try:
            await on_loop(_write(self._descriptor, text.encode()))
        except OSError:
            self._gone()

    async def flush(self) -> None:
        """Nothing is kept back."""


async def _read(descriptor: int) -> bytes:
    wanted = {descriptor: select.POLLIN}
    while True:
        await Ready(wanted)
        try:
            return os.read(descriptor, _PIECE)
        except BlockingIOError:  # the caller made it so
            continue
        except OSError:  # a terminal that hung up
            return b""


async def _write(descriptor: int, data: bytes) -> None:
    rest, wanted = memoryview(data), {descriptor: select.POLLOUT}
    while rest:
        await Ready(wanted)
        try:
            rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]  # pipe(7): so many never block then
        except BlockingIOError:
            continue
