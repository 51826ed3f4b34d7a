"""What `when:` leaves out: it is as if it was not written, but its expressions are held to the same names."""

import time

import pytest

from solven_env.profile import mounts
from tests.checking import HEAD, load, mistakes, rendered, resolve

INPUTS = "inputs: {a: {required: false}, b: {required: false}}\n"
KNOWN = "Known here: a, b, bun, profile, python, thread. A literal '{{' is written {{ '{{' }}."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a condition that names no input
        ("env: {A: {value: x, when: c}}", ["5:27: there is no input 'c'. Known here: a, b."]),
        ("mounts: [{target: /x, when: c}]", ["5:29: there is no input 'c'. Known here: a, b."]),
        ("dotfiles: {x: {content: y, when: c}}", ["5:34: there is no input 'c'. Known here: a, b."]),
        ("links: {x: {to: skills, when: c}}", ["5:31: there is no input 'c'. Known here: a, b."]),
        ("env: {A: {value: x, when: thread}}", ["5:27: there is no input 'thread'. Known here: a, b."]),
        ("env: {A: {value: x, when: 'a or b'}}", ["5:27: there is no input 'a or b'. Known here: a, b."]),
        ('env: {A: {value: x, when: ""}}', ["5:27: env.A.when: '' is not an input's name. Write, for example, debug."]),
        ("env: {A: {value: x, when: [a]}}", ["5:27: env.A.when must be text, not a list. Write, for example, debug."]),
        ("python: {version: '3.12', groups: {x: {packages: [six], when: c}}}", ["5:63: there is no input 'c'. Known here: a, b."]),
        ("bun: {groups: {x: {packages: {ms: '2'}, when: c}}}", ["5:47: there is no input 'c'. Known here: a, b."]),
        # an entry that is only called so
        ("env: {when: x}\ndotfiles: {when: {content: x}}\nlinks: {skills: {to: skills}}", []),
        # expressions of what is left out
        ("env: {A: {value: '{{ z }}', when: a}}", [f"5:22: 'z' is not defined. {KNOWN}"]),
        ("env: {A: {value: '{{ env }}', when: a}}", [f"5:22: 'env' is not defined. {KNOWN}"]),
        ("mounts: [{target: '/{{ z }}', when: a}]", [f"5:24: 'z' is not defined. {KNOWN}"]),
        ("mounts: [{target: /x, source: '/{{ z }}', when: a}]", [f"5:36: 'z' is not defined. {KNOWN}"]),
        ("dotfiles: {'{{ z }}': {content: x, when: a}}", [f"5:16: 'z' is not defined. {KNOWN}"]),
        (
            "dotfiles: {x: {content: '{{ env }}{{ path }}{{ z }}', when: a}}",
            ["5:48: 'z' is not defined. Known here: a, b, bun, env, path, profile, python, thread. "
             "A literal '{{' is written {{ '{{' }}."],
        ),
        ("dotfiles: {x: {content: '{{ z', when: a}}", ["5:26: unexpected end of text, expected '}}'. Fix the expression. A literal '{{' is written {{ '{{' }}."]),
        ("links: {'{{ z }}': {to: skills, when: a}}", [f"5:13: 'z' is not defined. {KNOWN}"]),
        # what is left out takes no place, and says nothing of what it would be
        ("dotfiles: {x: {content: y, when: a}, 'x/y': {content: y}}\nmounts: [{target: /x, when: b}]\nlinks: {x: {to: skills, when: a}}", []),
        ("mounts: [{target: /proc/x, when: a}]\nlinks: {../x: {to: nowhere, when: a}}", []),
        ("dotfiles: {x: {template: nowhere.j2, when: a}, y: {source: nowhere, when: a}}", []),
        # of mounts with one target
        ("mounts: [/x, /x]", ["5:14: a mount stands at /x, where another one stands already. Remove one of the two, or choose another path."]),
        ("mounts: [/x, {target: /x, when: a}]", []),
        # groups of packages
        ("python: {version: '3.12', groups: {X: {packages: [six]}}}", ["5:36: 'X' is not a group's name: lower-case letters, digits, '_' and '-', a letter first. Write, for example, plots."]),
        ("python: {version: '3.12', groups: {x: [six]}}", ['5:39: python.groups.x must be a mapping, not a list. Write, for example, {packages: [matplotlib], when: plots}.']),
        ("python: {version: '3.12', groups: {x: {package: [six]}}}", ["5:40: unknown key 'package' in python.groups.x. Did you mean 'packages'?"]),
        ("python: {version: '3.12', groups: {x: {packages: [six @ https://x.test/six.whl], when: a}}}", ["5:51: 'six' is given by its address. Write its name and a range of versions."]),
        ("python: {version: '3.12', groups: {x: {packages: ['six>', six, six], when: a}}}", ["5:51: 'six>' is not a requirement as PEP 508 writes it. Write, for example, httpx>=0.27.", "5:64: 'six' stands here twice. Keep one of the two."]),
        ("python: {version: '3.12', packages: [six], groups: {x: {packages: ['six>1']}, y: {packages: [six]}, z: {}}}", []),
        ("bun: {groups: {x: {packages: {ms: latest}, when: a}}}", ["5:35: bun.groups.x.packages.ms: 'latest' is a tag, whose version moves. Write, for example, ^8.0.0."]),
        ("bun: {packages: {ms: ^2.0.0}, groups: {x: {packages: {ms: ^2.0.0}}, y: {packages: {ms: ^2.1.0}}}}", ["5:88: 'ms' is '^2.0.0' in bun.packages, and has one range in all groups. Write '^2.0.0', or change both."]),
        # the object of a variable
        ("env: {A: {}}", ['5:10: env.A is not a variable with either value or from. Write, for example, {value: "1", when: debug}.']),
        ("env: {A: {valeu: x}}", ["5:11: unknown key 'valeu' in env.A. Did you mean 'value'?"]),
        ("env: {A: {value: 5, when: a}}", ['5:18: env.A.value: 5 is read as a number, not as text. Quote it: "5".']),
        ("env: {A: 5}", ['5:10: env.A: 5 is read as a number, not as text. Quote it: "5".']),
        ("env: {A: }", ['5:7: env.A has no value. Write "" for the empty text.']),
        ("env: {A: [x]}", ["5:10: env.A must be text or a mapping, not a list. Write, for example, Agg."]),
        ("env: {PATH: {value: x, when: a}}", ["5:7: PATH is not set here. List directories in 'path: {prepend: […]}'."]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_condition(text: str, expected: list[str]) -> None:
    assert mistakes(HEAD + INPUTS + text + "\n") == expected


ALL = """\
env: {A: {value: "{{ a | default('') }}", when: a}, B: {value: x}}
mounts: [{target: /x, when: a}, {target: /y}]
dotfiles: {c: {content: x, when: a}, d: {content: "{{ 'A' in env }}"}}
links: {e: {to: skills/e, when: a}, f: {to: skills/f}}
"""


@pytest.mark.parametrize(
    ("given", "is_there"), [({}, False), ({"a": ""}, False), ({"a": "false"}, False), ({"a": "no"}, True)]
)
def test_what_a_condition_leaves_out(given: dict[str, str], is_there: bool) -> None:
    profile = resolve(HEAD + INPUTS + ALL, given)
    assert profile.env == ({"A": "no", "B": "x"} if is_there else {"B": "x"})
    stated = [each.target for each in profile.mounts if each not in mounts.SYSTEM]
    assert stated == (["/x", "/y"] if is_there else ["/y"])
    assert [each.path for each in profile.dotfiles] == (["c", "d"] if is_there else ["d"])
    assert [each.path for each in profile.links] == (["e", "f"] if is_there else ["f"])


@pytest.mark.parametrize(
    ("given", "source"),
    [({}, "/one"), ({"a": "x"}, "/two"), ({"b": "x"}, "/three"), ({"a": "x", "b": "x"}, "/three")],
)
def test_of_mounts_with_one_target_the_last_that_is_there_stands(given: dict[str, str], source: str) -> None:
    text = (
        "mounts: [{target: /x, source: /one}, {target: /x, source: /two, when: a}, "
        "{target: /x, source: /three, when: b}]\n"
    )
    assert [each.source for each in resolve(HEAD + INPUTS + text, given).mounts if each.target == "/x"] == [source]


def test_the_same_condition_twice_at_one_target_is_a_mistake() -> None:
    text = "mounts: [{target: /x, when: a}, {target: /x, when: a}]\n"
    assert mistakes(HEAD + INPUTS + text) == []
    (only,) = mistakes(HEAD + INPUTS + text, {"a": "x"})
    assert only.startswith("5:42: a mount stands at /x, where another one stands already.")


def test_a_mount_with_a_condition_replaces_a_system_mount() -> None:
    text = "mounts: [{kind: tmpfs, target: /tmp, size: 2MiB, when: a}]\n"
    sizes = [
        mount.size
        for given in ({}, {"a": "1"})
        for mount in resolve(HEAD + INPUTS + text, given).mounts
        if mount.target == "/tmp"
    ]
    assert sizes == ["", "2MiB"]


def test_many_mounts_at_one_target_are_soon_read() -> None:
    begun = time.monotonic()
    load(HEAD + INPUTS + "mounts: [" + "{target: /x, when: a}, /x, " * 3_000 + "/y]\n")
    resolve(HEAD + INPUTS + "mounts: [" + "{target: /x, when: a}, " * 3_000 + "/x]\n")
    assert time.monotonic() - begun < 10


GROUPED = """\
python:
  version: "3.12"
  packages: ["httpx>=0.27"]
  groups: {x: {packages: ["httpx[http2]<1", six], when: a}, y: {packages: [idna]}}
bun: {packages: {ms: "2"}, groups: {x: {packages: {ms: "2", docx: ^8.0.0}, when: a}}}
dotfiles: {names: {content: "{{ python.packages | join(' ') }}|{{ python.groups | join(' ') }}|{{ bun.packages | join(' ') }}"}}
"""


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, "httpx>=0.27 idna|y|ms"),
        ({"a": "1"}, "httpx[http2]<1,>=0.27 six idna|x y|ms docx"),
    ],
)
def test_a_thread_has_the_packages_of_the_groups_that_are_on(given: dict[str, str], names: str) -> None:
    profile = resolve(HEAD + INPUTS + GROUPED, given)
    assert rendered(profile) == {"names": names}
    python, bun = profile.locked.values()
    assert python is not None
    assert bun is not None
    assert (list(python.packages), list(bun.packages)) == (
        ["httpx[http2]<1,>=0.27", "six", "idna"],
        ["ms", "docx"],
    )
    # what is recorded of a thread does not say in which group a package was
    assert profile.packages["python"] is not None
    assert profile.packages["python"].recorded() == {"version": "3.12", "packages": names.split("|")[0].split()}
