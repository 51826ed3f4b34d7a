"""The command line as a user starts it: a process of its own, an empty HOME, an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from solven_env.system import shipped
from tests import forked
from tests.profiles import without_packages

PROFILE = """\
version: 1
name: small
release: 1.0.0
inputs: {who: {default: ada}}
env: {GREETING: "hello {{ who }}"}
dotfiles:
  .bashrc: {template: bashrc.j2}
  bin/hello: {content: "echo hi\\n", mode: "0755"}
"""


@dataclass
class Cli:
    """Runs commands in one directory, with one storage."""

    directory: Path
    storage: Path

    def __call__(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        package = Path(__file__).parent.parent.parent
        base = {"PATH": os.environ["PATH"], "HOME": str(self.directory / "home"), "PYTHONPATH": str(package)}
        done = forked.run(
            [sys.executable, "-m", "solven_env", *arguments],
            cwd=self.directory,
            env={**base, "SOLVEN_ENV_STORAGE": str(self.storage), **environ},
            data=stdin.encode(),
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def workspace(self, thread: str = "t1") -> Path:
        return self.storage / "threads" / thread

    def write(self, name: str, text: str = PROFILE) -> str:
        (self.directory / name).write_text(text)
        return name

    def write_bare(self) -> str:
        """The shipped profile without its packages: applied in an empty HOME, it has nothing to build."""
        return self.write("bare.yaml", without_packages((shipped.directory("profiles") / "solven.yaml").read_text()))


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    """In memory: what commands say is asked here, and their tests waited for a disk."""
    return memory_path


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    directory = tmp_path / "here"
    directory.mkdir()
    return Cli(directory, tmp_path / "storage")
