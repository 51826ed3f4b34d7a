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
    from collections.abc import Iterator
    from pathlib import Path

    from tests.run.world import World


@pytest.fixture
def host(bare: World) -> Iterator[World]:
    """A thread whose session, which waits a while for the next copy, ends with the test."""
    yield bare
    assert bare.cli("stop", "t1").returncode == 0


def test_files_and_trees_go_in_and_out(host: World, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "run.sh").write_text("echo ran\n")
    (tree / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("/etc/shadow")
    for _ in range(2):  # over what is there, too
        assert host.cli("cp", str(tree), "t1:/").returncode == 0
    assert host.out("sh /tree/run.sh; readlink /tree/link") == "ran\n/etc/shadow\n"
    done = host.cli("cp", "t1:/tree", str(tmp_path / "back"), "--format", "json")
    assert json.loads(done.stdout)["threads"] == [
        {"thread": "t1", "error": None, "source": "t1:/tree", "target": str(tmp_path / "back")}
    ]
    assert stat.S_IMODE((tmp_path / "back/run.sh").stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "back/link") == "/etc/shadow"
    assert host.cli("cp", "t1:/tree/run.sh", str(tmp_path)).returncode == 0
    assert (tmp_path / "run.sh").read_text() == "echo ran\n"
    line = host.command("cp", "-", "t1:/in")
    assert subprocess.run(line, input=b"\0bytes", env=host.environ, check=False).returncode == 0
    done = host.cli("cp", "t1:/in", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\0bytes", b"")
    host.out("head -c 5000000 /dev/zero > /large")
    line = host.command("cp", "t1:/large", "-")
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -c 10 | wc -c', "sh", *line], env=host.environ, capture_output=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (b"10", b"")
    for source, target in (
        ("t1:/gone", "-"),
        ("t1:/gone", str(tmp_path)),
        (str(tmp_path / "gone"), "t1:/"),
        ("t1:/tree", "-"),
    ):
        done = host.cli("cp", source, target)
        assert done.returncode in (1, 2)
        assert done.stderr.startswith(b"error: ")
        assert b"Traceback" not in done.stderr


def test_a_link_that_came_out_leads_no_later_copy_astray(host: World, tmp_path: Path) -> None:
    """An agent chooses the links: of `/`, which is copied first, and then what they shall get."""
    home, results = tmp_path / "home", tmp_path / "results"
    home.mkdir()
    (home / "rc").write_text("kept")
    host.out(f"ln -s {home} /out; ln -s {home}/rc /rc; ln -s {home}/new /new")
    assert host.cli("cp", "t1:/", str(results)).returncode == 0
    assert (results / "out").is_symlink()
    host.out("rm /out /rc /new; mkdir /out; echo evil | tee /out/rc /out/new /rc /new")
    for name in ("out", "rc", "new"):
        for target in (f"{results}", f"{results}/{name}", f"{results}/{name}/", f"{results}/{name}/."):
            done = host.cli("cp", f"t1:/{name}", target)
            assert (done.returncode, b"a link is there" in done.stderr) == (2, True), done.stderr
    assert {each.name: each.read_text() for each in home.iterdir()} == {"rc": "kept"}


@pytest.mark.parametrize("inside", ["/sub/..", "/..", "/sub/../..", "/sub/.", "//", "/sub//"])
def test_a_name_that_leads_up_is_no_name(host: World, tmp_path: Path, inside: str) -> None:
    host.out("mkdir -p /sub; echo x | tee /sub/mark /mark")
    results = tmp_path / "deep/results"
    results.mkdir(parents=True)
    assert host.cli("cp", f"t1:{inside}", str(results)).returncode == 0
    assert (results / "sub/mark").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "deep"]
    assert list((tmp_path / "deep").iterdir()) == [results]


def test_the_name_of_what_goes_in_is_a_name(host: World, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    host.out("mkdir /in")
    for source in ("..", ".", "../b", "../b/"):
        line = host.command("cp", source, "t1:/in")
        assert subprocess.run(line, cwd=tmp_path / "a/b", env=host.environ, check=False).returncode == 0
    assert host.out("cd /in; find . -type d | sort") == ".\n./a\n./a/b\n./b\n"


@pytest.mark.parametrize("target", ["copy", "-"])
def test_one_that_is_ended_takes_its_unfinished_file_away(host: World, tmp_path: Path, target: str) -> None:
    host.out("head -c 300000000 /dev/urandom > /large")
    out = tmp_path / "copy"
    with out.open("wb") if target == "-" else open(os.devnull, "wb") as stdout:
        line = host.command("cp", "t1:/large", target)
        with subprocess.Popen(line, cwd=tmp_path, env=host.environ, stdout=stdout) as copying:
            while not any(each.stat().st_size for each in tmp_path.iterdir()):
                assert copying.poll() is None
            copying.terminate()
    assert copying.returncode == 143
    assert [each.name for each in tmp_path.iterdir()] == ["copy"] * (target == "-")


def test_what_is_no_file_is_not_replaced(host: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "taken").mkdir()
    host.out("echo x > /taken")
    for target in (tmp_path / "fifo", tmp_path):
        done = host.cli("cp", "t1:/taken", str(target))
        assert (done.returncode, b"what is there is no file" in done.stderr) == (2, True)
    assert (tmp_path / "fifo").is_fifo()


def test_a_copy_that_fails_leaves_what_was_there(host: World, tmp_path: Path) -> None:
    (tmp_path / "large").write_text("kept")
    host.out("head -c 1000000 /dev/zero > /large")
    line = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *host.command("cp", "t1:/large", str(tmp_path))]
    done = subprocess.run(line, env=host.environ, capture_output=True, check=False)
    assert (done.returncode, b"File too large" in done.stderr) == (2, True)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"large": "kept"}


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("t1:/a", "t2:/b"), ("./t1:/a", "b"), ("t1:a", "-")])
def test_one_of_both_is_inside(source: str, target: str) -> None:
    with pytest.raises(UsageError):
        read_ends(source, target)
