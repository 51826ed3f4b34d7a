"""Files of the host: what the kernel shows of itself, devices, `path` and its directory outside, what is read-only.

`path` is a file of the sandbox's own user in `directory`, which is shown inside as `/shown`, read-only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, Any

from .calls import AT_FDCWD, call, libc
from .tries import Facts, Held, Untried, add, way

if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE = os.O_RDONLY, os.O_WRONLY


def _open(path: str, flags: int) -> Any:
    """Open, and do no more: what is opened here must not be written."""

    def attempt(facts: Facts) -> str:
        try:
            descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno == errno.ENOENT and not facts["inside"]:
                raise Untried("this host has none") from error
            raise
        os.close(descriptor)
        return "opened"

    return attempt


KERNEL_FILES = {
    # Path: how it is opened, and who may without a sandbox.
    "/proc/sysrq-trigger": (WRITE, "rights"),
    "/proc/kcore": (READ, "rights"),
    "/proc/kmsg": (READ, "rights"),
    "/proc/timer_list": (READ, "rights"),
    "/proc/kpagecount": (READ, "rights"),
    "/proc/kpageflags": (READ, "rights"),
    "/proc/slabinfo": (READ, "rights"),
    "/proc/vmallocinfo": (READ, "rights"),
    "/proc/iomem": (WRITE, "rights"),
    "/proc/mtrr": (WRITE, "rights"),
    "/proc/irq/default_smp_affinity": (WRITE, "rights"),
    "/proc/sys/kernel/core_pattern": (WRITE, "rights"),
    "/proc/sys/kernel/modprobe": (WRITE, "rights"),
    "/proc/sys/kernel/hotplug": (WRITE, "rights"),
    "/proc/sys/kernel/hostname": (WRITE, "rights"),
    "/proc/sys/kernel/panic": (WRITE, "rights"),
    "/proc/sys/kernel/randomize_va_space": (WRITE, "rights"),
    "/proc/sys/kernel/yama/ptrace_scope": (WRITE, "rights"),
    "/proc/sys/kernel/shmmax": (WRITE, "rights"),
    "/proc/sys/user/max_user_namespaces": (WRITE, "rights"),
    "/proc/sys/vm/drop_caches": (WRITE, "rights"),
    "/proc/sys/vm/overcommit_memory": (WRITE, "rights"),
    "/proc/sys/fs/suid_dumpable": (WRITE, "rights"),
    "/proc/sys/fs/protected_symlinks": (WRITE, "rights"),
    "/proc/sys/fs/binfmt_misc/register": (WRITE, "rights"),
    "/proc/sys/net/ipv4/ip_forward": (WRITE, "rights"),
    "/proc/sys/net/ipv4/ping_group_range": (WRITE, "rights"),
    "/sys/kernel/uevent_helper": (WRITE, "rights"),
    "/sys/kernel/profiling": (WRITE, "rights"),
    "/sys/kernel/debug/sched/debug": (READ, "rights"),
    "/sys/kernel/mm/transparent_hugepage/enabled": (WRITE, "rights"),
    "/sys/power/state": (WRITE, "rights"),
    "/sys/module/printk/parameters/time": (WRITE, "rights"),
    "/sys/class/net/lo/mtu": (WRITE, "rights"),
    "/sys/devices/system/cpu/cpu1/online": (WRITE, "rights"),
    "/sys/bus/pci/rescan": (WRITE, "rights"),
    "/sys/bus/platform/drivers_probe": (WRITE, "rights"),
    "/sys/block/vda/queue/read_ahead_kb": (WRITE, "rights"),
    "/sys/firmware/acpi/tables/DSDT": (READ, "rights"),
    "/sys/fs/cgroup/cgroup.procs": (WRITE, "rights"),
    "/sys/fs/cgroup/unified/cgroup.procs": (WRITE, "rights"),
    "/sys/fs/cgroup/memory/cgroup.procs": (WRITE, "rights"),
    "/sys/fs/cgroup/devices/release_agent": (WRITE, "rights"),
}
for _path, (_how, _control) in KERNEL_FILES.items():
    add("kernel's files", _path + (" to write" if _how == WRITE else ""), _open(_path, _how), _control)


@way("kernel's files", "addresses in /proc/kallsyms", "rights")
def _symbols(facts: Facts) -> str:
    with open("/proc/kallsyms") as file:
        found = next((line for line in file if int(line.split()[0], 16)), "")
    if not found:
        raise Held("all are 0")
    return found.strip()


@way("kernel's files", "a cgroup of one's own", "rights")
def _cgroup(facts: Facts) -> str:
    for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"):
        path = f"{base}/solven-try-{os.getpid()}"
        try:
            os.mkdir(path)
        except OSError as error:
            last = error
        else:
            os.rmdir(path)
            return path
    raise last


@way("kernel's files", "what the host's sockets are, by /proc/net/unix")
def _unix_list(facts: Facts) -> str:
    with open("/proc/net/unix") as file:
        if "@" + facts["abstract"] not in file.read():
            raise Held("the host's is not listed")
    return "listed"


@way("kernel's files", "what the host's sockets are, by /proc/net/tcp")
def _tcp_list(facts: Facts) -> str:
    with open("/proc/net/tcp") as file:
        if f":{facts['port']:04X} " not in file.read():
            raise Held("the host's is not listed")
    return "listed"


@way("kernel's files", "what the host shares, by /proc/sysvipc/shm")
def _shm_list(facts: Facts) -> str:
    with open("/proc/sysvipc/shm") as file:
        if str(facts["shm"]) not in file.read().split():
            raise Held("the host's is not listed")
    return "listed"


@way("kernel's files", "login of the caller", "rights")
def _login(facts: Facts) -> str:
    with open("/proc/self/loginuid", "w") as file:
        file.write(str(facts["other_uid"]))
    return "another's"


# Devices

for _path in (
    *("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/loop-control", "/dev/loop0", "/dev/fuse", "/dev/kvm"),
    *("/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/vsock", "/dev/uinput", "/dev/console", "/dev/tty0"),
    *("/dev/tty1", "/dev/vcs", "/dev/ptmx of the host", "/dev/hwrng", "/dev/cpu/0/msr", "/dev/dri/card0"),
    *("/dev/userfaultfd", "/dev/mapper/control", "/dev/btrfs-control", "/dev/autofs", "/dev/vda", "/dev/sda"),
    *("/dev/nvme0n1", "/dev/nvram", "/dev/rtc0", "/dev/ppp", "/dev/hpet", "/dev/cuse", "/dev/cpu_dma_latency"),
):
    if not _path.endswith("of the host"):
        add("devices", _path, _open(_path, os.O_RDWR), "rights")


def _node(kind: int, major: int, minor: int) -> Any:
    def attempt(facts: Facts) -> str:
        name = f"node-{kind}-{major}-{minor}"
        os.mknod(name, kind | 0o600, os.makedev(major, minor))
        os.close(os.open(name, os.O_RDONLY | os.O_NONBLOCK))
        return "made and opened"

    return attempt


for _name, _of in {"memory": (0o020000, 1, 1), "nothing": (0o020000, 1, 3)}.items():
    add("devices", f"a node for {_name}", _node(*_of), "rights")


@way("devices", "a node for the host's disk", "rights")
def _disk(facts: Facts) -> str:
    number = os.stat(facts["directory"]).st_dev if not facts["inside"] else os.stat("/shown").st_dev
    if os.major(number) == 0:
        raise Untried("it is on no disk")
    return str(_node(0o060000, os.major(number), os.minor(number))(facts))


@way("devices", "a node for a loop device", "rights")
def _loop(facts: Facts) -> str:
    return str(_node(0o060000, 7, 0)(facts))


@way("devices", "a node that the host left in the workspace", "rights")
def _left(facts: Facts) -> bytes:
    return os.read(os.open(facts["left"] + "/zero", os.O_RDONLY), 3)


@way("devices", "a node in memory", "rights")
def _in_memory(facts: Facts) -> str:
    os.chdir("/dev/shm")
    made = _node(0o020000, 1, 5)(facts)
    os.unlink(f"node-{0o020000}-1-5")
    return str(made)


# The file outside


@way("files outside", "by its path")
def _by_path(facts: Facts) -> bytes:
    return _secret(facts, facts["path"])


def _secret(facts: Facts, path: str | int) -> bytes:
    with open(path, "rb") as file:
        return file.read(99)


@way("files outside", "above the root")
def _above(facts: Facts) -> bytes:
    return _secret(facts, "/../../.." + facts["path"])


@way("files outside", "from the directory of another process", "rights")
def _through_process(facts: Facts) -> bytes:
    return _secret(facts, f"/proc/{facts['victim']}/cwd/{os.path.basename(facts['path'])}")


@way("files outside", "by /proc/self/root")
def _self_root(facts: Facts) -> bytes:
    return _secret(facts, "/proc/self/root" + facts["path"])


@way("files outside", "by a thread's root")
def _thread_root(facts: Facts) -> bytes:
    return _secret(facts, f"/proc/self/task/{os.getpid()}/root{facts['path']}")


@way("files outside", "by a link that is made inside")
def _by_link(facts: Facts) -> bytes:
    os.symlink(facts["path"], "link-to-outside")
    return _secret(facts, "link-to-outside")


@way("files outside", "by a link that leads up")
def _by_relative_link(facts: Facts) -> bytes:
    os.symlink("../" * 30 + facts["path"].lstrip("/"), "link-up")
    return _secret(facts, "link-up")


@way("files outside", "by a hard link")
def _by_hard_link(facts: Facts) -> bytes:
    os.link(facts["path"], "hard-link")
    return _secret(facts, "hard-link")


@way("files outside", "by a hard link out of what is shown")
def _by_hard_link_out(facts: Facts) -> str:
    """/shown and the workspace are one file system."""
    os.link(facts["shown"] + "/file", "hard-link-out")
    with open("hard-link-out", "r+b") as file:
        file.write(b"x")
    return "written"


@way("files outside", "by a rename out of what is shown")
def _by_rename(facts: Facts) -> None:
    os.rename(facts["shown"] + "/spare", "renamed-out")


@way("files outside", "by openat2 without a root")
def _by_openat2(facts: Facts) -> bytes:
    descriptor = call("openat2", AT_FDCWD, facts["path"].encode(), struct.pack("=QQQ", 0, 0, 0), 24)
    return os.read(descriptor, 99)


@way("files outside", "by a handle", "rights")
def _by_handle(facts: Facts) -> bytes:
    """A file system opens by number what lies anywhere in it, above the directory that is mounted too."""
    here = facts["shown"] + "/file"
    handle, mount = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128)), ctypes.c_int()
    call("name_to_handle_at", AT_FDCWD, here.encode(), handle, ctypes.byref(mount), 0)
    return os.read(call("open_by_handle_at", os.open(facts["shown"], os.O_RDONLY), handle, 0), 99)


@way("files outside", "by the old root of bubblewrap")
def _old_root(facts: Facts) -> bytes:
    return _secret(facts, ("/oldroot" if facts["inside"] else "") + facts["path"])


@way("files outside", "the host's temporary files")
def _temporary(facts: Facts) -> bytes:
    return _secret(facts, facts["temporary"])


@way("files outside", "the host's shared memory")
def _shared_memory(facts: Facts) -> bytes:
    return _secret(facts, "/dev/shm/" + facts["in_shm"])


@way("files outside", "the host's accounts", "rights")
def _accounts(facts: Facts) -> bytes:
    return _secret(facts, "/etc/shadow")


@way("files outside", "root's home", "rights")
def _home(facts: Facts) -> list[str]:
    return os.listdir("/root")


@way("files outside", "the runtime directory with the holder's socket")
def _runtime(facts: Facts) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.connect(facts["holder"])
    return "connected"


@way("files outside", "the storage's records")
def _records(facts: Facts) -> list[str]:
    return os.listdir(facts["directory"])


# What is shown read-only, though all of it is this user's own


def _on_shown(act: Callable[[str], object]) -> Any:
    return lambda facts: act(facts["shown"])


def _map(shown: str) -> None:
    descriptor = os.open(f"{shown}/file", os.O_RDWR)
    with mmap.mmap(descriptor, 1) as memory:
        memory[0] = 120


def _flags(shown: str) -> None:
    descriptor, flags = os.open(f"{shown}/file", os.O_RDONLY), bytearray(8)
    fcntl.ioctl(descriptor, 0x80086601, flags)  # FS_IOC_GETFLAGS
    fcntl.ioctl(descriptor, 0x40086602, bytes(flags))  # FS_IOC_SETFLAGS


def _reopen(shown: str) -> None:
    descriptor = os.open(f"{shown}/file", os.O_RDONLY)
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY))


def _reopen_path(shown: str) -> None:
    descriptor = os.open(f"{shown}/file", os.O_PATH)
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_APPEND))


def _listen(shown: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{shown}/socket")


def _exchange(shown: str) -> None:
    if libc.renameat2(AT_FDCWD, f"{shown}/file".encode(), AT_FDCWD, f"{shown}/before".encode(), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


def _made(name: str) -> str:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT))
    return name


def _lease(shown: str) -> None:
    fcntl.fcntl(os.open(f"{shown}/leased", os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)


def _temporary_file(shown: str) -> None:
    os.close(os.open(shown, os.O_TMPFILE | os.O_WRONLY))


READ_ONLY: dict[str, Callable[[str], object]] = {
    "open to write": lambda shown: os.close(os.open(f"{shown}/file", os.O_WRONLY)),
    "open to append": lambda shown: os.close(os.open(f"{shown}/file", os.O_WRONLY | os.O_APPEND)),
    "open again by /proc": _reopen,
    "open again from a path descriptor": _reopen_path,
    "truncate": lambda shown: os.truncate(f"{shown}/file", 1),
    "map to write": _map,
    "make a file": lambda shown: os.close(os.open(f"{shown}/new", os.O_WRONLY | os.O_CREAT)),
    "make a nameless file": _temporary_file,
    "make a directory": lambda shown: os.mkdir(f"{shown}/new-directory"),
    "make a link": lambda shown: os.symlink("x", f"{shown}/new-link"),
    "make a hard link": lambda shown: os.link(f"{shown}/file", f"{shown}/new-hard-link"),
    "make a FIFO": lambda shown: os.mkfifo(f"{shown}/new-fifo"),
    "make a socket": _listen,
    "rename": lambda shown: os.rename(f"{shown}/other", f"{shown}/renamed"),
    "rename into it": lambda shown: os.rename(_made("into"), f"{shown}/into"),
    "exchange": _exchange,
    "unlink": lambda shown: os.unlink(f"{shown}/gone"),
    "remove a directory": lambda shown: os.rmdir(f"{shown}/empty"),
    "change mode": lambda shown: os.chmod(f"{shown}/file", 0o640),
    "change mode of the directory": lambda shown: os.chmod(shown, 0o755),
    "change owner": lambda shown: os.chown(f"{shown}/file", os.getuid(), -1),
    "change times": lambda shown: os.utime(f"{shown}/file"),
    "set an attribute": lambda shown: os.setxattr(f"{shown}/file", "user.try", b"x"),
    "set an access list": lambda shown: os.setxattr(
        f"{shown}/file", "system.posix_acl_access", struct.pack("=IHHIHHIHHI", 2, 1, 6, 0, 4, 4, 0, 32, 4, 0)[:28]
    ),
    "set flags": _flags,
    "lock to write": lambda shown: fcntl.lockf(os.open(f"{shown}/file", os.O_RDWR), fcntl.LOCK_EX),
    "allocate": lambda shown: os.posix_fallocate(os.open(f"{shown}/file", os.O_RDWR), 0, 9),
    "lease to write": _lease,
}
for _name, _act in READ_ONLY.items():
    add("read-only mounts", _name, _on_shown(_act))

for _name in ("/usr", "/usr/bin", "/bin", "/lib", "/etc", "/etc/ssl", "/sys"):

    def _system(facts: Facts, path: str = _name) -> str:
        made = f"{path}/.solven-try-{os.getpid()}"
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(made)
        return "made and removed"

    if _name != "/sys":  # where nobody makes a file
        add("read-only mounts", f"a file in {_name}", _system, "rights")


@way("read-only mounts", "the loader's list", "rights")
def _loader(facts: Facts) -> None:
    os.close(os.open("/etc/ld.so.cache", os.O_WRONLY))


@way("read-only mounts", "a program that runs", "rights")
def _running(facts: Facts) -> str:
    """What a container's runtime was overwritten by (CVE-2019-5736)."""
    try:
        os.close(os.open("/proc/self/exe", os.O_WRONLY))
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            raise
    return "nothing but that it runs keeps it from being written"


