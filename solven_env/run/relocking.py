"""Locks that do not say what their manifests ask for, made anew in the thread's own sandbox.

The manifest is an agent's: what it names is fetched there, by the thread's network, with nothing of this host's
credentials. Caches are asked first.
"""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

from solven_env.errors import SolvenError, printable
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.packages.locks import BEHIND, Remark
from solven_env.reconcile.model import name_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from solven_env.reconcile.model import Behind
    from solven_env.sandbox.request import Ended, Request
    from solven_env.threads.thread import Thread

SECONDS = 120.0
"""The longest time that one command may take."""


def remarks(thread: str, behind: Iterable[Behind]) -> tuple[Remark, ...]:
    """Remarks about locks that are behind, each with the command that catches up."""
    return tuple(_remark(thread, each) for each in behind if each.is_certain)


def foreseen(behind: Iterable[Behind]) -> tuple[Remark, ...]:
    """Remarks about locks that an apply will have made anew."""
    told = (_paths(each) for each in behind if each.is_certain)
    return tuple(Remark(BEHIND, lock, "", printable(f"{lock} will be made anew from {path}")) for lock, path in told)


def _paths(behind: Behind) -> tuple[str, str]:
    """The paths of the lock and of its manifest."""
    lock, manifest = map(name_in, (behind.pair.lock, behind.pair.manifest))
    return posixpath.join(behind.directory, lock), posixpath.join(behind.directory, manifest)


def _remark(thread: str, behind: Behind) -> Remark:
    place, words = behind.directory, ECOSYSTEMS[behind.pair.kind].RELOCKING[-1]
    lock, manifest = _paths(behind)
    cwd = f"--cwd {shlex.quote(f'/{place}')} " if place else ""
    command = f"solven-env run {thread} {cwd}-- {' '.join(words)}"
    return Remark(BEHIND, lock, "", printable(f"{lock} does not say what {manifest} asks for. Catch up: {command}"))


def catch_up(thread: Thread, behind: Sequence[Behind], progress: Callable[[str], None]) -> tuple[Remark, ...]:
    """Have the locks made anew, after an apply; the remarks about those that are behind all the same.

    `progress` is told why one cannot be made. The caller holds no lock of the thread.
    """
    from solven_env.sandbox import backends
    from solven_env.threads import planning

    if not behind:
        return ()
    settings = thread.applied().settings
    has_network = backends.find(settings["backend"]).network(settings["network"]) != "none"
    for each in behind:
        why = _relock(thread, each, has_network=has_network)
        if why and each.is_certain:
            progress(f"{name_in(each.pair.lock)}: it cannot be made anew: {why}")
    return remarks(thread.name, planning.plan_drift(thread, thread.applied()).behind)


def _relock(thread: Thread, behind: Behind, *, has_network: bool) -> str:
    """Run the commands until one succeeds; the reason why the last one failed, empty if one did."""
    from solven_env.run import execute, internal

    def start(request: Request) -> Ended:
        return execute.run(execute.apply(thread, request))

    why, commands = "", ECOSYSTEMS[behind.pair.kind].RELOCKING
    for words in commands if has_network else commands[:1]:
        try:
            why = internal.failure(words, start, seconds=SECONDS, cwd=f"/{behind.directory}")
        except SolvenError as error:
            return error.message
        if not why:
            break
    return why
