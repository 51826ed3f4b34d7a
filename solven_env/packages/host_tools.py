"""Tools of the host that every sandbox has beside its mounts, each under one fixed name, the same on every host.

    /run/solven-env/bin/{uv,bun,node}      node is Bun where the host has none
    /run/solven-env/python                 the interpreter's prefix
    /run/solven-env/certificates.pem
    /run/solven-env/solven-env             prlimit(1), which starts commands

A build refers to nothing else of the host. Builds are made with this very shape, and threads run with it.
"""

from __future__ import annotations

from itertools import chain

from solven_env.packages import certificates
from solven_env.sandbox.launch_plan import STARTER, Bind, Mount, StagedLink, Tmpfs
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

RUN = "/run/solven-env"
BIN = f"{RUN}/bin"
CACHE = "/var/cache/solven-env"
"""The directory inside for the caches of tools: else they would write them into the workspace, whose HOME is /."""


class Tools(NamedTuple):
    """Parts of the host that a sandbox gets: mounts, links, host paths shown where they are, and variables."""

    mounts: tuple[Mount, ...] = ()
    links: tuple[StagedLink, ...] = ()
    places: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def trusting(file: Path | None) -> Tools:
    """The file of the certificate authorities that the host trusts, where it has one."""
    if file is None:
        return Tools()
    variables = certificates.variables(certificates.INSIDE)
    return Tools((Bind(certificates.INSIDE, str(file)),), variables=tuple(variables.items()))


def joined(tools: Iterable[Tools]) -> Tools:
    """All of them as one."""
    each = tuple(tools)
    return Tools(*(tuple(chain.from_iterable(parts)) for parts in zip(*each, strict=True))) if each else Tools()


def tool_mounts(tools: Tools, targets: Collection[str]) -> tuple[tuple[Mount, ...], tuple[StagedLink, ...]]:
    """The mounts and links for the tools, in a sandbox that has mounts at `targets` already."""
    mounts = (Tmpfs(RUN, size=1 << 20, read_only=True), *tools.mounts, *own_places(tools.places, targets))
    return mounts, (STARTER, *tools.links)


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
