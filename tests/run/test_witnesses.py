"""Each look tells what was changed from what was not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.run import witnesses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write(path: Path) -> None:
    path.write_text("other")


def write_the_same(path: Path) -> None:
    (path.parent / "new").write_bytes(path.read_bytes())
    (path.parent / "new").chmod(0o755)
    (path.parent / "new").rename(path)


def link_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def close(path: Path) -> None:
    path.chmod(0o600)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (witnesses.content, {write, link_elsewhere, remove}),
        (witnesses.link, {link_elsewhere}),
        (witnesses.identity, {write_the_same, link_elsewhere, close, remove}),
        (witnesses.state, {write, write_the_same, link_elsewhere, close, remove}),
        (witnesses.is_program, {link_elsewhere, close, remove}),
        (witnesses.can_open, {link_elsewhere, remove}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_look_sees(look: Callable[[str], object], seen: set[Callable[[Path], None]], tmp_path: Path) -> None:
    found = set()
    for change in (write, write_the_same, link_elsewhere, close, remove):
        path = tmp_path / change.__name__ / "file"
        path.parent.mkdir()
        path.write_text("first")
        path.chmod(0o755)
        before = look(str(path))
        assert look(str(path)) == before
        change(path)
        if look(str(path)) != before:
            found.add(change)
    assert found == seen


def test_a_program_that_comes_before_another_on_path_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(f"{tmp_path}/{name}" for name in "abc"))
    assert list(witnesses.of_program(f"{tmp_path}/b/tool")) == [
        (witnesses.is_program, f"{tmp_path}/a/tool"),
        (witnesses.is_program, f"{tmp_path}/b/tool"),
    ]
