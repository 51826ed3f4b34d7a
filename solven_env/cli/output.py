"""Output of the command line: plans and results as text for people, documents as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env import errors
from solven_env.cli.errors import INTERRUPTED, PENDING, error_text, exit_code, print_error, with_storage
from solven_env.cli.options import CheckFormat, Format, StreamFormat
from solven_env.cli.wrapping import wrapped
from solven_env.errors import brief, printable
from solven_env.report import document, error_json, failure_report, line_document, thread_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from solven_env.packages.locks import VersionChange
    from solven_env.reconcile.model import Change
    from solven_env.report import Report, ThreadReport

SIGNS = {"create": "+", "replace": "~", "remove": "-"}
_COLOURS = {"+": 32, "-": 31, "~": 33, "!": 31, "@": 36}
_LEFT = {
    **dict.fromkeys(("apply", "recover", "rollback"), "The next apply goes on."),
    "lock": "The lock is as it was.",
}
"""Words about the state after an interrupt that came in no step, by command."""
AGAIN = "Run the command again."
_SHOWN = 8
"""The changed versions of a lock that a line of a plan names."""
_LONGEST_NAME = 72
"""The characters of a command that a line of a plan has."""
_NOTES = {"drift": "drift: ", "conflict": "conflict: ", "pending": ""}


def say(line: str = "", sign: str = "") -> None:
    """Print one line on standard output; on a terminal, coloured by its sign (https://no-color.org)."""
    colour = _COLOURS.get(sign)
    with written():
        print(f"\033[{colour}m{line}\033[0m" if colour and _is_coloured() else line)


def say_edit(diff: str) -> None:
    """Print the unified diff of a profile's text, safe for a terminal."""
    for line in diff.split("\n")[:-1]:
        say(printable(line), line[0] if not line.startswith(("+++", "---")) else "")


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


def is_printed(report: Report, chosen: Format | StreamFormat, command: str = "") -> bool:
    """Print the report of a verb in a form for programs; False if people shall read it.

    `command` is the one that was typed, if that is another.
    """
    typed = command or report.command
    if chosen == StreamFormat.JSON:
        print_json({**report.to_json(), "command": typed})
    elif chosen == StreamFormat.JSONL:
        for each in report.threads:
            print_json_line(line_document(typed, thread_json(report.command, each)))
    return chosen != StreamFormat.TEXT


def print_json_line(document: object) -> None:
    """Print one line of `--format jsonl`, and let the reader have it at once."""
    with written():
        print(json.dumps(document), flush=True)


@contextmanager
def written() -> Iterator[None]:
    """Turn a failed write to standard output into an error that says why. A `BrokenPipeError` is left to typer."""
    try:
        yield
    except (BrokenPipeError, errors.SolvenError):
        raise
    except OSError as error:
        fix = "Make room, or write elsewhere."
        raise errors.SolvenError(f"standard output cannot be written: {error.strerror}", fix=fix) from None


def tell_error(
    error: errors.SolvenError,
    command: str,
    thread: str | None,
    chosen: Format | CheckFormat | StreamFormat,
    *,
    storage: str | None = None,
    profile: str | None = None,
    all_but_usage: int | None = None,
) -> int:
    """Print an error as `errors_told` says, and give its exit code."""
    code = exit_code(error, all_but_usage)
    if chosen == CheckFormat.GITHUB:
        print_annotations(error)
    print_error_document(chosen, command, thread, error, code, storage)
    if isinstance(error, errors.SetupError) and chosen == Format.TEXT:
        say_changes(failure_report(error.location, error))
    print_error(error_text(error, thread=thread, storage=storage, profile=profile))
    return code


@contextmanager
def errors_told(
    command: str,
    thread: str | None,
    chosen: Format | CheckFormat | StreamFormat,
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
        sys.exit(
            tell_error(error, command, thread, chosen, storage=storage, profile=profile, all_but_usage=all_but_usage)
        )
    except KeyboardInterrupt as interrupt:
        doing = "".join(interrupt.args)  # as `cli.progress` has it
        fix = _LEFT.get(command, AGAIN)
        if doing and command in ("apply", "run"):
            fix = f"The next {command} begins it anew."
        interrupted = errors.SolvenError(f"interrupted while {doing}" if doing else "interrupted", fix=fix)
        print_error_document(chosen, command, thread, interrupted, INTERRUPTED)
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
        line = f"{sign} {change.kind} {name_of(change)}{f'  ({reason})' if reason else ''}"
        tell(line, indent=2, hang=4, sign=sign)
        for choice, does in change.choices.items() if has_choices else ():
            tell(f"--on-conflict {choice}: {does}", indent=6, sign=sign)


def name_of(change: Change) -> str:
    """The name of a change on one line. A name of several lines is the text of a command: its beginning is enough."""
    return brief(change.name, _LONGEST_NAME) if "\n" in change.name else printable(change.name)


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


def pending_code(thread: ThreadReport) -> int:
    """The exit code of a thread under `--exit-code`."""
    if thread.state == "conflict":
        return exit_code(errors.ConflictError(""))
    return PENDING if thread.state in ("new", "pending", "drift") else 0


def _is_coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def described_error(error: errors.SolvenError, code: int, storage: str | None) -> dict[str, object]:
    """An error, with those that the same call met too, as the documents have it. `storage` is the caller's."""
    described = _described(error, code, storage)
    if error.further:
        described["further"] = [_described(each, exit_code(each), storage) for each in error.further]
    return described


def _described(error: errors.SolvenError, code: int, storage: str | None) -> dict[str, object]:
    described = error_json(error, code) | {"fix": with_storage(error.fix, storage)}
    if error.details:
        described["details"] = list(error.details)
    if isinstance(error, errors.DocumentError):
        described["diagnostics"] = [diagnostic.to_json() for diagnostic in error.diagnostics]
    return described


def print_error_document(
    chosen: Format | CheckFormat | StreamFormat,
    command: str,
    thread: str | None,
    error: errors.SolvenError,
    code: int,
    storage: str | None = None,
) -> None:
    """Print what a format that programs read says of an error, one of a thread or of the whole command."""
    if chosen == StreamFormat.JSON:
        print_json(error_document(command, thread, error, code, storage))
    elif chosen == StreamFormat.JSONL:
        described = described_error(error, code, storage)
        print_json_line(line_document(command, {"thread": thread, "error": described}))


def print_annotations(error: errors.SolvenError) -> None:
    """Print what `--format github` says of an error: a workflow command for each mistake, or one for the error."""
    from solven_env.cli.annotations import annotation, annotation_of_error

    if isinstance(error, errors.DocumentError):
        for mistake in error.diagnostics:
            say(annotation(mistake))
    else:
        say(annotation_of_error(error))


def error_document(
    command: str, thread: str | None, error: errors.SolvenError, code: int, storage: str | None = None
) -> dict[str, object]:
    """The document about an error. `code` is its exit code, `storage` the one that the caller named."""
    described = described_error(error, code, storage)
    if thread is None:
        return document(command, error=described)
    return document(command, [failure_report(thread, error).to_json(lambda _: described)])
