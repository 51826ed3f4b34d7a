"""Words that a shell completes. Each answer is asked for in a process of its own: a storage that hangs, an error or a
bad configuration gives no words, and no noise.

Shells paste these words into commands, and zsh evaluates them: only words of plain characters are given.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from itertools import islice
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer evaluates annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SECONDS = 1.0
"""The time after which a shell is left without an answer."""
MOST = 200
"""The number of words that are given, and of entries of a directory that are looked at for each of them."""
_WORD = re.compile(r"[A-Za-z0-9._/@+-]+")


def threads(ctx: typer.Context, incomplete: str) -> list[str]:
    """The threads of the storage that the command names, or of the default one."""
    return _asked(lambda: _threads(ctx.params.get("storage")), incomplete)


def profiles(incomplete: str) -> list[str]:
    """Names of shipped profiles, and files here, or in the directory that is being typed, that may be profiles."""
    return _asked(lambda: _profiles(incomplete), incomplete)


def _threads(storage: str | None) -> Iterable[str]:
    from solven_env.api import storages

    return storages.threads(storage)


def _profiles(incomplete: str) -> Iterator[str]:
    from solven_env.profile.source import shipped_names

    directory = incomplete.rpartition("/")[0] + "/" if "/" in incomplete else ""
    if not directory:
        yield from shipped_names()
    with os.scandir(directory or ".") as entries:
        for entry in islice(entries, 10 * MOST):
            if entry.name.endswith((".yaml", ".yml")):
                yield directory + entry.name
            elif entry.is_dir() and not entry.name.startswith("."):
                yield f"{directory}{entry.name}/"


def _question(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """A question whose answer does not depend on what is typed, as typer asks it."""
    return lambda incomplete: _asked(words, incomplete)


@_question
def storages() -> Iterable[str]:
    """The storages that the host configuration names."""
    from solven_env import config

    return config.load(os.environ).storages


@_question
def pages() -> Iterable[str]:
    """The pages of the documentation, and the codes of mistakes."""
    from solven_env.system import shipped

    return [*shipped.pages(), *shipped.pages_of_codes()]


@_question
def ecosystems() -> Iterable[str]:
    """The sections of a profile that have packages."""
    from solven_env.packages.ecosystems import ECOSYSTEMS

    return ECOSYSTEMS


@_question
def backends() -> Iterable[str]:
    """The backends."""
    from solven_env.sandbox.backends import BACKENDS

    return BACKENDS


@_question
def networks() -> Iterable[str]:
    """The networks."""
    from solven_env.system.networks import NETWORKS

    return NETWORKS


def _asked(question: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    """The words of an answer that begin with what is typed; none where it fails or does not come in time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _answer(question, incomplete, writing)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return _read(reading).decode().split()
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, os.WNOHANG)  # one that hangs in the kernel is not waited for


def _answer(question: Callable[[], Iterable[str]], incomplete: str, writing: int) -> None:
    """In the child: write the words. Without the streams of the shell, which waits for the last that has them."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    words = (each for each in question() if each.startswith(incomplete) and _WORD.fullmatch(each))
    os.write(writing, "\n".join(islice(words, MOST)).encode()[: select.PIPE_BUF * 15])


def _read(reading: int) -> bytes:
    found, until = b"", time.monotonic() + SECONDS
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(reading, 65536)
        if not part:
            break
        found += part
    return found
