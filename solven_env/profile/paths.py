"""Paths in a profile, relative to the workspace or the storage. An expression gives part of one component."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from solven_env.documents.diagnostics import quoted
from solven_env.profile import templating
from solven_env.system import names

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PATH = 1024
MAX_COMPONENT = 200
"""In bytes. Linux allows 255; the temporary file beside a file needs a longer name."""

_EXPRESSION = re.compile(r"{{.*?}}", re.DOTALL)
_MARK = "\0"


class PathError(Exception):
    """A path is not allowed. The message's words follow the path as it was written.

    `offset` is that of the expression that is wrong.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def expand_path(text: str, context: Mapping[str, object], work: templating.Work | None = None) -> str:
    """`text` with its expressions expanded, paid for from `work`.

    An expression cannot add, remove or leave a component. Raises `PathError`, or `TemplateError` if an expression
    fails.
    """
    if "{{" not in text:
        return text
    expressions = iter(_EXPRESSION.finditer(text))
    parts = []
    for part in _EXPRESSION.sub(_MARK, text).split("/"):
        inside = [next(expressions) for _ in range(part.count(_MARK))]
        found = iter(inside)
        written = "".join(next(found)[0] if char == _MARK else char for char in part)
        value = templating.expand(written, context, work)
        if inside and (value in ("", ".", "..") or "/" in value):
            message = f"has an expression that gives {quoted(value)}, which is no name of a file"
            raise PathError(message, inside[0].start())
        parts.append(value)
    return "/".join(parts)


def relative_problem(path: str, beneath: str = "workspace") -> str:
    """The reason against a path beneath the workspace, in words that follow the path; empty if it is allowed.

    >>> relative_problem("../x"), relative_problem("bin/hello")
    ('leaves the workspace', '')
    """
    if path.startswith("/"):
        return "is absolute"
    parts = path.split("/")
    if ".." in parts:
        return f"leaves the {beneath}"
    if "" in parts or "." in parts:
        return "is not in its shortest form"
    if parts[0] == "~":
        return "begins with '~', which only a shell expands"
    return _name_problem(path)


def absolute_problem(path: str) -> str:
    """The reason against a path that begins with `/`, in words that follow the path; empty if it is allowed."""
    if path.startswith("//") or path != posixpath.normpath(path):
        return "is not in its shortest form"
    return _name_problem(path)


def target_problem(to: str) -> str:
    """The reason against a link's target in the storage, in words that follow it; empty if it is allowed."""
    problem = relative_problem(to, "storage")
    if problem:
        return problem
    home, *rest = to.split("/")
    if home == "skills":
        return ""
    if home != "threads" or len(rest) != 1:
        return "is neither in skills nor a thread's workspace"
    return "" if names.ID.fullmatch(rest[0]) else f"names no thread: {quoted(rest[0])} is no id of one"


def _name_problem(path: str) -> str:
    if not path.isprintable():
        return "holds a character that cannot be printed"
    if len(path.encode()) > MAX_PATH or any(len(part.encode()) > MAX_COMPONENT for part in path.split("/")):
        return "is too long"
    return ""
