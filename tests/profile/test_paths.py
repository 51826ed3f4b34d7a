"""Paths in a profile: inside what they are relative to, an expression one component."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.profile.paths import PathError, expand_path, relative_problem
from tests.checking import HEAD, mistakes, resolve

INSIDE = "Write a path inside the workspace."
FILLS = f"which solven-env fills. {INSIDE}"
OWN = f"which is the sandbox's own. {INSIDE}"
TARGET = "Write skills/… or threads/…."


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../a", "'../a' leaves the workspace."),
        ("..", "'..' leaves the workspace."),
        ("a/../../b", "'a/../../b' leaves the workspace."),
        ("a/../b", "'a/../b' leaves the workspace."),
        ("/a", "'/a' is absolute."),
        ("~/a", "'~/a' begins with '~', which only a shell expands."),
        ("./a", "'./a' is not in its shortest form."),
        ("a//b", "'a//b' is not in its shortest form."),
        ("a/", "'a/' is not in its shortest form."),
        (".", "'.' is not in its shortest form."),
        ('""', "'' is not in its shortest form."),
        ('"a\\nb"', "'a\\nb' holds a character that cannot be printed."),
        ("a" * 201, f"'{'a' * 59}…' is too long."),
        (".venv/x", "'.venv/x' stands in /.venv, which solven-env fills."),
        ("node_modules", "'node_modules' stands in /node_modules, which solven-env fills."),
        ("a/.solven-env-x.tmp", "'a/.solven-env-x.tmp' has a name that solven-env gives to temporary files."),
        ("run/solven-env/bin/uv", "'run/solven-env/bin/uv' stands in /run/solven-env, which solven-env fills."),
        ("proc/self/mem", "'proc/self/mem' stands in /proc, which is the sandbox's own."),
        ("dev/null", "'dev/null' stands in /dev, which is the sandbox's own."),
    ],
)
def test_where_files_and_links_may_not_stand(path: str, expected: str) -> None:
    assert mistakes(f"{HEAD}dotfiles:\n  {path}: {{content: x}}\n") == [f"5:3: the file {expected} {INSIDE}"]
    assert mistakes(f"{HEAD}links:\n  {path}: {{to: skills}}\n") == [f"5:3: the link {expected} {INSIDE}"]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("../x", "'../x' leaves the storage."),
        ("skills/../threads/x", "'skills/../threads/x' leaves the storage."),
        ("/skills", "'/skills' is absolute."),
        ("skills/", "'skills/' is not in its shortest form."),
        ("skill/x", "'skill/x' is neither in skills nor a thread's workspace."),
        (".solven-env/threads/x", "'.solven-env/threads/x' is neither in skills nor a thread's workspace."),
        ("threads", "'threads' is neither in skills nor a thread's workspace."),
        ("threads/.x", "'threads/.x' names no thread: '.x' is no id of one."),
        ("'threads/a b'", "'threads/a b' names no thread: 'a b' is no id of one."),
    ],
)
def test_what_a_link_may_not_show(to: str, expected: str) -> None:
    assert mistakes(f"{HEAD}links:\n  a: {{to: {to}}}\n") == [f"5:11: the link's target {expected} {TARGET}"]


@pytest.mark.parametrize("to", ["skills", "skills/system", "threads/t-1", "skills/a/b"])
def test_what_a_link_may_show(to: str) -> None:
    assert resolve(f"{HEAD}links:\n  a: {{to: {to}}}\n").links[0].to == to


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "/", "../x", "a/"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('dotfiles: {"%s": {content: x}}\n', "5:13"),
        ('links: {"%s": {to: skills}}\n', "5:10"),
        ('links: {a: {to: "threads/%s"}}\n', "5:26"),
        ('mounts: ["/%s"]\n', "5:12"),
        ('mounts: [{target: /x, source: "/%s"}]\n', "5:33"),
        ('path: {prepend: ["/x/%s"]}\n', "5:22"),
    ],
)
def test_an_expression_is_one_component(text: str, place: str, value: str) -> None:
    declared = f"inputs: {{v: {{default: '{value}'}}}}\n"
    (only,) = mistakes(HEAD + declared + text % "{{ v }}")
    assert only.startswith(f"{place}: the path '")
    assert only.endswith(
        f"has an expression that gives '{value}', which is no name of a file. Give the input another value."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ v }}", "x"),
        ("a/{{ v }}/b", "a/x/b"),
        ("a-{{ v }}.{{ v }}", "a-x.x"),
        ("{{ 'a/b' | replace('/', '-') }}", "a-b"),
        ("{{ a }}{{ v }}", ".x"),
    ],
)
def test_an_expression_in_a_path(text: str, expected: str) -> None:
    assert expand_path(text, {"v": "x", "a": "."}) == expected


def test_two_expressions_that_climb_together_are_seen() -> None:
    with pytest.raises(PathError):
        expand_path("{{ a }}{{ a }}/x", {"a": "."})


@pytest.mark.parametrize("text", ["{{ '}}/../x' }}", "{{ x", "{{ }}/a"])
def test_what_is_no_expression_is_located(text: str) -> None:
    (only,) = mistakes(f'{HEAD}dotfiles:\n  "{text}": {{content: x}}\n')
    assert only.startswith("5:4: ")


WRITTEN = st.text(st.sampled_from("a./ \n}é"), max_size=6)  # no document holds U+0000
VALUES = st.text(st.sampled_from("a./ \n{}é\x00"), max_size=6)


@given(WRITTEN, WRITTEN, VALUES)
def test_no_value_leads_out(first: str, second: str, value: str) -> None:
    text = f"{first}{{{{ v }}}}{second}"
    try:
        path = expand_path(text, {"v": value})
    except PathError:
        return
    assert text.count("/") == path.count("/")
    if not relative_problem(path):
        assert posixpath.normpath(f"/w/{path}") == f"/w/{path}"
