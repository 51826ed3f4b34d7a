"""Contents of a thread: the packages that its commands find, the workspace's top level and the rendered files."""

from __future__ import annotations

from solven_env.doctor import trials
from solven_env.errors import BuildError
from solven_env.packages import builds
from solven_env.reconcile import kinds
from solven_env.threads import planning
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread
    from solven_env.workspace.root import Entry

_SECONDS = 60.0
_MOST = 50_000
_LONGEST = 400
"""Lines of a list, and characters of a line, that are told: a thread's own uv or Bun may have printed them."""


class ListedFile(NamedTuple):
    """A name in the workspace, what stands there (None: nothing), and how it differs from what was applied."""

    path: str
    entry: Entry | None
    reason: str = ""


class Listing(NamedTuple):
    """Packages by `python` and `bun`, as uv and Bun list them, a line each; the top level; the rendered files."""

    packages: dict[str, tuple[str, ...]]
    top: tuple[ListedFile, ...]
    rendered: tuple[ListedFile, ...]


def list_thread(thread: Thread, *, with_packages: bool, with_files: bool) -> Listing:
    """List the thread. SandboxError if it was never applied, BuildError if a build is not whole."""
    record = thread.applied()
    listed = _packages(thread, record) if with_packages else {}
    return Listing(listed, *_files(thread, record)) if with_files else Listing(listed, (), ())


def _packages(thread: Thread, record: Record) -> dict[str, tuple[str, ...]]:
    listed: dict[str, tuple[str, ...]] = {}
    for need in thread.needs(record):
        if builds.find(need, thread.config) is None:
            raise BuildError(f"the {need.kind} build is not on this host, or not whole", fix="Apply makes it again.")
    for need in thread.needs(record):
        done = trials.start_in(thread, need.ecosystem.LISTING, {}, _SECONDS)
        lines = (done.out + (done.err if done.status else b"")).decode(errors="replace").splitlines()
        listed[need.kind] = tuple(line.rstrip()[:_LONGEST] for line in lines[:_MOST])
        if len(lines) > _MOST or not done.is_whole:
            listed[need.kind] += ("…",)
        if done.status:
            listed[need.kind] += (f"({' '.join(need.ecosystem.LISTING)} ended with {done.status})",)
    return listed


def _files(thread: Thread, record: Record) -> tuple[tuple[ListedFile, ...], tuple[ListedFile, ...]]:
    reasons = {change.address: change.reason for change in planning.plan_drift(thread, record).changes}
    files = sorted(kinds.files(record.resources).items())
    root = thread.open_root()
    if root is None:
        return (), tuple(ListedFile(path, None, reasons.get(address, "")) for path, address in files)
    with root:
        top = tuple(ListedFile(name, root.stat(name)) for name in root.list(""))
        rendered = tuple(ListedFile(path, root.stat(path), reasons.get(address, "")) for path, address in files)
    return top, rendered
