"""Signals of a command: it inherits nothing of how those who start it treat them."""

from __future__ import annotations

from solven_env.system.plain import signal

_BY_US = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
"""The first two Python ignores itself; `waiting` has a handler for the last one."""


def forget_starter() -> None:
    """Block nothing, and ignore nothing that whoever started this process ignores.

    An execve keeps both. The commands of others would inherit them too, and of a process that ignores SIGCHLD the
    kernel keeps no status.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals().difference(_BY_US[:2]):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def restore() -> None:
    """Just before an execve: undo what is changed here."""
    for number in _BY_US:
        signal.signal(number, signal.SIG_DFL)
