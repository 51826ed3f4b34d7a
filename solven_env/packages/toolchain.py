"""Running uv as this host is configured."""

from __future__ import annotations

import copy
import functools
import hashlib
import re
import subprocess
from contextlib import contextmanager

from solven_env.config import Config
from solven_env.errors import SolvenError
from solven_env.packages import certificates, named_sources, programs, registries
from solven_env.packages.named_sources import Bindings
from solven_env.packages.tools import uv
from solven_env.system.publishing import make_private, publish_file, refusals_told
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from solven_env.packages.named_sources import Bound
    from solven_env.packages.registries import Registries


# Programs find themselves and their caches by these; nothing of it says what to install.
_OWN = frozenset(
    """
    HOME PATH USER LOGNAME TMPDIR LANG LC_ALL XDG_CACHE_HOME XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME NETRC
    UV_CACHE_DIR UV_CONFIG_FILE UV_NO_CONFIG UV_PYTHON_INSTALL_DIR PYENV_ROOT MISE_DATA_DIR ASDF_DATA_DIR
    """.split()
)

_UV_FILES = frozenset({"UV_CONFIG_FILE", "UV_NO_CONFIG", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"})
"""Variables that say which configuration uv reads."""
_DEFAULTS = Config()


class Toolchain:
    """Facts that every use of uv and Bun needs of this host, from its environment and configuration files.

    Each is looked for when it is first asked for: a command whose builds are there wants the certificates alone.
    """

    def __init__(self, cache: Path, environ: Mapping[str, str], config: Config) -> None:
        self.cache = cache
        """Our own directory (`<cache>/solven-env`)."""
        self.config = config
        """The host's configuration, which has the addresses of named sources."""
        self.bindings = Bindings()
        """The named sources that packages come from."""
        self.progress: Callable[[str], None] = lambda _: None
        """The callback that is told of what is fetched and made; see `packages.steps`."""
        self._given = environ
        self._trusted: tuple[Path, ...] = ()
        self._trusted_as: tuple[tuple[int, ...] | None, ...] = ()

    def telling(self, progress: Callable[[str], None]) -> Toolchain:
        """The same host, which tells `progress`."""
        same = copy.copy(self)
        same.progress = progress
        return same

    def configured(self, config: Config) -> Toolchain:
        """The same host with this configuration, and no named sources yet."""
        same = copy.copy(self)
        same.config = config
        return same

    def bound(self, bindings: Bindings) -> Toolchain:
        """The same host, which gets packages from where `bindings` say, and them alone from there.

        BuildError where its configuration lacks what they name, or a secret is not to be had.
        """
        if bindings == self.bindings:
            return self
        same = copy.copy(self)
        same.bindings = bindings
        for name in ("_sources", "environ"):
            same.__dict__.pop(name, None)
        if bindings != Bindings():
            named_sources.check(bindings, self.config, self._given)
            same._sources  # noqa: B018 - a secret that is not to be had is told now
        return same

    def asking(self, index: str) -> Toolchain:
        """The same host, which gets all packages from one named index, and asks no other."""
        return self.bound(Bindings(default=index))

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """Take the addresses and secrets of named sources out of an error's words."""
        try:
            yield
        except SolvenError as error:
            for each in (error, *error.further):
                hide = self.bound_sources.without_addresses
                each.message, each.details = hide(each.message), tuple(map(hide, each.details))
            raise

    @property
    def given(self) -> Mapping[str, str]:
        """The environment that it was made from. It holds credentials."""
        return self._given

    @functools.cached_property
    def certificates(self) -> Path | None:
        """The file of the authorities that it trusts."""
        settings = registries.authority_settings(self._given)
        before = [*map(_state, settings)]  # what changes while it is read is read again
        authorities = registries.authorities(self._given)
        files = certificates.sources(authorities)
        self._trusted, self._trusted_as = (*settings, *files), (*before, *map(_state, files))
        return certificates.bundle(authorities, self.cache)

    @property
    def trusted_files(self) -> tuple[Path, ...]:
        """The files that decide `certificates`, and that one."""
        made = self.certificates
        return (*self._trusted, made) if made else self._trusted

    @property
    def is_trusted_as_found(self) -> bool:
        """False once the authorities that the host trusts are others, or `certificates` was removed with the store."""
        made = self.certificates
        return (made is None or made.exists()) and tuple(map(_state, self._trusted)) == self._trusted_as

    @property
    def registries(self) -> Registries:
        """The sources of its packages."""
        return self._sources[0]

    @property
    def bound_sources(self) -> Bound:
        """The named sources among them."""
        return self._sources[1]

    @property
    def own_sources(self) -> str:
        """The settings of uv's that say where packages without a binding come from, as one text."""
        found = self.registries
        return " ".join((*found.variables.values(), found.uv_user.decode(), found.uv_system.decode()))

    @functools.cached_property
    def _sources(self) -> tuple[Registries, Bound]:
        found = registries.read(self._given, default_index)
        return named_sources.bind(found, self.bindings, self.config, self._given)

    @functools.cached_property
    def environ(self) -> Mapping[str, str]:
        """The environment that uv is started with. It holds credentials."""
        own = {name: value for name, value in self._given.items() if name in _OWN}
        if self.bindings.default:
            own = {name: value for name, value in own.items() if name not in _UV_FILES} | self._uv_files()
        trusted = certificates.variables(str(self.certificates)) if self.certificates else {}
        return {**own, **self.registries.variables, **trusted, "UV_NO_PROGRESS": "1"}

    def _uv_files(self) -> dict[str, str]:
        """The variables with which uv reads its configuration as we give it, and not as the host has it."""
        texts = {"XDG_CONFIG_HOME": self.registries.uv_user, "XDG_CONFIG_DIRS": self.registries.uv_system}
        variables = {}
        for name, text in texts.items():
            directory = self.cache / "configuration" / hashlib.sha256(text).hexdigest()[:32]
            publish_file(directory / "uv" / "uv.toml", text, mode=0o600)
            variables[name] = str(directory)
        return variables


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def host(cache: Path, environ: Mapping[str, str], config: Config = _DEFAULTS) -> Toolchain:
    """This host. StoreError where `cache` cannot be used."""
    return Toolchain(make_private(cache), dict(environ), config)


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


def ask_uv(
    host: Toolchain, *arguments: str | Path, purpose: str, stdin: str, directory: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run `uv pip` in a directory with a uv.toml of ours, and give its status and all that it printed."""
    argv = [uv().path, *arguments, *host.registries.options]
    return programs.ended(argv, cwd=directory, environ={**host.environ, **variables}, purpose=purpose, stdin=stdin)


def neutral(cache: Path) -> Path:
    """A directory to start uv in. Its empty uv.toml ends uv's search for a project's settings in the parents."""
    directory = make_private(cache / "empty")
    with refusals_told(directory):
        (directory / "uv.toml").touch(mode=0o600)
    return directory
