"""A host of a test's own, for threads that really run: real uv, Bun and bubblewrap, one store of builds for all tests.

Under root everything lies beneath directories of mode 0700 that only root may enter: storage, store, layers, sockets.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import solven_env
from solven_env.sandbox.backends.proot import STATEMENT
from tests import forked
from tests.sandbox.running import ROOT, wait_until_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from solven_env import ThreadReport

CHECKOUT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
UID = 61000 if ROOT else None
PYTHON = "3.12"


@dataclass(frozen=True)
class Done:
    """What a command left: its status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class World:
    """One host: its directories beneath `base`, a storage, and the environment that says so."""

    base: Path
    environ: dict[str, str]
    profile: Path = DATA / "small.yaml"
    backend: str = "bubblewrap"
    """For every `run`."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def storage(self) -> Path:
        return self.base / "storage"

    @property
    def builds(self) -> Path:
        return Path(self.environ["XDG_CACHE_HOME"]) / "solven-env/builds"

    def workspace(self, thread: str = "t1") -> Path:
        return self.storage / "threads" / thread

    def apply(self, *threads: str, **options: Any) -> ThreadReport:
        """Apply the small profile, or `profile`, to each thread; the last one's report."""
        profile = options.pop("profile", self.profile)
        for thread in threads or ("t1",):
            report = solven_env.apply(profile, thread, storage=self.storage, **options)
        return report.threads[0]

    def status(self, thread: str = "t1") -> ThreadReport:
        return solven_env.status(thread, storage=self.storage).threads[0]

    def run(self, *argv: str, thread: str = "t1", data: bytes = b"", **options: Any) -> Done:
        """Run a command by the API, in this process."""
        with ExitStack() as stack:
            stdin, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            stdin.write(data)
            stdin.seek(0)
            streams: dict[str, Any] = {"stdin": stdin.fileno(), "stdout": out.fileno(), "stderr": err.fileno()}
            options = {"backend": self.backend, **options}
            status = solven_env.run(thread, argv, storage=self.storage, **streams, **options)
            out.seek(0)
            err.seek(0)
            return Done(status, out.read().decode(), err.read().decode())

    def sh(self, text: str, thread: str = "t1", **options: Any) -> Done:
        """Run a text by /bin/sh, which reads no file of the workspace."""
        return self.run("sh", "-c", text, thread=thread, **options)

    def out(self, text: str, thread: str = "t1", **options: Any) -> str:
        """What a text prints that /bin/sh runs to a good end."""
        done = self.sh(f"set -e; {text}", thread, **options)
        assert done.status == 0, done
        return done.out

    def command(self, *arguments: str) -> list[str]:
        if arguments[0] == "run" and self.backend != "bubblewrap":
            arguments = ("run", "--backend", self.backend, *arguments[1:])
        return [sys.executable, "-m", "solven_env", *arguments]

    def told(self, stderr: bytes) -> bytes:
        """What a command wrote to standard error, which we tell the backend on where that is not bubblewrap."""
        if self.backend == "bubblewrap":
            return stderr
        first, newline, rest = stderr.partition(b"\n")
        assert STATEMENT.encode() in first, stderr
        assert newline
        return rest

    def cli(
        self, *arguments: str, data: bytes = b"", prefix: tuple[str, ...] = (), **environ: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `solven-env` in a process of its own: a new one behind the words of `prefix`, else a forked one."""
        argv, env = self.command(*arguments), {**self.environ, **environ}
        if not prefix:
            return forked.run(argv, cwd=self.base, env=env, data=data)
        return subprocess.run([*prefix, *argv], input=data, capture_output=True, cwd=self.base, env=env, check=False)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Begin `solven-env` in a process of its own, which ends with the test."""
        environ: Mapping[str, str] = options.pop("environ", {})
        process = subprocess.Popen(self.command(*arguments), cwd=self.base, env={**self.environ, **environ}, **options)
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what was started, and see that nothing is left: no process with our mounts, no socket, no directory."""
        for process in self.started:
            process.kill()
            process.wait()
            for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
                stream.close()
        wait_until_alone(self.base.name)
        runtime = self.base / "runtime/solven-env"
        left = os.listdir(runtime) if runtime.exists() else []
        remove(self.base)
        assert left == []


def new_world(cache: Path) -> World:
    """A host with nothing on it but the `cache` of builds and tools that tests share."""
    base = Path(tempfile.mkdtemp(prefix="solven-"))
    for name in ("data", "runtime", "home", "config"):
        (base / name).mkdir(mode=0o700)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SOLVEN_", "XDG_", "PYTEST_"))},
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(CHECKOUT),
        "XDG_CACHE_HOME": str(cache),
        "XDG_DATA_HOME": str(base / "data"),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config")),
        "XDG_RUNTIME_DIR": str(base / "runtime"),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache/uv")),
        "SOLVEN_ENV_CONFIG": str(base / "config.yaml"),
        "SOLVEN_ENV_STORAGE": f"{base}/storage",
    }
    (base / "config.yaml").write_text("")
    return World(base, environ)


def own_cache(world: World, cache: Path, keys: Iterable[str] = ()) -> Path:
    """A cache of the world's own, with the tools and wheels of the shared one, and copies of the builds `keys`.

    Tools and wheels are the very files: nothing of ours writes into one, a new one takes its name.
    """
    own = world.base / "cache"
    for name in ("tools", "wheels"):
        if (cache / "solven-env" / name).exists():
            shutil.copytree(cache / "solven-env" / name, own / "solven-env" / name, symlinks=True, copy_function=_link)
    for key in keys:
        (own / "solven-env/builds").mkdir(exist_ok=True, mode=0o700)
        subprocess.run(["cp", "-a", cache / "solven-env/builds" / key, own / "solven-env/builds"], check=True)
    return own


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EXDEV:  # as in the mounts that the ordinary user's run is made in
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def remove(base: Path) -> None:
    for directory, names, _ in os.walk(base):
        if "work" in names:  # of an overlay, left without any permission
            os.chmod(os.path.join(directory, "work"), 0o700)
    while base.exists():
        with suppress(FileNotFoundError):  # a supervisor of proot's tidies up beside us
            shutil.rmtree(base)


def tree(directory: Path) -> set[str]:
    """The names beneath a directory, from which others may be removing some meanwhile."""
    found = [os.path.join(above, name) for above, *names in os.walk(directory) for name in itertools.chain(*names)]
    return {os.path.relpath(path, directory) for path in found}