# The shared build below a layer: `build` is its lower directory, shown read-only too, `layer` what commands write


def _on_layer(act: Callable[[str], object], changed: Callable[[str], bool]) -> Any:
    def attempt(facts: Facts) -> str:
        act(facts["layer"])
        if not changed(facts["build"]):
            raise Held("the build is as it was")
        return "the build is changed"

    return attempt


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()


def _put(path: str, text: str) -> None:
    with open(path, "r+") as file:
        file.write(text)


def _put_mapped(path: str) -> None:
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:6] = b"mapped"


def _linked(layer: str) -> str:
    os.link(f"{layer}/link", f"{layer}/linked")
    return f"{layer}/linked"


def _opened_before(layer: str) -> None:
    """A file that was opened to read before it was copied up is the lower one."""
    with open(f"{layer}/before") as early:
        _put(f"{layer}/before", "late")
        _put(f"/proc/self/fd/{early.fileno()}", "later")


BUILDS: dict[str, tuple[Callable[[str], object], Callable[[str], bool]]] = {
    "write": (lambda layer: _put(f"{layer}/file", "taken"), lambda build: _text(f"{build}/file").startswith("taken")),
    "map": (lambda layer: _put_mapped(f"{layer}/map"), lambda build: _text(f"{build}/map").startswith("mapped")),
    "write what was open": (_opened_before, lambda build: "late" in _text(f"{build}/before")),
    "unlink": (lambda layer: os.unlink(f"{layer}/gone"), lambda build: not os.path.exists(f"{build}/gone")),
    "mode": (
        lambda layer: os.chmod(f"{layer}/mode", 0o600),
        lambda build: os.stat(f"{build}/mode").st_mode & 0o77 == 0,
    ),
    "attribute": (
        lambda layer: os.setxattr(f"{layer}/file", "user.try", b"x"),
        lambda build: "user.try" in os.listxattr(f"{build}/file"),
    ),
    "hard link": (
        lambda layer: _put(_linked(layer), "taken"),
        lambda build: _text(f"{build}/link").startswith("taken"),
    ),
    "rename over": (
        lambda layer: os.replace(f"{layer}/spare", f"{layer}/over"),
        lambda build: _text(f"{build}/over") == "spare",
    ),
    "a file in a directory of it": (
        lambda layer: open(f"{layer}/directory/new", "w").close(),
        lambda build: os.path.exists(f"{build}/directory/new"),
    ),
    "times": (lambda layer: os.utime(f"{layer}/file", (1, 1)), lambda build: os.stat(f"{build}/file").st_mtime == 1),
}
for _name, (_act_on, _is_changed) in BUILDS.items():
    add("layers", _name, _on_layer(_act_on, _is_changed))


