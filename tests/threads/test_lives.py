"""Whatever releases, agents, hosts and crashes come over a thread: what the agent added stays, and applies converge."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import solven_env
from solven_env import applying
from solven_env.packages import additions, builds, carrying, store
from solven_env.packages.additions import NONE
from solven_env.profile.model import SandboxSection
from solven_env.profile.render import RenderedFile
from solven_env.reconcile.desired import desired
from solven_env.run import execute
from solven_env.threads import noting
from solven_env.threads.planning import Wanted
from solven_env.threads.thread import Thread
from tests.conftest import MEMORY
from tests.reconcile.crashes import dies_at
from tests.reconcile.states import profile
from tests.threads import invented

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.packages.about_layers import Fate
    from solven_env.report import ThreadReport

EXAMPLES = int(os.environ.get("SOLVEN_ENV_TEST_LIVES", "8"))

RELEASES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "1.0.0": {"python": {"base": "1", "six": "1"}, "bun": {"base": "1.0.0", "tool": "1.0.0"}},
    "1.1.0": {"python": {"base": "1", "six": "1", "kit": "1"}, "bun": {"base": "1.0.0", "tool": "1.0.0"}},
    "2.0.0": {"python": {"base": "2", "six": "2"}, "bun": {"base": "1.0.0", "tool": "2.0.0", "extra": "1.0.0"}},
    "3.0.0": {"python": {"base": "2", "rich": "2"}, "bun": {"base": "2.0.0"}},
}
"""The packages that each release's builds bring. `base` is what no agent touches."""
AGENTS = {
    "python": [(name, version) for name in ("rich", "humanize", "six", "kit") for version in ("1", "2")],
    "bun": [(name, version) for name in ("pad", "@s/b", "tool", "extra") for version in ("1.0.0", "2.0.0")],
}
PACKAGES = st.sampled_from([(kind, *package) for kind, packages in AGENTS.items() for package in packages])
FILES = {".bashrc": "0644", "bin/hello": "0755"}
"""Files of all releases, and of some."""
HOSTS = ("here", "there")


