"""Which directory is the storage, and how a workspace in it is opened and made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from solven_env.config import Config, Storage
from solven_env.errors import UsageError, WorkspaceError
from solven_env.state.storage_root import StorageRoot
from solven_env.system.names import thread_id
from solven_env.workspace.root import Owner
from solven_env.workspace.storage import (
    check_readers,
    close_to_others,
    create_workspace,
    locate,
    open_workspace,
    workspace_path,
)

PROD = Storage(Path("/srv/prod"), "id-of-prod", True, "prod")
FAST = Storage(Path("/mnt/fast"), name="fast")
HOST = Config("prod", {"prod": PROD, "fast": FAST})
THREADS = ["t", "T1", "0", "thread-42", "a.b_c-d", "a" * 128]
NO_THREADS = ["", "../evil", ".hidden", "-x", "_x", "a/b", "a b", "t\n", "a\0b", "é", "..", "a" * 129]


@pytest.mark.parametrize("text", THREADS)
def test_a_thread_id_is_given_back(text: str) -> None:
    assert thread_id(text) == text


@pytest.mark.parametrize("text", NO_THREADS)
def test_no_thread_id_is_refused_with_the_rule(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 to 128"):
        thread_id(text)
    for act in (workspace_path, lambda storage, thread: create_workspace(StorageRoot(storage), thread, None)):
        with pytest.raises(UsageError):
            act(tmp_path, text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("storage", "environ", "expected"),
    [
        ("/srv/agents", {"SOLVEN_ENV_STORAGE": "/elsewhere"}, "/srv/agents"),
        ("./agents", {}, "agents"),
        (".", {}, "."),
        ("..", {}, ".."),
        ("~/agents", {}, "~/agents"),
        (Path("agents"), {"SOLVEN_ENV_STORAGE": "/elsewhere"}, "agents"),
        (None, {"SOLVEN_ENV_STORAGE": "/elsewhere"}, "/elsewhere"),
        ("fast", {"SOLVEN_ENV_STORAGE": "prod"}, "/mnt/fast"),
        (None, {"SOLVEN_ENV_STORAGE": "fast"}, "/mnt/fast"),
        (None, {}, "/srv/prod"),
        (None, {"SOLVEN_ENV_STORAGE": ""}, "/srv/prod"),
    ],
)
def test_where_the_storage_is(storage: str | Path | None, environ: dict[str, str], expected: str) -> None:
    assert locate(storage, environ, HOST).root == Path(expected)


@pytest.mark.parametrize("environ", [{}, {"SOLVEN_ENV_STORAGE": ""}])
def test_the_storage_nobody_named_is_the_users(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/nobody-here")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    found = locate(None, environ, Config()).root
    assert found.parts[-2:] == ("solven-env", "storage")
    assert found.is_relative_to("/home/nobody-here")


@pytest.mark.parametrize(
    ("storage", "environ", "source"),
    [
        ("pord", {}, "--storage: 'pord'"),
        ("", {"SOLVEN_ENV_STORAGE": "/x"}, "--storage: ''"),
        ("~", {}, "--storage: '~'"),
        (None, {"SOLVEN_ENV_STORAGE": "pord"}, "SOLVEN_ENV_STORAGE: 'pord'"),
    ],
)
def test_text_without_a_slash_names_a_storage(storage: str | None, environ: dict[str, str], source: str) -> None:
    for host in (HOST, Config()):
        with pytest.raises(
            UsageError, match=f"{source.split()[0]} this host knows no storage {source.split()[1]}"
        ) as caught:
            locate(storage, environ, host)
        assert "`/`" in caught.value.fix


def test_the_name_that_was_meant_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        locate("pord", {}, HOST)
    assert caught.value.fix == "Did you mean 'prod'? A path needs a `/`: write `./pord` for a directory here."


def test_what_is_not_there_is_none_and_stays_so(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    assert open_workspace(StorageRoot(storage), "t1", None) is None
    storage.mkdir()
    assert open_workspace(StorageRoot(storage), "t1", None) is None
    (storage / "threads").mkdir()
    assert open_workspace(StorageRoot(storage), "t1", None) is None
    assert [path.name for path in storage.rglob("*")] == ["threads"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o000])
def test_all_is_made_with_its_mode(tmp_path: Path, umask: int) -> None:
    storage = tmp_path / "deep" / "storage"
    before = os.umask(umask)
    try:
        with create_workspace(StorageRoot(storage), "t1", None) as root:
            assert root.list("") == ()
    finally:
        os.umask(before)
    threads = storage / "threads"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (storage.parent, storage, threads, threads / "t1")]
    assert modes == [0o755, 0o755, 0o711, 0o700]


@pytest.mark.parametrize("mode", [0o000, 0o311, 0o555, 0o600])
def test_a_workspace_that_keeps_its_owner_out_is_opened_and_lets_him_in(tmp_path: Path, mode: int) -> None:
    workspace = tmp_path / "threads" / "t1"
    workspace.mkdir(parents=True)
    (workspace / "notes").write_text("mine")
    workspace.chmod(mode)
    root = open_workspace(StorageRoot(tmp_path), "t1", None)
    assert root is not None
    with root:
        assert root.read("notes") == b"mine"
        root.mkdir("new")
    assert stat.S_IMODE(workspace.stat().st_mode) == mode | 0o700


@pytest.mark.parametrize(("before", "after"), [(0o777, 0o711), (0o755, 0o711), (0o750, 0o710), (0o700, 0o700)])
def test_a_workspace_is_closed_to_others_and_the_threads_are_not_listed(
    tmp_path: Path, before: int, after: int
) -> None:
    threads, workspace = tmp_path / "threads", tmp_path / "threads" / "t1"
    workspace.mkdir(parents=True)
    for place in (threads, workspace):
        place.chmod(before)
    close_to_others(StorageRoot(tmp_path), "t1", None)
    assert [stat.S_IMODE(place.stat().st_mode) for place in (threads, workspace)] == [after, 0o700]


def test_a_group_of_the_hosts_may_read(tmp_path: Path) -> None:
    group = 4711 if os.geteuid() == 0 else os.getgid()
    workspace = tmp_path / "threads" / "t1"
    workspace.mkdir(parents=True)
    close_to_others(StorageRoot(tmp_path), "t1", group)
    assert (stat.S_IMODE(workspace.stat().st_mode), workspace.stat().st_gid) == (0o750, group)
    close_to_others(StorageRoot(tmp_path), "t1", None)
    assert stat.S_IMODE(workspace.stat().st_mode) == 0o700


def test_a_user_gives_workspaces_to_his_own_groups_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    check_readers(os.getegid())
    check_readers(None)
    with pytest.raises(WorkspaceError, match="not in that group"):
        check_readers(4711)


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "threads" / "t1").mkdir(parents=True)
    (tmp_path / "threads" / "t1" / "notes").write_text("mine")
    for path in (tmp_path / "threads" / "t1", tmp_path / "threads", tmp_path):
        path.chmod(0o700)
    before = [path.stat() for path in (tmp_path, tmp_path / "threads", tmp_path / "threads" / "t1")]
    with create_workspace(StorageRoot(tmp_path), "t1", None) as root:
        assert root.read("notes") == b"mine"
    assert [path.stat() for path in (tmp_path, tmp_path / "threads", tmp_path / "threads" / "t1")] == before


def test_the_operators_link_to_the_storage_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "storage").symlink_to("disk")
    create_workspace(StorageRoot(tmp_path / "storage"), "t1", None).close()
    assert (tmp_path / "disk" / "threads" / "t1").is_dir()
    root = open_workspace(StorageRoot(tmp_path / "storage"), "t1", None)
    assert root is not None
    root.close()


def test_a_storage_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for storage in (tmp_path / "file", tmp_path / "file" / "beneath", tmp_path / "dangling"):
        with pytest.raises(WorkspaceError, match=str(storage)):
            create_workspace(StorageRoot(storage), "t1", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_workspace_is_the_owners_and_the_rest_ours(tmp_path: Path) -> None:
    create_workspace(StorageRoot(tmp_path / "storage"), "t1", Owner(61000, 61001)).close()
    ids = [
        (status.st_uid, status.st_gid)
        for path in ("storage", "storage/threads", "storage/threads/t1")
        for status in [(tmp_path / path).stat()]
    ]
    assert ids == [(0, 0), (0, 0), (61000, 61001)]