@way("layers", "an attribute of overlays: redirect", "rights")
def _redirect(facts: Facts) -> None:
    """`redirect` would let a directory of the layer show another one of the file system."""
    os.mkdir(f"{facts['layer']}/redirected")
    os.setxattr(f"{facts['layer']}/redirected", "trusted.overlay.redirect", b"/etc")


@way("layers", "an attribute of overlays: opaque", "rights")
def _opaque(facts: Facts) -> None:
    os.setxattr(f"{facts['layer']}/directory", "trusted.overlay.opaque", b"y")


@way("layers", "a handle in the index", "rights")
def _index(facts: Facts) -> None:
    os.setxattr(f"{facts['layer']}/file", "trusted.overlay.origin", b"\0" * 20)


# Set-uid programs: copies of `id` and `cat` that root has left in the workspace, and the system's own


def _prints(facts: Facts, *line: str) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stdout


@way("set-uid programs", "root's in the workspace")
def _set_uid(facts: Facts) -> str:
    return _is(facts, _prints(facts, facts["left"] + "/set-uid", "-u"), "0")


@way("set-uid programs", "another user's in the workspace")
def _set_other(facts: Facts) -> str:
    return _is(facts, _prints(facts, facts["left"] + "/set-other", "-u"), str(facts["other_uid"]))


