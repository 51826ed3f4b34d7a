"""`solven-env delete`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.choosing import ThreadsArgument, ThreadsFromOption, chosen, only
from solven_env.cli.options import StorageOption, StreamFormat, StreamFormatOption
from solven_env.system import byte_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from solven_env.report import ThreadReport

_NAMED = 5
"""Number of threads that the question names."""


def command(
    threads: ThreadsArgument = None,
    threads_from: ThreadsFromOption = None,
    keep_workspace: Annotated[bool, typer.Option("--keep-workspace", help="Leave the workspace as it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: StorageOption = None,
    form: StreamFormatOption = StreamFormat.TEXT,
) -> None:
    """Delete threads: their sessions, layers, records with all that generations kept, and workspaces.

    On a terminal it asks first; without one, --yes is needed. A thread that is only partly there, since it was never
    applied or deleting it was interrupted, is deleted too. Where something is mounted in a workspace, nothing of that
    thread is deleted. What other hosts have of a thread (sessions, layers) is not seen from here.

    \b
    Examples:
      solven-env delete thread-42
      solven-env delete thread-42 thread-43 --yes --keep-workspace
      solven-env delete --threads-from gone.txt --yes --format jsonl
    """
    from solven_env.api import storages
    from solven_env.cli import progress
    from solven_env.cli.each import Words, tell_each
    from solven_env.cli.output import errors_told, is_printed
    from solven_env.errors import UsageError

    one = only(threads, threads_from, is_all=False)
    with errors_told("delete", one, form, storage=storage):
        names = (one,) if one is not None else chosen(threads, threads_from, is_all=False, recorded=None)
        if not yes:
            if threads_from == "-":
                raise UsageError("nobody can answer where the threads come from", fix="If you mean it, add --yes.")
            _ask(names, storage, keep_workspace=keep_workspace)
        if one is not None:
            with progress.shown() as shown:
                report = storages.delete(one, storage=storage, keep_workspace=keep_workspace, progress=shown)
    if one is not None:
        if not is_printed(report, form):
            _say(report.threads[0])
        return

    def begin(shown: Callable[[str], None]) -> Generator[ThreadReport, None, None]:
        return storages.delete_many(names, storage=storage, keep_workspace=keep_workspace, progress=shown)

    said = Words("delete", "deleting", "deleted", say=_say)
    raise typer.Exit(tell_each(said, names, form, begin, storage=storage))


def _say(report: ThreadReport) -> None:
    from solven_env.cli.output import tell

    kept = "; its workspace is kept" if report.has_workspace else ""
    tell(f"{report.thread}: deleted, {byte_sizes.told(report.freed)} freed{kept}.")


def _ask(threads: Sequence[str], storage: str | None, *, keep_workspace: bool) -> None:
    """SolvenError unless whoever sits at the terminal agrees. Of a few threads it is told what they take."""
    from solven_env.errors import SolvenError, UsageError, counted

    named = ", ".join(threads[:_NAMED]) + (f" and {len(threads) - _NAMED} more" if len(threads) > _NAMED else "")
    workspaces = "its workspace" if len(threads) == 1 else "their workspaces"
    what = f"{counted(len(threads), 'thread')} ({named}), {'but not' if keep_workspace else 'and'} {workspaces}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"nobody can be asked whether to delete {what}", fix="If you mean it, add --yes.")
    if not _agrees(f"Delete {what}{_size(threads, storage)}? [y/N]: "):
        raise SolvenError("nothing was deleted")


def _agrees(question: str) -> bool:
    """True if the answer is yes. An interrupt is one, as anywhere else: typer.confirm makes it an error (1)."""
    print(question, end="", file=sys.stderr, flush=True)
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _size(threads: Sequence[str], storage: str | None) -> str:
    """Words for the disk that a few threads take, where it can be told. UsageError for a single one that is not."""
    from solven_env.errors import SolvenError, UsageError
    from solven_env.threads import shares
    from solven_env.threads.thread import Thread

    if len(threads) <= _NAMED:
        try:
            own = [shares.own(Thread.find(thread, storage)) for thread in threads]
        except SolvenError as error:
            if isinstance(error, UsageError) and len(threads) == 1:
                raise  # there is nothing to ask about
            return ""
        return f", {byte_sizes.told(sum(each.whole.bytes for each in own))} on this host's disks"
    return ""
