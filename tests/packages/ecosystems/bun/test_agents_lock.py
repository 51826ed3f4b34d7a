"""A workspace's bun.lock held against its package.json: what Bun calls in order, and what nobody wrote."""

from __future__ import annotations

import json
import time

import pytest

from solven_env.packages.ecosystems.bun import agents_lock

DIGEST = "sha512-" + "A" * 86 + "=="


def manifest(**fields: object) -> bytes:
    return json.dumps({"name": "workspace", **fields}).encode()


def lock(packages: dict[str, str], **fields: object) -> bytes:
    """A lock as Bun writes it, of packages at the top (`ms`: `ms@2.1.3`) and what the project asks for."""
    lines = "\n\n".join(f'    "{key}": ["{pin}", "", {{}}, "{DIGEST}"],' for key, pin in packages.items())
    own = json.dumps({"name": "workspace", **fields}).removesuffix("}") + ",}"
    return (
        f'{{\n  "lockfileVersion": 2,\n  "workspaces": {{\n    "": {own},\n  }},\n  "packages": {{\n{lines}\n  }}\n}}\n'
    ).encode()


MS = {"ms": "ms@2.1.3"}
IN_ORDER = [
    (manifest(), None),  # Bun keeps no lock of nothing
    (manifest(dependencies={}), None),
    (manifest(dependencies={"ms": "^2.1.0"}), lock(MS, dependencies={"ms": "^2.1.0"})),
    (manifest(dependencies={"ms": "^2.1.0"}), lock(MS, dependencies={"ms": ""})),  # as `bun add` leaves it
    (manifest(dependencies={"ms": "github:a/b"}), lock({"ms": "ms@github:a/b#1"}, dependencies={"ms": ""})),
    (manifest(devDependencies={"ms": "*"}), lock(MS, devDependencies={"ms": "*"})),
    (b"{", None),
    (b"[]", b""),
    (manifest(dependencies=[]), b"{"),
]
BEHIND = [
    (manifest(dependencies={"ms": "^2.1.0"}), None),
    (manifest(dependencies={"ms": "^2.1.0"}), b""),
    (manifest(dependencies={"ms": "^2.1.0"}), b"<<<<<<<\n" + lock(MS, dependencies={"ms": "^2.1.0"})),
    (manifest(dependencies={"ms": "^2.1.0", "a": "1"}), lock(MS, dependencies={"ms": "^2.1.0"})),
    (manifest(dependencies={}), lock(MS, dependencies={"ms": "^2.1.0"})),
    (manifest(dependencies={"ms": "^2.2.0"}), lock(MS, dependencies={"ms": "^2.1.0"})),
    (manifest(dependencies={"ms": "^3.0.0"}), lock(MS, dependencies={"ms": ""})),
    (manifest(devDependencies={"ms": "^2.1.0"}), lock(MS, dependencies={"ms": "^2.1.0"})),
    (manifest(dependencies={"ms": "^2.1.0"}), b'{"workspaces": {"": {"dependencies": 3}}}'),
]


@pytest.mark.parametrize(("project", "locked"), IN_ORDER)
def test_a_lock_is_in_order(project: bytes, locked: bytes | None) -> None:
    assert not agents_lock.is_behind(project, locked)


@pytest.mark.parametrize(("project", "locked"), BEHIND)
def test_a_lock_is_behind(project: bytes, locked: bytes | None) -> None:
    assert agents_lock.is_behind(project, locked)


def test_the_beginning_has_the_further_packages() -> None:
    build = lock(MS, dependencies={"ms": "^2.1.0"})
    agents = lock({"is-odd": "is-odd@3.0.1", "ms": "ms@2.0.0", "is-odd/ms": "ms@1.0.0", "ms/a": "a@1.0.0"})
    begun = agents_lock.beginning(build, agents)
    assert begun == lock({**MS, "is-odd": "is-odd@3.0.1", "is-odd/ms": "ms@1.0.0"}, dependencies={"ms": "^2.1.0"})
    assert agents_lock.beginning(begun, agents) == begun
    assert agents_lock.is_readable(begun)


@pytest.mark.parametrize("agents", [b"", b"{", b"\xff", b'    "a": ["a@1.0.0", ]]]],\n', lock({"a": 'a@1"'})])
def test_nothing_of_a_damaged_lock_is_taken(agents: bytes) -> None:
    build = lock(MS, dependencies={"ms": "^2.1.0"})
    assert agents_lock.beginning(build, agents) == build


HOSTILE = [
    b"[" * 200_000,
    b'"' * 100_001,
    b"," + b" " * 1_000_000,
    b'{"a": ' * 100_000,
    b'"\\' * 500_000,
    b"9" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_take_little_time_and_raise_nothing(text: bytes) -> None:
    begun = time.process_time()
    agents_lock.is_readable(text)
    agents_lock.is_behind(manifest(dependencies={"ms": "1"}), text)
    agents_lock.is_behind(text, lock(MS))
    agents_lock.beginning(lock(MS), text)
    assert time.process_time() - begun < 5
