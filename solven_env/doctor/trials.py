"""Starting real commands to see whether they start: on a host with nothing of ours, and in a thread."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from solven_env.errors import SandboxError
from solven_env.packages import host_tools, programs
from solven_env.packages.layers import Layer
from solven_env.packages.store import Build
from solven_env.profile.mounts import SYSTEM
from solven_env.run import execute, launch
from solven_env.sandbox import backends
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.request import Request
from solven_env.system.effects import drive
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from solven_env.run.launch import Stacked
    from solven_env.sandbox.request import Ended
    from solven_env.system.networks import Network
    from solven_env.threads.thread import Thread

_SECONDS = 30.0
LONGEST = 8 << 20
"""Bytes of a command's output that are read: an agent's own programs may have written it."""
_WORDS = 1 << 16
"""Bytes at the end of it in which its last words are looked for."""


class Done(NamedTuple):
    """The output of a command, and the names of the limits that stopped it. `is_whole`: all of it was read."""

    status: int
    out: bytes
    err: bytes
    limits: tuple[str, ...] = ()
    is_whole: bool = True


def finish(run: Callable[[tuple[None, Capture, Capture]], Ended]) -> Done:
    """The result of `run`, which gets a command's streams. SandboxError with what the backend's program said."""
    out, err = Capture(LONGEST, stops=True), Capture(LONGEST, stops=True)
    try:
        ended = run((None, out, err))
    except SandboxError as error:
        if err.data:
            error.message += f" ({programs.last_words(err.data[-_WORDS:])})"
        raise
    reached = tuple(limit.limit for limit in ended.limits)
    return Done(ended.status, out.data, err.data, reached, not (out.truncated or err.truncated))


def start_alone(
    script: str,
    *,
    program: str,
    uid: int | None,
    stacks: Sequence[Stacked] = (),
    network: Network = "none",
    slirp4netns: str = "",
) -> Done:
    """Run a text by sh in a sandbox of an empty workspace, with a thread's own system mounts."""
    mounts = [each._asdict() for each in SYSTEM]
    settings = {"mounts": mounts, "links": [], "env": {}, "path": [], "limits": {}, "secrets": []}
    with scratch(None) as base:
        workspace = base / "workspace"
        workspace.mkdir()
        if uid is not None:
            os.chown(workspace, uid, uid)
        site = launch.Site(f"doctor-{secrets.token_hex(8)}", str(workspace), str(base), uid, program, slirp4netns)
        plan = launch.launch_plan(settings, site, stacks, host_tools.Tools(), network)
        request = launch.planned(
            Request(("sh", "-c", script), timeout=_SECONDS), launch.defaults(settings, host_tools.Tools())
        )
        backend, runtime = backends.find(backends.DEFAULT), str(base / "runtime")
        return finish(
            lambda streams: drive(
                backend.run(plan, request._replace(streams=streams), runtime_dir=runtime, directory="")
            )
        )


def start_in(
    thread: Thread, argv: Sequence[str], env: Mapping[str, str], seconds: float, cwd: str | None = "/"
) -> Done:
    """Run a command in a thread, as `run` does. Without a `cwd` it starts where the profile says."""
    ready = execute.apply(thread, Request(argv, cwd=cwd, timeout=seconds, env=env))
    return finish(lambda streams: execute.run(ready._replace(request=ready.request._replace(streams=streams))))


@contextmanager
def stacked(store: Path, data: Path, uid: int | None) -> Iterator[tuple[Stacked, Path]]:
    """An empty build in the directory `store`, a layer above it in `data`, and the layer's upper; gone afterwards."""
    with scratch(store) as build, scratch(data) as layer:
        made = (build / "tree", layer / "upper", layer / "work")
        for directory in made:
            directory.mkdir()
            if uid is not None:
                os.chown(directory, uid, uid)
        below = Build("bun", "doctor", "doctor", build)
        below.lock.touch()
        yield launch.Stacked(below, Layer(made[1], made[2], "doctor")), made[1]
        inner = made[2] / "work"
        if inner.exists():
            inner.chmod(0o700)  # the kernel's own, left without any right after an ordinary user's session


@contextmanager
def scratch(beneath: Path | None) -> Iterator[Path]:
    """A private directory in `beneath`, or among the temporary files, that is gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix=".solven-env-doctor-", dir=beneath))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
