"""`solven-env shell`."""

from __future__ import annotations

from solven_env.cli.options import StorageOption, ThreadArgument
from solven_env.cli.run import BackendOption, CwdOption, EnvOption, KeepAliveOption, NetworkOption, TimeoutOption, run


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

    run(thread, Request(LOGIN, None, cwd, {}, network, backend, timeout, keep_alive), env, storage=storage)
