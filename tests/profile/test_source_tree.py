"""Directories as sources: their files as they are, through no link, and bounded."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import ProfileError
from solven_env.profile import source_tree
from solven_env.profile.render import SourceError, SourceTree
from solven_env.profile.source import ProfileSource
from solven_env.system import reread
from tests.profiles import write_profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.profile.render import RenderedFile

pytestmark = pytest.mark.usefixtures("own_data")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory beside a profile."""
    made = tmp_path / "files/tool"
    (made / "sub/empty").mkdir(parents=True)
    (made / "config.toml").write_bytes(b"a = 1\r\n{{ thread }}\n")
    (made / "sub/run").write_bytes(b"#!/bin/sh\n")
    (made / "sub/run").chmod(0o6775)
    (made / "logo.png").write_bytes(b"\x89PNG\0\xff")
    (made / "logo.png").chmod(0o600)
    return made


def read(tree: Path) -> SourceTree:
    found = ProfileSource(b"", "p.yaml", tree.parents[1]).read_source("files/tool")
    assert isinstance(found, SourceTree)
    return found


def problem(tree: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read(tree)
    assert caught.value.fix
    return str(caught.value)


def rendered(tree: Path, item: dict[str, str] | None = None, **further: object) -> tuple[RenderedFile, ...]:
    dotfiles = {".config/tool": {"source": "files/tool", **(item or {})}, **further}
    return solven_env.render(write_profile(tree.parents[1] / "p.yaml", dotfiles))


def test_the_files_of_a_directory_are_rendered_with_their_bytes_and_modes(tree: Path) -> None:
    found = {each.path: (each.data, each.mode, each.own) for each in rendered(tree)}
    assert found == {
        ".config/tool/config.toml": (b"a = 1\r\n{{ thread }}\n", "0644", "whole"),
        ".config/tool/logo.png": (b"\x89PNG\0\xff", "0644", "whole"),
        ".config/tool/sub/run": (b"#!/bin/sh\n", "0755", "whole"),
    }
    assert {each.own for each in rendered(tree, {"own": "seed"})} == {"seed"}


def test_a_directory_reached_through_a_link_that_stays_beside_the_profile(tree: Path) -> None:
    tree.rename(tree.with_name("other"))
    tree.symlink_to("other")
    assert len(read(tree).files) == 3


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (lambda tree: (tree / "sub/l").symlink_to("/etc/passwd"), "has a link in it: 'sub/l'"),
        (lambda tree: (tree / "sub/l").symlink_to("run"), "has a link in it: 'sub/l'"),
        (lambda tree: (tree / "l").symlink_to("sub"), "has a link in it: 'l'"),
        (lambda tree: (tree / "l").symlink_to("nowhere"), "has a link in it: 'l'"),
        (lambda tree: os.mkfifo(tree / "p"), "has a device, a pipe or a socket in it: 'p'"),
        (lambda tree: _socket(tree / "s"), "has a device, a pipe or a socket in it: 's'"),
        (lambda tree: (tree / "l\n\x1b[2J").symlink_to("x"), "has a link in it: 'l\\n\\x1b[2J'"),
    ],
)
def test_what_is_no_file_in_it_is_named(tree: Path, plant: Callable[[Path], object], expected: str) -> None:
    plant(tree)
    assert problem(tree) == expected


def test_a_link_out_of_the_profiles_directory_is_not_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    tree.rename(outside)
    tree.symlink_to(outside)
    assert problem(tree) == "is reached through a link that leads out of the profile's directory"


def test_what_takes_the_place_of_a_file_between_two_looks(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def planting(path: object, flags: int, **options: object) -> int:
        if path == "logo.png":
            (tree / "logo.png").unlink()
            (tree / "logo.png").symlink_to("/etc/passwd")
        return real(path, flags, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", planting)
    assert "cannot be read" in problem(tree)


@pytest.mark.parametrize(
    ("bound", "value", "expected"),
    [
        ("MAX_FILES", 4, "has more than 4 files and directories in it"),
        ("MAX_BYTES", 30, "has more than 0 MiB in its files"),
        ("MAX_DEPTH", 0, "has more than 0 directories in each other"),
    ],
)
def test_it_is_bounded(tree: Path, bound: str, value: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tree, bound, value)
    assert problem(tree) == expected


def test_a_file_in_it_is_as_large_as_any_source(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solven_env.profile.source.MAX_SOURCE", 1024)
    (tree / "large").write_bytes(b"x" * 1025)
    assert problem(tree) == "holds 'large', which has more than 1 KiB"


def test_a_wide_tree_needs_few_descriptors(tree: Path) -> None:
    for number in range(1500):
        (tree / f"{number}").mkdir()
    assert len(read(tree).files) == 3
    assert len(os.listdir("/proc/self/fd")) < 100


def mistakes(tree: Path, item: dict[str, str] | None = None, **further: object) -> list[str]:
    with pytest.raises(ProfileError) as caught:
        rendered(tree, item, **further)
    return [each.message for each in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"mode": "0755"}, "'files/tool' is a directory, whose files have modes of their own"),
        ({"own": "block"}, "'files/tool' is a directory, whose files cannot be of own: block"),
    ],
)
def test_what_a_directory_cannot_have(tree: Path, item: dict[str, str], expected: str) -> None:
    assert mistakes(tree, item) == [expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"a\nb", "holds 'a\\nb', whose path in the workspace holds a character that cannot be printed"),
        (b"a\xff", "holds 'a\\udcff', whose path in the workspace holds a character that cannot be printed"),
        (b"x" * 250, f"holds '{'x' * 59}…', whose path in the workspace is too long"),
        (b".solven-env-1.tmp", "holds '.solven-env-1.tmp', whose path in the workspace has a name that solven-env"),
    ],
)
def test_a_name_that_no_dotfile_can_have(tree: Path, name: bytes, expected: str) -> None:
    (Path(os.fsdecode(os.fsencode(tree) + b"/" + name))).touch()
    (found,) = mistakes(tree)
    assert found.startswith(f"'files/tool' {expected}")


