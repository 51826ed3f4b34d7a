"""`solven-env render`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import (
    Format,
    FormatOption,
    InputsOption,
    ProfileArgument,
    SetOption,
    ThreadOption,
    given_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solven_env.profile.render import RenderedFile
    from solven_env.report import RenderReport


class RenderOnConflict(StrEnum):
    """The answer to files in the directory that would be lost: there is nothing to merge them with."""

    FAIL = "fail"
    OVERWRITE = "overwrite"


_SIGNS = {"missing": "+", "changed": "~", "left-over": "-"}


def command(
    profile: ProfileArgument,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write the files beneath this directory, and remove those that only an earlier render wrote there.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="With --out: write nothing. Exit with 3 if the directory is not as rendered."),
    ] = False,
    on_conflict: Annotated[
        RenderOnConflict,
        typer.Option(
            "--on-conflict",
            help="If files that no render wrote as they stand would be lost: write nothing and fail, or overwrite "
            "them, of which no copy is kept.",
        ),
    ] = RenderOnConflict.FAIL,
    thread: ThreadOption = "example",
    settings: SetOption = None,
    inputs: InputsOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Print the rendered files as a thread would get them, or write them into a directory.

    The directory gets a list of them too, by which the next render knows its own files. Exits with 4, and writes
    nothing, when it would overwrite others.

    \b
    Examples:
      solven-env render solven
      solven-env render profiles/solven.yaml --out rendered --set user_id=ada
      solven-env render profiles/solven.yaml --out rendered --check
    """
    from solven_env.api import profiles
    from solven_env.cli.errors import PENDING
    from solven_env.cli.output import errors_told, print_json
    from solven_env.report import document

    with errors_told("render", None, chosen):
        _refuse_options(out, check)
        given = given_inputs(settings, inputs)
        if out is None:
            files, report = profiles.render(profile, thread=thread, inputs=given), None
        else:
            report = profiles.render_to(
                profile, out, thread=thread, inputs=given, check=check, on_conflict=on_conflict.value
            )
            files = report.files
    if chosen is Format.JSON:
        print_json(document("render", files=_described(files), **_compared(report)))
    elif report is None:
        _say_files(files)
    elif check:
        _say_differences(profile, report)
    if report is not None and not check:
        _note_done(report)
    if report is not None and check and report.differences:
        raise typer.Exit(PENDING)


def _refuse_options(out: str | None, check: bool) -> None:
    from solven_env.errors import UsageError

    if check and out is None:
        raise UsageError("--check needs --out", fix="Name the directory to compare: --out DIR.")
    if out == "":  # a script's variable is unset: the caller does not mean the directory that he is in
        raise UsageError("--out has no value", fix="Name a directory. For this one, write: --out .")


def _described(files: Iterable[RenderedFile]) -> list[dict[str, object]]:
    return [{"path": file.path, "mode": file.mode, "digest": file.digest, "size": len(file.data)} for file in files]


def _compared(report: RenderReport | None) -> dict[str, object]:
    if report is None:
        return {}
    differences = [
        {"path": each.path, "difference": each.difference, "reason": each.reason, "edited": each.is_edited}
        for each in report.differences
    ]
    return {"directory": str(report.path), "differences": differences}


def _say_files(files: Iterable[RenderedFile]) -> None:
    from solven_env.cli.output import say

    for index, file in enumerate(files):
        say(f"{chr(10) if index else ''}==> {file.path} <==", "@")
        say(file.data.decode(errors="backslashreplace").removesuffix("\n"))


def _say_differences(profile: str, report: RenderReport) -> None:
    from solven_env.cli.output import tell
    from solven_env.errors import counted, printable

    for each in report.differences:
        sign, what = _SIGNS[each.difference], each.difference.replace("-", " ")
        reason = f": {each.reason}" if each.reason else ""
        tell(f"{sign} file {printable(each.path)}  ({what}{reason})", indent=2, hang=4, sign=sign)
    if report.differences:
        count = counted(len(report.differences), "difference")
        result = f"{count} from what {profile} renders. To write them, leave out --check."
    else:
        result = f"as {profile} renders it."
    tell(printable(f"{report.path}: {result}"))


def _note_done(report: RenderReport) -> None:
    """Say on standard error what was removed and left in place, and how many files were written."""
    from solven_env.cli.output import note
    from solven_env.errors import counted

    left = [each for each in report.differences if each.difference == "left-over"]
    for each in left:
        if each.is_edited:
            note(f"{each.path}: left in place. An earlier render wrote it, it was edited since, and it is yours now.")
        else:
            note(f"{each.path}: removed. Only an earlier render wrote it.")
    written = len(report.differences) - len(left)
    unchanged = len(report.files) - written
    note(f"{counted(written, 'file')} written beneath {report.path}{f', {unchanged} unchanged' if unchanged else ''}")
