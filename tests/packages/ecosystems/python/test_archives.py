"""Archives of ours of what strangers left: files alone, and none that leads out."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError
from solven_env.packages.ecosystems.python import archives

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_directory_becomes_an_archive_whose_bytes_repeat(tmp_path: Path) -> None:
    for name, mtime in (("a", 0), ("b", 10**9)):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "configure").write_bytes(b"#!/bin/sh\n")
        (tmp_path / name / "configure").chmod(0o755)
        (tmp_path / name / "src/one.c").write_bytes(b"int one;\n")
        os.utime(tmp_path / name / "src/one.c", (mtime, mtime))
        directory = os.open(tmp_path / name, os.O_RDONLY)
        archives.pack(archives.of_directory(directory, "it"), tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {"configure": stat.S_IFREG | 0o755, "src/one.c": stat.S_IFREG | 0o644}


def wheel(fill: Callable[[zipfile.ZipFile], None]) -> zipfile.ZipFile:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        fill(archive)
    return zipfile.ZipFile(data)


@pytest.mark.parametrize(
    "path", ["../up", "a/../../up", "..", "/etc/passwd", "a//b", "./a", "a/.", "back\\slash", "a/..", "\x01/../b"]
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    with wheel(lambda archive: archive.writestr(path, b"")) as made, pytest.raises(BuildError, match="path that no"):
        archives.pack(archives.of_wheel(made, "the wheel"), tmp_path / "made")


def test_a_link_and_a_second_file_are_refused(tmp_path: Path) -> None:
    def link(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, b"/etc/shadow")

    with wheel(link) as made, pytest.raises(BuildError, match="something else than files"):
        archives.pack(archives.of_wheel(made, "the wheel"), tmp_path / "made")

    def twice(archive: zipfile.ZipFile) -> None:
        archive.writestr("one", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("one", b"2")

    with wheel(twice) as made, pytest.raises(BuildError, match="path that no package has"):
        archives.pack(archives.of_wheel(made, "the wheel"), tmp_path / "made2")


@pytest.mark.parametrize(
    ("path", "said"),
    [(b"a\xff.py", r"a name that is not UTF-8: 'a\\udcff.py'"), (b"d/" * 200, "directories above each")],
)
def test_a_name_and_a_depth_that_no_archive_could_have_are_refused(tmp_path: Path, path: bytes, said: str) -> None:
    made = os.open(tmp_path, os.O_RDONLY)
    subprocess.run(["mkdir", "-p", b"it/" + path], cwd=tmp_path, check=True)
    directory = os.open("it", os.O_RDONLY, dir_fd=made)
    os.close(made)
    with pytest.raises(BuildError, match=said):
        archives.pack(archives.of_directory(directory, "the sdist"), tmp_path / "made")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_compressed_as_in_no_wheel_is_refused(tmp_path: Path, kind: int) -> None:
    with (
        wheel(lambda archive: archive.writestr("a", b"1", kind)) as made,
        pytest.raises(BuildError, match="compressed"),
    ):
        archives.pack(archives.of_wheel(made, "the wheel"), tmp_path / "made")


def test_what_has_too_many_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_LARGEST", 1 << 20)
    (tmp_path / "it").mkdir()
    with (tmp_path / "it/large").open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(BuildError, match="the sdist has more than"):
        archives.pack(archives.of_directory(os.open(tmp_path / "it", os.O_RDONLY), "the sdist"), tmp_path / "made")
    bomb = wheel(lambda archive: archive.writestr("zeros", b"\0" * ((1 << 20) + 1), zipfile.ZIP_DEFLATED))
    with bomb, pytest.raises(BuildError, match="the wheel has more than"):
        archives.pack(archives.of_wheel(bomb, "the wheel"), tmp_path / "made2")
