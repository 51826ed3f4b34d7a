from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import lock_files, locks
from solven_env.packages.ecosystems import rows
from solven_env.profile.prepare import packages
from solven_env.profile.source import find_profile
from tests.cli.conftest import PROFILE
from tests.reconcile.test_journeys import FIRST, SECOND, edit
from tests.run.world import DATA, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Cli

CHECKOUT = Path(__file__).parents[2]


def test_diff_of_a_new_thread_creates_nothing(cli: Cli, snapshot: SnapshotAssertion) -> None:
    result = cli("diff", cli.write("profile.yaml"), "t1")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == snapshot
    assert not cli.storage.exists()


def test_exit_codes_of_each_state(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    edited = cli.write("edited.yaml", PROFILE.replace("hello {{", "good day {{"))

    def codes(profile: str = profile) -> tuple[int, int, int]:
        return (
            cli("diff", profile, "t1").returncode,
            cli("diff", profile, "t1", "--exit-code").returncode,
            cli("status", "t1", "--profile", profile, "--exit-code").returncode,
        )

    assert codes() == (0, 3, 1)  # status is of what was applied
    cli("apply", profile, "t1")
    assert codes() == (0, 0, 0)
    assert codes(edited) == (0, 3, 3)
    (cli.workspace() / ".bashrc").write_text("mine\n")
    assert codes() == (0, 3, 3)
    assert codes(edited) == (0, 4, 4)
    assert cli("status", "t1", "--exit-code").returncode == 3


@pytest.fixture
def world(caches: Path) -> Iterator[World]:
    """A host with the builds of the small profile."""
    world = new_world(caches)
    yield world
    world.close()


def test_a_changed_lock_is_told_by_its_versions(world: World) -> None:
    """Whatever is known of the new build: nothing, here. --full shows the lines too."""
    assert world.cli("apply", str(world.profile), "t1").returncode == 0
    changed = DATA.joinpath("small.yaml").read_text().replace("[six]", "[six, packaging]")
    profile = world.base / "small.yaml"
    profile.write_text(changed)
    pip = next(line for line in DATA.joinpath("small.lock/python.txt").read_text().splitlines() if "pip==" in line)
    pins = ["packaging==24.0 \\", pip.partition(" ")[0] + " \\", "six==1.0.0 \\"]
    text = "".join(f"{pin}\n    --hash=sha256:{'a' * 64}\n" for pin in pins).encode()
    lock = {"python": text, "bun": DATA.joinpath("small.lock/bun.lock").read_bytes()}
    sections = packages(find_profile(profile), rows(), {})
    lock_files.write(world.base / "small.lock", locks.files(lock, sections))
    shown = world.cli("diff", str(profile), "t1").stdout.decode()
    (line,) = (line for line in shown.splitlines() if line.startswith("uv.lock: "))
    assert re.fullmatch(r"uv\.lock: six 1\.\d+\.0 → 1\.0\.0, \+ packaging 24\.0", line)
    assert "--- uv.lock" not in shown
    assert line.removeprefix("uv.lock: ") in world.cli("apply", str(profile), "t1", "--dry-run").stdout.decode()
    full = world.cli("diff", str(profile), "t1", "--full").stdout.decode()
    assert line in full
    assert full.count("\n-") > shown.count("\n-") + 10
    (thread,) = json.loads(world.cli("diff", str(profile), "t1", "--format", "json").stdout)["threads"]
    told = {change["address"]: change.get("versions") for change in thread["changes"]}
    assert told.pop("file:uv.lock")[1] == {"name": "packaging", "before": "", "after": "24.0"}
    assert not any(told.values())
    # What the workspace changed is no conflict: it is kept, and the lock made anew.
    with (world.workspace() / "uv.lock").open("a") as file:
        file.write("# mine\n")
    edited = world.cli("diff", str(profile), "t1", "--exit-code")
    assert edited.returncode == 3
    assert line in edited.stdout.decode()


def test_diff_is_empty_when_in_sync(cli: Cli) -> None:
    profile = cli.write_bare()
    cli("apply", profile, "t1")
    result = cli("diff", profile, "t1")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "t1: in sync.\n")


