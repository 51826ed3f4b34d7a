"""The room stands on its floor, and its holder starts light: it is made in the first command of every session."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import solven_env.sandbox

ROOM = Path(solven_env.sandbox.__file__).parent
ALLOWED = {"solven_env", "solven_env.config", "solven_env.errors", "solven_env.typed"}
HEAVY = {
    *("asyncio", "dataclasses", "hashlib", "inspect", "logging", "pathlib", "platform", "shutil", "subprocess"),
    *("collections", "contextlib", "enum", "json", "re", "signal", "socket", "typing"),
}


def test_the_room_imports_only_what_lies_below_it() -> None:
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                assert (
                    name in ALLOWED or name.startswith(("solven_env.sandbox", "solven_env.system")) or _standard(name)
                ), (path.name, name)


def _standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def test_the_holder_imports_nothing_heavy() -> None:
    code = "import sys; sys.path.append(sys.argv[1]); import solven_env.sandbox.backends.bubblewrap.holder; print(*sys.modules)"
    line = [sys.executable, "-I", "-S", "-c", code, str(ROOM.parents[1])]
    loaded = set(subprocess.run(line, check=True, capture_output=True, text=True).stdout.split())
    assert loaded.isdisjoint(HEAVY)
    assert all(_standard(name) or name.partition(".")[0] in ("solven_env", "__main__") for name in loaded)
