"""One thread takes all that the kernel counts by uid; another one still starts, and has what it needs of it.

With one uid for all threads each of these attacks succeeds, which is shown first: the wall is the uid, not the test.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.hostile.attacks import Attack
from tests.profiles import write_profile
from tests.run.test_uids import uid
from tests.sandbox.running import ROOT, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.world import World

pytestmark = pytest.mark.skipif(not ROOT, reason="an ordinary user's commands have one uid")

SCRIPT = r"""
import array, ctypes, fcntl, json, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def refused(result):
    return result < 0

def inotify():
    return libc.inotify_init1(0o2000000) >= 0

pairs = []
def descriptors():
    # A queue holds a few hundred messages, and one message 253 descriptors.
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pairs.append(pair)
    ancillary = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pair[0].fileno()] * 100))
    try:
        return pair[0].sendmsg([b"1"], [ancillary]) == 1
    except OSError:
        return False

def pipe():
    out, into = os.pipe()
    whole = fcntl.fcntl(into, fcntl.F_GETPIPE_SZ) == 65536
    try:
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        pass
    return whole

def timer():
    return libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) == 0

queues = []
def queue():
    queues.append(libc.mq_open(f"/queue-{os.getpid()}-{len(queues)}".encode(), os.O_RDWR | os.O_CREAT, 0o600, None))
    return queues[-1] >= 0

tries = {each.__name__: each for each in (inotify, descriptors, pipe, timer, queue)}
if sys.argv[1] == "all":
    for name, attempt in tries.items():
        count = 0
        while attempt():
            count += 1
    open("/taken", "w").close()
    time.sleep(600)
else:
    print(json.dumps({name: attempt() for name, attempt in tries.items()}))
"""
KINDS = ("inotify", "descriptors", "pipe", "timer", "queue")
ONE, MANY = "{uid: 65900}", "{uid: 65900, uids: {first: 65901, count: 9}}"
"""Uids of this test's own: what it takes, other tests beside it have, and give back meanwhile."""


@pytest.mark.attack
def test_a_thread_that_takes_all_of_its_uid_takes_nothing_of_anothers(
    world: World, attacks: Callable[[list[Attack]], None]
) -> None:
    world.profile = write_profile(world.base / "bare.yaml", {"hello": "hello\n"}, env={"HOME": "/"})
    (world.base / "config.yaml").write_text(f"sandbox: {ONE}\n")
    assert had_beside_the_taker(world) == dict.fromkeys(KINDS, False)
    (world.base / "config.yaml").write_text(f"sandbox: {MANY}\n")
    world.apply("t1", "t2")
    assert uid(world, "t1") != uid(world, "t2")
    had = had_beside_the_taker(world)
    attacks([Attack("what the kernel counts by uid", kind, "held" if had[kind] else "open") for kind in KINDS])
    assert had == dict.fromkeys(KINDS, True)


def had_beside_the_taker(world: World) -> dict[str, bool]:
    """What thread t2 gets one of while t1 holds all that there is."""
    world.apply("t1", "t2")
    for thread in ("t1", "t2"):
        world.out("cat >/try.py", thread, data=SCRIPT.encode())
    taker = world.start("run", "t1", "--", "python3", "/try.py", "all")
    try:
        wait_for_file(world.workspace("t1") / "taken")
        found: dict[str, bool] = json.loads(world.out("python3 /try.py one", "t2"))
        return found
    finally:
        world.cli("stop", "t1")
        taker.wait()
        (world.workspace("t1") / "taken").unlink(missing_ok=True)
