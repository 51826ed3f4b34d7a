"""JSON merged by its keys: each row is a base, what the profile wants, what the workspace has, and what comes of it."""

from __future__ import annotations

import pytest

from solven_env.reconcile.merging import Clash
from solven_env.reconcile.merging.json_text import merge

BASE = """\
{
  "name": "workspace",
  "dependencies": {
    "docx": "^8.0.0",
    "ms": "^2.0.0"
  }
}
"""


def of(text: str, *changes: tuple[str, str]) -> str:
    """A text with some of its parts replaced."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


ADDED = of(BASE, ('"^2.0.0"', '"^2.0.0",\n    "zod": "^3.0.0"'))
MOVED = of(BASE, (',\n    "ms": "^2.0.0"\n  }', '\n  },\n  "devDependencies": {\n    "ms": "^2.1.3"\n  }'))
OTHER = ('"workspace"', '"other"')

MERGES = [
    ("a value", BASE, of(BASE, OTHER), ADDED, of(ADDED, OTHER)),
    ("a range of ours", BASE, of(BASE, ("^8", "^9")), ADDED, of(ADDED, ("^8", "^9"))),
    ("a package of ours goes", BASE, of(BASE, ('    "docx": "^8.0.0",\n', "")), ADDED, of(ADDED, ('    "docx": "^8.0.0",\n', ""))),
    ("a package of ours comes", BASE, of(BASE, ('"ms"', '"is-odd": "1",\n    "ms"')), ADDED, of(ADDED, ('"ms"', '"is-odd": "1",\n    "ms"'))),
    ("one that the agent removed stays removed", BASE, of(BASE, ("^8", "^9"), OTHER), of(BASE, ('    "docx": "^8.0.0",\n', "")), of(BASE, ('    "docx": "^8.0.0",\n', ""), OTHER)),
    ("all of them removed", BASE, of(BASE, ("^8", "^9"), OTHER), '{\n  "name": "workspace"\n}\n', '{\n  "name": "other"\n}\n'),
    ("one that both added keeps the agent's range", BASE, of(BASE, ('"^2.0.0"', '"^2.0.0",\n    "zod": "^4.0.0"'), OTHER), ADDED, of(ADDED, OTHER)),
    ("numbers as they are", '{"a": 1}', '{"a": 2}', '{"a": 1, "b": 1e400, "c": 1.0, "d": 12345678901234567890123}', '{"a": 2, "b": 1e400, "c": 1.0, "d": 12345678901234567890123}'),
    ("tabs", '{"a": {"b": 1}}', '{"a": {"b": 1, "c": {\n "d": 1}}}', '{\n\t"a": {\n\t\t"b": 1,\n\t\t"m": 1\n\t}\n}', '{\n\t"a": {\n\t\t"b": 1,\n\t\t"c": {\n\t\t\t"d": 1\n\t\t},\n\t\t"m": 1\n\t}\n}'),
    ("carriage returns", '{"a": 1}', '{"a": 1, "b": 2}', '{\r\n  "a": 1,\r\n  "m": 1\r\n}\r\n', '{\r\n  "a": 1,\r\n  "b": 2,\r\n  "m": 1\r\n}\r\n'),
    ("a BOM", '{"a": 1}', '{"a": 2}', '\ufeff{"a": 1, "m": 1}', '\ufeff{"a": 2, "m": 1}'),
    ("trusted", '{"trustedDependencies": ["a"]}', '{"trustedDependencies": ["a", "b"]}', '{"trustedDependencies": ["a", "m"]}', '{"trustedDependencies": ["a", "b", "m"]}'),
    ("the last goes", '{"a": 1, "b": 2}', '{"a": 1}', '{"m": 1, "a": 1, "b": 2}', '{"m": 1, "a": 1}'),
    ("the last of a table goes, and the table", '{"t": {"a": 1}}', "{}", '{"m": 1, "t": {"a": 1}}', '{"m": 1}'),
    ("an empty object", '{"a": {}}', '{"a": {"b": 1}}', '{\n "a": {},\n "m": 1\n}', '{\n "a": {\n  "b": 1\n },\n "m": 1\n}'),
    ("names of JavaScript", '{"a": 1}', '{"a": 2, "__proto__": {"": 1}}', '{"a": 1, "": 3, "__proto__": {"m": 1}}', '{"a": 2, "": 3, "__proto__": {"m": 1, "": 1}}'),
    ("bun add ms, which is ours", BASE, of(BASE, ("^2.0.0", "^2.1.0"), OTHER), of(BASE, ("^2.0.0", "^2.1.3")), of(BASE, ("^2.0.0", "^2.1.3"), OTHER)),
    ("bun add ms, before a stricter range of ours", BASE, of(BASE, ("^2.0.0", "^2.2.0")), of(BASE, ("^2.0.0", "^2.1.3")), of(BASE, ("^2.0.0", "^2.2.0"))),
    ("bun add -d ms, which is ours", BASE, of(BASE, ("^2.0.0", "^3.0.0"), OTHER), MOVED, of(MOVED, OTHER)),
    ("a package of a release that the agent has elsewhere", of(BASE, (',\n    "ms": "^2.0.0"', "")), of(BASE, OTHER), MOVED, of(MOVED, OTHER)),
    ("numbers as bun writes them", '{"a": 1.0, "b": 1}', '{"a": 1.0, "b": 2}', '{"a": 1, "b": 1, "c": 3}', '{"a": 1, "b": 2, "c": 3}'),
    ("half of a pair", '{"a": 1}', '{"a": 2}', '{"a": 1, "b": "\\ud800"}', '{"a": 2, "b": "\\ud800"}'),
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
        ('{"a": 1}', '{"a": 2}', '{"a": 3}', Clash("a", "2", "3")),
        ('{"a": {"b": 1}}', '{"a": {"b": 2}}', "{}", Clash("a.b", "2", "removed it")),
        ('{"a": 1}', '{"a": true}', '{"a": null}', Clash("a", "true", "null")),
        (BASE, of(BASE, ("^8.0.0", "^9.0.0")), of(BASE, ("^8.0.0", "^10.0.0")), Clash("docx in dependencies", '"^9.0.0"', '"^10.0.0"')),
        ('{"a": 1}', '{"a": 2}', '{"a": "\\ud800"}', Clash("a", "2", '"\\ud800"')),
    ],
)  # fmt: skip
def test_what_both_changed_is_a_clash_that_names_it(base: str, desired: str, observed: str, clash: Clash) -> None:
    found = merge(base.encode(), desired.encode(), observed.encode())
    assert found.clashes == (clash,)
    assert merge(base.encode(), desired.encode(), observed.encode(), "observed").data == observed.encode()


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        ('{"a": 1, "a": 2}', 'it says "a" twice'),
        ('{"a": NaN}', "NaN is not a number of JSON"),
        ('{"a": -Infinity}', "-Infinity is not a number of JSON"),
        ("[1]", "it is not an object"),
        ('{"a": 1,}', "line 1 column"),
        ("{\n}\n{", "line 3 column 1"),
        ('{"a":' * 100_00 + "1" + "}" * 100_00, "it is nested too deep"),
    ],
    ids=["twice", "NaN", "Infinity", "array", "comma", "behind", "deep"],
)
def test_what_is_no_json_says_where(observed: str, why: str) -> None:
    found = merge(b'{"a": 1}', b'{"a": 2}', observed.encode(), "observed")
    assert found.data == observed.encode()
    assert [clash.where for clash in found.clashes] == [""]
    assert why in found.clashes[0].theirs
