"""The text of a new profile: small, commented, in its one form; by what a workspace states where there is one. Pure.

A workspace is an agent's: its texts are read, never run, and what is written of them is quoted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env.documents.diagnostics import quoted
from solven_env.documents.schema import inline
from solven_env.profile.load import SHELL_OWN
from solven_env.profile.paths import absolute_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_EXPORT = re.compile(r"export\s+(?=[A-Za-z_])")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_PLAIN = re.compile(r"""'([^']*)'|"([^"$`\\]*)"|([A-Za-z0-9_./:@%+,=^~-]*)""")
_PATH = re.compile(r'"?((?:/[A-Za-z0-9_./@%+,-]*:)+)(?:\$PATH|\$\{PATH\})"?')
_END = re.compile(r"\s*(?:\s#.*)?\Z|\s+")
_SECRET = re.compile(r"(?i)key|token|secret|passw|credential")
_MOST_REMARKS = 20
_MOST_ENTRIES = 500
_LONGEST = 1024
_LONGEST_IGNORE = 4096
"""Bounds of what is taken: a profile has no more than parsing.MAX_BYTES."""


class NotTaken(NamedTuple):
    """Something of a workspace that the new profile does not have: where it stands, and why."""

    where: str
    what: str


class Exported(NamedTuple):
    """The variables and the directories of PATH that a shell script exports."""

    env: Mapping[str, str] = {}
    path: tuple[str, ...] = ()
    remarks: tuple[NotTaken, ...] = ()


class DraftedSection(NamedTuple):
    """A section of packages: its name and fields, the manifest in a workspace, and the directory of its programs."""

    name: str
    fields: Mapping[str, Any]
    manifest: str
    programs: str


