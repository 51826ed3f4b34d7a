"""Explanations of a command that is not started: `run --explain`. Pure."""

from __future__ import annotations

from typing import Any

from solven_env.packages import certificates, host_tools
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.run.secrets import recorded, source
from solven_env.sandbox.launch_plan import SANDBOX_UID, Bind, Dev, Etc, Overlay, Proc, SecretFiles, Tmpfs
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.launch_plan import LaunchPlan, Mount
    from solven_env.sandbox.request import Request
    from solven_env.state.records import Record

MARGIN = 11
"""Columns before the text of each line, where the first line of a section has its name."""

_OURS = {
    host_tools.RUN: "what every sandbox has of the host, under fixed names",
    host_tools.LOCAL: "what the thread installs beside its packages, as in ~/.local",
    certificates.INSIDE: "the certificate authorities that the host trusts",
}
"""Reasons for what no profile names."""

_OTHERS: Mapping[type[Mount], str] = {
    Bind: "where the interpreter lies",
    Tmpfs: "empty, so that nothing else is seen there",
    SecretFiles: "the secrets that are files",
}
_WHATS: dict[type[Mount], str] = {
    Proc: "the command's own processes",
    Dev: "a few devices",
    Etc: "what programs read there, without credentials",
    SecretFiles: "memory of the command's own",
}


class ToldBuild(NamedTuple):
    """A build that the command has, and the directory of what the thread has of its own of it.

    Only `kind` is known of one that the next run would make.
    """

    kind: str
    key: str = ""
    instance: str = ""
    layer: str = ""


class ToldMount(NamedTuple):
    """One thing that the command sees: at `target`, what it is, how, and why."""

    target: str
    what: str
    access: str
    why: str


class ToldLimit(NamedTuple):
    """A limit as the profile states it. `unenforced` says why commands are not held to it here; empty: they are."""

    name: str
    value: str
    unenforced: str = ""


class Explanation(NamedTuple):
    """Everything that a command would start with.

    `uid` is the host's (None: the caller's own). A variable whose value is None is given with this command alone: its
    name is told, since it may be a secret. `program` is the whole command line that starts it, where the numbers of
    descriptors, and the place of the staged root, are examples.
    """

    thread: str
    generation: int
    backend: str
    argv: tuple[str, ...]
    cwd: str
    timeout: float | None
    processes: str
    network: str
    allow: tuple[str, ...]
    uid: int | None
    workspace: str
    builds: tuple[ToldBuild, ...]
    mounts: tuple[ToldMount, ...]
    variables: Mapping[str, str | None]
    secrets: tuple[Mapping[str, Any], ...]
    limits: tuple[ToldLimit, ...]
    program: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        lists = {name: [each._asdict() for each in getattr(self, name)] for name in ("builds", "mounts", "limits")}
        return self._asdict() | lists | {"uid": {"inside": SANDBOX_UID, "host": self.uid}}


class Facts(NamedTuple):
    """Facts beside the launch plan and the request. `given` are the variables that came with the command."""

    thread: str
    record: Record
    builds: tuple[ToldBuild, ...]
    unenforced: tuple[Unenforced, ...]
    given: Collection[str]


def tell(facts: Facts, plan: LaunchPlan, request: Request, backend: Backend, *, controlled: bool) -> Explanation:
    """All of it, for a planned request in a backend. `controlled`: the caller's standard input is a terminal."""
    settings = facts.record.settings
    return Explanation(
        thread=facts.thread,
        generation=facts.record.generation,
        backend=backend.NAME,
        argv=request.argv,
        cwd=request.directory,
        timeout=request.timeout,
        processes=request.processes or "command",
        network=plan.network,
        allow=plan.allow,
        uid=plan.uid,
        workspace=plan.workspace,
        builds=facts.builds,
        mounts=mounts(plan, settings, backend),
        variables=variables(request, facts.given),
        secrets=tuple(recorded(settings)),
        limits=_limits(settings["limits"], facts.unenforced),
        program=backend.explain(plan, request, controlled=controlled),
    )


def mounts(plan: LaunchPlan, settings: Mapping[str, Any], backend: Backend) -> tuple[ToldMount, ...]:
    """The mounts that the command sees, from / on, each with its reason: the profile's, or ours."""
    whys = {mount["target"]: mount["why"] for mount in settings["mounts"]}
    whys |= {f"/{link['path']}": f"a link of the profile to {link['to']}" for link in settings["links"]}
    workspace = ToldMount("/", plan.workspace, "read-write", "the workspace")
    told = (_told(mount, whys, backend) for mount in plan.mounts)
    return workspace, *sorted(told, key=lambda mount: mount.target)


