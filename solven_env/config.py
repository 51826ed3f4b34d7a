"""The host configuration: what belongs to a host and to no profile. `parse` is pure, `load` reads the file."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

from solven_env.documents.value_origins import ValueOrigin, check_origin
from solven_env.errors import ConfigError, PlatformError
from solven_env.system import byte_sizes, directories, reread, shipped
from solven_env.system.networks import NETWORKS
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from solven_env.documents.document import Document
    from solven_env.system.networks import Network

VARIABLE = "SOLVEN_ENV_CONFIG"
FILE = "config.yaml"

LAST_UID = 2**32 - 3
"""The highest uid. 2^32 - 1 is no uid, and many systems keep the one before it free (nobody of 32 bits)."""

_SCHEMES = {"indexes": ("https", "http", "file"), "npm_scopes": ("https", "http")}
_CREDENTIALS = {"indexes": "password", "npm_scopes": "token"}
_ORIGINS = {"environment": ValueOrigin("name", "COMPANY_TOKEN"), "file": ValueOrigin("path", "/run/secrets/company")}
"""Origins of a source's password or token, by the word in `from`."""
_OF_ADDRESSES = re.compile(r"[A-Za-z0-9:/._~%+,=&\[\]-]+")
"""Characters of addresses that mean nothing else in a uv.toml, an .npmrc or a variable of uv's."""


class HostDisk(NamedTuple):
    """The bytes that all threads may take of this host's disk together, and the share of them at which doctor warns."""

    max: int
    warn: float = 0.8


class HostSandbox(NamedTuple):
    """The host's own settings of the sandbox.

    Under root, commands have the host's `uid` (and the gid of that number), or, where this host can do it, each thread
    one of `uids`, which do not include `uid`. `bwrap` is the path of bubblewrap; None: it is looked for on PATH.
    `group` is the number of the host's group whose members may read workspaces.
    """

    uid: int = 61000
    bwrap: str | None = None
    networks: tuple[Network, ...] = NETWORKS
    uids: range = range(0)
    group: int | None = None
    disk: HostDisk | None = None


class Storage(NamedTuple):
    """A directory where threads live, as the host configuration or a caller names it.

    `id` is the id that it must have; None: any. With `require_mount`, its root must be a mount point. `name` is its
    name in the configuration; empty for a path.
    """

    root: Path
    id: str | None = None
    require_mount: bool = False
    name: str = ""


class Credential(NamedTuple):
    """The place of a password or token: a variable of the caller's environment, or a file, by its absolute path."""

    variable: str = ""
    path: str = ""


class HostIndex(NamedTuple):
    """An index of Python packages: its address, which holds no credentials, and whom uv says it is."""

    url: str
    username: str = ""
    password: Credential | None = None


class HostRegistry(NamedTuple):
    """A registry of npm packages: its address, which holds no credentials, and the token that Bun shows it."""

    url: str
    token: Credential | None = None


class HostSecrets(NamedTuple):
    """Rule for what profiles may name as secrets.

    Variables of the caller's environment are named, or begun with a `*` behind; files by their absolute paths, or those
    of directories above them; commands by all of their words.
    """

    environment: tuple[str, ...] = ("*",)
    files: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


_NO_STORAGES: Mapping[str, Storage] = {}
_NO_INDEXES: Mapping[str, HostIndex] = {}
_NO_REGISTRIES: Mapping[str, HostRegistry] = {}


class Config(NamedTuple):
    """The configuration of a host; all defaults without a file. `default_storage` is a name in `storages`.

    Profiles name what is in `indexes`, and the scopes (`@company`) in `npm_scopes`.
    """

    default_storage: str | None = None
    storages: Mapping[str, Storage] = _NO_STORAGES
    sandbox: HostSandbox = HostSandbox()
    indexes: Mapping[str, HostIndex] = _NO_INDEXES
    npm_scopes: Mapping[str, HostRegistry] = _NO_REGISTRIES
    profile_roots: tuple[Path, ...] = ()
    """The directories, beside its own, that a profile may extend files of."""
    secrets: HostSecrets = HostSecrets()


