"""Questions about packages and room on any host: interpreter, uv, Bun, registries, and our own directories."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solven_env.doctor.host import Host, nearest, overlay
from solven_env.doctor.looks import look
from solven_env.documents.answers import Answer, Question, broken, limited, ok, run
from solven_env.errors import SandboxError, StoreError, counted
from solven_env.packages import certificates, store, tools
from solven_env.packages.asking import host_away, said
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.packages.ecosystems.python import interpreters, remembered
from solven_env.system import byte_sizes
from solven_env.system.publishing import failure_of_ours
from solven_env.threads import claims, host_disk, uids

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.errors import SolvenError

LOW = 1 << 30
"""Bytes below which a build may find no room."""
_NONE = 1 << 20
_LITTLE, _PLENTY = 0.05, 20 << 30
"""Share of a file system of which less is little, and bytes of which more is plenty, whatever share they are."""
_ELSEWHERE = ("/mnt/", "/media/")  # by the Filesystem Hierarchy Standard, where something is mounted


def uv(_: Host) -> Answer:
    """Ours is there and starts."""
    tool = tools.uv()
    told = said(str(tool.path), "--version")
    if not told:
        return broken(f"uv does not start ({tool.path})", fix="Install solven-env again.")
    return ok(f"{told} ({tool.path})")


def python(version: str, host: Host, *, is_needed: bool) -> Answer:
    """An interpreter of a version is on this host; without one uv fetches it, where the network allows that."""
    found = remembered.recall(version, host.cache)
    looked: list[str] = []
    if found is None:
        with host_away() as (about, _scratch):
            found = interpreters.look(version, about, interpreters.own_folder(host.cache), looked)
    if found is not None:
        return ok(f"Python {found.version} ({found.executable})")
    answer = broken if is_needed else limited
    lacks = interpreters.lacking(version, looked)
    return answer(lacks.message, f"Looked: {'; '.join(lacks.details)}", lacks.fix)


def room(place: Callable[[Host], Path]) -> Callable[[Host], Answer]:
    """The question about one of our own directories on this host: there is room, and it can be written."""

    def ask(host: Host) -> Answer:
        return directory(place(host), StoreError)

    return ask


def builds(host: Host) -> Answer:
    """The store of builds can be read."""
    count = len(store.keys(host.cache))
    return ok(counted(count, "build"))


def disk(host: Host) -> Answer | None:
    """All threads take less of this host's disk than its configuration allows, and not nearly as much."""
    bound = host.config.sandbox.disk
    if bound is None:
        return None
    taken = host_disk.measured(host.data)
    least = "" if taken.is_complete else "at least "
    size, most = byte_sizes.told(taken.bytes), byte_sizes.told(bound.max)
    where = f"all threads take {least}{size} of the {most} that sandbox.disk allows"
    fix = "See what takes it with solven-env du, and free some with solven-env gc."
    if taken.bytes >= bound.max:
        return broken(where, "no session begins, and no apply that would begin a layer", fix)
    if taken.bytes >= bound.warn * bound.max:
        return limited(where, f"{taken.bytes / bound.max:.0%} are taken, and no session begins at 100%", fix)
    return ok(where)


def uids_of_threads(storage: Path, host: Host) -> Answer | None:
    """Threads of a storage have uids of their own here, or the reason why not."""
    if host.uid is None:
        return None
    configured = host.config.sandbox.uids
    if not configured:
        return limited(
            f"all threads have one uid, {host.uid}",
            "what one takes of that which the kernel counts by uid, others lack",
            "Name unused ones in the host configuration: sandbox: {uids: {first: 2000000, count: 65536}}",
        )
    why = uids.why_not(nearest(storage / "threads"), host.uid, configured)
    if why:
        return limited(f"all threads have one uid, {host.uid}", why, "Have what it names on a local ext4 or xfs.")
    used = claims.count(host.data, configured)
    return ok(f"each thread has one of its own, from {configured[0]} to {configured[-1]}; {used} are in use")


def directory(path: Path, kind: type[SolvenError], uid: int | None = None) -> Answer:
    """A directory, or the nearest existing one above it, answers, can be written, and has room.

    `uid` is whose it has to be, where those who write in it are others than who asks.
    """
    found = look("space", str(path.absolute()))
    if found is None:
        fix = f"Mount it again, after: {run('sudo', 'umount', '--lazy', path).removeprefix('Run: ')}"
        return broken("the file system does not answer: its daemon hangs", str(path), fix)
    if "failed" in found:
        return broken("it cannot be looked at", f"{path}: {found['failed']}")
    number = found.get("errno") or found.get("unwritable")
    if uid is not None and "where" in found and number in (0, errno.EACCES):
        problem = rights(path, uid)
        if problem:
            return problem
    if number:
        where = found.get("where", str(path))
        error = failure_of_ours(kind, str(path), OSError(number, os.strerror(number)))
        what = error.message if where == str(path) else f"{path} cannot be made: {error.message}"
        raise kind(what, fix=_mended(number, found) or error.fix, location=where)
    return _judge(path, found)


