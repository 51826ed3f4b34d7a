"""`solven-env init`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import Format, FormatOption


def command(
    profile: Annotated[
        str, typer.Argument(metavar="[PROFILE]", help="The file to write, ending in .yaml or .yml.")
    ] = "profile.yaml",
    workspace: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WORKSPACE",
            help="A workspace that something else made: its packages, and the variables of its .bashrc, get into the "
            "profile.",
            show_default=False,
        ),
    ] = None,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Write a new profile: small, valid and commented.

    With --from, it has what a workspace states: the dependencies of its pyproject.toml and package.json, the plain
    exports of its .bashrc (NAME=value, and directories before $PATH), and its .gitignore. Nothing of it is run. What
    the profile does not get is told on standard error. A file that is there is never overwritten.

    \b
    Examples:
      solven-env init team.yaml
      solven-env init team.yaml --from /srv/agents/threads/thread-42
    """
    import shlex

    from solven_env.api import profiles
    from solven_env.cli.output import errors_told, note, print_json, tell
    from solven_env.errors import printable
    from solven_env.profile.drafting import told
    from solven_env.report import document

    with errors_told("init", None, chosen):
        remarks = profiles.init(profile, workspace=workspace)
    if chosen is Format.JSON:
        print_json(document("init", profile=profile, not_taken=[each._asdict() for each in remarks]))
        return
    for line in told(remarks):
        note(f"not taken: {line}")
    tell(f"{printable(profile)}: written. Check it with: solven-env validate {printable(shlex.quote(profile))}")
