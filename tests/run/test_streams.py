"""What `run` and `shell` are redirected to stays their caller's: by the command line and from Python."""

from __future__ import annotations

import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import solven_env

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

SECRET = "SECRET\n"


def typed(world: World, line: str) -> subprocess.CompletedProcess[str]:
    """What a shell outside does with a line, in which RUN stands for `solven-env run t1 --`, and SHELL for `shell t1`."""
    for name, words in {"RUN": ("run", "t1", "--"), "SHELL": ("shell", "t1")}.items():
        line = line.replace(name, shlex.join(world.command(*words)))
    return subprocess.run(
        ["sh", "-c", line], cwd=world.base, env=world.environ, capture_output=True, text=True, check=False
    )


def exposed(world: World, name: str, text: str) -> Path:
    """A file of the caller's that everybody may write, in a directory that nobody may enter."""
    path = world.base / name
    path.write_text(text)
    path.chmod(0o666)
    return path


def test_a_script_cannot_be_added_to(either: World) -> None:
    text = (
        "for each in /proc/self/fd/0 /dev/stdin /dev/fd/0; do echo 'echo EVIL' >> $each; done 2> /dev/null\necho over\n"
    )
    script = exposed(either, "script.sh", text)
    backend = "" if either.backend == "bubblewrap" else " --backend proot"
    assert "over\n" in typed(either, f"SHELL{backend} < script.sh").stdout
    assert script.read_text() == text


def test_a_log_cannot_be_read_or_truncated(either: World) -> None:
    log = exposed(either, "log", SECRET)
    read = "dd if=/proc/self/fd/1 of=/seen iflag=nonblock count=1 2> /dev/null"
    reach = f": > /seen; {read}; : > /proc/self/fd/1; echo said"
    typed(either, f"RUN sh -c {shlex.quote(reach)} >> log")
    assert log.read_text() == SECRET + "said\n"
    assert SECRET not in (either.workspace() / "seen").read_text()


def test_a_loop_reads_what_was_meant_for_it(either: World) -> None:
    reach = "timeout 1 sh -c 'echo EVIL > /proc/self/fd/0'; exit 0"
    line = f'printf "a\\nb\\n" | while read -r x; do echo "$x"; RUN sh -c {shlex.quote(reach)}; done'
    assert typed(either, line).stdout == "a\nb\n"
    line = 'while read -r x; do echo "outside $x"; RUN sh -c "read -r y; echo inside \\$y"; done'
    said = "outside a\ninside b\noutside c\ninside d\n"
    exposed(either, "lines", "a\nb\nc\nd\n")
    assert typed(either, f"{line} < lines").stdout == said
    assert typed(either, f"cat lines | {line}").stdout == said


def test_a_full_disk_is_an_error(either: World) -> None:
    done = typed(either, "RUN echo lost > /dev/full")
    assert done.returncode == 125
    assert "descriptor 1, was not copied to its end: No space left on device" in done.stderr


def test_from_python_many_at_once(bare: World) -> None:
    def one(number: int) -> bytes:
        path = exposed(bare, str(number), SECRET)
        reading, writing = os.pipe()
        with path.open("rb") as script, open(reading, "rb") as said:
            text = (
                "head -c 3; echo; echo done >&2" if number % 2 else "for n in 0 1 2; do echo EVIL >> /dev/fd/$n; done"
            )
            streams: dict[str, Any] = {"stdin": script.fileno(), "stdout": writing, "stderr": writing}
            assert solven_env.run("t1", ["sh", "-c", text], storage=bare.storage, **streams) == 0
            os.close(writing)
            assert script.read() == (b"RET\n" if number % 2 else SECRET.encode())
            assert path.read_text() == SECRET
            return said.read()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(12))) == [b"EVIL\nEVIL\n", b"SEC\ndone\n"] * 6
