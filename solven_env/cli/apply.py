"""`solven-env apply`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import (
    Format,
    FormatOption,
    InputsOption,
    OnConflict,
    OnConflictOption,
    SetOption,
    StorageOption,
    UnsetOption,
    given_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.report import ThreadReport


def command(
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="PROFILE",
            help="A path (with a '/' or ending in .yaml), a shipped name, or - for standard input.",
            show_default=False,
        ),
    ] = None,
    thread: Annotated[str | None, typer.Argument(metavar="THREAD", help="The thread's id.", show_default=False)] = None,
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
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Make a thread's workspace match a profile, and print what was done.

    A second apply changes nothing. Exits with 4, and writes nothing, when the workspace holds changes that would be
    lost; with 5 when the profile is invalid; with 6 when another apply holds the thread.

    \b
    Examples:
      solven-env apply solven thread-42
      solven-env apply profile.yaml thread-42 --set user_id=ada
      solven-env apply profile.yaml thread-42 --on-conflict overwrite
      solven-env apply --plan thread-42.plan
    """
    from solven_env import api
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told, print_json
    from solven_env.errors import UsageError

    if plan is not None and thread is None:
        profile, thread = None, profile
    told = errors_told("apply", thread, chosen, storage=storage, profile=profile)
    with told, progress.shown() as shown:
        given = given_inputs(settings, inputs)
        if plan is not None:
            _refuse_beside_a_plan(
                {
                    "PROFILE": profile is not None,
                    "--set": bool(settings),
                    "--inputs": inputs is not None,
                    "--unset": bool(unset),
                    "--on-conflict": on_conflict is not OnConflict.FAIL,
                    "--restore-record": restore_record,
                }
            )
            report = api.apply_plan(plan, thread, storage=storage, dry_run=dry_run, progress=shown)
        elif profile is None or thread is None:
            raise UsageError("there is no PROFILE and THREAD", fix="Name both, or a plan: --plan FILE.")
        elif dry_run:
            report = api.diff(
                profile,
                thread,
                storage=storage,
                inputs=given,
                unset=unset or (),
                on_conflict=on_conflict.value,
                restore_record=restore_record,
            )
        else:
            report = api.apply(
                profile,
                thread,
                storage=storage,
                inputs=given,
                unset=unset or (),
                on_conflict=on_conflict.value,
                restore_record=restore_record,
                progress=shown,
            )
    if chosen is Format.JSON:
        print_json({**report.to_json(), "command": "apply"})
        return
    for each in report.threads:
        say_result(each, "applied", dry_run, storage)


def _refuse_beside_a_plan(given: Mapping[str, bool]) -> None:
    """UsageError for what was given beside a plan, which says it already."""
    from solven_env.errors import UsageError

    for name in (name for name, is_given in given.items() if is_given):
        raise UsageError(f"the plan says {name} already", fix="Leave it out, or make the plan again with it.")


def say_result(report: ThreadReport, done: str, dry_run: bool, storage: str | None) -> None:
    """Print the changes of a thread, what was kept, and the result; `done` is the word for it: `applied`.

    `storage` is the one that the caller named.
    """
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import say, say_carried, say_changes, say_notes, tell
    from solven_env.errors import counted, printable
    from solven_env.packages.locks import told

    say_changes(report, has_choices=dry_run)
    say_carried(report)
    for kept, location in zip(report.kept, report.kept_at, strict=True):
        what = "moved the whole former" if kept.is_moved else "kept the former"
        tell(f"{what} {printable(kept.path)}{f' -> {printable(kept.target)}' if kept.target else ''}", indent=2)
        if location:
            say(f"      {printable(shlex.quote(location))}")
    say_notes(report)
    for line in told(report.remarks):
        tell(with_storage(line, storage), indent=2)
    count = counted(len(report.changes), "change")
    conflicts = sum(change.cause == "conflict" for change in report.changes)
    if dry_run and conflicts:
        tell(f"{report.thread}: {counted(conflicts, 'conflict')}, for which nothing would be written.")
    elif dry_run:
        todo = f"{count} to make" if report.changes else "in sync"
        tell(f"{report.thread}: {todo}; nothing was written.")
    elif report.changes:
        tell(f"{report.thread}: {done} as generation {report.generation}, {count}.")
    elif report.is_interrupted:
        tell(f"{report.thread}: finished what an interrupted apply began, as generation {report.generation}.")
    else:
        tell(f"{report.thread}: in sync, nothing to do (generation {report.generation}).")
