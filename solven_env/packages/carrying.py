"""Carrying: what a thread added to a build, or removed from it, comes along when it gets a new layer.

A layer is begun once, whole, in one step: its directory is filled beside its place and then gets its name, with what is
carried in it. Nothing of ours ever writes into a layer that commands have had.

Files that were edited, added or removed beside whole packages (`strays`) come along only above the same build, out of
the newest layer above it; of another build they are told as left, and stay in the old layer.

Which additions are true, where a record and this host differ, is decided by name: what changed here since it was noted
last, else what is recorded. What is carried are files that the packages' own records name (`Ecosystem.carry`), taken
from the present layer. What does not fit has to be installed by name and version, inside (`Begun.to_install`).
"""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack, suppress

from solven_env.errors import WorkspaceError
from solven_env.packages import about_layers, added, additions, copies, layers, lost, store, strays, transfer
from solven_env.packages.about_layers import Begun, Fate, LayerAbout
from solven_env.packages.additions import NONE, Additions, Installed
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.packages.strays import Stray, Strays
from solven_env.system import directories
from solven_env.system.blocks import READ_DIRECTORY, READ_DIRECTORY_ITSELF, holding
from solven_env.system.publishing import locked, refusals_told, staged
from solven_env.system.syscalls import sync_file_system
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from solven_env.packages.builds import Need
    from solven_env.packages.ecosystems import Ecosystem
    from solven_env.packages.layers import Home, Place
    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend

    Anew = Literal["", "spoilt", "reset"]
    """The reason to begin above a build whose layer is there."""


class SeenLayer(NamedTuple):
    """The additions of a layer over its build now. `stamp` is that of just before; see `stamp`."""

    additions: Additions
    stamp: str
    is_complete: bool = True


class Foreseen(NamedTuple):
    """The fates that `begin` brings about, and the additions of a record afterwards. `is_begun`: it has done so."""

    fates: tuple[Fate, ...]
    additions: Additions
    is_begun: bool = False


class _Old(NamedTuple):
    """A layer out of which is carried. `was` are the versions that its build brought, by name.

    `build` is that build, or one of the same key; None where it is gone.
    """

    place: Place
    own: Path
    found: added.Found
    was: Mapping[str, str]
    about: LayerAbout
    build: Build | None


class _Plan(NamedTuple):
    """The steps of `begin`: `hidden` are names of the build's packages that are not to be seen."""

    carried: tuple[tuple[Installed, tuple[transfer.Piece, ...]], ...]
    hidden: tuple[str, ...]
    fates: tuple[Fate, ...]
    additions: Additions


_TOLD = 20
"""Strays that are named."""
_HOW = {
    "added": "no package's record names it",
    "edited": "it was edited in place",
    "removed": "it was removed by hand",
}


def look(home: Home, build: Build, backend: Backend) -> SeenLayer:
    """Look at what the thread's layer above a build has over it on this host; nothing where it is not begun."""
    before = stamp(home, build, backend)
    found = _find(home, build, backend)
    return SeenLayer(found.additions, before, found.is_complete)


def look_at(home: Home, build: Build, own: Path) -> SeenLayer:
    """The same of a layer above a build by its upper directory, or copy: another one may have taken its place."""
    before = stamp_of(build, own)
    about = about_layers.read(home, layers.place_of(own), build)
    found = added.find(ECOSYSTEMS[build.kind], own, about.brings or {})
    return SeenLayer(found.additions, before, found.is_complete)


def stamp(home: Home, build: Build, backend: Backend) -> str:
    """A text that is another one after a package was added to the layer or removed from it; it costs a few calls.

    Empty where there is no layer.
    """
    return stamp_of(build, layers.own(home, build, backend))


def stamp_of(build: Build, own: Path) -> str:
    """The same of the layer whose upper directory, or copy, this is."""
    row = ECOSYSTEMS[build.kind]
    try:
        descriptor = os.open(own, READ_DIRECTORY_ITSELF)
    except OSError:
        return ""
    with Root(descriptor, None) as root, Root(os.open(build.tree, READ_DIRECTORY), None) as tree:
        try:
            return about_layers.stamp(root, (*row.watched(tree), *row.watched(root)))
        except (OSError, WorkspaceError) as error:  # closed by the agent, or changed just now
            return str(error)


