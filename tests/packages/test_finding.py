"""What is there is found cheaply, whatever happened to it meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from solven_env.packages import resolving, store, toolchain
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.packages.ecosystems.bun import Bun, node_modules
from solven_env.packages.ecosystems.python import Python, virtual_environment
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap
from tests.packages.layered import UID
from tests.sandbox.running import BWRAP

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON, BUN = Python(VERSION, ("six",)), Bun({"is-number": "^7.0.0"})


def test_what_is_made_is_found_and_what_is_lost_is_not(environ: dict[str, str], tmp_path: Path, runtime: str) -> None:
    cache = tmp_path / "cache"
    builder = Builder(toolchain.host(cache, environ), UID, runtime, bubblewrap, BWRAP)
    lock, _ = resolving.resolve({"python": PYTHON, "bun": BUN}, {}, builder, lambda _: None)
    sections = {"python": PYTHON, "bun": BUN}

    def find(name: str) -> store.Build | None:
        key = ECOSYSTEMS[name].known_key(sections[name], lock[name], cache, UID)
        return store.find(cache, key) if key else None

    assert find("python") is None
    assert find("bun") is None
    made = virtual_environment.build(PYTHON, lock["python"], builder), node_modules.build(BUN, lock["bun"], builder)

    def found() -> tuple[store.Build | None, store.Build | None]:
        return find("python"), find("bun")

    assert found() == made
    (made[1].tree / "is-number" / "index.js").unlink()
    assert found() == (made[0], None)
    mended = node_modules.build(BUN, lock["bun"], builder)
    assert mended.instance != made[1].instance
    assert found() == (made[0], mended)
    shutil.rmtree(cache / "builds")
    assert found() == (None, None)


def test_looking_for_builds_loads_nothing_heavy() -> None:
    text = "import sys; import solven_env.packages.ecosystems, solven_env.packages.lock_files; print(*sys.modules)"
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", text], env=environ, capture_output=True, text=True, check=True)
    heavy = {"subprocess", "importlib.metadata", "packaging", "ruamel", "uv", "socket", "asyncio"}
    assert heavy & set(done.stdout.split()) == set()
