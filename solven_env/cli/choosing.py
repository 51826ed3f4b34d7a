"""The threads that a command is given: by name, all of them, or the names in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from solven_env.profile.source import ProfileSource

_STANDARD_INPUT = "-"
_LINE = 4096
"""Bytes of a line of names that are read: a longer one is no name."""

ThreadsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[THREAD]...", help="The threads' ids.", show_default=False, autocompletion=completing.threads
    ),
]
ThreadsFromOption = Annotated[
    str | None,
    typer.Option(
        "--threads-from",
        metavar="FILE|-",
        help="The threads' ids in a file, one a line, or on standard input; '#' begins a comment.",
        show_default=False,
    ),
]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="Wait so long for a thread that another apply holds.", show_default="0"
    ),
]


def only(named: Sequence[str] | None, file: str | None, is_all: bool) -> str | None:
    """The thread, if a command is given a single one by its name; None for several, as for none."""
    names = set(named or ())
    return names.pop() if len(names) == 1 and file is None and not is_all else None


def chosen_for(
    profile: str, named: Sequence[str] | None, file: str | None, is_all: bool, storage: str | None
) -> tuple[ProfileSource, tuple[str, ...]]:
    """The profile, read once, and the threads that a command is given beside it; `--all` are those that have it.

    Errors as of `chosen` and `find_profile`; ProfileError where `--all` needs a profile's name that has none.
    """
    from solven_env.api import storages
    from solven_env.profile.source import find_profile
    from solven_env.threads import planning

    if profile == _STANDARD_INPUT == file:
        fix = "Keep the profile or the ids in a file."
        raise UsageError("standard input cannot be both the profile and the threads' ids", fix=fix)
    source = find_profile(profile)
    return source, chosen(named, file, is_all, lambda: storages.threads(storage, profile=planning.name(source)))


def nobody(is_all: bool, profile: str | None = None) -> str:
    """Words that say why a command has no thread; `profile` is the name that those of `--all` have.

    >>> nobody(is_all=True, profile="team"), nobody(is_all=False)
    ('no thread of this storage has the profile team', 'no thread is named')
    """
    if not is_all:
        return "no thread is named"
    return f"no thread of this storage has the profile {profile}" if profile else "there is no thread in this storage"


def chosen(
    named: Sequence[str] | None, file: str | None, is_all: bool, recorded: Callable[[], Sequence[str]] | None
) -> tuple[str, ...]:
    """The names of the threads that a command is given, each once; none where a file or a storage has none.

    `recorded` gives those of `--all`; None for a command without it. UsageError for no threads, for both all and some,
    and for a name that is none.
    """
    from solven_env.system.names import thread_id

    if is_all and (named or file is not None):
        raise UsageError("--all is given beside threads", fix="Leave one of them out.")
    if not is_all and not named and file is None:
        others = "--threads-from FILE" if recorded is None else "--threads-from FILE or --all"
        raise UsageError("there is no THREAD", fix=f"Name one or more, or give {others}.")
    names = list(recorded()) if is_all and recorded is not None else list(map(thread_id, named or ()))
    if file is not None:
        names += _names_in(file)
    return tuple(dict.fromkeys(names))


def _names_in(file: str) -> list[str]:
    """The names in a file, each of which is one; UsageError, which names the line, for any other text."""
    try:
        if file != _STANDARD_INPUT:
            with Path(file).open("rb") as opened:
                return list(_read(opened, file))
        if sys.stdin is None:  # the caller closed it
            raise UsageError("standard input is closed", fix="Give it the threads' ids, or name a file.")
        return list(_read(sys.stdin.buffer, "<stdin>"))
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"cannot read {file}: {why}", fix="Name a file of threads' ids, one a line.") from None


def _read(lines: BinaryIO, name: str) -> Iterator[str]:
    from solven_env.system import names

    for number, line in enumerate(iter(lambda: lines.readline(_LINE), b""), 1):
        text = line.decode("utf-8-sig", "backslashreplace").partition("#")[0].strip()
        if text and not names.ID.fullmatch(text):
            shown = text if len(text) <= 80 else f"{text[:80]}…"
            raise UsageError(
                f"{shown!r} is no thread id",
                fix="Write one id a line: letters A-Z a-z, digits, `.`, `_` and `-`, a letter or digit first.",
                location=f"{name}:{number}",
            )
        if text:
            yield text
