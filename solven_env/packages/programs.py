"""Starting uv, Bun and interpreters on the host, and telling why one failed in its own last words."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

from solven_env.errors import BuildError, printable
from solven_env.system import at_once, directories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LAST_LINES = 12
_DISKS = {
    errno.ENOSPC: "Free space: df {0} shows how much the builds have. Then try again.",
    errno.EDQUOT: "Free space in {0}, or raise the quota, and try again.",
    errno.EROFS: "Mount it read-write.",
}
"""Fixes for what a disk refuses to uv and Bun, by errno, whose words they pass on; `{0}` is our cache."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_HINT = re.compile(r"^hint: ", re.MULTILINE)
_TRY = re.compile(r" \(try: [^)]*\)")
_ADVICE = re.compile(r"(?<![\w-])--[a-z]|requires-python|tool\.uv|pyproject|\buv [a-z]+|index strategy")
"""Words of advice that no reader of ours can follow: options of uv, and tables of a project's file."""
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run(
    argv: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str], purpose: str, stdin: str = "", fix: str = ""
) -> str:
    """Run a program to its end and give what it printed. BuildError when it fails: `purpose`, then its last lines."""
    done = ended(argv, cwd=cwd, environ=environ, purpose=purpose, stdin=stdin)
    if done.returncode:
        raise failure(purpose, done.stderr or done.stdout, fix)
    return done.stdout.decode(errors="replace")


def ended(
    argv: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str], purpose: str, stdin: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end: its status and all that it printed. BuildError where its status cannot be had."""
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # then the kernel keeps no status, and Python takes it for 0
        raise BuildError(
            f"{purpose}: this process ignores SIGCHLD, so that nobody learns how a program ends",
            fix="Call signal.signal(signal.SIGCHLD, signal.SIG_DFL) first.",
        )
    process = subprocess.Popen(  # noqa: S603 - programs of ours, by absolute path
        [str(part) for part in argv],
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        umask=0o022,  # what it installs is for the sandbox's uid to read, whatever root's umask
    )
    with process:
        try:
            said, complained = _communicate(process, stdin.encode())
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def _communicate(process: subprocess.Popen[bytes], stdin: bytes) -> tuple[bytes, bytes]:
    given: bytes | None = stdin
    while True:
        try:
            return process.communicate(given, timeout=at_once.wait())
        except subprocess.TimeoutExpired:
            given = None  # it goes on with what it was given first
            at_once.check()


def failure(purpose: str, output: bytes, fix: str = "") -> BuildError:
    """The error of a program that failed, with the end of what it said.

    `fix` gives way if what it said is that a disk of this host is full or read-only.
    """
    words = last_words(output)
    said = next((fix for number, fix in _DISKS.items() if os.strerror(number) in words), "")
    return BuildError(f"{purpose}: {words}", fix=said.format(shlex.quote(str(directories.cache()))) or fix)


def last_words(output: bytes) -> str:
    """The last lines that a program printed, on one line, without colours and without credentials in addresses.

    uv's hints are left out where they advise what only callers of uv can do.
    """
    lines = _lines(_without_advice(_plain(output)))
    first = next((number for number, line in enumerate(lines) if line.startswith("error")), 0)
    said = " ".join(lines[first:][-_LAST_LINES:]).removeprefix("error: ").rstrip(".")
    return said or "it said nothing"


def said_lines(output: bytes) -> list[str]:
    """The lines that a program printed, safe for a terminal, without colours and without credentials in addresses."""
    return _lines(_plain(output))


def _plain(output: bytes) -> str:
    return _CREDENTIALS.sub("", _STYLE.sub("", output.decode(errors="replace")))


def _lines(text: str) -> list[str]:
    return list(filter(None, (printable(line.strip()) for line in re.split(r"[\r\n]+", text))))


def _without_advice(text: str) -> str:
    said, *hints = _HINT.split(text)
    kept = (hint for hint in (_TRY.sub("", hint) for hint in hints) if not _ADVICE.search(hint))
    return said + "".join(f"hint: {hint}" for hint in kept)
