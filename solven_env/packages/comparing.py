"""A lock against what the indexes say now: the resolution of the same requirements, and each package by itself. Pure.

More files of a release than the lock has digests are no difference: they are uploaded at any time.
"""

from __future__ import annotations

from solven_env.errors import LockError
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.packages.ecosystems.bun.bun_lock import BunLock, Package
    from solven_env.packages.ecosystems.python.requirements_txt import Pin


def compare_python(found: Sequence[Pin], resolved: Sequence[Pin], file: str, *, fix: str = "") -> None:
    """LockError at the first pin that `resolved` has not, or has with other digests, or where it has one more."""
    theirs = {(pin.name, pin.version, pin.marker): pin for pin in resolved}
    for pin in found:
        same = theirs.pop((pin.name, pin.version, pin.marker), None)
        if same is None:
            what = f"the index's resolution has no {_shown(pin)}"
            raise LockError(what, fix=fix, location=f"{file}:{pin.line}")
        for number, digest in enumerate(pin.digests, 1):
            if digest not in same.digests:
                what = f"the index has no file of {pin.name} {pin.version} with this digest"
                raise LockError(what, fix=fix, location=f"{file}:{pin.line + number}")
    for pin in theirs.values():
        after = next((other.line for other in found if other.name > pin.name), found[-1].line)
        what = f"the lock lacks {_shown(pin)}, which the index's resolution has"
        raise LockError(what, fix=fix, location=f"{file}:{after}")


def compare_bun(found: BunLock, resolved: BunLock, file: str, *, fix: str = "") -> None:
    """LockError at the first package that `resolved` has not, or has otherwise, or where it has one more."""
    for key, package in found.packages.items():
        same = resolved.packages.get(key)
        if same is None or (same.name, same.version) != (package.name, package.version):
            what = f"the registry's resolution has no {package.name} {package.version} at {key}"
            raise LockError(what, fix=fix, location=f"{file}:{package.line}")
    for key, package in resolved.packages.items():
        if key not in found.packages:
            what = f"the lock lacks {package.name} {package.version} at {key}, which the registry's resolution has"
            raise LockError(what, fix=fix, location=f"{file}:{package.line}")


def compare_registry(found: BunLock, registry: Mapping[str, Package], file: str, *, fix: str = "") -> None:
    """LockError at the first package of which the registry, by `name@version`, has another digest or says otherwise."""
    for package in found.packages.values():
        location, name = f"{file}:{package.line}", f"{package.name} {package.version}"
        theirs = registry.get(f"{package.name}@{package.version}")
        if theirs is None:
            raise LockError(f"the registry has no {name}", fix=fix, location=location)
        if theirs.digest != package.digest:
            raise LockError(f"the registry has another digest for {name}", fix=fix, location=location)
        if _told(theirs) != _told(package):
            raise LockError(f"the registry says otherwise what {name} needs", fix=fix, location=location)


def _shown(pin: Pin) -> str:
    return f"{pin.name} {pin.version}{f' ; {pin.marker}' if pin.marker else ''}"


def _told(package: Package) -> dict[str, object]:
    """What the registry says of a package; whether another one brings it along is not the package's to say."""
    return {name: said for name, said in package.about.items() if name != "bundled"}
