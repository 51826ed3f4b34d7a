"""`self_check` of Inspect, unmodified, on a thread's sandbox, its tool server, and the example of docs/doors.md."""

from __future__ import annotations

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.tool import ToolError
from inspect_ai.util import OutputLimitExceededError, SandboxUnavailableError, override_sandbox_output_limit
from inspect_ai.util._sandbox.events import SandboxEnvironmentProxy
from inspect_ai.util._sandbox.self_check import *  # noqa: F403

import solven_env
from solven_env.doors.inspect_ai import SolvenSandboxConfig, SolvenSandboxEnvironment
from tests.conformance import examples
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from inspect_ai.util import SandboxEnvironment

    from tests.run.world import World

pytestmark = pytest.mark.anyio

# A thread has one user, as Inspect's `local` has, of which Inspect expects the same failure.
IMPOSSIBLE = ("test_exec_as_user",)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def config(host: World) -> SolvenSandboxConfig:
    return SolvenSandboxConfig(profile=str(host.profile), storage=str(host.storage))


@pytest.fixture(scope="module")
async def made(config: SolvenSandboxConfig) -> AsyncIterator[SandboxEnvironment]:
    environments = await SolvenSandboxEnvironment.sample_init("check", config, {})
    yield environments["default"]
    await SolvenSandboxEnvironment.sample_cleanup("check", config, environments, False)


@pytest.fixture
async def sandbox_env(made: SandboxEnvironment, request: pytest.FixtureRequest) -> SandboxEnvironment:
    if request.node.originalname in IMPOSSIBLE:
        request.applymarker(pytest.mark.xfail(reason="a thread has one user", strict=True))
    return made


@pytest.fixture
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspect writes its logs where it is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path))


@pytest.mark.usefixtures("own_directory")
def test_the_example_of_the_page_runs(host: World, capsys: pytest.CaptureFixture[str]) -> None:
    call = ModelOutput.for_tool_call("mockllm/model", "bash", {"command": "echo $((6 * 7))"})
    answers = [call, ModelOutput.from_content("mockllm/model", "It is 42.")]
    for each in answers:
        each.usage = ModelUsage()  # else Inspect counts words, for which it fetches a table
    model = get_model("mockllm/model", custom_outputs=answers)
    before = threads_of_samples(None)
    with ThreadPoolExecutor(1) as elsewhere:  # Inspect begins a loop, and the tests' own has this thread
        told = elsewhere.submit(examples.run, "Inspect", host.profile, in_place_of="team.yaml", model=model).result()
    assert capsys.readouterr().out.endswith("1.0\n")
    (sample,) = told["log"].samples
    assert sample.error is None
    assert [each.text for each in sample.messages if each.role == "tool"] == ["42\n"]
    assert threads_of_samples(None) == before


def test_the_entry_point_names_the_module() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["inspect_ai"] == {"solven_env": SolvenSandboxEnvironment.__module__}


def threads_of_samples(storage: Path | None) -> list[str]:
    return [each.thread for each in solven_env.list_threads(storage=storage) if each.thread.startswith("inspect-")]


async def test_the_tool_server_lives_on(made: SandboxEnvironment) -> None:
    for text in ("first", "second"):
        result = await SandboxEnvironmentProxy(made).exec_remote(
            ["sh", "-c", f"echo {text}; echo no >&2; exit 3"], stream=False
        )
        assert (result.returncode, result.stdout, result.stderr) == (3, f"{text}\n", "no\n")


async def test_errors_are_those_that_a_model_is_told(made: SandboxEnvironment) -> None:
    for cmd in (["a\0b"], ["\ud800"], ["true", "x" * 200_000]):
        with pytest.raises(ToolError):
            await made.exec(cmd)
    with pytest.raises(ToolError, match="/none"):
        await made.exec(["true"], cwd="none")
    with pytest.raises(FileNotFoundError):
        await made.read_file("/etc/passwd/x")
    await made.exec(["mkfifo", "/tmp/fifo"])
    with pytest.raises(ToolError, match="/tmp/fifo"):
        await made.read_file("/tmp/fifo")
    await made.write_file("/tmp/latin", b"\xe9")
    with pytest.raises(UnicodeDecodeError):
        await made.read_file("/tmp/latin")
    assert (await made.exec(["no-such-program"])).returncode == 127
    assert (await made.exec(["sh", "-c", "echo no; exit 126"])).returncode == 126


async def test_too_much_output_and_a_timeout_show_what_was_printed(made: SandboxEnvironment) -> None:
    with override_sandbox_output_limit(1024), pytest.raises(OutputLimitExceededError) as much:
        await made.exec(["sh", "-c", "head -c 5000 /dev/zero; echo last"])
    assert (much.value.truncated_output or "").endswith("last\n")
    with pytest.raises(TimeoutError) as late:
        await made.exec(["sh", "-c", "echo out; echo err >&2; sleep 60"], timeout=1)
    assert late.value.truncated_output == "out\nerr\n"  # type: ignore[attr-defined]


async def test_a_cancelled_command_ends_alone(made: SandboxEnvironment, host: World) -> None:
    kept: list[str] = []

    async def keep() -> None:
        kept.append((await made.exec(["sh", "-c", "sleep 1; echo kept"], concurrency=False)).stdout)

    async with anyio.create_task_group() as group:
        group.start_soon(keep)
        with anyio.move_on_after(0.3):
            await made.exec(["sleep", "600"], concurrency=False)
        assert survivors(host.base.name, b"600") == []
    assert kept == ["kept\n"]


async def test_a_sample_that_cannot_begin_or_is_cancelled_leaves_no_thread(
    config: SolvenSandboxConfig, host: World
) -> None:
    before = threads_of_samples(host.storage)
    with pytest.raises(solven_env.SolvenError):
        await SolvenSandboxEnvironment.sample_init("t", config.model_copy(update={"inputs": {"no": "input"}}), {})
    for seconds in (0.0, 0.01, 0.1):
        with anyio.move_on_after(seconds):
            environments = await SolvenSandboxEnvironment.sample_init("t", config, {})
            await SolvenSandboxEnvironment.sample_cleanup("t", config, environments, True)
    assert threads_of_samples(host.storage) == before


async def test_a_thread_that_is_gone_is_an_unavailable_sandbox(config: SolvenSandboxConfig, host: World) -> None:
    environments = await SolvenSandboxEnvironment.sample_init("t", config, {})
    environment = environments["default"].as_type(SolvenSandboxEnvironment)
    assert environment.thread in (await environment.connection()).command
    solven_env.delete(environment.thread, storage=host.storage)
    with pytest.raises(SandboxUnavailableError):
        await environment.exec(["true"])
    await SolvenSandboxEnvironment.sample_cleanup("t", config, environments, False)


async def test_cleaning_up_touches_threads_of_samples_alone(host: World) -> None:
    mine = "inspect-mine"
    solven_env.apply(host.profile, mine)
    environments = await SolvenSandboxEnvironment.sample_init("t", str(host.profile), {})
    for name in (mine, "../x"):
        with pytest.raises(ToolError):
            await SolvenSandboxEnvironment.cli_cleanup(name)
    await SolvenSandboxEnvironment.cli_cleanup(None)
    assert threads_of_samples(None) == [mine]
    await SolvenSandboxEnvironment.sample_cleanup("t", str(host.profile), environments, False)
    solven_env.delete(mine)
