"""Composition: what `extends` and `remove` make of several files, and where each value of it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.documents.parsing import parse
from solven_env.documents.writing import text
from solven_env.packages.ecosystems import rows
from solven_env.profile.compose import IDENTITIES, compose
from solven_env.profile.load import load
from solven_env.profile.source import ProfileSource, Unreadable
from tests.checking import SCHEMA

if TYPE_CHECKING:
    from solven_env.documents.document import Document

HEAD = "version: 1\n"
NAMED = "version: 1\nname: x\nrelease: 1.0.0\n"


def composed(own: str, *bases: str) -> Document:
    """The document of `team.yaml`, which extends `base0.yaml`, `base1.yaml`, …"""
    files = [ProfileSource(f"{HEAD}{base}".encode(), f"base{index}.yaml", Path()) for index, base in enumerate(bases)]
    extends = ", ".join(file.name for file in files)
    source = ProfileSource(f"{NAMED}extends: [{extends}]\n{own}".encode(), "team.yaml", Path(), bases=tuple(files))
    return load(source, SCHEMA, rows()).document


def mistakes(own: str, *bases: str) -> list[str]:
    return [str(each) for each in composed(own, *bases).diagnostics]


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        # one value, and an entry of a mapping of things: the later one, whole
        ("sandbox: {network: host}", "sandbox: {network: none}", {"sandbox": {"network": "none"}}),
        ("env: {A: a, B: b}", "env: {B: c, C: d}", {"env": {"A": "a", "B": "c", "C": "d"}}),
        ("links: {a: {to: skills/a, optional: true}}", "links: {a: {to: skills/b}}", {"links": {"a": {"to": "skills/b"}}}),
        ("dotfiles: {a: {template: t.j2, mode: '0600'}}", "dotfiles: {a: {content: x}}", {"dotfiles": {"a": {"content": "x"}}}),
        ("inputs: {a: {default: x}}", "inputs: {a: {required: false}}", {"inputs": {"a": {"required": False}}}),
        ("programs: {a: {why: b, package: c}}", "programs: {a: {why: d}}", {"programs": {"a": {"why": "d"}}}),
        # mappings of settings: key by key, as deep as they go
        (
            "sandbox: {network: host, limits: {memory: 1GiB, disk: 2GiB}}",
            "sandbox: {backend: proot, limits: {memory: 3GiB}}",
            {"sandbox": {"backend": "proot", "network": "host", "limits": {"memory": "3GiB", "disk": "2GiB"}}},
        ),
        ("bun: {packages: {a: ^1.0.0, b: '*'}}", "bun: {packages: {b: ^2.0.0}}", {"bun": {"packages": {"a": "^1.0.0", "b": "^2.0.0"}}}),
        # lists: items of both, in order, each once
        ("path: {prepend: [/a, /b]}", "path: {prepend: [/c, /a]}", {"path": {"prepend": ["/a", "/b", "/c"]}}),
        ("sandbox: {allow: [192.0.2.1]}", "sandbox: {allow: [192.0.2.2, 192.0.2.1]}", {"sandbox": {"allow": ["192.0.2.1", "192.0.2.2"]}}),
        ("mounts: [/a, /b]", "mounts: [{target: /a, optional: true}, /c]", {"mounts": [{"target": "/a", "optional": True}, "/b", "/c"]}),
        ("bun: {trusted: [a], scopes: ['@a']}", "bun: {trusted: [b, a], scopes: ['@b']}", {"bun": {"trusted": ["a", "b"], "scopes": ["@a", "@b"]}}),
        ("setup: [a, {run: b, inputs: [x]}]", "setup: [b, {run: a, inputs: [y]}, c]", {"setup": [{"run": "a", "inputs": ["y"]}, "b", "c"]}),
        # requirements: by their canonical name, the later range, the extras of both
        ("python: {version: '3.12', packages: [six, 'httpx>=0.27']}", "python: {packages: [HTTPX==0.28.1]}", {"python": {"version": "3.12", "packages": ["six", "HTTPX==0.28.1"]}}),
        ("python: {version: '3.12', packages: ['httpx[http2]>=0.27']}", "python: {packages: ['httpx [cli] >=0.28']}", {"python": {"version": "3.12", "packages": ["httpx[cli,http2]>=0.28"]}}),
        ("python: {version: '3.12', packages: ['a[x]']}", "python: {packages: ['a<2 ; python_version<\"3.9\"', a]}", {"python": {"version": "3.12", "packages": ['a[x]<2; python_version < "3.9"', "a"]}}),
        ("python: {version: '3.12', allow_builds: [a_b, c]}", "python: {allow_builds: [A-B]}", {"python": {"version": "3.12", "allow_builds": ["A-B", "c"]}}),
        (
            "python: {version: '3.12', indexes: [company, {name: cpu, packages: [torch]}]}",
            "python: {indexes: [{name: cpu, packages: [numpy]}]}",
            {"python": {"version": "3.12", "indexes": ["company", {"name": "cpu", "packages": ["numpy"]}]}},
        ),
    ],
)  # fmt: skip
def test_a_later_file_wins(base: str, own: str, expected: dict[str, Any]) -> None:
    document = composed(own, base)
    assert document.diagnostics == []
    rest = {key: value for key, value in document.data.items() if key not in ("version", "name", "release")}
    assert rest == expected


def test_bases_are_taken_in_order_and_name_and_release_may_come_from_one() -> None:
    named = ProfileSource(b"version: 1\nname: b\nrelease: 2.0.0\nenv: {A: one, B: one}\n", "b.yaml", Path())
    other = ProfileSource(b"version: 1\nenv: {B: two}\n", "c.yaml", Path())
    own = ProfileSource(b"version: 1\nextends: [b.yaml, c.yaml]\n", "team.yaml", Path(), bases=(named, other))
    document = load(own, SCHEMA, rows()).document
    assert (document.diagnostics, document.data) == (
        [],
        {"version": 1, "name": "b", "release": "2.0.0", "env": {"A": "one", "B": "two"}},
    )


def test_what_a_value_was_is_told_once_where_its_file_comes_on_two_ways() -> None:
    first = ProfileSource(b"version: 1\nenv: {A: a}\n", "a.yaml", Path())
    second = ProfileSource(b"version: 1\nextends: [a.yaml]\nenv: {A: b}\n", "b.yaml", Path(), bases=(first,))
    own = f"{NAMED}extends: [a.yaml, b.yaml]\nenv: {{A: c}}\n".encode()
    document = load(ProfileSource(own, "team.yaml", Path(), bases=(first, second)), SCHEMA, rows()).document
    assert [(was.value, str(was.location)) for was in document.replaced["env", "A"]] == [
        ("b", "b.yaml:3:7"),
        ("a", "a.yaml:2:7"),
    ]


def test_a_value_knows_where_it_stands_and_what_it_was() -> None:
    document = composed(
        "env:\n  A: own\npython: {packages: [b==2]}\n",
        "env: {A: first}\npython:\n  version: '3.12'\n  packages:\n    - a\n    - b\n",
        "env: {A: second, B: b}\n",
    )
    assert str(document.at_key("env", "A")) == "team.yaml:6:3"
    assert str(document.at_value("env", "B")) == "base1.yaml:2:21"
    assert str(document.at_value("python", "packages", 0)) == "base0.yaml:6:7"
    assert [(was.value, str(was.location)) for was in document.replaced["env", "A"]] == [
        ("second", "base1.yaml:2:7"),
        ("first", "base0.yaml:2:7"),
    ]
    assert [(was.value, str(was.location)) for was in document.replaced["python", "packages", 1]] == [
        ("b", "base0.yaml:7:7")
    ]


@pytest.mark.parametrize(
    ("remove", "gone"),
    [
        ("{env: [A]}", ["env.A"]),
        ("{env: true}", ["env"]),
        ("{env: {A: true}}", ["env.A"]),
        ("{python: {packages: [Six]}}", ["python.packages.0"]),
        ("{python: [packages]}", ["python.packages"]),
        ("{mounts: [/a]}", ["mounts.0"]),
        ("{mounts: {/a: true}}", ["mounts.0"]),
        ("{path: {prepend: [/b]}}", ["path.prepend.1"]),
        ("{sandbox: {limits: [memory], allow: [192.0.2.1]}}", ["sandbox.limits.memory", "sandbox.allow.0"]),
        ("{setup: [make a]}", ["setup.0"]),
        ("{sandbox: {network: true}}", ["sandbox.network"]),
        ("{dotfiles: [.bashrc], links: [a], bun: true}", ["dotfiles..bashrc", "links.a", "bun"]),
    ],
)
def test_what_is_removed_is_not_inherited(remove: str, gone: list[str]) -> None:
    base = {
        "sandbox": {"network": "host", "limits": {"memory": "1GiB"}, "allow": ["192.0.2.1"]},
        "mounts": [{"target": "/a", "optional": True}, "/b"],
        "env": {"A": "a", "B": "b"},
        "path": {"prepend": ["/a", "/b"]},
        "python": {"version": "3.12", "packages": ["six", "attrs"]},
        "bun": {"packages": {"docx": "*"}},
        "dotfiles": {".bashrc": {"content": "x"}},
        "links": {"a": {"to": "skills/a"}},
        "setup": [{"run": "make a", "inputs": ["a"]}, "make b"],
    }
    document = composed(f"remove: {remove}\n", text(base))
    assert document.diagnostics == []
    for path in gone:
        parts = path.replace("..", ".\0").split(".")
        where: Any = base
        for part in parts[:-1]:
            where = where[part.replace("\0", ".")]
        last = parts[-1].replace("\0", ".")
        where.pop(int(last) if isinstance(where, list) else last)
    assert {key: document.data[key] for key in base if key in base} == base
    assert len(document.removed) == len(gone)


def test_what_was_removed_can_be_said_anew() -> None:
    document = composed(
        "remove: {python: {packages: [a]}}\npython: {packages: [a]}\n",
        "python: {version: '3.12', packages: ['a[x]<2']}",
    )
    assert document.data["python"] == {"version": "3.12", "packages": ["a"]}
    assert document.diagnostics == []


@pytest.mark.parametrize(
    ("own", "base", "expected"),
    [
        ("remove: {env: [B]}", "env: {A: a}", "team.yaml:5:16: SE205 there is no 'B' in env to remove: nothing that this file extends has it. Known here: A."),
        ("remove: {env: [PYTHN]}", "env: {PYTHON: a}", "team.yaml:5:16: SE205 there is no 'PYTHN' in env to remove: nothing that this file extends has it. Did you mean 'PYTHON'?"),
        ("remove: {bun: true}", "env: {A: a}", "team.yaml:5:10: SE205 there is no 'bun' to remove: nothing that this file extends has it. Known here: env."),
        ("remove: {python: {packages: [b]}}", "python: {version: '3.12', packages: [a]}", "team.yaml:5:30: SE205 there is no 'b' in python.packages to remove: nothing that this file extends has it. Known here: a."),
        ("remove: {sandbox: {network: [x]}}", "sandbox: {network: none}", "team.yaml:5:29: SE207 sandbox.network has no parts to remove. Write true to remove it."),
        ("remove: {dotfiles: {a: [content]}}", "dotfiles: {a: {content: x}}", "team.yaml:5:24: SE207 dotfiles.a has no parts to remove. Write true to remove it."),
        ("remove: {env: {A: {when: true}}}", "inputs: {b: {}}\nenv: {A: {value: a, when: b}}", "team.yaml:5:19: SE207 env.A has no parts to remove. Write true to remove it."),
        ("remove: {inputs: {b: {values: [c]}}}", "inputs: {b: {type: enum, values: [c, d]}}", "team.yaml:5:22: SE207 inputs.b has no parts to remove. Write true to remove it."),
        ("remove: {mounts: {/a: [optional]}}", "mounts: [{target: /a, optional: true}]", "team.yaml:5:23: SE207 mounts[0] has no parts to remove. Write true to remove it."),
        ("remove: {python: {packages: {a: [b]}}}", "python: {version: '3.12', packages: [a]}", "team.yaml:5:33: SE207 python.packages[0] has no parts to remove. Write true to remove it."),
        ("remove: {bun: false}", "bun: {}", 'team.yaml:5:15: SE104 remove.bun: false is not a list of names, a mapping, or true. Write, for example, [MPLBACKEND].'),
        ("remove: {name: true}", "name: b", "team.yaml:5:10: SE101 unknown key 'name' in remove. Known here: bun, dotfiles, env, inputs, links, mounts, path, programs, python, sandbox, secrets, setup."),
        ("remove: {env: [A]}", "env: {A: 1}", 'base0.yaml:2:10: SE107 env.A: 1 is read as a number, not as text. Quote it: "1".'),
        ("remove: {python: {version: true}}", "python: {version: '3.12'}", "base0.yaml:2:1: SE102 python has no 'version': team.yaml:5 removes it. Add 'version: \"3.12\"'."),
        ("remove: {inputs: [b]}", "inputs: {b: {}}\nlinks: {a: {to: skills, when: b}}", "base0.yaml:3:31: SE302 there is no input 'b': team.yaml:5 removes it. Nothing is known here; remove it."),
        ("remove: {inputs: true}", "inputs: {b: {}}\nlinks: {a: {to: skills, when: b}}", "base0.yaml:3:31: SE302 there is no input 'b': team.yaml:5 removes it. Nothing is known here; remove it."),
        ("env: {A: a}", "zzz: 1", "base0.yaml:2:1: SE101 unknown key 'zzz'. Known here: bun, dotfiles, env, extends, inputs, links, mounts, name, path, programs, python, release, remove, sandbox, secrets, setup, version."),
        ("env: {A: a}", "version: 1", "base0.yaml:2:1: SE017 'version' stands here twice. Keep one of the two."),
        ("env: {A: a}", "links: {a: {to: skills, when: b}}", "base0.yaml:2:31: SE302 there is no input 'b'. Nothing is known here; remove it."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_the_file_that_has_it(own: str, base: str, expected: str) -> None:
    assert mistakes(own, base) == [expected]


def test_a_base_of_another_format_is_told_and_nothing_else() -> None:
    other = ProfileSource(b"version: 2\nfields: {}\n", "b.yaml", Path())
    own = ProfileSource(b"version: 1\nextends: [b.yaml]\nremove: {env: [A]}\n", "team.yaml", Path(), bases=(other,))
    assert [str(each) for each in load(own, SCHEMA, rows()).document.diagnostics] == [
        "b.yaml:1:10: SE113 format 2 is not supported; this solven-env reads format 1. Install a newer solven-env."
    ]


def test_a_base_that_cannot_be_had_is_told_at_its_entry() -> None:
    bases = (Unreadable("SE201", "is not there", "Write another."), None)
    own = ProfileSource(f"{NAMED}extends: [b.yaml, 3]\n".encode(), "team.yaml", Path(), bases=bases)
    assert [str(each) for each in load(own, SCHEMA, rows()).document.diagnostics] == [
        'team.yaml:4:19: SE107 extends[1]: 3 is read as a number, not as text. Quote it: "3".',
        "team.yaml:4:11: SE201 'b.yaml' is not there. Write another.",
    ]


def test_nothing_is_missed_in_a_base_that_cannot_be_had() -> None:
    bases = (Unreadable("SE201", "is not there", "Write another."),)
    text = f"{NAMED}extends: [b.yaml]\nremove: {{env: [A], python: {{packages: [b]}}}}\n"
    own = ProfileSource(text.encode(), "team.yaml", Path(), bases=bases)
    assert [each.code for each in load(own, SCHEMA, rows()).document.diagnostics] == ["SE201"]


def test_there_is_nothing_to_remove_without_a_base() -> None:
    own = ProfileSource(f"{NAMED}remove: {{env: [A]}}\n".encode(), "team.yaml", Path())
    assert [str(each) for each in load(own, SCHEMA, rows()).document.diagnostics] == [
        "team.yaml:4:1: SE206 there is nothing to remove from: the profile extends no other. Add 'extends'."
    ]


PARTS = ["a", "b", "c"]
ITEMS = st.lists(st.sampled_from(["/a", "/b", "/c"]), unique=True, max_size=3)
EXTRAS = st.lists(st.sampled_from(["x", "Y", "z-1"]), unique=True, max_size=3)
REQUIREMENTS = st.builds(
    lambda name, extras, rest: name + (f"[{', '.join(extras)}]" if extras else "") + rest,
    st.sampled_from(["a", "A", "b_c", "B-C"]),
    EXTRAS,
    st.sampled_from(["", ">=1", " <2", '; python_version < "3.9"']),
)
MOUNTS = st.builds(
    lambda target, form: target if form is None else {"target": target, **form},
    st.sampled_from(["/a", "/b", "/c"]),
    st.sampled_from([None, {"optional": True}, {"why": "x"}]),
)
PACKAGES = st.lists(REQUIREMENTS, max_size=4, unique_by=IDENTITIES["by package"])
GROUPS = st.dictionaries(
    st.sampled_from(PARTS),
    st.fixed_dictionaries({}, optional={"packages": PACKAGES, "when": st.sampled_from(PARTS)}),
)
SECRETS = [{"from": "environment"}, {"from": "file", "path": "/a"}]
COMMANDS = st.builds(
    lambda run, inputs: run if inputs is None else {"run": run, "inputs": inputs},
    st.sampled_from(["make", "make test", "true"]),
    st.sampled_from([None, [], ["a"], ["a", "b"]]),
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(PARTS),
        "env": st.dictionaries(st.sampled_from(["A", "B", "C"]), st.sampled_from(PARTS)),
        "path": st.fixed_dictionaries({"prepend": ITEMS}),
        "mounts": st.lists(MOUNTS, max_size=3, unique_by=IDENTITIES["by target"]),
        "sandbox": st.fixed_dictionaries(
            {},
            optional={
                "network": st.sampled_from(["none", "host"]),
                "limits": st.fixed_dictionaries({}, optional={"memory": st.sampled_from(["1GiB", "2GiB"])}),
            },
        ),
        "python": st.fixed_dictionaries({"packages": PACKAGES}, optional={"groups": GROUPS}),
        "secrets": st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(SECRETS)),
        "setup": st.lists(COMMANDS, max_size=3, unique_by=IDENTITIES["by run"]),
        "bun": st.fixed_dictionaries({"packages": st.dictionaries(st.sampled_from(PARTS), st.just("*"))}),
        "dotfiles": st.dictionaries(st.sampled_from(PARTS), st.sampled_from([{"content": "x"}, {"source": "y"}])),
    },
)


def joined(*documents: dict[str, Any]) -> dict[str, Any]:
    """Documents that are merged one after the other."""
    first, *others = (parse(json.dumps(each).encode(), "x.yaml") for each in documents)
    for each in others:
        first = compose(each, [first], json.loads(SCHEMA))
    return first.data


@given(DOCUMENTS)
def test_an_empty_file_changes_nothing_and_the_same_one_neither(document: dict[str, Any]) -> None:
    assert joined({}, document) == joined(document, {}) == document
    assert joined(document, document) == document


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_it_does_not_matter_which_are_merged_first(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert joined(joined(a, b), c) == joined(a, joined(b, c))
