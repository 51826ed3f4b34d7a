"""Resolving Python packages into python.txt, by `uv pip compile`, on the host and away from any workspace."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import BuildError
from solven_env.packages import lock_text
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import groups_txt, indexes, requirements_txt
from solven_env.packages.ecosystems.python.pip_pin import with_pip
from solven_env.packages.locks import Resolution
from solven_env.packages.resolving import directory_away, told_of
from solven_env.packages.toolchain import run_uv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.making import Builder
    from solven_env.packages.toolchain import Toolchain

_HEADER = "# Made by `solven-env lock` for Python {version}: versions and digests, and no host. Do not edit.\n"
FIX = "Change the profile's python.packages, or let this host reach its package index."

_ROUNDS = 10


class Declared(NamedTuple):
    """The metadata of an sdist, which uv takes as given, so that it builds nothing to learn it."""

    name: str
    version: str
    """Empty for all versions that have none of their own."""
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    extras: tuple[str, ...] = ()


def resolve(section: row.Python, known: bytes, builder: Builder) -> Resolution:
    """python.txt, pip locked along, and builds.txt where packages are built from their source, with remarks.

    BuildError names all packages that cannot be had.
    """
    from solven_env.packages.ecosystems.python import wheels_only

    limits: tuple[str, ...] = ()
    for _ in range(_ROUNDS):
        text, declared = resolve_text(section, known, builder, limits)
        pins = row.locked(text, row.LOCK).pins
        found = wheels_only.examine(section, pins, builder.host, is_new=not known, declared=declared)
        if not found.limits:
            return Resolution(text, found.remarks)
        limits = (*limits, *found.limits)
    raise BuildError(f"uv finds no wheels for Linux in {_ROUNDS} resolutions: {'; '.join(limits)}", fix=FIX)


def resolve_text(
    section: row.Python, known: bytes, builder: Builder, limits: Sequence[str] = ()
) -> tuple[bytes, tuple[Declared, ...]]:
    """The text of a lock, and the metadata of what is built. `limits` are constraints."""
    before = row.locked(known, row.LOCK) if known else row.Locked(())
    texts, declared = dict[str, bytes](), tuple[Declared, ...]()
    if section.allow_builds:
        from solven_env.packages.ecosystems.python import allowed_builds

        texts, declared = allowed_builds.resolve(section, before, builder, limits)
    else:
        texts[row.LOCK] = compile_profile(section, before.pins, builder.host, limits=limits)
    if section.groups:
        pins = requirements_txt.parse(texts[row.LOCK], row.LOCK)
        texts[row.GROUPS] = _groups(section, pins, builder.host, declared).encode()
    text = lock_text.join(row.LOCKS, texts)
    # A requirement by address, say: its host, and credentials perhaps, would be written down.
    with told_of("uv", FIX):
        row.believe(text, section, row.LOCK)
    return text, declared


def compile_profile(
    section: row.Python,
    preferred: Iterable[Pin],
    host: Toolchain,
    declared: Sequence[Declared] = (),
    limits: Sequence[str] = (),
) -> bytes:
    """python.txt as uv resolves the packages of a profile, under constraints."""
    from solven_env.packages.ecosystems.python import wheels_only

    try:
        pins = compile_pins(
            with_pip(section.packages),
            section.version,
            preferred,
            host,
            declared,
            limits,
            purpose=f"the Python packages cannot be locked for Python {section.version}",
            fix=FIX,
        )
    except BuildError as error:
        raise wheels_only.explain(section, host, error, declared) from None
    return _HEADER.format(version=section.version).encode() + pins


def _groups(section: row.Python, pins: Sequence[Pin], host: Toolchain, declared: Sequence[Declared]) -> str:
    """groups.txt: what each group alone needs of the pins, as uv resolves it when it may have no others."""
    limits = [f"{pin.name}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}" for pin in pins]
    found = []
    for group in section.groups:
        asked = group.packages if group.name else with_pip(group.packages)
        purpose = f"the group {group.name} of python.groups cannot be locked"
        text = compile_pins(asked, section.version, pins, host, declared, limits, purpose=purpose, fix=FIX)
        found.append((group.name, requirements_txt.parse(text, row.GROUPS) if b"==" in text else ()))
    return groups_txt.print_sections(found)


def compile_pins(
    requirements: Iterable[str],
    version: str,
    preferred: Iterable[Pin],
    host: Toolchain,
    declared: Sequence[Declared] = (),
    limits: Sequence[str] = (),
    *,
    purpose: str,
    fix: str,
) -> bytes:
    """The pins of requirements, for every platform: any interpreter of the host will do.

    Of `preferred` uv has the versions alone: it would keep the digests, too, unasked. All packages are wheels, but for
    those that are `declared`, which are sdists. No code of a package runs.
    """
    with directory_away(host.cache) as scratch:
        output = scratch / row.LOCK
        output.write_text(requirements_txt.print_pins(preferred, with_digests=False))
        constraints = scratch / "limits.txt"
        constraints.write_text("".join(f"{limit}\n" for limit in limits))
        (scratch / "uv.toml").write_text("".join(map(declared_to_uv, declared)))
        asked = (*requirements, *indexes.requirements(host, scratch))
        options = (*sources(declared), *indexes.options(host), "--constraints", str(constraints))
        with indexes.asked_on_failure(host):
            run_uv(
                host,
                *("pip", "compile", "--quiet", "--universal", "--generate-hashes", *options),
                *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
                *("--python", sys.executable, "--python-version", version, "--output-file", output, "-"),
                purpose=purpose,
                stdin="\n".join(asked) + "\n",
                fix=fix,
                directory=scratch,
            )
        return indexes.checked(output.read_bytes(), host)


def sources(declared: Iterable[Declared]) -> tuple[str, ...]:
    """The options that allow wheels alone, but for packages that are declared."""
    names = dict.fromkeys(each.name for each in declared)
    return ("--only-binary", ":all:", *(f"--no-binary={name}" for name in names)) if names else ("--no-build",)


def declared_to_uv(declared: Declared, above: str = "") -> str:
    """An entry of uv.toml, or of the table `above` (`tool.uv.`) of a pyproject.toml.

    JSON's strings are TOML's, as far as names and requirements (PEP 508) go.
    """
    lines = {
        "name": declared.name,
        "version": declared.version,
        "requires-dist": declared.requires,
        "requires-python": declared.requires_python,
        "provides-extra": declared.extras,
    }
    told = (f"{name} = {json.dumps(value)}" for name, value in lines.items() if value or name == "requires-dist")
    return "\n".join((f"[[{above}dependency-metadata]]", *told)) + "\n"
