"""What every sandbox has of the host beside its mounts: the tools, each under one fixed name, on every host the same.

    /run/solven-env/bin/{uv,bun,node}      node is Bun where the host has none
    /run/solven-env/python                 the interpreter's prefix
    /run/solven-env/certificates.pem
    /run/solven-env/solven-env             prlimit(1), which starts commands

A build refers to nothing else of the host. Builds are made with this very shape, and threads run with it.
"""

from __future__ import annotations

import os

from solven_env.packages import certificates
from solven_env.sandbox.launch_plan import STARTER, Bind, Link, Mount, Tmpfs
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from solven_env.packages.ecosystems.python.remembered import Interpreter

RUN = "/run/solven-env"
BIN = f"{RUN}/bin"
PYTHON = f"{RUN}/python"
NODE = ("/usr/bin/node", "/usr/local/bin/node", "/bin/node")


class Tools(NamedTuple):
    """What of the host a sandbox gets; None is left out."""

    uv: Path | None = None
    bun: Path | None = None
    interpreter: Interpreter | None = None
    certificates: Path | None = None
    has_node: bool = False
    """Whether sandboxes see a node of the host's, which goes before Bun under that name."""


def host_has_node() -> bool:
    """Whether the host has a node where every sandbox sees it."""
    return any(map(os.path.exists, NODE))


def tool_mounts(tools: Tools, targets: Collection[str]) -> tuple[tuple[Mount, ...], tuple[Link, ...]]:
    """The mounts and links for the tools, in a sandbox that has mounts at `targets` already."""
    mounts: list[Mount] = [Tmpfs(RUN, size=1 << 20, read_only=True)]
    links = [STARTER]
    if tools.uv is not None:
        mounts.append(Bind(f"{BIN}/uv", str(tools.uv)))
    if tools.bun is not None:
        mounts.append(Bind(f"{BIN}/bun", str(tools.bun)))
        if not tools.has_node:
            links.append(Link(f"{BIN}/node", "bun"))
    if tools.certificates is not None:
        mounts.append(Bind(certificates.INSIDE, str(tools.certificates)))
    if tools.interpreter is not None and tools.interpreter.is_movable:
        mounts.append(Bind(PYTHON, tools.interpreter.prefix))
    elif tools.interpreter is not None:
        links.append(Link(PYTHON, tools.interpreter.prefix))
        mounts += own_places([tools.interpreter.prefix], targets)
    return tuple(mounts), tuple(links)


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
