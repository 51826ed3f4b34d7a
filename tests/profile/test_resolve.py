"""From a declaration to a profile: expressions, places, and every mistake at once."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from solven_env.profile.model import Link, SetupCommand
from tests.checking import HEAD, SOLVEN, diagnose, mistakes, resolve

LITERAL = "A literal '{{' is written {{ '{{' }}."
KNOWN = f"Known here: bun, profile, python, thread. {LITERAL}"
BESIDE = "Remove one of the two, or choose another path."

CALLERS = "a variable of the caller's environment"
SECRET = "secrets: {KEY: {from: environment}}\n"
LATE = (
    "'KEY' is a secret: its value exists when a command runs only, and no file or record holds it. Have the program that "
    "needs it read it when it runs."
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # names
        ("env: {A: '{{ thred }}'}\n", ["4:14: 'thred' is not defined. Did you mean 'thread'?"]),
        ("env: {A: '{{ zzz }}{{ yyy }}'}\n", [f"4:14: 'zzz' is not defined. {KNOWN}", f"4:23: 'yyy' is not defined. {KNOWN}"]),
        ("env: {A: x, B: '{{ env.A }}'}\n", [f"4:20: 'env' is not defined. {KNOWN}"]),
        ("env: {A: '{{ loop }}'}\n", [f"4:14: 'loop' is not defined. {KNOWN}"]),
        ("env: {A: '{{ profile.nam }}'}\n", ["4:22: there is no 'nam' in profile. Did you mean 'name'?"]),
        (
            "python: {version: '3.12'}\nenv: {A: '{{ python.versoin }}'}\n",
            ["5:21: there is no 'versoin' in python. Did you mean 'version'?"],
        ),
        (
            "env: {A: '{{ python.version }}'}\n",
            ["4:21: the profile lacks the section that the expression reads. Add the section 'python' or 'bun', or drop the expression."],
        ),
        (
            "inputs: {a: {required: false}}\nenv: {A: '{{ a }}'}\n",
            ["5:14: the input 'a' has no value here. Give it a default, or write {{ a | default('') }}."],
        ),
        ("dotfiles: {'{{ nope }}': {content: x}}\n", [f"4:16: 'nope' is not defined. {KNOWN}"]),
        ("dotfiles: {a: {content: 'x{{ thred }}'}}\n", ["4:30: 'thred' is not defined. Did you mean 'thread'?"]),
        ("links: {a: {to: 'threads/{{ nope }}'}}\n", [f"4:29: 'nope' is not defined. {KNOWN}"]),
        # also where 'when' leaves the link out
        (
            "inputs: {a: {required: false}}\nlinks: {b: {to: 'threads/{{ c }}', when: a}}\n",
            ["5:29: 'c' is not defined. Known here: a, bun, profile, python, thread. " + LITERAL],
        ),
        # an input that was wrong is defined all the same
        ("inputs: {a: {default: 1}}\nenv: {A: '{{ a }}'}\n", ['4:23: inputs.a.default: 1 is read as a number, not as text. Quote it: "1".']),
        ("inputs: {a: {typ: string}}\nenv: {A: '{{ a }}'}\n", ["4:14: unknown key 'typ' in inputs.a. Did you mean 'type'?"]),
        ("python: 3\nenv: {A: '{{ python.version }}'}\n", ['4:9: python must be a mapping, not a number. Write, for example, {version: "3.12", packages: [pandas]}.']),
        # what is of each namespace
        ("env: {AA: x}\ndotfiles: {a: {content: '{{ env.NOPE }}'}}\n", ["5:33: there is no 'NOPE' in env. Known here: AA."]),
        ("dotfiles: {a: {content: '{{ path.x }}'}}\n", ["4:34: there is no 'x' in path. Known here: prepend."]),
        ("dotfiles: {a: {content: '{{ thread.x }}'}}\n", ["4:36: there is no 'x' in what the expression reads. Nothing is known here; remove it."]),
        # of several expressions, the one that fails
        ("inputs: {t: {required: false}}\nenv: {A: '{{ t | default(0) }}{{ t }}'}\n", ["5:34: the input 't' has no value here. Give it a default, or write {{ t | default('') }}."]),
        ("env: {A: 'a{{ thread }}{{ 1 / 0 }}{{ 1 / 0 }}'}\n", ["4:24: rendering fails: division by zero. Fix the expression."]),
        ("env: {A: '{{ thread }}{{ \"\\0\" }}'}\n", ["4:23: the expression gives the character U+0000. No program can take it."]),
        ("dotfiles: {a: {content: '{{ thread }}{{ env.NOPE }}'}}\n", ["4:45: there is no 'NOPE' in env. Nothing is known here; remove it."]),
        ("dotfiles:\n  a:\n    content: |\n      x\n        {{ thread }} {{ thred }}\n", ["8:25: 'thred' is not defined. Did you mean 'thread'?"]),
        # what is for another language
        ("env: {FMT: '{{.Names}}'}\n", ["4:13: unexpected '.'. Fix the expression. " + LITERAL]),
        ("env: {FMT: '${{ secrets.TOKEN }}'}\n", ["4:17: 'secrets' is not defined: secrets exist when a command runs only, and no file or record holds one. Have the program that needs one read it when it runs. " + LITERAL]),
        # what exists when a command runs only
        *(
            (SECRET + f'env: {{A: "{{{{ {text} }}}}"}}\n', [f"5:{14 + text.index('KEY')}: {LATE}"])
            for text in ("KEY", "secrets.KEY", "env.KEY", "env['KEY'] | default('')", "'x' if thread else KEY")
        ),
        *(
            (SECRET + f'dotfiles: {{a: {{content: "{{{{ {text} }}}}"}}}}\n', [f"5:{29 + text.index('KEY')}: {LATE}"])
            for text in ("KEY", "env.KEY", "env.KEY | default('')", "env['KEY'] | default('')")
        ),
        *(
            (f'env: {{KEY: {{from: environment}}, A: "{{{{ {text} }}}}"}}\n', [f"4:{40 + text.index('KEY')}: {LATE.replace('a secret', CALLERS)}"])
            for text in ("KEY", "env.KEY")
        ),
        ('env: {KEY: {from: environment, when: no}}\ninputs: {no: {default: "false"}}\ndotfiles: {a: {content: "{{ env.KEY | default(1) }}"}}\n', [f"6:33: {LATE.replace('a secret', CALLERS)}"]),
        ("env: {A: {from: file}}\n", ["4:17: env.A.from: 'file' is not environment. Write environment."]),
        ("env: {A: {}}\n", ['4:10: env.A is not a variable with either value or from. Write, for example, {value: "1", when: debug}.']),
        ("env: {A: {from: environment, value: x}}\n", ['4:10: env.A is not a variable with either value or from. Write, for example, {value: "1", when: debug}.']),
        ("env: {A: {value: x, optional: true}}\n", ["4:21: env.A: 'optional' says nothing of a value. Remove 'optional'."]),
        ("env: {PATH: {from: environment}}\n", ["4:7: PATH is not set here. List directories in 'path: {prepend: […]}'."]),
        (SECRET + "env: {KEY: x}\n", ["4:11: env sets KEY too. Keep one of the two."]),
        ("secrets: {PATH: {from: environment}, UID: {from: environment}}\n", ["4:11: PATH is no secret. Choose another name.", "4:38: bash keeps UID for itself. Choose another name."]),
        ("secrets: {A: {from: file}}\n", ["4:11: secrets.A has no 'path'. Add 'path: /run/secrets/openai'."]),
        ("secrets: {A: {from: command}}\n", ["4:11: secrets.A has no 'command'. Add 'command: [pass, show, openai]'."]),
        ("secrets: {A: {from: environment, path: /x}}\n", ["4:34: secrets.A: 'path' says nothing of what is from environment. Remove 'path'."]),
        ("secrets: {A: {from: file, name: X}}\n", ["4:27: secrets.A: 'name' says nothing of what is from file. Write 'path: /run/secrets/openai' instead."]),
        ("secrets: {A: {from: file, path: /a/../b}}\n", ["4:33: secrets.A: the path '/a/../b' is not in its shortest form. Write another one."]),
        ("secrets: {A: {from: file, path: '/a/{{ thread }}'}}\n", ["4:33: secrets.A: no expression may stand here. Write it out."]),
        ("secrets: {A: {from: command, command: [x, '{{ thread }}']}}\n", ["4:43: secrets.A: no expression may stand here. Write it out."]),
        ("inputs: {secrets: {}}\n", ["4:10: 'secrets' already has a meaning in expressions. Choose another name."]),
        # what is no expression
        ("env: {A: '{{ x'}\n", ["4:11: unexpected end of text, expected '}}'. Fix the expression. " + LITERAL]),
        ("env: {A: '{{ }}'}\n", ["4:11: expected an expression, got '}}'. Fix the expression. " + LITERAL]),
        ("env: {A: '{{ x y }}'}\n", ["4:11: expected token '}}', got 'y'. Fix the expression. " + LITERAL]),
        ("env: {A: '{{ thread | nope }}'}\n", ["4:11: no filter named 'nope'. Read solven-env docs profile: it lists them."]),
        ("env: {A: '{{ 1 / 0 }}'}\n", ["4:11: rendering fails: division by zero. Fix the expression."]),
        ("env: {A: '{{ thread.__class__ }}'}\n", ["4:11: access to attribute '__class__' of 'str' object is unsafe. Fix the expression."]),
        (r"""env: {A: '{{ "\0" }}'}""", ["4:11: the expression gives the character U+0000. No program can take it."]),
        (r"""env: {A: '{{ "\ud800" }}'}""", ["4:11: the rendered text holds half a surrogate pair. Fix the expression."]),
        (r"""dotfiles: {a: {content: '{{ "\ud800" }}'}}""", ["4:26: the rendered text holds half a surrogate pair. Fix the expression."]),
        # PATH
        ("path: {prepend: [x]}\n", ["4:18: path.prepend[0]: 'x' is not an absolute path without ':'. Write, for example, /.venv/bin."]),
        ("path: {prepend: ['/a:b']}\n", ["4:18: path.prepend[0]: '/a:b' is not an absolute path without ':'. Write, for example, /.venv/bin."]),
        ("path: {prepend: [/x, /y, /x]}\n", ["4:26: /x stands on PATH twice. Keep one of the two."]),
        ("path: {prepend: [/x/]}\n", ["4:18: the directory '/x/' is not in its shortest form. Write another one."]),
        ("path: {prepend: [/x/../y]}\n", ["4:18: the directory '/x/../y' is not in its shortest form. Write another one."]),
        ('path: {prepend: ["/x\\ty"]}\n', ["4:18: the directory '/x\\ty' holds a character that cannot be printed. Write another one."]),
        ("inputs: {a: {default: 'b:c'}}\npath: {prepend: ['/{{ a }}']}\n", ["5:18: the directory '/b:c' holds a ':'. Write another one."]),
        # two things at one path, the later one is wrong
        ("dotfiles: {a: {content: x}}\nlinks: {a: {to: skills}}\n", [f"5:9: a link stands at /a, where a file stands already. {BESIDE}"]),
        ("mounts: [/a]\ndotfiles: {a: {content: x}}\n", [f"5:12: a file stands at /a, where a mount stands already. {BESIDE}"]),
        ("mounts: [/a, /b, /a]\n", [f"4:18: a mount stands at /a, where another one stands already. {BESIDE}"]),
        ("dotfiles: {a: {content: x}, '{{ \"a\" }}': {content: y}}\n", [f"4:29: a file stands at /a, where another one stands already. {BESIDE}"]),
        ("dotfiles: {etc: {content: x}}\n", [f"4:12: a file stands at /etc, where a mount stands already. {BESIDE}"]),
        ("links: {tmp: {to: skills}}\n", [f"4:9: a link stands at /tmp, where a mount stands already. {BESIDE}"]),
        # hidden
        # a mount hides a file of the workspace from commands, and only from them
        ("dotfiles: {etc/x: {content: y}, tmp/x: {content: y}}\n", []),
        ("links: {usr/x: {to: skills}}\n", ["4:9: a link at /usr/x cannot stand beneath a mount at /usr. Choose another path."]),
        ("dotfiles: {a: {content: x}, a/b: {content: y}}\n", ["4:29: a file at /a/b cannot stand beneath a file at /a. Choose another path."]),
        ("links: {a: {to: skills}, a/b: {to: skills}}\n", ["4:26: a link at /a/b cannot stand beneath a link at /a. Choose another path."]),
        ("mounts: [/a/b]\nlinks: {a: {to: skills}}\n", ["4:10: a mount at /a/b cannot stand beneath a link at /a. Choose another path."]),
        # whose a file can be
        (
            "dotfiles: {.ignore: {content: x, own: keys}}\n",
            [
                "4:39: only TOML and JSON files are merged by keys, and .ignore ends in neither .toml nor .json. "
                "Write `own: block`, or `seed` for a file that is written once."
            ],
        ),
        ("dotfiles: {a.json: {content: x, own: block}}\n", ["4:38: JSON has no comments, which would mark a block. Write `own: keys`."]),
        ("dotfiles: {a.json: {content: x, own: keys}, b.toml: {content: x, own: keys}, c: {content: x, own: seed}}\n", []),
        # may stand there
        ("links: {tmp/x: {to: skills}}\nmounts: [/tmp/y, /etc/z]\n", []),
        ("dotfiles: {ab: {content: x}, a: {content: x}, b/c: {content: x}}\n", []),
        # what is missing was said already
        ("env: {A: 5.0}\ndotfiles: {a: {template: bashrc.j2}}\n", ['4:10: env.A: 5.0 is read as a number, not as text. Quote it: "5.0".']),
        ("dotfiles: {a: {template: nope.j2}}\n", ["4:26: there is no template 'nope.j2'. Name a template beside the profile or a shipped one."]),
        ("dotfiles: {a: {source: ../x}}\n", ["4:24: '../x' does not lie beside the profile. Copy the file into the profile's directory."]),
    ],
)  # fmt: skip
def test_what_stands_in_the_way(text: str, expected: list[str]) -> None:
    assert mistakes(HEAD + text) == expected


LONG = "{run: '{{ \"x\" * 70000 }}'}"
SECRET = "its value exists when a command runs only, and no file or record holds it. Have the program that needs it read it when it runs."
INPUT = "Write a path in the workspace."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("setup: [a, a]\n", ["4:12: the command 'a' stands here twice. Keep one of the two."]),
        ("inputs: {s: {default: x}}\nsetup: [x, {run: '{{ s }}'}]\n", ["5:18: the command 'x' stands here twice. Keep one of the two."]),
        ("inputs: {s: {default: ' '}}\nsetup: ['{{ s }}']\n", ["5:9: the command is empty. Write a command, or remove it."]),
        (f"setup: [{LONG}]\n", ["4:15: the command has more than 64 KiB. Put it into a script, as a dotfile, and run that."]),
        ("setup: ['echo {{ nope }}']\n", [f"4:18: 'nope' is not defined. {KNOWN}"]),
        ("secrets: {KEY: {from: environment}}\nsetup: ['echo {{ KEY }}']\n", [f"5:18: 'KEY' is a secret: {SECRET}"]),
        ("setup: [{run: a, inputs: [/x]}]\n", [f"4:27: the input '/x' is absolute. {INPUT}"]),
        ("setup: [{run: a, inputs: [../x]}]\n", [f"4:27: the input '../x' leaves the workspace. {INPUT}"]),
        ("setup: [{run: a, inputs: [.venv/x]}]\n", [f"4:27: the input '.venv/x' stands in /.venv, which solven-env fills. {INPUT}"]),
        ("setup: [{run: a, inputs: [tmp/x]}]\n", [f"4:27: the input 'tmp/x' is not in the workspace, since something is mounted at /tmp. {INPUT}"]),
        ("setup: [{run: a, inputs: [l/x]}]\nlinks: {l: {to: skills}}\n", [f"4:27: the input 'l/x' is not in the workspace, since something is mounted at /l. {INPUT}"]),
        ("setup: [{run: a, inputs: [x, x]}]\n", ["4:30: the input 'x' stands here twice. Keep one of the two."]),
        ("setup: [{run: a, inputs: ['{{ \"../x\" }}']}]\n", ["4:28: the path '{{ \"../x\" }}' has an expression that gives '../x', which is no name of a file. Give the input another value."]),
        ("setup: [{input: [x]}]\n", ["4:10: unknown key 'input' in setup[0]. Did you mean 'inputs'?", '4:9: setup[0] has no \'run\'. Add \'run: "npm run build"\'.']),
    ],
)  # fmt: skip
def test_what_no_command_of_setup_can_be(text: str, expected: list[str]) -> None:
    assert sorted(mistakes(HEAD + text)) == sorted(expected)


def test_commands_of_setup() -> None:
    text = "inputs: {a: {default: x}}\nsetup: ['echo {{ thread }} ${#a}', {run: 'make {{ a }}', inputs: ['{{ a }}/y', src]}]\n"
    profile = resolve(HEAD + text)
    assert profile.setup == (SetupCommand("echo t1 ${#a}"), SetupCommand("make x", ("x/y", "src")))
    assert profile.places.setup == {"echo t1 ${#a}": "p.yaml:5", "make x": "p.yaml:5"}


def test_expressions_are_expanded_once() -> None:
    text = """\
