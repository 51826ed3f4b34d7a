"""`solven-env rollback`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import (
    Format,
    FormatOption,
    OnConflict,
    OnConflictOption,
    StorageOption,
    ThreadArgument,
)


def command(
    thread: ThreadArgument,
    generation: Annotated[
        int | None,
        typer.Argument(
            metavar="[N]", help="The generation's number. Default: the one before the present.", show_default=False
        ),
    ] = None,
    storage: StorageOption = None,
    on_conflict: OnConflictOption = OnConflict.FAIL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Make a thread's workspace what a former generation left: files, modes, settings, inputs and builds.

    The result is a new generation. What commands changed since is treated as by apply, and packages that they added
    are carried. Exits as apply does; with 1, and changes nothing, if bytes of that generation are gone.

    \b
    Examples:
      solven-env rollback thread-42
      solven-env rollback thread-42 3 --dry-run
    """
    from solven_env.api import workspaces
    from solven_env.cli import progress
    from solven_env.cli.apply import say_result
    from solven_env.cli.output import errors_told, print_json

    with errors_told("rollback", thread, chosen, storage=storage), progress.shown() as shown:
        report = workspaces.rollback(
            thread, generation, storage=storage, on_conflict=on_conflict.value, dry_run=dry_run, progress=shown
        )
    if chosen is Format.JSON:
        print_json(report.to_json())
        return
    for each in report.threads:
        say_result(each, f"rolled back to generation {each.restored},", dry_run, storage)
