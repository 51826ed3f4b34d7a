"""Whatever releases, edits as uv and Bun make them, moves and crashes come over shared manifests: nothing of the agent's
is lost, and nothing that it did stands against a release.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.conftest import MEMORY
from tests.reconcile.crashes import dies_at
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread

if TYPE_CHECKING:
    from solven_env.reconcile.model import Desired

OURS, MINE = ("certifi", "idna", "six"), ("attrs", "humanize", "zope")
PYTHON, BUN = "pyproject.toml", "package.json"
PACKAGES = st.dictionaries(st.sampled_from(OURS), st.integers(0, 9), max_size=3)
_ARRAY = re.compile(r"^dependencies = \[(.*?)\]$", re.MULTILINE | re.DOTALL)


def release(packages: dict[str, int], value: int, mode: str = "0644") -> Desired:
    """What a release asks: both manifests with these packages, and a table that says `value`."""
    lines = "".join(f'    "{name}>={least}",\n' for name, least in sorted(packages.items()))
    manifest = f'[project]\nname = "workspace"\nversion = "{value}"\ndependencies = [\n{lines}]\n'
    if value % 2:
        manifest += f"\n# ours\n[tool.ours]\nvalue = {value}\n"
    found = {
        "name": "workspace",
        "version": str(value),
        "dependencies": {name: f"^1.{packages[name]}.0" for name in packages},
    }
    return wanted(
        {PYTHON: text(manifest, mode), BUN: text(json.dumps(found, indent=2) + "\n", mode)},
        keys=(PYTHON, BUN),
        release=f"1.{value}.0",
    )


RELEASES = st.builds(release, PACKAGES, st.integers(0, 5), st.sampled_from(["0644", "0600"]))


class SharedFiles(RuleBasedStateMachine):
    """One thread, its releases and its agent, which adds and removes packages."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "fsync", lambda descriptor: None)
        self.thread = Thread(Path(tempfile.mkdtemp(dir=MEMORY)) / "storage")
        self.numbers = itertools.count()
        self.added: dict[str, dict[str, str]] = {PYTHON: {}, BUN: {}}
        self.removed: dict[str, set[str]] = {PYTHON: set(), BUN: set()}
        self.remarks: set[str] = set()
        self.edited: set[str] = set()

    def teardown(self) -> None:
        """Nothing is left behind."""
        shutil.rmtree(self.thread.storage.parent)
        self.patch.undo()

    @initialize(asked=RELEASES)
    def start(self, asked: Desired) -> None:
        self.thread.storage.mkdir()
        self.asked = asked
        self.releases = [asked]
        self.thread.apply(asked)

    # The agent

    @rule(name=st.sampled_from((*OURS, *MINE)), least=st.integers(0, 9))
    def uv_add(self, name: str, least: int) -> None:
        def edit(lines: list[str]) -> list[str]:
            others = [line for line in lines if name_in(line) != name]
            new = f'    "{name}>={least}",'
            return sorted([*others, new]) if others == sorted(others) else [*others, new]

        self.edit_array(edit)
        self.note(PYTHON, name, f">={least}")

    @rule(name=st.sampled_from((*OURS, *MINE)))
    def uv_remove(self, name: str) -> None:
        had = self.edit_array(lambda lines: [line for line in lines if name_in(line) != name])
        self.note(PYTHON, name, "", had=any(name_in(line) == name for line in had))

    @rule(name=st.sampled_from((*OURS, *MINE)), minor=st.integers(0, 9), is_dev=st.booleans())
    def bun_add(self, name: str, minor: int, is_dev: bool) -> None:
        data = json.loads(self.file(BUN).read_text())
        table = "devDependencies" if is_dev and name in MINE else "dependencies"
        for each in ("dependencies", "devDependencies"):
            data.get(each, {}).pop(name, None)
        data[table] = dict(sorted([*data.get(table, {}).items(), (name, f"^1.{minor}.0")]))
        self.write_json(data)
        self.note(BUN, name, f"^1.{minor}.0")

    @rule(name=st.sampled_from((*OURS, *MINE)))
    def bun_remove(self, name: str) -> None:
        data = json.loads(self.file(BUN).read_text())
        had = any(data.get(each, {}).pop(name, None) for each in ("dependencies", "devDependencies"))
        self.write_json(data)
        self.note(BUN, name, "", had=had)

    @rule()
    def remark(self) -> None:
        remark = f"# mine {next(self.numbers)}"
        self.file(PYTHON).write_text(f"{remark}\n{self.file(PYTHON).read_text()}")
        self.remarks.add(remark)
        self.edited.add(PYTHON)

    @rule()
    def add_a_table(self) -> None:
        number = next(self.numbers)
        with self.file(PYTHON).open("a") as file:
            file.write(f"\n[tool.mine{number}] # mine {number} too\nvalue = {number}\n")
        self.remarks.add(f"# mine {number} too")
        self.edited.add(PYTHON)

    @rule(path=st.sampled_from((PYTHON, BUN)), mode=st.sampled_from((0o600, 0o755)))
    def chmod(self, path: str, mode: int) -> None:
        self.file(path).chmod(mode)

    @precondition(lambda self: not (self.thread.workspace / PYTHON).is_symlink())
    @rule()
    def move_into_a_repository(self) -> None:
        (self.thread.workspace / "repo").mkdir()
        for path in (PYTHON, BUN):
            (self.thread.workspace / path).rename(self.thread.workspace / "repo" / path)
            (self.thread.workspace / path).symlink_to(f"repo/{path}")

    # The operator

    @rule(asked=RELEASES)
    def release_and_apply(self, asked: Desired) -> None:
        self.ask(asked)
        self.apply()

    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        self.ask(data.draw(st.sampled_from(self.releases)))
        self.apply()

    @rule(asked=RELEASES, effect=st.integers(0, 60))
    def release_and_die(self, asked: Desired, effect: int) -> None:
        self.ask(asked)
        dies_at(effect, lambda: self.thread.apply(self.asked))

    @rule()
    def apply(self) -> None:
        self.thread.apply(self.asked)  # never refused: no edit above stands against a release
        self.thread.check_in_sync(self.asked)
        for path in (PYTHON, BUN):
            state = self.asked.states[f"file:{path}"]
            assert f"{stat.S_IMODE(self.file(path).stat().st_mode):04o}" == state.mode
            assert path in self.edited or self.file(path).read_bytes() == state.data
        assert tomllib.loads(self.file(PYTHON).read_text())["project"]["version"] == self.version()

    # Promises

    @invariant()
    def what_the_agent_added_is_there(self) -> None:
        if not hasattr(self, "asked"):
            return
        for path, packages in self.added.items():
            assert packages.items() <= self.packages(path).items()
        for path, names in self.removed.items():
            assert not names & self.packages(path).keys()
        written = self.file(PYTHON).read_text()
        assert all(remark in written for remark in self.remarks)

    @invariant()
    def a_link_stays(self) -> None:
        if (self.thread.workspace / "repo").exists():
            assert all((self.thread.workspace / path).is_symlink() for path in (PYTHON, BUN))

    # Steps

    def file(self, path: str) -> Path:
        """A manifest."""
        return self.thread.workspace / path

    def version(self) -> str:
        """The version that the release asks for."""
        data = self.asked.states[f"file:{PYTHON}"].data or b""
        found = tomllib.loads(data.decode())["project"]["version"]
        assert isinstance(found, str)
        return found

    def packages(self, path: str) -> dict[str, str]:
        """All packages of a manifest, and their ranges."""
        written = self.file(path).read_text()
        if path == BUN:
            data = json.loads(written)
            return {**data.get("dependencies", {}), **data.get("devDependencies", {})}
        items = tomllib.loads(written)["project"]["dependencies"]
        return {item.partition(">=")[0]: f">={item.partition('>=')[2]}" for item in items}

    def ask(self, asked: Desired) -> None:
        """Ask for a release. What it does not have comes back with a later one that does, were it removed."""
        self.asked = asked
        self.releases.append(asked)
        for path, names in self.removed.items():
            data = (asked.states[f"file:{path}"].data or b"").decode()
            names.intersection_update([name for name in names if f'"{name}' in data])

    def note(self, path: str, name: str, wanted_range: str, *, had: bool = False) -> None:
        """Note what the agent did to a package. One of ours is a release's still, in which its range may rise."""
        asked = (self.asked.states[f"file:{path}"].data or b"").decode()
        self.edited.add(path)
        self.added[path].pop(name, None)
        self.removed[path].discard(name)
        if wanted_range and name in MINE:
            self.added[path][name] = wanted_range
        elif not wanted_range and had and f'"{name}' in asked and self.thread.plan(self.asked).is_recorded:
            self.removed[path].add(name)

    def edit_array(self, edit: Any) -> list[str]:
        """Rewrite the lines of the dependencies as uv does, and return those that were there."""
        written = self.file(PYTHON).read_text()
        found = _ARRAY.search(written)
        assert found, written
        lines = [line for line in found[1].split("\n") if line.strip()]
        inside = "".join(f"{line}\n" for line in edit(lines))
        array = f"dependencies = [\n{inside}]" if inside else "dependencies = []"
        self.file(PYTHON).write_text(written[: found.start()] + array + written[found.end() :])
        return lines

    def write_json(self, data: dict[str, Any]) -> None:
        """Write a manifest as Bun does: without tables in which nothing is."""
        kept = {key: value for key, value in data.items() if value != {}}
        self.file(BUN).write_text(json.dumps(kept, indent=2) + "\n")


def name_in(line: str) -> str:
    """The package of a line of dependencies."""
    return line.strip().strip('",').partition(">=")[0]


TestSharedFiles = SharedFiles.TestCase
TestSharedFiles.settings = settings(
    max_examples=int(os.environ.get("SOLVEN_ENV_TEST_EDITS", "25")),
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