def to_record(home: Home, build: Build, seen: SeenLayer, recorded: Additions) -> Additions:
    """The additions that the record has to have now: what changed here since the last note, else what is recorded."""
    about = about_layers.read(home, layers.present(home, build.kind), build)
    base, ours = about.known, about.meant(seen.additions)
    if not seen.is_complete:
        base = additions.only(base, lambda name: name in ours.packages or name in ours.removed)
    return additions.merged(base, recorded, ours)


def note(home: Home, build: Build, seen: SeenLayer) -> None:
    """Note beside the layer what a record was told of it. Nothing is noted of what was seen in part only."""
    place = layers.present(home, build.kind)
    if place is None or place.instance != build.instance or not seen.is_complete:
        return
    with locked(home.path, place.name):
        about = about_layers.read(home, place, build)
        wanted = {name: version for name, version in about.wanted.items() if name not in seen.additions.packages}
        about = about._replace(wanted=wanted, stamp=seen.stamp, noted=about.meant(seen.additions))
        about_layers.write(home.path / place.name, about)


def foresee(
    home: Home,
    need: Need,
    build: Build | None,
    backend: Backend,
    recorded: Additions,
    was: bytes | None,
    key: str | None = None,
) -> Foreseen:
    """Foresee what `begin` will do above the build of a need; None for one that is still to be made.

    Nothing is written. `recorded` belongs to the present record, whose lock of this kind is `was`; `key` is that of a
    build that is still to be made, where it is known.
    """
    row = need.ecosystem
    if build is not None and about_layers.place(home, build, backend) is not None:
        seen, over = look(home, build, backend), recorded
        if was != need.lock:  # back to a build of which this host has the layer still
            over = additions.above(recorded, _pinned(row, was), _pinned(row, need.lock))
        return Foreseen(fates(home, build, backend), to_record(home, build, seen, over), is_begun=True)
    now = {package.name: package.version for package in added.brought(build)} if build else _pinned(row, need.lock)
    fits = _tops(build) if build else set(row.tops(need.section))
    over = additions.above(recorded, _pinned(row, was), now)
    old = _old(home, need.kind, build)
    older = _older(home, build, old) if build else old if old and old.build and old.build.key == key else None
    with ExitStack() as stack:
        planned = _plan(home, row, old, now, fits, over, stack, older)
    left = _left(row, old) if old is not None and older != old else ()
    return Foreseen((*planned.fates, *left), planned.additions)


def fates(home: Home, build: Build, backend: Backend) -> tuple[Fate, ...]:
    """The fate of each addition when the layer above a build was begun, as far as it is still true."""
    about = about_layers.read(home, layers.present(home, build.kind), build)
    if not about.fates:
        return ()
    seen = look(home, build, backend).additions
    return tuple(fate for fate in about.fates if _is_true(fate, seen))


def begin(
    home: Home,
    build: Build,
    backend: Backend,
    uid: int | None,
    recorded: Additions,
    progress: Callable[[str], None] = lambda _: None,
) -> Begun:
    """Have the thread's layer (or copy) above a build, begun with what is carried where it is missing.

    Under root it belongs to `uid`, the thread's. `recorded` are the additions over this build's need.
    """
    begun = _begun(home, build, backend, uid, recorded)
    if begun is None:
        layers.make(home)
        with locked(home.path, f"now-{build.kind}"):
            begun = _begun(home, build, backend, uid, recorded)
            if begun is None:
                begun = _begin(home, build, backend, uid, recorded, progress)
    return begun


def renew(
    home: Home,
    build: Build,
    backend: Backend,
    uid: int | None,
    recorded: Additions,
    progress: Callable[[str], None] = lambda _: None,
) -> Begun:
    """Begin a layer anew above a build that the present one has spoilt: removals are not carried. As `begin`."""
    layers.make(home)
    with locked(home.path, f"now-{build.kind}"):
        return _begin(home, build, backend, uid, recorded, progress, "spoilt")


