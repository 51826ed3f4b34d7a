"""From text to a declaration: the format first, then what no schema can say."""

import pytest

from solven_env.packages.ecosystems import python
from solven_env.packages.ecosystems.python import NEWEST
from tests.checking import HEAD, SOLVEN, load, mistakes, uncoded

PEP_508 = "is not a requirement as PEP 508 writes it. Write, for example, httpx>=0.27."
DEFINED = "already has a meaning in expressions. Choose another name."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # nothing else of a format that we do not know is judged
        ("version: 2\nnam: x\nfoo: {}\n", "1:10: format 2 is not supported; this solven-env reads format 1. Install a newer solven-env."),
        ("nam: x\nversion: 0\n", "2:10: format 0 is not supported; this solven-env reads format 1. Write 'version: 1'."),
        ("version: -1\n", "1:10: format -1 is not supported; this solven-env reads format 1. Write 'version: 1'."),
        ('version: "1"\nnam: x\n', "1:10: version is text, not a whole number. Write 'version: 1'."),
        ("version: one\nnam: x\n", "1:10: version is text, not a whole number. Write 'version: 1'."),
        ("version: 1.0\nnam: x\n", "1:10: version is 1.0, not a whole number. Write 'version: 1'."),
        ("version: 01\nnam: x\n", "1:10: version is 01, not a whole number. Write 'version: 1'."),
        ("version: 2024-01-01\nnam: x\n", "1:10: version is 2024-01-01, not a whole number. Write 'version: 1'."),
        ("version: true\nnam: x\n", "1:10: version is true, not a whole number. Write 'version: 1'."),
        ("version: [1]\nnam: x\n", "1:10: version is a list, not a whole number. Write 'version: 1'."),
        ("version:\nnam: x\n", "1:1: version has no value. Write 'version: 1'."),
        ("nam: x\n", "1:1: the document has no 'version'. Add 'version: 1'."),
        ("name: x\nverison: 1\n", "2:1: unknown key 'verison'. Did you mean 'version'?"),
        ("version: !!int '1'\nnam: x\n", "1:10: the tag '!!int' is not supported. Remove it."),
        ("", "1:1: the document is empty. Start with 'version: 1'."),
        ("# nothing\n", "1:1: the document is empty. Start with 'version: 1'."),
        ("{}", "1:1: the document is empty. Start with 'version: 1'."),
        ("\ufeff", "1:1: the document is empty. Start with 'version: 1'."),
        ("- version: 1\n", "1:1: the document is a list, not a mapping. Write 'key: value' lines."),
        ("version: 1\n\tname: x\n", "2:1: a tab stands where only spaces may. Write spaces instead."),
    ],
)  # fmt: skip
def test_the_format_is_read_first(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # inputs
        ("inputs: {env: {}}\n", [f"4:10: 'env' {DEFINED}"]),
        ("inputs: {thread: {}}\n", [f"4:10: 'thread' {DEFINED}"]),
        ("inputs: {range: {}}\n", [f"4:10: 'range' {DEFINED}"]),
        ("inputs: {none: {}}\n", [f"4:10: 'none' {DEFINED}"]),
        ("inputs: {not: {}}\n", [f"4:10: 'not' {DEFINED}"]),
        ("inputs: {self: {}}\n", [f"4:10: 'self' {DEFINED}"]),
        (
            "inputs: {tiket: {}}\nlinks: {a: {to: skills, when: ticket}}\n",
            ["5:31: there is no input 'ticket'. Did you mean 'tiket'?"],
        ),
        ("links: {a: {to: skills, when: 'b'}}\n", ["4:31: there is no input 'b'. Nothing is known here; remove it."]),
        ('links: {a: {to: skills, when: ""}}\n', ["4:31: links.a.when: '' is not an input's name. Write, for example, ticket_id."]),
        # an input that was wrong is not missing too
        (
            "inputs: {b: 5}\nlinks: {a: {to: skills, when: b}}\n",
            ['4:13: inputs.b must be a mapping, not a number. Write, for example, {type: string, default: user}.'],
        ),
        # variables
        ("env: {PATH: /x}\n", ["4:7: PATH is not set here. List directories in 'path: {prepend: […]}'."]),
        ("env: {UID: '0'}\n", ["4:7: bash keeps UID for itself. Choose another name."]),
        ("env: {BASH_VERSION: x, _: y}\n", ["4:7: bash keeps BASH_VERSION for itself. Choose another name.", "4:24: bash keeps _ for itself. Choose another name."]),
        ("env: {OLDPWD: /x}\n", ["4:7: bash keeps OLDPWD for itself. Choose another name."]),
    ],
)  # fmt: skip
def test_what_no_schema_can_say(text: str, expected: list[str]) -> None:
    assert mistakes(HEAD + text) == expected


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("pandas", ""),
        ("httpx[http2]>=0.27,<1; python_version>'3.9'", ""),
        ("Pillow ~= 11.0", ""),
        ("pandas=1", f"'pandas=1' {PEP_508}"),
        ("a b", f"'a b' {PEP_508}"),
        ("-e .", f"'-e .' {PEP_508}"),
        ("./x", f"'./x' {PEP_508}"),
        ("git+https://x/y", f"'git+https://x/y' {PEP_508}"),
        ("a[b", f"'a[b' {PEP_508}"),
        ("x; y", f"'x; y' {PEP_508}"),
        ("x\\n--index-url y", f"'x\\n--index-url y' {PEP_508}"),
        ("x\\n", f"'x\\n' {PEP_508}"),
        ("X @ https://x/y", "'x' is given by its address. Write its name and a range of versions."),
        ("", "python.packages[0]: '' is not a requirement as PEP 508 writes it. Write, for example, httpx>=0.27."),
    ],
)
def test_a_python_package_is_a_requirement(package: str, expected: str) -> None:
    text = f'{HEAD}python:\n  version: "3.12"\n  packages: ["{package}"]\n'
    assert mistakes(text) == ([f"6:14: {expected}"] if expected else [])


