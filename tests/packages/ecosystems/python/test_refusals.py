"""Packages that cannot be had, in words."""

from __future__ import annotations

from solven_env.packages.ecosystems.python.file_lists import Machine, Release
from solven_env.packages.ecosystems.python.refusals import Lacking, Unfit, not_here, refusal, told_pythons

WINDOWS = ("p-1-cp312-cp312-win_amd64.whl",)
MAC = ("m-1-cp312-cp312-macosx_11_0_arm64.whl", *WINDOWS)


def test_all_are_named_at_once_with_their_fixes() -> None:
    lacking = [
        Lacking(Release("docopt", "0.6.2", None, (), has_sdist=True), ("num2words",), ()),
        Lacking(Release("psycopg2", "2.9", None, WINDOWS, has_sdist=True), (), ()),
        Lacking(Release("pywin32", "312", None, WINDOWS, has_sdist=False), (), ()),
        Lacking(Release("appnope", "1", None, MAC, has_sdist=False), ("ipython", "kernel"), ()),
        Lacking(Release("torch", "1", None, (), has_sdist=False), (), ("3.9", "3.10", "3.13")),
        Lacking(Release("old", "1", None, (), has_sdist=True), (), ("3.8",)),
    ]
    unfit = [Unfit("numpy>=2", ("3.13",), "too long"), Unfit("sixx", (), "sixx was not found")]
    error = refusal("3.12", lacking, unfit)
    assert error.message == (
        "8 Python packages cannot be locked for Python 3.12 on Linux: "
        "numpy>=2, sixx, docopt, psycopg2, pywin32, appnope, torch, old"
    )
    assert error.fix == (
        "Write python.allow_builds: [docopt, psycopg2, old]. Change or leave out numpy>=2, sixx, pywin32, appnope, torch."
    )
    assert error.details == (
        'numpy>=2: no version that fits is for Python 3.12, but for Python 3.13. Write python.version: "3.13"',
        "sixx: sixx was not found",
        "docopt 0.6.2, which num2words needs, has no wheel: write python.allow_builds: [docopt]",
        "psycopg2 2.9 has no wheel for Linux, but for Windows: write python.allow_builds: [psycopg2]",
        "pywin32 312 has no wheel for Linux, but for Windows, and no source. Leave pywin32 out, or write "
        "\"pywin32; sys_platform == 'win32'\" in its place",
        "appnope 1, which ipython and kernel need, has no wheel for Linux, but for Windows and macOS, and no source. "
        "Leave ipython and kernel out",
        "torch 1 has no wheel for Python 3.12 on Linux, but for Python 3.9 to 3.10 and 3.13, and no source. "
        'Write python.version: "3.13"',
        "old 1 has no wheel for Python 3.12 on Linux, but for Python 3.8: write python.allow_builds: [old], or write "
        'python.version: "3.8"',
    )


def test_the_fix_of_one_package_is_whole() -> None:
    alone = refusal("3.12", [], [Unfit("numpy>=9", (), "there is no version of numpy>=9")])
    assert alone.message == "1 Python package cannot be locked for Python 3.12 on Linux: numpy>=9"
    assert alone.fix == "Change numpy>=9, or leave it out."


def test_pythons_in_words() -> None:
    assert told_pythons(["3.12"]) == "Python 3.12"


def test_packages_that_a_machine_lacks_are_named_together() -> None:
    lacking = [Release("a", "1", None, (), has_sdist=True), Release("b", "2", None, (), has_sdist=False)]
    here = Machine("musl", "x86_64")
    error = not_here(lacking, here, "3.12")
    where = "this machine, Linux with musl (Alpine) on x86_64, and Python 3.12"
    assert error.message == f"these packages have no wheel for {where}: a 1, b 2"
    assert error.fix == "Lock again, or use another kind of host."
    assert not_here(lacking[:1], here, "3.12").message == f"this package has no wheel for {where}: a 1"
    assert not_here(lacking[:1], here, "3.12").fix.startswith("Write python.allow_builds: [a] and lock again, or")