def reset(home: Home, build: Build, backend: Backend, uid: int | None) -> Path | None:
    """Begin a layer above a build with nothing in it; the directory of the one in whose place it is, which stays.

    The record must say so too: what it has is installed again by name. Layers above earlier builds are set aside too.
    """
    layers.make(home)
    with locked(home.path, f"now-{build.kind}"):
        former = [each for each in layers.places(home) if each.kind == build.kind]
        begun = _begin(home, build, backend, uid, NONE, lambda _: None, "reset")
        for place in former:
            with locked(home.path, place.name):
                about = about_layers.read(home, place, None)
                if about.brings is not None:
                    about_layers.write(home.path / place.name, about._replace(is_aside=True))
        return begun.old


def files(home: Home, build: Build, backend: Backend) -> Strays:
    """The files that the thread edited, added or removed in its layer above a build, beside whole packages."""
    with Root(os.open(build.tree, READ_DIRECTORY), None) as tree:
        own = layers.own(home, build, backend)
        return strays.find(ECOSYSTEMS[build.kind], own, _find(home, build, backend), tree, added.brought(build))


def to_install(home: Home, build: Build) -> dict[str, str]:
    """The packages that the layer above a build still wants: versions by name."""
    return about_layers.read(home, layers.present(home, build.kind), build).to_install


def settle(home: Home, build: Build, outcomes: Mapping[str, str]) -> tuple[Fate, ...]:
    """Write down what became of `Begun.to_install`: for each name an empty text, or why it could not be installed.

    Returns all fates of the layer.
    """
    place = layers.present(home, build.kind)
    if place is None or place.instance != build.instance:
        return ()
    with locked(home.path, place.name):
        about = about_layers.read(home, place, build)
        settled = tuple(_settled(fate, outcomes) for fate in about.fates)
        wanted = {name: version for name, version in about.wanted.items() if outcomes.get(name) != ""}
        about_layers.write(home.path / place.name, about._replace(fates=settled, wanted=wanted))
    return settled


def command(home: Home, kind: str, packages: Mapping[str, str]) -> str:
    """The command with which a person adds packages in the thread."""
    return shlex.join(("solven-env", "run", home.thread, "--", *ECOSYSTEMS[kind].adding(packages)))


def _begun(home: Home, build: Build, backend: Backend, uid: int | None, recorded: Additions) -> Begun | None:
    """The layer that is there.

    None where one is to be begun, also where the record has removed or changed since what the layer has: another host
    did, and a layer that commands have had is never changed by us.
    """
    begun = about_layers.find(home, build, backend, uid)
    place = layers.present(home, build.kind)
    if begun is None or place is None or recorded == begun.noted:
        return begun
    about = about_layers.read(home, place, build)
    if about.noted is not None:
        found = _find(home, build, backend)
        ours = about.meant(found.additions)
        meant = additions.merged(about.known, recorded, ours)
        kept = additions.only(meant, lambda name: name in ours.packages or name in meant.removed)
        if found.is_complete and kept != ours:
            return None
    if any(about.known.packages.get(name) != version for name, version in recorded.packages.items()):
        about = _with_recorded(home, build, backend, place, recorded)
    return begun._replace(fates=about.fates, to_install=about.to_install, noted=about.known, noted_stamp=about.stamp)


def _with_recorded(home: Home, build: Build, backend: Backend, place: Place, recorded: Additions) -> LayerAbout:
    """Have what another host has recorded since as to be installed here."""
    seen = look(home, build, backend)
    with locked(home.path, place.name):
        about = about_layers.read(home, place, build)
        known = about.known.packages
        news = {name: version for name, version in recorded.packages.items() if known.get(name) != version}
        lacking = {name: version for name, version in news.items() if name not in seen.additions.packages}
        if not seen.is_complete or (not lacking and about.noted is None):
            return about
        asked = [
            _asked(home, build.kind, name, version, "it was added on another host, or above another build")
            for name, version in lacking.items()
        ]
        about = about._replace(
            fates=(*(fate for fate in about.fates if fate.name not in lacking), *asked),
            wanted={**about.wanted, **lacking},
            noted=about.known._replace(packages={**known, **news}),
        )
        about_layers.write(home.path / place.name, about)
    return about


