"""`layer diff` and `layer reset`: what a thread has over its builds, and a fresh start that keeps the old layers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import NeverAppliedError, UsageError
from tests.run.world import PYTHON
from tests.sandbox.running import wait_for_file

if TYPE_CHECKING:
    from tests.run.world import World

SITE = f"/.venv/lib/python{PYTHON}/site-packages"
CHANGE = f"""
mkdir {SITE}/acme-1.0.dist-info && echo Name: acme >{SITE}/acme-1.0.dist-info/METADATA
printf 'acme.py,,\\nacme-1.0.dist-info/METADATA,,\\nacme-1.0.dist-info/RECORD,,\\n' >{SITE}/acme-1.0.dist-info/RECORD
echo >{SITE}/acme.py; echo '# mine' >>{SITE}/six.py; touch {SITE}/$(printf 'a\\033')
rm -r /node_modules/is-number
"""


def recorded(world: World) -> dict[str, object]:
    text = (world.storage / ".solven-env/threads/t1/state.json").read_text()
    found: dict[str, object] = json.loads(text).get("added", {})
    return found


def test_what_a_thread_has_is_shown_and_a_reset_keeps_it_aside(thread: World) -> None:
    assert thread.cli("layer", "diff", "t1").stderr == b"t1: nothing over its builds.\n"
    thread.out(CHANGE)
    site = SITE.removeprefix("/.venv/")
    assert thread.cli("layer", "diff", "t1").stdout.decode().splitlines() == [
        "+ python acme 1.0",
        f"+ python file {site}/a\\x1b",
        f"~ python file {site}/six.py",
        "- bun is-number",
    ]
    (told,) = json.loads(thread.cli("layer", "diff", "t1", "--format", "json").stdout)["threads"]
    assert told["layers"]["python"] == {
        "added": [{"name": "acme", "version": "1.0"}],
        "removed": [],
        "files": [{"path": f"{site}/a\x1b", "change": "added"}, {"path": f"{site}/six.py", "change": "edited"}],
        "complete": True,
    }
    assert recorded(thread) == {"python": {"packages": {"acme": "1.0"}}, "bun": {"removed": ["is-number"]}}
    script = f"touch /up; read -r _; python -c 'import acme'; ls {SITE}/acme.py"
    live = thread.start("run", "t1", "--", "sh", "-c", script, stdin=-1, stdout=-1)
    wait_for_file(thread.workspace() / "up")
    done = thread.cli("layer", "reset", "t1", "--kind", "python")
    kept = solven_env.layer_diff("t1", storage=thread.storage)
    assert [each.added for each in kept.layers] == [(), ()]
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "t1: python begins afresh. What the thread had is kept:"
    assert (thread.base / lines[1].strip() / f"upper/{site}/acme.py").exists()
    assert recorded(thread) == {"bun": {"removed": ["is-number"]}}
    assert thread.sh("python -c 'import acme'").status == 1
    assert thread.sh("test -e /node_modules/is-number").status == 1
    out, _ = live.communicate(b"\n")
    assert (live.returncode, out) == (0, f"{SITE}/acme.py\n".encode())
    assert recorded(thread) == {"bun": {"removed": ["is-number"]}}
    (told,) = json.loads(thread.cli("layer", "reset", "t1", "--format", "json").stdout)["threads"]
    assert set(told["kept"]) == {"python", "bun"}
    thread.out("ls /node_modules/is-number")
    assert recorded(thread) == {}
    assert thread.apply().carried == ()


def test_wrong_words_are_told(thread: World) -> None:
    with pytest.raises(UsageError, match="t1 has no cobol packages"):
        solven_env.layer_reset("t1", kinds=["cobol"], storage=thread.storage)
    with pytest.raises(NeverAppliedError):
        solven_env.layer_diff("t2", storage=thread.storage)
    done = thread.cli("layer", "nope", "t1")
    assert (done.returncode, b"No such command 'nope'" in done.stderr) == (2, True)
