"""`solven-env run`."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import StorageOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

NOT_STARTED = 125


def command(
    thread: ThreadArgument,
    argv: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")
    ] = None,
    shell: Annotated[
        str | None, typer.Option("--shell", metavar="TEXT", help="Run this text through a login shell instead.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="End the command after this time, with 124.")
    ] = None,
    cwd: Annotated[str, typer.Option("--cwd", metavar="DIR", help="The working directory inside.")] = "/",
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME[=VALUE]", help="Set a variable, or pass the caller's; may be repeated."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option("--network", metavar="NETWORK", help="none or host, in the place of what the profile says."),
    ] = None,
    keep_alive: Annotated[
        float,
        typer.Option("--keep-alive", metavar="SECONDS", help="Keep the session, with its /tmp, as long afterwards."),
    ] = 0.0,
    storage: StorageOption = None,
) -> None:
    """Run a command in a thread's sandbox, with the workspace as /.

    Exits with the command's own status: 128 and more for a signal, 124 when its time was up, 126 when it cannot be
    executed, 127 when it is not found; 125 when the sandbox could not start.

    \b
    Examples:
      solven-env run thread-42 -- python /script.py
      solven-env run thread-42 --shell 'echo $PATH' --timeout 10
      solven-env run thread-42 --network host -- uv add httpx
      solven-env run thread-42 --keep-alive 60 -- touch /tmp/kept
    """
    from solven_env import api, errors
    from solven_env.cli import orphans
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import note

    _open_streams()
    with exit_codes(all_but_usage=NOT_STARTED):
        if (shell is None) == (not argv):
            raise errors.UsageError("there is no command, or there are two", fix="Write --shell TEXT or -- COMMAND.")
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) left it
                signal.signal(number, _end)
        orphans.end_with_parent()
        status = api.run(
            thread,
            argv or (),
            storage=storage,
            shell=shell,
            cwd=cwd,
            timeout=timeout,
            env=_variables(env or ()),
            network=network,
            keep_alive=keep_alive,
            progress=note,
        )
    sys.exit(status)


def _open_streams() -> None:
    """Have something at each of the three standard descriptors: else the next file that we open would be the command's.

    The lowest free number is what open(2) takes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


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


def _end(number: int, _: FrameType | None) -> None:
    """A signal to us ends the command first; the status is the shell's for a death by it."""
    sys.exit(128 + number)
