"""One apply a thread at a time: whoever comes second is told so at once, and nothing is corrupted."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import solven_env
from solven_env.errors import HeldError, NeverAppliedError
from tests.profiles import write_profile

CHECKOUT = Path(__file__).parents[2]
FILES = {f"files/{number}": f"content {number}\n" for number in range(8)}
HELD = 6

# An apply that tells when it is about to write its first file, and goes on when it is told to.
PAUSED = """
import sys
import solven_env
from solven_env.workspace.root import Root
stage = Root.stage
def paused(*arguments):
    Root.stage = stage
    print("writing", flush=True)
    sys.stdin.readline()
    return stage(*arguments)
Root.stage = paused
solven_env.apply(sys.argv[1], "t1", storage=sys.argv[2] + "/")
"""


pytestmark = pytest.mark.usefixtures("own_data")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile of several files."""
    return write_profile(tmp_path / "profile.yaml", FILES)


def start(profile: Path, storage: Path, *arguments: str) -> subprocess.Popen[str]:
    """A real apply, or other code with the profile and the storage as its arguments."""
    options = arguments or ("-m", "solven_env", "apply", "--storage", f"{storage}/")
    last = (str(profile), str(storage)) if arguments else (str(profile), "t1")
    return subprocess.Popen(
        [sys.executable, *options, *last],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=CHECKOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """A process's status and what it said on standard error."""
    _, errors = process.communicate()
    return process.returncode, errors


def check(profile: Path, storage: Path) -> None:
    """The thread is whole: in sync, in its first generation, with nothing left over."""
    (thread,) = solven_env.diff(profile, "t1", storage=storage).threads
    assert (thread.state, thread.generation) == ("in-sync", 1)
    found = {str(path.relative_to(storage / "threads/t1")) for path in (storage / "threads/t1").rglob("*")}
    assert found == {"files", *FILES}
    assert list(storage.rglob(".tmp-*")) == []


def test_a_second_apply_is_refused_while_the_first_one_writes(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with start(profile, storage, "-c", PAUSED) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        with start(profile, storage) as second:
            status, errors = finish(second)
        assert status == HELD
        assert "thread t1 is held by another apply" in errors
        with pytest.raises(HeldError):
            solven_env.apply(profile, "t1", storage=storage)
        assert solven_env.diff(profile, "t1", storage=storage).threads[0].is_interrupted
        with pytest.raises(NeverAppliedError, match="its first apply was interrupted"):
            solven_env.status("t1", storage=storage)
        assert finish(first)[0] == 0
    check(profile, storage)


def test_the_lock_ends_with_a_killed_process(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with start(profile, storage, "-c", PAUSED) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        first.kill()
        assert finish(first)[0] == -9
    with start(profile, storage) as second:
        assert finish(second) == (0, "")
    check(profile, storage)


def test_processes_that_start_at_once_win_or_are_told(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    processes = [start(profile, storage) for _ in range(6)]
    outcomes = [finish(process) for process in processes]
    assert {status for status, _ in outcomes} <= {0, HELD}
    assert 0 in {status for status, _ in outcomes}
    assert all("held" in errors for status, errors in outcomes if status == HELD)
    check(profile, storage)


def test_threads_of_one_process_win_or_are_told(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    together = threading.Barrier(8)
    outcomes: list[object] = []

    def act() -> None:
        together.wait()
        try:
            outcomes.append(solven_env.apply(profile, "t1", storage=storage))
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=act) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {type(outcome) for outcome in outcomes} <= {solven_env.Report, HeldError}
    assert solven_env.Report in {type(outcome) for outcome in outcomes}
    check(profile, storage)


def test_threads_with_different_ids_do_not_wait_for_each_other(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with start(profile, storage, "-c", PAUSED) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        assert solven_env.apply(profile, "t2", storage=storage).threads[0].generation == 1
        assert finish(first)[0] == 0
    check(profile, storage)
