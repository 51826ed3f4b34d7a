"""Sources of packages on this host: the settings of pip, uv, npm and Bun, gathered for uv and Bun.

uv ignores pip's settings and Bun npm's global ones, yet that is where people put their mirror, proxy and credentials.
What is gathered may hold credentials: it goes to the process that fetches, and to nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path

from solven_env.packages.ecosystems.python import pip_settings
from solven_env.system import directories
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Everything else of the environment could change what is resolved or where it goes (UV_CONSTRAINT, UV_TARGET, …).
_PASSED = frozenset(
    """
    SSL_CLIENT_CERT NODE_TLS_REJECT_UNAUTHORIZED UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INSECURE_HOST
    UV_KEYRING_PROVIDER UV_REQUEST_TIMEOUT UV_OFFLINE UV_EXCLUDE_NEWER UV_PYTHON_INSTALL_MIRROR
    """.split()
)
_PASSED_PREFIXES = ("UV_INDEX", "UV_HTTP_", "UV_CONCURRENT_", "UV_PYTHON_DOWNLOADS", "BUN_CONFIG_")
_PASSED_IN_ANY_CASE = frozenset(
    """
    http_proxy https_proxy all_proxy no_proxy npm_config_registry npm_config_token npm_config_proxy
    npm_config_http_proxy npm_config_https_proxy npm_config_noproxy
    """.split()
)
_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_UV_SOURCES = (*_UV_INDEXES, "UV_FIND_LINKS")
UV_SOURCE_KEYS = frozenset({"index", "index-url", "extra-index-url", "find-links", "no-index"})
"""The keys of a uv.toml, and of its table `pip`, that say where packages come from."""
_REFERENCE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_CAFILE = re.compile(r"(?m)^\s*cafile\s*=\s*(.*?)\s*$\n?")


class Registries(NamedTuple):
    """Settings to give to uv and Bun. They may hold credentials, so they are never shown."""

    variables: Mapping[str, str]
    """Environment variables for both."""
    options: tuple[str, ...]
    """Options of uv for what it reads from no variable."""
    uv_user: bytes
    uv_system: bytes
    """uv's own configuration files."""
    npmrc: bytes
    netrc: bytes
    directories: tuple[str, ...]
    """Directories of packages on this host that the variables name."""

    def __repr__(self) -> str:
        return "Registries(…)"


def read(environ: Mapping[str, str], default_index: Callable[[], str]) -> Registries:
    """Gather this host's configuration. A file that is missing or cannot be read counts as empty.

    `default_index` is asked for the address that uv uses when it is told none.
    """
    return gather(environ, _read_file, lambda path: Path(path).exists(), default_index)


def gather(
    environ: Mapping[str, str],
    read_file: Callable[[Path], bytes],
    exists: Callable[[str], bool],
    default_index: Callable[[], str],
) -> Registries:
    """`read`, its looks at the file system given: a file's bytes (b"" for none), and whether a path is there."""
    home, user = _homes(environ)
    pip, npmrc = _pip(environ, read_file), _npmrc(environ, read_file)
    uv_user, uv_system = (read_file(path) if path else b"" for path in _uv_files(environ, user))
    variables = {name: value for name, value in environ.items() if _is_passed(name)}
    variables |= {name: environ[name] for name in _REFERENCE.findall(npmrc) if name in environ}
    options: tuple[str, ...] = ()
    if not any(environ.get(name) for name in _UV_SOURCES) and not _names_sources(uv_user) | _names_sources(uv_system):
        translated, options = pip_settings.for_uv(pip, exists, default_index)
        variables = translated | variables
    return Registries(
        variables=_with_proxy(variables, pip.get("proxy", "")),
        options=options,
        uv_user=uv_user,
        uv_system=uv_system,
        npmrc=_CAFILE.sub("", npmrc).strip().encode(),
        netrc=read_file(Path(environ.get("NETRC") or home / ".netrc")),
        directories=_directories(variables),
    )


