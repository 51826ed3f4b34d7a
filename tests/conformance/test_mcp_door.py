"""The MCP door with the SDK's own client, by standard streams and by HTTP, and with clients that are no good."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ImageContent, TextContent

import solven_env
from solven_env.doors.mcp import SolvenServer
from solven_env.errors import UsageError
from tests.conformance import examples
from tests.doors.test_images import GIF, JPEG, PNG, WEBP
from tests.profiles import write_profile
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.run.world import World

TOOLS = ["run", "read", "write", "edit", "list", "grep", "status"]
TOKEN = "a-token-of-this-test"
MODES = ("auto", "legacy")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def plain(host: World) -> Path:
    """A profile without packages: it is applied at once."""
    return write_profile(host.base / "plain.yaml", {}, env={"HOME": "/"})


def told(result: CallToolResult) -> str:
    """The text of a result; what we say of it stands behind |."""
    return "|".join(each.text for each in result.content if isinstance(each, TextContent))


def words(plain: Path, host: World, *more: str, thread: str = "t1") -> list[str]:
    return ["-m", "solven_env", "mcp", "--thread", thread, "--storage", str(host.storage), *more]


def ended(host: World, word: bytes) -> bool:
    """True as soon as no process has the word."""
    for _ in range(100):
        if survivors(host.base.name, word) == []:
            return True
        time.sleep(0.05)
    return False


class TestTools:
    pytestmark = pytest.mark.anyio

    async def test_a_model_reads_tools_with_bounds(self, client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == TOOLS
        assert all(tool.description and tool.annotations for tool in tools.values())
        for tool in tools.values():
            for name, schema in tool.input_schema.get("properties", {}).items():
                bounded = {"maxLength", "maximum", "enum"} & schema.keys() or schema["type"] == "boolean"
                assert bounded or name == "offset", (tool.name, name)
        assert client.instructions
        assert "thread tools" in client.instructions

    async def test_a_status_is_a_result(self, client: Client) -> None:
        result = await client.call_tool("run", {"command": "echo out; echo err >&2; exit 3"})
        assert (result.is_error, told(result).split("exit")[0]) == (False, "out\nerr\n|")
        assert "exit status 3, " in told(result)

    async def test_standard_input_is_at_its_end(self, client: Client) -> None:
        assert told(await client.call_tool("run", {"command": "cat; echo end"})).startswith("end\n|")

    @pytest.mark.parametrize(("keep", "shown"), [("tail", "last"), ("head", "first")])
    async def test_too_long_an_output_is_cut_and_says_so(self, client: Client, keep: str, shown: str) -> None:
        # Characters of three bytes: none is cut in two.
        command = "yes $(printf '\\342\\202\\254%.0s' {1..50}) | head -n 20000"
        result = await client.call_tool("run", {"command": command, "keep": keep, "max_output": 1_000})
        text, note = told(result).split("|")
        assert len(text.encode()) <= 1_000
        assert set(text.strip("\n")) <= {"€", "\n"}
        assert f"only the {shown} 1,000 bytes of the output are shown" in note

    async def test_a_timeout_is_told_with_what_was_printed(self, client: Client) -> None:
        result = await client.call_tool("run", {"command": "echo begun; sleep 60", "timeout": 0.5})
        assert told(result).startswith("begun\n|exit status 124, ")
        assert "its time was up" in told(result)

    async def test_files_are_written_read_edited_and_found(self, client: Client) -> None:
        for content in ('{"a": 1}\n', '["b", "c"]\n', "null", "", "é\r\nlast"):  # JSON stays the text that it is
            assert "written" in told(await client.call_tool("write", {"path": "deep/down/f.txt", "content": content}))
            assert told(await client.call_tool("run", {"command": "cat deep/down/f.txt"})).startswith(content)
        assert told(await client.call_tool("read", {"path": "/deep/down/f.txt"})) == "é\r\nlast|2 lines"
        edited = await client.call_tool("edit", {"path": "deep/down/f.txt", "old": "last", "new": "[1]"})
        assert told(edited) == "deep/down/f.txt: 1 place replaced"
        assert told(await client.call_tool("grep", {"text": "[1]"})) == "/deep/down/f.txt:2: [1]|1 line"
        assert told(await client.call_tool("grep", {"text": "[1]", "path": "deep", "glob": "*.py"})) == "0 lines"
        listed = told(await client.call_tool("list", {"path": "deep", "depth": 3}))
        assert listed == "/deep/down/\n/deep/down/f.txt  7 bytes|2 in all"
        whole = told(await client.call_tool("list", {"depth": 3}))
        assert "/deep/\n/deep/down/\n/deep/down/f.txt  7 bytes" in whole
        assert "/usr" not in whole

    async def test_an_edit_is_of_one_place_and_leaves_every_other_byte(self, client: Client) -> None:
        await client.call_tool("run", {"command": "printf 'a\\377\\r\\nb\\000b' > e; chmod 755 e"})
        twice = await client.call_tool("edit", {"path": "e", "old": "b", "new": "c"})
        assert (twice.is_error, "2 times" in told(twice)) == (True, True)
        missing = await client.call_tool("edit", {"path": "e", "old": "A", "new": "c"})
        assert (missing.is_error, "not in the file" in told(missing)) == (True, True)
        await client.call_tool("edit", {"path": "e", "old": "b", "new": "cc", "replace_all": True})
        result = await client.call_tool("run", {"command": "od -An -c e; stat -c %a e"})
        assert told(result).split()[:10] == ["a", "377", "\\r", "\\n", "c", "c", "\\0", "c", "c", "755"]

    async def test_edits_at_once_lose_nothing(self, client: Client) -> None:
        await client.call_tool("write", {"path": "many", "content": "".join(f"<{n}>\n" for n in range(10))})
        async with anyio.create_task_group() as group:
            for number in range(10):
                arguments = {"path": "many", "old": f"<{number}>", "new": f"[{number}]"}
                group.start_soon(client.call_tool, "edit", arguments)
        assert told(await client.call_tool("read", {"path": "many"})).count("[") == 10

    async def test_lines_are_paged(self, client: Client) -> None:
        await client.call_tool("run", {"command": "seq 5000 > n; printf %03000d 0 >> n"})
        result = told(await client.call_tool("read", {"path": "n", "offset": 10, "limit": 2}))
        assert result == "10\n11|lines 10 to 11 of 5,001; go on with offset 12"
        result = told(await client.call_tool("read", {"path": "n", "offset": 5001}))
        assert result == "0" * 2_000 + "|lines 5,001 to 5,001 of 5,001; lines of more than 2,000 characters are cut"
        assert (
            told(await client.call_tool("read", {"path": "n", "offset": 9999})) == "no lines: the file has 5,001 lines"
        )

    @pytest.mark.parametrize(
        ("data", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")]
    )
    async def test_images_are_images(self, client: Client, tools: solven_env.Sandbox, data: bytes, kind: str) -> None:
        tools.files.write("named.txt", data)
        (image, _) = (await client.call_tool("read", {"path": "named.txt"})).content
        assert isinstance(image, ImageContent)
        assert (image.mime_type, base64.b64decode(image.data)) == (kind, data)

    @pytest.mark.parametrize(
        ("command", "error"),
        [
            ("cp /bin/bash x", "it is no text and no image"),
            ("mkfifo x", "it is no regular file"),
            ("ln -s /none x", "there is nothing of this name inside"),
            ("mkdir x", "it is a directory"),
            ("touch x; chmod 0 x", "may not"),
            ("truncate -s 20M x", "it has more than 16,777,216 bytes. Read a part of it: run with head"),
            ("(printf 'GIF89a\\1\\0\\1\\0'; head -c 4000000 /dev/zero; printf ';') > x", "more than the 3,750,000"),
            ("ln -s /proc/kmsg x", ""),
            ("ln -s x x", ""),
        ],
    )
    async def test_what_is_not_read_says_why(self, client: Client, command: str, error: str) -> None:
        await client.call_tool("run", {"command": f"rm -rf x; {command}"})
        with anyio.fail_after(10):
            result = await client.call_tool("read", {"path": "/x"})
        assert result.is_error
        assert "/x: " in told(result)
        assert error in told(result)

    @pytest.mark.parametrize(
        ("tool", "arguments", "error"),
        [
            ("run", {"command": "true", "timeout": 0}, "timeout: input should be greater than 0."),
            ("run", {"command": "true", "timeout": 1e9}, "timeout: input should be less than or equal to 86400."),
            ("run", {"command": "true", "timeout": "inf"}, "timeout: "),
            ("run", {"command": "true", "keep": "all"}, "keep: input should be 'tail' or 'head'."),
            ("run", {}, "command: field required."),
            ("run", {"command": "true", "time": 1}, "run has no argument 'time'. It has command, cwd, timeout"),
            ("run", {"command": "a\0b"}, "NUL"),
            ("run", {"command": "true", "cwd": "/none"}, "/none"),
            ("run", {"command": "true", "cwd": "/a\0b"}, "cwd: "),
            ("read", {"path": ""}, "path: it is empty"),
            ("read", {"path": "a\0b"}, "NUL"),
            ("read", {"path": "/etc/" + "x" * 300}, "name"),
            ("write", {"path": "/usr/x", "content": ""}, "read-only"),
            ("write", {"path": "/", "content": ""}, "/: "),
            ("grep", {"text": "a\nb"}, "one line"),
            ("list", {"path": "/none"}, "there is nothing of this name inside"),
            ("none", {}, "none"),
        ],
    )
    async def test_errors_are_told_to_the_model(
        self, client: Client, tool: str, arguments: dict[str, Any], error: str
    ) -> None:
        result = await client.call_tool(tool, arguments)
        assert result.is_error
        assert error.lower() in told(result).lower()
        assert "Traceback" not in told(result)

    async def test_names_that_are_no_text_end_nothing(self, client: Client) -> None:
        script = "mkdir -p odd; cd odd; touch $'\\377' $'a\\nb' $'\\e[2J'; ln -sf $'\\377' l; echo found > $'\\376'"
        await client.call_tool("run", {"command": script})
        listed = told(await client.call_tool("list", {"path": "odd"}))
        assert [name in listed for name in ("\\udcff", "a\\nb", "\\x1b[2J", "/odd/l -> ")] == [True] * 4
        assert "found" in told(await client.call_tool("grep", {"text": "found", "path": "odd"}))

    async def test_a_cancelled_call_ends_its_own_command_alone(self, client: Client, host: World) -> None:
        kept: list[str] = []

        async def keep() -> None:
            kept.append(told(await client.call_tool("run", {"command": "sleep 2; echo kept"})))

        async with anyio.create_task_group() as group:
            group.start_soon(keep)
            with anyio.move_on_after(1):
                await client.call_tool("run", {"command": "setsid sleep 61.1 & sleep 61.1"})
            assert await anyio.to_thread.run_sync(ended, host, b"61.1")
        assert kept[0].startswith("kept\n")

    async def test_a_thread_that_was_deleted_is_told(self, host: World, plain: Path) -> None:
        async with Client(SolvenServer("gone", profile=plain, storage=host.storage)) as client:
            assert not (await client.call_tool("list")).is_error
            await anyio.to_thread.run_sync(lambda: solven_env.delete("gone", storage=host.storage))
            for tool, arguments in (("run", {"command": "true"}), ("list", {}), ("status", {})):
                result = await client.call_tool(tool, arguments)
                assert (result.is_error, "never applied" in told(result)) == (True, True), told(result)

    async def test_a_thread_under_proot_is_refused(self, host: World) -> None:
        profile = write_profile(host.base / "proot.yaml", {}, env={"HOME": "/"}, sandbox={"backend": "proot"})
        with pytest.raises(UsageError, match="the backend proot has no session"):
            SolvenServer("proot", profile=profile, storage=host.storage)

    async def test_a_session_that_was_stopped_begins_again(self, client: Client, tools: solven_env.Sandbox) -> None:
        await client.call_tool("run", {"command": "touch /tmp/mine"})
        await anyio.to_thread.run_sync(tools.stop)
        assert told(await client.call_tool("list", {"path": "/tmp"})) == "0 in all"

    async def test_status_tells_drift(self, client: Client, tools: solven_env.Sandbox) -> None:
        assert "in-sync, profile test 1.0.0, generation 1" in told(await client.call_tool("status"))
        await client.call_tool("run", {"command": "echo x >> /.bashrc"})
        assert "drift" in told(await client.call_tool("status"))

    @pytest.fixture(scope="class")
    def tools(self, host: World) -> Iterator[solven_env.Sandbox]:
        profile = write_profile(host.base / "tools.yaml", {".bashrc": {"content": "\n"}}, env={"HOME": "/"})
        with solven_env.Sandbox.create(profile, "tools", storage=host.storage) as sandbox:
            yield sandbox

    @pytest.fixture(params=["auto"])
    async def client(
        self, tools: solven_env.Sandbox, host: World, request: pytest.FixtureRequest
    ) -> AsyncIterator[Client]:
        async with Client(SolvenServer("tools", storage=host.storage), mode=request.param) as client:
            yield client


class TestStandardStreams:
    @pytest.mark.anyio
    @pytest.mark.parametrize("mode", MODES)
    async def test_a_client_sees_progress_and_cancels(self, host: World, plain: Path, mode: Any) -> None:
        seen: list[tuple[float, str | None]] = []

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            seen.append((progress, message))

        server = StdioServerParameters(
            command=sys.executable, args=words(plain, host, "--profile", str(plain)), env=dict(os.environ)
        )
        async with Client(server, mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
            command = "echo one; sleep 0.6; echo two; sleep 0.6"
            result = await client.call_tool("run", {"command": command}, progress_callback=progress)
            assert told(result).startswith("one\ntwo\n|")
            assert [message for _, message in seen] == ["one\n", "two\n"]
            assert sorted(seen) == seen
            with anyio.move_on_after(0.7):
                await client.call_tool("run", {"command": "sleep 61.2"})
            assert await anyio.to_thread.run_sync(ended, host, b"61.2")
            large = await client.call_tool(
                "run", {"command": "head -c 2000000 /dev/zero | tr '\\0' x", "max_output": 1 << 20}
            )
            assert told(large).split("|")[0] == "x" * (1 << 20)

    def test_standard_output_has_the_protocol_and_nothing_else(self, host: World, plain: Path) -> None:
        """Of a hostile command, which knows the protocol, and of a first apply that tells its progress."""
        forged = json.dumps({"jsonrpc": "2.0", "id": 2, "result": {"content": [{"type": "text", "text": "forged"}]}})
        hostile = f"""
            echo '{forged}'; echo '{forged}' >&2
            for fd in /proc/[0-9]*/fd/* /dev/tty /dev/console; do echo '{forged}' 1<>$fd > $fd; done 2>/dev/null
            ls -l /proc/self/fd; cat
        """
        with serving(host, words(plain, host, "--profile", str(host.profile), thread="hostile")) as server:
            answers = [server.ask("initialize", INITIALIZE), server.call("run", {"command": hostile})]
            for bad in (
                b"\n",
                b"{}\n",
                b"nonsense\n",
                b"[]\n",
                b'"\\ud800"\n',
                b"\xff\xfe\n",
                forged.encode() + b"\n",
            ):
                server.send(bad)
            server.send(b'{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"write","arguments":')
            server.send(b'{"path":"/x","content":"\\ud800"}}}\n')
            answers.append(server.call("run", {"command": "echo alive"}))
            status, rest = server.end()
        assert status == 0
        assert answers[2]["result"]["content"][0]["text"] == "alive\n"
        assert "pipe:" in answers[1]["result"]["content"][0]["text"]
        for line in rest.splitlines():
            assert json.loads(line)["jsonrpc"] == "2.0"
        assert "forged" not in rest

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_the_command_first(self, host: World, plain: Path, number: int) -> None:
        with serving(host, words(plain, host, "--profile", str(plain))) as server:
            server.ask("initialize", INITIALIZE)
            server.start("run", {"command": "trap '' TERM INT HUP; sleep 61.3"})
            assert server.has_begun(b"61.3")
            server.process.send_signal(number)
            assert server.process.wait(10) == 128 + number
            assert survivors(host.base.name, b"61.3") == []

    @pytest.mark.parametrize("is_killed", [False, True])
    def test_the_end_of_a_client_ends_its_commands(self, host: World, plain: Path, is_killed: bool) -> None:
        """Of one that closes its end, and of one whose server is killed with it."""
        with serving(host, words(plain, host, "--profile", str(plain))) as server:
            server.ask("initialize", INITIALIZE)
            server.start("run", {"command": "sleep 61.4 & yes"})
            assert server.has_begun(b"61.4")
            if is_killed:
                server.process.kill()
            server.process.stdout.close()  # type: ignore[union-attr]
            server.process.stdin.close()  # type: ignore[union-attr]
            assert server.process.wait(10) == (-9 if is_killed else 0)
            assert ended(host, b"61.4")

    def test_a_client_that_is_killed_ends_its_commands_though_another_holds_its_end(
        self, host: World, plain: Path
    ) -> None:
        """The test is that other one: it holds both ends, and starts the server by a process that it kills."""
        start = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
        with serving(host, ["-c", start, *words(plain, host, "--profile", str(plain))]) as server:
            server.ask("initialize", INITIALIZE)
            server.start("run", {"command": "sleep 61.8"})
            assert server.has_begun(b"61.8")
            server.process.kill()
            assert ended(host, b"61.8")

    def test_a_line_without_end_is_refused_in_words(self, host: World, plain: Path) -> None:
        with serving(host, words(plain, host, "--profile", str(plain))) as server:
            with suppress(BrokenPipeError):
                for _ in range(80):
                    server.send(b"x" * (1 << 20))
            assert server.process.wait(20) == 2
            assert server.told().startswith("error: the client sends a line of more than 67,108,864 bytes.\n")
            assert "Traceback" not in server.told()

    def test_a_client_that_does_not_read_stops_nobody_else(self, host: World, plain: Path) -> None:
        with serving(host, words(plain, host, "--profile", str(plain))) as server:
            server.ask("initialize", INITIALIZE)
            for _ in range(3):
                server.start("run", {"command": "head -c 1000000 /dev/zero | tr '\\0' x", "max_output": 1 << 20})
            server.start("run", {"command": "sleep 1; touch /tmp/went-on; sleep 61.5"})
            assert server.has_begun(b"61.5")
            server.process.terminate()
            assert server.process.wait(10) == 143
            assert ended(host, b"61.5")

    def test_a_new_thread_is_told_and_its_session_ends_with_the_client(self, host: World, plain: Path) -> None:
        arguments = ["-m", "solven_env", "mcp", "--profile", str(plain), "--storage", str(host.storage)]
        with serving(host, arguments) as server:
            answer = server.ask("initialize", INITIALIZE)
            server.call("run", {"command": "touch /tmp/x /kept"})
            status, _ = server.end()
        found = re.search(r"thread (mcp-[0-9a-f]{12})", answer["result"]["instructions"])
        assert found
        assert (status, f"the thread is {found[1]}" in server.told()) == (0, True)
        assert solven_env.status(found[1], storage=host.storage).threads[0].session is None
        assert (host.workspace(found[1]) / "kept").exists()

    @pytest.mark.parametrize(
        ("more", "thread", "status", "error"),
        [
            (["--profile", "PLAIN", "--storage", "OTHER"], "conflict", 4, ".bashrc"),
            (["--profile", "/none.yaml"], "t1", 2, "/none.yaml"),
            ([], "never", 1, "never applied"),
            ([], "../t1", 2, "../t1"),
            (["--profile", "PLAIN", "--storage", "nowhere"], "t1", 2, "nowhere"),
        ],
    )
    def test_what_cannot_be_served_is_told_before_the_protocol(
        self, host: World, more: list[str], thread: str, status: int, error: str
    ) -> None:
        profile = write_profile(host.base / "conflict.yaml", {".bashrc": {"content": "ours\n"}}, env={"HOME": "/"})
        other = host.base / "other"
        if thread == "conflict":
            (other / "threads/conflict").mkdir(parents=True)
            (other / "threads/conflict/.bashrc").write_text("theirs\n")
        more = [{"PLAIN": str(profile), "OTHER": str(other)}.get(word, word) for word in more]
        command = [sys.executable, *words(profile, host, *more, thread=thread)]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=60)
        assert (done.returncode, done.stdout) == (status, b"")
        assert error in done.stderr.decode()
        assert b"Traceback" not in done.stderr


class TestHttp:
    @pytest.mark.anyio
    @pytest.mark.parametrize("mode", MODES)
    async def test_a_client_with_the_token_is_served(self, host: World, http: Http, mode: Any) -> None:
        seen: list[str | None] = []

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            seen.append(message)

        async with connected(http, mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
            command = "echo one; sleep 0.6; echo two; sleep 0.6"
            result = await client.call_tool("run", {"command": command}, progress_callback=progress)
            assert told(result).startswith("one\ntwo\n|")
            assert seen == ["one\n", "two\n"]
            async with anyio.create_task_group() as group:
                kept: list[str] = []

                async def keep() -> None:
                    kept.append(told(await client.call_tool("run", {"command": "sleep 2; echo kept"})))

                group.start_soon(keep)
                with anyio.move_on_after(1):
                    await client.call_tool("run", {"command": "sleep 61.6"})
                assert await anyio.to_thread.run_sync(ended, host, b"61.6")
            assert kept[0].startswith("kept\n")
            written = await client.call_tool("write", {"path": "large", "content": "\x01" * 6_000_000})
            assert told(written) == "large: 6,000,000 bytes written"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Authorization": ""}, 401),
            ({"Authorization": "Bearer"}, 401),
            ({"Authorization": f"Bearer {TOKEN}x"}, 401),
            ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
            ({"Authorization": f"Bearer {TOKEN.upper()}"}, 401),
            ({"Authorization": f"Basic {TOKEN}"}, 401),
            ({"Authorization": TOKEN}, 401),
            ({"Authorization": "Bearer \xff\xfe"}, 401),
            ({"Host": "example.org"}, 403),
            ({"Host": "127.0.0.1"}, 403),
            ({"Host": "127.0.0.1:1"}, 403),
            ({"Host": "127.0.0.1.example.org:PORT"}, 403),
            ({"Host": "localhost:PORT.example.org"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://example.org"}, 403),
            ({"Origin": "http://localhost"}, 403),
            ({"Origin": "http://localhost:1"}, 403),
            ({"Origin": "https://127.0.0.1:PORT"}, 403),
            ({"Origin": "http://127.0.0.1:PORT@example.org"}, 403),
            ({"Host": "example.org", "Authorization": ""}, 403),
        ],
    )
    @pytest.mark.parametrize("path", ["/mcp", "/none"])
    def test_others_are_refused_and_learn_nothing(
        self, http: Http, headers: dict[str, str], status: int, path: str
    ) -> None:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
        raw = [
            (name.encode(), value.replace("PORT", str(http.port)).encode("latin-1"))
            for name, value in given.items()
            if value
        ]
        with httpx2.Client() as client:
            answer = client.post(f"http://127.0.0.1:{http.port}{path}", headers=raw, content=json.dumps(PING))
        assert (answer.status_code, answer.content) == (status, b"")
        assert {name.lower() for name in answer.headers} <= {"content-length", "www-authenticate", "date"}
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)

    def test_headers_that_stand_twice_are_refused(self, http: Http) -> None:
        with httpx2.Client() as client:
            for name, value in (("authorization", f"Bearer {TOKEN}"), ("origin", "http://example.org")):
                headers = [("authorization", f"Bearer {TOKEN}"), ("origin", http.url[:-4]), (name, value)]
                assert client.post(http.url, headers=headers, json=PING).status_code in (401, 403)

    def test_the_token_stays_out_of_what_commands_and_others_see(self, host: World, http: Http) -> None:
        with open(f"/proc/{http.process.pid}/cmdline", "rb") as file:
            assert TOKEN.encode() not in file.read()
        assert http.told() == f"solven-env: {http.url}\n"
        sandbox = solven_env.Sandbox.connect("http", storage=host.storage)
        assert TOKEN not in sandbox.run("env; cat /proc/*/environ | tr '\\0' '\\n'").stdout

    def test_nobody_else_listens(self, http: Http) -> None:
        told = subprocess.run(["ss", "-Hltn", f"sport = :{http.port}"], capture_output=True, text=True).stdout
        assert told.split()[3:4] == [f"127.0.0.1:{http.port}"]

    def test_a_token_is_made_and_told_where_none_is_given(self, host: World, plain: Path) -> None:
        with serving_http(host, words(plain, host, "--profile", str(plain), "--http", "0"), None) as http:
            found = re.search(r"Authorization: Bearer ([\w-]{43})\n", http.told())
            assert found
            with httpx2.Client(headers={"Authorization": f"Bearer {found[1]}"}) as client:
                assert client.post(http.url, json=PING).status_code not in (401, 403)

    @pytest.mark.parametrize("token", ["short", "a token with spaces", "ein Schlüssel, der länger ist"])
    def test_a_weak_token_is_refused(self, host: World, plain: Path, token: str) -> None:
        environ = {**os.environ, "SOLVEN_ENV_MCP_TOKEN": token}
        command = [sys.executable, *words(plain, host, "--http", "0")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is no token" in done.stderr
        assert token not in done.stderr

    def test_a_port_that_is_taken_is_told(self, host: World, plain: Path, http: Http) -> None:
        command = [sys.executable, *words(plain, host, "--http", str(http.port))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"port {http.port} cannot be listened on" in done.stderr

    @pytest.mark.anyio
    async def test_the_end_of_the_server_ends_its_commands(self, host: World, plain: Path) -> None:
        with serving_http(host, words(plain, host, "--profile", str(plain), "--http", "0"), TOKEN) as http:
            async with anyio.create_task_group() as group:

                async def run() -> None:
                    async with connected(http, "auto") as client:
                        with suppress(MCPError):
                            await client.call_tool("run", {"command": "sleep 61.7"})

                group.start_soon(run)
                await anyio.to_thread.run_sync(begun, host, b"61.7")
                http.process.terminate()
                assert await anyio.to_thread.run_sync(http.process.wait, 10) == 143
                assert survivors(host.base.name, b"61.7") == []
                group.cancel_scope.cancel()

    @pytest.fixture(scope="class")
    def http(self, host: World, plain: Path) -> Iterator[Http]:
        arguments = words(plain, host, "--profile", str(plain), "--http", "0", thread="http")
        with serving_http(host, arguments, TOKEN) as http:
            yield http


def test_the_example_of_the_page_runs(host: World, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples.run("MCP", plain)
    assert capsys.readouterr().out == "42\nexit status 0\n"


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def begun(host: World, word: bytes) -> bool:
    for _ in range(200):
        if survivors(host.base.name, word):
            return True
        time.sleep(0.05)
    return False


class Served:
    """A server as a process, and a client that writes and reads by hand."""

    def __init__(self, host: World, process: subprocess.Popen[bytes], log: Path) -> None:
        self.host = host
        self.process = process
        self.log = log
        self.number = 0

    def send(self, line: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def begin(self, method: str, params: object) -> int:
        self.number += 1
        document = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.send(json.dumps(document).encode() + b"\n")
        return self.number

    def ask(self, method: str, params: object) -> Any:
        number = self.begin(method, params)
        assert self.process.stdout
        while True:
            line = self.process.stdout.readline()
            assert line, self.told()
            answer = json.loads(line)
            assert answer["jsonrpc"] == "2.0"
            if answer.get("id") == number:
                break
        if method == "initialize":
            self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        return answer

    def call(self, tool: str, arguments: object) -> Any:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def start(self, tool: str, arguments: object) -> None:
        self.begin("tools/call", {"name": tool, "arguments": arguments})

    def has_begun(self, word: bytes) -> bool:
        return begun(self.host, word)

    def end(self) -> tuple[int, str]:
        """Close our end; the server's status, and what it still wrote."""
        out, _ = self.process.communicate(timeout=10)
        return self.process.returncode, out.decode()

    def told(self) -> str:
        return self.log.read_text()


class Http(Served):
    """A server by HTTP."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


@contextmanager
def serving(host: World, arguments: list[str]) -> Iterator[Served]:
    log = host.base / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file
        )
    try:
        yield Served(host, process, log)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


@contextmanager
def serving_http(host: World, arguments: list[str], token: str | None) -> Iterator[Http]:
    log = host.base / "http.log"
    environ = {**os.environ, **({"SOLVEN_ENV_MCP_TOKEN": token} if token else {})}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, env=environ
        )
    http = Http(host, process, log)
    try:
        for _ in range(400):
            found = re.search(r"http://127\.0\.0\.1:(\d+)/mcp\n", http.told())
            if found:
                break
            assert process.poll() is None, http.told()
            time.sleep(0.05)
        assert found
        http.port = int(found[1])
        time.sleep(0.3)
        yield http
        if process.poll() is None:
            process.terminate()
        out, _ = process.communicate(timeout=10)
        assert out == b""
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def connected(http: Http, mode: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as way,
        Client(streamable_http_client(http.url, http_client=way), mode=mode) as client,
    ):
        yield client
