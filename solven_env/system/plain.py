"""`signal` and `socket` as the C modules beneath them are: with numbers where those put enumerations.

Nobody here reads the enumerations, and to make them takes a session's first command 4 ms (measured, CPython 3.11).
"""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import signal as signal
    import socket as socket
    from typing import Self
else:
    import _signal as signal  # noqa: F401 (for others)
    import _socket as socket


class Socket(socket.socket):
    """A socket, closed at the end of a `with` block."""

    def accept(self) -> tuple[Socket, object]:
        """See `socket.socket.accept`."""
        descriptor, address = self._accept()  # type: ignore[attr-defined] # what `socket` too makes its own of
        return Socket(fileno=descriptor), address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pair() -> tuple[Socket, Socket]:
    """Two sockets, of packets, that are connected with each other."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Socket(fileno=ours.detach()), Socket(fileno=theirs.detach())
