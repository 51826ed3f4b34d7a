"""One command on a staged root, with a real bubblewrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox.running import Box


def test_a_command_writes_into_its_workspace_as_the_sandbox_user(box: Box) -> None:
    result = box.shell("cat > /made; id -un; id -u", data=b"from stdin")
    assert (result.status, result.out, result.err) == (0, b"user\n1000\n", b"")
    assert (box.workspace / "made").read_bytes() == b"from stdin"
