"""`solven-env lock`, and what an out-of-date lock means to the exit code."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

PACKAGES = PROFILE + 'python: {version: "3.12", packages: [six]}\nbun: {packages: {is-number: ^7.0.0}}\n'


def test_a_profile_is_locked_once_and_checked(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES)
    missing = cli("lock", profile, "--check")
    assert (missing.returncode, missing.stdout) == (7, "")
    assert "Run: solven-env lock team.yaml\n" in missing.stderr
    made = cli("lock", profile)
    assert (made.returncode, made.stdout) == (0, "team.lock: python.txt, bun.lock, lock.json changed.\n"), made.stderr
    begun = [line for line in made.stderr.splitlines() if line.startswith("locking")]
    assert begun == ["locking 1 Python package for Python 3.12 …", "locking 1 JavaScript package …"]
    names = sorted(path.name for path in (cli.directory / "team.lock").iterdir())
    assert names == ["bun.lock", "lock.json", "python.txt"]
    assert cli("lock", profile).stdout == "team.lock: up to date.\n"
    assert cli("lock", profile, "--check").returncode == 0
    resolved = cli("lock", profile, "--check", "--resolve")
    assert (resolved.returncode, resolved.stdout) == (0, "team.lock: up to date.\n"), resolved.stderr
    begun = [line for line in resolved.stderr.splitlines() if line.startswith("resolving")]
    assert begun == ["resolving 1 Python package for Python 3.12 …", "resolving 1 JavaScript package …"]
    cli.write("team.yaml", PACKAGES.replace("GREETING", "WELCOME"))
    assert cli("lock", profile, "--check").returncode == 0
    cli.write("team.yaml", PACKAGES.replace("six", "packaging"))
    stale = cli("lock", profile, "--check", "--format", "json")
    assert stale.returncode == 7
    assert json.loads(stale.stdout)["error"]["code"] == 7
    assert "out of date" in stale.stderr


def test_without_packages_there_is_nothing_to_lock(cli: Cli) -> None:
    profile = cli.write("small.yaml", PROFILE)
    assert cli("lock", profile).stdout == "small.yaml: no packages, so nothing to lock.\n"
    document = json.loads(cli("lock", profile, "--format", "json").stdout)
    assert document["lock"] == {"path": "small.lock", "files": [], "changed": [], "remarks": []}
    assert not (cli.directory / "small.lock").exists()


def test_what_cannot_be_locked_leaves_the_lock_as_it_was(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES.replace("six", "solven-env-no-such-package"))
    failed = cli("lock", profile)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Traceback" not in failed.stderr
    assert "See: solven-env docs builds, or run: solven-env doctor" in failed.stderr
    assert not (cli.directory / "team.lock").exists()


def test_a_caller_that_ignores_sigchld_makes_no_failure_a_success(cli: Cli) -> None:
    """The kernel then keeps no status, and Python takes what it does not know for 0: the lock was written empty."""
    profile = cli.write("team.yaml", PACKAGES.replace("six", "solven-env-no-such-package"))
    code = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'solven_env', 'lock', sys.argv[1]])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "UV_OFFLINE": "1"}
    failed = subprocess.run([sys.executable, "-c", code, profile], cwd=cli.directory, env=environ, check=False)
    assert failed.returncode == 1
    assert not (cli.directory / "team.lock").exists()


def test_a_forged_digest_is_found_in_the_index_and_mended(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES.partition("bun:")[0])
    assert cli("lock", profile).returncode == 0
    path, about = (cli.directory / "team.lock" / name for name in ("python.txt", "lock.json"))
    genuine = path.read_text(), about.read_text()
    lines = genuine[0].splitlines(keepends=True)
    lines[-1] = f"    --hash=sha256:{'0' * 64}\n"
    path.write_text("".join(lines))
    old, new = (hashlib.sha256(text.encode()).hexdigest() for text in (genuine[0], path.read_text()))
    about.write_text(genuine[1].replace(old, new))
    assert cli("lock", profile, "--check").returncode == 0
    refused = cli("lock", profile, "--check", "--resolve", "--format", "json")
    assert refused.returncode == 7
    error = json.loads(refused.stdout)["error"]
    assert error["location"] == f"team.lock/python.txt:{len(lines)}"
    assert "no file of six" in error["message"]
    assert cli("lock", profile).returncode == 0
    assert (path.read_text(), about.read_text()) == genuine


def test_to_resolve_is_to_check(cli: Cli) -> None:
    refused = cli("lock", cli.write("team.yaml", PACKAGES), "--resolve")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--check" in refused.stderr
    assert not (cli.directory / "team.lock").exists()


def test_standard_input_has_no_lock_and_a_wrong_profile_is_told(cli: Cli) -> None:
    assert cli("lock", "-", stdin=PACKAGES).returncode == 2
    assert cli("lock", cli.write("bad.yaml", PROFILE + "pyhton: {}\n")).returncode == 5


def test_the_shipped_profile_is_locked(cli: Cli) -> None:
    checked = cli("lock", "solven", "--check")
    assert checked.returncode == 0, checked.stderr
    assert Path(checked.stdout.partition(":")[0]).name == "solven.lock"
