"""Questions about a thread from inside its sandbox, as its commands find it (requirements R3 to R9 and R15)."""

from __future__ import annotations

import os
import secrets
import select
import threading
import time
from typing import TYPE_CHECKING, Any

from solven_env.doctor import script, trials
from solven_env.documents.answers import Answer, Question, broken, limited, ok, run
from solven_env.errors import SandboxError
from solven_env.packages.ecosystems import ECOSYSTEMS, rows
from solven_env.profile import prepare
from solven_env.reconcile import kinds
from solven_env.run import execute
from solven_env.sandbox.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.doctor.outside import AskedThread
    from solven_env.doctor.script import Said

_SECONDS = 300.0
_PATIENCE = 20.0
_ENOUGH = 1 << 16
_FEW = 200
_UNBUFFERED = "import os; print('here'); os.write(1, b'past it'); os.read(0, 1)"


class Inside:
    """A thread's sandbox, and what was said there once it was started."""

    def __init__(self, asked: AskedThread) -> None:
        """Nothing is started yet."""
        self.asked = asked
        self.said: Mapping[str, Said] = {}

    @property
    def settings(self) -> Any:
        """The settings for launches that the last apply recorded."""
        return self.asked.settings

    def has_file(self, path: str) -> bool:
        """Tell whether the profile renders the file."""
        return self.asked.record is not None and path in kinds.files(self.asked.record.resources)

    def packages(self, kind: str) -> tuple[str, ...]:
        """The names of the packages that the profile names: the caller's, where one was named, else as applied."""
        if self.asked.wanted is None:
            return self.applied(kind)
        recorded = self.asked.record.inputs if self.asked.record else {}
        section = prepare.example(self.asked.wanted.source, rows(), os.environ, recorded).packages[kind]
        return section.names() if section else ()

    def applied(self, kind: str) -> tuple[str, ...]:
        """The names of the packages of the profile as it was applied."""
        recorded = self.settings.get(kind)
        section = ECOSYSTEMS[kind].section(recorded) if recorded else None
        return section.names() if section else ()

    def answer(self, name: str) -> Said:
        """The output of a part of the script."""
        return self.said.get(name, script.Said(-1, b""))

    def run(self, argv: Sequence[str], **env: str) -> trials.Done:
        """Run a command as `run` does, to its end."""
        return trials.start_in(self.asked.thread, argv, env, _SECONDS)


def start(inside: Inside) -> Answer:
    """The sandbox really starts; everything that can be asked by a command in it is asked at once."""
    python, bun = inside.settings["python"], inside.settings["bun"]
    mark, file = secrets.token_hex(12), f".solven-env-{secrets.token_hex(8)}.tmp"
    command = script.argv(mark, file, has_python=bool(python), has_bun=bool(bun), packages=inside.packages("python"))
    try:
        if inside.settings.get("workdir", "/") != "/":
            trials.start_in(inside.asked.thread, ("true",), {}, _SECONDS, cwd=None)
        done = inside.run(command, **script.variables(inside.packages("bun")))
    except SandboxError as error:
        return _not_started(inside, error)
    finally:
        remove_tried(inside, file)
    if not done.is_whole:
        cause = f"it is over {trials.LONGEST >> 20} MiB, of a program that stands before the system's on PATH perhaps"
        return broken("the answers from inside have no end", cause, inside.asked.fresh_layer("python"))
    if done.limits:
        cause = f"the profile's limit of {', '.join(done.limits)} was reached"
        return broken("the questions are stopped inside", cause, "Raise it in the profile's sandbox.limits, and apply.")
    inside.said = script.parse(mark, done.out)
    if not inside.said:
        words = script.Said(done.status, done.err or done.out).words()
        return broken("a command does not run", f"it ended with {done.status} and said: {words or 'nothing'}")
    return ok("a command starts in the sandbox")


