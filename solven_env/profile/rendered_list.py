"""The list of what a render wrote into a directory: its grammar, as it is read and written. Pure.

The list lies in a repository, where others write: it is held to the rules for paths of a profile before a name in it is
used, and it cannot name what git keeps in `.git`, whose bytes anybody knows.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from solven_env.errors import SolvenError
from solven_env.profile.paths import relative_problem
from solven_env.state import grammar
from solven_env.system import names
from solven_env.system.failures import shown
from solven_env.typed import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from solven_env.profile.render import RenderedFile

NAME = ".solven-env-render.json"
"""The name of the list in the directory."""

MAX_BYTES = 16 << 20
"""The largest list."""

_FORMAT = 1


class Listed(NamedTuple):
    """A file as a render wrote it: `sha256:…` of its bytes, and its mode as four octal digits."""

    digest: str
    mode: str


class RenderedList(NamedTuple):
    """The files that the last render wrote, by path, and the directories that renders made for them."""

    files: Mapping[str, Listed] = {}
    directories: frozenset[str] = frozenset()

    def dump(self) -> bytes:
        """The list as it is stored: indented and sorted, since a person reviews its changes.

        >>> RenderedList().dump()
        b'{\\n  "directories": [],\\n  "files": {},\\n  "format": 1\\n}\\n'
        """
        fields = {
            "format": _FORMAT,
            "directories": sorted(self.directories),
            "files": {path: listed._asdict() for path, listed in self.files.items()},
        }
        return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode()


def listing(files: Iterable[RenderedFile], directories: Iterable[str]) -> RenderedList:
    """The list of these files. What is in a `.git` is left out: a later render would not remove it."""
    return RenderedList(
        {file.path: Listed(file.digest, file.mode) for file in files if not _is_of_git(file.path)},
        frozenset(path for path in directories if not _is_of_git(path)),
    )


def is_list(path: str) -> bool:
    """True for a path that has the list's name, on a file system that ignores case too."""
    return path.split("/")[0].casefold() == NAME


def load(data: bytes, where: str) -> RenderedList:
    """The list in `data`, stored at `where`. `SolvenError` for one that no render wrote, or a newer version did."""
    try:
        if len(data) > MAX_BYTES:
            raise grammar.WrongError(f"it has more than {MAX_BYTES >> 20} MiB")
        fields = json.loads(data)
        found = fields.pop("format", None)
        if type(found) is not int or found < 1:
            raise grammar.WrongError("format is no number from 1")
        if found > _FORMAT:
            raise grammar.NewerError(f"format {found}")
        _FIELDS(fields, "")
        for path in fields["files"]:
            _PATH(path, f"files.{path}")
    except grammar.NewerError as error:
        raise SolvenError(
            f"this list of rendered files has {shown(str(error))}, which this solven-env does not know",
            fix="A newer solven-env wrote it: install that one.",
            location=where,
        ) from None
    except grammar.WrongError as error:
        raise _damaged(where, f" ({shown(str(error))})") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(where) from error
    files = {path: Listed(**listed) for path, listed in fields["files"].items()}
    return RenderedList(files, frozenset(fields["directories"]))


def _damaged(where: str, what: str = "") -> SolvenError:
    fix = "Restore it from version control, or delete it: files that are as the profile renders them are taken over."
    return SolvenError(f"this list of rendered files is damaged{what}", fix=fix, location=where)


def _is_of_git(path: str) -> bool:
    return any(part.casefold() == ".git" for part in path.split("/"))


def _is_renderable(path: str) -> bool:
    return not (relative_problem(path) or _is_of_git(path) or is_list(path))


_PATH = grammar.text_that(_is_renderable, "path of a rendered file")
_FILE = grammar.table_with(
    {
        "digest": grammar.text_that(re.compile(f"sha256:{names.DIGEST.pattern}").fullmatch, "digest"),
        "mode": grammar.text_that(re.compile("0[0-7]{3}").fullmatch, "mode"),
    }
)
_FIELDS = grammar.table_with({"directories": grammar.list_of(_PATH), "files": grammar.table_of(_FILE)})
