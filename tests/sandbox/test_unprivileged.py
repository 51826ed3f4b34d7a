"""The same promises for an ordinary user: this very suite again, as one, in a private mount namespace.

What is marked `attack` is left out: `scripts/hostile` makes those tries as a user too, and counts them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import toolchain
from solven_env.packages.ecosystems.python.interpreters import find_python
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

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
# At one path, whoever uses it: what builders remember of this host stays true.
if [ -n "${CACHES:-}" ]; then
    mkdir "$SOLVEN_ENV_TEST_CACHE"
    mount --bind "$CACHES" "$SOLVEN_ENV_TEST_CACHE"
fi
# Everybody may open it on most hosts; here, in this mount namespace, so may the user.
if [ -c /dev/net/tun ]; then
    mount -t tmpfs -o mode=755 tmpfs /dev/net
    mknod -m 666 /dev/net/tun c 10 200
fi
cd "$CHECKOUT"
exec setpriv --reuid "$WHO" --regid "$WHO" --clear-groups --inh-caps=-all --bounding-set=-all "$@"
"""
# What is another thing for an ordinary user: namespaces, overlays, limits, networks, ownership. What takes long is first.
SUBSET = [
    "tests/run/test_limits.py tests/run/test_rights.py tests/run/test_lost.py "
    "tests/run/test_store.py::test_what_is_lost_is_seen_and_mended_by_the_next_apply_and_by_the_next_run "
    "tests/packages/test_builds.py::test_both_builds_are_what_a_thread_needs "
    "tests/packages/ecosystems/bun/test_trusted.py::test_scripts_of_trusted_packages_run_as_npm_runs_them_and_no_others "
    "tests/doctor/test_outside.py::test_a_healthy_thread",
    "tests/sandbox/network/test_slirp4netns.py tests/sandbox/test_limits.py tests/sandbox/test_cgroups.py "
    "tests/sandbox/test_signals.py",
    "tests/hostile/test_isolation.py tests/hostile/test_daemons.py tests/hostile/test_kills.py "
    "tests/hostile/test_crowds.py tests/run/test_mount_points.py",
    "tests/run/test_packages.py tests/run/test_isolation.py",
    "tests/sandbox/backends/bubblewrap/test_session.py tests/sandbox/backends/bubblewrap/test_control.py "
    "tests/sandbox/roots/test_overlays.py tests/packages/test_added.py",
    "tests/programs/test_files.py tests/programs/test_process.py tests/run/test_cp.py",
    "tests/sandbox/backends/bubblewrap/test_reaper.py "
    "tests/sandbox/backends/bubblewrap/test_forwarder.py::test_a_published_port_carries_data_both_ways[none]",
]
# Of these files the cases that differ for nobody: other locks and words, other ways to lose a layer, what proot does.
SAME = [
    "tests/run/test_rights.py::test_modes_are_ours_whatever_the_umask[proot]",
    "tests/run/test_rights.py::test_a_build_has_its_modes_whatever_the_umask",
    "tests/run/test_lost.py::test_a_release_with_the_destroyed_build_is_pending",
    "tests/run/test_lost.py::test_it_is_drift_and_mended_with_a_fresh_layer[rm /.venv/pyvenv.cfg]",
    "tests/run/test_lost.py::test_it_is_drift_and_mended_with_a_fresh_layer[rm -r /.venv/bin; mkdir /.venv/bin]",
    "tests/run/test_lost.py::test_it_is_drift_and_mended_with_a_fresh_layer[mv /.venv/bin /.venv/gone]",
    "tests/sandbox/network/test_slirp4netns.py::test_another_name_server_of_the_hosts_is_asked_by_the_next_command",
    "tests/sandbox/test_limits.py::test_a_bomb_of_processes_is_bounded_and_named[shell]",
    "tests/sandbox/test_limits.py::test_a_bomb_of_processes_is_bounded_and_named[threads]",
    "tests/hostile/test_kills.py::test_a_kill_at_any_moment_leaves_nothing[shell]",
    "tests/hostile/test_kills.py::test_a_kill_at_any_moment_leaves_nothing[launcher]",
    "tests/run/test_mount_points.py::test_a_mount_that_was_moved_away_is_there_again_and_told_by_the_api[proot]",
    "tests/run/test_mount_points.py::test_a_directory_that_a_command_made_there_is_mounted_upon_and_told[proot]",
    "tests/run/test_packages.py::test_status_tells_what_was_added[proot]",
    "tests/run/test_packages.py::test_a_lost_lock_is_never_an_environment_without_packages",
    "tests/run/test_packages.py::test_a_storage_that_lost_its_id_is_told_so_and_draws_no_other",
    "tests/run/test_packages.py::test_a_frozen_install_finds_nothing_to_do",
    "tests/run/test_isolation.py::test_what_the_host_sets_for_its_own_users_is_not_shown[proot]",
]
# What runs the same code a second time: SOLVEN_ENV_TEST_AS_USER=all adds it, and leaves nothing of the above out.
THE_REST = [
    "tests/sandbox/test_streams.py",
    "tests/sandbox/backends/bubblewrap/test_terminal.py",
    "tests/doctor/test_host.py",
    "tests/packages/test_builds.py tests/run/test_store.py",
    "tests/run/test_refusals.py tests/run/test_explain.py tests/run/test_statuses.py",
    "tests/run/test_planted_links.py tests/run/test_sessions.py tests/run/test_streams.py",
    "tests/state/test_recovering.py tests/threads/test_known.py tests/packages/test_lost.py",
    "tests/run/test_proot.py tests/run/test_programs.py tests/run/test_environment.py",
    "tests/test_transcripts.py",
]
if os.environ.get("SOLVEN_ENV_TEST_AS_USER") == "all":
    SUBSET += THE_REST
    SAME = []
