"""A lock as data: what it is tied to, and why one is not believed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.errors import LockError, UsageError
from solven_env.packages import lock_files
from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Python
from solven_env.packages.locks import (
    Lock,
    NewestVersion,
    Sections,
    changes,
    check,
    counts,
    digest,
    files,
    named,
    outdated,
    readable,
    version_changes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PYTHON = Python("3.12", ("six", "packaging>=23"))
BUN = Bun({"is-number": "^7.0.0"})
TEXT = "".join(f"{pin} \\\n    --hash=sha256:{'a' * 64}\n" for pin in ("packaging==24.0", "pip==26.3", "six==1"))
BUN_TEXT = f"""\
{{
  "lockfileVersion": 2,
  "workspaces": {{ "": {{ "name": "workspace", "dependencies": {{ "is-number": "^7.0.0" }} }} }},
  "packages": {{
    "is-number": ["is-number@7.0.0", "", {{}}, "sha512-{"A" * 86}=="],
  }}
}}
"""
LOCK = {"python": TEXT.encode(), "bun": BUN_TEXT.encode()}


def sections(python: Python | None = PYTHON, bun: Bun | None = BUN) -> Sections:
    return {"python": python, "bun": bun}


def checked(found: dict[str, bytes], python: Python | None = PYTHON, bun: Bun | None = BUN) -> Lock:
    return check(found, sections(python, bun), profile="./p.yaml", where="p.lock")


def test_a_lock_is_what_was_locked() -> None:
    assert checked(files(LOCK, sections(PYTHON, BUN))) == LOCK
    assert list(files(LOCK, sections(PYTHON, BUN))) == ["python.txt", "bun.lock", "lock.json"]


def test_only_packages_and_the_version_of_python_count() -> None:
    asked = digest(sections(PYTHON, BUN))
    assert digest(sections(PYTHON._replace(packages=PYTHON.packages[::-1]), BUN)) == asked
    others = [
        digest(sections(PYTHON._replace(version="3.13"), BUN)),
        digest(sections(PYTHON._replace(packages=("six",)), BUN)),
        digest(sections(None, BUN)),
        digest(sections(PYTHON, None)),
        digest(sections(PYTHON, Bun({"is-number": "^6.0.0"}))),
    ]
    assert len({asked, *others}) == 6


@pytest.mark.parametrize(
    ("python", "bun"), [(None, None), (Python("3.12"), None), (None, Bun({})), (Python("3.12"), Bun({}))]
)
def test_without_packages_none_is_needed(python: Python | None, bun: Bun | None) -> None:
    assert checked({}, python, bun) == {}


def test_a_kind_without_packages_has_no_file() -> None:
    found = files({"bun": LOCK["bun"]}, sections(Python("3.12"), BUN))
    assert list(found) == ["bun.lock", "lock.json"]
    assert checked(found, Python("3.12"), BUN) == {"bun": LOCK["bun"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("lock.json"), "is missing"),
        (lambda found: found.update({"lock.json": b"{"}), "lock.json is damaged"),
        (lambda found: found.update({"lock.json": b"[]"}), "lock.json is damaged"),
        (lambda found: found.update({"lock.json": b"[" * 100_000}), "lock.json is damaged"),
        (lambda found: found.update({"lock.json": found["lock.json"].replace(b": 1,", b": 2,")}), "has format 2"),
        (lambda found: found.update({"lock.json": found["lock.json"].replace(b": 1,", b': "\\n' + b"1" * 99 + b'",')}), r"has format 1{19}…,"),
        (lambda found: found.pop("python.txt"), "has no python.txt"),
        (lambda found: found.update({"bun.lock": b"{ }\n"}), "bun.lock was changed"),
        (lambda found: found.update(files({"python": LOCK["python"]}, sections(PYTHON, None))), "out of date: the profile's packages changed"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_the_command(change: Callable[[dict[str, bytes]], None], message: str) -> None:
    found = files(LOCK, sections(PYTHON, BUN))
    change(found)
    with pytest.raises(LockError, match=message) as caught:
        checked(found)
    assert caught.value.fix.startswith("Run: solven-env lock ./p.yaml")
    assert caught.value.location == "p.lock"


@pytest.mark.parametrize(
    ("lock", "location", "message"),
    [
        ({"python": f"--index-url http://127.0.0.1:9/simple\n{TEXT}"}, "python.txt:1", "an option"),
        ({"python": f"{TEXT}-r /etc/passwd\n"}, "python.txt:7", "an option"),
        ({"python": TEXT.replace("24.0", "22.0")}, "python.txt:1", "packaging 22.0 is not what the profile asks for"),
        ({"python": TEXT.replace("six", "sax")}, "python.txt", "no pin for six"),
        ({"bun": BUN_TEXT.replace('""', '"http://127.0.0.1:9/x.tgz"', 2)}, "bun.lock:3", "is nothing that a lock has"),
        ({"bun": BUN_TEXT.replace('0", ""', '0", "http://127.0.0.1:9/x.tgz"')}, "bun.lock:5", "has an address"),
        (
            {"bun": BUN_TEXT.replace("@7.0.0", "@8.0.0")},
            "bun.lock:5",
            "is-number 8.0.0 is not what the profile asks for",
        ),
        ({"bun": BUN_TEXT.replace("^7.0.0", "^6.0.0")}, "bun.lock", "other packages than the profile's"),
    ],
)
def test_digests_that_fit_make_no_lock_believed(lock: dict[str, str], location: str, message: str) -> None:
    changed = LOCK | {name: text.encode() for name, text in lock.items()}
    with pytest.raises(LockError, match=message) as caught:
        checked(files(changed, sections(PYTHON, BUN)))
    assert caught.value.location == f"p.lock/{location}"
    assert caught.value.fix == "Run: solven-env lock ./p.yaml"


def test_files_are_written_when_they_differ_and_others_stay(tmp_path: Path) -> None:
    place = tmp_path / "p.lock"
    assert lock_files.read(place) == {}
    assert lock_files.write(place, files(LOCK, sections(PYTHON, BUN))) == ("python.txt", "bun.lock", "lock.json")
    (place / "README").write_text("mine")
    assert lock_files.read(place) == files(LOCK, sections(PYTHON, BUN))
    assert lock_files.write(place, files(LOCK, sections(PYTHON, BUN))) == ()
    without = files({"python": LOCK["python"]}, sections(PYTHON, None))
    assert lock_files.write(place, without) == ("bun.lock", "lock.json")
    assert sorted(path.name for path in place.iterdir()) == ["README", "lock.json", "python.txt"]
    assert (place / "python.txt").stat().st_mode & 0o777 == 0o644


def pinned(**versions: str) -> bytes:
    return "".join(
        f"{name}=={version} \\\n    --hash=sha256:{'a' * 64}\n" for name, version in versions.items()
    ).encode()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (pinned(a="1"), pinned(a="1"), []),
        (pinned(a="1", b="1", d="1"), pinned(b="2", c="1", d="1"), ["b 1 → 2", "+ c 1", "- a 1"]),
        (b"", pinned(a="1"), ["+ a 1"]),
        (pinned(a="1"), b"", ["- a 1"]),
    ],
)
def test_the_versions_that_two_locks_pin_differently(before: bytes, after: bytes, told: list[str]) -> None:
    assert [str(each) for each in version_changes("python", before, after)] == told


def test_the_versions_of_other_machines_and_of_other_places_in_the_tree() -> None:
    two = pinned(a="1").replace(b" \\", b" ; sys_platform == 'linux' \\")
    two += pinned(a="2").replace(b" \\", b" ; sys_platform != 'linux' \\")
    assert [str(each) for each in version_changes("python", pinned(a="1"), two)] == ["a 1 → 1 and 2"]
    after = BUN_TEXT.replace("7.0.0", "7.0.1")
    assert [str(each) for each in version_changes("bun", LOCK["bun"], after.encode())] == ["is-number 7.0.0 → 7.0.1"]
    with pytest.raises(LockError):
        version_changes("bun", b"{", b"")


def test_changes_and_counts_are_told_by_file() -> None:
    builds = b"# builds.txt\n[a==1]\n" + pinned(setuptools="80")
    before, after = (
        {"python": pinned(a="1") + builds},
        {"python": pinned(a="1") + builds.replace(b"=80", b"=81"), **BUN_LOCK},
    )
    told = {file: [str(each) for each in found] for file, found in changes(before, after).items()}
    assert told == {"builds.txt": ["a/setuptools 80 → 81"], "bun.lock": ["+ is-number 7.0.0"]}
    assert counts(after) == {"python.txt": 1, "builds.txt": 1, "bun.lock": 1}
    assert counts({"python": pinned(a="1")}) == {"python.txt": 1}


def test_what_is_no_lock_is_not_read() -> None:
    found = {"python.txt": pinned(a="1"), "bun.lock": b"{", "lock.json": b""}
    assert readable(found) == {"python": pinned(a="1")}
    assert readable({}) == {}


BUN_LOCK = {"bun": LOCK["bun"]}
BOTH = {"python": pinned(**{"is-number": "1", "six": "1"}), **BUN_LOCK}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Six"], {"python": {"six"}}),
        (["is_number"], {"python": {"is-number"}}),
        (["is-number", "six"], {"python": {"is-number", "six"}, "bun": {"is-number"}}),
        (["bun:is-number"], {"bun": {"is-number"}}),
        ([], {}),
    ],
)
def test_packages_of_a_lock_are_named(texts: list[str], expected: dict[str, set[str]]) -> None:
    assert named(texts, BOTH) == expected


@pytest.mark.parametrize(
    ("text", "lock", "fix"),
    [
        ("sixx", BOTH, "Did you mean 'six'?"),
        ("bun:six", BOTH, "Its packages stand in bun.lock."),
        ("zzz", BOTH, "Its packages stand in python.txt and bun.lock."),
        ("six", {}, "There is none yet: lock the profile first."),
    ],
)
def test_a_package_that_a_lock_does_not_have_is_a_mistake(text: str, lock: Lock, fix: str) -> None:
    with pytest.raises(UsageError, match=f"the lock has no package '{text}'") as caught:
        named([text], lock)
    assert caught.value.fix == fix


def test_what_is_outdated_moves_or_is_held_by_its_range() -> None:
    held = {"python": [NewestVersion("b", "9", "<3"), NewestVersion("d", "2", "<2")]}
    found = outdated({"python": pinned(a="1", b="1", d="1")}, {"python": pinned(b="2", c="1", d="1")}, held)
    assert [tuple(each) for each in found["python.txt"]] == [
        ("b", "1", "2", "9", "<3"),
        ("c", "", "1", "", ""),
        ("a", "1", "", "", ""),
        ("d", "1", "1", "2", "<2"),
    ]
    assert outdated(BOTH, BOTH, {}) == {}


def test_a_pipe_or_a_device_in_the_place_of_a_lock_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in ("pipe", "/dev/zero"):
        (tmp_path / "python.txt").symlink_to(target)
        with pytest.raises(LockError, match="something else than a file stands here") as caught:
            lock_files.read(tmp_path)
        assert caught.value.location == f"{tmp_path}/python.txt"
        (tmp_path / "python.txt").unlink()


def test_no_lock_is_written_through_a_link_that_a_repository_may_have(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "p.lock", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "bun.lock").write_text("a person's")
    for target in ("elsewhere", "nowhere"):
        place.symlink_to(target)
        for lock in (files({"python": LOCK["python"]}, sections(PYTHON, None)), {"lock.json": b"{}"}):
            with pytest.raises(LockError, match="this is a symbolic link") as caught:
                lock_files.write(place, lock)
            assert caught.value.location == str(place)
        place.unlink()
    assert [(each.name, each.read_text()) for each in elsewhere.iterdir()] == [("bun.lock", "a person's")]
    assert not (tmp_path / "nowhere").exists()


class _Meddled(dict[str, bytes]):
    """The files of a lock. Whoever asks for one has somebody else write another lock and profile first."""

    def __init__(self, found: dict[str, bytes], meddle: Callable[[], object]) -> None:
        super().__init__(found)
        self.meddle = meddle

    def get(self, key: str, default: object = None) -> Any:
        with suppress(UsageError):
            self.meddle()
        return super().get(key, default)


def test_of_profiles_and_locks_that_are_written_at_once_both_are_of_one_writer(tmp_path: Path) -> None:
    profile, place = tmp_path / "p.yaml", tmp_path / "p.lock"
    profile.write_bytes(b"")

    def other() -> None:
        lock_files.write_with(place, {"lock.json": b"other"}, profile, b"", b"other")

    with suppress(UsageError):
        lock_files.write_with(place, _Meddled({"lock.json": b"one"}, other), profile, b"", b"one")
    assert (place / "lock.json").read_bytes() == profile.read_bytes()
