"""What a lock lacks, and what nobody asked for: tables of pins, requirements and metadata."""

from __future__ import annotations

import pytest

from solven_env.errors import LockError
from solven_env.packages.ecosystems.bun import Bun, tree
from solven_env.packages.ecosystems.bun.bun_lock import BunLock, LockedPackage
from solven_env.packages.ecosystems.python import Python
from solven_env.packages.ecosystems.python.pins import applicable, check, refuse_unasked
from solven_env.packages.ecosystems.python.requirements_txt import Pin
from solven_env.profile import pep508

LINUX = {**pep508.environment("3.12.1"), "sys_platform": "linux", "platform_machine": "x86_64"}
FILE = "p.lock/python.txt"


def pins(*texts: str) -> tuple[Pin, ...]:
    """Pins from `name==version` and `name==version ; marker`, at the lines 2, 4, 6, …"""
    parts = [(*text.partition(" ; ")[0].split("=="), text.partition(" ; ")[2] or None) for text in texts]
    return tuple(Pin(name, version, marker, ("a" * 64,), 2 * at) for at, (name, version, marker) in enumerate(parts, 1))  # type: ignore[arg-type]


PIP = "pip==26.3"


@pytest.mark.parametrize(
    ("packages", "found"),
    [
        (("six",), ("six==1.0", PIP)),
        (("Six[x]>=1,<2",), ("six==1.0", PIP)),
        (("pip>20",), (PIP,)),
        (pep508.united(("six[x]>=1", "six[y]<2")), ("six==1.0", PIP)),
        (("zope.interface",), ("zope-interface==7", PIP)),
        (("numpy>=2.0rc1",), ("numpy==2.0rc2", PIP)),
        (("numpy",), ("numpy==1 ; python_full_version < '3.13'", "numpy==2 ; python_full_version >= '3.13'", PIP)),
        (("numpy<2; python_version < '3.13'", "numpy>=2; python_version >= '3.13'"),
         ("numpy==1 ; python_full_version < '3.13'", "numpy==2 ; python_full_version >= '3.13'", PIP)),
        (("tomli; python_version < '3.11'",), (PIP,)),
        (("pywin32; sys_platform == 'win32'",), (PIP,)),
    ],
)  # fmt: skip
def test_a_lock_that_has_all_is_taken(packages: tuple[str, ...], found: tuple[str, ...]) -> None:
    check(pins(*found), Python("3.12", packages), FILE)


@pytest.mark.parametrize(
    ("packages", "found", "location", "message"),
    [
        (("six",), (PIP,), FILE, "no pin for six, which"),
        (("six",), ("six==1",), FILE, "no pin for pip, which"),
        (pep508.united(("six", "six>=2")), ("six==1", PIP), f"{FILE}:2", "six 1 is not what the profile asks for: six>=2"),
        (("six>=2",), ("six==1", PIP), f"{FILE}:2", "six 1 is not what the profile asks for: six>=2"),
        (("pip<20",), (PIP,), f"{FILE}:2", "pip 26.3 is not"),
        (("numpy>=2",), ("numpy==2 ; os_name == 'nt'", "numpy==1 ; os_name != 'nt'", PIP), f"{FILE}:4", "numpy 1 is not"),
        (("six>2; python_version > '3'",), ("six==1", PIP), f"{FILE}:2", "six 1 is not"),
        (("six; python_version >= '3.12'",), (PIP,), FILE, "no pin for six; python_version"),
    ],
)  # fmt: skip
def test_a_lock_that_lacks_something_is_refused(
    packages: tuple[str, ...], found: tuple[str, ...], location: str, message: str
) -> None:
    with pytest.raises(LockError, match=message) as caught:
        check(pins(*found), Python("3.12", packages), FILE, fix="Run: it")
    assert (caught.value.location, caught.value.fix) == (location, "Run: it")


WEB = pins("a==1", "b==1", "c==1 ; sys_platform == 'win32'", "d==1", "e==1", PIP)
METADATA: dict[tuple[str, str], tuple[str, ...]] = {
    ("a", "1"): ("B>=0.5", "c; sys_platform == 'win32'", "d[x]; extra == 'fast'"),
    ("b", "1"): ("a",),
    ("d", "1"): ("e; extra == 'x'", "nothing; extra == 'y'"),
    ("e", "1"): ("broken (>=1.*.2) really", "x" * 9999, ""),
    ("pip", "26.3"): (),
}


