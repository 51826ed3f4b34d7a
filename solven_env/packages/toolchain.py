"""Running uv as this host is configured."""

from __future__ import annotations

import copy
import functools
import re
import subprocess

from solven_env.packages import certificates, programs, registries
from solven_env.packages.tools import uv
from solven_env.system.publishing import make_private, refusals_told
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


# Programs find themselves and their caches by these; nothing of it says what to install.
_OWN = frozenset(
    """
    HOME PATH USER LOGNAME TMPDIR LANG LC_ALL XDG_CACHE_HOME XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME NETRC
    UV_CACHE_DIR UV_CONFIG_FILE UV_NO_CONFIG UV_PYTHON_INSTALL_DIR PYENV_ROOT MISE_DATA_DIR ASDF_DATA_DIR
    """.split()
)


class Toolchain:
    """Facts that every use of uv and Bun needs of this host, from its environment and configuration files.

    Each is looked for when it is first asked for: a command whose builds are there wants the certificates alone.
    """

    def __init__(self, cache: Path, environ: Mapping[str, str]) -> None:
        self.cache = cache
        """Our own directory (`<cache>/solven-env`)."""
        self.progress: Callable[[str], None] = lambda _: None
        """The callback that is told of what is fetched and made; see `packages.steps`."""
        self._given = environ

    def telling(self, progress: Callable[[str], None]) -> Toolchain:
        """The same host, which tells `progress`."""
        same = copy.copy(self)
        same.progress = progress
        return same

    @functools.cached_property
    def certificates(self) -> Path | None:
        """The file of the authorities that it trusts."""
        return certificates.bundle(registries.authorities(self._given), self.cache)

    @functools.cached_property
    def registries(self) -> registries.Registries:
        """The sources of its packages."""
        return registries.read(self._given, default_index)

    @functools.cached_property
    def environ(self) -> Mapping[str, str]:
        """The environment that uv is started with. It holds credentials."""
        own = {name: value for name, value in self._given.items() if name in _OWN}
        trusted = certificates.variables(str(self.certificates)) if self.certificates else {}
        return {**own, **self.registries.variables, **trusted, "UV_NO_PROGRESS": "1"}


def host(cache: Path, environ: Mapping[str, str]) -> Toolchain:
    """This host. StoreError where `cache` cannot be used."""
    return Toolchain(make_private(cache), dict(environ))


@functools.cache
def default_index() -> str:
    """The address of the package index that uv uses when it is told none; empty where its help does not say."""
    done = subprocess.run([uv().path, "pip", "compile", "--help"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"--default-index .*?<(https://[^>]+)>", done.stdout, re.DOTALL)
    return found[1] if found else ""


def run_uv(
    host: Toolchain,
    *arguments: str | Path,
    purpose: str,
    stdin: str = "",
    fix: str = "",
    directory: Path | None = None,
) -> str:
    """Run uv on the host, away from any project, and give what it printed. BuildError with its last lines.

    Where it starts in a `directory`, that one has a uv.toml of its own.
    """
    argv = [uv().path, *arguments, *(host.registries.options if arguments[0] == "pip" else ())]
    cwd = directory or neutral(host.cache)
    return programs.run(argv, cwd=cwd, environ=host.environ, purpose=purpose, stdin=stdin, fix=fix)


def neutral(cache: Path) -> Path:
    """A directory to start uv in. Its empty uv.toml ends uv's search for a project's settings in the parents."""
    directory = make_private(cache / "empty")
    with refusals_told(directory):
        (directory / "uv.toml").touch(mode=0o600)
    return directory
