"""What a first apply, or a release that mounts more, would hide of an agent's files: named, kept, and found again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import ConflictError
from tests.profiles import write_profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solven_env import ThreadReport

pytestmark = pytest.mark.usefixtures("own_data")

MANY = 300


def filled(place: Path) -> None:
    """A directory with many names, and one that does not belong on a terminal."""
    place.mkdir(parents=True)
    for number in range(MANY):
        (place / f"{number:03}").touch()
    (place / "\x1b[2J\n").touch()
    (place / "deep/er").mkdir(parents=True)
    (place / "deep/er/file").write_text("mine")


def file(place: Path) -> None:
    """A file where a directory is wanted."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")


def link(place: Path) -> None:
    """A link where a directory is wanted."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/etc")


def empty(place: Path) -> None:
    """What is as good as nothing."""
    place.mkdir(parents=True)


HIDDEN = r"\\x1b\[2J\\n, 000, 001 and 299 more in it would be hidden by what is mounted there"
FOREIGN = "a (file|symbolic link) that solven-env did not write stands there"
PLANTED: tuple[tuple[Callable[[Path], None], str], ...] = ((filled, HIDDEN), (file, FOREIGN), (link, FOREIGN))
PLACES = ("bin", "lib", "tmp", "proc", ".solven/skills", "a/b/c")
"""System mounts, one of /proc, links of the profile, one of them beneath directories that are nobody's."""
LINKS = {".solven/skills": {"to": "skills/system"}, "a/b/c": {"to": "skills/system", "optional": True}}


def report(profile: Path, storage: Path, verb: str, **options: Any) -> ThreadReport:
    """What a verb says of the thread."""
    return getattr(solven_env, verb)(profile, "t1", storage=storage, **options).threads[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("plant", "reason"), PLANTED)
@pytest.mark.parametrize("is_new", [True, False], ids=["adoption", "release"])
def test_all_of_it_is_named_and_kept(plant: Callable[[Path], None], reason: str, is_new: bool, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    workspace = storage / "threads/t1"
    profile = write_profile(tmp_path / "profile.yaml", {}, links=LINKS)
    places = PLACES if is_new else PLACES[-2:]
    if not is_new:
        report(write_profile(tmp_path / "before.yaml", {}), storage, "apply")
    for place in places:
        plant(workspace / place)
    addresses = [f"mount:{place}" for place in sorted(places)]
    told = report(profile, storage, "diff")
    conflicts = [change.address for change in told.changes if change.cause == "conflict"]
    assert (told.state, conflicts) == ("conflict", addresses)
    if not is_new:
        (asked,) = solven_env.status("t1", profile=profile, storage=storage).threads
        assert [change.address for change in asked.changes if change.cause == "conflict"] == addresses
    with pytest.raises(ConflictError, match=reason) as caught:
        report(profile, storage, "apply")
    assert len(str(caught.value)) < 1500
    assert all((workspace / place).lstat() for place in places)
    kept = report(profile, storage, "apply", on_conflict="overwrite").kept
    assert sorted(each.path for each in kept) == sorted(places)
    assert report(profile, storage, "diff").state == "in-sync"
    report(write_profile(tmp_path / "later.yaml", {".x": {"content": "x"}}, links=LINKS), storage, "apply")
    for each in kept:
        where = storage / ".solven-env" / each.kept
        if plant is filled:
            assert (len(list(where.iterdir())), (where / "deep/er/file").read_text()) == (MANY + 2, "mine")
        assert (plant is link) == (each.target == "/etc")
        assert plant is not file or where.read_text() == "mine"


def test_an_empty_directory_is_left_as_it_is(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    for place in PLACES:
        empty(storage / "threads/t1" / place)
    report(write_profile(tmp_path / "profile.yaml", {}, links=LINKS), storage, "apply")
    assert all((storage / "threads/t1" / place).is_dir() for place in PLACES)


def test_packages_that_a_release_adds_hide_nothing_silently(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    report(write_profile(tmp_path / "before.yaml", {}), storage, "apply")
    filled(storage / "threads/t1/.venv")
    file(storage / "threads/t1/node_modules")
    profile = write_profile(tmp_path / "profile.yaml", {}, python={"version": "3.12"}, bun={"packages": {}})
    conflicts = [change.address for change in report(profile, storage, "diff").changes if change.cause == "conflict"]
    assert conflicts == ["mount:.venv", "mount:node_modules"]


def test_what_lies_beneath_what_is_mounted_is_of_no_account(tmp_path: Path) -> None:
    """A mount in a mount: the workspace's directory of that name is hidden with the one above it."""
    storage = tmp_path / "storage"
    filled(storage / "threads/t1/shared/etc")
    mounts = [{"source": "/etc", "target": "/shared"}, {"source": "/usr", "target": "/shared/etc"}]
    profile = write_profile(tmp_path / "profile.yaml", {}, mounts=mounts)
    conflicts = [change for change in report(profile, storage, "diff").changes if change.cause == "conflict"]
    assert [(each.address, each.reason) for each in conflicts] == [
        ("mount:shared", "etc in it would be hidden by what is mounted there")
    ]
    (kept,) = report(profile, storage, "apply", on_conflict="overwrite").kept
    assert (kept.path, kept.is_moved) == ("shared", True)


def test_it_is_told_as_data_too(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    filled(storage / "threads/t1/bin")
    profile = write_profile(tmp_path / "profile.yaml", {})
    document = solven_env.diff(profile, "t1", storage=storage).to_json()
    (change,) = (each for each in document["threads"][0]["changes"] if each["kind"] == "mount")  # type: ignore[index]
    assert (change["before"], change["after"]) == ({"type": "directory", "entries": MANY + 2}, {"type": "directory"})
    document = solven_env.apply(profile, "t1", storage=storage, on_conflict="overwrite").to_json()
    (kept,) = document["threads"][0]["kept"]  # type: ignore[index]
    assert (storage / ".solven-env" / kept["kept"] / "deep/er/file").read_text() == "mine"
    assert json.dumps(document)
