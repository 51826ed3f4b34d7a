"""System calls, one by one: each reaches the kernel's own code, or is refused before it.

Where the call itself would harm the machine it is made with arguments that the kernel refuses only after it has looked
at the caller's rights (`past` names the errors of that), or before, where nothing but the filter stands in between.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import tempfile
from typing import Any

from .tries import Facts, Held, Untried, add, is_arm, way

KIND = "system calls"

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# Numbers on x86_64 and aarch64.
NUMBERS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "get_robust_list": (274, 100),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "linkat": (265, 37),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setattr": (314, 274),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
NOWHERE = 1
"""An address that no process has anything at."""
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000


def call(name: str, *arguments: Any) -> int:
    """Make a system call; OSError where it fails."""
    number = NUMBERS[name][is_arm()]
    if number is None:
        raise Untried("this machine has no such call")
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *given))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return result


def reaches(name: str, *arguments: Any, past: str) -> str:
    """Make a call whose arguments are wrong: it succeeds by failing with one of the errors `past`."""
    try:
        return f"returned {call(name, *arguments)}"
    except OSError as error:
        if errno.errorcode.get(error.errno or 0) in past.split():
            return f"the kernel looked at it: {errno.errorcode[error.errno or 0]}"
        raise


ZEROS = b"\0" * 256
ACTED: dict[str, tuple[str, tuple[Any, ...], str]] = {
    # Name of the try: the control, the call's arguments, and the errors that come after the look at rights.
    "acct": ("rights", (NOWHERE,), "EFAULT"),
    "add_key": ("user", (b"user", b"solven-try", b"x", 1, -1), ""),
    "adjtimex": ("rights", (struct.pack("=I4xqqqi4xqqqqqq", 0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) + ZEROS,), "EINVAL"),
    "bpf": ("rights", (0, struct.pack("=IIII", 2, 4, 4, 1) + ZEROS[:56], 72), ""),
    "clock_adjtime": ("user", (0, NOWHERE), "EFAULT"),
    "clock_settime": ("user", (0, NOWHERE), "EFAULT"),
    "clone3": ("user", (ZEROS, 1), "EINVAL"),
    "delete_module": ("rights", (b"solven_no_such_module", 0), "ENOENT"),
    "fanotify_init": ("rights", (0, 0), ""),
    "finit_module": ("rights", (-1, b"", 0), "EBADF"),
    "fsconfig": ("user", (-1, 0, 0, 0, 0), "EBADF EINVAL"),
    "fsmount": ("rights", (-1, 0, 0), "EBADF"),
    "fsopen": ("rights", (b"tmpfs", 1), ""),
    "fspick": ("rights", (AT_FDCWD, b"/", 1), ""),
    "init_module": ("rights", (NOWHERE, 0, b""), "ENOEXEC EFAULT"),
    "io_uring_enter": ("user", (-1, 0, 0, 0, 0, 0), "EBADF"),
    "io_uring_register": ("user", (-1, 0, 0, 0), "EBADF EINVAL"),
    "io_uring_setup": ("user", (1, ctypes.create_string_buffer(256)), ""),
    "ioperm": ("rights", (0x80, 1, 1), ""),
    "iopl": ("rights", (3,), ""),
    "kexec_file_load": ("rights", (-1, -1, 0, 0, 0x8000), "EINVAL"),
    "kexec_load": ("rights", (0, 17, 0, 0x8000), "EINVAL"),
    "keyctl": ("user", (0, -3, 1), ""),
    "mount_setattr": ("rights", (-1, b"/", 0, ZEROS, 32), "EBADF EINVAL"),
    "move_mount": ("rights", (-1, b"", -1, b"", 0), "EBADF EINVAL ENOENT"),
    "open_tree": ("rights", (AT_FDCWD, b"/", 1), ""),
    "open_tree_attr": ("rights", (AT_FDCWD, b"/", 1, 0, 0), ""),
    "perf_event_open": ("rights", (struct.pack("=IIQ", 1, 64, 0) + ZEROS[:48], 0, -1, -1, 0), ""),
    "pivot_root": ("rights", (NOWHERE, NOWHERE), "EFAULT"),
    "quotactl": ("user", (0x80000700, 0, 0, 0), "ENODEV ENOTBLK EINVAL EFAULT ENOENT ENOSYS"),
    "quotactl_fd": ("user", (-1, 0x80000700, 0, 0), "EBADF EINVAL"),
    "reboot": ("rights", (0, 0, 0, 0), "EINVAL"),
    "request_key": ("user", (b"user", b"solven-no-such-key", 0, -1), "ENOKEY"),
    "sethostname": ("rights", (b"taken", 5), ""),
    "setdomainname": ("rights", (b"taken", 5), ""),
    "settimeofday": ("rights", (0, struct.pack("=ii", 99999, 0)), "EINVAL"),
    "swapoff": ("rights", (NOWHERE,), "EFAULT"),
    "swapon": ("rights", (NOWHERE, 0), "EFAULT"),
    "syslog": ("rights", (3, ctypes.create_string_buffer(64), 64), ""),
    "userfaultfd": ("rights", (0,), ""),
    "vhangup": ("rights", (), ""),
}


def _acted(name: str, arguments: tuple[Any, ...], past: str) -> Any:
    def attempt(facts: Facts) -> str:
        return reaches(name, *arguments, past=past)

    return attempt


for _name, (_control, _arguments, _past) in ACTED.items():
    add(KIND, _name, _acted(_name, _arguments, _past), _control)


# Namespaces

_NAMESPACES = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "pid": 0x20000000,
    "network": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
}


def _unshare(flag: int) -> Any:
    return lambda facts: call("unshare", flag)


for _name, _flag in _NAMESPACES.items():
    add("namespaces", f"unshare {_name}", _unshare(_flag), "user" if _name == "user" else "rights")


def _clone(flag: int) -> Any:
    def attempt(facts: Facts) -> str:
        child = call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return f"a child, {child}"

    return attempt


for _name in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup"):
    add("namespaces", f"clone {_name}", _clone(_NAMESPACES[_name]), "user" if _name == "user" else "rights")


@way("namespaces", "clone3 user")
def _clone3_user(facts: Facts) -> str:
    child = call("clone3", struct.pack("=QQQQQQQQ", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return f"a child, {child}"


def _join(kind: str) -> Any:
    """Enter a namespace of the process that the test has made outside."""

    def attempt(facts: Facts) -> str:
        descriptor = os.open(f"/proc/{facts['victim']}/ns/{kind}", os.O_RDONLY)
        call("setns", descriptor, 0)
        return f"in the {kind} namespace of {facts['victim']}"

    return attempt


for _name in ("mnt", "net", "ipc", "uts", "cgroup", "pid"):
    add("namespaces", f"setns {_name}", _join(_name), "rights")


@way("namespaces", "setns by pidfd", "rights")
def _join_by_pidfd(facts: Facts) -> int:
    return call("setns", call("pidfd_open", facts["victim"], 0), _NAMESPACES["uts"])


@way("namespaces", "setns of one's own", "rights")
def _join_own(facts: Facts) -> int:
    """The call itself: to enter where one is already takes rights all the same."""
    return call("setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


@way("namespaces", "uid map", "rights")
def _uid_map(facts: Facts) -> str:
    """A map of one's own, as a new user namespace has it to write."""
    parent, child = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            call("unshare", _NAMESPACES["user"])
        except OSError as error:
            os.write(parent[1], bytes([error.errno or 1]))
            os._exit(1)
        os.write(parent[1], b"\0")
        os.read(child[0], 1)
        os._exit(0)
    refused = os.read(parent[0], 1)[0]
    if refused:
        raise OSError(refused, os.strerror(refused))
    with open(f"/proc/{pid}/uid_map", "w") as file:
        file.write("0 0 1")
    os.write(child[1], b"1")
    return "root of a namespace"


