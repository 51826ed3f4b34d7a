"""Sandboxes that start on host A of `hosts`, and what both sides of the wall reach."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solven_env.sandbox.launch_plan import encode_plan
from solven_env.sandbox.request import encode_request
from solven_env.sandbox.roots import etc
from tests.sandbox.hosts import ASK
from tests.sandbox.running import ROOT, Box, command

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCH = """
import json, sys
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import decode_plan
from solven_env.sandbox.request import decode_request
from solven_env.system.effects import drive
document = json.loads(sys.argv[2])
asked = decode_request(document["command"])._replace(streams=(0, 1, 2))
sys.exit(drive(session.run(decode_plan(document["plan"]), asked, sys.argv[1])).status)
"""


def inside(box: Box, **changes: Any) -> Box:
    network = changes.pop("network", "internet")
    files = (*etc.identity("user"), *etc.resolver(network))
    return box.but(network=network, files=files, **changes)


@dataclass(frozen=True)
class Host:
    """Host A: what puts a process into it, and the process that has all rights over it."""

    enter: tuple[str, ...]
    process: subprocess.Popen[bytes]

    def do(self, line: str) -> None:
        """Change something about A."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"ready\n"

    def run(self, box: Box, *argv: str) -> str:
        """What a command prints in a sandbox that is started on A."""
        document = json.dumps({"plan": encode_plan(box.plan), "command": encode_request(command(*argv))})
        return self.out(sys.executable, "-c", LAUNCH, box.runtime, document)

    @contextmanager
    def started(self, box: Box, text: str) -> Iterator[subprocess.Popen[bytes]]:
        """A shell's text that goes on in a sandbox on A until the block ends."""
        document = json.dumps({"plan": encode_plan(box.plan), "command": encode_request(command("sh", "-c", text))})
        line = [*self.enter, sys.executable, "-c", LAUNCH, box.runtime, document]
        with subprocess.Popen(line, cwd=CHECKOUT, stdin=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def ask(self, box: Box | None, *asked: dict[str, Any]) -> list[str]:
        """What answers in a sandbox; without one, on A itself."""
        line = ("python3", "-c", ASK, json.dumps(asked))
        answers = json.loads(self.run(box, *line) if box else self.out(*line))
        assert len(answers) == len(asked)
        return list(answers)

    def out(self, *argv: str) -> str:
        done = subprocess.run([*self.enter, *argv], cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running() -> Iterator[Host]:
    """Host A, with B behind it, until the block ends."""
    rights = () if ROOT else ("--user", "--map-current-user", "--keep-caps")
    line = ["unshare", *rights, "--net", "--mount", sys.executable, "-m", "tests.sandbox.hosts"]
    with subprocess.Popen(line, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        own = () if ROOT else ("--user", "--preserve-credentials")
        yield Host(("nsenter", f"--target={process.pid}", *own, "--net", "--mount", f"--wdns={CHECKOUT}"), process)
        process.communicate()
    assert process.returncode == 0