def rights(path: Path, uid: int) -> Answer | None:
    """The reason why `uid` cannot write in its own directory; None if owner and mode allow it."""
    about = path.lstat()
    if about.st_uid != uid:
        fix = run("chown", "-hR", f"{uid}:{uid}", path)
        return broken(f"wrong owner: it belongs to uid {about.st_uid}, not {uid}", str(path), fix)
    if about.st_mode & 0o700 != 0o700:
        mode = f"{stat.S_IMODE(about.st_mode):04o}"
        return broken(f"its mode {mode} keeps its own owner out", str(path), run("chmod", "u+rwx", path))
    return None


def _mended(number: int, found: dict[str, Any]) -> str:
    """The command for a directory that cannot be written, where there is one."""
    if "where" not in found:
        return ""
    if number == errno.EROFS:
        return run("sudo", "mount", "-o", "remount,rw", found["mounted"])
    if number in (errno.ENOSPC, errno.EDQUOT):
        return _freed(found)
    if number == errno.EACCES and Path(found["where"]).lstat().st_uid == os.geteuid():
        return run("chmod", "u+rwx", found["where"])
    return ""


def _freed(found: dict[str, Any]) -> str:
    return f"Free space: see what is there with du -xsh {shlex.quote(found['where'])}/*"


def _judge(path: Path, found: dict[str, Any]) -> Answer:
    free, nodes = found["free"], found["nodes"]
    where = f"{path}: {byte_sizes.told(free)} free, {found['kind']} mounted at {found['mounted']}"
    fix = _freed(found)
    if free < _NONE or nodes == 0:
        return broken(f"the disk is full: no {'inode' if nodes == 0 else 'space'} is left", str(path), fix)
    if str(path.absolute()).startswith(_ELSEWHERE) and found["mounted"] == "/":
        return limited("nothing is mounted there: what is written lies on the host's own disk", str(path))
    if free < LOW:
        return limited(where, "space is low: a build may find no room", fix)
    for what, left, whole in (("space is", free, found["size"]), ("inodes are", nodes, found["all_nodes"])):
        if whole and left < _LITTLE * whole and (left is nodes or free < _PLENTY):
            return limited(where, f"the file system is nearly full: {1 - left / whole:.0%} of its {what} used", fix)
    return ok(where)


def runtime(host: Host) -> Answer:
    """The directory of the sessions' sockets is ours alone, or can be made."""
    path = host.runtime
    try:
        about = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return directory(path, SandboxError)
    if not stat.S_ISDIR(about.st_mode):
        cause = f"{path}: the sockets of sessions lie in a directory of that name"
        return broken("no directory stands there, but something else", cause, run("mv", path, f"{path}.aside"))
    if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
        other = "Let XDG_RUNTIME_DIR name a directory of yours."
        fix = run("chmod", "700", path) if about.st_uid == os.geteuid() else other
        return broken("the runtime directory is not yours alone", f"{path}: who can connect can start commands", fix)
    return directory(path, SandboxError)


def authorities(_: Host) -> Answer:
    """The certificate authorities that this host trusts, as sandboxes get them."""
    with host_away() as (about, _scratch):
        found = about.certificates
        count = found.read_bytes().count(b"BEGIN CERTIFICATE") if found else 0
    if not count:
        variables = ", ".join(certificates.variables(""))
        fix = "Install your distribution's package ca-certificates, or set SSL_CERT_FILE."
        return limited("this host has no certificate authorities", f"none by {variables}, none of the system's", fix)
    return ok(f"{count} certificate authorities")


def questions() -> tuple[Question[Host], ...]:
    """The questions about packages and room, with those of each ecosystem."""
    return (
        Question("uv", uv),
        *(question for row in ECOSYSTEMS.values() for question in row.QUESTIONS),
        Question("certificates", authorities, ("uv",)),
        *(question for row in ECOSYSTEMS.values() for question in row.REGISTRIES),
        Question("cache", room(lambda host: host.cache)),
        Question("store", builds, ("cache",)),
        Question("data", room(lambda host: host.data)),
        Question("disk", disk, ("data", "configuration")),
        Question("overlay", overlay, ("sandbox", "cache", "data")),
        Question("runtime directory", runtime),
    )
