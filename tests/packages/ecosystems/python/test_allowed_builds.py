"""Packages that are built from their source: resolved, pinned with what their builds need, built, kept and shared."""

from __future__ import annotations

import io
import shutil
import stat
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError, LockError, SandboxError
from solven_env.packages import lock_text, resolving, toolchain
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import (
    Python,
    allowed_builds,
    interpreters,
    pip_compile,
    requirements_txt,
    virtual_environment,
)
from solven_env.packages.ecosystems.python.requirements_txt import Pin
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap, proot
from tests.packages.layered import UID
from tests.packages.registry import Registry, serve
from tests.packages.sources import BACKEND, publish_backend, sdist
from tests.sandbox.running import BWRAP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{VERSION}/site-packages"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serve() as served:
        served.add_wheel("pip", "26.0", {"pip.py": b""})
        publish_backend(served)
        yield served


@pytest.fixture
def builder(registry: Registry, environ: dict[str, str], runtime: str, directory: Path) -> Builder:
    own = {"UV_DEFAULT_INDEX": f"{registry.address}/simple", "UV_CACHE_DIR": str(directory / "uv")}
    return Builder(toolchain.host(directory / "cache", {**environ, **own}), UID, runtime, bubblewrap, BWRAP)


def pinned(text: bytes) -> dict[str, str]:
    return {pin.name: pin.version for pin in row.locked(text, row.LOCK).pins}


def test_a_package_is_locked_with_what_its_build_needs_and_built_once(
    registry: Registry, builder: Builder, directory: Path
) -> None:
    """One world for the whole way: metadata that only the package's code says, a requirement that only the hook says,
    and a second build that shares the wheel."""
    registry.add_wheel("solven_needed", "2.0", {"solven_needed.py": b"ANSWER = 2\n"})
    registry.add_wheel("solven_extra", "1.0", {"solven_extra.py": b"WORD = 'extra'\n"})
    told = sdist("solven_acme", "1.5", requires=("solven-needed>=1",), build=("solven-extra",))
    registry.add_sdist("solven_acme", "1.5", told)
    wanted = Python(VERSION, ("solven-acme",), ("solven-acme",))
    lock, _ = resolving.resolve({"python": wanted}, {}, builder, lambda _: None)
    files = lock_text.split(row.LOCKS, lock["python"])
    assert pinned(lock["python"]) == {"pip": "26.0", "solven-acme": "1.5", "solven-needed": "2.0"}
    assert [line for line in files["builds.txt"].decode().splitlines() if not line.startswith(" ")][1:] == [
        "[solven-acme==1.5]",
        "solven-backend==1.0 \\",
        "solven-extra==1.0 \\",
    ]
    # the same again, from what is known, and held against the index: what the source said is not asked again
    lines, more = list[str](), wanted._replace(allow_builds=(*wanted.allow_builds, "solven-nowhere"))
    again, remarks = resolving.resolve({"python": more}, files, builder, lines.append)
    assert again == lock
    assert [(each.kind, each.package) for each in remarks] == [("unneeded", "solven-nowhere")]
    row.compare(wanted, lock["python"], builder.telling(lines.append), "p.lock/python.txt", fix="")
    assert not any("asking the source" in line for line in lines)
    answers_that_do_not_hold(registry, wanted, builder)
    # and without the network, from what the lock itself says
    row.believe(lock["python"], wanted, "p.lock/python.txt")
    lines.clear()
    telling = builder.telling(lines.append)
    made = virtual_environment.build(wanted, lock["python"], telling)
    assert (made.tree / SITE / "solven_acme.py").read_bytes() == b"ANSWER = 42\n"
    assert (made.tree / SITE / "solven_needed.py").exists()
    assert "  building solven-acme 1.5 …" in lines
    record = (made.tree / SITE / "solven_acme-1.5.dist-info/RECORD").read_text()
    assert "solven_acme.py,sha256=" in record and "passwd" not in record
    kept = [path.name for path in (builder.host.cache / "wheels").glob("*/*.whl")]
    assert "solven_acme-1.5-py3-none-any.whl" in kept
    # another build of this host has the same wheel
    registry.seen.clear()
    lines.clear()
    virtual_environment.build(wanted._replace(packages=("solven-acme>1",)), lock["python"], telling)
    assert not any("building" in line or "fetching the source" in line for line in lines)
    assert not any(path.endswith(".tar.gz") for path in registry.seen)
    # built anew, its bytes are the same
    (wheel,) = (builder.host.cache / "wheels").glob("solven-acme-*/*.whl")
    before = wheel.read_bytes()
    shutil.rmtree(wheel.parent)
    shutil.rmtree(made.path)
    virtual_environment.build(wanted, lock["python"], telling)
    assert wheel.read_bytes() == before
    shutil.rmtree(wheel.parent)
    refused_locks(wanted, files, builder)


