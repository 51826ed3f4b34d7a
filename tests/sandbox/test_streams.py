"""A command's streams: what it cannot reach through them, what arrives, and what its caller has left of them."""

from __future__ import annotations

import hashlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.backends.proot import client
from solven_env.sandbox.limits import Limits
from solven_env.system.effects import drive
from tests.sandbox.running import DEADLINE, PROOT, SANDBOX_HOST_UID, Box, command, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NULL = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
SECRET, EVIL = b"SECRET\n", b"EVIL\n"
REACH = """
import os, socket

seen = []
def attempt(do):
    try:
        result = do()
        if isinstance(result, bytes):
            seen.append(result)
    except OSError:
        pass

for number, name in enumerate(("stdin", "stdout", "stderr")):
    attempt(lambda: os.pread(number, 99, 0))
    attempt(lambda: os.pwrite(number, b"EVIL\\n", 0))
    attempt(lambda: socket.socket(fileno=os.dup(number)).sendall(b"EVIL\\n") if number == 0 else None)
    attempt(lambda: socket.socket(fileno=os.dup(number)).recv(99, socket.MSG_DONTWAIT) if number else None)
    for path in (f"/proc/self/fd/{number}", f"/proc/thread-self/fd/{number}", f"/dev/fd/{number}", f"/dev/{name}"):
        for mode in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_TRUNC):
            try:
                opened = os.open(path, mode | os.O_NONBLOCK)
            except OSError:
                continue
            if number:
                attempt(lambda: os.read(opened, 99))
                attempt(lambda: os.pread(opened, 99, 0))
            else:
                attempt(lambda: os.write(opened, b"EVIL\\n"))
            attempt(lambda: os.ftruncate(opened, 0))
            attempt(lambda: os.fchmod(opened, 0o777))
            os.close(opened)
with open("/seen", "wb") as file:
    file.write(b"".join(seen))
"""


def run(box: Box, text: str, **streams: int) -> int:
    """Run a text by /bin/sh, and return its status; a stream that is not named is /dev/null."""
    given = {"stdin": NULL, "stdout": NULL, "stderr": NULL, **streams}
    return drive(session.run(box.plan, command("sh", "-c", text, **given), box.runtime)).status


def under_proot(box: Box, text: str, **streams: int) -> int:
    given = {"stdin": NULL, "stdout": NULL, "stderr": NULL, **streams}
    (box.base / "record").mkdir(exist_ok=True)
    record = str(box.base / "record")
    request = command("sh", "-c", text, **given)
    return drive(client.run(box.plan._replace(program=PROOT), request, box.runtime, record)).status


def attack(box: Box, how: Callable[..., int] = run, **streams: int) -> bytes:
    """What a command has seen that tries to reach more through its streams than they give."""
    (box.workspace / "reach.py").write_text(REACH)
    assert how(box, "python3 /reach.py", **streams) == 0
    return (box.workspace / "seen").read_bytes()


def exposed(box: Box, content: bytes) -> Path:
    """A file of the caller's that everybody may write, in a directory that nobody may enter."""
    path = box.base / "exposed"
    path.write_bytes(content)
    path.chmod(0o666)
    return path


@pytest.mark.attack("streams")
@pytest.mark.parametrize("how", [run, under_proot])
def test_the_script_that_a_shell_reads_cannot_be_written(box: Box, how: Callable[..., int]) -> None:
    path = exposed(box, SECRET)
    with path.open("rb") as script:
        attack(box, how, stdin=script.fileno())
    assert path.read_bytes() == SECRET
    assert path.stat().st_mode & 0o777 == 0o666


@pytest.mark.attack("streams")
@pytest.mark.parametrize("how", [run, under_proot])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_a_log_cannot_be_read_or_truncated(box: Box, stream: str, mode: str, how: Callable[..., int]) -> None:
    path = exposed(box, SECRET)
    with path.open(mode) as log:
        log.seek(0, os.SEEK_END)
        seen = attack(box, how, **{stream: log.fileno()})
        assert how(box, "echo said; echo said >&2", **{stream: log.fileno()}) == 0
    assert SECRET not in seen
    assert path.read_bytes() == SECRET + b"said\n"


@pytest.mark.attack("streams")
@pytest.mark.parametrize("how", [run, under_proot])
def test_the_pipe_that_the_callers_loop_reads_cannot_be_written(box: Box, how: Callable[..., int]) -> None:
    reading, writing = os.pipe()
    os.write(writing, SECRET)
    attack(box, how, stdin=reading)
    os.close(writing)
    with open(reading, "rb") as rest:
        assert rest.read() == SECRET


