"""What a thread added to a build, carried into a new layer, however an agent left the old one."""

from __future__ import annotations

import json
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import carrying, layers, store
from solven_env.packages.additions import NONE, Additions
from solven_env.packages.layers import Home
from solven_env.packages.store import Build
from solven_env.sandbox.backends import bubblewrap, proot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from solven_env.packages.about_layers import Begun
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
    tree: Path,
    name: str,
    version: str,
    files: Mapping[str, str] | None = None,
    record: str | None = None,
    site: str = SITE,
) -> None:
    """Install a wheel of these files, as paths beside its metadata."""
    files = {f"{name}/__init__.py": version} if files is None else files
    about = f"{name}-{version}.dist-info"
    files = {**files, f"{about}/METADATA": f"Name: {name}"}
    write(tree / site, files)
    text = "".join(f"{path},sha256=x,1\n" for path in (*files, f"{about}/RECORD")) if record is None else record
    write(tree / site, {f"{about}/RECORD": text})


def build(base: Path, instance: str, packages: Mapping[str, str], *, key: str = "", minor: str = "3.12") -> Build:
    """A build of Python with these wheels, in a store."""
    name = f"python-{(key or instance) * 20}"
    made = Build("python", name, instance, base / "builds" / name)
    if made.path.exists():  # made again
        shutil.rmtree(made.path)
    write(made.tree, {"pyvenv.cfg": instance, "bin/python": "", f"lib/python{minor}/site-packages/x.pth": ""})
    for each, version in packages.items():
        wheel(made.tree, each, version, site=f"lib/python{minor}/site-packages")
    about = {"format": store.FORMAT, "key": name, "kind": "python", "instance": instance}
    (made.path / "build.json").write_text(json.dumps(about))
    return made


def own(home: Home, build: Build, backend: Backend) -> Path:
    return layers.own(home, build, backend)


def begin(home: Home, build: Build, backend: Backend, recorded: Additions = NONE) -> Begun:
    return carrying.begin(home, build, backend, UID, recorded)


def told(begun: Begun) -> list[tuple[str, str, str]]:
    return sorted((fate.name, fate.version, fate.fate) for fate in begun.fates)


def remove(home: Home, below: Build, backend: Backend, *paths: str) -> None:
    """Have commands remove trees and files, as the kernel's overlay or a copy shows it."""
    top = own(home, below, backend)
    for path in paths:
        place = top / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif os.path.lexists(place):
            place.unlink()
        if backend.HAS_MOUNTS and os.path.lexists(below.tree / path):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))


def shown(home: Home, below: Build, backend: Backend) -> dict[str, str]:
    """All files that commands see, as far as an overlay without opaque directories shows them."""
    top = own(home, below, backend)
    found = dict[str, str]()
    for tree in (below.tree, top) if backend.HAS_MOUNTS else (top,):
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if stat.S_ISCHR(path.lstat().st_mode):
                found = {each: text for each, text in found.items() if each != name and not each.startswith(f"{name}/")}
            elif path.is_symlink() or path.is_file():
                found[name] = os.readlink(path) if path.is_symlink() else path.read_text()
    return {name: text for name, text in found.items() if not name.endswith(("RECORD", "METADATA"))}


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
    assert told(begun) == [("mine.txt", "", "left"), ("rich", "14.0.0", "carried")]
    assert begun.old == old.parent
    new = own(home, two, backend)
    assert (new / SITE / "rich/deep/er.py").read_text() == "y"
    assert stat.S_IMODE((new / "bin/rich").lstat().st_mode) == 0o755
    assert (new / SITE / "rich/__init__.py").stat().st_mtime_ns == 10**18 + 7
    assert not (new / "mine.txt").exists()
    assert {path.lstat().st_uid for path in new.rglob("*")} == {os.geteuid() if UID is None else UID}
    assert carrying.look(home, two, backend) == (seen.additions, begun.noted_stamp, True)
    assert (old / SITE / "rich/deep/er.py").exists()  # it stays


