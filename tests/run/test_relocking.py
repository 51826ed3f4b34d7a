"""A manifest and its lock are one resource: what an agent adds and removes with uv and Bun, through releases."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import solven_env
from solven_env.packages import toolchain
from solven_env.packages.ecosystems.bun import program
from tests.packages.registry import serve
from tests.profiles import write_profile
from tests.run.world import PYTHON, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.packages.registry import Registry

ADD = "uv add -q solven-acme; bun add acme-added 2>/dev/null"
AGREE = "uv lock -q --check; uv sync -q --frozen; bun install --frozen-lockfile --dry-run >/dev/null 2>&1"
"""What must succeed, and change nothing, once the locks say what the manifests ask for."""
CHANGES = "uv sync --frozen --dry-run 2>&1 | grep -E '^ *[-+~] ' || true"


class Releases(NamedTuple):
    """Releases of one profile with invented packages, all that their threads know, and where they come from."""

    registry: Registry
    first: Path
    second: Path
    alone: Path
    """The second one, without Python."""


@pytest.fixture(scope="module")
def releases(caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    program.find(toolchain.host(caches / "solven-env", os.environ))  # which the registry does not have
    with serve() as registry, pytest.MonkeyPatch.context() as patched:
        for name, version, needs in (
            *(("pip", "26.0", ()), ("solven_base", "1.0", ()), ("solven_base", "2.0", ()), ("solven_kit", "1.0", ())),
            *(("solven_dep", "1.0", ()), ("solven_acme", "1.0", ("solven_dep",)), ("solven_old", "1.0", ())),
        ):
            registry.add_wheel(name, version, needs=needs)
        for name, version in (
            ("acme-tool", "1.0.0"),
            ("acme-tool", "2.0.0"),
            ("acme-added", "1.0.0"),
            ("acme-old", "1.0.0"),
        ):
            registry.add_npm(name, version)
        address = f"{registry.address}/simple"
        patched.setenv("UV_DEFAULT_INDEX", address)
        patched.setenv("npm_config_registry", registry.address)
        patched.setenv("XDG_CACHE_HOME", str(caches))
        place = tmp_path_factory.mktemp("releases")
        made = []
        for name, python, tool in (
            ("first", ["solven-base==1.0", "solven-old"], "1.0.0"),
            ("second", ["solven-base==2.0", "solven-old", "solven-kit"], "2.0.0"),
            ("alone", None, "2.0.0"),
        ):
            manifests = {"pyproject.toml": "pyproject.toml.j2", "package.json": "package.json.j2"}
            profile = write_profile(
                place / f"{name}.yaml",
                {file: {"template": template, "own": "keys"} for file, template in manifests.items()},
                sandbox={"network": "host"},
                env={"HOME": "/", "UV_DEFAULT_INDEX": address, "BUN_CONFIG_REGISTRY": registry.address},
                path={"prepend": ["/.venv/bin", "/node_modules/.bin"]},
                **({"python": {"version": PYTHON, "packages": python}} if python else {}),
                bun={"packages": {"acme-tool": tool, "acme-old": "^1.0.0"}},
            )
            solven_env.lock(profile)
            made.append(profile)
        yield Releases(registry, *made)


@pytest.fixture
def added(world: World, releases: Releases) -> World:
    """A thread of the first release, in which an agent has added packages to both projects."""
    world.profile = releases.first
    world.apply()
    world.out(ADD)
    return world


def behind(report: Any) -> list[str]:
    """The locks that a report says are behind."""
    return [each.package for each in report.remarks if each.kind == "lock-behind"]


def agrees(world: World) -> None:
    """The locks say what the manifests ask for, and the environments have it."""
    world.out(AGREE)
    assert world.out(CHANGES) == ""
    assert behind(world.status()) == []
    assert world.status().state == "in-sync"
    before = world.out("sha256sum uv.lock bun.lock pyproject.toml package.json")
    report = world.apply()
    assert (report.changes, behind(report)) == ((), [])
    assert world.out("sha256sum uv.lock bun.lock pyproject.toml package.json") == before


def test_a_lock_that_is_deleted_or_damaged_is_made_anew(added: World) -> None:
    added.out("rm uv.lock bun.lock")  # r12
    report = added.apply()
    assert [change.name for change in report.changes] == ["bun.lock", "uv.lock"]
    agrees(added)
    assert "solven-acme" in added.out("cat uv.lock")

    added.out("echo '<<<<<<<' > uv.lock; : > bun.lock")
    report = added.apply()
    assert ([each.path for each in report.kept], behind(report)) == (["bun.lock", "uv.lock"], [])
    added.out(AGREE)

    added.out("rm uv.lock bun.lock pyproject.toml package.json")
    added.apply()
    assert "acme-added" not in added.out("cat uv.lock bun.lock pyproject.toml package.json")
    assert added.status().state == "in-sync"


def test_a_lock_is_behind_while_no_index_answers(added: World, releases: Releases) -> None:
    added.out('rm bun.lock; sed -i \'s/"solven-acme[^"]*",/"solven-dep",/\' pyproject.toml')
    assert behind(added.status()) == ["uv.lock"]
    diff = solven_env.diff(added.profile, "t1", storage=added.storage)
    messages = [each["message"] for each in diff.to_json()["threads"][0]["remarks"]]  # type: ignore[index]
    assert messages[0] == "uv.lock will be made anew from pyproject.toml"
    pages = dict(releases.registry.pages)
    releases.registry.pages.clear()
    try:
        report = added.apply()
        assert sorted(behind(report)) == sorted(behind(added.status())) == ["bun.lock", "uv.lock"]
        assert added.status().state == "in-sync"
    finally:
        releases.registry.pages.update(pages)
    again = added.apply()
    assert (again.changes, behind(again)) == ((), [])
    added.out("uv sync -q --frozen")
    agrees(added)


def test_a_project_that_was_moved_is_locked_where_it_lies(added: World) -> None:
    added.out(
        "mkdir repo; for each in pyproject.toml uv.lock package.json bun.lock; do mv $each repo; ln -s repo/$each .; done;"
        'rm repo/uv.lock; sed -i \'s/"solven-acme[^"]*",/"solven-dep",/\' repo/pyproject.toml; rm uv.lock; ln -s repo/uv.lock .'
    )
    added.out('cd repo; uv lock -q; sed -i \'s/"solven-dep[^"]*",/"solven-acme",/\' pyproject.toml')
    assert behind(added.status()) == ["repo/uv.lock"]
    added.apply()
    assert added.out("readlink uv.lock bun.lock").split() == ["repo/uv.lock", "repo/bun.lock"]
    assert "solven-acme" in added.out("cat repo/uv.lock")
    agrees(added)


def test_a_release_merges_with_what_the_agent_added_and_removed(added: World, releases: Releases) -> None:
    added.out("uv remove -q solven-old; bun remove acme-old 2>/dev/null")
    added.profile = releases.second
    report = added.apply()
    assert behind(report) == []
    asked = added.out("grep -o 'solven[a-z=.>0-9-]*' pyproject.toml").split()
    assert sorted(asked) == ["solven-acme>=1.0", "solven-base==2.0", "solven-kit"]
    added.out("uv lock -q --check; bun install --frozen-lockfile 2>/dev/null")
    locked = added.out("cat uv.lock bun.lock")
    assert "solven-old" not in locked
    assert "acme-old" not in locked
    assert added.out(CHANGES) == ""
    agrees(added)

    before = added.out("cat uv.lock")
    added.profile = releases.alone
    report = added.apply()
    assert "uv.lock" not in [change.name for change in report.changes]
    assert added.out("cat uv.lock") == before
    assert behind(added.status()) == []
    assert added.apply().changes == ()
