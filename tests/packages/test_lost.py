"""What a build cannot do without, removed from a layer or from a copy; `tests/run/test_lost.py` has commands do it."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import carrying
from solven_env.packages.additions import NONE
from solven_env.packages.layers import Home, instances, where
from solven_env.packages.lost import find
from solven_env.packages.store import Build
from solven_env.sandbox.backends import bubblewrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {
    "python": ("pyvenv.cfg", "bin/python", "bin/activate", "lib/python3.12/site-packages/six.py"),
    "bun": (".bin/tool", "is-number/index.js"),
}


def make(base: Path, kind: str) -> Build:
    """A build with these files."""
    for path in FILES[kind]:
        place = base / kind / "tree" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return Build("python" if kind == "python" else "bun", f"{kind}-{'a' * 40}", "b" * 32, base / kind)


def hide(*paths: Path) -> None:
    """What an overlay makes of removals."""
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))


def remove(*paths: Path) -> None:
    """Remove trees of a copy."""
    for path in paths:
        shutil.rmtree(path)


def empty(path: Path) -> None:
    """Remove all that a directory of a copy holds."""
    shutil.rmtree(path)
    path.mkdir()


LAYERS: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("python", lambda upper: None, ""),
    ("python", lambda upper: (upper / "mine").touch(), ""),
    ("python", lambda upper: hide(upper / "bin/activate"), ""),
    ("python", lambda upper: (upper / "pyvenv.cfg").write_text("mine"), ""),
    ("python", lambda upper: (upper / "bin").symlink_to("/elsewhere"), ""),
    ("python", lambda upper: hide(upper / "pyvenv.cfg"), "pyvenv.cfg"),
    ("python", lambda upper: os.mkfifo(upper / "pyvenv.cfg"), "pyvenv.cfg"),
    ("python", lambda upper: hide(upper / "bin/python"), "bin/python"),
    ("python", lambda upper: hide(upper / "bin"), "bin/python"),
    ("python", lambda upper: (upper / "bin").write_text("mine"), "bin/python"),
    ("python", lambda upper: hide(upper / "lib"), "lib"),
    ("bun", lambda upper: hide(upper / ".bin", upper / "is-number"), ""),
)


@pytest.mark.parametrize(("kind", "damage", "lost"), LAYERS)
def test_a_layer(tmp_path: Path, kind: str, damage: Callable[[Path], object], lost: str) -> None:
    upper = tmp_path / "upper"
    assert find(make(tmp_path, kind), upper) == ""
    upper.mkdir()
    damage(upper)
    assert find(make(tmp_path, kind), upper) == lost


COPIES: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("python", lambda copy: None, ""),
    ("python", lambda copy: (copy / "pyvenv.cfg").unlink(), "pyvenv.cfg"),
    ("python", lambda copy: remove(copy / "bin"), "bin/python"),
    ("python", lambda copy: empty(copy / "bin"), "bin/python"),
    ("bun", lambda copy: remove(copy / ".bin", copy / "is-number"), ""),
)


@pytest.mark.parametrize(("kind", "damage", "lost"), COPIES)
def test_a_copy(tmp_path: Path, kind: str, damage: Callable[[Path], object], lost: str) -> None:
    build, copy = make(tmp_path, kind), tmp_path / "copy"
    shutil.copytree(build.tree, copy)
    damage(copy)
    assert find(build, copy) == lost


def test_what_a_build_lacks_itself_is_not_lost(tmp_path: Path) -> None:
    build = Build("bun", f"bun-{'a' * 40}", "b" * 32, tmp_path)
    build.tree.mkdir()
    (tmp_path / "upper").mkdir()
    assert find(build, tmp_path / "upper") == ""
    assert find(build._replace(kind="python"), tmp_path / "upper") == ""


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    build, upper = make(tmp_path, "python"), tmp_path / "upper"
    upper.symlink_to(build.tree)
    assert find(build, upper) == ""


def test_a_fresh_layer_has_the_next_number_and_the_old_ones_stay(tmp_path: Path) -> None:
    uid = 61000 if os.geteuid() == 0 else None
    home, build = Home(tmp_path / "data", "storage", "t1", "first"), make(tmp_path, "python")
    carrying.begin(home, build, bubblewrap, uid, NONE)
    uppers = []
    for number in range(12):
        uppers.append(where(home, build).upper)
        (uppers[-1] / "mine").write_text(str(number))
        assert carrying.renew(home, build, bubblewrap, uid, NONE).old == uppers[-1].parent
        assert os.listdir(where(home, build).upper) == []
    assert [(upper / "mine").read_text() for upper in uppers] == [str(number) for number in range(12)]
    assert len(instances(home)) == 1
    assert where(home, build._replace(instance="c" * 32)).upper.parent.name == f"python-{'c' * 32}"