def _not_started(inside: Inside, error: SandboxError) -> Answer:
    """The reason why the sandbox does not start. For something at a mount point: its path and what the mount is for."""
    where = f"{error.location}: " if error.location else ""
    purposes = {each["target"]: each["why"] for each in inside.settings["mounts"]}
    purposes |= {row.TARGET: f"the {kind} packages" for kind, row in ECOSYSTEMS.items()}
    purposes |= {f"/{link['path']}": f"the link to {link['to']}" for link in inside.settings["links"]}
    purpose = purposes.get(error.location)
    cause, fix = (f"it is there for: {purpose}" if purpose else "", error.fix)
    if purpose is not None:
        fix = run("rm", inside.asked.workspace / _in_the_way(inside, error.location))
    # A session that was begun when the host was another one may be why; the next command begins a new one.
    fix = fix or run("solven-env", "stop", inside.asked.thread.name)
    return broken(f"the sandbox does not start: {where}{error.message}", cause, fix)


def _in_the_way(inside: Inside, target: str) -> str:
    """The first part of a mount point's path that is no directory: beneath a link nothing is to be removed."""
    parts = target.strip("/").split("/")
    paths = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    with inside.asked.thread.open_root() as root:  # type: ignore[union-attr]
        entries = ((path, root.stat(path)) for path in paths)
        return next((path for path, entry in entries if entry and entry.kind != "directory"), paths[-1])


def status(inside: Inside) -> Answer:
    """A command's exit status is what its caller gets, and its two streams stay apart in two files."""
    done = inside.run(("/bin/sh", "-c", "echo out; echo err >&2; exit 42"))
    if done.status != 42:
        return broken(f"a command that exits with 42 gives {done.status}")
    if (done.out, done.err) != (b"out\n", b"err\n"):
        said = f"{done.out[:_FEW]!r}, {done.err[:_FEW]!r}"
        return broken("redirected output does not arrive as it was written", said)
    return ok("exit status 42 comes through, output arrives when redirected")


def unbuffered(inside: Inside) -> Answer | None:
    """Output of a Python script arrives while it runs: before what it then writes past Python's buffer."""
    if not inside.settings["python"]:
        return None
    go, wait = os.pipe()
    read, out = os.pipe()
    request = Request(("python", "-c", _UNBUFFERED), cwd="/", timeout=2 * _PATIENCE, streams=(go, out, out))
    ready = execute.apply(inside.asked.thread, request)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            execute.run(ready)
        except BaseException as error:  # raised again below, where it is an answer
            failures.append(error)
        finally:
            os.close(out)

    command = threading.Thread(target=run)
    command.start()
    try:
        seen = read_until(read, b"past it")
    finally:
        os.close(wait)
        os.close(read)  # whoever prints without end is told
        command.join()
        os.close(go)
    for failure in failures:
        raise failure
    if b"here" in seen:
        return ok("what a script prints arrives while it runs")
    if inside.settings["env"].get("PYTHONUNBUFFERED"):
        cause = f"it says: {script.Said(0, seen).words() or 'nothing'}"
        fix = inside.asked.fresh_layer("python")
        return broken("what a Python script prints does not arrive while it runs", cause, fix)
    cause = "the profile's env has no PYTHONUNBUFFERED"
    return limited("Python keeps what a script prints until it ends", cause, 'Add PYTHONUNBUFFERED: "1" to env.')


def remove_tried(inside: Inside, file: str) -> None:
    """Take away what a sandbox that was killed half-way left in the workspace of what was tried."""
    with inside.asked.thread.open_root() as root:  # type: ignore[union-attr]
        found = root.stat(file)
        if found is not None and found.kind != "directory":  # an agent put that there, and may keep it
            root.remove(file)


def read_until(descriptor: int, word: bytes) -> bytes:
    """Read up to that word, for a bounded time and a bounded number of bytes."""
    seen = b""
    end = time.monotonic() + _PATIENCE
    while word not in seen and len(seen) < _ENOUGH:
        left = end - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            break
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        seen += piece
    return seen


QUESTIONS: tuple[Question[Inside], ...] = (
    Question("start", start, ("builds", "session", "prlimit", "layers")),
    Question("exit status", status, ("start",)),
    Question("unbuffered", unbuffered, ("start",)),
)
