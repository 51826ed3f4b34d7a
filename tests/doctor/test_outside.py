"""Things of a thread that are broken one by one, and what doctor says of each."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import termios
from contextlib import ExitStack
from signal import SIGCONT, SIGSTOP
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.threads.thread import Thread
from tests.doctor.doctor import answers, applied, doctor, edited, moved_away
from tests.profiles import write_profile
from tests.run.world import UID
from tests.sandbox.running import ROOT, survivors, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from tests.run.world import World

INSIDE = {"start", "PATH", ".bashrc", "virtual environment", "Python packages", "Node packages", "writing", "mounts"}


def test_a_healthy_thread(shared: World, snapshot: SnapshotAssertion) -> None:
    told = doctor(shared, "t1")
    found = answers(told.text.partition("thread t1\n")[2])
    # Without what depends on the host's npm, and on who asks.
    lines = [
        " ".join(" ".join(lines).split())
        for question, (_, lines) in found.items()
        if question not in ("programs", "uid")
    ]
    masked = (re.sub(r"/\S*|3\.12\.\d+|uid \d+|\d+ (files|entries)", "…", line) for line in lines)
    assert told.code == 0
    assert "\n".join(masked) == snapshot


def test_nothing_stays_and_nothing_is_mended(shared: World) -> None:
    (shared.workspace() / ".bashrc").rename(shared.workspace() / "aside")
    before = _everything(shared.base)
    told = doctor(shared, "t1", "--profile", str(shared.profile))
    after = _everything(shared.base)
    (shared.workspace() / "aside").rename(shared.workspace() / ".bashrc")
    assert told.level(".bashrc") == "broken"
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    assert [path for path in changed if not path.endswith("/about.json")] == []  # a look at the layers is noted there


@pytest.mark.parametrize(
    ("edit", "question", "expected"),
    [
        (lambda text: text + "\nPATH=/usr/bin:/bin\n", "PATH", "PATH is wrong in a shell (login), by .bashrc"),
        (lambda text: text + "\nPATH=$PATH:/usr/bin\n", "PATH", "PATH names /usr/bin twice"),
        (lambda text: "if\n" + text, ".bashrc", "syntax error"),
        (lambda text: text + "\nsleep 1000 &\nyes\n", ".bashrc", "a login shell does not get past .bashrc"),
        (lambda text: "exit 3\n", ".bashrc", "a login shell does not get past .bashrc"),
        (lambda text: text.replace("Agg", "Tk"), ".bashrc", "MPLBACKEND not set as in the profile"),
        (lambda text: text + "\nunset VIRTUAL_ENV\n", "virtual environment", "the virtual environment is not active"),
    ],
)
def test_a_bashrc_that_was_edited(shared: World, edit: Callable[[str], str], question: str, expected: str) -> None:
    bashrc = shared.workspace() / ".bashrc"
    with edited(bashrc, edit(bashrc.read_text())):
        told = doctor(shared, "t1", only=(question, "drift"))
    assert told.level(question) == "broken", told.text
    assert expected in told.fix(question)
    assert "solven-env apply PROFILE t1" in told.fix(question)
    assert told.level("drift") == "limited"
    assert "solven-env status t1" in told.fix("drift")


@pytest.mark.parametrize(
    "dotfiles",
    [{}, {".bashrc": {"template": "bashrc.j2"}}, {".bashrc": "alias ll='ls -l'\n"}, {".profile": "umask 022\n"}],
)
def test_a_login_shell_is_well_without_the_shipped_dotfiles(
    shared: World, tmp_path: Path, dotfiles: dict[str, Any]
) -> None:
    profile = write_profile(tmp_path / "plain.yaml", dotfiles, env={"HOME": "/", "A": "1"}, path={"prepend": ["/x"]})
    applied(shared, "t5", profile)
    told = doctor(shared, "t5", only=("PATH", ".bashrc"))
    assert told.level("PATH") == "ok", told.text
    assert told.broken() == set(), told.text


def test_a_profile_of_a_shell_that_spoils_path_is_blamed(shared: World, tmp_path: Path) -> None:
    applied(shared, "t5", write_profile(tmp_path / "spoiling.yaml", {".profile": "PATH=/usr/bin:/bin\n"}))
    told = doctor(shared, "t5", only=("PATH",))
    assert told.level("PATH") == "broken"
    assert "PATH is wrong in a shell (login), by a file of the thread's own" in told.fix("PATH")
    assert "Have it put what it adds before or after the PATH that it finds." in told.fix("PATH")


@pytest.mark.parametrize("lost", ["six.py", "six.py six-*/top_level.txt"])
def test_a_package_whose_module_an_agent_deleted(shared: World, lost: str) -> None:
    applied(shared, "t6")
    done = shared.cli("run", "t6", "--shell", f"cd /.venv/lib/python*/site-packages && rm -f {lost}")
    assert done.returncode == 0, done.stderr
    told = doctor(shared, "t6", only=("Python packages",))
    assert told.level("Python packages") == "broken"
    assert "six does not import" in told.cause("Python packages")


def test_a_bashrc_that_was_deleted(shared: World) -> None:
    with moved_away(shared.workspace() / ".bashrc"):
        told = doctor(shared, "t1", only=(".bashrc", "drift"))
    assert told.level(".bashrc") == "broken"
    assert ".bashrc is not read by a login shell" in told.cause(".bashrc")
    assert ".bashrc" in told.cause("drift")


def test_a_bash_profile_that_was_deleted_is_what_is_blamed(shared: World) -> None:
    with moved_away(shared.workspace() / ".bash_profile"):
        told = doctor(shared, "t1", only=("PATH", ".bashrc"))
    assert ".bash_profile is not read by a login shell" in told.cause(".bashrc")
    assert "by .bash_profile" in told.cause("PATH")
    for question in told.broken():
        assert "/.bashrc" not in told.fix(question)
        assert " .bashrc " not in told.fix(question)


def test_a_bashrc_that_prints_is_no_failure(shared: World) -> None:
    bashrc = shared.workspace() / ".bashrc"
    with edited(bashrc, bashrc.read_text() + "\nprintf '\\033[2Jhello\\n'\n"):
        told = doctor(shared, "t1", only=(".bashrc",))
    assert told.level(".bashrc") == "limited"
    assert "hello" in told.fix(".bashrc")
    assert "\x1b" not in told.text


@pytest.mark.parametrize("place", [".venv", "usr", "tmp"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_at_a_mount_point(shared: World, place: str, kind: str) -> None:
    path = shared.workspace() / place
    with moved_away(path):
        if kind == "link":
            path.symlink_to(shared.base)
        else:
            path.touch()
        told = doctor(shared, "t1", only=(*INSIDE,))
    assert told.broken() == {"start"}
    assert f"/{place}" in told.cause("start")
    assert "it is there for: " in told.fix("start")
    assert f"Run: rm {path}" in told.fix("start")
    assert not INSIDE - {"start"} & told.answers.keys()


def test_a_thread_that_was_never_applied(shared: World) -> None:
    told = doctor(shared, "t9", only=(*INSIDE,))
    assert told.broken() == {"record"}
    assert "thread t9: never applied" in told.cause("record")
    assert "solven-env apply PROFILE t9" in told.cause("record")
    assert not (shared.storage / "threads/t9").exists()


def test_a_workspace_that_is_gone(shared: World) -> None:
    with moved_away(shared.workspace()):
        told = doctor(shared, "t1", only=(*INSIDE,))
    assert told.broken() == {"workspace"}
    assert str(shared.workspace()) in told.cause("workspace")
    with moved_away(shared.storage / "threads"):
        (shared.storage / "threads").touch()
        told = doctor(shared, "t1", only=(*INSIDE,))
    assert told.broken() == {"workspace"}
    assert "no directory stands here or on the way" in told.cause("workspace")


def test_a_damaged_record(shared: World) -> None:
    with edited(shared.storage / ".solven-env/threads/t1/state.json", "{"):
        told = doctor(shared, "t1", only=(*INSIDE,))
    assert told.broken() == {"record"}
    assert "this record is damaged" in told.cause("record")
    assert "state.json" in told.cause("record")


def test_a_lost_lock_text(shared: World) -> None:
    locks = shared.storage / ".solven-env/locks"
    with ExitStack() as stack:
        for path in list(locks.iterdir()):
            stack.enter_context(edited(path, "other\n"))
        told = doctor(shared, "t1", only=("locks",))
    assert told.level("locks") == "broken"
    assert "the recorded lock of the" in told.cause("locks")


@pytest.mark.skipif(not ROOT, reason="gives files away")
@pytest.mark.parametrize("what", ["workspace", "layer"])
def test_a_wrong_owner(shared: World, what: str) -> None:
    (layer,) = (shared.base / "data/solven-env/layers").glob("*/t1/*/python-*/upper")
    path, question = (shared.workspace(), "workspace") if what == "workspace" else (layer, "layers")
    os.chown(path, 12345, 12345)
    try:
        told = doctor(shared, "t1", only=("workspace", "layers"))
    finally:
        os.chown(path, UID or 0, UID or 0)
    assert told.level(question) == "broken"
    assert f"wrong owner: it belongs to uid 12345, not {UID}" in told.cause(question)
    assert f"Run: chown -hR {UID}:{UID} {path}" in told.fix(question)
    assert told.broken() == {question}


@pytest.mark.parametrize("mode", [0o000, 0o555, 0o311])
def test_a_workspace_whose_mode_keeps_its_owner_out(shared: World, mode: int) -> None:
    shared.workspace().chmod(mode)
    try:
        told = doctor(shared, "t1", only=("workspace",))
    finally:
        shared.workspace().chmod(0o700)
    assert (told.broken(), told.level("workspace")) == (set(), "limited")
    assert f"its mode {mode:04o}" in told.cause("workspace")
    assert "solven-env apply" in told.fix("workspace")


@pytest.mark.parametrize("mode", [0o755, 0o711, 0o770])
def test_a_workspace_that_other_accounts_may_enter(shared: World, mode: int) -> None:
    shared.workspace().chmod(mode)
    try:
        told = doctor(shared, "t1", only=("workspace",))
    finally:
        shared.workspace().chmod(0o700)
    assert (told.broken(), told.level("workspace")) == (set(), "limited")
    assert "lets others in than its owner alone" in told.cause("workspace")
    assert "solven-env apply" in told.fix("workspace")


def test_sockets_and_fifos_that_are_shown(shared: World, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    (shown / "deep/er").mkdir(parents=True)
    os.mkfifo(shown / "deep/er/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        (tmp_path / "s").rename(shown / "server.sock")
        links = {"drafts": {"to": "skills/drafts"}}
        mounts = [{"source": str(shown), "target": "/shown"}]
        profile = write_profile(tmp_path / "shows.yaml", {}, mounts=mounts, links=links)
        os.mkfifo(shared.storage / "skills/drafts/talk")
        try:
            applied(shared, "t-shown", profile)
            told = doctor(shared, "t-shown", "--profile", str(profile), only=("sockets", "profile's sockets"))
        finally:
            (shared.storage / "skills/drafts/talk").unlink()
    assert (told.level("sockets"), told.level("profile's sockets")) == ("limited", "limited")
    for path in ("/shown/server.sock", "/shown/deep/er/pipe"):
        assert path in told.cause("sockets")
        assert path in told.cause("profile's sockets")
    assert "/drafts/talk" in told.cause("sockets")
    assert "read-only stops" in told.cause("sockets")


@pytest.mark.skipif(not ROOT, reason="mounts something")
@pytest.mark.parametrize(
    ("mount", "cause", "fix"),
    [
        ('mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"', "read-only", "Run: sudo mount -o remount,rw {}"),
        (f'mount -t tmpfs -o size=64k,uid={UID} tmpfs "$0" && ! cat /dev/zero >"$0/fill"', "no space", "du -xsh {}/*"),
    ],
)
def test_a_workspace_whose_file_system_takes_nothing(shared: World, mount: str, cause: str, fix: str) -> None:
    prefix = ("unshare", "--mount", "sh", "-c", f'{mount} 2>/dev/null; exec "$@"', str(shared.workspace()))
    told = doctor(shared, "t1", prefix=prefix)
    assert told.broken() == {"workspace"}
    assert cause in told.cause("workspace")
    assert fix.format(shared.workspace()) in told.fix("workspace")


def test_a_layer_whose_mode_keeps_its_owner_out(shared: World) -> None:
    applied(shared, "t8")
    assert shared.cli("run", "t8", "--", "chmod", "0555", "/.venv").returncode == 0
    told = doctor(shared, "t8")
    assert told.broken() == {"layers"}
    assert "Run: chmod u+rwx " in told.fix("layers")


def test_a_file_in_the_place_of_layers(shared: World) -> None:
    layers = shared.base / "data/solven-env/layers"
    with moved_away(layers):
        layers.touch()
        told = doctor(shared, "t1")
    assert told.broken() == {"layers"}
    assert f"{layers}" in told.cause("layers")
    assert "move it away" in told.fix("layers")


@pytest.mark.parametrize("python", [{}, {"python": {"version": "3.12"}}], ids=["no Python", "no packages"])
def test_a_profile_whose_packages_the_thread_lacks(shared: World, tmp_path: Path, python: dict[str, Any]) -> None:
    thread = f"lacks{len(python)}"
    applied(shared, thread, write_profile(tmp_path / "plain.yaml", {}, path={"prepend": ["/.venv/bin"]}, **python))
    fix = f"Run: solven-env apply {shared.profile} {thread}"
    told = doctor(
        shared, thread, "--profile", str(shared.profile), only=("Python packages", "Node packages", "pending")
    )
    assert told.broken() == {"Python packages", "Node packages"}
    assert "package not found: six does not import" in told.cause("Python packages")
    assert "package not found: is-number does not resolve" in told.cause("Node packages")
    assert fix in told.fix("Python packages")
    assert fix in told.fix("Node packages")
    assert told.level("pending") == "limited"
    assert "pending: " in told.cause("pending")
    assert " more for " in told.cause("pending")
    assert fix in told.fix("pending")
    assert "pending" not in doctor(shared, thread, only=("Python packages", "Node packages", "pending")).answers


def test_a_profile_whose_apply_would_stop(shared: World, tmp_path: Path) -> None:
    first = write_profile(tmp_path / "first.yaml", {"hello": "one\n"})
    second = write_profile(tmp_path / "second.yaml", {"hello": "two\n"})
    applied(shared, "stops", first)
    told = doctor(shared, "stops", "--profile", str(second), only=("pending",))
    assert "pending: file hello for" in told.cause("pending")
    (shared.workspace("stops") / "hello").write_text("three\n")
    told = doctor(shared, "stops", "--profile", str(second), only=("pending",))
    assert told.level("pending") == "limited"
    assert "conflict: file hello for" in told.cause("pending")
    assert f"Run: solven-env diff {second} stops" in told.fix("pending")
    assert told.code == 0


def build_of(world: World, store: Path, kind: str) -> Path:
    """The thread's own among the builds that other tests share the store with."""
    (told,) = json.loads(world.cli("status", "t1", "--format", "json").stdout)["threads"]
    (key,) = (key for key in told["builds"] if key.startswith(kind))
    return store / "solven-env/builds" / str(key)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda build: next(build.rglob("six.py")).unlink(), "six.py"),
        (lambda build: _change(next(build.rglob("six.py"))), "six.py"),
        (lambda build: next(build.rglob("six-*/RECORD")).write_bytes(b'"'), "RECORD"),
        (lambda build: (build / "tree/bin/more").touch(), "bin"),
    ],
    ids=["a file less", "other bytes", "no record", "a file more"],
)
def test_a_corrupted_build(shared: World, own_store: Path, damage: Callable[[Path], object], expected: str) -> None:
    build = build_of(shared, own_store, "python-")
    damage(build)
    told = doctor(shared, "t1", XDG_CACHE_HOME=str(own_store), only=(*INSIDE,))
    assert told.broken() == {"builds"}
    assert "the python build is corrupted" in told.cause("builds")
    assert expected in told.cause("builds")
    assert f"Run: touch {build}/tree && solven-env apply " in told.fix("builds")
    assert not INSIDE & told.answers.keys()
    assert build.exists()


