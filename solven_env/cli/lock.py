"""`solven-env lock`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import CheckFormat, CheckFormatOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.packages.locks import Remark
    from solven_env.report import LockReport

_HEADINGS = {
    "held-back": "Held back, since a newer version has no wheel",
    "platforms": "Not for every machine",
    "scripts": "Install scripts that did not run",
    "trusted": "Trusted for nothing",
    "unneeded": "Named, and needed by nothing",
}
"""Words above the remarks of a kind, by `locks.REMARKS`."""
_IN_A_LINE = 8
"""The number of changed versions that one line tells; of more, each has its own."""
_PAGE = "builds"
"""The page that explains all of them."""


def command(
    profiles: Annotated[
        list[str],
        typer.Argument(
            metavar="PROFILE...",
            help="Paths, or shipped names with --check.",
            autocompletion=completing.profiles,
        ),
    ],
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Take the newest versions that fit, instead of those in the present lock.")
    ] = False,
    upgrade_package: Annotated[
        list[str] | None,
        typer.Option(
            "--upgrade-package",
            metavar="NAME",
            help="Take the newest version of this package that fits, and keep all others as far as it lets them; may "
            "be repeated.",
            show_default=False,
        ),
    ] = None,
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
            "--strict",
            help="Exit with 1 when a version is below the newest that fits, since that has no wheel. The lock is "
            "written all the same.",
        ),
    ] = False,
    chosen: CheckFormatOption = CheckFormat.TEXT,
) -> None:
    """Pin profiles' packages: write python.txt, bun.lock and lock.json into PROFILE.lock/, beside each profile.

    Asks the package indexes that pip, uv, npm and Bun are configured for, or that the profile names, and writes no
    address of theirs. Says which versions changed, and what there is to know of single packages. Exits with 1 when the
    packages cannot be resolved. Of several profiles each is locked, also when another one fails.

    The NAME of --upgrade-package is any package of the lock. One that both Python and Bun have moves in both;
    python:NAME or bun:NAME means one of them.

    \b
    Examples:
      solven-env lock profiles/solven.yaml
      solven-env lock profiles/solven.yaml --upgrade
      solven-env lock profiles/solven.yaml --upgrade-package httpx
      solven-env lock profiles/*.yaml --check
      solven-env lock profiles/solven.yaml --check --resolve
    """
    from solven_env.api import packages
    from solven_env.cli import progress
    from solven_env.cli.errors import gravest
    from solven_env.cli.output import errors_told, print_json, tell_error
    from solven_env.errors import SolvenError, UsageError
    from solven_env.packages.locks import HELD_BACK

    named, codes = upgrade_package or [], list[int]()
    with errors_told("lock", None, chosen):
        _refuse_together(upgrade=upgrade, named=named, check=check, resolve=resolve, strict=strict)
        if chosen is CheckFormat.JSON and len(profiles) > 1:
            raise UsageError("--format json is about one profile", fix="Name one.")
        for profile in dict.fromkeys(profiles):
            try:
                with progress.shown() as shown:
                    if check:
                        report = packages.check_lock(profile, resolve=resolve, progress=shown)
                    else:
                        report = packages.lock(profile, upgrade=upgrade, upgrade_packages=named, progress=shown)
            except SolvenError as error:  # the other profiles are locked all the same
                codes.append(tell_error(error, "lock", None, chosen, profile=profile))
                continue
            if chosen is CheckFormat.JSON:
                print_json(report.to_json())
            else:
                tell_lock(report, profile)
            is_held_back = any(remark.kind == HELD_BACK for remark in report.remarks)
            codes.append(1 if strict and is_held_back else 0)
    raise typer.Exit(gravest(codes))


def _refuse_together(*, upgrade: bool, named: Sequence[str], check: bool, resolve: bool, strict: bool) -> None:
    """UsageError for options of which one has no meaning beside, or without, another."""
    from solven_env.errors import UsageError

    if resolve and not check:
        raise UsageError("--resolve needs --check", fix="Add --check, or leave --resolve out.")
    if upgrade and named:
        fix = "Leave one of them out."
        raise UsageError("--upgrade moves all packages, --upgrade-package some", fix=fix)
    for option, given in (("--upgrade", upgrade), ("--upgrade-package", named), ("--strict", strict)):
        if check and given:
            raise UsageError(f"{option} is about a new lock, and --check makes none", fix="Leave one of them out.")


def tell_lock(report: LockReport, profile: str) -> None:
    """Print what was written, the versions that changed, and last the remarks, by their kinds."""
    from solven_env.cli.output import tell, told_versions
    from solven_env.errors import counted, printable

    if not report.files:
        tell(f"{profile}: no packages, so nothing to lock.")
        if report.changed:
            tell(f"{report.path}: {', '.join(report.changed)} removed.")
        return
    tell(f"{report.path}: {', '.join(report.changed)} changed." if report.changed else f"{report.path}: up to date.")
    for file in dict.fromkeys((*report.versions, *report.pinned)):
        changes, pinned = report.versions.get(file, ()), report.pinned.get(file, 0)
        if pinned and len(changes) == pinned and not any(each.before for each in changes):
            tell(f"{file}: {counted(pinned, 'package')} pinned", indent=2)
        elif len(changes) > _IN_A_LINE:
            tell(f"{file}: {len(changes)} versions changed", indent=2)
            for each in changes:
                tell(printable(str(each)), indent=4)
        elif changes:
            tell(f"{file}: {told_versions(changes, len(changes))}", indent=2)
        elif file in report.changed:
            tell(f"{file}: the same versions; ranges, markers or digests changed", indent=2)
    tell_remarks(report.remarks)


def tell_remarks(remarks: Sequence[Remark]) -> None:
    """Print a heading for each kind of remarks, which names its page, and the remarks below it."""
    from solven_env.cli.output import tell
    from solven_env.errors import printable
    from solven_env.packages.locks import told

    for kind, each in groupby(remarks, lambda remark: remark.kind):
        tell(f"{_HEADINGS[kind]} (solven-env docs {_PAGE}):")
        for line in told(tuple(each)):
            tell(printable(line), indent=2)
