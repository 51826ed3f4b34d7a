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
