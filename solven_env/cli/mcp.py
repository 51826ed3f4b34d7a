"""`solven-env mcp`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, StorageOption

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = "SOLVEN_ENV_MCP_TOKEN"  # noqa: S105 (a name)
_SHORTEST = 16
"""Characters of a token."""
_EXTRA = "uv pip install 'solven-env[mcp]'"


def command(
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="PROFILE",
            autocompletion=completing.profiles,
            help="Apply this profile first: a path (with a '/' or ending in .yaml), or a shipped name.",
            show_default=False,
        ),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            "--thread",
            metavar="THREAD",
            autocompletion=completing.threads,
            help="The thread's id. Without it, a new one is made with --profile, and its name told.",
            show_default=False,
        ),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            help="Serve streamable HTTP on this port of 127.0.0.1 (0: any free one), instead of standard streams.",
            min=0,
            max=65_535,
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Serve a thread's sandbox to MCP clients: run, read, write, edit, list, grep and status as tools.

    It needs the extra mcp: uv pip install 'solven-env[mcp]'.

    With --profile the thread is applied first, with the errors and exit codes of apply. The standard streams are the
    protocol's alone; everything else is told on standard error. When the client ends, its commands are ended, and
    this command exits with 0.

    By HTTP a bearer token is needed: $SOLVEN_ENV_MCP_TOKEN, else a new one, which is told on standard error.

    \b
    Examples:
      solven-env mcp --profile solven --thread thread-42
      solven-env mcp --profile solven
      solven-env mcp --thread thread-42 --http 8765
    """
    from solven_env.cli import orphans
    from solven_env.cli.errors import exit_codes
    from solven_env.doors import standard_streams

    wire = standard_streams.claim() if http is None else None
    with exit_codes():
        serve = _prepared(wire, profile, thread, http, storage)
        if wire is not None:
            orphans.end_with_parent()
        number = serve()
    if number:
        sys.exit(130 if number == signal.SIGINT else 128 + number)


def _prepared(
    wire: tuple[int, int] | None, profile: str | None, thread: str | None, http: int | None, storage: str | None
) -> Callable[[], int]:
    """All that can fail before the protocol begins, and then the call that serves."""
    import gc
    import secrets

    from solven_env.api import commands, workspaces
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told, note
    from solven_env.errors import PlatformError, SolvenError, UsageError

    if profile is None and thread is None:
        raise UsageError("there is no thread", fix="Name one: --thread THREAD, or a profile for a new one: --profile.")
    try:
        from solven_env.doors import mcp_serving
        from solven_env.doors.mcp import SolvenServer
    except ImportError as error:
        fix = f"Install it: {_EXTRA}"
        raise PlatformError(f"the MCP SDK is not installed, or not version 2 ({error})", fix=fix) from error
    given = os.environ.pop(_TOKEN, "")  # no child gets it
    token = _token(given) if http is not None else ""
    listener = mcp_serving.listening(http) if http is not None else None
    is_new = thread is None
    name = thread or f"mcp-{secrets.token_hex(6)}"
    if profile is not None:
        with errors_told("apply", name, Format.TEXT, storage=storage, profile=profile), progress.shown() as shown:
            workspaces.apply(profile, name, storage=storage, progress=shown)
    with errors_told("run", name, Format.TEXT, storage=storage):
        server = SolvenServer(name, storage=storage)
    if is_new:
        note(f"solven-env: the thread is {name}. To come back to it, start with --thread {name}.")
    if listener is not None:
        note(f"solven-env: http://127.0.0.1:{listener.getsockname()[1]}/mcp")
        if not given:
            note(f"solven-env: Authorization: Bearer {token}")
    gc.enable()  # this process lives on (`__main__`)

    def serve() -> int:
        try:
            number: int
            if listener is not None:
                number = mcp_serving.serve_http(server, listener, token)
            else:
                assert wire is not None
                number = mcp_serving.serve_streams(server, *wire)
            return number
        finally:
            if is_new:  # nobody else has commands in it
                with suppress(SolvenError):
                    commands.stop(name, storage=storage)

    return serve


def _token(token: str) -> str:
    """The caller's token, or a new one; UsageError for one that is easily guessed or no header can have."""
    import secrets

    from solven_env.errors import UsageError

    if not token:
        return secrets.token_urlsafe(32)
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"${_TOKEN} is no token: {_SHORTEST} or more letters, digits and signs are needed, without spaces",
            fix="Unset it, and one is made and told; or make one: openssl rand -hex 32",
        )
    return token
