"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solven_env.profile.inputs import FileValue


class Format(StrEnum):
    """The form of a report: text for people, or one JSON document."""

    TEXT = "text"
    JSON = "json"


class CheckFormat(StrEnum):
    """The form of a report about documents: github is one workflow command for each mistake."""

    TEXT = Format.TEXT
    JSON = Format.JSON
    GITHUB = "github"


class StreamFormat(StrEnum):
    """The form of a report about many threads, which may come as each of them ends."""

    TEXT = Format.TEXT
    JSON = Format.JSON
    JSONL = "jsonl"


class OnConflict(StrEnum):
    """The answer to changes of the workspace that would be lost."""

    FAIL = "fail"
    MERGE = "merge"
    KEEP = "keep"
    OVERWRITE = "overwrite"


OnConflictOption = Annotated[
    OnConflict,
    typer.Option(
        "--on-conflict",
        help="If changes of the workspace would be lost: write nothing and fail; merge lines that both sides changed "
        "apart from each other; keep the workspace's version; or overwrite it, with a copy kept.",
    ),
]
ProfileArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROFILE",
        help="A path (with a '/' or ending in .yaml), a shipped name, or - for standard input.",
        autocompletion=completing.profiles,
    ),
]
ThreadArgument = Annotated[
    str, typer.Argument(metavar="THREAD", help="The thread's id.", autocompletion=completing.threads)
]
ThreadOption = Annotated[str, typer.Option("--thread", metavar="NAME", help="The thread id that {{ thread }} gives.")]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="PATH|NAME",
        autocompletion=completing.storages,
        help="The storage: a path (with a '/') or a name of the host configuration. Default: $SOLVEN_ENV_STORAGE, "
        "else the host's default storage, else a directory in the user's data directory.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set an input; may be repeated.", show_default=False),
]
InputsOption = Annotated[
    str | None,
    typer.Option("--inputs", metavar="FILE", help="A YAML or JSON file of inputs.", show_default=False),
]
UnsetOption = Annotated[
    list[str] | None,
    typer.Option("--unset", metavar="NAME", help="Forget a recorded input; may be repeated.", show_default=False),
]
FormatOption = Annotated[Format, typer.Option("--format", help="The form of the report.")]
CheckFormatOption = Annotated[
    CheckFormat,
    typer.Option(
        "--format", help="The form of the report: github annotates the lines of a pull request in GitHub Actions."
    ),
]
StreamFormatOption = Annotated[
    StreamFormat,
    typer.Option("--format", help="The form of the report: jsonl is one line of JSON for each thread as it ends."),
]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 3 if something is pending or drifted, with 4 on a conflict.")
]


def given_inputs(settings: Iterable[str] | None, file: str | None) -> dict[str, str | int | FileValue]:
    """The inputs of `--inputs FILE`, replaced by those of `--set`. Raises `UsageError` for a setting without '='.

    >>> given_inputs(["user_id=ada", "empty="], None)
    {'user_id': 'ada', 'empty': ''}
    """
    from solven_env.errors import UsageError
    from solven_env.profile.source import read_inputs

    given: dict[str, str | int | FileValue] = {**read_inputs(file)} if file else {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting} has no '='", fix=f"Write --set {name}=VALUE.")
        given[name] = value
    return given
