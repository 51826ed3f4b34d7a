"""`solven-env lock`, and what an out-of-date lock means to the exit code."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.cli.lock import tell_lock
from solven_env.packages.locks import REMARKS, Remark, VersionChange
from solven_env.report import LockReport
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
    made_text = (
        "team.lock: python.txt, bun.lock, lock.json changed.\n"
        "  python.txt: 2 packages pinned\n"
        "  bun.lock: 1 package pinned\n"
    )
    assert (made.returncode, made.stdout) == (0, made_text), made.stderr
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
    assert document["lock"] == {
        "path": "small.lock",
        "files": [],
        "changed": [],
        "remarks": [],
        "pinned": {},
        "versions": {},
    }
    assert not (cli.directory / "small.lock").exists()


def test_what_cannot_be_locked_leaves_the_lock_as_it_was(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES.replace("six", "solven-env-no-such-package"))
    failed = cli("lock", profile)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Traceback" not in failed.stderr
    assert "See: solven-env docs builds, or run: solven-env doctor" in failed.stderr
    assert not (cli.directory / "team.lock").exists()


def test_each_of_several_is_locked_and_the_gravest_code_counts(cli: Cli) -> None:
    ours = cli.write("ours.yaml", PROFILE + 'python: {version: "3.12", packages: [six]}\n')
    wrong = cli.write("wrong.yaml", PROFILE.replace("version", "versoin"))
    theirs = cli.write("theirs.yaml", PACKAGES)
    checked = cli("lock", wrong, theirs, ours, "--check", "--format", "github")
    assert checked.returncode == 5
    assert re.findall("^::error.*", checked.stdout, re.MULTILINE) != []
    fixes = re.findall(r"^  Run: (.*)", checked.stderr, re.MULTILINE)
    assert fixes == ["solven-env lock theirs.yaml", "solven-env lock ours.yaml"]
    done = cli("lock", wrong, ours)
    assert (done.returncode, done.stdout.splitlines()[0]) == (5, "ours.lock: python.txt, lock.json changed.")
    both = cli("lock", ours, theirs, "--check", "--format", "json")
    assert (both.returncode, both.stderr.splitlines()[0]) == (2, "error: --format json is about one profile.")


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--resolve",), "--resolve needs --check"),
        (("--upgrade", "--upgrade-package", "six"), "--upgrade moves all packages, --upgrade-package some"),
        (("--check", "--upgrade"), "--upgrade is about a new lock, and --check makes none"),
        (("--check", "--upgrade-package", "six"), "--upgrade-package is about a new lock, and --check makes none"),
        (("--check", "--strict"), "--strict is about a new lock, and --check makes none"),
        (("--upgrade-package", "six"), "the lock has no package 'six'"),
    ],
)
def test_options_that_have_no_meaning_together_are_refused(cli: Cli, options: tuple[str, ...], message: str) -> None:
    refused = cli("lock", cli.write("team.yaml", PACKAGES), *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: {message}.")
    assert not (cli.directory / "team.lock").exists()


def test_one_package_is_upgraded_and_the_others_stay(cli: Cli) -> None:
    """Of both ecosystems: what a package needs moves with it only if it must, a package that others need by itself."""
    old = 'python: {version: "3.12", packages: [packaging==23.0, six==1.16.0]}\n'
    old += "bun: {packages: {debug: 4.1.0, ms: 2.1.1, is-number: 7.0.0}}\n"
    profile = cli.write("team.yaml", PROFILE + old)
    assert cli("lock", profile).returncode == 0
    new = 'python: {version: "3.12", packages: [packaging, six]}\nbun: {packages: {debug: ^4.1.0, is-number: ">=6"}}\n'
    cli.write("team.yaml", PROFILE + new)
    freed = cli("lock", profile)
    said = (
        "team.lock: bun.lock, lock.json changed.\n  bun.lock: the same versions; ranges, markers or digests changed\n"
    )
    assert freed.stdout == said, freed.stderr
    moved = json.loads(cli("lock", profile, "--upgrade-package", "ms", "--format", "json").stdout)["lock"]
    assert moved["versions"] == {"bun.lock": [{"name": "ms", "before": "2.1.1", "after": "2.1.3"}]}
    assert moved["changed"] == ["bun.lock", "lock.json"]
    both = cli("lock", profile, "--upgrade-package", "bun:debug", "--upgrade-package", "Packaging")
    lines = both.stdout.splitlines()
    assert lines[0] == "team.lock: python.txt, bun.lock, lock.json changed."
    assert re.fullmatch(r"  python\.txt: packaging 23\.0 → [0-9.]+", lines[1])
    assert re.fullmatch(r"  bun\.lock: debug 4\.1\.0 → 4\.[0-9.]+", lines[2])
    unknown = cli("lock", profile, "--upgrade-package", "packagin")
    assert unknown.returncode == 2
    assert "Did you mean 'packaging'?" in unknown.stderr
    everything = cli("lock", profile, "--upgrade")
    assert "  python.txt: six 1.16.0 → " in everything.stdout


def test_remarks_come_last_by_their_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    changes = (
        VersionChange("httpx", "0.27.0", "0.28.1"),
        VersionChange("h2", "", "4.1.0"),
        VersionChange("x", "1", ""),
    )
    many = tuple(VersionChange(f"p{number}", "", "1") for number in range(9))
    remarks = (
        Remark("held-back", "hydra-core", "0.11.3", "hydra-core 0.11.3; 1.3.8 needs antlr4, which has no wheel"),
        Remark("held-back", "rouge", "0.0.4", "rouge 0.0.4; 0.1.2 has no wheel"),
        *(Remark("platforms", name, "1", f"{name} 1 has no wheel for musl") for name in "abc"),
        *(Remark(kind, "a", "1", f"a 1: {kind}") for kind in REMARKS[1:]),
    )
    files = ("python.txt", "bun.lock", "lock.json")
    pinned, versions = {"python.txt": 9, "bun.lock": 20}, {"python.txt": changes, "bun.lock": many}
    tell_lock(LockReport(Path("t.lock"), files, files, remarks, pinned, versions), "t.yaml")
    assert capsys.readouterr().out.splitlines() == [
        "t.lock: python.txt, bun.lock, lock.json changed.",
        "  python.txt: httpx 0.27.0 → 0.28.1, + h2 4.1.0, - x 1",
        "  bun.lock: 9 versions changed",
        *(f"    + p{number} 1" for number in range(9)),
        "Held back, since a newer version has no wheel (solven-env docs builds):",
        "  hydra-core 0.11.3; 1.3.8 needs antlr4, which has no wheel",
        "  rouge 0.0.4; 0.1.2 has no wheel",
        "Not for every machine (solven-env docs builds):",
        "  3 packages have no wheel for musl: a 1, b 1 and c 1",
        "  a 1: platforms",
        "Install scripts that did not run (solven-env docs builds):",
        "  a 1: scripts",
        "Trusted for nothing (solven-env docs builds):",
        "  a 1: trusted",
        "Named, and needed by nothing (solven-env docs builds):",
        "  a 1: unneeded",
    ]


def test_standard_input_has_no_lock_and_a_wrong_profile_is_told(cli: Cli) -> None:
    assert cli("lock", "-", stdin=PACKAGES).returncode == 2
    assert cli("lock", cli.write("bad.yaml", PROFILE + "pyhton: {}\n")).returncode == 5


def test_the_shipped_profile_is_locked(cli: Cli) -> None:
    checked = cli("lock", "solven", "--check")
    assert checked.returncode == 0, checked.stderr
    assert Path(checked.stdout.partition(":")[0]).name == "solven.lock"
