"""Eight tools of a project, started in `/` and in a directory of its own: they look at the workspace's own files.

Where they look is told by strace(1): the directories that they list, and the files that they open. How long they take
is not asked.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.run.world import DATA, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THREADS = {"above": "/", "beneath": "/project"}
FILES = {
    "pyproject.toml": '[project]\nname = "small"\nversion = "0.1.0"\n',
    "conftest.py": "",
    "pkg/__init__.py": "",
    "pkg/a.py": "def f(x: int) -> int:\n    return x + 1  # needle\n",
    "pkg/b.py": "from pkg.a import f\n\nprint(f(1))\n",
    "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f() -> None:\n    assert f(1) == 2\n",
    "tests/a.test.ts": 'import {test} from "bun:test";\ntest("a", () => {});\n',
    "bin/c.py": "C = 1  # needle\n",
    "notes.md": "# notes\n",
    "data.csv": "a,b\n",
}
"""The ten files of a small project."""
HOSTS = ("pyproject.toml", "bin/c.py")
"""Those of them that cannot be written in `/`: the profile renders one, and bin is the host's."""
TRAP = {"trap.py": "import os  # needle\n", "test_trap.py": "def test(): assert 0\n", "trap.test.ts": "needle("}
"""Files in a directory of the host that the profile mounts: each tool would fail of them, or tell them."""
TOOLS = {
    "ruff": "ruff check .",
    "pytest": "pytest -q",
    "rg": "rg -l needle",
    "git": "git init -q && git status --short && git add --all && git ls-files",
    "mypy": "mypy .",
    "bun": "bun test",
    "uv": "uv build -q --offline --no-build-isolation -o /tmp/dist && ls /tmp/dist",
    "grep": "timeout 1 grep -rl needle .",
}
EXPECTED = {
    "ruff": "All checks passed!",
    "pytest": "1 passed",
    "rg": "pkg/a.py",
    "git": "tests/test_a.py",
    "mypy": "Success: no issues found in",
    "bun": "1 pass",
    "uv": "0.1.0-py3-none-any.whl",
    "grep": "pkg/a.py",
}
OWN_NEEDS: dict[str, tuple[str, ...]] = {
    "git": ("/usr/share/git-core/",),  # the templates of `git init`
    "uv": ("/tmp/", "/var/cache/"),  # what it is asked to make, and its cache
}
"""Directories that a tool lists though it does not search. Python lists those that it imports from: `IMPORTED`."""
IMPORTED = ("/.venv/", "/run/solven-env/python/")
RUN_BY_PYTHON = ("pytest", "mypy", "uv")


@dataclass(frozen=True)
class Told:
    """What one tool did: its status, what it said, and the mounts beneath which it searched."""

    status: int
    said: str
    searched: frozenset[str]


def looked(world: World, thread: str, where: str) -> dict[str, Told]:
    """Start each of the tools in a directory, all in one sandbox beneath one strace, and tell what they did."""
    trace = world.base / "trace"
    steps = "".join(
        f"/usr/bin/env TOOL={name} /bin/sh -c '{text}' >/tmp/said 2>&1 </dev/null; echo $?; cat /tmp/said; printf '\\0';"
        for name, text in TOOLS.items()
    )
    strace = ("strace", "-f", "-y", "--seccomp-bpf", "-e", "trace=execve,getdents64,openat", "-o", str(trace))
    done = world.cli("run", thread, "--cwd", where, "--", "/bin/sh", "-c", steps, prefix=strace)
    assert done.returncode == 0, done.stderr
    said = [part.partition("\n") for part in done.stdout.decode().split("\0")]
    mounts = solven_env.explain(thread, ["true"], storage=world.storage).mounts
    interpreters = tuple(f"{mount.target}/" for mount in mounts if mount.why == "where the interpreter lies")
    searched: dict[str, set[str]] = {}
    for tool, path in visited(trace.read_text(errors="replace")):
        within = max((each.target for each in mounts if path.startswith(f"{each.target}/")), key=len, default="/")
        imported = (*IMPORTED, *interpreters) if tool in RUN_BY_PYTHON else ()
        if within != "/" and not path.startswith((*OWN_NEEDS.get(tool, ()), *imported)):
            searched.setdefault(tool, set()).add(within)
    return {
        name: Told(int(status), text, frozenset(searched.get(name, set())))
        for name, (status, _, text) in zip(TOOLS, said, strict=False)
    }


