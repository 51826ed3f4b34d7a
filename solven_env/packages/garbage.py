"""Garbage of this host: layers that no thread has, builds that nobody needs, leftovers of killed processes.

    <data>/layers/<storage id>/.gone/<thread>-…    layers that are being removed; what a killed process left of them
    <cache>/builds/.new-<key>-…                    a build that is being removed, or made

What is removed gets another name first, so that nobody meets half of it. Callers say what is needed; here is seen what
is used: by a command (the locks that it holds on its layers), and by whoever uses a build (the build's own lock).
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import HeldError, StoreError
from solven_env.packages import about_layers, layers, store
from solven_env.system import publishing
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.failures import failure
from solven_env.system.publishing import refusals_told
from solven_env.system.removal import remove_entry
from solven_env.workspace.sizes import measure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from solven_env.packages.layers import Home, Place

_ASIDE = ".new-"
_GONE = ".gone"
_PATIENCE = 5.0
_PAUSE = 0.02
"""Seconds that commands which were ended have to let their layers go, and between two looks."""


# Layers


def has_layers(data: Path, storage: str, thread: str) -> bool:
    """True where a thread has layers on this host, or some that are being removed."""
    above = data / "layers" / storage
    return os.path.lexists(above / thread) or any(_is_gone(name, thread) for name in _names(above / _GONE))


def incarnations(data: Path, storage: str, thread: str) -> list[str]:
    """The incarnations of which a thread has layers: all that had a command on this host."""
    return _directories(data / "layers" / storage / thread)


def remove_layers(data: Path, storage: str, thread: str) -> int:
    """Remove all layers that a thread has on this host, of all its incarnations; the bytes that were freed.

    HeldError while a command has them, StoreError for what cannot be removed.
    """
    above = data / "layers" / storage
    with ExitStack() as stack:
        _await_commands(stack, above / thread)
        if os.path.lexists(above / thread):
            _put_away(above / thread, above)
    return sum(remove(above / _GONE / name) for name in _names(above / _GONE) if _is_gone(name, thread))


def homes(data: Path) -> Iterator[Home]:
    """The places of layers of all threads on this host, those of dead incarnations too."""
    for storage in _directories(data / "layers"):
        for thread in _directories(data / "layers" / storage):
            if not thread.startswith("."):
                for incarnation in _directories(data / "layers" / storage / thread):
                    yield layers.Home(data, storage, thread, incarnation)


def leftovers(data: Path) -> Iterator[Path]:
    """The layers of which a killed process has left something that nobody has any more."""
    for storage in _directories(data / "layers"):
        for name in sorted(_names(data / "layers" / storage / _GONE)):
            yield data / "layers" / storage / _GONE / name


def last_use(home: Home, places: Collection[Place]) -> float:
    """The time at which some layers of a home were used last, in seconds since 1970; that of the home without any."""
    with suppress(OSError):
        return max((layers.used(home, place)[0] / 1e9 for place in places), default=home.path.stat().st_mtime)
    return time.time()


def old_layers(home: Home, instances: Collection[str], keys: Collection[str]) -> tuple[Place, ...]:
    """The layers of a thread that no command of it begins with any more.

    Needed are the present ones, and those above builds of these instances or keys, unless the thread was reset since.
    """
    found = layers.places(home)
    present = {layers.present(home, kind) for kind in {place.kind for place in found}}
    old = []
    for place in found:
        about = about_layers.read(home, place, None)
        is_fitting = place.instance in instances or about.key in keys
        if place not in present and (about.is_aside or not is_fitting):
            old.append(place)
    return tuple(old)


def needed_by_layers(home: Home) -> Iterator[tuple[str, str]]:
    """The instance and the key (empty where it is not known) of the build below each present layer of a home."""
    for kind in {place.kind for place in layers.places(home)}:
        place = layers.present(home, kind)
        if place is not None:
            yield place.instance, about_layers.read(home, place, None).key


def remove_old_layer(home: Home, place: Place) -> int | None:
    """Remove a layer that was old when it was looked at; the bytes that were freed, None where it is used."""
    with ExitStack() as stack:
        if not is_free(stack, str(home.path)) or not _is_taken(stack, home.path, f"now-{place.kind}"):
            return None
        if layers.present(home, place.kind) == place:
            return None
        aside = _put_aside(home.path / place.name, home.path)
    return remove(aside) if aside is not None else 0


def remove_home(stack: ExitStack, home: Home) -> int:
    """Remove all layers of an incarnation whose commands were held off in the block `stack`, which ends here."""
    with stack:
        aside = _put_away(home.path, home.path.parents[1])
    with suppress(OSError):  # others have layers in it
        home.path.parent.rmdir()
    return remove(aside) if aside is not None else 0


def is_free(stack: ExitStack, home: str) -> bool:
    """True if no command has the layers in a home, the directory of one incarnation; then the block keeps it so."""
    paths = [home, *(f"{home}/{name}/use" for name in _names(Path(home)))]
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError), refusals_told(Path(path)):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not _is_locked(stack, descriptor):
                return False
    return True


def _await_commands(stack: ExitStack, above: Path) -> None:
    """Hold all incarnations of a thread's layers against commands. HeldError where one goes on."""
    end = time.monotonic() + _PATIENCE
    while not all(is_free(stack, str(above / name)) for name in _names(above)):
        if time.monotonic() > end:
            fix = "Wait for its end, or end it; solven-env stop ends those of a session."
            raise HeldError(f"a command of thread {above.name} is running", fix=fix)
        stack.close()
        time.sleep(_PAUSE)


