"""Reports of many threads as they end, and what is left of them after an interrupt or without a reader."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.cli.each import Words, tell_each
from solven_env.cli.errors import gravest
from solven_env.cli.options import StreamFormat
from solven_env.errors import BuildError, ConflictError, HeldError
from solven_env.report import ThreadReport, failure_report
from solven_env.threads import many

if TYPE_CHECKING:
    from collections.abc import Generator

    from syrupy.assertion import SnapshotAssertion

NAMES = tuple(f"t{number}" for number in range(6))
ERRORS = {
    "t1": ConflictError("nothing was written", fix="Look.", location="t1", generation=2),
    "t2": BuildError("there is no network", fix="Look at t2.", location="python"),
    "t4": BuildError("there is no network", fix="Look at t4.", location="python"),
}


def _words(said: list[str]) -> Words:
    return Words("apply", "applying to", "applied to", say=lambda report: said.append(report.thread), left="Go on.")


def _one_after_the_other(_: object) -> Generator[ThreadReport, None, None]:
    """Reports that do not come in the order of the names."""
    for name in reversed(NAMES):
        error = ERRORS.get(name)
        yield failure_report(name, error) if error else ThreadReport(name, "in-sync" if name == "t0" else "new", 1)


def test_text_tells_each_error_once_whole_and_all_in_one_line(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    said: list[str] = []
    assert tell_each(_words(said), NAMES, StreamFormat.TEXT, _one_after_the_other) == 1
    assert said == ["t5", "t3", "t0"]
    assert capsys.readouterr() == snapshot


def test_json_is_one_document_in_the_order_that_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_each(_words([]), NAMES, StreamFormat.JSON, _one_after_the_other, storage="prod") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["format"], document["command"]) == (1, "apply")
    assert [
        (each["thread"], each["state"], each["error"] and each["error"]["code"]) for each in document["threads"]
    ] == [
        ("t0", "in-sync", None),
        ("t1", "conflict", 4),
        ("t2", "failed", 1),
        ("t3", "new", None),
        ("t4", "failed", 1),
        ("t5", "new", None),
    ]
    assert document["threads"][1]["generation"] == 2
    assert set(document["threads"][2]["error"]) == {"code", "message", "fix", "location"}
    assert "not_ended" not in document


def test_jsonl_is_a_line_for_each_as_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def begin(shown: Any) -> Generator[ThreadReport, None, None]:
        for report in _one_after_the_other(shown):
            yield report
            seen.append(capsys.readouterr().out)  # it is there before the next one ends

    tell_each(_words([]), NAMES, StreamFormat.JSONL, begin)
    lines = [json.loads(line) for line in seen]
    assert [line["thread"] for line in lines] == list(reversed(NAMES))
    assert {(line["format"], line["command"]) for line in lines} == {(1, "apply")}


def test_what_the_canaries_left_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def begin(_: object) -> Generator[ThreadReport, None, None]:
        yield failure_report("t0", HeldError("held"))

    assert tell_each(_words([]), NAMES, StreamFormat.JSON, begin) == 6
    told = capsys.readouterr()
    assert json.loads(told.out)["not_ended"] == list(NAMES[1:])
    assert "5 threads left as before, since a canary was not done: t0." in told.err


@pytest.mark.parametrize("form", list(StreamFormat))
def test_after_an_interrupt_what_ended_is_told_whole(capsys: pytest.CaptureFixture[str], form: StreamFormat) -> None:
    names, ended, said = [f"t{number}" for number in range(300)], list[str](), list[str]()

    def call(name: str) -> ThreadReport:
        time.sleep(0.01)
        if name == "t9":
            os.kill(os.getpid(), signal.SIGINT)
        ended.append(name)
        return ThreadReport(name, "new", 1)

    def begin(_: object) -> Generator[ThreadReport, None, None]:
        return many.each(names, call, failure_report)

    assert tell_each(_words(said), names, form, begin) == 130
    told = capsys.readouterr()
    assert len(ended) < len(names)
    assert f"interrupted while applying to 300 threads ({len(ended)} of 300" in told.err
    assert "Go on." in told.err
    if form is StreamFormat.TEXT:
        assert sorted(said) == sorted(ended)
    elif form is StreamFormat.JSON:
        document = json.loads(told.out)
        assert [each["thread"] for each in document["threads"]] == [name for name in names if name in ended]
        assert (document["error"]["code"], len(document["not_ended"])) == (130, 300 - len(ended))
    else:
        *lines, last = map(json.loads, told.out.splitlines())
        assert sorted(line["thread"] for line in lines) == sorted(ended)
        assert (last["thread"], last["error"]["code"]) == (None, 130)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_waits_for_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_heard, may_end, ended = threading.Event(), threading.Event(), list[str]()
    stop = many._Calls[ThreadReport]._stop

    def hear(calls: many._Calls[ThreadReport]) -> None:
        if calls._live:
            is_heard.set()
        stop(calls)

    def call(name: str) -> ThreadReport:
        os.kill(os.getpid(), signal.SIGINT)
        is_heard.wait(60)  # two that come at once are one
        os.kill(os.getpid(), signal.SIGINT)
        may_end.wait(60)
        ended.append(name)
        return ThreadReport(name, "new", 1)

    monkeypatch.setattr(many._Calls, "_stop", hear)
    found = tell_each(_words([]), ["t1"], StreamFormat.TEXT, lambda _: many.each(["t1"], call, failure_report))
    assert (found, ended) == (130, [])
    may_end.set()
    assert "(0 of 1)" in capsys.readouterr().err


def test_without_a_reader_no_more_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    begun = []

    def call(name: str) -> ThreadReport:
        begun.append(name)
        time.sleep(0.01)
        return ThreadReport(name, "new", 1)

    names = [f"t{number}" for number in range(300)]
    with os.fdopen(writing, "w", buffering=1) as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        with pytest.raises(BrokenPipeError):
            tell_each(_words([]), names, StreamFormat.JSONL, lambda _: many.each(names, call, failure_report))
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), nobody.fileno())
    assert len(begun) < len(names)


def test_no_threads_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_each(_words([]), [], StreamFormat.TEXT, lambda _: many.each([], lambda _: 1, lambda *_: 1)) == 0  # type: ignore[arg-type,return-value]
    assert capsys.readouterr() == ("", "no thread is named: nothing was done.\n")


@pytest.mark.parametrize(
    ("codes", "code"), [((), 0), ((0, 3), 3), ((3, 6), 6), ((6, 4), 4), ((4, 7), 7), ((7, 5), 5), ((5, 1), 1)]
)
def test_the_gravest_code_of_any_is_the_commands(codes: tuple[int, ...], code: int) -> None:
    assert gravest(codes) == code
    assert gravest((130, *codes)) == 130
