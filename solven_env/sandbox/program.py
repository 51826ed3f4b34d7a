"""The host's bubblewrap and proot: where they are, whether new enough, and how this distribution installs them."""

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
    "debian": "sudo apt-get install {}",
    "ubuntu": "sudo apt-get install {}",
    "fedora": "sudo dnf install {}",
    "rhel": "sudo dnf install {}",
    "centos": "sudo dnf install {}",
    "alpine": "sudo apk add {}",
    "arch": "sudo pacman -S {}",
    "suse": "sudo zypper install {}",
    "opensuse": "sudo zypper install {}",
    "gentoo": "sudo emerge sys-apps/{}",
    "nixos": "nix-env -iA nixos.{}",
    "void": "sudo xbps-install {}",
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


def locate_proot(search: str | None = None) -> str:
    """The absolute path of the first proot on the path list `search`; PlatformError says how to install it.

    No version is asked for: 5.1.0, of 2014, runs what we run, and no distribution has an older one.
    """
    found = shutil.which("proot", path=search)
    if found is None:
        raise PlatformError(
            "proot is not installed, and the backend is proot",
            fix=_advise("proot", "Install your distribution's proot package."),
        )
    return os.path.abspath(found)


def install_command(os_release: str, package: str = "bubblewrap") -> str:
    """The command that installs a package on the host that the text of os-release(5) describes; empty if unknown."""
    fields = dict(re.findall(r'(?m)^(ID|ID_LIKE)="?([^"\n]*)"?$', os_release))
    for name in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        for known, command in _INSTALL.items():
            if name == known or name.startswith(f"{known}-"):
                return command.format(package)
    return ""


def parse_version(said: str) -> tuple[int, ...]:
    """The numbers in what `bwrap --version` prints; () where there are none."""
    found = re.fullmatch(r"bubblewrap (\d+(?:\.\d+)*)\s*", said)
    return tuple(map(int, found[1].split("."))) if found else ()


def _fix() -> str:
    return _advise("bubblewrap", "Install your distribution's bubblewrap package, 0.8 or newer.")


def _advise(package: str, otherwise: str) -> str:
    text = read_setting("/etc/os-release") or read_setting("/usr/lib/os-release")
    command = install_command(text, package)
    return f"Install it: {command}." if command else otherwise
