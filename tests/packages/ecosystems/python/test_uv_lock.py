"""A workspace's uv.lock held against its pyproject.toml: what uv calls in order, and what nobody wrote."""

from __future__ import annotations

import time

import pytest

from solven_env.packages.ecosystems.python import uv_lock

HEAD = 'version = 1\nrevision = 5\nrequires-python = ">=3.12"\n'


def manifest(dependencies: str = '["idna==3.6"]', python: str = ">=3.12", more: str = "") -> bytes:
    return (
        f'[project]\nname = "workspace"\nrequires-python = "{python}"\ndependencies = {dependencies}\n{more}'.encode()
    )


def lock(requires: str = '{ name = "idna", specifier = "==3.6" },', head: str = HEAD, more: str = "") -> bytes:
    packages = ""
    for name, version in (("idna", "3.6"), ("humanize", "4.5.0")):
        packages += f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n'
        packages += 'source = { registry = "https://pypi.example/simple" }\ndependencies = [\n    { name = "x" },\n]\n'
    own = '\n[[package]]\nname = "workspace"\nversion = "0.1.0"\nsource = { virtual = "." }\n'
    return f"{head}{packages}{own}\n[package.metadata]\nrequires-dist = [\n    {requires}\n]\n{more}".encode()


IN_ORDER = [
    (manifest(), lock()),
    (manifest('["Idna >= 3.0, !=3.1"]'), lock('{ name = "idna", specifier = ">=3.0,!=3.1" },')),
    (manifest('["a-b>=2.0-beta1,<3"]'), lock('{ name = "a-b", specifier = "<3,>=2.0b1" },')),
    (manifest('["a[Y_x]>1 ; python_version<\'3.14\'"]'),
     lock('{ name = "a", extras = ["y-x"], marker = "python_full_version < \'3.14\'", specifier = ">1" },')),
    (manifest('["a @ https://example.com/a.whl"]'), lock('{ name = "a", url = "https://example.com/a.whl" },')),
    (manifest('["a>1"]', more='[tool.uv.sources]\na = {git = "https://example.com/a"}\n'),
     lock('{ name = "a", git = "https://example.com/a" },')),
    (manifest("[]", python="~=3.12, !=3.13.1"),
     lock("", head='version = 1\nrequires-python = ">=3.12, !=3.13.1, <4"\n')),
    (manifest("[]", more='[project.optional-dependencies]\nx = ["six>1"]\n'),
     lock('{ name = "six", marker = "extra == \'x\'", specifier = ">1" },')),
    (manifest("[]", more='[dependency-groups]\ndev = ["six", {include-group = "B"}]\nB = ["a>1"]\n'),
     lock("", more='[package.metadata.requires-dev]\nb = [{ name = "a", specifier = ">1" }]\n'
                   'dev = [\n { name = "six" },\n { name = "a", specifier = ">1" },\n]\n')),
    (manifest("[]", more='[tool.uv]\ndev-dependencies = ["six"]\n'),
     lock("", more='[package.metadata.requires-dev]\ndev = [{ name = "six" }]\n')),
    (manifest(more='dynamic = ["dependencies"]\n'), lock("")),
    (manifest('["no requirement at all"]'), lock()),  # uv says so itself
    (b"[tool.black]\n", None),
    (b"\xff", None),
    (b"]]", b"]]"),
]  # fmt: skip
BEHIND = [
    (manifest(), None),
    (manifest(), b""),
    (manifest(), b"]]"),
    (manifest(), lock()[:300]),
    (manifest('["idna==3.6", "humanize"]'), lock()),
    (manifest("[]"), lock()),
    (manifest('["idna==3.7"]'), lock()),
    (manifest('["idna[x]==3.6"]'), lock()),
    (manifest(python=">=3.13"), lock()),
    (manifest(python="nothing"), lock()),
    (manifest(more='[dependency-groups]\ndev = ["six"]\n'), lock()),
    (manifest(), lock(more='[package.metadata.requires-dev]\ndev = [{ name = "six" }]\n')),
]


@pytest.mark.parametrize(("project", "locked"), IN_ORDER)
def test_a_lock_is_in_order(project: bytes, locked: bytes | None) -> None:
    assert not uv_lock.is_behind(project, locked)


@pytest.mark.parametrize(("project", "locked"), BEHIND)
def test_a_lock_is_behind(project: bytes, locked: bytes | None) -> None:
    assert uv_lock.is_behind(project, locked)


def test_a_lock_that_was_formatted_otherwise_is_read_whole() -> None:
    reformatted = lock().replace(b"{ virtual = ", b"{virtual=")
    assert not uv_lock.is_behind(manifest(), reformatted)
    assert uv_lock.is_behind(manifest("[]"), reformatted)


def test_the_beginning_has_the_versions_of_further_packages_and_nothing_else() -> None:
    build = lock().replace(b"humanize", b"certifi")
    agents = lock() + b'\n[[package]]\nname = "local"\nversion = "1"\nsource = { directory = "lib" }\n'
    begun = uv_lock.beginning(build, agents)
    assert begun == build + (
        b'\n[[package]]\nname = "humanize"\nversion = "4.5.0"\nsource = { registry = "https://pypi.example/simple" }\n'
    )
    assert uv_lock.beginning(begun, agents) == begun


@pytest.mark.parametrize("agents", [b"", b"]]", b"\xff\xfe", b"[[package]]\nname = 3\n", b"[[package]]\n[[package]]\n"])
def test_nothing_of_a_damaged_lock_is_taken(agents: bytes) -> None:
    assert uv_lock.beginning(lock(), agents) == lock()


def test_a_damaged_lock_is_told_from_a_readable_one() -> None:
    assert uv_lock.is_readable(lock())
    assert uv_lock.is_readable(b'version = 9\n[[package]]\nname = "a"\n')
    assert not any(
        map(uv_lock.is_readable, (b"", b"]]", b"package = 3\nversion = 1\n", b"[package]\n", b"<<<<<<<\n" + lock()))
    )


HOSTILE = [
    b"a." * 200_000 + b"a = 1\n",
    b"a = " + b"[" * 100_000,
    b"a = " + b"9" * 100_000,
    b'x = "' * 100_000,
    b"[[package]]\n" * 100_000,
    b"x" * (9 << 20),
    HEAD.encode() + b"[[package]]\nname = 'w'\nsource = { virtual = \".\" }\nmetadata = 4\n",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_take_little_time_and_raise_nothing(text: bytes) -> None:
    begun = time.process_time()
    uv_lock.is_readable(text)
    uv_lock.is_behind(manifest(), text)
    uv_lock.is_behind(text, lock())
    uv_lock.beginning(lock(), text)
    assert time.process_time() - begun < 5