def authorities(environ: Mapping[str, str], read_file: Callable[[Path], bytes] | None = None) -> tuple[str, ...]:
    """Files of certificate authorities: what stands for the system's (empty: its own), then what is added to it.

    Apart from the rest, which every command would wait for: where pip adds an index, uv is started to tell its own.
    """
    read_file = read_file or _read_file
    places = (environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    base = next(filter(None, (*places, _pip(environ, read_file).get("cert", ""))), "")
    npm = (path.strip("\"'") for path in _CAFILE.findall(_npmrc(environ, read_file)))
    return base, *filter(None, (environ.get("NODE_EXTRA_CA_CERTS", ""), *npm))


def authority_settings(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files in which `authorities` looks for names of others."""
    homes = _homes(environ)
    return *pip_settings.files(environ, *homes), *_npm_files(environ, *homes)


def _homes(environ: Mapping[str, str]) -> tuple[Path, Path]:
    home = Path(environ.get("HOME") or "/")
    return home, directories.named("XDG_CONFIG_HOME", home / ".config", environ)


def _pip(environ: Mapping[str, str], read_file: Callable[[Path], bytes]) -> Mapping[str, str]:
    return pip_settings.settings([*map(read_file, pip_settings.files(environ, *_homes(environ)))], environ)


def _npmrc(environ: Mapping[str, str], read_file: Callable[[Path], bytes]) -> str:
    files = (read_file(path).rstrip() + b"\n" for path in _npm_files(environ, *_homes(environ)))
    return b"".join(files).decode(errors="replace")


def _is_passed(name: str) -> bool:
    return name in _PASSED or name.startswith(_PASSED_PREFIXES) or name.lower() in _PASSED_IN_ANY_CASE


def _uv_files(environ: Mapping[str, str], user: Path) -> tuple[Path | None, Path | None]:
    """The user's and the system's uv.toml (docs.astral.sh/uv, "Configuration files")."""
    if environ.get("UV_NO_CONFIG"):
        return None, None
    if environ.get("UV_CONFIG_FILE"):
        return Path(environ["UV_CONFIG_FILE"]), None
    system = directories.listed("XDG_CONFIG_DIRS", "/etc/xdg", environ)
    places = (*(directory / "uv/uv.toml" for directory in system), Path("/etc/uv/uv.toml"))
    return user / "uv/uv.toml", next((place for place in places if place.exists()), None)


def _npm_files(environ: Mapping[str, str], home: Path, user: Path) -> tuple[Path, ...]:
    """npm's global and user files, then the one that Bun alone reads; in each, what comes later counts."""
    named = environ.get("NPM_CONFIG_USERCONFIG") or environ.get("npm_config_userconfig")
    return Path("/etc/npmrc"), Path(named) if named else home / ".npmrc", user / ".npmrc"


def _names_sources(uv_toml: bytes) -> bool:
    if not uv_toml:
        return False
    import tomllib  # 3 ms, and most hosts have no such file

    try:
        document = tomllib.loads(uv_toml.decode())
    except ValueError:
        return False  # uv itself tells what is wrong with it
    pip = document.get("pip")
    return bool(UV_SOURCE_KEYS & (document.keys() | (pip.keys() if isinstance(pip, dict) else set())))


def _with_proxy(variables: dict[str, str], proxy: str) -> dict[str, str]:
    missing = [name for name in ("http_proxy", "https_proxy") if not {name, name.upper()} & variables.keys()]
    return variables | dict.fromkeys(missing if proxy else (), proxy)


def _directories(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Of an index the directory above: mirrors keep the files that `simple/` points to beside it."""
    links = variables.get("UV_FIND_LINKS", "").split(",")
    # An index may have a name before its address: name=https://…
    indexes = [text.rpartition("=")[2] for name in _UV_INDEXES for text in variables.get(name, "").split()]
    paths = {pip_settings.local_path(link) for link in links}
    paths |= {path.rstrip("/").rpartition("/")[0] for path in map(pip_settings.local_path, indexes)}
    return tuple(sorted(path for path in paths if path.startswith("/")))


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
