"""The networks that a command can have: a namespace with loopback alone, one behind slirp4netns, or the host's own."""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    Network: TypeAlias = Literal["none", "internet", "host"]

NETWORKS: tuple[Network, ...] = ("none", "internet", "host")
"""Schemas say them too; everything else takes them from here."""