# Builds


class Spare(NamedTuple):
    """A build that nobody needs: its directory, and when it was used last (seconds since 1970)."""

    path: Path
    used: float


def spare(cache: Path, keys: Collection[str], instances: Collection[str]) -> tuple[Spare, ...]:
    """The builds that have none of these keys and instances, the one first that was not used for the longest time."""
    found = []
    for key in store.keys(cache):
        build = store.read(cache, key)
        if key not in keys and (build is None or build.instance not in instances):
            path = cache / "builds" / key
            times = [each.stat().st_mtime for each in path.glob("use-*.lock")]
            found.append(Spare(path, max(times, default=path.stat().st_mtime)))
    return tuple(sorted(found, key=lambda each: each.used))


def held_off(stack: ExitStack, build: Spare) -> bool:
    """True if nobody uses a build; whoever begins to waits then until the block ends."""
    with refusals_told(build.path):
        locks = [*build.path.glob("use-*.lock")]
        known = store.read(build.path.parents[1], build.path.name)
        if known is not None and not locks:
            known.lock.touch(mode=0o600)  # one of an earlier version, whose users make it
            locks.append(known.lock)
        with ExitStack() as own:
            for lock in locks:
                if not _is_locked(own, os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)):
                    return False
            stack.push(own.pop_all())
    return True


def put_aside(build: Spare) -> Path | None:
    """Give a build that was held off another name, to be removed; None where it is gone."""
    return _put_aside(build.path, build.path.parent)


def sweep(cache: Path) -> int:
    """Remove what killed processes left of builds that they made or removed; the bytes that were freed."""
    before = {path: size(path) for path in dead(cache)}
    publishing.sweep(cache / "builds")
    publishing.sweep_scratch(cache / "scratch")
    return sum(freed for path, freed in before.items() if not os.path.lexists(path))


def dead(cache: Path) -> list[Path]:
    """Builds under way and scratch directories; some of them may be a live process's."""
    made = [cache / "builds" / name for name in _names(cache / "builds") if name.startswith(_ASIDE)]
    return made + [cache / "scratch" / name for name in _names(cache / "scratch") if not name.startswith(".")]


def size_of_builds(cache: Path) -> int:
    """The bytes of all builds together."""
    return sum(size(cache / "builds" / key) for key in store.keys(cache))


# Both


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Hold off other collections of this host. HeldError while one goes on."""
    with ExitStack() as stack:
        if not _is_taken(stack, publishing.make_private(data), "collection"):
            raise HeldError("another gc goes on", fix="Try again when it has ended.")
        yield


def size(path: Path) -> int:
    """The bytes that something of ours takes on disk; 0 where it is gone."""
    try:
        with holding(os.open(path, READ_DIRECTORY_ITSELF)) as directory:
            return measure(directory).bytes
    except OSError:
        return 0


def remove(path: Path) -> int:
    """Remove what is in one of our directories, with all beneath it; the bytes that were freed.

    StoreError for what cannot be removed, once all else is.
    """
    with refusals_told(path), holding(os.open(path.parent, READ_DIRECTORY_ITSELF)) as directory:
        removal = remove_entry(directory, path.name)
    for inner, error in removal.failures:
        raise failure(StoreError, str(path.parent / inner), error) from error
    return removal.freed


def _put_away(path: Path, above: Path) -> Path | None:
    """Move layers to those of their storage that are being removed; None where they are gone."""
    publishing.make_private(above / _GONE)
    thread = path.relative_to(above).parts[0]
    return _rename(path, above / _GONE / f"{thread}-{os.urandom(4).hex()}")


def _put_aside(path: Path, above: Path) -> Path | None:
    return _rename(path, above / f"{_ASIDE}{path.name}-{os.urandom(4).hex()}")


def _rename(path: Path, aside: Path) -> Path | None:
    """Rename in directories that no link stands for; None where the thing is gone."""
    with refusals_told(path), ExitStack() as stack:
        try:
            places = [os.open(each, READ_DIRECTORY_ITSELF) for each in (path.parent, aside.parent)]
            old, new = (stack.enter_context(holding(place)) for place in places)
            os.rename(path.name, aside.name, src_dir_fd=old, dst_dir_fd=new)
        except FileNotFoundError:
            return None
    return aside


def _is_gone(name: str, thread: str) -> bool:
    return name.rpartition("-")[0] == thread


def _is_taken(stack: ExitStack, directory: Path, name: str) -> bool:
    """True if nobody makes what has this name in one of our directories; then the block keeps it so."""
    with refusals_told(directory):
        path = directory / f".{name}.lock"
        return _is_locked(stack, os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))


def _is_locked(stack: ExitStack, descriptor: int) -> bool:
    """Lock an open file alone until the block ends; False, and it is closed, where somebody has it."""
    with ExitStack() as own:
        own.enter_context(holding(descriptor))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        stack.push(own.pop_all())
    return True


def _directories(directory: Path) -> list[str]:
    """The names of directories in a directory of ours, sorted; not of links that somebody planted there."""
    with refusals_told(directory):
        try:
            with os.scandir(directory) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _names(directory: Path) -> list[str]:
    """The names in a directory of ours; none where it is missing, or something else."""
    with refusals_told(directory):
        try:
            return os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
