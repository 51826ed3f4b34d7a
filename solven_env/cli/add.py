"""`solven-env add`, and what `solven-env remove` shares with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, FormatOption
from solven_env.packages.ecosystems import ECOSYSTEMS

if TYPE_CHECKING:
    from solven_env.report import EditReport

_SIGNS = {"added": "+", "replaced": "~", "removed": "-"}

EditedArgument = Annotated[
    str, typer.Argument(metavar="PROFILE", help="The path of a profile of yours.", autocompletion=completing.profiles)
]
KindArgument = Annotated[
    str,
    typer.Argument(
        metavar="|".join(ECOSYSTEMS),
        help="The section of the profile that has the packages.",
        autocompletion=completing.ecosystems,
    ),
]
NoLockOption = Annotated[
    bool, typer.Option("--no-lock", help="Write the profile alone, and ask no index. The next lock pins the packages.")
]


def command(
    profile: EditedArgument,
    kind: KindArgument,
    packages: Annotated[list[str], typer.Argument(metavar="PKG...", help="Packages, with or without a range.")],
    no_lock: NoLockOption = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Add packages to a profile, and lock it.

    Comments, quotes and style of the profile stay. A package that is there with another range is replaced; a name alone
    leaves it as it is. A Python package is written as you write it; an npm package without a range gets that of the
    version that is locked. Profile and lock are written both, or none.

    \b
    Examples:
      solven-env add team.yaml python "httpx>=0.27" rich
      solven-env add team.yaml bun docx @types/node@^20.0.0
      solven-env add team.yaml python six --no-lock
    """
    from solven_env.api.packages import add
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told

    with errors_told("add", None, chosen, profile=profile), progress.shown() as shown:
        report = add(profile, kind, packages, lock=not no_lock, progress=shown)
    tell_edit(report, "add", profile, chosen)


def tell_edit(report: EditReport, command: str, profile: str, chosen: Format) -> None:
    """Print what became of each package, and the new lock."""
    from solven_env.cli.lock import tell_lock
    from solven_env.cli.output import note, print_json, tell
    from solven_env.errors import printable

    if chosen is Format.JSON:
        print_json(report.to_json(command))
        return
    for each in report.packages:
        sign = _SIGNS.get(each.outcome, " ")
        written = each.written or each.before
        words = printable(written if each.name in written else f"{each.name} {written}")
        why = f"  (was {printable(each.before)})" if each.outcome == "replaced" else ""
        why = "  (is there already)" if each.outcome == "unchanged" else why
        why = f"  (still asked for: {printable(each.still)})" if each.still else why
        tell(f"{sign} {each.kind} {words}{why}", indent=2, hang=4, sign=sign)
    if report.lock is not None:
        tell_lock(report.lock, profile)
    if not report.diff:
        note(f"{profile}: unchanged")
