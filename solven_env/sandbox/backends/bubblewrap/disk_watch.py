"""The watch over what a session adds to its thread's disk: processes of the holder's that look, and what they told it.

It is a watch and no wall: a command is ended after it has written too much. A lookout sees at once, in one statfs(2),
how much less is free on a local file system than at its last look, so that it looks at the trees themselves (which
takes 10 µs an entry) when a half of what is left to the session may be used up, and else seldom. On a file system of
other hosts only looking tells, at a bounded pace.

Local trees and others have a lookout each, since one that waits for a FUSE daemon sees nothing else. The holder never
waits for either. They have its rights, to see what an agent has closed, and only read.
"""

from __future__ import annotations

import os
import select
import time

from solven_env.sandbox import disk_look, wire
from solven_env.sandbox.backends.bubblewrap.ending import UNKNOWN
from solven_env.sandbox.disk_look import Look, Tree
from solven_env.sandbox.launch_plan import Bind, Overlay
from solven_env.system import syscalls
from solven_env.system.blocks import holding, suppress
from solven_env.system.plain import Socket, pair
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

    from solven_env.sandbox.launch_plan import LaunchPlan

_TICK, _SHORT_TICK = 0.25, 0.02  # seconds between two questions what is free, and when little is left
_SELDOM = 10.0  # seconds between two looks that nothing calls for
_CALM = 2.0  # seconds; the longest pause after looks that others' writing called for
_SHARE, _URGENT_SHARE = 20, 2  # pause after a look, as a multiple of its time
_FAR_PAUSE, _LONG_FAR_PAUSE = 1.0, 5.0  # seconds after a look at a file system of other hosts; where nothing is added
_WITH_FIXED_INODES = (0xEF53, 0x01021994)  # ext4, tmpfs (linux/magic.h); others tell of inodes what blocks allow
_NOBODY = -1
_LONGEST_MESSAGE = 1 << 20
_CLOCK_REALTIME_COARSE = 5  # time.h; file systems take their times from it
_LAST_DESCRIPTOR = 1 << 20


class DiskOrder(NamedTuple):
    """Instructions for a lookout: trees with the moment (nanoseconds since 1970) from which what is written counts.

    `room` is how many bytes the session may add to them until a command has to be ended, and `enough` how many until
    all have to be; both are `_NOBODY` while there is none to be watched. `devices` are those of overlays.
    """

    trees: tuple[tuple[str, str, int], ...]
    devices: tuple[int, ...]
    room: int
    enough: int


class Lookout:
    """A process that looks, at trees with the moments from which it does.

    `added` is what it told last, `is_exact` unless it may be more. `order` is what it was told; None: an earlier one.
    """

    def __init__(self, channel: Socket, pid: int, *, is_local: bool) -> None:
        self.channel = channel
        self.pid = pid
        self.is_local = is_local
        self.trees: dict[Tree, int] = {}
        self.devices: set[int] = set()
        self.added = 0
        self.is_exact = True
        self.order: DiskOrder | None = None


def trees(plan: LaunchPlan) -> tuple[Tree, ...]:
    """The directories of the host that a command can fill: the workspace, layers, and what it may write besides."""
    found = [Tree(plan.workspace)]
    for mount in plan.mounts:
        if isinstance(mount, Overlay):
            found += [Tree(mount.upper), Tree(mount.work)]
        elif isinstance(mount, Bind) and not mount.read_only:
            found.append(Tree(mount.source, mount.beneath))
    return tuple(found)


