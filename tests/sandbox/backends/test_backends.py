"""The rows of the table: where each backend's program is found, and what is said where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.config import HostSandbox
from solven_env.errors import PlatformError
from solven_env.sandbox.backends import BACKENDS, DEFAULT, bubblewrap, find, proot
from tests.sandbox.running import PATH

if TYPE_CHECKING:
    from pathlib import Path

HOST = HostSandbox()


@pytest.mark.parametrize("name", BACKENDS)
def test_each_row_is_found_by_its_name(name: str) -> None:
    assert name == find(name).NAME
    assert find(name).locate(HOST, {"PATH": PATH}).startswith("/usr/bin/")


def test_the_default_lacks_nothing() -> None:
    assert (DEFAULT, bubblewrap.LACKS, bubblewrap.STATEMENT, bubblewrap.notice("none")) == ("bubblewrap", "", "", "")
    assert proot.notice("none").startswith("backend: proot, which enforces neither network (asked for: none) nor ")


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
    assert bubblewrap.parse_version(said) == version


@pytest.mark.parametrize("said", ["bubblewrap 0.7.0", "no such option"])
def test_an_old_one_is_refused_with_the_way_to_a_newer(tmp_path: Path, said: str) -> None:
    old = tmp_path / "bwrap"
    old.write_text(f"#!/bin/sh\necho {said}\n")
    old.chmod(0o755)
    found = bubblewrap.too_old(bubblewrap.locate(HOST, {"PATH": str(tmp_path)}))
    assert found is not None
    assert "or newer is needed" in found.message
    assert "nstall" in found.fix
    assert found.location == str(old)


@pytest.mark.parametrize(
    ("configured", "named", "found"), [("a", "", "a"), ("a", "b", "b"), (None, "b", "b"), (None, "", "bwrap")]
)
def test_what_is_named_comes_before_what_is_found(
    tmp_path: Path, configured: str | None, named: str, found: str
) -> None:
    for name in ("a", "b", "bwrap"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    host = HostSandbox(bwrap=f"{tmp_path}/{configured}" if configured else None)
    environ = {"PATH": str(tmp_path), **({"SOLVEN_ENV_BWRAP": f"{tmp_path}/{named}"} if named else {})}
    assert bubblewrap.locate(host, environ) == f"{tmp_path}/{found}"


def test_a_missing_program_is_said(tmp_path: Path) -> None:
    nowhere = {"PATH": str(tmp_path)}
    with pytest.raises(PlatformError, match="bubblewrap is not installed") as caught:
        bubblewrap.locate(HOST, nowhere)
    assert "bubblewrap" in caught.value.fix
    with pytest.raises(PlatformError, match="there is no bubblewrap at"):
        bubblewrap.locate(HostSandbox(bwrap=str(tmp_path / "bwrap")), nowhere)
    with pytest.raises(PlatformError, match="proot is not installed, and the backend is proot") as caught:
        proot.locate(HOST, nowhere)
    assert "proot" in caught.value.fix
