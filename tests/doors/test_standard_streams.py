"""Standard streams that are a protocol's alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from solven_env.doors.standard_streams import Lines, Writer

if TYPE_CHECKING:
    from pathlib import Path

# Everything that may print does: a warning, a child, the C library, a descriptor by its number.
_NOISY = """
import os, subprocess, sys, warnings
from solven_env.doors import standard_streams
source, target = standard_streams.claim()
print("printed")
warnings.warn("warned")
os.write(1, b"by number")
child = "import os, sys; print('child'); print(repr(sys.stdin.read()), sorted(map(int, os.listdir('/proc/self/fd')))[:4])"
subprocess.run([sys.executable, "-c", child], close_fds=False, check=True)
os.write(target, b"protocol:" + os.read(source, 100))
"""


def test_what_prints_goes_to_standard_error_and_what_reads_finds_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", _NOISY], input=b"asked", capture_output=True, timeout=60, check=True)
    assert done.stdout == b"protocol:asked"
    assert [text in done.stderr for text in (b"printed", b"warned", b"by number", b"child", b"''")] == [True] * 5
    assert b"[0, 1, 2, 3]" in done.stderr  # 3 is what lists them: the child has no other


def test_lines_come_whole_however_they_are_written() -> None:
    async def main() -> list[str]:
        reading, writing = os.pipe()

        def write() -> None:
            for piece in (b"on", b"e\ntw", b"o\n\xff\n", b"\n", b"x" * 200_000 + b"\nlost"):
                os.write(writing, piece)
            os.close(writing)

        thread = threading.Thread(target=write)
        thread.start()
        lines = [line async for line in Lines(reading)]
        thread.join()
        os.close(reading)
        return lines

    assert asyncio.run(main()) == ["one\n", "two\n", "\N{REPLACEMENT CHARACTER}\n", "\n", "x" * 200_000 + "\n"]


def test_waiting_for_a_line_or_for_a_reader_is_cancelled_at_once() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        gone: list[bool] = []
        writer = Writer(writing, lambda: gone.append(True))
        for waiting in (Lines(reading).__anext__(), writer.write("x" * 10_000_000)):
            task = asyncio.ensure_future(waiting)
            await asyncio.sleep(0.05)
            assert not task.done()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
        os.close(reading)
        await writer.write("nobody reads this")
        assert gone == [True]
        os.close(writing)

    asyncio.run(main())


def test_files_are_read_and_written_too(tmp_path: Path) -> None:
    async def main() -> str:
        with (tmp_path / "file").open("w+b") as file:
            await Writer(file.fileno(), sys.exit).write("a\nb\n" * 5_000)
            file.seek(0)
            return "".join([line async for line in Lines(file.fileno())])

    assert asyncio.run(main()) == "a\nb\n" * 5_000
