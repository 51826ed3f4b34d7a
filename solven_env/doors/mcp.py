"""The door for MCP: a thread's sandbox as the tools of a server of the Model Context Protocol."""

from __future__ import annotations

import base64
import functools
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ContentBlock, ImageContent, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import Field, ValidationError

from solven_env import __version__
from solven_env.api import workspaces
from solven_env.doors.images import mime_type
from solven_env.errors import FileTooLargeError, SolvenError, UsageError, counted, printable
from solven_env.programs.awaiting import AsyncSandbox
from solven_env.programs.blocking import Sandbox
from solven_env.sandbox import backends
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from solven_env.programs.result import Result

MOST_TEXT = 8 << 20
"""Characters of the longest text that is written."""

_KEPT = 64 << 10
"""Bytes of a command's output, or of a file's lines, that one answer has unless the caller says otherwise."""
_LONGEST_LINE = 2_000
"""Characters of a line of a file that are shown."""
_LARGEST_IMAGE = 3_750_000
"""Bytes: 5 MB in base64, the most that clients' models take."""
_COMMANDS = 32
"""Commands that run at once; further ones wait for their turn."""
_PERIOD = 0.25
"""Seconds between two notifications of progress at least, and `_SILENCE` at most."""
_SILENCE = 5.0
_TOLD = 2_000
"""Characters of new output that one notification has, the last ones."""

_INSTRUCTIONS = """\
An isolated Linux workspace, the thread {thread}. Its root directory / is the workspace: files there stay from one \
command to the next, and are what you work on. Commands and relative paths start in the profile's working directory, \
mostly /. /tmp is shared by commands and goes with the session. Read, write, edit, list and grep see the same files as \
commands do."""

_Path = Annotated[str, Field(max_length=4_096, description="Absolute, or relative to the working directory.")]


