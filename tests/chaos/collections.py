"""Threads that are applied, used, rolled back and deleted, while collections go on: each of them an own process."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING

import solven_env
from solven_env import applying
from solven_env.errors import HeldError
from solven_env.packages import builds, carrying, layers, store
from solven_env.profile.model import SandboxSection
from solven_env.profile.render import RenderedFile
from solven_env.reconcile.desired import desired
from solven_env.run import execute
from solven_env.sandbox import backends
from solven_env.state import local
from solven_env.system import directories
from solven_env.threads import noting, sessions, uids
from solven_env.threads.planning import Wanted
from solven_env.threads.thread import Thread
from tests.reconcile.states import profile
from tests.threads import invented

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

RELEASES = ("1.0.0", "2.0.0", "3.0.0")


def invent(patch: pytest.MonkeyPatch, place: Path) -> None:
    """Have builds without packages to fetch, on a host beneath `place`."""
    for name in ("find", "obtain"):
        patch.setattr(builds, name, getattr(invented, name))
    patch.setattr(execute, "begin", invented.begin)
    patch.setattr(builds, "builder", lambda *_: None)
    patch.setattr(os, "fsync", lambda _: None)
    patch.setattr(sessions, "answers", lambda _: True)  # a process for each collection
    patch.setattr(local, "_PAUSE", 0.0005)
    for module in (carrying, store):
        patch.setattr(module, "sync_file_system", lambda _: None)
    (place / "config.yaml").write_text("")
    patch.setenv("SOLVEN_ENV_CONFIG", str(place / "config.yaml"))
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
        (place / variable / "solven-env").mkdir(parents=True, mode=0o700)
        patch.setenv(variable, str(place / variable))


def apply(storage: Path, thread: str, release: str) -> int:
    """Apply a release, whose build nobody else needs most of the time; the generation."""
    needs = (invented.python({"base": release}), invented.bun({"base": release}))
    sections = {need.kind: need.section for need in needs}
    asked = profile(release=release)._replace(packages=sections, sandbox=SandboxSection("bubblewrap"))
    files = [RenderedFile("file", f"{thread} {release}".encode(), "0644", "whole")]
    wanted = Wanted(desired(asked, files, {}), needs)
    return applying.apply(Thread.find(thread, storage), lambda *_: wanted, on_conflict="overwrite").generation


def use(storage: Path, thread: str, release: str, mark: str) -> None:
    """Have what a command has of builds and layers, as `execute` does, for a moment; and add a file to the layer."""
    found = Thread.find(thread, storage)
    record = found.applied()
    home, backend = found.home(record), backends.find(record.settings["backend"])
    with ExitStack() as stack:
        turn = uids.for_command(found, record, home).turn
        if turn is not None:
            stack.enter_context(turn)
        needs = found.needs(record)
        builder = builds.builder(found.config, os.environ, backend)  # none: nothing is fetched
        used_builds = builds.obtain_to_use(needs, builder, found.config, os.environ, lambda _: None)
        for need, (build, used) in zip(needs, used_builds, strict=True):
            stack.enter_context(used)
            layer = carrying.begin(home, build, backend, None, noting.recorded(record, need.kind))
            (layer.path / mark).touch()
            inner = f"{invented.SITE}/base/__init__.py" if need.kind == "python" else "base/index.js"
            base = build.tree / inner
            for _ in range(3):
                assert base.read_text() == release
                assert store.is_whole(build)
                assert (layer.path / mark).exists()
                time.sleep(0.001)


def live(storage: Path, thread: str, ended: Callable[[], bool]) -> None:
    """The lives of a thread, one after the other: what it uses is there, and what it goes back to."""
    chance = random.Random(thread)
    while not ended():
        release = chance.choice(RELEASES)
        first = apply(storage, thread, release)
        use(storage, thread, release, "mark")
        if chance.random() < 0.7:
            other = chance.choice([each for each in RELEASES if each != release])
            second = apply(storage, thread, other)
            assert second == first + 1
            use(storage, thread, other, "other")
            solven_env.rollback(thread, first, storage=storage)
            use(storage, thread, release, "again")
            record = Thread.find(thread, storage).applied()
            for each in record.builds.values():
                build = store.read(directories.cache(), each["key"])
                assert build is not None
                own = layers.own(Thread.find(thread, storage).home(record), build, backends.find("bubblewrap"))
                assert (own / "mark").exists(), "what a command added is gone"
            (report,) = solven_env.status(thread, storage=storage).threads
            assert (report.state, report.changes) == ("in-sync", ())
            assert not any(each.error for each in solven_env.history(thread, storage=storage).generations)
        if chance.random() < 0.7:
            solven_env.delete(thread, storage=storage)
            assert not (storage / "threads" / thread).exists()


def collect(rounds: int) -> int:
    """Collect so many times; the number of things that were collected."""
    collected = done = 0
    while done < rounds:
        try:
            report = solven_env.gc(dry_run=done % 5 == 4)
        except HeldError:
            time.sleep(0.001)
            continue
        done += 1
        assert not report.has_failed, report.unjudged
        assert not [each for each in report.unjudged if "nobody knows" in each.why], report.unjudged
        collected += 0 if report.is_dry_run else len(report.collected)
    return collected


def begun(act: Callable[[], object]) -> int:
    """A process that does this, and has status 0 where it raises nothing."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid
