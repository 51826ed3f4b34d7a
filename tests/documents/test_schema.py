"""A document against a JSON Schema: each mistake told once, where it stands; and the shipped schema itself."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from solven_env.documents.parsing import parse
from solven_env.documents.schema import inline
from solven_env.profile.compose import IDENTITIES
from solven_env.profile.model import DEFAULT_MODE, Dotfile, LimitsSection, Link, Mount, SandboxSection, Secret
from tests.checking import HEAD, SCHEMA, mistakes, resolve

PROFILE: dict[str, Any] = json.loads(SCHEMA)
KNOWN = "Known here: bun, dotfiles, env, extends, inputs, links, mounts, name, path, programs, python, release, remove, sandbox, secrets, setup, version."
ONE_FORM = "is not a file with exactly one of template, content and source. Write, for example, {template: bashrc.j2}."
RELEASE = "a semantic version such as 1.0.0"
MERGE = "merge keys ('<<') are not supported. Write the keys out."
MODE = "a mode from 0000 to 0777 (set-uid, set-gid and sticky bits are not allowed)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # unknown keys, at the key
        ("nam: y\n", ["4:1: unknown key 'nam'. Did you mean 'name'?"]),
        ("dotfile: {}\n", ["4:1: unknown key 'dotfile'. Did you mean 'dotfiles'?"]),
        ("zzz: 1\n", [f"4:1: unknown key 'zzz'. {KNOWN}"]),
        ("sandbox: {backnd: proot}\n", ["4:11: unknown key 'backnd' in sandbox. Did you mean 'backend'?"]),
        (
            "sandbox:\n  limits:\n    mem: 4GiB\n",
            ["6:5: unknown key 'mem' in sandbox.limits. Did you mean 'memory'?"],
        ),
        ("mounts:\n  - {target: /x, wy: z}\n", ["5:18: unknown key 'wy' in mounts[0]. Did you mean 'why'?"]),
        (
            "dotfiles: {.bashrc: {content: x, modes: y}}\n",
            ["4:34: unknown key 'modes' in dotfiles['.bashrc']. Did you mean 'mode'?"],
        ),
        # a slip of the pen is one mistake, not a missing key too
        ("links: {a: {too: skills}}\n", ["4:13: unknown key 'too' in links.a. Did you mean 'to'?"]),
        ("mounts: [{tagret: /x}]\n", ["4:11: unknown key 'tagret' in mounts[0]. Did you mean 'target'?"]),
        ("dotfiles: {a: {contents: x}}\n", ["4:16: unknown key 'contents' in dotfiles.a. Did you mean 'content'?"]),
        # text that lacks quotes, at the value
        ("python: {version: 3.10}\n", ['4:19: python.version: 3.10 is read as a number, not as text. Quote it: "3.10".']),
        (
            "python: {version: 2.7}\n",
            [
                "4:19: python.version: 2.7 is read as a number, not as text. "
                "Quote it, and write a version of Python such as 3.12."
            ],
        ),
        ("env: {A: 2024-01-01}\n", ['4:10: env.A: 2024-01-01 is read as a date, not as text. Quote it: "2024-01-01".']),
        ("env: {A: true}\n", ['4:10: env.A: true is read as a boolean, not as text. Quote it: "true".']),
        ("env: {A: No, B: False}\n", ['4:17: env.B: False is read as a boolean, not as text. Quote it: "False".']),
        ("env: {A: 0x1F}\n", ['4:10: env.A: 0x1F is read as a number, not as text. Quote it: "0x1F".']),
        ("env: {A: =}\n", ['4:10: env.A: = is read as a default value, not as text. Quote it: "=".']),
        ("env: {A: <<}\n", ['4:10: env.A: << is read as a merge key, not as text. Quote it: "<<".']),
        (
            "dotfiles: {a: {content: x, mode: 0755}}\n",
            ['4:34: dotfiles.a.mode: 0755 is read as a number, not as text. Quote it: "0755".'],
        ),
        (
            "dotfiles: {a: {content: x, mode: 0o755}}\n",
            [f"4:34: dotfiles.a.mode: 0o755 is read as a number, not as text. Quote it, and write {MODE}."],
        ),
        ("bun: {packages: {a: 1.0}}\n", ['4:21: bun.packages.a: 1.0 is read as a number, not as text. Quote it: "1.0".']),
        (
            "python: {version: '3.12', packages: [5]}\n",
            ['4:38: python.packages[0]: 5 is read as a number, not as text. Quote it: "5".'],
        ),
        # nothing where something must be, at the key
        ("env: {A: null}\n", ['4:10: env.A has no value. Write "" for the empty text.']),
        ("env:\n  A:\n  B: x\n", ['5:3: env.A has no value. Write "" for the empty text.']),
        ("env:\n  A: ~\n", ['5:6: env.A has no value. Write "" for the empty text.']),
        ("python:\n  version:\n", ['5:3: python.version has no value. Write, for example, "3.12".']),
        (
            "python: {version: '3.12', packages: [null]}\n",
            ["4:38: python.packages[0] has no value. Write, for example, httpx>=0.27."],
        ),
        (
            "sandbox:\nenv: {}\n",
            ['4:1: sandbox has no value. Write, for example, {backend: bubblewrap, network: none}.'],
        ),
        ("sandbox: {backend: }\n", ["4:11: sandbox.backend has no value. Write, for example, bubblewrap."]),
        # wrong types, at the value
        (
            "path: [/x]\n",
            ['4:7: path must be a mapping, not a list. Write, for example, {prepend: [/.venv/bin, /node_modules/.bin]}.'],
        ),
        ('path: {prepend: "/x"}\n', ['4:17: path.prepend must be a list, not text. Write, for example, [/.venv/bin, /node_modules/.bin].']),
        ("env: {A: [b]}\n", ["4:10: env.A must be text or a mapping, not a list. Write, for example, Agg."]),
        ("mounts: [[/x]]\n", ["4:10: mounts[0] must be text or a mapping, not a list. Write, for example, /opt/tools."]),
        ("mounts: [1]\n", ["4:10: mounts[0] must be text or a mapping, not a number. Write, for example, /opt/tools."]),
        ("python: 3.12\n", ['4:9: python must be a mapping, not 3.12. Write, for example, {version: "3.12", packages: [pandas]}.']),
        (
            'sandbox: {limits: {processes: "5"}}\n',
            ["4:31: sandbox.limits.processes must be a whole number, not text. Write it without quotes."],
        ),
        (
            "sandbox: {limits: {processes: 1.5}}\n",
            ["4:31: sandbox.limits.processes must be a whole number, not 1.5. Write, for example, 512."],
        ),
        (
            "sandbox: {limits: {processes: 0512}}\n",
            ["4:31: sandbox.limits.processes must be a whole number, not 0512. Write, for example, 512."],
        ),
        (
            "links: {a: {to: skills, optional: yes}}\n",
            ["4:35: links.a.optional must be true or false, not text. Write true or false."],
        ),
        (
            'links: {a: {to: skills, optional: "true"}}\n',
            ["4:35: links.a.optional must be true or false, not text. Write it without quotes."],
        ),
        # wrong values, at the value, a quoted one at its quote
        ("sandbox: {backend: bubblewarp}\n", ["4:20: sandbox.backend: 'bubblewarp' is not bubblewrap or proot. Did you mean 'bubblewrap'?"]),
        ("sandbox: {network: 'all'}\n", ["4:20: sandbox.network: 'all' is not none, internet or host. Write one of them."]),
        ("sandbox: {network: 1}\n", ["4:20: sandbox.network: '1' is not none, internet or host. Write one of them."]),
        (
            "mounts: [{target: /x, access: read-write}]\n",
            ["4:31: mounts[0].access: 'read-write' is not read-only. Write read-only."],
        ),
        (
            "sandbox: {limits: {processes: 0, memory: 4GB}}\n",
            [
                "4:31: sandbox.limits.processes: 0 is not between 1 and 1000000. Write, for example, 512.",
                "4:42: sandbox.limits.memory: '4GB' is not a size such as 4GiB, at most 999999TiB. Write, for example, 4GiB.",
            ],
        ),
        (
            "sandbox: {limits: {open_files: 15, file_size: 1000000TiB}}\n",
            [
                "4:32: sandbox.limits.open_files: 15 is not between 16 and 1000000. Write, for example, 4096.",
                "4:47: sandbox.limits.file_size: '1000000TiB' is not a size such as 8GiB, at most 999999TiB. Write, for example, 8GiB.",
            ],
        ),
        # what one mistake hides is no other
        ("dotfiles:\n  a: &d {content: x}\n  b: {<<: *d, mode: '0600'}\n", ["6:7: " + MERGE]),
        ("dotfiles: {a: {1: x}, b: {<<: {}, contnt: x}}\n", ['4:16: the key 1 is not text. Quote it: "1".', "4:27: " + MERGE, "4:35: unknown key 'contnt' in dotfiles.b. Did you mean 'content'?"]),
        ("dotfiles: {a: {content: !x y}}\n", ["4:25: the tag '!x' is not supported. Remove it."]),
        ("links: {a: {<<: {to: skills/x}}}\nmounts: [{<<: {target: /x}}]\n", ["4:13: " + MERGE, "5:11: " + MERGE]),
        ('dotfiles: {a: {content: x, mode: "1777"}}\n', [f"4:34: dotfiles.a.mode: '1777' is not {MODE}. Write, for example, \"0755\"."]),
        ('dotfiles: {a: {content: x, mode: "777"}}\n', [f"4:34: dotfiles.a.mode: '777' is not {MODE}. Write, for example, \"0755\"."]),
        ("mounts: [x]\n", ["4:10: mounts[0]: 'x' is not an absolute path. Write, for example, /opt/tools."]),
        ('links: {a: {to: ""}}\n', ["4:17: links.a.to: '' is not a directory of the storage. Write, for example, skills/system."]),
        (
            'python: {version: "3.12.1"}\n',
            ["4:19: python.version: '3.12.1' is not a version of Python such as 3.12. Write, for example, \"3.12\"."],
        ),
        # exactly one of three
        ("dotfiles: {a: {content: x, source: y}}\n", [f"4:15: dotfiles.a {ONE_FORM}"]),
        ("dotfiles: {a: {}}\n", [f"4:15: dotfiles.a {ONE_FORM}"]),
        ("dotfiles: {a: {mode: '0644'}}\n", [f"4:15: dotfiles.a {ONE_FORM}"]),
        ("dotfiles: {a: x}\n", ['4:15: dotfiles.a must be a mapping, not text. Write, for example, {template: bashrc.j2}.']),
        ("dotfiles: {a: }\n", ['4:12: dotfiles.a has no value. Write, for example, {template: bashrc.j2}.']),
        # missing, at the key of what lacks it
        ("python: {}\n", ["4:1: python has no 'version'. Add 'version: \"3.12\"'."]),
        ("mounts: [{why: x}]\n", ["4:10: mounts[0] has no 'target'. Add 'target: /opt/tools'."]),
        ("links:\n  a: {}\n", ["5:3: links.a has no 'to'. Add 'to: skills/system'."]),
        # keys that cannot be, at the key
        (
            "env: {1A: x}\n",
            ["4:7: '1A' is not a variable's name: letters, digits and '_', no digit first. Write, for example, MPLBACKEND."],
        ),
        (
            'env: {"A\\n\\e[31m": x}\n',
            [r"4:7: 'A\n\x1b[31m' is not a variable's name: letters, digits and '_', no digit first. Write, for example, MPLBACKEND."],
        ),
        *(
            (
                f"bun: {{packages: {{{name}: '1'}}}}\n",
                [
                    f"4:18: '{name}' is not the name of an npm package: letters, digits and '._-', no '.' or '_' first, "
                    "or one behind '@scope/'. Write, for example, docx."
                ],
            )
            for name in ("_docx", ".docx", "a b", "x/y", "node_modules")
        ),
        (
            "inputs: {User: {}}\n",
            ["4:10: 'User' is not an input's name: lower-case letters, digits and '_', a letter first. Write, for example, user_id."],
        ),
        (
            "programs: {/usr/bin/x: {why: a}}\n",
            ["4:12: '/usr/bin/x' is not the name of a program: letters, digits and '._+@-', without a '/'. Write, for example, tesseract."],
        ),
        ("programs: {x: {}}\n", ["4:12: programs.x has no 'why'. Add 'why: pytesseract'."]),
        ("programs: {x: y}\n", ['4:15: programs.x must be a mapping, not text. Write, for example, {why: pytesseract, package: tesseract-ocr}.']),
        ("programs: {x: {why: ''}}\n", ["4:21: programs.x.why: '' is not a text that says what needs the program. Write, for example, pytesseract."]),
        (
            "programs: {x: {why: a, package: a b}}\n",
            ["4:33: programs.x.package: 'a b' is not the name of a distribution's package. Write, for example, tesseract-ocr."],
        ),
        ("programs: {x: {why: a, packages: b}}\n", ["4:24: unknown key 'packages' in programs.x. Did you mean 'package'?"]),
        # what was reported by the reader is not reported again
        ("sandbox: {backend: !x proot}\n", ["4:20: the tag '!x' is not supported. Remove it."]),
        ("mounts: [{target: {{ x }}}]\n", ["4:19: text that begins with '{{' must stand in quotes. Quote it whole."]),
        ("links: {a: {to: {{ x }}}}\n", ["4:17: text that begins with '{{' must stand in quotes. Quote it whole."]),
        ("mounts: [{{ x }}]\n", ["4:10: text that begins with '{{' must stand in quotes. Quote it whole."]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_once_and_where_it_stands(text: str, expected: list[str]) -> None:
    assert mistakes(HEAD + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nname: x\nrelease: 1.0\n", f"3:10: release: 1.0 is read as a number, not as text. Quote it, and write {RELEASE}."),
        ("version: 1\nname: x\nrelease: 2024-01-01\n", f"3:10: release: 2024-01-01 is read as a date, not as text. Quote it, and write {RELEASE}."),
        ("version: 1\nname: x\nrelease: 'v1'\n", f"3:10: release: 'v1' is not {RELEASE}. Write, for example, 1.0.0."),
        ("version: 1\nname: x\nrelease: \"1.0.0\\n\"\n", f"3:10: release: '1.0.0\\n' is not {RELEASE}. Write, for example, 1.0.0."),
        ('version: 1\nname: "x\\n"\nrelease: 1.0.0\n', r"2:7: name: 'x\n' is not a name of lower-case letters, digits and '-', 64 at most. Write, for example, solven."),
        ("version: 1\nname: 5\nrelease: 1.0.0\n", '2:7: name: 5 is read as a number, not as text. Quote it: "5".'),
        ("version: 1\nname: x\n", "1:1: the document has no 'release'. Add 'release: 1.0.0'."),
        ("version: 1\nnam: x\nrelease: 1.0.0\n", "2:1: unknown key 'nam'. Did you mean 'name'?"),
    ],
)  # fmt: skip
def test_what_every_profile_needs(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_a_long_value_is_cut_in_a_message() -> None:
    (only,) = mistakes(f"{HEAD}mounts: [{'x' * 1000}]\n")
    assert only == f"4:10: mounts[0]: '{'x' * 59}…' is not an absolute path. Write, for example, /opt/tools."


@pytest.mark.parametrize("text", ["Agg", "3.12", "0755", "true", "null", "~", "", "1.0.0", "^8.0.0", "/x", "httpx>=0.27", "a: b", "{{ a }}", "- a", "a #b", ".5", "1e3", "-", "*a", "a\nb", "=", "<<", "2024-01-01", "0x1F"])  # fmt: skip
def test_an_example_means_itself_where_it_is_pasted(text: str) -> None:
    document = parse(f"a: {inline(text)}".encode(), "p.yaml")
    assert (document.data, document.diagnostics) == ({"a": text}, [])


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Every field of a schema: its path, its own schema, and whether it is required."""
    required = {*schema.get("required", ()), *schema.get("x-required", ())}
    for name, field in schema.get("properties", {}).items():
        if "$ref" in field:  # the definition is looked at by itself
            continue
        yield f"{path}.{name}".lstrip("."), field, name in required
        yield from fields(field, f"{path}.{name}".lstrip("."))
    for keyword, shown in (("items", "[]"), ("additionalProperties", "{}")):
        inside = schema.get(keyword)
        if isinstance(inside, dict):
            yield path + shown, inside, True
            yield from fields(inside, path + shown)
    if "then" in schema:
        yield from fields(schema["then"], path)


FIELDS = [*fields(PROFILE), *(("removal", each, True) for each in PROFILE["definitions"].values())]
WITHOUT_DEFAULT = {
    "inputs{}.default",
    "inputs{}.values",
    "inputs{}.pattern",
    *(f"sandbox.limits.{name}" for name in LimitsSection._fields if name != "enforce"),
    "mounts[].source",
    "mounts[].size",
    "python",
    "bun",
    *("env{}.value", "env{}.from"),
    *(f"secrets{{}}.{name}" for name in ("name", "path", "command")),
    "dotfiles{}.template",
    "dotfiles{}.content",
    "dotfiles{}.source",
    "links{}.when",
    "env{}.when",
    "mounts[].when",
    "dotfiles{}.when",
    "python.groups{}.when",
    "bun.groups{}.when",
}
"""Fields that are optional, and for which nothing is taken when they are left out."""


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(PROFILE)
    assert len(FIELDS) > 40


@pytest.mark.parametrize(
    ("field", "required"), [pytest.param(field, required, id=path) for path, field, required in FIELDS]
)
def test_a_field_is_described(field: dict[str, Any], required: bool) -> None:
    assert field["title"]
    assert field["title"][0].isupper()
    assert field["description"].endswith(".")
    assert field["examples"]
    validator = jsonschema.Draft7Validator({**field, "definitions": PROFILE["definitions"]})
    for example in field["examples"]:
        validator.validate(example)
    if "default" in field:
        assert not required
        validator.validate(field["default"])
    if any(keyword in field for keyword in ("pattern", "minLength", "minimum", "oneOf")):
        assert field["x-expects"]


