"""`solven-env run`, and what `shell` shares with it: options, what a signal means, and the way to the status."""

from __future__ import annotations

import os
import signal
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import FrameType

    from solven_env.sandbox.limits import Reached
    from solven_env.sandbox.request import Request

NOT_STARTED = 125
_KEPT = 600.0
"""Seconds for which the session stays after a process, and with it what the process has printed."""

_MOST = 1 << 20
"""Bytes of each stream in a document."""

TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="End the command after this time, with 124.")
]
CwdOption = Annotated[
    str | None,
    typer.Option("--cwd", metavar="DIR", help="The working directory inside, in the place of what the profile says."),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME[=VALUE]", help="Set a variable, or pass the caller's; may be repeated."),
]
NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NETWORK",
        help="none, internet or host, in the place of what the profile says.",
        autocompletion=completing.networks,
    ),
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        autocompletion=completing.backends,
        metavar="BACKEND",
        help="bubblewrap or proot (isolates nothing), in the place of the profile's.",
    ),
]
KeepAliveOption = Annotated[
    float,
    typer.Option("--keep-alive", metavar="SECONDS", help="Keep the session, with its /tmp, as long afterwards."),
]


def command(
    thread: ThreadArgument,
    argv: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")
    ] = None,
    shell: Annotated[
        str | None, typer.Option("--shell", metavar="TEXT", help="Run this text through a login shell instead.")
    ] = None,
    timeout: TimeoutOption = None,
    cwd: CwdOption = None,
    env: EnvOption = None,
    network: NetworkOption = None,
    backend: BackendOption = None,
    keep_alive: KeepAliveOption = 0.0,
    storage: StorageOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the id of a process that goes on by itself, and do not wait.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would be started, and start nothing.")] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Run a command in a thread's sandbox, with the workspace as /.

    On a terminal it has one of its own: ^C reaches the command alone.

    Exits with the command's own status: 128 and more for a signal, 124 when its time was up, 126 when it cannot be
    executed, 127 when it is not found; 125 when the sandbox could not start. A limit that was reached is named on
    standard error.

    With --detach the command outlives this one, until it ends, is killed or the session stops: ps lists such processes,
    logs prints what they print, and kill ends one. The session then stays for 600 seconds after it, unless --keep-alive
    says otherwise.

    With --format json one document says how the command ended and what it printed, the first MiB of each stream: as
    text, or as base64 where it is none.

    \b
    Examples:
      solven-env run thread-42 -- python /script.py
      solven-env run thread-42 --shell 'echo $PATH' --timeout 10
      solven-env run thread-42 --network internet -- uv add httpx
      solven-env run thread-42 --keep-alive 60 -- touch /tmp/kept
      solven-env run thread-42 --detach -- python -m http.server 8000
      solven-env run thread-42 --format json -- python /script.py
      solven-env run thread-42 --explain -- python /script.py
    """
    from solven_env.sandbox.request import Request

    request = Request(argv or (), shell, cwd, {}, network, backend, timeout, keep_alive, streams=(0, 1, 2))
    if explain:
        _tell(thread, request, env, storage=storage, chosen=chosen)
    elif detach:
        _detach(thread, request, env, storage=storage, chosen=chosen)
    elif chosen is Format.JSON:
        _report(thread, request, env, storage=storage)
    else:
        run(thread, request, env, storage=storage)


def check_words(words: Sequence[str], options: Mapping[str, bool]) -> None:
    """Refuse (UsageError) words whose '--' is missing or stands before the thread, with the line that is right.

    `options` are those of `run`; True for one whose value may be the next word. One of ours behind the command's name
    is refused too: nobody but the caller knows whose it is.

        >>> check_words(["thread-1", "ls", "-la"], {"--cwd": True})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        solven_env.errors.UsageError: -la stands behind the command ls, and no '--' before it. Write: ...
    """
    from solven_env.errors import UsageError

    names, option = read_words(words, options)
    if not names and "--" in words:
        at = words.index("--")
        thread, *command = words[at + 1 :] or ["THREAD"]
        if command and command[0].startswith("-"):
            raise UsageError("no thread is named before '--'", fix=corrected(words[:at], "THREAD", [thread, *command]))
        raise UsageError("'--' stands before the thread", fix=corrected(words[:at], thread, command))
    if option is None:
        return
    at = words.index(option)
    if len(names) == 1 and at == names[0] + 1:
        fix = corrected((), "THREAD", words[names[0] :])
        raise UsageError(f"{option} is no option of run, and a command stands behind '--'", fix=fix)
    if len(names) == 1:
        fix = corrected(words[:at], "", words[at:])
        raise UsageError(f"{option} is no option of run, and a command stands behind '--'", fix=fix)
    name = words[names[1]]
    fix = corrected(words[: names[1]], "", words[names[1] :])
    if option.partition("=")[0] in options:
        fix += f". If {option} is meant for run, write it before {name}."
    raise UsageError(f"{option} stands behind the command {name}, and no '--' before it", fix=fix)


def read_words(words: Sequence[str], options: Mapping[str, bool]) -> tuple[list[int], str | None]:
    """The places of the words before '--' that are no options: the thread, then a command and what it is given; and
    the option that cannot be one of ours: behind a command's name, or, where no '--' comes, of no name like ours.
    """
    names: list[int] = []
    is_value = False
    for place, word in enumerate(words):
        if is_value:
            is_value = False
        elif word == "--":
            break
        elif not word.startswith("-") or word == "-":
            names.append(place)
        elif len(names) > 1 or (names and "--" not in words and not _is_like(word, options)):
            return names, word
        else:
            is_value = options.get(word, False)
    return names, None


def _is_like(word: str, options: Iterable[str]) -> bool:
    """True for an option of ours and for a slip of the pen: for that one there are words already."""
    from difflib import get_close_matches

    name = word.partition("=")[0]
    return name in options or bool(get_close_matches(name, options))


def corrected(before: Sequence[str], thread: str, command: Sequence[str]) -> str:
    """The fix: the whole command line as it is meant."""
    import shlex

    words = [*before, *filter(None, (thread,)), "--", *(command or ("COMMAND",))]
    shown = [_without_value(word, above) for above, word in pairwise(("", *words))]
    return f"Write: {shlex.join(('solven-env', 'run', *shown))}"


def _without_value(word: str, above: str) -> str:
    """A word of the caller's without the value of a variable: it may be a secret, and an error goes into logs."""
    option, equals, given = word.partition("=")
    if option == "--env" and equals:
        return f"{option}={_without_value(given, option)}"
    return f"{option}=…" if above == "--env" and equals else word


