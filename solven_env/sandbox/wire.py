"""The messages between launcher and holder, over one SOCK_SEQPACKET connection a command.

    launcher                                   holder
    request (plan, command), three streams ─►
                                            ◄─ accepted   from here on the request is never sent again
                                            ◄─ started    or failed; with both ends of its terminal, if it has one
    kill                                    ─►
                                            ◄─ exited     or failed

When the launcher's end is closed, the command is killed. Who wants files says `files ─►` with a plan, and gets
`◄─ accepted` and `◄─ served`, or failed; from then on the connection is the file server's. Whoever wants to know how
the session is asks on a connection of its own, `status ─►`, and gets `◄─ status`. An apply that is about to write in
the workspace says `room ─►` on one, with the number of bytes, and gets `◄─ status` too.
"""

from __future__ import annotations

import errno
import marshal
import os
import struct

from solven_env.errors import SandboxError, UsageError, WorkingDirectoryError
from solven_env.system.blocks import holding, suppress
from solven_env.system.plain import Socket, socket
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from solven_env.errors import SolvenError

_LARGEST_ANSWER = 65536
_ROOM = b"room "
_DESCRIPTOR = struct.Struct("i")
_FORMAT = 2  # of marshal: every Python reads it


def pack(document: Any) -> bytes:
    """Plain data as bytes. Not as JSON: `json` with the `re` that it needs takes a session's first command 4 ms.

    Both ends are ours and have one uid; what a sandbox could write is never unpacked.
    """
    return marshal.dumps(document, _FORMAT)


def unpack(packed: bytes) -> Any:
    """The document that was packed; ValueError where the bytes are cut short, or none of `pack`."""
    try:
        return marshal.loads(packed)  # noqa: S302 (see `pack`)
    except (EOFError, TypeError) as error:
        raise ValueError("cut short, or nothing that was packed") from error


def memory(name: str) -> holding:
    """A file in memory, closed at the end of the block."""
    return holding(os.memfd_create(name))


def send_request(connection: Socket, kind: str, document: dict[str, Any], descriptors: Iterable[int] = ()) -> None:
    """Ask for something with a document and descriptors.

    The document goes in a memfd: a packet of more than about 200 KB is EMSGSIZE, and one argument may have 128 KB.
    """
    with memory("request") as written:
        with open(written, "wb", closefd=False) as file:
            file.write(pack(document))
        send_descriptors(connection, kind.encode(), [written, *descriptors])


def send_question(connection: Socket) -> None:
    """Ask how the session is."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(b"status")


def send_room(connection: Socket, size: int) -> None:
    """Say how many bytes are about to be written that are not the session's."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(_ROOM + str(size).encode())


class Asked(NamedTuple):
    """A request of a caller: its `kind`, a document, and descriptors, which the holder closes."""

    kind: str
    document: dict[str, Any]
    descriptors: tuple[int, ...] = ()


def receive_request(connection: Socket) -> Asked | None:
    """The request of a caller: None when it is gone, or says what nobody understands.

    `room` has the number of bytes as `size`.
    """
    try:
        message, descriptors = receive_descriptors(connection, 8)
    except ConnectionResetError:
        return None
    try:
        kind = message.decode()
        if not kind:
            return None
        if not descriptors:
            word, _, size = kind.partition(" ")
            return Asked(word, {"size": int(size)} if size else {})
        written, *given = descriptors
        with open(written, "rb", closefd=False) as file:
            file.seek(0)
            document = unpack(file.read())
        os.close(written)
        return Asked(kind, document, tuple(given))
    except ValueError:
        pass
    for descriptor in descriptors:
        os.close(descriptor)
    return None


def hear_again(connection: Socket) -> bool:
    """Take what a launcher says while its command runs, which can only be to kill it; False when it is gone.

    ECONNRESET is how a launcher goes that had not read all answers.
    """
    try:
        return bool(connection.recv(_LARGEST_ANSWER))
    except ConnectionResetError:
        return False


def receive_descriptors(connection: Socket, most: int) -> tuple[bytes, list[int]]:
    """A message and the descriptors that came with it, close-on-exec (socket.recv_fds drops that flag)."""
    message, ancillary, _, _ = connection.recvmsg(
        _LARGEST_ANSWER, socket.CMSG_SPACE(most * _DESCRIPTOR.size), socket.MSG_CMSG_CLOEXEC
    )
    descriptors: list[int] = []
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            whole = data[: len(data) - len(data) % _DESCRIPTOR.size]
            descriptors += [each for (each,) in _DESCRIPTOR.iter_unpack(whole)]
    return message, descriptors


def send(connection: Socket, kind: str, descriptors: Iterable[int] = (), **values: Any) -> None:
    """One short message; that nobody is there any more to read it is no error."""
    try:
        send_descriptors(connection, pack({"kind": kind, **values}), list(descriptors))
    except (BrokenPipeError, ConnectionResetError):
        return


def send_descriptors(connection: Socket, message: bytes, descriptors: list[int]) -> None:
    """A message with descriptors; SandboxError where the kernel passes no more of them."""
    try:
        packed = b"".join(map(_DESCRIPTOR.pack, descriptors))
        connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)] if packed else [])
    except OSError as error:
        if error.errno != errno.ETOOMANYREFS:
            raise
        # Of one user, commands of all threads included, no more may be under way than the sender may open (unix(7)).
        raise SandboxError(
            "so many descriptors of this user are under way in sockets that the kernel passes no more",
            fix="A command that is running holds them back: end it with stop. Or raise the limit: ulimit -n.",
        ) from error


def receive(connection: Socket) -> dict[str, Any] | None:
    """The next message; None when the other side is gone."""
    return receive_terminal(connection)[0]


def receive_terminal(connection: Socket) -> tuple[dict[str, Any] | None, tuple[int, int] | None]:
    """The next message, and the master and slave that came with it."""
    try:
        message, descriptors = receive_descriptors(connection, 2)
    except ConnectionResetError:
        return None, None
    terminal = (descriptors[0], descriptors[1]) if len(descriptors) == 2 else None
    return dict(unpack(message)) if message else None, terminal


def send_failure(connection: Socket, error: SolvenError) -> None:
    """An error on its way to the launcher; `failure` makes it one again."""
    send(connection, "failed", **encode_error(error))


def encode_error(error: SolvenError) -> dict[str, Any]:
    """An error as plain data; `failure` is the way back."""
    told = {"message": error.message, "fix": error.fix, "location": error.location}
    return told | {
        "is_usage": isinstance(error, UsageError),
        "is_directory": isinstance(error, WorkingDirectoryError),
    }


def failure(message: dict[str, Any]) -> SolvenError:
    """The error of a `failed` message: WorkingDirectoryError, another UsageError, or SandboxError for other kinds."""
    kind: type[SolvenError] = UsageError if message.get("is_usage") else SandboxError
    if message.get("is_directory"):  # a holder of an earlier release says neither
        kind = WorkingDirectoryError
    return kind(message["message"], fix=message["fix"], location=message["location"])
