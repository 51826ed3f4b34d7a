"""`solven-env run`."""

from __future__ import annotations

from typing import Annotated

import typer

from solven_env.cli import running
from solven_env.cli.options import Format, FormatOption, StorageOption, ThreadArgument
from solven_env.cli.running import BackendOption, CwdOption, EnvOption, KeepAliveOption, NetworkOption, TimeoutOption


def command(
    thread: ThreadArgument,
    argv: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")
    ] = None,
    shell: Annotated[
        str | None, typer.Option("--shell", metavar="TEXT", help="Run this text through a login shell instead.")
    ] = None,
    timeout: TimeoutOption = None,
    cwd: CwdOption = "/",
    env: EnvOption = None,
    network: NetworkOption = None,
    backend: BackendOption = None,
    keep_alive: KeepAliveOption = 0.0,
    storage: StorageOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would be started, and start nothing.")] = False,
    chosen: FormatOption = Format.TEXT,
) -> None:
    """Run a command in a thread's sandbox, with the workspace as /.

    On a terminal it has one of its own: ^C reaches the command alone.

    Exits with the command's own status: 128 and more for a signal, 124 when its time was up, 126 when it cannot be
    executed, 127 when it is not found; 125 when the sandbox could not start. A limit that was reached is named on
    standard error.

    \b
    Examples:
      solven-env run thread-42 -- python /script.py
      solven-env run thread-42 --shell 'echo $PATH' --timeout 10
      solven-env run thread-42 --network internet -- uv add httpx
      solven-env run thread-42 --keep-alive 60 -- touch /tmp/kept
      solven-env run thread-42 --explain -- python /script.py
    """
    if explain:
        running.explain(
            thread,
            argv or (),
            shell=shell,
            timeout=timeout,
            cwd=cwd,
            env=env,
            network=network,
            backend=backend,
            storage=storage,
            chosen=chosen,
        )
        return
    if chosen is Format.JSON:
        raise typer.BadParameter("only --explain reports; what runs prints what it prints", param_hint="--format")
    running.run(
        thread,
        argv or (),
        shell=shell,
        timeout=timeout,
        cwd=cwd,
        env=env,
        network=network,
        backend=backend,
        keep_alive=keep_alive,
        storage=storage,
    )
