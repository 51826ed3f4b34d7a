"""A workspace above builds, seen as `run` will show it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solven_env.packages import carrying, host_tools, layers, making, store
from solven_env.packages.additions import NONE
from solven_env.packages.ecosystems import ECOSYSTEMS, bun, python
from solven_env.sandbox.backends import bubblewrap
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import LaunchPlan, Overlay
from solven_env.sandbox.request import Request
from solven_env.sandbox.roots import etc
from solven_env.system.effects import drive

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.making import Builder

UID = 61000 if os.geteuid() == 0 else None


def home(base: Path) -> layers.Home:
    return layers.Home(base / "data", "storage", "t1", "incarnation")


@dataclass
class Layered:
    """A workspace above two builds, as `run` will show it."""

    builder: Builder
    base: Path
    builds: tuple[store.Build, ...]
    version: str

    def __post_init__(self) -> None:
        (self.base / "workspace").mkdir(parents=True)
        if UID is not None:
            os.chown(self.base / "workspace", UID, UID)

    def write(self, name: str, content: bytes) -> None:
        path = self.base / "workspace" / name
        path.write_bytes(content)
        if UID is not None:
            os.chown(path, UID, UID)

    def shell(self, text: str) -> str:
        tools = host_tools.joined(
            (
                python.tools(python.Python(self.version), self.builder.host),
                bun.tools(bun.Bun({}), self.builder.host),
                host_tools.trusting(self.builder.host.certificates),
            )
        )
        mounts = host_tools.tool_mounts(tools, [mount.target for mount in making.SYSTEM])
        overlays = []
        for build in self.builds:
            layer = carrying.begin(home(self.base), build, bubblewrap, UID, NONE).own
            assert isinstance(layer, layers.Layer)
            overlays.append(
                Overlay(
                    ECOSYSTEMS[build.kind].TARGET, str(build.tree), str(layer.upper), str(layer.work), layer.instance
                )
            )
        plan = LaunchPlan(
            session=f"test-{self.base.name}",
            workspace=str(self.base / "workspace"),
            mounts=(*making.SYSTEM, *mounts, *overlays),
            files=(*tools.files, *etc.identity("user")),
            links=host_tools.tool_links(tools),
            uid=UID,
            gid=UID,
            program=self.builder.program,
        )
        env = {
            "PATH": "/.venv/bin:/node_modules/.bin:/run/solven-env/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "UV_OFFLINE": "1",
        }
        with tempfile.TemporaryFile() as said, open(os.devnull, "rb") as nothing:
            streams = (nothing.fileno(), said.fileno(), said.fileno())
            request = Request(("bash", "-c", f"set -e; {text}"), env=env, streams=streams)
            status = drive(session.run(plan, request, self.builder.runtime)).status
            said.seek(0)
            output = said.read().decode()
        assert status == 0, output
        return output
