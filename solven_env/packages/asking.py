"""Asking the host's programs and the registries that uv and Bun get packages from."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.packages import toolchain
from solven_env.packages.programs import last_words
from solven_env.packages.tools import uv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from solven_env.packages.toolchain import Toolchain

_SECONDS = 15


@contextmanager
def host_away() -> Iterator[tuple[Toolchain, Path]]:
    """This host with nothing of ours, and a private directory, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".solven-env-doctor-", ignore_cleanup_errors=True) as made:
        yield toolchain.host(Path(made), os.environ), Path(made)


def said(path: str, *arguments: str) -> str:
    """Output of one of the host's programs, without the final newline; empty if it does not start."""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip()


def ask_index(requirement: str) -> str:
    """The reason why the package index does not give a requirement, in uv's last words; empty if it does."""
    with host_away() as (about, scratch):
        (scratch / "asked.txt").write_text(requirement + "\n")
        options = ("--quiet", "--no-cache", "--no-deps", "--no-build", "--no-header", *about.registries.options)
        argv = [str(uv().path), "pip", "compile", *options, "--python", sys.executable, "asked.txt"]
        (scratch / "uv.toml").touch()
        variables = {"UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5"}
        return fails(argv, scratch, {**about.environ, **variables})


def fails(argv: Sequence[str], where: Path, environ: Mapping[str, str]) -> str:
    """The reason why a program fails, in its last words; empty if it succeeds."""
    try:
        done = subprocess.run(  # noqa: S603
            argv, cwd=where, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} seconds"
    return last_words(done.stderr or done.stdout) if done.returncode else ""