@pytest.mark.attack("streams")
@pytest.mark.parametrize("how", [run, under_proot])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_others_wrote_into_a_pipe_cannot_be_read(box: Box, stream: str, how: Callable[..., int]) -> None:
    reading, writing = os.pipe()
    os.write(writing, SECRET)
    seen = attack(box, how, **{stream: writing})
    os.close(writing)
    with open(reading, "rb") as rest:
        assert rest.read() == SECRET
    assert SECRET not in seen


@pytest.mark.attack("streams")
@pytest.mark.parametrize("how", [run, under_proot])
@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_a_socket_has_one_direction(box: Box, stream: str, how: Callable[..., int]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(SECRET)
        seen = attack(box, how, **{stream: theirs.fileno()})
        assert SECRET not in seen
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(9)
        assert theirs.recv(9) == SECRET


@contextmanager
def opened(box: Box, kind: str) -> Iterator[int]:
    """A descriptor of the caller's."""
    with ExitStack() as stack:
        if kind == "pipe":
            pair = os.pipe()
            for each in pair:
                stack.callback(os.close, each)
            yield pair[0]
        elif kind == "socket":
            ours, _ = map(stack.enter_context, socket.socketpair())
            yield ours.fileno()
        else:
            flags = os.O_RDWR if kind == "fifo" else os.O_RDONLY
            if kind == "fifo":
                os.mkfifo(box.base / "fifo")
            path = {"file": exposed(box, b""), "fifo": box.base / "fifo"}.get(kind, f"/dev/{kind}")
            descriptor = os.open(path, flags)
            stack.callback(os.close, descriptor)
            yield descriptor


@pytest.mark.parametrize("kind", ["file", "pipe", "fifo", "socket", "zero", "full", "urandom"])
def test_inside_it_is_a_pipe_of_the_commands_own(box: Box, kind: str) -> None:
    with opened(box, kind) as stream:
        before = os.fstat(stream), os.get_blocking(stream)
        assert run(box, "stat -L -c '%F %d:%i %u' /proc/self/fd/0 > /about", stdin=stream) == 0
        after = os.fstat(stream), os.get_blocking(stream)
    name, inode, owner = (box.workspace / "about").read_text().split()
    assert (name, owner) == ("fifo", "1000")
    assert inode != f"{before[0].st_dev}:{before[0].st_ino}"
    assert (before[0].st_uid, before[0].st_mode, before[1]) == (after[0].st_uid, after[0].st_mode, after[1])


def test_dev_null_is_opened_anew(box: Box) -> None:
    own = os.open(os.devnull, os.O_RDONLY)
    try:
        text = "stat -L -c '%F %t:%T' /proc/self/fd/0; python3 -c 'import os; os.set_blocking(0, False)'"
        assert run(box, f"({text}) > /about", stdin=own) == 0
        assert os.get_blocking(own)
    finally:
        os.close(own)
    assert (box.workspace / "about").read_text() == "character special file 1:3\n"


@pytest.mark.attack("streams")
def test_an_owner_of_the_callers_pipe_is_never_changed(box: Box) -> None:
    reading, writing = os.pipe()
    assert run(box, "echo > /dev/stdout; echo > /dev/stderr", stdout=writing, stderr=writing) == 0
    assert os.fstat(writing).st_uid == os.geteuid() != SANDBOX_HOST_UID
    os.close(writing)
    os.close(reading)


def launcher(box: Box, text: str) -> list[str]:
    return [sys.executable, "-m", "tests.sandbox.launcher", box.plan.session, str(box.workspace), box.runtime, text]


# What arrives.


@pytest.mark.parametrize("how", [run, under_proot])
def test_streams_are_opened_anew_by_name(box: Box, how: Callable[..., int]) -> None:
    path = exposed(box, b"in")
    reading, writing = os.pipe()
    with path.open("rb") as stdin:
        text = "cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; echo fd >> /dev/fd/1"
        assert how(box, text, stdin=stdin.fileno(), stdout=writing, stderr=writing) == 0
    os.close(writing)
    with open(reading, "rb") as said:
        assert said.read() == b"inout\nerr\nfd\n"


@pytest.mark.parametrize("how", [run, under_proot])
@pytest.mark.parametrize("kind", ["pipe", "file", "log", "socket"])
def test_both_outputs_into_one_keep_their_order(box: Box, kind: str, how: Callable[..., int]) -> None:
    text = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done"
    with ExitStack() as stack:
        said = b""
        if kind in ("file", "log"):
            path = exposed(box, b"")
            sink = os.open(path, os.O_WRONLY | (os.O_APPEND if kind == "log" else 0))
            stack.callback(os.close, sink)
            assert how(box, text, stdout=sink, stderr=os.dup(sink)) == 0
            said = path.read_bytes()
        elif kind == "socket":
            ours, theirs = map(stack.enter_context, socket.socketpair())
            assert how(box, text, stdout=theirs.fileno(), stderr=theirs.fileno()) == 0
            theirs.close()
            with ours.makefile("rb") as file:
                said = file.read()
        else:
            reading, writing = os.pipe()
            again = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY)
            assert how(box, text, stdout=writing, stderr=again) == 0
            os.close(writing)
            os.close(again)
            with open(reading, "rb") as file:
                said = file.read()
    assert said == b"".join(b"%d\n" % number for number in range(200))


