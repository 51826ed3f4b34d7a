"""The packages of a thread: which builds it needs, whether this host has them, and making them.

A need is the same on every host: a section of the profile and its lock. Which build meets it depends on the host's
interpreter and tools, so records name the need, and the build only as what met it last.
"""

from __future__ import annotations

import functools
import hashlib
import json
from contextlib import ExitStack, contextmanager

from solven_env.config import common_uid
from solven_env.errors import BuildError, StoreError, counted
from solven_env.packages import lock_files, lock_text, locks, store
from solven_env.packages.ecosystems import ECOSYSTEMS, bound
from solven_env.packages.steps import step
from solven_env.state.records import lock_key
from solven_env.system import directories
from solven_env.system.at_once import at_once
from solven_env.system.lately import lately
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from solven_env.config import Config
    from solven_env.packages.ecosystems import Ecosystem
    from solven_env.packages.making import Builder
    from solven_env.packages.store import Build
    from solven_env.packages.toolchain import Toolchain
    from solven_env.profile.sections import Section
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.system.blocks import holding


class Need(NamedTuple):
    """One build that a thread needs. `kind` is the name of its ecosystem; `lock` is None without packages."""

    kind: str
    section: Section
    lock: bytes | None

    @property
    def ecosystem(self) -> Ecosystem:
        """The row of the table."""
        return ECOSYSTEMS[self.kind]

    @property
    def identity(self) -> str:
        """`sha256:…` of what is needed, the same on every host."""
        return _identity(self.kind, self.section, self.lock)