def test_a_corrupted_bun_build(shared: World, own_store: Path) -> None:
    build = build_of(shared, own_store, "bun-")
    next(build.rglob("is-number/index.js")).unlink()
    told = doctor(shared, "t1", XDG_CACHE_HOME=str(own_store), only=("builds",))
    assert told.broken() == {"builds"}
    assert "the bun build is corrupted: is-number" in told.cause("builds")


def test_a_build_that_is_not_there_is_not_made(shared: World, tmp_path: Path) -> None:
    told = doctor(shared, "t1", XDG_CACHE_HOME=str(tmp_path / "cache"), only=(*INSIDE,))
    assert told.level("builds") == "limited"
    assert "no python build yet" in told.cause("builds")
    assert "start" not in told.answers
    assert not (tmp_path / "cache").exists()


def test_packages_that_are_gone_inside(shared: World) -> None:
    for arguments in (("apply", str(shared.profile), "t2"), ("run", "t2", "--", "uv", "pip", "uninstall", "six")):
        assert shared.cli(*arguments).returncode == 0
    assert shared.cli("run", "t2", "--", "sh", "-c", "rm -r /node_modules/is-number").returncode == 0
    told = doctor(shared, "t2", only=("Python packages", "Node packages"))
    assert told.broken() == {"Python packages", "Node packages"}
    assert "package not found: six does not import" in told.cause("Python packages")
    assert "package not found: is-number does not resolve" in told.cause("Node packages")
    for question in told.broken():  # no apply touches what an agent did to its own packages: what is told does
        command = told.fix(question).rpartition("Run: solven-env ")[2]
        assert shared.cli(*command.split()).returncode == 0
    assert not doctor(shared, "t2", only=("Python packages", "Node packages")).broken()


