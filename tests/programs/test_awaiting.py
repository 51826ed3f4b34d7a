"""`AsyncSandbox` as a program on asyncio uses it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from tests.run.world import World


def test_many_run_at_once_and_one_is_cancelled_alone(bare: World) -> None:
    async def program() -> None:
        async with await solven_env.AsyncSandbox.create(bare.profile, "t1", storage=bare.storage) as sandbox:
            await sandbox.run("true")
            long = asyncio.create_task(sandbox.run("sleep 600"))
            done = await asyncio.gather(*(sandbox.run(["echo", str(number)]) for number in range(20)))
            assert [each.stdout for each in done] == [f"{number}\n" for number in range(20)]
            assert threading.active_count() < 12
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
            assert (await sandbox.run("pgrep sleep; true")).stdout == ""

    asyncio.run(program())
    assert survivors(bare.base.name) == []


def test_one_that_is_cancelled_at_every_wait_has_ended_with_its_command(bare: World) -> None:
    """As anyio cancels: a call whose value comes at the same moment is not lost, and the end is waited for."""

    async def program() -> None:
        async with await solven_env.AsyncSandbox.create(bare.profile, "t1", storage=bare.storage) as sandbox:
            await sandbox.run("true")
            idle = survivors(bare.base.name)
            for delay in (0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.02, 0.1) * 2:
                task = asyncio.create_task(sandbox.run(["sleep", "600"]))
                await asyncio.sleep(delay)
                while not task.done():
                    task.cancel()
                    await asyncio.sleep(0)
                assert task.cancelled()
                assert survivors(bare.base.name) == idle

    asyncio.run(program())
