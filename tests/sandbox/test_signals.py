"""What a caller does with signals is no business of the commands', nor of the processes that look after them."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.backends.proot import client
from solven_env.system.effects import drive
from tests.sandbox.running import PROOT, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from solven_env.sandbox.request import Ended
    from tests.sandbox.running import Box

_MINE = (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)


@pytest.fixture
def deaf() -> Iterator[None]:
    """Be a caller that ignores and blocks signals, as some servers and nohup(1) do."""
    before = [signal.signal(number, signal.SIG_IGN) for number in _MINE]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in zip(_MINE, before, strict=True):
        signal.signal(number, handler)


def bubblewrap(box: Box, *argv: str) -> Ended:
    return drive(session.run(box.plan, command(*argv), box.runtime))


def proot(box: Box, *argv: str) -> Ended:
    record = box.base / "record"
    record.mkdir(exist_ok=True)
    return drive(client.run(box.plan._replace(program=PROOT), command(*argv), box.runtime, str(record)))


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("run", [bubblewrap, proot])
def test_a_command_ignores_and_blocks_nothing_and_its_status_is_known(box: Box, run: Callable[..., Ended]) -> None:
    assert run(box, "sh", "-c", "exit 7").status == 7
    assert run(box, "cp", "/proc/self/status", "/told").status == 0
    told = signals(box.workspace / "told")
    assert told["SigBlk"] == 0
    assert told["SigIgn"] == 0


def signals(status: Path) -> dict[str, int]:
    return {name: int(value, 16) for name, value in re.findall(r"(?m)^(Sig\w+):\t([0-9a-f]+)$", status.read_text())}