def exported(text: bytes, file: str) -> Exported:
    """Read the plain assignments `export NAME=value` of a shell script; a remark for all else.

    >>> exported(b"export A='x y' # why\\nexport B=$A\\n", ".bashrc")[::2]
    ({'A': 'x y'}, (NotTaken(where='.bashrc:2', what='B is no plain value'),))
    """
    env, path, remarks = dict[str, str](), list[str](), list[NotTaken]()
    for number, line in enumerate(text.decode(errors="replace").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        remarks += (NotTaken(f"{file}:{number}", why) for why in _take(line.strip(), env, path))
    return Exported(env, tuple(dict.fromkeys(path)), tuple(remarks))


def _take(line: str, env: dict[str, str], path: list[str]) -> Iterator[str]:
    """Take what a line exports; the reason for each part of it that is not taken."""
    export = _EXPORT.match(line)
    if export is None:
        yield f"{quoted(line)} is no plain export"
        return
    at = export.end()
    while at < len(line):
        found = _NAME.match(line, at)
        if found is None:
            yield f"{quoted(line[at:])} is no plain export"
            return
        name, rest = found[1], line[found.end() :]
        value = (_PATH if name == "PATH" else _PLAIN).match(rest)
        end = _END.match(rest, value.end()) if value else None
        if value is None or end is None or value[0].startswith("~"):
            what = "not set to directories before $PATH" if name == "PATH" else "no plain value"
            yield f"{name} is {what}" + (", and the line is not read further" if re.search(r"\s", rest) else "")
            return
        if name == "PATH":
            directories = value[1].rstrip(":").split(":")
            path += (each for each in directories if not absolute_problem(each) and len(path) < _MOST_ENTRIES)
        else:
            why = _take_variable(name, next((each for each in value.groups() if each is not None), ""), env)
            yield from [why] * bool(why)
        at = found.end() + end.end()


def _take_variable(name: str, text: str, env: dict[str, str]) -> str:
    """Take a variable; the reason why it is not taken, empty where it is."""
    if name in SHELL_OWN:
        return f"bash keeps {name} for itself"
    if _SECRET.search(name):
        return f"{name} may be a secret, which no profile holds: 'secrets: {{{name}: {{from: environment}}}}' names it"
    if len(env) == _MOST_ENTRIES:
        return f"{name} is one of more than {_MOST_ENTRIES} variables"
    if len(text) > _LONGEST or not text.isprintable():
        return f"{name} is too long, or holds characters that cannot be printed"
    env[name] = text
    return ""


def bounded(fields: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The fields of a section with no more packages than a new profile gets, and what is left out, if anything is."""
    packages = fields["packages"]
    if len(packages) <= _MOST_ENTRIES:
        return dict(fields), ""
    kept = [*packages][:_MOST_ENTRIES]
    cut = {name: packages[name] for name in kept} if isinstance(packages, dict) else kept
    return {**fields, "packages": cut}, f"{len(packages) - _MOST_ENTRIES} packages beyond the first {_MOST_ENTRIES}"


def ignored(text: bytes) -> str | None:
    """The text of a .gitignore, if it is one that a profile can hold; None for any other."""
    try:
        written = text.decode()
    except UnicodeDecodeError:
        return None
    is_plain = all(line.replace("\t", " ").isprintable() for line in written.split("\n"))
    return written if is_plain and written and len(written) <= _LONGEST_IGNORE else None


def draft(
    file: str,
    schema: str,
    sections: Sequence[DraftedSection],
    exports: Exported | None = None,
    ignore: str | None = None,
) -> str:
    """The text of a profile in `file`, whose editor finds the schema at the path `schema`."""
    exports = exports or Exported()
    path = dict.fromkeys([*(each.programs for each in sections), *exports.path])
    env = {"HOME": "/", **exports.env}
    parts = [
        _HEAD.format(schema=schema, name=name_for(file)),
        _SANDBOX,
        "env: # of every command\n" + "".join(f"  {name}: {_text(value)}\n" for name, value in env.items()),
        f"path:\n  prepend: {inline([*path])}\n" if path else "",
        *(_section(each, file) for each in sections),
        _FILES
        + "".join(f"  {each.manifest}: {{template: {each.manifest}.j2, own: keys}}\n" for each in sections)
        + (f"  .gitignore: {{content: {_text(ignore)}, own: seed}}\n" if ignore else ""),
    ]
    return "\n".join(filter(None, parts))


_HEAD = """\
# yaml-language-server: $schema={schema}
# This path is that of this host. To share the profile, put a copy of the schema beside it, and name the copy:
#     solven-env schema > profile-v1.json
# `solven-env docs profile` says what each field means.
version: 1
name: {name}
release: 1.0.0 # raise it when threads should know of a change
"""
_SANDBOX = """\
sandbox:
  network: none # internet is the public internet: nothing on the host or in private networks
"""
_FILES = """\
dotfiles:
  .bashrc: {template: bashrc.j2}
  .bash_profile: {template: bash_profile.j2} # a login shell reads this one only
"""


def _section(section: DraftedSection, file: str) -> str:
    lines = [f"{section.name}: # to add packages: solven-env add {_word(file)} {section.name} NAME…"]
    for name, value in section.fields.items():
        if isinstance(value, dict) and value:
            lines += [f"  {name}:", *(f"    {_text(key)}: {_text(each)}" for key, each in value.items())]
        elif isinstance(value, list) and value:
            lines += [f"  {name}:", *(f"    - {_text(each)}" for each in value)]
        else:
            lines.append(f"  {name}: {_text(value)}")
    return "".join(f"{line}\n" for line in lines)


def _text(value: object) -> str:
    """A value as YAML, which no expression of a profile changes."""
    return inline(value.replace("{{", "{{ '{{' }}") if isinstance(value, str) else value)


def _word(file: str) -> str:
    return file if re.fullmatch(r"[A-Za-z0-9_./-]+", file) else "PROFILE"


def name_for(file: str) -> str:
    """The name of a profile in a file of this name.

    >>> name_for("My Team.yaml"), name_for("é.yaml")
    ('my-team', 'profile')
    """
    stem = file.rpartition("/")[2].rpartition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:64].strip("-") or "profile"


def told(remarks: Sequence[NotTaken]) -> Iterator[str]:
    """The remarks as lines, at most twenty of one file."""
    files: dict[str, int] = {}
    for each in remarks:
        file = each.where.partition(":")[0]
        files[file] = files.get(file, 0) + 1
        if files[file] <= _MOST_REMARKS:
            yield f"{each.where}: {each.what}"
    for file, count in files.items():
        if count > _MOST_REMARKS:
            yield f"{file}: {count - _MOST_REMARKS} more"
