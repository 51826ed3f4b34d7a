"""The README's first command, for real: from a copy of the checkout, with an empty home, as root and as anybody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import toolchain
from solven_env.packages.ecosystems.python import interpreters
from tests.sandbox.running import ROOT
from tests.sandbox.test_unprivileged import ENTER, USER, users_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS = 600
"""It takes 40 with what pip and uv have cached; this is for a slow index."""
NEEDED = ("docs", "examples", "profiles", "requirements", "schemas", "scripts", "solven_env", "templates")
PASSED = ("SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_CONFIG_FILE", "PIP_INDEX_URL")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may enter, with a space in its path: a copy of the checkout, and an empty home."""
    # Not pytest's own, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="solven demo ") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "home").mkdir()
        for directory in NEEDED:
            shutil.copytree(CHECKOUT / directory, place / "checkout" / directory, ignore=_no_caches)
        for file in ("LICENSE", "README.md", "pyproject.toml"):
            shutil.copy(CHECKOUT / file, place / "checkout")
        yield place


def _no_caches(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def _environment(place: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    return {**passed, "PATH": os.environ["PATH"], "HOME": str(place / "home")}


def _check(place: Path, first: str, second: str) -> None:
    workspace = place / "home/.local/share/solven-env/demo/threads/demo"
    assert "applied as generation 1" in first
    assert "demo: in sync, nothing to do (generation 1)." in second
    assert f"    {workspace}\n    chart.png" in second
    # A line that names a path is as long as that, and a line of prose of ours is whole in a pipe.
    assert max(len(line) for line in first.splitlines() if not re.search("/|^programs: ", line)) <= 80
    assert (workspace / "chart.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with zipfile.ZipFile(workspace / "document.docx") as document:
        assert b"Sales of the year" in document.read("word/document.xml")


def _run(argv: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        argv,
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_demo_twice(place: Path, caches: Path) -> None:
    """With what other tests of this run have fetched and built."""
    cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
    environment = {**_environment(place), "UV_CACHE_DIR": cache, "XDG_CACHE_HOME": str(caches)}
    if "PYENV_ROOT" in os.environ:
        environment["PYENV_ROOT"] = os.environ["PYENV_ROOT"]
    argv = ["sh", str(place / "checkout/scripts/demo")]
    again = (
        ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh", *argv] if ROOT else argv
    )
    first, second = _run(argv, environment), _run(again, environment)
    _check(place, first, second)
    assert "==> network: none, since the two scripts use none\n" in first
    if ROOT:
        assert "==> network: none. The profile's 'internet' needs /dev/net/tun, which is closed\n" in second


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs the other test")
def test_the_demo_as_an_ordinary_user(place: Path, tmp_path: Path) -> None:
    python = interpreters.find_python("3.12", toolchain.host(tmp_path / "cache", os.environ))
    prefixes = sorted({sys.base_prefix, python.prefix})
    for path in (place, *place.rglob("*")):
        os.chown(path, USER, USER)
    environment = {
        **_environment(place),
        "PATH": ":".join([*(f"{prefix}/bin" for prefix in prefixes), "/usr/local/bin:/usr/bin:/bin"]),
        "SHOWN": " ".join(prefix for prefix in prefixes if Path(prefix).is_relative_to("/root")),
        "CHECKOUT": str(place / "checkout"),
        "WHO": str(USER),
    }
    argv = ["unshare", "--mount", "sh", "-c", ENTER, "sh", "sh", "scripts/demo"]
    with users_runtime():
        _check(place, _run(argv, environment), _run(argv, environment))


def test_a_step_that_fails_ends_it_with_its_message(place: Path) -> None:
    (place / "home/.config/solven-env").mkdir(parents=True)
    (place / "home/.config/solven-env/config.yaml").write_text("sandbox: {bwrap: /nowhere/bwrap}\n")
    # The environment of this very run, which scripts/environment would need a minute to make.
    (place / "checkout/scripts/environment").write_text(f"""
        venv='{sys.prefix}' scratch='{place}'
        set_up() {{ :; }}
        can_apt() {{ false; }}
        step() {{ echo "$*"; }}
        die() {{ echo "$script: $*" >&2; exit 1; }}
    """)
    environment = {**_environment(place), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        ["sh", str(place / "checkout/scripts/demo")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("scripts/demo: there is no bubblewrap at /nowhere/bwrap. Install it: ")
