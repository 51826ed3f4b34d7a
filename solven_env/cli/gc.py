"""`solven-env gc`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption
from solven_env.system import byte_sizes

if TYPE_CHECKING:
    from solven_env.threads.collecting import Collected

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SHOWN = 20
"""Number of things of one kind that are listed; of the others the number is told."""
_NOUNS = {
    "generation": "generation",
    "layer": "layer",
    "build": "build",
    "bytes": "kept text",
    "uid": "uid",
    "leftover": "leftover",
}


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="Leave what was used since: 30d, 12h.", show_default=False),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", min=1, help="Keep N generations of each thread.", show_default=False),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="Remove builds, the longest unused first, until all together have this size: 20GiB.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Collect what nobody needs: layers, builds, kept files, leftovers of killed processes.

    Without options that is all that no record and no generation goes back to, in all storages that this host knows;
    generations go with --keep only. What commands and applies use stays. While a storage cannot be reached, everything
    that it may need stays, and is told. Exits with 1 if something could not be removed, with 6 while another gc goes
    on.

    \b
    Examples:
      solven-env gc --dry-run
      solven-env gc --keep 5 --older-than 30d
      solven-env gc --max-size 20GiB
    """
    from solven_env.api import storages
    from solven_env.cli.output import errors_told, note, print_json, say, tell
    from solven_env.errors import counted, printable

    with errors_told("gc", None, chosen, storage=storage):
        report = storages.gc(
            storage=storage,
            older_than=seconds(older_than) if older_than is not None else 0.0,
            keep=keep,
            max_size=size(max_size) if max_size is not None else None,
            dry_run=dry_run,
        )
    if chosen is Format.JSON:
        print_json(report.to_json())
        raise typer.Exit(int(report.has_failed))
    told = []
    for kind, noun in _NOUNS.items():
        found = [each for each in report.collected if each.kind == kind]
        for each in found[:_SHOWN]:
            say(f"  - {printable(_named(each))} ({byte_sizes.told(each.freed)})")
        if len(found) > _SHOWN:
            say(f"  - and {counted(len(found) - _SHOWN, f'more {noun}')}")
        if found:
            told.append(counted(sum(each.number for each in found), noun))
    for left in report.unjudged:
        note(f"left: {left.name}: {left.why}. {left.fix}".rstrip())
    freed = f"{byte_sizes.told(report.freed)} {'would be freed' if dry_run else 'freed'}"
    tell(f"{freed}: {', '.join(told)}." if told else "There is nothing to collect.")
    raise typer.Exit(int(report.has_failed))


def _named(each: Collected) -> str:
    from solven_env.errors import counted

    if each.kind == "bytes":
        return f"{counted(each.number, _NOUNS[each.kind])} in {each.name}"
    if each.kind == "generation":
        return f"generation {each.name.removeprefix(f'{each.thread} ')} of {each.thread}"
    return f"{each.kind} {each.name}"


def seconds(text: str) -> float:
    """The seconds of a time as the option says it. UsageError for another text.

    >>> seconds("30d"), seconds("90m")
    (2592000.0, 5400.0)
    """
    return float(_read(text, _SECONDS, "--older-than", "30d, 12h or 90m"))


def size(text: str) -> int:
    """The bytes of a size as the option says it. UsageError for another text.

    >>> size("20GiB"), size("0")
    (21474836480, 0)
    """
    if text == "0":  # the one size that needs no unit
        return 0
    return _read(text, {"B": 1, **byte_sizes.UNITS}, "--max-size", "20GiB or 500MiB")


def _read(text: str, units: dict[str, int], option: str, example: str) -> int:
    from solven_env.errors import UsageError

    found = re.fullmatch("([0-9]{1,9})([A-Za-z]*)", text)
    if found is None or found[2] not in units:
        raise UsageError(f"{option}: {text!r} has no unit that is known", fix=f"Write it as {example}.")
    return int(found[1]) * units[found[2]]
