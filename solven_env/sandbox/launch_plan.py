"""Launch plans: what a sandbox shows and runs, as plain frozen data that travels to the holder.

Everything here is decided by the caller; nothing is looked up. Paths inside the sandbox ("targets") are absolute and
hold no `.`, `..` or empty component; paths on the host are absolute and trusted, except what `Bind.beneath` names.

Named tuples, where the rest of the house has frozen dataclasses: the holder imports this module in the first command of
a thread, and `dataclasses` with ten slotted classes costs it 25 ms (measured).
"""

from __future__ import annotations

from solven_env.errors import SandboxError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from solven_env.system.networks import Network

SANDBOX_UID = 1000
"""The uid and gid inside; on the host they are the caller's, or under root `LaunchPlan.uid` and `gid`."""


class Bind(NamedTuple):
    """A directory or file of the host at `target`, never with set-uid programs or devices.

    `source` is followed wherever its links lead (`/bin` to `/usr/bin`): it must not be writable by an agent.
    `beneath`, relative to `source`, may be: it is resolved without following any link. An `optional` one that does not
    exist is left out; a link in its place is an error all the same.

    `owners` are ranges (first, last) of host uids: what is there and belongs to one of them is shown as the plan's
    `uid`, and what is made there belongs to that one.
    """

    target: str
    source: str
    beneath: str = ""
    read_only: bool = True
    optional: bool = False
    owners: tuple[tuple[int, int], ...] = ()


class Tmpfs(NamedTuple):
    """Memory at `target`, the session's own, shared by its commands and owned by the sandbox's uid.

    `size` is in bytes, and never the kernel's default, half of the host's memory. A `read_only` one holds only what
    the plan puts there and belongs to the holder.
    """

    target: str
    size: int = 1 << 30
    mode: int = 0o755
    read_only: bool = False


class Proc(NamedTuple):
    """The processes of one command, mounted anew for each."""

    target: str = "/proc"


class Dev(NamedTuple):
    """null, zero, full, random, urandom, tty, a /dev/pts and a /dev/shm of the session's own."""

    target: str = "/dev"


class Etc(NamedTuple):
    """The parts of the host's /etc that programs need, read-only and without credentials (`sandbox.etc`)."""

    target: str = "/etc"


class Overlay(NamedTuple):
    """A build (`lower`, read-only) under a layer (`upper` and `work`, one file system), all host directories.

    The kernel lets an upper be mounted once at a time. `instance` names the very build that `upper` was begun on: the
    same three paths with another instance are another overlay, and both at once are refused. What belongs to the host
    uid `owner` in `lower` is shown as the plan's `uid` (None: as it is). `lock`, where it is named, is a file that is
    there as long as `lower` is that instance: the session holds a shared lock on it (flock(2)) while it has the mount.
    """

    target: str
    lower: str
    upper: str
    work: str
    instance: str
    owner: int | None = None
    lock: str = ""


class SecretFiles(NamedTuple):
    """Memory that one command alone sees, mounted anew for each: it holds the request's `files`, of mode 0400.

    `target` lies beneath a read-only Tmpfs of the plan, where nothing of an agent's can stand.
    """

    target: str = "/run/solven-env/secrets"
    size: int = 4 << 20


Mount: TypeAlias = Bind | Tmpfs | Proc | Dev | Etc | Overlay | SecretFiles


class StagedFile(NamedTuple):
    """Bytes that are staged at `path`, beneath an Etc or a read-only Tmpfs of the plan, never in the workspace."""

    path: str
    content: bytes
    mode: int = 0o644


class StagedLink(NamedTuple):
    """A symbolic link at `path`, beneath an Etc or a read-only Tmpfs of the plan, with the text `to`."""

    path: str
    to: str


STARTER = StagedLink("/run/solven-env/solven-env", "/usr/bin/prlimit")
"""prlimit(1), which starts commands: it says of one that it cannot execute why, under the name that it was started by.

It also sets limits inside, and tells 126 from 127.
"""


