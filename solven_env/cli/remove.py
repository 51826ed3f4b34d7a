"""`solven-env remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.add import EditedArgument, KindArgument, NoLockOption, tell_edit
from solven_env.cli.options import Format, FormatOption


def command(
    profile: EditedArgument,
    kind: KindArgument,
    packages: Annotated[list[str], typer.Argument(metavar="PKG...", help="Names of packages.")],
    no_lock: NoLockOption = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Remove packages from a profile, and lock it.

    The comment behind a package goes with it; all else stays. What only the removed packages needed leaves the lock.
    Profile and lock are written both, or none.

    \b
    Examples:
      solven-env remove team.yaml python httpx
      solven-env remove team.yaml bun docx @types/node
    """
    from solven_env.api.packages import remove
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told

    with errors_told("remove", None, chosen, profile=profile), progress.shown() as shown:
        report = remove(profile, kind, packages, lock=not no_lock, progress=shown)
    tell_edit(report, "remove", profile, chosen)
