"""Version ranges as npm writes them (node-semver, README, "Ranges")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semantic_version import NpmSpec, Version

from solven_env.profile.npm import range_problem, satisfies

ADDRESS = "is an address, not a range of versions"
TAG = "is a tag, whose version moves"
NONE = "is not a range of versions"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, "") for text in ("^8.0.0", "~1.2", "1.x", "*", "x", "", "1", ">=1 <2", ">= 1", "^ 1.2", "1 || 2", "1.2 - 2.3", "1.0.0-rc.1", "v1.2.3", "^v1", "=1.0.0", "<2.0.0")),
        ("latest", TAG),
        ("next", TAG),
        ("beta-1", TAG),
        ("https://x/y.tgz", ADDRESS),
        ("git+ssh://git@x/y", ADDRESS),
        ("user/repo", ADDRESS),
        ("file:../x", ADDRESS),
        ("./x", ADDRESS),
        ("npm:other@1", ADDRESS),
        ("workspace:*", "names a package of the workspace"),
        ("^1.0.0.0", NONE),
        ("==1", NONE),
        ("1 ||| 2", NONE),
        (">", NONE),
        ("1\n", NONE),
        ("\x1b", NONE),
    ],
)  # fmt: skip
def test_a_range(text: str, expected: str) -> None:
    assert range_problem(text) == expected


@given(st.text() | st.text("0123456789.xX*^~<>=| -vab+"))
def test_no_text_raises(text: str) -> None:
    assert isinstance(range_problem(text), str)


@pytest.mark.parametrize(
    ("text", "taken", "refused"),
    [
        ("^1.2.3", ("1.2.3", "1.9.0"), ("1.2.2", "2.0.0", "2.0.0-rc.1")),
        ("^0.2.3", ("0.2.3", "0.2.9"), ("0.3.0", "0.2.2", "1.0.0")),
        ("^0.0.3", ("0.0.3",), ("0.0.4", "0.0.2")),
        ("^0.0.0", ("0.0.0",), ("0.0.1",)),
        ("~1.2.3", ("1.2.3", "1.2.9"), ("1.3.0", "1.2.2")),
        ("~0.2.3", ("0.2.4",), ("0.3.0",)),
        ("1.2.3", ("1.2.3",), ("1.2.4", "1.3.0", "1.2.3-a")),
        ("v1.2.3", ("1.2.3",), ("1.2.4",)),
        ("1.2.3+build", ("1.2.3", "1.2.3+other"), ("1.2.4",)),
        (">= 1.2 <2 || 3.x", ("1.2.0", "3.4.5"), ("2.0.0", "1.1.9")),
        ("^1.0.0-rc.1", ("1.0.0-rc.2", "1.0.0"), ("1.0.0-rc.0",)),
        ("*", ("1.0.0",), ()),
    ],
)
def test_versions_are_in_ranges_as_npm_reads_them(text: str, taken: tuple[str, ...], refused: tuple[str, ...]) -> None:
    assert [version for version in (*taken, *refused) if satisfies(version, text)] == list(taken)


@given(st.sampled_from("^~ "), st.tuples(*[st.integers(0, 3)] * 3), st.tuples(*[st.integers(0, 3)] * 3))
def test_plain_ranges_are_read_as_semantic_version_reads_them(
    sign: str, least: tuple[int, ...], found: tuple[int, ...]
) -> None:
    text, version = sign.strip() + ".".join(map(str, least)), ".".join(map(str, found))
    assert satisfies(version, text) == (Version(version) in NpmSpec(text))
