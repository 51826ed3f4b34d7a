"""`solven-env doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, FormatOption, StorageOption

if TYPE_CHECKING:
    from solven_env.doctor.listing import ListedFile, Listing
    from solven_env.doctor.questions import Finding
    from solven_env.report import DoctorReport

_MARKS = {"ok": ("✓", "+"), "limited": ("!", "~"), "broken": ("✗", "-")}
_TYPES = {"directory": "d", "symlink": "l", "file": "-", "other": "?"}


def command(
    thread: Annotated[
        str | None,
        typer.Argument(metavar="[THREAD]", help="Look at this thread too.", autocompletion=completing.threads),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="PROFILE",
            help="Look at this profile too.",
            show_default=False,
            autocompletion=completing.profiles,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Only ask this question, as its line names it, and those that it needs; may be repeated.",
            show_default=False,
        ),
    ] = None,
    packages: Annotated[
        bool, typer.Option("--packages", help="Only list what is installed in the thread, as its commands find it.")
    ] = False,
    files: Annotated[
        bool, typer.Option("--files", help="Only list the workspace's top level and the rendered files.")
    ] = False,
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Find what is wrong: with this host, and with a profile or a thread.

    Each line answers one question by doing the thing. ✓ works, ! works with less, ✗ does not work: its cause and its
    fix, one command, follow. doctor itself repairs nothing. Exits with 1 if there is a ✗.

    \b
    Examples:
      solven-env doctor
      solven-env doctor thread-42
      solven-env doctor --profile profiles/solven.yaml
      solven-env doctor thread-42 --only PATH --only "Python packages"
      solven-env doctor thread-42 --packages --files
    """
    from solven_env.api import commands
    from solven_env.cli.output import errors_told, print_json
    from solven_env.errors import UsageError

    with errors_told("doctor", thread, chosen, storage=storage):
        if packages or files:
            if thread is None:
                raise UsageError("--packages and --files need a thread", fix="Write: solven-env doctor THREAD --files.")
            if only:
                raise UsageError("--packages and --files ask no question", fix="Leave --only away, or both of them.")
            listed = commands.contents(thread, storage=storage, packages=packages, files=files)
            if chosen is Format.JSON:
                print_json(_listing_json(listed, packages=packages, files=files))
            else:
                _say_listing(listed)
            return
        spoken = _Spoken(thread, profile, storage) if chosen is Format.TEXT else None
        told = spoken.say if spoken else lambda _: None
        report = commands.doctor(thread, profile=profile, storage=storage, only=only or (), progress=told)
    if spoken is None:
        findings = tuple(_to_paste(finding, storage) for finding in report.findings)
        print_json(report._replace(findings=findings).to_json())
    else:
        _say_sum(report)
    if report.is_broken:
        raise typer.Exit(1)


class _Spoken:
    """Findings as they come, beneath a heading for what each is about."""

    def __init__(self, thread: str | None, profile: str | None, storage: str | None) -> None:
        self.storage = storage
        self.headings = {"host": "this host", "profile": f"profile {profile}", "thread": f"thread {thread}"}
        self.heading = ""

    def say(self, finding: Finding) -> None:
        from solven_env.cli.output import tell
        from solven_env.errors import printable

        heading = self.headings[finding.subject]
        if heading != self.heading:
            tell(printable(heading), sign="@")
            self.heading = heading
        mark, sign = _MARKS[finding.answer.level]
        answer = _to_paste(finding, self.storage).answer
        tell(f"{mark} {finding.question}: {printable(answer.detail)}", indent=2, sign=sign)
        for text in filter(None, (answer.cause, answer.fix)):
            tell(printable(text), indent=6, hang=0)


def _to_paste(finding: Finding, storage: str | None) -> Finding:
    """The finding with a fix that names the caller's storage."""
    from solven_env.cli.errors import with_storage

    answer = finding.answer
    return finding._replace(answer=answer._replace(fix=with_storage(answer.fix, storage)))


def _say_sum(report: DoctorReport) -> None:
    from solven_env.cli.output import tell

    levels = [finding.answer.level for finding in report.findings]
    words = {"ok": "fine", "limited": "with less", "broken": "broken"}
    counts = ", ".join(f"{levels.count(level)} {word}" for level, word in words.items() if level in levels)
    tell(f"{counts or 'No question applies here'}.")
    if report.not_asked:
        tell(f"Not asked, since what they need is broken: {', '.join(report.not_asked)}.")


def _say_listing(listed: Listing) -> None:
    from solven_env.cli.output import say
    from solven_env.errors import printable

    for kind, lines in listed.packages.items():
        say(f"{kind} packages", "@")
        for line in lines:
            say(f"  {printable(line)}")
    for title, files in (("workspace", listed.top), ("rendered files", listed.rendered)):
        if files:
            say(title, "@")
        for file in files:
            say(_file_line(file))


def _file_line(file: ListedFile) -> str:
    from solven_env.errors import printable

    if file.entry is None:
        about = "?            -"
    else:
        about = f"{_TYPES[file.entry.kind]} {file.entry.mode:04o} {file.entry.size:>10}"
    reason = f"  ({file.reason})" if file.reason else ""
    return f"  {about:17} {printable(file.path)}{reason}"


def _listing_json(listed: Listing, *, packages: bool, files: bool) -> dict[str, object]:
    from solven_env.report import document

    found: dict[str, object] = {}
    if packages:
        found["packages"] = {kind: list(lines) for kind, lines in listed.packages.items()}
    if files:
        found["files"] = [_file_json(file) for file in listed.top]
        found["rendered"] = [_file_json(file) for file in listed.rendered]
    return document("doctor", probes=[], **found)


def _file_json(file: ListedFile) -> dict[str, object]:
    entry = file.entry
    described = {"type": entry.kind, "mode": f"{entry.mode:04o}", "size": entry.size} if entry else {"type": None}
    return {"path": file.path, **described, "reason": file.reason}
