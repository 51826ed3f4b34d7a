"""The reason why this host refuses namespaces, and the one command that fixes it."""

from __future__ import annotations

import os

from solven_env.errors import SandboxError
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SYSCTL = "/proc/sys/"
# Setting of the kernel or the distribution, the value that refuses, what to say, the value that allows.
_SWITCHES = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",  # Ubuntu 24.04 and later
        "1",
        "AppArmor refuses user namespaces to programs without a profile",
        "0",
    ),
    ("kernel/unprivileged_userns_clone", "0", "this kernel refuses user namespaces to ordinary users", "1"),  # Debian
    ("user/max_user_namespaces", "0", "the limit of user namespaces is 0", "15000"),
    ("user/max_mnt_namespaces", "0", "the limit of mount namespaces is 0", "15000"),
    ("user/max_pid_namespaces", "0", "the limit of PID namespaces is 0", "15000"),
    ("user/max_net_namespaces", "0", "the limit of network namespaces is 0", "15000"),
)
_IN_CONTAINER = (
    "Start the container so that it may: docker run --security-opt seccomp=unconfined --security-opt "
    "systempaths=unconfined --security-opt apparmor=unconfined."
)


def read_setting(path: str) -> str:
    """The text of a file of the system; empty where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def find_switch(read: Callable[[str], str] = read_setting) -> tuple[str, str] | None:
    """The setting of this host that refuses namespaces, and the command that allows them; None where none does."""
    for setting, refusing, cause, allowing in _SWITCHES:
        if read(_SYSCTL + setting) == refusing:
            name = setting.replace("/", ".")
            return f"{cause} ({name}={refusing})", f"sudo sysctl -w {name}={allowing}"
    return None


def explain(
    what: str, read: Callable[[str], str] = read_setting, exists: Callable[[str], bool] = os.path.exists
) -> SandboxError:
    """The error for a launcher to which the host refused namespaces or mounts, with what it said (`what`)."""
    switch = find_switch(read)
    if switch is not None:
        cause, command = switch
        return SandboxError(f"{cause}: {what}", fix=f"Allow them: {command}")
    if exists("/.dockerenv") or exists("/run/.containerenv") or "container=" in read("/proc/1/environ"):
        return SandboxError(f"this container may not make namespaces: {what}", fix=_IN_CONTAINER)
    return SandboxError(
        f"the host refused the sandbox's namespaces: {what}",
        fix="Try `unshare --user --map-root-user --mount --pid --fork true` to see whether any program may make them.",
    )
