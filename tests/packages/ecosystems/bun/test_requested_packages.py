"""What a package.json says of its package, and how a profile asks for the same."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from solven_env.packages.additions import Installed
from solven_env.packages.ecosystems.bun import Bun, requested_packages
from solven_env.packages.origins import Origin
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = Installed("a", "1.0.0", "a", "")


def test_the_needs_are_its_own_and_those_of_what_it_has_within(tmp_path: Path) -> None:
    manifests = {
        "a": {"dependencies": {"b": "1"}, "peerDependencies": {"p": "1"}, "devDependencies": {"d": "1"}},
        "a/node_modules/b": {"dependencies": {"kind-of": "1"}},
        "a/node_modules/@s/c": {"optionalDependencies": {"deep": "1"}},
        "a/node_modules/bad": 3,
    }
    for path, manifest in manifests.items():
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "package.json").write_text(json.dumps(manifest))
    (tmp_path / "a/node_modules/linked").symlink_to("/etc")
    with Root(os.open(tmp_path, os.O_RDONLY), None) as root:
        assert requested_packages.origin(root, PACKAGE) == Origin(frozenset({"b", "p", "kind-of", "deep"}))
        assert requested_packages.origin(root, PACKAGE._replace(path="none")) == Origin()


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("ms", "2.1.3", "^2.1.3"),
        ("@types/node", "1.0.0-beta.1", "^1.0.0-beta.1"),
        ("width", "npm:string-width@4.2.3", "npm:string-width@^4.2.3"),
        ("ms", "", None),
        ("ms", "latest", None),
        ("ms", "1.0.0 || 2.0.0", None),
        ("../ms", "1.0.0", None),
        ("ms", "npm:../x@1.0.0", None),
    ],
)
def test_names_and_versions_are_held_to_their_grammar(name: str, version: str, text: str | None) -> None:
    assert requested_packages.asking(name, version) == text


def test_the_sections_own_range_counts() -> None:
    section = Bun({"ms": "^2.1.0", "width": "npm:string-width@^4.0.0"})
    given = [("ms", "2.1.3"), ("ms", "3.0.0"), ("width", "npm:string-width@4.2.3"), ("other", "1.0.0")]
    assert [requested_packages.accepts(section, *each) for each in given] == [True, False, True, None]
