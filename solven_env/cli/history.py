"""`solven-env history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.threads.generations import Generation

_WIDTHS = (7, 16, 20, 17, 14)
"""The most columns of each value of a line, which has 80 with the spaces between them."""
_NAMED = 3
"""Number of kept paths that a line names."""


def command(thread: ThreadArgument, storage: StorageOption = None, chosen: FormatOption = Format.TEXT) -> None:
    """List the generations of a thread, the newest first: when, of which profile, why and where, and what was kept.

    Times are UTC. The present generation has a `*`. A generation that an earlier version made has no time and host.

    \b
    Examples:
      solven-env history thread-42
      solven-env history thread-42 --format json
    """
    from solven_env.api import workspaces
    from solven_env.cli.output import errors_told, note, print_json, say, tell

    with errors_told("history", thread, chosen, storage=storage):
        report = workspaces.history(thread, storage=storage)
    if chosen is Format.JSON:
        print_json(report.to_json())
        return
    rows = [("", "TIME", "PROFILE", "CAUSE", "HOST"), *map(_row, report.generations)]
    widths = [min(most, max(len(row[place]) for row in rows)) for place, most in enumerate(_WIDTHS)]
    for row, generation in zip(rows, (None, *report.generations), strict=True):
        say(" ".join(_cut(value, width).ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())
        if generation is not None and generation.error:
            tell(f"cannot be read: {generation.error}", indent=8)
        if generation is not None and generation.kept:
            tell(f"kept {_named([each.path for each in generation.kept])}", indent=8)
    if report.is_interrupted:
        note(f"{thread}: an apply was interrupted; the next one finishes it.")


def _row(generation: Generation) -> tuple[str, ...]:
    from solven_env.errors import printable

    record = generation.record
    profile = f"{record.profile['name']} {record.profile['release']}" if record else ""
    time = generation.about("time").replace("T", " ")[:16]
    told = (time, profile, generation.about("cause"), generation.about("host"))
    return (f"{'*' if generation.is_present else ' '}{generation.number}", *(printable(each) or "-" for each in told))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _named(paths: Sequence[str]) -> str:
    from solven_env.errors import printable

    more = len(paths) - _NAMED
    return ", ".join(map(printable, paths[:_NAMED])) + (f", and {more} more" if more > 0 else "")
