"""What is open when a command starts, and what can be had of others: descriptors are a way past every name."""

from __future__ import annotations

import array
import os
import socket

from .calls import AT_EMPTY_PATH, AT_FDCWD, call
from .tries import Facts, Held, way

KIND = "descriptors"


def _inherited(facts: Facts) -> list[int]:
    """Those that are open here beyond the three streams, and the test's pipe of results."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if int(name) > 2 and not target.startswith(("/proc/", "pipe:")):
            found.append(int(name))
    if not found:
        raise Held("there is none")
    return found


@way(KIND, "inherited: any")
def _any(facts: Facts) -> list[str]:
    """The caller has a directory, a file, a socket and a memfd open, and leaves them inheritable."""
    return [os.readlink(f"/proc/self/fd/{each}") for each in _inherited(facts)]


@way(KIND, "inherited: a directory, and what is above")
def _directory(facts: Facts) -> list[str]:
    for each in _inherited(facts):
        try:
            return os.listdir(os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=each))
        except OSError:
            continue
    raise Held("none is a directory")


@way(KIND, "inherited: a file opened again to write")
def _reopened(facts: Facts) -> str:
    for each in _inherited(facts):
        if os.readlink(f"/proc/self/fd/{each}") == facts["path"]:
            os.close(os.open(f"/proc/self/fd/{each}", os.O_RDWR))
            return "written"
    raise Held("none is that file")


@way(KIND, "inherited: a socket")
def _socket(facts: Facts) -> int:
    for each in _inherited(facts):
        if os.readlink(f"/proc/self/fd/{each}").startswith("socket:"):
            with socket.socket(fileno=each) as found:
                return found.send(b"from inside")
    raise Held("none is a socket")


@way(KIND, "inherited: a memfd")
def _memfd(facts: Facts) -> bytes:
    for each in _inherited(facts):
        if "memfd:solven" in os.readlink(f"/proc/self/fd/{each}"):
            return os.pread(each, 99, 0)
    raise Held("none is a memfd")


@way(KIND, "from a socket of the host's")
def _passed(facts: Facts) -> bytes:
    """SCM_RIGHTS from somebody outside who gives his away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect("\0" + facts["abstract"])
        _, ancillary, _, _ = asking.recvmsg(1, socket.CMSG_SPACE(4))
        (descriptor,) = array.array("i", ancillary[0][2])
        return os.pread(descriptor, 99, 0)


@way(KIND, "another's, by its own list")
def _others(facts: Facts) -> bytes:
    return os.pread(os.open(f"/proc/{facts['victim']}/fd/{facts['open']}", os.O_RDONLY), 99, 0)


@way(KIND, "a name for an open file")
def _named(facts: Facts) -> str:
    """linkat(2) of what is open: a file of the host's gets a name in the workspace."""
    found = os.open(facts["path"], os.O_RDONLY)
    call("linkat", found, b"", AT_FDCWD, b"linked", AT_EMPTY_PATH)
    return "linked"
