"""Version ranges as npm writes them (node-semver, README, "Ranges")."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semantic_version import NpmSpec, Version

from solven_env.profile.npm import alias, example, is_name, range_problem, satisfies
from solven_env.profile.source import read_schema

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
        *((f"npm:{text}", "") for text in ("other@1", "@s/other@^1.2.3", "JSONStream@1.x || 2", "b@ >=1 <2")),
        ("npm:other", "asks for other without a range of versions"),
        ("npm:@s/other@", "asks for @s/other without a range of versions"),
        ("npm:other@latest", f"asks for other by 'latest', which {TAG}"),
        ("npm:other@npm:x@1", "asks for other by 'npm:x@1', which is another alias"),
        ("npm:other@https://x/y.tgz", f"asks for other by 'https://x/y.tgz', which {ADDRESS}"),
        ("npm:_x@1", "has no name of an npm package behind 'npm:'"),
        ("npm:../x@1", "has no name of an npm package behind 'npm:'"),
        ("npm:", ADDRESS),
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


@given(st.text() | st.text("0123456789.xX*^~<>=| -vab+") | st.text("@/.x1^").map("npm:".__add__))
def test_no_text_raises(text: str) -> None:
    assert isinstance(range_problem(text), str)
    assert range_problem(example(text)) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("docx", "@s/x", "JSONStream", "@S/X", "a.b_c-d~e", "-", "~", "crazy!", "a'(b)*", "x" * 214)),
        *((text, False) for text in ("", ".", "..", "_x", ".x", "@s/.x", "@s/", "@/x", "a/b", "a b", "é", "x\n", "x" * 215)),
        *((text, False) for text in ("node_modules", "favicon.ico", "a%2fb", "a\\b", "$x", "a:b", "a@b")),
        ("node_modules2", True),
    ],
)  # fmt: skip
def test_a_name_is_one_that_the_registry_serves(text: str, expected: bool) -> None:
    assert is_name(text) == expected
    schema = json.loads(read_schema("profile-v1.json"))
    pattern = schema["properties"]["bun"]["properties"]["packages"]["propertyNames"]["pattern"]
    assert (re.search(pattern, text) is not None) == expected


def test_an_alias_is_another_package_and_its_range() -> None:
    assert alias("npm:@s/b@^2.0.0") == ("@s/b", "^2.0.0")
    assert alias("npm:b") == ("b", "")
    assert alias("^1.0.0") is None


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
        ("npm:@s/b@^4.2.0", ("4.2.3",), ("5.0.0",)),
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


def test_what_the_library_stumbles_over_is_no_range() -> None:
    assert range_problem("0 - ;") == "is not a range of versions"