inputs: {a: {default: "{{ thread }}"}, b: {default: "x\\r\\ny"}}
python: {version: "3.13", packages: [pandas]}
bun: {packages: {docx: ^8.0.0}}
env:
  A: "{{ a }}"
  B: "\\r{{ b }}\\r\\n"
  C: "{{ thread }} {{ python.version }} {{ python.packages | length }} {{ bun.packages.docx }}"
  D: "{{ profile.name }} {{ profile.release }} {{ python.allow_builds | join }}{{ bun.trusted | length }}"
  E: "{% x %} {# y #} ${#z} }}"
"""
    assert resolve(HEAD + text).env == {
        "A": "{{ thread }}",
        "B": "\rx\r\ny\r\n",
        "C": "t1 3.13 1 ^8.0.0",
        "D": "x 1.0.0 0",
        "E": "{% x %} {# y #} ${#z} }}",
    }


@pytest.mark.parametrize(("value", "there"), [("t-9", True), ("", False), ("false", False), (None, False)])
def test_a_link_is_there_when_its_input_is_set(value: str | None, there: bool) -> None:
    given = {} if value is None else {"ticket_id": value}
    ticket = [link for link in resolve(SOLVEN, given).links if link.path == ".ticket"]
    assert ticket == ([Link(".ticket", "threads/t-9", optional=True)] if there else [])


SIX = """\
version: 1
name: six
release: 1.0
envs: {A: b}
python: {version: 3.10, packages: [pandas]}
env:
  A: "{{ thred }}"
  A: c
