"""`solven-env mcp` where the SDK is missing, and words that it refuses; tests/conformance/test_mcp_door.py has the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What is refused is the same whether the SDK is there or not.
_WITHOUT = "import sys; sys.modules['mcp'] = None; from solven_env.__main__ import main; sys.argv = ['solven-env', *sys.argv[1:]]; main()"


def mcp(*words: str, **environ: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", _WITHOUT, "mcp", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, input="", timeout=60, env={"PATH": "/bin", **environ}
    )
    return done.returncode, done.stdout, done.stderr


def test_without_the_sdk_one_line_says_how_to_install_it() -> None:
    status, out, err = mcp("--thread", "t1")
    assert (status, out) == (1, "")
    assert "the MCP SDK is not installed" in err
    assert "uv pip install 'solven-env[mcp]'" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "there is no thread. Name one: --thread THREAD, or a profile for a new one: --profile."),
        (("--thread", "t1", "--http", "65536"), "65536"),
        (("--thread", "t1", "--http", "x"), "--http"),
        (("t1",), "t1"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_served(words: tuple[str, ...], told: str) -> None:
    status, out, err = mcp(*words)
    assert (status, out) == (2, "")
    assert told in " ".join(err.split())
