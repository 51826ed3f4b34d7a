"""What doctor reads of commands inside: whatever an agent's programs print there, each question has an answer."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from solven_env.doctor import inside, questions, script, shells, surroundings, trials
from solven_env.doctor.inside import Inside
from solven_env.documents.answers import Question

if TYPE_CHECKING:
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
    asked = questions.ask_all("thread", QUESTIONS, about, set())
    found = {each.question: each.answer for each in asked if isinstance(each, questions.Finding)}
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
@example(f"\n{MARK} interactive\n\0bun=/x\n".encode())  # as a .bashrc that sets nothing leaves it
def test_whatever_is_printed_is_answered(out: bytes) -> None:
    assert set(answers(out)) >= {"PATH", "virtual environment", "Python packages", "/dev/null", "mounts"}


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


def test_the_start_says_that_it_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sandbox(b"")
    monkeypatch.setattr(made, "run", lambda *_, **__: trials.Done(0, b"x", b"", is_whole=False))
    monkeypatch.setattr(inside, "remove_tried", lambda *_: None)
    answer = inside.start(made)
    assert (answer.level, answer.detail) == ("broken", "the answers from inside have no end")
    assert answer.fix == "fresh python"


def test_a_word_that_never_comes_is_waited_for_in_a_bounded_space() -> None:
    read, write = os.pipe()
    printing = threading.Thread(target=lambda: os.write(write, b"x" * (1 << 16)))
    printing.start()
    assert len(inside.read_until(read, b"here")) <= 1 << 16
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