@pytest.mark.parametrize("version", ["3.17", "3.99"])
def test_a_python_that_does_not_exist(version: str) -> None:
    (told,) = mistakes(f'{HEAD}python: {{version: "{version}"}}\n')
    what = f"there is no Python {version}: this solven-env knows versions up to {NEWEST}"
    assert told == f'4:19: {what}. Write, for example, "3.12".'
    assert mistakes(f'{HEAD}python: {{version: "{NEWEST}"}}\n') == []


def test_a_python_package_stands_once_for_each_marker() -> None:
    packages = "[requests, Requests, \"a_b; python_version<'3.9'\", \"A.B; python_version>='3.9'\"]"
    text = f'{HEAD}python: {{version: "3.12", packages: {packages}}}\n'
    assert mistakes(text) == ["4:48: 'requests' stands here twice. Keep one of the two."]


def test_a_python_package_may_stand_again_with_other_extras_or_ranges() -> None:
    packages = '[httpx, "httpx[http2]>=0.27", "HTTPX[cli]<1", six, "httpx; os_name == \'nt\'", "six"]'
    declared = load(f'{HEAD}python: {{version: "3.12", packages: {packages}}}\n')
    assert [uncoded(each) for each in declared.document.diagnostics] == [
        "p.yaml:4:114: 'six' stands here twice. Keep one of the two."
    ]
    section = python.read(declared.document, lambda _: True)
    assert section == python.Python("3.12", ("httpx[cli,http2]<1,>=0.27", "six", "httpx; os_name == 'nt'"))
    assert section.names() == ("httpx", "six")


