"""Dependency lists of real projects as profiles: what the registries have, a profile can lock; the rest is refused."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

import solven_env
from solven_env.system import shipped
from tests.checking import HEAD, mistakes
from tests.lists.attempt import LISTS, NAMES

BUILT = {
    "storm": ["wikipedia"],
    "gpt-researcher": ["langdetect"],
    "open-webui": ["langdetect"],
    "openhands": ["func-timeout"],
    "openhands-evaluation": ["func-timeout"],
}
"""The packages of each list that have no wheel, and are built."""
LEFT_OUT = {
    "marp-cli": ("bespoke",),
    "open-webui": ("mariadb",),
    "openhands-evaluation": ("swebench", "swegym", "visualswebench"),
}
"""The packages of each list that a profile cannot name or that no host of ours can build."""
SMALL = {"fastai": ("python.txt", 90), "marp-cli": ("bun.lock", 1000)}
"""The lists that are locked whole here: the file, and how many packages it pins at least."""


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_valid_and_says_where_it_is_from(name: str) -> None:
    path = LISTS / f"{name}.yaml"
    text = path.read_text()
    assert solven_env.validate(path) == ()
    assert re.search(r"^# From .+ of github\.com/[\w.-]+/[\w.-]+,\n# commit [0-9a-f]{40}\b", text, re.MULTILINE)
    found = re.search(r"allow_builds: \[(.*)\]", text)
    assert (found[1].split(", ") if found else []) == BUILT.get(name, [])
    comments = "".join(re.findall(r"(?m)^# .*\n", text))
    page = (shipped.directory("docs") / "builds.md").read_text()
    assert ("# Left out" in comments) == (name in LEFT_OUT)
    for left in LEFT_OUT.get(name, ()):
        assert left in comments and f'"{left}' not in text and f"`{left}`" in page


@pytest.mark.parametrize("name", SMALL)
def test_a_small_list_is_locked_whole(name: str, caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache/uv")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    profile = Path(shutil.copy(LISTS / f"{name}.yaml", tmp_path))
    report = solven_env.lock(profile)
    file, least = SMALL[name]
    assert report.pinned[file] >= least
    assert solven_env.check_lock(profile).files == report.files


PYTHON = 'python: {{version: "3.12", packages: [{}]}}\n'
BUN = "bun: {{packages: {{{}}}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PYTHON.format('"swebench @ git+https://example.org/swebench"'), "'swebench' is given by its address"),
        (PYTHON.format('"acme @ https://example.org/acme-1.0-py3-none-any.whl"'), "'acme' is given by its address"),
        (PYTHON.format('"git+https://example.org/swebench"'), "is not a requirement"),
        (PYTHON.format('"-e ."'), "is not a requirement"),
        (PYTHON.format("./vendor/acme"), "is not a requirement"),
        (PYTHON.format("-r other.txt"), "is not a requirement"),
        (PYTHON.format('"--index-url https://example.org"'), "is not a requirement"),
        (PYTHON.format('"numpy=1.26.4=py312"'), "is not a requirement"),
        (BUN.format("bespoke: bespokejs/bespoke#5dd91d7"), "is an address"),
        (BUN.format('acme: "git+https://example.org/acme"'), "is an address"),
        (BUN.format('acme: "file:../acme"'), "is an address"),
        (BUN.format('acme: "workspace:*"'), "names a package of the workspace"),
        (BUN.format("acme: latest"), "is a tag"),
    ],
)
def test_what_a_profile_cannot_name_is_refused_at_its_place(text: str, message: str) -> None:
    """The first column of the table in docs/builds.md, "What a profile cannot name"."""
    (told,) = mistakes(HEAD + text)
    assert message in told
