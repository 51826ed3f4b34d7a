"""Packages that come from a source which the host's configuration names, and from no other: `python.indexes` and
`bun.scopes` of a profile, with the addresses and credentials that this host has for them.

An address goes to uv in a file or a variable, to Bun in its .npmrc; a credential goes to both in a variable of their
environment. Neither stands in an argument list, a lock, a record or a message.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env import config as configuration
from solven_env.errors import BuildError, raise_together
from solven_env.packages.ecosystems.python import pip_settings
from solven_env.packages.registries import UV_SOURCE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from solven_env.config import Config, Credential, HostIndex, HostRegistry
    from solven_env.packages.registries import Registries

_NONE: Mapping[str, str] = MappingProxyType({})
_NO_INDEX = "file:///run/solven-env/no-index"
"""The address of no index at all: uv's --no-index would keep it from named ones, too."""
_UV_SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
"""The beginnings of the variables that say where uv gets packages from, and whom it says it is there."""
_ADDRESS = re.compile(r"(?:https?|file)://[^\s'\"`<>()]+")
_SHORTEST = 4
"""Characters; a shorter secret is not looked for in messages, where it would be part of words."""


class Bindings(NamedTuple):
    """Names of the host's sources: an index for each package, by its canonical name, and scopes of npm (`@company`).

    `default` is the index of all other packages; empty: they come from where this host's pip and uv say.
    """

    default: str = ""
    packages: Mapping[str, str] = _NONE
    scopes: tuple[str, ...] = ()

    @property
    def indexes(self) -> tuple[str, ...]:
        """The names of all indexes, each once."""
        return tuple(dict.fromkeys(filter(None, (self.default, *self.packages.values()))))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all indexes, and the scopes."""
        return (*self.indexes, *self.scopes)

    def of(self, package: str) -> str:
        """The name of a package's index; empty where it comes from where this host's pip and uv say."""
        return self.packages.get(package, self.default)


class Bound(NamedTuple):
    """Bindings and what this host has for them."""

    bindings: Bindings
    addresses: Mapping[str, str] = _NONE
    """The address of each index, by its name."""
    hidden: tuple[tuple[re.Pattern[str], str], ...] = ()
    """Texts that no message may show, each with what it shows instead."""

    def __repr__(self) -> str:
        return "Bound(…)"

    def without_addresses(self, text: str) -> str:
        """A text of uv's or Bun's with the names of indexes and scopes in the place of addresses and secrets."""
        if not self.hidden:
            return text
        for pattern, shown in self.hidden:
            text = shown.join(pattern.split(text))
        return _ADDRESS.sub("(an address)", text)


def uv_name(index: str) -> str:
    """The name that uv has for an index: no other index of the host's own configuration of uv is called so.

    >>> uv_name("company")
    'solven-env-f168ccdd'
    """
    return f"solven-env-{hashlib.sha256(index.encode()).hexdigest()[:8]}"


def check(bindings: Bindings, config: Config, environ: Mapping[str, str]) -> None:
    """BuildError for each index and each scope that the host's configuration lacks."""
    from solven_env.documents.schema import inline

    named = {"index": (bindings.indexes, config.indexes), "scope": (bindings.scopes, config.npm_scopes)}
    sections = {"index": "indexes", "scope": "npm_scopes"}
    lacking = [
        BuildError(
            f"the profile names the {kind} '{name}', and this host's configuration has no {kind} of that name",
            fix=f"Add to {configuration.place(environ)}: '{sections[kind]}: {{{inline(name)}: {{url: \"https://…\"}}}}'.",
        )
        for kind, (names, known) in named.items()
        for name in names
        if name not in known
    ]
    raise_together(lacking)


def bind(found: Registries, bindings: Bindings, config: Config, environ: Mapping[str, str]) -> tuple[Registries, Bound]:
    """The host's settings with these bindings, whose names `check` has let pass. BuildError for a lacking secret."""
    if bindings == Bindings():
        return found, Bound(bindings)
    indexes = {name: config.indexes[name] for name in bindings.indexes}
    registries = {scope: config.npm_scopes[scope] for scope in bindings.scopes}
    secrets = _secrets(indexes, registries, environ)
    variables, options = dict(found.variables), found.options
    if bindings.default:
        variables, options = _without_sources(variables), ()
        found = found._replace(uv_user=without_sources(found.uv_user), uv_system=without_sources(found.uv_system))
        variables["UV_DEFAULT_INDEX"] = f"{uv_name(bindings.default)}={indexes[bindings.default].url}"
    elif indexes and "--no-index" in options:
        options = ()
        variables["UV_DEFAULT_INDEX"] = _NO_INDEX
    for name, index in indexes.items():
        prefix = f"UV_INDEX_{uv_name(name).upper().replace('-', '_')}"
        variables |= {f"{prefix}_USERNAME": index.username} if index.username else {}
        variables |= {f"{prefix}_PASSWORD": secrets["indexes", name]} if index.password else {}
    tokens = {scope: _token_variable(scope) for scope, registry in registries.items() if registry.token}
    variables |= {variable: secrets["npm_scopes", scope] for scope, variable in tokens.items()}
    local = (pip_settings.local_path(index.url).rstrip("/") for index in indexes.values())
    shown = {path.rpartition("/")[0] for path in local if path}
    directories = shown if bindings.default else {*found.directories, *shown}
    return (
        found._replace(
            variables=variables,
            options=options,
            npmrc=b"\n".join(filter(None, (found.npmrc, _npmrc(registries, tokens)))),
            directories=tuple(sorted(directories)),
        ),
        Bound(
            bindings,
            {name: index.url for name, index in indexes.items()},
            tuple(_hidden(indexes, registries, secrets.values())),
        ),
    )