def test_what_the_new_build_brings_is_the_builds(home: Home, backend: Backend, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {"six": "1.17.0"})
    two = build(tmp_path, "bb", {"six": "1.17.0", "rich": "15.0.0", "mdurl": "0.1.2"})
    begin(home, one, backend)
    for name, version in (("rich", "14.0.0"), ("mdurl", "0.1.2"), ("humanize", "4.0.0")):
        wheel(own(home, one, backend), name, version)
    begun = begin(home, two, backend, Additions({"humanize": "4.0.0"}))
    assert told(begun) == [
        ("humanize", "4.0.0", "carried"),
        ("mdurl", "0.1.2", "brought"),
        ("rich", "15.0.0", "brought"),
    ]
    (rich,) = (fate for fate in begun.fates if fate.name == "rich")
    assert (rich.why, rich.command) == (
        "it was 14.0.0",
        "solven-env run t1 -- uv pip install --no-deps rich==14.0.0",
    )
    assert shown(home, two, backend)[f"{SITE}/rich/__init__.py"] == "15.0.0"
    assert carrying.look(home, two, backend).additions == Additions({"humanize": "4.0.0"})


def replace(home: Home, below: Build, backend: Backend, name: str, version: str, old: str) -> None:
    """What an installer does for another version of a package of the build."""
    remove(home, below, backend, f"{SITE}/{name}-{old}.dist-info", f"{SITE}/{name}/old.py")
    wheel(own(home, below, backend), name, version)


def test_another_version_in_the_place_of_the_builds_stays_while_the_build_has_the_same(
    home: Home, backend: Backend, tmp_path: Path
) -> None:
    one, two = build(tmp_path, "aa", {"six": "1.16.0"}), build(tmp_path, "bb", {"six": "1.16.0"})
    for each in (one, two):
        write(each.tree, {f"{SITE}/six/old.py": ""})
        record = each.tree / SITE / "six-1.16.0.dist-info/RECORD"
        record.write_text(record.read_text() + "six/old.py,,\n")
    begin(home, one, backend)
    replace(home, one, backend, "six", "1.17.0", "1.16.0")
    seen = carrying.look(home, one, backend).additions
    assert seen == Additions({"six": "1.17.0"})
    begun = begin(home, two, backend, seen)
    assert told(begun) == [("six", "1.17.0", "carried")]
    files = shown(home, two, backend)
    assert [path for path in files if "six" in path] == [f"{SITE}/six/__init__.py"]
    assert files[f"{SITE}/six/__init__.py"] == "1.17.0"
    three = build(tmp_path, "cc", {"six": "2.0.0"})
    begun = begin(home, three, backend, NONE)
    assert told(begun) == [("six", "2.0.0", "brought")]
    assert shown(home, three, backend)[f"{SITE}/six/__init__.py"] == "2.0.0"


def test_what_was_removed_stays_removed(home: Home, backend: Backend, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {"six": "1.16.0", "rich": "1", "ns-a": "1"})
    two = build(tmp_path, "bb", {"six": "2.0.0", "rich": "1", "ns-a": "1"})
    begin(home, one, backend)
    remove(home, one, backend, f"{SITE}/six", f"{SITE}/six-1.16.0.dist-info")
    seen = carrying.look(home, one, backend).additions
    assert seen == Additions({}, ("six",))
    begun = begin(home, two, backend, seen)
    assert told(begun) == [("six", "2.0.0", "removed")]
    assert [path for path in shown(home, two, backend) if "six" in path] == []
    top = own(home, two, backend)
    if backend.HAS_MOUNTS:  # the directory itself is hidden: empty, it could be imported
        assert stat.S_ISCHR((top / SITE / "six").lstat().st_mode)
    else:
        assert not (top / SITE / "six").exists()
    assert carrying.look(home, two, backend).additions == seen
    assert shown(home, two, backend)[f"{SITE}/rich/__init__.py"] == "1"


