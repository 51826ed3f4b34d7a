"""Builds under keys: made once, believed only when whole."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.packages import store
from solven_env.system.publishing import remove_unless_used, sweep

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
    (stage / "tree/bin/link").symlink_to("pip")


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


def put_a_copy_in_its_place(build: Path) -> None:
    """With the same times and names, but for one file."""
    aside = build.rename(build.parents[1] / "aside")
    shutil.copytree(aside, build, symlinks=True)
    (build / "tree/lib/six/__init__.py").unlink()


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
    put_a_copy_in_its_place,
]


@pytest.mark.parametrize("looks", [0, 2])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_build_is_seen_and_made_again(tmp_path: Path, damage: Callable[[Path], object], looks: int) -> None:
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    for _ in range(looks):  # from the second one on, the kernel tells of changes
        assert store.find(tmp_path, KEY) == made
    damage(made.path)
    assert store.find(tmp_path, KEY) is None
    again = store.obtain(tmp_path, KEY, INPUTS, fill)
    assert again.instance != made.instance
    assert store.is_whole(again)
    assert sorted(path.name for path in (tmp_path / "builds").iterdir()) == [f".{KEY}.lock", KEY]


def rewrite(path: Path) -> None:
    """As an editor saves it, or a backup puts it back: another file, with the same bytes and mode."""
    fresh = path.with_name("fresh")
    shutil.copyfile(path, fresh)
    fresh.replace(path)


def touch_all(tree: Path) -> None:
    for path in tree.rglob("*"):
        os.utime(path)


def put_link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


TOUCHES: list[Callable[[Path], object]] = [
    lambda tree: os.utime(tree),
    lambda tree: os.utime(tree / "lib/six"),
    lambda tree: touch_all(tree),
    lambda tree: rewrite(tree / "lib/six/__init__.py"),
    lambda tree: put_link(tree / "bin/link", "pip"),
]


def test_a_build_is_looked_at_with_one_system_call_from_the_third_time_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.obtain(tmp_path, KEY, INPUTS, fill)
    looks = []
    untouched = store._are_untouched

    def look(*of: Any) -> bool:
        looks.append(of)
        return untouched(*of)

    monkeypatch.setattr(store, "_are_untouched", look)
    for _ in range(4):
        assert store.find(tmp_path, KEY)
    assert len(looks) == 2


def test_a_build_that_was_touched_is_whole_and_has_its_times_again(tmp_path: Path) -> None:
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    before = times(made.tree)
    for touch in TOUCHES:
        touch(made.tree)
        assert times(made.tree) != before
        assert store.find(tmp_path, KEY) == made
        assert times(made.tree) == before
    assert store.obtain(tmp_path, KEY, INPUTS, lambda _: pytest.fail("made twice")) == made


CHANGES: list[Callable[[Path], object]] = [
    lambda tree: (tree / "lib/six/__init__.py").write_text("lib/six/__init__.pY"),
    lambda tree: (tree / "bin/pip").chmod(0o600),
    lambda tree: (tree / "lib/six").chmod(0o700),
    lambda tree: put_link(tree / "bin/link", "pop"),
    lambda tree: put_link(tree / "bin/pip", "link"),
    lambda tree: (tree.parent / "contents").unlink(),
]


def test_a_build_that_was_touched_and_changed_is_made_again(tmp_path: Path) -> None:
    for number, change in enumerate(CHANGES):
        made = store.obtain(tmp_path / str(number), KEY, INPUTS, fill)
        change(made.tree)
        os.utime(made.tree)
        assert store.find(tmp_path / str(number), KEY) is None, number
        assert store.obtain(tmp_path / str(number), KEY, INPUTS, fill).instance != made.instance


def test_a_build_that_is_used_stays_until_nobody_uses_it(tmp_path: Path) -> None:
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    directory = os.open(made.tree, os.O_PATH)
    used, also = store.use(made), store.use(made)
    assert used is not None
    assert also is not None
    (made.tree / "bin/pip").unlink()
    again = store.obtain(tmp_path, KEY, INPUTS, fill)
    assert store.use(made) is None  # under its name is another one now
    assert os.listdir(f"/proc/self/fd/{directory}/bin") == ["link"]
    assert left(tmp_path) == 1
    for held in (used, also):
        sweep(tmp_path / "builds")
        assert left(tmp_path) == 1
        with held:
            pass
    sweep(tmp_path / "builds")
    assert left(tmp_path) == 0
    assert store.find(tmp_path, KEY) == again
    os.close(directory)
    with store.use(again) or pytest.fail("it is there"):
        assert not remove_unless_used(again.path)
        assert store.find(tmp_path, KEY) == again
    assert remove_unless_used(again.path)
    assert store.use(again) is None


def test_a_build_of_an_earlier_version_has_its_lock_made(tmp_path: Path) -> None:
    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    made.lock.unlink()
    with store.use(made) or pytest.fail("it is there"):
        assert not remove_unless_used(made.path)
    assert made.lock.stat().st_mode & 0o777 == 0o600


def test_a_build_that_cannot_be_made_again_stays(tmp_path: Path) -> None:
    def fail(stage: Path) -> None:
        fill(stage)
        raise ZeroDivisionError

    made = store.obtain(tmp_path, KEY, INPUTS, fill)
    (made.tree / "bin/more").touch()
    with pytest.raises(ZeroDivisionError):
        store.obtain(tmp_path, KEY, INPUTS, fail)
    assert store.read(tmp_path, KEY) == made
    assert (made.tree / "bin/pip").exists()
    assert left(tmp_path) == 0


def times(tree: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in (tree, *tree.rglob("*")) if "__pycache__" not in path.parts}


def left(cache: Path) -> int:
    return len(list((cache / "builds").glob(".new-*")))


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