SETSID = "/usr/bin/setsid"
"""Gives a command on a terminal a session of its own, and that terminal.

It becomes the command itself, and no second process, as long as it leads no process group: bubblewrap must not begin
the session (--new-session), nor be in one with that terminal, where ^C would end bubblewrap's monitor too, and the
command's status be lost. Under proot (--fork) it leaves the command behind as an orphan.
"""


class LaunchPlan(NamedTuple):
    """Everything that is needed to start a command, without the command.

    `session` names the holder: one for each thread of a storage, whatever the rest of the plan says. `uid` and `gid`
    are the host's, to drop to before anything of the agent's runs: required under root, None otherwise. `network` is
    `none` (a namespace of the shape's own, loopback up), `internet` (the same behind slirp4netns, where nothing private
    is reachable but what `allow` names: IPv4 addresses and networks) or `host`, which isolates no socket. `program` is
    the path of the backend's program on the host.
    """

    session: str
    workspace: str
    mounts: tuple[Mount, ...]
    files: tuple[StagedFile, ...] = ()
    links: tuple[StagedLink, ...] = ()
    network: Network = "none"
    allow: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    hostname: str = "sandbox"
    program: str = ""
    slirp4netns: str = "/usr/bin/slirp4netns"


_KINDS: dict[str, type[Mount]] = {
    "bind": Bind,
    "tmpfs": Tmpfs,
    "proc": Proc,
    "dev": Dev,
    "etc": Etc,
    "overlay": Overlay,
    "secrets": SecretFiles,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def starter(plan: LaunchPlan) -> str:
    """The path inside of what starts commands: our name for it, where the plan has that."""
    return STARTER.path if STARTER in plan.links else STARTER.to


def own_of_system(plan: LaunchPlan) -> frozenset[str]:
    """Names in / of what the system, the builds and memory bring: all that is not the workspace, which is / too."""
    return frozenset(
        mount.target[1:]
        for mount in plan.mounts
        if "/" not in mount.target[1:] and (not isinstance(mount, Bind) or mount.source == mount.target)
    )


def check_plan(plan: LaunchPlan) -> None:
    """Refuse a plan that says something that cannot be meant: SandboxError."""
    targets = [mount.target for mount in plan.mounts]
    for path in (*targets, *(file.path for file in plan.files), *(link.path for link in plan.links)):
        parts = path.split("/")
        if parts[0] or len(parts) < 2 or not {"", ".", ".."}.isdisjoint(parts[1:]):
            raise SandboxError(
                "a path inside the sandbox is absolute and has no '.', '..' or empty part", location=path
            )
    for target in targets:
        if targets.count(target) > 1:
            raise SandboxError("two mounts have one target", location=target)


def shape(plan: LaunchPlan) -> str:
    """The plan's contents as text: equal for plans whose commands may share one staged root."""
    return repr(encode_plan(plan))


def encode_plan(plan: LaunchPlan) -> dict[str, Any]:
    """The plan as plain data; `decode_plan` is the way back."""
    return plan._asdict() | {
        "mounts": [mount._asdict() | {"kind": _NAMES[type(mount)]} for mount in plan.mounts],
        "files": [file._asdict() | {"content": file.content.hex()} for file in plan.files],
        "links": [link._asdict() for link in plan.links],
    }


def decode_plan(document: dict[str, Any]) -> LaunchPlan:
    """The plan that `encode_plan` was given."""
    return LaunchPlan(
        **document
        | {
            "allow": tuple(document["allow"]),
            "mounts": tuple(_mount(**mount) for mount in document["mounts"]),
            "files": tuple(_file(**file) for file in document["files"]),
            "links": tuple(StagedLink(**link) for link in document["links"]),
        }
    )


def _mount(kind: str, **values: Any) -> Mount:
    if "owners" in values:
        values["owners"] = tuple(tuple(each) for each in values["owners"])
    return _KINDS[kind](**values)


def _file(path: str, content: str, mode: int) -> StagedFile:
    return StagedFile(path, bytes.fromhex(content), mode)