def test_a_removal_ends_with_the_release_that_does_not_bring_it(home: Home, backend: Backend, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {"six": "1"}), build(tmp_path, "bb", {})
    begin(home, one, backend)
    remove(home, one, backend, f"{SITE}/six", f"{SITE}/six-1.dist-info")
    begun = begin(home, two, backend, NONE)
    assert told(begun) == []
    # back to the same build: as it was there
    begun = begin(home, one, backend, NONE)
    assert told(begun) == [("six", "1", "removed")]


def test_what_was_added_since_it_was_removed_is_not_removed_again(home: Home, backend: Backend, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {"six": "1"}), build(tmp_path, "bb", {})
    begin(home, one, backend)
    remove(home, one, backend, f"{SITE}/six", f"{SITE}/six-1.dist-info")
    begin(home, two, backend, NONE)
    wheel(own(home, two, backend), "six", "2")
    assert told(begin(home, one, backend, NONE)) == [("six", "1", "brought")]
    assert shown(home, one, backend)[f"{SITE}/six/__init__.py"] == "1"


def test_edits_of_a_package_go_with_it(home: Home, backend: Backend, tmp_path: Path) -> None:
    one, two = (build(tmp_path, each, {"six": "1"}) for each in ("aa", "bb"))
    begin(home, one, backend)
    write(own(home, one, backend), {f"{SITE}/six/__init__.py": "edited"})
    begin(home, two, backend)
    remove(home, two, backend, f"{SITE}/six", f"{SITE}/six-1.dist-info")
    assert told(begin(home, one, backend)) == [("six", "1", "removed")]
    assert not any("six" in path for path in shown(home, one, backend))


def test_what_nobody_noted_is_noted_after_the_next_command(home: Home, backend: Backend, tmp_path: Path) -> None:
    """A layer can be begun with more than the record has: what changed the old one was killed before it noted it."""
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    begin(home, one, backend)
    wheel(own(home, one, backend), "rich", "1")
    begun = begin(home, two, backend, NONE)
    assert told(begun) == [("rich", "1", "carried")]
    assert begun.noted_stamp != carrying.stamp(home, two, backend)
    assert begin(home, two, backend, Additions({"rich": "1"})).to_install == {}


def node_modules(base: Path, instance: str, packages: Mapping[str, str]) -> Build:
    """A build of Bun with these packages."""
    name = f"bun-{instance * 20}"
    made = Build("bun", name, instance, base / "builds" / name)
    for each, version in packages.items():
        add_npm(made.tree, each, version)
    (made.path / "build.json").write_text(
        json.dumps({"format": store.FORMAT, "key": name, "kind": "bun", "instance": instance})
    )
    return made


def add_npm(tree: Path, name: str, version: str) -> None:
    about = json.dumps({"name": name, "version": version})
    write(tree, {f"{name}/package.json": about, f"{name}/index.js": version})


@pytest.mark.parametrize("is_whole", [True, False])
def test_another_version_of_a_package_of_bun_is_an_addition(
    home: Home, backend: Backend, tmp_path: Path, is_whole: bool
) -> None:
    """It has the directory of the build's. One whose files are partly the build's own is installed by name."""
    one, two = node_modules(tmp_path, "aa", {"ms": "1.0.0"}), node_modules(tmp_path, "bb", {"ms": "1.0.0"})
    begin(home, one, backend)
    top = own(home, one, backend)
    add_npm(top, "ms", "2.0.0")
    if backend.HAS_MOUNTS and is_whole:
        os.setxattr(top / "ms", "trusted.overlay.opaque" if ROOT else "user.overlay.opaque", b"y")
    seen = carrying.look(home, one, backend).additions
    assert seen == Additions({"ms": "2.0.0"})
    begun = begin(home, two, backend, seen)
    is_carried = is_whole or not backend.HAS_MOUNTS
    assert told(begun) == [("ms", "2.0.0", "carried" if is_carried else "installed")]
    assert shown(home, two, backend)["ms/index.js"] == ("2.0.0" if is_carried else "1.0.0")


