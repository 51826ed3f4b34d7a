"""Programs that are started on the host, and what is told of those that fail."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError
from solven_env.packages import programs

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
