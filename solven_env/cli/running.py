"""The common part of `run` and `shell`: their options, the meaning of a signal, and the way to the status."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType

    from solven_env.sandbox.limits import Reached

NOT_STARTED = 125

TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="End the command after this time, with 124.")
]
CwdOption = Annotated[str, typer.Option("--cwd", metavar="DIR", help="The working directory inside.")]
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


def run(
    thread: str,
    argv: Sequence[str],
    *,
    shell: str | None = None,
    timeout: float | None,
    cwd: str,
    env: Iterable[str] | None,
    network: str | None,
    backend: str | None,
    keep_alive: float,
    storage: str | None,
) -> None:
    """Run a command, or a text through a login shell, and exit with its status."""
    from solven_env import api, errors
    from solven_env.cli import orphans
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, note

    with exit_codes(NOT_STARTED), errors_told("run", thread, Format.TEXT, storage=storage, all_but_usage=NOT_STARTED):
        if (shell is None) == (not argv):
            raise errors.UsageError("there is no command, or there are two", fix="Write --shell TEXT or -- COMMAND.")
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) left it
                signal.signal(number, _end)
        orphans.end_with_parent()
        status = api.run(
            thread,
            argv,
            storage=storage,
            shell=shell,
            cwd=cwd,
            timeout=timeout,
            env=_variables(env or ()),
            network=network,
            backend=backend,
            keep_alive=keep_alive,
            progress=note,
            on_limit=_say_limit,
        )
    sys.exit(status)


def explain(
    thread: str,
    argv: Sequence[str],
    *,
    shell: str | None,
    timeout: float | None,
    cwd: str,
    env: Iterable[str] | None,
    network: str | None,
    backend: str | None,
    storage: str | None,
    chosen: Format,
) -> None:
    """Say what `run` would start with the same arguments."""
    from solven_env import api
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, print_json, say
    from solven_env.report import document
    from solven_env.run import explanation

    with exit_codes(NOT_STARTED), errors_told("run", thread, chosen, storage=storage, all_but_usage=NOT_STARTED):
        told = api.explain(
            thread,
            argv,
            storage=storage,
            shell=shell,
            cwd=cwd,
            timeout=timeout,
            env=_variables(env or ()),
            network=network,
            backend=backend,
        )
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
