"""Resolving a profile's packages into a lock, on the host and away from any workspace; each ecosystem in its own way.

Nothing of a package runs on the host: Python's come as wheels, JavaScript's without their scripts. Those that a profile
allows to be built say what they need in a walled place. Credentials of the host's registries are used and not written.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from solven_env.errors import BuildError, LockError
from solven_env.packages import lock_text
from solven_env.packages.ecosystems import ECOSYSTEMS, bound
from solven_env.packages.locks import REMARKS, Remark, to_lock
from solven_env.packages.steps import step
from solven_env.system.publishing import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from solven_env.packages.ecosystems import Ecosystem
    from solven_env.packages.locks import Lock, NewestVersion, Sections
    from solven_env.packages.making import Builder
    from solven_env.packages.toolchain import Toolchain


def resolve(
    sections: Sections,
    known: Mapping[str, bytes],
    builder: Builder,
    progress: Callable[[str], None],
    *,
    moving: Mapping[str, Collection[str]] = MappingProxyType({}),
    doing: tuple[str, str] = ("locking", "locked"),
) -> tuple[Lock, tuple[Remark, ...]]:
    """The lock for these sections, and what there is to say of it.

    Versions of a lock that is `known` (its files by name) stay where they still fit, but for those of the packages in
    `moving`, by ecosystem. `doing` are the words for `progress`, while it goes on and at its end.

    Of what is known nothing but versions is believed: digests are the index's, and a text that is no lock is left out,
    of which `progress` is told. BuildError with the last lines of what resolves: an unknown package, one without a
    wheel, no network.
    """
    lock, remarks = {}, list[Remark]()
    asked = to_lock(sections)
    able = bound(asked, builder)
    for name, section in asked.items():
        row, host = ECOSYSTEMS[name], able[name].host
        with step(progress, f"{doing[0]} {section.told()}", f"{doing[1]} {section.told()}") as tell, host.hiding():
            known_text = _preferred(row, known, host, progress)
            if known_text and moving.get(name):
                known_text = row.released(section, known_text, moving[name], able[name])
            lock[name], more = row.resolve(section, known_text, able[name].telling(tell))
            remarks += more
    return lock, tuple(sorted(remarks, key=lambda remark: REMARKS.index(remark.kind)))


def newest(
    lock: Lock, sections: Sections, builder: Builder, progress: Callable[[str], None]
) -> dict[str, Sequence[NewestVersion]]:
    """The packages that the profile's own ranges hold below the newest version, by ecosystem.

    The lock is one that was just resolved without another.

    BuildError as for `resolve`.
    """
    able = bound(to_lock(sections), builder)
    found = {}
    with step(progress, "asking for the newest versions", "asked for the newest versions"):
        for name, text in lock.items():
            with able[name].host.hiding():
                found[name] = ECOSYSTEMS[name].newest(sections[name], text, able[name])
    return found


def check_resolved(
    lock: Lock, sections: Sections, builder: Builder, progress: Callable[[str], None], *, where: str, fix: str
) -> None:
    """Hold a lock that is believed against what the indexes say now, its versions preferred, and write nothing.

    LockError at `where/FILE:LINE` of the first package that the resolution has not, has otherwise or has besides, or
    that has a digest which the index does not know. BuildError as for `resolve`.
    """
    asked = to_lock(sections)
    able = bound(asked, builder)
    for name, section in asked.items():
        row, host = ECOSYSTEMS[name], able[name].host
        with step(progress, f"resolving {section.told()}", f"resolved {section.told()}") as tell, host.hiding():
            row.compare(section, lock[name], able[name].telling(tell), f"{where}/{row.LOCKS[0]}", fix=fix)


def _preferred(row: Ecosystem, known: Mapping[str, bytes], host: Toolchain, progress: Callable[[str], None]) -> bytes:
    """The known text of an ecosystem's lock, where there is one and it may be kept to."""
    text = lock_text.join(row.LOCKS, known)
    if text:
        try:
            row.check_known(text, host)
        except LockError as error:
            progress(f"{error.location}: {error.message}: its versions are not kept")
            return b""
    return text


@contextmanager
def told_of(tool: str, fix: str) -> Iterator[None]:
    """Make a LockError about what a tool just wrote a BuildError: there is nothing to restore or to lock anew."""
    try:
        yield
    except LockError as error:
        what = f"{tool} locked what a lock of ours cannot have: {error.location}: {error.message}"
        raise BuildError(what, fix=fix) from None


@contextmanager
def directory_away(cache: Path) -> Iterator[Path]:
    """A private directory, gone afterwards. Its empty uv.toml and bunfig.toml keep settings of parents out."""
    with scratch(cache / "scratch") as directory:
        for name in ("uv.toml", "bunfig.toml"):
            (directory / name).touch()
        yield directory
