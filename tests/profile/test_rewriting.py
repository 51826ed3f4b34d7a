"""The text of a profile replaced: whatever else writes there, and whoever else writes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from solven_env.errors import UsageError
from solven_env.profile.rewriting import rewrite, rewriting


def test_a_link_that_takes_the_directorys_place_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may format a profile in the directory of another user, who is quick."""
    for name in ("theirs", "etc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "team.yaml").write_text("one")
    resolve = Path.resolve

    def resolved(path: Path, *, strict: bool = False) -> Path:
        found = resolve(path, strict=strict)
        (tmp_path / "theirs").rename(tmp_path / "moved")
        (tmp_path / "theirs").symlink_to("etc")
        return found

    monkeypatch.setattr(Path, "resolve", resolved)
    with pytest.raises(UsageError):
        rewrite(tmp_path / "theirs" / "team.yaml", b"one", b"two")
    assert (tmp_path / "etc" / "team.yaml").read_text() == "one"


def test_a_profile_that_is_gone_meanwhile_is_told(tmp_path: Path) -> None:
    """A lock takes seconds, and a profile may be a pipe: `add <(cat team.yaml) python httpx`."""
    profile = tmp_path / "theirs" / "team.yaml"
    with pytest.raises(UsageError, match="no such file or directory"):
        rewrite(profile, b"one", b"two")
    profile.parent.mkdir()
    profile.write_text("one")
    with pytest.raises(UsageError, match="no such file or directory"), rewriting(profile, b"one", b"two"):
        profile.unlink()
        profile.parent.rmdir()


def test_of_many_that_write_at_once_none_loses_what_another_wrote(tmp_path: Path) -> None:
    profile = tmp_path / "team.yaml"
    profile.write_bytes(b"")

    def write(_: int) -> int:
        written = 0
        for _ in range(100):
            text = profile.read_bytes()
            with suppress(UsageError):
                rewrite(profile, text, text + b"x\n")
                written += 1
        return written

    with ThreadPoolExecutor(4) as pool:
        written = sum(pool.map(write, range(4)))
    assert len(profile.read_bytes().splitlines()) == written > 0
