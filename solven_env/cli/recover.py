"""`solven-env recover`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument


class _OnConflict(StrEnum):
    FAIL = "fail"
    OVERWRITE = "overwrite"


def command(
    thread: ThreadArgument,
    path: Annotated[str, typer.Argument(metavar="PATH", help="The path in the workspace.")],
    generation: Annotated[
        int | None,
        typer.Option(
            "--generation",
            metavar="N",
            help="The generation that kept it. Default: the newest that kept something of the path.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    on_conflict: Annotated[
        _OnConflict,
        typer.Option("--on-conflict", help="If something stands there: write nothing and fail, or keep it first."),
    ] = _OnConflict.FAIL,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Put back what an apply kept of a path: a file with its bytes and mode, a link, or a directory that it moved.

    It is a generation of its own. Exits with 4, and writes nothing, if something else stands there.

    \b
    Examples:
      solven-env recover thread-42 notes.txt
      solven-env recover thread-42 .bashrc --generation 3 --on-conflict overwrite
    """
    from solven_env.api import workspaces
    from solven_env.cli import progress
    from solven_env.cli.apply import say_result
    from solven_env.cli.output import errors_told, print_json

    with errors_told("recover", thread, chosen, storage=storage), progress.shown() as shown:
        report = workspaces.recover(
            thread, path, generation=generation, storage=storage, on_conflict=on_conflict.value, progress=shown
        )
    if chosen is Format.JSON:
        print_json(report.to_json())
        return
    for each in report.threads:
        say_result(each, f"recovered from generation {each.restored},", dry_run=False, storage=storage)
