"""`solven-env` in a process of its own that has no need to import it: one that did so before is forked.

A start of Python and the imports of a command are most of what a short command costs, and the suite starts thousands.
The server is a process that has imported the package and begun nothing: no thread, no file, no memo. For each command
it forks a child, which gets the caller's arguments, directory, environment, umask and streams, and runs the very
function that `python -m solven_env` runs. There is one server for each set of variables that Python itself reads when it
starts. What needs a program before it, other streams or a signal in the midst starts Python as a user does
(`World.start`).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AT_START = ("PYTHON", "LC_", "LANG", "LD_", "GLIBC_", "MALLOC_")
"""Beginnings of the names that an interpreter, its locale and its loader read once, when they start."""
PIPE = 4096
"""Bytes that a pipe takes before anybody reads them, on every Linux."""


def run(argv: list[str], *, cwd: Path, env: Mapping[str, str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `python -m solven_env ARGUMENT...` to its end, as `subprocess.run` would with `data` as its input."""
    assert argv[:3] == [sys.executable, "-m", "solven_env"]
    if len(data) > PIPE:
        return subprocess.run(argv, input=data, capture_output=True, cwd=cwd, env=env, check=False)
    at_start = frozenset((name, value) for name, value in env.items() if name.startswith(AT_START))
    pipes = [os.pipe() for _ in range(4)]
    (stdin, writing), (out, to_out), (err, to_err), (status, to_status) = pipes
    asked = os.memfd_create("asked")
    os.write(asked, json.dumps([argv[3:], str(cwd), dict(env), _umask()]).encode())
    os.write(writing, data)
    os.close(writing)
    theirs = [stdin, to_out, to_err, to_status, asked]
    socket.send_fds(_server(at_start), [b"x"], theirs)
    for descriptor in theirs:
        os.close(descriptor)
    read = _read_all(out, err, status)
    return subprocess.CompletedProcess(argv, int(read[status]), read[out], read[err])


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _read_all(*descriptors: int) -> dict[int, bytes]:
    """All that comes until nobody has the other ends; closes these."""
    read = dict.fromkeys(descriptors, b"")
    polled = select.poll()
    for descriptor in descriptors:
        polled.register(descriptor, select.POLLIN)
    left = len(descriptors)
    while left:
        for descriptor, _ in polled.poll():
            data = os.read(descriptor, 1 << 16)
            read[descriptor] += data
            if not data:
                polled.unregister(descriptor)
                os.close(descriptor)
                left -= 1
    return read


@cache
def _server(at_start: frozenset[tuple[str, str]]) -> socket.socket:
    """The way to a server whose interpreter started with these variables; it ends when nobody has the way to it."""
    ours, its = socket.socketpair()
    argv = [sys.executable, "-m", "tests.forked", str(its.fileno())]
    server = subprocess.Popen(
        argv, env=dict(at_start), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[its.fileno()]
    )
    its.close()
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours


# The server


def _serve(asking: socket.socket) -> None:
    import solven_env

    for module in pkgutil.walk_packages(solven_env.__path__, "solven_env."):
        if not module.name.startswith(("solven_env.doors", "solven_env.__main__")):
            importlib.import_module(module.name)
    coerced = {name: value for name, value in os.environ.items() if name == "LC_CTYPE"}  # by Python itself (PEP 538)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the waiting ones leave nothing
    while True:
        data, descriptors, _, _ = socket.recv_fds(asking, 1, 5)
        if not data:
            return
        if not os.fork():
            asking.close()
            _wait(descriptors, coerced)
        for descriptor in descriptors:
            os.close(descriptor)


def _wait(descriptors: list[int], coerced: Mapping[str, str]) -> NoReturn:
    """Say how the command ends: a process of its own, since several may run at the same time."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, to_status, asked = descriptors
    child = os.fork()
    if not child:
        os.close(to_status)
        with open(asked, "rb") as file:
            file.seek(0)
            arguments, directory, environ, mask = json.load(file)
        _become(arguments, directory, {**coerced, **environ}, mask, streams)
    for descriptor in (*streams, asked):
        os.close(descriptor)
    os.write(to_status, b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def _become(
    arguments: list[str], directory: str, environ: Mapping[str, str], mask: int, streams: list[int]
) -> NoReturn:
    """Be what `python -m solven_env` is once it has imported its modules."""
    from solven_env import cli
    from solven_env.__main__ import __file__ as program
    from solven_env.__main__ import main
    from solven_env.cli import orphans

    os.chdir(directory)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = map(_open_again, (sys.stdin, sys.stdout, sys.stderr))
    sys.argv = [program, *arguments]
    cli.PARENT = vars(orphans)["PARENT"] = os.getppid()
    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _open_again(stream: Any) -> Any:
    """The stream that Python opens at its start, for what is at the same number now."""
    buffering = 0 if stream.write_through else -1
    raw = open(stream.fileno(), f"{stream.mode[0]}b", buffering, closefd=False)  # noqa: SIM115 - open until the end
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, None, stream.line_buffering, stream.write_through)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
