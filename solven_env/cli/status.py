"""`solven-env status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import (
    ExitCodeOption,
    Format,
    FormatOption,
    InputsOption,
    SetOption,
    StorageOption,
    ThreadArgument,
    given_inputs,
)

if TYPE_CHECKING:
    from solven_env.packages.added import Added
    from solven_env.sandbox.runtime import SessionState

_SHOWN = 8
"""Number of added packages that are named for each build; `--format json` names all."""

_STATES = {"in-sync": "in sync with", "drift": "drift from"}


def command(
    thread: ThreadArgument,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="PROFILE", help="Also show what is pending for it.", show_default=False),
    ] = None,
    storage: StorageOption = None,
    settings: SetOption = None,
    inputs: InputsOption = None,
    exit_code: ExitCodeOption = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Show where a workspace differs from what was applied; also its builds, added packages and session.

    \b
    Examples:
      solven-env status thread-42
      solven-env status thread-42 --profile solven --exit-code
    """
    from solven_env import api
    from solven_env.cli.errors import with_storage
    from solven_env.cli.output import errors_told, pending_code, print_json, say_carried, say_changes, say_notes, tell
    from solven_env.errors import printable
    from solven_env.packages.locks import told

    with errors_told("status", thread, chosen, storage=storage, profile=profile):
        report = api.status(thread, profile=profile, storage=storage, inputs=given_inputs(settings, inputs))
    if chosen is Format.JSON:
        print_json(report.to_json())
    else:
        for each in report.threads:
            state = _STATES.get(each.state, f"{each.state} since")
            tell(f"{each.thread}: {state} {each.profile} {each.release}, generation {each.generation}")
            say_changes(each)
            say_notes(each)
            for key in each.builds:
                tell(f"build {key}", indent=2)
            added = "; ".join(filter(None, map(_told_added, each.added)))
            if added:
                tell(f"added inside: {added}", indent=2)
            say_carried(each)
            for line in told(each.remarks):
                tell(with_storage(line, storage), indent=2)
            for path in each.missing_links:
                tell(f"link {printable(path)} leads nowhere yet, and is left out", indent=2)
            for limit, why, fix in each.unenforced:
                tell(f"limit {limit} is not enforced: {why}. {fix}", indent=2)
            if each.session:
                tell(f"session {_told(each.session, thread, storage)}", indent=2)
            if each.is_interrupted:
                tell("an apply was interrupted; the next one finishes it", indent=2)
    if exit_code:
        raise typer.Exit(pending_code(report))


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
