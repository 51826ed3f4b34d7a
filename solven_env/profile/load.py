"""A profile's texts to a declaration: syntax, format, schema, composition, and rules that the schema cannot express."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from solven_env.documents.diagnostics import Location, closest, quoted
from solven_env.documents.document import kind_in_words
from solven_env.documents.parsing import parse
from solven_env.documents.schema import check_complete, parsed, validate
from solven_env.documents.value_origins import ValueOrigin, check_origin
from solven_env.profile import addresses, conditions, declared_inputs
from solven_env.profile.model import Declaration
from solven_env.profile.paths import absolute_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.documents.document import Document, KeyPath
    from solven_env.profile.sections import SectionKind

FORMAT = 1

_CONTEXT_NAMES = frozenset({"thread", "profile", "env", "path", "secrets"})
"""Names that expressions and templates find beside the inputs and the sections of packages, or that tell why not."""

_ORIGINS = {
    "environment": ValueOrigin("name", "OPENAI_API_KEY", is_needed=False),
    "file": ValueOrigin("path", "/run/secrets/openai"),
    "command": ValueOrigin("command", "[pass, show, openai]"),
}
"""The origins of secrets, by the word in `from`."""

SHELL_OWN = frozenset(
    # Bash refuses to assign these, or gives them values of its own (bash(1), "Shell Variables").
    """
    BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE
    BASH_SUBSHELL BASH_VERSINFO BASH_VERSION BASH_XTRACEFD DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS
    BASH_MONOSECONDS BASH_TRAPSIG HISTCMD LINENO OLDPWD OPTIND PIPESTATUS PPID RANDOM SECONDS SHELLOPTS SHLVL
    SRANDOM UID _
    """.split()
)


class Text(Protocol):
    """A file of a profile: its text, and its name in messages."""

    @property
    def text(self) -> bytes:
        """The bytes of the file."""

    @property
    def name(self) -> str:
        """The name in messages; no two files of a profile have the same."""

    @property
    def bases(self) -> Sequence[Any]:
        """For each entry of `extends` a `Text`, or a problem: `message`, which follows the entry, and `fix`."""


def load(source: Text, schema: bytes, ecosystems: tuple[SectionKind, ...]) -> Declaration:
    """The profile in a file and those that it extends. The declaration's document holds every mistake."""
    document, is_supported = _read(source, schema)
    if is_supported:
        check_complete(document, schema)
        conditions.check(document, document.data.get("inputs", {}), ecosystems)
        _check_env(document)
        _check_secrets(document)
        _check_allow(document)
        for row in ecosystems:
            row.check(document)
    inputs = declared_inputs.read(document, _CONTEXT_NAMES.union(row.NAME for row in ecosystems))
    return Declaration(document, inputs, ecosystems)


def _read(source: Text, schema: bytes) -> tuple[Document, bool]:
    """A file with all that it extends as one document; false where the format of one of them is not ours."""
    document = parse(source.text, source.name)
    if not _is_supported(document):
        document.data = {}
        document.unread.add(())
        return document, False
    validate(document, schema)
    if not source.bases:
        if "remove" in document.data:
            where = document.at_key("remove")
            message = "there is nothing to remove from: the profile extends no other"
            document.report("SE206", where, message, "Add 'extends'.")
        return document, True
    bases, are_supported = [], True
    for index, (base, entry) in enumerate(zip(source.bases, document.data.get("extends", ()), strict=False)):
        if hasattr(base, "text"):
            found, is_supported = _read(base, schema)
            bases.append(found)
            are_supported = are_supported and is_supported
        elif base is not None:
            where = document.at_value("extends", index)
            document.report(base.code, where, f"{quoted(entry)} {base.message}", base.fix)
            document.unread.add(())
    from solven_env.profile.compose import compose  # here: most profiles extend none

    return compose(document, bases, parsed(schema)), are_supported


