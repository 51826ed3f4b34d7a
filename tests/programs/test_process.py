"""Commands that outlive their callers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import InputClosedError, NoProcessError, SandboxError, UsageError
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World


@pytest.fixture
def sandbox(bare: World) -> Iterator[solven_env.Sandbox]:
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as made:
        yield made
    assert survivors(bare.base.name) == []


def test_a_process_goes_on_takes_input_and_ends(sandbox: solven_env.Sandbox) -> None:
    process = sandbox.start("while read line; do echo got $line; done; echo over >&2; exit 4")
    assert process.poll() is None
    process.send_stdin("one\n")
    chunks = iter(process)
    assert next(chunks).text == "got one\n"
    process.send_stdin(b"two\n")
    process.close_stdin()
    rest = list(chunks)
    assert [(each.stream, each.text) for each in rest] == [("stdout", "got two\n"), ("stderr", "over\n")]
    done = process.wait(timeout=10)
    assert (done.exit_code, done.stdout, done.stderr, done.truncated) == (4, "got one\ngot two\n", "over\n", False)
    assert process.poll() == 4
    with pytest.raises(BrokenPipeError) as raised:
        process.send_stdin("more")
    assert isinstance(raised.value, InputClosedError)
    (told,) = sandbox.processes()
    assert (told.id, told.exit_code) == (process.id, 4)


def test_it_lives_without_its_caller_and_is_found_again(sandbox: solven_env.Sandbox, bare: World) -> None:
    text = (
        "import solven_env, sys, os, signal\n"
        f"box = solven_env.Sandbox.connect('t1', storage={str(bare.storage)!r})\n"
        "print(box.start('echo begun; sleep 600').id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    made = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env={**os.environ, **bare.environ}
    )
    assert made.returncode == -signal.SIGKILL, made.stderr
    process = sandbox.process(made.stdout.strip())
    assert next(iter(process)).text == "begun\n"
    with pytest.raises(TimeoutError):
        process.wait(timeout=0.05)
    assert process.poll() is None
    assert process.kill()
    assert process.wait().exit_code == 137
    assert not process.kill()


def test_what_is_not_read_in_time_is_skipped_and_never_holds_up(sandbox: solven_env.Sandbox) -> None:
    process = sandbox.start("head -c 50000000 /dev/zero; echo end", max_output=1000)
    done = process.wait(timeout=60)
    assert done.truncated
    assert done.stdout_bytes.endswith(b"\0end\n")
    assert 1000 <= len(done.stdout_bytes) <= 2000
    (chunk, *others) = list(sandbox.process(process.id))
    assert chunk.skipped + len(chunk.data) + sum(len(each.data) for each in others) == 50_000_004


def test_a_terminal_and_its_size(sandbox: solven_env.Sandbox) -> None:
    process = sandbox.start("tty; stty size; read line; echo got $line; stty size", pty=(30, 90))
    said = ""
    for chunk in process:
        said += chunk.text
        if "30 90" in said:
            break
    process.resize(10, 20)
    process.send_stdin("hi\n")
    done = process.wait(timeout=10)
    assert done.stdout.startswith("/dev/pts/0\r\n30 90\r\n")
    assert done.stdout.endswith("got hi\r\n10 20\r\n")
    with pytest.raises(UsageError):
        sandbox.start("true").resize(1, 1)
    with pytest.raises(UsageError, match="pty"):
        sandbox.start("true", pty=(0, 1))


def test_others_reach_it_and_the_session_ends_it(sandbox: solven_env.Sandbox) -> None:
    process = sandbox.start(["python3", "-c", "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8123)"])
    ask = (
        "import urllib.request as r, time\n"
        "for _ in range(100):\n"
        "    try: print(r.urlopen('http://127.0.0.1:8123/hello').read().decode()); break\n"
        "    except OSError: time.sleep(0.1)"
    )
    assert sandbox.run(["python3", "-c", ask]).stdout == "hello\n\n"
    assert sandbox.stop()
    with pytest.raises(NoProcessError):
        process.poll()
    assert sandbox.processes() == ()


def test_timeouts_limits_and_programs_that_are_not_there(sandbox: solven_env.Sandbox) -> None:
    late = sandbox.start("echo begun; sleep 600", timeout=0.3).wait(timeout=30)
    assert (late.exit_code, late.timed_out, late.stdout) == (124, True, "begun\n")
    assert sandbox.start(["no-such-program"]).wait(timeout=30).exit_code == 127
    with pytest.raises(UsageError):
        sandbox.start("true", cwd="/gone").wait()
    with pytest.raises(NoProcessError):
        sandbox.process("nothing").wait()


def test_many_processes_come_and_go(sandbox: solven_env.Sandbox) -> None:
    first = sandbox.start("echo first")
    first.wait()
    for _ in range(40):
        sandbox.start("true").wait()
    assert len(sandbox.processes()) == 32
    with pytest.raises(NoProcessError):
        sandbox.process(first.id).poll()
    assert first.wait().stdout == "first\n"


def test_a_program_on_asyncio_follows_two(bare: World) -> None:
    async def program() -> None:
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:

            async def follow(text: str) -> str:
                process = await sandbox.start(f"for i in 1 2 3; do echo {text} $i; sleep 0.05; done")
                return "".join([chunk.text async for chunk in process])

            both = await asyncio.gather(follow("a"), follow("b"))
            assert list(both) == ["a 1\na 2\na 3\n", "b 1\nb 2\nb 3\n"]
            process = await sandbox.start("sleep 600")
            task = asyncio.create_task(process.wait())
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await process.poll() is None
            assert await process.kill()

    begun = time.monotonic()
    asyncio.run(program())
    assert time.monotonic() - begun < 60
    assert survivors(bare.base.name) == []


def test_one_whose_caller_ends_before_it_knows_of_it_ends_too(bare: World) -> None:
    async def program() -> None:
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:
            await sandbox.run("true")
            for delay in (0, 0.002, 0.005, 0.008, 0.01, 0.012, 0.02, 0.03):
                task = asyncio.create_task(sandbox.start("sleep 600"))
                await asyncio.sleep(delay)
                if not task.cancel():
                    await (await task).kill()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            assert all(each.exit_code == 137 for each in await sandbox.processes())

    asyncio.run(program())
    assert survivors(bare.base.name) == []


def test_a_session_has_no_more_processes_than_are_told(sandbox: solven_env.Sandbox) -> None:
    for _ in range(64):
        sandbox.start(["sh", "-c", "sleep 600", "é" * 500])
    with pytest.raises(SandboxError, match="64 processes"):
        sandbox.start("true")
    assert len(sandbox.processes()) == 64