def run(thread: str, request: Request, env: Iterable[str] | None, *, storage: str | None) -> None:
    """Run what is requested, with the variables of --env, and exit with its status."""
    from solven_env.api import commands
    from solven_env.cli import progress
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told
    from solven_env.sandbox.request import terminal

    told = errors_told("run", thread, Format.TEXT, storage=storage, all_but_usage=NOT_STARTED)
    with exit_codes(NOT_STARTED), told, progress.shown() as shown:
        asked = request._replace(env=_variables(env or ()), terminal=terminal(request.streams, os.environ))
        end_with_us()
        status = commands.run(thread, asked, storage=storage, progress=shown, on_limit=_say_limit)
    sys.exit(status)


def end_with_us() -> None:
    """Have a signal to us, and the death of who started us, end the command."""
    from solven_env.cli import orphans

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) left it
            signal.signal(number, _end)
    sys.unraisablehook = _raise_again
    orphans.end_with_parent()


def _report(thread: str, request: Request, env: Iterable[str] | None, *, storage: str | None) -> None:
    """Run what is requested, print a document of its end and its output, and exit with its status."""
    from solven_env.cli import progress
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, print_json
    from solven_env.programs.core import Core
    from solven_env.report import document
    from solven_env.sandbox.backends import BACKENDS
    from solven_env.sandbox.capture import Capture
    from solven_env.sandbox.request import check, terminal
    from solven_env.system.effects import drive

    told = errors_told("run", thread, Format.JSON, storage=storage, all_but_usage=NOT_STARTED)
    with exit_codes(NOT_STARTED), told, progress.shown() as shown:
        stdout, stderr = Capture(_MOST), Capture(_MOST)
        asked = request._replace(env=_variables(env or ()), streams=(0, stdout, stderr))
        asked = asked._replace(terminal=terminal(asked.streams, os.environ))
        end_with_us()
        core = Core(thread, storage, None, None, request.keep_alive)
        result = drive(core.run_requested(check(asked, BACKENDS), stdout, stderr, shown))
    reported = {
        "thread": thread,
        "error": None,
        "exit_code": result.exit_code,
        **_output("stdout", result.stdout_bytes, is_cut=stdout.truncated),
        **_output("stderr", result.stderr_bytes, is_cut=stderr.truncated),
        "truncated": result.truncated,
        "timed_out": result.timed_out,
        "limits": [each._asdict() for each in result.limits],
        "seconds": round(result.seconds, 3),
    }
    print_json(document("run", [reported]))
    sys.exit(result.exit_code)