def widen(lookouts: dict[int, Lookout], poll: select.epoll, plan: LaunchPlan, devices: Collection[int]) -> None:
    """Have what a plan's commands can fill watched from now on, by lookouts that `poll` then waits for too.

    `devices` are those that files in its overlays show.
    """
    known = {tree for each in lookouts.values() for tree in each.trees}
    moment = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    for tree in trees(plan):
        if tree in known:
            continue
        try:
            is_local = disk_look.is_local(tree)
        except OSError:  # an optional one that is not there: nothing is shown of it
            continue
        lookout = next((each for each in lookouts.values() if each.is_local == is_local), None)
        if lookout is None:
            lookout = _begin(is_local=is_local)
            lookouts[lookout.channel.fileno()] = lookout
            poll.register(lookout.channel, select.EPOLLIN)
        lookout.trees[tree] = moment
        lookout.devices.update(devices)


def order(lookouts: dict[int, Lookout], allowed: Collection[int]) -> None:
    """Tell all lookouts how much the session's commands may have added, each by its own account; none are watched."""
    total = sum(lookout.added for lookout in lookouts.values())
    for lookout in lookouts.values():
        others = total - lookout.added
        rooms = [max(0, each - others) for each in allowed]
        _send(lookout, min(rooms, default=_NOBODY), max(rooms, default=_NOBODY))


def _begin(*, is_local: bool) -> Lookout:
    ours, theirs = pair()
    with theirs:
        pid = os.fork()
        if pid == 0:
            _become(theirs, is_local=is_local)
        ours.setblocking(False)
        return Lookout(ours, pid, is_local=is_local)


def _send(lookout: Lookout, room: int, enough: int) -> None:
    """Tell what is to be watched, unless it is known. Where that cannot be taken now, it is told at the next chance."""
    found = tuple((*tree, since) for tree, since in lookout.trees.items())
    order = DiskOrder(found, tuple(lookout.devices), room, enough)
    if order == lookout.order:
        return
    try:
        lookout.channel.send(wire.pack(tuple(order)))
        lookout.order = order
    except BlockingIOError:
        lookout.order = None
    except (BrokenPipeError, ConnectionResetError):  # its end is heard in its channel
        lookout.order = order


def hear(lookout: Lookout) -> bool:
    """Take what a lookout tells; False when it has ended."""
    try:
        message = lookout.channel.recv(_LONGEST_MESSAGE)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    if message:
        lookout.added, lookout.is_exact = wire.unpack(message)
    return bool(message)


def bury(lookout: Lookout) -> None:
    """Reap a lookout that has ended."""
    lookout.channel.close()
    os.waitpid(lookout.pid, 0)


def _become(channel: Socket, *, is_local: bool) -> NoReturn:
    """Serve the channel until its other end is closed, with no other descriptor of the holder's."""
    try:
        kept = channel.fileno()
        os.closerange(0, kept)
        os.closerange(kept + 1, _LAST_DESCRIPTOR)
        _serve(channel, _LocalWatch() if is_local else _FarWatch())
    finally:
        os._exit(1)


def _serve(channel: Socket, watch: _Watching) -> None:
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    told = (0, True)
    while True:
        pause = None if watch.room == _NOBODY else max(0.0, watch.due - time.monotonic())
        if poll.poll(None if pause is None else pause * 1000):
            message = channel.recv(_LONGEST_MESSAGE)
            if not message:
                return
            watch.obey(DiskOrder(*wire.unpack(message)))
        else:
            watch.attend()
        while told != (watch.added, watch.is_exact):
            told = (watch.added, watch.is_exact)
            channel.send(wire.pack(told))
            if not watch.is_exact:
                watch.look(UNKNOWN)