def _begin(
    home: Home,
    build: Build,
    backend: Backend,
    uid: int | None,
    recorded: Additions,
    progress: Callable[[str], None],
    anew: Anew = "",
) -> Begun:
    """Begin it, under the lock of the kind."""
    row, brings = ECOSYSTEMS[build.kind], added.brought(build)
    now = {package.name: package.version for package in brings}
    present = _old(home, build.kind, build)
    old = None if anew == "reset" else present
    older = None if anew else _older(home, build, old)
    place = layers.following(home, build)
    with ExitStack() as stack, refusals_told(home.path), locked(home.path, place.name):
        planned = _plan(home, row, old, now, _tops(build), recorded, stack, older, is_spoilt=anew == "spoilt")
        filling = _Filling(home, build, backend, uid, brings, old, older, _fitting(row, older, build, brings), progress)
        left = _left(row, old) if old is not None and older != old else ()
        while True:
            with staged(home.path / place.name) as stage, refusals_told(stage):
                stage.chmod(0o700)
                unfit, unfit_files = filling.fill(stage, planned)
                if not unfit:
                    told = (*planned.fates, *left, *_told(row, older, unfit_files))
                    _finish(build, brings, backend, stage, planned._replace(fates=told), recorded)
            if not unfit:
                break
            planned = _without(home, planned, unfit)
        layers.set_present(home, place)
    begun = _begun(home, build, backend, uid, recorded)
    assert begun is not None
    return begun._replace(is_new=True, old=home.path / present.place.name if present else None)


class _Filling(NamedTuple):
    """All that a new layer is filled from. `strays` come out of the layer `older`, packages out of `old`."""

    home: Home
    build: Build
    backend: Backend
    uid: int | None
    brings: tuple[Installed, ...]
    old: _Old | None
    older: _Old | None
    strays: tuple[Stray, ...]
    progress: Callable[[str], None]

    def fill(self, stage: Path, planned: _Plan) -> tuple[dict[str, str], list[Stray]]:
        """Fill it; the packages that cannot be carried after all, and why, and such strays.

        Commands have changed them just now.
        """
        with Root(os.open(self.build.tree, READ_DIRECTORY), None) as tree:
            files = self._hidden(tree, planned.hidden)
            # Edited files of packages that the thread removed or replaced since went with these.
            taken = [each.path for each in self.strays if each.how != "removed" and each.path not in files]
            anchors = [f"{package.top}/." for package in self.brings if package.top]  # which are not to vanish
            if self.backend.HAS_MOUNTS:
                own = stage / "upper"
                layers.give(own, self.uid)
                layers.give(stage / "work", self.uid)
                anchors += [piece.path for _, pieces in planned.carried for piece in pieces]
                anchors += taken
                hidden = transfer.vanished(tree, files, anchors)
            else:
                own = stage / "copy"
                hidden = transfer.vanished(tree, files, anchors)
                copies.fill(self.home, self.build, own, self.uid, hidden, self.progress)
            with holding(os.open(own, READ_DIRECTORY)) as descriptor:
                receiver = transfer.Receiver(descriptor, tree, files, self.uid)
                if self.backend.HAS_MOUNTS:
                    receiver.hide(hidden)
                return self._take_packages(receiver, planned), self._take_strays(receiver, taken)

    def _hidden(self, tree: Root, names: Iterable[str]) -> set[str]:
        """The files of the build that are not to be seen: of these packages, and what was removed by hand."""
        found = _files(ECOSYSTEMS[self.build.kind], tree, self.brings, names)
        for stray in self.strays:
            if stray.how == "removed":
                with suppress(transfer.UnfitError):
                    found |= {piece.path for piece in transfer.expand(tree, (f"{stray.path}/",), lambda _: True)}
        return found.difference(ECOSYSTEMS[self.build.kind].NEEDED)

    def _take_packages(self, receiver: transfer.Receiver, planned: _Plan) -> dict[str, str]:
        unfit = dict[str, str]()
        if self.old is not None and planned.carried:
            with holding(os.open(self.old.own, READ_DIRECTORY_ITSELF)) as source:
                for package, pieces in planned.carried:
                    try:
                        receiver.take(source, pieces)
                    except transfer.UnfitError as error:
                        unfit[package.name] = str(error)
        return unfit

    def _take_strays(self, receiver: transfer.Receiver, paths: Sequence[str]) -> list[Stray]:
        unfit = list[Stray]()
        if self.older is None or not paths:
            return unfit
        with (
            Root(os.open(self.older.own, READ_DIRECTORY_ITSELF), None) as root,
            holding(os.open(self.older.own, READ_DIRECTORY_ITSELF)) as source,
        ):
            for path in paths:
                try:
                    receiver.take(source, transfer.expand(root, (path,)), is_edit=True)
                except transfer.UnfitError:
                    unfit += [stray for stray in self.strays if stray.path == path]
        return unfit