dotfiles:
  ../a: {content: x}
"""
SIX_MISTAKES = [
    "3:10: release: 1.0 is read as a number, not as text. Quote it, and write a semantic version such as 1.0.0.",
    "4:1: unknown key 'envs'. Did you mean 'env'?",
    '5:19: python.version: 3.10 is read as a number, not as text. Quote it: "3.10".',
    "7:10: 'thred' is not defined. Did you mean 'thread'?",
    "8:3: 'A' stands here twice. Keep one of the two.",
    "10:3: the file '../a' leaves the workspace. Write a path inside the workspace.",
]


def test_six_mistakes_are_six_messages() -> None:
    assert mistakes(SIX) == SIX_MISTAKES


BAD = r"""version: 1
name: Bad Profile
release: 2024-01-01
extends: [base.yaml]
inputs:
  thread: {}
  User: {}
  a: {default: 1, typ: string}
sandbox: {backend: prot, network: lan, limits: {memory: 4GB, processes: "512", enforce: yes}}
mounts:
  - opt
  - {kind: overlay, target: /x}
  - {target: /proc/x}
  - {kind: tmpfs, target: /t, source: /s}
  - /.venv
  - /data
env:
  PATH: /bin
  "1A": x
  B: 3.10
  C:
  D: {{ a }}
  E: "{{ nope }}\e[31m"
  B: again
  ? [list]
  : x
