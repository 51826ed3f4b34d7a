"""What a resolved profile and its rendered files ask of a workspace."""

from __future__ import annotations

import json

import pytest

from solven_env.profile.model import Link, Mount, Sandbox
from solven_env.profile.render import RenderedFile
from solven_env.profile.sections import Bun, Python
from solven_env.reconcile.desired import desired
from solven_env.reconcile.kinds.settings import settings
from solven_env.reconcile.model import parents
from tests.reconcile.states import DIR, profile, text, wanted


@pytest.mark.parametrize(
    ("path", "above"),
    [(".bashrc", []), ("bin/hello", ["bin"]), ("a/b/c", ["a", "a/b"])],
)
def test_the_parents_of_a_path(path: str, above: list[str]) -> None:
    assert parents(path) == above


def test_a_file_asks_for_its_parents() -> None:
    asked = wanted({"a/b/f": text("x", "0755"), "g": text("y")}, keys=("g",))
    assert asked.states == {
        "directory:/": DIR,
        "directory:a": DIR,
        "directory:a/b": DIR,
        "file:a/b/f": text("x", "0755"),
        "file:g": text("y"),
    }
    assert asked.states["file:g"].data == b"y"
    assert asked.own == {"file:a/b/f": "whole", "file:g": "keys"}


def test_settings_come_back_from_a_record_as_they_were() -> None:
    full = profile(env={"A": "1"})._replace(
        path=("/bin",),
        mounts=(Mount("/usr", source="/usr", why="programs"), Mount("/tmp", kind="tmpfs", size="1GiB")),
        links=(Link("skills", "skills/x", optional=True),),
        python=Python("3.12", ("pandas",)),
        bun=Bun({"docx": "^8.0.0"}),
    )
    found = settings(full)
    assert json.loads(json.dumps(found)) == found


def test_what_may_be_reached_is_a_setting_that_older_records_need_not_have() -> None:
    """A thread that was applied before there was `allow` is in sync, and pending once the profile says it."""
    closed = profile()
    opened = closed._replace(sandbox=Sandbox(network="internet", allow=("10.20.0.0/16",)))
    assert "allow" not in settings(closed)
    assert settings(opened)["allow"] == ["10.20.0.0/16"]
    assert json.loads(json.dumps(settings(opened))) == settings(opened)


BASE = {"f": text("x")}


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (wanted(BASE), True),
        (wanted(BASE, release="2.0.0"), True),
        (wanted({"f": text("y")}), False),
        (wanted({"f": text("x", "0755")}), False),
        (wanted({"g": text("x")}), False),
        (wanted(BASE, env={"A": "1"}), False),
    ],
)
def test_the_digest_is_that_of_settings_and_files(other: object, is_same: bool) -> None:
    assert (wanted(BASE).profile["digest"] == other.profile["digest"]) is is_same  # type: ignore[attr-defined]


def test_the_order_of_files_does_not_matter() -> None:
    files = [RenderedFile(path, b"x", "0644", "whole") for path in ("b", "a/c", "a/b")]
    assert desired(profile(), files, {}) == desired(profile(), files[::-1], {})
