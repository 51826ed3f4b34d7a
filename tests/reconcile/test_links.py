"""Files of the agent's behind links: they are followed within the workspace, edited there, and never replaced.

A project is moved into a repository and linked back: what `own: keys`, `block` and `seed` have of it is behind the link.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.errors import ConflictError, SolvenError
from solven_env.system import durable
from solven_env.workspace import root as root_module
from solven_env.workspace.root import Owner, Root
from tests.reconcile.crashes import dies_at
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread
from tests.reconcile.users import as_user
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solven_env.profile.model import Own
    from solven_env.reconcile.model import Desired, State


@pytest.fixture(autouse=True)
def _nothing_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def keys(**values: Any) -> State:
    """A JSON file with these keys."""
    return text(json.dumps(values, indent=2) + "\n")


NAME = "package.json"
OLD = wanted(
    {NAME: keys(a=1), "seed": text("seed\n"), ".ignore": text("/tmp\n")},
    own={NAME: "keys", "seed": "seed", ".ignore": "block"},
)
NEW = wanted(
    {NAME: keys(a=2), "seed": text("new\n"), ".ignore": text("/var\n")},
    own={NAME: "keys", "seed": "seed", ".ignore": "block"},
)
MOUNTS = [
    {"target": path, "kind": kind, "source": "", "optional": False, "size": "", "why": ""}
    for path, kind in (("/tmp", "tmpfs"), ("/proc", "proc"))
]
SHARED = {"path": "shared", "to": "skills/x", "access": "read-only", "optional": True}
MOUNTED = {"mounts": MOUNTS, "links": [SHARED]}


def with_mounts(asked: Desired) -> Desired:
    """The same with mount points."""
    return asked._replace(settings={**asked.settings, **MOUNTED})


@pytest.fixture
def thread(memory_path: Path) -> Thread:
    """A thread whose files were moved into a repository, and edited there."""
    found = Thread(memory_path / "storage", owner=Owner(61000, 61000) if os.geteuid() == 0 else None)
    found.apply(OLD)
    move(found.workspace)
    return found


def move(workspace: Path) -> None:
    """The agent moves its files, links them back, and edits them."""
    (workspace / "repo").mkdir()
    for name, target in ((NAME, f"/repo/{NAME}"), ("seed", "repo/seed"), (".ignore", "./repo/../repo/.ignore")):
        shutil.move(workspace / name, workspace / "repo" / name)
        (workspace / name).symlink_to(target)
    (workspace / f"repo/{NAME}").write_bytes(keys(a=1, mine=9).data or b"")
    (workspace / "repo/.ignore").write_bytes(b"mine\n" + (workspace / "repo/.ignore").read_bytes())


def links(workspace: Path) -> dict[str, str]:
    """The links of the workspace."""
    return {path.name: os.readlink(path) for path in workspace.iterdir() if path.is_symlink()}


def test_a_release_edits_the_files_behind_the_links(thread: Thread) -> None:
    thread.check_in_sync(OLD)
    before = links(thread.workspace)
    thread.apply(NEW)
    repo = thread.workspace / "repo"
    assert json.loads((repo / NAME).read_text()) == {"a": 2, "mine": 9}
    assert (repo / "seed").read_text() == "seed\n"
    assert (repo / ".ignore").read_text().startswith("mine\n")
    assert ("/var" in (repo / ".ignore").read_text(), "/tmp" in (repo / ".ignore").read_text()) == (True, False)
    assert links(thread.workspace) == before
    assert {each["path"] for each in thread.kept()} == {f"repo/{NAME}", "repo/.ignore"}
    assert (keys(a=1, mine=9).data or b"") in thread.kept_bytes()
    thread.check_in_sync(NEW)


def test_what_the_profile_drops_leaves_the_link_and_the_agents_keys(thread: Thread) -> None:
    thread.apply(wanted({}))
    repo = thread.workspace / "repo"
    assert json.loads((repo / NAME).read_text()) == {"mine": 9}
    assert ((repo / ".ignore").read_text(), (repo / "seed").read_text()) == ("mine\n", "seed\n")
    assert len(links(thread.workspace)) == 3
    thread.check_in_sync(wanted({}))


def test_a_file_with_nothing_else_in_it_stays_behind_its_link(thread: Thread) -> None:
    (thread.workspace / f"repo/{NAME}").write_bytes(keys(a=1).data or b"")
    thread.apply(wanted({}))
    assert json.loads((thread.workspace / f"repo/{NAME}").read_text()) == {}


def test_a_mode_is_put_right_behind_the_link(thread: Thread) -> None:
    place = thread.workspace / "repo" / NAME
    place.chmod(0o600)
    (thread.workspace / "repo/.ignore").chmod(0o600)
    assert [(each.cause, each.name, each.place) for each in thread.plan(OLD).changes] == [
        ("drift", NAME, f"repo/{NAME}")
    ]
    thread.apply(NEW)
    assert place.stat().st_mode & 0o777 == 0o644
    assert (thread.workspace / "repo/.ignore").stat().st_mode & 0o777 == 0o600
    thread.check_in_sync(NEW)


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/etc/passwd",
            "../../../outside",
            "nowhere",
            "/repo",
            "loop",
            NAME,
            "/tmp/file",
            "/tmp/../repo/x",
            "shared/x",
        ),
        *(
            "/proc/self/environ",
            "/proc/self/root/etc/passwd",
            "../t2/x",
            "../../.solven-env/threads/t1/state.json",
            "fifo",
        ),
        *("seed", "repo/seed", "x" * 300, "/" + "d/" * 1500 + "x", "repo/x/", "chain0"),
    ],
)
def test_what_cannot_be_followed_is_left_until_the_profile_changes_it(
    thread: Thread, target: str, tmp_path: Path
) -> None:
    workspace = thread.workspace
    old, new = with_mounts(OLD), with_mounts(NEW)
    (workspace / "loop").symlink_to("loop")
    for number in range(41):
        (workspace / f"chain{number}").symlink_to(f"chain{number + 1}")
    (workspace / "chain41").write_text("{}")
    for place in ("tmp", "shared", "proc/self"):
        (workspace / place).mkdir(parents=True, exist_ok=True)
    for place in ("tmp/file", "shared/x", "repo/x", "proc/self/environ"):
        (workspace / place).write_text("{}")
    os.mkfifo(workspace / "fifo")
    thread.apply(old)
    (workspace / NAME).unlink()
    (workspace / NAME).symlink_to(target)
    before = snapshot(workspace)
    assert [note.path for note in thread.plan(old).notes] == [NAME]
    thread.check_in_sync(old)
    with pytest.raises(ConflictError, match="a symbolic link that is not followed"):
        thread.apply(new)
    assert snapshot(workspace) == before
    thread.apply(new, on_conflict="keep")
    assert os.readlink(workspace / NAME) == target
    thread.check_in_sync(new)
    thread.apply(old, overwrite=True)
    assert json.loads((workspace / NAME).read_text()) == {"a": 1}
    thread.check_in_sync(old)


def test_forty_links_are_followed(thread: Thread) -> None:
    workspace = thread.workspace
    for number in range(39):
        (workspace / f"chain{number}").symlink_to(f"/repo/../chain{number + 1}")
    (workspace / "chain39").write_bytes(keys(a=1, x=2).data or b"")
    (workspace / NAME).unlink()
    (workspace / NAME).symlink_to("chain0")
    thread.apply(NEW)
    assert json.loads((workspace / "chain39").read_text()) == {"a": 2, "x": 2}


IN_DIRECTORY = {"conf/sub/a.json": keys(a=1), "conf/b": text("seed")}
OWN: dict[str, Own] = {"conf/sub/a.json": "keys", "conf/b": "seed"}


def test_a_directory_behind_a_link_is_the_agents(memory_path: Path) -> None:
    thread = Thread(memory_path / "storage")
    thread.apply(wanted(IN_DIRECTORY, own=OWN))
    (thread.workspace / "repo").mkdir()
    shutil.move(thread.workspace / "conf", thread.workspace / "repo/conf")
    (thread.workspace / "conf").symlink_to("repo/conf")
    (thread.workspace / "repo/conf/sub/a.json").write_bytes(keys(a=1, mine=9).data or b"")
    thread.check_in_sync(wanted(IN_DIRECTORY, own=OWN))
    later = wanted({**IN_DIRECTORY, "conf/sub/a.json": keys(a=2)}, own=OWN)
    thread.apply(later)
    assert json.loads((thread.workspace / "repo/conf/sub/a.json").read_text()) == {"a": 2, "mine": 9}
    assert (thread.workspace / "conf").is_symlink()
    thread.check_in_sync(later)
    thread.apply(wanted({"conf/b": text("seed")}, own=OWN))
    assert json.loads((thread.workspace / "repo/conf/sub/a.json").read_text()) == {"mine": 9}
    thread.apply(wanted({}))
    assert (thread.workspace / "conf").is_symlink()
    thread.check_in_sync(wanted({}))


def test_a_working_directory_is_never_behind_a_link(memory_path: Path) -> None:
    thread = Thread(memory_path / "storage")
    asked = wanted(IN_DIRECTORY, own=OWN)
    asked = asked._replace(settings={**asked.settings, "workdir": "/conf/sub"})
    thread.apply(asked)
    shutil.move(thread.workspace / "conf", thread.workspace / "moved")
    (thread.workspace / "conf").symlink_to("moved")
    thread.apply(asked)
    assert not (thread.workspace / "conf").is_symlink()


def test_a_directory_with_a_whole_file_is_made_again(memory_path: Path) -> None:
    thread = Thread(memory_path / "storage")
    asked = wanted({**IN_DIRECTORY, "conf/c": text("ours")}, own=OWN)
    thread.apply(asked)
    shutil.move(thread.workspace / "conf", thread.workspace / "moved")
    (thread.workspace / "conf").symlink_to("moved")
    thread.apply(asked)
    assert not (thread.workspace / "conf").is_symlink()
    thread.check_in_sync(asked)


def test_a_mount_that_a_release_drops_counts_until_it_is_dropped(thread: Thread) -> None:
    thread.apply(with_mounts(OLD))
    (thread.workspace / "tmp").mkdir()
    (thread.workspace / "tmp/x").write_bytes(keys(a=1).data or b"")
    (thread.workspace / NAME).unlink()
    (thread.workspace / NAME).symlink_to("tmp/x")
    with pytest.raises(ConflictError):
        thread.apply(NEW)


def test_a_whole_file_behind_a_link_is_drift(memory_path: Path) -> None:
    thread = Thread(memory_path / "storage")
    asked = wanted({"f": text("ours")})
    thread.apply(asked)
    shutil.move(thread.workspace / "f", thread.workspace / "g")
    (thread.workspace / "f").symlink_to("g")
    thread.apply(asked)
    assert not (thread.workspace / "f").is_symlink()
    thread.check_in_sync(asked)


def plant_elsewhere(workspace: Path) -> None:
    """Let the link lead to another file."""
    (workspace / NAME).unlink()
    (workspace / NAME).symlink_to("other")


def plant_directory(workspace: Path) -> None:
    """Let the directory of the file be a link out of the workspace."""
    shutil.move(workspace / "repo", workspace / "moved")
    (workspace / "repo").symlink_to("../../../outside-directory")


def plant_file(workspace: Path) -> None:
    """Let the file be a link out of the workspace."""
    (workspace / f"repo/{NAME}").rename(workspace / "repo/aside")
    (workspace / f"repo/{NAME}").symlink_to("../../../../outside")


def edit(workspace: Path) -> None:
    """Edit the file."""
    (workspace / f"repo/{NAME}").write_bytes(keys(a=1, mine=10).data or b"")


@pytest.mark.parametrize(
    ("act", "exchanges"),
    [
        (plant_elsewhere, True),
        (plant_directory, True),
        (plant_file, True),
        (edit, True),
        (edit, False),
    ],
)
def test_what_is_planted_between_look_and_write_changes_nothing_outside(
    memory_path: Path, act: Callable[[Path], None], exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every call of the root after the plan: the file behind the link is ours to write, or the apply fails."""
    if not exchanges:
        monkeypatch.setattr(durable, "renameat2", _refuse)
        monkeypatch.setattr(root_module, "renameat2", _refuse)
    done, number, failures = True, 0, 0
    while done:
        place = memory_path / str(number)
        (place / "outside-directory").mkdir(parents=True)
        for name in ("outside", f"outside-directory/{NAME}"):
            (place / name).write_bytes(keys(a=1, mine=9).data or b"")
        before = {path: path.read_bytes() for path in place.rglob("outside*") if path.is_file()}
        thread = Thread(place / "storage")
        thread.apply(OLD)
        move(thread.workspace)
        (thread.workspace / "other").write_bytes(keys(a=1, other=9).data or b"")
        with pytest.MonkeyPatch.context() as patch:
            acted = _before_call(patch, number, lambda thread=thread: act(thread.workspace))  # type: ignore[misc]
            try:
                thread.apply(NEW)
            except SolvenError:
                failures += 1
            done = acted()
        assert {path: path.read_bytes() for path in before} == before
        everywhere = {
            path.read_bytes() for path in thread.workspace.rglob("*") if path.is_file() and not path.is_symlink()
        }
        everywhere |= thread.kept_bytes()
        assert any(b'"mine"' in data for data in everywhere)
        assert thread.leftovers() == [] or failures
        shutil.rmtree(place)
        number += 1
    assert number > 10
    assert failures > 1


