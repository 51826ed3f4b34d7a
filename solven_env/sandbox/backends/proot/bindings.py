"""From a launch plan to what proot binds: a stage, one directory with an entry for each thing that the plan shows.

In a mount namespace of our own the entries are mounts, read-only where the plan says so, and need no parent directory
that the sandbox's uid may enter. Without one they are links to the host's paths, and what is read-only is so by the
host's own permissions alone.

What lies beneath the storage is resolved as for bubblewrap: by descriptor, through no link.
"""

from __future__ import annotations

import os
import stat

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.proot.tracer import Binding
from solven_env.sandbox.launch_plan import Bind, Dev, Etc, LaunchPlan, Mount, Proc, SecretFiles, Tmpfs
from solven_env.sandbox.roots import etc, mapping
from solven_env.sandbox.roots.sources import HARDENED, clone_bind, open_bind
from solven_env.sandbox.roots.targets import write_file
from solven_env.system import mounting
from solven_env.system.blocks import holding
from solven_env.system.syscalls import HOLD_DIRECTORY
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack


class Shown(NamedTuple):
    """A thing that the plan shows, at its entry on the stage, and whether it is a directory."""

    mount: Mount
    entry: str
    is_directory: bool


class Sources:
    """Open descriptors of what the plan shows of the host: a stage that hides part of the host hides none of them."""

    def __init__(self, plan: LaunchPlan, workspace: int, opened: ExitStack) -> None:
        self.mounts = _shown(plan)
        self.descriptors: dict[Mount, int] = {}
        for mount in self.mounts:
            if isinstance(mount, Bind):
                descriptor = open_bind(mount)
                if descriptor is not None:
                    opened.callback(os.close, descriptor)
                    self.descriptors[mount] = descriptor
        self.workspace = workspace
        self.program = os.open(plan.program, os.O_PATH)
        opened.callback(os.close, self.program)


def stage(plan: LaunchPlan, sources: Sources, where: str, *, mounted: bool) -> list[Shown]:
    """Fill the empty directory `where`: `root` is the workspace, `proot` the program, numbers are what is bound.

    Parents come before what lies beneath them.
    """
    _show(sources.workspace, f"{where}/root", HARDENED, mounted=mounted)
    _show(sources.program, f"{where}/proot", HARDENED | mounting.ATTR_RDONLY, mounted=mounted)
    shown: list[Shown] = []
    namespaces: mapping.Namespaces = {}
    there = [mount for mount in sources.mounts if not isinstance(mount, Bind) or mount in sources.descriptors]
    for mount, entry in _entries(there, where):
        if isinstance(mount, Proc | Dev):
            pass  # the host's, or those of our own PID namespace
        elif isinstance(mount, Tmpfs | Etc | SecretFiles):
            _make_directory(plan, mount, entry)
        elif mount in sources.descriptors:
            assert isinstance(mount, Bind)
            if mounted:
                with holding(clone_bind(plan, mount, sources.descriptors[mount], namespaces)) as clone:
                    _attach(clone, entry)
            else:
                _link(sources.descriptors[mount], entry)
        else:
            raise SandboxError("proot knows no overlays", location=mount.target)
        shown.append(Shown(mount, entry, os.path.isdir(entry)))
    _fill(plan, shown)
    mapping.close(namespaces)
    return shown


def bindings(shown: list[Shown]) -> list[Binding]:
    """The bindings for proot."""
    return [Binding(each.entry, each.mount.target) for each in shown]


def foreseen(plan: LaunchPlan, where: str) -> list[Binding]:
    """The same before anything is staged, at `where`, as far as the host tells now which optional things are there."""
    there = [mount for mount in _shown(plan) if not isinstance(mount, Bind) or _is_there(mount)]
    return [Binding(entry, mount.target) for mount, entry in _entries(there, where)]


def _is_there(mount: Bind) -> bool:
    if not mount.optional:
        return True
    descriptor = open_bind(mount)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _shown(plan: LaunchPlan) -> list[Mount]:
    return [*plan.mounts, *_parts_of_etc(plan)]


def _entries(mounts: list[Mount], where: str) -> Iterator[tuple[Mount, str]]:
    """The entries to show, parents first, each with its place on the stage."""
    fixed: dict[type[Mount], str] = {Proc: "/proc", Dev: "/dev"}
    for number, mount in enumerate(sorted(mounts, key=lambda mount: mount.target.count("/"))):
        yield mount, fixed.get(type(mount), f"{where}/{number}")


def in_workspace(shown: list[Shown]) -> list[str]:
    """The targets whose mount points lie in the workspace itself; the others' are made on the stage."""
    return [each.mount.target for each in shown if _above(shown, each.mount.target) is None]