class SolvenServer(MCPServer):
    """An MCP server with the tools run, read, write, edit, list, grep and status of a thread's sandbox.

        >>> server = SolvenServer("thread-42", profile="solven")
        >>> await server.run_stdio_async()

    With a `profile` the thread is applied first; without one it must have been. Errors as of `Sandbox.create` and
    `Sandbox.connect`. `solven-env mcp` serves one (`doors.mcp_serving`).
    """

    def __init__(self, thread: str, *, profile: str | Path | None = None, storage: str | Path | None = None) -> None:
        """Apply the profile, if there is one, and connect with the thread."""
        if profile is None:
            Sandbox.connect(thread, storage=storage)
        else:
            Sandbox.create(profile, thread, storage=storage)
        backend = backends.find(Thread.find(thread, storage).applied().settings["backend"])
        if not backend.HAS_SESSIONS:
            fix = "Let the profile ask for bubblewrap."
            raise UsageError(f"the backend {backend.NAME} has no session, whose commands and files are served", fix=fix)
        super().__init__(
            "solven-env",
            version=__version__,
            instructions=_INSTRUCTIONS.format(thread=thread),
            log_level="WARNING",
            subscriptions=False,
        )
        self._tools = _Tools(thread, storage)
        reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        writes = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)
        runs = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)
        tools = self._tools
        for tool, hints in (
            (tools.run, runs),
            (tools.read, reads),
            (tools.write, writes),
            (tools.edit, writes),
            (tools.list, reads),
            (tools.grep, reads),
            (tools.status, reads),
        ):
            self.add_tool(tool, description=_plain(tool.__doc__), annotations=hints, structured_output=False)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. What it refuses is a result that says what and what to do, without a traceback."""
        try:
            await self._check_names(name, arguments)
            return await super().call_tool(name, arguments, context)
        except SolvenError as error:
            return _refusal(error)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                return _refusal(UsageError("; ".join(map(_told_mistake, cause.errors()))))
            if isinstance(cause, SolvenError):
                return _refusal(cause)
            raise

    async def _check_names(self, name: str, arguments: dict[str, Any]) -> None:
        """UsageError for an argument that the tool has not: its caller meant something that would not happen."""
        for tool in await self.list_tools():
            known = tool.input_schema.get("properties", {})
            unknown = [each for each in arguments if tool.name == name and each not in known]
            if unknown:
                raise UsageError(f"{name} has no argument {unknown[0]!r:.100}", fix=f"It has {', '.join(known)}.")


class _Tools:
    """The tools. Their docstrings, parameters and bounds are what a model reads."""

    def __init__(self, thread: str, storage: str | Path | None) -> None:
        self.thread = thread
        self.storage = storage
        self._sandbox: AsyncSandbox | None = None
        self._commands = anyio.Semaphore(_COMMANDS)
        self._writing = anyio.Lock()

    async def run(
        self,
        context: Context[Any, Any],
        command: Annotated[str, Field(min_length=1, max_length=100_000, description="Text for bash.")],
        cwd: Annotated[str, Field(max_length=4_096, description="Absolute path of the directory to start in.")] = "",
        timeout: Annotated[
            float, Field(gt=0, le=86_400, allow_inf_nan=False, description="Seconds after which the command is ended.")
        ] = 120,
        keep: Annotated[
            Literal["tail", "head"], Field(description="The part of too long an output that is shown.")
        ] = "tail",
        max_output: Annotated[int, Field(ge=1, le=1 << 20, description="Bytes of the output that are shown.")] = _KEPT,
    ) -> CallToolResult:
        """Run a command in the workspace by bash, as a login shell, and return its output and exit status.

        Standard output and standard error come together, in their order. Standard input is empty. What the command
        started ends with it; where the profile allows it, what was detached (setsid) goes on.
        """
        async with self._commands:
            sandbox = await self._connected()
            async with _progress(context) as told:
                result = await sandbox.run(
                    command,
                    cwd=cwd or None,
                    timeout=timeout,
                    max_output=max_output,
                    keep=keep,
                    merge=True,
                    on_stdout=told.take,
                )
        return _answer(_decoded(result, keep), _told_end(result, keep, max_output))

    async def read(
        self,
        path: _Path,
        offset: Annotated[int, Field(ge=1, description="The first line, from 1.")] = 1,
        limit: Annotated[int, Field(ge=1, le=100_000, description="Lines at most.")] = 2_000,
    ) -> CallToolResult:
        """Read a text file, by lines, or an image (PNG, JPEG, GIF, WebP), which is returned as an image.

        Files of more than 16 MiB are not read: use run with head, tail or sed.
        """
        sandbox = await self._connected()
        try:
            data = await sandbox.files.read(path)
        except FileTooLargeError as error:
            error.fix = "Read a part of it: run with head, tail or sed -n."
            raise
        kind = mime_type(data)
        if kind is not None:
            return _image(path, kind, data)
        if b"\0" in data[:8_192]:
            raise UsageError(
                f"it is no text and no image, but {counted(len(data), 'byte')} of data",
                location=printable(path),
                fix="Look at it by a command: run with file or xxd.",
            )
        return _lines(data, offset, limit)

    async def write(
        self,
        path: _Path,
        content: Annotated[str, Field(max_length=MOST_TEXT, description="All that the file shall have.")],
    ) -> CallToolResult:
        """Write a whole text file. It replaces a file that is there, and makes the directories above it."""
        data = content.encode()
        async with self._writing:
            await (await self._connected()).files.write(path, data)
        return _answer(note=f"{printable(path)}: {counted(len(data), 'byte')} written")

    async def edit(
        self,
        path: _Path,
        old: Annotated[str, Field(min_length=1, max_length=MOST_TEXT, description="The text as it stands there.")],
        new: Annotated[str, Field(max_length=MOST_TEXT, description="The text for its place.")],
        replace_all: Annotated[bool, Field(description="Replace each place, not only one.")] = False,
    ) -> CallToolResult:
        """Replace a text in a file by another one. The text must stand there once, or replace_all be true.

        Give as many of the lines around it as make it the only one, with their exact white space.
        """
        wanted = old.encode()
        async with self._writing:
            files = (await self._connected()).files
            data = await files.read(path)
            count = data.count(wanted)
            if not count:
                fix = "Read the file, and give the text exactly as it stands there, with its white space."
                raise UsageError("the text is not in the file", location=printable(path), fix=fix)
            if count > 1 and not replace_all:
                fix = "Give more of the lines around it, or set replace_all."
                raise UsageError(f"the text stands {count:,} times in the file", location=printable(path), fix=fix)
            await files.write(path, data.replace(wanted, new.encode()))
        return _answer(note=f"{printable(path)}: {counted(count, 'place')} replaced")

    async def list(
        self,
        path: _Path = ".",
        depth: Annotated[int, Field(ge=1, le=20, description="Levels of directories.")] = 1,
        limit: Annotated[int, Field(ge=1, le=5_000, description="Entries at most.")] = 500,
    ) -> CallToolResult:
        """List a directory: a line for each entry, sorted. Directories end with /, files have their size in bytes.

        A deeper look at / leaves the system's directories out.
        """
        files = (await self._connected()).files
        found = await files.list(path, depth=depth, limit=limit + 1)
        lines = []
        for each in sorted(found[:limit], key=lambda each: each.path):
            name = printable(each.path)
            if each.kind == "directory":
                lines.append(f"{name.rstrip('/')}/")
            elif each.kind == "link":
                lines.append(f"{name} -> {printable(each.target or '')}")
            else:
                lines.append(f"{name}  {counted(each.size, 'byte') if each.kind == 'file' else '(no regular file)'}")
        more = f"There are more than these {limit:,}: list a directory beneath, or raise limit." * (len(found) > limit)
        return _answer("\n".join(lines), more or f"{len(lines):,} in all")

    async def grep(
        self,
        text: Annotated[str, Field(min_length=1, max_length=1_000, description="Fixed text, no expression.")],
        path: _Path = ".",
        glob: Annotated[str, Field(max_length=255, description="Names of files, as *.py; empty for all.")] = "",
        limit: Annotated[int, Field(ge=1, le=1_000, description="Lines at most.")] = 100,
    ) -> CallToolResult:
        """Find the lines with a text, in a file or in all files beneath a directory, as path:line: text.

        A search of / leaves the system's directories out. For expressions use run with grep -E.
        """
        files = (await self._connected()).files
        found = await files.grep(text, path, glob=glob or None, limit=limit + 1)
        lines = [f"{printable(each.path)}:{each.line}: {each.text}" for each in found[:limit]]
        more = f"There are more than these {limit:,}: give a path or a glob, or raise limit." * (len(found) > limit)
        return _answer("\n".join(lines), more or counted(len(lines), "line"))

    async def status(self) -> CallToolResult:
        """Tell how the workspace stands: its profile, what differs from it, packages that were added, limits."""
        look = functools.partial(workspaces.status, self.thread, storage=self.storage)
        (found,) = (await anyio.to_thread.run_sync(look)).threads
        lines = [
            f"thread {found.thread}: {found.state}, profile {found.profile} {found.release},"
            f" generation {found.generation}"
        ]
        lines += [f"{each.action} {printable(each.address)}: {printable(each.reason)}" for each in found.changes]
        for added in found.added:
            names = ", ".join(printable(f"{each.name} {each.version}".rstrip()) for each in added.packages[:100])
            lines += [f"added {added.kind} packages: {names}"] * bool(names)
        lines += [f"link {printable(each)} leads nowhere" for each in found.missing_links]
        lines += [f"limit {each[0]} is not enforced here" for each in found.unenforced]
        if found.session and found.session.commands:
            lines.append(f"{counted(found.session.commands, 'command')} running")
        return _answer("\n".join(lines))

    async def _connected(self) -> AsyncSandbox:
        if self._sandbox is None:
            self._sandbox = await AsyncSandbox.connect(self.thread, storage=self.storage)
        return self._sandbox


class _Progress:
    """The output of a command since the last notification, and the notifications."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context
        self._began = time.monotonic()
        self._text = ""
        self._printed = anyio.Event()

    def take(self, text: str) -> None:
        """Take a piece of output: nobody waits for the client here."""
        self._text = (self._text + text)[-_TOLD:]
        self._printed.set()

    async def tell(self) -> None:
        """Notify the client while the command prints, and now and then while it does not."""
        while True:
            with anyio.move_on_after(_SILENCE):
                await self._printed.wait()
            self._printed, text, self._text = anyio.Event(), self._text, ""
            await self._context.report_progress(time.monotonic() - self._began, message=_text(text) or None)
            await anyio.sleep(_PERIOD)