PROFILES_PYTHON = "3.12"
RUNTIME = Path(f"/tmp/solven-env-{USER}")
"""Where the user's sessions meet: without a login there is no XDG_RUNTIME_DIR."""


@contextmanager
def users_runtime() -> Iterator[None]:
    """Take the user's runtime directory away afterwards, and see that no session is left in it."""
    had = RUNTIME.exists()
    yield
    if not had and RUNTIME.exists():
        RUNTIME.rmdir()


@pytest.fixture(scope="session")
def users_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ordinary user's store of builds, and what uv fetched: one for the whole run."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "users-caches"
    path.mkdir(exist_ok=True, mode=0o700)
    os.chown(path, USER, USER)
    return path


def run_as_user(line: list[str], home: str, caches: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line of tests as the ordinary user, whose home is the directory `home`; `caches` are shared."""
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
        "SOLVEN_ENV_TEST_CROWD": "20",
        "SOLVEN_ENV_TEST_KILLS": os.environ.get("SOLVEN_ENV_TEST_KILLS", "3"),
        "SHOWN": " ".join(hidden),
        "CHECKOUT": str(CHECKOUT),
        "WHO": str(USER),
    }
    if caches is not None:
        within = Path("/root", "caches")
        environment |= {"CACHES": str(caches), "SOLVEN_ENV_TEST_CACHE": str(within), "UV_CACHE_DIR": f"{within}/uv"}
    enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh"]
    with users_runtime():
        return subprocess.run([*enter, *line], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs the tests themselves")
@pytest.mark.parametrize("files", SUBSET)
def test_as_an_ordinary_user(files: str, users_caches: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="solven-user-") as home:
        line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-rs"]
        line += ["-m", "not attack", "--durations=10"]
        line += [f"--deselect={each}" for each in SAME]
        result = run_as_user([*line, *files.split()], home, users_caches)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
    print(result.stdout)


def test_what_is_left_out_is_there() -> None:
    for each in SAME:
        path, _, name = each.partition("::")
        assert f"def {name.partition('[')[0]}(" in (CHECKOUT / path).read_text()