def _output(stream: str, data: bytes, *, is_cut: bool) -> dict[str, str | None]:
    """Output as text, without the character in which it `is_cut`; as base64 where it is none.

    >>> _output("stdout", bytes([255]), is_cut=False)
    {'stdout': None, 'stdout_base64': '/w=='}
    """
    import base64
    import codecs

    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data, not is_cut)
    except UnicodeDecodeError:
        return {stream: None, f"{stream}_base64": base64.b64encode(data).decode()}
    return {stream: text, f"{stream}_base64": None}


def _tell(thread: str, request: Request, env: Iterable[str] | None, *, storage: str | None, chosen: Format) -> None:
    """Say what `run` would start, and start nothing."""
    from solven_env.api import commands
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, print_json, tell
    from solven_env.report import document
    from solven_env.run import explanation

    with exit_codes(NOT_STARTED), errors_told("run", thread, chosen, storage=storage, all_but_usage=NOT_STARTED):
        told = commands.explain(thread, request._replace(env=_variables(env or ()), keep_alive=0.0), storage=storage)
    if chosen is Format.JSON:
        print_json(document("run", [told.to_json() | {"error": None}]))
    else:
        for line in explanation.text(told):
            tell(line, hang=explanation.MARGIN + 2)


def _detach(thread: str, request: Request, env: Iterable[str] | None, *, storage: str | None, chosen: Format) -> None:
    """Start what is requested as a process that outlives us, and print its id."""
    from solven_env.cli import progress
    from solven_env.cli.errors import exit_codes
    from solven_env.cli.output import errors_told, print_json, say
    from solven_env.programs.core import Core
    from solven_env.report import document
    from solven_env.sandbox.backends import BACKENDS
    from solven_env.sandbox.kept import KeptOutput
    from solven_env.sandbox.request import check
    from solven_env.system.effects import drive

    told = errors_told("run", thread, chosen, storage=storage, all_but_usage=NOT_STARTED)
    with exit_codes(NOT_STARTED), told, progress.shown() as shown:
        keep_alive = request.keep_alive or _KEPT
        asked = request._replace(env=_variables(env or ()), keep_alive=keep_alive, streams=(None, None, None))
        core = Core(thread, storage, None, None, keep_alive)
        process = drive(core.start_requested(check(asked, BACKENDS), KeptOutput(), shown))
    if chosen is Format.JSON:
        print_json(document("run", [{"thread": thread, "error": None, "process": process.name}]))
    else:
        say(process.name)


def _variables(given: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` as it is; `NAME` passes the caller's value without showing it in any argument.

    UsageError for a name that is empty, or that the caller does not have.
    """
    from solven_env.errors import UsageError

    variables = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"--env {text} names no variable", fix="Write --env NAME or --env NAME=VALUE.")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
        else:
            raise UsageError(
                f"--env {name} passes the caller's variable, and the caller has none of this name",
                fix=f"Export it first, or write --env {name}=VALUE.",
            )
    return variables


def _say_limit(reached: Reached) -> None:
    from solven_env.cli.output import note

    fix = {
        "timeout": "Raise --timeout",
        "tmp_size": "Raise sandbox.limits.tmp_size, or the size of the mount at /tmp, in the profile",
    }.get(reached.limit, f"Raise sandbox.limits.{reached.limit} in the profile")
    certain = "limit reached" if reached.is_certain else "limit probably reached"
    note(f"solven-env: {certain}: {reached.limit} ({reached.value}). {fix}.")


def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Raise once more, in a moment, what Python drops since it came in a finalizer: the end that a signal asks for."""
    error = lost.exc_value
    if not isinstance(error, SystemExit | KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    again = type(error)(*error.args)

    def end(*_: object) -> None:
        raise again

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _end(number: int, _: FrameType | None) -> None:
    """A signal to us ends the command first; the status is the shell's for a death by it."""
    sys.exit(128 + number)
