"""Threads of one profile and one lock, of which each has the groups of packages that its inputs ask for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import solven_env

if TYPE_CHECKING:
    from tests.run.world import World

PROFILE = """\
version: 1
name: grouped
release: 1.0.0
inputs:
  plots: {type: boolean, default: false}
  colors: {required: false}
  unused: {required: false}
env: {UNUSED: {value: "{{ unused | default('') }}", when: unused}}
path: {prepend: [/.venv/bin, /node_modules/.bin]}
python:
  version: "3.12"
  packages: [six]
  groups:
    plots: {packages: ["packaging>=23"], when: plots}
    always: {packages: [idna]}
bun:
  packages: {is-number: ^7.0.0, wrap-ansi: 7.0.0}
  groups:
    colors: {packages: {ansi-styles: 3.2.1}, when: colors}
dotfiles:
  pyproject.toml: {template: pyproject.toml.j2, own: keys}
  package.json: {template: package.json.j2, own: keys}
"""
HAS = "import importlib.util as u; print(*(n for n in ('six', 'idna', 'packaging') if u.find_spec(n)))"
STYLES = 'console.log(require("ansi-styles/package.json").version, require("wrap-ansi")("a b", 1).length)'


def test_threads_of_one_lock_have_the_groups_of_their_own(world: World) -> None:
    profile = world.base / "grouped.yaml"
    profile.write_text(PROFILE)
    solven_env.lock(profile)
    locked = {file.name: file.read_bytes() for file in (world.base / "grouped.lock").iterdir()}
    assert sorted(locked) == ["bun.lock", "groups.txt", "lock.json", "python.txt"]
    inputs: dict[str, dict[str, str | int]] = {
        "off": {},
        "also-off": {"unused": "x", "plots": "false"},
        "on": {"plots": True, "colors": "yes"},
    }
    keys = {}
    for name, given in inputs.items():
        world.apply(name, profile=profile, inputs=given)
        keys[name] = sorted(world.status(name).builds)
        assert not solven_env.diff(profile, name, storage=world.storage).threads[0].changes
    assert keys["off"] == keys["also-off"]
    assert not set(keys["off"]) & set(keys["on"])
    for name, python, styles in (("off", "six idna", "4.3.0"), ("on", "six idna packaging", "3.2.1")):
        assert world.out(f'python -c "{HAS}"', name) == f"{python}\n"
        # Bun puts a package where another version would have stood
        assert world.out(f"bun -e '{STYLES}'", name).split()[0] == styles
        assert "would make no changes" in world.out("uv sync --locked --offline --dry-run 2>&1", name).lower()
        assert "no changes" in world.out("bun install --frozen-lockfile 2>&1", name)
        listed = {each["name"] for each in json.loads(world.out("uv pip list --format json", name))}
        assert listed == {*python.split(), "pip"}
    solven_env.lock(profile)
    assert {file.name: file.read_bytes() for file in (world.base / "grouped.lock").iterdir()} == locked
    # a thread that gets a group later has another build, and goes back to the first one
    world.apply("off", profile=profile, inputs={"plots": True})
    assert world.out(f'python -c "{HAS}"', "off") == "six idna packaging\n"
    world.apply("off", profile=profile, inputs={"plots": False})
    assert sorted(world.status("off").builds) == keys["also-off"]


def test_groups_that_contradict_each_other_are_a_mistake_at_lock(world: World) -> None:
    profile = world.base / "torn.yaml"
    profile.write_text(
        "version: 1\nname: torn\nrelease: 1.0.0\n"
        'python: {version: "3.12", groups: {a: {packages: ["six<1.16"]}, b: {packages: ["six>=1.16"]}}}\n'
    )
    done = world.cli("lock", str(profile))
    assert done.returncode == 1
    assert b"six" in done.stderr
    assert b"<1.16" in done.stderr
    assert b">=1.16" in done.stderr
    assert not (world.base / "torn.lock").exists()
