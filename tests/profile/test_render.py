"""Rendered files: the shipped ones for every valid profile, and what does not render."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from solven_env.profile import templating
from solven_env.profile.render import SourceError, SourceFile, SourceTree, digest, render
from solven_env.profile.source import ProfileSource
from tests.checking import HEAD, SOLVEN, diagnose, load, mistakes, rendered, resolve, subsets, uncoded

SHIPPED = (".bashrc", ".bash_profile", "pyproject.toml", "package.json", ".ignore", "bunfig.toml")
HOSTILE = {"user_id": "'; touch /tmp/x; $(id) `id` \\\n\"}]\u2028 é😀 {{ thread }} %s ${HOME} #", "ticket_id": "t-42"}


@pytest.mark.parametrize("inputs", [{}, HOSTILE], ids=["default inputs", "hostile inputs"])
@pytest.mark.parametrize("path", SHIPPED)
def test_a_shipped_file(path: str, inputs: dict[str, str], snapshot: SnapshotAssertion) -> None:
    assert rendered(resolve(SOLVEN, inputs))[path] == snapshot


def test_the_shipped_profile_renders_these_files_and_no_others() -> None:
    assert tuple(rendered(resolve(SOLVEN))) == SHIPPED


SECTIONS = {
    "python": 'python: {version: "3.13", packages: [a, "b>=1"]}\n',
    "bun": "bun: {packages: {docx: ^8.0.0, '@types/bun': '*'}}\n",
    "path": "path: {prepend: [/.venv/bin, /x y]}\n",
    "env": "env: {A: b, PWD: /}\n",
    "inputs": "inputs: {a: {default: b}}\n",
}
DOTFILES = "dotfiles: {.bashrc: {template: bashrc.j2}, .bash_profile: {template: bash_profile.j2}, pyproject.toml: {template: pyproject.toml.j2}, package.json: {template: package.json.j2}}\n"  # fmt: skip


@pytest.mark.parametrize("sections", subsets(tuple(SECTIONS)), ids="+".join)
def test_the_shipped_templates_render_for_every_profile(sections: tuple[str, ...]) -> None:
    files = rendered(resolve(HEAD + DOTFILES + "".join(SECTIONS[name] for name in sections)))
    project, package = tomllib.loads(files["pyproject.toml"])["project"], json.loads(files["package.json"])
    assert project["dependencies"] == (["a", "b>=1"] if "python" in sections else [])
    assert project.get("requires-python") == (">=3.13" if "python" in sections else None)
    assert package["dependencies"] == ({"docx": "^8.0.0", "@types/bun": "*"} if "bun" in sections else {})
    assert ("export A='b'" in files[".bashrc"]) == ("env" in sections)
    assert all(text.endswith("\n") for text in files.values())


@pytest.mark.parametrize(
    "text",
    ['python: {version: "3.12"}\n', 'python: {version: "3.12", packages: []}\n', "bun: {}\n", "bun: {packages: {}}\n"],
)
def test_a_section_without_packages(text: str) -> None:
    files = rendered(resolve(HEAD + DOTFILES + text))
    assert tomllib.loads(files["pyproject.toml"])["project"]["dependencies"] == []
    assert json.loads(files["package.json"])["dependencies"] == {}


def test_the_files_that_keep_tools_to_the_workspaces_own() -> None:
    """They name what the profile mounts: the outermost of it, without what a pattern would read as another path."""
    dotfiles = (
        f"{DOTFILES[:-2]}, .ignore: {{template: ignore.j2}}, bunfig.toml: {{template: bunfig.toml.j2}}}}\n"
        "mounts: [/opt/tools, /opt/tools/deep, '/opt/a[b]', '/opt/x y']\nlinks: {.s/l: {to: skills/x}}\n"
    )
    expected = sorted(["/.s/l", "/opt/tools", *MOUNTED])
    files = rendered(resolve(HEAD + dotfiles + 'python: {version: "3.12"}\nbun: {}\n'))
    assert files[".ignore"].splitlines()[1:] == expected
    ignored = tomllib.loads(files["bunfig.toml"])["test"]["pathIgnorePatterns"]
    assert ignored == [f"{path[1:]}/**" for path in expected]
    tools = tomllib.loads(files["pyproject.toml"])["tool"]
    assert tools["ruff"]["extend-exclude"] == expected
    excluded = re.compile(tools["mypy"]["exclude"])
    for path in ("usr/x.py", ".venv/", "opt/tools/", ".s/l/x.py", "lib64/"):
        assert excluded.search(path), path
    for path in ("usr.py", "user/usr/", "xvenv/", "opt/a.py", "opt/toolsx/", "library/"):
        assert not excluded.search(path), path
    without = rendered(resolve(HEAD + dotfiles))
    assert {"/.venv", "/node_modules"}.isdisjoint(without[".ignore"].splitlines())
    assert "tool" not in tomllib.loads(without["pyproject.toml"])


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
HARD = st.text(st.sampled_from("\"'\\\n\r\t]}[{,#=$`\x7f\x85\u2028é😀a "), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT | HARD, max_size=4), st.dictionaries(TEXT | HARD, TEXT | HARD, max_size=4), TEXT | HARD)
def test_no_value_breaks_out_of_toml_or_json(packages: list[str], ranges: dict[str, str], version: str) -> None:
    # What no valid profile holds is rendered too: quoting does not rely on validation.
    read = ProfileSource(b"", "p.yaml", Path("nowhere")).read_template
    context = {
        "python": {"version": version, "packages": packages},
        "bun": {"packages": ranges},
        "profile": {"mounted": ["/.venv", *packages]},
    }
    document = tomllib.loads(templating.render("pyproject.toml.j2", read, context))
    assert document["project"] == {
        "name": "workspace",
        "version": "0.1.0",
        "requires-python": f">={version}",
        "dependencies": packages,
    }
    assert document["tool"]["ruff"] == {"extend-exclude": ["/.venv", *packages]}
    assert document["tool"].keys() == {"ruff", "mypy", "setuptools"}
    ignored = tomllib.loads(templating.render("bunfig.toml.j2", read, context))
    assert ignored == {"test": {"pathIgnorePatterns": [".venv/**", *(f"{text[1:]}/**" for text in packages)]}}
    package = json.loads(templating.render("package.json.j2", read, context))
    assert package == {"name": "workspace", "module": "index.ts", "type": "module", "dependencies": ranges}


@settings(max_examples=100, deadline=None)
@given(TEXT | HARD)
def test_content_comes_out_as_it_was_written(text: str) -> None:
    profile = (
        f'{HEAD}inputs: {{v: {{default: {json.dumps(text)}}}}}\ndotfiles: {{a: {{content: "<{{{{ v }}}}\\r\\n>"}}}}\n'
    )
    assert rendered(resolve(profile)) == {"a": f"<{text}\r\n>"}


MOUNTED = [
    *("/.venv", "/bin", "/dev", "/etc", "/lib", "/lib64", "/node_modules"),
    *("/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var"),
]


def test_what_a_template_finds() -> None:
    text = HEAD + "".join(SECTIONS.values()) + "dotfiles: {a: {template: a.j2}}\n"
    template = "{{ [profile, thread, a, python, bun, env, path] | json }}"
    files, diagnostics = render(resolve(text), lambda name, _: template, unread)
    assert diagnostics == ()
    assert json.loads(files[0].data) == [
        {"name": "x", "release": "1.0.0", "workdir": "/", "mounted": MOUNTED},
        "t1",
        "b",
        {"version": "3.13", "packages": ["a", "b>=1"], "allow_builds": [], "indexes": [], "groups": []},
        {"packages": {"docx": "^8.0.0", "@types/bun": "*"}, "trusted": [], "scopes": [], "groups": []},
        {"A": "b", "PWD": "/"},
        {"prepend": ["/.venv/bin", "/x y"]},
    ]


def unread(name: str, _: str) -> bytes:
    raise AssertionError(name)


def test_a_file_carries_its_mode_ownership_and_digest() -> None:
    text = 'dotfiles: {b/c: {source: s, mode: "0755"}, a: {content: x, own: block}}\n'
    files, _ = render(resolve(HEAD + text), lambda name, _: None, lambda name, _: b"\x00\xff")
    assert [(file.path, file.data, file.mode, file.own) for file in files] == [
        ("b/c", b"\x00\xff", "0755", "whole"),
        ("a", b"x", "0644", "block"),
    ]
    assert files[1].digest == digest(b"x") == "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


TEMPLATES = {
    "name.j2": "a\n{{ thred }}\n",
    "attribute.j2": "{{ env.B }}",
    "section.j2": "\n{{ python.version }}",
    "input.j2": "{{ i }}",
    "syntax.j2": "\n\n{% if %}",
    "late.j2": "\n\n  {{ env.KEY }}",
    "unset.j2": "{{ env['KEY'] | default('') }}",
    "within.j2": "{% include 'unset.j2' %}",
    "secrets.j2": "{{ secrets.KEY }}",
    "bare.j2": "{% if KEY %}x{% endif %}",
    "outer.j2": "{% include 'latin.j2' %}",
}


LATE = (
    "'KEY' is a secret: its value exists when a command runs only, and no file or record holds it. Have the program that "
    "needs it read it when it runs."
)


def read(name: str, _: str) -> str | None:
    if name == "latin.j2":
        raise SourceError("is not UTF-8", "Save it as UTF-8.")
    return TEMPLATES.get(name)


@pytest.mark.parametrize(
    ("dotfile", "expected"),
    [
        ("template: name.j2", "name.j2:2:4: 'thred' is not defined. Did you mean 'thread'?"),
        ("template: attribute.j2", "attribute.j2:1:8: there is no 'B' in env. Known here: A."),
        ("template: section.j2", "section.j2:2:11: the profile lacks the section that the expression reads. Add the section 'python' or 'bun', or drop the expression."),
        ("template: input.j2", "input.j2:1:4: the input 'i' has no value here. Give it a default, or write {{ i | default('') }}."),
        ("template: syntax.j2", "syntax.j2:3:1: expected an expression, got 'end of statement block'. Fix the template."),
        ("template: outer.j2", "outer.j2:1:1: the template 'latin.j2' is not UTF-8. Save it as UTF-8."),
        ("template: latin.j2", "p.yaml:6:26: the template 'latin.j2' is not UTF-8. Save it as UTF-8."),
        ("template: none.j2", "p.yaml:6:26: there is no template 'none.j2'. Name a template beside the profile or a shipped one."),
        ("template: late.j2", f"late.j2:3:10: {LATE}"),
        ("template: unset.j2", f"unset.j2:1:9: {LATE}"),
        ("template: within.j2", f"unset.j2:1:9: {LATE}"),
        ("template: bare.j2", f"bare.j2:1:7: {LATE}"),
        (
            "template: secrets.j2",
            "secrets.j2:1:4: 'secrets' is not defined: secrets exist when a command runs only, and no file or record "
            "holds one. Have the program that needs one read it when it runs. A literal '{{' is written {{ '{{' }}.",
        ),
        ("content: '{{ thred }}'", "p.yaml:6:29: 'thred' is not defined. Did you mean 'thread'?"),
        ('source: "s\\e"', "p.yaml:6:24: 's\\x1b' is gone. Name a file beside the profile."),
    ],
)  # fmt: skip
def test_what_does_not_render_is_located(dotfile: str, expected: str) -> None:
    text = (
        f"{HEAD}inputs: {{i: {{required: false}}}}\nenv: {{A: b}}\ndotfiles: {{a: {{{dotfile}}}, z: {{content: z}}}}\n"
        "secrets: {KEY: {from: environment}}\n"
    )

    def read_source(name: str, _: str) -> bytes:
        raise SourceError("is gone")

    files, diagnostics = render(resolve(text), read, read_source)
    assert [uncoded(each) for each in diagnostics] == [expected]
    assert [file.path for file in files] == ["z"]


def test_a_template_is_not_blamed_for_what_the_profile_lost() -> None:
    text = f"{HEAD}env: {{B: 1.5}}\ndotfiles: {{a: {{content: '{{{{ env.B }}}}'}}}}\n"
    assert mistakes(text) == ['4:10: env.B: 1.5 is read as a number, not as text. Quote it: "1.5".']
    lost = f"{HEAD}env: {{B: [x]}}\ndotfiles: {{a: {{content: '{{{{ env.B }}}}'}}}}\n"
    assert mistakes(lost) == ["4:10: env.B must be text or a mapping, not a list. Write, for example, Agg."]


def test_rendering_is_pure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> Callable[..., object]:
        raise AssertionError(arguments)

    declaration = load(HEAD + DOTFILES)  # whatever is imported late is imported now
    assert diagnose(HEAD + DOTFILES) == ()
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("os.environ", {})
    assert load(HEAD + DOTFILES).document.data == declaration.document.data
    files, diagnostics = render(
        resolve(HEAD + "dotfiles: {a: {template: a.j2}}\n"), lambda name, _: "{{ thread }}", unread
    )
    assert (files[0].data, diagnostics) == (b"t1", ())


@pytest.mark.parametrize(
    ("source", "brought", "said"),
    [
        (bytes(100 << 20), 2, "256 MiB"),
        (SourceTree(tuple(SourceFile(str(each), b"", False) for each in range(4096))), 4, "16,384 files"),
    ],
    ids=["bytes", "files"],
)
def test_sources_are_bounded_together(source: bytes | SourceTree, brought: int, said: str) -> None:
    read: list[str] = []

    def read_source(name: str, _: str) -> bytes | SourceTree:
        read.append(name)
        return source

    dotfiles = "".join(f"  f{each}: {{source: s}}\n" for each in range(9))
    _, (mistake,) = render(resolve(f"{HEAD}dotfiles:\n{dotfiles}"), lambda name, _: None, read_source)
    assert len(read) == brought + 1
    assert mistake.message == f"'s' brings more than {said} together with the sources before it"
