"""Canaries: random texts as secrets of every kind, and the search for them in all that any verb writes.

Each is planted where a user would have it: in the environment of every command of ours, in a file, in what a command of
the host prints. Nothing else of the test holds one, and a command inside says only that it has it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from solven_env.cli.main import COMMANDS
from solven_env.errors import SandboxError
from tests.profiles import write_profile
from tests.run.world import World, new_world
from tests.sandbox.running import holders, pids, wait_until_alone

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

ONE = 100_000 + secrets.randbelow(1 << 30)
OTHER = ONE + 1
"""Seconds that commands sleep, as no other test does at the same time."""
PYTHON = {"version": "3.12", "packages": []}
NAMES = ("OF_ENVIRONMENT", "OF_FILE", "OF_COMMAND", "PASSED", "ENVIRONMENT_AS_FILE", "FILE_AS_FILE", "COMMAND_AS_FILE")
HAS_ALL = "; ".join(
    f'test -s /run/solven-env/secrets/{name} || echo "lacks:"{name}' if name.endswith("_FILE") and "_AS_" in name
    else f'test -n "${name}" || echo "lacks:"{name}'
    for name in NAMES
)  # fmt: skip
VERBS: dict[str, list[tuple[str, int]]] = {
    "validate": [("{profile}", 0), ("{profile} --format json", 0), ("{wrong}", 5), ("{wrong} --format json", 5)],
    "resolve": [("{profile}", 0)],
    "explain": [("{profile}", 0), ("{profile} secrets", 0), ("{profile} --format json", 0)],
    "schema": [("", 0), ("--config", 0)],
    "init": [("{base}/new.yaml", 0)],
    "fmt": [("--check {profile}", 3), ("--diff {profile}", 0), ("{formed}", 0)],
    "add": [("{formed} python six --no-lock", 0)],
    "remove": [("{formed} python six --no-lock --format json", 0)],
    "render": [("{profile}", 0), ("{profile} --out {base}/out", 0)],
    "lock": [("{profile}", 0)],
    "outdated": [("{profile}", 0)],
    "diff": [("{profile} t1", 0), ("{profile} t1 --format json", 0), ("{other} t1 --format json", 0)],
    "plan": [("{other} t1 --out {base}/t1.plan", 0)],
    "apply": [
        ("{profile} t2 t3", 0),
        ("{other} t1 --dry-run", 0),
        ("--plan {base}/t1.plan --format json", 0),
        ("{profile} t1 --format json", 0),
        ("{wrong} t1", 5),
    ],
    "history": [("t1", 0), ("t1 --format json", 0)],
    "show": [("t1 1", 0), ("t1 1 --format json", 0)],
    "rollback": [("t1 1", 0), ("t1 --format json", 0)],
    "recover": [("t1 nothing", 2)],
    "run": [
        ("t1 --shell '{has_all}'", 0),
        ("t1 --backend proot --shell '{has_all}'", 0),
        ("t1 --format json -- sh -c '{has_all}; exit 3'", 3),
        ("t1 --explain -- true", 0),
        ("t1 --explain --format json -- true", 0),
        ("t1 --env OF_ENVIRONMENT --explain --format json -- true", 0),
        ("t1 --cwd /none -- true", 2),
        ("t1 --timeout 0.2 -- sleep 60", 124),
        ("t1 --network nowhere -- true", 2),
        ("t1 OF_ENVIRONMENT -la --env OF_ENVIRONMENT", 2),
        ("broken -- true", 125),
        ("broken --format json -- true", 125),
        ("t1 --keep-alive 60 --detach --shell 'echo begun; {has_all}; exec sleep 600'", 0),
    ],
    "shell": [("t1", 0)],
    "ps": [("t1", 0), ("t1 --format json", 0)],
    "logs": [("t1 {process}", 0), ("t1 {process} --format json", 0)],
    "kill": [("t1 {process}", 0), ("t1 {process} --format json", 0)],
    "status": [("t1", 0), ("t1 --format json", 0), ("t1 --profile {other} --format json", 0)],
    "cp": [("{base}/bare.txt t1:/in.txt", 0), ("t1:/in.txt {base}/out.txt", 0), ("t1:/run/solven-env/secrets {base}/s", 0)],
    "list": [("", 0), ("--format json --drifted", 0)],
    "du": [("", 0), ("--format json", 0)],
    "layer": [("diff t1", 0), ("diff t1 --format json", 0)],
    "mcp": [("--thread t1", 0)],
    "doctor": [("", 0), ("t1 --format json", 0), ("t1", 0), ("--profile {profile}", 0), ("broken", 1)],
    "docs": [("profile", 0)],
    "gc": [("--keep 1", 0), ("--dry-run --format json", 0)],
    "stop": [("t1", 0), ("t1 --format json", 0)],
    "delete": [("t3 --yes", 0), ("t2 --yes --format json", 0)],
}  # fmt: skip
"""The command lines of each verb and their statuses, in an order in which they follow from each other."""


class Planted(NamedTuple):
    """A host with canaries: their values by name, and the environment that has some of them."""

    world: World
    values: dict[str, str]
    environ: dict[str, str]
    said: list[bytes]
    """All that commands of ours have printed."""

    @property
    def given(self) -> dict[str, Any]:
        """The environment, as `World.cli` takes it."""
        return {**self.environ}

    def cli(self, verb: str, line: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        import shlex

        done = self.world.cli(verb, *shlex.split(line), data=data, **self.given)
        self.said.extend((done.stdout, done.stderr))
        return done

    def check(self) -> None:
        """Look for every canary in all that was printed and written."""
        found = [
            (name, place)
            for name, value in self.values.items()
            for place, data in self._written()
            if any(form in data for form in forms(value))
        ]
        assert found == []

    def _written(self) -> Iterator[tuple[str, bytes]]:
        yield from (("printed", data) for data in self.said)
        for path in self.world.base.rglob("*"):
            if path.is_file() and not path.is_symlink():
                with suppress(FileNotFoundError):
                    yield str(path), path.read_bytes()


def forms(value: str) -> set[bytes]:
    """A text as it is, and in base64 whatever stands before it."""
    return {value.encode(), *(base64.b64encode(b"x" * lead + value.encode())[4:-4] for lead in range(3))}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    """A host of its own, caches, temporary files and home included, and the thread `t1` on it."""
    with closing(new_world(tmp_path / "cache")) as world:
        for name in ("cache", "tmp", "state"):
            (world.base / name).mkdir()
        own = {"XDG_CACHE_HOME": "cache", "UV_CACHE_DIR": "cache/uv", "XDG_CONFIG_HOME": "config", "HOME": "home"}
        own |= {"XDG_STATE_HOME": "state", "TMPDIR": "tmp"}
        world.environ |= {name: str(world.base / where) for name, where in own.items()}
        values = {name: secrets.token_hex(24) for name in (*NAMES, "TOLD")}
        host = tmp_path / "host"
        host.mkdir()
        for name, value in values.items():
            (host / name).write_text(f"{value}\n")
        say, tell = host / "say", host / "tell"
        say.write_text(f'#!/bin/sh\necho chatter >&2\nexec cat "{host}/$1"\n')
        tell.write_text(f'#!/bin/sh\ncat "{host}/TOLD"; cat "{host}/TOLD" >&2; exit 3\n')
        for program in (say, tell):
            program.chmod(0o755)
        sources: dict[str, dict[str, Any]] = {
            "OF_ENVIRONMENT": {"from": "environment"},
            "OF_FILE": {"from": "file", "path": f"{host}/OF_FILE"},
            "OF_COMMAND": {"from": "command", "command": [str(say), "OF_COMMAND"]},
            "ENVIRONMENT_AS_FILE": {"from": "environment", "as": "file"},
            "FILE_AS_FILE": {"from": "file", "path": f"{host}/FILE_AS_FILE", "as": "file"},
            "COMMAND_AS_FILE": {"from": "command", "command": [str(say), "COMMAND_AS_FILE"], "as": "file"},
        }
        broken = {"TOLD": {"from": "command", "command": [str(tell)]}}
        commands = [each["command"] for each in (*sources.values(), *broken.values()) if "command" in each]
        allowed = {"files": [str(host)], "commands": commands}
        (world.base / "config.yaml").write_text(json.dumps({"secrets": allowed}))
        common: dict[str, Any] = {"env": {"HOME": "/", "PASSED": {"from": "environment"}}}
        looks = ["env >> /seen; cat /run/solven-env/secrets/* >> /seen; echo looked >> /seen"]
        write_profile(world.base / "profile.yaml", {"hello": "hello\n"}, secrets=sources, setup=looks, **common)
        write_profile(world.base / "formed.yaml", {"hello": "hello\n"}, secrets=sources, python=PYTHON, **common)
        write_profile(world.base / "other.yaml", {"hello": "other\n"}, secrets=sources, **common)
        write_profile(world.base / "wrong.yaml", {"hello": "{{ secrets.OF_FILE }}"}, secrets=sources, **common)
        write_profile(world.base / "broken.yaml", {}, secrets=broken, **common)
        (world.base / "bare.txt").write_text("bare")
        environ = {name: values[name] for name in ("OF_ENVIRONMENT", "PASSED", "ENVIRONMENT_AS_FILE")}
        made = Planted(world, values, environ, [])
        assert made.cli("apply", f"{world.base}/profile.yaml t1").returncode == 0
        assert made.cli("apply", f"{world.base}/broken.yaml broken").returncode == 0
        assert "looked" in (world.workspace() / "seen").read_text()  # by a setup command, which gets none
        yield made
        made.cli("stop", "t1")


def test_no_verb_writes_or_prints_a_secret(planted: Planted) -> None:
    assert VERBS.keys() == set(COMMANDS), "a new verb must be tried with canaries too"
    base = planted.world.base
    places = {f"{{{name}}}": f"{base}/{name}.yaml" for name in ("profile", "other", "wrong", "formed")}
    places |= {"{base}": str(base), "{has_all}": HAS_ALL.replace("'", ""), "{process}": ""}
    wrong: list[tuple[str, str, int, bytes]] = []
    for verb, lines in VERBS.items():
        for line, status in lines:
            for name, value in places.items():
                line = line.replace(name, value)
            done = planted.cli(verb, line, data=b"exit\n" if verb == "shell" else b"")
            if verb != "mcp" and done.returncode != status:  # an extra may be missing
                wrong.append((verb, line, done.returncode, done.stderr))
            assert not re.search(rb"lacks:[A-Z]", done.stdout), done  # what a shell says, and not its text
            if "--detach" in line:
                places["{process}"] = done.stdout.decode().strip()
    assert wrong == []
    planted.check()


def test_no_process_but_the_commands_own_shows_a_secret(planted: Planted) -> None:
    started = planted.world.start("run", "t1", "--shell", f"{HAS_ALL}; exec sleep {ONE}", environ=planted.environ)
    kept = planted.cli("run", f"t1 --detach -- sleep {OTHER}").stdout.decode().strip()
    sleeping = [_sleeping(ONE), _sleeping(OTHER)]
    for name, value in planted.values.items():
        for pid in pids():
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                assert value.encode() not in line, (name, line)
                is_callers = pid == started.pid and name in planted.environ
                if pid not in sleeping and not is_callers:
                    assert value.encode() not in Path(f"/proc/{pid}/environ").read_bytes(), (name, line)
    for pid in sleeping:  # which has all of them, so that the search is one
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert {name for name, value in planted.values.items() if value.encode() in environ} == {
            name for name in NAMES if "_AS_" not in name
        }
    assert planted.cli("kill", f"t1 {kept}").returncode == 0
    planted.check()


@pytest.mark.parametrize("victim", ["caller", "holder", "command"])
def test_what_a_kill_leaves_holds_no_secret(planted: Planted, victim: str) -> None:
    started = planted.world.start("run", "t1", "--shell", f"{HAS_ALL}; exec sleep {ONE}", environ=planted.environ)
    sleeping = _sleeping(ONE)
    kept = planted.cli("run", f"t1 --detach --shell 'echo begun; exec sleep {OTHER}'").stdout.decode().strip()
    _sleeping(OTHER)
    found = {"caller": [started.pid], "holder": holders(planted.world.base.name), "command": [sleeping]}[victim]
    assert found
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    started.wait(timeout=20)
    planted.check()
    planted.cli("logs", f"t1 {kept} --format json")
    planted.cli("status", "t1 --format json")
    planted.cli("doctor", "t1")
    planted.cli("stop", "t1")
    planted.check()


def test_a_kill_in_the_midst_of_a_start_leaves_no_secret(planted: Planted) -> None:
    for moment in range(12):
        started = planted.world.start("run", "t1", "--", "sleep", "600", environ=planted.environ)
        time.sleep(0.02 * moment)
        started.kill()
        started.wait()
    wait_until_alone(planted.world.base.name)
    planted.cli("stop", "t1")
    planted.check()


def test_an_error_that_a_program_catches_tells_none(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    import traceback

    import solven_env

    for name, value in {**planted.world.environ, **planted.environ}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SandboxError) as caught:
        solven_env.run("broken", ["true"], storage=planted.world.storage)
    planted.said.append("".join(traceback.format_exception(caught.value)).encode())
    planted.said.append(
        json.dumps(solven_env.explain("t1", ["true"], storage=planted.world.storage).to_json()).encode()
    )
    planted.check()


def test_the_search_finds_what_is_there(planted: Planted) -> None:
    """The control: a command that prints a secret, and one that writes it, are found."""
    value = planted.values["OF_FILE"]
    for line in ('printf %s "$OF_FILE"', 'printf "x%s" "$OF_FILE" | base64 -w0'):
        assert any(
            form in planted.world.cli("run", "t1", "--shell", line, **planted.given).stdout for form in forms(value)
        )
    planted.world.cli("run", "t1", "--shell", 'echo "$OF_FILE" > /written', **planted.given)
    with pytest.raises(AssertionError, match="written"):
        planted.check()


def _sleeping(seconds: int) -> int:
    """The pid of the command `sleep`, once it is that."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for pid in pids():
            with suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0%d\0" % seconds:
                    return pid
        time.sleep(0.01)
    raise AssertionError(seconds)
