"""`solven-env resolve`."""

from __future__ import annotations

from solven_env.cli.options import Format, FormatOption, ProfileArgument


def command(profile: ProfileArgument, chosen: FormatOption = Format.TEXT) -> None:
    """Print a profile with all that it extends as one document.

    Comments are left out. Expressions, and the names of templates and sources, stay as they are written. Exits with 5
    when the profile is invalid.

    \b
    Examples:
      solven-env resolve team.yaml
      solven-env resolve --format json team.yaml
    """
    from solven_env.api import profiles
    from solven_env.cli.output import errors_told, print_json, say
    from solven_env.documents.writing import text
    from solven_env.report import document

    with errors_told("resolve", None, chosen, profile=profile):
        resolved = profiles.resolve(profile)
    if chosen is Format.JSON:
        print_json(document("resolve", profile=resolved))
    else:
        say(text(resolved).rstrip("\n"))
