"""`WorkspaceBackendSuite` of Pydantic AI, unmodified, on a thread's sandbox."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.workspaces import (
    WorkspaceOutputLimitError,
    WorkspaceRef,
    WorkspaceTimeoutError,
    WorkspaceUnavailableError,
)
from pydantic_ai.workspaces.conformance import WorkspaceBackendSuite

import solven_env
from solven_env.doors.pydantic_ai import SolvenWorkspace
from tests.conformance import examples
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pydantic_ai.workspaces import WorkspaceBackend

    from tests.run.world import World


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestSolvenWorkspace(WorkspaceBackendSuite):
    @pytest.fixture
    def backend(self, host: World) -> WorkspaceBackend:
        return SolvenWorkspace("shared", profile=host.profile, storage=host.storage)

    @pytest.fixture
    def fresh_backend(self, host: World) -> Iterator[Callable[[], WorkspaceBackend]]:
        made: list[str] = []

        def fresh() -> WorkspaceBackend:
            made.append(f"fresh-{len(made)}")
            return SolvenWorkspace(made[-1], profile=host.profile, storage=host.storage)

        yield fresh
        there = {each.thread for each in solven_env.list_threads(storage=host.storage)}
        for name in there.intersection(made):
            solven_env.delete(name, storage=host.storage)

    @pytest.fixture
    def attach_backend(self, host: World) -> Callable[[WorkspaceRef], WorkspaceBackend]:
        return lambda ref: SolvenWorkspace(ref.id, storage=host.storage)

    @pytest.fixture
    def destroy_environment(self, host: World) -> Callable[[WorkspaceBackend], Awaitable[None]]:
        async def destroy(backend: WorkspaceBackend) -> None:
            assert backend.ref is not None
            sandbox = await solven_env.AsyncSandbox.connect(backend.ref.id, storage=host.storage)
            await sandbox.delete()

        return destroy


def test_the_example_of_the_page_runs(host: World, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        told = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        if told:
            return ModelResponse([TextPart(f"It is {told[0].content}")])
        return ModelResponse([ToolCallPart("bash", {"command": "echo $((6 * 7))"})])

    told = examples.run("Pydantic AI", host.profile, model=FunctionModel(answer))
    assert capsys.readouterr().out == "It is 42\n(status 0)\n"
    assert told["result"].output.startswith("It is 42")


class TestErrors:
    pytestmark = pytest.mark.anyio

    async def test_invalid_arguments_are_value_errors(self, own: SolvenWorkspace) -> None:
        for timeout in (0, -1, math.inf, math.nan, "1"):
            with pytest.raises(ValueError, match="timeout"):
                await own.run(["true"], timeout=timeout)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="NUL"):
            await own.run(["a\0b"])
        with pytest.raises(ValueError, match="A=B"):
            await own.run(["true"], env={"A=B": "1"})
        for operation in (own.read_bytes, own.stat, own.list_dir, own.make_dir, own.remove, own.exists, own.realpath):
            with pytest.raises(ValueError, match="absolute"):
                await operation("relative")

    async def test_too_much_output_is_an_error_that_shows_its_beginning(self, own: SolvenWorkspace) -> None:
        with pytest.raises(WorkspaceOutputLimitError) as raised:
            await own.run(["sh", "-c", "echo begun; head -c 20000000 /dev/zero; echo no >&2"])
        assert (raised.value.limit, raised.value.stdout[:6], raised.value.stderr) == (10 << 20, "begun\n", "no\n")
        assert len(raised.value.stdout) == 64 << 10

    async def test_a_timeout_keeps_what_was_printed(self, own: SolvenWorkspace) -> None:
        with pytest.raises(WorkspaceTimeoutError, match="timeout") as raised:
            await own.run(["sh", "-c", "echo out; echo err >&2; sleep 60"], timeout=0.5)
        assert (raised.value.stdout, raised.value.stderr) == ("out\n", "err\n")

    async def test_a_cancelled_command_ends_alone(self, own: SolvenWorkspace, host: World) -> None:
        async with anyio.create_task_group() as group:
            kept: list[str] = []

            async def keep() -> None:
                kept.append((await own.run("sleep 1; echo kept", shell=True)).stdout)

            group.start_soon(keep)
            with anyio.move_on_after(0.3):
                await own.run(["sleep", "600"])
            assert survivors(host.base.name, b"600") == []
        assert kept == ["kept\n"]

    async def test_a_killed_command_is_a_result(self, own: SolvenWorkspace) -> None:
        assert (await own.run(["sh", "-c", "kill -9 $$"])).exit_code == 137

    async def test_a_stopped_session_is_no_lost_workspace(self, own: SolvenWorkspace, host: World) -> None:
        async with anyio.create_task_group() as group:

            async def run() -> None:
                assert (await own.run(["sleep", "60"])).exit_code == 137

            group.start_soon(run)
            await anyio.sleep(0.3)
            await anyio.to_thread.run_sync(lambda: solven_env.stop("own", storage=host.storage))
        assert (await own.run(["echo", "again"])).stdout == "again\n"

    async def test_a_first_operation_that_is_cancelled_leaves_the_ref(self, host: World) -> None:
        backend = SolvenWorkspace("begun", profile=host.profile, storage=host.storage)
        with anyio.move_on_after(0.001):
            await backend.working_dir()
        assert await backend.working_dir() == "/"
        assert backend.ref == WorkspaceRef(provider="solven-env", id="begun")

    async def test_an_apply_that_failed_is_tried_again(self, host: World) -> None:
        profile = host.base / "late.yaml"
        backend = SolvenWorkspace("late", profile=profile, storage=host.storage)
        with pytest.raises(ValueError, match=r"late\.yaml"):
            await backend.working_dir()
        assert backend.ref is None
        profile.write_bytes(host.profile.read_bytes())
        assert await backend.working_dir() == "/"

    async def test_a_thread_that_was_never_applied_is_unavailable(self, host: World) -> None:
        backend = SolvenWorkspace("never", storage=host.storage)
        for _ in range(2):
            with pytest.raises(WorkspaceUnavailableError, match="never applied"):
                await backend.exists("/")

    async def test_links_that_lead_nowhere_are_entries_and_not_files(self, own: SolvenWorkspace) -> None:
        await own.run(
            ["sh", "-c", "mkdir -p /tmp/l; ln -sf none /tmp/l/broken; ln -sf loop /tmp/l/loop; ln -sf / /tmp/l/top"]
        )
        found = {each.name: (each.is_dir, each.size) for each in await own.list_dir("/tmp/l")}
        assert found == {"broken": (False, None), "loop": (False, None), "top": (True, None)}
        with pytest.raises(FileNotFoundError):
            await own.stat("/tmp/l/broken")
        with pytest.raises(OSError, match=r"[Ll]oop|[Ll]inks"):
            await own.stat("/tmp/l/loop")
        await own.remove("/tmp/l/top")  # the link, which leads to the directory that may not be removed
        with pytest.raises(ValueError, match="working directory"):
            await own.remove("/tmp/..")

    @pytest.fixture(scope="class")
    def own(self, host: World) -> SolvenWorkspace:
        return SolvenWorkspace("own", profile=host.profile, storage=host.storage)
