"""A machine that loses power in the middle of an apply: what is not on disk is gone, whatever the kernel had in memory.

The storage is on an ext4 in a file. At effects of an apply that file is copied as it is, which is what a power cut at
that moment leaves, with a journal and without one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.mounts import as_root
from tests.reconcile import crashes
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [as_root, pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="needs mkfs.ext4")]

SIZE = 8 << 20
CUTS = int(os.environ.get("SOLVEN_ENV_TEST_POWER_CUTS", "4"))
"""Moments of each apply at which the power is cut."""
OLD = wanted({".bashrc": text("old"), "bin/hello": text("hello", "0755"), "gone": text("gone")})
NEW = wanted({".bashrc": text("new"), "bin/hello": text("hello 2"), "x/y": text("x" * 200_000), "z": text("z")})


@contextmanager
def disk(image: Path, place: Path) -> Iterator[None]:
    """The file system in a file, mounted."""
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file can be mounted here: {mounted.stderr}")
    try:
        yield
    finally:
        if subprocess.run(["umount", place], check=False, stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["umount", "--lazy", place], check=False)  # after a failure, which holds something open


@pytest.mark.parametrize("journal", ["has_journal", "^has_journal"])
@pytest.mark.parametrize("before", [None, OLD], ids=["new thread", "upgrade"])
def test_the_next_apply_finishes_what_a_power_cut_left(memory_path: Path, journal: str, before: Any) -> None:
    image, place = memory_path / "image", memory_path / "place"
    with image.open("wb") as empty:
        empty.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-O", journal, image], check=True)
    with disk(image, place):
        thread = Thread(place / "storage")
        Thread(place / "storage", "other").apply(OLD)
        if before is not None:
            thread.apply(before)
        subprocess.run(["sync", "-f", place], check=True)
        with pytest.MonkeyPatch.context() as patch:
            cuts = _copied_at_effects(patch, image)
            thread.apply(NEW)
        cuts.append(_copy(image, "end"))
    assert len(cuts) > 12
    for cut in _some(cuts):
        checked = subprocess.run(["e2fsck", "-fy", cut], capture_output=True, text=True, check=False)
        assert checked.returncode in (0, 1), checked.stdout
        with disk(cut, place):
            for path, olds in {".bashrc": "old", "bin/hello": "hello", "gone": "gone"}.items():
                found = thread.workspace / path
                new = NEW.states.get(f"file:{path}")
                allowed = {olds.encode()} | ({new.data} if new else set())
                assert not found.exists() or found.read_bytes() in allowed, (cut, path)
            assert not (thread.workspace / "x/y").exists() or (thread.workspace / "x/y").stat().st_size == 200_000
            if cut is cuts[-1]:
                thread.check_in_sync(NEW)
            thread.apply(NEW)
            thread.check_in_sync(NEW)
        cut.unlink()


def _copied_at_effects(patch: pytest.MonkeyPatch, image: Path) -> list[Path]:
    """Copies of the file before each effect that follows, as they are made."""
    cuts: list[Path] = []

    def wrap(holder: Any, name: str) -> None:
        real = getattr(holder, name)

        def effect(*arguments: Any, **named: Any) -> Any:
            cuts.append(_copy(image, str(len(cuts))))
            return real(*arguments, **named)

        patch.setattr(holder, name, effect)

    for name in ("mkdir", "rmdir", "unlink", "rename"):
        wrap(os, name)
    for module, name in crashes.IMPORTED:
        wrap(module, name)
    return cuts


def _copy(image: Path, name: str) -> Path:
    copy = image.with_name(f"cut-{name}")
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    return copy


def _some(cuts: list[Path]) -> list[Path]:
    """Moments that lie evenly, the last one among them."""
    step = max(1, len(cuts) // CUTS)
    return cuts[::-1][::step][::-1]