def _parts_of_etc(plan: LaunchPlan) -> Iterator[Bind]:
    """The directories of the host's /etc that are seen as they are."""
    for mount in plan.mounts:
        if isinstance(mount, Etc):
            for name in etc.bound(omit=_brought(plan, mount)):
                yield Bind(f"{mount.target}/{name}", f"/etc/{name}", optional=True)


def _brought(plan: LaunchPlan, mount: Etc) -> frozenset[str]:
    """The names in /etc that come with the plan."""
    prefix = f"{mount.target}/"
    return frozenset(file.path.removeprefix(prefix) for file in plan.files if file.path.startswith(prefix))


def _show(descriptor: int, entry: str, attributes: int, *, mounted: bool) -> None:
    if not mounted:
        _link(descriptor, entry)
        return
    with holding(mounting.clone_tree("", descriptor)) as clone:
        mounting.set_attributes(clone, attributes)
        _attach(clone, entry)


def _link(descriptor: int, entry: str) -> None:
    # proot takes the host's path, whatever characters it has: a ':' would end it in an argument.
    os.symlink(os.readlink(f"/proc/self/fd/{descriptor}"), entry)


def _attach(mount: int, entry: str) -> None:
    if stat.S_ISDIR(os.fstat(mount).st_mode):
        os.mkdir(entry)
    else:
        os.close(os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    with holding(os.open(entry, os.O_PATH)) as place:
        mounting.attach(mount, place)


def write_secrets(plan: LaunchPlan, shown: list[Shown], files: Mapping[str, bytes], *, mounted: bool) -> None:
    """Write the files of a command onto the stage. SandboxError where that is on a disk."""
    if not files:
        return
    if not mounted:
        raise no_memory()
    (entry,) = (each.entry for each in shown if isinstance(each.mount, SecretFiles))
    with holding(os.open(entry, HOLD_DIRECTORY)) as directory:
        for name, content in files.items():
            write_file(directory, name, content, 0o400)
            if plan.uid is not None and plan.gid is not None:
                os.chown(name, plan.uid, plan.gid, dir_fd=directory, follow_symlinks=False)
    os.chmod(entry, 0o500)


def no_memory() -> SandboxError:
    """The error for files of secrets that would lie on a disk."""
    return SandboxError(
        "the backend proot has no memory for files of secrets here: this host lets it make no namespaces",
        fix="Write 'as: environment' in the profile, or use the backend bubblewrap.",
    )


def _make_directory(plan: LaunchPlan, mount: Tmpfs | Etc | SecretFiles, entry: str) -> None:
    os.mkdir(entry)
    if isinstance(mount, Etc):
        etc.copy(entry, omit=_brought(plan, mount))
        return
    is_writable = isinstance(mount, SecretFiles) or not mount.read_only
    os.chmod(entry, 0o700 if isinstance(mount, SecretFiles) else mount.mode)
    if plan.uid is not None and plan.gid is not None and is_writable:
        os.chown(entry, plan.uid, plan.gid)


def _fill(plan: LaunchPlan, shown: list[Shown]) -> None:
    """Make the plan's files and links, and the mount points that lie in directories of the stage's own."""
    for each in shown:
        above = _above(shown, each.mount.target)
        if above is not None and isinstance(above.mount, Tmpfs | Etc):
            _make_mount_point(_path(above, each.mount.target), is_directory=each.is_directory)
    for file in plan.files:
        with holding(_parent(shown, file.path)) as parent:
            write_file(parent, os.path.basename(file.path), file.content, file.mode)
    for link in plan.links:
        with holding(_parent(shown, link.path)) as parent:
            os.symlink(link.to, os.path.basename(link.path), dir_fd=parent)


def _make_mount_point(path: str, *, is_directory: bool) -> None:
    os.makedirs(path if is_directory else os.path.dirname(path), exist_ok=True)
    if not is_directory:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))


def _parent(shown: list[Shown], path: str) -> int:
    """A descriptor of the directory on the stage that holds a file of the plan."""
    above = _above(shown, path)
    if above is None or not isinstance(above.mount, Tmpfs | Etc):
        raise SandboxError("a staged file lies beneath no Etc and no read-only Tmpfs of the plan", location=path)
    directory = os.path.dirname(_path(above, path))
    os.makedirs(directory, exist_ok=True)
    return os.open(directory, HOLD_DIRECTORY)


def _above(shown: list[Shown], path: str) -> Shown | None:
    """The innermost thing that is shown above `path`; None for the workspace."""
    found = [each for each in shown if path.startswith(f"{each.mount.target}/")]
    return max(found, key=lambda each: len(each.mount.target), default=None)


def _path(above: Shown, path: str) -> str:
    return above.entry + path.removeprefix(above.mount.target)
