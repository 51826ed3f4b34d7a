"""A directory of rendered files, as it is found and as a render leaves it: on disk, with all that may lie there."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import ConflictError, SolvenError, UsageError
from solven_env.profile import rendered_directory, rendered_list
from solven_env.profile.render import RenderedFile
from solven_env.profile.rendered_directory import compare, write
from solven_env.system.durable import write_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LIST = rendered_list.NAME
Tree = dict[str, str]


def files(tree: Mapping[str, str], mode: str = "0644") -> tuple[RenderedFile, ...]:
    return tuple(RenderedFile(path, text.encode(), mode, "whole") for path, text in tree.items())


def tree(path: Path) -> Tree:
    """All that is beneath a directory, the list aside: the text of files, where links lead, `/` for a directory."""
    found = {}
    for entry in sorted(path.rglob("*")):
        name = str(entry.relative_to(path))
        if entry.is_symlink():
            found[name] = f"-> {entry.readlink()}"
        elif entry.is_dir():
            found[name] = "/"
        elif name != LIST:
            found[name] = entry.read_text()
    return found


def listed(out: Path) -> list[str]:
    return sorted(json.loads((out / LIST).read_bytes())["files"])


def plant(out: Path, texts: Mapping[str, str], directories: list[str] | None = None) -> None:
    """Write a list as an attacker does, who knows the bytes of what he names."""
    digests = {path: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for path, text in texts.items()}
    listed = {path: {"digest": digest, "mode": "0644"} for path, digest in digests.items()}
    out.mkdir(exist_ok=True)
    (out / LIST).write_text(json.dumps({"format": 1, "directories": directories or [], "files": listed}))


def make_large(path: Path) -> None:
    """A file that takes minutes to read and no place."""
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# Hostile repositories


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the user's, with what a planted list or link may be after."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "kept").write_text("kept")
    return directory


@pytest.mark.parametrize("path", ["../outside/kept", "{outside}/kept", "link/../../outside/kept"])
def test_a_planted_list_names_nothing_outside(out: Path, outside: Path, path: str) -> None:
    plant(out, {path.format(outside=outside): "kept"})
    for act in (compare, write):
        with pytest.raises(SolvenError, match="damaged"):
            act(out, files({"a": "a"}))
    assert tree(outside) == {"kept": "kept"}
    assert tree(out) == {}


@pytest.mark.parametrize("rendered", [{"a": "a"}, {"link/kept": "new"}, {"link/new": "new"}, {"link": "new"}])
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_link_in_the_directory_is_followed(out: Path, outside: Path, rendered: Tree, overwrite: bool) -> None:
    plant(out, {"link/kept": "kept", "link": "kept", "link/new": ""}, ["link"])
    (out / "link").symlink_to(outside)
    try:
        write(out, files(rendered), overwrite=overwrite)
    except ConflictError:
        assert (out / "link").is_symlink()
    assert tree(outside) == {"kept": "kept"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_link_to_a_file_is_followed(out: Path, outside: Path, overwrite: bool) -> None:
    plant(out, {"a": "kept", "b": "kept"})
    (out / "a").symlink_to(outside / "kept")
    (out / "b").symlink_to(outside / "kept")
    if overwrite:
        write(out, files({"a": "new"}), overwrite=True)
        assert tree(out) == {"a": "new", "b": f"-> {outside / 'kept'}"}
    else:
        with pytest.raises(ConflictError):
            write(out, files({"a": "new"}))
    assert tree(outside) == {"kept": "kept"}


@pytest.mark.parametrize("leads_to", ["outside", "missing"])
def test_a_link_in_the_place_of_the_directory_is_refused(out: Path, outside: Path, leads_to: str) -> None:
    out.symlink_to(leads_to)
    for act in (compare, write):
        with pytest.raises(UsageError, match="symbolic link"):
            act(out, files({"a": "a"}))
    assert tree(outside) == {"kept": "kept"}
    assert not (out.parent / "missing").exists()


def test_the_list_may_be_a_link_to_nothing_that_is_read_or_written(out: Path, outside: Path) -> None:
    plant(outside, {"a": "old"})
    before = (outside / LIST).read_bytes()
    out.mkdir()
    (out / "a").write_text("old")
    (out / LIST).symlink_to(outside / LIST)
    for act in (compare, write):
        with pytest.raises(SolvenError, match="symbolic link") as raised:
            act(out, files({"a": "a"}))
        assert str(out / LIST) in raised.value.location
    assert (outside / LIST).read_bytes() == before
    assert (out / "a").read_text() == "old"


def test_a_list_that_never_ends_or_is_no_file_is_an_error(out: Path) -> None:
    makers: list[Callable[[Path], object]] = [
        os.mkfifo,
        lambda path: path.mkdir(),
        make_large,
        lambda path: path.write_text("<<<<<<< HEAD\n"),
    ]
    for number, make in enumerate(makers):
        directory = out / str(number)
        directory.mkdir(parents=True)
        make(directory / LIST)
        for act in (compare, write):
            with pytest.raises(SolvenError) as raised:
                act(directory, files({"a": "a"}))
            assert LIST in raised.value.location
            assert raised.value.fix
        assert not (directory / "a").exists()


def test_git_keeps_what_it_has(out: Path) -> None:
    plant(out, {".git/HEAD": "ref: refs/heads/main\n"}, [".git"])
    (out / ".git").mkdir()
    (out / ".git/HEAD").write_text("ref: refs/heads/main\n")
    with pytest.raises(SolvenError, match="damaged"):
        write(out, files({"a": "a"}))
    assert tree(out) == {".git": "/", ".git/HEAD": "ref: refs/heads/main\n"}


def test_a_rendered_file_never_takes_the_place_of_the_list(out: Path) -> None:
    for path in (LIST, f"{LIST}/x", LIST.upper()):
        with pytest.raises(UsageError, match="list"):
            write(out, files({path: "{}"}))
    assert not out.exists()


def test_what_stands_in_the_way_is_not_opened(out: Path) -> None:
    out.mkdir()
    os.mkfifo(out / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(out / "socket"))
    make_large(out / "large")
    found = compare(out, files({"fifo": "x", "socket": "x", "large": "x"}))
    assert [(each.difference, each.is_edited) for each in found] == [("changed", True)] * 3
    with pytest.raises(ConflictError):
        write(out, files({"fifo": "x"}), overwrite=True)
    assert stat.S_ISFIFO((out / "fifo").lstat().st_mode)


# One render after another: what the first one renders, what a person does then, what the second one renders.


def remove(path: Path) -> None:
    path.unlink()


def edit(path: Path) -> None:
    path.write_text("mine")


CASES: dict[str, tuple[Tree, Mapping[str, Callable[[Path], object]], Tree, list[str], Tree | None]] = {
    # first, what a person does at a path, second, the differences that are told, what is there (None: a conflict)
    "nothing new": ({"a": "1"}, {}, {"a": "1"}, [], {"a": "1"}),
    "other bytes": ({"a": "1"}, {}, {"a": "2"}, ["~a"], {"a": "2"}),
    "a new file": (
        {"a": "1"},
        {},
        {"a": "1", "d/e/b": "2"},
        ["+d/e/b"],
        {"a": "1", "d": "/", "d/e": "/", "d/e/b": "2"},
    ),
    "deleted by hand": ({"a": "1"}, {"a": remove}, {"a": "1"}, ["+a"], {"a": "1"}),
    "dropped": ({"a": "1", "b": "2"}, {}, {"a": "1"}, ["-b"], {"a": "1"}),
    "dropped and deleted": ({"a": "1", "b": "2"}, {"b": remove}, {"a": "1"}, [], {"a": "1"}),
    "dropped with its directories": ({"a": "1", "d/e/b": "2"}, {}, {"a": "1"}, ["-d/e/b"], {"a": "1"}),
    "dropped with one of them": ({"d/e/b": "1", "d/a": "2"}, {}, {"d/a": "2"}, ["-d/e/b"], {"d": "/", "d/a": "2"}),
    "a person's file beside it": (
        {"a": "1", "d/b": "2"},
        {"d/c": edit},
        {"a": "1"},
        ["-d/b"],
        {"a": "1", "d": "/", "d/c": "mine"},
    ),
    "a person's own file": ({"a": "1"}, {"README": edit}, {"a": "1"}, [], {"README": "mine", "a": "1"}),
    "edited and dropped": ({"a": "1", "b": "2"}, {"b": edit}, {"a": "1"}, ["-b!"], {"a": "1", "b": "mine"}),
    "edited": ({"a": "1", "b": "2"}, {"a": edit}, {"a": "2"}, ["~a!", "-b"], None),
    "edited alone": ({"a": "1"}, {"a": edit}, {"a": "1"}, ["~a!"], None),
    "edited to the new bytes": ({"a": "1"}, {"a": edit}, {"a": "mine"}, [], {"a": "mine"}),
    "a person's file in the way": ({"a": "1"}, {"b": edit}, {"a": "1", "b": "2"}, ["~b!"], None),
    "a directory in the way": ({"a": "1"}, {"b": lambda path: path.mkdir()}, {"a": "1", "b": "2"}, ["~b!"], None),
    "a file where a directory goes": ({"a": "1"}, {"d": edit}, {"a": "1", "d/b": "2"}, ["~d/b!"], None),
    "a file becomes a directory": ({"d": "1"}, {}, {"d/b": "2"}, ["+d/b", "-d"], {"d": "/", "d/b": "2"}),
    "a directory becomes a file": ({"d/e/b": "1", "d/c": "1"}, {}, {"d": "2"}, ["+d", "-d/c", "-d/e/b"], {"d": "2"}),
    "a directory that cannot": ({"d/b": "1"}, {"d/c": edit}, {"d": "2"}, ["~d!", "-d/b"], None),
    "an edited one that cannot": ({"d/b": "1"}, {"d/b": edit}, {"d": "2"}, ["~d!", "-d/b!"], None),
    "all dropped": ({"a": "1", "d/b": "2"}, {}, {}, ["-a", "-d/b"], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_second_render(out: Path, case: str) -> None:
    first, acts, second, told, left = CASES[case]
    write(out, files(first))
    for path, act in acts.items():
        act(out / path)
    before, before_list = tree(out), (out / LIST).read_bytes()
    signs = {"missing": "+", "changed": "~", "left-over": "-"}

    found = compare(out, files(second))
    assert [f"{signs[each.difference]}{each.path}{'!' if each.is_edited else ''}" for each in found] == told
    assert (tree(out), (out / LIST).read_bytes()) == (before, before_list)
    if left is None:
        with pytest.raises(ConflictError, match="cannot be written"):
            write(out, files(second))
        assert (tree(out), (out / LIST).read_bytes()) == (before, before_list)
    else:
        assert write(out, files(second)) == found
        assert tree(out) == left
        assert listed(out) == sorted(second)
        assert compare(out, files(second)) == ()


@pytest.mark.parametrize("case", [case for case, row in CASES.items() if row[4] is None])
def test_a_conflict_that_is_overwritten(out: Path, case: str) -> None:
    first, acts, second, _, _ = CASES[case]
    write(out, files(first))
    for path, act in acts.items():
        act(out / path)
    before = tree(out)
    try:
        write(out, files(second), overwrite=True)
    except ConflictError as error:  # no directory is removed, and nothing on the way to a file
        assert "--on-conflict" not in error.fix
        assert tree(out) == before
        assert "directory" in error.details[0]
    else:
        assert compare(out, files(second)) == ()


def test_a_person_keeps_an_empty_directory(out: Path) -> None:
    (out / "bin").mkdir(parents=True)
    write(out, files({"bin/a": "1"}))
    write(out, ())
    assert tree(out) == {"bin": "/"}


def test_a_directory_that_a_person_used_is_the_persons_from_then_on(out: Path) -> None:
    write(out, files({"a": "1", "bin/b": "2"}))
    (out / "bin/mine").write_text("mine")
    write(out, files({"a": "1"}))
    (out / "bin/mine").unlink()
    write(out, files({"a": "2"}))
    assert tree(out) == {"a": "2", "bin": "/"}


@pytest.mark.parametrize("after", range(3))
def test_a_render_that_was_cut_off_is_finished_by_the_next(
    out: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(out, files({"a": "1", "b": "1", "d/e": "1"}))
    second = files({"a": "2", "f/b": "2"})
    written: list[object] = []

    def cut_off(*arguments: object, **named: object) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(arguments)
        write_over(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rendered_directory, "write_over", cut_off)
        write(out, second)
    write(out, second)
    assert tree(out) == {"a": "2", "f": "/", "f/b": "2"}
    assert listed(out) == ["a", "f/b"]


def test_an_edited_left_over_is_the_persons_from_then_on(out: Path) -> None:
    write(out, files({"a": "1", "b": "2"}))
    (out / "b").write_text("mine")
    write(out, files({"a": "1"}))
    assert write(out, files({"a": "1"})) == ()
    with pytest.raises(ConflictError):
        write(out, files({"a": "1", "b": "2"}))
    assert tree(out) == {"a": "1", "b": "mine"}


def test_a_directory_from_before_there_was_a_list_is_taken_over(out: Path) -> None:
    write(out, files({"a": "1", "b": "2"}))
    (out / LIST).unlink()
    inode = (out / "a").stat().st_ino
    assert compare(out, files({"a": "1", "b": "2"})) == ()
    assert write(out, files({"a": "1", "b": "2"})) == ()
    assert (out / "a").stat().st_ino == inode
    assert [each.path for each in write(out, files({"a": "1"}))] == ["b"]
    assert tree(out) == {"a": "1"}


def test_a_list_is_adopted_again_after_it_was_deleted(out: Path) -> None:
    write(out, files({"a": "1", "b": "2"}))
    (out / LIST).write_text("<<<<<<<")
    with pytest.raises(SolvenError, match="damaged"):
        write(out, files({"a": "1"}))
    (out / LIST).unlink()
    write(out, files({"a": "1"}))
    assert tree(out) == {"a": "1", "b": "2"}  # nothing says who wrote it


MODES = [
    # the mode of the first render, what git leaves of it, the mode of the second, whether it differs
    ("0755", 0o755, "0755", False),
    ("0755", 0o775, "0755", False),
    ("0600", 0o644, "0600", False),
    ("0644", 0o664, "0644", False),
    ("0755", 0o644, "0755", True),
    ("0644", 0o755, "0644", True),
    ("0644", 0o644, "0755", True),
    ("0644", 0o644, "0600", True),
]


@pytest.mark.parametrize(("first", "checked_out", "second", "differs"), MODES)
def test_modes_are_compared_as_git_keeps_them(
    out: Path, first: str, checked_out: int, second: str, differs: bool
) -> None:
    write(out, files({"a": "1"}, first))
    (out / "a").chmod(checked_out)
    found = compare(out, files({"a": "1"}, second))
    assert [(each.difference, each.is_edited) for each in found] == [("changed", False)] * differs
    write(out, files({"a": "1"}, second))
    if differs:
        assert stat.S_IMODE((out / "a").stat().st_mode) == int(second, 8)
    assert compare(out, files({"a": "1"}, second)) == ()


def test_a_comparison_needs_no_right_to_write(out: Path) -> None:
    write(out, files({"a": "1", "d/b": "2"}))
    for path in (out / "d", out):
        path.chmod(0o555)
    try:
        assert compare(out, files({"a": "1", "d/b": "2"})) == ()
        assert len(compare(out, files({"a": "2"}))) == 2
    finally:
        for path in (out, out / "d"):
            path.chmod(0o755)


def test_what_is_no_directory_is_wrong_usage(out: Path) -> None:
    assert [each.difference for each in compare(out, files({"a": "1"}))] == ["missing"]
    assert not out.exists()
    out.write_text("mine")
    for act in (compare, write):
        with pytest.raises(UsageError):
            act(out, files({"a": "1"}))
        with pytest.raises(UsageError):
            act(out / "inner", files({"a": "1"}))
        with pytest.raises(UsageError, match="too long"):
            act(out.with_name("x" * 300), files({"a": "1"}))
    assert out.read_text() == "mine"


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_process_can_write_is_wrong_usage(tmp_path: Path, name: str) -> None:
    for act in (compare, write):
        with pytest.raises(UsageError, match="cannot write a file of this name"):
            act(tmp_path / name, files({"a": "1"}))
        with pytest.raises(UsageError, match="cannot write a file of this name"):
            act(tmp_path, files({name: "1"}))
    assert not list(tmp_path.iterdir())
