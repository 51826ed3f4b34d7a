"""`solven-env stop`."""

from __future__ import annotations

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument


def command(thread: ThreadArgument, storage: StorageOption = None, chosen: FormatOption = Format.TEXT) -> None:
    """End a thread's session on this host, with all its commands, even if the session or the storage hangs.

    Returns when every process of the session has ended. A thread without a session is no error.

    \b
    Examples:
      solven-env stop thread-42
      solven-env stop thread-42 --format json
    """
    from solven_env.api import commands
    from solven_env.cli.output import errors_told, note, print_json
    from solven_env.report import document

    with errors_told("stop", thread, chosen, storage=storage):
        was_there = commands.stop(thread, storage=storage)
    note(f"{thread}: the session was stopped." if was_there else f"{thread}: there was no session.")
    if chosen is Format.JSON:
        described = {"thread": thread, "error": None, "stopped": was_there}
        print_json(document("stop", [described]))
