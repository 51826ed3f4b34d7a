"""`AsyncSandbox` as a program on asyncio uses it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import CommandError
from solven_env.programs import blocking
from solven_env.programs.awaiting import AsyncFiles, AsyncProcess, AsyncSandbox
from tests.sandbox.running import commands, survivors

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
            idle = commands(bare.base.name)
            for delay in (0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.02, 0.1) * 2:
                task = asyncio.create_task(sandbox.run(["sleep", "600"]))
                await asyncio.sleep(delay)
                while not task.done():
                    task.cancel()
                    await asyncio.sleep(0)
                assert task.cancelled()
                assert commands(bare.base.name) == idle

    asyncio.run(program())


def test_callbacks_may_be_coroutines_and_fail(bare: World) -> None:
    async def program() -> None:
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:
            said: list[str] = []

            async def tell(text: str) -> None:
                await asyncio.sleep(0.01)
                said.append(text)

            with pytest.raises(CommandError):
                await sandbox.run("echo a; sleep 0.1; printf '\\303'; exit 3", on_stdout=tell, check=True)
            assert "".join(said) == "a\n\N{REPLACEMENT CHARACTER}"

            async def fail(_: str) -> None:
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await sandbox.run("echo; sleep 600", on_stderr=tell, on_stdout=fail)

            async def wait(_: str) -> None:
                await asyncio.sleep(600)

            task = asyncio.create_task(sandbox.run("echo; sleep 600", on_stdout=wait))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await sandbox.run("pgrep sleep; true")).stdout == ""

    asyncio.run(program())
    assert survivors(bare.base.name) == []


def test_both_faces_have_the_same_signatures() -> None:
    for one, other in (
        (blocking.Sandbox, AsyncSandbox),
        (blocking.Process, AsyncProcess),
        (blocking.Files, AsyncFiles),
    ):
        for name, method in inspect.getmembers(one, callable):
            if not name.startswith("_"):
                asked = inspect.signature(method).parameters
                given = inspect.signature(getattr(other, name)).parameters
                assert [(each.name, each.kind, each.default) for each in asked.values()] == [
                    (each.name, each.kind, each.default) for each in given.values()
                ], name


@pytest.mark.parametrize("seconds", [0, 0.01, 0.4])  # before, while and after the command is prepared
def test_what_a_cancelled_command_held_is_let_go_at_once(bare: World, seconds: float) -> None:
    """Not by the garbage collector, which a caller may have switched off: directories of the layer were kept open."""

    async def program() -> None:
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:
            await sandbox.run(["true"])
            before = len(os.listdir("/proc/self/fd"))
            tasks = [asyncio.create_task(sandbox.run(["sleep", "60"])) for _ in range(4)]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            del tasks, task
            await asyncio.sleep(0.05)
            assert len(os.listdir("/proc/self/fd")) <= before

    gc.collect()
    gc.disable()
    try:
        asyncio.run(program())
    finally:
        gc.enable()


def test_hundreds_leave_nothing_and_none_has_a_thread(bare: World) -> None:
    """SOLVEN_ENV_MANY says how many in a row; 1,000 where nobody waits for the suite."""

    async def program() -> None:
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:
            await asyncio.gather(*(sandbox.run(["true"]) for _ in range(64)))
            assert threading.active_count() < 12
            before, processes = len(os.listdir("/proc/self/fd")), len(survivors(bare.base.name))
            for _ in range(int(os.environ.get("SOLVEN_ENV_MANY", "30"))):
                assert (await sandbox.run(["true"])).exit_code == 0
            assert len(os.listdir("/proc/self/fd")) <= before
            assert len(survivors(bare.base.name)) <= processes

    asyncio.run(program())


def test_the_blocking_face_works_inside_a_loop_and_from_threads(bare: World) -> None:
    async def program() -> list[str]:
        with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
            assert sandbox.run(["echo", "in"]).stdout == "in\n"
            calls = (asyncio.to_thread(sandbox.run, ["echo", str(number)]) for number in range(8))
            return [each.stdout for each in await asyncio.gather(*calls)]

    assert asyncio.run(program()) == [f"{number}\n" for number in range(8)]


def test_an_error_that_its_caller_keeps_holds_nothing(bare: World) -> None:
    async def program() -> None:
        sandbox = await solven_env.AsyncSandbox.connect("t1", storage=bare.storage)
        await sandbox.run("true")
        task = asyncio.create_task(sandbox.run(["sleep", "600"]))
        await asyncio.sleep(0.3)
        task.cancel()
        kept = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(kept[0], asyncio.CancelledError)
        await sandbox.stop()
        await sandbox.delete()  # HeldError where the error keeps the layers held
        del kept

    asyncio.run(program())
