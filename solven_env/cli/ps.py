"""`solven-env ps`."""

from __future__ import annotations

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

_COLUMNS = 80


def command(thread: ThreadArgument, storage: StorageOption = None, chosen: FormatOption = Format.TEXT) -> None:
    """List the processes of a thread's session: those that run, and the last ones that have ended.

    They are those that `run --detach` and programs have started. STATUS is that with which one has ended.

    \b
    Examples:
      solven-env ps thread-42
      solven-env ps thread-42 --format json
    """
    from solven_env.cli.output import errors_told, note, print_json, say
    from solven_env.errors import printable
    from solven_env.programs.blocking import Sandbox
    from solven_env.report import document

    with errors_told("ps", thread, chosen, storage=storage):
        found = Sandbox.connect(thread, storage=storage).processes()
    if chosen is Format.JSON:
        told = [
            {"id": each.id, "command": each.command, "seconds": each.seconds, "exit_code": each.exit_code}
            for each in found
        ]
        print_json(document("ps", [{"thread": thread, "error": None, "processes": told}]))
        return
    if not found:
        note(f"{thread}: there is no process.")
        return
    rows = [("ID", "SECONDS", "STATUS", "COMMAND")]
    for each in found:
        status = "runs" if each.exit_code is None else str(each.exit_code)
        rows.append((each.id, f"{each.seconds:.0f}", status, printable(each.command)))
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    for name, seconds, status, words in rows:
        line = f"{name.ljust(widths[0])} {seconds.rjust(widths[1])} {status.ljust(widths[2])} {words}"
        say(line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 1]}…")
