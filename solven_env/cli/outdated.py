"""`solven-env outdated`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format, FormatOption, ProfileArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from solven_env.packages.locks import OutdatedPackage
    from solven_env.report import OutdatedReport

_TITLES = ("package", "locked", "upgrade", "newest", "kept out by")
_NONE = "-"


def command(
    profile: ProfileArgument,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 if a package would move.")] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Show which packages of a profile's lock `lock --upgrade` would move, and to which versions.

    Also names the packages that the profile's own ranges hold below the newest version there is. Asks the package
    indexes, and writes nothing. Exits with 7 when the lock is missing or out of date with the profile.

    \b
    Examples:
      solven-env outdated profiles/solven.yaml
      solven-env outdated profiles/solven.yaml --exit-code
      solven-env outdated profiles/solven.yaml --format json
    """
    from solven_env.api import packages
    from solven_env.cli import progress
    from solven_env.cli.errors import PENDING
    from solven_env.cli.output import errors_told, print_json

    with errors_told("outdated", None, chosen, profile=profile), progress.shown() as shown:
        report = packages.outdated(profile, progress=shown)
    if chosen is Format.JSON:
        print_json(report.to_json())
    else:
        tell_outdated(report, profile)
    if exit_code and report.moving:
        raise typer.Exit(PENDING)


def tell_outdated(report: OutdatedReport, profile: str) -> None:
    """Print how many packages would move, a table for each file of the lock, and last the remarks."""
    from solven_env.cli.lock import tell_remarks
    from solven_env.cli.output import say, tell
    from solven_env.errors import counted

    what = counted(report.moving, "package") if report.moving else "nothing"
    tell(f"{profile}: lock --upgrade would move {what}.")
    for file, packages in report.packages.items():
        say(file)
        for line in _table([_TITLES, *map(_row, packages)]):
            say(f"  {line}")
    tell_remarks(report.remarks)


def _row(package: OutdatedPackage) -> tuple[str, ...]:
    from solven_env.errors import printable

    return (*(printable(text) or _NONE for text in package[:3]), *map(printable, package[3:]))


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The rows with their columns aligned, two spaces between them, and nothing behind the last text of a line."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
