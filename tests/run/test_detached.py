"""`run --detach`, `ps`, `logs` and `kill`: processes that outlive the command line that started them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from tests.run.world import World


def test_a_process_is_started_listed_read_and_ended(bare: World) -> None:
    def cli(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
        done = bare.cli(*arguments)
        assert done.returncode == status, done
        return done

    assert b"there is no process" in cli("ps", "t1").stderr
    started = cli("run", "t1", "--detach", "--shell", "echo out; echo err >&2; read line; exit 3")
    name = started.stdout.decode().strip()
    follower = subprocess.Popen(
        bare.command("logs", "t1", name, "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bare.environ
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"out\n"
    (told,) = json.loads(cli("ps", "t1", "--format", "json").stdout)["threads"][0]["processes"]
    assert (told["id"], told["exit_code"]) == (name, None)
    assert told["command"].startswith("echo out;")
    shown = cli("logs", "t1", name)
    assert (shown.stdout, shown.stderr) == (b"out\n", b"err\n")
    assert b" runs " in cli("ps", "t1").stdout
    assert b"was ended" in cli("kill", "t1", name).stderr
    assert follower.communicate() == (b"", b"err\n")
    assert follower.returncode == 0
    assert json.loads(cli("kill", "t1", name, "--format", "json").stdout)["threads"][0]["killed"] is False
    document = json.loads(cli("logs", "t1", name, "--format", "json").stdout)["threads"][0]
    assert {key: document[key] for key in ("stdout", "stderr", "skipped", "exit_code")} == {
        "stdout": "out\n",
        "stderr": "err\n",
        "skipped": 0,
        "exit_code": 137,
    }
    wrong = cli("logs", "t1", "9-none", status=1)
    assert b"no such process" in wrong.stderr
    cli("logs", "t1", name, "--follow", "--format", "json", status=2)
    cli("stop", "t1")
    cli("run", "t1", "--detach", "--backend", "proot", "--", "true", status=2)
    assert survivors(bare.base.name) == []


def test_a_log_that_is_longer_than_what_is_kept_says_so(bare: World) -> None:
    name = bare.cli("run", "t1", "--detach", "--", "head", "-c", "3000000", "/dev/zero").stdout.decode().strip()
    shown = bare.cli("logs", "t1", name, "--follow")
    assert len(shown.stdout) < 3_000_000
    after = bare.cli("logs", "t1", name)
    assert 1 << 20 <= len(after.stdout) <= 1 << 21
    assert b"of stdout before this are not kept" in after.stderr
    bare.cli("stop", "t1")
