"""Plans of a thread on disk: nothing is made by looking, and mount points follow what is on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env import api
from solven_env.errors import ProfileError
from solven_env.profile.source import find_profile
from solven_env.reconcile.kinds.mount_point import PLACE
from solven_env.reconcile.model import DIRECTORY, State
from solven_env.threads import planning
from solven_env.threads.thread import Thread
from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")


def test_an_invalid_profile_of_a_new_thread_is_told_and_makes_nothing(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "wrong.yaml", {}, env={"PATH": "/bin"})
    with pytest.raises(ProfileError):
        planning.check(Thread.find("t1", tmp_path / "storage"), find_profile(profile), {}, ())
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize(
    ("make", "state"),
    [("mkdir", DIRECTORY), ("touch", PLACE), ("symlink", DIRECTORY), ("", None)],
    ids=["directory", "file", "link", "nothing"],
)
def test_a_mount_point_is_what_can_be_mounted_upon(make: str, state: State | None, tmp_path: Path) -> None:
    source = tmp_path / "source"
    if make == "symlink":
        source.symlink_to(tmp_path)
    elif make:
        getattr(source, make)()
    profile = write_profile(tmp_path / "p.yaml", {}, mounts=[{"source": str(source), "target": "/place"}])
    computed, lacking = planning.plan(Thread.find("t1", tmp_path / "storage"), None, find_profile(profile), {}, ())
    assert (computed.desired.states.get("mount:place"), lacking) == (state, ())


def test_drift_needs_no_profile(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "p.yaml", {"f": "ours\n"})
    api.apply(profile, "t1", storage=tmp_path / "storage")
    thread = Thread.find("t1", tmp_path / "storage")
    record = thread.record()
    assert record is not None
    assert planning.plan_drift(thread, record).changes == ()
    (tmp_path / "storage/threads/t1/f").write_text("the agent's\n")
    (change,) = planning.plan_drift(thread, record).changes
    assert (change.address, change.cause) == ("file:f", "drift")
