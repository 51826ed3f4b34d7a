"""Which packages have install scripts, whose run, in which order, and what is said: tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from solven_env.errors import LockError
from solven_env.packages import locks
from solven_env.packages.ecosystems.bun import Bun, scripts
from solven_env.packages.ecosystems.bun.bun_lock import BunLock, LockedPackage


def package(key: str, name: str = "", version: str = "1.0.0", **about: Any) -> LockedPackage:
    needs = about.get("dependencies", {})
    may_need = {**about.get("peerDependencies", {}), **about.get("optionalDependencies", {})}
    return LockedPackage(key, name or key.rpartition("/")[2], version, "", needs, may_need, about, 1)


def lock(*packages: LockedPackage) -> BunLock:
    return BunLock({}, {each.key: each for each in packages})


@pytest.mark.parametrize(
    ("manifest", "has_gyp", "expected"),
    [
        ({}, False, {}),
        ({"scripts": {"postinstall": "c", "preinstall": "a", "install": "b", "prepare": "d", "test": "e"}}, True,
         {"preinstall": "a", "install": "b", "postinstall": "c"}),
        ({}, True, {"install": "node-gyp rebuild"}),
        ({"gypfile": False}, True, {}),
        ({"scripts": {"preinstall": "a"}}, True, {"preinstall": "a"}),
        ({"scripts": {"postinstall": "c"}}, True, {"install": "node-gyp rebuild", "postinstall": "c"}),
        ({"scripts": ["x"]}, False, {}),
        ({"scripts": {"install": ["x"], "postinstall": " "}}, False, {}),
    ],
)  # fmt: skip
def test_scripts_are_those_that_npm_sees(manifest: dict[str, object], has_gyp: bool, expected: dict[str, str]) -> None:
    found = scripts.of(manifest, has_gyp=has_gyp)
    assert (found, list(found)) == (expected, list(expected))


TREE = lock(
    package("a", dependencies={"b": "1", "c": "1"}, optionalDependencies={"o": "1"}),
    package("b", dependencies={"c": "1", "a": "1"}),
    package("c"),
    package("o", dependencies={"deep": "1"}),
    package("deep"),
    package("a/c", "c", "2.0.0"),
    package("sw-cjs", "string-width"),
    package("evil", dependencies={"c": "2"}),
    package("evil/c", "c", "2.0.0", bundled=True),
)
ASKED = {"a": "1", "sw-cjs": "npm:string-width@1", "evil": "1"}
SCRIPT: dict[str, object] = {"scripts": {"install": "x"}}
MANIFESTS: dict[str, dict[str, object]] = dict.fromkeys(TREE.packages, SCRIPT)


def test_each_runs_behind_what_it_needs() -> None:
    found = scripts.scripted(TREE, Bun(ASKED), {**MANIFESTS, "deep": {}}, ())
    keys = [each.key for each in found]
    assert sorted(keys) == sorted(set(TREE.packages) - {"deep"})
    assert keys.index("b") < keys.index("a")
    assert keys.index("c") < keys.index("b")
    assert keys.index("a/c") < keys.index("a")
    assert {each.key for each in found if each.is_optional} == {"o"}


@pytest.mark.parametrize(
    ("trusted", "keys"),
    [
        ((), set()),
        (("a",), {"a"}),
        (("c",), {"c", "a/c"}),
        (("c", "evil"), {"c", "a/c", "evil", "evil/c"}),
        (("string-width",), {"sw-cjs"}),
        (("sw-cjs",), set()),
    ],
)
def test_a_name_is_trusted_wherever_the_lock_has_its_own_bytes(trusted: tuple[str, ...], keys: set[str]) -> None:
    bun = Bun(ASKED, trusted)
    assert {each.key for each in TREE.packages.values() if scripts.is_trusted(each, TREE, bun)} == keys
    assert set(scripts.trusted_below(TREE, bun)) == {"a/c"} & keys


def test_a_name_that_the_lock_does_not_have_is_refused() -> None:
    scripts.check_trusted(TREE, Bun(ASKED, ("deep", "string-width")), "f")
    for name, fix in (
        ("string-widht", "Did you mean 'string-width'?"),
        ("sw-cjs", "Did you mean 'string-width'?"),
        ("quite-another", "Take quite-another out of bun.trusted."),
    ):
        with pytest.raises(LockError, match=f"trusted names {name}, and the profile's packages bring no") as caught:
            scripts.check_trusted(TREE, Bun(ASKED, (name,)), "f")
        assert (caught.value.location, caught.value.fix) == ("f", fix)


def test_what_did_not_run_is_told() -> None:
    small = lock(package("a", hasInstallScript=True), package("b"), package("c", hasInstallScript=True))
    assert [each[:3] for each in scripts.remarks_of_lock(small, Bun({}, ("b", "c")))] == [
        ("scripts", "a", "1.0.0"),
        ("trusted", "b", "1.0.0"),
    ]
    manifests: dict[str, dict[str, object]] = {"a": {"scripts": {"install": "rm\x1b -rf\n/"}}, "b": {}, "c": SCRIPT}
    found = scripts.scripted(small, Bun({}, ("b", "c")), manifests, ())
    text = scripts.written(found, small, Bun({}, ("b", "c")), manifests)
    assert [each.message for each in scripts.remarks_of_build(text)] == [
        r"a 1.0.0 has an install script that did not run (install: rm\x1b -rf\n/): see bun.trusted",
        "b 1.0.0 is named in bun.trusted and has no install script",
    ]
    assert list(locks.told(scripts.remarks_of_build(scripts.written(found, small, Bun({}), manifests)))) == [
        "a 1.0.0 and c 1.0.0 have install scripts that did not run: see bun.trusted"
    ]


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"[[1]]", b'[["a", "1", ["x"]]]', b"[[{}, [], null]]"])
def test_a_damaged_file_of_a_build_tells_nothing(text: bytes) -> None:
    assert scripts.remarks_of_build(text) == ()


def test_a_long_script_is_cut() -> None:
    (remark,) = scripts.remarks_of_build(json.dumps([["a", "1", {"install": "x" * 9999}]]).encode())
    assert len(remark.message) < 300
