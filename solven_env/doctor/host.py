"""Questions about every host: the kernel and the namespaces that it allows, the backends, the configuration."""

from __future__ import annotations

import os
import platform
import re

import solven_env
from solven_env import config as configuration
from solven_env.config import Config
from solven_env.doctor import trials
from solven_env.doctor.looks import look
from solven_env.documents.answers import Answer, Question, broken, limited, ok
from solven_env.errors import PlatformError, SandboxError, SolvenError
from solven_env.packages.asking import said
from solven_env.sandbox import backends, refusal
from solven_env.sandbox.network import locate_slirp4netns
from solven_env.system import directories
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solven_env.sandbox.backends.protocol import BackendQuestion

OLDEST_KERNEL = (5, 12)


class Host(NamedTuple):
    """This host as it is asked about: its configuration, where that can be read, and where our own files lie."""

    config: Config
    uid: int | None
    cache: Path
    data: Path
    runtime: Path

    @classmethod
    def find(cls) -> Host:
        """Nothing is made. A configuration that is invalid counts as none: a question of its own tells of it."""
        try:
            config = configuration.load(os.environ)
        except SolvenError:
            config = Config()
        uid = configuration.common_uid(config)
        return cls(config, uid, directories.cache(), directories.data(), directories.runtime())


def version(_: Host) -> Answer:
    """The version of solven-env, and the Python that runs it."""
    where = f"solven-env {solven_env.__version__} on Python {platform.python_version()}"
    if platform.system() != "Linux":
        return broken(f"{where}, {platform.system()}", fix="Workspaces need Linux.")
    return ok(where)


def kernel(_: Host) -> Answer:
    """openat2, mount_setattr and overlays for users are in Linux 5.12."""
    release = os.uname().release
    numbers = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if numbers < OLDEST_KERNEL:
        return broken(f"Linux {release} is older than 5.12", fix="Boot a newer kernel.")
    return ok(f"Linux {release}")


def config(_: Host) -> Answer:
    """The host configuration is valid; without a file, the defaults hold."""
    found = configuration.load(os.environ)
    named = os.environ.get(configuration.VARIABLE)
    return ok(named or ("the defaults" if found == Config() else "valid"))


def namespaces(host: Host) -> Answer:
    """The namespaces of a session and of a command are made, as whom they are made by."""
    configuration.check_uid(host.config)
    found = look("namespaces", str(host.uid or 0))
    if found is None:
        return broken("no answer within 10 seconds", "making namespaces hangs")
    if found:
        why = refusal.explain(str(found.get("what") or found.get("failed")))
        return broken("the host refuses namespaces", why.message, why.fix)
    return ok("user, mount, PID and network namespaces can be made")


def apparmor(_: Host) -> Answer | None:
    """Ubuntu's switch, which refuses user namespaces to programs without a profile (docs/hosts.md)."""
    return judge_apparmor(refusal.read_setting, is_root=os.geteuid() == 0)


