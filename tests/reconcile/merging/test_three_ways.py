"""What holds for every merge of TOML and of JSON by keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from solven_env.reconcile.merging import Merged, json_text, toml
from solven_env.reconcile.merging.three_ways import dotted, place

if TYPE_CHECKING:
    from types import ModuleType

FORMS = [pytest.param(toml, id="TOML"), pytest.param(json_text, id="JSON")]

PACKAGES = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["", ">=1", ">=2"]), max_size=4)
SCALARS = st.sampled_from(["x", "y", 1, 2, True])
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.sampled_from("kl"), SCALARS, max_size=2))
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "one": VALUES,
        "two": st.dictionaries(st.sampled_from(["a b", "c", "d"]), VALUES, max_size=3),
        "packages": PACKAGES,
    },
)


def as_json(document: dict[str, Any], indent: int | None = 2) -> bytes:
    """A document, with its packages as `dependencies`."""
    found = {("dependencies" if key == "packages" else key): value for key, value in document.items()}
    return (json.dumps(found, indent=indent) + "\n").encode()


def as_toml(document: dict[str, Any], *, inline: bool = False) -> bytes:
    """A document, with its packages as an array, a table with a header or inline."""
    lines, tables = [], []
    for key, value in document.items():
        if key == "packages":
            items = [json.dumps(name + version) for name, version in value.items()]
            array = f"[{', '.join(items)}]" if inline else "[\n" + "".join(f"    {item},\n" for item in items) + "]"
            tables.append(f"[project]\ndependencies = {array}\n")
        elif isinstance(value, dict) and not inline:
            tables.append(
                f"[{key}]\n" + "".join(f"{json.dumps(k)} = {toml_value(each)}\n" for k, each in value.items())
            )
        else:
            lines.append(f"{key} = {toml_value(value)}\n")
    return ("".join(lines) + "\n".join(tables)).encode()


def toml_value(value: Any) -> str:
    """A value in one line of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_value(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


TEXTS = st.one_of(
    st.tuples(st.just(toml), st.tuples(*[DOCUMENTS.map(as_toml)] * 3)),
    st.tuples(st.just(toml), st.tuples(*[DOCUMENTS.map(lambda found: as_toml(found, inline=True))] * 3)),
    st.tuples(st.just(json_text), st.tuples(*[DOCUMENTS.map(as_json)] * 3)),
    st.tuples(st.just(json_text), st.tuples(*[DOCUMENTS.map(lambda found: as_json(found, None))] * 3)),
)


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_merge_keeps_its_promises(texts: tuple[ModuleType, tuple[bytes, bytes, bytes]]) -> None:
    form, (base, desired, observed) = texts
    assert form.merge(base, base, observed) == Merged(observed)
    assert form.merge(base, desired, base) == Merged(desired)
    assert form.merge(base, desired, desired) == Merged(desired)
    for prefer in ("desired", "observed"):
        merged = form.merge(base, desired, observed, prefer)
        said, theirs, was = form.parse(merged.data.decode()), form.parse(observed.decode()), form.parse(base.decode())
        assert all(clash.where for clash in merged.clashes), merged
        wanted = form.parse(desired.decode())
        # The agent's own keys survive.
        assert {
            key: value for key, value in theirs.items() if key not in was and key not in wanted
        }.items() <= said.items()
        # Once merged, there is nothing more to do.
        assert form.merge(base, desired, merged.data, prefer).data == merged.data
        assert form.merge(desired, desired, merged.data) == Merged(merged.data)
    fine = form.merge(base, desired, observed)
    if not fine.clashes:
        assert form.merge(base, desired, fine.data) == fine
    dropped = form.merge(base, None, observed)
    assert not dropped.clashes
    assert form.merge(base, None, base) == Merged(None)
    assert form.merge(None, None, observed) == Merged(observed)


@given(TEXTS, st.binary(max_size=6), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_hostile_bytes_are_a_clash_at_most(
    texts: tuple[ModuleType, tuple[bytes, bytes, bytes]], noise: bytes, at: int
) -> None:
    form, (base, desired, observed) = texts
    assume(desired != base)
    merged = form.merge(base, desired, observed[:at] + noise + observed[at + len(noise) :])
    for clash in merged.clashes:
        assert clash.where or clash.theirs
        assert all(part.isprintable() for part in clash)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("observed", "why"),
    [
        (b"a" * 300_000, "is too large to be merged: 300,000 bytes, and "),
        (b"\xff", "it is not UTF-8 in line 1"),
        (b"\n\n\xff", "it is not UTF-8 in line 3"),
        (b"\xef\xbb\xbf\n\xff", "it is not UTF-8 in line 2"),
        (b"\0", "is no "),
        (b"\xed\xa0\x80", "it is not UTF-8 in line 1"),
    ],
    ids=["large", "byte", "third line", "BOM", "NUL", "surrogate"],
)
def test_what_cannot_be_read_is_one_clash_that_says_where(form: ModuleType, observed: bytes, why: str) -> None:
    base, desired = (b"{}", b'{"a": 1}') if form is json_text else (b"", b"a = 1\n")
    merged = form.merge(base, desired, observed, "observed")
    assert (merged.data, merged.clashes[0].where, len(merged.clashes)) == (observed, "", 1)
    assert why in merged.clashes[0].theirs
    assert form.merge(base, desired, observed, "desired").data == desired
    ours = form.merge(base, observed, desired)  # the profile's, where it is the profile's
    assert why in ours.clashes[0].ours


@pytest.mark.parametrize(
    ("item", "desired", "present", "at"),
    [
        ("c", ["a", "c"], ["a", "b", "d"], 2),
        ("b", ["z", "b"], ["z", "a"], 1),
        ("b", ["b", "z"], ["z", "a"], 0),
        ("b", ["b"], ["z", "a"], 2),
        ("b", ["b"], [], 0),
    ],
)
def test_a_new_item_has_a_place(item: str, desired: list[str], present: list[str], at: int) -> None:
    assert place(item, desired, present) == at


def test_a_path_is_told_as_toml_writes_it() -> None:
    assert dotted(("tool", "a b", "", 0)) == 'tool."a b"."".0'