class Lives(RuleBasedStateMachine):
    """One thread on two hosts: its operator and its agent."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.base = Path(tempfile.mkdtemp(prefix="solven-", dir=MEMORY))
        for place, name in (
            *((builds, "find"), (builds, "obtain")),
            (execute, "begin"),
        ):
            self.patch.setattr(place, name, getattr(invented, name))
        self.patch.setattr(builds, "builder", lambda *_: None)
        self.patch.setattr(os, "fsync", lambda _: None)
        for module in (carrying, store):
            self.patch.setattr(module, "sync_file_system", lambda _: None)
        (self.base / "config.yaml").write_text("")
        self.patch.setenv("SOLVEN_ENV_CONFIG", str(self.base / "config.yaml"))
        self.backend = "bubblewrap"
        self.lives = dict.fromkeys(AGENTS, NONE)
        self.gone: dict[tuple[str, str], frozenset[str]] = defaultdict(frozenset)
        self.there: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.release = ""
        self.managed: dict[int, dict[str, tuple[bytes, int]]] = {}
        self.move(HOSTS[0])

    def teardown(self) -> None:
        """Nothing is left behind."""
        self.patch.undo()
        shutil.rmtree(self.base)

    @initialize(backend=st.sampled_from(("bubblewrap", "proot")), release=st.sampled_from(sorted(RELEASES)))
    def begin(self, backend: str, release: str) -> None:
        self.backend = backend
        self.apply(release)

    # The operator

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def apply(self, release: str) -> None:
        had = {kind: self.own(kind) for kind in AGENTS}
        report = self.applied(release)
        self.settle()
        invented.begin(self.thread)
        self.check(had, report.carried)
        self.managed[report.generation] = self.files()
        again = self.applied(release)
        assert (again.changes, again.carried, again.generation) == ((), (), report.generation)

    @rule(which=st.integers(0, 99), effect=st.one_of(st.none(), st.integers(0, 250)))
    def roll_back(self, which: int, effect: int | None) -> None:
        """Go back to a generation of which all that it managed is known, or die on the way there."""
        number = sorted(self.managed)[which % len(self.managed)]

        def act() -> ThreadReport:
            return solven_env.rollback("t1", number, storage=f"{self.base}/storage", on_conflict="overwrite").threads[0]

        had = {kind: self.own(kind) for kind in AGENTS}
        if effect is None:
            report = act()
        elif dies_at(effect, act):
            self.settle()
            return
        self.settle()
        assert self.files() == self.managed[number]
        invented.begin(self.thread)
        self.check(had, report.carried if effect is None else None)

    @rule(release=st.sampled_from(sorted(RELEASES)), effect=st.integers(0, 250))
    def apply_and_die(self, release: str, effect: int) -> None:
        dies_at(effect, lambda: self.applied(release))
        self.settle()

    @rule(host=st.sampled_from(HOSTS))
    def move(self, host: str) -> None:
        """Go on, on another host: what was added here is noted, as `stop` does."""
        if self.release:
            self.command()
            noting.note_all(self.thread)
        self.host = host
        for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
            place = self.base / host / variable
            (place / "solven-env").mkdir(parents=True, exist_ok=True, mode=0o700)
            self.patch.setenv(variable, str(place))

    @rule()
    def lose_the_builds(self) -> None:
        shutil.rmtree(self.base / self.host / "XDG_CACHE_HOME/solven-env/builds", ignore_errors=True)

    # The agent

    @rule()
    def command(self) -> None:
        """Run a command that adds nothing."""
        invented.begin(self.thread)
        self.check({}, None)

    @rule(package=PACKAGES, is_noted=st.booleans())
    def add(self, package: tuple[str, str, str], is_noted: bool) -> None:
        kind, name, version = package
        self.command()
        there = invented.seen(self.thread, kind)
        invented.add(there, name, version)
        over = additions.only(self.lives[kind], lambda each: each != name)
        if self.brought(kind).get(name) != version:
            over = over._replace(packages={**over.packages, name: version})
            self.there[self.host, kind][name] = version
        self.lives[kind] = over
        self.noted(is_noted)

    @rule(package=PACKAGES, is_noted=st.booleans())
    def remove(self, package: tuple[str, str, str], is_noted: bool) -> None:
        kind, name, _ = package
        self.command()
        there = invented.seen(self.thread, kind)
        if name not in invented.versions(there):
            return
        invented.uninstall(there, name)
        over = additions.only(self.lives[kind], lambda each: each != name)
        if name in self.brought(kind):
            over = over._replace(removed=(*over.removed, name))
        self.lives[kind] = over
        self.gone[self.host, kind] |= {name}
        self.there[self.host, kind].pop(name, None)
        self.noted(is_noted)

    @rule(path=st.sampled_from(sorted(FILES)), is_removed=st.booleans())
    def edit(self, path: str, is_removed: bool) -> None:
        place = self.base / "storage/threads/t1" / path
        if is_removed:
            place.unlink(missing_ok=True)
        elif place.parent.is_dir():
            place.write_text("the agent's")
            place.chmod(0o600)

    # What must hold

    def files(self) -> dict[str, tuple[bytes, int]]:
        """The bytes and the modes of the files that the profile asks for."""
        asked = [address[5:] for address in self.thread.applied().resources if address[5:] in FILES]
        places = {path: self.base / "storage/threads/t1" / path for path in asked}
        return {path: (at.read_bytes(), at.stat().st_mode) for path, at in places.items()}

    @property
    def thread(self) -> Thread:
        return Thread.find("t1", f"{self.base}/storage")

    def brought(self, kind: str) -> Mapping[str, str]:
        """The packages of the recorded release."""
        return RELEASES[self.release][kind] if self.release else {}

    def own(self, kind: str) -> dict[str, str]:
        """What the agent added and this host has the files of."""
        here, over = self.there[self.host, kind], self.lives[kind].packages
        return {name: version for name, version in over.items() if here.get(name) == version}

    def noted(self, is_noted: bool) -> None:
        if is_noted:
            noting.note_all(self.thread)

    def applied(self, release: str) -> ThreadReport:
        """Apply a release."""
        needs = tuple(invented.NEEDS[kind](packages) for kind, packages in RELEASES[release].items())
        sections = {need.kind: need.section for need in needs}
        asked = profile(release=release)._replace(packages=sections, sandbox=SandboxSection(self.backend))
        files = [RenderedFile(path, release.encode(), mode, "whole") for path, mode in FILES.items()]
        wanted = Wanted(desired(asked, files[: 1 + int(release[0]) % 2], {}), needs)
        return applying.apply(self.thread, lambda thread, record: wanted, on_conflict="overwrite")

    def settle(self) -> None:
        """Follow the record to the release that it names: what that brings is no addition any more."""
        record = self.thread.record()
        if record is None or not record.generation:
            return
        release = record.profile["release"]
        if release != self.release:
            for kind, over in self.lives.items():
                self.lives[kind] = additions.above(over, self.brought(kind), RELEASES[release][kind])
        self.release = release

    def check(self, had: Mapping[str, Mapping[str, str]], told: tuple[Fate, ...] | None) -> None:
        """All that the agent added is there, if it ever was on this host, and what it removed is not."""
        added = self.thread.applied().added
        for kind, over in self.lives.items():
            found = invented.versions(invented.seen(self.thread, kind))
            own = self.own(kind)
            # What was removed above this very build earlier is removed again: that is how the thread left it there.
            again = {name for name in self.gone[self.host, kind] if name not in own and name not in found}
            expected = {**self.brought(kind), **own}
            expected = {name: expected[name] for name in expected.keys() - {*over.removed, *again}}
            assert found == expected, (kind, over, again, added)
            self.there[self.host, kind] = own
            removed = {*over.removed, *(again & self.brought(kind).keys())}
            self.lives[kind] = over._replace(removed=tuple(sorted(removed)))
            self.gone[self.host, kind] |= removed
            if told is not None:
                recorded = additions.from_json(added.get(kind, {}))
                assert recorded.packages == over.packages, (kind, recorded, over)
                assert {*over.removed} <= {*recorded.removed} <= {*over.removed, *again}
                lost = {name for name, version in had[kind].items() if found.get(name) != version}
                assert lost <= {fate.name for fate in told if fate.kind == kind}


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_a_release_that_was_interrupted_is_given_up_for_the_one_before(backend: str) -> None:
    life = Lives()
    try:
        life.begin(backend, "1.0.0")
        life.add(("python", "rich", "1"), is_noted=False)
        for effect in range(60, 240, 30):
            life.apply_and_die("2.0.0", effect)
            life.apply("1.0.0")
    finally:
        life.teardown()
