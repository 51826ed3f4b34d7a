"""bun.lock by its grammar: what the pinned Bun writes is read, everything else is refused at its line."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solven_env.errors import LockError
from solven_env.packages.ecosystems.bun.bun_lock import BunLock, parse, split_key
from solven_env.system import shipped

DIGEST = "sha512-" + base64.b64encode(bytes(range(64))).decode()
TEXT = f"""\
{{
  "lockfileVersion": 2,
  "configVersion": 1,
  "workspaces": {{
    "": {{
      "name": "workspace",
      "dependencies": {{
        "a": "^1.0.0",
      }},
    }},
  }},
  "packages": {{
    "@s/b": ["@s/b@2.0.0-rc.1", "", {{ "bin": {{ "b": "bin/b.js" }}, "os": ["linux", "!win32"], "cpu": "x64" }}, "{DIGEST}"],

    "a": ["a@1.0.0", "", {{ "dependencies": {{ "@s/b": ">=2.0.0-0 <3 || 4.x" }}, "bin": "./a.js" }}, "{DIGEST}"],

    "a/c-cjs": ["c@1.2.3", "", {{ "bundled": true }}, "{DIGEST}"],
  }}
}}
"""
FILE = "p.lock/bun.lock"
LINE_OF_A, LAST = 15, 18


def read(text: str) -> BunLock:
    return parse(text.encode(errors="surrogatepass"), FILE, fix="Run: it")


def test_what_bun_writes_is_read() -> None:
    lock = read(TEXT)
    assert lock.asked == {"a": "^1.0.0"}
    assert [(one.key, one.name, one.version, one.line) for one in lock.packages.values()] == [
        ("@s/b", "@s/b", "2.0.0-rc.1", 13),
        ("a", "a", "1.0.0", 15),
        ("a/c-cjs", "c", "1.2.3", 17),
    ]
    assert lock.packages["a"].needs == {"@s/b": ">=2.0.0-0 <3 || 4.x"}
    assert lock.packages["a/c-cjs"].about == {"bundled": True}
    assert lock.packages["a"].digest == DIGEST
    assert split_key("a/@s/b/c") == ("a", "@s/b", "c")


def test_our_own_lock_is_read() -> None:
    lock = parse((shipped.directory("profiles") / "solven.lock/bun.lock").read_bytes(), FILE)
    assert lock.asked == {"docx": "^8.0.0"}
    assert len(lock.packages) == 20


ADDRESSES = (
    "http://127.0.0.1:9/x.tgz", "https://r/x.tgz", "git+ssh://git@h/x.git", "git:h/x", "github:u/x", "u/x", "file:../x",
    "link:x", "workspace:*", "catalog:", "./x", "../x", "/x", "~/x", "x.tgz", "x.tar.gz", "patch:x", "root:",
    "npm:x@http://h/x", "npm:x@file:y", "$X", "${X}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        # where packages come from
        ('"a@1.0.0", ""', '"a@1.0.0", "http://127.0.0.1:9/a.tgz"', LINE_OF_A, "a has an address"),
        ('"a@1.0.0", ""', '"a@1.0.0", "http://127.0.0.1:9/"', LINE_OF_A, "a has an address"),
        ('"a@1.0.0", ""', '"a@1.0.0", null', LINE_OF_A, "a has an address"),
        *(('"a@1.0.0"', f'"a@{address}"', LINE_OF_A, "no exact version") for address in ADDRESSES),
        *(('">=2.0.0-0 <3 || 4.x"', f'"{address}"', LINE_OF_A, "something else than a range") for address in ADDRESSES),
        *(('"^1.0.0"', f'"{address}"', 8, "something else than a range") for address in ADDRESSES),
        ('["a@1.0.0", "", {', '["a@github:u/a#0123456", {', LINE_OF_A, "not a package of a registry"),
        ('"a@1.0.0"', '"a@^1.0.0"', LINE_OF_A, "no exact version"),
        ('"a@1.0.0"', '"a@1.0"', LINE_OF_A, "no exact version"),
        ('"a@1.0.0"', '"a@latest"', LINE_OF_A, "no exact version"),
        ('"a@1.0.0"', '"../a@1.0.0"', LINE_OF_A, "no exact version"),
        ('"a/c-cjs"', '"../c"', 17, "not the name of a package"),
        ('"a/c-cjs"', '"a//c"', 17, "not the name of a package"),
        ('"a/c-cjs"', '""', 17, "not the name of a package"),
        # digests
        (f'"bundled": true }}, "{DIGEST}"', f'"bundled": true }}, "{DIGEST[:-4]}"', 17, "not SHA-512"),
        (f'"bundled": true }}, "{DIGEST}"', '"bundled": true }, "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="', 17, "not SHA-512"),
        (f'"bundled": true }}, "{DIGEST}"', '"bundled": true }, ""', 17, "not SHA-512"),
        (f'"bundled": true }}, "{DIGEST}"', '"bundled": true }', 17, "not a package of a registry"),
        (f'"bundled": true }}, "{DIGEST}"', f'"bundled": true }}, "{DIGEST} {DIGEST}"', 17, "not SHA-512"),
        # what Bun would do beside
        *(('  "packages": {\n', f'  "{name}": {{ "a": "1" }},\n  "packages": {{\n', 12, f"'{name}' is nothing") for name in
          ("overrides", "patchedDependencies", "trustedDependencies", "catalog", "catalogs", "anything")),
        ('    "": {\n', '    "x": { "name": "x" },\n    "": {\n', 5, "'x' is nothing"),
        ('"name": "workspace",', '"name": "workspace", "bin": "x",', 6, "'bin' is nothing"),
        ('"name": "workspace",', '"name": "workspace", "devDependencies": {},', 6, "'devDependencies' is nothing"),
        ('"bundled": true', '"scripts": {}', 17, "'scripts' is nothing"),
        ('"bundled": true', '"bundled": false', 17, "true alone"),
        ('"bin/b.js"', '"../../b.js"', 13, "not a path in the package"),
        ('"bin/b.js"', '"/b.js"', 13, "not a path in the package"),
        ('"b": "bin', '"../b": "bin', 13, "not the name of a program"),
        ('"!win32"', '"http://x"', 13, "not a list of systems"),
        # the document
        ('"lockfileVersion": 2', '"lockfileVersion": 1', 2, "another format"),
        ('"lockfileVersion": 2', '"lockfileVersion": true', 2, "another format"),
        ('"lockfileVersion": 2,', "", 1, "'lockfileVersion' is missing"),
        ('"a": ["a@', '"@s/b": ["a@', LINE_OF_A, "'@s/b' stands here twice"),
        ('"name": "workspace",', '"name": "workspace", "name": "x",', 6, "'name' stands here twice"),
        ('"a@1.0.0"', '"a\\u00401.0.0"', LINE_OF_A, "not the JSON"),
        ('"a@1.0.0"', '"ä@1.0.0"', LINE_OF_A, "not the JSON"),
        ('"a@1.0.0"', '"a\0@1.0.0"', LINE_OF_A, "not the JSON"),
        ('"a@1.0.0"', '"a\ud800@1.0.0"', LINE_OF_A, "not the JSON"),
        ('"a@1.0.0"', "1", LINE_OF_A, "text should stand here"),
        ("\n", "\r\n", 1, "not the JSON"),
        ('"a": ["a@', '// x\n"a": ["a@', LINE_OF_A, "not the JSON"),
        ("  }\n}\n", "  }\n", 19, "'," + "' should stand here"),
        ("  }\n}\n", "  }\n}}\n", 19, "behind the end"),
        ("  }\n}\n", "  },,\n}\n", LAST, "a name in quotes"),
        ('"configVersion": 1', '"configVersion": ' + "[" * 20, 3, "levels deep"),
        (TEXT, "", 1, "a value should stand here"),
        (TEXT, "[]", 1, "a mapping should stand here"),
        (TEXT, '"x"', 1, "a mapping should stand here"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_at_its_line(old: str, new: str, line: int, message: str) -> None:
    assert old in TEXT
    with pytest.raises(LockError, match=message) as caught:
        read(TEXT.replace(old, new))
    assert caught.value.location == f"{FILE}:{line}"
    assert caught.value.fix == "Run: it"


def test_it_is_bounded_and_takes_linear_time() -> None:
    begun = time.process_time()
    many = 10**6
    hostile = (
        "[" * many, '{"a":' * many, '"' + "a" * many, " " * many, "\n" * many, "1" * many, "{" + '"a": 1,' * many,
        TEXT.replace("^1.0.0", "npm:" + "a@" * many), TEXT.replace("^1.0.0", "." * many + "tgz"),
        TEXT.replace("a/c-cjs", "a/" * many), TEXT.replace("a/c-cjs", "@a/" * many), TEXT.replace("bin/b.js", "../" * many),
        TEXT.replace("2.0.0-rc.1", "1." * many), "x" * (17 << 20),
    )  # fmt: skip
    for text in hostile:
        with pytest.raises(LockError):
            read(text)
    assert time.process_time() - begun < 10


@given(st.data())
@settings(max_examples=200, deadline=None)
@example(None)
def test_mutations_are_read_or_refused(data: st.DataObject | None) -> None:
    text = TEXT.encode()
    if data is not None:
        place = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(place, min(len(text), place + 9)))
        piece = data.draw(st.binary(max_size=6) | st.sampled_from([b"{", b'"', b",", b"[", b": 1", b"npm:"]))
        text = text[:place] + piece + text[end:]
    try:
        parse(text, FILE)
    except LockError as error:
        assert error.location.startswith(f"{FILE}:")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "a", "a@1.0.0", DIGEST, "^1.0.0", "http://h/x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["", "a", "b", "bin", "os"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(_VALUES, _VALUES, _VALUES)
@settings(max_examples=150, deadline=None)
def test_documents_of_any_shape_are_read_or_refused(workspaces: object, packages: object, entry: object) -> None:
    for document in (
        workspaces,
        {"lockfileVersion": 2, "workspaces": workspaces, "packages": packages},
        {"lockfileVersion": 2, "workspaces": {"": {"name": "w", "dependencies": {}}}, "packages": {"a": entry}},
        {
            "lockfileVersion": 2,
            "workspaces": {"": {"name": "w", "dependencies": workspaces}},
            "packages": {"a": ["a@1.0.0", "", packages, DIGEST]},
        },
    ):
        try:
            parse(json.dumps(document).encode(), FILE)
        except LockError as error:
            assert error.location == f"{FILE}:1"
