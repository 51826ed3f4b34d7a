"""`solven-env stop`."""

from __future__ import annotations

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument


def command(thread: ThreadArgument, storage: StorageOption = None, chosen: FormatOption = Format.TEXT) -> None:
    """End a thread's session on this host with all its commands, even when it or its storage hangs.

    Returns when every process of it has ended. A thread without a session is fine.

    \b
    Examples:
      solven-env stop thread-42
      solven-env stop thread-42 --format json
    """
    from solven_env import api
    from solven_env.cli.output import errors_told, note, print_json
    from solven_env.report import FORMAT

    with errors_told("stop", thread, chosen, storage=storage):
        was_there = api.stop(thread, storage=storage)
    note(f"{thread}: the session was stopped." if was_there else f"{thread}: there was no session.")
    if chosen is Format.JSON:
        described = {"thread": thread, "error": None, "stopped": was_there}
        print_json({"format": FORMAT, "command": "stop", "threads": [described]})
