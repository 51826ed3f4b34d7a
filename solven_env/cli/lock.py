"""`solven-env lock`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import Format, FormatOption, ProfileArgument


def command(
    profile: ProfileArgument,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Take the newest versions that fit, not those of the present lock.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 7 when the lock is missing or out of date.")
    ] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Pin a profile's packages: writes python.txt, bun.lock and lock.json beside it, into PROFILE.lock/.

    Asks the package indexes that pip, uv, npm and Bun are configured for; no address of theirs is written. Exits with 1
    when the packages cannot be resolved.

    \b
    Examples:
      solven-env lock profiles/solven.yaml
      solven-env lock profiles/solven.yaml --upgrade
      solven-env lock profiles/solven.yaml --check
    """
    from solven_env import api
    from solven_env.cli.output import errors_told, note, print_json, say
    from solven_env.report import FORMAT

    with errors_told("lock", None, chosen, profile=profile):
        report = api.check_lock(profile) if check else api.lock(profile, upgrade=upgrade, progress=note)
    if chosen is Format.JSON:
        described = {"path": str(report.path), "files": list(report.files), "changed": list(report.changed)}
        print_json({"format": FORMAT, "command": "lock", "threads": [], "lock": described})
    elif not report.files:
        say(f"{profile}: no packages, so nothing to lock.")
    elif report.changed:
        say(f"{report.path}: {', '.join(report.changed)} changed.")
    else:
        say(f"{report.path}: up to date.")
