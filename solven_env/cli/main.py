"""The command line: a table of commands, each loaded when it is called, so that `--help` stays quick."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer
import typer.main
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup

from solven_env import __version__
from solven_env.errors import SolvenError

if TYPE_CHECKING:
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter

COMMANDS = {
    "validate": "Check profiles and print every mistake, each with its place.",
    "render": "Print or write the rendered files of a profile.",
    "lock": "Pin the packages of a profile: versions and digests, beside it.",
    "diff": "Show what apply would change in a thread's workspace.",
    "apply": "Make a thread's workspace match a profile.",
    "run": "Run a command in a thread's sandbox.",
    "shell": "Open a login shell in a thread's sandbox.",
    "stop": "End a thread's session with all its commands.",
    "status": "Show where a workspace differs from what was applied.",
    "doctor": "Find what is wrong with this host, a profile or a thread.",
}
"""Each command's module is `solven_env.cli.<name>`; its function is called `command`."""


class _Command(TyperCommand):
    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """The usage line as other programs have it: typer puts what is required in braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - the signature is typer's
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        application = _typer(add_completion=False)
        module = importlib.import_module(f"solven_env.cli.{cmd_name}")
        application.command(cmd_name, cls=_Command, short_help=COMMANDS[cmd_name])(module.command)
        return typer.main.get_command(application)

    def invoke(self, ctx: Context) -> object:
        try:
            return super().invoke(ctx)
        except UsageError as error:  # typer's own: an option that is unknown, an argument that is missing
            _print_as_json(error)
            raise

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_as_json(error: UsageError) -> None:
    """Print the document that `--format json` promises, where the arguments could not be read that far."""
    words = sys.argv[1:]
    if "--format=json" in words or ("--format", "json") in pairwise(words):
        from solven_env import errors
        from solven_env.cli.errors import exit_code
        from solven_env.cli.output import error_document, print_json

        command = next((word for word in words if word in COMMANDS), "")
        told = errors.UsageError(error.format_message().rstrip("."), fix=f"See solven-env {command} --help.")
        print_json(error_document(command, None, told, exit_code(told)))


def _typer(**settings: bool) -> typer.Typer:
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
        **settings,  # type: ignore[arg-type]
    )


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"solven-env {__version__}")
        raise typer.Exit


def _start(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Give every thread the environment that a profile declares.

    \b
    Examples:
      solven-env validate profiles/solven.yaml
      solven-env diff  solven thread-42
      solven-env apply solven thread-42 --set user_id=ada
    """


def run() -> None:
    """Run the command line and exit."""
    from solven_env.cli.errors import exit_codes

    _open_streams()
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # ignored, as some callers have it, it makes every failure of uv's a 0
    application = _typer()
    application.callback(cls=_LazyGroup, no_args_is_help=True)(_start)
    with exit_codes():
        try:
            application(prog_name="solven-env")
        finally:
            _flush()


def _open_streams() -> None:
    """Have standard output and error, whatever the caller closed or which encoding it has.

    With 0, 1 or 2 free, the next file to be opened, one of a workspace perhaps, would be taken for them.
    """
    while (descriptor := _open_nowhere()) <= 2:
        pass
    if sys.stdout and sys.stderr:
        os.close(descriptor)
    else:
        nowhere = open(descriptor, "w")  # noqa: PTH123, SIM115 - open until the end
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a locale without UTF-8 is no reason to fail


def _open_nowhere() -> int:
    """/dev/null, or what is nearest to it on a host that has lost that: `doctor` is to say so."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        return os.memfd_create("nowhere")


def _flush() -> None:
    """Write out what is buffered while a failure can still be told."""
    from solven_env.cli.output import written

    try:
        with written():
            sys.stdout.flush()
    except (BrokenPipeError, SolvenError) as error:
        # Python would try once more at its end, and fail aloud (docs.python.org, signal, "Note on SIGPIPE").
        os.dup2(_open_nowhere(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # its reader has all that it wanted
            sys.exit(1)
        raise