def feed(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(data)


def drained(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


@pytest.mark.parametrize("how", [run, under_proot])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_much_goes_in_and_comes_out_whole(box: Box, kind: str, how: Callable[..., int]) -> None:
    data = os.urandom(1 << 20) * 20 + b"end"
    with ThreadPoolExecutor(2) as pool:
        if kind == "pipe":
            stdin, feeding = os.pipe()
            draining, stdout = os.pipe()
        else:
            (stdin, feeding), (draining, stdout) = (
                (a.detach(), b.detach()) for a, b in (socket.socketpair(), socket.socketpair())
            )
        pool.submit(feed, feeding, data)
        came = pool.submit(drained, draining)
        assert how(box, "cat", stdin=stdin, stdout=stdout) == 0
        os.close(stdin)
        os.close(stdout)
        assert hashlib.sha256(came.result()).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_much_goes_from_file_to_file(box: Box, mode: str) -> None:
    data = os.urandom(1 << 20) * 9 + b"end"
    path = exposed(box, data)
    with path.open("rb") as stdin, (box.base / "copy").open(mode) as copy:
        copy.write(SECRET)
        copy.flush()
        assert run(box, "cat", stdin=stdin.fileno(), stdout=copy.fileno()) == 0
        assert stdin.tell() == len(data)
        assert copy.tell() == len(SECRET) + len(data)
    assert (box.base / "copy").read_bytes() == SECRET + data


def test_memory_does_not_grow_with_the_data(box: Box) -> None:
    text = (
        "import os, resource, sys; from tests.sandbox import launcher\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "launcher.run(*sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file=sys.stderr)\n"
    )
    arguments = [sys.executable, "-c", text, box.plan.session, str(box.workspace), box.runtime]
    grown = []
    for size in (1, 200):
        feeding = subprocess.Popen(["head", "-c", f"{size}M", "/dev/zero"], stdout=subprocess.PIPE)
        done = subprocess.run(
            [*arguments, "cat"], stdin=feeding.stdout, stdout=NULL, stderr=subprocess.PIPE, check=True
        )
        assert feeding.wait() == 0
        assert feeding.stdout is not None
        feeding.stdout.close()
        grown.append(int(done.stderr))
    assert grown[1] - grown[0] < 1024, grown  # KiB


def test_the_end_of_input_and_what_is_said_until_then(box: Box) -> None:
    """A conversation, line by line: nothing is held back."""
    stdin, asking = os.pipe()
    answers, stdout = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, box, "while read -r x; do echo got $x; done; echo over", stdin=stdin, stdout=stdout)
        with open(answers, "rb", buffering=0) as lines:
            for number in range(50):
                os.write(asking, b"%d\n" % number)
                assert lines.read(99) == b"got %d\n" % number
            os.close(asking)
            assert lines.read(99) == b"over\n"
        assert ended.result() == 0
    os.close(stdin)
    os.close(stdout)


@pytest.mark.parametrize("how", [run, under_proot])
def test_nobody_reads_any_more(box: Box, how: Callable[..., int]) -> None:
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(how, box, "trap '' TERM; yes", stdout=writing)
        assert os.read(reading, 2) == b"y\n"
        os.close(reading)
        assert ended.result() == 128 + signal.SIGPIPE
    assert how(box, "echo once; echo twice; exit 3", stdout=writing) == 128 + signal.SIGPIPE  # from the first write on
    os.close(writing)


def test_a_signal_for_that_is_nobodys(box: Box) -> None:
    """A program that has SIGPIPE as the system does is not killed by what its command does."""
    text = (
        "import os, signal, sys; from tests.sandbox import launcher\n"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "print(launcher.run(*sys.argv[1:]), file=sys.stderr)\n"
        "assert signal.SIGPIPE not in signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
    )
    line = [sys.executable, "-c", text, box.plan.session, str(box.workspace), box.runtime, "yes"]
    with subprocess.Popen(line, stdin=NULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(2)
        process.stdout.close()
        assert process.stderr.read() == b"141\n"
        assert process.wait() == 0


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_sink_that_does_not_wait(box: Box, kind: str) -> None:
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (each.detach() for each in socket.socketpair())
    os.set_blocking(writing, False)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, box, "head -c 3000000 /dev/zero", stdout=writing)
        size = 0
        while size < 3_000_000:
            assert select.select([reading], [], [], DEADLINE)[0]
            size += len(os.read(reading, 65536))
        assert ended.result() == 0
        assert not os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


# What the caller has left.


@pytest.mark.parametrize("how", [run, under_proot])
@pytest.mark.parametrize(
    ("text", "left"),
    [("true", b"a\nb\nc\n"), ("read -r x; read -r x", b"c\n"), ("dd bs=1 count=3 2>&1", b"\nc\n"), ("cat", b"")],
)
@pytest.mark.parametrize("kind", ["file", "pipe", "socket"])
def test_what_a_command_does_not_read_is_its_callers(
    box: Box, text: str, left: bytes, kind: str, how: Callable[..., int]
) -> None:
    data = b"a\nb\nc\n"
    if kind == "file":
        stdin = os.open(exposed(box, b"before" + data), os.O_RDONLY)
        os.lseek(stdin, len(b"before"), os.SEEK_SET)
    else:
        stdin, feeding = os.pipe() if kind == "pipe" else (each.detach() for each in socket.socketpair())
        feed(feeding, data)
    assert how(box, text, stdin=stdin) == 0
    assert drained(stdin) == left


def test_the_callers_loop_goes_on(box: Box) -> None:
    """As in `while read -r x; do solven-env run …; done`."""
    line = 'while read -r x; do echo "outside $x"; "$@"; done'
    path = exposed(box, b"a\nb\nc\nd\ne\n")
    said = b"outside a\nb\noutside c\nd\noutside e\n"
    words = ["sh", "-c", line, "sh", *launcher(box, "head -c 2; exit 0")]
    with path.open("rb") as file:
        assert subprocess.run(words, stdin=file, capture_output=True, check=False).stdout == said
    assert subprocess.run(words, input=path.read_bytes(), capture_output=True, check=False).stdout == said


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_nothing_of_the_first_4_kib_is_taken_unread(box: Box, kind: str) -> None:
    data = os.urandom(60_000)
    stdin, feeding = os.pipe() if kind == "pipe" else (each.detach() for each in socket.socketpair())
    feed(feeding, data)
    for size in (1, 4095, 0):
        assert run(box, f"dd bs=1 count={size} of=/got", stdin=stdin) == 0
        assert (box.workspace / "got").read_bytes() == data[:size]
        data = data[size:]
    assert drained(stdin) == data


def test_a_file_that_somebody_moves_in_meanwhile_stays_where_it_is(box: Box) -> None:
    with exposed(box, b"0123456789").open("rb", buffering=0) as file, ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, box, "cat > /got; : > /up; while [ ! -e /go ]; do :; done", stdin=file.fileno())
        wait_for_file(box.workspace / "up")
        file.seek(7)
        (box.workspace / "go").touch()
        assert ended.result() == 0
        assert file.tell() == 7
    assert (box.workspace / "got").read_bytes() == b"0123456789"


