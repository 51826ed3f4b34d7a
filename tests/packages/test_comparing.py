"""A lock against a resolution: which pin is named, and at which line."""

from __future__ import annotations

import pytest

from solven_env.errors import LockError
from solven_env.packages.ecosystems.bun import tree
from solven_env.packages.ecosystems.bun.bun_lock import BunLock, LockedPackage
from solven_env.packages.ecosystems.python.pins import compare
from solven_env.packages.ecosystems.python.requirements_txt import Pin

A, C = Pin("a", "1", None, ("1", "2"), 2), Pin("c", "1", "os_name == 'nt'", ("3",), 5)


def test_more_files_of_a_release_are_no_difference() -> None:
    compare((A, C), (C, A._replace(digests=("0", "2", "1"), line=9)), "f")


@pytest.mark.parametrize(
    ("resolved", "location", "message"),
    [
        ((A,), "f:5", "has no c 1 ; os_name == 'nt'"),
        ((A, C._replace(version="2")), "f:5", "has no c 1 ;"),
        ((A, C._replace(marker=None)), "f:5", "has no c 1 ;"),
        ((A._replace(digests=("1",)), C), "f:4", "no file of a 1 with this digest"),
        ((A, C, Pin("b", "1", None, ("4",), 1)), "f:5", "the lock lacks b 1, which"),
        ((A, C, Pin("d", "1", None, ("4",), 1)), "f:5", "the lock lacks d 1, which"),
    ],
)
def test_the_first_pin_that_differs_is_named(resolved: tuple[Pin, ...], location: str, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        compare((A, C), resolved, "f")
    assert caught.value.location == location


X = LockedPackage("x", "x", "1.0.0", "sha512-1", {"y": "1"}, {}, {"dependencies": {"y": "1"}}, 3)
Y = LockedPackage("x/y", "y", "1.0.0", "sha512-2", {}, {}, {"bundled": True}, 5)


def lock(*packages: LockedPackage) -> BunLock:
    return BunLock({}, {package.key: package for package in packages})


@pytest.mark.parametrize(
    ("resolved", "location", "message"),
    [
        ((X,), "f:5", "has no y 1.0.0 at x/y"),
        ((X, Y._replace(version="1.0.1")), "f:5", "has no y 1.0.0 at x/y"),
        ((X, Y._replace(name="z")), "f:5", "has no y 1.0.0 at x/y"),
        ((X, Y, Y._replace(key="z", line=7)), "f:7", "the lock lacks y 1.0.0 at z"),
    ],
)
def test_the_first_package_that_differs_is_named(
    resolved: tuple[LockedPackage, ...], location: str, message: str
) -> None:
    tree.compare(lock(X, Y), lock(Y, X), "f")
    with pytest.raises(LockError, match=message) as caught:
        tree.compare(lock(X, Y), lock(*resolved), "f")
    assert caught.value.location == location


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (None, "the registry has no y 1.0.0"),
        (Y._replace(digest="sha512-3"), "another digest for y"),
        (Y._replace(about={"os": ["darwin"]}), "says otherwise what y 1.0.0 needs"),
    ],
)
def test_what_the_registry_says_otherwise_is_named(theirs: LockedPackage | None, message: str) -> None:
    genuine = {"x@1.0.0": X, "y@1.0.0": Y._replace(about={})}
    tree.compare_registry(lock(X, Y), genuine, "f")
    registry = {"x@1.0.0": X} if theirs is None else {"x@1.0.0": X, "y@1.0.0": theirs}
    with pytest.raises(LockError, match=message) as caught:
        tree.compare_registry(lock(X, Y), registry, "f")
    assert caught.value.location == "f:5"
