"""`solven-env diff`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.choosing import ThreadsArgument, ThreadsFromOption, chosen_for, nobody, only
from solven_env.cli.options import (
    ExitCodeOption,
    InputsOption,
    ProfileArgument,
    SetOption,
    StorageOption,
    StreamFormat,
    StreamFormatOption,
    UnsetOption,
    given_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from solven_env.report import ThreadReport


def command(
    profile: ProfileArgument,
    threads: ThreadsArgument = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="Compare every thread whose last applied profile has that profile's name.")
    ] = False,
    threads_from: ThreadsFromOption = None,
    storage: StorageOption = None,
    settings: SetOption = None,
    inputs: InputsOption = None,
    unset: UnsetOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show the lines of changed locks too, not only the versions.")
    ] = False,
    exit_code: ExitCodeOption = False,
    chosen: StreamFormatOption = StreamFormat.TEXT,
) -> None:
    """Show what apply would change: a unified diff for each file, a line for each other change.

    Of a lock in the workspace that a build brings, one line says which versions change.

    Creates nothing and takes no lock. Prints nothing on standard output when the thread is in sync.

    \b
    Examples:
      solven-env diff solven thread-42
      solven-env diff profile.yaml thread-42 --exit-code
      solven-env diff profile.yaml --all --format jsonl
    """
    from solven_env.api import workspaces
    from solven_env.cli.each import Words, tell_each
    from solven_env.cli.output import errors_told, is_printed, pending_code

    def code(report: ThreadReport) -> int:
        return pending_code(report) if exit_code else 0

    one = only(threads, threads_from, is_all)
    with errors_told("diff", one, chosen, storage=storage, profile=profile):
        given, forgotten = given_inputs(settings, inputs), unset or ()
        if one is None:
            source, names = chosen_for(profile, threads, threads_from, is_all, storage)
            say = partial(_say_one, storage=storage, full=full)
            said = Words("diff", "comparing", "compared", say=say, code=code)

            def begin(_: object) -> Generator[ThreadReport, None, None]:
                return workspaces.diff_many(source, names, storage=storage, inputs=given, unset=forgotten)

            raise typer.Exit(
                tell_each(said, names, chosen, begin, storage=storage, profile=profile, nobody=nobody(is_all, profile))
            )
        report = workspaces.diff(profile, one, storage=storage, inputs=given, unset=forgotten)
    (found,) = report.threads
    if not is_printed(report, chosen):
        _say(found, storage, full=full)
    raise typer.Exit(code(found))


def _say(report: ThreadReport, storage: str | None, *, full: bool) -> None:
    """Print what an apply would change of a thread."""
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import note, say_carried
    from solven_env.cli.unified import say_diff
    from solven_env.packages.locks import told

    say_diff(report, full=full)
    say_carried(report)
    if report.is_interrupted:
        note(f"{report.thread}: an apply was interrupted; the next one finishes it.")
    elif not report.changes:
        note(f"{report.thread}: in sync.")
    for line in told(report.remarks):
        note(with_storage(line, storage))


def _say_one(report: ThreadReport, *, storage: str | None, full: bool) -> None:
    """Print the same of one of many threads, under its name; nothing of one in sync."""
    from solven_env.cli.output import tell
    from solven_env.errors import counted

    if report.state != "in-sync":
        tell(f"{report.thread}: {report.state}, {counted(len(report.changes), 'change')}")
        _say(report, storage, full=full)
