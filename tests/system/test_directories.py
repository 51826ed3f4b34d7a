"""Where files lie, by the variables of the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.system import directories

if TYPE_CHECKING:
    from collections.abc import Callable

RUNTIME = "/run/solven-env" if os.geteuid() == 0 else f"/tmp/solven-env-{os.geteuid()}"


@pytest.mark.parametrize(
    ("variable", "find", "default"),
    [
        ("XDG_CACHE_HOME", directories.cache, "/home/ada/.cache/solven-env"),
        ("XDG_DATA_HOME", directories.data, "/home/ada/.local/share/solven-env"),
        ("XDG_CONFIG_HOME", lambda: directories.configuration()[0], "/home/ada/.config/solven-env"),
        ("XDG_CONFIG_DIRS", lambda: directories.configuration()[1], "/etc/xdg/solven-env"),
        ("XDG_RUNTIME_DIR", directories.runtime, RUNTIME),
    ],
)
def test_an_absolute_path_counts_and_no_other(
    variable: str, find: Callable[[], Path], default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for value in ("", "here", "./here", "~/here"):
        monkeypatch.setenv(variable, value)
        assert find() == Path(default)
    monkeypatch.setenv(variable, "/over/there")
    assert find() == Path("/over/there/solven-env")
    monkeypatch.delenv(variable)
    assert find() == Path(default)


def test_of_a_list_what_is_absolute_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_DIRS", "here:/first::/second")
    assert directories.configuration()[1:] == (Path("/first/solven-env"), Path("/second/solven-env"))


def test_a_relative_home_leads_nowhere_near_the_current_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "here")
    assert directories.data() == Path("/.local/share/solven-env")
