"""The verbs of commands: run, explain and end those of a thread, and look at what they find there and on this host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from solven_env.api.arguments import find_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from solven_env.doctor.listing import Listing
    from solven_env.doctor.questions import Finding
    from solven_env.report import DoctorReport
    from solven_env.run.explanation import Explanation
    from solven_env.sandbox.limits import Reached
    from solven_env.sandbox.request import Request


def run(
    thread: str,
    command: Sequence[str] | Request = (),
    *,
    storage: str | Path | None = None,
    shell: str | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    network: str | None = None,
    backend: str | None = None,
    keep_alive: float = 0.0,
    stdin: int | None = None,
    stdout: int = 1,
    stderr: int = 2,
    progress: Callable[[str], None] = lambda _: None,
    on_limit: Callable[[Reached], None] = lambda _: None,
) -> int:
    """Run a command in a thread's sandbox, with the workspace as `/`, and return its exit status.

        >>> solven_env.run("thread-42", ["python", "/script.py"], timeout=60)
        0

    `command` is its words, or a whole `Request`, which then says everything; `shell` in their place is a text for
    `/bin/bash --login -c`. `cwd` is the path inside at which it starts, in the place of the profile's. `timeout` is in
    seconds; `env` is added to the profile's variables, and shows in no argument list; `network` ('none', 'internet'
    or 'host') and `backend` ('bubblewrap' or 'proot') are used in the place of the profile's. `keep_alive` is how
    many seconds the session, with its /tmp, stays after the command. The streams are descriptors, never changed,
    and copied from and to what the command has in their place: a pipe, or for a terminal one of its own, with TERM
    as the caller has it (under proot it is the caller's). Standard input is at its end unless one is given: `stdin=0`
    passes the caller's. What the command leaves of a file or of the first 4 KiB of a pipe can be read afterwards. What
    this host lacks of the thread's builds is made first, and `progress` told of it, of what the backend does not
    enforce, of directories of the thread's own that the profile mounts upon, and of the network that a command lacked
    which failed; `on_limit` is told of each limit that the command reached.

    The status is the command's: 128 and more for a signal, 124 when its time was up, 126 when it cannot be executed,
    127 when it is not found. `UsageError`, which begins with the argument's name, for what is no command; any other
    `SolvenError` says that none was started, or that its streams could not be copied to their end, as onto a full disk
    (125 on the command line). KeyboardInterrupt, like any exception on the way, ends all that was started.
    """
    from solven_env.run import execute
    from solven_env.sandbox.request import Request, terminal

    if not isinstance(command, Request):
        streams = (stdin, stdout, stderr)
        given = Request(command, shell, cwd, env or {}, network, backend, timeout, keep_alive)
        command = given._replace(streams=streams, terminal=terminal(streams, os.environ))
    request = _checked(command)
    launch = execute.commands_of(thread, storage).apply(request, progress)
    ended = execute.run(launch, progress)
    for each in ended.limits:
        on_limit(each)
    return ended.status


def explain(
    thread: str,
    command: Sequence[str] | Request = (),
    *,
    storage: str | Path | None = None,
    shell: str | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    network: str | None = None,
    backend: str | None = None,
) -> Explanation:
    """Tell what `run` would start with the same arguments. It starts, builds and makes nothing.

        >>> solven_env.explain("thread-42", ["true"]).network
        'internet'

    Builds, layers, mounts with their reasons, variables (those in `env` by name), network, limits, uid, and the command
    line of the program that starts it.
    """
    from solven_env.run import execute
    from solven_env.sandbox.request import Request

    if not isinstance(command, Request):
        command = Request(command, shell, cwd, env or {}, network, backend, timeout)
    request = _checked(command)
    return execute.tell(find_thread(thread, storage), request)


def contents(thread: str, *, storage: str | Path | None = None, packages: bool = True, files: bool = True) -> Listing:
    """List the packages of a thread, as its commands find them, its workspace's top level and its rendered files."""
    from solven_env.doctor.listing import list_thread

    return list_thread(find_thread(thread, storage), with_packages=packages, with_files=files)


def stop(thread: str, *, storage: str | Path | None = None) -> bool:
    """End the thread's session on this host with all its commands, hung ones too; whether there was one.

    When it returns, every process of it has ended. The commands' callers get 137.
    """
    from solven_env.threads import sessions

    return sessions.stop(thread, storage)


def doctor(
    thread: str | None = None,
    *,
    profile: str | Path | None = None,
    storage: str | Path | None = None,
    only: Sequence[str] = (),
    progress: Callable[[Finding], None] = lambda _: None,
) -> DoctorReport:
    """Ask about this host, and the named profile and thread, by doing what commands need. Repair nothing.

        >>> solven_env.doctor("thread-42").is_broken
        False
        >>> [finding.question for finding in solven_env.doctor(only=("bun",)).findings]
        ['uv', 'bun']

    `only` names questions: they and what they need are asked; without it, all are. `progress` is told each finding as
    it is made. Only `UsageError` is raised, for an unknown question too: what is wrong is in the report.
    """
    from solven_env.doctor.examining import Examination

    return Examination(thread, profile, storage, only).report(progress)


def _checked(request: Request) -> Request:
    from solven_env.sandbox.backends import BACKENDS
    from solven_env.sandbox.request import check

    return check(request, BACKENDS)
