"""Secrets of a command: read on this host by the caller's process, each time that a command starts, and kept nowhere.

A record names them and where they come from. The values go to one command alone, in the request that starts it: which
is memory, from here to the command's environment or to its own file system in memory (`sandbox.roots.staging`). No
message holds one: what a command of the host says on its standard error is told only where it has printed nothing else.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from solven_env.errors import SandboxError, printable, raise_together
from solven_env.run.launch import Values
from solven_env.system import at_once
from solven_env.system.blocks import holding
from solven_env.system.syscalls import HOLD_DIRECTORY, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection, Iterable, Mapping

    from solven_env.config import HostSecrets

MOST = 64 << 10
"""Bytes of a value: half of what one variable of an execve(2) holds."""
SECONDS = 30.0
"""Seconds that a command of the host has to print a value."""
_TOLD = 200
"""Characters that are told of what a command says."""
_MOST_HEARD = 4096  # bytes
_PIECE = 1 << 16
_PERIOD = 0.05  # seconds between two looks for an interrupt


class _MissingError(Exception):
    """A value that is not there: the reason, in words that follow 'is not to be had: '."""


def read(
    secrets: Iterable[Mapping[str, Any]],
    allowed: HostSecrets,
    environ: Mapping[str, str],
    given: Collection[str] = (),
) -> Values:
    """The values of recorded secrets, but for optional ones that are missing. `given` are variables that the command
    has from its caller, who need not have a secret of that name then.

    SandboxError for what is missing, for what this host does not let a profile name, and for what is no secret: too
    long, with U+0000 in it, not a file. All of them are told at once.
    """
    variables, files, wrong = dict[str, str](), dict[str, bytes](), list[SandboxError]()
    for secret in secrets:
        if secret["as"] == "environment" and secret["name"] in given:
            continue
        try:
            value = read_one(secret, allowed, environ)
        except SandboxError as error:
            wrong.append(error)
            continue
        if value is not None and secret["as"] == "file":
            files[secret["name"]] = value
        elif value is not None:
            variables[secret["name"]] = os.fsdecode(value)
    raise_together(wrong)
    return Values(variables, files)


def read_one(secret: Mapping[str, Any], allowed: HostSecrets, environ: Mapping[str, str]) -> bytes | None:
    """The value of a recorded secret; None for an optional one that is missing. SandboxError as of `read`."""
    check_allowed(secret, allowed)
    try:
        if secret["from"] == "environment":
            value = os.fsencode(environ.get(secret["variable"], ""))
            missing = f"the environment has no {secret['variable']}, or an empty one"
        elif secret["from"] == "file":
            value, missing = _from_file(secret["path"], allowed.files), f"{secret['path']} is empty"
        else:
            value, missing = _from_command(secret["command"], environ), "the command printed nothing"
        if not value:
            raise _MissingError(missing)
    except _MissingError as reason:
        if secret["optional"]:
            return None
        raise _not_to_be_had(secret, str(reason)) from None
    except OSError as error:
        raise _not_to_be_had(secret, error.strerror or str(error)) from None
    if len(value) > MOST:
        raise _not_to_be_had(secret, f"it has more than {MOST >> 10} KiB")
    if b"\0" in value:
        raise _not_to_be_had(secret, "it has a character U+0000")
    return value


def recorded(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All that a record says commands get of the host: its secrets, and the variables of the caller's, as secrets."""
    passed = settings.get("environment", {})
    return [
        *settings["secrets"],
        *(
            {"name": name, "from": "environment", "variable": name, "as": "environment", "is_passed": True, **about}
            for name, about in passed.items()
        ),
    ]


def called(secret: Mapping[str, Any]) -> str:
    """The field of the profile that says it: `secrets.KEY`, or `env.KEY` for a variable of the caller's."""
    return f"{'env' if 'is_passed' in secret else 'secrets'}.{secret['name']}"


def source(secret: Mapping[str, Any]) -> str:
    """The place that a recorded secret comes from, in words: `the variable KEY`, `the file /run/secrets/key`."""
    if secret["from"] == "environment":
        return f"the variable {secret['variable']}"
    if secret["from"] == "file":
        return f"the file {printable(secret['path'])}"
    from shlex import join

    return f"the command {printable(join(secret['command']))}"


_FIXES = {
    "environment": "Start solven-env with {variable} set",
    "file": "Put it into {path}, where the caller can read it",
    "command": "Try the command by itself",
}


def _not_to_be_had(secret: Mapping[str, Any], reason: str) -> SandboxError:
    fix = _FIXES[secret["from"]].format_map(secret)
    otherwise = "" if secret["optional"] else ", or write 'optional: true' in the profile"
    what = f"{called(secret)}, from {source(secret)}, is not to be had"
    return SandboxError(f"{what}: {reason}", fix=f"{printable(fix)}{otherwise}.")


