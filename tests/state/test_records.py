"""Records: what is written comes back, and what is damaged or newer is told with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.errors import StateError
from solven_env.state.records import Entry, Record, load, record_key

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
TEXTS = st.dictionaries(NAMES, NAMES, max_size=3)
RESOURCES = st.dictionaries(
    NAMES.map("file:{}".format), st.builds(Entry, st.just("file"), NAMES, NAMES, NAMES), max_size=3
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.builds(
    Record,
    incarnation=NAMES,
    generation=st.integers(0, 10**6),
    profile=TEXTS,
    inputs=TEXTS,
    settings=st.dictionaries(NAMES, JSON, max_size=3),
    resources=RESOURCES,
    intended=st.none()
    | st.dictionaries(
        NAMES.map("file:{}".format),
        st.lists(st.builds(Entry, st.just("file"), NAMES), max_size=3).map(tuple),
        max_size=3,
    ),
)


@given(record=RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert load(record.dump(), "state.json") == record
    assert load(record.dump(), "state.json").dump() == record.dump()


DAMAGES: tuple[dict[str, Any], ...] = (
    {"unknown": 1},
    {"incarnation": None},
    {"generation": "1"},
    {"generation": -1},
    {"generation": 1.5},
    {"profile": []},
    {"profile": {"name": 1}},
    {"inputs": None},
    {"inputs": {"a": ["b"]}},
    {"settings": "x"},
    {"resources": []},
    {"resources": {"file:f": []}},
    {"resources": {"file:f": {}}},
    {"resources": {"file:f": {"kind": "file", "mode": 420}}},
    {"resources": {"file:f": {"kind": "directory"}}},
    {"resources": {"f": {"kind": "file"}}},
    {"resources": {"file:f": {"kind": "file", "unknown": ""}}},
    {"intended": {"file:f": {"kind": "file"}}},
    {"intended": {"file:f": [{"kind": "file", "digest": None}]}},
    {"intended": False},
)
WHOLE: dict[str, Any] = json.loads(
    Record("0" * 32, 1, {"name": "p"}, {}, {}, {"file:f": Entry("file")}, intended={"file:f": (Entry("file"),)}).dump()
)


@pytest.mark.parametrize("change", [{"format": 2}, {"format": 0}, {"format": "1"}, {"format": None}])
def test_another_format_is_told(change: dict[str, object]) -> None:
    with pytest.raises(StateError, match="this record has format") as caught:
        load(json.dumps({**WHOLE, **change, "unheard": "of"}).encode(), "t1/state.json")
    assert caught.value.location == "t1/state.json"
    assert "install" in caught.value.fix


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"format": 1}',
        b"[" * 100_000,
        Record("x").dump()[:-20],
        *(json.dumps({**WHOLE, **change}).encode() for change in DAMAGES),
        *(json.dumps({key: value for key, value in WHOLE.items() if key != missing}).encode() for missing in WHOLE),
    ],
)
def test_a_damaged_record_is_told(data: bytes) -> None:
    with pytest.raises(StateError, match=r"t1/state.json: this record is damaged") as caught:
        load(data, "t1/state.json")
    assert caught.value.fix


@given(cut=st.integers(0, 10**6), flipped=st.integers(0, 255))
def test_no_damage_is_a_crash(cut: int, flipped: int) -> None:
    data = bytearray(json.dumps(WHOLE).encode())
    data[cut % len(data)] = flipped
    came: Record | StateError
    try:
        came = load(bytes(data), "state.json")
    except StateError as error:
        came = error
    assert came.fix if isinstance(came, StateError) else load(came.dump(), "state.json") == came


def test_where_a_record_is() -> None:
    assert record_key("t1") == "threads/t1/state.json"
