"""A command as its caller asks for it: one frozen object from the command line or the API to the process."""

from __future__ import annotations

from solven_env.errors import UsageError
from solven_env.sandbox.limits import Limits, Reached
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any, TypeAlias

    from solven_env.sandbox.capture import Capture

    Stream: TypeAlias = int | bytes | Capture | None
    """A descriptor of the caller's; bytes for standard input; where output is captured; or nothing: an input at its
    end."""

PROCESSES = ("command", "session")
"""A PID namespace for each command, or one for those of the session."""
LOGIN = ("/bin/bash", "--login")
SHELL = (*LOGIN, "-c")

_NO_VARIABLES: Mapping[str, str] = {}
_NO_FILES: Mapping[str, bytes] = {}
_LONGEST = 131_071
"""Bytes; MAX_ARG_STRLEN in execve(2), whose last byte ends the text."""
_LONGEST_PATH = 4095
"""Bytes; PATH_MAX in limits.h, whose last byte ends the path."""
_MOST = 6 << 20
"""Bytes of all words and variables, however large the stack may grow: three quarters of _STK_LIM in execve(2)."""
_POINTER = 8
"""Bytes that execve(2) counts for each text, beside the byte that ends it."""
_OURS = 4096
"""Bytes that are left to the words with which a backend starts the command."""


class Request(NamedTuple):
    """One command: its words, or a text for a login shell, and what it is to have. None is what the profile says.

    `env` is added to the profile's variables; a planned request (`run.launch.planned`) has the whole environment
    there, its `cwd` and its `limits`. PWD is always `cwd`, a path inside. `timeout` is in seconds of wall time;
    `keep_alive` is how many seconds the session stays after this command has left (of several the latest end
    counts). `streams` are descriptors of the caller's, or what stands in their place (`Stream`); `terminal` is TERM
    where one of them is a terminal, else empty. `processes` is one of `PROCESSES`. `files` are what a planned request
    has in the plan's `SecretFiles`, by name.

    Text holds bytes that are not UTF-8 as surrogates (PEP 383).

        >>> Request(shell="echo $PATH").argv
        ('/bin/bash', '--login', '-c', 'echo $PATH')
    """

    command: Sequence[str] = ()
    shell: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = _NO_VARIABLES
    network: str | None = None
    backend: str | None = None
    timeout: float | None = None
    keep_alive: float = 0.0
    limits: Limits = Limits()
    streams: tuple[Stream, Stream, Stream] = (None, 1, 2)
    terminal: str = ""
    processes: str | None = None
    files: Mapping[str, bytes] = _NO_FILES

    @property
    def argv(self) -> tuple[str, ...]:
        """The words that are executed."""
        return tuple(self.command) if self.shell is None else (*SHELL, self.shell)

    @property
    def directory(self) -> str:
        """The path inside at which it starts: `/` if nobody names one."""
        return "/" if self.cwd is None else self.cwd


def terminal(streams: tuple[Stream, Stream, Stream], environ: Mapping[str, str]) -> str:
    """TERM, where one of the streams is a terminal; else empty."""
    return environ.get("TERM", "") if any(map(is_terminal, streams)) else ""


def is_terminal(stream: Stream) -> bool:
    """True for a descriptor of a terminal."""
    import os

    return isinstance(stream, int) and os.isatty(stream)


class Ended(NamedTuple):
    """The end of a command: its status, and the limits that it reached.

    `lacked_network`: it failed in the network `none`, after it had tried to reach a name or an address outside.
    """

    status: int
    limits: tuple[Reached, ...] = ()
    lacked_network: bool = False


