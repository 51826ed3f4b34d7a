"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable


class Format(StrEnum):
    """How a command reports."""

    TEXT = "text"
    JSON = "json"


class OnConflict(StrEnum):
    """What happens to changes in the workspace that would be lost."""

    FAIL = "fail"
    OVERWRITE = "overwrite"


ProfileArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROFILE", help="A path (with a '/' or ending in .yaml), a shipped name, or - for standard input."
    ),
]
ThreadArgument = Annotated[str, typer.Argument(metavar="THREAD", help="The thread's id.")]
ThreadOption = Annotated[str, typer.Option("--thread", metavar="NAME", help="What {{ thread }} stands for.")]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="PATH|NAME",
        help="Where threads live: a path with a '/', or a storage of the host configuration. Else $SOLVEN_ENV_STORAGE, "
        "else the host's default, else a directory under the user's data directory.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Give an input its value; may be repeated.", show_default=False),
]
InputsOption = Annotated[
    str | None,
    typer.Option("--inputs", metavar="FILE", help="A YAML or JSON file of inputs.", show_default=False),
]
UnsetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--unset", metavar="NAME", help="Forget an input that was recorded; may be repeated.", show_default=False
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to report.")]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 3 when something is pending or drifted, 4 for a conflict.")
]


def given_inputs(settings: Iterable[str] | None, file: str | None) -> dict[str, str]:
    """The inputs of `--inputs FILE`, and over them those of `--set`. Raises `UsageError`."""
    from solven_env.errors import UsageError
    from solven_env.profile.source import read_inputs

    given = read_inputs(file) if file else {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting} has no '='", fix=f"Write --set {name}=VALUE.")
        given[name] = value
    return given