@pytest.mark.parametrize(
    ("packages", "found", "unasked"),
    [
        (("a[fast]",), WEB, None),
        (("a[FAST]", "zlib; sys_platform == 'win32'"), WEB, None),
        (("a", "d", "e"), WEB, None),
        (pep508.united(("a", "d[x]", "d[y]")), WEB, None),
        (("a",), WEB, "d 1"),
        (("a", "d[y]"), WEB, "e 1"),
        (("a[fast]; sys_platform == 'win32'",), WEB, "a 1"),
        (("b",), WEB[:2], None),
        ((), WEB[-1:], None),
        ((), WEB[3:], "d 1"),
        (("e",), (*WEB[4:], *pins("broken==1")), None),
    ],
)
def test_what_nobody_asks_for_is_found_by_the_packages_metadata(
    packages: tuple[str, ...], found: tuple[Pin, ...], unasked: str | None
) -> None:
    metadata = {**METADATA, ("broken", "1"): ()}
    if unasked is None:
        refuse_unasked(found, packages, metadata, LINUX, FILE)
        return
    with pytest.raises(LockError, match=f"nothing asks for {unasked}") as caught:
        refuse_unasked(found, packages, metadata, LINUX, FILE, fix="Run: it")
    (line,) = (pin.line for pin in found if f"{pin.name} {pin.version}" == unasked)
    assert caught.value.location == f"{FILE}:{line}"


def test_pins_apply_by_their_markers() -> None:
    found = pins(
        "a==1 ; python_full_version < '3.12.2'",
        "a==2 ; python_full_version >= '3.12.2'",
        "b==1",
        "c==1 ; os_name == 'nt'",
    )
    assert [pin.version for pin in applicable(found, LINUX, FILE)] == ["1", "1"]
    for wrong, message in (
        (pins("a==1 ; os_name != 'x'", "a==2 ; os_name != 'y'"), "pinned twice for this machine"),
        (pins("b==1", "a==1 ; os_name ~= 'x'"), "compares what cannot be compared"),
    ):
        with pytest.raises(LockError, match=message) as caught:
            applicable(wrong, LINUX, FILE)
        assert caught.value.location == f"{FILE}:4"


def test_an_environment_is_that_of_the_interpreter_that_is_asked_for() -> None:
    assert LINUX["python_version"] == "3.12"
    assert pep508.applies("python_full_version == '3.12.1' and implementation_version < '3.13'", LINUX)
    assert not pep508.applies("platform_python_implementation == 'PyPy'", LINUX)


BUN_FILE = "p.lock/bun.lock"


def bun_lock(asked: dict[str, str], *packages: tuple[str, str, dict[str, str], dict[str, str]]) -> BunLock:
    """A lock from `(key, name@version, needs, may need)`, at the lines 1, 2, 3, …"""
    found = {}
    for line, (key, pin, needs, may_need) in enumerate(packages, 1):
        name, _, version = pin.rpartition("@")
        found[key] = LockedPackage(key, name, version, "sha512-", needs, may_need, {}, line)
    return BunLock(asked, found)


A: tuple[str, str, dict[str, str], dict[str, str]] = ("a", "a@1.2.0", {"b": "^1.0.0"}, {"p": "*", "os-only": "1.0.0"})
B1: tuple[str, str, dict[str, str], dict[str, str]] = ("a/b", "b@1.0.0", {"@s/c": "^1.0.0"}, {})
B2: tuple[str, str, dict[str, str], dict[str, str]] = ("b", "b@2.0.0", {}, {})
C: tuple[str, str, dict[str, str], dict[str, str]] = ("@s/c", "@s/c@1.0.0", {"d-cjs": "npm:d@^1.0.0"}, {})
D: tuple[str, str, dict[str, str], dict[str, str]] = ("d-cjs", "d@1.0.0", {}, {})
ASKED = {"a": "^1.0.0", "b": "^2.0.0"}
WHOLE = bun_lock(ASKED, A, B1, B2, C, D)


def test_a_bun_lock_that_has_all_is_taken() -> None:
    tree.check(WHOLE, Bun(ASKED), BUN_FILE)
    tree.check(bun_lock({"b": "2.x"}, B2), Bun({"b": "2.x"}), BUN_FILE)
    aliased = {"x": "^1.0.0", "b": "npm:other@2.x"}  # x finds what the profile calls b
    found = bun_lock(aliased, ("x", "x@1.0.0", {"b": "*"}, {}), ("b", "other@2.0.0", {}, {}))
    tree.check(found, Bun(aliased), BUN_FILE)