def test_programs_that_an_agent_put_before_the_systems(shared: World) -> None:
    """What they print has no end: it is read as far as 8 MiB, and they are told that nobody reads on."""
    applied(shared, "t7")
    plant = (
        "printf '#!/bin/sh\\nexec %s\\n' \"$1\" >/.venv/bin/x; chmod 755 /.venv/bin/x; mv /.venv/bin/x /.venv/bin/$0"
    )
    assert shared.cli("run", "t7", "--", "sh", "-c", plant, "head", "yes '$0'").returncode == 0
    told = doctor(shared, "t7", only=(*INSIDE,))
    assert told.broken() == {"start"}
    assert "have no end" in told.cause("start")
    assert shared.cli("run", "t7", "--", "rm", "/.venv/bin/head").returncode == 0
    assert shared.cli("run", "t7", "--", "sh", "-c", plant, "python", "cat /dev/urandom").returncode == 0
    told = doctor(shared, "t7", only=(*INSIDE,))
    assert told.broken() >= {"virtual environment", "Python packages"}
    assert told.level("writing") == "ok"
    assert "\x1b" not in told.text


@pytest.mark.parametrize(("optional", "level"), [(True, "limited"), (False, "broken")])
def test_a_link_that_leads_nowhere(shared: World, tmp_path: Path, optional: bool, level: str) -> None:
    thread = f"links-{level}"
    links = {".skills": {"to": "skills/gone", "optional": optional}}
    profile = write_profile(tmp_path / "links.yaml", {}, links=links)
    assert shared.cli("apply", str(profile), thread).returncode == 0
    told = doctor(shared, thread, only=("links",))
    assert told.level("links") == level
    assert "the link /.skills leads nowhere" in told.cause("links")
    assert f"Run: mkdir -p {shared.storage}/skills/gone" in told.fix("links")


