"""`Sandbox`: a thread's sandbox as an object whose methods return when the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from solven_env.api import commands, storages, workspaces
from solven_env.programs.core import Core
from solven_env.programs.files import MOST_LISTED, MOST_MATCHES, MOST_READ, FileCore
from solven_env.programs.process import ProcessCore, listed
from solven_env.system.effects import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self, TypeAlias

    from solven_env.programs.result import Chunk, FileInfo, Match, ProcessInfo, Result
    from solven_env.reconcile.model import OnConflict

    Listed: TypeAlias = list[FileInfo]
    Names: TypeAlias = list[str]
    Matches: TypeAlias = list[Match]
    Chunks: TypeAlias = list[Chunk]
    from solven_env.profile.inputs import InputValues


class Files:
    """The files of a sandbox, as its commands see them: the workspace, /tmp, links, packages.

        >>> sandbox.files.write("notes.txt", "6 * 7")
        >>> sandbox.files.read_text("notes.txt")
        '6 * 7'

    Paths are absolute, or begin at the directory in which commands start. They are read and written inside, as the
    sandbox's user, and never lead out of it. Only regular files and directories are opened, never a FIFO or a device.
    Errors are SolvenErrors, and the built-in ones too: FileNotFoundError, IsADirectoryError, NotADirectoryError,
    PermissionError, FileExistsError.
    """

    def __init__(self, core: FileCore) -> None:
        """See `Sandbox.files`."""
        self._core = core

    def close(self) -> None:
        """Let the connections go that are kept for the next calls."""
        self._core.close()

    def read(self, path: str, *, offset: int = 0, max_bytes: int = MOST_READ) -> bytes:
        """Read a file from `offset` on. FileTooLargeError for more than `max_bytes`: nothing is cut silently."""
        return drive(self._core.read(path, offset=offset, max_bytes=max_bytes))

    def read_text(self, path: str, *, offset: int = 0, max_bytes: int = MOST_READ) -> str:
        """Read a file as text: UTF-8, with U+FFFD for what is none. Errors as of `read`."""
        return self.read(path, offset=offset, max_bytes=max_bytes).decode(errors="replace")

    def write(
        self, path: str, data: bytes | str, *, mode: int | None = None, parents: bool = True, exclusive: bool = False
    ) -> None:
        """Write a whole file. Others see the former file or the new one, but where it is at the end of a link.

        Without `mode` it keeps the one it has (a new one has 0644). `parents` makes the directories above it, and with
        `exclusive` a file that is there is a FileExistsError.
        """
        drive(self._core.write(path, data, mode=mode, parents=parents, exclusive=exclusive))

    def list(self, path: str, *, depth: int = 1, limit: int = MOST_LISTED) -> Listed:
        """List a directory, `depth` levels down, sorted; `limit` entries at most. No link is followed.

        A look at all of `/`, here and by `glob`, `grep` and `download`, is one at the workspace: what the system, the
        profile's packages and memory (`/tmp`) bring is left out. Name such a directory to look into it.
        """
        return drive(self._core.list_directory(path, depth=depth, limit=limit))

    def stat(self, path: str) -> FileInfo:
        """Tell what is at a path; a link is followed."""
        return drive(self._core.stat(path))

    def exists(self, path: str) -> bool:
        """True if something is at a path; a link is followed, and one that leads nowhere is nothing."""
        return drive(self._core.exists(path))

    def realpath(self, path: str) -> str:
        """The path without links, as of `os.path.realpath`: parts that do not exist stay as they are."""
        return drive(self._core.realpath(path))

    def make_dir(self, path: str, *, parents: bool = True) -> None:
        """Make a directory (0755). With `parents` also those above it, and a directory that is there is no error."""
        drive(self._core.make_dir(path, parents=parents))

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, a link itself, or an empty directory; with `recursive` a directory with all that is in it."""
        drive(self._core.remove(path, recursive=recursive))

    def rename(self, source: str, target: str) -> None:
        """Rename within one file system; a file at `target` is replaced."""
        drive(self._core.rename(source, target))

    def glob(self, pattern: str, path: str = "/", *, limit: int = MOST_LISTED) -> Names:
        """The paths beneath a directory that match a pattern (`*`, `?`, `[…]`, and `**` for any directories)."""
        return drive(self._core.matching(pattern, path, limit=limit))

    def grep(self, text: str, path: str = "/", *, glob: str | None = None, limit: int = MOST_MATCHES) -> Matches:
        """The lines with a text (no expression) in a file, or in the files beneath a directory whose names match."""
        return drive(self._core.grep(text, path, glob=glob, limit=limit))

    def upload(self, source: str | Path, target: str) -> None:
        """Copy a file or a tree of this host to a path inside: with modes, and links as links."""
        drive(self._core.upload(source, target))

    def download(self, source: str, target: str | Path | int) -> None:
        """Copy a file or a tree from inside to a path of this host: with modes, and links as links, never followed.

        A file that is there is replaced, once the new one is whole; FIFOs, sockets and devices are left out. UsageError
        where a link stands at `target`, which an earlier copy may have brought. A descriptor of yours as `target` gets
        the bytes of a file.
        """
        drive(self._core.download(source, target))