def test_an_optional_field_has_a_default() -> None:
    assert {path for path, field, required in FIELDS if not required and "default" not in field} == WITHOUT_DEFAULT


def test_every_field_has_a_rule_of_merging_and_can_be_removed() -> None:
    removable = {name for name, field in PROFILE["properties"].items() if field["x-merge"] != "own"}
    assert PROFILE["properties"]["remove"]["properties"].keys() == removable - {"version", "name", "release"}
    rules = {rule for _, rule in merge_rules(PROFILE)}
    assert rules == {"own", "replace", "keys", *IDENTITIES}


def merge_rules(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The rule of each field, down to those that are replaced whole."""
    for name, field in schema.get("properties", {}).items():
        yield name, field["x-merge"]
        if field["x-merge"] == "keys":
            yield from merge_rules(field)


def model_defaults(model: Any, path: str) -> dict[str, Any]:
    plain = (str, int, bool)
    return {f"{path}.{name}": value for name, value in model._field_defaults.items() if isinstance(value, plain)}


def test_a_default_is_the_models() -> None:
    stated = {path: field["default"] for path, field, _ in FIELDS if "default" in field}
    models = {
        **model_defaults(SandboxSection, "sandbox"),
        **model_defaults(LimitsSection, "sandbox.limits"),
        **model_defaults(Mount, "mounts[]"),
        **model_defaults(Link, "links{}"),
        **model_defaults(Dotfile, "dotfiles{}"),
        "secrets{}.as": Secret._field_defaults["form"],
        "secrets{}.optional": Secret._field_defaults["optional"],
    }
    assert {path: models[path] for path in models if path in stated} == {
        path: stated[path] for path in stated if path in models
    }
    assert "mounts[].kind" in models.keys() & stated.keys()


def test_a_profile_without_fields_has_their_defaults() -> None:
    text = "inputs: {a: {}}\nmounts: [{target: /x}]\ndotfiles: {a: {content: x}}\nlinks: {b: {to: skills}}\n"
    profile = resolve(HEAD + text, {"a": "x"})
    stated = {path: field["default"] for path, field, _ in FIELDS if "default" in field}
    assert profile.sandbox == SandboxSection()
    assert (profile.env, list(profile.path)) == (stated["env"], stated["path.prepend"])
    assert (DEFAULT_MODE, profile.dotfiles[0].own) == (stated["dotfiles{}.mode"], stated["dotfiles{}.own"])
    assert profile.setup == tuple(stated["setup"])
    assert (profile.packages["python"], profile.packages["bun"]) == (None, None)
    assert (profile.programs, profile.secrets) == ((), ())
    added = profile.mounts[-1]
    assert (added.kind, added.optional, added.why) == tuple(
        stated[f"mounts[].{each}"] for each in ("kind", "optional", "why")
    )
