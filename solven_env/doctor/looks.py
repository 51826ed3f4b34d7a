"""Looks in a process of their own: a look may hang for ever (a mount whose daemon does not answer), and what it
does to itself (namespaces) is gone with it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from solven_env.sandbox.roots import namespaces
from solven_env.system import mounting, processes

_ASK = "solven_env.doctor.looks.answer"
SECONDS = 10.0
_WRITTEN = 64 << 10


def look(what: str, argument: str) -> dict[str, Any] | None:
    """The answer of `space` or `namespaces`, chosen by name; None if it does not answer in time."""
    child = processes.ask(_ASK, what, argument, seconds=SECONDS)
    if child is None:
        return None
    try:
        found: dict[str, Any] = json.loads(child.stdout)
    except ValueError:  # it ended on the way
        lines = child.stderr.decode(errors="replace").splitlines() or [f"it ended with {child.returncode}"]
        return {"failed": lines[-1][-400:]}
    return found


def answer(what: str, argument: str) -> None:
    """In the child: do it, and write what was found to standard output."""
    try:
        found = {"space": space, "namespaces": make_namespaces}[what](argument)
    except OSError as error:
        found = {"errno": error.errno, "what": str(error)}
    os.write(1, json.dumps(found).encode())


def space(path: str) -> dict[str, Any]:
    """The directory at an absolute path, or the nearest above that is there: its space, and whether it can be written.

    `free` and `size` are in bytes, `nodes` and `all_nodes` counts of files that there may still be, and at all (None
    where the file system does not count them), `kind` the name of the file system, `mounted` where it is mounted.
    """
    where = Path(path)
    while True:
        try:
            about = where.stat()
            break
        except FileNotFoundError:
            where = where.parent
    found = {"where": str(where), **_mount(about.st_dev, str(where.resolve())), "unwritable": 0}
    try:
        with tempfile.TemporaryFile(dir=where) as file:  # it has no name, or loses it at once
            file.write(bytes(_WRITTEN))
            file.flush()
    except OSError as error:
        found["unwritable"] = error.errno
    room = os.statvfs(where)
    found |= {"free": room.f_bavail * room.f_frsize, "size": room.f_blocks * room.f_frsize}
    counts = (room.f_favail, room.f_files) if room.f_files else (None, None)
    return {**found, **dict(zip(("nodes", "all_nodes"), counts, strict=True))}


def make_namespaces(uid: str) -> dict[str, Any]:
    """Make the namespaces that a holder and then, under root as `uid`, a command's bubblewrap makes."""
    unprivileged = os.geteuid() != 0
    namespaces.leave_host(unprivileged=unprivileged)
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        os._exit(0)  # the child has answered
    namespaces.prepare_stage()
    mounting.unshare(mounting.CLONE_NEWNET)
    if not unprivileged:
        os.setgroups([])
        os.setresgid(int(uid), int(uid), int(uid))
        os.setresuid(int(uid), int(uid), int(uid))
    mounting.unshare(mounting.CLONE_NEWUSER)
    return {}


def _mount(device: int, where: str) -> dict[str, str]:
    """The file system of a device, from mountinfo (proc(5)); of several mounts the one nearest above `where`."""
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if fields[2] == number:
            kinds[fields[4]] = after.split()[0]
    above = [place for place in kinds if f"{where}/".startswith(f"{place.rstrip('/')}/")]
    place = max(above or kinds or [""], key=len)
    return {"kind": kinds.get(place, ""), "mounted": place}
