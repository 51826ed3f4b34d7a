"""Tools of the host that every sandbox has beside its mounts, each under one fixed name, the same on every host.

    /run/solven-env/bin/{uv,uvx,bun,bunx,node}     node is Bun where the host has none
    /run/solven-env/bin/{python,python3,python3.N,pip,pip3}     where the profile has a python section
    /run/solven-env/python                 the interpreter's prefix
    /run/solven-env/local                  the thread's own: what it installs beside its packages
    /run/solven-env/certificates.pem
    /run/solven-env/solven-env             prlimit(1), which starts commands

A build refers to nothing else of the host. Builds are made with this very shape, but for `local`, and threads run with
it.
"""

from __future__ import annotations

from itertools import chain

from solven_env.packages import certificates
from solven_env.sandbox.launch_plan import STARTER, Bind, Mount, StagedFile, StagedLink, Tmpfs
from solven_env.system.lately import lately
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

RUN = "/run/solven-env"
BIN = f"{RUN}/bin"
CACHE = "/var/cache/solven-env"
"""The directory inside for the caches of tools: else they would write them into the workspace, whose HOME is /."""
LOCAL = f"{RUN}/local"
"""The directory inside that stands for ~/.local: global installs and programs' data, on this host, of one thread.

It is none of a build's: what an agent installed there stays when the profile's packages change.
"""
PATH = (BIN, f"{LOCAL}/bin")
"""The directories on PATH that are ours, after the profile's and before the system's."""
VARIABLES = (
    ("LANG", "C.UTF-8"),
    ("XDG_CACHE_HOME", CACHE),
    ("XDG_DATA_HOME", f"{LOCAL}/share"),
    ("XDG_STATE_HOME", f"{LOCAL}/state"),
)
"""The variables that every command has unless its profile says otherwise.

XDG_CONFIG_HOME is not among them: configuration is a person's or an agent's own text, which belongs to the workspace
(~/.config) and goes with it to the next host.
"""
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Tools(NamedTuple):
    """Parts that a sandbox gets for its tools: mounts, scripts, links, host paths shown where they are, variables."""

    mounts: tuple[Mount, ...] = ()
    files: tuple[StagedFile, ...] = ()
    links: tuple[StagedLink, ...] = ()
    places: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def script(name: str, text: str) -> StagedFile:
    """A program of ours in BIN: a text for sh."""
    return StagedFile(f"{BIN}/{name}", f"#!/bin/sh\n{text}\n".encode(), 0o755)


def path(prepended: Iterable[str]) -> tuple[str, ...]:
    """The directories on PATH of a command whose profile prepends some.

    >>> path(["/.venv/bin"])[:3]
    ('/.venv/bin', '/run/solven-env/bin', '/run/solven-env/local/bin')
    """
    return tuple(dict.fromkeys((*prepended, *PATH, *_SYSTEM_PATH)))


def local(directory: Path) -> Tools:
    """The thread's own directory of this host at LOCAL."""
    return Tools((Bind(LOCAL, str(directory), read_only=False),))


def trusting(file: Path | None) -> Tools:
    """The file of the certificate authorities that the host trusts, where it has one."""
    if file is None:
        return Tools()
    variables = certificates.variables(certificates.INSIDE)
    return Tools((Bind(certificates.INSIDE, str(file)),), variables=tuple(variables.items()))


def joined(tools: Iterable[Tools]) -> Tools:
    """All of them as one."""
    return _joined(tuple(tools))


@lately(16)
def _joined(each: tuple[Tools, ...]) -> Tools:
    return Tools(*(tuple(chain.from_iterable(parts)) for parts in zip(*each, strict=True))) if each else Tools()


def tool_mounts(tools: Tools, targets: Collection[str]) -> tuple[Mount, ...]:
    """The mounts for the tools, in a sandbox that has mounts at `targets` already."""
    return (Tmpfs(RUN, size=1 << 20, read_only=True), *tools.mounts, *own_places(tools.places, targets))


def tool_links(tools: Tools) -> tuple[StagedLink, ...]:
    """The links for the tools."""
    return (STARTER, *tools.links)


def own_places(paths: Sequence[str], targets: Collection[str]) -> list[Mount]:
    """Mounts that show host paths where they are, each over empty memory at its first component.

    So nothing of a home but the path is seen, and nothing is made in the workspace beneath that component. What one of
    `targets` shows already, as `/usr` does most of it, needs none.
    """
    mounts: list[Mount] = []
    covered = set(targets)
    for path in paths:
        if not any(path == target or path.startswith(f"{target}/") for target in covered):
            first = f"/{path.split('/')[1]}"
            if first != path and first not in covered and not any(target.startswith(f"{first}/") for target in covered):
                mounts.append(Tmpfs(first, size=1 << 20, read_only=True))
            mounts.append(Bind(path, path))
            covered.add(path)
    return mounts
