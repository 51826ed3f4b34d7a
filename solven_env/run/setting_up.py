"""Commands of `setup`, run one after the other in the thread's own sandbox, each recorded when it has ended.

They are started as `run --shell` starts a text, by nobody but an apply, which holds the thread meanwhile. What they
print is an agent's: little of it is kept, and all of it is made printable.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from solven_env.errors import SetupError, SolvenError, brief
from solven_env.packages.programs import said_lines
from solven_env.packages.steps import step, within
from solven_env.reconcile.kinds import setup
from solven_env.run import execute
from solven_env.sandbox import backends
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.request import Request
from solven_env.state import contents
from solven_env.state.records import record_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from solven_env.reconcile.model import Change, Plan
    from solven_env.sandbox.request import Ended
    from solven_env.threads.thread import Thread

_MOST_SAID = 64 << 10
"""Bytes of a command's output that are kept, from its end."""
_LAST_LINES = 12
_LONGEST = 300
"""Characters of a line of output that are told."""
_LONGEST_NAME = 72
"""Characters of a command that an error has."""
_LONGEST_STEP = 32
"""Characters of it in a live line, which has room for what it prints too."""
_PERIOD = 0.5
"""Seconds between two lines of output that are shown."""


def run(
    thread: Thread, plan: Plan, changes: Sequence[Change], generation: int, progress: Callable[[str], None]
) -> SetupError | None:
    """Run the commands that an applied plan has to run, in order; the error of the first that fails.

    `changes` are those of the apply, with these commands. The next apply begins with the one that fails. The caller
    holds the thread. KeyboardInterrupt ends the command that runs.
    """
    commands = setup.to_run(plan)
    for number, command in enumerate(commands):
        failed = partial(_failed, thread, changes, commands[number:], generation)
        name, short = brief(command["run"], _LONGEST_NAME), brief(command["run"], _LONGEST_STEP)
        try:
            with step(progress, f"setup: running {short}", f"setup: ran {short}") as tell:
                said = Capture(_MOST_SAID, "tail", _Shown(tell).take)
                ended = _start(thread, command["run"], said, _without_notice(plan, tell))
                _record(thread, plan, command, ended.status)
                if ended.status:
                    last = said_lines(said.data)[-_LAST_LINES:]
                    raise failed(f"{name} {_told(ended)}", last)
        except SetupError as error:
            return error
        except SolvenError as error:  # no sandbox can be had, say
            return failed(f"{name} cannot run: {error.message}", fix=error.fix)
    return None


def _start(thread: Thread, text: str, said: Capture, progress: Callable[[str], None]) -> Ended:
    prepared = execute.apply(thread, Request(shell=text, streams=(None, said, said)), progress)
    # What it changes of packages is noted by the caller, who holds the thread.
    return execute.run(prepared._replace(thread=None), progress)


def _without_notice(plan: Plan, progress: Callable[[str], None]) -> Callable[[str], None]:
    """`progress` without what the apply has told of the backend already."""
    settings = plan.desired.settings
    notice = backends.find(settings["backend"]).notice(settings["network"])

    def tell(line: str) -> None:
        if line != notice:
            progress(line)

    return tell


def _record(thread: Thread, plan: Plan, command: Mapping[str, Any], status: int) -> None:
    record, root = thread.applied(), thread.open_root()
    if root is None:
        inputs = {}
    else:
        with root:
            inputs = setup.observe_inputs(root, plan.desired.settings)
    thread.state.check_held(thread.name)
    ran = setup.after_run(plan, record, command, status, inputs)
    contents.put(thread.state, record_key(thread.name), record._replace(setup=ran).dump())


def _told(ended: Ended) -> str:
    """Words about the end of a command that failed."""
    reached = [f"{each.limit} {each.value}" for each in ended.limits]
    return f"ended with status {ended.status}" + (f", since it reached {' and '.join(reached)}" if reached else "")


def _failed(
    thread: Thread,
    changes: Sequence[Change],
    left: Sequence[Mapping[str, Any]],
    generation: int,
    what: str,
    last: Sequence[str] = (),
    fix: str = "",
) -> SetupError:
    fix = fix or "Fix it in the profile or in the workspace."
    error = SetupError(
        f"setup: {what}",
        fix=f"{fix} All else is applied, as generation {generation}; the next apply goes on with this command.",
        location=thread.name,
        changes=setup.without(changes, left),
        generation=generation,
    )
    error.details = tuple(line[:_LONGEST] for line in last)
    return error


class _Shown:
    """The last line that a command has printed, shown every so often."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._rest = ""
        self._next = 0.0

    def take(self, text: str) -> None:
        """Output goes on with this text."""
        self._rest = f"{self._rest}{text}"[-2 * _LONGEST :]
        now = time.monotonic()
        if now >= self._next and (lines := said_lines(self._rest.encode())):
            self._next = now + _PERIOD
            within(self._progress, lines[-1][:_LONGEST])