path: {prepend: [bin, /x, /x, "/y:z"]}
python: {version: 3.10, packages: [pandas, Pandas, "numpy=1", ""]}
bun: {packages: {docx: latest, .docx: "1", x: 1.0}}
dotfiles:
  ../a: {content: x}
  .bashrc: {template: bashrc.j2, mode: 0755, owns: keys}
  both: {content: x, source: y}
  data/x: {content: hidden}
  "{{ '..' }}": {content: x}
links:
  s: {to: secrets}
  t: {too: skills}
  u: {to: skills, when: ticket}
  both: {to: !tag skills}
"""


def test_a_very_bad_profile(snapshot: SnapshotAssertion) -> None:
    assert "\n".join(map(str, diagnose(BAD))) == snapshot


def assert_within(text: str) -> None:
    lines = re.split(r"\r\n|\r|\n", text)
    for each in diagnose(text):
        assert str(each).isprintable()
        assert each.message
        assert each.fix.endswith((".", "?"))
        assert 1 <= each.location.line <= len(lines), each
        assert 1 <= each.location.column <= len(lines[each.location.line - 1]) + 1, each


SHIPPED = SOLVEN.decode()
PIECES = ["", "\n", "\t", ":", "- ", "{", "}", "[", "]", '"', "'", "#", "{{ x }}", "{{", "}}", "..", "/", "&a ", "*a", "!t ", "~", "0755", "3.10", "yes", "\x00", "\x85", "\ufeff", "\\0", "é😀", "--- ", "<<: {}", "? ", "| ", "> "]  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SHIPPED)), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4
    )
)
def test_a_mutation_of_the_shipped_profile_is_told_within_it(changes: list[tuple[int, int, str]]) -> None:
    text = SHIPPED
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    assert_within(text)


LINES = SHIPPED.splitlines(keepends=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=30).map("".join))
def test_shuffled_lines_are_told_within_them(body: str) -> None:
    assert_within("version: 1\n" + body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["/x", "skills/x", "{{ thread }}", "{{ a.b }}", "3.12", "a"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(["target", "to", "content", "template", "source", "kind", "packages", "version", "prepend", "default", "limits", "when", "run", "inputs"]), inside, max_size=3),
    max_leaves=8,
)  # fmt: skip
SECTIONS = st.sampled_from(["name", "release", "inputs", "sandbox", "mounts", "env", "path", "python", "bun", "dotfiles", "links", "setup", "x"])  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(SECTIONS, VALUES, max_size=6))
def test_no_value_of_any_shape_raises(data: dict[str, object]) -> None:
    assert_within(json.dumps({"version": 1, **data}))


def test_literal_braces_are_written_as_the_message_says() -> None:
    text = HEAD + "env: {A: \"{{ '{{' }}.Names}}\", B: \"${{ '{{' }} secrets.TOKEN }}\"}\n"
    assert mistakes(text) == []
    assert resolve(text).env == {"A": "{{.Names}}", "B": "${{ secrets.TOKEN }}"}
