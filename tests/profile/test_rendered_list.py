"""The list of what a render wrote, held to its grammar: anybody may have written what stands in a repository."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.errors import SolvenError
from solven_env.profile import rendered_list
from solven_env.profile.paths import relative_problem
from solven_env.profile.render import RenderedFile
from solven_env.profile.rendered_list import Listed, RenderedList

DIGEST = f"sha256:{'0' * 64}"
FILE = {"digest": DIGEST, "mode": "0644"}


def stored(**fields: object) -> bytes:
    return json.dumps({"format": 1, "directories": [], "files": {}, **fields}).encode()


BAD_PATHS = [
    "",
    "/",
    ".",
    "..",
    "../outside",
    "a/../../outside",
    "/etc/passwd",
    "a//b",
    "a/",
    "./a",
    "a\0b",
    "a\nb",
    "\033[2J",
    "\ud800",
    "a" * 201,
    "/".join(["a" * 100] * 11),
    # What git keeps has bytes that anybody knows.
    ".git/HEAD",
    "sub/.GIT/config",
    ".git",
    # The list itself.
    ".solven-env-render.json",
    ".Solven-Env-Render.json",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_list_that_names_another_place_is_damaged(path: str) -> None:
    for data in (stored(files={path: FILE}), stored(directories=[path])):
        with pytest.raises(SolvenError, match="damaged") as raised:
            rendered_list.load(data, "out/list")
        assert raised.value.location == "out/list"
        assert "delete it" in raised.value.fix
        assert raised.value.message.isprintable()
        assert len(raised.value.message) < 600


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (b"<<<<<<< HEAD\n", "damaged"),
        (b"\xff", "damaged"),
        (b"[]", "damaged"),
        (b"null", "damaged"),
        (b'"x"', "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"1" * 10_000, "damaged"),
        (stored(format=True), "format is no number"),
        (stored(format=0), "format is no number"),
        (stored(format="1"), "format is no number"),
        (b'{"format": 1}', "directories is missing"),
        (stored(files=[]), "files is no table"),
        (stored(files={"a": None}), r"files\.a is no table"),
        (stored(files={"a": {"digest": DIGEST}}), "mode is missing"),
        (stored(files={"a": {**FILE, "digest": "sha256:0"}}), "is no digest"),
        (stored(files={"a": {**FILE, "digest": [DIGEST]}}), "is no digest"),
        (stored(files={"a": {**FILE, "mode": "4755"}}), "is no mode"),
        (stored(files={"a": {**FILE, "mode": 644}}), "is no mode"),
        (stored(files={"a" * 1000: None}), "is no table"),
        (stored(directories={}), "directories is no list"),
        (stored(directories=[1]), "is no path"),
        (b" " * (rendered_list.MAX_BYTES + 1), "more than 16 MiB"),
        # A later version's.
        (stored(format=2), "format 2, which this solven-env does not know"),
        (stored(links=[]), "links, which this solven-env does not know"),
        (stored(files={"a": {**FILE, "own": "keys"}}), "does not know"),
    ],
)
def test_a_list_that_no_render_wrote_is_one_error_with_its_fix(data: bytes, message: str) -> None:
    with pytest.raises(SolvenError, match=message) as raised:
        rendered_list.load(data, "out/list")
    assert raised.value.fix
    assert len(raised.value.message) < 600


PATHS = st.text(max_size=20).filter(lambda path: not relative_problem(path) and ".git" not in path.casefold())


@given(paths=st.sets(PATHS), directories=st.frozensets(PATHS))
def test_a_list_is_read_as_it_was_written(paths: set[str], directories: frozenset[str]) -> None:
    written = RenderedList(dict.fromkeys(paths, Listed(DIGEST, "0755")), directories)
    assert rendered_list.load(written.dump(), "list") == written


def test_what_git_keeps_is_not_listed() -> None:
    files = [RenderedFile(path, b"", "0644", "whole") for path in (".git/info/exclude", ".gitignore", "a/b")]
    listed = rendered_list.listing(files, [".git/info", "a"])
    assert (set(listed.files), set(listed.directories)) == ({".gitignore", "a/b"}, {"a"})