def _fitting(row: Ecosystem, older: _Old | None, build: Build, brings: Iterable[Installed]) -> tuple[Stray, ...]:
    """The strays of a layer above the same build; without what it removed, if that has spoilt it."""
    if older is None:
        return ()
    is_spoilt = bool(lost.find(build, older.own))
    with Root(os.open(build.tree, READ_DIRECTORY), None) as tree:
        found = strays.find(row, older.own, older.found, tree, brings).found
    return tuple(stray for stray in found if not (is_spoilt and stray.how == "removed"))


def _left(row: Ecosystem, old: _Old) -> tuple[Fate, ...]:
    """The fates of the strays of a layer that are not carried."""
    with ExitStack() as stack:
        tree, brings = None, tuple[Installed, ...]()
        if old.build is not None:
            tree = stack.enter_context(Root(os.open(old.build.tree, READ_DIRECTORY), None))
            brings = added.brought(old.build)
        found = strays.find(row, old.own, old.found, tree, brings)
    told = _told(row, old, found.found)
    if not found.is_complete and (found.found or old.own.name == "copy" or old.build is not None):
        why = f"not everything that was changed in place can be told; it is kept in {old.own}"
        told = (*told, Fate(row.NAME, "other files", "", "left", why))
    return told


def _told(row: Ecosystem, old: _Old | None, found: Sequence[Stray]) -> tuple[Fate, ...]:
    """A fate for each of the first strays that are left, and one for all others."""
    if old is None:
        return ()
    told = [
        Fate(row.NAME, path, "", "left", _HOW[how] + (f"; it is kept as {old.own / path}" if how != "removed" else ""))
        for path, how in found[:_TOLD]
    ]
    if len(found) > _TOLD:
        told.append(Fate(row.NAME, f"{len(found) - _TOLD} more files", "", "left", f"they are kept in {old.own}"))
    return tuple(told)


def _finish(
    build: Build, brings: Iterable[Installed], backend: Backend, stage: Path, planned: _Plan, recorded: Additions
) -> None:
    """Write down what the new layer has, and have all of it on disk."""
    carried = {package.name for package, _ in planned.carried}
    wanted = {name: version for name, version in planned.additions.packages.items() if name not in carried}
    paths = {package.path: (package.name, package.version) for package in brings}
    is_noted = planned.additions.as_json() == recorded.as_json()  # else it is noted after the next command
    stamp = stamp_of(build, stage / ("upper" if backend.HAS_MOUNTS else "copy")) if is_noted else ""
    about_layers.write(stage, LayerAbout(build.key, paths, planned.fates, wanted, stamp, recorded))
    with holding(os.open(stage, READ_DIRECTORY)) as descriptor:
        sync_file_system(descriptor)


def _without(home: Home, planned: _Plan, unfit: Mapping[str, str]) -> _Plan:
    """The plan, with these packages as to be installed by name and version."""
    told = tuple(
        _asked(home, fate.kind, fate.name, planned.additions.packages[fate.name], unfit[fate.name])
        if fate.fate == "carried" and fate.name in unfit
        else fate
        for fate in planned.fates
    )
    return planned._replace(
        carried=tuple(each for each in planned.carried if each[0].name not in unfit),
        hidden=tuple(name for name in planned.hidden if name not in unfit),
        fates=told,
    )


