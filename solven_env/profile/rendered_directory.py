"""Rendered files in a directory of the operator's: written, compared, and removed when a later render has them no more.

The directory lies in a repository, where others write too. So no link in it is followed, and a file is replaced or
removed only if its bytes are those that the list names (`rendered_list`): all else is a person's. Directories are
opened one by one, which works on macOS too, where openat2(2) is missing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from solven_env.errors import ConflictError, SolvenError, UsageError, counted
from solven_env.profile import rendered_list
from solven_env.profile.rendered_list import RenderedList
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.durable import write_over
from solven_env.system.failures import every_failure_as, failures_as, shown
from solven_env.typed import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from solven_env.profile.render import RenderedFile
    from solven_env.profile.rendered_list import Listed

_MAX_FILE = 64 << 20
"""In bytes. No profile renders a larger file, so what a larger one holds is not read."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Difference(NamedTuple):
    """One file that is not as rendered; `reason` says more, in words that follow.

    `is_edited`: what stands there is neither what is rendered nor what the last render wrote, so it is a person's.
    """

    path: str
    difference: Literal["missing", "changed", "left-over"]
    reason: str = ""
    is_edited: bool = False


class _Standing(NamedTuple):
    """A thing that stands at a path. Only a regular file has a digest, unless it is larger than any rendered one."""

    kind: Literal["file", "symbolic link", "directory", "special file", "no way"]
    digest: str = ""
    mode: int = 0


class _Comparison(NamedTuple):
    """The differences, and the paths where nothing can be written until a person makes room."""

    differences: tuple[Difference, ...]
    blocked: frozenset[str]


def compare(out: Path, files: Sequence[RenderedFile]) -> tuple[Difference, ...]:
    """Compare a directory with rendered files: those to write in the profile's order, then those left over.

    Writes nothing. A directory that is not there is an empty one, and files that no render wrote are ignored. Of a
    file's mode only the owner's right to execute counts, which is what git keeps; the list has all of it. `UsageError`
    for what is no directory, `SolvenError` for a damaged list.

    >>> compare(Path("rendered"), solven_env.render("team.yaml"))  # doctest: +SKIP
    (Difference(path='.bashrc', difference='changed', reason='the profile renders other bytes', is_edited=False),)
    """
    _check_names(out, files)
    _refuse_link(out)
    try:
        with _opened(out) as directory:
            return _compare(out, directory, files, _read_list(out, directory)).differences
    except FileNotFoundError:
        return tuple(Difference(file.path, "missing") for file in files)


def write(out: Path, files: Sequence[RenderedFile], *, overwrite: bool = False) -> tuple[Difference, ...]:
    """Make a directory hold these files, remove what an earlier render wrote and this one does not, write the list.

    Gives the differences that there were. A left-over file that a person edited stays, and is listed no more.
    `ConflictError`, and nothing written, where the changes of a person would be lost; with `overwrite` only where
    something else than a file or a link is in the way.

    >>> write(Path("rendered"), solven_env.render("team.yaml"))  # doctest: +SKIP
    (Difference(path='.bashrc', difference='missing', reason='', is_edited=False), …)
    """
    for file in files:
        if rendered_list.is_list(file.path):
            message = f"the profile renders {shown(file.path)}, which is where the list of rendered files lies"
            raise UsageError(message, fix="Give this dotfile another name.")
    _check_names(out, files)
    _refuse_link(out)
    with every_failure_as(UsageError, str(out)):
        out.mkdir(parents=True, exist_ok=True)
    with _opened(out) as directory:
        before = _read_list(out, directory)
        found = _compare(out, directory, files, before)
        _refuse_losses(out, found, overwrite)
        for each in found.differences:
            if each.difference == "left-over" and not each.is_edited:
                with (
                    every_failure_as(SolvenError, str(out / each.path)),
                    _parent(directory, each.path) as (parent, name),
                ):
                    os.unlink(name, dir_fd=parent)
        needed = {above for file in files for above in _above(file.path)}
        _remove_empty(directory, before.directories - needed)
        made = set(before.directories & needed)
        differing = {each.path for each in found.differences}
        for file in files:
            if file.path in differing:
                with every_failure_as(SolvenError, str(out / file.path)):
                    _write(directory, file, made)
        listed = rendered_list.listing(files, made)
        if listed != before:
            with every_failure_as(SolvenError, str(out / rendered_list.NAME)):
                write_over(directory, rendered_list.NAME, _temporary(), listed.dump(), mode=0o644)
    return found.differences


