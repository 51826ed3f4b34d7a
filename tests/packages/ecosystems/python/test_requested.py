"""What a dist-info says of its package, and how a profile asks for the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.packages.additions import Installed
from solven_env.packages.ecosystems.python import LOCK, Python, locked, requested
from solven_env.packages.origins import Origin
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = Installed("acme", "1.0", "acme-1.0.dist-info", "")
NEEDS = "Name: acme\nRequires-Dist: Solven_Dep>=1\nRequires-Dist: extra1 ; extra == 'x'\nRequires-Dist: =\n\nRequires-Dist: z\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"METADATA": NEEDS, "REQUESTED": ""}, Origin(frozenset({"solven-dep"}))),
        ({"METADATA": NEEDS.replace("\n", "\r\n")}, Origin(frozenset({"solven-dep"}), is_requested=False)),
        ({"RECORD": ""}, Origin()),
    ],
)
def test_the_origin_is_read(tmp_path: Path, files: dict[str, str], expected: Origin) -> None:
    place = tmp_path / PACKAGE.path
    place.mkdir()
    for name, text in files.items():
        (place / name).write_bytes(text.encode())
    with Root(os.open(tmp_path, os.O_RDONLY), None) as root:
        assert requested.origin(root, PACKAGE) == expected


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / PACKAGE.path).mkdir()
    (tmp_path / PACKAGE.path / "METADATA").symlink_to("/etc/passwd")
    with Root(os.open(tmp_path, os.O_RDONLY), None) as root:
        assert requested.origin(root, PACKAGE) == Origin()


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("rich", "14.1.0", "rich>=14.1.0"),
        ("rich", "2.0rc1", "rich>=2.0rc1"),
        ("torch", "2.0.0+cpu", "torch>=2.0.0"),
        ("rich", "", None),
        ("rich", "1; import os", None),
        ("rich", "1,<2", None),
        ("a @ https://example.com/a", "1", None),
        ("a\n- b", "1", None),
    ],
)
def test_names_and_versions_are_held_to_their_grammar(name: str, version: str, text: str | None) -> None:
    assert requested.asking(name, version) == text


def test_the_sections_own_range_counts() -> None:
    section = Python("3.12", ("httpx<0.28", "six"))
    given = [("httpx", "0.27.0"), ("httpx", "0.28.0"), ("six", "1"), ("rich", "1")]
    assert [requested.accepts(section, *each) for each in given] == [True, False, True, None]


def test_preferred_versions_take_the_place_of_known_ones() -> None:
    digest = "a" * 64
    known = f"six==1.0 \\\n    --hash=sha256:{digest}\nrich==1.0 \\\n    --hash=sha256:{digest}\n".encode()
    found = locked(requested.preferring(known, {"rich": "2.0", "new": "3.0"}), LOCK).pins
    assert [(pin.name, pin.version) for pin in found] == [("six", "1.0"), ("rich", "2.0"), ("new", "3.0")]
    assert [pin.name for pin in locked(requested.preferring(b"", {"new": "3.0"}), LOCK).pins] == ["new"]
