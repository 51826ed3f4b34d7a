"""What an sdist says of its build and of itself, as text of a stranger."""

from __future__ import annotations

import pytest

from solven_env.errors import BuildError
from solven_env.packages.ecosystems.python.build_system import BuildSystem, declared, listed, parse
from solven_env.packages.ecosystems.python.pip_compile import Declared

LEGACY = "setuptools.build_meta:__legacy__"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, BuildSystem(("setuptools>=40.8.0",), LEGACY)),
        (b"[tool.black]\n", BuildSystem(("setuptools>=40.8.0",), LEGACY)),
        (b"[build-system]\nrequires = ['wheel', 'cython<3']\n", BuildSystem(("wheel", "cython<3"), LEGACY)),
        (b"[build-system]\nrequires = []\nbuild-backend = 'it'\nbackend-path = ['.']\n", BuildSystem((), "it", (".",))),
    ],
)
def test_a_build_system_is_read(text: bytes | None, found: BuildSystem) -> None:
    assert parse(text, "acme 1") == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[build-system\n", "that is not TOML"),
        (b"\xff", "that is not TOML"),
        (b"build-system = 3\n", "requires is no list"),
        (b"[build-system]\nrequires = 'wheel'\n", "requires is no list"),
        (b"[build-system]\nrequires = [3]\n", "requires is no list"),
        (b"[build-system]\nbuild-backend = 3\n", "build-backend is no text"),
        (b"[build-system]\nbackend-path = '.'\n", "backend-path is no list"),
        (b'[build-system]\nbuild-backend = "a\\u0000--bind"\n', "build-backend names no object"),
        (b"[build-system]\nbuild-backend = '" + b"a" * 9000 + b"'\n", "build-backend names no object"),
        (b'[build-system]\nbackend-path = ["a\\u0000"]\n', "backend-path is not within the source"),
        (b"[build-system]\nbackend-path = ['a/../..']\n", "backend-path is not within the source"),
        (b"[build-system]\nbackend-path = ['/etc']\n", "backend-path is not within the source"),
        (b"[build-system]\nbackend-path = ['" + b"a" * 9000 + b"']\n", "backend-path is not within the source"),
        (b"[build-system]\nrequires = ['--index-url https://evil']\n", "asks for what is no requirement"),
        (b"[build-system]\nrequires = ['-r /etc/passwd']\n", "asks for what is no requirement"),
        (b"[build-system]\nrequires = ['./x.whl']\n", "asks for what is no requirement"),
        (b'[build-system]\nrequires = ["wheel\\n--pre"]\n', "asks for what is no requirement"),
        (b"[build-system]\nrequires = ['wheel @ https://evil/w.whl']\n", "asks for wheel by its address"),
        (b"[build-system]\nrequires = ['wheel @ file:///etc/w.whl']\n", "asks for wheel by its address"),
        (b"[build-system]\nrequires = [" + b",".join(b"'a%d'" % at for at in range(1001)) + b"]\n", "more than 1000"),
    ],
)
def test_what_uv_would_obey_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        parse(text, "acme 1")


def test_what_a_hook_lists_is_a_list_of_requirements() -> None:
    assert listed(b'["six >= 1", "six >= 1"]', "the build") == ("six >= 1",)
    for said in (b"", b"\xff", b"{}", b"[3]", b"[" * 100_000, b"9" * 10_000):
        with pytest.raises(BuildError, match="the build does not say what it needs"):
            listed(said, "the build")


def test_metadata_is_that_of_the_pin() -> None:
    text = (
        "Metadata-Version: 2.1\nName: Ac_me\nVersion: 1.0\nRequires-Python: >=3.8\nProvides-Extra: x\n"
        "Requires-Dist: six (>=1)\nRequires-Dist: attrs ; extra == 'x'\n\nwords\n"
    )
    found = declared(text.encode(), "ac-me", "1")
    assert found == Declared("ac-me", "1", ("six (>=1)", "attrs ; extra == 'x'"), ">=3.8", ("x",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Name: other\nVersion: 1\n", "says that it is another package: 'other' '1'"),
        ("Name: acme\nVersion: 2\n", "another package: 'acme' '2'"),
        ("Name: acme\nVersion: nonsense\n", "another package"),
        ("", "another package"),
        ("Name: acme\nVersion: 1\nRequires-Dist: six @ https://evil/six.whl\n", "asks for six by its address"),
        ("Name: acme\nVersion: 1\nRequires-Dist: --pre\n", "asks for what is no requirement"),
    ],
)
def test_metadata_of_another_package_and_addresses_are_refused(text: str, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        declared(text.encode(), "acme", "1")
