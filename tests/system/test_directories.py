"""Where files lie, by the variables of the XDG base directory specification."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import StoreError
from solven_env.system import directories
from solven_env.system.publishing import failure_of_ours

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


@pytest.mark.parametrize("home", ["here", "", None])
def test_without_an_absolute_home_it_is_the_one_on_record(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    on_record = pwd.getpwuid(os.geteuid()).pw_dir
    assert directories.data() == Path(on_record) / ".local/share/solven-env"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/nonexistent", "Let HOME name a directory of yours, or XDG_CACHE_HOME and XDG_DATA_HOME."),
        ("/nonexistent/.cache/solven-env", "Let HOME name a directory of yours, or XDG_CACHE_HOME and XDG_DATA_HOME."),
        ("/nonexistent/.local/share/solven-env/storage", "Let HOME name a directory of yours, or XDG_CACHE_HOME and XDG_DATA_HOME."),
        ("/gone/1/solven-env", "Let XDG_RUNTIME_DIR name a directory of yours."),
        ("/nonexistent/elsewhere", ""),
        ("/etc/passwd", ""),
    ],
)  # fmt: skip
def test_a_directory_that_cannot_be_made_is_to_be_elsewhere(
    path: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/gone/1")
    assert directories.elsewhere(path) == expected
    error = failure_of_ours(StoreError, path, PermissionError(errno.EACCES, "no"))
    assert error.fix == expected or not expected
    assert failure_of_ours(StoreError, path, OSError(errno.ENOSPC, "full")).fix.startswith("Free space")


def test_a_directory_that_is_there_is_not_to_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "solven-env").mkdir()
    assert directories.elsewhere(str(tmp_path / "solven-env")) == ""
