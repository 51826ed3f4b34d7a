"""A new profile, written where its author says; by what a workspace states, of which nothing is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from solven_env.errors import UsageError, WorkspaceError, printable
from solven_env.packages.ecosystems import rows
from solven_env.profile.drafting import DraftedSection, Exported, NotTaken, bounded, draft, exported, ignored
from solven_env.system import shipped
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.durable import write_new
from solven_env.system.failures import failures_as
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.packages.ecosystems import Ecosystem

MAX_BYTES = 1 << 20
"""The largest file of a workspace that is read."""
_SHELL, _IGNORE = ".bashrc", ".gitignore"


def new(file: str) -> str:
    """The text of a new profile in `file`, with the first ecosystem of the table."""
    row = rows()[0]
    return draft(file, _schema(), [_section(row, row.NEW_SECTION)])


def of_workspace(file: str, workspace: Path) -> tuple[str, tuple[NotTaken, ...]]:
    """The text of a profile that has what a workspace states, and remarks about what it has not. UsageError for none.

    Each file is opened beneath the workspace and through no link, and read up to a bound.
    """
    remarks: list[NotTaken] = []
    with failures_as(UsageError, str(workspace)):
        try:
            root = Root(os.open(workspace, READ_DIRECTORY), None)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            message = f"cannot read the workspace: {why}"
            raise UsageError(message, fix="Name a directory.", location=str(workspace)) from None
    with root:
        sections = []
        for row in rows():
            manifest = _read(root, row.MANIFEST, remarks)
            if manifest is not None:
                drafted, more = row.drafted(manifest)
                fields, cut = bounded(drafted)
                sections.append(_section(row, fields))
                remarks += (NotTaken(row.MANIFEST, each) for each in (*more, cut) if each)
        shell = _read(root, _SHELL, remarks)
        exports = exported(shell, _SHELL) if shell is not None else Exported()
        ignore = _read(root, _IGNORE, remarks)
        ignore_text = ignored(ignore) if ignore else None
        if ignore and ignore_text is None:
            remarks.append(NotTaken(_IGNORE, "it is too long, or no plain text"))
    return draft(file, _schema(), sections, exports, ignore_text), (*remarks, *exports.remarks)


def write(path: Path, text: str) -> None:
    """Write a new profile. UsageError if anything is there already, or if its directory is not."""
    with failures_as(UsageError, str(path)):
        try:
            with holding(os.open(path.parent, READ_DIRECTORY)) as directory:
                write_new(directory, path.name, text.encode(), mode=0o644)
        except FileExistsError:
            fix = "Choose another name, or move it away."
            raise UsageError("there is something already", fix=fix, location=str(path)) from None
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(f"cannot write: {error.strerror}", fix="Make the directory.", location=str(path)) from None


def _read(root: Root, name: str, remarks: list[NotTaken]) -> bytes | None:
    try:
        return root.read(name, MAX_BYTES)
    except FileNotFoundError:
        return None
    except WorkspaceError as error:
        remarks.append(NotTaken(name, error.message))
    except OSError as error:
        remarks.append(NotTaken(name, str(error.strerror)))
    return None


def _section(row: Ecosystem, fields: Mapping[str, Any]) -> DraftedSection:
    return DraftedSection(row.NAME, fields, row.MANIFEST, row.PROGRAMS)


def _schema() -> str:
    return printable(str(shipped.directory("schemas") / "profile-v1.json"))
