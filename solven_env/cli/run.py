"""`solven-env run`, and what `shell` shares with it: options, what a signal means, and the way to the status."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from solven_env.sandbox.limits import Reached
    from solven_env.sandbox.request import Request

NOT_STARTED = 125

TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="End the command after this time, with 124.")
]
CwdOption = Annotated[
    str | None,
    typer.Option("--cwd", metavar="DIR", help="The working directory inside, in the place of what the profile says."),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME[=VALUE]", help="Set a variable, or pass the caller's; may be repeated."),
]
NetworkOption = Annotated[
    str | None,
    typer.Option("--network", metavar="NETWORK", help="none, internet or host, in the place of what the profile says."),
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend", metavar="BACKEND", help="bubblewrap or proot (isolates nothing), in the place of the profile's."
    ),
]
KeepAliveOption = Annotated[
    float,
    typer.Option("--keep-alive", metavar="SECONDS", help="Keep the session, with its /tmp, as long afterwards."),
]


def command(
    thread: ThreadArgument,
    argv: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")
    ] = None,
    shell: Annotated[
        str | None, typer.Option("--shell", metavar="TEXT", help="Run this text through a login shell instead.")
    ] = None,
    timeout: TimeoutOption = None,
    cwd: CwdOption = None,
    env: EnvOption = None,
    network: NetworkOption = None,
    backend: BackendOption = None,
    keep_alive: KeepAliveOption = 0.0,
    storage: StorageOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would be started, and start nothing.")] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Run a command in a thread's sandbox, with the workspace as /.

    On a terminal it has one of its own: ^C reaches the command alone.

    Exits with the command's own status: 128 and more for a signal, 124 when its time was up, 126 when it cannot be
    executed, 127 when it is not found; 125 when the sandbox could not start. A limit that was reached is named on
    standard error.

    \b
    Examples:
      solven-env run thread-42 -- python /script.py
      solven-env run thread-42 --shell 'echo $PATH' --timeout 10
      solven-env run thread-42 --network internet -- uv add httpx
      solven-env run thread-42 --keep-alive 60 -- touch /tmp/kept
      solven-env run thread-42 --explain -- python /script.py
    """
    from solven_env.sandbox.request import Request

    request = Request(argv or (), shell, cwd, {}, network, backend, timeout, keep_alive)
    if explain:
        _tell(thread, request, env, storage=storage, chosen=chosen)
    elif chosen is Format.JSON:
        raise typer.BadParameter("only --explain reports; what runs prints what it prints", param_hint="--format")
    else:
        run(thread, request, env, storage=storage)


def run(thread: str, request: Request, env: Iterable[str] | None, *, storage: str | None) -> None:
    """Run what is requested, with the variables of --env, and exit with its status."""
    from solven_env import api
    from solven_env.cli import orphans
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, note
    from solven_env.sandbox.request import terminal

    with exit_codes(NOT_STARTED), errors_told("run", thread, Format.TEXT, storage=storage, all_but_usage=NOT_STARTED):
        asked = request._replace(env=_variables(env or ()), terminal=terminal(request.streams, os.environ))
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) left it
                signal.signal(number, _end)
        orphans.end_with_parent()
        status = api.run(thread, asked, storage=storage, progress=note, on_limit=_say_limit)
    sys.exit(status)


def _tell(thread: str, request: Request, env: Iterable[str] | None, *, storage: str | None, chosen: Format) -> None:
    """Say what `run` would start, and start nothing."""
    from solven_env import api
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, print_json, say
    from solven_env.report import document
    from solven_env.run import explanation

    with exit_codes(NOT_STARTED), errors_told("run", thread, chosen, storage=storage, all_but_usage=NOT_STARTED):
        told = api.explain(thread, request._replace(env=_variables(env or ()), keep_alive=0.0), storage=storage)
    if chosen is Format.JSON:
        print_json(document("run", [told.to_json() | {"error": None}]))
    else:
        for line in explanation.text(told):
            say(line)


def _variables(given: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` as it is; `NAME` passes the caller's value, if it has one, without showing it in any argument."""
    from solven_env.errors import UsageError

    variables = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"--env {text} names no variable", fix="Write --env NAME or --env NAME=VALUE.")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
    return variables


def _say_limit(reached: Reached) -> None:
    from solven_env.cli.output import note

    fix = {
        "timeout": "Raise --timeout",
        "tmp_size": "Raise sandbox.limits.tmp_size, or the size of the mount at /tmp, in the profile",
    }.get(reached.limit, f"Raise sandbox.limits.{reached.limit} in the profile")
    certain = "limit reached" if reached.is_certain else "limit probably reached"
    note(f"solven-env: {certain}: {reached.limit} ({reached.value}). {fix}.")


def _end(number: int, _: FrameType | None) -> None:
    """A signal to us ends the command first; the status is the shell's for a death by it."""
    sys.exit(128 + number)
