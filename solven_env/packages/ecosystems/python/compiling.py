"""Compiling sources to bytecode, inside a walled place, where this file runs by itself: a program of ours.

    python -I -S -W ignore compiling.py archive SOURCES    what `bytecode` wrote, to files by number in the directory /
    python -I -S -W ignore compiling.py tree LIB           what lies beneath a directory and has no bytecode yet

Nothing of a package runs. Every source has one and the same time (`TIME`), which its bytecode names: bytecode is known
by time and size of its source, and what an agent edits gets another time. What does not compile is a package's own
affair: some bring examples for other versions of Python. Any Python that a profile can name reads this file.
"""

from __future__ import annotations

import os
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from marshal import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Job = tuple[int, Callable[..., None], tuple[object, ...]]  # how long it is, and a call

TIME = 315532800
"""1980-01-01, in seconds since the epoch: the first date that an archive can name."""
_PER_PROCESS = 16
"""Files for which a second process is worth its start."""


def bytecode(path: str, source: bytes) -> bytes:
    """The bytecode of a source that stands at a path; empty where it does not compile."""
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except Exception:
        return b""
    return _header(len(source)) + dumps(code)


def records(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and source of each record that `record` made."""
    place = 0
    while place < len(content):
        name, size = (int.from_bytes(content[place + at : place + at + 4], "little") for at in (0, 4))
        middle = place + 8 + name
        yield content[place + 8 : middle].decode(errors="surrogateescape"), content[middle : middle + size]
        place = middle + size


def record(path: str, source: bytes) -> bytes:
    """A source that stands at a path, as it is handed to this program."""
    name = path.encode(errors="surrogateescape")
    return len(name).to_bytes(4, "little") + len(source).to_bytes(4, "little") + name + source


def _header(size: int) -> bytes:
    # PEP 552: no flags, then time and size of the source
    return MAGIC_NUMBER + bytes(4) + TIME.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _archive_jobs(sources: str) -> Iterator[Job]:
    with open(sources, "rb") as file:
        content = file.read()
    for number, (path, source) in enumerate(records(content)):
        yield len(source), _compile_record, (number, path, source)


def _compile_record(number: int, path: str, source: bytes) -> None:
    _write(f"/{number}", bytecode(path, source))


def _tree_jobs(lib: str) -> Iterator[Job]:
    for directory, _, names in os.walk(lib):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith(".py") and not os.path.islink(path):
                os.utime(path, (TIME, TIME))
                size = os.stat(path).st_size
                if not _has_bytecode(path, size):
                    yield size, _compile_beside, (path,)


def _has_bytecode(path: str, size: int) -> bool:
    try:
        with open(cache_from_source(path), "rb") as file:
            return file.read(16) == _header(size)
    except OSError:
        return False


def _compile_beside(path: str) -> None:
    with open(path, "rb") as file:
        content = bytecode(path, file.read())
    os.makedirs(os.path.dirname(cache_from_source(path)), exist_ok=True)
    _write(cache_from_source(path), content)


def _write(path: str, content: bytes) -> None:
    if content:
        with open(path, "wb") as file:
            file.write(content)


def _do_all(jobs: list[Job]) -> int:
    """Do them in processes, one a core, the long ones first; not 0 where one of the processes failed."""
    jobs.sort(key=lambda job: -job[0])
    count = min(len(os.sched_getaffinity(0)), len(jobs) // _PER_PROCESS + 1)
    children = []
    for first in range(count):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _, do, arguments in jobs[first::count]:
                    do(*arguments)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    return max([os.waitpid(child, 0)[1] for child in children])


if __name__ == "__main__":
    mode, place = sys.argv[1:]
    found = list((_archive_jobs if mode == "archive" else _tree_jobs)(place))
    sys.exit(bool(_do_all(found)) if found else 0)
