"""Messages between launcher and holder, over a real connection."""

from __future__ import annotations

import os

import pytest

from solven_env.errors import SandboxError, SolvenError, UsageError
from solven_env.sandbox import wire
from solven_env.system.plain import pair


def test_a_request_brings_its_document_and_its_streams() -> None:
    ours, theirs = pair()
    with ours, theirs:
        wire.send_request(ours, "request", {"command": ["true"], "long": "x" * 300_000}, (0, 1, 2))
        request = wire.receive_request(theirs)
        assert request is not None
        kind, document, streams = request
        assert kind == "request"
        assert document == {"command": ["true"], "long": "x" * 300_000}
        assert [os.fstat(each)[:3] for each in streams] == [os.fstat(each)[:3] for each in (0, 1, 2)]
        assert not any(os.get_inheritable(each) for each in streams)
        for each in streams:
            os.close(each)


@pytest.mark.parametrize("message", [b"\xff", b"status of it"])
def test_what_is_no_request_is_none(message: bytes) -> None:
    ours, theirs = pair()
    with ours, theirs:
        ours.send(message)
        assert wire.receive_request(theirs) is None


def test_the_end_of_a_launcher_is_heard() -> None:
    ours, theirs = pair()
    with theirs:
        ours.close()
        assert wire.receive_request(theirs) is None
        assert not wire.hear_again(theirs)
        assert wire.receive(theirs) is None


@pytest.mark.parametrize("kind", [SandboxError, UsageError])
def test_a_failure_comes_as_the_error_that_it_was(kind: type[SolvenError]) -> None:
    ours, theirs = pair()
    with ours, theirs:
        wire.send_failure(ours, kind("what", fix="do", location="where"))
        message = wire.receive(theirs)
        assert message is not None
        error = wire.failure(message)
        assert (type(error), error.message, error.fix, error.location) == (kind, "what", "do", "where")


@pytest.mark.parametrize("packed", [b"", wire.pack({"a": 1})[:-1]])
def test_what_was_cut_short_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="cut short"):
        wire.unpack(packed)