def check_allowed(secret: Mapping[str, Any], allowed: HostSecrets) -> None:
    """Refuse (SandboxError) what this host's configuration does not let a profile name."""
    origin = secret["from"]
    if origin == "environment":
        name = secret["variable"]
        is_allowed = any(
            name.startswith(each[:-1]) if each.endswith("*") else name == each for each in allowed.environment
        )
        key, entry = "environment", name
    elif origin == "file":
        is_allowed, key, entry = bool(_beneath(secret["path"], allowed.files)), "files", secret["path"]
    else:
        words = tuple(secret["command"])
        is_allowed, key, entry = words in allowed.commands, "commands", list(words)
    if not is_allowed:
        from json import dumps

        shown = printable(dumps(entry, ensure_ascii=False) if isinstance(entry, list) else entry)
        raise SandboxError(
            f"{called(secret)} comes from {source(secret)}, which this host's configuration lets no profile name",
            fix=f"Let the administrator add it to secrets.{key} in the host configuration: {shown}",
        )


def _beneath(path: str, allowed: Iterable[str]) -> tuple[str, str] | None:
    """The directory beneath which a path may be opened, and the rest of the path; None where no entry allows it.

    An entry that is the path itself allows it beneath its own directory.

    >>> _beneath("/run/secrets/a/b", ["/run/secrets"]), _beneath("/run/key", ["/run/key"]), _beneath("/etc", ["/run"])
    (('/run/secrets', 'a/b'), ('/run', 'key'), None)
    """
    for entry in allowed:
        top = entry.rstrip("/")
        if path == top:
            above, _, name = path.rpartition("/")
            return above or "/", name
        if path.startswith(f"{top}/"):
            return top or "/", path[len(top) + 1 :]
    return None


def _from_file(path: str, allowed: Iterable[str]) -> bytes:
    """The bytes of a regular file, one more than `MOST` at most, without the end of its last line.

    Nothing outside the directory that is allowed is opened, whatever links are beneath it, and nothing is waited for.
    """
    found = _beneath(path, allowed)
    assert found is not None
    directory, name = found
    try:
        with holding(os.open(directory, HOLD_DIRECTORY)) as top:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
            opened = openat2(top, name, flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    except FileNotFoundError:
        raise _MissingError("there is no such file") from None
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise OSError(error.errno, f"a link leads out of {directory}, which is what secrets.files allows") from None
        raise
    with holding(opened):
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = b""
        while len(data) <= MOST + 2 and (piece := os.read(opened, _PIECE)):  # a line's end is no part of the value
            data += piece
    return _line(data)


def _line(data: bytes) -> bytes:
    """Bytes without the end of their last line.

    >>> _line(b"sesame\\r\\n"), _line(b"a\\n\\n")
    (b'sesame', b'a\\n')
    """
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data


def _from_command(words: list[str], environ: Mapping[str, str]) -> bytes:
    """The bytes that a command of the host prints, one more than `MOST` at most, without the end of its last line.

    It runs in `/`, in a session of its own, with the caller's environment and no input. OSError where it prints more,
    or does not end in time: then it is killed, with all processes of its group.
    """
    import signal
    import subprocess

    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # then nobody learns how it ends, and Python takes it for 0
        raise OSError(errno.ECHILD, "this process ignores SIGCHLD, so that nobody learns how a command ends")
    try:
        child = subprocess.Popen(  # noqa: S603 (the words are in the host's configuration, and no shell reads them)
            words,
            cwd="/",
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise _MissingError(f"there is no program {printable(words[0])}") from None
    try:
        said, complaint = _hear(child)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        child.__exit__(None, None, None)  # its pipes are closed, and it is waited for
    if child.returncode:
        about = printable(complaint.decode(errors="replace").strip().rpartition("\n")[2][:_TOLD])
        ended = (
            f"ended with status {child.returncode}" if child.returncode > 0 else f"died of signal {-child.returncode}"
        )
        raise _MissingError(f"the command {ended}" + (f": {about}" if about and not said else ""))
    return _line(said)


def _hear(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """The two outputs of a command until it has ended, whatever it leaves behind; of the second one the last part."""
    assert child.stdout is not None
    assert child.stderr is not None
    until = time.monotonic() + SECONDS
    heard = {child.stdout.fileno(): b"", child.stderr.fileno(): b""}
    out, err = heard
    poll = select.poll()
    with holding(os.pidfd_open(child.pid)) as pidfd:
        for each in (pidfd, *heard):
            os.set_blocking(each, False)
            poll.register(each, select.POLLIN)
        has_ended = False
        while not has_ended:
            at_once.check()
            ready = {descriptor for descriptor, _ in poll.poll(_PERIOD * 1000)}
            has_ended = pidfd in ready
            for each in ready & heard.keys() if not has_ended else heard.keys():
                piece = _take(each)
                heard[each] = (heard[each] + piece)[-_MOST_HEARD:] if each == err else heard[each] + piece
                if not piece and not has_ended:
                    poll.unregister(each)
            if len(heard[out]) > MOST + 2:
                raise OSError(errno.EFBIG, f"the command printed more than {MOST >> 10} KiB")
            if not has_ended and time.monotonic() > until:
                raise OSError(errno.ETIMEDOUT, f"the command did not end within {SECONDS:g} seconds")
    return heard[out], heard[err]


def _take(descriptor: int) -> bytes:
    """All that a pipe holds now, as far as that is bounded; empty at its end."""
    taken = b""
    with suppress(BlockingIOError):
        while len(taken) <= MOST + 2 and (piece := os.read(descriptor, _PIECE)):
            taken += piece
    return taken