@asynccontextmanager
async def _progress(context: Context[Any, Any]) -> AsyncIterator[_Progress]:
    """The progress of a command, told until the block ends. An error of the block is raised as it is."""
    told = _Progress(context)
    raised: SolvenError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(told.tell)
        try:
            yield told
        except SolvenError as error:  # not in a group of errors
            raised = error
        finally:
            group.cancel_scope.cancel()
    if raised is not None:
        raise raised


def _answer(text: str = "", note: str = "") -> CallToolResult:
    """A result: what the workspace says, and apart from that what we say of it."""
    content: list[ContentBlock] = [TextContent(text=_text(each)) for each in (text, note) if each]
    return CallToolResult(content=content or [TextContent(text="(nothing)")])


def _refusal(error: SolvenError) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=_text(str(error)))], is_error=True)


def _text(text: str) -> str:
    """The text without lone surrogates, which no JSON document can have: names of files that are no UTF-8 give them."""
    return text.encode(errors="backslashreplace").decode()


def _image(path: str, kind: str, data: bytes) -> CallToolResult:
    if len(data) > _LARGEST_IMAGE:
        raise UsageError(
            f"the image has {len(data):,} bytes, more than the {_LARGEST_IMAGE:,} that models take",
            location=printable(path),
            fix="Make a smaller one by a command, and read that.",
        )
    image = ImageContent(data=base64.b64encode(data).decode(), mime_type=kind)
    return CallToolResult(content=[image, TextContent(text=f"{kind}, {counted(len(data), 'byte')}")])