def answers_that_do_not_hold(registry: Registry, wanted: Python, builder: Builder) -> None:
    """The source is asked again where its answers are damaged. A version that an older lock has stays there:
    `refused_locks` compares with one.
    """
    (kept,) = (builder.host.cache / "answers").glob("*.json")
    kept.write_bytes(kept.read_bytes()[:-1])
    registry.add_wheel("solven_extra", "2.0", {"solven_extra.py": b"WORD = 'extra'\n"})
    lines = list[str]()
    lock, _ = resolving.resolve({"python": wanted}, {}, builder, lines.append)
    assert b"solven-extra==2.0" in lock["python"]
    assert b"solven-extra==2.0" in kept.read_bytes()
    assert any("asking the source" in line for line in lines)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"requires": []}'])
def test_answers_that_are_not_whole_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert allowed_builds._kept_answers(tmp_path / "a.json") is None
    assert allowed_builds._kept_answers(tmp_path / "b.json") is None


def refused_locks(wanted: Python, files: dict[str, bytes], builder: Builder) -> None:
    """What an edit of builds.txt comes to, by `lock --check` and by a build."""
    evil = f"solven-evil==1.0 \\\n    --hash=sha256:{'0' * 64}\n".encode()
    text = lock_text.join(row.LOCKS, {**files, "builds.txt": files["builds.txt"] + b"-r /etc/passwd\n"})
    with pytest.raises(LockError, match="this is an option") as caught:
        row.believe(text, wanted, "p.lock/python.txt")
    line = files["builds.txt"].count(b"\n") + 1
    assert caught.value.location == f"p.lock/builds.txt:{line}"
    with pytest.raises(LockError) as caught:  # a record has both in one file
        row.believe(text, wanted, ".solven-env/locks/abc")
    before = files["python.txt"].count(b"\n") + 1
    assert caught.value.location == f".solven-env/locks/abc:{before + line}"
    with pytest.raises(LockError, match="does not say what the build of solven-acme"):
        row.believe(files["python.txt"], wanted, "p.lock/python.txt")
    with pytest.raises(LockError, match="nothing asks for the build of solven-acme"):
        row.believe(lock_text.join(row.LOCKS, files), wanted._replace(allow_builds=()), "p.lock/python.txt")
    more = lock_text.join(row.LOCKS, {**files, "builds.txt": files["builds.txt"] + evil})
    row.believe(more, wanted, "p.lock/python.txt")  # its grammar is right
    with pytest.raises(LockError, match="resolution has no solven-evil") as caught:
        row.compare(wanted, more, builder, "p.lock/python.txt", fix="")
    assert caught.value.location == f"p.lock/builds.txt:{line}"
    # to build it is refused before anything of the stranger's is there to run
    pin = next(pin for pin in row.locked(files["python.txt"], row.LOCK).pins if pin.name == "solven-needed")
    unasked = requirements_txt.print_pins([pin]).encode()
    for content, said in (
        (files["builds.txt"] + unasked, "nothing asks for solven-needed 2.0"),
        (
            files["builds.txt"].partition(b"solven-extra")[0],
            "no pin for solven-extra, which the build of solven-acme 1.5 asks",
        ),
    ):
        forged = lock_text.join(row.LOCKS, {**files, "builds.txt": content})
        with pytest.raises(LockError, match=said) as caught:
            virtual_environment.build(wanted, forged, builder)
        assert (caught.value.location or "").startswith("builds.txt:")


def test_versions_change_until_nothing_new_comes(registry: Registry, builder: Builder) -> None:
    """The newest version needs what there is not, which only its own code says: an older one is taken."""
    registry.add_sdist("solven_acme", "2.0", sdist("solven_acme", "2.0", requires=("solven-backend>=9",)))
    registry.add_sdist("solven_acme", "1.0", sdist("solven_acme", "1.0", requires=("solven-inner",)))
    registry.add_sdist("solven_inner", "3.0", sdist("solven_inner", "3.0", static=(), backend="solven_inner", here=True,
                       code=BACKEND))  # fmt: skip
    wanted = Python(VERSION, ("solven-acme",), ("solven-acme", "solven-inner"))
    text = pip_compile.resolve(wanted, b"", builder).text
    assert pinned(text) == {"pip": "26.0", "solven-acme": "1.0", "solven-inner": "3.0"}
    sections = row.locked(text, row.LOCK).builds
    assert [(each.name, [pin.name for pin in each.pins]) for each in sections] == [
        ("solven-acme", ["solven-backend"]),
        ("solven-inner", []),
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (sdist("solven_acme", "1.0", static=("solven-absent",)), "what the build of solven-acme 1.0 needs cannot be"),
        (sdist("solven_acme", "1.1"), "says that it is another package: 'solven_acme' '1.1'"),
        ({**sdist("solven_acme", "1.0"), "about.json": b"{"}, "solven-acme 1.0 cannot be built: .*JSONDecodeError"),
    ],
    ids=["no wheel", "other version", "failing"],
)
def test_what_an_sdist_may_not_say_is_one_clear_error(
    registry: Registry, builder: Builder, files: dict[str, bytes], said: str
) -> None:
    registry.add_sdist("solven_acme", "1.0", files)
    with pytest.raises(BuildError, match=said) as caught:
        pip_compile.resolve(Python(VERSION, ("solven-acme",), ("solven-acme",)), b"", builder)
    assert "\n" not in str(caught.value)