def _refuse(*_: object) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _before_call(patch: pytest.MonkeyPatch, number: int, action: Callable[[], None]) -> Callable[[], bool]:
    """Do `action` just before the call of the root of this number; tell whether it was done."""
    left = number + 1

    def wrap(name: str) -> None:
        real = getattr(Root, name)

        def operation(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                action()
            return real(*arguments, **named)

        patch.setattr(Root, name, operation)

    for name in ("stat", "read", "read_link", "follow", "stage", "set_aside", "publish", "exchange", "remove", "sync"):
        wrap(name)
    return lambda: left <= 0


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchanges", "no flags of renameat2"])
def test_an_apply_that_dies_at_any_effect_behind_a_link_is_finished(
    memory_path: Path, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole file that is merged by its lines is finished too."""
    if not exchanges:
        monkeypatch.setattr(durable, "renameat2", _refuse)
        monkeypatch.setattr(root_module, "renameat2", _refuse)
    owner = Owner(61000, 61000) if os.geteuid() == 0 else None
    old, new = with_lines(OLD, "1\n2\n3\n"), with_lines(NEW, "1\n2\nIII\n")
    died, number = True, 0
    while died:
        thread = Thread(memory_path / str(number), owner=owner)
        thread.apply(old)
        move(thread.workspace)
        (thread.workspace / "lines").write_text("I\n2\n3\n")
        before = links(thread.workspace)
        died = dies_at(number, lambda thread=thread: thread.apply(new, on_conflict="merge"))  # type: ignore[misc]
        thread.apply(new, on_conflict="merge")
        assert json.loads((thread.workspace / f"repo/{NAME}").read_text()) == {"a": 2, "mine": 9}
        assert (thread.workspace / "lines").read_text() == "I\n2\nIII\n"
        assert links(thread.workspace) == before
        thread.check_in_sync(new)
        shutil.rmtree(thread.storage)
        number += 1
    assert number > 10


def with_lines(asked: Desired, lines: str) -> Desired:
    """The same with a whole file."""
    return asked._replace(states={**asked.states, "file:lines": text(lines)}, own={**asked.own, "file:lines": "whole"})


def test_it_is_so_for_an_ordinary_user_whose_directory_was_closed(users_place: Path) -> None:
    """The directory of the file is none of ours: closed, it is the agent's, and its link is left until it is open."""
    thread = Thread(users_place / "storage")

    def act() -> None:
        thread.apply(OLD)
        move(thread.workspace)
        (thread.workspace / "repo").chmod(0)
        assert {note.path for note in thread.plan(OLD).notes} == {NAME, ".ignore"}
        thread.check_in_sync(OLD)
        with pytest.raises(ConflictError):
            thread.apply(NEW)
        (thread.workspace / "repo").chmod(0o500)  # the owner may not write there
        thread.apply(NEW)
        assert json.loads((thread.workspace / "repo" / NAME).read_text()) == {"a": 2, "mine": 9}
        thread.check_in_sync(NEW)

    as_user(act)


def test_two_links_to_one_file_are_left(thread: Thread) -> None:
    both = {"package.json": keys(a=1), "b.json": keys(b=1)}
    owns: dict[str, Own] = dict.fromkeys(both, "keys")
    thread.apply(wanted(both, own=owns))
    for name in both:
        (thread.workspace / name).unlink()
        (thread.workspace / name).symlink_to("repo/package.json")
    thread.check_in_sync(wanted(both, own=owns))
    with pytest.raises(ConflictError):
        thread.apply(wanted({**both, "b.json": keys(b=2)}, own=owns))