def variables(request: Request, given: Collection[str]) -> dict[str, str | None]:
    """The command's variables by name; those that were `given` with it without their values."""
    return {name: None if name in given else value for name, value in sorted(request.env.items())}


def text(explanation: Explanation) -> Iterator[str]:
    """Lines for a person."""
    told = explanation
    yield f"{told.thread}: generation {told.generation}, in {told.backend}. Nothing was started."
    yield from _section("command", [" ".join(_word(word) for word in told.argv)])
    yield from _section("directory", [told.cwd])
    if told.timeout is not None:
        yield from _section("timeout", [f"{told.timeout:g} s"])
    if told.processes != "command":
        yield from _section("processes", ["of all commands of the session together"])
    allowed = f", and of what is private {', '.join(told.allow)}" if told.allow else ""
    yield from _section("network", [told.network + allowed])
    host = "the caller's own" if told.uid is None else str(told.uid)
    yield from _section("uid", [f"{SANDBOX_UID} inside, {host} on the host"])
    yield from _section("limits", [_limit(limit) for limit in told.limits] or ["none"])
    yield from _section("builds", [line for build in told.builds for line in _build(build)] or ["none"])
    yield from _section("mounts", [line for mount in told.mounts for line in _mount(mount)])
    known = [f"{name}={_word(value)}" for name, value in told.variables.items() if value is not None]
    secret = [f"{name}, given with this command" for name, value in told.variables.items() if value is None]
    yield from _section("variables", [*known, *secret, *map(_secret, told.secrets)])
    yield from _section("starts", [" ".join(_word(word) for word in told.program)])


def _told(mount: Mount, whys: Mapping[str, str], backend: Backend) -> ToldMount:
    ours = _OURS | {target: why for row in ECOSYSTEMS.values() for target, why in row.WHYS.items()}
    why = whys.get(mount.target, ours.get(mount.target, _OTHERS.get(type(mount), "")))
    what, is_read_only = {**_WHATS, **backend.SHOWN}.get(type(mount), ""), isinstance(mount, Etc)
    if isinstance(mount, Overlay):
        what = f"{mount.lower} below {mount.upper}"
    elif isinstance(mount, Tmpfs):
        what = what or f"memory of {mount.size >> 20} MiB"
        is_read_only = mount.read_only
    elif isinstance(mount, Bind):
        what = "/".join(filter(None, (mount.source, mount.beneath)))
        what += ", left out where it is missing" if mount.optional else ""
        is_read_only = mount.read_only
    return ToldMount(mount.target, what, "read-only" if is_read_only else "read-write", why)


def _limits(recorded: Mapping[str, Any], unenforced: Collection[Unenforced]) -> tuple[ToldLimit, ...]:
    whys = {each.limit: each.why for each in unenforced}
    stated = {name: value for name, value in recorded.items() if value is not None and name != "enforce"}
    return tuple(ToldLimit(name, str(value), whys.get(name, "")) for name, value in stated.items())


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{title if not number else '':{MARGIN}}{line}"


def _limit(limit: ToldLimit) -> str:
    return f"{limit.name} {limit.value}" + (f", not enforced: {limit.unenforced}" if limit.unenforced else "")


def _secret(secret: Mapping[str, Any]) -> str:
    optional = ", left out where it is missing" if secret["optional"] else ""
    name = f"{SecretFiles().target}/{secret['name']}" if secret["as"] == "file" else secret["name"]
    what = "" if "is_passed" in secret else "a secret "
    return f"{name}, {what}from {source(secret)}{optional}"


def _build(build: ToldBuild) -> Iterator[str]:
    if not build.key:
        yield f"{build.kind}: the next run makes it"
        return
    yield build.key
    yield f"  own changes in {build.layer}"


def _mount(mount: ToldMount) -> Iterator[str]:
    yield f"{mount.target}  ({mount.access}) {mount.why}".rstrip()
    if mount.what != mount.target:
        yield f"  {mount.what}"


def _word(word: str) -> str:
    from shlex import quote

    from solven_env.errors import printable

    return quote(printable(word))
