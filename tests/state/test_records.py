"""Records: what is written comes back, and what is damaged or newer is told with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.errors import DamagedRecordError, StateError
from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Python
from solven_env.profile.model import LimitsSection, Link, Mount, Program, SandboxSection, SetupCommand
from solven_env.reconcile.kinds.settings import settings
from solven_env.state.records import Record, Recorded, load, record_key
from solven_env.threads.thread import vocabulary
from tests.reconcile.states import profile

TEXT = st.text(max_size=10)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=3)
PARTS = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=10)
PATHS = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)
FILES = PATHS.map("file:{}".format)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
ENTRIES = st.builds(
    Recorded,
    st.just("file"),
    st.sampled_from(("whole", "keys", "block", "seed")),
    HEX.map("sha256:{}".format),
    st.integers(0, 0o7777).map("{:04o}".format) | st.just(""),
    HEX.map("sha256:{}".format) | st.just(""),
)
ADDED = {"python": {"packages": {"six": "1.17.0"}, "removed": ["pip"]}, "bun": {"packages": {"@a/b": "1.0.0"}}}
BUILDS = {
    "python": {"key": f"python-{'a' * 40}", "instance": "1" * 32, "lock": "b" * 64},
    "bun": {"key": f"bun-{'a' * 40}", "instance": "2" * 32, "lock": ""},
}
RAN = {"d" * 64: {"status": 1, "layer": f"sha256:{'e' * 64}", "inputs": {"package.json": f"sha256:{'f' * 64}"}}}
SETTINGS = settings(
    profile(env={"A": "b"})._replace(
        sandbox=SandboxSection(
            "proot",
            "internet",
            ("192.0.2.7",),
            LimitsSection(processes=40, memory="4GiB", enforce="strict"),
            "/project",
        ),
        mounts=(Mount("/opt", source="/opt", optional=True, why="tools"), Mount("/tmp", "tmpfs", size="1GiB")),
        links=(Link("a/b", "skills/x/y"), Link("c", "threads/t-2.x", "read-write", True)),
        path=("/.venv/bin",),
        packages={"python": Python("3.12", ("six>=1",)), "bun": Bun({"is-number": "^7.0.0"})},
        programs=(Program("tesseract", "pytesseract", "tesseract-ocr"),),
        setup=(SetupCommand("npm ci", ("package.json",)), SetupCommand("true")),
    )
)
PROFILE = {"name": "p", "release": "1.0.0", "digest": "sha256:"}
RECORDS = st.builds(
    Record,
    incarnation=HEX.map(lambda text: text[:32]),
    generation=st.integers(1, 10**6),
    profile=st.just(PROFILE),
    inputs=TEXTS,
    settings=TEXTS.map(lambda env: {**SETTINGS, "env": env}),
    resources=st.dictionaries(FILES, ENTRIES, max_size=3),
    builds=st.sampled_from(({}, BUILDS)),
    intended=st.none() | st.dictionaries(FILES, st.lists(ENTRIES, max_size=3).map(tuple), max_size=3),
    uid=st.none() | st.integers(1, 2**32 - 2),
    added=st.sampled_from(({}, ADDED)),
    about=st.sampled_from(({}, {"time": "2026-11-28T21:40:00Z", "kept": [{"path": "a"}]})),
    setup=st.sampled_from(({}, RAN)),
)


@given(record=RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert load(record.dump(), "state.json", vocabulary()) == record
    assert load(record.dump(), "state.json", vocabulary()).dump() == record.dump()


WHOLE: dict[str, Any] = json.loads(
    Record(
        "0" * 32,
        1,
        PROFILE,
        {"who": "ada"},
        SETTINGS,
        {"file:f": Recorded("file"), "directory:/": Recorded("directory"), "build:bun": Recorded("build")},
        BUILDS,
        {"file:f": (Recorded("file", kept=f"sha256:{'c' * 64}"),)},
        61001,
        ADDED,
        {"cause": "apply", "kept": []},
        RAN,
    ).dump()
)


def changed(path: str, value: object) -> bytes:
    """`WHOLE` with another value at a path of keys; without the key where the value is MISSING."""
    document = json.loads(json.dumps(WHOLE))
    *above, last = path.split("|")
    place = document
    for key in above:
        place = place[int(key) if isinstance(place, list) else key]
    if value is MISSING:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return json.dumps(document).encode()


MISSING: object = object()
NO_PATHS: tuple[object, ...] = ("../../../../evil", "a/../../b", "/etc", "", ".", "..", "a//b", "a/", "a\0b", None, 5)


def each(path: str, *values: object) -> list[tuple[str, object]]:
    """One case for each value at a path."""
    return [(path, value) for value in values]


MISSING_OR_NUMBER: tuple[object, ...] = (MISSING, 5)
NO_NAMES: tuple[object, ...] = (MISSING, *filter(None, NO_PATHS), "x")
DAMAGES: tuple[tuple[str, object], ...] = (
    *((key, MISSING) for key in WHOLE if key not in ("uid", "added", "about", "setup")),
    *each("added", [], {"python": []}, {"python": {"packages": {"six": 1}}}, {"bun": {"removed": "pip"}}),
    *each("setup", [], {"d": RAN["d" * 64]}, {"d" * 64: {}}, {"D" * 64: RAN["d" * 64]}),
    *each(f"setup|{'d' * 64}|status", "1", -1, 1.5, True, None, 2**31),
    *each(f"setup|{'d' * 64}|layer", 5, "sha256:", "x"),
    *each(f"setup|{'d' * 64}|inputs", [], {"a": 5}, {"a": "sha256:"}),
    *each("settings|setup|0|run", MISSING, 5, None),
    *each("settings|setup|0|inputs|0", *NO_PATHS),
    *each("about", [], {"time": 5}, {"kept": {}}, {"kept": ["a"]}),
    *each("intended|file:f|0|kept", 5, "sha256:", f"sha256:{'C' * 64}"),
    *each("incarnation", *NO_PATHS, "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "\n"),
    *each("generation", "1", -1, 1.5, True, None, 10**20),
    *each("uid", "1", 0, -1, 2**32 - 1, 1.5, True),
    *each("profile", [], {}, {"name": 1}),
    *((f"profile|{key}", MISSING) for key in PROFILE),
    *each("inputs", None, {"a": ["b"]}),
    *each("settings", "x", {}, None),
    *((f"settings|{key}", MISSING) for key in SETTINGS if key not in ("allow", "programs", "setup", "workdir")),
    *((f"settings|{key}", 5) for key in SETTINGS),
    *((f"settings|mounts|0|{key}", value) for key in SETTINGS["mounts"][0] for value in MISSING_OR_NUMBER),
    *((f"settings|programs|tesseract|{key}", value) for key in ("why", "package") for value in MISSING_OR_NUMBER),
    *each("settings|programs", [], {"tesseract": "x"}),
    *((f"settings|mounts|0|{key}", "a/../../b") for key in ("target", "source", "size")),
    *((f"settings|links|0|{key}", value) for key in SETTINGS["links"][0] for value in MISSING_OR_NUMBER),
    *(("settings|links|0|path", path) for path in NO_PATHS),
    *(("settings|links|0|to", path) for path in (*NO_PATHS, ".solven-env", "threads", "threads/a/b", "threads/.x")),
    *(("settings|workdir", path) for path in ("project", "/a/../b", "/a//b", "", None)),
    *((f"settings|limits|{key}", []) for key in SETTINGS["limits"]),
    ("settings|limits|memory", "4 GiB"),
    ("settings|python|version", "../3.12"),
    ("settings|python|packages", {}),
    ("settings|bun|packages", []),
    *each("resources", [], {"file:f": []}, {"file:f": {}}, {"f": {"kind": "file"}}),
    *(("resources", {f"file:{path}": {"kind": "file"}}) for path in NO_PATHS if isinstance(path, str)),
    ("resources", {"directory://": {"kind": "directory"}}),
    ("resources", {"build:../x": {"kind": "build"}}),
    ("resources", {"build:ruby": {"kind": "build"}}),
    ("resources|file:f|kind", "directory"),
    *each("resources|file:f|mode", 420, "rw", "08"),
    *each("resources|file:f|digest", None, "sha256:../x", "x"),
    *((f"builds|python|{key}", value) for key in BUILDS["python"] for value in NO_NAMES),
    ("builds|python|key", f"bun-{'a' * 40}"),
    ("builds|python|key", ""),
    ("builds|python|instance", ""),
    *each("intended", False, {"file:f": {"kind": "file"}}),
    ("intended|file:f|0|digest", None),
    *(("format", value) for value in (0, "1", None, 1.0)),
)


@pytest.mark.parametrize(("path", "value"), DAMAGES)
def test_a_value_that_none_wrote_is_damage(path: str, value: object) -> None:
    with pytest.raises(DamagedRecordError, match=r"t1/state.json: this record is damaged \(") as caught:
        load(changed(path, value), "t1/state.json", vocabulary())
    assert caught.value.fix


NEWER: tuple[tuple[str, object], ...] = (
    ("format", 2),
    ("unheard", "of"),
    ("settings|unheard", "of"),
    ("settings|programs|tesseract|unheard", "of"),
    ("settings|limits|unheard", 1),
    ("settings|mounts|0|unheard", 1),
    ("settings|links|0|unheard", 1),
    ("settings|backend", "gvisor"),
    ("settings|network", "proxy"),
    ("settings|mounts|0|kind", "overlay"),
    ("resources|socket:x", {"kind": "socket", "own": "whole", "digest": "", "mode": ""}),
    ("intended|socket:x", [{"kind": "socket"}]),
    ("resources|file:f|target", "x"),
    ("resources|file:f|own", "lines"),
    ("builds|deno", {}),
    ("builds|python|unheard", "of"),
)


@pytest.mark.parametrize(("path", "value"), NEWER)
def test_what_a_newer_version_added_is_told(path: str, value: object) -> None:
    word = str(value if path in ("format", "settings|backend", "settings|network") else path.split("|")[-1])
    with pytest.raises(StateError, match="which this solven-env does not know") as caught:
        load(changed(path, value), "t1/state.json", vocabulary())
    assert not isinstance(caught.value, DamagedRecordError)
    assert caught.value.location == "t1/state.json"
    assert word in caught.value.message
    assert caught.value.fix == "A newer solven-env wrote it: install that one."


def test_an_apply_that_never_ended_has_no_settings() -> None:
    record = Record("0" * 32, intended={})
    assert load(record.dump(), "state.json", vocabulary()) == record


def test_limits_that_an_earlier_version_lacked_may_be_missing() -> None:
    assert load(changed("settings|limits", {"memory": None}), "state.json", vocabulary()).settings["limits"] == {
        "memory": None
    }


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
        Record("0" * 32).dump()[:-20],
    ],
)
def test_what_is_no_record_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedRecordError, match=r"t1/state.json: this record is damaged") as caught:
        load(data, "t1/state.json", vocabulary())
    assert caught.value.fix


@given(cut=st.integers(0, 10**6), flipped=st.integers(0, 255))
def test_no_damage_is_a_crash(cut: int, flipped: int) -> None:
    data = bytearray(json.dumps(WHOLE).encode())
    data[cut % len(data)] = flipped
    came: Record | StateError
    try:
        came = load(bytes(data), "state.json", vocabulary())
    except StateError as error:
        came = error
    assert came.fix if isinstance(came, StateError) else load(came.dump(), "state.json", vocabulary()) == came


def test_where_a_record_is() -> None:
    assert record_key("t1") == "threads/t1/state.json"