def test_buffered_output_and_a_network_that_isolates_nothing(shared: World, tmp_path: Path) -> None:
    text = shared.profile.read_text().replace('  PYTHONUNBUFFERED: "1"\n', "") + "sandbox: {network: host}\n"
    profile = tmp_path / "small.yaml"
    profile.write_text(text)
    (tmp_path / "small.lock").symlink_to(shared.profile.with_name("small.lock"))
    assert shared.cli("apply", str(profile), "buffered").returncode == 0
    told = doctor(shared, "buffered", only=("unbuffered", "network"))
    assert told.code == 0, told.text
    assert told.level("unbuffered") == "limited"
    assert "PYTHONUNBUFFERED" in told.fix("unbuffered")
    assert "isolates no socket" in told.cause("network")


@pytest.mark.skipif(not shutil.which("proot"), reason="needs proot")
def test_a_thread_under_proot(shared: World, tmp_path: Path) -> None:
    profile = tmp_path / "small.yaml"
    profile.write_text(shared.profile.read_text() + "sandbox: {backend: proot}\n")
    (tmp_path / "small.lock").symlink_to(shared.profile.with_name("small.lock"))
    assert shared.cli("apply", str(profile), "proot").returncode == 0
    told = doctor(shared, "proot", only=("backend", "session", *INSIDE))
    assert told.level("backend") == "limited"
    assert "It is a convenience, not a security boundary." in told.fix("backend")
    assert {told.level(question) for question in INSIDE - {"mounts"}} == {"ok"}
    assert "none: the backend proot has no sessions" in told.cause("session")
    assert "none is up; a command starts one" in doctor(shared, "t1", only=("backend", "session", *INSIDE)).cause(
        "session"
    )


