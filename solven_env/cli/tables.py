"""Values of tables for people: sizes, ages, and text that fits its column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from solven_env.errors import printable
from solven_env.system import byte_sizes

if TYPE_CHECKING:
    from solven_env.workspace.sizes import DiskUse

COLUMNS = 80
"""The columns of a table."""
NAME = 36
"""The most columns of a thread's name: those of a UUID. A longer one has a line of its own, to be copied whole."""
_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def told_use(use: DiskUse | None) -> str:
    """The disk that something takes; `≥` before what may be more, and nothing for what was not measured.

    >>> from solven_env.workspace.sizes import DiskUse
    >>> told_use(DiskUse(4096)), told_use(DiskUse(4096, is_complete=False)), told_use(None)
    ('4.0 KiB', '≥4.0 KiB', '')
    """
    return "" if use is None else f"{'' if use.is_complete else '≥'}{byte_sizes.told(use.bytes)}"


def age(time: str, now: datetime | None = None) -> str:
    """Age of a time that a record has, in its largest unit; `-` for none.

    >>> age("2026-01-01T10:00:00Z", datetime(2026, 1, 1, 12, 59, tzinfo=UTC)), age("")
    ('2 h', '-')
    """
    try:
        then = datetime.fromisoformat(time)
        seconds = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    except (ValueError, TypeError):
        return "-"
    count, unit = next((seconds // each, unit) for each, unit in _AGES if seconds >= each or each == 1)
    return f"{count} {unit}"


def cut(text: str, width: int) -> str:
    """Text on one line, safe for a terminal, in so many columns at most.

    >>> cut("a long\\nname", 8)
    'a long\\\\…'
    """
    shown = printable(text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"
