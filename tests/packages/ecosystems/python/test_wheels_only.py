"""What the rule 'wheels only' costs and refuses, with real uv and an index whose releases are invented here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError
from solven_env.packages import toolchain
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import Python, wheels, wheels_only
from solven_env.packages.ecosystems.python.interpreters import find_python
from solven_env.packages.ecosystems.python.pip_compile import Declared
from solven_env.packages.ecosystems.python.requirements_txt import Pin
from tests.packages.ecosystems.python.invented import ANY, GLIBC, MUSL, SDIST, WINDOWS, Index
from tests.packages.registry import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from solven_env.packages.locks import Resolution
    from solven_env.packages.making import Builder


@pytest.fixture
def index(environ: dict[str, str], tmp_path: Path) -> Iterator[Index]:
    with serve() as registry:
        yield Index(registry, tmp_path, environ)


def versions(made: Resolution) -> dict[str, str]:
    found = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", made.text.decode(), re.MULTILINE))
    del found["pip"]
    return found


def messages(made: Resolution) -> list[str]:
    return [f"{remark.kind}: {remark.message}" for remark in made.remarks]


def test_versions_that_are_held_back_are_told(index: Index) -> None:
    index.add("alone", "1.0", ANY)
    index.add("alone", "2.0", SDIST)
    index.add("child", "1.0", ANY)
    index.add("child", "2.0", ANY, needs=("grandchild",))
    index.add("grandchild", "3.0", SDIST)
    index.add("top", "1.0", ANY, needs=("child<2", "capped<2"))
    index.add("top", "2.0", ANY, needs=("child>=2", "capped>=2"))
    for version in ("1.0", "2.0"):
        index.add("capped", version, ANY)
        index.add("older", version, ANY)
    made = index.lock("alone", "top", "older<2")
    assert versions(made) == {"alone": "1.0", "capped": "1.0", "child": "1.0", "older": "1.0", "top": "1.0"}
    expected = [
        "held-back: alone 1.0; 2.0 has no wheel: see python.allow_builds",
        "held-back: capped 1.0; 2.0 does not go with top 1.0, which is held back for want of wheels",
        "held-back: child 1.0; 2.0 needs grandchild 3.0, which has no wheel: see python.allow_builds",
        "held-back: top 1.0; 2.0 needs grandchild 3.0, which has no wheel: see python.allow_builds",
    ]
    assert messages(made) == expected
    # An older lock changes nothing of it, and what it alone keeps old is not blamed on wheels.
    index.add("older", "1.5", ANY)
    again = index.lock("alone", "top", "older<2", known=made.text)
    assert versions(again)["older"] == "1.0"
    assert messages(again) == expected
    assert not index.mark.exists()


def test_nothing_is_said_where_nothing_is_held_back(index: Index) -> None:
    index.add("pure", "1.0", ANY, SDIST)
    index.add("windows", "1.0", WINDOWS)
    index.add("other", "1.0", ANY, needs=("windows; sys_platform == 'win32'",))
    index.add("other", "2.0", ANY, needs=("windows>=2; sys_platform == 'win32'",))
    made = index.lock("pure", "other<2")
    assert versions(made) == {"other": "1.0", "pure": "1.0", "windows": "1.0"}
    assert messages(made) == []


def test_an_old_source_that_seems_to_need_nothing_blames_nobody(index: Index) -> None:
    index.add("base", "1.0", ANY)
    index.add("base", "2.0", ANY)
    index.add("heavy", "1.0", SDIST)
    index.add("heavy", "2.0", ANY, needs=("base<2",))
    made = index.lock("base", "heavy")
    assert versions(made) == {"base": "1.0", "heavy": "2.0"}
    assert messages(made) == []


def test_a_package_that_is_built_needs_no_wheel(index: Index) -> None:
    index.add("alone", "1.0", ANY)
    index.add("alone", "2.0", SDIST, needs=("below",))
    index.add("below", "1.0", *GLIBC, *MUSL)
    index.add("below", "2.0", WINDOWS)
    pins = [Pin(name, version, None, (), 0) for name, version in (("alone", "2.0"), ("below", "1.0"), ("pip", "1.0"))]
    section = Python("3.12", ("alone",), ("alone",))
    learned = [Declared("alone", "2.0", ("below<2",))]
    found = wheels_only.examine(section, pins, index.host, is_new=True, declared=learned)
    assert found == wheels_only.Examined()
    wider = [Declared("alone", "2.0", ("below",))]
    (remark,) = wheels_only.examine(section, pins, index.host, is_new=False, declared=wider).remarks
    assert remark.message == "below 1.0; 2.0 has no wheel for Python 3.12 on Linux, and no source"


def test_machines_without_a_wheel_are_told(index: Index) -> None:
    index.add("compiled", "1.0", *GLIBC, *MUSL, WINDOWS)
    index.add("glibc", "1.0", *GLIBC, SDIST)
    index.add("musl", "1.0", MUSL[0])
    made = index.lock("compiled", "glibc", "musl")
    assert messages(made) == [
        "platforms: glibc 1.0 has no wheel for Linux with musl (Alpine)",
        "platforms: musl 1.0 has no wheel for Linux with glibc and Linux with musl (Alpine) on aarch64",
    ]


def test_an_older_version_with_a_wheel_for_linux_is_taken(index: Index) -> None:
    """uv by itself is content with a wheel for Windows."""
    index.add("windows", "1.0", *GLIBC, *MUSL)
    index.add("windows", "2.0", WINDOWS, SDIST)
    index.add("top", "1.0", ANY, needs=("windows",))
    made = index.lock("top")
    assert versions(made) == {"top": "1.0", "windows": "1.0"}
    message = "held-back: windows 1.0; 2.0 has no wheel for Python 3.12 on Linux: see python.allow_builds"
    assert messages(made) == [message]
    assert index.lock("top", known=made.text) == made
    # A lock that was made when only that was asked for is left.
    index.add("mended", "1.0", WINDOWS)
    index.add("mended", "2.0", *GLIBC, *MUSL)
    digest = "0" * 64
    known = f"mended==1.0 \\\n    --hash=sha256:{digest}\npip==1.0 \\\n    --hash=sha256:{digest}\n".encode()
    assert versions(index.lock("mended", known=known)) == {"mended": "2.0"}


def test_all_that_cannot_be_had_is_refused_at_once(index: Index) -> None:
    index.add("bare", "1.0", SDIST)
    index.add("below", "4.0", SDIST)
    index.add("newer", "1.0", "cp313-cp313-manylinux_2_17_x86_64")
    index.add("old", "1.0", "cp310-cp310-manylinux_2_17_x86_64", SDIST)
    index.add("top", "1.0", ANY, needs=("below>=4",))
    index.add("kept", "1.0", ANY)
    index.add("kept", "2.0", SDIST)
    index.add("windows", "1.0", WINDOWS)
    index.add("future", "2.0", ANY, python=">=3.13")
    with pytest.raises(BuildError) as caught:
        index.lock("bare", "newer", "old", "top", "kept", "windows", "future", "nowhere", "nowhere-else>2")
    assert caught.value.message == (
        "8 Python packages cannot be locked for Python 3.12 on Linux: "
        "future, nowhere, nowhere-else>2, bare, below, newer, old, windows"
    )
    assert [line.partition(". ")[0] for line in caught.value.details] == [
        "future: no version that fits is for Python 3.12, but for Python 3.13 to 3.16",
        "nowhere: nowhere was not found in the package registry",
        "nowhere-else>2: nowhere-else was not found in the package registry",
        "bare 1.0 has no wheel: write python.allow_builds: [bare]",
        "below 4.0, which top needs, has no wheel: write python.allow_builds: [below]",
        "newer 1.0 has no wheel for Python 3.12 on Linux, but for Python 3.13, and no source",
        "old 1.0 has no wheel for Python 3.12 on Linux, but for Python 3.10: write python.allow_builds: [old], or write "
        'python.version: "3.10"',
        "windows 1.0 has no wheel for Linux, but for Windows, and no source",
    ]
    assert not re.search(r"--\w|requires-python|tool\.uv|hint", str(caught.value))
    assert not index.mark.exists()


def test_another_python_is_named_where_no_versions_go_together(index: Index) -> None:
    index.add("below", "1.0", ANY)
    index.add("below", "2.0", ANY, python=">=3.13")
    index.add("top", "1.0", ANY, needs=("below>=2",))
    with pytest.raises(BuildError, match="below") as caught:
        index.lock("top")
    assert 'python.version: "3.13"' in caught.value.fix
    assert not re.search(r"--\w|requires-python|hint", str(caught.value))


def test_strict_fails_and_json_tells(index: Index, tmp_path: Path) -> None:
    index.add("alone", "1.0", ANY)
    index.add("alone", "2.0", SDIST)
    profile = tmp_path / "team.yaml"
    profile.write_text('version: 1\nname: team\nrelease: 1.0.0\npython: {version: "3.12", packages: [alone]}\n')
    environ = {**os.environ, **index.environ, "XDG_CACHE_HOME": str(tmp_path / "caches")}
    command = [sys.executable, "-m", "solven_env", "lock", str(profile), "--strict", "--format", "json"]
    message = "alone 1.0; 2.0 has no wheel: see python.allow_builds"
    strict = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert strict.returncode == 1
    (remark,) = json.loads(strict.stdout)["lock"]["remarks"]
    assert remark == {"kind": "held-back", "package": "alone", "version": "1.0", "message": message}


def test_a_build_names_all_that_this_machine_lacks(index: Index, builder: Builder, tmp_path: Path) -> None:
    index.add("elsewhere", "1.0", WINDOWS, SDIST)
    index.add("foreign", "1.0", "cp312-cp312-manylinux_2_17_s390x", SDIST)
    index.add("pure", "1.0", ANY)
    interpreter = find_python("3.12", builder.host)
    host = toolchain.host(builder.host.cache, index.environ)
    digests = re.findall(
        rb"/files/([a-z]+)-[^#]*#sha256=([0-9a-f]{64})", b"".join(page for _, page in index.registry.pages.values())
    )
    pins = [
        Pin(name, "1.0", None, tuple(digest.decode() for file, digest in digests if file == name.encode()), 0)
        for name in ("elsewhere", "foreign", "pure")
    ]
    with pytest.raises(BuildError) as caught:
        wheels.obtain(pins, interpreter, row.sandbox_tools(interpreter), builder._replace(host=host), tmp_path)
    machine = f"Linux with glibc on {os.uname().machine}"
    assert caught.value.message == (
        f"these packages have no wheel for this machine, {machine}, and Python 3.12: elsewhere 1.0, foreign 1.0"
    )
    assert caught.value.fix.startswith("Write python.allow_builds: [elsewhere, foreign] and lock again")
