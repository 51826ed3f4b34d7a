"""A session that adds more to its thread's disk than it may is seen, and its commands are ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.sandbox.limits import Limits, Reached

if TYPE_CHECKING:
    from tests.sandbox.running import Box

MIB = 1 << 20
FEW = Limits(disk=4 * MIB)
ENDED = (137, (Reached("disk", "4MiB"),))


def test_a_command_that_fills_the_disk_is_ended(box: Box) -> None:
    (box.workspace / "old").write_bytes(bytes(8 * MIB))
    result = box.shell("head -c 3M /dev/zero >/new; head -c 6M /old; exit 5", limits=FEW)
    assert (result.status, result.limits) == (5, ())
    result = box.shell("while :; do head -c 1M /dev/zero >>/new; sleep 0.05; done", limits=FEW)
    assert (result.status, result.limits) == ENDED
    assert (box.workspace / "new").stat().st_size < 40 * MIB
