"""What a thread's command must not reach (R19), and the links that its profile declares (promise 5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from tests.profiles import write_profile
from tests.run.world import UID, tree
from tests.sandbox.running import ROOT, wait_for_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World


def give(path: Path) -> Path:
    """To the sandbox's uid, so that only our walls keep it out."""
    if UID is not None:
        os.chown(path, UID, UID)
    return path


def test_no_path_leads_to_another_thread_the_bucket_or_our_state(thread: World) -> None:
    thread.apply("t2")
    give(thread.workspace("t2") / ".bashrc")
    (thread.workspace("t2") / "secret").write_text("sesame")
    (thread.workspace("t2") / "secret").chmod(0o644)
    for path in (thread.base, thread.storage, thread.storage / ".solven-env", thread.workspace("t2"), thread.builds):
        for prefix in ("", "/proc/self/root", "/proc/1/root", "/proc/1/cwd/../../../..", "/oldroot"):
            assert thread.sh(f"ls {prefix}{path}").status != 0, path
    assert thread.sh("cat /secret /*/secret").out == ""
    text = "find / -xdev -name secret; for place in /tmp /var /run /root /home /mnt /dev/shm; do find $place -name secret; done"
    assert thread.sh(f"{text} 2>/dev/null").out == ""
    # nor do the mounts say where they come from, but for what the kernel shows of any mount
    shown = thread.out("cat /proc/self/mounts")
    assert str(thread.storage) not in shown
    assert "upperdir=" + str(thread.base) not in shown


def test_nothing_in_the_store_or_the_tools_can_be_changed(thread: World) -> None:
    for path in ("/run/solven-env", "/run/solven-env/bin", "/run/solven-env/python/bin", "/usr", "/etc"):
        done = thread.sh(f"touch {path}/new || mv {path} /moved")
        assert done.status != 0, path
    assert thread.sh("echo > /run/solven-env/bin/uv").status != 0
    assert thread.sh("echo > /run/solven-env/python/bin/python3.12").status != 0
    assert thread.sh("echo > /run/solven-env/certificates.pem").status != 0


@pytest.mark.skipif(not ROOT, reason="covers a directory of the host's, in a mount namespace of its own")
@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_what_the_host_sets_for_its_own_users_is_not_shown(thread: World, backend: str) -> None:
    """/etc/profile.d holds proxies with their passwords, tokens, mirrors; login shells do without it."""
    thread.backend = backend
    secret = "echo 'export PROXY=sesame; echo noise' > /etc/profile.d/proxy.sh"
    cover = f'mount -t tmpfs tmpfs /etc/profile.d && {secret} && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", cover, "sh")
    for argv in (("ls", "/etc/profile.d"), ("bash", "--login", "-c", "env"), ("bash", "-ic", "env")):
        done = thread.cli("run", "t1", "--", *argv, prefix=prefix)
        assert b"sesame" not in done.stdout
        assert b"noise" not in done.stdout
        assert (done.returncode == 0) == (argv[0] == "bash"), done
    assert thread.out("bash --login -c 'echo $PATH'").startswith("/")


@pytest.mark.skipif(not ROOT, reason="what root keeps is out of an ordinary user's reach anyway")
def test_what_the_host_keeps_for_root_cannot_be_read(thread: World) -> None:
    """Everything here lies beneath a directory of root's; the command's uid is another one, whatever it shows."""
    assert thread.base.stat().st_mode & 0o077 == 0
    thread.out("touch /mine; id -u")
    assert (thread.workspace() / "mine").stat().st_uid == UID
    secret = thread.workspace() / "roots"
    secret.write_text("sesame")
    secret.chmod(0o600)
    assert "Permission denied" in thread.sh("cat /roots").err
    assert thread.sh("cat /etc/shadow").status != 0


def test_host_processes_and_other_threads_are_not_seen(thread: World) -> None:
    thread.apply("t2")
    other = thread.start("run", "t2", "--env", "TOKEN=sesame", "--", "sh", "-c", "touch /up /tmp/up; sleep 600")
    wait_for_file(thread.workspace("t2") / "up")
    listed = thread.out("ls /proc | grep -c '^[0-9]'; ls -A /tmp; cat /proc/*/environ | grep -c sesame || true")
    assert int(listed.split()[0]) <= 6
    assert listed.split()[1:] == ["0"]
    assert thread.sh("kill -9 -1; echo $?", timeout=20.0).status in (0, 137)
    assert other.poll() is None
    assert thread.out("ls /tmp", "t2") == "up\n"  # a session's commands share it