def test_a_thread_that_is_held(shared: World) -> None:
    thread = Thread.find("t1", shared.storage)
    with thread.state.lock("t1"):
        assert doctor(shared, "t1", only=("held",)).level("held") == "limited"
    assert doctor(shared, "t1", only=("held",)).level("held") == "ok"


def test_a_session_that_does_not_answer(shared: World) -> None:
    command = shared.start("run", "t1", "--", "sh", "-c", "touch /up; sleep 1000")
    try:
        wait_for_file(shared.workspace() / "up")
        (holder,) = (pid for pid in survivors(shared.base.name, b"holder") if pid != command.pid)
        os.kill(holder, SIGSTOP)
        told = doctor(shared, "t1", only=("session", "start"))
        os.kill(holder, SIGCONT)
    finally:
        command.terminate()
        command.wait()
        (shared.workspace() / "up").unlink()
    assert told.broken() == {"session"}
    assert "Run: solven-env stop t1" in told.fix("session")


def test_the_document(shared: World) -> None:
    with moved_away(shared.workspace() / ".bashrc"):
        done = shared.cli("doctor", "t1", "--format", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, b"")
    assert list(document) == ["format", "command", "threads", "probes", "not_asked"]
    assert [(each["thread"], each["state"]) for each in document["threads"]] == [("t1", "drift")]
    assert all(list(each) == ["subject", "question", "level", "detail", "cause", "fix"] for each in document["probes"])
    levels = {each["question"]: each["level"] for each in document["probes"]}
    assert (levels[".bashrc"], levels["/dev/null"], document["not_asked"]) == ("broken", "ok", [])
    assert {each["subject"] for each in document["probes"]} == {"host", "thread"}


