"""`solven-env layer promote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format, FormatOption, ProfileArgument, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from solven_env.report import PromoteReport


def promote(
    thread: ThreadArgument,
    profile: ProfileArgument,
    storage: StorageOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the edit of the profile. Resolve and write nothing.")
    ] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Edit a profile and its lock to bring what a thread added.

    Packages that were asked for inside get into the profile, as uv add and bun add would write them; what they need,
    only into the lock. Comments and style of the profile stay. The lock pins the thread's versions where they fit. What
    the thread removed stays in the profile, and is named.

    \b
    Examples:
      solven-env layer promote thread-42 team.yaml --dry-run
      solven-env layer promote thread-42 team.yaml
    """
    from solven_env.api import packages
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told, print_json

    with errors_told("layer", thread, chosen, storage=storage, profile=profile), progress.shown() as shown:
        report = packages.promote(thread, profile, storage=storage, dry_run=dry_run, progress=shown)
    if chosen is Format.JSON:
        print_json(report.to_json())
    else:
        _tell(report, profile, dry_run=dry_run)


def _tell(report: PromoteReport, profile: str, *, dry_run: bool) -> None:
    from solven_env.cli.lock import tell_lock
    from solven_env.cli.output import say_edit, tell
    from solven_env.errors import printable

    say_edit(report.diff)
    for each in report.packages:
        named = printable(f"{each.kind} {each.name} {each.version}".rstrip())
        if each.outcome == "left":
            tell(f"{named}: left as it is: {printable(each.why)}", indent=2)
        elif each.outcome == "pinned":
            tell(f"{named}: the profile asks for it; the lock gets this version where it fits", indent=2)
    if report.lock is not None:
        tell_lock(report.lock, profile)
    elif dry_run and report.diff:
        tell(f"{profile}: nothing was written.")
    else:
        tell(f"{profile}: nothing to add.")
