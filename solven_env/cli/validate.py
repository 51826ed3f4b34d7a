"""`solven-env validate`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import CheckFormat, CheckFormatOption, InputsOption, SetOption, ThreadOption, given_inputs
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.errors import UsageError
    from solven_env.profile.inputs import InputValues


def command(
    profiles: Annotated[
        list[str],
        typer.Argument(
            metavar="PROFILE...",
            help="Paths, shipped names, or - for standard input.",
            autocompletion=completing.profiles,
        ),
    ],
    thread: ThreadOption = "example",
    settings: SetOption = None,
    inputs: InputsOption = None,
    chosen: CheckFormatOption = CheckFormat.TEXT,
) -> None:
    """Check profiles and print every mistake, each with its place and its fix.

    Needs no thread, no lock and no network. Exits with 5 when a profile is invalid.

    \b
    Examples:
      solven-env validate profiles/*.yaml
      solven-env validate --format json solven
      solven-env validate --format github profiles/team.yaml
    """
    from solven_env.cli.errors import exit_code
    from solven_env.cli.output import errors_told, print_json
    from solven_env.errors import ProfileError
    from solven_env.report import document

    with errors_told("validate", None, chosen):
        given = given_inputs(settings, inputs)
        # Each profile once: standard input cannot be read again.
        found = [_validate(profile, thread, given) for profile in dict.fromkeys(profiles)]
        if chosen is CheckFormat.JSON:
            described = [each.to_json() for each in found]
            print_json(document("validate", profiles=described))
    mistakes = tuple(mistake for each in found for mistake in each.mistakes)
    if chosen is not CheckFormat.JSON:
        _say(found, mistakes, chosen)
    # An invalid profile is graver than a missing one.
    errors = [ProfileError(mistakes)] if mistakes else [each.error for each in found if each.error]
    if errors:
        raise typer.Exit(exit_code(errors[0]))


class _Validated(NamedTuple):
    """The mistakes in one profile, or the error that kept it from being read."""

    profile: str
    mistakes: tuple[Diagnostic, ...]
    error: UsageError | None = None

    def to_json(self) -> dict[str, object]:
        from solven_env.cli.errors import exit_code
        from solven_env.report import error_json

        return {
            "profile": self.profile,
            "valid": not self.mistakes and self.error is None,
            "error": error_json(self.error, exit_code(self.error)) if self.error else None,
            "diagnostics": [mistake.to_json() for mistake in self.mistakes],
        }


def _validate(profile: str, thread: str, given: InputValues) -> _Validated:
    from solven_env.api import profiles
    from solven_env.errors import UsageError

    try:
        return _Validated(profile, profiles.validate(profile, thread=thread, inputs=given))
    except UsageError as error:  # the other profiles are checked all the same
        return _Validated(profile, (), error)


def _say(found: Iterable[_Validated], mistakes: Sequence[Diagnostic], chosen: CheckFormat) -> None:
    from solven_env.cli.errors import error_text, excerpt_lines, print_error, seen
    from solven_env.cli.output import note, print_annotations, say, tell
    from solven_env.errors import ProfileError, counted
    from solven_env.profile.source import STANDARD_INPUT, STANDARD_INPUT_NAME

    for each in found:
        if chosen is CheckFormat.GITHUB:
            # And nothing else: the runner would take a name such as ::debug::.yaml for a command.
            if each.mistakes or each.error:
                print_annotations(each.error or ProfileError(each.mistakes))
            continue
        for mistake in each.mistakes:
            tell(str(mistake))
            for line in excerpt_lines(mistake, sys.stdout):
                say(line)
        if each.error:
            print_error(error_text(each.error))
        elif not each.mistakes:
            name = STANDARD_INPUT_NAME if each.profile == STANDARD_INPUT else each.profile
            note(f"{name}: valid")
    if mistakes:
        note(f"{counted(len(mistakes), 'mistake')}. {seen(mistakes, ProfileError.page)}")