@pytest.mark.parametrize(
    ("lock", "asked", "line", "message"),
    [
        (WHOLE, {"a": "^1.0.0"}, 0, "for other packages than the profile's"),
        (bun_lock({"b": "^1.0.0"}, B2), {"b": "^1.0.0"}, 1, "b 2.0.0 is not what the profile asks for"),
        (bun_lock(ASKED, A, B1, C, D), ASKED, 0, "no package for b"),
        (bun_lock({"a": "^1.0.0"}, A, C, D), {"a": "^1.0.0"}, 1, "the lock has no b, which a needs"),
        (bun_lock(ASKED, A, B1, B2, C), ASKED, 4, "the lock has no d-cjs, which @s/c needs"),
        (bun_lock(ASKED, A, B1, B2, C, D, ("evil", "evil@1.0.0", {}, {})), ASKED, 6, "nothing asks for evil 1.0.0"),
        (bun_lock(ASKED, A, B1, B2, C, D, ("b/a", "a@1.0.0", {}, {})), ASKED, 6, "nothing asks for a 1.0.0 at b/a"),
        (bun_lock(ASKED, A, B1, B2, C, ("d-cjs", "evil@1.0.0", {}, {})), ASKED, 5, "d-cjs is evil"),
        (bun_lock({"b": "2"}, ("b", "evil@2.0.0", {}, {})), {"b": "2"}, 1, "b is evil"),
        (bun_lock({"b": "npm:c@2"}, ("b", "evil@2.0.0", {}, {})), {"b": "npm:c@2"}, 1, "b is evil"),
        (bun_lock(ASKED, A, ("a/b", "evil@1.0.0", {}, {}), B2), ASKED, 2, "a/b is evil"),
    ],
)  # fmt: skip
def test_a_bun_lock_that_does_not_fit_is_refused(lock: BunLock, asked: dict[str, str], line: int, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        tree.check(lock, Bun(asked), BUN_FILE, fix="Run: it")
    assert caught.value.location == (f"{BUN_FILE}:{line}" if line else BUN_FILE)
    assert caught.value.fix == "Run: it"


MANIFESTS: dict[str, dict[str, object]] = {
    "a": {"dependencies": {"b": "^1.0.0"}, "peerDependencies": {"p": "*"}, "scripts": {"postinstall": "x"}},
    "a/b": {"optionalDependencies": {"@s/c": "^1.0.0"}},
    "b": {"dependencies": None},
    "@s/c": {"dependencies": {"d-cjs": "npm:d@^1.0.0", "absent": 1}},
    "d-cjs": {},
}
EVIL: tuple[str, str, dict[str, str], dict[str, str]] = ("evil", "evil@1.0.0", {}, {})


@pytest.mark.parametrize(
    ("lock", "manifests", "unasked"),
    [
        (WHOLE, MANIFESTS, None),
        (WHOLE, {key: told for key, told in MANIFESTS.items() if key != "d-cjs"}, None),
        (WHOLE, {**MANIFESTS, "a/b": {}}, "@s/c 1.0.0 at @s/c"),
        (WHOLE, {**MANIFESTS, "@s/c": {"dependencies": ["d-cjs"]}}, "d 1.0.0 at d-cjs"),
        # what another one brings along stands where its tarball has it
        (bun_lock({"b": "2"}, ("b", "b@2.0.0", {}, {}), ("b/x", "x@1.0.0", {}, {}), ("b/y", "y@1.0.0", {"x": "1"}, {})),
         {"b": {"dependencies": {"z": "1"}}, "b/x": {}, "b/z": {"dependencies": {"y": "1"}},
          "b/z/y": {"dependencies": {"x": "1"}}}, None),
        (bun_lock({"b": "2"}, ("b", "b@2.0.0", {}, {}), EVIL), {"b": {}, "b/x": {"dependencies": {"evil": "1"}}, "evil": {}},
         "evil 1.0.0 at evil"),
        # what is for another system, or what the lock alone says of a package, asks for nothing
        (bun_lock({"b": "2"}, ("b", "b@2.0.0", {"evil": "1"}, {}), EVIL), {"b": {}, "evil": {}}, "evil 1.0.0 at evil"),
        (bun_lock({"b": "2"}, ("b", "b@2.0.0", {}, {"o": "1"}), ("o", "o@1.0.0", {"evil": "1"}, {}), EVIL),
         {"b": {"optionalDependencies": {"o": "1"}}, "evil": {}}, "evil 1.0.0 at evil"),
    ],
)  # fmt: skip
def test_what_nobody_asks_for_is_found_by_the_manifests(
    lock: BunLock, manifests: dict[str, dict[str, object]], unasked: str | None
) -> None:
    bun = Bun(dict(lock.asked))
    if unasked is None:
        tree.refuse_unasked(lock, bun, manifests, BUN_FILE)
        return
    with pytest.raises(LockError, match=f"nothing asks for {unasked}") as caught:
        tree.refuse_unasked(lock, bun, manifests, BUN_FILE)
    assert caught.value.location == f"{BUN_FILE}:{lock.packages[unasked.rpartition(' ')[2]].line}"