@lately(32)
def _identity(kind: str, section: Section, lock: bytes | None) -> str:
    text = json.dumps({"kind": kind, **section.recorded()}, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(text + b"\0" + (lock or b"")).hexdigest()


def needs(sections: locks.Sections, lock: locks.Lock) -> tuple[Need, ...]:
    """The builds that the sections need. A lock may be for more groups of packages than the sections have."""
    return tuple(_need(name, section, lock.get(name)) for name, section in sections.items() if section is not None)


@lately(32)
def _need(name: str, section: Section, lock: bytes | None) -> Need:
    if lock is None or not section.packages:
        return Need(name, section, None)
    return Need(name, *ECOSYSTEMS[name].part(section, lock))


def recorded_needs(settings: Mapping[str, Any], text: Callable[[str], bytes]) -> tuple[Need, ...]:
    """The builds that recorded settings need; `text` gives the lock of an ecosystem of which packages are named."""
    recorded = {name: settings.get(name) for name in ECOSYSTEMS}
    sections = {name: ECOSYSTEMS[name].section(value) for name, value in recorded.items() if value}
    return needs(sections, {name: text(name) for name, section in sections.items() if section.packages})


def read_lock(sections: locks.Sections, directory: Path | None, profile: str) -> locks.Lock:
    """The lock in `directory`, beside the profile that was named `profile`; `LockError` when it is out of date."""
    found = lock_files.read(directory) if directory is not None and locks.to_lock(sections) else {}
    return locks.check(found, sections, profile=profile, where=str(directory or profile))


def builder(config: Config, environ: Mapping[str, str], backend: Backend, program: str = "") -> Builder:
    """The builder of this host in a backend; a build looks for the backend's `program` if it is not given."""
    from solven_env.packages.making import Builder

    variables = tuple(sorted(environ.items()))
    host = _host(variables)
    if not host.is_trusted_as_found:
        _host.cache_clear()
        host = _host(variables)
    networks = config.sandbox.networks
    return Builder(host.configured(config), common_uid(config), str(directories.runtime()), backend, program, networks)


def find(need: Need, config: Config) -> Build | None:
    """The build that meets the need, where this host has it and it is whole. Nothing is looked for, none is made."""
    key = known_key(need, config)
    return store.find(directories.cache(), key) if key else None


def known_key(need: Need, config: Config) -> str | None:
    """The key of the build that meets the need on this host; None where that is not known yet."""
    return need.ecosystem.known_key(need.section, need.lock, directories.cache(), common_uid(config))


def obtain_to_use(
    needs: Sequence[Need], builder: Builder, config: Config, environ: Mapping[str, str], progress: Callable[[str], None]
) -> list[tuple[Build, holding]]:
    """As `obtain`, each build with what keeps it from being removed until it is closed.

    One that was changed and cannot be made again is used as it is, and `progress` told so.
    """
    found = [_found_to_use(need, config) for need in needs]
    lacking = [need for need, each in zip(needs, found, strict=True) if each is None]
    if not lacking:
        return [each for each in found if each is not None]

    def obtained(need: Need) -> tuple[Build, holding]:
        while True:
            try:
                (build,) = obtain((need,), builder, config, environ, progress)
            except BuildError as error:
                changed = _changed(need, config)
                if changed is None:
                    raise
                progress(f"{error.message}; the command has it as it is")
                build = changed
            used = _in_use(build)
            if used is not None:  # else made again just now, or removed
                return used

    made = iter(at_once([functools.partial(obtained, need) for need in lacking]))
    return [each or next(made) for each in found]


def _found_to_use(need: Need, config: Config) -> tuple[Build, holding] | None:
    """The same of the build that meets a need, which is looked at while it cannot be removed any more."""
    key = known_key(need, config)
    used = _in_use(store.read(directories.cache(), key)) if key else None
    return used if used is not None and store.is_whole(used[0]) else None


def _in_use(build: Build | None) -> tuple[Build, holding] | None:
    """The build with what keeps it from being removed; None where it is there no more."""
    used = store.use(build) if build is not None else None
    return (build, used) if build is not None and used is not None else None


@contextmanager
def used(named: Mapping[str, Mapping[str, str]], builds: Iterable[Build | None]) -> Iterator[None]:
    """Keep builds from being removed, which a record names so. StoreError for one that is there no more, or another."""
    with ExitStack() as stack:
        for build in builds:
            is_it = build is not None and named.get(build.kind, {}).get("instance") == build.instance
            found = store.use(build) if build is not None and is_it else None
            if found is None:
                where = build.key if build is not None else ""
                raise StoreError("a build was made again or removed meanwhile", fix="Try again.", location=where)
            stack.enter_context(found)
        yield


def obtain(
    needs: Sequence[Need], builder: Builder, config: Config, environ: Mapping[str, str], progress: Callable[[str], None]
) -> list[Build]:
    """The builds that meet the needs. Those that this host lacks are made at once, of which `progress` is told.

    LockError where a lock is none of ours: what a record names lies on the storage, and is believed no more than a
    file beside a profile. The lock of a build that is there was read when it was made: the digest is part of its key.
    BuildError where one cannot be made; one that is there and was changed is left as it is, and the error says so.
    Where several fail, the first error has the others as its `further`.
    """
    found = [find(need, config) for need in needs]
    lacking = [need for need, build in zip(needs, found, strict=True) if build is None]
    if lacking:
        for need in lacking:
            _believe(need)
        able = bound({need.kind: need.section for need in lacking}, with_program(builder, config, environ))
        made = iter(at_once([functools.partial(_make, need, able[need.kind], config, progress) for need in lacking]))
        return [build or next(made) for build in found]
    return [build for build in found if build is not None]


def _make(need: Need, builder: Builder, config: Config, progress: Callable[[str], None]) -> Build:
    count = counted(len(need.section.packages), "package")
    doing, done = f"making the {need.kind} build ({count} and what they need)", f"made the {need.kind} build"
    try:
        with step(progress, doing, done) as tell, builder.host.hiding():
            return need.ecosystem.install(need.section, need.lock, builder.telling(tell))
    except BuildError as error:
        changed = _changed(need, config)
        if changed is None:
            raise
        what = f"the {need.kind} build was changed since it was made (at {store.first_changed(changed)})"
        raise BuildError(
            f"{what}, is left as it is, and cannot be made again: {error.message}",
            fix=error.fix,
            location=error.location,
        ) from error


def _changed(need: Need, config: Config) -> Build | None:
    """The build that would meet the need if it were whole, where it is there."""
    key = known_key(need, config)
    found = store.read(directories.cache(), key) if key else None
    return found if found is not None and found.tree.is_dir() else None


def _believe(need: Need) -> None:
    if need.lock is None:
        return
    file = f".solven-env/{lock_key(hashlib.sha256(need.lock).hexdigest())}"
    fix = "Lock the profile and apply it again."
    need.ecosystem.believe(need.lock, need.section, file, fix=fix)


def with_program(builder: Builder, config: Config, environ: Mapping[str, str]) -> Builder:
    """The same builder with the backend's program, which is new enough."""
    able = builder._replace(program=builder.program or builder.backend.locate(config.sandbox, environ))
    old = builder.backend.too_old(able.program)
    if old is not None:
        raise old
    return able


def workspace_lock(need: Need, build: Build | None) -> tuple[str, bytes | None] | None:
    """The lock file with which a workspace begins: its name, and its bytes where they are known; None for none."""
    if need.lock is None:
        return None
    return need.ecosystem.WORKSPACE_LOCK, need.ecosystem.workspace_lock(need.lock, build)


def describe(need: Need, build: Build) -> dict[str, str]:
    """The build as a record names it."""
    return {
        "key": build.key,
        "instance": build.instance,
        "lock": lock_text.digest(need.lock) if need.lock is not None else "",
    }


def remarks(builds: Iterable[Build | None]) -> tuple[locks.Remark, ...]:
    """Remarks about the packages of builds; none of a missing one."""
    return tuple(each for build in builds if build is not None for each in ECOSYSTEMS[build.kind].remarks(build))


def texts(needs: Sequence[Need]) -> dict[str, bytes]:
    """The locks of these needs, by their SHA-256."""
    return {lock_text.digest(need.lock): need.lock for need in needs if need.lock is not None}


@functools.lru_cache(maxsize=1)
def _host(environ: tuple[tuple[str, str], ...]) -> Toolchain:
    from solven_env.packages import toolchain

    return toolchain.host(directories.cache(), dict(environ))
