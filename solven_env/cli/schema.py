"""`solven-env schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli.options import Format

_PROFILE, _CONFIG = "profile-v1.json", "config-v1.json"


def command(
    config: Annotated[
        bool, typer.Option("--config", help="The schema of the host configuration instead of that of profiles.")
    ] = False,
    path: Annotated[
        bool, typer.Option("--path", help="Print the path of its file on this host, for an editor.")
    ] = False,
) -> None:
    """Print the JSON Schema (draft-07) of profiles: every field with its title, description and examples.

    An editor with the YAML language server uses the schema that the first line of a document names:

    \b
      # yaml-language-server: $schema=PATH      as --path prints it

    \b
    Examples:
      solven-env schema
      solven-env schema --path
      solven-env schema --config
    """
    from solven_env.cli.output import errors_told, say
    from solven_env.profile.source import read_schema
    from solven_env.system import shipped

    name = _CONFIG if config else _PROFILE
    with errors_told("schema", None, Format.TEXT):
        if path:
            say(str(shipped.directory("schemas") / name))
        else:
            say(read_schema(name).decode().removesuffix("\n"))
