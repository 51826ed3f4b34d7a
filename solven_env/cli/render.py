"""`solven-env render`."""

from __future__ import annotations

from pathlib import Path
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


def command(
    profile: ProfileArgument,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Write the files beneath this directory.", show_default=False),
    ] = None,
    thread: ThreadOption = "example",
    settings: SetOption = None,
    inputs: InputsOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Print the rendered files as a thread would get them, or write them into a directory.

    \b
    Examples:
      solven-env render solven
      solven-env render profiles/solven.yaml --out rendered --set user_id=ada
    """
    from solven_env import api
    from solven_env.cli.output import errors_told, note, print_json, say
    from solven_env.errors import counted
    from solven_env.report import document

    with errors_told("render", None, chosen):
        files = api.render(profile, thread=thread, inputs=given_inputs(settings, inputs))
        if out is not None:
            _write(_directory(out), files)
            note(f"{counted(len(files), 'file')} written beneath {out}")
    if chosen is Format.JSON:
        described = [
            {"path": file.path, "mode": file.mode, "digest": file.digest, "size": len(file.data)} for file in files
        ]
        print_json(document("render", files=described))
    elif out is None:
        for index, file in enumerate(files):
            say(f"{chr(10) if index else ''}==> {file.path} <==", "@")
            say(file.data.decode(errors="backslashreplace").removesuffix("\n"))


def _directory(out: str) -> Path:
    from solven_env.errors import UsageError

    if not out:  # a script's variable is unset: the caller does not mean to overwrite the .bashrc in this directory
        raise UsageError("--out has no value", fix="Name a directory. For this one, write: --out .")
    return Path(out)


def _write(out: Path, files: Iterable[RenderedFile]) -> None:
    """Write the files with ordinary calls: `out` is the caller's own directory, on any system, and no workspace."""
    from solven_env.errors import UsageError

    try:
        for file in files:
            path = out / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
            path.chmod(int(file.mode, 8))
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}", fix="Name another directory.") from None
