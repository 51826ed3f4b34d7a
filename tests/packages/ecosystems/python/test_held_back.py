"""Packages that are held back for want of wheels: which, and why."""

from __future__ import annotations

import pytest

from solven_env.packages.ecosystems.python.file_lists import Release
from solven_env.packages.ecosystems.python.held_back import Graph, graph, on_some_machines, remarks

PURE = ("a-1-py3-none-any.whl",)
WINDOWS = ("a-1-cp312-cp312-win_amd64.whl",)


def release(text: str, wheels: tuple[str, ...] = PURE, *, has_sdist: bool = True) -> Release:
    name, _, version = text.partition(" ")
    return Release(name, version, None, wheels, has_sdist)


def a_graph(*lines: str) -> Graph:
    """Lines such as `docopt 0.6.2 < num2words`, the parents last."""
    found = [line.replace(" ", "==", 1).replace(" < ", "  # via ") for line in lines]
    return graph("\n".join(found), "3.12")


@pytest.mark.parametrize(
    ("bound", "free", "files", "expected"),
    [
        pytest.param(["a 1"], ["a 1"], [], [], id="nothing"),
        pytest.param(
            ["a 1"], ["a 2"], [release("a 2", ())], ["a 1; 2 has no wheel: see python.allow_builds"], id="itself"
        ),
        pytest.param(
            ["a 1"],
            ["a 2", "w 3 < a"],
            [release("a 2"), release("w 3", ())],
            ["a 1; 2 needs w 3, which has no wheel: see python.allow_builds"],
            id="what it needs",
        ),
        pytest.param(
            ["a 1", "m 1 < a"],
            ["a 2", "m 2 < a", "w 3 < m"],
            [release("a 2"), release("m 2"), release("w 3", ())],
            [
                "a 1; 2 needs w 3, which has no wheel: see python.allow_builds",
                "m 1; 2 needs w 3, which has no wheel: see python.allow_builds",
            ],
            id="through another",
        ),
        pytest.param(
            ["a 1"],
            ["a 2", "v 1 < a", "w 3 < a", "x 4 < w"],
            [release("a 2"), release("v 1", ()), release("w 3", ()), release("x 4", ())],
            ["a 1; 2 needs v 1, w 3 and x 4, which have no wheels: see python.allow_builds"],
            id="several",
        ),
        pytest.param(
            ["a 1", "c 1 < a"],
            ["a 2", "c 2 < a", "w 3 < a"],
            [release("a 2"), release("c 2"), release("w 3", ())],
            [
                "a 1; 2 needs w 3, which has no wheel: see python.allow_builds",
                "c 1; 2 does not go with a 1, which is held back for want of wheels",
            ],
            id="an old parent",
        ),
        pytest.param(
            ["a 2rc1"],
            ["a 1", "w 3 < a"],
            [release("a 1"), release("w 3", ())],
            ["a 2rc1; 1 needs w 3, which has no wheel: see python.allow_builds"],
            id="a pre-release that nobody asked for",
        ),
        pytest.param(
            ["a 1"],
            ["a 2", "w 3 < a"],
            [release("a 2"), release("w 3", WINDOWS, has_sdist=False)],
            ["a 1; 2 needs w 3, which has no wheel for Python 3.12 on Linux, and no source"],
            id="no sdist",
        ),
        pytest.param(["a 1", "w 3 < b", "b 1"], ["a 1", "w 3 < b", "b 1"], [release("w 3", ())], [], id="old in both"),
        pytest.param(["a 1 ; sys_platform == 'win32'"], ["a 2 ; sys_platform == 'win32'"], [], [], id="not on Linux"),
    ],
)
def test_what_is_held_back_and_why(
    bound: list[str], free: list[str], files: list[Release], expected: list[str]
) -> None:
    wheels_alone, whole = a_graph(*bound), a_graph(*free)
    found = remarks(wheels_alone.versions, wheels_alone, whole, {each.name: each for each in files}, "3.12")
    assert [remark.message for remark in found] == expected
    assert {(remark.kind, remark.package, remark.version) for remark in found} == {
        ("held-back", *remark.message.partition(";")[0].split(" ")) for remark in found
    }


def test_what_an_older_lock_keeps_is_not_blamed_on_wheels() -> None:
    """The lock keeps b at 1; wheels alone would allow 2."""
    bound, whole = a_graph("a 1", "b 2"), a_graph("a 2", "b 2")
    found = remarks({"a": "1", "b": "1"}, bound, whole, {"a": release("a 2", ()), "b": release("b 2")}, "3.12")
    assert [remark.package for remark in found] == ["a"]


def test_a_graph_is_read_as_uv_writes_it() -> None:
    text = (
        "absl-py==2.5.1            # via rouge-score\nb==1 ; python_version > '3'  # via -r -, a\nrouge-score==0.1.2\n"
    )
    found = graph(text, "3.12")
    assert found.versions == {"absl-py": "2.5.1", "b": "1", "rouge-score": "0.1.2"}
    assert found.parents["absl-py"] == {"rouge-score"}
    assert found.parents["b"] == {"-r -", "a"}


def test_machines_without_a_wheel_are_told() -> None:
    glibc = ("b-1-cp312-cp312-manylinux_2_17_x86_64.whl", "b-1-cp312-cp312-manylinux_2_17_aarch64.whl")
    found = on_some_machines({"a": release("a 1"), "b": release("b 1", glibc)}, "3.12")
    assert [tuple(remark) for remark in found] == [
        ("platforms", "b", "1", "b 1 has no wheel for Linux with musl (Alpine)")
    ]