INDEXES = [
    ("[a, b]", "4:40: 'a' has the default index's place already, and 'b' cannot have it too. Write '{name: b, pack"),
    ("[a, a]", "4:40: the index 'a' stands here twice. Keep one of the two."),
    ("[a, {name: a, packages: [x]}]", "4:47: the index 'a' stands here twice. Keep one of the two."),
    ("[{name: a, packages: [X_y, x-y]}]", "4:63: the package 'x-y' stands here twice. Keep one of the two."),
    (
        "[{name: a, packages: [x]}, {name: b, packages: [X]}]",
        "4:84: the package 'x' stands at the index 'a' too. Keep one of the two.",
    ),
    ("[{name: a}]", "4:37: python.indexes[0] has no 'packages'. Add 'packages: [torch]'."),
    ("[{name: a, packages: []}]", "4:57: python.indexes[0].packages is not a list of at least one package. "),
    ("[{name: a, packages: ['x*']}]", "4:58: python.indexes[0].packages[0]: 'x*' is not the name of a Python pa"),
    ("[{name: a, packages: ['x>1']}]", "4:58: python.indexes[0].packages[0]: 'x>1' is not the name of a Python"),
    (
        "['https://ada:pw@h/s']",
        "4:37: python.indexes[0]: 'https://…@h/s' is not the name of an index: letters, ",
    ),
    ("[https://h/simple]", "4:37: python.indexes[0]: 'https://h/simple' is not the name of an index: letters"),
    ("[{name: a, packages: [x], url: y}]", "4:62: unknown key 'url' in python.indexes[0]. "),
]


@pytest.mark.parametrize(("indexes", "expected"), INDEXES)
def test_an_index_or_a_package_of_one_stands_once(indexes: str, expected: str) -> None:
    (told,) = mistakes(f'{HEAD}python: {{version: "3.12", indexes: {indexes}}}\n')
    assert told.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'python: {version: "3.12", allow_builds: [a_b, six, A.B]}',
            "4:52: 'A.B' stands here twice. Keep one of the two.",
        ),
        ("bun: {trusted: [a, '@b/c', a]}", "4:28: 'a' stands here twice. Keep one of the two."),
    ],
)
def test_a_name_of_a_package_that_may_run_code_stands_once(text: str, expected: str) -> None:
    assert mistakes(f"{HEAD}{text}\n") == [expected]


SCOPES = [
    ("['@x', '@x']", "4:22: '@x' stands here twice. Keep one of the two."),
    ("[x]", "4:16: bun.scopes[0]: 'x' is not a scope such as @company. "),
    ("['@x/y']", "4:16: bun.scopes[0]: '@x/y' is not a scope such as @com"),
    ("[{name: a}]", "4:16: bun.scopes[0] must be text, not a mapping. "),
]


@pytest.mark.parametrize(("scopes", "expected"), SCOPES)
def test_a_scope_stands_once(scopes: str, expected: str) -> None:
    (told,) = mistakes(f"{HEAD}bun: {{scopes: {scopes}}}\n")
    assert told.startswith(expected)


def test_packages_are_checked_where_the_version_is_wrong() -> None:
    assert mistakes(f"{HEAD}python: {{version: 3.10, packages: [a=1]}}\n") == [
        '4:19: python.version: 3.10 is read as a number, not as text. Quote it: "3.10".',
        f"4:36: 'a=1' {PEP_508}",
    ]


def test_an_npm_range_is_located() -> None:
    assert mistakes(f"{HEAD}bun: {{packages: {{docx: latest}}}}\n") == [
        "4:24: bun.packages.docx: 'latest' is a tag, whose version moves. Write, for example, ^8.0.0."
    ]


def test_a_declaration_says_which_inputs_must_be_given() -> None:
    text = "inputs: {a: {}, b: {required: false}, c: {default: x}, d: {default: '', required: true}}\n"
    inputs = load(HEAD + text).inputs
    assert {name: (each.default, each.required) for name, each in inputs.items()} == {
        "a": (None, True),
        "b": (None, False),
        "c": ("x", False),
        "d": ("", False),
    }


def test_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    text = f"{HEAD}nam: x\nenv: {{A: 3.10}}\n"
    expected = mistakes(text)
    assert len(expected) == 2
    assert mistakes(text.replace("\n", "\r\n")) == expected
    assert mistakes("\ufeff" + text) == expected


def test_the_shipped_profile_has_no_mistake() -> None:
    assert mistakes(SOLVEN) == []