def test_an_empty_directory_is_a_mistake(tree: Path) -> None:
    for each in ("config.toml", "logo.png", "sub/run"):
        (tree / each).unlink()
    assert mistakes(tree) == ["'files/tool' is a directory without a file"]


def test_other_files_may_stand_in_the_directory_but_not_in_the_place_of_its_own(tree: Path) -> None:
    found = [each.path for each in rendered(tree, **{".config/tool/own.conf": {"content": "x"}})]
    assert ".config/tool/own.conf" in found
    assert mistakes(tree, **{".config/tool/config.toml": {"content": "x"}}) == [
        "a file stands at /.config/tool/config.toml, where another one stands already"
    ]
    assert mistakes(tree, **{".config/tool/config.toml/x": {"content": "x"}}) == [
        "a file at /.config/tool/config.toml/x cannot stand beneath a file at /.config/tool/config.toml"
    ]
    # A single file has nothing beneath it, and of a source that cannot be read nobody knows.
    further = {"x": {"source": "files/tool/logo.png"}, "x/y": {"content": ""}}
    assert mistakes(tree, **further) == ["a file at /x/y cannot stand beneath a file at /x"]
    os.mkfifo(tree / "p")
    assert mistakes(tree, **{".config/tool/own.conf": {"content": "x"}}) == [
        "'files/tool' has a device, a pipe or a socket in it: 'p'"
    ]


def test_a_working_directory_may_be_filled_and_a_few_clashes_are_told(tree: Path) -> None:
    place = tree.parents[1] / "p.yaml"
    sandbox = {"workdir": "/project"}
    write_profile(place, {"project": {"source": "files/tool"}}, sandbox=sandbox)
    assert solven_env.validate(place) == ()
    for number in range(20):
        (tree / f"sub/{number}").touch()
    write_profile(place, {"a": {"source": "files/tool"}}, links={"a/sub": {"to": "skills"}})
    told = [each.message for each in solven_env.validate(place)]
    assert len(told) == 8
    assert told[0].startswith("a file at /a/sub/")


def test_a_change_of_the_tree_is_seen_by_the_next_call(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reread, "TICK", 0)
    before = rendered(tree)
    assert rendered(tree) is before  # nothing is made anew
    (tree / "new").write_text("n")
    assert len(rendered(tree)) == 4
    (tree / "new").write_text("m")
    assert b"m" in [each.data for each in rendered(tree)]
    (tree / "new").chmod(0o755)
    assert "0755" in [each.mode for each in rendered(tree) if each.path.endswith("new")]
    (tree / "new").unlink()
    assert [each.path for each in rendered(tree)] == [each.path for each in before]


def test_a_tree_that_was_read_before_is_not_opened_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reread, "TICK", 0)
    for number in range(600):
        (tree / f"f{number}").write_text(str(number))
    first = read(tree)
    monkeypatch.setattr(source_tree, "_read_file", lambda *_: pytest.fail("a file was opened"))
    second = read(tree)
    assert all(one.data is other.data for one, other in zip(first.files, second.files, strict=True))


def test_what_vanishes_from_the_tree_is_removed_by_the_next_apply(tree: Path, tmp_path: Path) -> None:
    profile, storage = write_profile(tmp_path / "p.yaml", {"t": {"source": "files/tool"}}), tmp_path / "storage"
    solven_env.apply(profile, "t1", storage=storage)
    workspace = storage / "threads/t1/t"
    assert (workspace / "logo.png").read_bytes() == b"\x89PNG\0\xff"
    assert (workspace / "sub/run").stat().st_mode & 0o7777 == 0o755
    (tree / "logo.png").unlink()
    (tree / "sub/run").unlink()
    changes = solven_env.apply(profile, "t1", storage=storage).threads[0].changes
    assert [f"{each.action} {each.name}" for each in changes] == [
        "remove t/logo.png",
        "remove t/sub/run",
        "remove t/sub",
    ]
    assert [each.name for each in workspace.iterdir()] == ["config.toml"]
    assert solven_env.diff(profile, "t1", storage=storage).threads[0].changes == ()
