"""TOML merged by its keys: each row is a base, what the profile wants, what the workspace has, and what comes of it."""

from __future__ import annotations

import pytest

from solven_env.reconcile.merging import Clash
from solven_env.reconcile.merging.toml import merge

BASE = """\
[project]
name = "workspace"
dependencies = [
    "certifi",
    "idna>=3",
]

# ours
[tool.ruff]
exclude = ["/bin", "/proc"]
"""


def of(text: str, *changes: tuple[str, str]) -> str:
    """A text with some of its parts replaced."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


ADDED = of(BASE, ('    "idna>=3",\n', '    "humanize>=4.14.0",\n    "idna>=3",\n'))

MERGES = [
    # name, base, desired, observed, merged
    ("a value", BASE, of(BASE, ('"workspace"', '"other"')), ADDED, of(ADDED, ('"workspace"', '"other"'))),
    (
        "a package added, one of ours added",
        BASE,
        of(BASE, ('"idna>=3",\n', '"idna>=3",\n    "six",\n')),
        ADDED,
        of(ADDED, ('"idna>=3",\n', '"idna>=3",\n    "six",\n')),
    ),
    ("a range of ours", BASE, of(BASE, ("idna>=3", "idna>=4")), ADDED, of(ADDED, ("idna>=3", "idna>=4"))),
    ("a package of ours goes", BASE, of(BASE, ('    "certifi",\n', "")), ADDED, of(ADDED, ('    "certifi",\n', ""))),
    (
        "a package that the agent removed stays removed",
        BASE,
        of(BASE, ('"certifi"', '"certifi>=1"'), ("workspace", "other")),
        of(BASE, ('    "certifi",\n', "")),
        of(BASE, ('    "certifi",\n', ""), ("workspace", "other")),
    ),
    (
        "a package that both added keeps the agent's range",
        BASE,
        of(BASE, ('"idna>=3",\n', '"humanize",\n    "idna>=3",\n')),
        ADDED,
        ADDED,
    ),
    (
        "a spelling of the agent's",
        BASE,
        of(BASE, ("idna>=3", "idna>=4"), ("workspace", "other")),
        of(BASE, ('"idna>=3"', '"IDNA >= 4"')),
        of(BASE, ('"idna>=3"', '"IDNA >= 4"'), ("workspace", "other")),
    ),
    (
        "comments and order",
        'a = 1\nb = 2\n',
        'a = 1\nb = 3\nc = "new" # why\n',
        '# top\nb = 2 # two\n\n# one\na = 1\n\n# end\n',
        '# top\nb = 3 # two\nc = "new" # why\n\n# one\na = 1\n\n# end\n',
    ),
    ("a section that goes", BASE, of(BASE, (BASE[BASE.index("\n# ours") :], "")), ADDED, ADDED[: ADDED.index("\n# ours")]),
    (
        "a section that stays for the agent's key",
        "[t]\na = 1\n",
        "",
        "[t]\na = 1\nmine = 2\n",
        "[t]\nmine = 2\n",
    ),
    ("a section that comes", "[a]\nx = 1\n", "[a]\nx = 1\n\n# new\n[a.b]\ny = 2\n", "[a]\nx = 1\nz = 1\n\n[c]\n", "[a]\nx = 1\nz = 1\n\n# new\n[a.b]\ny = 2\n\n[c]\n"),
    ("a dotted key", "a.b = 1\n", "a.b = 1\na.c = 2\n", "a.b = 1\na.mine = 3\n", "a.b = 1\na.c = 2\na.mine = 3\n"),
    ("a table with a header for a dotted one", "[a]\nb = 1\n", "[a]\nb = 1\nc = 2\n", "a.b = 1\n", "a.b = 1\na.c = 2\n"),
    ("an inline table", "a = { b = 1 }\n", "a = { b = 2, c = 3 }\n", "a = { b = 1, mine = 0 }\n", "a = { b = 2, mine = 0, c = 3 }\n"),
    ("a member goes", "a = { b = 1, c = 2 }\n", "a = { c = 2 }\n", "a = { b = 1, c = 2, d = 3 }\n", "a = { c = 2, d = 3 }\n"),
    ("a set of values", 'a = ["x", "y"]\n', 'a = ["x", "z"]\n', 'a = ["mine", "x", "y"]\n', 'a = ["mine", "x", "z"]\n'),
    ("tables in an array", "[[a]]\nx = 1\n", "[[a]]\nx = 2\n", "m = 1\n\n[[a]]\nx = 1\n", "m = 1\n\n[[a]]\nx = 2\n"),
    ("the whole", BASE, of(BASE, ("workspace", "other")), BASE, of(BASE, ("workspace", "other"))),
    ("carriage returns", "a = 1\r\n", "a = 1\nb = 2\n", "a = 1\r\nc = 3\r\n", "a = 1\r\nb = 2\r\nc = 3\r\n"),
    ("no end of line", "a = 1", "a = 1\nb = 2\n", "c = 3\na = 1", "c = 3\na = 1\nb = 2\n"),
    (
        "groups",
        '[dependency-groups]\ndev = ["a"]\n',
        '[dependency-groups]\ndev = ["a", "b"]\n',
        '[dependency-groups]\ndev = ["a", {include-group = "mine"}]\nmine = ["c"]\n',
        '[dependency-groups]\ndev = ["a", "b", {include-group = "mine"}]\nmine = ["c"]\n',
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "desired", "observed", "merged"), [row[1:] for row in MERGES], ids=[row[0] for row in MERGES]
)
def test_merges(base: str, desired: str, observed: str, merged: str) -> None:
    found = merge(base.encode(), desired.encode(), observed.encode())
    assert (found.data or b"").decode() == merged
    assert found.clashes == ()


@pytest.mark.parametrize(
    ("base", "desired", "observed", "clash"),
    [
        ("a = 1\n", "a = 2\n", "a = 3\n", Clash("a", "2", "3")),
        ("a.b = 1\n", "a.b = 2\n", "", Clash("a.b", "2", "removed it")),
        ("a = 1\n", "a = 1.0\n", "a = true\n", Clash("a", "1.0", "true")),
        ("", "a = 2\n", "a = 3\n", Clash("a", "2", "3")),
        (BASE, of(BASE, ("idna>=3", "idna<5")), of(BASE, ("idna>=3", "idna>=9")), Clash("idna in project.dependencies", '"idna<5"', '"idna>=9"')),
        ('"a b" = "x"\n', '"a b" = "y"\n', '"a b" = "\\u001b"\n', Clash('"a b"', '"y"', '"\\x1b"')),
    ],
)  # fmt: skip
def test_what_both_changed_is_a_clash_that_names_it(base: str, desired: str, observed: str, clash: Clash) -> None:
    found = merge(base.encode(), desired.encode(), observed.encode())
    assert found.clashes == (clash,)
    assert merge(base.encode(), desired.encode(), observed.encode(), "observed").data == observed.encode()
