"""Short ways to say what a profile asks, what a workspace holds and what a record says."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from solven_env.profile.model import LimitsSection, Profile, SandboxSection
from solven_env.profile.render import RenderedFile, digest
from solven_env.reconcile.desired import desired
from solven_env.reconcile.kinds.directory import WORKSPACE
from solven_env.reconcile.model import DIRECTORY, Desired, Observed, State
from solven_env.reconcile.plan import addresses
from solven_env.state.records import Record, Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.profile.model import Own

DIR = DIRECTORY
LINK = State("symlink", digest(b"/etc/passwd"))
OTHER = State("other")


def text(content: str, mode: str = "0644") -> State:
    """A file with this content; an empty mode is that of a record where the storage keeps none."""
    data = content.encode()
    return State("file", digest(data), mode, len(data), data)


def profile(*, name: str = "p", release: str = "1.0.0", env: Mapping[str, str] | None = None) -> Profile:
    """A resolved profile without files."""
    return Profile(
        file="p.yaml",
        name=name,
        release=release,
        sandbox=SandboxSection(limits=LimitsSection(memory="4GiB")),
        mounts=(),
        env=env or {},
        path=(),
        packages={"python": None, "bun": None},
        locked={"python": None, "bun": None},
        dotfiles=(),
        links=(),
        context={},
        unset=frozenset(),
    )


def wanted(
    files: Mapping[str, State],
    *,
    keys: tuple[str, ...] = (),
    own: Mapping[str, Own] | None = None,
    inputs: Mapping[str, str] | None = None,
    **about: Any,
) -> Desired:
    """What a profile with these files asks; those in `keys` are `own: keys`, others whole unless `own` says."""
    owns: dict[str, Own] = {**dict.fromkeys(keys, "keys"), **(own or {})}
    rendered = [
        RenderedFile(path, state.data or b"", state.mode, owns.get(path, "whole")) for path, state in files.items()
    ]
    return desired(profile(**about), rendered, inputs or {})


def record(
    files: Mapping[str, State],
    *,
    like: Desired | None = None,
    intended: tuple[Mapping[str, State], ...] = (),
    generation: int = 1,
    keys: tuple[str, ...] = (),
) -> Record:
    """The record of an apply that left these files and directories; `like` says what it was asked."""
    asked = like or wanted({})
    return Record(
        incarnation="0" * 32,
        generation=generation,
        profile=asked.profile if generation else {},
        inputs=asked.inputs if generation else {},
        settings=asked.settings if generation else {},
        resources={WORKSPACE: Recorded("directory"), **_entries(files, keys)} if generation else {},
        intended=_intended(intended, keys) if intended else None,
    )


def seen(held: Mapping[str, State], asked: Desired, recorded: Record | None, *, workspace: bool = True) -> Observed:
    """What observing finds in a workspace that holds this."""
    found = {WORKSPACE: DIR} if workspace else {}
    for address in addresses(asked, recorded):
        kind, _, path = address.partition(":")
        if path in held:
            found[address] = held[path]
        if kind == "directory" and held.get(path) == DIR:
            names = tuple(sorted(posixpath.basename(name) for name in held if posixpath.dirname(name) == path))
            found[address] = DIR._replace(names=names)
    return Observed(found)


def _entries(files: Mapping[str, State], keys: tuple[str, ...]) -> dict[str, Recorded]:
    return {
        f"directory:{path}" if state == DIR else f"file:{path}": Recorded("directory")
        if state == DIR
        else Recorded("file", "keys" if path in keys else "whole", state.digest, state.mode)
        for path, state in files.items()
    }


def _intended(versions: tuple[Mapping[str, State], ...], keys: tuple[str, ...]) -> dict[str, tuple[Recorded, ...]]:
    found: dict[str, tuple[Recorded, ...]] = {WORKSPACE: (Recorded("directory"),)}
    for version in versions:
        for address, entry in _entries(version, keys).items():
            found[address] = (*found.get(address, ()), entry)
    return found
