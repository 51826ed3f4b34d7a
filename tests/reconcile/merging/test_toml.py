"""TOML merged by its keys: each row is a base, what the profile wants, what the workspace has, and what comes of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.reconcile.merging import Clash
from solven_env.reconcile.merging.toml import merge, parse

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
    (
        "a table of ours above one that the agent added, as uv does for a path",
        "a = 1\n",
        "a = 1\n\n[tool.uv]\npackage = false\n",
        "a = 1\n\n[tool.uv.sources]\nmine = { path = 'mine' }\n",
        "a = 1\n\n[tool.uv.sources]\nmine = { path = 'mine' }\n\n[tool.uv]\npackage = false\n",
    ),
    (
        "a table of ours in one that the agent has in a line",
        "a = 1\n",
        "a = 1\n\n[tool.uv.sources]\nours = { path = 'ours' }\n",
        "a = 1\n\n[tool]\nuv = { package = false }\n",
        "a = 1\n\n[tool]\nuv = { package = false, sources = { ours = { path = \"ours\" } } }\n",
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
    ("uv add 'idna>=3.8', which is ours", BASE, of(BASE, ("idna>=3", "idna>=3.4"), ("workspace", "other")), of(BASE, ("idna>=3", "idna>=3.8")), of(BASE, ("idna>=3", "idna>=3.8"), ("workspace", "other"))),
    ("uv add 'idna>=3.8', before a stricter range of ours", BASE, of(BASE, ("idna>=3", "idna>=4")), of(BASE, ("idna>=3", "idna>=3.8")), of(BASE, ("idna>=3", "idna>=4"))),
    (
        "uv add 'idna[all]; …' makes a second entry",
        BASE,
        of(BASE, ("idna>=3", "idna>=4")),
        of(BASE, ('"idna>=3",\n', '"idna>=3",\n    "idna[all] ; python_full_version < \'3.13\'",\n')),
        of(BASE, ('"idna>=3",\n', '"idna>=4",\n    "idna[all] ; python_full_version < \'3.13\'",\n')),
    ),
    (
        "uv add --dev, --optional and --group",
        BASE,
        of(BASE, ("workspace", "other")),
        of(BASE, ("]\n\n# ours", ']\n\n[project.optional-dependencies]\nextra = [\n    "six",\n]\n\n# ours')) + '\n[dependency-groups]\ndev = [\n    "pytest",\n]\n',
        of(BASE, ("]\n\n# ours", ']\n\n[project.optional-dependencies]\nextra = [\n    "six",\n]\n\n# ours'), ("workspace", "other")) + '\n[dependency-groups]\ndev = [\n    "pytest",\n]\n',
    ),
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


LAYOUTS = st.builds(
    lambda items, lead, between, comma, tail: f"[{lead}{f',{between}'.join(items)}{comma if items else ''}{tail}]",
    st.lists(st.sampled_from(['"a"', '"b>=1"', "'m'", '{include-group = "g"}']), unique=True, max_size=4),
    st.sampled_from(["", " ", "\n    ", " # mine 1\n  ", "\n\t# mine 2\n\t"]),
    st.sampled_from(["", " ", "\n    ", " # mine 3\n  ", "\n\t# mine 4\n\t"]),
    st.sampled_from(["", ",", " ,"]),
    st.sampled_from(["", "\n", " # mine 5\n", "\n    # mine 6\n"]),
)


@given(LAYOUTS)
@settings(max_examples=50, deadline=None)
def test_an_array_keeps_its_layout_and_its_comments(array: str) -> None:
    base = 'x = 1\n[dependency-groups]\ng = []\ndev = ["a", "b>=1"]\n'
    desired = 'x = 2\n[dependency-groups]\ng = []\ndev = [\n  "b>=2", # ours\n  "c",\n]\n'
    found = merge(base.encode(), desired.encode(), f"x = 1\n[dependency-groups]\ng = []\ndev = {array}\n".encode())
    assert found.data is not None
    assert found.clashes == ()
    text, said = found.data.decode(), parse(found.data.decode())["dependency-groups"]["dev"]
    assert "c" in said
    assert "a" not in said
    assert [item for item in said if "m" in item] == (["m"] if "'m'" in array else [])
    # One behind an element of ours goes with it.
    for comment in re.findall("# mine [126]", array):
        assert comment in text
    elements = len(parse(f"x = {array}\n")["x"])
    has_lines = re.fullmatch(rf"\[(\n    \S[^\n]*,){{{elements}}}\n\]", array) is not None
    if has_lines and len(said) > 1:
        assert re.search(r'\n    "c",\n', text)


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        ("a = 1\na = 2\n", "is no TOML: Cannot overwrite a value (at line 2, column 6)"),
        ("a = 1\nb =\n", "line 2"),
        ("a = " + "[" * 20_000, "nested too deep"),
        ("a." * 20_000 + "b = 1\n", "a key has more than 100 parts"),
        ('"\\"a".' * 9_000 + "b = 1\n", "a key has more than 100 parts"),
        ("[" + "a . " * 9_000 + "b]\n", "a key has more than 100 parts"),
        ("a = 1 \\\n", "line 1"),
        ("a = " + "9" * 5_000, "is no TOML: "),
    ],
    ids=["twice", "no value", "deep", "dots", "quotes", "header", "backslash", "digits"],
)
def test_what_is_no_toml_says_where(observed: str, why: str) -> None:
    found = merge(b"a = 1\n", b"a = 2\n", observed.encode(), "observed")
    assert found.data == observed.encode()
    assert [clash.where for clash in found.clashes] == [""]
    assert why in found.clashes[0].theirs


def test_quotes_that_do_not_end_are_read_once() -> None:
    observed = b"a = 1\n" + b'x = """' + b'\\"' * 20_000 + b'"""\n'  # a slow scan would take minutes
    assert merge(b"a = 1\n", b"a = 2\n", observed).data == observed.replace(b"a = 1", b"a = 2", 1)
