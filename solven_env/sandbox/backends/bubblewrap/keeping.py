"""The commands of a session that outlive their callers, as its holder has them: each with its keeper."""

from __future__ import annotations

import os
import time

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import keeper
from solven_env.sandbox.roots import devices
from solven_env.system.blocks import suppress
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import select
    from typing import Any

    from solven_env.errors import SolvenError
    from solven_env.sandbox.launch_plan import LaunchPlan

_MOST_ENDED = 32
"""Commands that have ended whose output is kept, the newest of them; fewer where descriptors are scarce."""
_DESCRIPTORS_AN_ENDED = 2
"""Its keeper's pidfd and entry."""
_MOST_RUNNING = 64
"""Commands that run at once. These and those that have ended are told in one packet, of 64 KiB."""
_MOST_KEPT = 64 << 20
"""Bytes of each output that are kept, however many are asked for."""
_NOT_STARTED = 125


class KeptCommand:
    """A command with its keeper. `client` is the connection on which that is its launcher; -1 once it has ended."""

    def __init__(self, name: str, made: keeper.OutputKeeper, command: str) -> None:
        self.name = name
        self.keeper = made
        self.command = command
        self.client = made.launcher.fileno()
        self.began = time.monotonic()
        self.seconds = 0.0
        self.status: int | None = None


class Opened(NamedTuple):
    """The streams of a command that is to be kept, a terminal among them, and its keeper's ends."""

    streams: tuple[int, int, int]
    pipes: keeper.Pipes
    terminal: tuple[int, int] | None = None

    def close(self) -> None:
        """Let go of all, which command and keeper have now."""
        for each in {*self.streams, self.pipes.stdin, *self.pipes.outputs.values(), *(self.terminal or ())}:
            os.close(each)


class Keepers:
    """The kept commands of a session, in the order in which they began. `names` are by their keepers' pidfds, and
    `unclaimed` by the connections of callers that have not said yet that they know them: with one of these such a
    command ends.

    No other session of the thread gives the same names. A quarter of the descriptors that a session has for commands
    is for those that have ended, as far as `most_ended` needs it.
    """

    def __init__(self, poll: select.epoll, descriptors: int) -> None:
        self.poll = poll
        self.most_ended = min(_MOST_ENDED, max(1, descriptors // 4 // _DESCRIPTORS_AN_ENDED))
        self.descriptors = self.most_ended * _DESCRIPTORS_AN_ENDED
        self.kept: dict[str, KeptCommand] = {}
        self.names: dict[int, str] = {}
        self.unclaimed: dict[int, str] = {}
        self.drawn = os.urandom(3).hex()
        self.made = 0


def check_room(keepers: Keepers) -> None:
    """Refuse (SandboxError) one more than can run at once."""
    if sum(each.status is None for each in keepers.kept.values()) >= _MOST_RUNNING:
        raise SandboxError(
            f"{_MOST_RUNNING} processes run in the session, and there can be no more",
            fix="solven-env ps THREAD lists them, and solven-env kill THREAD ID ends one.",
        )


def open_streams(plan: LaunchPlan, size: tuple[int, int] | None, *, merge: bool) -> Opened:
    """The pipes of a command, which belong to its uid; or a terminal of `size`, rows and columns."""
    if size is not None:
        import termios

        master, slave = devices.new_terminal(plan.uid, plan.gid)
        termios.tcsetwinsize(slave, size)
        return Opened((slave, slave, slave), keeper.Pipes(master, {1: master}, slave), (master, slave))
    opened: list[int] = []
    try:
        for _ in range(2 if merge else 3):
            opened += _pipe(plan)
    except BaseException:
        for each in opened:
            os.close(each)
        raise
    stdin, feed, source, stdout, *others = opened
    if not others:
        return Opened((stdin, stdout, stdout), keeper.Pipes(feed, {1: source}))
    errors, stderr = others
    return Opened((stdin, stdout, stderr), keeper.Pipes(feed, {1: source, 2: errors}))


def _pipe(plan: LaunchPlan) -> tuple[int, int]:
    reading, writing = os.pipe()
    if plan.uid is not None and plan.gid is not None:
        os.fchown(reading, plan.uid, plan.gid)
    return reading, writing


def keep(keepers: Keepers, opened: Opened, asked: dict[str, Any], plan: LaunchPlan, seccomp: bytes) -> KeptCommand:
    """Fork the keeper of a command that is about to start."""
    keepers.made += 1
    name = f"{keepers.made}-{keepers.drawn}"
    made = keeper.start(opened.pipes, min(asked["most"], _MOST_KEPT), plan, seccomp)
    kept = KeptCommand(name, made, asked["shown"])
    keepers.kept[name] = kept
    keepers.names[made.pidfd] = name
    keepers.poll.register(made.pidfd, 1)  # EPOLLIN
    return kept


def note_end(keepers: Keepers, client: int, outcome: int | SolvenError) -> None:
    """A command of the session has ended; where it is a kept one, the oldest of those that ended may go."""
    ended = [each for each in keepers.kept.values() if each.status is not None]
    for kept in keepers.kept.values():
        if kept.client == client:
            kept.client = -1
            kept.seconds = time.monotonic() - kept.began
            kept.status = outcome if isinstance(outcome, int) else _NOT_STARTED
            if len(ended) >= keepers.most_ended:
                ended[0].keeper.entry.close()  # its keeper ends by that
                del keepers.kept[ended[0].name]
            return


def lose(keepers: Keepers, pidfd: int) -> None:
    """A keeper has ended: reap it. A command that it had is killed like one whose launcher has gone."""
    keepers.poll.unregister(pidfd)
    kept = keepers.kept.pop(keepers.names.pop(pidfd), None)
    if kept is not None:
        kept.keeper.entry.close()
    with suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)


def told(keepers: Keepers) -> list[dict[str, Any]]:
    """The kept commands, those that run and those that have ended, in the order in which they began."""
    now = time.monotonic()
    return [
        {
            "id": each.name,
            "command": each.command,
            "seconds": each.seconds if each.status is not None else now - each.began,
            "status": each.status,
        }
        for each in keepers.kept.values()
    ]
