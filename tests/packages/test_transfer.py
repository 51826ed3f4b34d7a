"""Attacks on what is carried: an agent, with all rights over its old layer, has files of the host read or written."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import carrying, transfer
from solven_env.packages.additions import NONE, Additions
from solven_env.packages.layers import Home
from solven_env.packages.store import Build
from solven_env.sandbox.backends import bubblewrap, proot
from tests.packages.test_carrying import ROOT, SITE, UID, build, own, shown, told, wheel, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solven_env.sandbox.backends.protocol import Backend

SECRET = "root:secret"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "data", "storage", "t1", "first")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host, with a secret."""
    write(tmp_path / "victim", {"shadow": SECRET, "deep/er.py": SECRET})
    return tmp_path / "victim"


def up(tmp_path: Path, home: Home) -> str:
    """The way from the packages of a layer to the host's files."""
    layer = home.path / "python-aa/upper" / SITE
    return os.path.relpath(tmp_path / "victim", layer)


RECORDS: tuple[tuple[str, str], ...] = (
    ("relative", "{up}/shadow,,\n"),
    ("absolute", "{victim}/shadow,,\n"),
    ("just above", "../../../../about.json,,\n"),
    ("the other layer", "../../../../../python-bb/upper/x,,\n"),
    ("through a name", "rich/../{up}/shadow,,\n"),
    ("the tree", "../../..,,\n"),
    ("nothing", '"",,\n'),
    ("a null", "rich/\0,,\n"),
    ("a surrogate", '"\ud800",,\n'),
)


