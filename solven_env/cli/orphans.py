"""A command does not outlive the shell that started it: killed with SIGKILL, a shell tells nobody.

nohup(1) keeps its meaning: where SIGHUP is ignored, nothing is done.
"""

from __future__ import annotations

import os
import signal

from solven_env.cli import PARENT


def end_with_parent() -> None:
    """From now on take the end of the process that started us as SIGHUP."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return
    from solven_env.system import mounting

    # Who does not ask for SIGURG ignores it.
    signal.signal(signal.SIGURG, _look)
    mounting.signal_when_parent_ends(signal.SIGURG)
    _look()
    if _is_left_behind():
        signal.raise_signal(signal.SIGHUP)


def _look(*_: object) -> None:
    """SIGURG comes when the thread ends that started us, too: then its process has us still."""
    if os.getppid() != PARENT:
        signal.raise_signal(signal.SIGHUP)


def _is_left_behind() -> bool:
    """True if the shell ended before we asked for our parent: it led our session, and our parent is of another one.

    The children of a daemon, whose session has no leader either, have their parent in it.
    """
    session = os.getsid(0)
    try:
        os.kill(session, 0)
    except ProcessLookupError:
        return os.getsid(os.getppid()) != session
    except PermissionError:
        pass
    return False
