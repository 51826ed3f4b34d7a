"""`solven-env kill`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

ProcessArgument: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="The process's id, as of ps.")]


def command(
    thread: ThreadArgument,
    process: ProcessArgument,
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """End a process of a thread's session, with all that it started, and wait for that.

    One that has ended already is no error.

    \b
    Examples:
      solven-env kill thread-42 1-5f0c2a
      solven-env kill thread-42 1-5f0c2a --format json
    """
    from solven_env.cli.output import errors_told, note, print_json
    from solven_env.programs.blocking import Sandbox
    from solven_env.report import document

    with errors_told("kill", thread, chosen, storage=storage):
        was_running = Sandbox.connect(thread, storage=storage).process(process).kill()
    note(f"{thread}: {process} was ended." if was_running else f"{thread}: {process} had ended before.")
    if chosen is Format.JSON:
        print_json(document("kill", [{"thread": thread, "error": None, "process": process, "killed": was_running}]))
