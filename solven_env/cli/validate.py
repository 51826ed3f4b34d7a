"""`solven-env validate`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import Format, FormatOption, InputsOption, SetOption, ThreadOption, given_inputs


def command(
    profiles: Annotated[
        list[str], typer.Argument(metavar="PROFILE...", help="Paths, shipped names, or - for standard input.")
    ],
    thread: ThreadOption = "example",
    settings: SetOption = None,
    inputs: InputsOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Check profiles and print every mistake, each with its place and how to mend it.

    Needs no thread, no lock and no network. Exits with 5 when a profile is invalid.

    \b
    Examples:
      solven-env validate profiles/*.yaml
      solven-env validate --format json solven
    """
    from solven_env import api
    from solven_env.cli.errors import exit_code
    from solven_env.cli.output import errors_as_json, note, print_json, say
    from solven_env.errors import ProfileError
    from solven_env.report import FORMAT

    with errors_as_json("validate", None, chosen):
        given = given_inputs(settings, inputs)
        found = {profile: api.validate(profile, thread=thread, inputs=given) for profile in profiles}
    mistakes = [mistake for each in found.values() for mistake in each]
    if chosen is Format.JSON:
        described = [
            {"profile": profile, "valid": not each, "diagnostics": [mistake.to_json() for mistake in each]}
            for profile, each in found.items()
        ]
        print_json({"format": FORMAT, "command": "validate", "threads": [], "profiles": described})
    else:
        for profile, each in found.items():
            for mistake in each:
                say(str(mistake))
            if not each:
                note(f"{profile}: valid")
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        note(f"{count}. See {ProfileError.page}.")
        raise typer.Exit(exit_code(ProfileError(tuple(mistakes))))
