"""`solven-env explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import Format, FormatOption, ProfileArgument


def command(
    profile: ProfileArgument,
    key: Annotated[
        str, typer.Argument(metavar="[KEY]", help="A field or a section, env.LANG say; all of them without it.")
    ] = "",
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Show the file and the line that each value of a profile comes from.

    Also shows what it replaced of the profiles that this one extends, and what was removed. Exits with 5 when the
    profile is invalid.

    \b
    Examples:
      solven-env explain team.yaml
      solven-env explain team.yaml env.MPLBACKEND
      solven-env explain team.yaml python --format json
    """
    from solven_env.api import profiles
    from solven_env.cli.output import errors_told, print_json, say
    from solven_env.report import document

    with errors_told("explain", None, chosen, profile=profile):
        explained = profiles.explain_profile(profile, key)
    if chosen is Format.JSON:
        print_json(document("explain", values=[each.to_json() for each in explained.values]))
    else:
        for each in explained.values:
            say(each.told(explained.file))