def _is_supported(document: Document) -> bool:
    """True if the format is ours. It is read first, because a document of another format would be misread."""
    if not document.data and document.diagnostics:
        return False
    version = document.data.get("version")
    write = f"Write 'version: {FORMAT}'."
    if "version" not in document.data:
        if ("version",) not in document.taken_out and () not in document.unread:
            _report_no_version(document)
    elif version is None:
        document.report("SE106", document.at_value("version"), "version has no value", write)
    elif isinstance(version, bool) or not isinstance(version, int):
        shown = f"{document.plain.get(('version',), ('',))[0] or kind_in_words(version)}, not a whole number"
        document.report("SE103", document.at_value("version"), f"version is {shown}", write)
    elif version != FORMAT:
        fix = "Install a newer solven-env." if version > FORMAT else write
        message = f"format {version} is not supported; this solven-env reads format {FORMAT}"
        document.report("SE113", document.at_value("version"), message, fix)
    return type(version) is int and version == FORMAT


def _report_no_version(document: Document) -> None:
    slip = closest("version", document.data)
    if not document.data:
        where = Location(document.file, 1, 1)
        document.report("SE114", where, "the document is empty", f"Start with 'version: {FORMAT}'.")
    elif slip:
        document.report("SE101", document.at_key(slip), f"unknown key {quoted(slip)}", "Did you mean 'version'?")
    else:
        document.report("SE102", document.at_value(), "the document has no 'version'", f"Add 'version: {FORMAT}'.")


def _check_env(document: Document) -> None:
    for name, entry in document.data.get("env", {}).items():
        where = document.at_key("env", name)
        if name == "PATH":
            document.report("SE702", where, "PATH is not set here", "List directories in 'path: {prepend: […]}'.")
        elif name in SHELL_OWN:
            document.report("SE703", where, f"bash keeps {name} for itself", "Choose another name.")
        if isinstance(entry, dict) and "optional" in entry and "value" in entry:
            message = f"env.{name}: 'optional' says nothing of a value"
            document.report("SE311", document.at_key("env", name, "optional"), message, "Remove 'optional'.")


def _check_secrets(document: Document) -> None:
    """Report names that are taken, origins that are not said, and expressions, which none may hold."""
    for name, secret in document.data.get("secrets", {}).items():
        where = document.at_key("secrets", name)
        if name in ("PATH", "PWD"):
            document.report("SE310", where, f"{name} is no secret", "Choose another name.")
        elif name in SHELL_OWN:
            document.report("SE703", where, f"bash keeps {name} for itself", "Choose another name.")
        elif name in document.data.get("env", {}):
            document.report("SE310", where, f"env sets {name} too", "Keep one of the two.")
        check_origin("SE311", document, ("secrets", name), secret, _ORIGINS)
        path, command = secret.get("path"), secret.get("command", ())
        texts: list[tuple[KeyPath, str | None]] = [(("path",), path)]
        texts += [(("command", number), word) for number, word in enumerate(command)]
        for place, text in texts:
            if text is not None and ("{{" in text or "{%" in text):
                here = document.at_value("secrets", name, *place)
                document.report("SE312", here, f"secrets.{name}: no expression may stand here", "Write it out.")
        problem = absolute_problem(path) if path else ""
        if problem:
            here = document.at_value("secrets", name, "path")
            document.report("SE502", here, f"secrets.{name}: the path {quoted(path)} {problem}", "Write another one.")


def _check_allow(document: Document) -> None:
    seen = set()
    told = {each.location for each in document.diagnostics}
    for index, text in enumerate(document.data.get("sandbox", {}).get("allow", ())):
        where = document.at_value("sandbox", "allow", index)
        if text is None or where in told:
            continue
        problem = addresses.problem(text)
        if problem is not None:
            document.report("SE701", where, f"sandbox.allow[{index}]: {quoted(text)} {problem.what}", problem.fix)
        elif text in seen:
            document.report("SE111", where, f"{quoted(text)} stands here twice", "Keep one of the two.")
        seen.add(text)
