"""What a process of its own looks at, and how its end is told."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from solven_env.doctor import looks
from solven_env.system import processes

if TYPE_CHECKING:
    import pytest


def test_the_end_of_a_look_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, said, expected in ((3, b"", "it ended with 3"), (0, b"{[", "it ended with 0")):
        ended = subprocess.CompletedProcess("", code, said, b"")
        monkeypatch.setattr(processes, "ask", lambda *_, ended=ended, **__: ended)
        assert looks.look("space", "/") == {"failed": expected}
