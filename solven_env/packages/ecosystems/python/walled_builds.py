"""A walled place where one sdist is built: its own code runs there, and that of the packages that its build needs.

It has no network, no credentials, no cache and nothing of any thread or of another build. The sdist and the wheels of
its requirements are read-only; it writes in a directory of its own. What it leaves there is a stranger's: a list of
requirements, metadata, a wheel, each of which is read through no link and believed by nobody before it is checked.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import BuildError, WorkspaceError
from solven_env.packages import host_tools, lacking, making, programs
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import archives, build_hooks, build_system, sdists
from solven_env.sandbox.launch_plan import StagedFile
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.request import Request
from solven_env.system.blocks import holding
from solven_env.system.durable import make_directory
from solven_env.system.publishing import refusals_told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

    from solven_env.packages.ecosystems.python.build_system import BuildSystem
    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.making import Builder

LIMITS = Limits(processes=4096, file_size=8 << 30, memory=8 << 30, wall_time=3600)
_UV = f"{host_tools.BIN}/uv"
_WHEELS = f"{host_tools.RUN}/wheels"
_SDIST = f"{host_tools.RUN}/sdist.zip"
_HOOKS = f"{host_tools.RUN}/build_hooks.py"
_PLACE = str(build_hooks.PLACE)
_ENVIRONMENT = f"{_PLACE}/environment"
_VARIABLES = {
    # The same bytes each time, as far as the package's own code lets them: 1980 is as early as a wheel can say.
    "SOURCE_DATE_EPOCH": "315532800",
    "PYTHONHASHSEED": "0",
    "PYTHONPYCACHEPREFIX": f"{_PLACE}/bytecode",  # not among the sources, which a wheel may have all of
    "TZ": "UTC",
    "PATH": f"{_ENVIRONMENT}/bin:{host_tools.BIN}:/usr/local/bin:/usr/bin:/bin",
}
LARGEST = 16 << 20
"""Bytes of metadata or of a list of requirements."""


class WalledBuild(NamedTuple):
    """The place of one sdist, with an environment that begins empty. Its methods raise BuildError."""

    place: making.BuildSandbox
    pin: Pin
    system: BuildSystem
    offered: Path
    """The directory of the wheels that it can install."""

    @property
    def what(self) -> str:
        """The sdist in words."""
        return f"{self.pin.name} {self.pin.version}"

    def install(self, found: Mapping[Pin, Path]) -> None:
        """Install wheels of the store into the environment."""
        if not found:
            return
        with refusals_told(self.offered):
            for wheel in found.values():
                (self.offered / wheel.name).hardlink_to(wheel)
        self.place.write("names.txt", "".join(f"{pin.name}=={pin.version}\n" for pin in found).encode())
        self._run(
            *(_UV, "pip", "install", "--quiet", "--offline", "--no-python-downloads", "-r", "/names.txt"),
            *("--python", f"{_ENVIRONMENT}/bin/python", "--no-index", "--find-links", _WHEELS, "--no-build"),
            *("--no-deps", "--no-compile-bytecode", "--link-mode", "copy"),
        )

    def requires(self) -> tuple[str, ...]:
        """The requirements that the build asks for beside the static ones."""
        self._call("requires")
        return build_system.listed(self._read("requires"), f"the build of {self.what}")

    def metadata(self) -> bytes:
        """The METADATA of the wheel that it would build."""
        self._call("metadata")
        return self._read("metadata")

    @contextmanager
    def wheel(self) -> Iterator[tuple[str, IO[bytes]]]:
        """The wheel that it builds, by its name, open to read."""
        self._call("wheel")
        with making.open_root(self.place.builder, self.place.workspace) as root:
            names = root.list(f"{_PLACE[1:]}/wheel", limit=2)
        if len(names) != 1:
            raise BuildError(f"the build of {self.what} left {len(names)} files instead of one wheel")
        parts = (_PLACE[1:], "wheel", names[0])
        with holding(archives.open_beneath(self.place.workspace, parts, os.O_RDONLY | os.O_NONBLOCK)) as opened:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise BuildError(f"the build of {self.what} left something else than a wheel: {names[0][:200]!r}")
            with open(opened, "rb", closefd=False) as file:
                yield names[0], file

    def _call(self, hook: str) -> None:
        """Call a hook of the backend, as `build_hooks` says."""
        self._run(f"{_ENVIRONMENT}/bin/python", _HOOKS, hook, _SDIST, self.system.backend, *self.system.paths)

    def _read(self, name: str) -> bytes:
        with making.open_root(self.place.builder, self.place.workspace) as root:
            try:
                return root.read(f"{_PLACE[1:]}/{name}", LARGEST)
            except (OSError, WorkspaceError) as error:
                raise BuildError(f"the build of {self.what} left no {name} that can be read: {error}") from None

    def _run(self, *argv: str) -> None:
        ended, said = self.place.start(Request(argv, env=_VARIABLES, limits=LIMITS))
        if ended.status:
            reached = "".join(f" (it reached the limit {limit.limit}: {limit.value})" for limit in ended.limits)
            fix = f"Ask for another version of {self.pin.name}, or take it out of the profile."
            lacks = lacking.fix(said.decode(errors="replace"))
            raise programs.failure(f"{self.what} cannot be built{reached}", said, lacks or fix)


def build_system_of(pin: Pin, sdist: Path) -> BuildSystem:
    """The build system of an sdist of the store, as its pyproject.toml says. BuildError for one that cannot be read."""
    return build_system.parse(sdists.read(sdist, "pyproject.toml"), f"{pin.name} {pin.version}")


@contextmanager
def begin(
    pin: Pin, sdist: Path, interpreter: Interpreter, tools: host_tools.Tools, builder: Builder, stage: Path
) -> Iterator[WalledBuild]:
    """A walled place to build an sdist of the store in, beneath `stage`; nothing of it is left after the block."""
    import tempfile

    system = build_system_of(pin, sdist)
    script = StagedFile(_HOOKS, Path(build_hooks.__file__).read_bytes())
    with refusals_told(stage), tempfile.TemporaryDirectory(prefix=".wheels-", dir=stage) as directory:
        offered = Path(directory) / "offered"
        make_directory(offered)
        with making.make(
            builder,
            host_tools.joined((tools, host_tools.Tools(files=(script,)))),
            stage,
            fetches=False,
            readable={_SDIST: sdist, _WHEELS: offered},
        ) as place:
            begun = WalledBuild(place, pin, system, offered)
            begun._run(
                *(_UV, "venv", "--quiet", "--no-project", "--offline", "-p", row.executable(interpreter.version)),
                _ENVIRONMENT,
            )
            yield begun
