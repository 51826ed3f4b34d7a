"""Files of a session, as its commands see them: what `Files` does, as coroutines."""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
import re
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from solven_env.errors import (
    DeniedError,
    DirectoryFoundError,
    ExistingFileError,
    FileError,
    FileTooLargeError,
    MissingFileError,
    NoDirectoryError,
    SandboxError,
    UsageError,
    printable,
)
from solven_env.programs.host_files import (
    beneath,
    check_replaceable,
    made,
    made_beneath,
    on_host,
    opened_beneath,
    opened_source,
    pour,
    put,
    read_opened,
    tree,
    without_slash,
)
from solven_env.programs.result import FileInfo, Match
from solven_env.sandbox.file_access import Refused
from solven_env.system.effects import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from solven_env.programs.core import Core
    from solven_env.run.execute import Launch
    from solven_env.sandbox.file_access import FileAccess, FileAnswer
    from solven_env.sandbox.launch_plan import LaunchPlan

MOST_READ = 16 << 20
"""Bytes of a file that are read unless the caller says otherwise."""
MOST_LISTED = 10_000
MOST_MATCHES = 1_000
_LONGEST_PATH = 4095
"""Bytes; PATH_MAX in limits.h, whose last byte ends the path."""
_LONGEST_TEXT = 4096
_VISITED = 1_000_000
"""Entries that `glob` and a download look at."""
_KEPT = 4
"""Connections that are kept."""
_KINDS = {
    errno.ENOENT: (MissingFileError, "there is nothing of this name inside"),
    errno.EEXIST: (ExistingFileError, "there is something of this name already"),
    errno.ENOTEMPTY: (FileError, "the directory is not empty"),
    errno.EISDIR: (DirectoryFoundError, "it is a directory"),
    errno.ENOTDIR: (NoDirectoryError, "it, or a part of its path, is no directory"),
    errno.EACCES: (DeniedError, "the sandbox's user may not do that"),
    errno.EPERM: (DeniedError, "the sandbox's user may not do that"),
    errno.EROFS: (DeniedError, "it is read-only inside"),
}


