"""Output of the command line: plans and results as text for people, documents as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env import errors
from solven_env.cli.errors import INTERRUPTED, PENDING, error_text, exit_code, print_error, with_storage
from solven_env.cli.options import Format
from solven_env.cli.wrapping import wrapped
from solven_env.errors import printable
from solven_env.report import document, error_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from solven_env.packages.locks import VersionChange
    from solven_env.report import Report, ThreadReport

SIGNS = {"create": "+", "replace": "~", "remove": "-"}
_COLOURS = {"+": 32, "-": 31, "~": 33, "!": 31, "@": 36}
_LEFT = {
    **dict.fromkeys(("apply", "recover", "rollback"), "The next apply goes on."),
    "lock": "The lock is as it was.",
}
"""Words about the state after an interrupt that came in no step, by command."""
_SHOWN = 8
"""The changed versions of a lock that a line of a plan names."""
_NOTES = {"drift": "drift: ", "conflict": "conflict: ", "pending": ""}


def say(line: str = "", sign: str = "") -> None:
    """Print one line on standard output; on a terminal, coloured by its sign (https://no-color.org)."""
    colour = _COLOURS.get(sign)
    with written():
        print(f"\033[{colour}m{line}\033[0m" if colour and _is_coloured() else line)


def tell(text: str, *, indent: int = 0, hang: int = 2, sign: str = "") -> None:
    """Print one line of prose as `say` does, wrapped as `wrapping.wrapped` says."""
    for line in wrapped(text, sys.stdout, indent=indent, hang=hang):
        say(line, sign)


def note(text: str) -> None:
    """Print one line of prose on standard error, wrapped as `wrapping.wrapped` says."""
    print(*wrapped(printable(text), sys.stderr), sep="\n", file=sys.stderr)


def print_json(document: object) -> None:
    """Print the one document of `--format json`."""
    with written():
        print(json.dumps(document, indent=2))


@contextmanager
def written() -> Iterator[None]:
    """Turn a failed write to standard output into an error that says why. A `BrokenPipeError` is left to typer."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        fix = "Make room, or write elsewhere."
        raise errors.SolvenError(f"standard output cannot be written: {error.strerror}", fix=fix) from None


@contextmanager
def errors_told(
    command: str,
    thread: str | None,
    chosen: Format,
    *,
    storage: str | None = None,
    profile: str | None = None,
    all_but_usage: int | None = None,
) -> Iterator[None]:
    """Print an error as text on standard error, with `--format json` as the document too, and exit with its code.

    The thread, the storage and the profile are those that the caller named: a fix names them, so that it can be pasted.
    """
    try:
        yield
    except errors.SolvenError as error:
        code = exit_code(error, all_but_usage)
        if chosen is Format.JSON:
            print_json(error_document(command, thread, error, code, storage))
        print_error(error_text(error, thread=thread, storage=storage, profile=profile))
        sys.exit(code)
    except KeyboardInterrupt as interrupt:
        doing = "".join(interrupt.args)  # as `cli.progress` has it
        fix = _LEFT.get(command, "Run the command again.")
        if doing and command in ("apply", "run"):
            fix = f"The next {command} removes what is left of it, and begins it anew."
        interrupted = errors.SolvenError(f"interrupted while {doing}" if doing else "interrupted", fix=fix)
        if chosen is Format.JSON:
            print_json(error_document(command, thread, interrupted, INTERRUPTED))
        if doing or command in _LEFT:  # what ends the command of a run is no affair of ours
            print(error_text(interrupted).removeprefix("error: "), file=sys.stderr)
        raise


def say_changes(report: ThreadReport, *, has_choices: bool = False) -> None:
    """Print the plan: one line `+ KIND NAME` a change, with the reason unless the change only adds something.

    With `has_choices`, lines beneath a conflict say what each choice would do.
    """
    for change in report.changes:
        sign = "!" if change.cause == "conflict" else SIGNS[change.action]
        reason = "" if change.action == "create" and change.cause == "pending" else _NOTES[change.cause] + change.reason
        if change.versions and change.cause == "pending":
            reason = told_versions(change.versions, _SHOWN)
        line = f"{sign} {change.kind} {printable(change.name)}{f'  ({reason})' if reason else ''}"
        tell(line, indent=2, hang=4, sign=sign)
        for choice, does in change.choices.items() if has_choices else ():
            tell(f"--on-conflict {choice}: {does}", indent=6, sign=sign)


def say_carried(report: ThreadReport) -> None:
    """Print what became of the thread's own packages above other builds, and what will."""
    if report.carried or report.to_carry:
        from solven_env.run.beginning import told

        for line in (*told(report.carried, is_done=True), *told(report.to_carry, is_done=False)):
            tell(line, indent=2)


def say_notes(report: ThreadReport) -> None:
    """Print the files that stay otherwise than the profile says, and why."""
    for path, message in report.notes:
        tell(f"{printable(path)}: {message}", indent=2)


def told_versions(versions: Sequence[VersionChange], most: int) -> str:
    """The versions that a lock changes, at most so many of them, in words.

    >>> from solven_env.packages.locks import VersionChange as Each
    >>> told_versions([Each("pandas", "2.2.3", "2.3.0"), Each("six", "", "1.17.0"), Each("x", "1", "")], 2)
    'pandas 2.2.3 → 2.3.0, + six 1.17.0, and 1 more'
    """
    told = [printable(str(each)) for each in versions[:most]]
    return ", ".join(told) + (f", and {len(versions) - most} more" if len(versions) > most else "")


def pending_code(report: Report) -> int:
    """The exit code of a report under `--exit-code`."""
    states = {thread.state for thread in report.threads}
    if "conflict" in states:
        return exit_code(errors.ConflictError(""))
    return PENDING if states & {"new", "pending", "drift"} else 0


def _is_coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def describe_error(error: errors.SolvenError, code: int, storage: str | None) -> dict[str, object]:
    """An error as documents have it. `code` is its exit code, `storage` the one that the caller named."""
    described = error_json(error, code) | {"fix": with_storage(error.fix, storage)}
    if error.details:
        described["details"] = list(error.details)
    if isinstance(error, errors.DocumentError):
        described["diagnostics"] = [diagnostic.to_json() for diagnostic in error.diagnostics]
    return described


def error_document(
    command: str, thread: str | None, error: errors.SolvenError, code: int, storage: str | None = None
) -> dict[str, object]:
    """The document about an error. `code` is its exit code, `storage` the one that the caller named."""
    from solven_env.report import ThreadReport

    described = describe_error(error, code, storage)
    if error.further:
        described["further"] = [describe_error(each, exit_code(each), storage) for each in error.further]
    if thread is None:
        return document(command, error=described)
    report = ThreadReport(thread, "failed", 0)
    if isinstance(error, errors.ConflictError):
        report = ThreadReport(thread, "conflict", error.generation, error.changes)
    return document(command, [{**report.to_json(), "error": described}])