@pytest.mark.parametrize("record", [each[1] for each in RECORDS], ids=[each[0] for each in RECORDS])
def test_a_record_leads_nowhere_out_of_the_layer(record: str, home: Home, victim: Path, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    wheel(top, "rich", "1")
    text = record.format(up=up(tmp_path, home), victim=victim).encode(errors="surrogatepass")
    (top / SITE / "rich-1.dist-info/RECORD").write_bytes(b"rich/__init__.py,,\n" + text)
    begun = carrying.begin(home, two, bubblewrap, UID, NONE)
    assert [each for each in told(begun) if each[2] != "left"] == [("rich", "1", "installed")]
    assert SECRET not in str(shown(home, two, bubblewrap))
    assert sorted(path.name for path in own(home, two, bubblewrap).rglob("*")) == []


def test_names_of_files_may_be_any(home: Home, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    files = {
        '"rich/a\nb.py"': "",
        "rich/\x1b[31m.py": "",
        "rich/-rf *.py": "",
        "rich/ä.py": "",
        f"rich/{'x' * 250}": "",
    }
    wheel(
        own(home, one, bubblewrap),
        "rich",
        "1",
        {name.strip('"'): "" for name in files},
        record="".join(f"{name},,\n" for name in files),
    )
    begun = carrying.begin(home, two, bubblewrap, UID, NONE)
    assert told(begun) == [("rich", "1", "carried")]
    assert len(os.listdir(own(home, two, bubblewrap) / SITE / "rich")) == len(files)


def test_a_directory_of_metadata_with_a_huge_name_is_one(home: Home, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    version = "1." + "0" * 230
    wheel(own(home, one, bubblewrap), "rich", version)
    for name in ("-1.dist-info", "a\n-1.dist-info", "\x1b[2J-1.dist-info", ".dist-info", "a-1.dist-info\n"):
        (own(home, one, bubblewrap) / SITE / name).mkdir()
    assert told(carrying.begin(home, two, bubblewrap, UID, NONE)) == [("rich", version, "carried")]


def test_a_million_lines_end(home: Home, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    wheel(own(home, one, bubblewrap), "rich", "1", record="rich/__init__.py,,\n" * 1_000_000)
    wheel(own(home, one, bubblewrap), "cow", "1", record="x,,\n" * 1_000_000)
    begun = time.monotonic()
    assert {fate for _, _, fate in told(carrying.begin(home, two, bubblewrap, UID, NONE))} == {"installed", "left"}
    assert time.monotonic() - begun < 5


def test_a_file_with_a_hole_costs_no_more_than_it_holds(home: Home, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    for name, size in (("rich", 1 << 33), ("cow", 1 << 35)):
        wheel(top, name, "1", {f"{name}/data": "begin"})
        with (top / SITE / name / "data").open("r+b") as file:
            file.seek(size - 3)
            file.write(b"end")
    begun = time.monotonic()
    assert [fate for _, _, fate in told(carrying.begin(home, two, bubblewrap, UID, NONE)) if fate != "left"] == [
        "installed",
        "carried",
    ]
    assert time.monotonic() - begun < 5
    data = own(home, two, bubblewrap) / SITE / "rich/data"
    with data.open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"\0end"
    assert data.stat().st_blocks * 512 < 1 << 20
    (top / SITE / "cow/data").unlink()


def swapped_directory(package: Path, victim: Path) -> None:
    package.rename(package.with_name("aside"))
    package.symlink_to(victim)


def swapped_file(package: Path, victim: Path) -> None:
    (package / "deep/er.py").unlink()
    (package / "deep/er.py").symlink_to(victim / "shadow")


def hard_pipe(package: Path, victim: Path) -> None:
    (package / "deep/er.py").unlink()
    os.mkfifo(package / "deep/er.py")


def grown(package: Path, victim: Path) -> None:
    os.truncate(package / "deep/er.py", transfer.BYTES + 1)


def gone(package: Path, victim: Path) -> None:
    (package / "deep/er.py").unlink()


@pytest.mark.parametrize("swap", [swapped_directory, swapped_file, hard_pipe, grown, gone])
@pytest.mark.parametrize("backend", [bubblewrap, proot], ids=["bubblewrap", "proot"])
def test_what_is_swapped_after_the_look_is_not_taken(
    swap: Callable[[Path, Path], None],
    backend: Backend,
    home: Home,
    victim: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old layer may be a live session's: commands change it between our look and our copy."""
    one, two = build(tmp_path, "aa", {"rich": "1"}), build(tmp_path, "bb", {"rich": "1"})
    carrying.begin(home, one, backend, UID, NONE)
    top = own(home, one, backend)
    wheel(top, "cow", "1", {"cow/a.py": "", "cow/deep/er.py": "", "cow/z.py": ""})
    wheel(top, "mdurl", "1")
    take = transfer.Receiver.take

    def swapping(receiver: transfer.Receiver, source: int, pieces: object, **named: bool) -> None:
        if not (top / SITE / "swapped").exists():
            (top / SITE / "swapped").touch()
            swap(top / SITE / "cow", victim)
        take(receiver, source, pieces, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(transfer.Receiver, "take", swapping)
    begun = carrying.begin(home, two, backend, UID, NONE)
    assert told(begun) == [("cow", "1", "installed"), ("mdurl", "1", "carried")]
    new = own(home, two, backend)
    assert not (new / SITE / "cow").exists()  # nor a half of it
    assert SECRET not in str(shown(home, two, backend))
    assert (victim / "shadow").read_text() == SECRET


def test_nothing_is_written_through_a_link_that_was_taken(
    home: Home, victim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package brings a link, and a file beneath its name: the layer that we fill has the link by then."""
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    wheel(top, "rich", "1", {"rich/x.py": "", "rich/deep/er.py": "planted"})
    expand = transfer.expand

    def lying(root: object, parts: object, **more: object) -> tuple[transfer.Piece, ...]:
        pieces = expand(root, parts, **more)  # type: ignore[arg-type]
        place = top / SITE / "rich/link"
        if not place.is_symlink():
            place.symlink_to(os.path.relpath(victim, place.parent))
        if any(piece.path.endswith("deep/er.py") for piece in pieces):
            link = transfer.Piece(f"{SITE}/rich/link", "symlink", 0)
            return (link, transfer.Piece(f"{SITE}/rich/link/planted", "file", 0), *pieces)
        return pieces

    monkeypatch.setattr(transfer, "expand", lying)
    begun = carrying.begin(home, two, bubblewrap, UID, NONE)
    assert ("rich", "1", "installed") in told(begun)
    assert sorted(os.listdir(victim)) == ["deep", "shadow"]


@pytest.mark.skipif(not ROOT, reason="makes devices")
def test_devices_and_rights_are_not_carried(home: Home, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    wheel(top, "rich", "1", {"rich/disk": "", "rich/x": ""})
    (top / SITE / "rich/disk").unlink()
    os.mknod(top / SITE / "rich/disk", 0o060666, os.makedev(7, 0))
    wheel(top, "cow", "1", {"cow/su": ""})
    (top / SITE / "cow/su").chmod(0o6755)
    os.setxattr(top / SITE / "cow/su", "security.capability", bytes.fromhex("0100000202000000000000000000000000000000"))
    begun = carrying.begin(home, two, bubblewrap, UID, NONE)
    assert [each for each in told(begun) if each[2] != "left"] == [("cow", "1", "carried"), ("rich", "1", "installed")]
    taken = own(home, two, bubblewrap) / SITE / "cow/su"
    assert (taken.stat().st_mode & 0o7777, taken.stat().st_uid) == (0o755, UID)
    assert os.listxattr(taken) == []


@pytest.mark.skipif(not ROOT, reason="trusted attributes are root's")
def test_attributes_of_an_overlay_are_read_as_the_kernel_reads_them(home: Home, tmp_path: Path) -> None:
    """In root's overlay those of a user are plain ones, which a command can set; a redirect is followed by nobody."""
    one, two = build(tmp_path, "aa", {"six": "1"}), build(tmp_path, "bb", {"six": "1"})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    (top / SITE).mkdir(parents=True)
    os.setxattr(top / SITE, "user.overlay.opaque", b"y")
    assert carrying.look(home, one, bubblewrap).additions == NONE
    os.setxattr(top / SITE, "trusted.overlay.opaque", b"y")
    assert carrying.look(home, one, bubblewrap).additions == Additions({}, ("six",))
    os.removexattr(top / SITE, "trusted.overlay.opaque")
    wheel(top, "rich", "1")
    os.setxattr(top / SITE / "rich", "trusted.overlay.redirect", b"/etc")
    write(top, {f"{SITE}/six/__init__.py": "\0" * 6})
    os.setxattr(top / SITE / "six/__init__.py", "trusted.overlay.metacopy", b"")
    carrying.begin(home, two, bubblewrap, UID, NONE)
    assert os.listxattr(own(home, two, bubblewrap) / SITE / "rich") == []
    begun = carrying.begin(home, one, bubblewrap, UID, NONE)  # its bytes are in the build, as the kernel says
    assert (f"{SITE}/six/__init__.py", "", "left") in told(begun)
    assert shown(home, one, bubblewrap)[f"{SITE}/six/__init__.py"] == "1"


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_what_its_owner_closed_is_left(home: Home, tmp_path: Path) -> None:
    one, two = build(tmp_path, "aa", {}), build(tmp_path, "bb", {})
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    for name in ("rich", "cow"):
        wheel(top, name, "1")
    (top / SITE / "rich").chmod(0)
    (top / SITE / "cow/__init__.py").chmod(0)
    try:
        begun = carrying.begin(home, two, bubblewrap, UID, NONE)
        assert {fate for name, _, fate in told(begun) if name in ("rich", "cow")} == {"installed"}
    finally:
        (top / SITE / "rich").chmod(0o755)


MANIFESTS: tuple[tuple[str, str | bytes, str | None], ...] = (
    # the manifest, and the version by which the package is known (None: by none)
    ("plain", '{"name": "left-pad", "version": "1.3.0"}', "1.3.0"),
    ("alias", '{"name": "@a/pad", "version": "1.3.0-rc.1+b"}', "npm:@a/pad@1.3.0-rc.1+b"),
    ("no JSON", "{", None),
    ("no text", b"\xff\xfe", None),
    ("nested", "[" * 100_000, None),
    ("a list", "[]", None),
    ("no version", '{"name": "left-pad"}', None),
    ("a number", '{"name": "left-pad", "version": 1}', None),
    ("no version at all", '{"name": "left-pad", "version": "latest"}', None),
    ("an option", '{"name": "left-pad", "version": "1.3.0 --registry=http://x"}', None),
    ("escapes", '{"name": "left-pad", "version": "1.3.0\\u001b[2J"}', None),
    ("a path for a name", '{"name": "../../x", "version": "1.3.0"}', None),
    ("an option for a name", '{"name": "--global", "version": "1.3.0"}', None),
    ("huge", '{"name": "left-pad", "version": "1.3.0", "x": "' + "x" * 5_000_000 + '"}', None),
)


@pytest.mark.parametrize(("text", "version"), [each[1:] for each in MANIFESTS], ids=[each[0] for each in MANIFESTS])
def test_a_manifest_is_not_believed(text: str | bytes, version: str | None, home: Home, tmp_path: Path) -> None:
    one, two = node(tmp_path, "aa"), node(tmp_path, "bb")
    carrying.begin(home, one, bubblewrap, UID, NONE)
    top = own(home, one, bubblewrap)
    (top / "left-pad/bin").mkdir(parents=True)
    (top / "left-pad/package.json").write_bytes(text.encode() if isinstance(text, str) else text)
    write(top, {"left-pad/bin/pad.js": "pad"})
    (top / ".bin").mkdir()
    (top / ".bin/pad").symlink_to("../left-pad/bin/pad.js")
    (top / ".bin/out").symlink_to("../../../../../victim")
    assert carrying.look(home, one, bubblewrap).additions == Additions({"left-pad": version or ""})
    begun = carrying.begin(home, two, bubblewrap, UID, NONE)
    assert [each for each in told(begun) if each[2] != "left"] == [("left-pad", version or "", "carried")]
    new = own(home, two, bubblewrap)
    assert sorted(os.listdir(new)) == [".bin", "left-pad"]
    assert os.listdir(new / ".bin") == ["pad"]
    assert (new / ".bin/pad").read_text() == "pad"


def node(base: Path, instance: str) -> Build:
    """A build of Bun's with one package."""
    name = f"bun-{instance * 20}"
    made = Build("bun", name, instance, base / "builds" / name)
    write(made.tree, {"ms/package.json": json.dumps({"name": "ms", "version": "2.1.3"}), "ms/index.js": ""})
    (made.path / "build.json").write_text(json.dumps({"format": 1, "key": name, "kind": "bun", "instance": instance}))
    return made


@pytest.mark.parametrize("backend", [bubblewrap, proot], ids=["bubblewrap", "proot"])
def test_a_removed_javascript_package_stays_removed(backend: Backend, home: Home, tmp_path: Path) -> None:
    from tests.packages.test_carrying import remove

    one, two = node(tmp_path, "aa"), node(tmp_path, "bb")
    carrying.begin(home, one, backend, UID, NONE)
    remove(home, one, backend, "ms")
    write(
        own(home, one, backend),
        {"@a/b/package.json": '{"name": "@a/b", "version": "1.0.0"}', "@a/b/node_modules/c/x": ""},
    )
    seen = carrying.look(home, one, backend).additions
    assert seen == Additions({"@a/b": "1.0.0"}, ("ms",))
    assert told(carrying.begin(home, two, backend, UID, seen)) == [
        ("@a/b", "1.0.0", "carried"),
        ("ms", "2.1.3", "removed"),
    ]
    assert shown(home, two, backend).keys() == {"@a/b/package.json", "@a/b/node_modules/c/x"}
