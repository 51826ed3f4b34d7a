"""The sandboxed Jinja environments and the quoting filters."""

import json
import re
import subprocess
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.profile.templating import (
    TemplateError,
    as_json,
    expand,
    language,
    reads,
    render,
    shell,
    toml,
    undeclared,
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it'\\''s'"),
        ("$(x)`y`\\", "'$(x)`y`\\'"),
        ("a\nb", "'a\nb'"),
        (1, "'1'"),
    ],
)
def test_shell_quotes_one_word(value: object, expected: str) -> None:
    assert shell(value) == expected


@settings(max_examples=20, deadline=None)
@given(st.lists(TEXT, max_size=50))
def test_a_real_shell_reads_what_was_quoted(values: list[str]) -> None:
    for name in ("sh", "bash"):
        script = f"printf '%s\\0' {' '.join(map(shell, values))}" if values else ":"
        done = subprocess.run([name, "-c", script], capture_output=True, check=True)
        assert done.stdout.decode() == "".join(f"{value}\0" for value in values)


@given(TEXT)
def test_toml_and_json_read_what_was_quoted(value: str) -> None:
    assert tomllib.loads(f"a = {toml(value)}") == {"a": value}
    assert json.loads(as_json(value)) == value
    assert as_json(value).isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ a }}", "{{ b }}"),
        ("{% if %} {# c #} ${#x} }} {", "{% if %} {# c #} ${#x} }} {"),
        ("{% if %}{{ n }}{# c #}", "{% if %}7{# c #}"),
        # a boolean is written as YAML, TOML and JSON write it
        ("{{ n == 7 }} {{ (n > 7) ~ 'x' }} {{ [n == 7, n] | join('-') }}", "true falsex true-7"),
        ("{{ (n > 7) | string }} {{ (n > 7) | upper }} {{ (n > 7) | replace('f', 'g') }}", "false FALSE galse"),
        ("{{ (n > 7) | shell }} {{ (n > 7) | toml }} {{ (n > 7) | json }}", "'false' \"false\" false"),
        ("{{ [{'b': n > 7}, {'b': n}] | join('-', 'b') }}", "false-7"),
        ("\r{{ n }}\r\n\n", "\r7\r\n\n"),
        ("\r\n{{\r\n n\r }}\n\r\n", "\r\n7\n\r\n"),
        ("{{ 'x\r\ny' }}\r", "x\r\ny\r"),
        ("{{ r }}\n", "1\r2\r\n\n"),
        ("{{ a | replace('{', '<') }}", "<< b }}"),
        ("{{- n -}} x", "7x"),
        ("{{ u | default('') }}", ""),
        ("{{ a | shell }}", "'{{ b }}'"),
    ],
)
def test_only_expressions_are_special_in_a_profile(text: str, expected: str) -> None:
    assert expand(text, {"a": "{{ b }}", "n": 7, "r": "1\r2\r\n"}) == expected


LINES = (
    "x {{ n }}\r\ny\r\n",
    "x\r\n\r\n{{ n }}\n\ny\r\n\r",
    "{# a\r\n comment #}\r\nx\r\n",
    "a\r\n{% if n %}\r\nx\r\n  {% endif %}\r\ny\r\n",
    "{% for i in [1, 2] %}\r\n{{ i }}\r\n{% endfor %}\nz",
    "a\r\n\r\n{%- if n -%}\r\n\r\nx\r\n{%- endif +%}\r\n{{- n -}}\r\n y\r\n",
    "a\r\n{% raw %}\r\n{{ x }}\r\n{% endraw %}\r\ny\r\n",
    "{% set s %}\r\na\r\nb\n{% endset %}{{ s }}\r\n",
    "{{ [1,\r\n2]\r\n}}\r\n{{ 'a\r\nb' }}\r\nc\r\n",
    "\r\r\r\n\n\r",
)


@pytest.mark.parametrize("text", LINES)
def test_the_ends_of_lines_stay_as_they_are(text: str) -> None:
    """With LF alone the same lines come out; those of CR LF keep it, and no other gains it."""
    rendered = render("t", {"t": text}.get, {"n": 7})
    with_lf = render("t", {"t": re.sub("\r\n?", "\n", text)}.get, {"n": 7})
    assert re.sub("\r\n?", "\n", rendered) == with_lf
    if "\n" not in text.replace("\r\n", "") and "\r" not in text.replace("\r\n", ""):
        assert rendered == with_lf.replace("\n", "\r\n")


def test_statements_stay_text_in_a_profile_once_a_template_was_rendered() -> None:
    language.expressions.cache_clear()
    assert render("t", {"t": "{% if true %}1{% endif %}"}.get, {}) == "1"
    assert expand("{% if %}{{ 2 }}", {}) == "{% if %}2"


def test_a_template_and_what_it_includes_keep_their_own_ends_of_lines() -> None:
    texts = {"t": "a\r\n{% include 'lf' %}\r\nb\n{% include 'crlf' %}c\r", "lf": "1\n2\n", "crlf": "3\r\n4\r\n"}
    assert render("t", texts.get, {}) == "a\r\n1\n2\nb\n3\r\n4\r\nc\r"
    mixed = "1\r\n{% if true %}\n2\n{% endif %}\r\n3\r4\n{{ 5 }}\r\n"
    assert render("t", {"t": mixed}.get, {}) == "1\r\n2\n3\r4\n5\r\n"


@given(st.lists(st.sampled_from(("\r\n", "\n", "\r", "x", " ", "{{ 1 }}")), max_size=12).map("".join))
def test_what_holds_no_statement_keeps_every_end(text: str) -> None:
    assert render("t", {"t": text}.get, {}) == text.replace("{{ 1 }}", "1")


