"""Where a profile's text, its templates and the files beside it come from: a path, a shipped name, standard input."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from solven_env import documents, shipped
from solven_env.diagnostics import did_you_mean, ordered, quoted
from solven_env.errors import ProfileError, UsageError
from solven_env.rendering import SourceError
from solven_env.typed import NamedTuple

MAX_SOURCE = 16 << 20
"""The largest file, in bytes, that is taken from beside a profile."""

STANDARD_INPUT = "-"
STANDARD_INPUT_NAME = "<stdin>"
"""What messages call it."""

_ENOUGH = documents.MAX_BYTES + 1
"""What is read of a document: one that is longer is refused, one that never ends too."""


class ProfileSource(NamedTuple):
    """A profile's text, what messages call it, and the directory that its templates and sources lie in."""

    text: bytes
    name: str
    directory: Path
    lock: Path | None = None
    """The directory of the profile's lock, `solven.lock` beside `solven.yaml`; None for standard input."""

    def read_template(self, name: str) -> str | None:
        """A template's text: beside the profile first, then among the shipped ones."""
        beside = _beside(self.directory, name)
        for path in (beside, shipped.directory("templates") / name):
            if _is_file(path):
                try:
                    return _read(path).decode()
                except UnicodeDecodeError:
                    raise SourceError("is not UTF-8") from None
        return None

    def read_source(self, name: str) -> bytes:
        """The bytes of a file beside the profile."""
        path = _beside(self.directory, name)
        if not _is_file(path):
            raise SourceError("is no file beside the profile")
        return _read(path)


def find(profile: str | Path) -> ProfileSource:
    """The profile that `profile` names: text with `/` or ending in .yaml or .yml is a path, else a shipped name.

    `-` is standard input, which can be read once. Raises `UsageError` where there is none.
    """
    if profile == STANDARD_INPUT:
        return ProfileSource(_read_standard_input(), STANDARD_INPUT_NAME, Path())
    text = str(profile)
    if isinstance(profile, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        return _open(Path(profile), text)
    names = sorted(path.stem for path in shipped.directory("profiles").glob("*.yaml"))
    if text not in names:
        fix = f"{did_you_mean(text, names)} A path needs a '/' or an ending: ./{text or 'profile'}.yaml."
        raise UsageError(f"there is no shipped profile '{text}'", fix=fix)
    path = shipped.directory("profiles") / f"{text}.yaml"
    return _open(path, f"{text}.yaml")


def read_inputs(file: str) -> dict[str, str]:
    """The inputs that a YAML or JSON file gives: a mapping of names to text. Raises `UsageError`."""
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_ENOUGH)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {file}: {_reason(error)}", fix="Name a file of inputs.") from None
    document = documents.parse(text, file)
    for name, value in document.data.items():
        if not isinstance(value, str):
            document.report(document.value(name), *_no_text(name, value, document.plain.get((name,), ("", ""))[0]))
    if document.diagnostics:
        raise ProfileError(ordered(document.diagnostics))
    return dict(document.data)


@functools.cache
def schema(name: str) -> bytes:
    """The shipped JSON Schema `name`."""
    return (shipped.directory("schemas") / name).read_bytes()


def _no_text(name: str, value: object, written: str) -> tuple[str, str]:
    if isinstance(value, dict | list):
        return f"the input {quoted(name)} is {documents.found(value)}, not text", "Write text."
    return f"the input {quoted(name)} is not text", f'Quote it: "{written}".'


def _read_standard_input() -> bytes:
    if sys.stdin is None:  # the caller closed it
        raise UsageError("standard input is closed", fix="Give it a profile, or name a file.")
    try:
        return sys.stdin.buffer.read(_ENOUGH)
    except OSError as error:
        raise UsageError(f"cannot read standard input: {_reason(error)}", fix="Give it a profile.") from None


def _open(path: Path, name: str) -> ProfileSource:
    try:
        with path.open("rb") as file:
            return ProfileSource(file.read(_ENOUGH), name, path.parent, path.with_name(f"{path.stem}.lock"))
    except (OSError, ValueError) as error:  # a path with U+0000 is a ValueError
        raise UsageError(f"cannot read {name}: {_reason(error)}", fix="Name a file that holds a profile.") from None


def _beside(directory: Path, name: str) -> Path:
    if name.startswith("/") or ".." in name.split("/"):
        raise SourceError("does not lie beside the profile")
    return directory / name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a name that is too long, a directory that we may not search
        raise SourceError(f"cannot be read: {error.strerror}") from None


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SOURCE + 1)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_SOURCE:
        raise SourceError(f"has more than {MAX_SOURCE >> 20} MiB")
    return data
