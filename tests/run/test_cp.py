"""`cp`: files and trees into a thread and out of one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from solven_env.cli.cp import read_ends
from solven_env.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World


def test_files_and_trees_go_in_and_out(bare: World, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "run.sh").write_text("echo ran\n")
    (tree / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("/etc/shadow")
    for _ in range(2):  # over what is there, too
        assert bare.cli("cp", str(tree), "t1:/").returncode == 0
    assert bare.out("sh /tree/run.sh; readlink /tree/link") == "ran\n/etc/shadow\n"
    done = bare.cli("cp", "t1:/tree", str(tmp_path / "back"), "--format", "json")
    assert json.loads(done.stdout)["threads"] == [
        {"thread": "t1", "error": None, "source": "t1:/tree", "target": str(tmp_path / "back")}
    ]
    assert stat.S_IMODE((tmp_path / "back/run.sh").stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "back/link") == "/etc/shadow"
    assert bare.cli("cp", "t1:/tree/run.sh", str(tmp_path)).returncode == 0
    assert (tmp_path / "run.sh").read_text() == "echo ran\n"
    line = bare.command("cp", "-", "t1:/in")
    assert subprocess.run(line, input=b"\0bytes", env=bare.environ, check=False).returncode == 0
    done = bare.cli("cp", "t1:/in", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\0bytes", b"")
    for source, target in (("t1:/gone", str(tmp_path)), (str(tmp_path / "gone"), "t1:/"), ("t1:/tree", "-")):
        done = bare.cli("cp", source, target)
        assert done.returncode in (1, 2)
        assert done.stderr.startswith(b"error: ")
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("t1:/a", "t2:/b"), ("./t1:/a", "b"), ("t1:a", "-")])
def test_one_of_both_is_inside(source: str, target: str) -> None:
    with pytest.raises(UsageError):
        read_ends(source, target)
