"""The verbs of packages: those of a profile, with its lock, and those that a thread added, in its layers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from solven_env.api.arguments import check_editable, find_thread
from solven_env.errors import UsageError
from solven_env.report import EditReport, LayerDiffReport, LayerResetReport, LockReport, OutdatedReport, PromoteReport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from solven_env.packages.making import Builder
    from solven_env.packages.profile_edits import SectionEdit
    from solven_env.profile.model import Profile
    from solven_env.profile.source import ProfileSource


def add(
    profile: str | Path,
    kind: str,
    packages: Sequence[str],
    *,
    lock: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> EditReport:
    """Add packages to a profile of yours, and lock it: `httpx>=0.27` to its section of Python, `docx@^8.0.0` to Bun's.

        >>> solven_env.add("team.yaml", "python", ["httpx>=0.27"]).packages[0].outcome
        'added'

    Comments, quotes and style of the profile stay. A package that is there with another range is replaced; a name alone
    leaves it as it is. An npm package without a range gets that of the version that is locked. Profile and lock are
    written both, or none; without `lock` the profile alone, and no network is needed. `UsageError` for what is no
    package, for a profile that is not a file of yours, or written in a way that is not edited; `ProfileError`;
    `BuildError` when the lock cannot be made.
    """
    from solven_env.packages import profile_edits

    return _edit(profile, lambda source, ranges: profile_edits.add(source, kind, packages, ranges), lock, progress)


def remove(
    profile: str | Path,
    kind: str,
    packages: Sequence[str],
    *,
    lock: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> EditReport:
    """Remove packages from a profile of yours by name, and lock it; otherwise as `add`.

    `UsageError` for a package that the profile's own file does not name.
    """
    from solven_env.packages import profile_edits

    return _edit(profile, lambda source, _: profile_edits.remove(source, kind, packages), lock, progress)


def _edit(
    profile: str | Path,
    plan: Callable[[ProfileSource, Mapping[str, str]], SectionEdit],
    lock: bool,
    progress: Callable[[str], None],
) -> EditReport:
    from pathlib import Path

    from solven_env.packages import lock_files, locks, profile_edits, resolving
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.rewriting import rewrite
    from solven_env.profile.source import find_profile

    source = find_profile(profile)
    directory = _lock_directory(source)
    check_editable(profile, source)
    example(source, rows(), os.environ)  # of an invalid one nobody knows what its packages are
    edit = plan(source, {})
    found = example(source._replace(text=edit.after), rows(), os.environ)
    path = Path(profile)

    def report(locked: LockReport | None) -> EditReport:
        return EditReport(path, edit.before.decode(), edit.after.decode(), edit.packages, locked)

    if edit.after == edit.before:
        return report(None)
    if not lock:
        rewrite(path, edit.before, edit.after)
        return report(None)
    if not locks.to_lock(found.locked):
        changed = lock_files.write_with(directory, {}, path, edit.before, edit.after)
        return report(LockReport(directory, changed=changed))
    known = lock_files.read(directory)
    before = locks.readable(known)
    builder = _lock_builder(found, progress)
    texts, remarks = resolving.resolve(found.locked, known, builder, progress)
    ranges = profile_edits.ranges(edit, texts)
    if ranges:
        edit, known = plan(source, ranges), locks.files(texts, found.locked)
        found = example(source._replace(text=edit.after), rows(), os.environ)
        texts, remarks = resolving.resolve(found.locked, known, builder, lambda _: None)
    files = locks.files(texts, found.locked)
    changed = lock_files.write_with(directory, files, path, edit.before, edit.after)
    versions = locks.changes(before, texts)
    return report(LockReport(directory, tuple(files), changed, remarks, locks.counts(texts), versions))


def lock(
    profile: str | Path,
    *,
    upgrade: bool = False,
    upgrade_packages: Collection[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> LockReport:
    """Pin a profile's packages: write its lock beside it. Versions of the present lock stay where they still fit.

        >>> solven_env.lock("team.yaml", upgrade_packages=["httpx"]).versions["python.txt"]
        (VersionChange(name='httpx', before='0.27.0', after='0.28.1'),)

    With `upgrade` all versions are the newest that fit; with `upgrade_packages` those of these packages of the lock
    (`httpx`, or `python:httpx` where Bun has one of that name too), and what they force to move. `progress` is told
    what is being done, a line at a time (`packages.steps`). `UsageError` for a package that the lock does not have,
    `BuildError` when the packages cannot be resolved.
    """
    from solven_env.packages import lock_files, locks, resolving

    if upgrade and upgrade_packages:
        raise UsageError("upgrade moves all packages, upgrade_packages some", fix="Leave one of them out.")
    found, directory = _with_lock(profile)
    sections = found.locked
    if not locks.to_lock(sections):
        return LockReport(directory, changed=lock_files.write(directory, {}))
    present = lock_files.read(directory)
    before = locks.readable(present)
    moving = locks.named(upgrade_packages, before)
    known = {} if upgrade else present
    texts, remarks = resolving.resolve(sections, known, _lock_builder(found, progress), progress, moving=moving)
    files = locks.files(texts, sections)
    changed = lock_files.write(directory, files)
    return LockReport(directory, tuple(files), changed, remarks, locks.counts(texts), locks.changes(before, texts))


def check_lock(
    profile: str | Path, *, resolve: bool = False, progress: Callable[[str], None] = lambda _: None
) -> LockReport:
    """The lock of a profile as it is; `LockError` when it is missing, out of date, or no lock of ours. Writes nothing.

    Needs no network, unless it is to be resolved anew: `resolve` holds each pin and digest against the indexes, of
    which `progress` is told, and is a `BuildError` where they cannot be asked.
    """
    from solven_env.packages import lock_files, locks

    profiled, directory = _with_lock(profile)
    sections = profiled.locked
    where, name = str(directory), str(profile)
    found = locks.check(lock_files.read(directory), sections, profile=name, where=where)
    if not locks.to_lock(sections):
        return LockReport(directory)
    if resolve:
        from solven_env.packages import resolving

        builder = _lock_builder(profiled, progress)
        resolving.check_resolved(found, sections, builder, progress, where=where, fix=locks.relock(name))
    return LockReport(directory, tuple(locks.files(found, sections)))


def outdated(profile: str | Path, *, progress: Callable[[str], None] = lambda _: None) -> OutdatedReport:
    """Report what `lock` with `upgrade` would move, and what the profile's own ranges keep below the newest version.

        >>> solven_env.outdated("team.yaml").packages["python.txt"]
        (OutdatedPackage(name='httpx', locked='0.27.0', upgrade='0.28.1', newest='1.0.0', held_by='<1'),)

    Writes nothing. `LockError` when the lock is missing, out of date with the profile or not valid, `BuildError` when
    the packages cannot be resolved. `progress` is told as by `lock`.
    """
    from solven_env.packages import lock_files, locks, resolving

    profiled, directory = _with_lock(profile)
    sections = profiled.locked
    found = locks.check(lock_files.read(directory), sections, profile=str(profile), where=str(directory))
    if not found:
        return OutdatedReport(directory)
    builder = _lock_builder(profiled, progress)
    texts, remarks = resolving.resolve(sections, {}, builder, progress, doing=("resolving", "resolved"))
    held = resolving.newest(texts, sections, builder, progress)
    return OutdatedReport(
        directory,
        locks.outdated(found, texts, held),
        tuple(remark for remark in remarks if remark.kind == locks.HELD_BACK),
    )


def promote(
    thread: str,
    profile: str | Path,
    *,
    storage: str | Path | None = None,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> PromoteReport:
    """Edit a profile and its lock so that they bring what a thread added to its builds.

        >>> solven_env.promote("thread-42", "team.yaml").packages
        (Promoted(kind='python', name='rich', version='14.1.0', outcome='added', written='rich>=14.1.0', why=''),)

    Only packages that were asked for are added, not what these need. Comments, quotes and style of the profile stay;
    the lock pins the thread's versions where they fit. Both are written or none. Packages that the thread removed stay
    in the profile, and the report names them. With `dry_run` nothing is resolved or written. `UsageError` for a profile
    that is not a file of yours, or written in a way that is not edited; `BuildError` when the lock cannot be made.
    """
    from pathlib import Path

    from solven_env.packages import lock_files, locks
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile
    from solven_env.threads import promoting

    source, found = find_profile(profile), find_thread(thread, storage)
    directory = _lock_directory(source)
    check_editable(profile, source)
    promotion = promoting.plan(found, source)
    before, after = promotion.before.decode(), promotion.after.decode()
    report = PromoteReport(thread, Path(profile), before, after, promotion.packages)
    if dry_run or not promotion.moves:
        return report
    present = locks.readable(lock_files.read(directory))
    builder = _lock_builder(example(source, rows(), os.environ), progress)
    files, lock, remarks = promoting.lock(promotion, source, builder, progress)
    changed = lock_files.write_with(directory, files, report.path, promotion.before, promotion.after)
    versions = locks.changes(present, lock)
    return report._replace(
        lock=LockReport(directory, tuple(files), changed, remarks, locks.counts(lock), versions),
    )


def layer_diff(thread: str, *, storage: str | Path | None = None) -> LayerDiffReport:
    """Report what a thread has over its builds on this host: packages added and removed, files added and edited.

        >>> [each.added for each in solven_env.layer_diff("thread-42").layers]
        [(('humanize', '4.13.0'),), ()]

    `NeverAppliedError` for a thread that was never applied, `StoreError` where this host lacks a build.
    """
    from solven_env.threads import own_layers

    return LayerDiffReport(thread, own_layers.differences(find_thread(thread, storage)))


def layer_reset(
    thread: str,
    *,
    kinds: Collection[str] = (),
    storage: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> LayerResetReport:
    """Have a thread's next command begin with its builds as they are; nothing that it added is carried any more.

        >>> solven_env.layer_reset("thread-42", kinds=["python"]).kept
        {'python': '/home/ada/.local/share/solven-env/layers/…'}

    `kinds` are `python`, `bun` or both; without any, all that the thread has. The old layers are kept, and commands
    that run keep them until they end. Errors as of `layer_diff`; `HeldError` while an apply has the thread.
    """
    from solven_env.threads import own_layers

    found = find_thread(thread, storage)
    found.applied()
    return LayerResetReport(thread, own_layers.reset(found, kinds, progress))


def _with_lock(profile: str | Path) -> tuple[Profile, Path]:
    """A valid profile, and the directory of its lock."""
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile

    source = find_profile(profile)
    return example(source, rows(), os.environ), _lock_directory(source)


def _lock_builder(profile: Profile, progress: Callable[[str], None]) -> Builder:
    """The means of this host to lock; nothing of its sandbox is looked for before something must be built."""
    from solven_env import config
    from solven_env.packages import builds
    from solven_env.sandbox import backends

    builder = builds.builder(config.load(os.environ), os.environ, backends.find(profile.sandbox.backend))
    return builder.telling(progress)


def _lock_directory(source: ProfileSource) -> Path:
    if source.lock is None:
        raise UsageError("a profile on standard input has no lock", fix="Keep it in a file, and name that.")
    return source.lock
