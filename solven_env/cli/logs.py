"""`solven-env logs`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.kill import ProcessArgument
from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from solven_env.programs.blocking import Process
    from solven_env.programs.result import Chunk


def command(
    thread: ThreadArgument,
    process: ProcessArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the process has ended, and print what comes.")
    ] = False,
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Print what a process of a thread's session has printed, as far as it is kept: the last MiB of each stream.

    Its standard output goes to standard output, its standard error to standard error. How many bytes are not kept any
    more is told on standard error. Ended processes are kept as long as the session, the last 32 of them.

    \b
    Examples:
      solven-env logs thread-42 1-5f0c2a
      solven-env logs thread-42 1-5f0c2a --follow
      solven-env logs thread-42 1-5f0c2a --format json
    """
    from solven_env.cli.output import errors_told, print_json
    from solven_env.programs.blocking import Sandbox
    from solven_env.report import document

    if follow and chosen is Format.JSON:
        raise typer.BadParameter("it prints what comes: leave it out for --format json", param_hint="--follow")
    with errors_told("logs", thread, chosen, storage=storage):
        found = Sandbox.connect(thread, storage=storage).process(process)
        if chosen is Format.JSON:
            print_json(document("logs", [{"thread": thread, "error": None, "process": process, **_told(found)}]))
            return
        for chunk in found if follow else found.kept():
            _print(chunk)


def _told(process: Process) -> dict[str, object]:
    """Text of both streams, as far as it is kept, and the status, null as long as it runs."""
    streams: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    skipped = 0
    for chunk in process.kept():
        streams[chunk.stream] += chunk.data
        skipped += chunk.skipped
    texts = {name: data.decode(errors="replace") for name, data in streams.items()}
    return {**texts, "skipped": skipped, "exit_code": process.poll()}


def _print(chunk: Chunk) -> None:
    from solven_env.cli.output import note, written

    if chunk.skipped:
        note(f"… {chunk.skipped:,} bytes of {chunk.stream} before this are not kept.")
    stream = sys.stdout if chunk.stream == "stdout" else sys.stderr
    with written():
        stream.flush()
        stream.buffer.write(chunk.data)
        stream.buffer.flush()
