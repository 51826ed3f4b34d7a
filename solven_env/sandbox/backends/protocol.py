"""The protocol of a backend: the members that its module has. `CONTRIBUTING.md`, 'Add a backend', has the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from solven_env.config import HostSandbox
    from solven_env.errors import PlatformError, SandboxError
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.file_access import FileAccess
    from solven_env.sandbox.kept import KeptOutput, StartedProcess, Told
    from solven_env.sandbox.launch_plan import LaunchPlan, Mount
    from solven_env.sandbox.request import Ended, Request
    from solven_env.sandbox.runtime import SessionState
    from solven_env.system.networks import Network


class BackendQuestion(NamedTuple):
    """A question of `doctor` about the backend itself: its program and an empty directory to try it in are given.

    `ask` returns how well it works, and a sentence.
    """

    name: str
    ask: Callable[[str, str], tuple[Literal["ok", "limited", "broken"], str]]


class Backend(Protocol):
    """A way to isolate a command: a module with these members."""

    NAME: str
    """The name by which profiles ask for it."""
    STATEMENT: str
    """The statement that everybody who uses it must know, in whole sentences; empty where it keeps commands in."""
    LACKS: str
    """The name with what it does not enforce, for people; empty where it enforces everything."""
    HAS_MOUNTS: bool
    """True if it mounts, a layer above a build above all. Without mounts a thread has its own copy of a build."""
    HAS_SESSIONS: bool
    """True if commands of a thread share a session, which can be kept alive."""
    NEEDS_DIRECTORY: bool
    """True if it keeps something of a thread on this host, in a directory that it is given."""
    SHOWN: Mapping[type[Mount], str]
    """Words for people about kinds of mounts that commands see otherwise than under every backend."""

    def notice(self, network: str) -> str:
        """One line for whoever starts a command that asks for `network`; empty where nothing needs to be said."""

    def locate(self, sandbox: HostSandbox, environ: Mapping[str, str]) -> str:
        """The absolute path of its program, from the host's configuration and environment.

        PlatformError with the way to install it where there is none.
        """

    def too_old(self, program: str) -> PlatformError | None:
        """The error about a program that is too old; None if it is new enough."""

    def network(self, asked: Network) -> Network:
        """The network that a command gets that asks for this one."""

    def unenforced(self, limits: Collection[str]) -> tuple[Unenforced, ...]:
        """Those of the named limits that commands are not held to on this host."""

    def refuses_files(self) -> SandboxError | None:
        """The error where commands can have no files of secrets (`SecretFiles`) on this host; None if they can."""

    async def run(
        self,
        plan: LaunchPlan,
        request: Request,
        *,
        runtime_dir: str,
        directory: str,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Ended:
        """Run the planned request to its end. SandboxError when it could not start, or its streams not be copied.

        `plan.program` is what `locate` found. `runtime_dir` is the directory of sessions' sockets, `directory` the
        thread's own on this host (`NEEDS_DIRECTORY`). `progress` is told, in one line, of directories of the thread's
        own that are mounted upon.

        The status is 128 and more for a signal, 124 when the command's time was up, 137 when it was killed. An
        exception on the way, KeyboardInterrupt above all, and the caller's death by any signal end all that was
        started. It waits by `system.effects` alone.
        """

    def reach_files(self, plan: LaunchPlan, keep_alive: float, runtime_dir: str, *, bounded: bool) -> FileAccess:
        """Reach what reads and writes files as commands of this plan see them; the session stays `keep_alive` seconds.

        `bounded`: the profile limits the disk that commands take. UsageError where there are no sessions; other errors
        as of `run`.
        """

    def start(
        self,
        plan: LaunchPlan,
        request: Request,
        kept: KeptOutput,
        *,
        runtime_dir: str,
        progress: Callable[[str], None] = lambda _: None,
    ) -> StartedProcess:
        """Start the planned request as a command that outlives its caller, from when that lets it go.

        Its streams are the session's. UsageError where there are no sessions; other errors as of `run`.
        """

    def ask(self, session: str, runtime_dir: str, what: str, name: str = "") -> Told | None:
        """Ask a session about such commands: "processes", or "kill" and "attach" with the name of one.

        None without a session. It never waits long.
        """

    def publish(self, plan: LaunchPlan, port: int, keep_alive: float, runtime_dir: str) -> int:
        """Forward a loopback port of the host, which it returns, to a port of 127.0.0.1 inside, in the plan's network.

        UsageError where there are no sessions; other errors as of `run`.
        """

    def explain(self, plan: LaunchPlan, request: Request, *, controlled: bool) -> tuple[str, ...]:
        """The command line that `run` would start, where descriptors and places made for it are examples.

        `controlled`: the caller's standard input is a terminal.
        """

    def look(self, session: str, runtime_dir: str) -> SessionState | None:
        """The state of a session; None without one. It never waits long."""

    def make_room(self, session: str, runtime_dir: str, size: int) -> None:
        """Tell a session, where there is one, that an apply is about to write so many bytes in the workspace.

        They do not count for the limit of disk. It never waits long.
        """

    def stop_all(self, owner: str, runtime_dir: str) -> bool:
        """End the sessions whose names begin with `owner` and `/`, with all their commands; whether there was one."""

    def questions(self) -> Sequence[BackendQuestion]:
        """Questions of `doctor` about the backend itself."""