def judge_apparmor(read: Callable[[str], str], *, is_root: bool) -> Answer | None:
    """The same by the files of the system that `read` reads. The question `sandbox` then really starts one."""
    value = read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    switch = f"kernel.apparmor_restrict_unprivileged_userns={value}"
    own = read("/proc/self/attr/apparmor/current") or read("/proc/self/attr/current")
    if value in ("", "0"):
        return ok(switch) if value else None
    if is_root:  # whose bubblewrap makes the first one, as an ordinary user
        return ok(f"{switch}: bubblewrap needs a profile")
    if own.endswith(" (unconfined)"):  # a profile that only names the program, such as the one of docs/hosts.md
        return ok(f"{switch}: this Python has the profile {own}")
    return limited(
        switch,
        "programs without an AppArmor profile may not make user namespaces, and this Python has none",
        "Run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    )


def installed_backend(name: str) -> Question[Host]:
    """The question about a backend's program: it is there, starts and is new enough.

    The host is broken without the default one, and works with less without another.
    """

    def ask(host: Host) -> Answer:
        backend = backends.find(name)
        try:
            path = backend.locate(host.config.sandbox, os.environ)
        except PlatformError as error:
            if name == backends.DEFAULT:
                raise
            cause = f"no profile can ask for it here. {backend.STATEMENT}"
            return limited(f"{name} is not installed", cause, error.fix)
        old = backend.too_old(path)
        if old is not None:
            raise old
        return ok(f"{path}. {backend.STATEMENT}" if backend.STATEMENT else f"{said(path, '--version')} ({path})")

    return Question(name, ask)


def backend_question(name: str, asked: BackendQuestion) -> Question[Host]:
    """A backend's own question, tried in a directory that is gone afterwards."""

    def ask(host: Host) -> Answer:
        with trials.scratch(None) as base:
            program = backends.find(name).locate(host.config.sandbox, os.environ)
            return Answer(*asked.ask(program, str(base)))

    return Question(asked.name, ask, (name, "namespaces"))


def sandbox(host: Host) -> Answer:
    """A command starts in a sandbox of an empty workspace, without anything of a thread's, and can write there."""
    script = "echo started >/file && cat /file && exit 42"
    done = trials.start_alone(script, program=_program(host), uid=host.uid)
    if (done.status, done.out) != (42, b"started\n"):
        return broken("a command does not run as it should", _left(done))
    return ok("a command starts, writes in its workspace, and its status comes through")


def overlay(host: Host) -> Answer:
    """A layer in the data directory above a build in the cache, as a command of a thread has them."""
    data = nearest(host.data)
    try:
        with trials.stacked(nearest(host.cache), data, host.uid) as (stack, upper):
            script = "echo layer >/node_modules/file"
            done = trials.start_alone(script, program=_program(host), uid=host.uid, stacks=[stack])
            kept = (upper / "file").exists()
    except SandboxError as error:
        kind = (look("space", str(data)) or {}).get("kind", "")
        fix = f"Have {host.data} on a file system of its own (XDG_DATA_HOME names another parent)."
        if kind == "overlay":
            fix = f"Make {host.data} a volume: docker run --volume solven-env:{host.data} …"
        return broken(f"no layer can be mounted from {data} ({kind or 'unknown file system'})", error.message, fix)
    if done.status or not kept:
        return broken(f"a layer in {data} cannot be written", _left(done))
    return ok(f"layers in {host.data} can be mounted and written")


def network_helper(_: Host) -> Answer:
    """The program that gives a sandbox the internet, and nothing of the host's network, is there."""
    try:
        path = locate_slirp4netns(search=os.environ.get("PATH"))
    except PlatformError as error:
        return limited(error.message, "commands can have the network none or host", error.fix)
    return ok(f"{said(path, '--version').partition(chr(10))[0]} ({path})")


def internet(host: Host) -> Answer | None:
    """A sandbox with the network internet has an interface; whom it reaches is nothing to try out."""
    if network_helper(host).level != "ok" or "internet" not in host.config.sandbox.networks:
        return None
    try:
        helper = locate_slirp4netns(search=os.environ.get("PATH"))
        done = trials.start_alone(
            "cat /proc/net/dev", program=_program(host), uid=host.uid, network="internet", slirp4netns=helper
        )
    except SandboxError as error:
        return limited(f"no sandbox with the network internet: {error.message}", error.location, error.fix)
    if b"tap0:" not in done.out:
        return limited("a sandbox with the network internet has no interface", _left(done))
    return ok("a sandbox with the network internet has its interface")


def nearest(path: Path) -> Path:
    """The directory, or the nearest above it that is there."""
    while not path.is_dir():
        path = path.parent
    return path


def _program(host: Host) -> str:
    return backends.find(backends.DEFAULT).locate(host.config.sandbox, os.environ)


def _left(done: trials.Done) -> str:
    text = (done.err or done.out).decode(errors="replace").strip()[-300:]
    return f"it ended with {done.status} and said: {text or 'nothing'}"


def _about(name: str) -> tuple[Question[Host], ...]:
    own = (backend_question(name, asked) for asked in backends.find(name).questions())
    return installed_backend(name), *own


QUESTIONS: tuple[Question[Host], ...] = (
    Question("solven-env", version),
    Question("kernel", kernel),
    Question("configuration", config),
    Question("namespaces", namespaces),
    Question("apparmor", apparmor),
    *_about(backends.DEFAULT),
    Question("sandbox", sandbox, (backends.DEFAULT, "namespaces")),
    Question("network helper", network_helper),
    Question("internet", internet, ("sandbox",)),
    *(question for name in backends.BACKENDS if name != backends.DEFAULT for question in _about(name)),
)
