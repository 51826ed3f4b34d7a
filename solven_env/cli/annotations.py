"""Mistakes as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

A property is escaped so that it ends no property, and a message so that it ends no line: a document cannot give
commands of its own
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escapeData and escapeProperty in
https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.errors import printable
from solven_env.profile.source import SHIPPED, STANDARD_INPUT_NAME

if TYPE_CHECKING:
    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.errors import SolvenError

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def annotation(mistake: Diagnostic) -> str:
    """The command for a mistake.

    >>> from solven_env.documents.diagnostics import Diagnostic, Location
    >>> annotation(Diagnostic("SE101", Location("a,b.yaml", 3, 9), "100% wrong", "Remove it."))
    '::error file=a%2Cb.yaml,line=3,col=9,title=SE101::100%25 wrong. Remove it.'
    """
    where = mistake.location
    is_here = where.file != STANDARD_INPUT_NAME and not where.file.startswith(f"{SHIPPED}/")
    file = where.file if is_here else ""
    properties = {"file": file, "line": where.line or "", "col": where.column or "", "title": mistake.code}
    listed = ",".join(f"{name}={str(value).translate(_PROPERTY)}" for name, value in properties.items() if value != "")
    return f"::error {listed}::{f'{mistake.message}. {mistake.fix}'.translate(_DATA)}"


def annotation_of_error(error: SolvenError) -> str:
    """The command for an error that is about no place in a document."""
    return f"::error::{printable(str(error)).translate(_DATA)}"
