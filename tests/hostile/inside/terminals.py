"""The caller's terminal, which is a pseudo-terminal of the test's: `terminal` is its device number.

A command has a terminal too, but another one: what it does to that is its own affair.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import Any

from .tries import Facts, Held, add, way

KIND = "terminals"
TIOCLINUX, TIOCCONS, TIOCSETD = 0x541C, 0x541D, 0x5423


def _callers(facts: Facts) -> int:
    """A descriptor of the caller's terminal, by whichever stream or name leads to it."""
    for path in (*(f"/proc/self/fd/{number}" for number in range(3)), "/dev/tty", facts["terminal_path"]):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            continue
        about = os.fstat(descriptor)
        if [about.st_dev, about.st_rdev] == facts["terminal"]:
            return descriptor
    raise Held("it is not to be had")


@way(KIND, "have it")
def _have(facts: Facts) -> int:
    return _callers(facts)


@way(KIND, "by the streams")
def _streams(facts: Facts) -> int:
    for number in range(3):
        about = os.fstat(number)
        if [about.st_dev, about.st_rdev] == facts["terminal"]:
            return number
    raise Held("none is it")


@way(KIND, "by its name")
def _by_name(facts: Facts) -> int:
    about = os.stat(facts["terminal_path"])
    if [about.st_dev, about.st_rdev] != facts["terminal"]:
        raise Held("another one has that name")
    return os.open(facts["terminal_path"], os.O_RDWR | os.O_NOCTTY)


@way(KIND, "by another name for it")
def _made(facts: Facts) -> int:
    """A node of that device number in the workspace."""
    os.mknod("tty-node", 0o600 | 0o020000, facts["terminal"][1])
    return os.open("tty-node", os.O_RDWR | os.O_NOCTTY)


def _ioctl(request: int, argument: Any) -> Any:
    def attempt(facts: Facts) -> object:
        return fcntl.ioctl(_callers(facts), request, argument)

    return attempt


add(KIND, "type into it", _ioctl(termios.TIOCSTI, b"x"), "rights")
add(KIND, "its size", _ioctl(termios.TIOCSWINSZ, struct.pack("HHHH", 9, 9, 0, 0)))
add(KIND, "its line discipline", _ioctl(TIOCSETD, struct.pack("i", 0)))
add(KIND, "what is waiting in it", _ioctl(termios.FIONREAD, struct.pack("i", 0)))
add(KIND, "forbid it to others", _ioctl(termios.TIOCEXCL, 0))
add(KIND, "stop its output", _ioctl(termios.TCXONC, 1))
add(KIND, "packet mode of it", _ioctl(termios.TIOCGETD, struct.pack("i", 0)))


@way(KIND, "its settings")
def _settings(facts: Facts) -> str:
    descriptor = _callers(facts)
    settings = termios.tcgetattr(descriptor)
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    return "set"


@way(KIND, "what is typed")
def _typed(facts: Facts) -> str:
    termios.tcflush(_callers(facts), termios.TCIFLUSH)
    return "thrown away"


@way(KIND, "what is shown")
def _shown(facts: Facts) -> int:
    return os.write(_callers(facts), b"")
