"""Resolving Python packages into python.txt, by `uv pip compile`, on the host and away from any workspace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import requirements_txt
from solven_env.packages.ecosystems.python.pip_pin import with_pip
from solven_env.packages.locks import Resolution
from solven_env.packages.resolving import directory_away, told_of
from solven_env.packages.toolchain import run_uv

if TYPE_CHECKING:
    from solven_env.packages.making import Builder

_HEADER = "# Made by `solven-env lock` for Python {version}: versions and digests, and no host. Do not edit.\n"
_FIX = "Change the profile's python.packages, or let this host reach its package index."


def resolve(section: row.Python, known: bytes, builder: Builder) -> Resolution:
    """python.txt, pip locked along. Any interpreter will do: what is resolved holds for every platform.

    `known` is empty or by the grammar. uv has its versions alone: it would keep the digests, too, unasked.
    """
    host = builder.host
    with directory_away(host.cache) as scratch:
        output = scratch / row.LOCK
        pins = requirements_txt.parse(known, row.LOCK) if known else ()
        output.write_text(requirements_txt.print_pins(pins, with_digests=False))
        run_uv(
            host,
            *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-build"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--python", sys.executable, "--python-version", section.version, "--output-file", output, "-"),
            purpose=f"the Python packages cannot be locked for Python {section.version}",
            stdin="\n".join(with_pip(section.packages)) + "\n",
            fix=_FIX,
        )
        text = _HEADER.format(version=section.version).encode() + output.read_bytes()
    # A requirement by address, say: its host, and credentials perhaps, would be written down.
    with told_of("uv", _FIX):
        row.believe(text, section, row.LOCK)
    return Resolution(text)
