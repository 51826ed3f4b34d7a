"""`solven-env apply`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solven_env.cli import completing
from solven_env.cli.choosing import ThreadsArgument, ThreadsFromOption, WaitOption, chosen_for, nobody, only
from solven_env.cli.options import (
    InputsOption,
    OnConflict,
    OnConflictOption,
    SetOption,
    StorageOption,
    StreamFormat,
    StreamFormatOption,
    UnsetOption,
    given_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from solven_env.cli.each import Words
    from solven_env.report import ThreadReport


def command(
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="PROFILE",
            autocompletion=completing.profiles,
            help="A path (with a '/' or ending in .yaml), a shipped name, or - for standard input.",
            show_default=False,
        ),
    ] = None,
    threads: ThreadsArgument = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="Apply to every thread whose last applied profile has that profile's name.")
    ] = False,
    threads_from: ThreadsFromOption = None,
    canary: Annotated[
        int,
        typer.Option(
            "--canary",
            metavar="N",
            min=0,
            help="Apply to the first N threads before the others, which are left alone if one of them fails.",
            show_default=False,
        ),
    ] = 0,
    wait: WaitOption = 0.0,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Make the changes of a plan that plan --out wrote, and no others. A THREAD may follow.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    settings: SetOption = None,
    inputs: InputsOption = None,
    unset: UnsetOption = None,
    on_conflict: OnConflictOption = OnConflict.FAIL,
    restore_record: Annotated[
        bool,
        typer.Option(
            "--restore-record",
            help="If the thread's record is damaged or gone, take its newest whole generation.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    chosen: StreamFormatOption = StreamFormat.TEXT,
) -> None:
    """Make workspaces of threads match a profile, and print what was done.

    A second apply changes nothing. Exits with 4, and writes nothing, when the workspace holds changes that would be
    lost; with 5 when the profile is invalid; with 6 when another apply holds the thread.

    Of several threads each one's own error is told, and the exit code is the gravest of any.

    \b
    Examples:
      solven-env apply solven thread-42
      solven-env apply profile.yaml thread-42 --set user_id=ada
      solven-env apply profile.yaml thread-42 --on-conflict overwrite
      solven-env apply profile.yaml --all --canary 3
      solven-env apply --plan thread-42.plan
    """
    from solven_env.api import workspaces
    from solven_env.cli import progress
    from solven_env.cli.each import tell_each
    from solven_env.cli.output import errors_told, is_printed
    from solven_env.errors import UsageError

    if plan is not None and not threads:
        profile, threads = None, [profile] if profile is not None else None
    one = only(threads, threads_from, is_all)
    with errors_told("apply", one, chosen, storage=storage, profile=profile):
        asked: dict[str, Any] = {  # arguments of `apply` and of `diff`, for one thread and for many
            "storage": storage,
            "inputs": given_inputs(settings, inputs),
            "unset": unset or (),
            "on_conflict": on_conflict.value,
            "restore_record": restore_record,
        }
        if plan is not None:
            _refuse_beside_a_plan(
                {
                    "PROFILE": profile is not None,
                    "the threads": one is None and (bool(threads) or is_all or threads_from is not None),
                    "--canary": bool(canary),
                    "--set": bool(settings),
                    "--inputs": inputs is not None,
                    "--unset": bool(unset),
                    "--on-conflict": on_conflict is not OnConflict.FAIL,
                    "--restore-record": restore_record,
                }
            )
            with progress.shown() as shown:
                report = workspaces.apply_plan(plan, one, storage=storage, dry_run=dry_run, wait=wait, progress=shown)
        elif profile is None:
            raise UsageError("there is no PROFILE", fix="Name it before the threads, or a plan: --plan FILE.")
        elif one is None:
            source, names = chosen_for(profile, threads, threads_from, is_all, storage)
            words = _words(dry_run, storage)

            def begin(progress: Callable[[str], None]) -> Generator[ThreadReport, None, None]:
                if dry_run:
                    return workspaces.diff_many(source, names, **asked)
                return workspaces.apply_many(source, names, **asked, wait=wait, canary=canary, progress=progress)

            raise typer.Exit(
                tell_each(words, names, chosen, begin, storage=storage, profile=profile, nobody=nobody(is_all, profile))
            )
        elif dry_run:
            report = workspaces.diff(profile, one, **asked)
        else:
            with progress.shown() as shown:
                report = workspaces.apply(profile, one, **asked, wait=wait, progress=shown)
    if not is_printed(report, chosen, "apply"):
        for each in report.threads:
            say_result(each, "applied", dry_run, storage)


def _refuse_beside_a_plan(given: Mapping[str, bool]) -> None:
    """UsageError for what was given beside a plan, which says it already."""
    from solven_env.errors import UsageError

    for name in (name for name, is_given in given.items() if is_given):
        raise UsageError(f"the plan says {name} already", fix="Leave it out, or make the plan again with it.")


def _words(dry_run: bool, storage: str | None) -> Words:
    """The words for many threads."""
    from solven_env.cli.each import STATES, Words

    def outcome(report: ThreadReport) -> str:
        if dry_run or not (report.changes or report.is_interrupted):
            return STATES.get(report.state, report.state)
        return "applied"

    def say(report: ThreadReport) -> None:
        if outcome(report) != "in sync":
            say_one(report, "applied", dry_run, storage)

    if dry_run:
        return Words("apply", "planning for", "planned for", outcome, say, verb="diff")
    return Words("apply", "applying to", "applied to", outcome, say, left="The next apply goes on.")


def say_result(report: ThreadReport, done: str, dry_run: bool, storage: str | None) -> None:
    """Print the changes of a thread, what was kept, and the result; `done` is the word for it: `applied`.

    `storage` is the one that the caller named.
    """
    from solven_env.cli.output import say_changes, tell

    say_changes(report, has_choices=dry_run)
    _say_left(report, storage)
    tell(_result(report, done, dry_run))


def say_one(report: ThreadReport, done: str, dry_run: bool, storage: str | None) -> None:
    """Print the same of one of many threads, with its name first, and without the changes that were made."""
    from solven_env.cli.output import say_changes, tell

    tell(_result(report, done, dry_run))
    if dry_run:
        say_changes(report, has_choices=True)
    _say_left(report, storage)


def _say_left(report: ThreadReport, storage: str | None) -> None:
    """Print what became of packages, what was kept of files, and what else there is to know."""
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import say, say_carried, say_notes, tell
    from solven_env.errors import printable
    from solven_env.packages.locks import told

    say_carried(report)
    for kept, location in zip(report.kept, report.kept_at, strict=True):
        what = "moved the whole former" if kept.is_moved else "kept the former"
        tell(f"{what} {printable(kept.path)}{f' -> {printable(kept.target)}' if kept.target else ''}", indent=2)
        if location:
            say(f"      {printable(shlex.quote(location))}")
    say_notes(report)
    for line in told(report.remarks):
        tell(with_storage(line, storage), indent=2)


def _result(report: ThreadReport, done: str, dry_run: bool) -> str:
    """One line about a thread: what was done, or would be."""
    from solven_env.errors import counted

    count = counted(len(report.changes), "change")
    conflicts = sum(change.cause == "conflict" for change in report.changes)
    if dry_run and conflicts:
        return f"{report.thread}: {counted(conflicts, 'conflict')}, for which nothing would be written."
    if dry_run:
        todo = f"{count} to make" if report.changes else "in sync"
        return f"{report.thread}: {todo}; nothing was written."
    if report.changes:
        return f"{report.thread}: {done} as generation {report.generation}, {count}."
    if report.is_interrupted:
        return f"{report.thread}: finished what an interrupted apply began, as generation {report.generation}."
    return f"{report.thread}: in sync, nothing to do (generation {report.generation})."