def _check_names(out: Path, files: Sequence[RenderedFile]) -> None:
    """Refuse (UsageError) names that this process cannot write: a NUL, or what an ASCII locale has no bytes for."""
    for text in (str(out), *(file.path for file in files)):
        try:
            is_name = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            is_name = False
        if not is_name:
            fix = "Choose another name, or start Python with PYTHONUTF8=1."
            raise UsageError("this process cannot write a file of this name", fix=fix, location=shown(text))


def _refuse_link(out: Path) -> None:
    with every_failure_as(UsageError, str(out)):
        is_link = out.is_symlink()  # one that comes later is refused by the flags of `_opened`
    if is_link:
        message = "this is a symbolic link, and none is followed: anybody may have put it into the repository"
        raise UsageError(message, fix="Name the directory that it leads to.", location=shown(str(out)))


@contextmanager
def _opened(out: Path) -> Iterator[int]:
    """The open directory; FileNotFoundError where there is none."""
    with failures_as(UsageError, str(out)):
        directory = os.open(out, READ_DIRECTORY_ITSELF)
    with holding(directory):
        yield directory


def _read_list(out: Path, directory: int) -> RenderedList:
    with every_failure_as(SolvenError, str(out / rendered_list.NAME)):
        try:
            opened = os.open(rendered_list.NAME, _READ, dir_fd=directory)
        except FileNotFoundError:
            return RenderedList()
        with holding(opened), open(opened, "rb", closefd=False) as file:
            data = file.read(rendered_list.MAX_BYTES + 1)
    return rendered_list.load(data, shown(str(out / rendered_list.NAME)))


def _refuse_losses(out: Path, found: _Comparison, overwrite: bool) -> None:
    lost = [each for each in found.differences if each.difference == "changed" and each.is_edited]
    blocked = [each for each in lost if each.path in found.blocked]
    if overwrite:
        lost = blocked
    if not lost:
        return
    choice = "" if blocked == lost else ", or write over it with --on-conflict overwrite"
    message = f"{counted(len(lost), 'file')} cannot be written: what stands there is not what a render wrote"
    error = ConflictError(message, fix=f"Move it away{choice}.", location=shown(str(out)))
    error.page = "cli"
    error.details = tuple(f"{each.path}: {each.reason}" for each in lost)
    raise error


def _compare(out: Path, directory: int, files: Iterable[RenderedFile], before: RenderedList) -> _Comparison:
    rendered = {file.path for file in files}
    left = []
    for path, listed in sorted(before.files.items()):
        if path not in rendered:
            with every_failure_as(SolvenError, str(out / path)):
                standing = _look(directory, path)
            if standing and standing.kind != "no way":
                left.append(_left_over(path, is_edited=standing.digest != listed.digest))
    gone = {each.path for each in left if not each.is_edited}
    differences, blocked = [], set()
    for file in files:
        with every_failure_as(SolvenError, str(out / file.path)):
            standing = _look(directory, file.path)
            if standing and _makes_room(directory, file.path, standing, gone, before.directories):
                standing = None
        difference = _judge(file, standing, before.files.get(file.path))
        if difference:
            differences.append(difference)
        if standing and standing.kind not in ("file", "symbolic link"):
            blocked.add(file.path)
    return _Comparison((*differences, *left), frozenset(blocked))


def _left_over(path: str, *, is_edited: bool) -> Difference:
    reason = "an earlier render wrote it, and it was edited since" if is_edited else "an earlier render wrote it"
    return Difference(path, "left-over", reason, is_edited)


