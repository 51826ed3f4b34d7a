"""The two ways to the server of `doors.mcp`: standard streams, and HTTP on this host alone."""

from __future__ import annotations

import asyncio
import hmac
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import uvicorn
from mcp.server.stdio import stdio_server

from solven_env.doors.mcp import MOST_TEXT
from solven_env.doors.standard_streams import Lines, Writer
from solven_env.errors import SolvenError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from solven_env.doors.mcp import SolvenServer

_LOOPBACK = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENOUGH = 1
"""Seconds that open connections have when the server ends. Commands are ended then, and their end is awaited."""


def serve_streams(server: SolvenServer, source: int, target: int) -> int:
    """Serve one client by two descriptors until it ends; the number of the signal that ended us, 0 for none."""

    async def serve(scope: anyio.CancelScope) -> None:
        lines, writer = Lines(source), Writer(target, scope.cancel)
        low = server._lowlevel_server  # as MCPServer.run_stdio_async has it
        async with stdio_server(cast("Any", lines), cast("Any", writer)) as (incoming, outgoing):
            await low.run(incoming, outgoing, low.create_initialization_options())

    return _until_signal(serve)


def serve_http(server: SolvenServer, listener: socket.socket, token: str) -> int:
    """Serve clients by streamable HTTP at /mcp of a listening socket; the number of the signal that ended us."""
    port = listener.getsockname()[1]
    # A text in JSON may take six characters for one.
    application = server.streamable_http_app(max_request_body_size=6 * MOST_TEXT + (1 << 20))
    config = uvicorn.Config(
        Gate(application, token, port),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_ENOUGH,
    )
    http = _Http(config)

    async def serve(scope: anyio.CancelScope) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_end_when_cancelled, http)
            with anyio.CancelScope(shield=True):
                await http.serve([listener])
            scope.cancel()

    return _until_signal(serve)


def listening(port: int) -> socket.socket:
    """A socket that listens on the loopback address; UsageError for a port that cannot be had. 0 is any free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LOOPBACK, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else "it is none"
        raise UsageError(f"port {port} cannot be listened on: {why}", fix="Name another one, or 0 for any.") from error
    return listener


class Gate:
    """An ASGI application behind a bearer token, for clients of this host that name it as this host's.

    A page of a browser that reaches it by a name of its own (DNS rebinding) has another Host or an Origin. Who is
    refused learns nothing but that.
    """

    def __init__(self, application: ASGIApp, token: str, port: int) -> None:
        self._application = application
        self._token = token.encode()
        names = [f"{name}:{port}".encode() for name in (_LOOPBACK, "localhost")]
        self._hosts = frozenset(names)
        self._origins = frozenset(b"http://" + name for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or 401, or let the application answer."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif refused := self._refusal(scope["headers"]):
            headers = [(b"content-length", b"0"), *[(b"www-authenticate", b"Bearer")] * (refused == 401)]
            await send({"type": "http.response.start", "status": refused, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._application(scope, receive, send)

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> int:
        """The status of a refusal, 0 for none."""
        hosts, origins, given = (_values(headers, name) for name in (b"host", b"origin", b"authorization"))
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts or not self._origins.issuperset(origins):
            return 403
        kind, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        is_right = hmac.compare_digest(token.strip(), self._token)
        return 0 if is_right and kind.lower() == b"bearer" else 401


def _values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]


class _Http(uvicorn.Server):
    """A server whose signals are ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def _end_when_cancelled(http: _Http) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        http.should_exit = True


def _until_signal(serve: Callable[[anyio.CancelScope], Coroutine[Any, Any, None]]) -> int:
    """Run until it ends, or a signal ends it: then it is cancelled, and awaited. The signal's number, 0 for none."""
    came: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            came.append(number)
            scope.cancel()

        with anyio.CancelScope() as scope:
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) left it
                    loop.add_signal_handler(number, end, number)
            await serve(scope)

    try:
        asyncio.run(main())
    except BaseExceptionGroup as errors:  # of the SDK's groups of tasks
        raise _first(errors) from None
    return came[0] if came else 0


def _first(error: BaseException) -> BaseException:
    """An error of ours in a group of errors, else the first of them."""
    if isinstance(error, BaseExceptionGroup):
        ours = error.subgroup(SolvenError)
        return _first((ours or error).exceptions[0])
    return error