def parse(text: bytes, file: str, schema: bytes, find_group: Callable[[str], int | None] = lambda _: None) -> Config:
    """The configuration in `text`, which messages call `file`. Raises `ConfigError` with every mistake.

    `find_group` gives the number of a group by its name, None without such a group.

    >>> text = b"storages: {prod: {root: /srv/agents}}"
    >>> schema = (shipped.directory("schemas") / "config-v1.json").read_bytes()
    >>> parse(text, "config.yaml", schema).storages["prod"].root
    PosixPath('/srv/agents')
    """
    from solven_env.documents import parsing  # most hosts have no such file
    from solven_env.documents.diagnostics import ordered
    from solven_env.documents.schema import validate

    document = parsing.parse(text, file, is_secret=True)  # a password may stand in the wrong place
    validate(document, schema)
    _check(document)
    group = _group(document, find_group)
    _check_uids(document, group)
    _check_sources(document)
    if document.diagnostics:
        raise ConfigError(ordered(document.diagnostics))
    return _config(document.data, group)


def load(environ: Mapping[str, str]) -> Config:
    """This host's configuration: the file that SOLVEN_ENV_CONFIG names, else the user's, else the system's.

    Without a file, all is default. A `ConfigError` is raised if the named file is missing, if a file cannot be read,
    and for mistakes in it. The same bytes are parsed once a process. (The user's and the system's directories come
    from the environment of the process, not from `environ`.)
    """
    named = environ.get(VARIABLE)
    for path in places(environ):
        try:
            return _parsed(reread.read(path), str(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except IsADirectoryError:
            raise _unusable(path, "this is a directory, not a file", "Look at it and move it away.") from None
        except OSError as error:
            raise _unusable(path, f"it cannot be read: {error.strerror}", "Let this user read it.") from None
    if named:
        raise _unusable(Path(named), f"{VARIABLE} names this file, which is missing", "Name another, or unset it.")
    return Config()


def places(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of which the first that is there is the host configuration."""
    named = environ.get(VARIABLE)
    return (Path(named),) if named else tuple(directory / FILE for directory in directories.configuration())


def place(environ: Mapping[str, str]) -> Path:
    """The file of the host configuration: the one that is read, else the one in which the user would begin it."""
    found = places(environ)
    return next((path for path in found if path.is_file()), found[0])


def common_uid(config: Config) -> int | None:
    """Host uid of builds and, without one of their own, of threads: of commands as of files. None unless we are root.

    An ordinary user's commands and files are that user's. The gid has the same number.
    """
    return config.sandbox.uid if os.geteuid() == 0 else None


_UID_MAP = 1 << 14
"""More bytes than the 340 lines have that a map can have (user_namespaces(7))."""


def check_uid(config: Config) -> None:
    """Raise PlatformError if this process is root of a user namespace in which the common uid does not exist.

    `unshare --map-root-user` and some containers have root alone (user_namespaces(7)).
    """
    uid = common_uid(config)
    if uid is None:
        return
    try:
        descriptor = os.open("/proc/self/uid_map", os.O_RDONLY)
        try:
            lines = os.read(descriptor, _UID_MAP).splitlines()
        finally:
            os.close(descriptor)
    except OSError:
        return
    ranges = ((int(first), int(count)) for first, _, count in map(bytes.split, lines))
    if not any(first <= uid < first + count for first, count in ranges):
        raise PlatformError(
            f"there is no uid {uid} in this user namespace, whose root this process is",
            fix="Start solven-env as an ordinary user, or let sandbox.uid in the host configuration be a uid that "
            "/proc/self/uid_map has.",
        )


def _range(uids: Mapping[str, int]) -> range:
    return range(uids["first"], uids["first"] + uids["count"])


def _unusable(path: Path, message: str, fix: str) -> ConfigError:
    from solven_env.documents.diagnostics import Diagnostic, Location

    return ConfigError((Diagnostic("SE907", Location(str(path)), message, fix),))


@functools.lru_cache(maxsize=4)
def _parsed(text: bytes, file: str) -> Config:
    return parse(text, file, (shipped.directory("schemas") / "config-v1.json").read_bytes(), _find_group)


def _find_group(name: str) -> int | None:
    import grp  # few hosts name one

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _check(document: Document) -> None:
    from solven_env.documents.diagnostics import did_you_mean

    name, storages = document.data.get("default_storage"), document.data.get("storages", {})
    if name is not None and name not in storages and not document.taken_out:
        fix = did_you_mean(name, storages) if storages else f"Add 'storages: {{{name}: {{root: /srv/agents}}}}'."
        document.report("SE901", document.at_value("default_storage"), f"there is no storage '{name}'", fix)


def _check_uids(document: Document, group: int | None) -> None:
    sandbox = document.data.get("sandbox", {})
    if not {"first", "count"} <= sandbox.get("uids", {}).keys():  # or a mistake of another kind
        return
    uids, common = _range(sandbox["uids"]), sandbox.get("uid", HostSandbox().uid)
    if uids[-1] > LAST_UID:
        message = f"the range would end at uid {uids[-1]}, and the highest uid is {LAST_UID}"
        document.report("SE902", document.at_value("sandbox", "uids", "count"), message, "Lower first or count.")
    elif common in uids:
        message = f"the range {uids[0]} to {uids[-1]} includes sandbox.uid ({common}), which owns the builds"
        document.report("SE902", document.at_value("sandbox", "uids", "first"), message, "Choose a range without it.")
    elif group in uids:
        message = f"the range {uids[0]} to {uids[-1]} includes sandbox.group ({group}), which may read all threads"
        document.report("SE902", document.at_value("sandbox", "uids", "first"), message, "Choose a range without it.")


def _check_sources(document: Document) -> None:
    """Report what is no plain address of an index or a registry, and secrets whose place is not said.

    What is written as an address is not repeated: it may hold a password.
    """
    for section, credential in _CREDENTIALS.items():
        for name, source in (document.data.get(section) or {}).items():
            _check_address(document, section, name, source.get("url"))
            if credential in source:
                check_origin("SE905", document, (section, name, credential), source[credential], _ORIGINS)
            if section == "indexes" and credential in source and "username" not in source:
                where = document.at_key(section, name, credential)
                message = f"indexes.{name} has a password and no username"
                document.report("SE903", where, message, "Add 'username: NAME'.")


def _check_address(document: Document, section: str, name: str, url: str | None) -> None:
    from urllib.parse import urlsplit

    if url is None:
        return
    schemes = _SCHEMES[section]
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in schemes and bool(parts.hostname or parts.scheme == "file") and parts.port != 0
    except ValueError:
        is_whole = False
    message, fix = "", "Write, for example, https://packages.example.com/simple."
    if "@" in url:
        message = "has credentials in its address"
        fix = f"Leave them out, and write '{_CREDENTIALS[section]}: {{from: environment, name: COMPANY_TOKEN}}' beside."
    elif not is_whole:
        message = f"has no address that begins with {', '.join(f'{scheme}://' for scheme in schemes)}"
    elif not _OF_ADDRESSES.fullmatch(url):
        message = "has an address with something else in it than letters, digits and :/._~%+,=&[]-"
    if message:
        document.report("SE904", document.at_value(section, name, "url"), f"{section}.{name} {message}", fix)


def _group(document: Document, find_group: Callable[[str], int | None]) -> int | None:
    written: str | int | None = document.data.get("sandbox", {}).get("group")
    if not isinstance(written, str):
        return written
    found = find_group(written)
    if found is None:
        fix = f"Make it: sudo groupadd --system {written}"
        message = f"sandbox.group: this host has no group '{written}'"
        document.report("SE906", document.at_value("sandbox", "group"), message, fix)
    return found


def _config(data: Mapping[str, Any], group: int | None) -> Config:
    sandbox = data.get("sandbox", {})
    if "group" in sandbox:
        sandbox = sandbox | {"group": group}
    if "networks" in sandbox:
        sandbox = sandbox | {"networks": tuple(sandbox["networks"])}
    if "uids" in sandbox:
        sandbox = sandbox | {"uids": _range(sandbox["uids"])}
    if "disk" in sandbox:
        sandbox = sandbox | {"disk": _disk(sandbox["disk"])}
    storages = {
        name: Storage(**storage | {"root": Path(storage["root"]), "name": name})
        for name, storage in data.get("storages", {}).items()
    }
    indexes = {
        name: HostIndex(index["url"], index.get("username", ""), _credential(index.get("password")))
        for name, index in data.get("indexes", {}).items()
    }
    npm_scopes = {
        scope: HostRegistry(registry["url"], _credential(registry.get("token")))
        for scope, registry in data.get("npm_scopes", {}).items()
    }
    roots = tuple(Path(os.path.normpath(root)) for root in data.get("profiles", {}).get("roots", ()) if root)
    secrets = HostSecrets(**{kind: _tuple(allowed) for kind, allowed in data.get("secrets", {}).items()})
    return Config(data.get("default_storage"), storages, HostSandbox(**sandbox), indexes, npm_scopes, roots, secrets)


def _tuple(written: Any) -> Any:
    return tuple(map(_tuple, written)) if isinstance(written, list) else written


def _disk(written: Mapping[str, str]) -> HostDisk:
    share = written.get("warn")
    return HostDisk(byte_sizes.read(written["max"]), *([] if share is None else [int(share[:-1]) / 100]))


def _credential(written: Mapping[str, str] | None) -> Credential | None:
    return None if written is None else Credential(written.get("name", ""), written.get("path", ""))
