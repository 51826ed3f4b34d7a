"""Running uv and Bun in a sandbox of a thread's own shape, as its uid, to fill a build: with the host's network, with
what the host's registries ask for, and with nothing of any thread.

No code of a package runs here. It is a sandbox all the same, so that paths, shebangs and owners come out as threads
will see them.
"""

from __future__ import annotations

import os

from solven_env.builds import certificates, programs, shape
from solven_env.builds.staging import make_private, refusals_told
from solven_env.sandbox import etc, session, supervised
from solven_env.sandbox.plan import Bind, Command, Dev, Etc, File, LaunchPlan, Mount, Proc, Tmpfs
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.builds.toolchain import Host

_CONFIG = f"{shape.RUN}/config"
_CACHE = f"{shape.RUN}/cache"
_SYSTEM: tuple[Mount, ...] = (
    *(Bind(path, path, optional=True) for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/sys")),
    *(Etc(), Proc(), Dev()),
    *(Tmpfs(path, mode=mode) for path, mode in (("/tmp", 0o1777), ("/var", 0o755), ("/run", 0o755))),  # noqa: S108
)


class Builder(NamedTuple):
    """How this host builds. `uid` is whom builds belong to under root (group of that number), None for anybody else.

    `runtime` is the directory of the holders' sockets, `bwrap` the path of bubblewrap, and `proot` that of the proot
    which is used in its place, where one is named. The bytes are the same: the shape is, and paths with it.
    """

    host: Host
    uid: int | None
    bwrap: str
    runtime: str
    proot: str = ""


class Place(NamedTuple):
    """One sandbox for building: an empty workspace at `/`, and `shown` host directories, writable, by target."""

    builder: Builder
    tools: shape.Tools
    workspace: Path
    shown: Mapping[str, Path]

    def run(self, *argv: str, purpose: str, fix: str) -> None:
        """Run one program at `/` to its end. BuildError with its last lines, SandboxError where none can be started."""
        import tempfile  # which brings `random`: 2 ms of every run that makes nothing

        with tempfile.TemporaryFile() as nothing, tempfile.TemporaryFile() as said:
            streams = {"stdin": nothing.fileno(), "stdout": said.fileno(), "stderr": said.fileno()}
            command = Command(argv, env=tuple(_environment(self.builder.host).items()))
            status = self._start(_plan(self), command, streams)
            if status:
                said.seek(0)
                raise programs.failure(purpose, said.read(), fix)

    def _start(self, plan: LaunchPlan, command: Command, streams: Mapping[str, int]) -> int:
        builder = self.builder
        if not builder.proot:
            return session.run(plan, command, builder.runtime, **streams).status
        import tempfile

        with tempfile.TemporaryDirectory() as record:
            return supervised.run(
                plan, command, program=builder.proot, record=record, runtime_dir=builder.runtime, **streams
            ).status


def give(builder: Builder, *directories: Path) -> None:
    """Make directories, where missing, that the sandbox's uid owns."""
    for directory in directories:
        with refusals_told(directory):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
            if builder.uid is not None:
                os.chown(directory, builder.uid, builder.uid)


def _plan(place: Place) -> LaunchPlan:
    builder, registries = place.builder, place.builder.host.registries
    # Of the packages that this uid fetched: an agent's commands have the uid and never the directory.
    packages = make_private(builder.host.cache / "packages") / str(builder.uid or os.geteuid())
    give(builder, packages)
    tool_mounts, links = shape.tool_mounts(place.tools, [mount.target for mount in _SYSTEM])
    targets = [mount.target for mount in (*_SYSTEM, *tool_mounts)]
    return LaunchPlan(
        session=f"build-{os.urandom(8).hex()}",
        workspace=str(place.workspace),
        mounts=(
            *_SYSTEM,
            *tool_mounts,
            *shape.own_places(registries.directories, targets),
            Bind(_CACHE, str(packages), read_only=False),
            *(Bind(target, str(path), read_only=False) for target, path in place.shown.items()),
        ),
        files=(*etc.identity("user"), *_configuration(builder.host)),
        links=links,
        network="host",
        uid=builder.uid,
        gid=builder.uid,
        bwrap=builder.bwrap,
    )


def _configuration(host: Host) -> tuple[File, ...]:
    found = host.registries
    texts = {
        f"{_CONFIG}/uv/uv.toml": found.uv_user,
        "/etc/uv/uv.toml": found.uv_system,
        f"{_CONFIG}/.npmrc": found.npmrc,
        f"{_CONFIG}/netrc": found.netrc,
    }
    return tuple(File(path, text) for path, text in texts.items() if text)


def _environment(host: Host) -> dict[str, str]:
    trusted = certificates.variables(certificates.INSIDE) if host.certificates else {}
    return {
        "PATH": f"{shape.BIN}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "XDG_CONFIG_HOME": _CONFIG,
        "NETRC": f"{_CONFIG}/netrc",
        "UV_CACHE_DIR": f"{_CACHE}/uv",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "BUN_INSTALL_CACHE_DIR": f"{_CACHE}/bun",
        "DO_NOT_TRACK": "1",
        # The digests of the lock say what is taken; where from does not matter.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        **host.registries.variables,
        **trusted,
    }
