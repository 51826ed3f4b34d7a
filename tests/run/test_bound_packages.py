"""A thread whose packages come from named sources, by the command line: each name asked of its own, nothing shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.packages.registry import basic, serve, wheel
from tests.run.world import World, own_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.packages.registry import Registry

PASSWORD, TOKEN = "sesame-of-the-index", "sesame-of-the-registry"
CANARIES = (PASSWORD, TOKEN, "canary-of-the-index", "canary-of-the-registry")
PROFILE = """\
version: 1
name: bound
release: 1.0.0
env: {HOME: /}
path: {prepend: [/.venv/bin, /node_modules/.bin]}
python:
  version: "3.12"
  packages: ["acme-app[x]", acme-model]
  indexes: [{name: company, packages: [acme-core, acme-torch]}, {name: disk, packages: [acme-extra]}]
bun:
  packages: {acme-tool: ^1.0.0, other: "npm:@company/kit@^1.0.0"}
  scopes: ["@company"]
dotfiles:
  pyproject.toml: {template: pyproject.toml.j2, own: keys}
  package.json: {template: package.json.j2, own: keys}
"""
WHEELS = {
    "public": (
        ("acme_app", "1.0", ("acme_core", "acme_extra; extra == 'x'")),
        ("acme_model", "1.0", ("acme_torch>=2",)),
        ("pip", "26.0", ()),
        *((bait, "9.0", ()) for bait in ("acme_core", "acme_extra", "acme_torch")),
    ),
    "private": (
        ("acme_core", "1.0", ("pip",)),
        ("acme_torch", "2.6.0+cpu", ()),
        *((bait, "99.0", ()) for bait in ("acme_app", "acme_model", "acme_extra", "pip")),
    ),
}


class Sources(NamedTuple):
    """What serves packages to everybody, and to the company alone; each holds baits of what the other serves."""

    public_index: Registry
    company_index: Registry
    public_registry: Registry
    company_registry: Registry

    def asked(self) -> list[set[str]]:
        """The names that each was asked for; all forget."""
        found = []
        for each in self:
            paths = [path.partition("/-/")[0].replace("%2f", "/") for path in each.seen if "/files/" not in path]
            found.append({re.sub(r"^(?:/canary[^/]*)?(?:/simple)?/|/$", "", path) for path in paths})
            each.seen.clear()
        return found


@contextmanager
def sources() -> Iterator[Sources]:
    index, registry = serve(), serve()
    company_index = serve(basic("ada", PASSWORD), below="/canary-of-the-index")
    company_registry = serve(f"Bearer {TOKEN}", below="/canary-of-the-registry")
    with index as public, company_index as private, registry as npm, company_registry as scoped:
        for served, wheels in ((public, WHEELS["public"]), (private, WHEELS["private"])):
            for name, version, needs in wheels:
                served.add_wheel(name, version, needs=needs)
        scoped.address += "/canary-of-the-registry"
        scoped.add_npm("@company/kit", "1.0.0", needs={"acme-tool": "*", "@company/core": "*"})
        scoped.add_npm("@company/core", "1.0.0")
        scoped.add_npm("acme-tool", "1.9.0")
        npm.add_npm("acme-tool", "1.0.0", needs={"@company/core": "*"})
        for bait in ("@company/kit", "@company/core"):
            npm.add_npm(bait, "1.9.0")
        yield Sources(public, private, npm, scoped)


@pytest.fixture
def at_company(world: World, caches: Path) -> Iterator[tuple[World, Sources]]:
    """A host with these sources, whose store is empty."""
    world.apply("warm")
    with sources() as served:
        (world.base / "token").write_text(f"{TOKEN}\n")
        (world.base / "home/.npmrc").write_text(f"registry={served.public_registry.address}/\n")
        world.environ |= {
            "XDG_CACHE_HOME": str(own_cache(world, caches)),
            "HOME": str(world.base / "home"),
            "UV_CACHE_DIR": str(world.base / "uv"),
            "UV_DEFAULT_INDEX": f"{served.public_index.address}/simple",
            "PIP_CONFIG_FILE": os.devnull,
            "COMPANY_PASSWORD": PASSWORD,
        }
        (world.base / "bound.yaml").write_text(PROFILE)
        page = world.base / "index/simple/acme-extra/index.html"
        page.parent.mkdir(parents=True)
        page.write_text('<a href="../../acme_extra-1.0-py3-none-any.whl">acme_extra-1.0-py3-none-any.whl</a>')
        made = wheel("acme_extra", "1.0", {"acme_extra.py": b""})
        (world.base / "index/acme_extra-1.0-py3-none-any.whl").write_bytes(made)
        (world.base / "config.yaml").write_text(
            f"""\