UNFIT: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("no record", lambda site: (site / "rich-1.dist-info/RECORD").unlink(), "missing or damaged"),
    ("a record that is no text", lambda site: (site / "rich-1.dist-info/RECORD").write_bytes(b"\xff\n"), "damaged"),
    ("a record that is no table", lambda site: (site / "rich-1.dist-info/RECORD").write_text('"a'), "damaged"),
    ("a file is gone", lambda site: (site / "rich/__init__.py").unlink(), "is gone"),
    ("a pipe", lambda site: swap(site / "rich/__init__.py", os.mkfifo), "is no file"),
    ("a directory", lambda site: swap(site / "rich/__init__.py", os.mkdir), "is no file"),
    ("a link out", lambda site: swap(site / "rich/__init__.py", lambda path: path.symlink_to("/etc/shadow")), "link"),
    ("a link on the way", lambda site: swap_tree(site / "rich"), "is gone"),
    ("metadata that is a link", lambda site: swap_tree(site / "rich-1.dist-info"), ""),
)


def swap(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def swap_tree(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(("damage", "why"), [each[1:] for each in UNFIT], ids=[each[0] for each in UNFIT])
def test_what_does_not_fit_is_to_be_installed_by_name(
    damage: Callable[[Path], object], why: str, home: Home, tmp_path: Path
) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    begin(home, one, bubblewrap)
    wheel(own(home, one, bubblewrap), "rich", "1")
    wheel(own(home, one, bubblewrap), "mdurl", "2")
    seen = carrying.look(home, one, bubblewrap)
    carrying.note(home, one, seen)
    damage(own(home, one, bubblewrap) / SITE)
    begun = begin(home, two, bubblewrap, seen.additions)
    if not why:  # it is none any more
        assert [name for name, _, fate in told(begun) if fate != "left"] == ["mdurl"]
        return
    assert begun.to_install == {"rich": "1"}
    assert [each for each in told(begun) if each[2] != "left"] == [
        ("mdurl", "2", "carried"),
        ("rich", "1", "installed"),
    ]
    (rich,) = (fate for fate in begun.fates if fate.name == "rich")
    assert why in rich.why
    assert rich.command == "solven-env run t1 -- uv pip install --no-deps rich==1"
    assert begin(home, two, bubblewrap, seen.additions).to_install == {"rich": "1"}
    settled = carrying.settle(home, two, {"rich": "the thread has no network"})
    assert [each[3:5] for each in settled if each.name == "rich"] == [("left", "the thread has no network")]
    assert begin(home, two, bubblewrap, seen.additions).to_install == {}  # not at each command again
    assert sorted(os.listdir(own(home, two, bubblewrap) / SITE)) == ["mdurl", "mdurl-2.dist-info"]


def test_another_python_has_nothing_of_it(home: Home, backend: Backend, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {"six": "1"}), build(tmp_path, "bb", {"six": "1"}, minor="3.13")
    begin(home, one, backend)
    wheel(own(home, one, backend), "rich", "1")
    begun = begin(home, two, backend, Additions({"rich": "1"}))
    assert begun.to_install == {"rich": "1"}
    assert "another version of the interpreter" in begun.fates[0].why


def test_what_came_from_a_file_is_installed_from_no_index(home: Home, tmp_path: Path) -> None:
    """An index may have another project of that name."""
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {}, minor="3.13")
    begin(home, one, bubblewrap)
    wheel(own(home, one, bubblewrap), "ours", "1", {"ours.py": "", "ours-1.dist-info/direct_url.json": "{}"})
    seen = carrying.look(home, one, bubblewrap)
    assert seen.additions == Additions({"ours": ""})
    begun = begin(home, two, bubblewrap, seen.additions)
    assert begun.to_install == {}
    assert [(fate.name, fate.fate, fate.command) for fate in begun.fates] == [("ours", "left", "")]


def test_a_host_that_never_saw_the_layer_installs_what_is_recorded(
    home: Home, backend: Backend, tmp_path: Path
) -> None:
    one = build(tmp_path, "aa", {"six": "1", "idna": "3"})
    begun = begin(home, one, backend, Additions({"rich": "1", "six": "2"}, ("idna",)))
    assert begun.to_install == {"rich": "1", "six": "2"}
    assert told(begun) == [("idna", "3", "removed"), ("rich", "1", "installed"), ("six", "2", "installed")]
    files = shown(home, one, backend)
    assert files[f"{SITE}/six/__init__.py"] == "1"  # until the other one is installed in its place
    assert f"{SITE}/idna/__init__.py" not in files


def test_what_another_host_added_since_is_installed_once(home: Home, backend: Backend, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {})
    begin(home, one, backend)
    recorded = Additions({"rich": "1"})
    assert begin(home, one, backend, recorded).to_install == {"rich": "1"}
    assert begin(home, one, backend, recorded).to_install == {"rich": "1"}
    wheel(own(home, one, backend), "rich", "1")
    carrying.settle(home, one, {"rich": ""})
    assert begin(home, one, backend, recorded).to_install == {}
    assert [fate.fate for fate in carrying.fates(home, one, backend)] == ["installed"]
    seen = carrying.look(home, one, backend)
    carrying.note(home, one, seen)
    shutil.rmtree(own(home, one, backend) / SITE / "rich-1.dist-info")
    seen = carrying.look(home, one, backend)
    assert carrying.to_record(home, one, seen, recorded) == NONE  # it was removed here
    assert carrying.fates(home, one, backend) == ()


def test_edits_come_along_above_the_same_build_only(home: Home, backend: Backend, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {"six": "1", "rich": "1"}), build(tmp_path, "bb", {"six": "1", "rich": "1"})
    begin(home, one, backend)
    top = own(home, one, backend)
    write(
        top,
        {
            f"{SITE}/six/__init__.py": "edited",
            "notes/todo.txt": "stray",
            ".lock": "uv's",
            f"{SITE}/six/__pycache__/x.pyc": "",
        },
    )
    remove(home, one, backend, f"{SITE}/rich/__init__.py")
    found = carrying.files(home, one, backend)
    assert [tuple(each) for each in found.found] == [
        (f"{SITE}/rich/__init__.py", "removed"),
        (f"{SITE}/six/__init__.py", "edited"),
        ("notes/todo.txt", "added"),
    ]
    begun = begin(home, two, backend)
    assert [(fate.name, fate.fate) for fate in begun.fates] == [(each.path, "left") for each in found.found]
    assert str(top) in begun.fates[1].why
    assert shown(home, two, backend)[f"{SITE}/six/__init__.py"] == "1"
    begun = begin(home, one, backend)  # back to the release before
    assert own(home, one, backend) != top
    assert told(begun) == []
    files = shown(home, one, backend)
    assert (files[f"{SITE}/six/__init__.py"], files["notes/todo.txt"]) == ("edited", "stray")
    assert f"{SITE}/rich/__init__.py" not in files
    again = build(tmp_path, "dd", {"six": "1", "rich": "1"}, key="aa")  # the same one, made again
    begun = begin(home, again, backend)
    assert told(begun) == []
    assert shown(home, again, backend) == {**files, "pyvenv.cfg": "dd"}


def test_packages_come_from_the_newest_layer(home: Home, backend: Backend, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    begin(home, one, backend)
    for name in ("rich", "mdurl"):
        wheel(own(home, one, backend), name, "1")
    begin(home, two, backend, Additions({"rich": "1", "mdurl": "1"}))
    shutil.rmtree(own(home, two, backend) / SITE / "mdurl")
    shutil.rmtree(own(home, two, backend) / SITE / "mdurl-1.dist-info")
    wheel(own(home, two, backend), "humanize", "1")
    begun = begin(home, one, backend, Additions({"rich": "1", "humanize": "1"}))
    assert told(begun) == [("humanize", "1", "carried"), ("rich", "1", "carried")]
    assert not any("mdurl" in path for path in shown(home, one, backend))


def test_a_spoilt_layer_is_begun_anew_with_what_is_whole(home: Home, backend: Backend, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {"six": "1"})
    begin(home, one, backend)
    for name, files in (("rich", None), ("cow", {"cow.py": "", "../../../bin/cow": ""})):
        wheel(own(home, one, backend), name, "1", files)
    carrying.note(home, one, carrying.look(home, one, backend))
    remove(home, one, backend, "bin", "pyvenv.cfg", f"{SITE}/six", f"{SITE}/six-1.dist-info")
    begun = carrying.renew(home, one, backend, UID, Additions({"rich": "1", "cow": "1"}))
    assert begun.to_install == {"cow": "1"}
    assert [each for each in told(begun) if each[2] != "left"] == [("cow", "1", "installed"), ("rich", "1", "carried")]
    files = shown(home, one, backend)
    assert files["pyvenv.cfg"] == "aa"
    assert f"{SITE}/six/__init__.py" in files


def test_a_reset_carries_nothing(home: Home, backend: Backend, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {"six": "1"})
    begin(home, one, backend)
    top = own(home, one, backend)
    wheel(top, "rich", "1")
    write(top, {"stray": ""})
    assert carrying.reset(home, one, backend, UID) == top.parent
    assert carrying.look(home, one, backend).additions == NONE
    assert "stray" not in shown(home, one, backend)
    assert begin(home, one, backend, NONE).fates == ()
    assert (top / "stray").exists()


def test_nothing_comes_out_of_a_layer_from_before_a_reset(home: Home, backend: Backend, tmp_path: Path) -> None:
    """A way back to an earlier build brought back what the reset had taken away."""
    one, two = build(tmp_path, "aa", {"six": "1", "idna": "3"}), build(tmp_path, "bb", {"six": "1"})
    begin(home, one, backend)
    write(own(home, one, backend), {"stray": ""})
    begin(home, two, backend)
    carrying.reset(home, two, backend, UID)
    begin(home, one, backend)
    assert "stray" not in shown(home, one, backend)
    write(own(home, one, backend), {"later": ""})
    begin(home, two, backend)
    begin(home, one, backend)
    assert "later" in shown(home, one, backend)


@pytest.mark.parametrize("has_old_build", [True, False])
def test_a_layer_of_an_earlier_version_is_carried(has_old_build: bool, home: Home, tmp_path: Path) -> None:
    """It has no about.json, and nothing names the present one."""
    one = build(tmp_path, "aa", {"six": "1", "idna": "3"})
    for number, name in enumerate(("python-cc", "python-aa")):
        wheel(home.path / name / "upper", f"p{number}", "1")
        (home.path / name / "work").mkdir()
        os.utime(home.path / name / "work", ns=(10**18 * (2 + number),) * 2)
    for path in (f"{SITE}/idna", f"{SITE}/idna-3.dist-info"):
        os.mknod(home.path / "python-aa/upper" / path, stat.S_IFCHR, os.makedev(0, 0))
    home.path.parents[2].chmod(0o700)
    assert carrying.look(home, one, bubblewrap).additions == Additions({"p1": "1"}, ("idna",))
    two = build(tmp_path, "bb", {"six": "1", "idna": "3"})
    if not has_old_build:
        shutil.rmtree(one.path)
    begun = begin(home, two, bubblewrap)
    assert told(begun) == [("idna", "3", "removed"), ("p1", "1", "carried")]


def test_a_thread_may_move_between_backends(home: Home, tmp_path: Path) -> None:
    one = build(tmp_path, "aa", {"six": "1"})
    begin(home, one, bubblewrap)
    wheel(own(home, one, bubblewrap), "rich", "1")
    write(own(home, one, bubblewrap), {"stray": "x", f"{SITE}/six/__init__.py": "edited"})
    for backend in (proot, bubblewrap):
        begun = begin(home, one, backend, Additions({"rich": "1"}))
        assert told(begun) == [("rich", "1", "carried")]
        files = shown(home, one, backend)
        assert (files["stray"], files[f"{SITE}/six/__init__.py"]) == ("x", "edited")
