"""groups.txt: its grammar, what it is held against, and the part of a lock that some groups need."""

from __future__ import annotations

import pytest

from solven_env.errors import LockError
from solven_env.packages import lock_text
from solven_env.packages.ecosystems import python
from solven_env.packages.ecosystems.python import Python, builds_txt, groups_txt
from solven_env.packages.ecosystems.python.requirements_txt import Pin, print_pins
from solven_env.profile.sections import PackageGroup

DIGEST = "a" * 64
WINDOWS, OLD = "sys_platform == 'win32'", "python_full_version < '3.13'"
TEXT = f"# a comment\n[]\npip==26.3\nsix==1\ncolorama==1 ; {WINDOWS}\n[plots]\nsix==1\ncolorama==1 ; {OLD}\ndocopt==2\n[none]\n"


def pin(name: str, version: str, marker: str | None = None) -> Pin:
    return Pin(name, version, marker, (DIGEST,), 1)


PINS = (pin("colorama", "1", f"{OLD} or {WINDOWS}"), pin("docopt", "2"), pin("pip", "26.3"), pin("six", "1"))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "there is no group"),
        ("# nothing else\n", 1, "there is no group"),
        ("--index-url https://evil\n[]\n", 1, "neither the name of a group nor a pin"),
        ("six==1\n[]\n", 1, "neither the name of a group nor a pin"),
        ("[]\n--index-url https://evil\n", 2, "neither the name of a group nor a pin"),
        ("[]\nsix @ https://evil/six.whl\n", 2, "neither the name of a group nor a pin"),
        ("[]\nsix>=1\n", 2, "neither the name of a group nor a pin"),
        ("[]\nsix==1 \\\n    --hash=sha256:00\n", 2, "neither the name of a group nor a pin"),
        ("[]\n-r other.txt\n", 2, "neither the name of a group nor a pin"),
        ("[]\n# a comment\n", 2, "neither the name of a group nor a pin"),
        ("[]\n\n", 2, "neither the name of a group nor a pin"),
        ("[../x]\n", 1, "neither the name of a group nor a pin"),
        ("[A]\n", 1, "neither the name of a group nor a pin"),
        ("[]\n[a]\n[]\n", 3, r"the group \[\] stands here twice"),
        ("[]\nsix==1 ; import os\n", 2, "the marker of six is not one"),
        ("[]\nsix==1 ; " + "(" * 99 + "\n", 2, "the marker of six is not one"),
        ("[]\nsix==1", 1, "does not end"),
        ("[]\nsix==1\u00e9\n", 2, "neither the name of a group nor a pin"),
    ],
)
def test_everything_else_is_refused_at_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(LockError, match=said) as caught:
        groups_txt.parse(text.encode(), "p.lock/groups.txt", before=10)
    assert caught.value.location == f"p.lock/groups.txt:{10 + line}"


def test_it_is_read_as_it_is_printed() -> None:
    found = groups_txt.parse(TEXT.encode(), "groups.txt")
    assert [(each.name, len(each.pins), each.line) for each in found] == [("", 3, 2), ("plots", 3, 6), ("none", 0, 10)]
    sections = [(each.name, [pin(*written) for written in each.pins]) for each in found]
    assert groups_txt.print_sections(sections).partition("\n")[2] == TEXT.partition("\n")[2]


def test_it_has_the_groups_of_the_profile_and_nothing_that_is_not_locked() -> None:
    found = groups_txt.parse(TEXT.encode(), "groups.txt")
    groups_txt.check(found, PINS, ["", "plots", "none"], "groups.txt")
    for pins, groups, location, said in (
        (PINS, ["", "plots"], "groups.txt:10", r"the profile has no group \[none\]"),
        (PINS, ["", "plots", "none", "x"], "groups.txt", r"does not say what the group \[x\] needs"),
        (PINS[1:], ["", "plots", "none"], "groups.txt:2", r"\[\] has colorama 1, which is not locked"),
        (
            (*PINS[:1], pin("docopt", "1"), *PINS[2:]),
            ["", "plots", "none"],
            "groups.txt:6",
            r"\[plots\] has docopt 2, which is not locked",
        ),
    ):
        with pytest.raises(LockError, match=said) as caught:
            groups_txt.check(found, pins, groups, "groups.txt")
        assert caught.value.location == location


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([""], {"colorama": WINDOWS, "pip": None, "six": None}),
        (["plots"], {"colorama": OLD, "docopt": None, "six": None}),
        (["", "plots"], {"colorama": f"{WINDOWS} or {OLD}", "docopt": None, "pip": None, "six": None}),
        (["none"], {}),
        ([], {}),
    ],
)
def test_a_pin_applies_where_a_group_needs_it(groups: list[str], expected: dict[str, str | None]) -> None:
    found = groups_txt.part(groups_txt.parse(TEXT.encode(), "groups.txt"), PINS, groups)
    assert {each.name: each.marker for each in found} == expected
    assert all(each.digests == (DIGEST,) for each in found)


def test_the_part_of_a_lock_is_a_lock() -> None:
    built = builds_txt.print_sections([builds_txt.BuildPins("docopt", "2", (pin("wheel", "1"),), 0)])
    whole = lock_text.join(
        python.LOCKS,
        {
            "python.txt": b"# head\n" + print_pins(PINS).encode(),
            "builds.txt": built.encode(),
            "groups.txt": TEXT.encode(),
        },
    )
    base, plots, none = PackageGroup("", ("six",)), PackageGroup("plots", ("docopt",)), PackageGroup("none", ())
    section = Python("3.12", ("six", "docopt"), ("docopt",), groups=(base, plots, none))
    python.believe(whole, section, "state/whole")
    alone, text = python.part(section._replace(packages=("six",), groups=(base, none)), whole)
    assert (alone, python.believe(text, alone, "state/part").builds) == (Python("3.12", ("six",), ("docopt",)), ())
    assert text.startswith(b"# head\ncolorama")
    both, text = python.part(section, whole)
    assert [each.name for each in python.believe(text, both, "state/part").builds] == ["docopt"]
    assert lock_text.split(python.LOCKS, text).keys() == {"python.txt", "builds.txt"}
    # a lock that is a part already, or of a profile without groups, stays as it is
    assert python.part(both, text) == (both, text)
    # lines are counted in the whole text where it is one
    with pytest.raises(LockError, match="neither the name") as caught:
        python.locked(whole + b"evil\n", "state/whole")
    end = whole.count(b"\n") + 1
    assert caught.value.location == f"state/whole:{end}"
