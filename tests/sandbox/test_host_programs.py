from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import PlatformError
from solven_env.sandbox.host_programs import install_command
from solven_env.sandbox.network import locate_slirp4netns

if TYPE_CHECKING:
    from pathlib import Path


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
    assert install_command(["sys-apps/bubblewrap"], os_release) == command
    assert install_command(["app-containers/slirp4netns"], os_release) == command.replace("bubblewrap", "slirp4netns")


def test_a_category_of_gentoos_belongs_to_the_package() -> None:
    assert install_command(["app-containers/slirp4netns"], "ID=gentoo\n") == "sudo emerge app-containers/slirp4netns"
    assert install_command(["sys-apps/bubblewrap"], "ID=gentoo\n") == "sudo emerge sys-apps/bubblewrap"


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ("ID=debian\n", "sudo apt-get install tesseract-ocr poppler-utils"),
        ("ID=gentoo\n", "sudo emerge tesseract-ocr app-text/poppler-utils"),
        ("ID=nixos\n", "nix-env -iA nixos.tesseract-ocr nixos.poppler-utils"),
        ("", ""),
    ],
)
def test_one_command_installs_several_packages_by_the_names_that_they_are_given(os_release: str, command: str) -> None:
    assert install_command(["tesseract-ocr", "app-text/poppler-utils"], os_release) == command


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
