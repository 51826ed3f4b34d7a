"""From what the last apply recorded, and this host's builds, to a launch plan and a command's environment. Pure."""

from __future__ import annotations

import re
from typing import Any, cast

from solven_env.errors import SandboxError
from solven_env.packages import host_tools
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.profile.mounts import is_beneath, outermost
from solven_env.sandbox.backends import DEFAULT
from solven_env.sandbox.launch_plan import (
    Bind,
    Dev,
    Etc,
    LaunchPlan,
    Overlay,
    Proc,
    SecretFiles,
    StagedFile,
    Tmpfs,
)
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.roots import etc
from solven_env.system import byte_sizes
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from solven_env.packages.layers import Layer
    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.launch_plan import Mount
    from solven_env.sandbox.request import Request
    from solven_env.system.networks import Network

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_DEFAULT_USER = "user"


class Site(NamedTuple):
    """A thread's place on this host, the uid of its commands (None: ours), and the programs that run them.

    `slirp4netns` is empty for a network that needs none. Builds belong to the uid `builder`, and a linked thread's
    workspace to one in `owners`.
    """

    session: str
    workspace: str
    storage: str
    uid: int | None
    program: str
    slirp4netns: str = ""
    builder: int | None = None
    owners: tuple[tuple[int, int], ...] = ()


class Stacked(NamedTuple):
    """A build below the thread's layer, or in a copy of the thread's own (a path of the host)."""

    build: Build
    layer: Layer | str


def network(asked: str, backend: Backend, allowed: Collection[str]) -> Network:
    """The network that a command gets in a backend, `asked` by its caller or its profile.

    SandboxError for one that this host's configuration, which has `allowed` these, forbids: what is asked for is a
    wish, which a backend that makes no network says that it ignores, and what the host allows is a rule.
    """
    listed = ", ".join(allowed)
    if asked not in allowed:
        raise SandboxError(
            f"the network {asked} is not allowed on this host, whose configuration allows {listed}",
            fix=f"Use --network {next(iter(allowed))}, or let the administrator add it to sandbox.networks.",
        )
    given = backend.network(cast("Network", asked))
    if given not in allowed:
        raise SandboxError(
            f"the backend {backend.NAME} gives commands the network {given}, and this host's configuration allows "
            f"{listed}",
            fix=f"Use the backend {DEFAULT}, or let the administrator add {given} to sandbox.networks.",
        )
    return given


def unenforced(limits: Mapping[str, Any], backend: Backend) -> tuple[Unenforced, ...]:
    """The recorded `limits` that this host does not enforce in a backend."""
    return backend.unenforced(stated(limits))


def stated(limits: Mapping[str, Any]) -> list[str]:
    """The names of the recorded limits that have a value."""
    return [name for name, value in limits.items() if value and name != "enforce"]


def check_limits(limits: Mapping[str, Any], backend: Backend) -> None:
    """Refuse (SandboxError) a limit that a strict profile states and commands would not be held to."""
    for each in unenforced(limits, backend) if limits.get("enforce") == "strict" else ():
        fix = f"{each.fix} Or write 'enforce: best-effort' in the profile."
        raise SandboxError(f"the limit of {each.limit} cannot be enforced: {each.why}", fix=fix)


def launch_plan(
    settings: Mapping[str, Any], site: Site, stacks: Sequence[Stacked], tools: host_tools.Tools, network: Network
) -> LaunchPlan:
    """The plan of what the thread's commands see. `settings` come from the record; `network` is this command's."""
    tmp_size = size(settings["limits"].get("tmp_size"))
    mounts: list[Mount] = [_mount(each, tmp_size) for each in settings["mounts"]]
    mounts += [_link(each, site) for each in settings["links"]]
    mounts += [_build(*stacked, None if site.builder == site.uid else site.builder) for stacked in stacks]
    tool_mounts = host_tools.tool_mounts(tools, [mount.target for mount in mounts])
    if any(secret["as"] == "file" for secret in settings["secrets"]):
        tool_mounts = (*tool_mounts, SecretFiles())
    # A profile that mounts an /etc of its own has its own users and its own resolver too.
    has_etc = any(isinstance(mount, Etc) for mount in mounts)
    targets = outermost(mount.target for mount in (*mounts, *tool_mounts))
    ours = (*etc.identity(user(settings)), *etc.shells(), *etc.git(targets), *etc.resolver(network))
    return LaunchPlan(
        session=site.session,
        workspace=site.workspace,
        mounts=(*mounts, *tool_mounts),
        files=(*tools.files, *_ignored(tool_mounts), *(ours if has_etc else ())),
        links=host_tools.tool_links(tools),
        network=network,
        allow=tuple(settings.get("allow", ())) if network == "internet" else (),
        uid=site.uid,
        gid=site.uid,
        program=site.program,
        slirp4netns=site.slirp4netns,
    )


class Defaults(NamedTuple):
    """The parts that a command has if its request says nothing else: variables, the directory of its start, limits,
    and which processes share a PID namespace."""

    variables: Mapping[str, str]
    workdir: str
    limits: Limits
    processes: str


class Values(NamedTuple):
    """The values of secrets that a command gets: its variables, and the bytes of its files, by name."""

    variables: Mapping[str, str]
    files: Mapping[str, bytes]


NO_VALUES = Values({}, {})


