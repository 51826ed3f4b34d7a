"""Upgrades of single JavaScript packages: what moves, and what stays, by a registry that gets newer versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.packages import locks, toolchain
from solven_env.packages.ecosystems.bun import Bun, locking, upgrading
from tests.packages.registry import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTION = Bun({"up-a": "^1.0.0", "up-b": "^1.0.0", "up-c": "^1.0.0"})


@pytest.fixture
def renewed(environ: dict[str, str], caches: Path, tmp_path: Path) -> Iterator[tuple[toolchain.Toolchain, bytes]]:
    """A host, and a lock of SECTION that was made before its registry had newer versions."""
    with serve() as registry:
        (tmp_path / "home/.npmrc").write_text(f"registry={registry.address}/\n")
        host = toolchain.host(caches / "solven-env", environ)
        for version in ("1.0.0", "2.0.0"):
            registry.add_npm("up-leaf", version)
        for name, wanted in (("up-a", "^1.0.0"), ("up-b", "^2.0.0"), ("up-c", "^1.0.0")):
            registry.add_npm(name, "1.0.0", needs={"up-leaf": wanted})
        lock = locking.resolve(SECTION, b"", host)
        for version in ("1.1.0", "2.1.0"):
            registry.add_npm("up-leaf", version)
        registry.add_npm("up-a", "1.1.0", needs={"up-leaf": "^1.0.0"})
        registry.add_npm("up-c", "1.1.0", needs={"up-leaf": "^1.1.0"})
        yield host, lock


@pytest.mark.parametrize(
    ("names", "moved"),
    [
        ({"up-a"}, {"up-a 1.0.0 → 1.1.0"}),
        ({"up-c"}, {"up-c 1.0.0 → 1.1.0", "+ up-c/up-leaf 1.1.0"}),  # it forces another, and up-a keeps its own
        ({"up-leaf"}, {"up-leaf 1.0.0 → 1.1.0", "up-b/up-leaf 2.0.0 → 2.1.0"}),  # nothing but others asks for it
        ({"up-b"}, set()),
    ],
)
def test_a_package_moves_with_what_it_forces(
    renewed: tuple[toolchain.Toolchain, bytes], names: set[str], moved: set[str]
) -> None:
    host, lock = renewed
    text = locking.resolve(SECTION, upgrading.released(SECTION, lock, names, host), host)
    assert {str(each) for each in locks.version_changes("bun", lock, text)} == moved
    assert b"127.0.0.1" not in text