def _plan(
    home: Home,
    row: Ecosystem,
    old: _Old | None,
    now: Mapping[str, str],
    fits: Iterable[str],
    recorded: Additions,
    stack: ExitStack,
    older: _Old | None = None,
    *,
    is_spoilt: bool = False,
) -> _Plan:
    """Plan what becomes of each addition above a build that brings these versions, by name.

    Of a layer that is spoilt nothing is known of what the thread wanted to remove. What was removed from the same build
    earlier, in the layer `older`, stays removed unless another build has brought it since.
    """
    here = old.about.meant(old.found.additions) if old else NONE
    ours = additions.above(here, old.was, now) if old else NONE
    base = additions.above(old.about.known, old.was, now) if old else NONE
    if old and not old.found.is_complete:
        base = additions.only(base, lambda name: name in ours.packages or name in ours.removed)
    wanted = additions.merged(base, additions.above(recorded, now, now), ours)
    if is_spoilt:  # what was broken with the rest was not meant either
        wanted = Additions({**recorded.packages, **base.packages, **ours.packages})
    elif older is not None and older != old:
        since = {*here.packages, *wanted.packages, *wanted.removed, *(old.was if old else ())}
        again = (name for name in older.found.removed if name in now and name not in since)
        wanted = wanted._replace(removed=tuple(sorted((*wanted.removed, *again))))
    by_name = old.found.by_name if old else {}
    root = _opened(old, stack)
    told, carried = list[Fate](), []
    for name, version in wanted.packages.items():
        package = by_name.get(name)
        pieces, why = _pieces(row, root, package, version, fits)
        if package is not None and root is not None and not why and _is_mixed(old, root, package):
            why = "some of its files are those of another version"
        if package is not None and not why:
            carried.append((package, pieces))
            told.append(Fate(row.NAME, name, package.version, "carried"))
        else:
            told.append(_asked(home, row.NAME, name, version, why))
    for name in here.packages:
        if name in now and name not in wanted.packages and name in by_name:
            told.append(_brought(home, row.NAME, by_name[name], now[name]))
    told += [Fate(row.NAME, name, now[name], "removed") for name in wanted.removed]
    hidden = {*wanted.removed, *(package.name for package, _ in carried if package.name in now)}
    return _Plan(tuple(carried), tuple(sorted(hidden)), tuple(told), wanted)


def _pieces(
    row: Ecosystem, root: Root | None, package: Installed | None, version: str, fits: Iterable[str]
) -> tuple[tuple[transfer.Piece, ...], str]:
    """The files of a package that can be carried, or why it cannot."""
    if root is None or package is None:
        return (), "this host does not have its files"
    if package.asked != version:
        return (), f"this host has its version {package.version}"
    if package.top not in fits:
        return (), "its files are for another version of the interpreter"
    parts = row.carry(root, package)
    if parts is None:
        return (), "its record of files is missing or damaged"
    try:
        return transfer.expand(root, parts), ""
    except transfer.UnfitError as error:
        return (), str(error)


def _is_mixed(old: _Old | None, root: Root, package: Installed) -> bool:
    """True for a package in the directory of the build's, some of whose files show through.

    Bun's have one directory for all versions; what takes the place of a whole one hides it.
    """
    is_in_place = old is not None and old.own.name == "upper" and package.path in (old.about.brings or {})
    return is_in_place and not lost.is_opaque(root, package.path)


def _asked(home: Home, kind: str, name: str, version: str, why: str) -> Fate:
    """The fate of a package that is to be installed by name and version, where it can be."""
    if not version:
        return Fate(kind, name, "", "left", f"{why}, and it came from a file or an address")
    return Fate(kind, name, version, "installed", why, command(home, kind, {name: version}))


def _brought(home: Home, kind: str, package: Installed, version: str) -> Fate:
    if package.version == version:
        return Fate(kind, package.name, version, "brought")
    why = f"it was {package.version}"
    how = command(home, kind, {package.name: package.version}) if package.is_indexed else ""
    return Fate(kind, package.name, version, "brought", why, how)


