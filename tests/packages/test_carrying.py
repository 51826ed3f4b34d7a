"""What a thread added to a build, carried into a new layer, however an agent left the old one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import carrying, layers
from solven_env.packages.additions import NONE, Additions
from solven_env.packages.layers import Home
from solven_env.packages.store import Build
from solven_env.sandbox.backends import bubblewrap, proot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.sandbox.backends.protocol import Backend

ROOT = os.geteuid() == 0
UID = 61000 if ROOT else None
SITE = "lib/python3.12/site-packages"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "data", "storage", "t1", "first")


@pytest.fixture(params=[bubblewrap, proot], ids=["bubblewrap", "proot"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend: one mounts a layer above the build, the other has a copy."""
    found: Backend = request.param
    return found


def write(tree: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        os.utime(place, ns=(10**18, 10**18 + 7))


def wheel(
    tree: Path, name: str, version: str, files: Mapping[str, str] | None = None, record: str | None = None
) -> None:
    """Install a wheel of these files, as paths beside its metadata."""
    files = {f"{name}/__init__.py": version} if files is None else files
    about = f"{name}-{version}.dist-info"
    files = {**files, f"{about}/METADATA": f"Name: {name}"}
    write(tree / SITE, files)
    text = "".join(f"{path},sha256=x,1\n" for path in (*files, f"{about}/RECORD")) if record is None else record
    write(tree / SITE, {f"{about}/RECORD": text})


def build(base: Path, instance: str, packages: Mapping[str, str], minor: str = "3.12") -> Build:
    """A build of Python with these wheels."""
    made = Build("python", f"python-{instance * 20}", instance, base / f"build-{instance}")
    write(made.tree, {"pyvenv.cfg": instance, "bin/python": "", f"lib/python{minor}/site-packages/x.pth": ""})
    for name, version in packages.items():
        wheel(made.tree, name, version)
    return made


def own(home: Home, build: Build, backend: Backend) -> Path:
    return layers.own(home, build, backend)


def begin(home: Home, build: Build, backend: Backend, recorded: Additions = NONE) -> carrying.Begun:
    return carrying.begin(home, build, backend, UID, recorded)


def told(begun: carrying.Begun) -> list[tuple[str, str, str]]:
    return sorted((fate.name, fate.version, fate.fate) for fate in begun.fates)


def test_the_first_layer_is_empty(home: Home, backend: Backend, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {"six": "1.17.0"})
    begun = begin(home, one, backend)
    assert begun.is_new
    assert told(begun) == []
    assert carrying.look(home, one, backend) == (NONE, begun.noted_stamp, True)
    assert not begin(home, one, backend).is_new


def test_an_added_package_is_carried_by_the_files_that_its_record_names(
    home: Home, backend: Backend, tmp_path: Path
) -> None:
    one, two = build(tmp_path, "aa", {"six": "1.17.0"}), build(tmp_path, "bb", {"six": "1.17.0"})
    begin(home, one, backend)
    old = own(home, one, backend)
    before = carrying.stamp(home, one, backend)
    files = {
        "rich/__init__.py": "x",
        "rich/deep/er.py": "y",
        "../../../bin/rich": "#!/.venv/bin/python",
        "_rich.pth": "",
    }
    wheel(old, "rich", "14.0.0", files)
    (old / "bin/rich").chmod(0o4755)
    write(old, {"mine.txt": "a stray"})
    assert carrying.stamp(home, one, backend) != before
    seen = carrying.look(home, one, backend)
    assert seen.additions == Additions({"rich": "14.0.0"})
    carrying.note(home, one, seen)
    begun = begin(home, two, backend, seen.additions)
    assert told(begun) == [("rich", "14.0.0", "carried")]
    assert begun.old == old.parent
    new = own(home, two, backend)
    assert (new / SITE / "rich/deep/er.py").read_text() == "y"
    assert stat.S_IMODE((new / "bin/rich").lstat().st_mode) == 0o755
    assert (new / SITE / "rich/__init__.py").stat().st_mtime_ns == 10**18 + 7
    assert not (new / "mine.txt").exists()
    assert {path.lstat().st_uid for path in new.rglob("*")} == {os.geteuid() if UID is None else UID}
    assert carrying.look(home, two, backend) == (seen.additions, begun.noted_stamp, True)
    assert (old / SITE / "rich/deep/er.py").exists()  # it stays
