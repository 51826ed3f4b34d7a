"""What a sandbox shows and what runs in it: plain frozen data that travels to the holder.

Everything here is decided by the caller; nothing is looked up. Paths inside the sandbox ("targets") are absolute and
hold no `.`, `..` or empty component; paths on the host are absolute and trusted, except what `Bind.beneath` names.

Named tuples, where the rest of the house has frozen dataclasses: the holder imports this module in the first command of
a thread, and `dataclasses` with ten slotted classes costs it 25 ms (measured).
"""

from __future__ import annotations

from solven_env.errors import SandboxError
from solven_env.sandbox.limits import Limits
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

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
    """What programs need of the host's /etc, read-only and without credentials (`sandbox.etc`)."""

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


Mount: TypeAlias = Bind | Tmpfs | Proc | Dev | Etc | Overlay


class File(NamedTuple):
    """Bytes that are staged at `path`, beneath an Etc or a read-only Tmpfs of the plan, never in the workspace."""

    path: str
    content: bytes
    mode: int = 0o644


class Link(NamedTuple):
    """A symbolic link at `path`, beneath an Etc or a read-only Tmpfs of the plan, with the text `to`."""

    path: str
    to: str


STARTER = Link("/run/solven-env/solven-env", "/usr/bin/prlimit")
"""prlimit(1), which starts commands: it says of one that it cannot execute why, under the name that it was started by.

It also sets limits inside, and tells 126 from 127.
"""


class LaunchPlan(NamedTuple):
    """Everything that is needed to start a command, without the command.

    `session` names the holder: one for each thread of a storage, whatever the rest of the plan says. `uid` and `gid`
    are the host's, to drop to before anything of the agent's runs: required under root, None otherwise. `network` is
    `none` (a namespace of the shape's own, loopback up), `internet` (the same behind slirp4netns, where nothing private
    is reachable but what `allow` names: IPv4 addresses and networks) or `host`, which isolates no socket.
    """

    session: str
    workspace: str
    mounts: tuple[Mount, ...]
    files: tuple[File, ...] = ()
    links: tuple[Link, ...] = ()
    network: Literal["none", "internet", "host"] = "none"
    allow: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    hostname: str = "sandbox"
    bwrap: str = "/usr/bin/bwrap"
    slirp4netns: str = "/usr/bin/slirp4netns"


class Command(NamedTuple):
    """One command. `cwd` is a path inside; `timeout` is in seconds of wall time.

    `keep_alive` is how many seconds the session stays after this command has left; of several the latest end counts.

    `env` is its whole environment as pairs; PWD is always `cwd`, as bubblewrap sets it. Text holds bytes that are not
    UTF-8 as surrogates (PEP 383). One argument or variable has at most 131,071 bytes (MAX_ARG_STRLEN in execve(2)).
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    timeout: float | None = None
    limits: Limits = Limits()
    keep_alive: float = 0.0


_LONGEST = 131_071
"""Bytes; MAX_ARG_STRLEN in execve(2), whose last byte ends the text."""
_KINDS: dict[str, type[Mount]] = {
    "bind": Bind,
    "tmpfs": Tmpfs,
    "proc": Proc,
    "dev": Dev,
    "etc": Etc,
    "overlay": Overlay,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def starter(plan: LaunchPlan) -> str:
    """The path inside of what starts commands: our name for it, where the plan has that."""
    return STARTER.path if STARTER in plan.links else STARTER.to


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


def check_command(command: Command) -> None:
    """Refuse a command that cannot be one: SandboxError."""
    if not command.argv:
        raise SandboxError("a command has at least one word")
    if not command.cwd.startswith("/"):
        raise SandboxError("the working directory of a command is absolute", location=command.cwd)
    # bubblewrap reads the variables as a list that U+0000 separates: one in a value would begin an option of its own.
    if any("\0" in text for text in (*command.argv, command.cwd, *(text for pair in command.env for text in pair))):
        raise SandboxError("a command, its working directory and its variables have no U+0000 in them")
    for name, value in command.env:
        if not name or "=" in name:
            raise SandboxError("the name of a variable is not empty and has no '='", location=name)
        _check_length(f"the variable {name[:100]} with its value", f"{name}={value}")
    for number, argument in enumerate(command.argv):
        _check_length(f"argument {number} of the command", argument)


def _check_length(what: str, text: str) -> None:
    length = len(text.encode("utf-8", "surrogateescape"))
    if length > _LONGEST:
        raise SandboxError(
            f"{what} has {length} bytes, and the kernel takes {_LONGEST}", fix="Pass it by a file or standard input."
        )


def shape(plan: LaunchPlan) -> str:
    """What the plan shows, as text: equal for plans whose commands may share one staged root."""
    return repr(encode_plan(plan))


def encode_plan(plan: LaunchPlan) -> dict[str, Any]:
    """As plain data; `decode_plan` is the way back."""
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
            "files": tuple(File(**file | {"content": bytes.fromhex(file["content"])}) for file in document["files"]),
            "links": tuple(Link(**link) for link in document["links"]),
        }
    )


def encode_command(command: Command) -> dict[str, Any]:
    """As plain data; `decode_command` is the way back."""
    return {
        "argv": [*map(str.__str__, command.argv)],  # plain even where a caller's is a kind of str
        "env": [(str.__str__(name), str.__str__(value)) for name, value in command.env],
        "cwd": str.__str__(command.cwd),
        "timeout": None if command.timeout is None else float(command.timeout),
        "limits": command.limits._asdict(),
        "keep_alive": float(command.keep_alive),
    }


def decode_command(document: dict[str, Any]) -> Command:
    """The command that `encode_command` was given."""
    return Command(
        argv=tuple(document["argv"]),
        env=tuple((name, value) for name, value in document["env"]),
        cwd=document["cwd"],
        timeout=document["timeout"],
        limits=Limits(**document["limits"]),
        keep_alive=document["keep_alive"],
    )


def _mount(kind: str, **values: Any) -> Mount:
    if "owners" in values:
        values["owners"] = tuple(tuple(each) for each in values["owners"])
    return _KINDS[kind](**values)