def defaults(settings: Mapping[str, Any], tools: host_tools.Tools) -> Defaults:
    """The defaults that the settings and the tools of a thread give its commands.

    The variables are ours (`host_tools.VARIABLES`), what tools need, the profile's, PATH: of two values the later one
    in this order.
    """
    variables = {
        "HOME": "/",
        **dict(host_tools.VARIABLES),
        **dict(tools.variables),
        "PYTEST_ADDOPTS": " ".join(f"--ignore={target}" for target in mounted(settings)),
        **settings["env"],
        "PATH": ":".join(path(settings)),
    }
    return Defaults(variables, workdir(settings), limits(settings["limits"]), settings.get("processes", "command"))


def planned(request: Request, given: Defaults, secrets: Values = NO_VALUES) -> Request:
    """The request with its whole environment, its working directory, and its limits.

    The variables that the request brings count more than `secrets`, and these more than the defaults. PWD is left to
    the sandbox.
    """
    cwd = given.workdir if request.cwd is None else request.cwd
    variables = {
        **given.variables,
        **secrets.variables,
        "SOLVEN_ENV_CWD": cwd,
        **({"TERM": request.terminal} if request.terminal else {}),
        **request.env,
    }
    variables.pop("PWD", None)
    processes = given.processes if request.processes is None else request.processes
    return request._replace(cwd=cwd, env=variables, limits=given.limits, processes=processes, files=secrets.files)


def path(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The directories in which commands look for programs, the first one first."""
    return host_tools.path(settings["path"])


def user(settings: Mapping[str, Any]) -> str:
    """The name that `whoami` tells: USER of `env`, if that can be a user's name."""
    name = settings["env"].get("USER", _DEFAULT_USER)
    return name if _USER.fullmatch(name) and name not in ("root", "nobody") else _DEFAULT_USER


def mounted(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths inside that stand in the workspace and are none of the thread's own files."""
    links = (f"/{link['path']}" for link in settings["links"])
    packages = (row.TARGET for name, row in ECOSYSTEMS.items() if settings.get(name))
    return outermost([*(mount["target"] for mount in settings["mounts"]), *links, *packages])


def workdir(settings: Mapping[str, Any]) -> str:
    """The path inside at which commands start. A record without one says `/`."""
    found: str = settings.get("workdir", "/")
    return found


def check_workdir(workdir: str, plan: LaunchPlan) -> None:
    """Refuse (SandboxError) a working directory that this host's own mounts hide, which no profile can know."""
    for mount in plan.mounts:
        if is_beneath(workdir, mount.target):
            raise SandboxError(
                f"the profile's working directory is hidden by what this host shows at {mount.target}",
                fix="Name another one in sandbox.workdir, or start elsewhere: --cwd /",
                location=workdir,
            )


def size(text: str | None) -> int | None:
    """The bytes of a size as profiles write it, `4GiB`; None where there is none."""
    return byte_sizes.read(text) if text else None


def limits(recorded: Mapping[str, Any]) -> Limits:
    """The limits of a command. A name that a record of an earlier version lacks is no limit."""
    return Limits(
        processes=recorded.get("processes"),
        open_files=recorded.get("open_files"),
        file_size=size(recorded.get("file_size")),
        cpu_time=recorded.get("cpu_time"),
        memory=size(recorded.get("memory")),
        wall_time=recorded.get("wall_time"),
        disk=size(recorded.get("disk")),
        strict=recorded.get("enforce") == "strict",
    )


def _mount(each: Mapping[str, Any], tmp_size: int | None) -> Mount:
    target = each["target"]
    if each["kind"] == "proc":
        return Proc(target)
    if each["kind"] == "dev":
        return Dev(target)
    if each["kind"] == "tmpfs":
        return _tmpfs(target, size(each["size"]), tmp_size)
    if target == "/etc" and each["source"] == "/etc":
        return Etc(target)
    return Bind(target, each["source"], optional=each["optional"])


def _ignored(tool_mounts: Sequence[Mount]) -> tuple[StagedFile, ...]:
    """Files that keep rg, fd and ruff, started in `/`, out of an interpreter that is shown at its own path: no ignore
    file of a profile names that path, which is another one on each host.
    """
    places = (each.target for each in tool_mounts if isinstance(each, Tmpfs) and each.target != host_tools.RUN)
    return tuple(StagedFile(f"{place}/.ignore", b"*\n") for place in places)


def _build(build: Build, layer: Layer | str, owner: int | None) -> Mount:
    target = ECOSYSTEMS[build.kind].TARGET
    if isinstance(layer, str):
        return Bind(target, layer, read_only=False)
    return Overlay(target, str(build.tree), str(layer.upper), str(layer.work), build.instance, owner, str(build.lock))


def _tmpfs(target: str, stated: int | None, tmp_size: int | None) -> Tmpfs:
    is_tmp = target == "/tmp"  # noqa: S108
    sizes = [each for each in (stated, tmp_size if is_tmp else None) if each is not None]
    made = Tmpfs(target, mode=0o1777 if is_tmp else 0o755)
    return made._replace(size=min(sizes, default=made.size))


def _link(each: Mapping[str, Any], site: Site) -> Mount:
    return Bind(
        f"/{each['path']}",
        site.storage,
        beneath=each["to"],
        read_only=each["access"] == "read-only",
        optional=each["optional"],
        owners=site.owners if each["to"].startswith("threads/") else (),
    )
