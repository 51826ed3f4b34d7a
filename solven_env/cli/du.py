"""`solven-env du`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, StorageOption, StreamFormat, StreamFormatOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from solven_env.report import DiskReport
    from solven_env.workspace.sizes import DiskUse

_PARTS = ("workspace", "layers", "builds", "total")


def command(
    threads: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[THREAD]...",
            autocompletion=completing.threads,
            help="The threads' ids; without one, all of the storage.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    chosen: StreamFormatOption = StreamFormat.TEXT,
) -> None:
    """Measure the disk that threads take on this host: workspace, layers, and their share of builds.

    The size of a build is divided by the number of the threads that have it. A size after ≥ is not complete.

    \b
    Examples:
      solven-env du
      solven-env du thread-42 --format json
    """
    from solven_env.api import storages
    from solven_env.cli.output import errors_told, note
    from solven_env.cli.rows import Table, show
    from solven_env.cli.tables import told_use

    with errors_told("du", None, chosen, storage=storage):
        names = threads or storages.threads(storage)
        sums = _Sums(storages.disk_usage(threads or (), storage=storage, progress=note))
    table = Table(names, {each.upper(): -10 for each in _PARTS})

    def say(report: DiskReport) -> None:
        table.say(report.thread, ["-" if report.error else told_use(getattr(report, each)) for each in _PARTS])

    with errors_told("du", None, Format.TEXT, storage=storage):
        code = show("du", sums, chosen, say, storage=storage, more=sums.to_json)
        if chosen is StreamFormat.TEXT and len(names) > 1:
            table.say("total", [told_use(each) for each in sums.parts.values()])
        elif not names:
            note("there is no thread in this storage.")
    raise typer.Exit(code)


class _Sums:
    """Reports that pass by, and the sum of each part of them."""

    def __init__(self, reports: Iterable[DiskReport]) -> None:
        from solven_env.workspace.sizes import DiskUse

        self._reports = reports
        self.parts: dict[str, DiskUse] = dict.fromkeys(_PARTS, DiskUse())

    def __iter__(self) -> Iterator[DiskReport]:
        for report in self._reports:
            self.parts = {name: whole.plus(getattr(report, name)) for name, whole in self.parts.items()}
            yield report

    def to_json(self) -> Mapping[str, object]:
        """The sums as plain data."""
        return {"sum": {name: {"bytes": each.bytes, "complete": each.is_complete} for name, each in self.parts.items()}}