def _judge(file: RenderedFile, standing: _Standing | None, listed: Listed | None) -> Difference | None:
    """The difference between a rendered file and what stands at its path; None for none."""
    if standing is None:
        return Difference(file.path, "missing")
    if standing.kind == "no way":
        reason = "something else than a directory stands on the way to it"
        return Difference(file.path, "changed", reason, is_edited=True)
    if standing.kind != "file":
        return Difference(file.path, "changed", f"a {standing.kind} stands there", is_edited=True)
    if standing.digest == file.digest:
        is_as_executable = not (standing.mode ^ int(file.mode, 8)) & stat.S_IXUSR
        if is_as_executable and (listed is None or listed.mode == file.mode):
            return None
        return Difference(file.path, "changed", f"the profile gives it the mode {file.mode}")
    if listed is None:
        return Difference(file.path, "changed", "no render wrote what stands there", is_edited=True)
    if standing.digest != listed.digest:
        return Difference(file.path, "changed", "it was edited since it was rendered", is_edited=True)
    return Difference(file.path, "changed", "the profile renders other bytes")


def _makes_room(directory: int, path: str, standing: _Standing, gone: Collection[str], made: Collection[str]) -> bool:
    """True if what is in the way of `path` is an earlier render's, and goes before anything is written."""
    if standing.kind == "no way":
        return any(above in gone for above in _above(path))
    return standing.kind == "directory" and _empties(directory, path, gone, made)


def _empties(directory: int, path: str, gone: Collection[str], made: Collection[str]) -> bool:
    """True for a directory that a render made and that holds nothing but what goes."""
    if path not in made:
        return False
    try:
        with _parent(directory, f"{path}/.") as (inner, _), os.scandir(inner) as entries:
            children = [f"{path}/{entry.name}" for entry in entries]
    except NotADirectoryError:
        return False
    return all(child in gone or _empties(directory, child, gone, made) for child in children)


def _look(directory: int, path: str) -> _Standing | None:
    """Look at what stands at a path, through no link; None for nothing."""
    try:
        with _parent(directory, path) as (parent, name):
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                with holding(os.open(name, _READ, dir_fd=parent)) as opened:
                    return _look_into(opened)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return _Standing("no way")
    if stat.S_ISDIR(mode):
        return _Standing("directory")
    return _Standing("symbolic link" if stat.S_ISLNK(mode) else "special file")


def _look_into(opened: int) -> _Standing:
    about = os.fstat(opened)
    if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_FILE:
        return _Standing("file")
    with open(opened, "rb", closefd=False) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _Standing("file", f"sha256:{digest}", about.st_mode)


def _write(directory: int, file: RenderedFile, made: set[str]) -> None:
    """Write a file. The directories for it that are missing are made, and added to `made`."""
    for above in _above(file.path):
        with _parent(directory, above) as (parent, name), suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
            made.add(above)
    with _parent(directory, file.path) as (parent, name):
        write_over(parent, name, _temporary(), file.data, mode=int(file.mode, 8))


def _remove_empty(directory: int, made: Iterable[str]) -> None:
    """Remove those of these directories that are empty, the innermost first."""
    for path in sorted(made, key=len, reverse=True):
        with suppress(OSError), _parent(directory, path) as (parent, name):  # else it is a person's by now
            os.rmdir(name, dir_fd=parent)


def _above(path: str) -> list[str]:
    """The directories that hold a path, the outermost first."""
    return [str(each) for each in PurePosixPath(path).parents][-2::-1]


@contextmanager
def _parent(directory: int, path: str) -> Iterator[tuple[int, str]]:
    """The open directory that holds `path`, and the name there. NotADirectoryError for a link or a file on the way."""
    *above, last = path.split("/")
    here = os.dup(directory)
    try:
        for name in above:
            inner = _open_directory(here, name)
            os.close(here)
            here = inner
        yield here, last
    finally:
        os.close(here)


def _open_directory(parent: int, name: str) -> int:
    try:
        return os.open(name, READ_DIRECTORY_ITSELF, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ELOOP:  # of a link, on macOS; on Linux it is ENOTDIR
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
        raise


def _temporary() -> str:
    return f".solven-env-{os.urandom(8).hex()}.tmp"
