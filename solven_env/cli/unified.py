"""Unified diffs of what a plan changes, safe for a terminal whatever an agent wrote."""

from __future__ import annotations

import difflib
from itertools import chain, islice
from typing import TYPE_CHECKING

from solven_env.cli.output import SIGNS, name_of, say, tell, told_versions
from solven_env.errors import printable
from solven_env.profile.model import DEFAULT_MODE
from solven_env.reconcile import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.reconcile.model import Change, State
    from solven_env.report import ThreadReport

MAX_BYTES = 1 << 20
"""Size in bytes above which a file is named, not shown: difflib takes quadratic time."""

_NO_FILES = {"directory": "[a directory]", "symlink": "[a symbolic link]"}
_NO_NEWLINE = "\0"  # occurs in no file that is shown


def say_diff(report: ThreadReport, *, full: bool = False) -> None:
    """Print every change: files as unified diffs, other changes as lines of a plan.

    A lock that a build brings is told by the versions that change. It is shown as a diff too with `full`, and if the
    workspace changed it: nobody could see what would be lost.
    """
    for change in report.changes:
        if change.versions:
            tell(f"{printable(change.name)}: {told_versions(change.versions, len(change.versions))}")
        is_told = change.versions and change.cause == "pending" and not full
        for line in () if is_told else _lines(change):
            sign = line[0] if line[:1] in "+-@!" and line[:3] not in ("+++", "---") else ""
            if line[:1] in "!#" or not kinds.is_file(change):
                tell(line, hang=4, sign=sign)
            else:
                say(line, sign)


def _lines(change: Change) -> Iterator[str]:
    name = name_of(change)
    if change.cause != "pending" or (kinds.is_file(change) and change.action != "create"):
        yield f"{'!' if change.cause == 'conflict' else '#'} {change.cause}: {name}: {change.reason}"
    for where, ours, theirs in change.clashes:
        if where:
            yield f"!   {printable(where)}"
        yield f"!     profile:   {printable(ours)}"
        yield f"!     workspace: {printable(theirs)}"
    for choice, does in change.choices.items():
        yield f"!   --on-conflict {choice}: {does}"
    if kinds.is_file(change):
        yield from _file_lines(name, change.before, change.after)
    else:
        reason = f"  ({change.reason})" if change.action != "create" else ""
        yield f"{SIGNS[change.action]} {change.kind} {name}{reason}"


def _file_lines(name: str, before: State | None, after: State | None) -> Iterator[str]:
    if before and after and before.mode and before.mode != after.mode:
        yield f"# mode: {name}: {before.mode} becomes {after.mode}"
    elif after and not (before and before.mode) and after.mode != DEFAULT_MODE:
        yield f"# mode: {name}: {after.mode}"
    old_name, new_name = name if before else "/dev/null", name if after else "/dev/null"
    lines = difflib.unified_diff(_text(before), _text(after), old_name, new_name, lineterm="")
    if not (before and after and before.data == after.data):
        # difflib prints nothing for an empty file that is created or removed
        lines = chain((f"--- {old_name}", f"+++ {new_name}"), islice(lines, 2, None))
    for line in lines:
        yield line.removesuffix(_NO_NEWLINE)
        if line.endswith(_NO_NEWLINE):
            yield "\\ No newline at end of file"


def _text(state: State | None) -> list[str]:
    """The lines of a file without their ends, the last one marked if it has none; else one line in brackets."""
    if state is None:
        return []
    if state.type != "file":
        return [_NO_FILES.get(state.type, "[something that is no file]")]
    if state.data is None or len(state.data) > MAX_BYTES or b"\0" in state.data:
        return [f"[{state.size} bytes, not shown: {state.digest}]"]
    try:
        text = state.data.decode()
    except UnicodeDecodeError:
        return [f"[{state.size} bytes, not UTF-8: {state.digest}]"]
    lines = ["\t".join(map(printable, line.split("\t"))) for line in text.split("\n")]
    last = lines.pop()
    return [*lines, last + _NO_NEWLINE] if last else lines
