"""`solven-env diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import (
    ExitCodeOption,
    Format,
    FormatOption,
    InputsOption,
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
    storage: StorageOption = None,
    settings: SetOption = None,
    inputs: InputsOption = None,
    unset: UnsetOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show the lines of changed locks too, not only the versions.")
    ] = False,
    exit_code: ExitCodeOption = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Show what apply would change: a unified diff for each file, a line for each other change.

    Of a lock in the workspace that a build brings, one line says which versions change.

    Creates nothing and takes no lock. Prints nothing on standard output when the thread is in sync.

    \b
    Examples:
      solven-env diff solven thread-42
      solven-env diff profile.yaml thread-42 --exit-code
    """
    from solven_env import api
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import errors_told, note, pending_code, print_json, say_carried
    from solven_env.cli.unified import say_diff
    from solven_env.packages.locks import told

    with errors_told("diff", thread, chosen, storage=storage, profile=profile):
        given = given_inputs(settings, inputs)
        report = api.diff(profile, thread, storage=storage, inputs=given, unset=unset or ())
    if chosen is Format.JSON:
        print_json(report.to_json())
    else:
        for each in report.threads:
            say_diff(each, full=full)
            say_carried(each)
            if each.is_interrupted:
                note(f"{each.thread}: an apply was interrupted; the next one finishes it.")
            elif not each.changes:
                note(f"{each.thread}: in sync.")
            for line in told(each.remarks):
                note(with_storage(line, storage))
    if exit_code:
        raise typer.Exit(pending_code(report))
