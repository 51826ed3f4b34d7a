"""Questions about the programs, devices and cgroups that commands expect on every Linux system."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.documents.answers import Answer, Question, broken, limited, ok
from solven_env.packages.asking import said
from solven_env.sandbox import cgroups, host_programs
from solven_env.sandbox.launch_plan import SETSID, STARTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.doctor.host import Host

# By Documentation/admin-guide/devices.txt of the kernel; a sandbox shows these of the host.
_DEVICES = {
    "/dev/null": (1, 3),
    "/dev/zero": (1, 5),
    "/dev/full": (1, 7),
    "/dev/random": (1, 8),
    "/dev/urandom": (1, 9),
    "/dev/tty": (5, 0),
}

_UTILS, _BASH = "sys-apps/util-linux", "app-shells/bash"


def installed(path: str, package: str, purpose: str) -> Callable[[Host], Answer]:
    """Make the question whether a program starts."""

    def ask(_: Host) -> Answer:
        told = said(path, "--version").partition("\n")[0]
        if told:
            return ok(f"{told} ({path})")
        return broken(f"{path} is not there, or does not start", purpose, host_programs.installing(package))

    return ask


def devices(_: Host) -> Answer:
    """/dev/null and its kin are the devices that they should be, and everybody may open them."""
    for path, (major, minor) in _DEVICES.items():
        try:
            about = Path(path).stat()
        except OSError as error:
            return broken(f"{path} cannot be looked at", str(error.strerror), _made(path))
        if not stat.S_ISCHR(about.st_mode) or about.st_rdev != os.makedev(major, minor):
            what = stat.filemode(about.st_mode)
            cause = f"what stands there is {what}, of {about.st_size} bytes, in place of device {major}, {minor}"
            return broken(f"{path} is not the device that it should be", cause, _made(path))
        if about.st_mode & 0o006 != 0o006:
            cause = f"its mode is {stat.S_IMODE(about.st_mode):04o}"
            return broken(f"not everybody may open {path}", cause, f"Run: sudo chmod 666 {path}")
    return ok(f"{', '.join(_DEVICES)} are devices")


def memory(_: Host) -> Answer:
    """A profile's limit of memory holds here."""
    for each in cgroups.unenforced():
        return limited(each.why, "a profile's limit of memory is not enforced here", each.fix)
    return ok("a cgroup with the memory controller is delegated: limits of memory are enforced")


def _made(path: str) -> str:
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    if any(line.split()[4] == path for line in lines):
        return f"Run: sudo umount {path}"
    major, minor = _DEVICES[path]
    return f"Run: sudo rm -rf {path} && sudo mknod -m 666 {path} c {major} {minor}"


QUESTIONS: tuple[Question[Host], ...] = (
    Question("prlimit", installed(STARTER.to, _UTILS, "every command is started through it")),
    Question("setsid", installed(SETSID, _UTILS, "commands on a terminal and the backend proot need it")),
    Question("bash", installed("/bin/bash", _BASH, "shell, run --shell and the profile's dotfiles need it")),
    Question("devices", devices),
    Question("memory", memory),
)
