"""Sources of profiles, templates and files beside them: a path, a shipped name, standard input."""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
import sys
from functools import partial
from pathlib import Path
from typing import overload

from solven_env.documents.diagnostics import did_you_mean, ordered, quoted
from solven_env.documents.document import kind_in_words
from solven_env.documents.parsing import MAX_BYTES, parse
from solven_env.errors import ProfileError, UsageError
from solven_env.profile import source_tree, templating
from solven_env.profile.inputs import FileValue
from solven_env.profile.render import SourceError
from solven_env.system import reread, shipped
from solven_env.system.syscalls import O_PATH, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from solven_env.profile.render import SourceTree

MAX_SOURCE = 16 << 20
"""The largest `source:`, in bytes."""

MAX_TEMPLATE = templating.MAX_TEXT
"""The largest template, in bytes."""

STANDARD_INPUT = "-"
STANDARD_INPUT_NAME = "<stdin>"
"""The name of standard input in messages."""

ENOUGH = MAX_BYTES + 1
"""The bytes that are read of a document. A longer one is refused, and so is one that never ends."""

MAX_FILES = 64
"""The largest number of files that a profile may extend, each counted as often as it is named."""

SHIPPED = "<shipped>"
"""The directory of shipped profiles and templates in messages."""

_EXTENDS = re.compile(rb"extends|\\[xuU\r\n]")
"""The word that a text which extends anything has in it, or an escape of YAML with which it may be written."""

_READS = 3
_COPY = "Copy the file into the profile's directory."
_ROOTS = "Copy it there, or add its directory to profiles.roots in the host configuration."
_ENDING = "A path needs a '/' or an ending: ./base.yaml."


class Unreadable(NamedTuple):
    """A file that a profile names and that cannot be had. `message` follows its name."""

    code: str
    message: str
    fix: str


class ProfileSource(NamedTuple):
    """A profile's text, its name in messages, and the directory of its templates and sources."""

    text: bytes
    name: str
    directory: Path
    lock: Path | None = None
    """The directory of the profile's lock: `solven.lock` beside `solven.yaml`; None for standard input."""
    bases: tuple[ProfileSource | Unreadable | None, ...] = ()
    """The file of each entry of `extends`; None for an entry that is no text."""

    @property
    def files(self) -> Iterator[ProfileSource]:
        """This file, and all that it extends, depth-first."""
        yield self
        for base in self.bases:
            if isinstance(base, ProfileSource):
                yield from base.files

    def beside(self, file: str) -> ProfileSource:
        """The one of its files that messages call `file`: templates and sources lie beside the file that names them."""
        return next(each for each in self.files if each.name == file)

    def read_template(self, name: str) -> str | None:
        """The text of a template beside the profile, else of a shipped one; None if there is neither.

        Raises `SourceError` for a template that cannot be read. One beside the profile that cannot be read is never
        replaced by a shipped one.
        """
        data = _read_beneath(self.directory, name, MAX_TEMPLATE)
        if data is None:
            data = _read_beneath(shipped.directory("templates"), name, MAX_TEMPLATE)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError:
            raise SourceError("is not UTF-8", "Save it as UTF-8.") from None

    def template_place(self, name: str) -> str:
        """The path of a template that was read, as messages name it: from where the profile's own is named."""
        is_beside = _read_beneath(self.directory, name, MAX_TEMPLATE) is not None
        home = os.path.dirname(self.name) if is_beside else SHIPPED  # noqa: PTH120
        return os.path.normpath(os.path.join(home, name))  # noqa: PTH118

    def read_source(self, name: str) -> bytes | SourceTree:
        """The bytes of a file beside the profile, or a directory with all its files. Raises `SourceError`."""
        found = _read_beneath(self.directory, name, MAX_SOURCE, with_trees=True)
        if found is None:
            raise SourceError("is no file or directory beside the profile")
        return found


def find_profile(profile: str | Path | ProfileSource) -> ProfileSource:
    """The profile that `profile` names: text with `/` or ending in .yaml or .yml is a path, else a shipped name.

    `-` is standard input, which can be read once. One that was found already is given back. Raises `UsageError` if
    there is no such profile.

    >>> find_profile("solven").name
    'solven.yaml'
    """
    if isinstance(profile, ProfileSource):
        return profile
    if profile == STANDARD_INPUT:
        source = ProfileSource(_read_standard_input(), STANDARD_INPUT_NAME, Path())
        return _Reading(source.directory).whole(source, {})
    text = str(profile)
    if is_path(profile):
        return _open(Path(profile), text)
    path = _shipped(text)
    if not path.is_file():
        names = shipped_names()
        fix = f"{did_you_mean(text, names)} A path needs a '/' or an ending: ./{text or 'profile'}.yaml."
        raise UsageError(f"there is no shipped profile '{text}'", fix=fix)
    return _open(path, f"{text}.yaml")