@way("set-uid programs", "a set-gid one in the workspace")
def _set_gid(facts: Facts) -> str:
    return _is(facts, _prints(facts, facts["left"] + "/set-gid", "-g"), "0")


def _is(facts: Facts, told: str, wanted: str) -> str:
    if told.strip() != wanted:
        raise Held(f"it ran as {told.strip() or 'nothing'}")
    return told


@way("set-uid programs", "with capabilities")
def _with_capabilities(facts: Facts) -> str:
    told = _prints(facts, facts["left"] + "/capable", "/proc/self/status")
    (effective,) = (line.split()[1] for line in told.splitlines() if line.startswith("CapEff:")) if told else ("0",)
    if not int(effective, 16):
        raise Held("it has none")
    return effective


@way("set-uid programs", "the system's own")
def _system_program(facts: Facts) -> str:
    """`mount`, `su` and their like run as root on a host: what one prints of itself is in /proc."""
    program = shutil.which("su", path="/usr/bin:/bin") or shutil.which("mount", path="/usr/bin:/bin")
    if program is None or not os.stat(program).st_mode & 0o4000:
        raise Untried("this host has none")
    reading, writing = os.pipe()
    with subprocess.Popen([program, "-c", "true"], stdin=reading, stdout=-3, stderr=-3) as started:
        with open(f"/proc/{started.pid}/status") as file:
            (line,) = (line for line in file if line.startswith("Uid:"))
        os.close(writing)
        started.kill() if line.split()[2] != "0" else None
    if line.split()[2] != "0":
        raise Held(f"it ran as {line.split()[2]}")
    return line


@way("set-uid programs", "made by oneself", "rights")
def _made_set_uid(facts: Facts) -> str:
    shutil.copy("/usr/bin/id", "my-id")
    os.chown("my-id", 0, 0)
    os.chmod("my-id", 0o4755)
    return "root's"


@way("set-uid programs", "capabilities made by oneself", "rights")
def _made_capable(facts: Facts) -> None:
    shutil.copy("/usr/bin/cat", "my-cat")
    os.setxattr("my-cat", "security.capability", struct.pack("=IIIII", 0x02000001, 1 << 1, 0, 0, 0))


@way("set-uid programs", "give a file away", "rights")
def _give_away(facts: Facts) -> None:
    open("mine", "w").close()
    os.chown("mine", int(facts["other_uid"]), -1)
