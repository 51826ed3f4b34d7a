"""A process that outlives its caller: the work of `Process`, as coroutines.

A caller attaches to the keeper of the process by a connection, on which it asks one thing after the other. One that is
given up while it asks lets its connection go, and attaches anew the next time.
"""

from __future__ import annotations

import codecs
import select
import time
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import InputClosedError, NoProcessError, SandboxError, UsageError, WaitTimeoutError
from solven_env.programs.result import Chunk, ProcessInfo, Result
from solven_env.sandbox import wire
from solven_env.sandbox.limits import Reached
from solven_env.system.effects import Blocking, Ready
from solven_env.threads import sessions
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from typing import Any, Literal

    from solven_env.programs.core import Core
    from solven_env.sandbox.kept import Told
    from solven_env.system.plain import Socket

_ALL = 1 << 62
"""More bytes than any output has: nothing follows them."""
_PIECE = 32 << 10
_MOST = 160 << 20
"""Bytes that are taken at once: more than a keeper has of both streams."""
_NAMES: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


class _Answer(NamedTuple):
    """Pieces of output with their stream and their offset; how the process has ended, if they are all (`is_all`)."""

    pieces: list[tuple[int, int, bytes]]
    ended: dict[str, Any] | None
    is_all: bool
    sizes: dict[int, int]
    """The bytes that each stream has had so far."""


