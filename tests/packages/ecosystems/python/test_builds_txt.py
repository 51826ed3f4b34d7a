"""builds.txt: its grammar, its sections, and what they are held against."""

from __future__ import annotations

import pytest

from solven_env.errors import LockError
from solven_env.packages.ecosystems.python import builds_txt
from solven_env.packages.ecosystems.python.requirements_txt import Pin

DIGEST = "a" * 64
SETUPTOOLS = f"setuptools==80.9.0 \\\n    --hash=sha256:{DIGEST}\n"
TEXT = f"# a comment\n[docopt==0.6.2]\n{SETUPTOOLS}[jieba==0.42.1]\n[jieba==0.43]\n{SETUPTOOLS}"


def pin(name: str, version: str, line: int = 1) -> Pin:
    return Pin(name, version, None, (DIGEST,), line)


def test_each_package_has_its_own_pins() -> None:
    found = builds_txt.parse(TEXT.encode(), "builds.txt")
    assert found == (
        builds_txt.BuildPins("docopt", "0.6.2", (pin("setuptools", "80.9.0", 3),), 2),
        builds_txt.BuildPins("jieba", "0.42.1", (), 5),
        builds_txt.BuildPins("jieba", "0.43", (pin("setuptools", "80.9.0", 7),), 6),
    )
    printed = builds_txt.print_sections(reversed(found))
    assert printed.partition("\n")[2] == TEXT.partition("\n")[2]
    assert builds_txt.print_sections(()) == ""


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "neither a comment nor"),
        ("# nothing else\n", 1, "neither a comment nor"),
        ("--index-url https://evil\n[a==1]\n", 1, "neither a comment nor"),
        ("# one\nwheel==1\n[a==1]\n", 2, "neither a comment nor"),
        ("[a==1]", 1, "not a heading"),
        ("[a>=1]\n", 1, "not a heading"),
        ("[a==1] \n", 1, "not a heading"),
        ("[A==1]\n", 1, "not a heading"),
        ("[a==1]\n[b==1\n", 2, "not a heading"),
        ("[a==1]\n[a==1]\n", 2, "stands here twice"),
        (f"[a==1]\n[b==1]\n{SETUPTOOLS}--index-url https://evil\n", 5, "an option"),
        (f"[a==1]\n{SETUPTOOLS}e @ https://evil/e.whl \\\n", 4, "an address"),
        ("[a==1]\nwheel==1\n", 2, "not a pin"),
        ("[a==1]\nwheel==1 \\\n    --hash=md5:00\n", 3, "not SHA-256"),
        ("[a==1]\n\n", 2, "not a pin"),
        ("[a==1]\n# but a comment\n", 2, "pins no package"),
        (f"[a==1]\n{SETUPTOOLS}é\n", 4, "not a pin"),
    ],
)
def test_everything_else_is_refused_at_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(LockError, match=said) as caught:
        builds_txt.parse(text.encode(), "p.lock/builds.txt", before=10)
    assert caught.value.location == f"p.lock/builds.txt:{10 + line}"


def test_it_has_the_allowed_packages_and_no_others() -> None:
    sections = builds_txt.parse(TEXT.encode(), "builds.txt")
    pins = (pin("docopt", "0.6.2"), pin("jieba", "0.42.1"), pin("jieba", "0.43"), pin("six", "1"))
    builds_txt.check(sections, pins, ("docopt", "jieba", "unneeded"), "builds.txt")
    with pytest.raises(LockError, match=r"nothing asks for the build of jieba 0\.42\.1") as caught:
        builds_txt.check(sections, pins, ("docopt",), "builds.txt")
    assert caught.value.location == "builds.txt:5"
    with pytest.raises(LockError, match="does not say what the build of six 1 needs"):
        builds_txt.check(sections, pins, ("docopt", "jieba", "six"), "builds.txt")