def test_two_commands_that_read_one_pipe_lose_nothing(box: Box) -> None:
    """The first one is shown what is there, and reads it only when the second one has."""
    stdin, feeding = os.pipe()
    os.write(feeding, b"one\n")
    with ThreadPoolExecutor(1) as pool:
        text = ": > /up; while [ ! -e /go ]; do :; done; read -r x; echo $x > /first"
        first = pool.submit(run, box, text, stdin=stdin)
        wait_for_file(box.workspace / "up")
        assert run(box, "read -r x; echo $x > /second", stdin=stdin) == 0
        os.write(feeding, b"two\n")
        (box.workspace / "go").touch()
        assert first.result() == 0
    assert (box.workspace / "second").read_bytes() == b"one\n"
    os.close(feeding)
    assert drained(stdin) == b"two\n"


# How it ends.


@pytest.mark.parametrize("how", [run, under_proot])
def test_a_full_device_is_an_error(box: Box, how: Callable[..., int]) -> None:
    with (
        open("/dev/full", "wb") as full,
        pytest.raises(SandboxError, match=r"descriptor \d+, .*: No space left on device"),
    ):
        how(box, "echo lost", stdout=full.fileno())


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_stream_of_the_other_direction_is_refused(box: Box, stream: str) -> None:
    with (
        exposed(box, b"").open("wb" if stream == "stdin" else "rb") as file,
        pytest.raises(SandboxError, match=f"descriptor {file.fileno()}, is open, but cannot be"),
    ):
        run(box, "true", **{stream: file.fileno()})