class _Reading:
    """The reading of a profile with all that it extends: where they may lie, and how many more there may be."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.path.abspath(directory)  # noqa: PTH100 - `..` is taken as it is written, not through links
        self._left, self._bytes = MAX_FILES, MAX_BYTES

    def whole(self, source: ProfileSource, within: Mapping[str, str]) -> ProfileSource:
        """A file with its bases. `within` are the files that led to it, itself the last: their names, by path."""
        if not _EXTENDS.search(source.text):
            return source
        named = _entries(source.text)
        return source._replace(bases=tuple(self._base(each, source, within) if each else None for each in named))

    def _base(self, entry: str, source: ProfileSource, within: Mapping[str, str]) -> ProfileSource | Unreadable:
        self._left -= 1
        if self._left < 0:
            return Unreadable(
                "SE204", f"is one of more than {MAX_FILES} files that the profile extends", "Extend fewer."
            )
        try:
            found = self._at_path(entry, source) if is_path(entry) else self._shipped(entry)
        except SourceError as error:
            return Unreadable("SE201", str(error), error.fix)
        if found is None:
            return Unreadable("SE202", "lies outside the profile's directory", _ROOTS)
        base, path = found
        self._bytes -= len(base.text)
        if self._bytes < 0:
            most = f"{MAX_BYTES >> 10} KiB"
            return Unreadable("SE204", f"brings the files that the profile extends to more than {most}", "Extend less.")
        if path in within:
            cycle = [*within.values()][[*within].index(path) :]
            names = " → ".join([*cycle, base.name])
            return Unreadable("SE203", f"extends itself: {names}", "Leave one of them out.")
        return self.whole(base, {**within, path: base.name})

    def _shipped(self, name: str) -> tuple[ProfileSource, str]:
        path = _shipped(name)
        data = _read_beneath(path.parent, path.name, ENOUGH)
        if data is None:
            raise SourceError("is no shipped profile", f"{did_you_mean(name, shipped_names())} {_ENDING}")
        return ProfileSource(data, f"{SHIPPED}/{name}.yaml", path.parent), str(path)

    def _at_path(self, entry: str, source: ProfileSource) -> tuple[ProfileSource, str] | None:
        path = os.path.abspath(source.directory / entry)  # noqa: PTH100
        home = next((each for each in self._homes() if path.startswith(each.rstrip("/") + "/")), None)
        if home is None:
            return None
        data = _read_beneath(Path(home), os.path.relpath(path, home), ENOUGH)
        if data is None:
            raise SourceError("is not there", "Write a path beside this file, or the name of a shipped profile.")
        name = os.path.normpath(os.path.join(os.path.dirname(source.name), entry))  # noqa: PTH118, PTH120
        return ProfileSource(data, name, Path(path).parent), path

    def _homes(self) -> Iterator[str]:
        """The directories that bases lie in. The host's configuration is only read where the first is not enough."""
        yield self._directory
        from solven_env import config

        yield from map(str, config.load(os.environ).profile_roots)


@functools.lru_cache(maxsize=256)
def _entries(text: bytes) -> tuple[str | None, ...]:
    """The entries of a profile's `extends`; None for one that is no text."""
    written = parse(text, "").data.get("extends")
    return tuple(each if isinstance(each, str) else None for each in written) if isinstance(written, list) else ()


@functools.lru_cache(maxsize=16)
def _shipped(name: str) -> Path:
    return shipped.directory("profiles") / f"{name}.yaml"


def shipped_names() -> list[str]:
    """The names of the shipped profiles, sorted."""
    return sorted(path.stem for path in shipped.directory("profiles").glob("*.yaml"))


def is_path(profile: str | Path) -> bool:
    """True for what `find_profile` takes for a path, or for standard input."""
    text = str(profile)
    named = (STANDARD_INPUT, ".", "..")
    return isinstance(profile, Path) or "/" in text or text.endswith((".yaml", ".yml")) or text in named


def read_inputs(file: str) -> dict[str, FileValue]:
    """The inputs that a YAML or JSON file gives: a mapping of names to text, whole numbers and booleans.

    Raises `UsageError` where it cannot be read, `ProfileError` for another value. Which type an input has, this does
    not know.
    """
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(ENOUGH)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {file}: {_reason(error)}", fix="Name a file of inputs.") from None
    document = parse(text, file)
    for name, value in document.data.items():
        if not isinstance(value, str | int):
            message, fix = _no_text(name, value, document.plain.get((name,), ("", ""))[0])
            document.report("SE303", document.at_value(name), message, fix)
    if document.diagnostics:
        invalid = ProfileError(ordered(document.diagnostics))
        invalid.what = "file of inputs"
        raise invalid
    return {name: FileValue(value, str(document.at_value(name))) for name, value in document.data.items()}