class _Watching:
    """The work of a lookout: the trees with what was in them at first, and what the session has `added` since.

    `due` is when there is something to do (seconds of the monotonic clock).
    """

    is_local = True

    def __init__(self) -> None:
        self.base: dict[Tree, int] = {}
        self.devices: tuple[int, ...] = ()
        self.added = 0
        self.is_exact = True
        self.room = _NOBODY
        self.enough = 0
        self.due = 0.0
        self.cost = 0.0
        self.looked = 0.0

    def obey(self, order: DiskOrder) -> None:
        """Watch from now on what the order says; what is new is looked at at once."""
        self.room, self.enough, self.devices = order.room, order.enough, order.devices
        fresh = [(Tree(path, beneath), since) for path, beneath, since in order.trees]
        fresh = [(tree, since) for tree, since in fresh if tree not in self.base]
        if fresh:
            began = time.monotonic()
            look = Look(is_local=self.is_local)
            self.base |= dict.fromkeys((tree for tree, _ in fresh), 0)
            self.begin()
            for tree, since in fresh:
                self.base[tree] = look.take_before(tree, since)
            self.looked = time.monotonic()
            self.cost = self.looked - began
        self.due = 0.0

    def begin(self) -> None:
        """There is more to be watched."""

    def attend(self) -> None:
        raise NotImplementedError

    def look(self, enough: int) -> None:
        """Look at all trees, until `enough` was added to them."""
        began = time.monotonic()
        look = Look(is_local=self.is_local)
        total = -sum(self.base.values())
        for tree in self.base:
            total += look.take(tree, enough - total)
        look.devices.update(self.devices)
        total += look.take_open(_processes())
        self.is_exact = total <= enough
        self.added = max(0, total) if look.whole else UNKNOWN
        self.looked = time.monotonic()
        self.cost = self.looked - began


class _LocalWatch(_Watching):
    def __init__(self) -> None:
        super().__init__()
        self.free: dict[int, tuple[str, int]] = {}
        self.asked = 0.0
        self.fell = 0
        self.calm = 0.0
        self.tick = _SHORT_TICK

    def obey(self, order: DiskOrder) -> None:
        super().obey(order)
        self.tick = _SHORT_TICK

    def begin(self) -> None:
        for tree in self.base:
            with suppress(OSError):  # a layer that was removed since
                self.free.setdefault(os.stat(tree.path).st_dev, (tree.path, _free(tree.path)))

    def attend(self) -> None:
        fell = sum(max(0, before - _free(path)) for path, before in self.free.values())
        now = time.monotonic()
        rate = max(0, fell - self.fell) / max(now - self.asked, 0.001)
        self.asked, self.fell = now, fell
        left = self.room - self.added
        since = now - self.looked
        is_called_for = 2 * fell >= left and since >= max(self.calm, _URGENT_SHARE * self.cost)
        if is_called_for or since >= max(_SELDOM, _SHARE * self.cost):
            had, self.free = self.added, {}
            self.begin()
            self.look(self.enough)
            is_ours = 2 * (self.added - had) >= fell
            self.calm = 0.0 if is_ours else min(_CALM, 2 * self.calm + _TICK)
            left = self.room - self.added
            fell = self.fell = 0
        soon = (left - fell) / (2 * rate) if rate else _TICK
        self.tick = min(_TICK, 2 * self.tick, max(_SHORT_TICK, soon))
        self.due = time.monotonic() + self.tick


class _FarWatch(_Watching):
    is_local = False

    def __init__(self) -> None:
        super().__init__()
        self.pause = _FAR_PAUSE

    def attend(self) -> None:
        had = self.added
        self.look(self.enough)
        self.pause = _FAR_PAUSE if self.added > had else min(_LONG_FAR_PAUSE, 2 * self.pause)
        self.due = time.monotonic() + max(self.pause, self.cost)


def _free(path: str) -> int:
    """Bytes that are free, and those of the free inodes, at least, where their number is fixed."""
    try:
        about = os.statvfs(path)
    except OSError:
        return 0  # it was removed: a look is called for, and finds another path
    with holding(os.open(path, syscalls.HOLD_DIRECTORY)) as opened:
        has_fixed = syscalls.file_system_type(opened) in _WITH_FIXED_INODES
    return about.f_bfree * about.f_frsize + (about.f_ffree * disk_look.FILE if has_fixed else 0)


def _processes() -> list[int]:
    """All processes of the session but the holder and this one."""
    ours = (1, os.getpid())
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours]
