"""The programs that start commands inside, and how a package of the host's distribution is installed."""

from __future__ import annotations

import os
import re

from solven_env.errors import PlatformError
from solven_env.sandbox.launch_plan import SETSID, STARTER
from solven_env.sandbox.refusal import read_setting

# ID or ID_LIKE of os-release(5), and how a package is installed there.
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
    "gentoo": "sudo emerge {}",
    "nixos": "nix-env -iA nixos.{}",
    "void": "sudo xbps-install {}",
}


def lacking_starter() -> PlatformError | None:
    """The error for a program that starts commands inside and that this host lacks; None where all are there."""
    for path in (SETSID, STARTER.to):
        if not os.access(path, os.X_OK):
            return PlatformError(f"{path} is missing, which starts commands", fix=installing("sys-apps/util-linux"))
    return None


def install_command(package: str, os_release: str) -> str:
    """The command that installs it on the host that the text of os-release(5) describes; empty if unknown.

    A package is named as Gentoo does, with its category; everywhere else it goes by its own name.

        >>> install_command("sys-apps/bubblewrap", "ID=debian")
        'sudo apt-get install bubblewrap'
    """
    _, _, name = package.partition("/")
    fields = dict(re.findall(r'(?m)^(ID|ID_LIKE)="?([^"\n]*)"?$', os_release))
    for system in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        for known, command in _INSTALL.items():
            if system == known or system.startswith(f"{known}-"):
                return command.format(package if known == "gentoo" else name)
    return ""


def installing(package: str) -> str:
    """A sentence that says how a package (`install_command`) is installed on this host."""
    text = read_setting("/etc/os-release") or read_setting("/usr/lib/os-release")
    command = install_command(package, text)
    return f"Install it: {command}" if command else f"Install your distribution's package {package.rpartition('/')[2]}."
