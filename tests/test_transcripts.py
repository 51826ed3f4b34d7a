"""The pages as a newcomer types them: in order, in an empty directory, with an empty HOME, on a terminal.

The newcomer has no checkout: what is typed is the wheel, installed with its dependencies into an empty environment.

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
import zipfile
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
    (r"\b1-[0-9a-f]{6}\b( +\d+ )?", "PROCESS "),
    (r"(?m)\b\d+ packages? pinned$", "COUNT"),
    (r"\b\d+(\.\d+)? GiB free\b.*", "SPACE"),
    (r"(?m)^(\d+|…) fine(, (\d+|…) with less)?\.$", "COUNTS"),
)


@dataclass(frozen=True)
class Desk:
    """Where a newcomer sits: an empty directory, an empty home, and the environment with what was installed."""

    directory: Path
    home: Path
    prefix: Path

    def show(self, *argv: str) -> tuple[int, str]:
        """The status of a command, and what a terminal of 24 lines and 80 columns shows of it."""
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        elsewhere = [part for part in os.environ["PATH"].split(":") if part != f"{sys.prefix}/bin"]
        environ = {
            **_passed(),
            "PATH": ":".join([f"{self.prefix}/bin", *elsewhere]),
            "HOME": str(self.home),
            "TERM": "dumb",
            **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            "NO_COLOR": "1",
        }
        with subprocess.Popen(
            argv, cwd=self.directory, env=environ, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
        ) as program:
            os.close(slave)
            shown = b"".join(_read(master))
        os.close(master)
        return program.returncode, shown.decode().replace("\r\n", "\n").replace(str(self.home), HOME)


def _passed() -> dict[str, str]:
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return {"UV_CACHE_DIR": f"{cache}/uv", **{name: os.environ[name] for name in os.environ if PASSED.fullmatch(name)}}


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
            status, shown = desk.show("python", "-c", block.text)
            assert status == 0, f"{block.place}: {shown}"
        elif block.kind == "console":
            for place, command, output in typed(block):
                status, shown = desk.show("sh", "-c", command)
                check(place, output, shown)
                assert status == 0, place


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(argv, cwd=pages.TOP, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that was empty, and got the wheel with what it depends on. (uv is pip, ten times as fast.)"""
    prefix = tmp_path_factory.mktemp("installed") / "venv"
    for argv in (
        ["uv", "venv", "--quiet", "--no-project", "--python", sys.executable, str(prefix)],
        ["uv", "pip", "install", "--quiet", "--python", str(prefix), str(wheel)],
    ):
        # The host's certificates, by uv's name for it and its older one, as in scripts/environment.
        environ = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", **os.environ, **_passed()}
        done = subprocess.run(argv, cwd=wheel.parent, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return prefix


@pytest.fixture
def desk(installed: Path) -> Iterator[Desk]:
    base = Path(tempfile.mkdtemp(prefix="solven-desk-"))
    desk = Desk(base / "here", base / "home", installed)
    desk.directory.mkdir()
    desk.home.mkdir()
    yield desk
    threads = desk.home / ".local/share/solven-env/storage/threads"
    for thread in threads.iterdir() if threads.exists() else ():
        desk.show("solven-env", "stop", thread.name)  # where a page's own `stop` was not reached
    remove(base)


def test_the_wheel_has_what_is_shipped(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("_shipped/")[2] for name in archive.namelist() if "/_shipped/" in name}
    shipped = ("docs", "profiles", "schemas", "templates")
    files = (path for name in shipped for path in (pages.TOP / name).rglob("*") if path.is_file())
    assert names == {str(path.relative_to(pages.TOP)) for path in files}


def test_what_is_typed_is_what_was_installed(desk: Desk) -> None:
    status, shown = desk.show("python", "-c", "import solven_env; print(solven_env.__file__)")
    assert (status, Path(shown.strip()).is_relative_to(desk.prefix)) == (0, True)
    status, shown = desk.show("solven-env", "docs", "cli")
    assert (status, shown) == (0, (pages.TOP / "docs/cli.md").read_text())


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