def test_the_rest_waits_for_a_slow_reader(box: Box) -> None:
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, box, "head -c 100000 /dev/zero; : > /over", stdout=writing)
        wait_for_file(box.workspace / "over")
        assert not ended.done()
        assert sum(len(os.read(reading, 4096)) for _ in range(10)) == 40960
        assert not ended.done()
        while not ended.done() or select.select([reading], [], [], 0)[0]:
            if select.select([reading], [], [], 0.01)[0]:
                os.read(reading, 65536)
        assert ended.result() == 0
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(("text", "limit"), [("head -c 100000 /dev/zero", "wall_time"), ("yes", "wall_time")])
def test_time_is_up_while_nobody_reads(box: Box, text: str, limit: str) -> None:
    reading, writing = os.pipe()
    asked = command("sh", "-c", text, limits=Limits(wall_time=1), stdin=NULL, stdout=writing, stderr=NULL)
    ended = drive(session.run(box.plan, asked, box.runtime))
    assert (ended.status, [each.limit for each in ended.limits]) == (124, [limit])
    os.close(writing)
    assert set(drained(reading)) <= set(b"y\n\0")


def test_what_a_command_leaves_to_others_of_its_session_is_no_output(box: Box) -> None:
    """It hands its standard output on, to a command that writes there without end."""
    hold = (
        "import array, os, socket; s = socket.socket(socket.AF_UNIX); s.bind('/tmp/s'); s.listen(); open('/up', 'w')\n"
        "descriptor = socket.recv_fds(s.accept()[0], 1, 1)[1][0]; os.write(descriptor, b'held\\n'); open('/held', 'w')\n"
        "while True: os.write(descriptor, bytes(4096))"
    )
    give = (
        "import os, socket, time; s = socket.socket(socket.AF_UNIX); s.connect('/tmp/s')\n"
        "socket.send_fds(s, [b'x'], [1])\n"
        "while not os.path.exists('/held'): time.sleep(0.001)"
    )
    with session.start(box.plan, command("python3", "-c", hold, stdin=NULL, stdout=NULL), box.runtime) as holding:
        wait_for_file(box.workspace / "up")
        with (box.base / "out").open("wb") as out:
            asked = command("python3", "-c", give, stdin=NULL, stdout=out.fileno())
            assert drive(session.run(box.plan, asked, box.runtime)).status == 0
        size = (box.base / "out").stat().st_size
        holding.kill()
        drive(holding.wait())
    assert (box.base / "out").read_bytes().startswith(b"held\n")
    assert (box.base / "out").stat().st_size == size


def test_an_interrupt_delivers_what_was_said(box: Box) -> None:
    with subprocess.Popen(launcher(box, "echo said; : > /up; sleep 600"), stdout=subprocess.PIPE) as process:
        wait_for_file(box.workspace / "up")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.read() == b"said\n"


def test_many_at_once_leave_no_descriptor_and_no_thread(box: Box) -> None:
    def one(number: int) -> bytes:
        stdin, feeding = os.pipe()
        reading, writing = os.pipe()
        feed(feeding, b"%d" % number * 1000)
        assert run(box, "cat; cat /dev/stdin >&2", stdin=stdin, stdout=writing, stderr=writing) == 0
        os.close(stdin)
        os.close(writing)
        return drained(reading)

    one(0)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [b"%d" % number * 1000 for number in range(24)]
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_no_descriptor_is_left_where_there_are_too_few(box: Box) -> None:
    """Wherever the start fails on the way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    stdin, feeding = os.pipe()
    before = os.listdir("/proc/self/fd")
    failed = 0
    try:
        for spare in range(16):
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) + spare, hard))
            try:
                run(box, "true", stdin=stdin, stdout=feeding)
            except (OSError, SandboxError):
                failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failed > 4
    assert os.listdir("/proc/self/fd") == before
    os.close(stdin)
    os.close(feeding)
