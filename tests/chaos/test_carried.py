"""`kill -9` at every mutating call of beginning a layer with what is carried: whole or not there, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING

from solven_env.packages import carrying, layers
from solven_env.packages.about_layers import Begun
from solven_env.packages.additions import NONE, Additions
from solven_env.packages.layers import Home
from solven_env.sandbox.backends import bubblewrap, proot
from tests.packages.test_carrying import SITE, UID, build, own, remove, wheel, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend

MUTATING = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.utime", "os.symlink"),
    *("fcntl.flock", "fcntl.ioctl", "shutil.rmtree"),
}
RECORDED = Additions({"rich": "1"}, ("idna",))


def is_mutating(event: str, arguments: tuple[object, ...]) -> bool:
    return event in MUTATING or (event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & os.O_CREAT))


def begin_killed_at(call: int, home: Home, below: Build, backend: Backend) -> bool:
    """Begin in a process of its own, killed before this call; whether it came so far."""
    pid = os.fork()
    if pid == 0:
        left = call

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if is_mutating(event, arguments):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            carrying.begin(home, below, backend, UID, RECORDED)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_layer_is_killed_at_every_mutating_call(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "sync_file_system", lambda _: None)
    one, two = (build(memory_path, each, {"six": "1", "idna": "3"}) for each in ("aa", "bb"))
    template = Home(memory_path / "data", "storage", "template", "first")
    carrying.begin(template, two, bubblewrap, UID, NONE)  # to which the thread goes back
    write(own(template, two, bubblewrap), {"notes/todo.txt": "stray", f"{SITE}/six/__init__.py": "edited"})
    carrying.begin(template, one, bubblewrap, UID, NONE)
    wheel(own(template, one, bubblewrap), "rich", "1", {"rich/__init__.py": "1", "../../../bin/rich": ""})
    remove(template, one, bubblewrap, f"{SITE}/idna", f"{SITE}/idna-3.dist-info")
    for backend in (bubblewrap, proot):
        call, is_killed = 0, True
        while is_killed:
            call += 1 if backend is bubblewrap else 3  # most of a copy's calls are about the build's files
            home = template._replace(thread=f"{backend.NAME}{call}")
            shutil.copytree(template.path, home.path, symlinks=True, copy_function=copy)
            home.path.parents[2].chmod(0o700)
            before = layers.present(home, "python")
            is_killed = begin_killed_at(call, home, two, backend)
            now = layers.present(home, "python")
            assert now == before or (now is not None and now.instance == "bb"), call
            begun = carrying.begin(home, two, backend, UID, RECORDED)
            assert begun.to_install == {}, call
            assert carrying.look(home, two, backend).additions == RECORDED, call
            top = own(home, two, backend)
            assert (top / "bin/rich").exists(), call
            assert (top / "notes/todo.txt").read_text() == "stray", call
            assert (top / SITE / "six/__init__.py").read_text() == "edited", call
            assert [name for name in os.listdir(home.path) if name.startswith(".new-")] == [], call
            shutil.rmtree(home.path.parent)
        assert call > 40


def copy(source: str, target: str) -> None:
    """A copy of a file, or of what hides one."""
    about = os.lstat(source)
    if os.path.isfile(source):
        shutil.copy2(source, target)
    else:
        os.mknod(target, about.st_mode, about.st_rdev)


def test_commands_that_begin_at_once_get_one_layer(tmp_path: Path) -> None:
    one, two = (build(tmp_path, each, {"six": "1"}) for each in ("aa", "bb"))
    for backend in (bubblewrap, proot):
        home = Home(tmp_path / "data", "storage", backend.NAME, "first")
        carrying.begin(home, one, backend, UID, NONE)
        wheel(own(home, one, backend), "rich", "1")
        begun = list[Begun]()

        def begin(home: Home = home, backend: Backend = backend, begun: list[Begun] = begun) -> None:
            begun.append(carrying.begin(home, two, backend, UID, NONE))

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({str(each.own) for each in begun}) == 1
        assert sum(each.is_new for each in begun) == 1
        assert len(layers.places(home)) == 2
