"""The interpreter that tells what it is and runs nothing."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from solven_env.packages.ecosystems.python import mute_interpreter

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = "import json, sys; print(json.dumps({'sys_executable': sys.executable, 'paths': sys.path, 'n': {'v': '3.1'}}))"


def test_it_answers_with_itself_in_the_place_of_every_path(tmp_path: Path) -> None:
    script = mute_interpreter.find(tmp_path)
    said = subprocess.run([script, "-I", "-B", "-c", ABOUT], capture_output=True, text=True, check=True).stdout
    answer = json.loads(said)
    assert answer["sys_executable"] == str(script)
    assert set(answer["paths"]) == {f"{script}.none"}
    assert answer["n"] == {"v": "3.1"}


def test_it_runs_nothing_else_and_notes_where_it_was_asked(tmp_path: Path) -> None:
    script, notes, made = mute_interpreter.find(tmp_path), tmp_path / "notes", tmp_path / "made"
    code = f"open({str(made)!r}, 'w')"
    for arguments in (("-c", code), ("-I", "-c", code), ("-I", "-S", "-c", code), ("-",), ()):
        done = subprocess.run(
            [script, *arguments],
            env={mute_interpreter.NOTES: str(notes)},
            cwd=tmp_path,
            input=code,
            text=True,
            check=False,
        )
        assert done.returncode == 1
    assert not made.exists()
    assert notes.read_text().splitlines() == [str(tmp_path)] * 5


def test_it_stays_one_file(tmp_path: Path) -> None:
    before = mute_interpreter.find(tmp_path).stat()
    assert mute_interpreter.find(tmp_path).stat() == before
