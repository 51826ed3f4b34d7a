"""`solven-env lock`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import Format, FormatOption, ProfileArgument


def command(
    profile: ProfileArgument,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Take the newest versions that fit, instead of those in the present lock.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing. Exit with 7 when the lock is missing, out of date or not valid."),
    ] = False,
    resolve: Annotated[
        bool,
        typer.Option("--resolve", help="With --check: also ask the indexes whether they have each pin and digest."),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with 1 when a version is held back for want of wheels; write all the same."
        ),
    ] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Pin a profile's packages: write python.txt, bun.lock and lock.json into PROFILE.lock/, beside the profile.

    Asks the package indexes that pip, uv, npm and Bun are configured for, and writes no address of theirs. Exits with 1
    when the packages cannot be resolved.

    \b
    Examples:
      solven-env lock profiles/solven.yaml
      solven-env lock profiles/solven.yaml --upgrade
      solven-env lock profiles/solven.yaml --check
      solven-env lock profiles/solven.yaml --check --resolve
    """
    from solven_env import api
    from solven_env.cli import progress
    from solven_env.cli.output import errors_told, print_json, tell
    from solven_env.errors import UsageError
    from solven_env.packages.locks import HELD_BACK
    from solven_env.report import document

    with errors_told("lock", None, chosen, profile=profile), progress.shown() as shown:
        if resolve and not check:
            raise UsageError("--resolve needs --check", fix="Add --check, or leave --resolve out.")
        if check:
            report = api.check_lock(profile, resolve=resolve, progress=shown)
        else:
            report = api.lock(profile, upgrade=upgrade, progress=shown)
    if chosen is Format.JSON:
        described = {
            "path": str(report.path),
            "files": list(report.files),
            "changed": list(report.changed),
            "remarks": [remark._asdict() for remark in report.remarks],
        }
        print_json(document("lock", lock=described))
    elif not report.files:
        tell(f"{profile}: no packages, so nothing to lock.")
    elif report.changed:
        tell(f"{report.path}: {', '.join(report.changed)} changed.")
    else:
        tell(f"{report.path}: up to date.")
    if chosen is not Format.JSON:
        for remark in report.remarks:
            tell(remark.message)
    if strict and any(remark.kind == HELD_BACK for remark in report.remarks):
        raise typer.Exit(1)