def test_network_none_reaches_nothing_of_the_host(thread: World) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert "ConnectionRefused" in thread.run("python", "-c", connect).err
        assert thread.run("python", "-c", connect, network="host").status == 0
    assert thread.out("ls /sys/class/net").split()  # /sys is the host's, and says so in the page on the sandbox
    assert thread.run("python", "-c", "import socket; print([n for _, n in socket.if_nameindex()])").out == "['lo']\n"


def test_links_are_what_the_profile_says(thread: World) -> None:
    skills, drafts = thread.storage / "skills/system", thread.storage / "skills/drafts"
    assert thread.sh("ls /.solven/skills/system").status != 0  # optional, and not there
    for directory in (skills, drafts):
        directory.mkdir(parents=True)
        give(directory)
    (skills / "skill.md").write_text("how to")
    assert thread.out("cat /.solven/skills/system/skill.md") == "how to"
    assert "Read-only" in thread.sh("touch /.solven/skills/system/new").err
    thread.out("echo mine > /.drafts/note")
    assert (drafts / "note").read_text() == "mine\n"
    assert tree(thread.storage / "skills") == {"system", "system/skill.md", "drafts", "drafts/note"}


def test_what_comes_and_goes_while_a_command_runs_is_there_for_the_next_one(thread: World) -> None:
    """The session lives on, and its staged root was made of what was there then."""
    process = thread.start("run", "t1", "--", "sh", "-c", "touch /up; read -r _", stdin=-1)
    wait_for_file(thread.workspace() / "up")
    skills = thread.storage / "skills/system"
    for text in ("first", "second"):
        skills.mkdir(parents=True)
        (skills / "skill").write_text(text)
        assert thread.out("cat /.solven/skills/system/skill") == text
        skills.rename(thread.storage / text)
    assert thread.sh("ls /.solven/skills/system/skill").status != 0
    thread.workspace().rename(thread.storage / "gone")
    with pytest.raises(SandboxError, match="the workspace cannot be opened"):
        thread.run("true")
    thread.apply()
    assert thread.sh("ls /up").status != 0
    assert thread.run("cat", "/.bashrc").status == 0
    process.communicate(b"\n")
    assert process.returncode == 0


def test_a_link_that_is_not_optional_must_lead_somewhere(thread: World) -> None:
    profile = write_profile(thread.base / "linked.yaml", {}, links={".shared": {"to": "skills/shared"}})
    thread.apply("t2", profile=profile)
    with pytest.raises(SandboxError, match="'skills/shared' does not exist") as caught:
        thread.run("true", thread="t2")
    assert caught.value.location == "/.shared"
    (thread.storage / "skills/shared").mkdir(parents=True)
    assert thread.run("ls", "/.shared", thread="t2").status == 0


def test_another_threads_workspace_is_seen_where_a_link_leads_there_and_no_further(thread: World) -> None:
    profile = write_profile(thread.base / "ticket.yaml", {}, links={".ticket": {"to": "threads/t1"}})
    thread.apply("t2", profile=profile)
    thread.out("echo ticket > /note")
    assert thread.out("cat /.ticket/note", "t2") == "ticket\n"
    assert "Read-only" in thread.sh("echo > /.ticket/note", "t2").err
    assert thread.sh("ls /.ticket/../t1 /.ticket/../../.solven-env", "t2").status != 0


def test_a_link_planted_in_a_linked_directory_is_not_followed(thread: World) -> None:
    (thread.storage / "skills").mkdir()
    (thread.storage / "skills/system").symlink_to(thread.storage / ".solven-env")
    with pytest.raises(SandboxError, match="a link stands"):
        thread.run("true")


def test_a_thread_made_anew_meets_nothing_of_its_namesake(thread: World) -> None:
    import shutil

    thread.out("touch /.venv/old /tmp/old /old")
    shutil.rmtree(thread.storage)
    thread.apply()
    assert thread.sh("ls /.venv/old /tmp/old /old").out == ""
