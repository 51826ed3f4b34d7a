"""The Bun build: node_modules as a lock pins it. No package's script runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from solven_env.builds import shape, store
from solven_env.builds.inside import Place, give
from solven_env.builds.resolving import package_json
from solven_env.builds.toolchain import find_bun
from solven_env.builds.wanted import of_bun
from solven_env.profile.sections import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.builds.inside import Builder
    from solven_env.profile.sections import Bun


def build(bun: Bun, lock: bytes | None, builder: Builder) -> store.Build:
    """The build of a profile's `bun` section as `lock` (bun.lock) pins it; None stands for no packages.

    BuildError with Bun's last lines.
    """
    wanted = of_bun(bun, lock, builder.uid)

    def fill(stage: Path) -> None:
        _fill(stage, bun, lock, builder)

    return store.obtain(builder.host.cache, wanted.key, wanted.inputs, fill)


def _fill(stage: Path, bun: Bun, lock: bytes | None, builder: Builder) -> None:
    workspace = stage / "workspace"
    give(builder, stage / "tree", workspace)
    if lock is not None:
        (workspace / "package.json").write_text(package_json(bun))
        (workspace / "bun.lock").write_bytes(lock)
        tools = shape.Tools(bun=find_bun(builder.host).path, certificates=builder.host.certificates)
        Place(builder, tools, workspace, {TARGETS["bun"]: stage / "tree"}).run(
            *(f"{shape.BIN}/bun", "install", "--frozen-lockfile", "--ignore-scripts", "--backend", "copyfile"),
            *("--no-progress", "--no-summary"),
            purpose="the JavaScript packages cannot be installed",
            fix="Let this host reach its npm registry, or lock again.",
        )
    shutil.rmtree(workspace)