class FileCore:
    """The files of a sandbox. Several calls at once have a connection each, which are kept for the next ones."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._free: list[FileAccess] = []
        self._plan: LaunchPlan | None = None

    async def read(self, path: str, *, offset: int, max_bytes: int) -> bytes:
        """See `Files.read`."""
        _check_count("offset", offset)
        _check_count("max_bytes", max_bytes)
        value, opened = await self._ask("read", path, offset=offset)
        if opened is not None:
            value = await Blocking(lambda: read_opened(opened, offset, max_bytes + 1))
        if not isinstance(value, bytes):
            raise _strange()
        if len(value) > max_bytes:
            raise _too_large(path, max_bytes)
        return value

    async def write(self, path: str, data: bytes | str, *, mode: int | None, parents: bool, exclusive: bool) -> None:
        """See `Files.write`."""
        if not isinstance(data, bytes | bytearray | memoryview | str):
            raise UsageError(f"data: text or bytes are needed, not {type(data).__name__}")
        try:
            content = data.encode() if isinstance(data, str) else bytes(data)
        except UnicodeEncodeError:
            raise UsageError("data: it has a lone surrogate, which is no character", fix="Pass bytes.") from None
        await self._ask("write", path, content, mode=_mode(mode), parents=bool(parents), exclusive=bool(exclusive))

    async def list_directory(self, path: str, *, depth: int, limit: int) -> list[FileInfo]:
        """See `Files.list`."""
        _check_count("depth", depth)
        _check_count("limit", limit)
        found: list[FileInfo] = []
        if depth:
            await self._ask("walk", path, more=lambda each: found.append(_info(each)), depth=depth, most=limit)
        return found

    async def stat(self, path: str) -> FileInfo:
        """See `Files.stat`."""
        return _info((await self._ask("stat", path, follow=True)).value)

    async def exists(self, path: str) -> bool:
        """See `Files.exists`."""
        try:
            await self.stat(path)
        except (MissingFileError, NoDirectoryError):
            return False
        except FileError as error:
            if error.errno != errno.ELOOP:
                raise
            return False
        return True

    async def realpath(self, path: str) -> str:
        """See `Files.realpath`."""
        return _text((await self._ask("realpath", path)).value)

    async def make_dir(self, path: str, *, parents: bool) -> None:
        """See `Files.make_dir`."""
        await self._ask("make_dir", path, parents=bool(parents))

    async def remove(self, path: str, *, recursive: bool) -> None:
        """See `Files.remove`."""
        await self._ask("remove", path, recursive=bool(recursive))

    async def rename(self, source: str, target: str) -> None:
        """See `Files.rename`."""
        await self._ask("rename", source, target=_absolute(target, (await self._launch()).request.directory))

    async def matching(self, pattern: str, path: str, *, limit: int) -> list[str]:
        """See `Files.glob`."""
        _check_count("limit", limit)
        top = os.fsdecode(_absolute(path, (await self._launch()).request.directory))
        matches = re.compile(translated(pattern))
        prefix = top.rstrip("/") + "/"
        depth = 1 << 30 if "**" in pattern.split("/") else pattern.count("/") + 1
        found: list[str] = []

        def look(each: dict[str, Any]) -> None:
            name = _info(each).path
            if len(found) < limit and matches.fullmatch(name.removeprefix(prefix)):
                found.append(name)

        await self._ask("walk", path, more=look, depth=depth, most=_VISITED)
        return found

    async def grep(self, text: str, path: str, *, glob: str | None, limit: int) -> list[Match]:
        """See `Files.grep`."""
        _check_count("limit", limit)
        if not text or "\n" in text or len(text) > _LONGEST_TEXT:
            raise UsageError(f"text: one line of text is needed, of {_LONGEST_TEXT:,} characters at most")
        found: list[Match] = []
        matches = None if glob is None else re.compile(translated(glob))

        def look(each: dict[str, Any]) -> None:
            match = _match(each)
            if len(found) < limit and (matches is None or matches.fullmatch(posixpath.basename(match.path))):
                found.append(match)

        # With a glob the server does not know which of its lines count.
        most = limit if glob is None else _VISITED
        await self._ask("grep", path, more=look, text=_encoded("text", text), most=most)
        return found

    async def upload(self, source: str | Path, target: str) -> None:
        """See `Files.upload`."""
        source = os.fspath(source)
        opened = await Blocking(lambda: on_host(source, lambda: opened_source(source)))
        try:
            mode = stat.S_IMODE(os.fstat(opened).st_mode) & 0o777
            if stat.S_ISREG(os.fstat(opened).st_mode):
                await self._upload_file(opened, target, mode)
            else:
                await self._upload_tree(opened, source, target, mode)
        finally:
            os.close(opened)

    async def _upload_tree(self, top: int, source: str, target: str, mode: int) -> None:
        entries = await Blocking(lambda: on_host(source, lambda: tree(top)))
        await self._ask("make_dir", target, parents=True, mode=mode | 0o700)
        for each in entries:
            inside = posixpath.join(target, *each.parts)
            if each.target is not None:
                await self._have_link(inside, os.fsencode(each.target))
            elif each.is_directory:
                await self._ask("make_dir", inside, parents=True, mode=each.mode | 0o700)
            else:
                await self._upload_beneath(top, each.parts, inside, each.mode)

    async def _upload_beneath(self, top: int, parts: tuple[str, ...], target: str, mode: int) -> None:
        opened = await Blocking(lambda: on_host("/".join(parts), lambda: opened_beneath(top, parts)))
        try:
            await self._upload_file(opened, target, mode)
        finally:
            os.close(opened)

    async def _have_link(self, inside: str, target: bytes) -> None:
        try:
            await self._ask("link", inside, target=target)
        except ExistingFileError:
            await self.remove(inside, recursive=False)
            await self._ask("link", inside, target=target)

    async def _upload_file(self, opened: int, target: str, mode: int) -> None:
        await self._ask("write", target, opened, mode=mode, parents=True, exclusive=False)

    async def download(self, source: str, target: str | Path | int) -> None:
        """See `Files.download`."""
        if isinstance(target, int):
            await self._take(source, partial(pour, target))
            return
        found, target = await self.stat(source), without_slash(os.fspath(target))
        if found.kind != "directory":
            await Blocking(lambda: on_host(target, lambda: check_replaceable(target)))
            await self._download_file(source, None, target, found.mode)
            return
        entries: list[FileInfo] = []
        prefix = os.fsdecode(_absolute(source, (await self._launch()).request.directory)).rstrip("/") + "/"
        walked = await self._ask(
            "walk", source, more=lambda each: entries.append(_info(each)), depth=1 << 30, most=_VISITED, whole=True
        )
        if walked.value is not True:
            raise UsageError(f"it has more than {_VISITED:,} entries", fix="Pack it by a command, and copy the file.")
        top = await Blocking(lambda: on_host(target, lambda: made(target, found.mode)))
        try:
            for each in entries:
                if each.kind != "other":
                    await self._download_entry(top, prefix, each)
        finally:
            os.close(top)

    async def _download_entry(self, top: int, prefix: str, each: FileInfo) -> None:
        """Make what an entry names beneath an open directory of the host, through no link."""
        parts = each.path.removeprefix(prefix).split("/")
        if not each.path.startswith(prefix) or {"", ".", ".."} & set(parts):
            raise _strange()
        *above, name = parts
        directory = on_host(each.path, lambda: beneath(top, above))
        try:
            if each.kind == "file":
                with suppress(MissingFileError):  # it was removed meanwhile
                    await self._download_file(each.path, directory, name, each.mode)
            else:
                await Blocking(lambda: on_host(each.path, lambda: made_beneath(directory, name, each)))
        finally:
            os.close(directory)

    async def _download_file(self, source: str, directory: int | None, name: str, mode: int) -> None:
        await self._take(source, lambda content: on_host(name, lambda: put(directory, name, content, mode)))

    async def _take(self, source: str, call: Callable[[bytes | int], object]) -> None:
        """Give what a file has, as bytes or as its descriptor, to a call that may wait."""
        value, opened = await self._ask("read", source, offset=0)
        if opened is None and not isinstance(value, bytes):
            raise _strange()
        content = value if opened is None else opened
        try:
            await Blocking(lambda: call(content))
        finally:
            if opened is not None:
                os.close(opened)

    # Asking

    async def _ask(
        self,
        call: str,
        path: str,
        data: bytes | int | None = None,
        more: Callable[[dict[str, Any]], None] | None = None,
        **values: Any,
    ) -> FileAnswer:
        launch = await self._launch()
        try:
            return await self._ask_inside(launch, call, path, data, more, values)
        finally:
            launch.let_go()

    async def _ask_inside(
        self,
        launch: Launch,
        call: str,
        path: str,
        data: bytes | int | None,
        more: Callable[[dict[str, Any]], None] | None,
        values: dict[str, Any],
    ) -> FileAnswer:
        absolute = _absolute(path, launch.request.directory)
        for is_last in (False, True):
            access = await self._access(launch)
            try:
                answer = await access.ask(call, data, more, path=absolute, **values)
            except Refused as refused:
                self._keep(access, launch)
                raise _error(refused, absolute) from None
            except ConnectionError as error:
                # Asked once more, if it changes nothing and gave nothing: a server that is gone may have done it.
                if is_last or call not in ("read", "stat", "realpath"):
                    raise SandboxError("the session ended meanwhile", fix="Try again.") from error
            else:
                self._keep(access, launch)
                return answer
        raise AssertionError

    async def _launch(self) -> Launch:
        """A command as it would start now: what it sees is what is read and written."""
        core = self.core
        nothing = core.request(["true"], None, None, None, None, (None, None, None))
        launch: Launch = await Blocking(lambda: core.commands.apply_without_secrets(nothing))
        return launch

    async def _access(self, launch: Launch) -> FileAccess:
        """A connection that nobody uses, with the root that commands have now."""
        if launch.plan is not self._plan:
            self.close()
            self._plan = launch.plan
        while self._free:
            access = self._free.pop()
            if access.is_open:
                return access
        bounded = launch.request.limits.disk is not None
        made: FileAccess = await Blocking(
            lambda: launch.backend.reach_files(launch.plan, self.core.keep_alive, launch.runtime, bounded=bounded)
        )
        return made

    def _keep(self, access: FileAccess, launch: Launch) -> None:
        """Have a connection for a next call, if that sees the same root; each takes a process of the session."""
        if launch.plan is self._plan and len(self._free) < _KEPT:
            self._free.append(access)
        else:
            access.close()

    def close(self) -> None:
        """Let all connections go."""
        while self._free:
            self._free.pop().close()


def _absolute(path: str, workdir: str) -> bytes:
    """The path from the root on, as bytes; UsageError for what is none."""
    if not isinstance(path, str):
        raise UsageError(f"path: text is needed, not {type(path).__name__}")
    if not path:
        raise UsageError("path: it is empty", fix="Name a file inside, or . for the working directory.")
    whole = posixpath.join(workdir, path)
    parts = [part for part in whole.split("/") if part not in ("", ".")]  # what `..` leads to depends on links
    encoded = _encoded("path", "/" + "/".join(parts) + "/" * (whole.endswith("/") and bool(parts)))
    if len(encoded) > _LONGEST_PATH:
        raise UsageError(f"path: it has {len(encoded):,} bytes, and the kernel takes {_LONGEST_PATH:,}")
    return encoded


def translated(pattern: str) -> str:
    """The regular expression of a glob pattern over a whole path: `**` is any number of directories.

    >>> bool(re.fullmatch(translated("src/**/*.py"), "src/a/b.py"))
    True
    """
    if not isinstance(pattern, str) or not pattern or pattern.startswith("/"):
        raise UsageError(f"pattern: {pattern!r} is none", fix="Write it relative to path, as *.py or src/**/*.py.")
    made = []
    for part in pattern.split("/"):
        if part == "**":
            made.append("(?:[^/]+/)*")
            continue
        text = ""
        for piece in re.findall(r"\*+|\?|\[!?\]?[^\]]*\]|.", part, re.DOTALL):
            if piece[0] == "*":
                text += "[^/]*"
            elif piece == "?":
                text += "[^/]"
            elif len(piece) > 2 and piece[0] == "[":
                text += f"(?!/){fnmatch.translate(piece).removeprefix('(?s:')[:-3]}"
            else:
                text += re.escape(piece)
        made.append(f"{text}/")
    whole = "".join(made)
    return whole.removesuffix("/") if pattern.split("/")[-1] != "**" else f"{whole}[^/]+"


def _error(refused: Refused, asked: bytes) -> FileError:
    path = printable(os.fsdecode(refused.path or asked))
    number = refused.number
    if refused.kind:
        return FileError(f"it is no regular file, but of the kind {refused.kind}", number=number, location=path)
    kind, message = _KINDS.get(number, (FileError, os.strerror(number)))
    return kind(message, number=number, location=path)


def _strange() -> SandboxError:
    return SandboxError("the session's file server gives what was not asked for", fix="End the session with stop.")


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise _strange()
    return os.fsdecode(value)


def _info(each: Any) -> FileInfo:
    """The entry, each of its values checked."""
    try:
        path, kind, target = each["path"], each["kind"], each["target"]
        size, mode, mtime = each["size"], each["mode"], each["mtime"]
    except (KeyError, TypeError) as error:
        raise _strange() from error
    is_known = kind in ("file", "directory", "link", "other") and all(isinstance(n, int) for n in (size, mode, mtime))
    if not is_known or size < 0:
        raise _strange()
    return FileInfo(_text(path), kind, size, stat.S_IMODE(mode), mtime / 1e9, None if target is None else _text(target))


def _match(each: Any) -> Match:
    try:
        path, line, text = each["path"], each["line"], each["text"]
    except (KeyError, TypeError) as error:
        raise _strange() from error
    if not isinstance(line, int) or not isinstance(text, bytes):
        raise _strange()
    return Match(_text(path), line, text.decode(errors="replace")[:500])


def _encoded(field: str, text: str) -> bytes:
    if "\0" in text:
        raise UsageError(f"{field}: it has a NUL character (U+0000)")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{field}: it has a lone surrogate, which is no character") from None


def _check_count(field: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise UsageError(f"{field}: a number is needed, 0 or more")


def _mode(mode: int | None) -> int | None:
    if mode is not None and (not isinstance(mode, int) or isinstance(mode, bool) or not 0 <= mode <= 0o777):
        raise UsageError(f"mode: {mode!r} is none", fix="Write it as 0o644, without special bits.")
    return mode


def _too_large(path: str, most: int) -> FileTooLargeError:
    return FileTooLargeError(
        f"it has more than {most:,} bytes",
        number=errno.EFBIG,
        location=printable(path),
        fix="Raise max_bytes, or read a part of it by a command.",
    )
