"""What a probe attacks, and the probe itself: the same tries in a sandbox and where there is none."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solven_env.sandbox import runtime
from solven_env.sandbox.launch_plan import Bind, Overlay, encode_plan
from solven_env.sandbox.request import encode_request
from tests.hostile.attacks import Attack, combine
from tests.sandbox.hosting import CHECKOUT, LAUNCH
from tests.sandbox.hosting import inside as reaching
from tests.sandbox.hosts import ABSTRACT, GROUP, GROUP_PORT, NAME_OF_OWN, REMOVABLE
from tests.sandbox.running import ROOT, SANDBOX_HOST_UID, command, helpers, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.sandbox.hosting import Host
    from tests.sandbox.running import Box

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
OTHER_UID = 61001
SECRET = "solven-secret"
NETWORK = ("network targets", "network ways", "network changes")
FILES = ("file", "other", "spare", "gone", "leased", "before", "map", "mode", "link", "over")

Told = list[dict[str, str]]
"""What the program `inside` printed."""


@contextmanager
def standing() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A directory that everybody may enter, with a victim of the sandbox's own user; and where everything is."""
    with tempfile.TemporaryDirectory(prefix="solven-outside-") as name:
        base = Path(name)
        base.chmod(0o755)
        outside = _tree(base / "outside")
        shutil.copytree(HERE / "inside", base / "inside", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "victim.py", base)
        given = [PYTHON, str(base / "victim.py"), str(outside), SECRET]
        with subprocess.Popen(
            given,
            cwd=outside,
            env={"SECRET": SECRET},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **_as_user(),
        ) as victim:
            assert victim.stdout is not None
            facts = json.loads(victim.stdout.readline())
            yield base, facts | {"directory": str(outside), "path": f"{outside}/file", "other_uid": OTHER_UID}
            victim.communicate()


def _as_user() -> dict[str, Any]:
    """How a process becomes the one that the sandbox's commands are on the host."""
    return {"user": SANDBOX_HOST_UID, "group": SANDBOX_HOST_UID, "extra_groups": []} if ROOT else {}


def _tree(path: Path) -> Path:
    """A directory of files that are the sandbox's own user's."""
    for directory in (path, path / "empty", path / "directory"):
        directory.mkdir()
        _give(directory)
        directory.chmod(0o755)
    for name in FILES:
        (path / name).write_text(name if name == "spare" else SECRET)
        (path / name).chmod(0o644)
        _give(path / name)
    return path


def _give(path: Path) -> None:
    if SANDBOX_HOST_UID is not None:
        os.chown(path, SANDBOX_HOST_UID, SANDBOX_HOST_UID)


def _leave(path: Path) -> Path:
    """What root leaves in a workspace: set-uid programs, and a device."""
    path.mkdir()
    path.chmod(0o755)
    if not ROOT:
        return path
    for name, program, mode, owner, group in (
        ("set-uid", "id", 0o4755, 0, 0),
        ("set-other", "id", 0o4755, OTHER_UID, 0),
        ("set-gid", "id", 0o2755, 0, 0),
        ("capable", "cat", 0o755, 0, 0),
    ):
        shutil.copy(f"/usr/bin/{program}", path / name)
        os.chown(path / name, owner, group)
        (path / name).chmod(mode)
    os.setxattr(path / "capable", "security.capability", struct.pack("=IIIII", 0x02000001, 1 << 1, 0, 0, 0))
    os.mknod(path / "zero", 0o666 | 0o020000, os.makedev(1, 5))
    (path / "zero").chmod(0o666)
    return path


def probe(box: Box, kinds: Sequence[str]) -> list[Attack]:
    """Make each try of these kinds inside a sandbox and, for its control, where there is no wall."""
    with standing() as (base, facts), _open_things(facts) as opened:
        own = _shown(box, base)
        shutil.copytree(HERE / "inside", box.workspace / "inside", ignore=shutil.ignore_patterns("__pycache__"))
        _leave(box.workspace / "left")
        holder = os.path.join(box.runtime, runtime.socket_name(box.plan.session))
        within = facts | {"shown": "/shown", "layer": "/layer", "build": "/build", "left": "/left", "holder": holder}
        inside = _inside(own, within, kinds, opened)
        _look(inside, Path(facts["directory"]) / "signalled")
        controls = _controls(base, facts, kinds, opened)
        _look(controls, Path(facts["directory"]) / "signalled")
        return combine(inside, controls)