class ProcessCore:
    """A process by its name in the session. Two calls at once have a connection each."""

    def __init__(self, core: Core, name: str) -> None:
        self.core = core
        self.name = name
        self.began = time.monotonic()
        self._free: list[Socket] = []
        self._seen = {1: 0, 2: 0}
        self._decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in _NAMES}
        self._result: Result | None = None

    async def poll(self) -> int | None:
        """See `Process.poll`."""
        if self._result is not None:
            return self._result.exit_code
        ended = (await self._read({1: _ALL, 2: _ALL}, now=True)).ended
        return None if ended is None else _status(ended)

    async def wait(self, timeout: float | None) -> Result:
        """See `Process.wait`."""
        if self._result is None:
            deadline = None if timeout is None else time.monotonic() + _seconds(timeout)
            answer = await self._read({1: _ALL, 2: _ALL}, now=False, deadline=deadline)
            if answer.ended is None:
                raise _strange()
            self._result = await self._gather(answer.ended)
        return self._result

    async def _gather(self, ended: dict[str, Any]) -> Result:
        """The result of a process that has ended, with the output that is kept."""
        kept: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        for number, _, data, _ in await self._kept():
            kept[number] += data
        sizes = (await self._read({1: _ALL, 2: _ALL}, now=True)).sizes
        is_cut = sum(sizes.values()) > sum(map(len, kept.values()))
        limits = tuple(Reached(**each) for each in ended.get("limits", ()))
        timed_out = any(each.limit in ("timeout", "wall_time") for each in limits)
        seconds = float(ended.get("seconds", time.monotonic() - self.began))
        return Result(_status(ended), bytes(kept[1]), bytes(kept[2]), is_cut, timed_out, limits, seconds)

    async def kept(self) -> list[Chunk]:
        """See `Process.kept`."""
        decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in _NAMES}
        return [
            Chunk(_NAMES[number], data, decoders[number].decode(data), skipped)
            for number, _, data, skipped in await self._kept()
        ]

    async def _kept(self) -> list[tuple[int, int, bytes, int]]:
        """The stream, the offset and the bytes of what is kept now, and how many before them are not.

        A process that prints faster than it is read outruns its reader: what it has overwritten meanwhile is the end.
        """
        found: list[tuple[int, int, bytes, int]] = []
        seen, size = {1: 0, 2: 0}, 0
        while size < _MOST:
            answer = await self._read(seen, now=True)
            for number, offset, data in answer.pieces:
                if seen[number] and offset > seen[number]:
                    return found
                found.append((number, offset, data, offset - seen[number]))
                seen[number] = offset + len(data)
                size += len(data)
            if answer.is_all:
                break
        return found

    async def chunks(self) -> list[Chunk]:
        """Output since the last call, as soon as there is some; none at the end."""
        answer = await self._read(self._seen, now=False)
        found = []
        for number, offset, data in answer.pieces:
            text = self._decoders[number].decode(data)
            found.append(Chunk(_NAMES[number], data, text, offset - self._seen[number]))
            self._seen[number] = offset + len(data)
        return found

    async def send_stdin(self, data: bytes | str) -> None:
        """See `Process.send_stdin`."""
        content = data.encode() if isinstance(data, str) else bytes(data)
        for begin in range(0, len(content), _PIECE):
            await self._tell({"do": "write", "data": content[begin : begin + _PIECE]})

    async def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        await self._tell({"do": "close"})

    async def resize(self, rows: int, columns: int) -> None:
        """See `Process.resize`."""
        for name, value in (("rows", rows), ("columns", columns)):
            if not isinstance(value, int) or not 0 < value < 1 << 16:
                raise UsageError(f"{name}: a number from 1 to 65,535 is needed")
        if not (await self._ask({"do": "resize", "rows": rows, "columns": columns})).get("written"):
            raise UsageError("resize: the process has no terminal", fix="Start it with pty=(rows, columns).")

    async def kill(self) -> bool:
        """See `Process.kill`."""
        told = await Blocking(lambda: _session(self.core, "kill", self.name))
        if told is None or told.answer["kind"] == "unknown":
            raise _gone(self.name)
        if told.answer["was_running"]:
            await self.wait(None)
        return bool(told.answer["was_running"])

    async def _tell(self, asked: dict[str, Any]) -> None:
        if not (await self._ask(asked)).get("written"):
            raise InputClosedError("the process reads no more input", location=self.name)

    async def _read(self, seen: dict[int, int], *, now: bool, deadline: float | None = None) -> _Answer:
        answer = await self._ask({"do": "read", "seen": seen, "now": now}, deadline)
        try:
            pieces = [(int(number), int(offset), bytes(data)) for number, offset, data in answer["chunks"]]
            ended, is_all = answer["ended"], bool(answer["all"])
            sizes = {int(number): int(size) for number, size in answer["sizes"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _strange() from error
        if any(number not in _NAMES or offset < seen[number] for number, offset, _ in pieces):
            raise _strange()
        if ended is not None and not isinstance(ended, dict):
            raise _strange()
        return _Answer(pieces, ended, is_all, sizes)

    async def _ask(self, asked: dict[str, Any], deadline: float | None = None) -> dict[str, Any]:
        connection = self._free.pop() if self._free else await self._attach()
        try:
            connection.send(wire.pack(asked))
            left = None if deadline is None else deadline - time.monotonic()
            if not await Ready({connection.fileno(): select.POLLIN}, left):
                raise WaitTimeoutError("the process goes on", location=self.name)
            answer = wire.receive(connection)
        except (BrokenPipeError, ConnectionResetError):
            connection.close()
            raise _gone(self.name) from None
        except BaseException:  # half a conversation is none
            connection.close()
            raise
        if answer is None:
            connection.close()
            raise _gone(self.name)
        self._free.append(connection)
        return answer

    async def _attach(self) -> Socket:
        told = await Blocking(lambda: _session(self.core, "attach", self.name))
        if told is None or told.connection is None:
            raise _gone(self.name)
        connection: Socket = told.connection
        return connection

    def close(self) -> None:
        """Let all connections go; the process goes on."""
        while self._free:
            self._free.pop().close()

    __del__ = close


async def listed(core: Core) -> tuple[ProcessInfo, ...]:
    """The processes of a sandbox's session, in the order in which they began."""
    told = await Blocking(lambda: _session(core, "processes"))
    found = [] if told is None else told.answer["processes"]
    return tuple(ProcessInfo(each["id"], each["command"], each["seconds"], each["status"]) for each in found)


def _session(core: Core, what: str, name: str = "") -> Told | None:
    thread = Thread.find(core.thread, core.storage)
    return sessions.ask(thread, thread.applied(), what, name)


def _status(ended: dict[str, Any]) -> int:
    """The status of a process; the error of one that could not start."""
    if ended.get("kind") == "failed":
        raise wire.failure(ended)
    return int(ended["status"])


def _gone(name: str) -> NoProcessError:
    return NoProcessError(
        "the session has no such process: it has ended with its session, or was forgotten for newer ones",
        fix="solven-env ps THREAD lists those that there are.",
        location=name,
    )


def _strange() -> SandboxError:
    return SandboxError("the process's keeper says what nobody understands", fix="End the session with stop.")


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise UsageError("timeout: a number of seconds is needed, 0 or more")
    return timeout
