"""What doctor reads of commands inside: whatever an agent's programs print there, each question has an answer."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.doctor import inside, looks, questions, script, shells, sockets, surroundings, trials
from solven_env.doctor.inside import Inside
from solven_env.documents.answers import Question, limited, ok
from solven_env.packages.ecosystems.python import interpreters
from solven_env.sandbox.launch_plan import Bind
from solven_env.sandbox.request import Ended
from solven_env.system import processes

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.documents.answers import Answer

MARK = "0123456789abcdef"
PARTS = (
    *("command", "login", "bare-login", "interactive", "which", "id", "mounts", "interfaces", "null", "write /"),
    *("python", "pip", "uv", "packages", "bun", "node", "modules"),
)
SETTINGS = {
    "env": {"A": "1"},
    "path": ["/.venv/bin"],
    "backend": "bubblewrap",
    "network": "internet",
    "mounts": [{"target": "/usr", "kind": "bind", "optional": False, "why": ""}],
    "links": [{"path": "x", "optional": False, "access": "read-only"}],
    "python": {"version": "3.12", "packages": ["six"]},
    "bun": {"packages": {"is-number": "1"}},
}
QUESTIONS = (*shells.QUESTIONS, *surroundings.QUESTIONS)


def sandbox(out: bytes) -> Inside:
    """A thread in which that was printed."""
    record = SimpleNamespace(settings=SETTINGS, resources={"file:.bashrc": 1, "file:.bash_profile": 1})
    asked: Any = SimpleNamespace(
        settings=SETTINGS,
        record=record,
        reasons=dict,
        wanted=None,
        apply="Run: apply",
        fresh_layer=lambda kind: f"fresh {kind}",
        thread=SimpleNamespace(name="t1"),
        workspace="/w",
        host=SimpleNamespace(data="/d"),
    )
    made = Inside(asked)
    made.said = script.parse(MARK, out)
    return made


def answers(out: bytes) -> dict[str, Answer]:
    """What each question says of it, through what every question goes through."""
    about = sandbox(out)
    asked = ((question, questions._ask(question, about)) for question in QUESTIONS)
    found = {question.name: answer for question, answer in asked if answer is not None}
    for answer in found.values():
        assert answer.detail != "it cannot be told", answer
        assert all(len(text) <= 1010 for text in answer[1:])
    return found


_WORDS = st.sampled_from(
    [
        *(f"\n{MARK} {part}\n".encode() for part in PARTS),
        *(f"\n{MARK} = {status}\n".encode() for status in ("0", "1", "124", "²", "9" * 5000, "-1", "", "x")),
        *(b"\0", b"\0PATH=/.venv/bin:/run/solven-env/bin:/x:/x\0A=1\0", b"=", b" - ", b"a b c d e ro - \n", b"lo:\n"),
        *(b"bun=/x\n", b"python=/.venv/bin/python\n", b"six\t\n", b"\xff\xfe\x1b[2J", MARK.encode(), b"[" * 3000),
    ]
)


@given(st.lists(st.one_of(_WORDS, st.binary(max_size=20)), max_size=40).map(b"".join))
def test_whatever_is_printed_is_answered(out: bytes) -> None:
    assert set(answers(out)) >= {"PATH", ".bashrc", "virtual environment", "Python packages", "/dev/null", "mounts"}


@pytest.mark.parametrize(
    "piece",
    [
        f"{MARK} x ".encode(),
        f"{MARK} x\n".encode(),
        f"\n{MARK} command\n\0PATH=".encode() + b":" * 200_000,
        b"\n",
        b"\0",
        b"://a://",
    ],
)
def test_it_takes_a_time_that_grows_with_what_was_printed(piece: bytes) -> None:
    """A mark without the end of its line, or a PATH of colons, took quadratic time: hours of 8 MiB."""

    def seconds(size: int) -> float:
        before = time.process_time()
        answers(piece * (size // len(piece)))
        return time.process_time() - before

    assert seconds(trials.LONGEST) < 10


def test_marks_are_read_at_the_beginning_of_a_line_alone() -> None:
    out = f"noise\n{MARK} id\n1000\n\n{MARK} = 0\n\n{MARK} uv\nuv 1 {MARK} = 7\n{MARK} = 3\n".encode()
    assert script.parse(MARK, out) == {
        "id": script.Said(0, b"1000\n"),
        "uv": script.Said(3, f"uv 1 {MARK} = 7".encode()),
    }


def test_what_is_printed_without_end_fills_nothing() -> None:
    """Whoever prints on is told that nobody reads (EPIPE), as by head(1)."""
    told = threading.Event()

    def run(streams: tuple[int, int, int]) -> Ended:
        _, out, err = streams
        with open(err, "wb", closefd=False) as file:
            file.write(b"complaint")
        try:
            while True:
                os.write(out, b"x" * 65536)
        except BrokenPipeError:
            told.set()
        return Ended(3)

    done = trials.finish(run)
    assert told.is_set()
    assert (done.status, done.err, done.is_whole, len(done.out)) == (3, b"complaint", False, trials.LONGEST)
    assert (
        trials.finish(lambda streams: Ended(os.write(streams[1], b"out") - os.write(streams[2], b"err"))).out == b"out"
    )


def test_the_start_says_that_it_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sandbox(b"")
    monkeypatch.setattr(made, "run", lambda *_, **__: trials.Done(0, b"x", b"", is_whole=False))
    monkeypatch.setattr(inside, "_remove", lambda *_: None)
    answer = inside.start(made)
    assert (answer.level, answer.detail) == ("broken", "what the probes print inside has no end")
    assert answer.fix == "fresh python"


def test_a_word_that_never_comes_is_waited_for_in_a_bounded_space() -> None:
    read, write = os.pipe()
    printing = threading.Thread(target=lambda: os.write(write, b"x" * (1 << 16)))
    printing.start()
    assert len(inside._read_until(read, b"here")) <= 1 << 16
    printing.join()
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("error", [RecursionError("deep"), ValueError("x" * 5000), MemoryError()])
def test_what_nobody_thought_of_is_an_answer_with_its_reason(error: Exception) -> None:
    def ask(_: None) -> Answer:
        raise error

    (found,) = questions.ask_all("host", [Question("q", ask)], None, set())
    assert isinstance(found, questions.Finding)
    assert (found.answer.level, found.answer.detail) == ("broken", "it cannot be told")
    assert type(error).__name__ in found.answer.cause
    assert len(found.answer.cause) <= 1010


def test_the_end_of_a_look_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, said, expected in ((3, b"", "it ended with 3"), (0, b"{[", "it ended with 0")):
        ended = subprocess.CompletedProcess("", code, said, b"")
        monkeypatch.setattr(processes, "ask", lambda *_, ended=ended, **__: ended)
        assert looks.look("space", "/") == {"failed": expected}


@pytest.mark.parametrize("said", ["", "[" * 100_000, "{}", "[1]", "\\377", '{"implementation": "cpython"}', "null"])
def test_a_program_that_is_no_interpreter_is_told(tmp_path: Path, said: str) -> None:
    program = tmp_path / "python3.12"
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    program.chmod(0o755)
    assert interpreters._ask(program, "3.12") == "does not answer as an interpreter does"


def test_a_hostile_tree_behind_a_link_is_looked_at_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories in each other, more than there are descriptors, and names by the thousand in one directory."""
    tree = tmp_path / "tree"
    (tree / "many").mkdir(parents=True)
    os.mkfifo(tree / "many/fifo")
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    monkeypatch.setattr(sockets, "_SECONDS", 60.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 200, hard))
    try:
        answer = sockets.answer([Bind("/x", str(tree))])
        assert answer is not None
        assert (answer.level, "/x/many/fifo" in answer.detail) == ("limited", True)
        (tree / "many/fifo").unlink()
        for number in range(2000):
            (tree / f"many/{number}").touch()
        assert sockets.answer([Bind("/x", str(tree))]) == limited("none found so far; there was more than is looked at")
        assert sockets.answer([Bind("/x", str(tree / "many"))]) == ok("none is shown")
        monkeypatch.setattr(sockets, "_SECONDS", 0.0)
        late = sockets.answer([Bind("/x", str(tree / "many"))])
        assert late is not None
        assert late.level == "limited"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.system(f"rm -rf {tree}")
