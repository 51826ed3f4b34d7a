"""Files of a session, read and written as its commands see them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import FileError, FileTooLargeError, UsageError
from solven_env.programs.files import translated
from solven_env.sandbox import wire
from solven_env.system.effects import drive
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.run.world import World


@pytest.fixture
def sandbox(bare: World) -> Iterator[solven_env.Sandbox]:
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as made:
        yield made
    assert survivors(bare.base.name) == []


def test_files_are_those_of_the_commands(sandbox: solven_env.Sandbox, bare: World) -> None:
    files = sandbox.files
    files.write("a/b/one.txt", "6 * 7")
    assert sandbox.run("cat a/b/one.txt; echo >>a/b/one.txt; echo hidden >/tmp/there").stdout == "6 * 7"
    assert files.read_text("/a/b/one.txt") == "6 * 7\n"
    assert files.read("/a/b/one.txt", offset=4) == b"7\n"
    assert files.read_text("/tmp/there") == "hidden\n"
    assert bare.workspace().joinpath("a/b/one.txt").stat().st_uid == bare.workspace().stat().st_uid
    assert [each.path for each in files.list("/a", depth=2)] == ["/a/b", "/a/b/one.txt"]
    about = files.stat("a/b/one.txt")
    assert (about.kind, about.size, about.mode, about.name) == ("file", 6, 0o644, "one.txt")
    files.write("a/b/one.txt", b"x", mode=0o755)
    files.write("a/b/one.txt", b"y")
    assert files.stat("a/b/one.txt").mode == 0o755
    sandbox.run("ln -s one.txt a/b/two.txt; mkfifo a/pipe")
    files.write("a/b/two.txt", "through")
    assert files.read_text("a/b/one.txt") == "through"
    assert files.realpath("a/b/two.txt") == "/a/b/one.txt"
    assert files.glob("**/*.txt", "/a") == ["/a/b/one.txt", "/a/b/two.txt"]
    assert files.glob("*.txt", "/a/b") == ["/a/b/one.txt", "/a/b/two.txt"]
    files.write("a/lines", "no\nan umbrella\nlast umbrella")
    assert [(each.path, each.line, each.text) for each in files.grep("umbrella", "/a")] == [
        ("/a/lines", 2, "an umbrella"),
        ("/a/lines", 3, "last umbrella"),
    ]
    assert files.grep("umbrella", "/a", glob="*.txt") == []
    files.rename("a/lines", "a/moved")
    assert not files.exists("a/lines")
    files.remove("a/b/two.txt")
    assert files.exists("a/b/one.txt")
    files.remove("a", recursive=True)
    assert not bare.workspace().joinpath("a").exists()


def test_a_real_path_is_that_of_python(sandbox: solven_env.Sandbox) -> None:
    files = sandbox.files
    sandbox.run("mkdir -p r/b; ln -s b r/rel; ln -s ../out r/up; ln -s two r/one; ln -s one r/two; ln -s /r/b abs")
    paths = (
        "/",
        "/r",
        "/r/rel/gone/x",
        "/r/up/gone",
        "/r/rel/..",
        "/r/up/..",
        "/abs",
        "/gone/../r",
        "/r/one/x",
        "/r/../..",
    )
    told = sandbox.run(["python3", "-c", "import os, sys; print(*map(os.path.realpath, sys.argv[1:]))", *paths])
    assert [files.realpath(path) for path in paths] == told.stdout.split()
    assert told.stdout.split()[2:6] == ["/r/b/gone/x", "/out/gone", "/r", "/"]
    assert not files.exists("/r/one")
    assert not files.exists("/r/up")


def test_directories_are_made_however_deep(sandbox: solven_env.Sandbox) -> None:
    deep = "deep" + "/d" * 1500
    sandbox.files.make_dir(deep)
    sandbox.files.make_dir(deep)
    sandbox.files.make_dir("/")
    assert sandbox.files.stat(deep).kind == "directory"
    sandbox.files.remove("deep", recursive=True)


def test_large_files_travel_whole_and_bounded(sandbox: solven_env.Sandbox) -> None:
    content = os.urandom(1 << 20) * 3
    sandbox.files.write("big", content)
    assert sandbox.files.read("big") == content
    assert sandbox.files.read("big", offset=1 << 20) == content[1 << 20 :]
    with pytest.raises(FileTooLargeError, match="more than 100 bytes"):
        sandbox.files.read("big", max_bytes=100)
    sandbox.run("truncate -s 1T sparse")
    with pytest.raises(FileTooLargeError):
        sandbox.files.read("sparse")
    assert sandbox.files.read("big", max_bytes=len(content)) == content


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda files: files.read("gone"), FileNotFoundError),
        (lambda files: files.read("/"), IsADirectoryError),
        (lambda files: files.read("hello/beneath"), NotADirectoryError),
        (lambda files: files.list("hello"), NotADirectoryError),
        (lambda files: files.write("hello", "", exclusive=True), FileExistsError),
        (lambda files: files.write("/usr/new", ""), PermissionError),
        (lambda files: files.write("kept", ""), PermissionError),
        (lambda files: files.make_dir("hello", parents=False), FileExistsError),
        (lambda files: files.make_dir("hello"), FileExistsError),
        (lambda files: files.make_dir("hello/beneath"), NotADirectoryError),
        (lambda files: files.write("hello/beneath", ""), NotADirectoryError),
        (lambda files: files.write("hello/beneath/it", ""), NotADirectoryError),
        (lambda files: files.remove("full"), OSError),
        (lambda files: files.read("pipe"), FileError),
        (lambda files: files.write("pipe", "x"), FileError),
        (lambda files: files.read("/dev/zero"), FileError),
        (lambda files: files.read("loop"), FileError),
        (lambda files: files.read("a\0b"), UsageError),
        (lambda files: files.read("\ud800"), UsageError),
        (lambda files: files.read("x" * 5000), UsageError),
        (lambda files: files.read(""), UsageError),
        (lambda files: files.read("hello", max_bytes=-1), UsageError),
        (lambda files: files.read(7), UsageError),
        (lambda files: files.write("x", None), UsageError),
    ],
)
def test_refusals_are_errors_of_both_kinds(sandbox: solven_env.Sandbox, call: object, kind: type[Exception]) -> None:
    sandbox.run("mkfifo pipe; mkdir full; touch full/x; ln -s loop loop; echo it >kept; chmod 444 kept")
    with pytest.raises(kind) as raised:
        call(sandbox.files)  # type: ignore[operator]
    assert isinstance(raised.value, solven_env.SolvenError)
    if isinstance(raised.value, OSError):
        assert raised.value.filename.startswith("/")
        assert raised.value.errno


def test_an_error_that_is_kept_keeps_no_layer_open(sandbox: solven_env.Sandbox) -> None:
    """Its traceback refers to the frames of the call: a thread could not be deleted while somebody kept the error."""
    for call in (lambda: sandbox.files.read("/none"), lambda: sandbox.run(["true"], cwd="/none")):
        with pytest.raises(solven_env.SolvenError) as kept:
            call()
        opened = [os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
        assert [path for path in opened if "/layers/" in path] == [], kept


def test_nothing_leads_out(sandbox: solven_env.Sandbox, bare: World, tmp_path: Path) -> None:
    """Links, and the links of /proc that lead anywhere, are looked up as a command would, and none leads out."""
    (tmp_path / "secret").write_text("host")
    sandbox.run(
        f"ln -s {tmp_path}/secret out; ln -s ../../../..{tmp_path}/secret up; ln -s /proc/1/root{tmp_path}/secret r"
    )
    for path in ("out", "up", "r", f"/proc/1/root{tmp_path}/secret", f"/proc/self/cwd{tmp_path}/secret"):
        with pytest.raises(FileError):
            sandbox.files.read(path)
    sandbox.run("ln -s /proc/self/mem m; ln -s /proc/self/environ e; ln -s /proc/1/mem n")
    for path in ("m", "e", "n", "/proc/1/mem", "/proc/self/mem", "/proc/1/environ", "/proc/self/environ"):
        with pytest.raises(PermissionError):  # who serves has had the commands of others in its memory
            sandbox.files.read(path)
    sandbox.files.write("evil", "x", parents=True)
    assert (bare.workspace() / "evil").read_text() == "x"
    status = sandbox.files.read_text("/proc/self/status")
    assert "CapEff:\t0000000000000000" in status
    assert "CapPrm:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert len(_processes(sandbox)) == 2  # the server, and the one that serves us


def test_a_caller_that_does_not_read_holds_up_nobody_and_one_that_goes_ends_its_search(
    sandbox: solven_env.Sandbox,
) -> None:
    sandbox.run("mkdir many; seq -f many/f%05g 20000 | xargs touch")
    core = sandbox.files._core
    launch = drive(core._launch())
    stalled = drive(core._access(launch))
    asked = {"do": "walk", "path": b"/many", "depth": 1, "most": 20_000}
    wire.send_descriptors(stalled.socket, wire.pack(asked), [])  # type: ignore[attr-defined]
    assert sandbox.files.read("hello") == b"hello\n"
    assert len(_processes(sandbox)) == 3
    stalled.close()
    launch.let_go()
    while len(_processes(sandbox)) > 2:
        time.sleep(0.01)


def _processes(sandbox: solven_env.Sandbox) -> list[str]:
    """Processes that serve the files of a session."""
    return [each.name for each in sandbox.files.list("/proc") if each.name.isdigit()]


def test_a_tree_goes_in_and_comes_out(sandbox: solven_env.Sandbox, tmp_path: Path) -> None:
    here = tmp_path / "tree"
    (here / "sub").mkdir(parents=True)
    (here / "sub/run.sh").write_text("#!/bin/sh\necho ran\n")
    (here / "sub/run.sh").chmod(0o755)
    (here / "link").symlink_to("/etc/passwd")
    (here / "big").write_bytes(b"x" * 100_000)
    sandbox.files.upload(here, "/tree")
    assert (
        sandbox.run("/tree/sub/run.sh; readlink /tree/link; stat -c %s /tree/big").stdout
        == "ran\n/etc/passwd\n100000\n"
    )
    sandbox.files.download("/tree", tmp_path / "back")
    back = tmp_path / "back"
    assert (back / "link").readlink().as_posix() == "/etc/passwd"
    assert (back / "big").read_bytes() == b"x" * 100_000
    assert stat.S_IMODE((back / "sub/run.sh").stat().st_mode) == 0o755
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "again").mkdir()
    (tmp_path / "again/big").symlink_to(tmp_path / "victim")
    sandbox.files.download("/tree", tmp_path / "again")
    assert (tmp_path / "victim").read_text() == "kept"
    sandbox.files.download("/tree/sub/run.sh", tmp_path / "one.sh")
    assert (tmp_path / "one.sh").read_text() == "#!/bin/sh\necho ran\n"


def test_a_look_at_all_is_one_at_the_workspace(sandbox: solven_env.Sandbox, tmp_path: Path) -> None:
    sandbox.run("mkdir /src; echo needle | tee /src/mine /tmp/theirs; mkfifo /src/fifo; ln -s / /src/all")
    assert "usr" in [each.name for each in sandbox.files.list("/")]
    for top in ("/", "/src/.."):
        assert {each.path.split("/")[-1] for each in sandbox.files.list(top, depth=9)} == {
            *("hello", "src", "mine", "fifo", "all"),
        }
        assert [each.line for each in sandbox.files.grep("needle", top)] == [1]
    assert sandbox.files.glob("**/*e*") == ["/hello", "/src/mine"]
    assert sandbox.files.glob("*", "/usr") != []
    sandbox.files.download("/", tmp_path / "all")
    assert sorted(os.listdir(tmp_path / "all/src")) == ["all", "mine"]
    assert sorted(os.listdir(tmp_path / "all")) == ["hello", "src"]


def test_a_large_write_that_ends_early_leaves_what_was_there(bare: World) -> None:
    """Refused, cancelled, or without its caller: what a pipe has brought is no file as long as it is not all."""

    async def work() -> None:
        large = b"x" * 50_000_000
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:
            await sandbox.files.write("kept", "before")
            await sandbox.files.make_dir("directory")
            with pytest.raises(IsADirectoryError):
                await sandbox.files.write("directory", large)
            for seconds in (0.001, 0.003, 0.005, 0.01):
                task = asyncio.create_task(sandbox.files.write("kept", large))
                await asyncio.sleep(seconds)
                if task.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    assert await sandbox.files.read("kept") == b"before"
            names = [".kept.unfinished"]
            while any("kept" in each and each != "kept" for each in names):  # they go when their writer has noticed
                names = [each.name for each in await sandbox.files.list("/")]
            await sandbox.files.write("kept", large)
            assert (await sandbox.files.stat("kept")).size == len(large)

    asyncio.run(work())


@pytest.mark.parametrize("path", [".", "./", "/.", "//", "/src/..", "/./src//.././"])
def test_paths_are_told_without_what_means_nothing(sandbox: solven_env.Sandbox, path: str) -> None:
    sandbox.files.make_dir("/src")
    assert {f"{each.path.rpartition('/')[0]}/" for each in sandbox.files.list(path)} == {
        "/src/../" if ".." in path else "/"
    }


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda files: files.grep("x" * 300_000, "/"), "text"),
        (lambda files: files.read("hello", offset=1 << 63), "offset"),
        (lambda files: files.write("a", "\ud800"), "data"),
        (lambda files: files.download("hello", "a\0b"), "on this host"),
        (lambda files: files.upload("\ud800", "/a"), "on this host"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(sandbox: solven_env.Sandbox, call: Any, field: str) -> None:
    with pytest.raises(UsageError, match=field):
        call(sandbox.files)
    assert sandbox.files.glob("[z-a]*") == sandbox.files.glob("[]--z]*.none") == []
    with pytest.raises(IsADirectoryError):
        sandbox.files.write("/new/", "x")
    assert not sandbox.files.exists("/new")


def test_files_that_tell_no_size_are_read_whole(sandbox: solven_env.Sandbox, tmp_path: Path) -> None:
    assert len(sandbox.files.read("/proc/self/smaps")) > 8192
    sandbox.files.download("/proc/self/smaps", tmp_path / "smaps")
    assert (tmp_path / "smaps").read_text().endswith("\n")
    assert (tmp_path / "smaps").stat().st_size > 8192
    assert sandbox.files.read("/proc/self/cmdline").strip(b"\0") == b"files"


def test_a_copy_keeps_modes_and_holes_and_says_what_it_may_not_read(
    sandbox: solven_env.Sandbox, tmp_path: Path
) -> None:
    sandbox.run(
        "mkdir -p /d/sub; echo x > /d/f; chmod 666 /d/f; chmod 777 /d/sub; truncate -s 1G /d/holes; echo y >> /d/holes"
    )
    before = os.umask(0o077)
    try:
        sandbox.files.download("/d", tmp_path / "d")
    finally:
        os.umask(before)
    modes = {each: stat.S_IMODE((tmp_path / "d" / each).stat().st_mode) for each in ("f", "sub")}
    assert modes == {"f": 0o666, "sub": 0o777}
    holes = (tmp_path / "d/holes").stat()
    assert (holes.st_size, holes.st_blocks < 10_000) == ((1 << 30) + 2, True)
    (tmp_path / "d/sub").rmdir()
    (tmp_path / "d/sub").symlink_to(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UsageError, match="no directory"):
        sandbox.files.download("/d", tmp_path / "d")
    sandbox.run("mkdir /d/closed; chmod 0 /d/closed")
    with pytest.raises(PermissionError, match="/d/closed"):
        sandbox.files.download("/d", tmp_path / "other")
    sandbox.run("rm -r /d/closed; chmod 0 /d/f")
    with pytest.raises(PermissionError, match="/d/f"):
        sandbox.files.download("/d", tmp_path / "other")
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_pipe_that_others_hold_open_ends_with_its_size(sandbox: solven_env.Sandbox, bare: World) -> None:
    """A process that the caller forks meanwhile has its writing end, for as long as it lives."""
    core = sandbox.files._core
    launch = drive(core._launch())
    access = drive(core._access(launch))
    reading, writing = os.pipe()
    os.write(writing, b"12345")
    values: dict[str, Any] = {"mode": None, "parents": True, "exclusive": False}
    drive(access.ask("write", reading, path=b"/five", size=5, **values))
    assert (bare.workspace() / "five").read_bytes() == b"12345"
    core._keep(access, launch._replace(plan=launch.plan._replace(hostname="other")))
    assert not access.is_open  # it is another root's
    launch.let_go()
    os.close(reading)
    os.close(writing)


@pytest.mark.filterwarnings("ignore")  # an interrupt may come in a finalizer
def test_interrupted_writes_are_interrupted_and_close_nothing_twice(sandbox: solven_env.Sandbox) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    sandbox.files.write("large", b"x" * 4_000_000)
    names = sandbox.files.list("/")
    descriptors = len(os.listdir("/proc/self/fd"))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(60):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.0002 * (1 + number))
                sandbox.files.write("large", b"x" * 4_000_000)
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    sandbox.files.write("large", b"x" * 4_000_000)
    assert len(os.listdir("/proc/self/fd")) >= descriptors
    while len(sandbox.files.list("/")) > len(names):  # who wrote the rest tidies up
        time.sleep(0.01)


def test_a_call_keeps_the_session(sandbox: solven_env.Sandbox, bare: World) -> None:
    def left() -> float:
        session = solven_env.status("t1", storage=bare.storage).threads[0].session
        assert session is not None
        return session.keep_alive or 0.0

    with solven_env.Sandbox.connect("t1", storage=bare.storage, keep_alive=0) as other:
        other.files.read("hello")
        time.sleep(1.1)
        before = left()
        other.files.read("hello")
        assert left() > before


def test_a_session_that_nothing_keeps_alive_serves_files(bare: World) -> None:
    with solven_env.Sandbox.connect("t1", storage=bare.storage, keep_alive=0) as sandbox:
        for _ in range(3):
            sandbox.files.write("a", "b")
            assert sandbox.files.read("a") == b"b"
            sandbox.stop()


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_found_lines_have_their_numbers(sandbox: solven_env.Sandbox, end: bytes) -> None:
    """Of a text that is read in pieces, whose ends are in lines."""
    lines = [b"x" * (number % 700) + b" needle" * (number % 997 == 0) for number in range(10_000)]
    sandbox.files.write("many", b"\n".join(lines) + end)
    found = sandbox.files.grep("needle", "/many")
    assert [each.line for each in found] == [number + 1 for number in range(10_000) if number % 997 == 0]


def test_a_session_that_ended_begins_anew(sandbox: solven_env.Sandbox, bare: World) -> None:
    sandbox.files.write("x", "1")
    sandbox.stop()
    assert sandbox.files.read("x") == b"1"
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        sandbox.files.read("x")
    assert len(os.listdir("/proc/self/fd")) <= before


def test_several_at_once_on_asyncio(bare: World) -> None:
    async def program() -> None:
        async with await solven_env.AsyncSandbox.connect("t1", storage=bare.storage) as sandbox:
            await asyncio.gather(*(sandbox.files.write(f"many/{number}", str(number)) for number in range(20)))
            read = await asyncio.gather(*(sandbox.files.read_text(f"many/{number}") for number in range(20)))
            assert read == [str(number) for number in range(20)]

    asyncio.run(program())
    assert survivors(bare.base.name) == []


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.py", "a.py", True),
        ("*.py", "b/a.py", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "b/c/a.py", True),
        ("src/**/x", "src/x", True),
        ("src/**", "src/a/b", True),
        ("[ab]?.txt", "a1.txt", True),
        ("[!ab]?.txt", "a1.txt", False),
        ("a[", "a[", True),
        ("a+b", "a+b", True),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert bool(re.fullmatch(translated(pattern), path)) is fits
