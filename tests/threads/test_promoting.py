"""A profile and its lock edited so that they bring what a thread added: both or none."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env import errors
from solven_env.packages import toolchain
from solven_env.packages.ecosystems.bun import program
from tests.packages.registry import serve
from tests.run.conftest import world  # noqa: F401 - a fixture
from tests.run.world import PYTHON, World
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.packages.registry import Registry

PROFILE = """\
# Ours.
version: 1
name: test
release: 1.0.0
sandbox: {{network: host}}
env: {{HOME: /, UV_DEFAULT_INDEX: "{address}/simple", BUN_CONFIG_REGISTRY: "{address}"}}
path: {{prepend: [/.venv/bin, /node_modules/.bin]}}
python:
  version: "{python}"
  packages:
    - solven-base # all need it
bun: {{packages: {{acme-tool: ^1.0.0}}}}
dotfiles:
  pyproject.toml: {{template: pyproject.toml.j2, own: keys}}
  package.json: {{template: package.json.j2, own: keys}}
"""


@pytest.fixture(scope="module")
def registry(caches: Path) -> Iterator[Registry]:
    program.find(toolchain.host(caches / "solven-env", os.environ))  # which the registry does not have
    with serve() as found, pytest.MonkeyPatch.context() as patched:
        for name, version, needs in (
            *(("pip", "26.0", ()), ("solven_base", "1.0", ()), ("solven_dep", "1.0", ())),
            *(
                ("solven_acme", "1.0", ("solven_dep",)),
                ("solven_acme", "2.0", ("solven_dep",)),
                ("solven_hand", "1.0", ()),
            ),
        ):
            found.add_wheel(name, version, needs=needs)
        for name, version in (("acme-tool", "1.0.0"), ("acme-added", "1.0.0"), ("acme-added", "1.1.0")):
            found.add_npm(name, version)
        patched.setenv("UV_DEFAULT_INDEX", f"{found.address}/simple")
        patched.setenv("npm_config_registry", found.address)
        patched.setenv("XDG_CACHE_HOME", str(caches))
        yield found


@pytest.fixture
def added(world: World, registry: Registry, tmp_path: Path) -> World:  # noqa: F811
    """A thread that added packages: by its manifests, and by hand; and that removed one."""
    world.profile = tmp_path / "team.yaml"
    world.profile.write_text(PROFILE.format(address=registry.address, python=PYTHON))
    world.profile.chmod(0o640)
    solven_env.lock(world.profile)
    world.apply()
    world.out("uv add -q solven-acme==1.0; uv pip install -q solven-hand; bun add acme-added@1.0.0 2>/dev/null")
    return world


def test_a_thread_is_promoted_into_its_profile_and_lock(added: World) -> None:
    before = added.profile.read_text()
    lock = added.profile.with_suffix(".lock")
    was = snapshot(lock)
    dry = solven_env.promote("t1", added.profile, storage=added.storage, dry_run=True)
    assert "+    - solven-acme==1.0\n" in dry.diff
    assert (added.profile.read_text(), snapshot(lock)) == (before, was)

    report = solven_env.promote("t1", added.profile, storage=added.storage)
    assert added.profile.read_text() == before.replace(
        "- solven-base # all need it\n", "- solven-base # all need it\n    - solven-acme==1.0\n    - solven-hand>=1.0\n"
    ).replace("acme-tool: ^1.0.0}", 'acme-tool: ^1.0.0, acme-added: "1.0.0"}')
    assert stat.S_IMODE(added.profile.stat().st_mode) == 0o640
    assert report.lock is not None
    pinned = [str(change) for changes in report.lock.versions.values() for change in changes]
    assert pinned == ["+ solven-acme 1.0", "+ solven-dep 1.0", "+ solven-hand 1.0", "+ acme-added 1.0.0"]
    assert not any(b"127.0.0.1" in path.read_bytes() for path in lock.iterdir())

    again = solven_env.promote("t1", added.profile, storage=added.storage)
    assert (again.diff, {each.outcome for each in again.packages}) == ("", {"pinned"})
    added.apply()
    after = solven_env.promote("t1", added.profile, storage=added.storage)
    assert (after.packages, after.lock) == ((), None)


def test_nothing_is_written_where_no_lock_can_be_made(added: World, registry: Registry) -> None:
    before, was = added.profile.read_text(), snapshot(added.profile.with_suffix(".lock"))
    pages = dict(registry.pages)
    del registry.pages["/simple/solven-acme/"]
    try:
        with pytest.raises(errors.BuildError):
            solven_env.promote("t1", added.profile, storage=added.storage)
    finally:
        registry.pages.update(pages)
    assert (added.profile.read_text(), snapshot(added.profile.with_suffix(".lock"))) == (before, was)
    with pytest.raises(errors.UsageError, match="shipped profile is not edited"):
        solven_env.promote("t1", "solven", storage=added.storage)