def test_diff_of_every_kind_of_change(cli: Cli, snapshot: SnapshotAssertion) -> None:
    profile = cli.write(
        "profile.yaml",
        PROFILE + '  gone: {content: "old\\n"}\n  mode: {content: "x"}\n  linked: {content: "x\\n"}\n'
        '  binary: {content: "x\\n"}\n  ended: {content: "no newline"}\n',
    )
    cli("apply", profile, "t1")
    (cli.workspace() / "linked").unlink()
    (cli.workspace() / "linked").symlink_to("/etc/passwd")
    (cli.workspace() / "binary").write_bytes(b"\0\1\2")
    (cli.workspace() / "bin/hello").write_text("\033[31mred\a\n\ttab\n")
    cli.write(
        "profile.yaml",
        PROFILE.replace("hello {{", "good day {{")
        + '  mode: {content: "x", mode: "0700"}\n  linked: {content: "x\\n"}\n'
        '  binary: {content: "x\\n"}\n  ended: {content: "no newline, again"}\n  sub/new: {content: "new\\n"}\n',
    )
    result = cli("diff", profile, "t1")
    assert result.stdout == snapshot


def test_diff_names_a_file_that_is_empty_or_becomes_so(cli: Cli) -> None:
    profile = cli.write("profile.yaml", "version: 1\nname: x\nrelease: 1.0.0\ndotfiles: {e: {content: ''}}\n")
    assert "--- /dev/null\n+++ e\n" in cli("diff", profile, "t1").stdout
    cli("apply", profile, "t1")
    (cli.workspace() / "e").chmod(0o600)
    mode = "# drift: e: the workspace changed its mode\n# mode: e: 0600 becomes 0644\n"
    assert cli("diff", profile, "t1").stdout == mode
    (cli.workspace() / "e").unlink()
    assert cli("diff", profile, "t1").stdout.endswith("--- /dev/null\n+++ e\n")


@pytest.mark.parametrize("edit", ["env: {GREETING: bye}", "sandbox: {limits: {processes: 7}}"])
def test_an_edit_of_settings_alone_is_a_change(cli: Cli, edit: str) -> None:
    text = "version: 1\nname: small\nrelease: 1.0.0\n"
    profile = cli.write("profile.yaml", text)
    cli("apply", profile, "t1")
    cli.write("profile.yaml", text + edit + "\n")
    assert cli("diff", profile, "t1").stdout.startswith("~ settings launch  (the profile changed ")
    assert cli("diff", profile, "t1", "--exit-code").returncode == 3
    assert cli("apply", profile, "t1").returncode == 0
    assert cli("diff", profile, "t1", "--exit-code").returncode == 0


def test_colour_is_for_terminals_only(cli: Cli) -> None:
    profile = cli.write_bare()

    def on_a_terminal(**environ: str) -> bytes:
        main, replica = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "solven_env", "diff", profile, "t1"],
            cwd=cli.directory,
            env={
                **os.environ,
                "PYTHONPATH": str(CHECKOUT),
                "SOLVEN_ENV_STORAGE": str(cli.storage),
                "TERM": "xterm",
                **environ,
            },
            stdout=replica,
        )
        process.wait()
        os.close(replica)
        output = os.read(main, 1 << 16)
        os.close(main)
        return output

    assert b"\033[32m" in on_a_terminal(NO_COLOR="")
    assert b"\033" not in on_a_terminal(NO_COLOR="1")
    assert b"\033" not in on_a_terminal(NO_COLOR="", TERM="dumb")
    assert "\033" not in cli("diff", profile, "t1").stdout


def test_a_conflict_says_what_clashes_and_what_each_choice_would_do(cli: Cli, snapshot: SnapshotAssertion) -> None:
    profile = cli.write("profile.yaml", FIRST)
    cli("apply", profile, "t1")
    edit(cli.workspace())
    cli.write("profile.yaml", SECOND)
    shown, refused = cli("diff", profile, "t1"), cli("apply", profile, "t1")
    assert refused.returncode == 4
    assert (shown.stdout, refused.stderr) == snapshot
    assert all(len(line) <= 80 for line in shown.stdout.splitlines() if line.startswith("!  "))
    # merge settles one of the two: nothing at all is written
    assert cli("apply", profile, "t1", "--on-conflict", "merge").returncode == 4
    assert "FIVE" not in (cli.workspace() / "run.sh").read_text()
    assert "type" not in (cli.workspace() / "package.json").read_text()
    assert cli("apply", profile, "t1", "--on-conflict", "keep").returncode == 0
    assert cli("status", "t1").stdout == snapshot


def test_a_command_of_several_lines_is_told_by_its_beginning(cli: Cli) -> None:
    lines = "".join(f"    echo {number}\n" for number in range(40))
    cli.write("team.yaml", f"version: 1\nname: team\nrelease: 1.0.0\nsetup:\n  - |\n{lines}")
    told = cli("diff", "team.yaml", "t1").stdout.splitlines()[-1]
    assert told.startswith("+ setup echo 0\\necho 1\\n")
    assert (len(told), told[-1]) == (len("+ setup ") + 72, "…")
