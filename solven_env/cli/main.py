"""The command line: a table of commands. A command's module is imported when it is called, so that `--help` is fast."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from solven_env import __version__
from solven_env.cli.options import StreamFormat
from solven_env.errors import SolvenError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WRONG_USAGE = 2

COMMANDS = {
    "init": "Write a new profile, also by what a workspace states.",
    "validate": "Check profiles and print every mistake, each with its place.",
    "resolve": "Print a profile with all that it extends as one document.",
    "explain": "Show the file and line that each value of a profile comes from.",
    "fmt": "Bring profiles into one form: order of keys, indentation, blanks.",
    "render": "Print or write the rendered files of a profile.",
    "lock": "Pin the packages of a profile: versions and digests, beside it.",
    "add": "Add packages to a profile, and lock it.",
    "remove": "Remove packages from a profile, and lock it.",
    "outdated": "Show which packages of a lock have newer versions.",
    "diff": "Show what apply would change in a thread's workspace.",
    "plan": "Write what apply would change into a file, to apply exactly that.",
    "apply": "Make a thread's workspace match a profile.",
    "history": "List the generations of a thread.",
    "show": "Show what one generation of a thread left.",
    "rollback": "Make a thread what a former generation left.",
    "recover": "Put back what an apply kept of a path.",
    "run": "Run a command in a thread's sandbox.",
    "shell": "Open a login shell in a thread's sandbox.",
    "ps": "List the processes of a thread's session.",
    "logs": "Print what a process of a thread's session has printed.",
    "kill": "End a process of a thread's session.",
    "stop": "End a thread's session with all its commands.",
    "status": "Show where a workspace differs from what was applied.",
    "cp": "Copy files into a thread or out of one.",
    "delete": "Delete threads: records, layers and workspaces.",
    "list": "List the threads of a storage.",
    "du": "Measure the disk that threads take on this host.",
    "gc": "Collect builds, layers and generations that nobody needs.",
    "layer": "Show, reset or promote what a thread has over its packages.",
    "mcp": "Serve a thread's sandbox to MCP clients.",
    "doctor": "Find what is wrong with this host, a profile or a thread.",
    "schema": "Print the schema of profiles, for editors.",
    "docs": "Print a page of the documentation.",
}
"""Each command's module is `solven_env.cli.<name>`; its function is called `command`.

A command with words of its own (`layer diff`) has in its module a table `WORDS` of their functions.
"""


# What typer hands to these classes has types that are not public: Any.
class _Command(TyperCommand):
    check_words: Callable[[list[str], dict[str, bool]], None] | None = None
    """A module's own check of its words, before they are parsed. True for an option that has a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the words, once the module has checked them."""
        if self.check_words is not None and not ctx.resilient_parsing:  # as it is while a shell completes
            options: list[Any] = [each for each in self.get_params(ctx) if each.param_type_name == "option"]
            self.check_words(args, {name: not each.is_flag for each in options for name in each.opts})
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the usage line without the braces that typer puts around what is required."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        application = _typer(add_completion=False)
        module = importlib.import_module(f"solven_env.cli.{cmd_name}")
        application.command(cmd_name, cls=_Command, short_help=COMMANDS[cmd_name])(module.command)
        command: Any = typer.main.get_command(application)
        command.check_words = getattr(module, "check_words", None)
        return _with_words(cmd_name, module.WORDS, command) if hasattr(module, "WORDS") else command

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            if error.exit_code == WRONG_USAGE:  # an unknown option, a missing argument
                _print_as_json(UsageError(error.format_message().rstrip(".")))
            raise
        except UsageError as error:
            _print_as_json(error)
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _with_words(name: str, words: Mapping[str, Callable[..., None]], command: Any) -> Any:
    """The command as a group of its words; its own function has nothing but the help."""
    application = _typer(add_completion=False)
    application.callback(no_args_is_help=True)(command.callback)
    for word, function in words.items():
        application.command(word, cls=_Command)(function)
    group: Any = typer.main.get_command(application)
    group.name, group.help, group.short_help = name, command.help, command.short_help
    return group


def _print_as_json(error: UsageError) -> None:
    """Print the document of `--format json` for words that could not be read."""
    words = [*takewhile(lambda word: word != "--", sys.argv[1:])]  # what is behind it is no option of ours
    for form in StreamFormat:
        if f"--format={form}" in words or ("--format", form) in pairwise(words):
            from solven_env.cli.output import print_error_document

            command = next((word for word in words if word in COMMANDS), "")
            error.fix = error.fix or f"See solven-env {command} --help."
            print_error_document(form, command, None, error, WRONG_USAGE)


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
    from solven_env.sandbox.limits import forbid_cores

    _open_streams()
    forbid_cores()
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
    """Open the standard streams that the caller closed, and let them print every character.

    With 0, 1 or 2 closed, the next file that is opened, a workspace's perhaps, would be taken for a standard stream.
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
    """A descriptor of /dev/null, or of a file in memory on a host that has lost it (`doctor` says so)."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        return os.memfd_create("nowhere")


def _flush() -> None:
    """Write out the buffers while a failure can still be reported."""
    from solven_env.cli.output import written

    try:
        with written():
            sys.stdout.flush()
    except (BrokenPipeError, SolvenError) as error:
        # Python would try once more at its end, and fail aloud (docs.python.org, signal, "Note on SIGPIPE").
        os.dup2(_open_nowhere(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader has ended
            sys.exit(1)
        raise
