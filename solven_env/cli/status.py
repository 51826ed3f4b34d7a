"""`solven-env status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.choosing import ThreadsArgument, ThreadsFromOption, chosen, chosen_for, nobody, only
from solven_env.cli.options import (
    ExitCodeOption,
    InputsOption,
    SetOption,
    StorageOption,
    StreamFormat,
    StreamFormatOption,
    given_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from solven_env.packages.added import Added
    from solven_env.report import ThreadReport
    from solven_env.sandbox.runtime import SessionState

_SHOWN = 8
"""Number of added packages that are named for each build; `--format json` names all."""

_STATES = {"in-sync": "in sync with", "drift": "drift from"}


def command(
    threads: ThreadsArgument = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="Look at every thread of the storage; with --profile, at those that have it.")
    ] = False,
    threads_from: ThreadsFromOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="PROFILE",
            help="Also show what is pending for it.",
            show_default=False,
            autocompletion=completing.profiles,
        ),
    ] = None,
    storage: StorageOption = None,
    settings: SetOption = None,
    inputs: InputsOption = None,
    exit_code: ExitCodeOption = False,
    form: StreamFormatOption = StreamFormat.TEXT,
) -> None:
    """Show where a workspace differs from what was applied; also its builds, added packages and session.

    Of several threads, those in sync are counted only.

    \b
    Examples:
      solven-env status thread-42
      solven-env status thread-42 --profile solven --exit-code
      solven-env status --all --format jsonl
    """
    from solven_env.api import storages, workspaces
    from solven_env.cli.each import Words, tell_each
    from solven_env.cli.output import errors_told, is_printed, pending_code

    def code(report: ThreadReport) -> int:
        return pending_code(report) if exit_code else 0

    def say_one(report: ThreadReport) -> None:
        if report.state != "in-sync":
            _say(report, storage)

    one = only(threads, threads_from, is_all)
    with errors_told("status", one, form, storage=storage, profile=profile):
        given = given_inputs(settings, inputs)
        if one is None:
            if profile is None:
                source, names = None, chosen(threads, threads_from, is_all, lambda: storages.threads(storage))
            else:
                source, names = chosen_for(profile, threads, threads_from, is_all, storage)

            def begin(_: object) -> Generator[ThreadReport, None, None]:
                return workspaces.status_many(names, profile=source, storage=storage, inputs=given)

            said = Words("status", "looking at", "looked at", say=say_one, code=code)
            raise typer.Exit(
                tell_each(said, names, form, begin, storage=storage, profile=profile, nobody=nobody(is_all, profile))
            )
        report = workspaces.status(one, profile=profile, storage=storage, inputs=given)
    (found,) = report.threads
    if not is_printed(report, form):
        _say(found, storage)
    raise typer.Exit(code(found))


def _say(report: ThreadReport, storage: str | None) -> None:
    """Print how a thread stands."""
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import say_carried, say_changes, say_notes, tell
    from solven_env.errors import printable
    from solven_env.packages.locks import told

    state = _STATES.get(report.state, f"{report.state} since")
    tell(f"{report.thread}: {state} {report.profile} {report.release}, generation {report.generation}")
    say_changes(report)
    say_notes(report)
    for key in report.builds:
        tell(f"build {key}", indent=2)
    added = "; ".join(filter(None, map(_told_added, report.added)))
    if added:
        tell(f"added inside: {added}", indent=2)
    say_carried(report)
    for line in told(report.remarks):
        tell(with_storage(line, storage), indent=2)
    for path in report.missing_links:
        tell(f"link {printable(path)} leads nowhere yet, and is left out", indent=2)
    for limit, why, fix in report.unenforced:
        tell(f"limit {limit} is not enforced: {why}. {fix}", indent=2)
    if report.session:
        tell(f"session {_told(report.session, report.thread, storage)}", indent=2)
    if report.is_interrupted:
        tell("an apply was interrupted; the next one finishes it", indent=2)


def _told_added(added: Added) -> str:
    """The added packages of one build, `python six 1.17.0, httpx 0.28.1` say; empty without any."""
    from solven_env.errors import printable

    names = [printable(f"{package.name} {package.version}".rstrip()) for package in added.packages]
    told = names[:_SHOWN] + [f"{len(names) - _SHOWN} more"] * (len(names) > _SHOWN)
    told += [] if added.is_complete else ["what cannot be listed"]
    return f"{added.kind} {', '.join(told)}" if told else ""


def _told(session: SessionState, thread: str, storage: str | None) -> str:
    from solven_env.errors import counted

    if not session.answers:
        from solven_env.cli.errors import with_storage

        return with_storage(f"does not answer; end it: solven-env stop {thread}", storage)
    commands = f"of {counted(session.commands or 0, 'command')}, {session.age:.0f} s old"
    return f"{commands}, kept for {session.keep_alive:.0f} s after them" if session.keep_alive else commands
