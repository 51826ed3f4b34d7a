"""What a thread added to a build, as its upper directory or its copy shows it, however an agent left that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import added, copies
from solven_env.packages.added import Added, AddedPackage, look
from solven_env.packages.layers import Home
from solven_env.packages.store import Build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOT = os.geteuid() == 0
SITE = "lib/python3.12/site-packages"
HAS = {"python": f"{SITE}/six-1.17.0.dist-info", "bun": "is-number"}


@pytest.fixture(params=["python", "bun"])
def build(tmp_path: Path, request: pytest.FixtureRequest) -> Build:
    """A build with one package."""
    return make(tmp_path, request.param)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The thread's upper directory."""
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


def make(tmp_path: Path, kind: str) -> Build:
    made = Build("python" if kind == "python" else "bun", f"{kind}-1", "aa", tmp_path / "build")
    (made.tree / HAS[kind]).mkdir(parents=True)
    (made.tree / "@types/node").mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    ("names", "packages"),
    [
        ([], []),
        (["idna-3.10.dist-info", "idna", "_idna.py"], [AddedPackage("idna", "3.10")]),
        (["Typing_Extensions-4.12.2.dist-info"], [AddedPackage("typing-extensions", "4.12.2")]),
        (["torch-2!1.0rc1.post2.dev3+cu_1.dist-info"], [AddedPackage("torch", "2!1.0rc1.post2.dev3+cu_1")]),
        (["six-1.16.0.dist-info"], [AddedPackage("six", "1.16.0")]),
        (["six-1.17.0.dist-info"], []),  # of the build: a file in it was changed
        (
            ["b-2.dist-info", "a-10.dist-info", "a-9.dist-info"],
            [AddedPackage("a", "10"), AddedPackage("a", "9"), AddedPackage("b", "2")],
        ),
        (["idna.dist-info", "-1.0.dist-info", "a-x.dist-info", "a.egg-info", "a-1.dist-info.x"], []),
        (["a-1.egg-info", "b-1.0-py3.12.egg-info"], [AddedPackage("a", "1"), AddedPackage("b", "1.0")]),
        (["a\x1b[31m-1.0.dist-info", "a-1\n.dist-info", "ä-1.dist-info", "a-1\udcff.dist-info"], []),
    ],
)
def test_a_python_package_is_a_directory_of_metadata_that_the_build_has_not(
    names: list[str], packages: list[AddedPackage], tmp_path: Path, own: Path
) -> None:
    for name in names:
        (own / SITE / name).mkdir(parents=True)
    assert look(make(tmp_path, "python"), own) == Added("python", tuple(packages))


@pytest.mark.parametrize(
    ("names", "packages"),
    [
        ([], []),
        (["left-pad", "JSONStream"], ["JSONStream", "left-pad"]),
        (["@a/b", "@a/c", "@types/react"], ["@a/b", "@a/c", "@types/react"]),
        (["is-number", "@types/node"], []),  # of the build: a file in it was changed
        ([".bin", ".cache", "_x", "@a", "@", "@.x/y", "@a/.x", "a b", "a\x1b[31m", "@\x1b/a", "\udcff"], []),
    ],
)
def test_a_javascript_package_is_a_directory_that_the_build_has_not(
    names: list[str], packages: list[str], tmp_path: Path, own: Path
) -> None:
    for name in names:
        (own / name).mkdir(parents=True)
    assert look(make(tmp_path, "bun"), own) == Added("bun", tuple(map(AddedPackage, packages)))


def test_there_may_be_no_layer_yet(build: Build, tmp_path: Path) -> None:
    assert look(build, tmp_path / "layers/none/upper") == Added(build.kind)


@pytest.mark.parametrize(
    "place", ["", "lib", "lib/python3.12", SITE, f"{SITE}/idna-3.10.dist-info", "@a", "@a/b", "left-pad"]
)
def test_no_link_is_followed(place: str, build: Build, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for name in (SITE, "python3.12/site-packages", "site-packages", "."):
        (elsewhere / name / "secret-1.0.dist-info").mkdir(parents=True)
        (elsewhere / name / "secret").mkdir()
        (elsewhere / name / "b").mkdir()
    link = tmp_path / "upper" / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    names = {package.name for package in look(build, tmp_path / "upper").packages}
    assert names.isdisjoint({"secret", "b", "@a/b", "@a/secret", "left-pad", "idna"})


def test_a_link_that_a_script_left_in_a_build_tells_nothing_of_the_host(tmp_path: Path, own: Path) -> None:
    """Of two names the one that stands behind the link was told from the one that does not."""
    build = make(tmp_path, "bun")
    (tmp_path / "elsewhere/secret").mkdir(parents=True)
    (build.tree / "@a").symlink_to(tmp_path / "elsewhere")
    for name in ("secret", "none"):
        (own / "@a" / name).mkdir(parents=True)
    assert look(build, own) == Added("bun", (AddedPackage("@a/none"), AddedPackage("@a/secret")))


def test_nothing_but_a_directory_is_a_package(build: Build, own: Path) -> None:
    for top in (own, own / SITE):
        top.mkdir(parents=True, exist_ok=True)
        (top / "file-1.0.dist-info").touch()
        os.mkfifo(top / "pipe-1.0.dist-info")
        if ROOT:  # as the kernel writes what was removed, here and in a user's overlay
            os.mknod(top / "gone-1.0.dist-info", 0o020000, os.makedev(0, 0))
            os.mknod(top / "@gone", 0o020000, os.makedev(0, 0))
    assert look(build, own).packages == (() if build.kind == "python" else (AddedPackage("lib"),))


def test_a_million_names_cost_no_more_than_the_limit(build: Build, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a smaller limit and as many more names: what counts is that the reading ends."""
    monkeypatch.setattr(added, "LIMIT", 20)
    tops = [own / SITE] if build.kind == "python" else [own / f"@s{number}" for number in range(5)]
    for number in range(1000):
        top = tops[number % len(tops)]
        (top / f"a{number}-1.dist-info").mkdir(parents=True)
    found = look(build, own)
    assert not found.is_complete
    assert 0 < len(found.packages) <= 20


@pytest.mark.skipif(ROOT, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_what_is_closed_is_told_as_such(mode: int, build: Build, own: Path) -> None:
    top = own / SITE if build.kind == "python" else own / "@a"
    (top / "b-1.0.dist-info").mkdir(parents=True)
    top.chmod(mode)
    try:
        assert look(build, own) == Added(build.kind, is_complete=False)
    finally:
        top.chmod(0o755)


def add_python(copy: Path) -> None:
    (copy / SITE / "idna-3.10.dist-info").mkdir()


def add_bun(copy: Path) -> None:
    (copy / "@a/b").mkdir(parents=True)


@pytest.mark.parametrize(
    ("kind", "add", "package"),
    [("python", add_python, AddedPackage("idna", "3.10")), ("bun", add_bun, AddedPackage("@a/b"))],
)
def test_of_a_copy_it_is_what_the_build_has_not(
    kind: str, add: Callable[[Path], None], package: AddedPackage, tmp_path: Path
) -> None:
    build = make(tmp_path, kind)
    copy = tmp_path / "copy"
    copies.fill(Home(tmp_path / "data", "storage", "t1", "first"), build, copy, 61000 if ROOT else None)
    assert look(build, copy) == Added(build.kind)
    add(copy)
    assert look(build, copy) == Added(build.kind, (package,))