# Mounts, made for real: the control has a mount namespace of its own


MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18


@way("mounts", "a new file system", "rights")
def _mount_new(facts: Facts) -> int:
    return call("mount", b"tmpfs", tempfile.mkdtemp().encode(), b"tmpfs", 0, 0)


@way("mounts", "proc once more", "rights")
def _mount_proc(facts: Facts) -> int:
    return call("mount", b"proc", tempfile.mkdtemp().encode(), b"proc", 0, 0)


@way("mounts", "sysfs once more", "rights")
def _mount_sysfs(facts: Facts) -> int:
    return call("mount", b"sysfs", tempfile.mkdtemp().encode(), b"sysfs", 0, 0)


@way("mounts", "devpts once more", "rights")
def _mount_devpts(facts: Facts) -> int:
    return call("mount", b"devpts", tempfile.mkdtemp().encode(), b"devpts", 0, b"newinstance")


@way("mounts", "an overlay", "rights")
def _mount_overlay(facts: Facts) -> int:
    base = tempfile.mkdtemp()
    call("mount", b"tmpfs", base.encode(), b"tmpfs", 0, 0)
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{base}/{name}")
    options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    return call("mount", b"overlay", f"{base}/merged".encode(), b"overlay", 0, options.encode())


@way("mounts", "a bind", "rights")
def _bind(facts: Facts) -> int:
    return call("mount", b"/usr", tempfile.mkdtemp().encode(), 0, MS_BIND, 0)