@functools.cache
def read_schema(name: str) -> bytes:
    """The shipped JSON Schema `name`."""
    return (shipped.directory("schemas") / name).read_bytes()


def _no_text(name: str, value: object, written: str) -> tuple[str, str]:
    if isinstance(value, dict | list):
        return f"the input {quoted(name)} is {kind_in_words(value)}, not text", "Write text."
    return f"the input {quoted(name)} is not text", f'Quote it: "{written}".'


def _read_standard_input() -> bytes:
    if sys.stdin is None:  # the caller closed it
        raise UsageError("standard input is closed", fix="Give it a profile, or name a file.")
    try:
        return sys.stdin.buffer.read(ENOUGH)
    except OSError as error:
        raise UsageError(f"cannot read standard input: {_reason(error)}", fix="Give it a profile.") from None


def _open(path: Path, name: str) -> ProfileSource:
    try:
        source = ProfileSource(reread.read(path, ENOUGH), name, *_beside(path))
    except (OSError, ValueError) as error:  # a path with U+0000 is a ValueError
        raise UsageError(f"cannot read {name}: {_reason(error)}", fix="Name a file that holds a profile.") from None
    return _Reading(source.directory).whole(source, {os.path.abspath(path): name})  # noqa: PTH100


@functools.lru_cache(maxsize=16)
def _beside(path: Path) -> tuple[Path, Path]:
    """The directory of a profile, and that of its lock."""
    return path.parent, path.with_name(f"{path.stem}.lock")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@overload
def _read_beneath(directory: Path, name: str, limit: int) -> bytes | None: ...


@overload
def _read_beneath(directory: Path, name: str, limit: int, *, with_trees: bool) -> bytes | SourceTree | None: ...


def _read_beneath(directory: Path, name: str, limit: int, *, with_trees: bool = False) -> bytes | SourceTree | None:
    """The bytes of the regular file `name` beneath a directory; None if nothing has that name. A directory is read with
    all its files where `with_trees` says so.

    Nothing outside the directory is opened, whatever links lead out of it at that moment, and nothing is waited for.
    Raises `SourceError` for anything but a regular file, and for more than `limit` bytes.
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise SourceError("does not lie beside the profile", _COPY)
    if "\0" in name or any("\ud800" <= char <= "\udfff" for char in name):
        raise SourceError("is no name of a file")
    try:
        if "/" not in name:  # most are beside the profile, and as they were: one look tells
            known = reread.recall(os.lstat(f"{directory}/{name}"))
            if known is not None and len(known) <= limit:
                return known
        descriptor = _open_beneath(directory, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise SourceError("is reached through a link that leads out of the profile's directory", _COPY) from None
        raise SourceError(f"cannot be read: {error.strerror}") from None
    try:
        if with_trees and stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return source_tree.read(descriptor, partial(_read_whole, limit=limit))
        return _read_whole(descriptor, limit)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _open_beneath(directory: Path, name: str) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY  # no waiting for a FIFO's other end, no terminal of our own
    beneath = os.open(directory, O_PATH if sys.platform == "linux" else os.O_RDONLY)
    try:
        if sys.platform == "linux":
            return openat2(beneath, name, flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
        return os.open(name, flags | os.O_NOFOLLOW_ANY, dir_fd=beneath)  # macOS can refuse all links, or none
    finally:
        os.close(beneath)


def _read_whole(descriptor: int, limit: int) -> bytes:
    """The bytes of a regular file at one moment. A file that changes while it is read is read again."""
    for _ in range(_READS):
        before = os.fstat(descriptor)
        known = reread.recall(before)
        if known is not None and len(known) <= limit:
            return known
        if not stat.S_ISREG(before.st_mode):
            kind = "a directory" if stat.S_ISDIR(before.st_mode) else "a device, a pipe or a socket"
            raise SourceError(f"is {kind}, not a file")
        data = os.pread(descriptor, min(before.st_size, limit) + 1, 0)
        if len(data) > limit:
            raise SourceError(f"has more than {limit >> 10} KiB", "Make it smaller.")
        after = os.fstat(descriptor)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, len(data)):
            reread.remember(before, after, data)
            return data
    raise SourceError("changes while it is read", "Try again when it is written.")
