"""Sizes in bytes as people write them, `4GiB`, and as they are told, `4.0 GiB`. Pure."""

from __future__ import annotations

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
"""Bytes of the units of documents and options."""


def read(text: str) -> int:
    """The bytes of a size that its schema has checked.

    >>> read("4GiB")
    4294967296
    """
    return int(text[:-3]) * UNITS[text[-3:]]


def told(size: int) -> str:
    """A number of bytes for a person, in nine columns at most.

    >>> told(0), told(4096), told(1023 << 20), told(3 << 30)
    ('0 B', '4.0 KiB', '1.0 GiB', '3.0 GiB')
    """
    value, units = float(size), ["B", *UNITS]
    while value >= (1024 if units[0] == "B" else 999.95) and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