@way("mounts", "what lies beneath a mount", "rights")
def _bind_root(facts: Facts) -> int:
    """A bind that is not recursive shows what mounts hide."""
    return call("mount", b"/", tempfile.mkdtemp().encode(), 0, MS_BIND, 0)


@way("mounts", "remount writable", "rights")
def _remount(facts: Facts) -> int:
    place = b"/usr" if os.path.ismount("/usr") else tempfile.mkdtemp().encode()
    if place != b"/usr":
        call("mount", b"tmpfs", place, b"tmpfs", MS_RDONLY, 0)
    return call("mount", b"none", place, 0, MS_REMOUNT, 0)


@way("mounts", "change propagation", "rights")
def _propagation(facts: Facts) -> int:
    return call("mount", b"none", b"/", 0, MS_REC | MS_PRIVATE, 0)


@way("mounts", "move a mount", "rights")
def _move(facts: Facts) -> int:
    return call("mount", b"/proc", tempfile.mkdtemp().encode(), 0, MS_MOVE, 0)


@way("mounts", "unmount", "rights")
def _unmount(facts: Facts) -> int:
    return call("umount2", b"/sys", 2)


@way("mounts", "unmount what was asked for a file system", "rights")
def _unmount_own(facts: Facts) -> int:
    place = tempfile.mkdtemp().encode()
    call("mount", b"tmpfs", place, b"tmpfs", 0, 0)
    return call("umount2", place, 0)


@way("mounts", "by descriptors", "rights")
def _mount_by_descriptors(facts: Facts) -> int:
    """The new calls together: fsopen, fsconfig, fsmount, move_mount."""
    context = call("fsopen", b"tmpfs", 1)
    call("fsconfig", context, 6, 0, 0, 0)
    mount = call("fsmount", context, 1, 0)
    return call("move_mount", mount, b"", AT_FDCWD, tempfile.mkdtemp().encode(), 4)


@way("mounts", "a detached copy of all", "rights")
def _detached(facts: Facts) -> list[str]:
    return os.listdir(os.open(".", os.O_RDONLY, dir_fd=call("open_tree", AT_FDCWD, b"/", 1 | 0x8000)))


@way("mounts", "a detached copy with attributes", "rights")
def _detached_with_attributes(facts: Facts) -> int:
    attributes = struct.pack("=QQQQ", 0, MS_RDONLY, 0, 0)
    return call("open_tree_attr", AT_FDCWD, b"/", 1 | 0x8000, attributes, len(attributes))


@way("mounts", "clear read-only", "rights")
def _clear_read_only(facts: Facts) -> int:
    attributes = struct.pack("=QQQQ", 0, MS_RDONLY, 0, 0)
    return call("mount_setattr", AT_FDCWD, b"/", 0x8000, attributes, len(attributes))


@way("mounts", "another root", "rights")
def _pivot(facts: Facts) -> int:
    place = tempfile.mkdtemp()
    call("mount", b"none", b"/", 0, MS_REC | MS_PRIVATE, 0)
    call("mount", b"tmpfs", place.encode(), b"tmpfs", 0, 0)
    os.mkdir(f"{place}/old")
    return call("pivot_root", place.encode(), f"{place}/old".encode())


@way("mounts", "chroot and out again", "rights")
def _chroot(facts: Facts) -> list[str]:
    """A second root below an open directory: `..` of that one passes the first."""
    outer = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot(tempfile.mkdtemp())
    os.fchdir(outer)
    for _ in range(20):
        os.chdir("..")
    os.chroot(".")
    return os.listdir("/")


