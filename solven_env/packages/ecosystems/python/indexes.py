"""The named indexes of a profile, said to uv, and what uv then answers, held against them.

uv takes a package from an index of its own only where a project that it reads depends on that package
(`tool.uv.sources`); what others need is looked for elsewhere (https://github.com/astral-sh/uv/issues/8253). So uv is
shown a project that nobody installs. It depends on every bound package, each from its index, and is asked for under a
marker that no Python of ours meets. uv reads the dependencies of such a project before it resolves, and holds all
requirements of these names to their index, whoever needs them and in every fork; the project itself is never part of
what is resolved. A named index is `explicit`: uv asks it for nothing else. For `uv lock` a constraint on each bound
package does the same. (Read in uv 0.13.9: crates/uv-resolver/src/resolver/indexes.rs and manifest.rs.)

Whatever uv does in another version, what it answers is checked.
"""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env.errors import BuildError
from solven_env.packages import named_sources
from solven_env.packages.asking import ask_named
from solven_env.packages.ecosystems.python import pip_settings
from solven_env.packages.locks import UNNEEDED, Remark
from solven_env.profile.pep508 import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from solven_env.packages.toolchain import Toolchain

_PROJECT = "solven-env-bindings"
_NEVER = "python_full_version < '3'"
_ANY_VERSION = "!=9999!0"
"""A constraint that every version meets: uv passes over one that says nothing."""
_FROM = re.compile(rb"    # from (.*)\n")
_PIN = re.compile(rb"([a-z0-9-]+)==[^\n]*\n(?:    --hash[^\n]*\n)*((?:    # from [^\n]*\n)*)")
_NAME = re.compile(rb"(?m)^([a-z0-9-]+)==")
_CONSTRAINTS = re.compile(rb"\[manifest\]\nconstraints = \[.*?\]\n\n", re.DOTALL)
_OF_REQUIREMENT = re.compile(rb', index = "[^"\n]*"')
_FIX = "Lock again; if it stays, report it: nothing of it was kept."


def options(host: Toolchain) -> tuple[str, ...]:
    """Options with which `uv pip compile` says what `checked` reads."""
    return ("--emit-index-annotation",) if host.bindings.indexes else ()


def requirements(host: Toolchain, directory: Path) -> tuple[str, ...]:
    """A requirement by which `uv pip compile` learns of the bindings; `directory` holds what it names."""
    bound = host.bindings.packages
    if not bound:
        return ()
    place = directory / "bindings"
    place.mkdir()
    lines = ("[project]", f"name = {json.dumps(_PROJECT)}", 'version = "0"', f"dependencies = {json.dumps([*bound])}")
    (place / "pyproject.toml").write_text("\n".join((*lines, *tables(host))) + "\n")
    return (f"{_PROJECT} @ {place.as_uri()} ; {_NEVER}",)


def tables(host: Toolchain) -> Iterator[str]:
    """Lines of a pyproject.toml that bind the packages that its project depends on."""
    bindings, addresses = host.bindings, host.bound_sources.addresses
    if not bindings.packages:
        return
    for index in dict.fromkeys(bindings.packages.values()):
        yield "[[tool.uv.index]]"
        yield f"name = {json.dumps(named_sources.uv_name(index))}"
        yield f"url = {json.dumps(addresses[index])}"
        yield "explicit = true"
    yield "[tool.uv.sources]"
    for package, index in bindings.packages.items():
        yield f"{package} = {{ index = {json.dumps(named_sources.uv_name(index))} }}"


def constraints(host: Toolchain) -> list[str]:
    """Constraints of a project of `uv lock`, which extend `tables` to what nobody but its packages needs."""
    return [f"{package}{_ANY_VERSION}" for package in host.bindings.packages]


def checked(compiled: bytes, host: Toolchain) -> bytes:
    """The text that `uv pip compile` wrote, without addresses. BuildError for a package that is not from its index."""
    if not host.bindings.indexes:
        return compiled
    for name, places in _PIN.findall(compiled):
        for place in _FROM.findall(places) or [b""]:
            _check(name.decode(), place.decode(), host)
    return _FROM.sub(b"", compiled)


def checked_lock(uv_lock: bytes, host: Toolchain) -> bytes:
    """The uv.lock of a project with `constraints`, as one without them has it. BuildError as for `checked`."""
    if not host.bindings.indexes:
        return uv_lock
    for package in tomllib.loads(uv_lock.decode())["package"]:
        if "registry" in package["source"]:
            _check(canonical(package["name"]), package["source"]["registry"], host)
    return _OF_REQUIREMENT.sub(b"", _CONSTRAINTS.sub(b"", uv_lock))


def _check(package: str, place: str, host: Toolchain) -> None:
    """BuildError where uv took a package from a place that is not its index, or is the index of others alone."""
    addresses = {name: _plain(address) for name, address in host.bound_sources.addresses.items()}
    index, place = host.bindings.of(package), _plain(place)
    if index and place != addresses[index]:
        raise BuildError(f"uv took {package} from another place than the index '{index}', its own", fix=_FIX)
    others = [other for other, address in addresses.items() if address == place]
    if not index and others and place not in host.own_sources:
        raise BuildError(f"uv took {package} from the index '{others[0]}', which serves others alone", fix=_FIX)


def _plain(address: str) -> str:
    """An address as it is compared: uv.lock has the path of an index that is a directory."""
    return (pip_settings.local_path(address) or address).rstrip("/")


def asked_for(package: str, host: Toolchain) -> Toolchain:
    """The host to ask for a package: it asks the package's index, and no other is told the name."""
    return host.bound(named_sources.Bindings(default=host.bindings.of(package)))


def shares(names: Iterable[str], host: Toolchain) -> list[tuple[Toolchain, set[str]]]:
    """The names of packages by the index that they come from, each time with the host to ask for them."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(host.bindings.of(name), set()).add(name)
    return [(host.bound(named_sources.Bindings(default=index)), share) for index, share in found.items()]


def remarks(lock: bytes, host: Toolchain) -> Iterator[Remark]:
    """A remark for each bound package that nothing in a lock needs: perhaps its name is written wrongly."""
    there = {name.decode() for name in _NAME.findall(lock)}
    for package, index in host.bindings.packages.items():
        if package not in there:
            message = f"{package}: nothing needs it; is it called otherwise at the index '{index}'?"
            yield Remark(UNNEEDED, package, "", message)


@contextmanager
def asked_on_failure(host: Toolchain) -> Iterator[None]:
    """Say of a failed resolution which named indexes do not answer: uv takes a refusal for an empty index."""
    try:
        yield
    except BuildError as error:
        problems = ((index, ask_named(host.asking(index))) for index in host.bindings.indexes)
        error.details = (*error.details, *(f"the index '{index}': {problem}" for index, problem in problems if problem))
        raise
