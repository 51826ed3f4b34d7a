"""Asking the host's programs and the registries that uv and Bun get packages from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from solven_env import config as configuration
from solven_env.documents.answers import limited, ok
from solven_env.errors import BuildError
from solven_env.packages import toolchain
from solven_env.packages.programs import last_words
from solven_env.packages.tools import uv
from solven_env.system.publishing import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from solven_env.config import Config
    from solven_env.documents.answers import Answer
    from solven_env.packages.toolchain import Toolchain

_SECONDS = 15
_SOON = {"UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5"}
_REFUSED = re.compile(r"40[13] [A-Z][a-z]+")
_LACKS = "was not found in the package registry"
"""uv's words for a package that an index does not have, or does not show."""


class AskedHost(Protocol):
    """The host that is asked about."""

    @property
    def cache(self) -> Path:
        """Our own directory."""

    @property
    def config(self) -> Config:
        """Its configuration."""


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
    with host_away() as (about, directory):
        (directory / "asked.txt").write_text(requirement + "\n")
        options = ("--quiet", "--no-cache", "--no-deps", "--no-build", "--no-header", *about.registries.options)
        argv = [str(uv().path), "pip", "compile", *options, "--python", sys.executable, "asked.txt"]
        (directory / "uv.toml").touch()
        return fails(argv, directory, {**about.environ, **_SOON})


def ask_named(host: Toolchain) -> str:
    """The reason why the one index that `host` asks does not answer, in uv's last words; empty if it does.

    It need not have what it is asked for: one of a company has its own packages alone.
    """
    with scratch(host.cache / "scratch") as directory:
        (directory / "asked.txt").write_text("pip\n")
        (directory / "uv.toml").touch()
        options = ("--no-cache", "--no-deps", "--no-build", "--no-header", "--python", sys.executable)
        problem = fails([str(uv().path), "pip", "compile", *options, "asked.txt"], directory, {**host.environ, **_SOON})
    refusal = _REFUSED.search(problem)
    if refusal:
        return f"it refuses: {refusal[0]}"
    return "" if _LACKS in problem else host.bound_sources.without_addresses(problem)


def ask_each(kind: str, names: Iterable[str], config: Config, ask: Callable[[Toolchain, str], str]) -> Answer | None:
    """The answer about the sources that this host's configuration names; None where it names none.

    `ask` is given a host and a name, and says why that one does not answer, or nothing.
    """
    problems = []
    with host_away() as (about, _):
        host = about.configured(config)
        for name in names:
            try:
                problem = ask(host, name)
            except BuildError as error:
                problem = error.message
            problems += [(name, problem)] if problem else []
    if problems:
        fix = f"Let this host reach it, or mend it in the host configuration: {configuration.place(os.environ)}"
        cause = "; ".join(f"'{name}': {problem}" for name, problem in problems)
        return limited(f"the {kind} '{problems[0][0]}' does not give packages", cause, fix)
    return ok(f"{', '.join(names)}: each answers") if names else None


def fails(argv: Sequence[str], where: Path, environ: Mapping[str, str]) -> str:
    """The reason why a program fails, in its last words; empty if it succeeds."""
    try:
        done = subprocess.run(  # noqa: S603
            argv, cwd=where, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} seconds"
    return last_words(done.stderr or done.stdout) if done.returncode else ""
