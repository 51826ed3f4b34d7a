"""`solven-env delete`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption
from solven_env.cli.tables import told_size

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 5
"""Number of threads that the question names."""


def command(
    threads: Annotated[list[str], typer.Argument(metavar="THREAD...", help="The threads' ids.")],
    keep_workspace: Annotated[bool, typer.Option("--keep-workspace", help="Leave the workspace as it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Delete threads: their sessions, layers, records with all that generations kept, and workspaces.

    On a terminal it asks first; without one, --yes is needed. A thread that is only partly there, since it was never
    applied or deleting it was interrupted, is deleted too. Where something is mounted in a workspace, nothing of that
    thread is deleted. What other hosts have of a thread (sessions, layers) is not seen from here.

    \b
    Examples:
      solven-env delete thread-42
      solven-env delete thread-42 thread-43 --yes --keep-workspace
    """
    from solven_env import api
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told, print_json, tell
    from solven_env.report import Report, ThreadReport

    deleted = list[ThreadReport]()
    for thread in threads:
        with errors_told("delete", thread, chosen, storage=storage), progress.shown() as shown:
            if not yes:
                _ask(threads, keep_workspace=keep_workspace)
                yes = True
            report = api.delete(thread, storage=storage, keep_workspace=keep_workspace, progress=shown)
        deleted += report.threads
        if chosen is Format.TEXT:
            for each in report.threads:
                kept = "; its workspace is kept" if each.has_workspace else ""
                tell(f"{each.thread}: deleted, {told_size(each.freed)} freed{kept}.")
    if chosen is Format.JSON:
        print_json(Report("delete", tuple(deleted)).to_json())


def _ask(threads: Sequence[str], *, keep_workspace: bool) -> None:
    """UsageError unless whoever sits at the terminal agrees."""
    from solven_env.errors import UsageError, counted

    named = ", ".join(threads[:_NAMED]) + (f" and {len(threads) - _NAMED} more" if len(threads) > _NAMED else "")
    what = f"{counted(len(threads), 'thread')} ({named}), and {'not ' if keep_workspace else ''}their workspaces"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"nobody can be asked whether to delete {what}", fix="If you mean it, add --yes.")
    if not typer.confirm(f"Delete {what}?", err=True):
        raise UsageError("nothing was deleted")
