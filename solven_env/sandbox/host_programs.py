"""The host's programs that sandboxes need: where they are, whether they can work, how they are installed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess

from solven_env.errors import PlatformError
from solven_env.sandbox.backends.bubblewrap.bwrap import SETSID
from solven_env.sandbox.launch_plan import STARTER
from solven_env.sandbox.refusal import read_setting

OLDEST = (0, 8)
"""--disable-userns is new in 0.8 (bubblewrap's NEWS)."""

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
_GENTOO = {
    "bubblewrap": "sys-apps/bubblewrap",
    "slirp4netns": "app-containers/slirp4netns",
    "proot": "sys-apps/proot",
    "util-linux": "sys-apps/util-linux",
    "bash": "app-shells/bash",
}
"""Everywhere else the packages are called by their own names."""
_TUN = "/dev/net/tun"


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
            f"there is no bubblewrap at {configured}" if configured else "bubblewrap is not installed",
            fix=installing("bubblewrap"),
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
    return PlatformError(
        f"bubblewrap is {told}, and 0.8 or newer is needed", fix=installing("bubblewrap"), location=path
    )


def locate_proot(search: str | None = None) -> str:
    """The absolute path of the first proot on the path list `search`; PlatformError says how to install it.

    No version is asked for: 5.1.0, of 2014, runs what we run, and no distribution has an older one.
    """
    found = shutil.which("proot", path=search)
    if found is None:
        raise PlatformError(
            "proot is not installed, and the backend is proot",
            fix=installing("proot"),
        )
    return os.path.abspath(found)


def locate_slirp4netns(*, search: str | None = None) -> str:
    """The absolute path of the first slirp4netns on the path list `search`, or among what is meant for administrators.

    PlatformError where there is none, or where it could not open /dev/net/tun.
    """
    found = shutil.which("slirp4netns", path=f"{search or os.defpath}:/usr/sbin:/sbin")
    if found is None:
        raise PlatformError(
            "slirp4netns is not installed, and the network internet needs it",
            fix=f"With --network none it is not needed. {installing('slirp4netns')}",
        )
    try:
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError as error:
        mend = f"Load it: sudo modprobe tun; a container gets it by docker run --device {_TUN}."
        if error.errno == errno.EACCES:
            mend = f"Let everybody open it, which gives no right over any network: sudo chmod 0666 {_TUN}."
        raise PlatformError(
            f"the network internet needs {_TUN}, which cannot be opened: {error.strerror}",
            fix=f"{mend} Or use --network none.",
        ) from error
    return os.path.abspath(found)


def lacking_starter() -> PlatformError | None:
    """Which of the programs that start commands inside, as this host has them, is missing; None where all are there."""
    for path in (SETSID, STARTER.to):
        if not os.access(path, os.X_OK):
            return PlatformError(f"{path} is missing, which starts commands", fix=installing("util-linux"))
    return None


def install_command(package: str, os_release: str) -> str:
    """The command that installs it on the host that the text of os-release(5) describes; empty if unknown."""
    fields = dict(re.findall(r'(?m)^(ID|ID_LIKE)="?([^"\n]*)"?$', os_release))
    for name in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        for known, command in _INSTALL.items():
            if name == known or name.startswith(f"{known}-"):
                return command.format(_GENTOO[package] if known == "gentoo" else package)
    return ""


def parse_version(said: str) -> tuple[int, ...]:
    """The numbers in what `bwrap --version` prints; () where there are none."""
    found = re.fullmatch(r"bubblewrap (\d+(?:\.\d+)*)\s*", said)
    return tuple(map(int, found[1].split("."))) if found else ()


def installing(package: str) -> str:
    """How a package is installed on this host, as a sentence."""
    text = read_setting("/etc/os-release") or read_setting("/usr/lib/os-release")
    command = install_command(package, text)
    return f"Install it: {command}" if command else f"Install your distribution's package {package}."
