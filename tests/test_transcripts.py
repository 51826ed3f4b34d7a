"""The pages as a newcomer types them: in order, in an empty directory, with an empty HOME, on a terminal.

What the pages show is held against what the terminal shows; a line of "…" in a page stands for lines left out, and what
differs from one host to the next is masked.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import pages
from tests.run.world import remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pages import Block

HOME = "/home/ada"
"""Whose home the pages show."""
PASSED = re.compile("SSL_CERT_FILE|REQUESTS_CA_BUNDLE|(HTTPS?|NO)_PROXY|PIP_.*|UV_.*|PYENV_ROOT", re.IGNORECASE)
"""What a host needs to fetch packages and to find its interpreters."""
MASKS = (
    (r"\b[0-9a-f]{40}\b", "DIGEST"),
    (r"sha256:([0-9a-f]{64}|…)", "DIGEST"),
    (r"\b\d+\.\d+\.\d+\b", "VERSION"),
    (r"(?m)^  \S.* …\n", ""),  # how far a slow step is
    (r"\b\d+(\.\d+)? s\b", "TIME"),
    (r"\b\d+(\.\d+)? GiB free\b.*", "SPACE"),
    (r"(?m)^(\d+|…) fine(, (\d+|…) with less)?\.$", "COUNTS"),
)


@dataclass(frozen=True)
class Desk:
    """Where a newcomer sits: an empty directory and an empty home."""

    directory: Path
    home: Path

    def show(self, *argv: str) -> tuple[int, str]:
        """The status of a command, and what a terminal of 24 lines and 80 columns shows of it."""
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        passed = {name: value for name, value in os.environ.items() if PASSED.fullmatch(name)}
        environ = {
            "UV_CACHE_DIR": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")) + "/uv",
            **passed,
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "TERM": "dumb",
            "NO_COLOR": "1",
        }
        with subprocess.Popen(
            argv, cwd=self.directory, env=environ, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
        ) as program:
            os.close(slave)
            shown = b"".join(_read(master))
        os.close(master)
        return program.returncode, shown.decode().replace("\r\n", "\n").replace(str(self.home), HOME)


def _read(master: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # EIO: the last program closed the terminal
            return
        if not chunk:
            return
        yield chunk


def masked(text: str) -> str:
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text


def check(place: str, expected: str, shown: str) -> None:
    expected, shown = masked(expected), masked(shown)
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line) for line in expected.splitlines(keepends=True)
    )
    if not re.fullmatch(pattern, shown):
        lines = difflib.unified_diff(expected.splitlines(), shown.splitlines(), "the page", "the terminal", lineterm="")
        pytest.fail("\n".join([place, *lines]), pytrace=False)


def typed(block: Block) -> Iterator[tuple[str, str, str]]:
    """The place, the command and the output of each command in a transcript."""
    assert block.text.startswith("$ "), block.place
    for match in re.finditer(r"(?m)^\$ (?P<command>(?:.*\\\n)*.*\n)(?P<output>(?:(?!\$ ).*\n)*)", block.text):
        line = block.line + block.text[: match.start()].count("\n") + 1
        yield f"{block.page.name}:{line}: {match['command']}", match["command"], match["output"]


def check_page(page: Path, desk: Desk) -> None:
    for block in pages.read(page)[0]:
        if block.name:
            path = desk.directory / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            for command in re.findall(r"(?m)^      - run: (solven-env .*)$", block.text):  # a workflow's, for CI
                status, shown = desk.show("sh", "-c", command)
                assert status == 0, f"{block.place}: {command}: {shown}"
        elif block.kind == "python":
            status, shown = desk.show(sys.executable, "-c", block.text)
            assert status == 0, f"{block.place}: {shown}"
        elif block.kind == "console":
            for place, command, output in typed(block):
                status, shown = desk.show("sh", "-c", command)
                check(place, output, shown)
                assert status == 0, place


@pytest.fixture
def desk() -> Iterator[Desk]:
    base = Path(tempfile.mkdtemp(prefix="solven-desk-"))
    desk = Desk(base / "here", base / "home")
    desk.directory.mkdir()
    desk.home.mkdir()
    yield desk
    threads = desk.home / ".local/share/solven-env/storage/threads"
    for thread in threads.iterdir() if threads.exists() else ():
        desk.show("solven-env", "stop", thread.name)  # where a page's own `stop` was not reached
    remove(base)


def test_the_first_page_and_then_the_others(desk: Desk) -> None:
    """Every other page begins where the first one ends."""
    for page in pages.PAGES:
        if page.name != "getting-started.md":
            check_page(page, desk)


def test_getting_started(desk: Desk) -> None:
    check_page(pages.TOP / "docs/getting-started.md", desk)


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ("a\nb\n", "a\n"),
        ("a\n", "a\nb\n"),
        ("a\n…\n", "b\n"),
        ("…\nb\n", "b\nc\n"),
        ("built in 2.7 s\n", "built in no time\n"),
    ],
)
def test_a_page_that_shows_something_else_is_told(expected: str, shown: str) -> None:
    with pytest.raises(pytest.fail.Exception):
        check("here", expected, shown)
    check("here", "a\n…\nin 2.7 s\n", "a\nb\nc\nin 31.4 s\n")
