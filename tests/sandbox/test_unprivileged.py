"""The same promises for an ordinary user: this very suite again, as one, in a private mount namespace.

What is marked `attack` is left out: `scripts/hostile` makes those tries as a user too, and counts them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from solven_env.packages import toolchain
from solven_env.packages.ecosystems.python.interpreters import find_python
from tests.sandbox.running import ROOT

CHECKOUT = Path(__file__).resolve().parents[2]
USER = 4242
# Root's home hides the interpreter (a version manager's, say): it is shown again read-only, alone.
ENTER = """
set -e
hold=$(mktemp -d)
mount -t tmpfs tmpfs "$hold"
number=0
for path in $SHOWN; do
    number=$((number + 1))
    mkdir "$hold/$number"
    mount --bind "$path" "$hold/$number"
done
mount -t tmpfs -o mode=755 tmpfs /root
number=0
for path in $SHOWN; do
    number=$((number + 1))
    mkdir -p "$path"
    mount --bind -o ro "$hold/$number" "$path"
done
umount -R "$hold"
rmdir "$hold"
# Everybody may open it on most hosts; here, in this mount namespace, so may the user.
if [ -c /dev/net/tun ]; then
    mount -t tmpfs -o mode=755 tmpfs /dev/net
    mknod -m 666 /dev/net/tun c 10 200
fi
cd "$CHECKOUT"
exec setpriv --reuid "$WHO" --regid "$WHO" --clear-groups --inh-caps=-all --bounding-set=-all "$@"
"""
# What is another thing for an ordinary user: namespaces, overlays, limits, networks, ownership. Files of one line share a
# store of builds.
SUBSET = [
    "tests/sandbox/backends/bubblewrap/test_session.py",
    "tests/sandbox/roots/test_overlays.py tests/packages/test_added.py",
    "tests/sandbox/test_limits.py tests/sandbox/test_cgroups.py tests/sandbox/test_signals.py",
    "tests/sandbox/network/test_slirp4netns.py",
    "tests/hostile/test_isolation.py tests/hostile/test_daemons.py tests/sandbox/backends/bubblewrap/test_control.py",
    "tests/hostile/test_kills.py tests/hostile/test_crowds.py",
    "tests/packages/test_builds.py",
    "tests/doctor/test_outside.py::test_a_healthy_thread",
    "tests/run/test_environment.py tests/run/test_packages.py tests/run/test_isolation.py",
    "tests/run/test_limits.py tests/run/test_store.py tests/run/test_rights.py",
    "tests/run/test_mount_points.py tests/run/test_lost.py tests/packages/test_lost.py tests/threads/test_known.py",
    "tests/test_transcripts.py::test_getting_started",
]
# What runs the same code a second time: SOLVEN_ENV_AS_USER=all adds it.
THE_REST = [
    "tests/sandbox/test_streams.py",
    "tests/sandbox/backends/bubblewrap/test_terminal.py",
    "tests/doctor/test_host.py",
    "tests/run/test_refusals.py tests/run/test_explain.py tests/run/test_statuses.py",
    "tests/run/test_planted_links.py tests/run/test_sessions.py tests/run/test_streams.py",
    "tests/state/test_recovering.py",
    "tests/run/test_proot.py",
    "tests/test_transcripts.py",
]
if os.environ.get("SOLVEN_ENV_AS_USER") == "all":
    SUBSET += THE_REST
PROFILES_PYTHON = "3.12"


def run_as_user(line: list[str], home: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of tests as the ordinary user, whose home is the directory `home`."""
    with tempfile.TemporaryDirectory() as cache:
        interpreter = find_python(PROFILES_PYTHON, toolchain.host(Path(cache), os.environ)).prefix
    shown = {sys.prefix, sys.base_prefix, str(CHECKOUT), interpreter}
    hidden = sorted(path for path in shown if Path(path).is_relative_to("/root"))
    os.chown(home, USER, USER)
    environment = {
        "PATH": f"{os.environ['PATH']}:{interpreter}/bin",
        "HOME": home,
        "TMPDIR": home,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(CHECKOUT),
        "SOLVEN_ENV_CROWD": "20",
        "SOLVEN_ENV_KILLS": os.environ.get("SOLVEN_ENV_KILLS", "3"),
        "SHOWN": " ".join(hidden),
        "CHECKOUT": str(CHECKOUT),
        "WHO": str(USER),
    }
    enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh"]
    return subprocess.run([*enter, *line], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs the tests themselves")
@pytest.mark.parametrize("files", SUBSET)
def test_as_an_ordinary_user(files: str) -> None:
    with tempfile.TemporaryDirectory(prefix="solven-user-") as home:
        line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-rs"]
        line += ["-m", "not attack"]
        result = run_as_user([*line, *files.split()], home)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
