"""`solven-env list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, StorageOption, StreamFormat, StreamFormatOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.cli.rows import Table
    from solven_env.report import ListedThread

_PROFILE = 28
"""The most columns of a profile's name and release."""


def command(
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="PROFILE",
            help="Only the threads of this profile.",
            show_default=False,
            autocompletion=completing.profiles,
        ),
    ] = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Only threads whose profile says something else by now.")
    ] = False,
    drifted: Annotated[bool, typer.Option("--drifted", help="Only threads that differ from what was applied.")] = False,
    disk: Annotated[bool, typer.Option("--disk", help="Also measure each thread's workspace and layers.")] = False,
    storage: StorageOption = None,
    chosen: StreamFormatOption = StreamFormat.TEXT,
) -> None:
    """List the threads of a storage: profile, generation, time since the last apply, and state.

    PROFILE is a path (with a '/' or ending in .yaml), a shipped name, or the name that was applied.

    \b
    Examples:
      solven-env list
      solven-env list --profile solven --outdated
      solven-env list --drifted --format jsonl
    """
    from solven_env.api import storages
    from solven_env.cli.output import errors_told, note
    from solven_env.cli.rows import Table, show
    from solven_env.errors import counted

    with errors_told("list", None, chosen, storage=storage, profile=profile):
        names = storages.threads(storage)
        rows = storages.list_threads(
            storage=storage, profile=profile, outdated=outdated, drifted=drifted, disk=disk, progress=note
        )
    columns = {"PROFILE": _PROFILE, "GEN": -4, "AGE": -6, "STATE": 7, **({"DISK": -10} if disk else {})}
    table = Table(names, columns)
    with errors_told("list", None, Format.TEXT, storage=storage, profile=profile):
        code = show("list", rows, chosen, _saying(table, with_disk=disk), storage=storage)
    if chosen is StreamFormat.TEXT and not table.is_headed:
        note(f"no match among {counted(len(names), 'thread')}." if names else "there is no thread in this storage.")
    raise typer.Exit(code)


def _saying(table: Table, *, with_disk: bool) -> Callable[[ListedThread], None]:
    """The function that prints a thread as a row of the table."""
    from solven_env.cli.output import tell
    from solven_env.cli.tables import age, told_use

    def say(row: ListedThread) -> None:
        profile = f"{row.profile} {row.release}".strip() or "-"
        values = [profile, str(row.generation or "-"), age(row.applied), row.state, *([told_use(row.disk)] * with_disk)]
        table.say(row.thread, values)
        if row.is_interrupted:
            tell("an apply was interrupted; the next one finishes it", indent=2)

    return say
