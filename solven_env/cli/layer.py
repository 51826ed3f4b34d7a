"""`solven-env layer`: a word for each thing to do with what a thread has over its builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.layer_promote import promote
from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Callable

KindOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="python or bun, instead of both; may be repeated.",
        show_default=False,
        autocompletion=completing.ecosystems,
    ),
]
_SIGNS = {"added": "+", "removed": "-", "edited": "~"}


def command() -> None:
    """Show, reset or promote what a thread has over its packages: what was installed, removed and edited inside.

    \b
    Examples:
      solven-env layer diff thread-42
      solven-env layer reset thread-42 --kind python
      solven-env layer promote thread-42 team.yaml
    """


def diff(thread: ThreadArgument, storage: StorageOption = None, chosen: FormatOption = Format.TEXT) -> None:
    """Show what a thread has over its builds.

    Names packages that were added and removed inside, and files that were added and edited there. Reads what is on
    this host: a package that another host added is here once a command has run here.

    \b
    Examples:
      solven-env layer diff thread-42
      solven-env layer diff thread-42 --format json
    """
    from solven_env.api.packages import layer_diff
    from solven_env.cli.output import errors_told, note, print_json, tell
    from solven_env.errors import printable

    with errors_told("layer", thread, chosen, storage=storage):
        report = layer_diff(thread, storage=storage)
    if chosen is Format.JSON:
        print_json(report.to_json())
        return
    for layer in report.layers:
        packages = [(" ".join(package).rstrip(), "added") for package in layer.added]
        packages += [(name, "removed") for name in layer.removed]
        for name, how in (*packages, *((f"file {path}", how) for path, how in layer.files)):
            tell(f"{_SIGNS[how]} {layer.kind} {printable(name)}", hang=4, sign=_SIGNS[how])
        if not layer.is_complete:
            note(f"{thread}: {layer.kind}: not everything could be listed.")
    if report.is_empty:
        note(f"{thread}: nothing over its builds.")


def reset(
    thread: ThreadArgument, kind: KindOption = None, storage: StorageOption = None, chosen: FormatOption = Format.TEXT
) -> None:
    """Begin afresh with the builds as they are.

    The thread's next command finds nothing of what was added, removed or edited inside. The old layers are kept, and
    named. Commands that run keep them until they end.

    \b
    Examples:
      solven-env layer reset thread-42
      solven-env layer reset thread-42 --kind python
    """
    from solven_env.api.packages import layer_reset
    from solven_env.cli.output import errors_told, note, print_json, say, tell
    from solven_env.errors import printable

    with errors_told("layer", thread, chosen, storage=storage):
        report = layer_reset(thread, kinds=kind or (), storage=storage)
    if chosen is Format.JSON:
        print_json(report.to_json())
        return
    for name, kept in report.kept.items():
        tell(f"{thread}: {name} begins afresh" + (". What the thread had is kept:" if kept else "."))
        if kept:
            say(f"      {printable(kept)}")
    if not report.kept:
        note(f"{thread}: it has no packages, and nothing to begin afresh.")


WORDS: dict[str, Callable[..., None]] = {"diff": diff, "reset": reset, "promote": promote}
"""The functions by their words, in the order of the help. Another word is a row here."""
