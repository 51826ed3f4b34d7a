"""`solven-env fmt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from solven_env.report import FormatReport


def command(
    profiles: Annotated[
        list[str],
        typer.Argument(
            metavar="PROFILE...",
            help="Paths, or - for standard input to standard output.",
            autocompletion=completing.profiles,
        ),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing. Exit with 3 if a profile has not the form.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing. Show what would change.")] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Bring profiles into one form: order of keys, indentation and blanks. Comments and quotes stay.

    Fields get the order of the schema; the entries of maps such as env, and the items of lists, stay in theirs. What a
    profile says never changes. Exits with 5 when a profile is not YAML, and leaves that one as it is.

    \b
    Examples:
      solven-env fmt profiles/*.yaml
      solven-env fmt --check profiles/*.yaml
      solven-env fmt --diff team.yaml
    """
    from solven_env.api.profiles import fmt
    from solven_env.cli.errors import PENDING, error_text, exit_code, gravest, print_error
    from solven_env.cli.output import print_json
    from solven_env.errors import SolvenError
    from solven_env.report import document, error_json

    codes, described = list[int](), list[dict[str, object]]()
    for profile in dict.fromkeys(profiles):
        try:
            report = fmt(profile, write=not check and not diff)
        except SolvenError as error:  # the other profiles are formatted all the same
            code = exit_code(error)
            described.append({"profile": profile, "formatted": None, "diff": "", "error": error_json(error, code)})
            codes.append(code)
            print_error(error_text(error))
        else:
            codes.append(PENDING if check and not report.is_formatted else 0)
            described.append(report.to_json())
            if chosen is Format.TEXT:
                _tell(report, profile, check=check, diff=diff)
    if chosen is Format.JSON:
        print_json(document("fmt", profiles=described))
    raise typer.Exit(gravest(codes))


def _tell(report: FormatReport, profile: str, *, check: bool, diff: bool) -> None:
    """Print what became of a profile, or would."""
    from solven_env.cli.output import note, say, say_edit, tell
    from solven_env.errors import printable
    from solven_env.profile.source import STANDARD_INPUT

    if diff:
        say_edit(report.diff)
    if profile == STANDARD_INPUT and not check and not diff:
        if report.after:
            say(report.after.decode().removesuffix("\n"))
    elif report.is_formatted:
        note(f"{report.name}: unchanged")
    elif not diff:
        tell(f"{printable(report.name)}: {'not formatted' if check else 'formatted'}.")
