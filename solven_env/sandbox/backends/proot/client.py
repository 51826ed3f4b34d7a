"""The launcher's side of the proot backend: start a supervisor for one command, and wait for how it ends."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from solven_env.sandbox import wire
from solven_env.sandbox.launch_plan import LaunchPlan, encode_plan
from solven_env.sandbox.limits import reached, time_limit
from solven_env.sandbox.request import Ended, Request, encode_request
from solven_env.sandbox.roots import targets
from solven_env.sandbox.streams import Streams, deliver, relay
from solven_env.system import processes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

_TIMED_OUT = 124
_KILLED = 137
_SUPERVISOR = "solven_env.sandbox.backends.proot.supervisor.main"


async def run(
    plan: LaunchPlan,
    request: Request,
    runtime_dir: str,
    record: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Run the request under proot and say how it ended.

    Its status is 128 and more for a signal, 124 when its time was up, 137 when it was killed.

    `record` is a directory of the thread's own on this host, `runtime_dir` that of the thread's sessions. The request's
    streams are copied from and to pipes of the command's own (`streams`), but for a terminal, which it has as it is. An
    exception on the way, KeyboardInterrupt above all, and the launcher's death by any signal end everything that was
    started. SandboxError when it could not start. `progress` is told, when it has ended, of directories of the thread's
    own that were hidden.
    """
    document = {
        "plan": encode_plan(plan),
        "command": encode_request(request),
        "record": record,
        "runtime": runtime_dir,
    }
    with closing(Streams(plan, request.streams)) as streams:
        said, is_whole = await _serve(document, streams, time_limit(request.limits, request.timeout))
        if not said:  # the supervisor was killed
            from solven_env.sandbox.backends.proot import on_disk

            on_disk.clear(record)
            return Ended(_KILLED)
        ended = _outcome(said, request, progress, is_whole=is_whole)
        if (failure := streams.failure()) is not None:
            raise failure
        return ended


async def _serve(document: dict[str, Any], streams: Streams, limit: tuple[float, str] | None) -> tuple[bytes, bool]:
    """Run what is requested and copy meanwhile: what the supervisor reports, and whether all output was taken."""
    life, lifeline = os.pipe()  # the supervisor sees its end when we are gone
    report, reports = os.pipe()
    try:
        process = _start(document, (life, reports), streams.given)
    except BaseException:
        os.close(lifeline)
        os.close(report)
        raise
    finally:
        os.close(life)
        os.close(reports)
        streams.release()
    deadline = time.monotonic() + limit[0] if limit else None
    try:
        await relay(streams.parts, report)
    except BaseException:
        deadline = 0.0
        raise
    finally:
        os.close(lifeline)
        process.wait()
        with open(report, "rb") as file:
            said = file.read()
        is_whole = await deliver(streams.parts, deadline if said else 0.0)
    return said, is_whole


def _start(document: dict[str, Any], pipes: tuple[int, int], streams: tuple[int, int, int]) -> subprocess.Popen[bytes]:
    with wire.memory("request") as written:
        with open(written, "wb", closefd=False) as file:
            file.write(json.dumps(document).encode())
        inherited = (written, *pipes)
        return processes.begin(_SUPERVISOR, inherited, inherited, streams)


def _outcome(said: bytes, request: Request, progress: Callable[[str], None], *, is_whole: bool) -> Ended:
    document = json.loads(said)
    if "failed" in document:
        raise wire.failure(document["failed"])
    if document["hidden"]:
        progress(targets.hidden(document["hidden"]))
    limit = time_limit(request.limits, request.timeout)
    if limit is None or not (document["is_out_of_time"] or not is_whole):
        return Ended(int(document["status"]))
    seconds, name = limit
    return Ended(_TIMED_OUT, (reached(name, seconds),))