def check(request: Request, backends: Collection[str]) -> Request:
    """The same request; UsageError, which begins with the field's name, for what no command can be.

    `backends` are the names of those that there are.
    """
    from collections.abc import Mapping, Sequence
    from math import inf

    from solven_env.system.networks import NETWORKS

    def refuse(field: str, what: str, fix: str = "") -> None:
        raise UsageError(f"{field}: {what}", fix=fix)

    def is_number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    if isinstance(request.command, str):
        refuse("command", "a sequence of words is needed, not text", "Pass a list, or the text as shell=….")
    if not isinstance(request.command, Sequence) or isinstance(request.command, bytes | bytearray | memoryview):
        refuse("command", f"a sequence of words is needed, not {type(request.command).__name__}", "Pass a list.")
    if not isinstance(request.env, Mapping):
        refuse("env", f"a mapping of names to values is needed, not {type(request.env).__name__}", "Pass a dict.")
    for name, stream in zip(("stdin", "stdout", "stderr"), request.streams, strict=True):
        if isinstance(stream, bool | float | str) or (isinstance(stream, int) and stream < 0):
            refuse(name, f"a descriptor is needed, not {stream!r}")
    if (request.shell is None) == (not request.command):
        refuse("command", "give either a command or --shell TEXT")
    texts = {"command": request.argv, "cwd": (request.directory,), "env": (*request.env.keys(), *request.env.values())}
    for field, values in texts.items():
        for value in values:
            if not isinstance(value, str):
                refuse(field, f"text is needed, not {type(value).__name__}", "Pass str.")
    check_fits(request)
    if request.network not in (None, *NETWORKS):
        refuse("network", f"unknown network {request.network}; use {listed(NETWORKS)}")
    if request.processes not in (None, *PROCESSES):
        refuse("processes", f"{request.processes!r} is neither command nor session", "Leave it out for the profile's.")
    if request.backend not in (None, *backends):
        refuse("backend", f"unknown backend {request.backend}; use {listed(backends)}")
    if request.timeout is not None and not (is_number(request.timeout) and 0 < request.timeout < inf):
        refuse("timeout", "a number of seconds above 0 is needed", "Leave it out for none.")
    if not (is_number(request.keep_alive) and 0 <= request.keep_alive < inf):
        refuse("keep_alive", "a number of seconds is needed, 0 or more", "Leave --keep-alive out for 0.")
    return request


def listed(names: Collection[str]) -> str:
    """The names as a choice: `none, internet or host`."""
    *rest, last = names
    return f"{', '.join(rest)} or {last}" if rest else last


def check_fits(request: Request) -> None:
    """Refuse what no execve(2) takes: UsageError, which begins with the field's name.

    A backend may pass variables as a list that U+0000 separates: one in a value would begin an option of its own.
    """
    import os

    if not request.argv:
        raise UsageError("command: at least one word is needed")
    if not request.directory.startswith("/"):
        raise UsageError(f"cwd: {request.directory!r} is not absolute", fix="It is a path inside: begin it with /.")
    _length("cwd", "the path", request.directory, _LONGEST_PATH)
    size = 0
    for number, argument in enumerate(request.argv):
        what = "the text" if request.shell is not None else f"argument {number}"
        size += _length("command", what, argument, _LONGEST) + _POINTER
    for name, value in request.env.items():
        if not name or "=" in name:
            fix = "Use a name with at least one character and without '='."
            raise UsageError(f"env: {name[:100]!r} is no name of a variable", fix=fix)
        size += _length("env", f"the variable {name[:100]}", f"{name}={value}", _LONGEST) + _POINTER
    most = min(os.sysconf("SC_ARG_MAX"), _MOST) - _OURS
    if size > most:
        raise UsageError(f"command: its words and variables have {size} bytes, and the kernel takes {most}", fix=_FIX)


_FIX = "Pass it by a file or standard input."
_FIXES = {"cwd": "Name a directory inside."}


def _length(field: str, what: str, text: str, most: int) -> int:
    """The bytes that a text takes in an argument list; UsageError for more than `most`, and for what none can hold."""
    fix = _FIXES.get(field, _FIX)
    if "\0" in text:
        raise UsageError(f"{field}: {what} has a NUL character (U+0000), which ends every text", fix=fix)
    try:
        length = len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise UsageError(
            f"{field}: {what} has a lone surrogate, which is no character",
            fix="Pass bytes that are not UTF-8 as os.fsdecode reads them.",
        ) from None
    if length > most:
        raise UsageError(f"{field}: {what} has {length} bytes, and the kernel takes {most}", fix=fix)
    return length + 1


def encode_request(request: Request) -> dict[str, Any]:
    """The request as plain data, for the process that starts the command; `decode_request` is the way back."""
    return {
        "argv": [*map(str.__str__, request.argv)],  # plain even where a caller's is a kind of str
        "env": [(str.__str__(name), str.__str__(value)) for name, value in request.env.items()],
        "cwd": str.__str__(request.directory),
        "timeout": None if request.timeout is None else float(request.timeout),
        # Without those that there are not: a holder of an earlier release may not know them.
        "limits": {name: value for name, value in request.limits._asdict().items() if value is not None},
        "keep_alive": float(request.keep_alive),
        **({"processes": request.processes} if request.processes == "session" else {}),
        **({"files": {name: data.hex() for name, data in request.files.items()}} if request.files else {}),
    }


def decode_request(document: dict[str, Any]) -> Request:
    """The request that `encode_request` was given, as far as it goes."""
    return Request(
        tuple(document["argv"]),
        env=dict(document["env"]),
        cwd=document["cwd"],
        timeout=document["timeout"],
        limits=Limits(**document["limits"]),
        keep_alive=document["keep_alive"],
        processes=document.get("processes"),
        files={name: bytes.fromhex(data) for name, data in document.get("files", {}).items()},
    )
