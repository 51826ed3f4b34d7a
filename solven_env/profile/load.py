"""From a profile's text to a declaration: syntax, format, schema, and what the schema cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solven_env import documents
from solven_env.diagnostics import did_you_mean
from solven_env.profile import npm, pep508
from solven_env.profile.model import Declaration, Input

if TYPE_CHECKING:
    from solven_env.documents import Document

FORMAT = 1

CONTEXT_NAMES = frozenset({"thread", "profile", "python", "bun", "env", "path"})
"""Names that expressions and templates find beside the inputs."""

SHELL_OWN = frozenset(
    # Bash refuses to assign these, or gives them values of its own (bash(1), "Shell Variables").
    """
    BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE
    BASH_SUBSHELL BASH_VERSINFO BASH_VERSION BASH_XTRACEFD DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS
    HISTCMD LINENO OLDPWD OPTIND PIPESTATUS PPID RANDOM SECONDS SHELLOPTS SHLVL SRANDOM UID _
    """.split()
)


def load(text: bytes, file: str, schema: bytes) -> Declaration:
    """The profile in `text`, called `file` in messages; the declaration's document holds every mistake found."""
    document = documents.parse(text, file)
    if document.data and _is_supported(document):
        documents.validate(document, schema)
        _check_inputs(document)
        _check_env(document)
        _check_python(document)
        _check_bun(document)
    inputs = {
        name: Input(
            name=name, default=item.get("default"), required=item.get("required", True) and "default" not in item
        )
        for name, item in _section(document, "inputs").items()
    }
    return Declaration(document, inputs)


def _is_supported(document: Document) -> bool:
    """Read the format before anything else: the rest of a format that we do not know would only be misread."""
    version = document.data.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version != FORMAT:
        document.report(
            document.value("version"),
            f"format {version} is not supported; this solven-env reads format {FORMAT}",
            "Install a solven-env that reads it." if version > FORMAT else f"Write 'version: {FORMAT}'.",
        )
        document.data = {}
        return False
    return True


def _section(document: Document, *path: str) -> dict[str, Any]:
    section: Any = document.data
    for part in path:
        section = section.get(part) or {}
    assert isinstance(section, dict)
    return section


def _check_inputs(document: Document) -> None:
    for name in _section(document, "inputs"):
        if name in CONTEXT_NAMES:
            document.report(
                document.key("inputs", name), f"'{name}' is already defined in expressions", "Choose another name."
            )
    for path, link in _section(document, "links").items():
        name = link.get("when")
        if name is not None and name not in _section(document, "inputs"):
            fix = did_you_mean(name, _section(document, "inputs"))
            document.report(document.value("links", path, "when"), f"there is no input '{name}'", fix)


def _check_env(document: Document) -> None:
    for name in _section(document, "env"):
        if name == "PATH":
            document.report(document.key("env", name), "PATH is not set here", "List directories in 'path: prepend'.")
        elif name in SHELL_OWN:
            document.report(document.key("env", name), f"bash keeps {name} for itself", "Choose another name.")


def _check_python(document: Document) -> None:
    seen: set[str] = set()
    for index, text in enumerate(_section(document, "python").get("packages", ())):
        if text is None:
            continue
        where = document.value("python", "packages", index)
        requirement = pep508.parse(text)
        if requirement is None:
            document.report(where, f"'{text}' is not a requirement as PEP 508 writes it", "Write, say, httpx>=0.27.")
            continue
        name = requirement.name
        if requirement.has_address:
            document.report(where, f"'{name}' is given by its address", "Write its name and a range of versions.")
        elif name in seen:
            document.report(where, f"'{name}' stands here twice", "Keep one of the two.")
        seen.add(name)


def _check_bun(document: Document) -> None:
    for name, text in _section(document, "bun", "packages").items():
        problem = npm.range_problem(text)
        if problem:
            document.report(
                document.value("bun", "packages", name), f"{name}: '{text}' {problem}", "Write, say, ^8.0.0."
            )
