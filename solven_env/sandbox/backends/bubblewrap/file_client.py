"""The caller's side of a file server: a connection that carries one request after the other.

The server's process runs as the sandbox's uid: whatever it answers is checked here, as if an agent had written it.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import TYPE_CHECKING

from solven_env.errors import SandboxError
from solven_env.sandbox import wire
from solven_env.sandbox.backends.bubblewrap import file_server, session
from solven_env.sandbox.file_access import FileAnswer, Refused
from solven_env.system import pipes
from solven_env.system.effects import Ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from solven_env.sandbox.launch_plan import LaunchPlan
    from solven_env.system.plain import Socket

_PIECE = 1 << 20


class Connection:
    """A connection with the file server of one root. Requests are made one after the other."""

    def __init__(self, plan: LaunchPlan, keep_alive: float, runtime_dir: str, *, bounded: bool) -> None:
        """Connect; see `session.reach_files`."""
        self.is_open = False
        self.socket = session.reach_files(plan, keep_alive, runtime_dir, lambda _: None, bounded=bounded)
        self.is_open = True

    async def ask(
        self,
        call: str,
        data: bytes | int | None = None,
        more: Callable[[dict[str, Any]], None] | None = None,
        **values: Any,
    ) -> FileAnswer:
        """See `FileAccess.ask`."""
        reading = writing = -1
        try:
            asked: dict[str, Any] = {"do": call, **values}
            given = [data] if isinstance(data, int) else []
            if isinstance(data, bytes) and len(data) <= file_server.INLINE:
                asked["data"] = data
            elif isinstance(data, bytes):
                reading, writing = os.pipe()
                asked["size"], given = len(data), [reading]
            wire.send_descriptors(self.socket, wire.pack(asked), given)
            if isinstance(data, bytes) and writing >= 0:
                given, reading = [reading], -1
                os.close(given[0])
                await _feed(writing, data, self.socket.fileno())
                given, writing = [writing], -1
                os.close(given[0])
            while True:
                await Ready({self.socket.fileno(): select.POLLIN})
                answer = _received(self.socket)
                if not isinstance(answer, list):
                    return answer
                for each in answer:
                    if more is not None:
                        more(each)
        except Refused:
            raise
        except BaseException:  # half a conversation is none
            self.close()
            raise
        finally:
            for each in (reading, writing):
                if each >= 0:
                    os.close(each)

    def close(self) -> None:
        """Let go of it."""
        if self.is_open:
            self.is_open = False
            self.socket.close()

    __del__ = close


async def _feed(pipe: int, data: bytes, answer: int) -> None:
    """Write to a pipe until all is written, or whoever reads it gives its answer before."""
    pipes.resize(pipe, _PIECE)
    os.set_blocking(pipe, False)
    rest, wanted = memoryview(data), {pipe: select.POLLOUT, answer: select.POLLIN}
    while rest and answer not in await Ready(wanted):
        try:
            rest = rest[os.write(pipe, rest[:_PIECE]) :]
        except BrokenPipeError:
            return


def _received(connection: Socket) -> FileAnswer | list[Any]:
    """An answer, or some of the entries that come before it."""
    message, descriptors = wire.receive_descriptors(connection, 1)
    opened = descriptors[0] if descriptors else None
    try:
        answer = _checked(message)
        if opened is not None and not stat.S_ISREG(os.fstat(opened).st_mode):
            raise _strange()
        if "more" in answer:
            return list(answer["more"])
        if "failed" in answer:
            raise _refused(answer)
        given, opened = opened, None
        return FileAnswer(answer["ok"], given)
    finally:
        if opened is not None:
            os.close(opened)


def _checked(message: bytes) -> dict[str, Any]:
    if not message:
        raise ConnectionResetError(errno.ECONNRESET, "the file server has ended")
    try:
        answer = wire.unpack(message)
    except ValueError:
        answer = None
    is_known = isinstance(answer, dict) and ({"ok", "failed", "more"} & answer.keys())
    if not is_known or not isinstance(answer.get("more", []), list):
        raise _strange()
    return dict(answer)


def _refused(answer: dict[str, Any]) -> Refused:
    number, path, kind = answer["failed"], answer.get("path", b""), answer.get("kind", "")
    return Refused(
        number if isinstance(number, int) else errno.EIO,
        path if isinstance(path, bytes) else b"",
        kind if isinstance(kind, str) else "",
    )


def _strange() -> SandboxError:
    return SandboxError("the session's file server says what nobody understands", fix="End the session with stop.")
