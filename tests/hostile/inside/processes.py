"""Processes of the host: `victim` is one of the sandbox's own user that the test has started outside.

It holds `secret` in its memory at `address`, in a variable, and in a file that it has open.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import select
import signal
import struct
from typing import Any

from .calls import call
from .tries import Facts, Held, add, way

KIND = "processes"


class _Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


@way(KIND, "signal by kill")
def _kill(facts: Facts) -> None:
    os.kill(facts["victim"], 0)


@way(KIND, "signal to a process group")
def _killpg(facts: Facts) -> None:
    os.killpg(facts["victim"], 0)


@way(KIND, "signal to a thread")
def _tgkill(facts: Facts) -> int:
    return call("tgkill", facts["victim"], facts["victim"], 0)


@way(KIND, "signal with a value")
def _sigqueue(facts: Facts) -> int:
    information = struct.pack("=iii", 0, 0, -1) + bytes(116)
    return call("rt_sigqueueinfo", facts["victim"], signal.SIGCONT, information)


@way(KIND, "signal with a value to a thread")
def _tgsigqueue(facts: Facts) -> int:
    information = struct.pack("=iii", 0, 0, -1) + bytes(116)
    return call("rt_tgsigqueueinfo", facts["victim"], facts["victim"], signal.SIGCONT, information)


@way(KIND, "signal by pidfd")
def _pidfd_signal(facts: Facts) -> int:
    return call("pidfd_send_signal", os.pidfd_open(facts["victim"]), 0, 0, 0)


@way(KIND, "signal to everybody")
def _kill_all(facts: Facts) -> str:
    """Who has no handler ignores SIGURG; the victim leaves a file, which the test outside looks for."""
    os.kill(-1, signal.SIGURG)
    raise Held("nothing of it is seen from here")


@way(KIND, "signal by an owned descriptor")
def _sigio(facts: Facts) -> str:
    reading, _ = os.pipe()
    fcntl.fcntl(reading, 8, facts["victim"])  # F_SETOWN
    if fcntl.fcntl(reading, 9) != facts["victim"]:  # F_GETOWN
        raise Held("it is nobody's")
    return "SIGIO goes there"


@way(KIND, "wait by pidfd")
def _pidfd(facts: Facts) -> str:
    descriptor = os.pidfd_open(facts["victim"])
    return f"watched: {select.select([descriptor], [], [], 0)}"


@way(KIND, "its descriptors by pidfd")
def _pidfd_getfd(facts: Facts) -> bytes:
    return os.pread(call("pidfd_getfd", os.pidfd_open(facts["victim"]), facts["open"], 0), 99, 0)


@way(KIND, "priority")
def _priority(facts: Facts) -> None:
    os.setpriority(os.PRIO_PROCESS, facts["victim"], 19)


@way(KIND, "scheduling")
def _scheduling(facts: Facts) -> None:
    os.sched_setscheduler(facts["victim"], os.SCHED_BATCH, os.sched_param(0))


@way(KIND, "processors")
def _affinity(facts: Facts) -> None:
    os.sched_setaffinity(facts["victim"], os.sched_getaffinity(0))


@way(KIND, "input and output priority")
def _io_priority(facts: Facts) -> int:
    return call("ioprio_set", 1, facts["victim"], 2 << 13 | 7)


@way(KIND, "limits")
def _limits(facts: Facts) -> bytes:
    former = ctypes.create_string_buffer(16)
    call("prlimit64", facts["victim"], 7, 0, former)
    return former.raw


@way(KIND, "process group")
def _group(facts: Facts) -> int:
    return os.getpgid(facts["victim"])


@way(KIND, "session")
def _session(facts: Facts) -> int:
    return os.getsid(facts["victim"])


@way(KIND, "trace: attach")
def _attach(facts: Facts) -> int:
    return _traced(facts, 16)


@way(KIND, "trace: seize")
def _seize(facts: Facts) -> int:
    return _traced(facts, 0x4206)


def _traced(facts: Facts, request: int) -> int:
    call("ptrace", request, facts["victim"], 0, 0)
    if request == 16:
        os.waitpid(facts["victim"], 0)  # it stops for that
    return call("ptrace", 17, facts["victim"], 0, 0) if request == 16 else 0  # PTRACE_DETACH


@way(KIND, "trace: oneself")
def _trace_me(facts: Facts) -> int:
    """Forbidden too: a tracer may rewrite the calls of what it traces after the filter has seen them."""
    return call("ptrace", 0, 0, 0, 0)


@way(KIND, "memory by process_vm_readv")
def _vm_read(facts: Facts) -> bytes:
    read = ctypes.create_string_buffer(len(facts["secret"]))
    here, there = _Part(ctypes.addressof(read), len(read)), _Part(facts["address"], len(facts["secret"]))
    call("process_vm_readv", facts["victim"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return _told(facts, read.raw[: len(facts["secret"])])


@way(KIND, "memory by process_vm_writev")
def _vm_write(facts: Facts) -> int:
    written = ctypes.create_string_buffer(facts["secret"].encode())
    here, there = _Part(ctypes.addressof(written), 1), _Part(facts["address"], 1)
    return call("process_vm_writev", facts["victim"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def _told(facts: Facts, read: bytes) -> bytes:
    if facts["secret"].encode() not in read:
        raise Held(f"not the secret: {read[:40]!r}")
    return read


@way(KIND, "memory by /proc")
def _mem(facts: Facts) -> bytes:
    with open(f"/proc/{facts['victim']}/mem", "rb", buffering=0) as file:
        file.seek(facts["address"])
        return _told(facts, file.read(len(facts["secret"])))


def _entry(name: str) -> Any:
    def attempt(facts: Facts) -> bytes:
        with open(f"/proc/{facts['victim']}/{name}".format(**facts), "rb", buffering=0) as file:
            return file.read(4096) or b"opened"

    return attempt


for _name in ("environ", "maps", "cmdline", "status", "root{path}", "fd/{open}", "auxv", "io", "syscall", "pagemap"):
    add(KIND, f"entry {_name.partition('{')[0].strip('/')}", _entry(_name))
add(KIND, "entry stack", _entry("stack"), "rights")
add(KIND, "entry map_files", lambda facts: os.listdir(f"/proc/{facts['victim']}/map_files"))


@way(KIND, "entry cwd")
def _cwd(facts: Facts) -> list[str]:
    return os.listdir(f"/proc/{facts['victim']}/cwd")


@way(KIND, "entry oom_score_adj")
def _oom(facts: Facts) -> str:
    with open(f"/proc/{facts['victim']}/oom_score_adj", "w") as file:
        file.write("1000")
    return "it is killed first"


@way(KIND, "entry coredump_filter")
def _filter(facts: Facts) -> str:
    with open(f"/proc/{facts['victim']}/coredump_filter", "w") as file:
        file.write("0x33")
    return "written"


@way(KIND, "entry clear_refs")
def _clear(facts: Facts) -> str:
    with open(f"/proc/{facts['victim']}/clear_refs", "w") as file:
        file.write("1")
    return "written"


@way(KIND, "a list of all")
def _list(facts: Facts) -> str:
    if str(facts["victim"]) not in os.listdir("/proc"):
        raise Held("it is not listed")
    return "it is listed"


@way(KIND, "compare resources")
def _compare(facts: Facts) -> int:
    return call("kcmp", os.getpid(), facts["victim"], 1, 0, 0)


@way(KIND, "robust futexes")
def _futexes(facts: Facts) -> int:
    head, length = array.array("Q", [0]), array.array("Q", [0])
    return call("get_robust_list", facts["victim"], head.buffer_info()[0], length.buffer_info()[0])


@way(KIND, "migrate its pages")
def _migrate(facts: Facts) -> int:
    nodes = array.array("Q", [1])
    return call("migrate_pages", facts["victim"], 64, nodes.buffer_info()[0], nodes.buffer_info()[0])


@way(KIND, "move its pages")
def _move_pages(facts: Facts) -> int:
    return call("move_pages", facts["victim"], 0, 0, 0, 0, 2)


@way(KIND, "advise its memory")
def _advise(facts: Facts) -> int:
    part = _Part(facts["address"] & ~4095, 4096)
    return call("process_madvise", os.pidfd_open(facts["victim"]), ctypes.byref(part), 1, 20, 0)  # MADV_COLD


@way(KIND, "count its events", "rights")
def _events(facts: Facts) -> int:
    return call("perf_event_open", struct.pack("=IIQ", 1, 64, 0) + bytes(48), facts["victim"], -1, -1, 0)


@way(KIND, "count events of all", "rights")
def _events_of_all(facts: Facts) -> int:
    return call("perf_event_open", struct.pack("=IIQ", 1, 64, 0) + bytes(48), -1, 0, -1, 0)


def _of_first(entry: str, flags: int = os.O_RDONLY) -> Any:
    """An entry of the sandbox's first process, which is bubblewrap's; the control's stand-in for it is the victim."""

    def attempt(facts: Facts) -> str:
        pid = 1 if facts["inside"] else facts["victim"]
        descriptor = os.open(f"/proc/{pid}/{entry}".format(**facts), flags)
        if entry in ("environ", "syscall") and not os.read(descriptor, 9):
            raise Held("it is empty")
        return "opened"

    return attempt


for _name, _of in {
    "root": _of_first("root{path}"),
    "directory": _of_first("cwd"),
    "variables": _of_first("environ"),
    "memory": _of_first("mem"),
    "descriptors": _of_first("fd/0"),
    "memory map": _of_first("maps"),
    "page map": _of_first("pagemap"),
    "calls": _of_first("syscall"),
}.items():
    add(KIND, f"the first one's {_name}", _of)


@way(KIND, "the first one's program, to write", "rights")
def _program(facts: Facts) -> str:
    pid = 1 if facts["inside"] else facts["victim"]
    try:
        os.open(f"/proc/{pid}/exe", os.O_WRONLY)
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            raise
    return "nothing but that it runs keeps it from being written"
