"""The command line: a table of commands, each loaded when it is called, so that `--help` stays quick."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer
import typer.main
from typer.core import TyperGroup

from solven_env import __version__

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
    "status": "Show where a workspace differs from what was applied.",
}
"""Each command's module is `solven_env.cli.<name>`; its function is called `command`."""


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - the signature is typer's
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        application = _typer(add_completion=False)
        module = importlib.import_module(f"solven_env.cli.{cmd_name}")
        application.command(cmd_name, short_help=COMMANDS[cmd_name])(module.command)
        return typer.main.get_command(application)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


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

    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the caller closed it
        stream.reconfigure(errors="backslashreplace")  # a locale without UTF-8 is no reason to fail
    application = _typer()
    application.callback(cls=_LazyGroup, no_args_is_help=True)(_start)
    with exit_codes():
        application(prog_name="solven-env")
