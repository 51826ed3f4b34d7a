"""The host's bubblewrap: where it is, whether it is new enough, and how this distribution installs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from solven_env.errors import PlatformError
from solven_env.sandbox.refusal import read_setting

OLDEST = (0, 8)
"""--disable-userns is new in 0.8 (bubblewrap's NEWS)."""

# ID or ID_LIKE of os-release(5).
_INSTALL = {
    "debian": "sudo apt-get install bubblewrap",
    "ubuntu": "sudo apt-get install bubblewrap",
    "fedora": "sudo dnf install bubblewrap",
    "rhel": "sudo dnf install bubblewrap",
    "centos": "sudo dnf install bubblewrap",
    "alpine": "sudo apk add bubblewrap",
    "arch": "sudo pacman -S bubblewrap",
    "suse": "sudo zypper install bubblewrap",
    "opensuse": "sudo zypper install bubblewrap",
    "gentoo": "sudo emerge sys-apps/bubblewrap",
    "nixos": "nix-env -iA nixos.bubblewrap",
    "void": "sudo xbps-install bubblewrap",
}


def locate(configured: str | None = None, *, search: str | None = None) -> str:
    """The absolute path of bubblewrap: `configured`, else the first on the path list `search`.

    PlatformError says how to install it where there is none.
    """
    if configured is not None:
        found = configured if os.access(configured, os.X_OK) and os.path.isfile(configured) else None
    else:
        found = shutil.which("bwrap", path=search)
    if found is None:
        raise PlatformError(
            f"there is no bubblewrap at {configured}" if configured else "bubblewrap is not installed", fix=_fix()
        )
    return os.path.abspath(found)


def too_old(path: str) -> PlatformError | None:
    """Why the bubblewrap at `path` is not new enough; None where it is. It takes a process: 2 ms."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
        version = parse_version(said.stdout)
    except (OSError, subprocess.TimeoutExpired):
        version = ()
    if version >= OLDEST:
        return None
    told = ".".join(map(str, version)) or "of no known version"
    return PlatformError(f"bubblewrap is {told}, and 0.8 or newer is needed", fix=_fix(), location=path)


def install_command(os_release: str) -> str:
    """The command that installs bubblewrap on the host that the text of os-release(5) describes; empty if unknown."""
    fields = dict(re.findall(r'(?m)^(ID|ID_LIKE)="?([^"\n]*)"?$', os_release))
    for name in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        for known, command in _INSTALL.items():
            if name == known or name.startswith(f"{known}-"):
                return command
    return ""


def parse_version(said: str) -> tuple[int, ...]:
    """The numbers in what `bwrap --version` prints; () where there are none."""
    found = re.fullmatch(r"bubblewrap (\d+(?:\.\d+)*)\s*", said)
    return tuple(map(int, found[1].split("."))) if found else ()


def _fix() -> str:
    text = read_setting("/etc/os-release") or read_setting("/usr/lib/os-release")
    command = install_command(text)
    return f"Install it: {command}." if command else "Install your distribution's bubblewrap package, 0.8 or newer."