indexes:
  company:
    url: {served.company_index.address}/canary-of-the-index/simple
    username: ada
    password: {{from: environment, name: COMPANY_PASSWORD}}
  disk: {{url: "file://{world.base}/index/simple"}}
npm_scopes:
  "@company": {{url: {served.company_registry.address}, token: {{from: file, path: {world.base}/token}}}}
"""
        )
        yield world, served


def test_each_name_is_asked_of_its_own_source_and_nothing_of_it_is_shown(at_company: tuple[World, Sources]) -> None:
    world, served = at_company
    shown, printed = set[str](), b""

    def look() -> None:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = place.read_bytes().decode(errors="replace")
            except OSError:
                continue
            shown.update(canary for canary in CANARIES if canary in line)

    for source in served:
        source.watch = look
    theirs = ({"acme-app", "acme-model", "pip"}, {"acme-core", "acme-torch"})
    npms = ({"acme-tool"}, {"@company/kit", "@company/core"})
    steps: list[tuple[str, ...]] = [
        ("lock", "bound.yaml"),
        ("lock", "bound.yaml", "--check", "--resolve"),
        ("apply", "bound.yaml", "t9", "--format", "json"),
    ]
    for words in steps:
        done = world.cli(*words)
        assert done.returncode == 0, done.stderr.decode()
        printed += done.stdout + done.stderr
        python, company, npm, scoped = served.asked()
        assert (python, company) == theirs, words
        assert (npm, scoped) == npms, words
    script = "python -c 'import acme_core, acme_torch; print(acme_torch.ANSWER)'; uv pip list --format freeze; env; "
    nothing = "uv sync --frozen --inexact --no-python-downloads --dry-run 2>&1; bun install --frozen-lockfile"
    commands: list[tuple[str, ...]] = [
        ("run", "t9", "--explain", "--", "true"),
        ("diff", "bound.yaml", "t9", "--format", "json"),
        ("run", "t9", "--shell", f"set -e; {script}{nothing}"),
    ]
    for words in commands:
        done = world.cli(*words)
        assert done.returncode == 0, (words, done.stderr.decode())
        printed += done.stdout + done.stderr
    assert (
        b"42\n" in printed
        and b"acme-extra==1.0" in printed
        and b"acme-torch==2.6.0+cpu" in printed
        and b"acme-core==1.0" in printed
    )
    assert b"Would make no changes" in printed and b"(no changes)" in printed
    assert served.asked() == [set()] * 4
    assert shown == set()
    assert not any(canary.encode() in printed for canary in CANARIES)
    places = [world.storage, world.base / "cache", world.base / "data", world.base / "bound.lock"]
    found = subprocess.run(["grep", "-rlE", "|".join(CANARIES), *places], capture_output=True, text=True, check=False)
    named = found.stdout.splitlines()
    # uv's own locks name indexes; the bytes of a workspace's are kept, by their digest.
    assert [path for path in named if not path.endswith("/uv.lock") and "/.solven-env/rendered/" not in path] == []
    found = subprocess.run(
        ["grep", "-rlE", f"{PASSWORD}|{TOKEN}", *places], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""
    pins = (world.base / "bound.lock/python.txt").read_text()
    assert "acme-torch==2.6.0+cpu \\\n" in pins and "acme-app==1.0 \\\n" in pins
    kept = json.loads((world.base / "bound.lock/lock.json").read_text())
    assert sorted(kept["files"]) == ["bun.lock", "python.txt"]
    check_that_lacking_names_are_told(world)
    assert served.asked() == [set()] * 4


def check_that_lacking_names_are_told(world: World) -> None:
    """What another host says, whose configuration names nothing."""
    another: dict[str, Any] = {
        "SOLVEN_ENV_CONFIG": str(world.base / "empty.yaml"),
        "XDG_CACHE_HOME": str(world.base / "another"),
    }
    (world.base / "empty.yaml").touch()
    lacking = (
        "the profile names the index 'company', and this host's configuration has no index of that name",
        f"Add to {world.base}/empty.yaml: 'indexes: {{company: {{url: \"https://…\"}}}}'.",
        f"Add to {world.base}/empty.yaml: 'indexes: {{disk: {{url: \"https://…\"}}}}'.",
        "the profile names the scope '@company', and this host's configuration has no scope of that name",
        f'Add to {world.base}/empty.yaml: \'npm_scopes: {{"@company": {{url: "https://…"}}}}\'.',
    )
    for words in (
        ("lock", "bound.yaml"),
        ("apply", "bound.yaml", "t8"),
    ):
        done = world.cli(*words, **another)
        assert done.returncode == 1
        assert all(line in done.stderr.decode() for line in lacking), done.stderr.decode()
    assert world.cli("validate", "bound.yaml", **another).returncode == 0
