"""`solven-env cp`."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption

if TYPE_CHECKING:
    from solven_env.programs.blocking import Sandbox

_INSIDE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127}):(/.*)", re.DOTALL)
_STANDARD = "-"


class _Ends(NamedTuple):
    """Both ends of a copy: the thread, the path inside, the path on this host, and the direction."""

    thread: str
    inside: str
    local: str
    is_inwards: bool


def command(
    source: Annotated[str, typer.Argument(help="What is copied: a path, THREAD:/path, or - for standard input.")],
    target: Annotated[str, typer.Argument(help="Where to: a path, THREAD:/path, or - for standard output.")],
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Copy a file or a tree from this host into a thread, or out of one.

    One of both is THREAD:/path, a path as the thread's commands see it. Modes are kept, and links stay links, but for
    one that is named itself. A directory that is there gets the copy in it, under the source's name; nothing is copied
    through a link that came out before. A local path with a colon is written as ./a:b.

    \b
    Examples:
      solven-env cp notes.txt thread-42:/
      solven-env cp thread-42:/out ./results
      solven-env cp thread-42:/chart.png - > chart.png
    """
    from solven_env.cli.output import errors_told, print_json
    from solven_env.cli.run import end_with_us
    from solven_env.programs.blocking import Sandbox
    from solven_env.report import document

    ends = read_ends(source, target)
    end_with_us()
    with errors_told("cp", ends.thread, chosen, storage=storage):
        if chosen is Format.JSON and target == _STANDARD:
            raise typer.BadParameter("standard output has the file: leave it out for -", param_hint="--format json")
        sandbox = Sandbox.connect(ends.thread, storage=storage, keep_alive=0)
        copied = _copy_in(sandbox, ends) if ends.is_inwards else _copy_out(sandbox, ends)
    if chosen is Format.JSON:
        row = {"thread": ends.thread, "error": None, "source": source, "target": copied}
        print_json(document("cp", [row]))


def read_ends(source: str, target: str) -> _Ends:
    """Tell which of both is inside: UsageError where both are, or none.

    >>> read_ends("notes.txt", "thread-42:/")
    _Ends(thread='thread-42', inside='/', local='notes.txt', is_inwards=True)
    """
    from solven_env.errors import UsageError

    inwards, outwards = _INSIDE.fullmatch(target), _INSIDE.fullmatch(source)
    if inwards and outwards:
        raise UsageError("both are inside of a thread", fix="Copy to this host first, or use run with cp.")
    if inwards:
        return _Ends(inwards[1], inwards[2], source, True)
    if outwards:
        return _Ends(outwards[1], outwards[2], target, False)
    raise UsageError("neither is inside of a thread", fix="Write one of them as THREAD:/path.")


def _copy_in(sandbox: Sandbox, ends: _Ends) -> str:
    """Copy to a path inside; that path."""
    import posixpath
    from pathlib import Path

    files, inside = sandbox.files, ends.inside
    # As text: of a link the name is its own.
    name = "" if ends.local == _STANDARD else posixpath.basename(posixpath.normpath(Path(ends.local).absolute()))
    if name and files.exists(inside) and files.stat(inside).kind == "directory":
        inside = posixpath.join(inside, name)
    if ends.local == _STANDARD:
        files.write(inside, sys.stdin.buffer.read())
    else:
        files.upload(ends.local, inside)
    return f"{ends.thread}:{inside}"


def _copy_out(sandbox: Sandbox, ends: _Ends) -> str:
    """Copy to a path of this host, or to standard output; that path."""
    import posixpath
    from pathlib import Path

    from solven_env.cli.output import written

    local = ends.local
    if local == _STANDARD:
        with written():
            sandbox.files.download(ends.inside, sys.stdout.fileno())
        return local
    name = posixpath.basename(posixpath.normpath(ends.inside))
    if name and Path(local).is_dir() and not Path(local).is_symlink():  # a link may have come out before
        local = posixpath.join(local, name)
    sandbox.files.download(ends.inside, local)
    return local
