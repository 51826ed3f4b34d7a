"""What a try is, and how one is made: in a process of its own, which a system call may kill."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import signal
from collections.abc import Callable
from typing import Any, NamedTuple

Facts = dict[str, Any]
"""What there is to be attacked: pids, paths, names and numbers that the test has made."""
Attempt = Callable[[Facts], object]

_NEWNS, _NEWUTS, _NEWNET, _PRIVATE = 0x00020000, 0x04000000, 0x40000000, 0x4000 | 0x40000
_PATIENCE = 10
"""Seconds after which a try that still waits for an answer is held."""


class Try(NamedTuple):
    """A way out. `attempt` returns what it reached, or raises OSError or `Held`.

    `control` is where it must succeed: as the sandbox's own user without a sandbox (`user`), or with all rights, in
    namespaces of the control's own (`rights`).
    """

    kind: str
    name: str
    attempt: Attempt
    control: str


class Held(Exception):  # noqa: N818 (no error: the wall holds)
    """A try that came to nothing without an error of the kernel's."""


class Untried(Exception):  # noqa: N818
    """A try that this kernel or this machine has nothing for."""


TRIES: list[Try] = []


def way(kind: str, name: str, control: str = "user") -> Callable[[Attempt], Attempt]:
    """Register a function as a try."""

    def register(attempt: Attempt) -> Attempt:
        add(kind, name, attempt, control)
        return attempt

    return register


def add(kind: str, name: str, attempt: Attempt, control: str = "user") -> None:
    """Register a try that a table describes."""
    assert (kind, name) not in {(each.kind, each.name) for each in TRIES}, name
    TRIES.append(Try(kind, name, attempt, control))


def make(this: Try, facts: Facts) -> dict[str, str]:
    """Make a try, and tell how it came out: `open`, `held`, `untried`, or `broken` where the try itself is wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0) if this.kind == "terminals" else os.setsid()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_PATIENCE)
        os.write(writing, json.dumps(_attempt(this, facts)).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):  # what it has started, which may hold the pipe
        os.killpg(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    if told:
        outcome, detail = json.loads(told)
    else:
        outcome, detail = "held", f"killed by signal {os.WTERMSIG(status)}"
    return {"kind": this.kind, "name": this.name, "outcome": outcome, "detail": detail}


def _attempt(this: Try, facts: Facts) -> tuple[str, str]:
    try:
        if facts["apart"]:
            _stand_apart(this.kind)
        return "open", str(this.attempt(facts))[:200]
    except OSError as error:
        return "held", errno.errorcode.get(error.errno or 0, str(error))
    except Held as reason:
        return "held", str(reason)
    except Untried as reason:
        return "untried", str(reason)
    except Exception as error:  # a mistake of ours must not pass for a wall
        return "broken", f"{type(error).__name__}: {error}"


def _stand_apart(kind: str) -> None:
    """Enter namespaces of this try's own, so that a control with all rights changes nothing for anybody."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _NEWNS | _NEWUTS | (_NEWNET if kind == "sockets" else 0)
    if libc.unshare(flags) or libc.mount(b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None):
        raise OSError(ctypes.get_errno(), "unshare")


def is_arm() -> bool:
    return platform.machine() == "aarch64"
