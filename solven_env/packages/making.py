"""Running uv and Bun in a sandbox of a thread's own shape, as its uid, to fill a build, with nothing of any thread.

There are three kinds of places. One that *fetches* has the host's network, credentials and configuration of
registries; no interpreter that could run a package's code starts there (where uv would start one all the same, a
stand-in is in its place). One that does not has none of the three, so that whatever a package makes run there can tell
nobody and take nothing: there sdists are built, by their own code. One in which a package's scripts run has the network
`internet`, and neither credentials nor configuration. None has a cache that another build believes.

Paths, shebangs and owners come out as threads will see them. What a place leaves is a stranger's: it is read and
written through `open_root`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from solven_env.packages import certificates, host_tools, programs
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.launch_plan import Bind, Dev, Etc, LaunchPlan, Mount, Proc, StagedFile, Tmpfs
from solven_env.sandbox.request import Request
from solven_env.sandbox.roots import etc
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.system.effects import drive
from solven_env.system.networks import NETWORKS
from solven_env.system.publishing import refusals_told, remove_tree
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import Owner, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from solven_env.packages.toolchain import Toolchain
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.sandbox.request import Ended
    from solven_env.system.networks import Network

_CONFIG = f"{host_tools.RUN}/config"
_CACHE = f"{host_tools.RUN}/cache"
MOST_SAID = 1 << 20
"""Bytes of a program's output that are looked at, from its end."""
SYSTEM: tuple[Mount, ...] = (
    *(Bind(path, path, optional=True) for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/sys")),
    *(Etc(), Proc(), Dev()),
    *(Tmpfs(path, mode=mode) for path, mode in (("/tmp", 0o1777), ("/var", 0o755), ("/run", 0o755))),  # noqa: S108
)


class Builder(NamedTuple):
    """Means of this host to build. `uid` owns builds under root (with its group); None for an ordinary user.

    `runtime` is the directory of sessions' sockets, `program` the path of the backend's program, empty before it is
    looked for. `networks` are those that the host's configuration allows to code of packages. The bytes are the same
    under every backend: the shape is, and paths with it.
    """

    host: Toolchain
    uid: int | None
    runtime: str
    backend: Backend
    program: str = ""
    networks: tuple[Network, ...] = NETWORKS

    def telling(self, progress: Callable[[str], None]) -> Builder:
        """The same builder, whose host tells `progress`."""
        return self._replace(host=self.host.telling(progress))


class BuildSandbox(NamedTuple):
    """One sandbox for building, whose `/` is the host directory `workspace`. `cache` is one for uv's and Bun's caches.

    `writable` and `readable` are host directories by target. `network` is that of a place that does not fetch.
    """

    builder: Builder
    tools: host_tools.Tools
    workspace: Path
    cache: Path
    fetches: bool
    writable: Mapping[str, Path]
    readable: Mapping[str, Path]
    network: Network = "none"

    def write(self, name: str, content: bytes) -> None:
        """Have a file of ours in the workspace, over whatever stands there."""
        with open_root(self.builder, self.workspace) as root:
            root.replace(name, content, 0o644)

    def read(self, name: str) -> bytes:
        """A regular file that was left in the workspace."""
        with open_root(self.builder, self.workspace) as root:
            return root.read(name)

    def run(self, *argv: str, purpose: str, fix: str) -> None:
        """Run one program at `/` to its end. BuildError with its last lines, SandboxError where none can be started."""
        ended, said = self.start(Request(argv))
        if ended.status:
            raise programs.failure(purpose, said, fix)

    def start(self, request: Request) -> tuple[Ended, bytes]:
        """Run a request to its end, its `env` added to the place's; what it printed, of both streams.

        SandboxError where none can be started.
        """
        builder, record = self.builder, self.workspace.with_name("record")
        said = Capture(MOST_SAID, "tail")  # no file of ours: a script may print until the disk is full
        request = request._replace(env={**_environment(self), **request.env}, streams=(None, said, said))
        running = builder.backend.run(_plan(self), request, runtime_dir=builder.runtime, directory=str(record))
        return drive(running), said.data


def give(builder: Builder, *directories: Path) -> None:
    """Make directories, where missing, that the sandbox's uid owns."""
    for directory in directories:
        with refusals_told(directory):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
            if builder.uid is not None:
                os.chown(directory, builder.uid, builder.uid)


@contextmanager
def make(
    builder: Builder,
    tools: host_tools.Tools,
    stage: Path,
    *,
    fetches: bool,
    writable: Mapping[str, Path] = MappingProxyType({}),
    readable: Mapping[str, Path] = MappingProxyType({}),
    network: Network = "none",
) -> Iterator[BuildSandbox]:
    """A place with a workspace and a cache of its own in `stage`, both empty, and removed at the end of the block.

    One that `fetches` has the host's network, any other the `network` that is given.

    After an interrupt it is left: `stage` is, too.
    """
    import tempfile

    with refusals_told(stage):
        own = Path(tempfile.mkdtemp(prefix=".place-", dir=stage))
        own.chmod(0o755)
    workspace, cache = own / "workspace", own / "cache"
    try:
        (own / "record").mkdir(0o700)
        give(builder, workspace, cache)
        yield BuildSandbox(builder, tools, workspace, cache, fetches, writable, readable, network)
    except Exception:
        remove_tree(own)
        raise
    remove_tree(own)


def open_root(builder: Builder, directory: Path) -> Root:
    """A directory that a place had, to read what it left and to write there for the next run, through no link."""
    owner = None if builder.uid is None else Owner(builder.uid, builder.uid)
    with refusals_told(directory):
        return Root(os.open(directory, READ_DIRECTORY_ITSELF), owner)


def _plan(place: BuildSandbox) -> LaunchPlan:
    builder = place.builder
    tool_mounts = host_tools.tool_mounts(place.tools, [mount.target for mount in SYSTEM])
    targets = [mount.target for mount in (*SYSTEM, *tool_mounts)]
    packages = builder.host.registries.directories if place.fetches else ()
    return LaunchPlan(
        session=f"build-{os.urandom(8).hex()}",
        workspace=str(place.workspace),
        mounts=(
            *SYSTEM,
            *tool_mounts,
            *_of_packages(packages, targets),
            Bind(_CACHE, str(place.cache), read_only=False),
            *(Bind(target, str(path), read_only=False) for target, path in place.writable.items()),
            *(Bind(target, str(path)) for target, path in place.readable.items()),
        ),
        files=(
            *place.tools.files,
            *etc.identity("user"),
            *(_configuration(builder.host) if place.fetches else etc.resolver(place.network)),
        ),
        links=host_tools.tool_links(place.tools),
        network="host" if place.fetches else place.network,
        uid=builder.uid,
        gid=builder.uid,
        program=builder.program,
        slirp4netns=_slirp4netns(place),
    )


def _slirp4netns(place: BuildSandbox) -> str:
    """The program that makes the network `internet`, where it is needed. PlatformError where this host has none."""
    if place.fetches or place.builder.backend.network(place.network) != "internet":
        return ""
    from solven_env.sandbox.network import locate_slirp4netns

    return locate_slirp4netns(search=os.environ.get("PATH"), has_choice=False)


def _of_packages(directories: Sequence[str], targets: Collection[str]) -> list[Mount]:
    """Mounts that show directories of packages where they are on the host, also those beneath an empty mount."""
    empty = [mount.target for mount in SYSTEM if isinstance(mount, Tmpfs)]
    beneath = [path for path in directories if any(path.startswith(f"{target}/") for target in empty)]
    others = [path for path in directories if path not in beneath]
    return [*host_tools.own_places(others, targets), *(Bind(path, path) for path in beneath)]


def _configuration(host: Toolchain) -> tuple[StagedFile, ...]:
    found = host.registries
    texts = {
        f"{_CONFIG}/uv/uv.toml": found.uv_user,
        "/etc/uv/uv.toml": found.uv_system,
        f"{_CONFIG}/.npmrc": found.npmrc,
        f"{_CONFIG}/netrc": found.netrc,
    }
    return tuple(StagedFile(path, text) for path, text in texts.items() if text)


def _environment(place: BuildSandbox) -> dict[str, str]:
    own = {
        "PATH": f"{host_tools.BIN}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "XDG_CONFIG_HOME": _CONFIG,
        "UV_CACHE_DIR": f"{_CACHE}/uv",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "BUN_INSTALL_CACHE_DIR": f"{_CACHE}/bun",
        "DO_NOT_TRACK": "1",
    }
    host = place.builder.host
    has_network = place.fetches or place.network != "none"
    trusted = certificates.variables(certificates.INSIDE) if has_network and host.certificates else {}
    if not place.fetches:
        return {**own, **trusted}
    return {
        **own,
        "NETRC": f"{_CONFIG}/netrc",
        # The digests of the lock say what is taken; where from does not matter.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        **host.registries.variables,
        **trusted,
    }
