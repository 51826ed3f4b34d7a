"""Mistakes as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

A property is escaped so that it ends no property, and a message so that it ends no line: a document cannot give
commands of its own
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escapeData and escapeProperty in
https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts).
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from solven_env.profile.source import STANDARD_INPUT, is_path

if TYPE_CHECKING:
    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.errors import SolvenError

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def annotation(mistake: Diagnostic, profile: str) -> str:
    """The command for a mistake in a profile that its caller named so, or in a template beside it.

    >>> from solven_env.documents.diagnostics import Diagnostic, Location
    >>> annotation(Diagnostic("SE101", Location("a,b.yaml", 3, 9), "100% wrong", "Remove it."), "a,b.yaml")
    '::error file=a%2Cb.yaml,line=3,col=9,title=SE101::100%25 wrong. Remove it.'
    """
    where = mistake.location
    file = "" if profile == STANDARD_INPUT else _seen_from_here(where.file, profile)
    properties = {"file": file, "line": where.line or "", "col": where.column or "", "title": mistake.code}
    listed = ",".join(f"{name}={str(value).translate(_PROPERTY)}" for name, value in properties.items() if value != "")
    return f"::error {listed}::{f'{mistake.message}. {mistake.fix}'.translate(_DATA)}"


def annotation_of_error(error: SolvenError) -> str:
    """The command for an error that is about no place in a document."""
    return f"::error::{str(error).translate(_DATA)}"


def _seen_from_here(name: str, profile: str) -> str:
    """The path of a file that a message names. Templates have their names from the profile's directory."""
    if os.path.isabs(name) or os.path.lexists(name) or not is_path(profile):  # noqa: PTH117 - a name's spelling counts
        return name
    return os.path.join(os.path.dirname(profile), name)  # noqa: PTH118, PTH120