class Process:
    """A command that was started and goes on by itself, until it ends, is killed or its session ends.

        >>> server = sandbox.start("python -m http.server 8000")
        >>> sandbox.run("curl -s localhost:8000 | head -1").stdout
        '<!DOCTYPE HTML>\\n'

    Its standard input stays open. Whoever knows its `id` finds it again by `Sandbox.process`, in another program too.
    """

    def __init__(self, core: ProcessCore) -> None:
        """See `Sandbox.start` and `Sandbox.process`."""
        self._core = core

    @property
    def id(self) -> str:
        """The name of the process in its session."""
        return self._core.name

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        return drive(self._core.poll())

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for its end. TimeoutError after so many seconds; the process goes on then."""
        return drive(self._core.wait(timeout))

    def kill(self) -> bool:
        """End it with all that it started, and wait for that; whether it was running."""
        return drive(self._core.kill())

    def send_stdin(self, data: bytes | str) -> None:
        """Write to its standard input. BrokenPipeError where nobody reads it any more."""
        drive(self._core.send_stdin(data))

    def close_stdin(self) -> None:
        """Have its standard input end behind what was written; on a terminal, type ^D."""
        drive(self._core.close_stdin())

    def resize(self, rows: int, columns: int) -> None:
        """Give its terminal another size."""
        drive(self._core.resize(rows, columns))

    def kept(self) -> Chunks:
        """The output that is kept now, without waiting for more; iterating goes on where it was."""
        return drive(self._core.kept())

    def __iter__(self) -> Iterator[Chunk]:
        """Iterate over its output as it comes, until it ends: first what is kept of what was printed before."""
        while found := drive(self._core.chunks()):
            yield from found


class Sandbox:
    """A thread's sandbox: commands run in it one after the other, or several at once from several threads.

        >>> with solven_env.Sandbox.create("solven", "thread-42") as sandbox:
        ...     sandbox.run("echo $((6 * 7))").stdout
        '42\\n'

    Commands share a session, with its /tmp, which stays `keep_alive` seconds after the last one, and ends with a `with`
    block. `env` is added to the profile's variables, and `cwd` is where commands start in place of its directory.
    `processes` stands in place of the profile's: with "command" all that a command started ends with it, with "session"
    what it left in the background lives until the session ends.
    """

    def __init__(self, core: Core) -> None:
        """Use `create` or `connect`."""
        self._core = core
        self.files = Files(FileCore(core))

    @classmethod
    def create(
        cls,
        profile: str | Path,
        thread: str,
        *,
        storage: str | Path | None = None,
        inputs: InputValues | None = None,
        on_conflict: OnConflict = "fail",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        keep_alive: float = 600.0,
        processes: Literal["command", "session"] | None = None,
    ) -> Self:
        """Apply a profile to a thread, and connect with it. Errors as of `solven_env.apply`."""
        workspaces.apply(profile, thread, storage=storage, inputs=inputs, on_conflict=on_conflict)
        return cls.connect(thread, storage=storage, env=env, cwd=cwd, keep_alive=keep_alive, processes=processes)

    @classmethod
    def connect(
        cls,
        thread: str,
        *,
        storage: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        keep_alive: float = 600.0,
        processes: Literal["command", "session"] | None = None,
    ) -> Self:
        """The sandbox of a thread that was applied before. Nothing is applied, and nothing started."""
        core = Core(thread, storage, env, cwd, keep_alive, processes)
        drive(core.find())
        return cls(core)

    @property
    def id(self) -> str:
        """The thread."""
        return self._core.thread

    def run(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        stdin: str | bytes | int | None = None,
        max_output: int = 1 << 20,
        keep: Literal["head", "tail"] = "head",
        merge: bool = False,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        network: str | None = None,
        check: bool = False,
    ) -> Result:
        """Run a command to its end, and return what it printed and how it ended.

            >>> sandbox.run(["python", "-c", "print(6 * 7)"]).stdout
            '42\\n'

        A text is given to `/bin/bash --login -c`, a sequence of words is executed. `timeout` is in seconds; `stdin` is
        text, bytes, or a descriptor of the caller's, and without it the command's input is at its end. Of each stream
        the first `max_output` bytes are kept, or with `keep` "tail" the last ones, and the rest is read and dropped.
        `merge` has both in one, in the order in which they were written. `on_stdout` and `on_stderr` get all output as
        text as it comes.

        A status other than 0 is a result, and a CommandError with `check`. Other errors as of `solven_env.run`. An
        exception meanwhile, KeyboardInterrupt or a callback's own, ends this command with all that it started.
        """
        return drive(
            self._core.run(
                command,
                cwd=cwd,
                env=env,
                timeout=timeout,
                stdin=stdin,
                max_output=max_output,
                keep=keep,
                merge=merge,
                on_stdout=on_stdout,
                on_stderr=on_stderr,
                network=network,
                check=check,
            )
        )

    def start(
        self,
        command: str | Sequence[str],
        *,
        pty: tuple[int, int] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        network: str | None = None,
        max_output: int = 1 << 20,
        merge: bool = False,
    ) -> Process:
        """Start a command that outlives this call and this program; others of the session reach it on loopback.

            >>> sandbox.start("python -m http.server 8000").id
            '1-5f0c2a'

        The last `max_output` bytes of each stream are kept for whoever reads them. With `pty`, rows and columns, it has
        a terminal of its own. The rest is as for `run`; it ends with the session at the latest.
        """
        return Process(
            drive(
                self._core.start(
                    command,
                    pty=pty,
                    cwd=cwd,
                    env=env,
                    timeout=timeout,
                    network=network,
                    max_output=max_output,
                    merge=merge,
                )
            )
        )

    def processes(self) -> tuple[ProcessInfo, ...]:
        """The processes that were started in the session and run, and the last ones that have ended."""
        return drive(listed(self._core))

    def process(self, id: str) -> Process:  # noqa: A002 (the name of the field)
        """A process that was started before. That there is none of this name, its methods say (NoProcessError)."""
        return Process(ProcessCore(self._core, id))

    def publish(self, port: int) -> int:
        """Forward a loopback port of this host to a port of the session's 127.0.0.1, and return the host's.

            >>> server = sandbox.start(["python", "-m", "http.server", "8000"])
            >>> urllib.request.urlopen(f"http://127.0.0.1:{sandbox.publish(8000)}/").status
            200

        Connections are forwarded under every network that the profile names, to whatever listens there then, until the
        session ends. The same port gives the same one again. Errors as of `run`.
        """
        return drive(self._core.publish(port))

    def stop(self) -> bool:
        """End the session with all that runs in it; whether there was one. The next command begins another."""
        self.files.close()
        return commands.stop(self._core.thread, storage=self._core.storage)

    def delete(self) -> None:
        """Delete the thread, with its workspace. Errors as of `solven_env.delete`."""
        storages.delete(self._core.thread, storage=self._core.storage)
        self._core.is_deleted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._core.is_deleted:
            self.stop()
