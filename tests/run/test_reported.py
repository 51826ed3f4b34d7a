"""`run --format json`: one document says how a command ended and what it printed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.run.world import World


def test_a_document_says_how_a_command_ended(bare: World) -> None:
    def report(*words: str, status: int, data: bytes = b"") -> dict[str, Any]:
        done = bare.cli("run", "t1", "--format", "json", *words, data=data)
        assert done.returncode == status, done
        assert done.stderr == b""
        document = json.loads(done.stdout)
        (told,) = document.pop("threads")
        assert document == {"format": 1, "command": "run"}
        assert isinstance(told, dict)
        return told

    told = report("--shell", "cat; echo no >&2; exit 3", status=3, data=b"in \xc3\xa9")
    assert told.pop("seconds") > 0
    assert told == {
        "thread": "t1",
        "error": None,
        "exit_code": 3,
        "stdout": "in é",
        "stdout_base64": None,
        "stderr": "no\n",
        "stderr_base64": None,
        "truncated": False,
        "timed_out": False,
        "limits": [],
    }
    told = report("--", "printf", "\\377", status=0)
    assert (told["stdout"], base64.b64decode(told["stdout_base64"])) == (None, b"\xff")
    told = report("--shell", "printf a; yes é | tr -d '\\n' | head -c 2000000", status=0)
    assert (told["stdout"], told["truncated"]) == ("a" + "é" * ((1 << 19) - 1), True)
    told = report("--timeout", "0.3", "--", "sleep", "600", status=124)
    assert (told["timed_out"], told["limits"][0]["limit"]) == (True, "timeout")


def test_errors_and_wrong_words_are_documents_too(bare: World) -> None:
    for words, status in (("never", "--", "true"), 125), (("t1", "--cwd", "/none", "--", "true"), 2), (("t1",), 2):
        done = bare.cli("run", "--format", "json", *words)
        assert done.returncode == status, done
        document = json.loads(done.stdout)
        assert document["command"] == "run"
        assert (document.get("error") or document["threads"][0]["error"])["message"]
    done = bare.cli("run", "t1", "--nope", "--", "tool", "--format", "json")
    assert (done.returncode, done.stdout) == (2, b"")
