"""`solven-env shell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.cli.options import StorageOption, ThreadArgument
from solven_env.cli.run import BackendOption, CwdOption, EnvOption, KeepAliveOption, NetworkOption, TimeoutOption, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def check_words(words: Sequence[str], options: Mapping[str, bool]) -> None:
    """Refuse (UsageError) a command behind the thread: `run` is for that."""
    from solven_env.cli.run import corrected, read_words
    from solven_env.errors import UsageError

    names, _ = read_words(words, options)
    command = words[names[1] :] if len(names) > 1 else words[words.index("--") :] if "--" in words else ()
    if command:
        before = words[: len(words) - len(command)]
        named = "" if names else "THREAD"
        fix = corrected(before, named, [each for each in command if each != "--"])
        raise UsageError("shell takes no command", fix=fix)


def command(
    thread: ThreadArgument,
    timeout: TimeoutOption = None,
    cwd: CwdOption = None,
    env: EnvOption = None,
    network: NetworkOption = None,
    backend: BackendOption = None,
    keep_alive: KeepAliveOption = 0.0,
    storage: StorageOption = None,
) -> None:
    """Open a login shell in a thread's sandbox, with the workspace as /.

    Without a terminal it reads commands from standard input. Exits with the shell's status, which is that of its last
    command; 125 when the sandbox could not start.

    \b
    Examples:
      solven-env shell thread-42
      solven-env shell thread-42 --network host --env OPENAI_API_KEY
      solven-env shell thread-42 < script.sh
    """
    from solven_env.sandbox.request import LOGIN, Request

    request = Request(LOGIN, None, cwd, {}, network, backend, timeout, keep_alive, streams=(0, 1, 2))
    run(thread, request, env, storage=storage)