def without_sources(uv_toml: bytes) -> bytes:
    r"""A uv.toml without what it says of indexes; the same bytes where it says nothing of them.

    >>> without_sources(b'offline = true\nindex-url = "https://mirror"\n')
    b'"offline" = true\n'
    """
    import tomllib

    try:
        document = tomllib.loads(uv_toml.decode())
    except ValueError:
        return uv_toml  # uv itself tells what is wrong with it
    kept = {key: value for key, value in document.items() if key not in UV_SOURCE_KEYS}
    if isinstance(kept.get("pip"), dict):
        kept["pip"] = {key: value for key, value in kept["pip"].items() if key not in UV_SOURCE_KEYS}
    if kept == document:
        return uv_toml
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in kept.items()).encode()


def _toml(value: Any) -> str:
    """A value on one line of TOML, whose strings JSON's are."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {_toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value) if isinstance(value, str | bool) else str(value)


def _without_sources(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not name.startswith(_UV_SOURCES)}


def _npmrc(registries: Mapping[str, HostRegistry], tokens: Mapping[str, str]) -> bytes:
    """Lines of an .npmrc; what stands last counts."""
    lines = [f"{scope}:registry={registry.url.rstrip('/')}/" for scope, registry in registries.items()]
    for scope, variable in tokens.items():
        bare = registries[scope].url.rstrip("/").partition(":")[2]
        lines.append(f"{bare}/:_authToken=${{{variable}}}")
    return "\n".join(lines).encode()


def _token_variable(scope: str) -> str:
    return f"SOLVEN_ENV_TOKEN_{hashlib.sha256(scope.encode()).hexdigest()[:8].upper()}"


def _secrets(
    indexes: Mapping[str, HostIndex], registries: Mapping[str, HostRegistry], environ: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """The secrets of sources that have one, by section of the configuration and name."""
    asked = {
        **{("indexes", name): ("password", index.password) for name, index in indexes.items()},
        **{("npm_scopes", scope): ("token", registry.token) for scope, registry in registries.items()},
    }
    return {
        key: _read(secret, f"{key[0]}.{key[1]}.{field}", environ) for key, (field, secret) in asked.items() if secret
    }


def _read(secret: Credential, called: str, environ: Mapping[str, str]) -> str:
    """The secret itself. BuildError where it is not to be had; nothing of it is shown."""
    if secret.variable:
        if not environ.get(secret.variable):
            raise BuildError(
                f"{called} of the host configuration is not to be had: the environment has no {secret.variable}",
                fix=f"Start solven-env with {secret.variable} set.",
            )
        return environ[secret.variable]
    try:
        text = Path(secret.path).read_text().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BuildError(
            f"{called} of the host configuration is not to be had: {secret.path}: {why}",
            fix="Let this user read it, or name another file.",
        ) from None
    if not text or not text.isprintable():
        raise BuildError(
            f"{called} of the host configuration is not to be had: {secret.path} is not one line of text",
            fix="Write the secret alone into it.",
        )
    return text


def _hidden(
    indexes: Mapping[str, HostIndex], registries: Mapping[str, HostRegistry], secrets: Iterable[str]
) -> list[tuple[re.Pattern[str], str]]:
    """Texts that messages must not show: the longest address first, since one may begin with another."""
    addresses = {index.url.rstrip("/"): f"index '{name}'" for name, index in indexes.items()}
    addresses |= {each.url.rstrip("/"): f"the registry of {scope}" for scope, each in registries.items()}
    hosts = {address.split("/")[2]: shown for address, shown in addresses.items()}
    longest_first = sorted(addresses.items(), key=lambda each: -len(each[0]))
    return [
        *((re.compile(re.escape(address)), shown) for address, shown in longest_first),
        *((re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])"), shown) for host, shown in hosts.items() if host),
        *((re.compile(re.escape(secret)), "…") for secret in secrets if len(secret) >= _SHORTEST),
    ]
