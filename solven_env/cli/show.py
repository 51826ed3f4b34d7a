"""`solven-env show`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from solven_env.report import ShowReport


def command(
    thread: ThreadArgument,
    generation: Annotated[int, typer.Argument(metavar="N", help="The generation's number: see history.")],
    storage: StorageOption = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Show what one generation left: its profile, inputs, files, builds and packages, and what it kept.

    It also names the settings that differ from those of the generation before.

    \b
    Examples:
      solven-env show thread-42 3
      solven-env show thread-42 3 --format json
    """
    from solven_env.api import workspaces
    from solven_env.cli.output import errors_told, print_json

    with errors_told("show", thread, chosen, storage=storage):
        report = workspaces.show(thread, generation, storage=storage)
    if chosen is Format.JSON:
        print_json(report.to_json())
    else:
        _say(report)


def _say(report: ShowReport) -> None:
    from solven_env.cli.output import say, tell
    from solven_env.errors import printable
    from solven_env.reconcile.kinds import files

    generation, record = report.generation, report.record
    present = ", the present one" if generation.is_present else ""
    profile = f"{record.profile['name']} {record.profile['release']}"
    tell(printable(f"{report.thread}: generation {generation.number}{present}, {profile}"))
    told = [generation.about(name) or "unknown" for name in ("cause", "time", "host", "version")]
    tell(printable("{}, {} on {}, with solven-env {}".format(*told)), indent=2)
    for name, value in sorted(record.inputs.items()):
        tell(printable(f"input {name}: {value}"), indent=2)
    if report.changed:
        tell(printable(f"changed since generation {report.before}: {', '.join(report.changed)}"), indent=2)
    for path, address in sorted(files(record.resources).items()):
        entry = record.resources[address]
        own = "" if entry.own == "whole" else f"  own: {entry.own}"
        say(f"  {entry.mode or '----'} {entry.digest.removeprefix('sha256:')[:12]} {printable(path)}{own}")
    for _, build in sorted(record.builds.items()):
        tell(f"build {build['key']}", indent=2)
    for kind, added in sorted(record.added.items()):
        packages = [f"{name} {version}".rstrip() for name, version in sorted(added.get("packages", {}).items())]
        packages += [f"without {name}" for name in added.get("removed", ())]
        tell(printable(f"added inside: {kind} {', '.join(packages)}"), indent=2)
    if generation.error:
        tell(f"what it kept cannot be told: {generation.error}", indent=2)
    for kept, location in zip(generation.kept, generation.kept_at, strict=True):
        what = "moved the whole former" if kept.is_moved else "kept the former"
        tell(f"{what} {printable(kept.path)}{f' -> {printable(kept.target)}' if kept.target else ''}", indent=2)
        if location:
            say(f"      {printable(shlex.quote(location))}")
