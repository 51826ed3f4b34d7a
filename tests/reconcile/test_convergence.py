"""Whatever a profile asks, an agent does and a crash interrupts: applies converge, and lose nothing of the agent's."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from solven_env.errors import ConflictError
from solven_env.reconcile.model import parents
from tests.conftest import MEMORY
from tests.reconcile.crashes import dies_at
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread, sha256
from tests.trees import snapshot

PATHS = ("f", "d", "d/f", "d/e", "d/e/f", "g/f")
MODES = ("0644", "0755", "0600")

FILES = st.dictionaries(
    st.sampled_from(PATHS), st.builds(text, st.sampled_from(("", "one\n", "two\n")), st.sampled_from(MODES)), max_size=4
).filter(lambda files: not any(parent in files for path in files for parent in parents(path)))
PROFILES = st.builds(
    lambda files, keys, value: wanted(files, keys=keys, env={"A": value}),
    FILES,
    st.sampled_from([(), ("f", "d/f")]),
    st.sampled_from("12"),
)


class Convergence(RuleBasedStateMachine):
    """One thread, its profile's author and its agent."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "fsync", lambda descriptor: None)
        self.thread = Thread(Path(tempfile.mkdtemp(dir=MEMORY)) / "storage")
        self.asked = wanted({})
        self.numbers = itertools.count()
        self.once_kept: set[bytes] = set()

    def teardown(self) -> None:
        """Nothing is left behind."""
        shutil.rmtree(self.thread.storage.parent)
        self.patch.undo()

    @initialize(asked=PROFILES, has_workspace=st.booleans())
    def start(self, asked: object, has_workspace: bool) -> None:
        self.thread.storage.mkdir()
        self.asked = asked  # type: ignore[assignment]
        if has_workspace:
            self.thread.workspace.mkdir(parents=True)

    # The profile's author

    @rule(asked=PROFILES)
    def edit_the_profile(self, asked: object) -> None:
        self.asked = asked  # type: ignore[assignment]

    # The agent

    @precondition(lambda self: self.thread.workspace.is_dir())
    @rule(path=st.sampled_from((*PATHS, "d/mine", "mine")), kind=st.sampled_from(("file", "directory", "link", "fifo")))
    def put(self, path: str, kind: str) -> None:
        place = self.thread.workspace / path
        if not real_directory(place.parent):
            return
        remove(place)
        if kind == "file":
            place.write_text(f"the agent's {next(self.numbers)}")
        elif kind == "directory":
            place.mkdir()
            (place / "inner").write_text(f"the agent's {next(self.numbers)}")
        elif kind == "link":
            place.symlink_to("/etc")
        else:
            os.mkfifo(place)

    @precondition(lambda self: self.thread.workspace.is_dir())
    @rule(path=st.sampled_from((*PATHS, "g")))
    def delete(self, path: str) -> None:
        if real_directory((self.thread.workspace / path).parent):
            remove(self.thread.workspace / path)

    @precondition(lambda self: self.thread.workspace.is_dir())
    @rule(path=st.sampled_from((*PATHS, "d/mine", "mine")), mode=st.sampled_from((0o640, 0o700)))
    def chmod(self, path: str, mode: int) -> None:
        place = self.thread.workspace / path
        if real_directory(place.parent) and (place.is_file() or place.is_dir()) and not place.is_symlink():
            place.chmod(mode)

    @rule()
    def delete_the_workspace(self) -> None:
        if self.thread.workspace.is_dir():
            shutil.rmtree(self.thread.workspace)

    # The operator

    @rule(overwrite=st.booleans())
    def apply(self, overwrite: bool) -> None:
        mine, before = self.agents_files(), snapshot(self.thread.storage / "threads") if self.exists() else {}
        try:
            self.thread.apply(self.asked, overwrite=overwrite)
        except ConflictError:
            assert not overwrite
            assert (snapshot(self.thread.storage / "threads") if self.exists() else {}) == before
        else:
            self.thread.check_in_sync(self.asked)
        self.nothing_is_lost(mine)

    @rule(overwrite=st.booleans(), effect=st.integers(0, 60))
    def apply_and_die(self, overwrite: bool, effect: int) -> None:
        mine = self.agents_files()

        def act() -> None:
            try:
                self.thread.apply(self.asked, overwrite=overwrite)
            except ConflictError:
                assert not overwrite

        dies_at(effect, act)
        self.nothing_is_lost(mine)

    @invariant()
    def what_was_kept_stays(self) -> None:
        kept = self.thread.kept_bytes()
        assert self.once_kept <= kept
        self.once_kept = kept

    def exists(self) -> bool:
        """Whether there are workspaces at all."""
        return (self.thread.storage / "threads").is_dir()

    def agents_files(self) -> set[tuple[str, str]]:
        """Digest and mode of all that the agent wrote and has in its workspace."""
        found = set()
        for path in self.thread.workspace.rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and (data := path.read_bytes()).startswith(b"the agent's"):
                found.add((sha256(data), f"{stat.S_IMODE(status.st_mode):04o}"))
        return found

    def nothing_is_lost(self, mine: set[tuple[str, str]]) -> None:
        """Every file that the agent had is in its workspace still, or was kept."""
        assert mine <= self.thread.kept_files() | self.agents_files()


def real_directory(place: Path) -> bool:
    """Whether a directory, reached through no link, is there: what the agent does elsewhere is not ours to test."""
    return place.is_dir() and place.resolve() == place.absolute()


def remove(place: Path) -> None:
    """Remove anything."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(
    max_examples=100,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
