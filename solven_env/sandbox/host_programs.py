"""The programs that start commands inside, and how a package of the host's distribution is installed."""

from __future__ import annotations

import functools
import os
import re

from solven_env.errors import PlatformError
from solven_env.sandbox.launch_plan import SETSID, STARTER
from solven_env.system import reread
from solven_env.system.blocks import suppress
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# ID or ID_LIKE of os-release(5), and how a package is installed there.
_FAMILIES = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "opensuse": "suse"}
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


def install_command(packages: Sequence[str], os_release: str) -> str:
    """The command that installs them on the host that the text of os-release(5) describes; empty if unknown.

    A package may be named as Gentoo does, with its category; everywhere else it goes by its own name.

        >>> install_command(["sys-apps/bubblewrap", "tesseract-ocr"], "ID=debian")
        'sudo apt-get install bubblewrap tesseract-ocr'
    """
    known = _distribution(os_release)
    if not known:
        return ""
    begin, _, form = _INSTALL[known].rpartition(" ")
    names = packages if known == "gentoo" else map(_own_name, packages)
    return f"{begin} {' '.join(map(form.format, names))}"


@functools.lru_cache(maxsize=4)
def _distribution(os_release: str) -> str:
    """The distribution in our table that the text of os-release(5) names; empty for none of them."""
    fields = dict(re.findall(r'(?m)^(ID|ID_LIKE)="?([^"\n]*)"?$', os_release))
    for system in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        for known in _INSTALL:
            if system == known or system.startswith(f"{known}-"):
                return known
    return ""


def installing_of(names: Mapping[str, str]) -> str:
    """A sentence as of `installing`, for one package that distributions name differently.

    `names` has its name by family: debian, fedora, alpine, arch, suse.
    """
    known = _distribution(_os_release())
    return installing(names.get(_FAMILIES.get(known, known), names["debian"]))


def installing(*packages: str) -> str:
    """A sentence that says how packages (`install_command`) are installed on this host."""
    command = install_command(packages, _os_release())
    names = ", ".join(map(_own_name, packages))
    them, what = ("it", "package") if len(packages) == 1 else ("them", "packages")
    return f"Install {them}: {command}" if command else f"Install your distribution's {what} {names}."


def _os_release() -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        with suppress(OSError):
            return reread.read(path).decode(errors="replace")
    return ""


def _own_name(package: str) -> str:
    return package.rpartition("/")[2]
