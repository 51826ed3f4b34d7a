"""The probe: every way out that we know of, tried inside, and first where there is no wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.attacks import count
from tests.hostile.world import probe, probe_network
from tests.sandbox.hosting import running
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.attacks import Attack
    from tests.sandbox.running import Box

KINDS = (
    *("system calls", "namespaces", "mounts", "rights", "processes", "kernel's files", "devices", "files outside"),
    *("read-only mounts", "layers", "set-uid programs", "descriptors", "sockets", "shared memory and queues", "keys"),
)
LEAST = 120 if ROOT else 100


@pytest.mark.attack
def test_no_way_leads_out(box: Box, attacks: Callable[[list[Attack]], None]) -> None:
    made = probe(box, KINDS)
    attacks(made)
    assert [each for each in made if each.outcome == "open"] == []
    assert count(made, "held") >= LEAST


@pytest.mark.attack
def test_no_way_leads_to_the_host_or_what_is_private(box: Box, attacks: Callable[[list[Attack]], None]) -> None:
    with running() as host:
        made = probe_network(box, host)
    attacks(made)
    assert [each for each in made if each.outcome == "open"] == []
    assert count(made, "held") >= 100
