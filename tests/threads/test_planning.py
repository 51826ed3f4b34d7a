"""Plans of a thread on disk: nothing is made by looking, and mount points follow what is on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import LockError, PlatformError, ProfileError, SolvenError, UsageError
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
        planning.wanted_by_profile(Thread.find("t1", tmp_path / "storage"), None, find_profile(profile), {})
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
    profile = write_profile(
        tmp_path / "p.yaml", {}, mounts=[{"source": str(source), "target": "/place", "optional": True}]
    )
    thread = Thread.find("t1", tmp_path / "storage")
    computed, lacking = planning.plan(thread, planning.wanted_by_profile(thread, None, find_profile(profile), {}), None)
    assert (computed.desired.states.get("mount:place"), lacking) == (state, ())


LOCKED = {"python": {"version": "3.12", "packages": ["six"]}}
INPUTS: dict[str, Any] = {"inputs": {"user_id": {}, "region": {}}}
UNMOUNTED = {
    "mounts": [{"source": "/no/where", "target": "/x"}, {"target": "/no/more"}, {"target": "/may/be", "optional": True}]
}


@pytest.mark.parametrize(
    ("sections", "given", "kinds"),
    [
        ({**LOCKED, **INPUTS}, {}, [UsageError, LockError]),
        ({**LOCKED, **INPUTS, **UNMOUNTED}, {"user_id": "a"}, [UsageError, LockError]),
        ({**LOCKED, **INPUTS}, {"usr_id": "a"}, [UsageError, LockError]),
        ({**LOCKED, **INPUTS}, {"user_id": "a", "region": "b"}, [LockError]),
        ({**LOCKED, **UNMOUNTED}, {}, [PlatformError, LockError]),
        (INPUTS, {}, [UsageError]),
        (UNMOUNTED, {}, [PlatformError]),
    ],
)
def test_what_is_wrong_is_told_together(
    tmp_path: Path, sections: dict[str, Any], given: dict[str, str], kinds: list[type[SolvenError]]
) -> None:
    profile = write_profile(tmp_path / "p.yaml", {}, **sections)
    for verb in (solven_env.plan, solven_env.diff, solven_env.apply):
        with pytest.raises(SolvenError) as caught:
            verb(profile, "t1", storage=tmp_path / "storage", inputs=given)
        met = (caught.value, *caught.value.further)
        assert [type(each) for each in met] == kinds
        assert all(each.fix for each in met)
        assert str(caught.value).endswith(" ".join([f"{met[0].message}. {met[0].fix}", *map(str, met[1:])]))
    assert not (tmp_path / "storage").exists()


def test_every_mount_that_this_host_lacks_is_named(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "p.yaml", {}, **UNMOUNTED)
    with pytest.raises(PlatformError) as caught:
        solven_env.diff(profile, "t1", storage=tmp_path / "storage")
    lost = "/no/where (mounted at /x), /no/more (mounted at /no/more)"
    assert caught.value.message == f"the profile mounts what is not on this host: {lost}"


def test_an_invalid_profile_is_told_before_its_inputs_and_its_lock(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "p.yaml", {}, env={"PATH": "/bin"}, **LOCKED, **INPUTS)
    with pytest.raises(ProfileError) as caught:
        solven_env.diff(profile, "t1", storage=tmp_path / "storage", inputs={"usr_id": "a"})
    assert caught.value.further == ()


def test_drift_needs_no_profile(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "p.yaml", {"f": "ours\n"})
    solven_env.apply(profile, "t1", storage=tmp_path / "storage")
    thread = Thread.find("t1", tmp_path / "storage")
    record = thread.record()
    assert record is not None
    assert planning.plan_drift(thread, record).changes == ()
    (tmp_path / "storage/threads/t1/f").write_text("the agent's\n")
    (change,) = planning.plan_drift(thread, record).changes
    assert (change.address, change.cause) == ("file:f", "drift")