# Entries of other architectures


@way(KIND, "x32 entry")
def _x32(facts: Facts) -> str:
    if is_arm():
        raise Untried("this machine has no such call")
    libc.syscall(ctypes.c_long(0x40000000 + 39))  # getpid
    number = ctypes.get_errno()
    if number == errno.ENOSYS:
        raise Untried("this kernel has no x32")
    return "it went on"


@way(KIND, "int 0x80 entry")
def _int80(facts: Facts) -> str:
    """The 32-bit calls have other numbers: a filter that looks at numbers alone lets mount(2) pass as 21."""
    if is_arm():
        raise Untried("this machine has no such call")
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # getpid, by its 32-bit number
    libc.mmap.restype = ctypes.c_void_p
    page = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(page, code, len(code))
    found = ctypes.CFUNCTYPE(ctypes.c_int)(page)()
    if found != os.getpid():
        raise Untried(f"this kernel has no 32-bit calls: {found}")
    return "it went on"


# Rights over oneself


@way("rights", "user 0", "rights")
def _user_0(facts: Facts) -> int:
    os.setresuid(0, 0, 0)
    return os.geteuid()


@way("rights", "group 0", "rights")
def _group_0(facts: Facts) -> int:
    os.setresgid(0, 0, 0)
    return os.getegid()


@way("rights", "another user", "rights")
def _another_user(facts: Facts) -> int:
    other = int(facts["other_uid"])
    os.setresuid(other, other, other)
    return os.geteuid()


@way("rights", "groups", "rights")
def _groups(facts: Facts) -> list[int]:
    os.setgroups([0])
    return os.getgroups()


@way("rights", "capabilities", "rights")
def _capabilities(facts: Facts) -> str:
    header, data = struct.pack("=Ii", 0x20080522, 0), struct.pack("=IIIIII", 1 << 21, 1 << 21, 0, 0, 0, 0)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")
    return "CAP_SYS_ADMIN"


@way("rights", "ambient capability", "rights")
def _ambient(facts: Facts) -> str:
    header, data = struct.pack("=Ii", 0x20080522, 0), struct.pack("=IIIIII", 1 << 10, 1 << 10, 1 << 10, 0, 0, 0)
    if libc.capset(header, data) or libc.prctl(47, 2, 10, 0, 0):
        raise OSError(ctypes.get_errno(), "ambient")
    return "CAP_NET_BIND_SERVICE"


@way("rights", "secure bits", "rights")
def _secure_bits(facts: Facts) -> int:
    return call("prctl", 28, 1, 0, 0, 0)


@way("rights", "without no_new_privs")
def _new_privileges(facts: Facts) -> str:
    if libc.prctl(39, 0, 0, 0, 0):
        raise Held("no_new_privs is set")
    return "no_new_privs is not set"


@way("rights", "without a filter")
def _no_filter(facts: Facts) -> str:
    with open("/proc/self/status") as file:
        (mode,) = (line.split()[1] for line in file if line.startswith("Seccomp:"))
    if mode != "0":
        raise Held("a filter is installed")
    return "no filter"


@way("rights", "higher priority", "rights")
def _nice(facts: Facts) -> int:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return os.getpriority(os.PRIO_PROCESS, 0)


@way("rights", "real-time scheduling", "rights")
def _real_time(facts: Facts) -> int:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return os.sched_getscheduler(0)


@way("rights", "deadline scheduling", "rights")
def _deadline(facts: Facts) -> int:
    attributes = struct.pack("=IIQiIQQQ", 48, 6, 0, 0, 0, 1_000_000, 10_000_000, 10_000_000)
    return call("sched_setattr", 0, attributes, 0)


@way("rights", "real-time input and output", "rights")
def _io_class(facts: Facts) -> int:
    return call("ioprio_set", 1, 0, 1 << 13)


@way("rights", "a higher limit", "rights")
def _limit(facts: Facts) -> str:
    for limit in (0, 1 << 20):
        call("prlimit64", 0, 4, struct.pack("=QQ", limit, limit), 0)  # RLIMIT_CORE
    return "raised"


@way("rights", "out of the way of the OOM killer", "rights")
def _oom(facts: Facts) -> str:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return "-1000"
