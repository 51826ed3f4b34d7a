"""Invented packages: builds that bring them, made in the store without a network, and agents that add more."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from solven_env.packages import carrying, layers, store
from solven_env.packages.builds import Need
from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Python
from solven_env.sandbox import backends
from solven_env.system import directories
from solven_env.threads import noting, uids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from solven_env.config import Config
    from solven_env.packages.about_layers import Fate
    from solven_env.packages.store import Build
    from solven_env.threads.thread import Thread

SITE = "lib/python3.12/site-packages"
OPAQUE = "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"
DIGEST = "A" * 86 + "=="


def python(packages: Mapping[str, str]) -> Need:
    """The need of a release with these Python packages."""
    lines = (f"{name}=={version} \\\n    --hash=sha256:{'0' * 64}\n" for name, version in packages.items())
    return Need("python", Python("3.12", tuple(packages)), "".join(lines).encode())


def bun(packages: Mapping[str, str]) -> Need:
    """The need of a release with these JavaScript packages."""
    entries = "".join(f'    "{each}": ["{each}@{packages[each]}", "", {{}}, "sha512-{DIGEST}"],\n' for each in packages)
    asked = "".join(f'        "{each}": "{packages[each]}",\n' for each in packages)
    own = f'    "": {{\n      "name": "workspace",\n      "dependencies": {{\n{asked}      }},\n    }},\n'
    text = f'{{\n  "lockfileVersion": 2,\n  "workspaces": {{\n{own}  }},\n  "packages": {{\n{entries}  }}\n}}\n'
    return Need("bun", Bun(packages), text.encode())


NEEDS: Mapping[str, Callable[[Mapping[str, str]], Need]] = {"python": python, "bun": bun}


# Builds, in the places of `builds.find` and `builds.obtain`


def find(need: Need, config: Config) -> Build | None:
    return store.find(directories.cache(), _key(need))


def obtain(needs: Sequence[Need], *_: object) -> list[Build]:
    def fill(need: Need, stage: Path) -> None:
        tree = stage / "tree"
        tree.mkdir()
        _write(tree, {"pyvenv.cfg": "", "bin/python": ""} if need.kind == "python" else {".bin/node": ""})
        for name, version in need.ecosystem.pinned(need.lock or b""):
            install(need.kind, tree, name, version)
        (stage / "uv.lock").write_bytes(need.lock or b"")

    inputs = {"uid": None}
    return [
        store.obtain(directories.cache(), _key(need), inputs, lambda stage, need=need: fill(need, stage))  # type: ignore[misc]
        for need in needs
    ]


def _key(need: Need) -> str:
    return f"{need.kind}-{hashlib.sha256(need.identity.encode()).hexdigest()[:40]}"


def begin(thread: Thread, *_: object) -> tuple[Fate, ...]:
    """Begin the thread's layers as its next command does, in the place of `execute.begin`; nothing is started."""
    record = thread.applied()
    home, backend = thread.home(record), backends.find(record.settings["backend"])
    told: list[Fate] = []
    with ExitStack() as stack:
        uid, turn = uids.for_command(thread, record, home)
        if turn is not None:
            stack.enter_context(turn)
        needs = thread.needs(record)
        for need, build in zip(needs, obtain(needs), strict=True):
            begun = carrying.begin(home, build, backend, uid, noting.recorded(record, need.kind))
            if begun.to_install:  # as `execute` does without a network
                carrying.settle(home, build, dict.fromkeys(begun.to_install, "the thread has no network"))
            told += carrying.fates(home, build, backend)
    return tuple(told)


# Agents


class Seen(NamedTuple):
    """What a thread's commands have of one ecosystem: the build, and the layer or the copy above it."""

    kind: str
    build: Build
    own: Path
    has_mounts: bool

    @property
    def name(self) -> str:
        """The name of the layer's directory."""
        return self.own.parent.name


def seen(thread: Thread, kind: str) -> Seen:
    """What commands see of an applied thread that has its layers."""
    record = thread.applied()
    backend = backends.find(record.settings["backend"])
    (need,) = (need for need in thread.needs(record) if need.kind == kind)
    (build,) = obtain((need,))
    return Seen(kind, build, layers.own(thread.home(record), build, backend), backend.HAS_MOUNTS)


def install(kind: str, tree: Path, name: str, version: str) -> None:
    """Put a package into a tree, as uv and Bun do: with a RECORD, and with a package.json."""
    if kind == "bun":
        about = json.dumps({"name": name, "version": version})
        _write(tree, {f"{name}/package.json": about, f"{name}/index.js": version})
        return
    about = f"{name}-{version}.dist-info"
    files = {f"{name}/__init__.py": version, f"{name}/deep/er.py": version, f"{about}/METADATA": f"Name: {name}"}
    record = "".join(f"{path},sha256=x,1\n" for path in (*files, f"../../../bin/{name}", f"{about}/RECORD"))
    _write(tree / SITE, files | {f"{about}/RECORD": record})
    _write(tree, {f"bin/{name}": version})


def uninstall(there: Seen, name: str) -> None:
    """Take a package away, of the build or the agent's."""
    if there.kind == "bun":
        _remove(there, name)
        return
    for path in (there.build.tree / SITE, there.own / SITE):
        for about in sorted(path.glob(f"{name}-*.dist-info")):
            _remove(there, f"{SITE}/{about.name}")
    _remove(there, f"{SITE}/{name}")
    _remove(there, f"bin/{name}")


def add(there: Seen, name: str, version: str) -> None:
    """Install a version in the place of whatever is there."""
    uninstall(there, name)
    for path in sorted(there.own.rglob("*")):
        if stat.S_ISCHR(path.lstat().st_mode) and path.name in (name, f"{name}-{version}.dist-info"):
            path.unlink()
            if (there.build.tree / path.relative_to(there.own)).is_dir():
                path.mkdir()
                os.setxattr(path, OPAQUE, b"y")
    install(there.kind, there.own, name, version)


def shown(there: Seen) -> dict[str, str]:
    """The files that commands see, with their contents."""
    found = dict[str, str]()
    for tree in (there.build.tree, there.own) if there.has_mounts else (there.own,):
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if stat.S_ISCHR(path.lstat().st_mode):
                found = {each: text for each, text in found.items() if each != name and not each.startswith(f"{name}/")}
            elif path.is_file():
                found[name] = path.read_text()
    return found


def versions(there: Seen) -> dict[str, str]:
    """The packages that commands see: name and version; ValueError for half of one."""
    files, found = shown(there), dict[str, str]()
    for path, text in files.items():
        parts = path.split("/")
        if there.kind == "bun" and parts[-1] == "package.json":
            found["/".join(parts[:-1])] = json.loads(text)["version"]
        elif parts[-1] == "METADATA":
            name, _, version = parts[-2].removesuffix(".dist-info").partition("-")
            if name in found:
                raise ValueError(f"{name} is there twice")
            found[name] = version
    for name, version in found.items():
        own = (f"{name}/index.js",) if there.kind == "bun" else (f"{SITE}/{name}/deep/er.py", f"bin/{name}")
        if any(files.get(path) != version for path in own):
            raise ValueError(f"{name} {version} is there by half")
    return found


def _write(tree: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def _remove(there: Seen, path: str) -> None:
    place = there.own / path
    if place.is_dir():
        shutil.rmtree(place)
    elif os.path.lexists(place):
        place.unlink()
    if there.has_mounts and (there.build.tree / path).exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))
