"""Secrets that reach the command that they are for, and are refused where this host does not allow or have them."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import SandboxError
from solven_env.run import secrets
from tests.profiles import write_profile
from tests.sandbox.running import pids

if TYPE_CHECKING:
    from tests.run.world import World

CANARY = "sesame-of-the-canary"


def have(world: World, secrets: dict[str, Any], allowed: Any = None, **sections: Any) -> World:
    """Apply a profile with these secrets on a host whose configuration allows these."""
    if allowed is not None:
        (world.base / "config.yaml").write_text(json.dumps({"secrets": allowed}))
    world.apply(profile=write_profile(world.base / "secret.yaml", {}, env={"HOME": "/"}, secrets=secrets, **sections))
    return world


def script(place: Path, text: str) -> str:
    """A program of the host."""
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return str(place)


def test_a_variable_of_the_callers_reaches_the_command(either: World, monkeypatch: pytest.MonkeyPatch) -> None:
    have(either, {"KEY": {"from": "environment"}, "OTHER": {"from": "environment", "name": "MINE"}})
    monkeypatch.setenv("KEY", CANARY)
    monkeypatch.setenv("MINE", "a b\n'c'")
    assert either.out('printf %s "$KEY,$OTHER"') == f"{CANARY},a b\n'c'"
    monkeypatch.setenv("KEY", "another")  # which is read at each launch
    assert either.out('printf %s "$KEY"') == "another"
    # what the caller gives with a command counts more, and then no secret of that name is needed
    monkeypatch.delenv("KEY")
    assert either.out('printf %s "$KEY"', env={"KEY": "given"}) == "given"


def test_files_and_commands_of_the_host_are_read_where_it_allows_them(either: World) -> None:
    kept = either.base / "kept"
    kept.mkdir()
    (kept / "key").write_text(f"{CANARY}\n")
    (kept / "twice").write_bytes(b"two\nlines\r\n")
    os.symlink("key", kept / "beside")  # as Kubernetes mounts secrets
    say = [script(either.base / "say", f'echo "{CANARY} $1 $PWD"; echo chatter >&2'), "a b"]
    secrets = {
        "KEY": {"from": "file", "path": f"{kept}/key"},
        "BESIDE": {"from": "file", "path": f"{kept}/beside"},
        "TWICE": {"from": "file", "path": f"{kept}/twice"},
        "SAID": {"from": "command", "command": say},
        "GONE": {"from": "file", "path": f"{kept}/none", "optional": True},
    }
    have(either, secrets, {"files": [str(kept)], "commands": [say]})
    told = either.out('printf "%s|" "$KEY" "$BESIDE" "$TWICE" "$SAID" "${GONE-unset}"')
    assert told == f"{CANARY}|{CANARY}|two\nlines|{CANARY} a b /|unset|"


def test_a_file_is_in_memory_that_one_command_alone_sees(either: World, monkeypatch: pytest.MonkeyPatch) -> None:
    have(
        either,
        {"KEY": {"from": "environment", "as": "file"}, "GONE": {"from": "environment", "as": "file", "optional": True}},
    )
    monkeypatch.delenv("GONE", raising=False)
    monkeypatch.setenv("KEY", CANARY)
    directory = "/run/solven-env/secrets"
    told = either.out(
        f"cat {directory}/KEY; echo; ls {directory}; stat -c '%a %u' {directory} {directory}/KEY; echo ${{KEY-unset}}"
    ).split("\n")
    assert told[:-1] == [CANARY, "KEY", "500 1000", "400 1000", "unset"]
    if either.backend == "bubblewrap":
        assert either.out(f"stat -fc %T {directory}; findmnt -no OPTIONS {directory}").startswith(
            "tmpfs\nrw,nosuid,nodev,noexec"
        )
    # what one command leaves there, none of the next ones finds
    either.out(f"chmod 700 {directory}; echo left > {directory}/left; echo other > {directory}/new || true")
    assert either.out(f"ls {directory}") == "KEY\n"
    with pytest.raises(SandboxError):
        monkeypatch.delenv("KEY")
        either.run("true")


def test_commands_at_the_same_time_have_a_file_of_their_own(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    have(bare, {"KEY": {"from": "environment", "as": "file"}})
    path = "/run/solven-env/secrets/KEY"
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
        monkeypatch.setenv("KEY", "the first")
        first = sandbox.start(f"cat {path}; read line; cat {path}")
        monkeypatch.setenv("KEY", "the second")
        for _ in range(3):  # the third one's first process was forked ahead
            assert sandbox.run(f"cat {path}").stdout == "the second"
        # no server of files and no command without it has one
        assert not sandbox.files.exists(path)
        first.send_stdin("go on\n")
        assert first.wait(timeout=10).stdout == "the firstthe first"


def test_a_link_that_an_agent_plants_gets_no_file(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    have(bare, {"KEY": {"from": "environment", "as": "file"}})
    monkeypatch.setenv("KEY", CANARY)
    victim = bare.base / "victim"
    victim.mkdir(mode=0o777)
    victim.chmod(0o777)
    tries = (
        "mv /run/solven-env /run/away; ln -s /victim /run/solven-env",
        "rmdir /run/solven-env/secrets; ln -s /victim /run/solven-env/secrets",
        "mv /run /away; mkdir /run; ln -s /victim /run/solven-env; mkdir /victim; rm -rf /run/solven-env",
        "umount /run/solven-env/secrets; chmod 777 /run/solven-env; touch /run/solven-env/mine",
    )
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
        for text in tries:
            sandbox.run(text)
            done = sandbox.run("cat /run/solven-env/secrets/KEY; echo; ls -A /victim /run/away /away 2>/dev/null")
            assert (done.exit_code != 0, done.stdout.split("\n")[0]) == (True, CANARY)
    assert list(victim.iterdir()) == []
    assert CANARY not in written(bare)


def written(world: World) -> str:
    """All that lies beneath a world's base, as one text."""
    found = []
    for path in world.base.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found.append(path.read_text(errors="replace"))
    return "\n".join(found)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any] | None, str, str]] = {
    "no variable": (
        {"from": "environment", "name": "NONE"},
        None,
        "secrets.KEY, from the variable NONE, is not to be had: the environment has no NONE, or an empty one",
        "Start solven-env with NONE set, or write 'optional: true' in the profile.",
    ),
    "no file": (
        {"from": "file", "path": "{base}/none"},
        {"files": ["{base}"]},
        "secrets.KEY, from the file {base}/none, is not to be had: there is no such file",
        "Put it into {base}/none, where the caller can read it, or write 'optional: true' in the profile.",
    ),
    "a variable that is not allowed": (
        {"from": "environment", "name": "HOME", "optional": True},
        {"environment": ["COMPANY_*", "KEY"]},
        "secrets.KEY comes from the variable HOME, which this host's configuration lets no profile name",
        "Let the administrator add it to secrets.environment in the host configuration: HOME",
    ),
    "a file where none is allowed": (
        {"from": "file", "path": "{base}/key"},
        None,
        "secrets.KEY comes from the file {base}/key, which this host's configuration lets no profile name",
        "Let the administrator add it to secrets.files in the host configuration: {base}/key",
    ),
    "a file beside the directory": (
        {"from": "file", "path": "{base}/kept-not/key"},
        {"files": ["{base}/kept"]},
        "secrets.KEY comes from the file {base}/kept-not/key, which this host's configuration lets no profile name",
        "Let the administrator add it to secrets.files in the host configuration: {base}/kept-not/key",
    ),
    "a link out of the directory": (
        {"from": "file", "path": "{base}/kept/out"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/out, is not to be had: a link leads out of {base}/kept, which is what "
        "secrets.files allows",
        "",
    ),
    "a link out, of the file itself": (
        {"from": "file", "path": "{base}/kept/out"},
        {"files": ["{base}/kept/out"]},
        "secrets.KEY, from the file {base}/kept/out, is not to be had: a link leads out of {base}/kept, which is what "
        "secrets.files allows",
        "",
    ),
    "a directory's link out": (
        {"from": "file", "path": "{base}/kept/up/key"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/up/key, is not to be had: a link leads out of {base}/kept, which is "
        "what secrets.files allows",
        "",
    ),
    "a FIFO": (
        {"from": "file", "path": "{base}/kept/fifo"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/fifo, is not to be had: it is no regular file",
        "",
    ),
    "a directory": (
        {"from": "file", "path": "{base}/kept/dir"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/dir, is not to be had: it is no regular file",
        "",
    ),
    "a long file": (
        {"from": "file", "path": "{base}/kept/long"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/long, is not to be had: it has more than 64 KiB",
        "",
    ),
    "U+0000": (
        {"from": "file", "path": "{base}/kept/zero"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/zero, is not to be had: it has a character U+0000",
        "",
    ),
    "an empty file": (
        {"from": "file", "path": "{base}/kept/empty"},
        {"files": ["{base}/kept"]},
        "secrets.KEY, from the file {base}/kept/empty, is not to be had: {base}/kept/empty is empty",
        "",
    ),
    "a command with another argument": (
        {"from": "command", "command": ["{base}/say", "other"]},
        {"commands": [["{base}/say"], ["{base}/say", "this"]]},
        "secrets.KEY comes from the command {base}/say other, which this host's configuration lets no profile name",
        'Let the administrator add it to secrets.commands in the host configuration: ["{base}/say", "other"]',
    ),
    "a command that fails": (
        {"from": "command", "command": ["{base}/fail"]},
        {"commands": [["{base}/fail"]]},
        "secrets.KEY, from the command {base}/fail, is not to be had: the command ended with status 3: not signed in",
        "Try the command by itself, or write 'optional: true' in the profile.",
    ),
    "a command that fails and has said the secret": (
        {"from": "command", "command": ["{base}/tell"]},
        {"commands": [["{base}/tell"]]},
        "secrets.KEY, from the command {base}/tell, is not to be had: the command ended with status 3",
        "",
    ),
    "no command": (
        {"from": "command", "command": ["{base}/none"]},
        {"commands": [["{base}/none"]]},
        "secrets.KEY, from the command {base}/none, is not to be had: there is no program {base}/none",
        "",
    ),
    "a command that prints for ever": (
        {"from": "command", "command": ["yes"]},
        {"commands": [["yes"]]},
        "secrets.KEY, from the command yes, is not to be had: the command printed more than 64 KiB",
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_starts_where_a_secret_is_not_to_be_had(
    bare: World, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    kept = bare.base / "kept"
    for directory in (kept, bare.base / "kept-not", kept / "dir"):
        directory.mkdir()
    (kept / "long").write_text("x" * (64 << 10) + "y")
    (kept / "zero").write_bytes(b"a\0b")
    (kept / "empty").write_text("\n")
    (bare.base / "key").write_text(CANARY)
    os.symlink(bare.base / "key", kept / "out")
    os.symlink("..", kept / "up")
    os.mkfifo(kept / "fifo")
    script(bare.base / "say", f"echo {CANARY}")
    script(bare.base / "fail", "echo some chatter >&2; printf 'not \\033[1msigned in' >&2; exit 3")
    script(bare.base / "tell", f"echo {CANARY}; echo {CANARY} >&2; exit 3")
    monkeypatch.delenv("NONE", raising=False)
    here = {"{base}": str(bare.base)}
    secret, allowed, message, fix = json.loads(json.dumps(REFUSED[case]).replace("{base}", here["{base}"]))
    have(bare, {"KEY": secret}, allowed)
    with pytest.raises(SandboxError) as caught:
        bare.run("touch", "/started")
    assert caught.value.message.replace("\\x1b[1m", "") == message
    assert fix in caught.value.fix
    assert not (bare.workspace() / "started").exists()
    assert CANARY not in str(caught.value)


def test_a_variable_of_env_can_be_the_callers(either: World, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = write_profile(
        either.base / "passed.yaml",
        {".bashrc": {"template": "bashrc.j2"}},
        env={
            "HOME": "/",
            "HOSTUSER": {"from": "environment", "optional": True},
            "NEEDED": {"from": "environment"},
            "UNMET": {"from": "environment", "when": "no"},
        },
        inputs={"no": {"default": "false"}},
    )
    monkeypatch.delenv("HOSTUSER", raising=False)
    monkeypatch.setenv("NEEDED", CANARY)
    either.apply(profile=profile)
    assert CANARY not in written(either)
    assert "NEEDED" not in (either.workspace() / ".bashrc").read_text()
    told = 'printf "%s|%s|%s" "${HOSTUSER-unset}" "$NEEDED" "${UNMET-unset}"'
    assert either.out(told) == f"unset|{CANARY}|unset"
    assert either.run("bash", "--login", "-c", told).out == f"unset|{CANARY}|unset"
    monkeypatch.setenv("HOSTUSER", "ada")
    assert either.out(told) == f"ada|{CANARY}|unset"
    monkeypatch.delenv("NEEDED")
    with pytest.raises(SandboxError) as caught:
        either.run("true")
    assert str(caught.value) == (
        "env.NEEDED, from the variable NEEDED, is not to be had: the environment has no NEEDED, or an empty one. Start "
        "solven-env with NEEDED set, or write 'optional: true' in the profile."
    )
    (either.base / "config.yaml").write_text("secrets: {environment: [HOSTUSER]}")
    with pytest.raises(SandboxError, match="lets no profile name") as caught:
        either.run("true")
    assert "secrets.environment in the host configuration: NEEDED" in caught.value.fix


def test_a_command_of_the_host_has_little_time_and_may_leave_a_daemon(
    bare: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = 100_000 + os.getpid()
    hangs = [script(bare.base / "hangs", f"echo {CANARY}; sleep {here}.1 & exec sleep {here}.2")]
    daemon = [script(bare.base / "daemon", f"setsid sleep 6003 & echo $! > {bare.base}/pid; echo {CANARY}")]
    have(bare, {"KEY": {"from": "command", "command": daemon}}, {"commands": [hangs, daemon]})
    began = time.monotonic()
    assert bare.out('printf %s "$KEY"') == CANARY  # though the daemon has its output open
    assert time.monotonic() - began < 10
    os.kill(int((bare.base / "pid").read_text()), signal.SIGKILL)
    monkeypatch.setattr(secrets, "SECONDS", 0.5)
    have(bare, {"KEY": {"from": "command", "command": hangs, "optional": True}})
    with pytest.raises(SandboxError, match="did not end within") as caught:
        bare.run("true")
    assert CANARY not in str(caught.value)
    until = time.monotonic() + 10
    while runs(b"%d.1" % here, b"%d.2" % here):  # they are killed, and may take a moment
        assert time.monotonic() < until


def runs(*marks: bytes) -> bool:
    """True while a process has one of these among its arguments."""
    for pid in pids():
        with suppress(OSError):
            if any(mark in Path(f"/proc/{pid}/cmdline").read_bytes() for mark in marks):
                return True
    return False


def test_commands_of_a_session_with_processes_of_its_own_have_files_too(
    bare: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(bare, {"KEY": {"from": "environment", "as": "file"}}, sandbox={"processes": "session"})
    path = "/run/solven-env/secrets/KEY"
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
        for value in ("the first", "the second"):
            monkeypatch.setenv("KEY", value)
            assert sandbox.run(f"cat {path}").stdout == value


def test_all_that_is_missing_is_told_at_once_and_the_status_is_125(bare: World) -> None:
    have(bare, {"ONE": {"from": "environment"}, "TWO": {"from": "environment"}, "OUR": {"from": "environment"}})
    done = bare.cli("run", "t1", "--", "touch", "/started", OUR=CANARY)
    assert done.returncode == 125
    assert b"ONE" in done.stderr
    assert b"TWO" in done.stderr
    assert CANARY.encode() not in done.stdout + done.stderr
    assert not (bare.workspace() / "started").exists()


def test_a_sandbox_gives_its_commands_the_secrets(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    have(bare, {"KEY": {"from": "environment"}})
    monkeypatch.setenv("KEY", CANARY)
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
        assert sandbox.run('printf %s "$KEY"').stdout == CANARY
        assert sandbox.start('printf %s "$KEY"').wait(timeout=10).stdout == CANARY
        monkeypatch.delenv("KEY")
        sandbox.files.write("/note", "no command starts")
        with pytest.raises(SandboxError, match="the environment has no KEY"):
            sandbox.run("true")
