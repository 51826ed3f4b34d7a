"""Under root each thread has a host uid of its own, where the host's configuration has a range of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import SandboxError
from solven_env.system import durable
from solven_env.threads import claims
from tests.profiles import write_profile
from tests.run.world import UID, World
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not ROOT, reason="only root has several uids")

FIRST, COUNT = 70000, 100


def configure(world: World, first: int = FIRST, count: int = COUNT) -> None:
    (world.base / "config.yaml").write_text(f"sandbox: {{uids: {{first: {first}, count: {count}}}}}\n")


def uid(world: World, thread: str = "t1") -> int:
    """Whom the thread's workspace belongs to."""
    return world.workspace(thread).stat().st_uid


def owners(*directories: Path) -> set[int]:
    return {path.lstat().st_uid for directory in directories for path in (directory, *directory.rglob("*"))}


def recorded(world: World, thread: str = "t1") -> int | None:
    text = (world.storage / f".solven-env/threads/{thread}/state.json").read_text()
    found: int | None = json.loads(text).get("uid")
    return found


def data(world: World) -> Path:
    return Path(world.environ["XDG_DATA_HOME"]) / "solven-env"


def other_host(world: World, monkeypatch: pytest.MonkeyPatch, name: str = "other") -> Path:
    """From now on this process is on a host with the same storage, and nothing of its own."""
    place = world.base / name
    place.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    return place / "solven-env"


def claim(place: Path, *taken: int) -> None:
    """Let these be another thread's on a host."""
    for each in taken:
        assert claims.draw(place, [each], range(each, each + 1), claims.Claimant("storage", "thread", "first")) == each


def test_each_thread_has_one_with_its_workspace_and_layers(thread: World) -> None:
    assert uid(thread) == UID
    assert recorded(thread) is None
    configure(thread)
    thread.out("echo mine >/.venv/mine; mkdir -p /a/b; echo a >/a/b/c; ln /.venv/mine /.venv/again")
    thread.out(f"ln -s {thread.base}/config.yaml /.venv/link; ln -s {thread.base}/config.yaml /link")
    thread.apply("t1", "t2")
    one, two = uid(thread, "t1"), uid(thread, "t2")
    assert one != two
    assert {one, two} <= {*range(FIRST, FIRST + COUNT)}
    assert (recorded(thread, "t1"), recorded(thread, "t2")) == (one, two)
    assert owners(thread.workspace("t1")) == {one}
    assert thread.out("cat /.venv/mine; id -u; stat -c %u /a/b/c /.venv/bin/python") == "mine\n1000\n1000\n1000\n"
    thread.out("echo more >>/.venv/again; rm -r /.venv/lib/python3.12/site-packages/pip; echo b >>/a/b/c")
    assert thread.out("cat /.venv/mine") == "mine\nmore\n"
    assert "No module named pip" in thread.sh("python -m pip").err
    assert thread.sh("python -m pip --version", thread="t2").status == 0
    assert owners(*(thread.builds / key for key in thread.status().builds)) <= {0, UID}  # others are made beside them
    assert (thread.base / "config.yaml").stat().st_uid == 0


def test_a_thread_keeps_it_and_a_new_one_begins_with_it(bare: World) -> None:
    configure(bare)
    bare.apply("t1", "t2")
    had = uid(bare)
    assert bare.apply("t1").changes == ()
    bare.out("echo x >/x")
    shutil.rmtree(bare.workspace())
    bare.apply("t1")
    assert uid(bare) == had
    shutil.rmtree(bare.storage / ".solven-env/threads/t1")  # made anew, above its old files
    bare.apply("t1")
    assert uid(bare) == had


def test_a_live_session_keeps_its_uid_and_apply_says_so(thread: World) -> None:
    thread.out("echo a >/a", keep_alive=600.0)
    configure(thread)
    told: list[str] = []
    thread.apply(progress=told.append)
    (line,) = told
    assert line.startswith(f"uid: t1 keeps {UID} while its commands live; an apply after them gives it 70")
    assert (uid(thread), recorded(thread)) == (UID, None)
    thread.out("echo b >>/a; echo c >>/.venv/c")
    solven_env.stop("t1", storage=thread.storage)
    thread.apply(progress=told.append)
    assert uid(thread) == recorded(thread) != UID
    assert told[:2] == [line, f"uid: giving t1 to {uid(thread)} …"]
    assert told[2].startswith(f"uid: gave t1 to {uid(thread)} in ")
    thread.out("echo d >>/a; echo d >>/.venv/c")


