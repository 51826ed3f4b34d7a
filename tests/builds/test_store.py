"""Builds under keys: made once, believed only when whole."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from solven_env.builds import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INPUTS = {"packages": ["six"]}
KEY = store.key("python", INPUTS)


def fill(stage: Path) -> None:
    for directory in ("lib/six", "lib/six/__pycache__", "bin"):
        (stage / "tree" / directory).mkdir(parents=True)
    for file in ("lib/six/__init__.py", "lib/six/__pycache__/six.pyc", "bin/pip"):
        (stage / "tree" / file).write_text(file)


def test_a_key_names_everything_and_the_layout() -> None:
    assert KEY.startswith("python-")
    assert len({KEY, store.key("bun", INPUTS), store.key("python", {}), store.key("python", {"uid": 1, **INPUTS})}) == 4
    assert store.key("python", dict(reversed([*{"a": 1, "b": 2}.items()]))) == store.key("python", {"a": 1, "b": 2})


def test_a_build_is_made_once(tmp_path: Path) -> None:
    assert store.find(tmp_path, KEY) is None
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    assert (made.kind, made.key, made.tree) == ("python", KEY, tmp_path / "builds" / KEY / "tree")
    assert store.obtain(tmp_path, KEY, INPUTS, lambda _: pytest.fail("made twice")) == made == store.find(tmp_path, KEY)
    assert (tmp_path / "builds").stat().st_mode & 0o777 == 0o700


DAMAGES: list[Callable[[Path], object]] = [
    lambda build: shutil.rmtree(build),
    lambda build: shutil.rmtree(build / "tree"),
    lambda build: (build / "tree/lib/six/__init__.py").unlink(),
    lambda build: shutil.rmtree(build / "tree/lib/six"),
    lambda build: (build / "tree/bin/pip").rename(build / "tree/bin/pop"),
    lambda build: (build / "tree/bin/more").touch(),
    lambda build: (build / "build.json").write_text("{"),
    lambda build: (build / "directories").unlink(),
    lambda build: (build / "directories").write_bytes(b"lib"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_build_is_seen_and_made_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    damage(made.path)
    assert store.find(tmp_path, KEY) is None
    again = store.obtain(tmp_path, KEY, INPUTS, fill)
    assert again.instance != made.instance
    assert store.is_whole(again)
    assert sorted(path.name for path in (tmp_path / "builds").iterdir()) == [f".{KEY}.lock", KEY]


def test_bytecode_that_python_makes_or_loses_is_no_damage(tmp_path: Path) -> None:
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    (made.tree / "lib/six/__pycache__/six.pyc").unlink()
    assert store.find(tmp_path, KEY) == made


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(stage: Path) -> None:
        fill(stage)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.obtain(tmp_path, KEY, INPUTS, fail)
    assert [path.name for path in (tmp_path / "builds").iterdir()] == [f".{KEY}.lock"]


def test_builders_of_one_key_wait_for_each_other(tmp_path: Path) -> None:
    times: list[int] = []

    def slowly(stage: Path) -> None:
        times.append(1)
        threading.Event().wait(0.1)
        fill(stage)

    found: list[store.Build] = []
    threads = [
        threading.Thread(target=lambda: found.append(store.obtain(tmp_path, KEY, INPUTS, slowly))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times == [1]
    assert len({build.instance for build in found}) == 1
