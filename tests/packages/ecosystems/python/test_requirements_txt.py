"""python.txt by its grammar: what uv writes is read and printed back, everything else is refused at its line."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.version import Version

from solven_env.errors import LockError
from solven_env.packages.ecosystems.python import pip_pin
from solven_env.packages.ecosystems.python.requirements_txt import MAX_PINS, Pin, parse, print_pins
from solven_env.system import shipped

A, B = "a" * 64, "b" * 64
SIX = f"six==1.17.0 \\\n    --hash=sha256:{A}\n"
HEADER = "# Made by `solven-env lock` for Python 3.12: versions and digests, and no host. Do not edit.\n"


def pins(text: str) -> tuple[Pin, ...]:
    return parse(text.encode(), "p.lock/python.txt")


def test_what_uv_writes_is_read_and_printed_back() -> None:
    text = (
        f"cffi==2.1.1 ; platform_python_implementation != 'PyPy' \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
        f"numpy==2.2.6 ; python_full_version < '3.11' \\\n    --hash=sha256:{A}\n"
        f"numpy==2.4.6 ; (python_full_version == '3.11.*' or 'x' in platform_version) and os_name != 'nt' \\\n"
        f"    --hash=sha256:{B}\n"
        f"torch==1!2.9.0rc1.post2.dev3+cu128.g1 \\\n    --hash=sha256:{A}\n"
    )
    found = pins(HEADER + text)
    assert [pin.line for pin in found] == [2, 5, 7, 9]
    assert found[0] == Pin("cffi", "2.1.1", "platform_python_implementation != 'PyPy'", (A, B), 2)
    assert found[3] == Pin("torch", "1!2.9.0rc1.post2.dev3+cu128.g1", None, (A,), 9)
    assert print_pins(found) == text
    assert print_pins(found, with_digests=False).splitlines()[1] == "numpy==2.2.6 ; python_full_version < '3.11'"


def test_our_own_locks_are_read_and_printed_back() -> None:
    for text in ((shipped.directory("profiles") / "solven.lock/python.txt").read_bytes(), pip_pin.alone()):
        lines = text.decode().splitlines(keepends=True)
        assert print_pins(parse(text, "python.txt")) == "".join(line for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        # what uv would obey
        (f"--index-url http://127.0.0.1:9/simple\n{SIX}", 1, "an option"),
        (f"{SIX}--extra-index-url=http://127.0.0.1:9\n", 3, "an option"),
        (f"{SIX}--find-links /tmp\n", 3, "an option"),
        (f"{SIX}--no-index\n", 3, "an option"),
        (f"{SIX}-i http://user:secret@127.0.0.1:9\n", 3, "an option"),
        (f"{SIX}-f .\n", 3, "an option"),
        (f"{SIX}-r /etc/passwd\n", 3, "an option"),
        (f"{SIX}-c other.txt\n", 3, "an option"),
        (f"{SIX}-e .\n", 3, "an option"),
        (f"{SIX} -r other.txt\n", 3, "an option"),
        (f"x @ http://127.0.0.1:9/x-1-py3-none-any.whl \\\n    --hash=sha256:{A}\n", 1, "an address"),
        (f"http://127.0.0.1:9/x-1-py3-none-any.whl \\\n    --hash=sha256:{A}\n", 1, "an address"),
        (f"git+ssh://h/x \\\n    --hash=sha256:{A}\n", 1, "an address"),
        (f"./x-1-py3-none-any.whl \\\n    --hash=sha256:{A}\n", 1, "not a pin"),
        (f"x-1-py3-none-any.whl \\\n    --hash=sha256:{A}\n", 1, "not a pin"),
        (f"six==${{VERSION}} \\\n    --hash=sha256:{A}\n", 1, "a variable"),
        (f"six==1.0 --index-url=x \\\n    --hash=sha256:{A}\n", 1, "not a pin"),
        (f"six==1.0 ; os_name == 'nt' --hash=sha256:{A} \\\n    --hash=sha256:{A}\n", 1, "marker"),
        # digests
        ("six==1.17.0\n", 1, "not a pin"),
        ("six==1.17.0 \\\n", 2, "no digest"),
        (f"six==1.17.0 \\\n    --hash=md5:{A[:32]}\n", 2, "not SHA-256"),
        (f"six==1.17.0 \\\n    --hash=sha1:{A[:40]}\n", 2, "not SHA-256"),
        (f"six==1.17.0 \\\n    --hash=sha512:{A * 2}\n", 2, "not SHA-256"),
        (f"six==1.17.0 \\\n    --hash=sha256:{A[1:]}\n", 2, "not SHA-256"),
        (f"six==1.17.0 \\\n    --hash=sha256:{A.upper()}\n", 2, "not SHA-256"),
        (f"six==1.17.0 \\\n    --hash=sha256:{A} \\\n", 3, "does not end"),
        (f"six==1.17.0 \\\n    --hash=sha256:{A} \\\nattrs==1 \\\n    --hash=sha256:{A}\n", 3, "does not end"),
        (f"six==1.17.0 --hash=sha256:{A}\n", 1, "not a pin"),
        (f"    --hash=sha256:{A}\n", 1, "a digest"),
        # versions
        *((f"six{asked} \\\n    --hash=sha256:{A}\n", 1, "not a pin") for asked in
          ("", ">=1", "===1.0", "==1.*", "==1.0,<2", "~=1.0", "== 1.0", "==v1.0", "==1.0-1", "==1.0.RC1", "==01.0", "[x]==1.0")),
        # names
        (f"Six==1.0 \\\n    --hash=sha256:{A}\n", 1, "not a pin"),
        (f"a_b==1.0 \\\n    --hash=sha256:{A}\n", 1, "not a pin"),
        (f"a--b==1.0 \\\n    --hash=sha256:{A}\n", 1, "not a pin"),
        # markers
        *((f"six==1.0 ; {marker} \\\n    --hash=sha256:{A}\n", 1, "marker of six") for marker in
          ("os_name", "os_name == nt", "os_name == 'a' or", "(os_name == 'a'", "os_name == 'a')", "extra == 'x'",
           "os_name == \"a\"", "os_name is 'a'", "os_name == 'a' xor os_name == 'b'", "'a' == 'b'", "$HOME == 'x'",
           "(" * 99 + "os_name == 'a'" + ")" * 99)),
        # twice
        (SIX + SIX, 3, "six is pinned twice"),
        (SIX + SIX.replace(" \\", " ; os_name == 'nt' \\"), 3, "six is pinned twice"),
        (SIX.replace(" \\", " ; os_name == 'nt' \\") + SIX, 3, "six is pinned twice"),
        # bytes
        ("", 1, "pins no package"),
        (HEADER, 1, "pins no package"),
        (SIX[:-1], 2, "not SHA-256"),
        (SIX.replace("\n", "\r\n"), 1, "not a pin"),
        (f"# a\r--index-url x\n{SIX}", 1, "not a pin"),
        (f"# a\\\n--index-url x\n{SIX}", 1, "not a pin"),
        (f"# a\u2028--index-url x\n{SIX}", 1, "not a pin"),
        (f"# \0\n{SIX}", 1, "not a pin"),
        (f"{SIX}\n{SIX}", 3, "not a pin"),
        (f"{SIX}# behind a pin\n", 3, "not a pin"),
        (f"\ufeff{SIX}", 1, "not a pin"),
        (SIX.replace("six", "ѕix"), 1, "not a pin"),
        (f"{SIX}\ud800\n", 3, "not a pin"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_at_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        parse(text.encode(errors="surrogatepass"), "p.lock/python.txt", fix="Run: it")
    assert caught.value.location == f"p.lock/python.txt:{line}"
    assert caught.value.fix == "Run: it"
    assert "secret" not in str(caught.value)


def test_it_is_bounded_and_takes_linear_time() -> None:
    begun = time.process_time()
    many = "".join(f"a{number}==1 \\\n    --hash=sha256:{A}\n" for number in range(MAX_PINS + 1))
    hostile = (
        "a" * 10**6,
        "a-" * 10**6,
        "1.a==" + "1." * 10**6,
        "#" * 10**7 + "\0",
        " " * 10**6,
        "six==1 ; " + "(" * 10**6 + " \\",
    )
    for text in (many, "a" * (17 << 20), *hostile, "six==1 ; " + "os_name == 'a' and " * 10**5 + " \\"):
        with pytest.raises(LockError):
            pins(text)
    assert time.process_time() - begun < 5


_NUMBERS = st.integers(0, 9999).map(str)
_VERSIONS = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "1!"]),
    st.lists(_NUMBERS, min_size=1, max_size=5).map(".".join),
    st.sampled_from(["", "a1", "b0", "rc12"]),
    st.sampled_from(["", ".post1"]),
    st.sampled_from(["", ".dev2"]),
    st.sampled_from(["", "+cpu", "+cu128.1"]),
)
_COMPARISONS = st.builds(
    "{} {} '{}'".format,
    st.sampled_from(["python_full_version", "sys_platform", "platform_machine", "implementation_name"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "in", "not in"]),
    st.sampled_from(["3.11", "3.11.*", "win32", "x86_64", "PyPy", ""]),
)
_MARKERS = st.recursive(
    _COMPARISONS, lambda inner: st.builds("({} or {}) and {}".format, inner, inner, inner), max_leaves=9
)
_NAMES = st.from_regex(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z")
_PINS = st.lists(
    st.tuples(_NAMES, _VERSIONS, st.none() | _MARKERS, st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4)),
    min_size=1, max_size=6, unique_by=lambda pin: pin[0],
)  # fmt: skip


@given(_PINS)
@settings(max_examples=80, deadline=None)
def test_pins_are_printed_and_read_back(drawn: list[tuple[str, str, str | None, list[bytes]]]) -> None:
    made = [
        Pin(name, version, marker, tuple(one.hex() for one in digests), 0) for name, version, marker, digests in drawn
    ]
    text = print_pins(made)
    found = pins(HEADER + text)
    assert [pin._replace(line=0) for pin in found] == made
    assert [pin.line for pin in found] == [
        number for number, line in enumerate((HEADER + text).splitlines(), 1) if line[0] not in "# "
    ]
    for pin in found:  # what the grammar takes, those who evaluate it take too
        assert str(Version(pin.version)) == pin.version
        assert pin.marker is None or Marker(pin.marker)


@given(st.data())
@settings(max_examples=200, deadline=None)
@example(None)
def test_mutations_are_read_or_refused(data: st.DataObject | None) -> None:
    text = (HEADER + SIX + SIX.replace("six==1.17.0", "cffi==2.1.1 ; os_name != 'nt'")).encode()
    if data is not None:
        place = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(place, min(len(text), place + 9)))
        text = (
            text[:place] + data.draw(st.binary(max_size=6) | st.sampled_from([b"\n", b"-r x\n", b" \\\n"])) + text[end:]
        )
    try:
        found = parse(text, "python.txt")
    except LockError as error:
        assert error.location.startswith("python.txt:")
    else:
        without_comments = [line for line in text.decode().splitlines(keepends=True) if not line.startswith("#")]
        assert print_pins(found) == "".join(without_comments)