def visited(trace: str) -> Iterator[tuple[str, str]]:
    """Each directory that a tool listed, but for a process's own in /proc, and each file of the trap that it opened.

    Processes that were there before the first tool are none of its.
    """
    before: set[str] = set()
    tool = ""
    for line in trace.splitlines():
        pid, _, call = line.partition(" ")
        begun = re.search(r'execve\("/usr/bin/env", \["/usr/bin/env", "TOOL=(\w+)"', call)
        tool = begun[1] if begun else tool
        found = re.search(r"getdents64\(\d+<([^>]*)>", call) or re.search(r"openat\(.* = \d+<(/opt/trap/[^>]*)>", call)
        if not tool:
            before.add(pid)
        elif found and pid not in before and not re.fullmatch(r"/proc/\d+/(fd|task)", found[1]):
            yield tool, found[1]


@pytest.fixture(scope="module")
def workspace(caches: Path) -> Iterator[World]:
    """Two threads, one with the files of a project in `/`, one in `/project`, and with a trap."""
    with closing(new_world(caches)) as world:
        trap = world.base / "trap/deep"
        trap.mkdir(parents=True)
        for name, text in TRAP.items():
            for place in (trap, trap.parent):
                (place / name).write_text(text)
        world.base.chmod(0o711)
        world.profile = world.base / "tools.yaml"
        mounts = f"mounts: [{{source: {json.dumps(str(trap.parent))}, target: /opt/trap}}]\n"
        world.profile.write_text((DATA / "tools.yaml").read_text() + mounts)
        shutil.copytree(DATA / "tools.lock", world.base / "tools.lock")
        for thread, where in THREADS.items():
            world.apply(thread)
            files = {name: text for name, text in FILES.items() if where != "/" or name not in HOSTS}
            write = (f"mkdir -p $(dirname {name}); cat > {name} <<'END'\n{text}END\n" for name, text in files.items())
            world.out(f"mkdir -p {where}; cd {where}; {''.join(write)}", thread)
        yield world


@pytest.fixture(scope="module")
def told(workspace: World) -> dict[str, dict[str, Told]]:
    """What each tool did in each of the two directories."""
    return {where: looked(workspace, thread, where) for thread, where in THREADS.items()}


@pytest.mark.parametrize("where", ["/", "/project"])
@pytest.mark.parametrize("tool", [name for name in TOOLS if name != "grep"])
def test_a_tool_looks_at_the_workspaces_own_files(told: dict[str, dict[str, Told]], tool: str, where: str) -> None:
    found = told[where][tool]
    assert found.status == 0, found
    assert EXPECTED[tool] in found.said
    assert "trap" not in found.said
    assert found.searched == set()


def test_grep_walks_everything_in_the_workspace_and_nothing_else_in_a_directory(
    told: dict[str, dict[str, Told]],
) -> None:
    """It has no configuration: docs/running.md says what to type in its place."""
    assert told["/"]["grep"].searched & {"/usr", "/proc", "/sys", "/bin", "/lib"}
    assert told["/project"]["grep"].searched == set()
    assert "pkg/a.py" in told["/project"]["grep"].said


def test_a_directory_of_a_project_that_has_the_name_of_a_mount_is_none(told: dict[str, dict[str, Told]]) -> None:
    """What is ignored in `/` is ignored there alone."""
    assert "bin/c.py" in told["/project"]["git"].said.splitlines()
    assert "bin/c.py" in told["/project"]["rg"].said.splitlines()
    assert [
        name for name in told["/"]["git"].said.splitlines() if name.startswith(("bin", "usr", "node_modules"))
    ] == []
