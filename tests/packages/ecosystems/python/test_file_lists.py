"""The machines that wheels are for, by the names of their files."""

from __future__ import annotations

import pytest

from solven_env.packages.ecosystems.python.file_lists import (
    MACHINES,
    Machine,
    Release,
    machines,
    on_linux,
    other_pythons,
    parse,
    systems,
    told_machines,
)

X86, ARM = (Machine("glibc", "x86_64"), Machine("glibc", "aarch64"))
MUSL_X86, MUSL_ARM = (Machine("musl", "x86_64"), Machine("musl", "aarch64"))

PYLOCK = """\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "acme"
version = "1.0"
marker = "sys_platform == 'win32'"
sdist = { url = "https://files.example/acme-1.0.tar.gz", size = 1, hashes = { sha256 = "0" } }
wheels = [
    { url = "https://files.example/a/acme-1.0%2Bcpu-py3-none-any.whl#sha256=0", size = 1, hashes = {} },
    { path = "wheels/acme-1.0-cp312-cp312-win_amd64.whl", hashes = {} },
]

[[packages]]
name = "bare"
version = "2"
"""


def test_files_are_listed_by_their_names() -> None:
    wheels = ("acme-1.0+cpu-py3-none-any.whl", "acme-1.0-cp312-cp312-win_amd64.whl")
    acme = Release("acme", "1.0", "sys_platform == 'win32'", wheels, has_sdist=True)
    assert parse(PYLOCK) == (acme, Release("bare", "2", None, (), has_sdist=False))


@pytest.mark.parametrize(
    ("tags", "python", "expected"),
    [
        ("py3-none-any", "3.12", {*MACHINES}),
        ("py2.py3-none-any", "3.12", {*MACHINES}),
        ("py2-none-any", "3.12", set()),
        ("py313-none-any", "3.12", set()),
        ("py311-none-any", "3.12", {*MACHINES}),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", "3.12", {X86}),
        ("cp312-cp312-manylinux1_x86_64", "3.12", {X86}),
        ("cp312-cp312-manylinux_2_28_aarch64", "3.12", {ARM}),
        ("cp312-cp312-musllinux_1_2_x86_64", "3.12", {MUSL_X86}),
        ("cp312-cp312-linux_x86_64", "3.12", {X86, MUSL_X86}),
        ("cp312-cp312-manylinux_2_17_ppc64le", "3.12", {Machine("glibc", "ppc64le")}),
        ("cp313-cp313-manylinux_2_17_x86_64", "3.12", set()),
        ("cp313-cp313t-manylinux_2_17_x86_64", "3.13", set()),
        ("cp39-abi3-manylinux_2_17_x86_64", "3.12", {X86}),
        ("cp313-abi3-manylinux_2_17_x86_64", "3.12", set()),
        ("cp37-cp37m-manylinux1_x86_64", "3.7", {X86}),
        ("cp312-none-manylinux_2_17_x86_64", "3.12", {X86}),
        ("py3-none-manylinux_2_17_x86_64", "3.12", {X86}),
        ("pp310-pypy310_pp73-manylinux_2_17_x86_64", "3.10", set()),
        ("cp312-cp312-win_amd64", "3.12", set()),
        ("cp312-cp312-macosx_11_0_arm64", "3.12", set()),
        ("cp312-cp312-ios_13_0_arm64_iphoneos", "3.12", set()),
    ],
)
def test_a_wheel_is_for_some_machines(tags: str, python: str, expected: set[Machine]) -> None:
    assert machines([f"acme-1.0-{tags}.whl", "no wheel at all"], python) == expected


def test_wheels_tell_other_pythons_and_systems() -> None:
    names = [f"acme-1-{tag}-manylinux_2_17_x86_64.whl" for tag in ("cp310-cp310", "cp311-cp311", "cp314-cp314")]
    assert other_pythons([*names, "acme-1-cp313-cp313-win_amd64.whl"], "3.16") == ("3.10", "3.11", "3.14")
    assert systems(["a-1-cp312-cp312-win32.whl", "a-1-cp312-cp312-macosx_11_0_arm64.whl"]) == ("Windows", "macOS")
    assert systems(["a-1-py3-none-any.whl"]) == ()


@pytest.mark.parametrize(
    ("marker", "is_there"),
    [
        (None, True),
        ("sys_platform == 'win32'", False),
        ("sys_platform != 'win32'", True),
        ("platform_machine == 'aarch64'", True),
        ("platform_machine == 'arm64'", False),
        ("python_full_version < '3.12'", False),
        ("python_full_version < '3.12.4'", True),
        ("python_full_version >= '3.12.4'", True),
        ("platform_release > 'x' and platform_release < '1'", False),
    ],
)
def test_markers_that_leave_linux_out_are_found(marker: str | None, is_there: bool) -> None:
    release = Release("acme", "1", marker, (), has_sdist=False)
    assert on_linux([release], "3.12") == ({"acme": release} if is_there else {})


def test_of_two_pins_linux_has_one() -> None:
    old = Release("acme", "1", "python_full_version < '3.13'", (), has_sdist=False)
    new = Release("acme", "2", "python_full_version >= '3.13'", (), has_sdist=False)
    assert on_linux([new, old], "3.12") == {"acme": old}


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ([Machine("glibc", "aarch64")], "Linux with glibc on aarch64"),
        (
            [Machine("glibc", "aarch64"), Machine("musl", "aarch64")],
            "Linux with glibc on aarch64 and Linux with musl (Alpine) on aarch64",
        ),
        ([Machine("musl", "ppc64le")], "Linux with musl (Alpine) on ppc64le"),
        (MACHINES[1:], "Linux with glibc on aarch64 and Linux with musl (Alpine)"),
    ],
)
def test_machines_in_words(lacking: list[Machine], expected: str) -> None:
    assert told_machines(lacking) == expected
