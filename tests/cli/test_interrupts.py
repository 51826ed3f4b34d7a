"""Interrupts at moments that are made, not waited for: a profile that is a FIFO is read until somebody writes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def interrupted(cli: Cli, *options: str) -> tuple[int, str, str]:
    """What an apply says that is interrupted while it reads its profile."""
    fifo = cli.directory / "profile.yaml"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [sys.executable, "-m", "solven_env", "apply", "./profile.yaml", "t1", *options],
        cwd=cli.directory,
        env={**os.environ, "SOLVEN_ENV_STORAGE": str(cli.storage), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with fifo.open("w"):  # opens when the other side does
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()  # the end of the file wakes a read that the signal came just before
    fifo.unlink()
    return process.returncode, stdout, stderr


def test_an_interrupt_is_130_and_the_next_apply_goes_on(cli: Cli) -> None:
    code, stdout, stderr = interrupted(cli)
    assert (code, stdout) == (130, "")
    assert "Traceback" not in stderr
    assert cli("apply", cli.write("profile.yaml"), "t1").returncode == 0


def test_json_of_an_interrupt(cli: Cli) -> None:
    code, stdout, _ = interrupted(cli, "--format", "json")
    thread = json.loads(stdout)["threads"][0]
    assert (code, thread["thread"], thread["state"], thread["error"]["code"]) == (130, "t1", "failed", 130)


@pytest.mark.parametrize("module", ["typer", "solven_env.cli.main"])
def test_an_interrupt_before_anything_is_loaded_is_130(cli: Cli, module: str) -> None:
    program = f"""
import sys
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from solven_env.__main__ import main
main()
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "")
