"""Programs that are started on the host, and what is told of those that fail."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError
from solven_env.packages import programs
from solven_env.system.at_once import at_once

if TYPE_CHECKING:
    from pathlib import Path


def test_a_status_that_nobody_keeps_is_not_taken_for_a_good_one(tmp_path: Path) -> None:
    """With SIGCHLD ignored the kernel forgets how children end, and subprocess says 0."""
    former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(BuildError, match="nothing could be locked: this process ignores SIGCHLD"):
            programs.run(["/bin/false"], cwd=tmp_path, environ={}, purpose="nothing could be locked")
    finally:
        signal.signal(signal.SIGCHLD, former)
    with pytest.raises(BuildError, match="it said nothing"):
        programs.run(["/bin/false"], cwd=tmp_path, environ={}, purpose="nothing could be locked")


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        (b"error: no such package", "Ask."),
        (b"error: Failed to copy cause: No space left on device (os error 28)", "Free space: df "),
        (b"error: Disk quota exceeded (os error 122)", "Free space in "),
        (b"error: Read-only file system (os error 30)", "Mount it read-write."),
    ],
)
def test_a_disk_that_refuses_is_mended_by_no_index(said: bytes, fix: str) -> None:
    assert programs.failure("the packages cannot be fetched", said, "Ask.").fix.startswith(fix)


def test_what_waits_beside_another_is_given_its_input_once(tmp_path: Path) -> None:
    """A second call of communicate with the input fails: each period of waiting makes one."""

    def run() -> str:
        argv = ["/bin/sh", "-c", "sleep 0.2; cat"]
        return programs.run(argv, cwd=tmp_path, environ={"PATH": "/usr/bin:/bin"}, purpose="", stdin="given")

    assert at_once([run, run]) == ["given", "given"]


NOT_FOUND = "error: No solution found\n  cause: Because acme is not there\n"


@pytest.mark.parametrize(
    ("hint", "kept"),
    [
        ("", ""),
        ("\nhint: Wheels are required for `acme` because building is disabled (i.e., with `--no-build`)\n", ""),
        ("\nhint: The `requires-python` value (>=3.8) includes\n    numpy>=2\n\nConsider a more restrictive one\n", ""),
        ("\nhint: Either add it to your `pyproject.toml` under:\n\n[tool.uv.extra]\nacme = []\n", ""),
        ("\nhint: pre-releases weren't enabled (try: `--prerelease=allow`)\n", " hint: pre-releases weren't enabled"),
        (
            "\nhint: lack of credentials (401 Unauthorized).\n\nhint: Use `--index-strategy x`\n",
            " hint: lack of credentials (401 Unauthorized)",
        ),
    ],
)
def test_hints_that_name_options_of_uv_are_left_out(hint: str, kept: str) -> None:
    said = "No solution found cause: Because acme is not there"
    assert programs.last_words((NOT_FOUND + hint).encode()) == said + kept