def probe_network(box: Box, host: Host) -> list[Attack]:
    """Make each try of the network from a sandbox with `internet` on host A and, for its control, on A itself.

    What the control changes of A stays: A must be the caller's own, and end.
    """
    program = box.base / "inside"
    for place in (program, box.workspace / "inside"):
        shutil.copytree(HERE / "inside", place, ignore=shutil.ignore_patterns("__pycache__"))
    own = reaching(box)
    facts = {
        "group": GROUP,
        "group_port": GROUP_PORT,
        "removed": REMOVABLE,
        "name_of_own": NAME_OF_OWN,
        "abstract": ABSTRACT,
        "host_pid": host.process.pid,
        "apart": False,
    }
    with host.started(own, "touch /up; exec sleep 600"):
        wait_for_file(own.workspace / "up")
        (helper,) = helpers(own.holder())
        within = facts | {"inside": True, "device": "tap0", "own_device": "tap0", "helper": helper}
        inside = host.run(own, "python3", "-B", "-m", "inside", json.dumps(within), *NETWORK)
    without = facts | {"inside": False, "device": "outside", "own_device": "lo", "helper": host.process.pid}
    line = ("env", f"PYTHONPATH={box.base}", PYTHON, "-B", "-m", "inside", json.dumps(without), *NETWORK)
    return combine(*([json.loads(each) for each in told.splitlines()] for told in (inside, host.out(*line))))


def _look(told: Told, signalled: Path) -> None:
    """Whether the victim was reached by a signal to everybody, which the one who sends it does not learn."""
    for each in told:
        if each["name"] == "signal to everybody" and signalled.exists():
            each["outcome"] = "open"
    signalled.unlink(missing_ok=True)


@contextmanager
def _open_things(facts: dict[str, Any]) -> Iterator[tuple[int, ...]]:
    """What a caller has open and inheritable when it starts a command."""
    with ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.enter_context(closing(ours))
        stack.enter_context(closing(theirs))
        opened = [
            os.open(facts["directory"], os.O_RDONLY),
            os.open(facts["path"], os.O_RDONLY),
            os.memfd_create("solven"),
        ]
        for each in opened:
            stack.callback(os.close, each)
        os.write(opened[2], SECRET.encode())
        yield (*opened, theirs.fileno())


def _shown(box: Box, base: Path) -> Box:
    """The box with what a try needs: a directory read-only, and a layer above a build."""
    build = _tree(base / "build")
    made = {name: base / name for name in ("upper", "work")}
    for directory in made.values():
        directory.mkdir()
        _give(directory)
    return box.but(
        mounts=(
            *box.plan.mounts,
            Bind("/shown", f"{base}/outside"),
            Bind("/build", str(build)),
            Overlay("/layer", str(build), str(made["upper"]), str(made["work"]), "1"),
        )
    )


def _inside(box: Box, facts: dict[str, Any], kinds: Sequence[str], opened: tuple[int, ...]) -> Told:
    asked = facts | {"inside": True, "apart": False}
    words = ("python3", "-B", "-m", "inside", json.dumps(asked), *kinds)
    document = json.dumps({"plan": encode_plan(box.plan), "command": encode_request(command(*words))})
    return _read([sys.executable, "-c", LAUNCH, box.runtime, document], CHECKOUT, pass_fds=opened)


def _controls(base: Path, facts: dict[str, Any], kinds: Sequence[str], opened: tuple[int, ...]) -> Told:
    """As the sandbox's user, without a sandbox; and with all rights, each try in namespaces of its own."""
    told = []
    for who in ("user", "rights"):
        scratch = base / f"scratch-{who}"
        scratch.mkdir()
        _give(scratch)
        own = _tree(base / f"outside-{who}")
        layer = str(_tree(base / f"layer-{who}"))
        known = {"shown": str(own), "layer": layer, "build": layer, "left": str(_leave(base / f"left-{who}"))}
        asked = facts | known | {"inside": False, "apart": who == "rights", "control": who}
        line = [PYTHON, "-B", "-m", "inside", json.dumps(asked), *kinds]
        if who == "rights" and not ROOT:
            line = ["unshare", "--user", "--map-root-user", *line]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(base), "TMPDIR": str(scratch)}
        told += _read(line, scratch, pass_fds=opened, env=environment, **(_as_user() if who == "user" else {}))
    return told


def _read(line: list[str], cwd: Path, **options: Any) -> Told:
    done = subprocess.run(line, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, **options)
    return [json.loads(each) for each in done.stdout.splitlines()]
