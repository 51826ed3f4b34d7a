"""Processes of our own: our interpreter runs one function of one module, with nothing of the caller's surroundings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence


def words(function: str, *arguments: object) -> list[str]:
    """The command line that calls `function` (`package.module.function`) with the arguments as texts.

    >>> words("os.listdir", "/srv")[-1]
    '/srv'
    """
    module, _, called = function.rpartition(".")
    package, _, name = module.rpartition(".")
    imported = f"from {package} import {name}" if package else f"import {name}"
    code = f"import sys; sys.path.append(sys.argv[1]); {imported}; {name}.{called}(*sys.argv[2:])"
    ours = str(Path(__file__).parents[2])
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, ours, *map(str, arguments)]


def begin(
    function: str, arguments: Sequence[object], inherited: tuple[int, ...], streams: tuple[int, int, int]
) -> subprocess.Popen[bytes]:
    """Start a process that calls `function`, with an empty environment and in a session of its own.

    It keeps the `inherited` descriptors and has `streams` as its standard ones (as `subprocess.Popen` takes them).
    SandboxError where the system starts no more processes.
    """
    try:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            words(function, *arguments),
            cwd="/",
            env={},
            start_new_session=True,
            pass_fds=inherited,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
        )
    except OSError as error:
        raise SandboxError(
            f"the process that looks after the command could not be started: {error.strerror}",
            fix="Look at what runs as this user, and at the limits that 'ulimit -a' prints: -n, -u and -v.",
        ) from error


def ask(function: str, *arguments: object, seconds: float) -> subprocess.CompletedProcess[bytes] | None:
    """The bytes that `function` wrote, and how it ended; None if it has not ended after so many seconds.

    It is then killed and not waited for: a process may be in a call that no signal ends.
    """
    child = begin(function, arguments, (), (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE))
    try:
        out, complaint = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        return None
    return subprocess.CompletedProcess(function, child.returncode, out, complaint)
