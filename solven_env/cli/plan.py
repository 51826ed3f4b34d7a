"""`solven-env plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import (
    Format,
    FormatOption,
    InputsOption,
    OnConflict,
    OnConflictOption,
    ProfileArgument,
    SetOption,
    StorageOption,
    ThreadArgument,
    UnsetOption,
    given_inputs,
)


def command(
    profile: ProfileArgument,
    thread: ThreadArgument,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the plan for apply --plan, readable for you alone.", show_default=False
        ),
    ] = None,
    storage: StorageOption = None,
    settings: SetOption = None,
    inputs: InputsOption = None,
    unset: UnsetOption = None,
    on_conflict: OnConflictOption = OnConflict.FAIL,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Show what apply would change, as diff does, and write it into a file: apply --plan then does exactly that.

    The file holds the exact bytes. Exits with 4, and writes no file, for conflicts that --on-conflict leaves.

    \b
    Examples:
      solven-env plan solven thread-42 --out thread-42.plan
      solven-env apply --plan thread-42.plan
    """
    from solven_env.api import workspaces
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import errors_told, note, print_json, say_carried, say_notes
    from solven_env.cli.unified import say_diff
    from solven_env.packages.locks import told

    with errors_told("plan", thread, chosen, storage=storage, profile=profile):
        given, forgotten = given_inputs(settings, inputs), unset or ()
        if out is None:
            report = workspaces.diff(
                profile, thread, storage=storage, inputs=given, unset=forgotten, on_conflict=on_conflict.value
            )
        else:
            report = workspaces.save_plan(
                profile, thread, out, storage=storage, inputs=given, unset=forgotten, on_conflict=on_conflict.value
            )
    if chosen is Format.JSON:
        print_json({**report.to_json(), "command": "plan"})
        return
    for each in report.threads:
        say_diff(each)
        say_carried(each)
        if not each.changes:
            note(f"{each.thread}: in sync.")
        say_notes(each)
        for line in told(each.remarks):
            note(with_storage(line, storage))
    if out is not None:
        note(f"{thread}: the plan is in {out}.")