def test_lines_are_whole_in_a_pipe_and_as_wide_as_a_terminal(shared: World) -> None:
    piped = doctor(shared).text
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 50))
    with shared.start("doctor", stdout=slave) as program:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody has it open any more
            while piece := os.read(master, 65536):
                shown += piece
    os.close(master)
    lines = re.sub(r"\x1b\[\d*m", "", shown.decode()).splitlines()
    assert program.returncode == 0
    assert all(len(line) <= 50 or len(line.split()) <= 2 for line in lines)
    assert "a command starts, writes in its workspace" in " ".join(" ".join(lines).split())
    assert "✓ sandbox: a command starts, writes in its workspace, and its status comes through\n" in piped


def test_the_same_in_python(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in shared.environ.items():
        if name.startswith(("SOLVEN_", "XDG_", "UV_CACHE")):
            monkeypatch.setenv(name, value)
    seen: list[object] = []
    report = solven_env.doctor("t1", storage=shared.storage, progress=seen.append)
    assert not report.is_broken
    assert seen == list(report.findings)
    listing = solven_env.contents("t1", storage=shared.storage)
    assert any("six" in line for line in listing.packages["python"])


def test_what_is_in_a_thread(shared: World) -> None:
    (shared.workspace() / "\x1b[2Jevil\n").touch()
    with moved_away(shared.workspace() / ".bash_profile"):
        done = shared.cli("doctor", "t1", "--packages", "--files")
        document = json.loads(shared.cli("doctor", "t1", "--packages", "--files", "--format", "json").stdout)
    (shared.workspace() / "\x1b[2Jevil\n").unlink()
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^  six +1\.", text)
    assert "is-number@7" in text
    assert r"\x1b[2Jevil\n" in text
    assert "\x1b" not in text
    assert re.search(r"(?m)^  - 0644 +\d+ \.bashrc$", text)
    assert re.search(r"(?m)^  \? +- +\.bash_profile  \(.+\)$", text)
    assert {each["path"] for each in document["rendered"]} >= {".bashrc", "package.json", "pyproject.toml"}
    assert document["packages"].keys() == {"python", "bun"}
    assert document["probes"] == []


@pytest.mark.parametrize(("arguments", "code"), [(("--files",), 2), (("t9", "--packages"), 1), (("../t1",), 2)])
def test_what_cannot_be_listed(shared: World, arguments: tuple[str, ...], code: int) -> None:
    done = shared.cli("doctor", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert b"error: " in done.stderr


@pytest.mark.parametrize(
    ("words", "environ", "code", "told"),
    [
        ("run t9 -- true", {}, 125, "doctor t9"),
        ("run t1 -- true", {"SOLVEN_ENV_CONFIG": "/nowhere.yaml"}, 125, "doctor t1"),
        ("run t1 -- true", {"SOLVEN_ENV_CONFIG": "/usr"}, 125, "doctor t1"),
        ("run t1 -- true", {"SOLVEN_ENV_CONFIG": "bad-config.yaml"}, 125, "doctor t1"),
        ("status t1", {"SOLVEN_ENV_CONFIG": "/usr"}, 1, "doctor t1"),
        ("status t1", {"SOLVEN_ENV_CONFIG": "bad-config.yaml"}, 1, "doctor t1"),
        ("stop t1", {"SOLVEN_ENV_STORAGE": "prod"}, 2, "doctor t1"),
        ("stop t1 --storage prod", {}, 2, "doctor --storage prod t1"),
        ("apply ./lockless.yaml t1", {}, 7, "doctor t1 --profile ./lockless.yaml"),
        ("lock --check ./lockless.yaml", {}, 7, "doctor --profile ./lockless.yaml"),
        ("validate nowhere.yaml", {}, 2, ""),
        ("apply nowhere.yaml t1", {}, 2, ""),
    ],
)
def test_an_error_that_doctor_explains_names_it(
    shared: World, words: str, environ: dict[str, Any], code: int, told: str
) -> None:
    (shared.base / "bad-config.yaml").write_text("sandbox: {uid: none}\n")
    (shared.base / "lockless.yaml").write_bytes(shared.profile.read_bytes())
    done = shared.cli(*words.split(), **environ)
    assert done.returncode == code
    assert (f"or run: solven-env {told}\n" if told else "See: solven-env docs cli\n") in done.stderr.decode()


def _everything(base: Path) -> dict[str, tuple[int, int]]:
    """Every path with its mode and, of a file, when it was written. Directories of ours have been written in."""
    looks = ((path.relative_to(base), path.lstat()) for path in base.rglob("*"))
    return {str(path): (about.st_mode, 0 if S_ISDIR(about.st_mode) else about.st_mtime_ns) for path, about in looks}


def _change(path: Path) -> None:
    """Other bytes of the same number, in the same file."""
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    with path.open("r+b") as file:
        file.write(data)
