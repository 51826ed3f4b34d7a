"""A session that adds more to its thread's disk than it may is seen, and its commands are ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import control, disk_watch, session
from solven_env.sandbox.backends.bubblewrap.disk_watch import DiskOrder
from solven_env.sandbox.disk_look import FILE, Tree, is_local
from solven_env.sandbox.launch_plan import Bind, Overlay
from solven_env.sandbox.limits import Limits, Reached
from solven_env.system.effects import drive
from tests.mounts import fused
from tests.sandbox.running import Box, command, make_workspace, wait_for_file

MIB = 1 << 20
FEW = Limits(disk=4 * MIB)
ENDED = (137, (Reached("disk", "4MiB"),))
FILL = "while :; do head -c 1M /dev/zero; sleep 0.02; done"
UNLINKED = f"""
import os, time
file = os.open("%s/file", os.O_RDWR | os.O_CREAT)
os.unlink("%s/file")
while True: os.write(file, bytes({MIB})); time.sleep(0.02)
"""


def test_what_was_there_before_is_not_the_sessions(box: Box) -> None:
    (box.workspace / "old").write_bytes(bytes(8 * MIB))
    result = box.shell("head -c 3M /dev/zero >/new; sleep 0.3; rm /old; head -c 3M /new >/other; exit 5", limits=FEW)
    assert (result.status, result.limits) == (5, ())


@pytest.mark.parametrize("text", [f"{FILL} >/new", f"mkdir /d; exec >/d/new; chmod 0 /d; {FILL}"])
def test_a_command_that_fills_the_disk_is_ended(box: Box, text: str) -> None:
    result = box.shell(text, limits=FEW, timeout=60)
    for directory in box.workspace.glob("d"):
        directory.chmod(0o700)
    assert (result.status, result.limits) == ENDED


def test_a_file_without_a_name_counts_in_a_layer_as_in_the_workspace(box: Box) -> None:
    lower, upper, work = places = [box.base / name for name in ("lower", "upper", "scratch")]
    for place in places:
        place.mkdir()
        os.chown(place, box.plan.uid or -1, box.plan.gid or -1)
    layered = box.but(mounts=(*box.plan.mounts, Overlay("/.venv", str(lower), str(upper), str(work), "one")))
    for inside in ("", "/.venv"):
        result = layered.run("python3", "-c", UNLINKED % (inside, inside), limits=FEW, timeout=60)
        assert (result.status, result.limits) == ENDED


def test_a_session_that_has_too_much_may_tidy_up_and_add_nothing(box: Box) -> None:
    assert box.shell(f"{FILL} >/new", limits=FEW, timeout=60, keep_alive=60).limits == ENDED[1]
    assert box.shell("head -c 100K /dev/zero >/log; sleep 0.5", limits=FEW, keep_alive=60).limits == ()
    result = box.shell(f"{FILL} >/more", limits=FEW, timeout=60, keep_alive=60)
    assert (result.status, result.limits) == ENDED
    text = "rm /new /more; sleep 0.5; head -c 2M /dev/zero >/log; sleep 0.5"
    assert box.shell(text, limits=FEW, keep_alive=60).limits == ()
    assert control.stop(box.plan.session, box.runtime)


def test_a_file_system_of_other_hosts_is_looked_at(box: Box) -> None:
    real = make_workspace(box.base / "real")
    with fused(real, box.workspace):
        result = box.shell(f"{FILL} >/new", limits=FEW, timeout=60)
    assert (result.status, result.limits) == ENDED


def test_nobody_goes_on_unwatched(box: Box) -> None:
    asked = command("sh", "-c", "touch /up; exec sleep 600", limits=FEW)
    with session.start(box.plan, asked, box.runtime) as running:
        wait_for_file(box.workspace / "up")
        holder = box.holder()
        (children,) = (path.read_text().split() for path in Path(f"/proc/{holder}/task").glob("*/children"))
        watching = [pid for pid in children if b"holder" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(watching[0]), signal.SIGKILL)
        with pytest.raises(SandboxError, match="what watches the limit of disk has ended"):
            drive(running.wait())


def test_all_that_a_command_can_fill_is_watched(box: Box) -> None:
    mounts = (
        *(Bind("/local", "/srv/local", read_only=False), Bind("/tools", "/opt/tools")),
        Bind("/shared", "/srv", beneath="skills/shared", read_only=False, optional=True),
        Overlay("/.venv", "/b", "/l/upper", "/l/work", "one"),
    )
    plan = box.plan._replace(mounts=(*box.plan.mounts, *mounts), workspace="/w")
    expected = [("/w", ""), ("/srv/local", ""), ("/srv", "skills/shared"), ("/l/upper", ""), ("/l/work", "")]
    assert [tuple(each) for each in disk_watch.trees(plan)] == expected


def test_a_layer_that_was_removed_is_watched_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_watch, "_processes", list)
    trees = [tmp_path / "a", tmp_path / "b"]
    for tree in trees:
        tree.mkdir()
        (tree / "file").write_bytes(bytes(3 * FILE))
    watch = disk_watch._LocalWatch()
    order = DiskOrder(tuple((str(tree), "", 1 << 62) for tree in trees), (), 9 * MIB, 9 * MIB)
    watch.obey(order)
    (trees[0] / "more").write_bytes(bytes(5 * FILE))
    watch.look(9 * MIB)
    assert (watch.added, watch.is_exact) == (5 * FILE, True)
    watch.look(FILE)
    assert not watch.is_exact
    trees[1].rename(tmp_path / "gone")
    watch.looked = 0.0
    watch.attend()
    assert watch.added <= 5 * FILE
    assert is_local(Tree(str(trees[0])))