def test_a_backend_without_walls_builds_nothing(registry: Registry, builder: Builder) -> None:
    registry.add_sdist("solven_acme", "1.0", sdist("solven_acme", "1.0"))
    with pytest.raises(SandboxError, match="proot gives packages that are built the network host"):
        pip_compile.resolve(Python(VERSION, ("solven-acme",), ("solven-acme",)), b"", builder._replace(backend=proot))
    assert registry.seen == []


def test_an_sdist_is_held_to_its_digest(registry: Registry, builder: Builder) -> None:
    registry.add_sdist("solven_acme", "1.0", sdist("solven_acme", "1.0"))
    wanted = Python(VERSION, ("solven-acme",), ("solven-acme",))
    text = pip_compile.resolve(wanted, b"", builder).text
    shutil.rmtree(builder.host.cache / "sdists")
    page = registry.pages["/simple/solven-acme/"]
    registry.add_sdist("solven_acme", "1.0", sdist("solven_acme", "1.0", code=b"ANSWER = 'another'\n"))
    registry.pages["/simple/solven-acme/"] = page
    with pytest.raises(BuildError, match=r"(?i)hash mismatch"):
        virtual_environment.build(wanted, text, builder)
    assert not list((builder.host.cache / "sdists").glob("*/*.zip"))
    # an index that knows of the change tells uv so by the address: the digests are the lock's all the same
    registry.pages.pop("/simple/solven-acme/")
    registry.add_sdist("solven_acme", "1.0", sdist("solven_acme", "1.0", code=b"ANSWER = 'another'\n"))
    with pytest.raises(BuildError, match=r"(?i)hash mismatch"):
        virtual_environment.build(wanted, text, builder)
    assert not list((builder.host.cache / "sdists").glob("*/*.zip"))


def wheel(fill: Callable[[zipfile.ZipFile], None] = lambda _: None, name: str = "acme", version: str = "1") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
        archive.writestr(f"{name}-{version}.dist-info/RECORD", "../../etc/passwd,,\n")
        fill(archive)
    return data.getvalue()


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("link.py")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/shadow")


ACME = "acme-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (ACME, b"no wheel", "cannot be read"),
        (ACME, wheel()[:-30], "cannot be read"),
        (ACME, wheel(lambda archive: archive.writestr("a", b"1", zipfile.ZIP_LZMA)), "compressed as in no wheel"),
        (ACME, wheel(lambda archive: archive.writestr("é", "")).replace("é".encode(), b"\xff\xff"), "cannot be read"),
        (ACME, wheel(lambda archive: archive.writestr("x", "")).replace(b"x", b"\0"), "cannot be read|path that no"),
        (ACME, wheel()[:-6] + b"\xff\xff\0\0" + wheel()[-2:], "cannot be read"),
        ("acme-1.whl", wheel(), "a name that no wheel has"),
        ("other-1-py3-none-any.whl", wheel(), "is another one"),
        ("acme-2-py3-none-any.whl", wheel(), "is another one"),
        ("acme-1-cp27-cp27mu-win32.whl", wheel(), "is not for this interpreter and machine"),
        (ACME, wheel(name="other"), "says that it is another package"),
        (ACME, wheel(version="2"), "says that it is another package"),
        (ACME, wheel(lambda archive: archive.writestr("b-1.dist-info/METADATA", "")), "does not say what it is"),
        (ACME, wheel(lambda archive: archive.writestr("../../../../etc/evil", "")), "at a path that no package has"),
        (ACME, wheel(lambda archive: archive.writestr("/etc/evil", "")), "at a path that no package has"),
        (ACME, wheel(link), "something else than files"),
    ],
)  # fmt: skip
def test_a_wheel_that_was_built_is_a_strangers(
    host: toolchain.Toolchain, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    interpreter = interpreters.find_python(VERSION, host)
    with pytest.raises(BuildError, match=said):
        allowed_builds._keep(
            Pin("acme", "1", None, ("0",), 1), name, io.BytesIO(data), tmp_path / "w/acme", interpreter
        )
    assert list((tmp_path / "w").rglob("*.whl")) == [] if (tmp_path / "w").exists() else True


def test_a_wheel_is_kept_with_a_record_of_our_own(host: toolchain.Toolchain, tmp_path: Path) -> None:
    interpreter = interpreters.find_python(VERSION, host)
    data = wheel(lambda archive: archive.writestr("a,b.py", b"1\n"))
    allowed_builds._keep(Pin("acme", "1", None, ("0",), 1), ACME, io.BytesIO(data), tmp_path / "w/acme", interpreter)
    with zipfile.ZipFile(tmp_path / "w/acme" / ACME) as archive:
        lines = archive.read("acme-1.dist-info/RECORD").decode().splitlines()
    assert [line.split(",sha256")[0] for line in lines] == [
        '"a,b.py"',
        "acme-1.dist-info/METADATA",
        "acme-1.dist-info/RECORD,,",
    ]
