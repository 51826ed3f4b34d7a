from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import PlatformError
from solven_env.sandbox.host_programs import (
    install_command,
    locate,
    locate_proot,
    locate_slirp4netns,
    parse_version,
    too_old,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("bubblewrap 0.8.0\n", (0, 8, 0)),
        ("bubblewrap 0.11.0", (0, 11, 0)),
        ("bubblewrap 0.12", (0, 12)),
        ("something else 0.8", ()),
        ("", ()),
    ],
)
def test_versions(said: str, version: tuple[int, ...]) -> None:
    assert parse_version(said) == version


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n', "sudo apt-get install bubblewrap"),
        ("ID=ubuntu\nID_LIKE=debian\n", "sudo apt-get install bubblewrap"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install bubblewrap"),
        ("ID=alpine\n", "sudo apk add bubblewrap"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "sudo zypper install bubblewrap"),
        ("ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S bubblewrap"),
        ("VERSION_ID=1\nID=unheard-of\n", ""),
        ("", ""),
    ],
)
def test_the_package_command_is_the_distributions_own(os_release: str, command: str) -> None:
    assert install_command("bubblewrap", os_release) == command
    assert install_command("slirp4netns", os_release) == command.replace("bubblewrap", "slirp4netns")


def test_a_category_of_gentoos_belongs_to_the_package() -> None:
    assert install_command("slirp4netns", "ID=gentoo\n") == "sudo emerge app-containers/slirp4netns"
    assert install_command("bubblewrap", "ID=gentoo\n") == "sudo emerge sys-apps/bubblewrap"


def test_the_hosts_bubblewrap_is_found() -> None:
    found = locate()
    assert found.endswith("/bwrap")
    assert too_old(found) is None


@pytest.mark.parametrize("said", ["bubblewrap 0.7.0", "no such option"])
def test_an_old_one_is_refused_with_the_way_to_a_newer(tmp_path: Path, said: str) -> None:
    old = tmp_path / "bwrap"
    old.write_text(f"#!/bin/sh\necho {said}\n")
    old.chmod(0o755)
    found = too_old(locate(search=str(tmp_path)))
    assert found is not None
    assert "or newer is needed" in found.message
    assert "nstall" in found.fix
    assert found.location == str(old)


def test_a_missing_proot_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="proot is not installed") as caught:
        locate_proot(str(tmp_path))
    assert "proot" in caught.value.fix
    assert install_command("proot", "ID=debian\n") == "sudo apt-get install proot"
    (tmp_path / "proot").write_text("")
    (tmp_path / "proot").chmod(0o755)
    assert locate_proot(str(tmp_path)) == str(tmp_path / "proot")


def test_a_missing_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="not installed"):
        locate(search=str(tmp_path))
    with pytest.raises(PlatformError, match="there is no bubblewrap at"):
        locate(str(tmp_path / "bwrap"))


def test_slirp4netns_is_looked_for_on_path_and_among_the_administrators_programs(tmp_path: Path) -> None:
    own = tmp_path / "slirp4netns"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert locate_slirp4netns(search=str(tmp_path)) == str(own)
    own.unlink()
    if not any(os.path.exists(f"{directory}/slirp4netns") for directory in ("/usr/sbin", "/sbin")):
        with pytest.raises(PlatformError, match="slirp4netns is not installed") as caught:
            locate_slirp4netns(search=str(tmp_path))
        assert caught.value.fix.startswith("With --network none it is not needed. Install ")