def _settled(fate: Fate, outcomes: Mapping[str, str]) -> Fate:
    why = outcomes.get(fate.name)
    if fate.fate != "installed" or not fate.command or why is None:
        return fate
    return fate._replace(command="") if not why else fate._replace(fate="left", why=why)


def _is_true(fate: Fate, seen: Additions) -> bool:
    if fate.fate in ("carried", "installed") and not fate.command:
        return fate.name in seen.packages
    if fate.fate == "removed":
        return fate.name in seen.removed
    return fate.name not in seen.packages


def _old(home: Home, kind: str, build: Build | None) -> _Old | None:
    """The present layer or copy of a kind; None where there is none. `build` is what comes, for want of the old one."""
    place = layers.present(home, kind)
    return _old_at(home, place, build) if place else None


def _old_at(home: Home, place: Place, build: Build | None) -> _Old | None:
    for name in ("upper", "copy"):
        own = home.path / place.name / name
        if own.is_dir():
            break
    else:
        return None
    about = about_layers.read(home, place, None)
    below = _below(place, about, build)
    brings = about.brings
    if brings is None:
        known = below or build
        brings = {each.path: (each.name, each.version) for each in added.brought(known)} if known else {}
    found = _meant(below, own, added.find(ECOSYSTEMS[place.kind], own, brings))
    return _Old(place, own, found, dict(brings.values()), about, below)


def _older(home: Home, build: Build, old: _Old | None) -> _Old | None:
    """The newest layer above the same build, or one of the same key, since the thread was reset: what was edited there
    fits.
    """
    places = ((each, about_layers.read(home, each, None)) for each in layers.places(home) if each.kind == build.kind)
    found = {each: about.key for each, about in places if not about.is_aside}
    same = [each for each in found if each.instance == build.instance]
    same = same or [each for each, key in found.items() if key == build.key]
    if old is not None and old.place in same:
        return old
    return _old_at(home, max(same, key=lambda each: layers.used(home, each)), build) if same else None


def _below(place: Place, about: LayerAbout, build: Build | None) -> Build | None:
    """The build below a layer, or one of the same key, where the store still has it."""
    cache = build.path.parents[1] if build else directories.cache()
    if build is not None and (build.instance == place.instance or build.key == about.key):
        return build
    # about.json of a layer of an earlier version does not name it
    known = [about.key] if about.key else [key for key in store.keys(cache) if key.startswith(f"{place.kind}-")]
    builds = (store.read(cache, key) for key in known)
    return next((found for found in builds if found is not None and found.instance == place.instance), None)


def _opened(old: _Old | None, stack: ExitStack) -> Root | None:
    if old is None:
        return None
    try:
        return stack.enter_context(Root(os.open(old.own, READ_DIRECTORY_ITSELF), None))
    except OSError:
        return None


def _find(home: Home, build: Build, backend: Backend) -> added.Found:
    about = about_layers.read(home, layers.present(home, build.kind), build)
    own = layers.own(home, build, backend)
    return _meant(build, own, added.find(ECOSYSTEMS[build.kind], own, about.brings or {}))


def _meant(build: Build | None, own: Path, found: added.Found) -> added.Found:
    """The packages that were found, without removals where commands spoilt all: `rm -rf /.venv` is about no package."""
    is_spoilt = build is not None and bool(found.removed) and bool(lost.find(build, own))
    return found._replace(removed=()) if is_spoilt else found


def _files(row: Ecosystem, tree: Root, brings: Iterable[Installed], names: Iterable[str]) -> set[str]:
    """The files of the build's packages that have these names. What no command can do without stays."""
    hidden, found = set(names), set[str]()
    for package in brings:
        parts = row.carry(tree, package) if package.name in hidden else None
        if parts:
            with suppress(transfer.UnfitError):
                found |= {piece.path for piece in transfer.expand(tree, parts)}
    return found.difference(row.NEEDED)


def _tops(build: Build) -> set[str]:
    """The directories of packages that a build has."""
    with Root(os.open(build.tree, READ_DIRECTORY), None) as tree:
        return set(ECOSYSTEMS[build.kind].watched(tree))


def _pinned(row: Ecosystem, lock: bytes | None) -> dict[str, str]:
    return dict(row.pinned(lock)) if lock else {}
