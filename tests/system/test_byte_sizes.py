"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from solven_env.system import byte_sizes


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB"), (1 << 60, "1048576.0 TiB")],
)
def test_sizes(size: int, told: str) -> None:
    assert byte_sizes.told(size) == told


@pytest.mark.parametrize(("text", "size"), [("1KiB", 1024), ("4GiB", 4 << 30), ("2TiB", 2 << 40)])
def test_a_size_of_a_document(text: str, size: int) -> None:
    assert byte_sizes.read(text) == size