@pytest.mark.parametrize(
    ("text", "name", "attribute_of", "message"),
    [
        ("{{ u }}", "u", "", "'u' is undefined"),
        ("{{ u | json }}", "u", "", "'u' is undefined"),
        ("{{ u | shell }}", "u", "", "'u' is undefined"),
        ("{{ u.v }}", "u", "", "'u' is undefined"),
        ("{{ d.k }}", "k", "dict", "'dict object' has no attribute 'k'"),
        ("{{ none.k }}", "k", "None", "'None' has no attribute 'k'"),
        ("{{ d.k | json }}", "k", "dict", "'dict object' has no attribute 'k'"),
        ("{{ [u] }}", "u", "", "'u' is undefined"),
        ("{{ {'a': [u]} | json }}", "u", "", "'u' is undefined"),
        ("{{ [u] | tojson }}", "u", "", "'u' is undefined"),
        ("{{ ['a'] | map(attribute='k') | list }}", "k", "str", "'str object' has no attribute 'k'"),
        ("{{ 'a' + 1 }}", "", "", 'rendering fails: can only concatenate str (not "int") to str'),
        ("{{ d.__class__ }}", "", "", "access to attribute '__class__' of 'dict' object is unsafe"),
        ("{{ '\\ud800' }}", "", "", "the rendered text holds half a surrogate pair"),
        ("{{ x", "", "", "unexpected end of text, expected '}}'"),
        ("{{ f( }}", "", "", "unexpected '}', expected ')'"),
    ],
)
def test_why_an_expression_fails(text: str, name: str, attribute_of: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        expand(text, {"d": {}})
    problem = caught.value
    assert (problem.name, problem.attribute_of, problem.message) == (name, attribute_of, message)


def test_the_names_that_an_expression_takes() -> None:
    assert undeclared("{{ a.b }} {{ c | default(d) }} {{ range(3) }} {{ x if y else z }}") == {
        "a",
        "c",
        "d",
        "x",
        "y",
        "z",
    }
    assert undeclared("{% a %}") == frozenset()
    with pytest.raises(TemplateError):
        undeclared("{{ a")


TEMPLATES = {
    "good.j2": "{% for x in xs %}\n{{ x | toml }}\n{% endfor %}\n{# gone #}\nend\n",
    "outer.j2": "one\ntwo\n{% include 'inner.j2' %}\n",
    "inner.j2": "a\n\n{{ missing }}\n",
    "syntax.j2": "a\n{% if %}\n",
    "lost.j2": "{% include 'nowhere.j2' %}",
    "fails.j2": "\n\n{{ xs[0] + 1 }}",
    "broken.j2": "\n{% include 'unreadable.j2' %}",
    "syntax-inside.j2": "\n\n\n{% include 'syntax.j2' %}",
}


def read(name: str) -> str | None:
    if name == "unreadable.j2":
        raise TemplateError("SE408", "the template 'unreadable.j2' is not UTF-8")
    return TEMPLATES.get(name)


def test_a_template_has_all_of_jinja() -> None:
    assert render("good.j2", read, {"xs": ["a", 'b"']}) == '"a"\n"b\\""\nend\n'


@pytest.mark.parametrize(
    ("name", "template", "line", "message"),
    [
        ("outer.j2", "inner.j2", 3, "'missing' is undefined"),
        ("syntax.j2", "syntax.j2", 2, "expected an expression, got 'end of statement block'"),
        ("syntax-inside.j2", "syntax.j2", 2, "expected an expression, got 'end of statement block'"),
        ("lost.j2", "lost.j2", 1, "there is no template 'nowhere.j2'"),
        ("fails.j2", "fails.j2", 3, 'rendering fails: can only concatenate str (not "int") to str'),
        ("broken.j2", "broken.j2", 2, "the template 'unreadable.j2' is not UTF-8"),
        ("none.j2", "none.j2", 0, "there is no template 'none.j2'"),
    ],
)
def test_where_a_template_fails(name: str, template: str, line: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(name, read, {"xs": ["a"]})
    problem = caught.value
    assert (problem.template, problem.line, problem.message) == (template, line, message)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["{{", "}}", " a ", "|", "'", '"', "(", ")", "[", "]", ".", "__class__", "%", "#", "+", "1", "\r", "\n", "json", "-", "\\", "~", "{", "}", "if", "else"]), max_size=12).map("".join))  # fmt: skip
def test_nothing_else_is_raised(text: str) -> None:
    try:
        undeclared(text)
        assert isinstance(expand(text, {"a": "x"}), str)
    except TemplateError as problem:
        assert problem.message
        assert not re.search("print statement|template", problem.message)


def test_an_expression_reaches_nothing_of_python() -> None:
    for text in ("{{ a.__init__.__globals__ }}", "{{ ''.format.__self__ }}", "{{ '{0.__class__}'.format(a) }}"):
        with pytest.raises(TemplateError):
            expand(text, {"a": "x"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", set()),
        ("{{ thread }}-{{ env.A }}{{ env['B'] }}", {"thread", "env.A", "env.B"}),
        ("{{ env.items() | list }}{{ python.version | json }}", {"env", "python.version"}),
        ("{{ env[thread] }}", {"env", "thread"}),
    ],
)
def test_the_settings_that_a_text_reads(text: str, expected: set[str]) -> None:
    assert reads(text) == reads(text, "a.j2") == expected
    assert reads("{% if env.C %}{{ env.D }}{% endif %}{% include 'x' %}", "b.j2") == {"env.C", "env.D"}
