"""A block of ours between two marked lines of a text file whose other lines are the agent's. Pure.

    # >>> solven-env >>>
    export EDITOR=vim
    # <<< solven-env <<<

The marks stand in comments, as the file's name tells how it writes them.
"""

from __future__ import annotations

import posixpath

from solven_env.typed import NamedTuple

_BEGIN, _END = ">>> solven-env >>>", "<<< solven-env <<<"


class Marks(NamedTuple):
    """The two marked lines, without their ends."""

    begin: bytes
    end: bytes


_COMMENTS = {
    ("#", ""): "",
    ("//", ""): "c cc cjs cpp cs dart go h hpp java js json5 jsonc jsx kt less mjs php rs scala scss swift ts tsx",
    ("--", ""): "elm hs lua sql",
    (";", ""): "asm clj el lisp scm",
    ('"', ""): "vim vimrc",
    ("%", ""): "erl sty tex",
    ("/*", " */"): "css",
    ("<!--", " -->"): "htm html markdown md svg vue xml",
}
"""Beginnings and ends of comments, with the last parts of the names of files that have them; `#` everywhere else."""
_BY_SUFFIX = {suffix: comment for comment, suffixes in _COMMENTS.items() for suffix in suffixes.split()}


def marks(path: str) -> Marks:
    """The marked lines in a file of this name.

    >>> marks("site/style.css").begin
    b'/* >>> solven-env >>> */'
    """
    suffix = posixpath.basename(path).rpartition(".")[2].lower()
    begin, end = _BY_SUFFIX.get(suffix, ("#", ""))
    return Marks(f"{begin} {_BEGIN}{end}".encode(), f"{begin} {_END}{end}".encode())


def content(rendered: bytes) -> bytes:
    """The rendered text as it stands in a block: its last line has an end."""
    return rendered if rendered.endswith(b"\n") or not rendered else rendered + b"\n"


def inside(observed: bytes, marks: Marks) -> bytes | None:
    """The content of the block, as `content` has it; None without a block.

    ValueError, with words about the file, where a marked line is missing or stands twice: nothing is guessed.

    >>> inside(b"mine\\n# >>> solven-env >>>\\nours\\n# <<< solven-env <<<\\n", marks(".profile"))
    b'ours\\n'
    """
    lines = observed.split(b"\n")
    place = _place(lines, marks)
    if place is None:
        return None
    begin, end = place
    found = [line.removesuffix(b"\r") for line in lines[begin + 1 : end]]
    return b"".join(line + b"\n" for line in found)


def put(observed: bytes, wanted: bytes | None, marks: Marks) -> bytes | None:
    """The file with this content in its block, which is added at the end where there is none; None takes the block out.

    Other lines stay as they are, and so does what ends a line in a file of Windows'. The result is None where nothing
    is left. ValueError as of `inside`.

    >>> put(b"mine\\n", b"ours\\n", marks(".profile"))
    b'mine\\n# >>> solven-env >>>\\nours\\n# <<< solven-env <<<\\n'
    """
    lines = observed.split(b"\n")
    place = _place(lines, marks)
    ending = b"\r" if lines[0].endswith(b"\r") else b""
    block: list[bytes] = []
    if wanted is not None:
        block = [marks.begin, *content(wanted).split(b"\n")[:-1], marks.end]
        block = [line.removesuffix(b"\r") + ending for line in block]
    if place is not None:
        lines[place[0] : place[1] + 1] = block
    elif block:
        *whole, last = lines
        lines = [*whole, *([last + ending] if last else []), *block]
    if block and lines[-1] == block[-1]:
        lines.append(b"")  # so that the last line has an end
    return b"\n".join(lines) or None


def _place(lines: list[bytes], marks: Marks) -> tuple[int, int] | None:
    """The positions of the two marked lines; None without any."""
    begins = [number for number, line in enumerate(lines) if line.strip() == marks.begin]
    ends = [number for number, line in enumerate(lines) if line.strip() == marks.end]
    if any(b"\0" in line for line in lines):
        raise ValueError("it is no text")
    if not begins and not ends:
        return None
    for name, found in ((marks.begin, begins), (marks.end, ends)):
        if len(found) != 1:
            often = f"stands there {len(found)} times" if found else "is missing"
            raise ValueError(f"its line '{name.decode()}' {often}")
    if ends[0] < begins[0]:
        raise ValueError(f"its line '{marks.end.decode()}' stands before '{marks.begin.decode()}'")
    return begins[0], ends[0]