def _lines(data: bytes, offset: int, limit: int) -> CallToolResult:
    """Some lines of a text file: as many as one answer may have, with a note of what was left out."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    shown, room, is_cut = [], _KEPT, False
    for line in lines[offset - 1 : offset - 1 + limit]:
        text = line.decode(errors="replace")
        is_cut |= len(text) > _LONGEST_LINE
        text = text[:_LONGEST_LINE]
        room -= len(text.encode()) + 1
        if room < 0:
            break
        shown.append(text)
    last = offset - 1 + len(shown)
    notes = [f"{counted(len(lines), 'line')}" if last >= len(lines) and offset == 1 else ""]
    if not shown:
        notes = [f"no lines: the file has {counted(len(lines), 'line')}"]
    elif offset > 1 or last < len(lines):
        notes = [f"lines {offset:,} to {last:,} of {len(lines):,}"]
    if shown and last < len(lines):
        notes.append(f"go on with offset {last + 1}")
    if is_cut:
        notes.append(f"lines of more than {_LONGEST_LINE:,} characters are cut")
    if "�" in "".join(shown) and not _is_utf8(data):
        notes.append("it is not UTF-8: bytes that are none are shown as �")
    return _answer("\n".join(shown), "; ".join(filter(None, notes)))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(result: Result, keep: str) -> str:
    """The output as text; where it was cut, without the half character at the cut."""
    data = result.stdout_bytes
    if result.truncated and keep == "tail":
        start = next((at for at in range(min(4, len(data))) if data[at] & 0xC0 != 0x80), 0)
        data = data[start:]
    text = data.decode(errors="replace")
    return text.removesuffix("�") if result.truncated and keep == "head" else text


def _told_end(result: Result, keep: str, most: int) -> str:
    """The end of a command, and what of its output is missing."""
    told = [f"exit status {result.exit_code}, {result.seconds:.1f} s"]
    if result.truncated:
        kept = f"only the {'last' if keep == 'tail' else 'first'} {counted(most, 'byte')} of the output are shown"
        told.append(f"{kept}: raise max_output, or let the command write to a file and read parts of it")
    told += [
        f"its time was up ({each.value})"
        if each.limit == "timeout"
        else f"limit {'reached' if each.is_certain else 'probably reached'}: {each.limit} ({each.value})"
        for each in result.limits
    ]
    return "; ".join(told)


def _told_mistake(mistake: Any) -> str:
    where = ".".join(map(str, mistake["loc"][:1])) or "arguments"
    return f"{where}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}"


def _plain(docstring: str | None) -> str:
    """A docstring on as many lines as it has paragraphs."""
    paragraphs = (docstring or "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()