def test_a_command_under_proot_is_live_too(bare: World) -> None:
    """It has no session."""
    bare.backend = "proot"
    process = bare.start("run", "t1", "--", "sh", "-c", "echo up; cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"up\n"
    configure(bare)
    told: list[str] = []
    bare.apply(progress=told.append)
    assert [line for line in told if line.startswith(f"uid: t1 keeps {UID} ")] != []
    assert uid(bare) == UID
    process.stdin.close()
    assert process.wait() == 0
    bare.apply()
    assert uid(bare) != UID
    assert bare.out("touch /new; id -u; stat -c %u /new") == "1000\n1000\n"


def test_what_was_given_half_way_is_given_whole_by_the_next_apply(
    thread: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread.out("mkdir -p /a/b /c; touch /a/b/1 /c/2; echo mine >/.venv/mine")
    configure(thread)
    given: list[int] = []

    def dying(descriptor: int, owner: tuple[int, int]) -> bool:
        given.append(descriptor)
        if len(given) > 6:
            raise KeyboardInterrupt
        return durable.chown(descriptor, owner)

    with monkeypatch.context() as patched:
        patched.setattr("solven_env.workspace.adoption.chown", dying)
        with pytest.raises(KeyboardInterrupt):
            thread.apply()
    layers = data(thread) / "layers"
    assert uid(thread) == UID  # last of all
    assert len(owners(thread.workspace(), layers) - {0}) == 2
    thread.apply()
    assert uid(thread) != UID
    assert owners(thread.workspace(), layers) == {0, uid(thread)}


def test_only_what_is_a_threads_is_given(bare: World) -> None:
    """The host's own files in a workspace, and files with a name elsewhere, stay whose they are."""
    place = bare.workspace()
    bare.out("mkdir /d; echo a >/d/a; ln /d/a /d/b; echo out >/d/out; touch /d/late")
    (place / "d/of-root").write_text("the host's")
    os.link(place / "d/out", bare.base / "elsewhere")
    os.symlink(bare.base / "config.yaml", place / "d/link")
    os.lchown(place / "d/link", 61000, 61000)
    configure(bare)
    bare.apply()
    had = uid(bare)
    found = {name: (place / "d" / name).lstat().st_uid for name in ("a", "b", "out", "of-root", "link", "late")}
    assert found == {"a": had, "b": had, "out": UID, "of-root": 0, "link": had, "late": had}
    assert (bare.base / "config.yaml").stat().st_uid == 0


def test_a_workspace_that_is_roots_now_is_given_back(bare: World) -> None:
    configure(bare)
    bare.apply()
    had = uid(bare)
    os.chown(bare.workspace(), 0, 0)
    bare.apply()
    assert uid(bare) == had
    bare.out("touch /a; rm /a")


def test_a_range_that_is_used_up_is_one_error_that_names_it(bare: World) -> None:
    configure(bare, count=2)
    bare.apply("t1", "t2")
    with pytest.raises(SandboxError, match=r"all 2 uids of sandbox\.uids \(70000 to 70001\) are other threads'"):
        bare.apply("t3")
    assert not bare.workspace("t3").exists()
    configure(bare, count=3)
    bare.apply("t3")
    assert {uid(bare, f"t{number}") for number in (1, 2, 3)} == {70000, 70001, 70002}


def test_two_storages_never_share_one(bare: World) -> None:
    configure(bare, count=2)
    bare.apply("t1")
    solven_env.apply(bare.profile, "t1", storage=bare.base / "second")
    assert {uid(bare), (bare.base / "second/threads/t1").stat().st_uid} == {70000, 70001}


def test_a_copy_of_a_storage_has_its_own(bare: World) -> None:
    configure(bare)
    bare.apply()
    had, copy = uid(bare), bare.base / "copy"
    subprocess.run(["cp", "-a", bare.storage, copy], check=True)
    assert solven_env.run("t1", ["touch", "/its"], storage=copy) == 0
    assert owners(copy / "threads/t1").isdisjoint({had, UID})
    assert len(owners(copy / "threads/t1")) == 1
    bare.out("touch /mine")
    assert owners(bare.workspace()) == {had}


def test_another_host_takes_the_recorded_one_or_draws_another(thread: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an apply there: the next command gives the workspace over, and the next apply records it."""
    configure(thread)
    thread.apply()
    had = uid(thread)
    thread.out("echo a >/a; echo first >/.venv/mine")
    other_host(thread, monkeypatch)
    thread.out("echo b >>/a")
    assert uid(thread) == had
    third = other_host(thread, monkeypatch, "third")
    claim(third, had)
    before = thread.out("echo c >>/a; cat /a; ls /.venv")
    drawn = uid(thread)
    assert before.startswith("a\nb\nc\n")
    assert drawn not in (had, UID)
    assert owners(thread.workspace()) == {drawn}
    assert recorded(thread) == had
    thread.apply()
    assert (uid(thread), recorded(thread)) == (drawn, drawn)
    monkeypatch.setenv("XDG_DATA_HOME", str(thread.base / "data"))  # back on the first, whose layers are another's
    assert thread.out("echo d >>/a; cat /.venv/mine; echo more >>/.venv/mine") == "first\n"


def test_the_first_commands_on_another_host_are_many(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them gives the workspace over, and none starts before it has."""
    configure(bare)
    bare.apply()
    had = uid(bare)
    claim(other_host(bare, monkeypatch), had)
    bare.environ["XDG_DATA_HOME"] = os.environ["XDG_DATA_HOME"]
    text = "echo $1 >/$1; stat -c %u /$1"
    started = [
        bare.start("run", "t1", "--", "sh", "-c", text, "sh", str(number), stdout=subprocess.PIPE)
        for number in range(6)
    ]
    outs = {process.communicate()[0] for process in started}
    assert outs == {b"1000\n"}
    assert len(owners(bare.workspace())) == 1
    assert uid(bare) != had
    assert len([*(data(bare) / "uids").glob("[0-9]*")]) == 2


def test_readers_of_workspaces_stay_readers(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives the workspace over: an apply, or the first command on another host."""
    text = f"sandbox: {{group: 4242, uids: {{first: {FIRST}, count: {COUNT}}}}}\n"
    (bare.base / "config.yaml").write_text(text)
    bare.apply()
    first = bare.workspace().stat()
    claim(other_host(bare, monkeypatch), first.st_uid)
    bare.out("touch /a")
    second = bare.workspace().stat()
    assert first.st_uid != second.st_uid
    assert [(each.st_gid, oct(each.st_mode & 0o7777)) for each in (first, second)] == [(4242, "0o750")] * 2


def test_a_host_whose_range_is_another_or_none(bare: World) -> None:
    configure(bare)
    bare.apply()
    configure(bare, first=80000)
    bare.out("touch /a")
    assert uid(bare) in range(80000, 80000 + COUNT)
    (bare.base / "config.yaml").write_text("")
    bare.apply()
    assert (uid(bare), recorded(bare), owners(bare.workspace())) == (UID, None, {UID})
    bare.out("echo b >>/a")


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_a_linked_thread_is_written_as_its_own_uid(bare: World, backend: str) -> None:
    links = {"other": {"to": "threads/t2", "access": "read-write"}, "seen": {"to": "threads/t2"}}
    profile = write_profile(bare.base / "linked.yaml", {}, links=links)
    bare.apply("t2")
    bare.out("echo two >/file; mkdir /dir", "t2")
    bare.backend = backend
    for number in range(2):  # t2 has the common uid, then one of its own
        if number:
            bare.apply("t2")
            assert uid(bare, "t2") != UID
        configure(bare)
        bare.apply("t1", profile=profile)
        text = f"cat /other/file /seen/file; echo {number} >/other/dir/{number}; echo more >>/other/file; stat -c %u /other/file"
        assert bare.out(text).splitlines()[-1] == "1000"
        assert bare.sh("touch /seen/dir/x").status != 0
        assert (bare.workspace("t2") / f"dir/{number}").stat().st_uid == uid(bare, "t2")
    assert owners(bare.workspace("t2")) == {uid(bare, "t2")}
    assert uid(bare) not in (UID, uid(bare, "t2"))
    bare.out("echo three >>/dir/1; rm /dir/0", "t2")


def test_a_copy_under_proot_is_the_threads(thread: World) -> None:
    thread.backend = "proot"
    thread.out("echo before >/.venv/before")
    configure(thread)
    thread.apply()
    thread.out("echo more >>/.venv/before")
    thread.apply("t2")
    thread.out("echo x >/.venv/x", "t2")
    copies = {path.parts[-4]: owners(path) for path in (data(thread) / "layers").glob("*/*/*/*/copy")}
    assert copies == {"t1": {uid(thread, "t1")}, "t2": {uid(thread, "t2")}}


def test_explain_tells_the_uid_and_claims_none(bare: World) -> None:
    assert solven_env.explain("t1", ["true"], storage=bare.storage).uid == UID
    configure(bare)
    assert solven_env.explain("t1", ["true"], storage=bare.storage).uid == UID  # only an apply gives it over
    assert not (data(bare) / "uids").exists()
    bare.apply()
    assert solven_env.explain("t1", ["true"], storage=bare.storage).uid == uid(bare) != UID


@contextmanager
def through_fuse(storage: Path, *options: str) -> Iterator[Path]:
    """The storage as bindfs mounts it elsewhere: FUSE has no id-mapped mounts."""
    if not shutil.which("bindfs") or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("needs bindfs and /dev/fuse")
    above = storage.with_name("mounted")
    above.mkdir()
    subprocess.run(["bindfs", *options, storage, above], check=True)
    try:
        yield above
    finally:
        subprocess.run(["umount", "--lazy", above], check=True)
        above.rmdir()


@pytest.mark.parametrize("options", [("--chown-ignore", f"--force-user={UID}", f"--force-group={UID}"), ()])
def test_where_it_cannot_be_had_all_threads_have_one(bare: World, options: tuple[str, ...]) -> None:
    """A mounted bucket keeps no owners; another mount keeps them and cannot show others."""
    configure(bare)
    with through_fuse(bare.storage, *options) as mounted:
        for thread in ("t1", "t2"):
            solven_env.apply(bare.profile, thread, storage=mounted)
        assert (uid(bare, "t1"), recorded(bare, "t1"), recorded(bare, "t2")) == (UID, None, None)
        assert solven_env.explain("t2", ["true"], storage=mounted).uid == UID
        assert not (data(bare) / "uids").exists()
