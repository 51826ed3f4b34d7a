"""Expressions and templates are bounded in steps, memory and what they make: each row is one mistake, told at once.

A row that is not bounded does not fail: it takes minutes, or all memory.
"""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.profile.templating import TemplateError, Work, expand, functions, language, render, undeclared, work
from tests import pages
from tests.checking import HEAD, mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = 200 << 20

WORK = "this needs more than"
FORMAT = "the format has a width"
BITS = "a number has more than 1024 bits"
NUMBER = "only numbers can be counted with here"
NO_VALUE = "is no value"
UNSAFE = "is unsafe"
DEPTH = "nests"
TOKENS = "the text has over 10000 words"
CYCLE = "macros or templates call each other without end"
SAME = "would render differently each time"

EXPRESSIONS = [
    # operators
    ("'a' * 10**9", WORK),
    ("10**9 * 'a'", WORK),
    ("[1] * 10**9", WORK),
    ("(1,) * 10**9", WORK),
    ("[[1] * 10000] * 10000", WORK),
    ("'a' * true * 10**9", WORK),
    ("10**(10**8)", BITS),
    ("10**300 ** 2", BITS),
    ("2**1000 * 2**1000", BITS),
    ("1.5 ** (10**9)", "rendering fails"),
    ("'%1000000000d' % 1", FORMAT),
    ("'%*d' % (10**9, 1)", FORMAT),
    ("'%.1000000000f' % 1", FORMAT),
    ("'%((a))1000000000d' % {'(a)': 1}", FORMAT),
    ("'%(a)s' * 100000 % {'a': 'b' * 100000}", WORK),
    ("'%999d' * 100000 % ()", WORK),
    (" ~ ".join(["('a' * 3000000)"] * 6), WORK),
    # methods
    ("'a'.center(10**9)", WORK),
    ("'a'.ljust(10**9)", WORK),
    ("'a'.rjust(10**9, ' ')", WORK),
    ("'a'.zfill(10**9)", WORK),
    ("'\\t'.expandtabs(10**9)", WORK),
    ("('\\t' * 10000).expandtabs(tabsize=10**5)", WORK),
    ("('a' * 100000).replace('a', 'b' * 100000)", WORK),
    ("('a' * 10000).join('b' * 10000)", WORK),
    ("('a ' * 1000000).split()", WORK),
    ("('ß' * 10000000).upper()", WORK),
    ("'{:1000000000}'.format(1)", UNSAFE),
    ("'{0.__class__}'.format_map({})", UNSAFE),
    ("'a'.translate({97: 'b'})", UNSAFE),
    ("'a'.encode()", UNSAFE),
    ("[1].append(1)", UNSAFE),
    ("python.update({})", UNSAFE),
    # filters and tests
    ("'a' | center(10**9)", WORK),
    ("'a' | center(width=1000000000)", WORK),
    ("'a\\nb' | indent(10**9)", WORK),
    ("'a\\nb' | indent('x' * 10**7)", WORK),
    ("('\\n' * 10000) | indent(10000, true, true)", WORK),
    ("('a' * 100000) | replace('a', 'b' * 100000)", WORK),
    ("('a' * 100000) | replace('', 'b' * 100000)", WORK),
    ("('b' * 10000) | join('a' * 100000)", WORK),
    ("range(100000) | join('a' * 100000)", WORK),
    ("'ab' | batch(10**9, 'x') | list", WORK),
    ("'ab' | slice(10**9) | list", WORK),
    ("1.5 | round(10**9, 'ceil')", WORK),
    ("1.5 | round(-(10**5), 'floor')", WORK),
    ("'a' | round(8, 'ceil')", NUMBER),
    ("('9' * 100000) | int", WORK),
    ("('f' * 1000) | int(base=16)", BITS),
    ("[[1], [2]] | sum(start=[])", NUMBER),
    ("{'a': [1] * 1000} | tojson(indent=10**9)", WORK),
    ("'%1000000000d' | format(1)", FORMAT),
    ("'%1000000000d' is odd", NUMBER),
    ("'%1000000000d' is divisibleby(3)", NUMBER),
    ("['a'] | map('center', 10**9) | list", WORK),
    ("range(100000) | map('center', 10000) | list", WORK),
    ("range(10000) | map('string') | map('center', 9999) | join", WORK),
    *(
        (f"[1] | {less} | list ~ 'a' * 20000000", WORK)
        for less in (
            "batch(-(10**9))",
            "slice(-(10**9))",
            "tojson(-(10**9))",
            "batch(1e308 * 10 - 1e308 * 10)",
            "batch(-1e308 * 10)",
        )
    ),
    ("'a' | center(-(10**9)) | indent(-(10**9)) ~ 'a' * 20000000", WORK),
    ("'\t'.expandtabs(-(10**9)).rjust(-(10**9)) ~ 'a' * 20000000", WORK),
    ("range(10**9)", "a range has at most"),
    ("range(10**400)", BITS),
    # what would print an address, or change from one rendering to the next
    ("lipsum(1)", SAME),
    ("lipsum", SAME),
    ("range(99999) | random", SAME),
    ("1 if thread else range(9) | random", SAME),
    ("[1] | map('random') | list", "no filter named 'random'"),
    ("range", NO_VALUE),
    ("dict ~ ''", NO_VALUE),
    ("[range] | string", NO_VALUE),
    ("''.join", NO_VALUE),
    ("''.join | shell", NO_VALUE),
    ("'%s' % ''.join", NO_VALUE),
    ("[[''.join]]", NO_VALUE),
    ("['a'] | map(attribute='upper') | list", NO_VALUE),
    ("python.items", NO_VALUE),
    ("joiner()", NO_VALUE),
    ("cycler(1)", NO_VALUE),
    ("namespace()", NO_VALUE),
    ("self", NO_VALUE),
    ("(-1) ** 0.5", NO_VALUE),
    ("thread()", "a function cannot be called here"),
    ("1 | pprint", "no filter named 'pprint'"),
    ("thread is sameas thread", "no test named 'sameas'"),
    # what is written
    ("(" * 5000 + "1" + ")" * 5000, DEPTH),
    ("[" * 60 + "]" * 60, DEPTH),
    ("thread" + " + thread" * 300, DEPTH),
    ("not " * 4000 + "1", DEPTH),
    ("-" * 4000 + "1", DEPTH),
    ("1 if 1 else " * 2000 + "1", DEPTH),
    ("thread" + ".a" * 3000, DEPTH),
    ("1," * 100000, TOKENS),
    ("'" + "a" * 300000 + "'", "the text has over 256 KiB"),
    ("9" * 5000, "a number is too large"),
    ("0x" + "f" * 5000, BITS),
    ("dict(a=1, a=2)", "the text cannot be compiled"),
    ("1[0:2]", "rendering fails: 'int' object is not subscriptable"),
    ("thread[1:2, 3]", "the text cannot be compiled"),
]

NESTED = "{%% set ns = namespace(x=(1,), y=(1,)) %%}{%% for i in range(40) %%}{%% set ns.x = (ns.x, ns.x) %%}{%% set ns.y = (ns.y, ns.y) %%}{%% endfor %%}%s"
LONG = "{%% set x = 'a' * 1000000 %%}{%% for i in range(10000) %%}%s{%% endfor %%}"
TEMPLATES = [
    ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", WORK),
    ("{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}", WORK),
    ("{% for i in range(100000) %}{% for j in range(100000) %}{{ loop.length }}{% endfor %}{% endfor %}", WORK),
    ("{% for i in range(9) recursive %}{{ loop(range(9)) }}{% endfor %}", CYCLE),
    ("{% for i in range(9) recursive %}{{ loop(range(9)) if loop.depth < 9 }}{% endfor %}", WORK),
    ("{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", WORK),
    ("{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", WORK),
    ("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", WORK),
    ("{% set ns = namespace(x=2) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}", BITS),
    ("{% set ns = namespace(x=[]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", DEPTH),
    (NESTED % "{{ ns.x }}", WORK),
    (NESTED % "{{ ns.x == ns.y }}", WORK),
    (NESTED % "{{ ns.x in [ns.y] }}", WORK),
    (NESTED % "{{ [ns.y].index(ns.x) }}", WORK),
    (NESTED % "{{ {ns.x: 1} }}", WORK),
    (NESTED % "{{ {}[ns.x] }}", WORK),
    (NESTED % "{{ dict([(ns.x, 1)]) }}", WORK),
    (NESTED % "{{ [ns.x] | unique | list }}", WORK),
    (NESTED % "{{ ns.x is eq(ns.y) }}", WORK),
    (NESTED % "{{ ns.x | json }}", WORK),
    (LONG % "{{ x }}", WORK),
    (LONG % "{% set y = x[1:] %}", WORK),
    (LONG % "{% set y = x.upper() %}", WORK),
    (LONG % "{% if 'b' in x %}{% endif %}", WORK),
    (LONG % "{% if x is lower %}{% endif %}", WORK),
    ("{% for i in range(99999) %}{% if 'bb' in '" + "a" * 200000 + "' %}{% endif %}{% endfor %}", WORK),
    ("{% set x %}{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}{% endset %}", WORK),
    ("{% filter upper %}{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}{% endfilter %}", WORK),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", CYCLE),
    ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}", WORK),
    ("{% block b %}{% for i in range(999) %}{{ self.c() }}{% endfor %}{% endblock %}{% block c %}{% for i in range(99999) %}{% endfor %}{% endblock %}", WORK),
    ("{% block b %}{{ self.b() }}{% endblock %}", CYCLE),
    ("{% include 'main' %}", CYCLE),
    ("{% for i in range(99999) %}{% include 'other' %}{% endfor %}", WORK),
    ("{% import 'main' as x %}", CYCLE),
    ("{% extends 'main' %}", CYCLE),
    ("{% macro m() %}{% endmacro %}{{ m }}", NO_VALUE),
    ("{% for i in range(9) %}{{ loop }}{% endfor %}", NO_VALUE),
    ("{% for i in range(9) %}{{ loop.cycle }}{% endfor %}", NO_VALUE),
    ("{% import 'other' as x %}{{ x }}", NO_VALUE),
    ("{% if false %}{{ lipsum() }}{% endif %}", SAME),
    ("{% if false %}{{ 1 | nope }}{% endif %}", "no filter named 'nope'"),
    ("{% autoescape true %}{% endautoescape %}", "this statement is not supported"),
    ("{% macro m(a, a) %}{% endmacro %}", "the text cannot be compiled"),
    ("{% for a in 'b' %}" * 25 + "{% endfor %}" * 25, "the text cannot be compiled"),
    ("{% if 1 %}" * 2000 + "{% endif %}" * 2000, DEPTH),
    ("{% set a = 1 %}" * 5000, TOKENS),
    ("{# #}" * 60000, "the text has over 256 KiB"),
]  # fmt: skip


def problem_of(text: str) -> TemplateError:
    texts = {"main": text, "other": "x"}
    context = {"thread": "t", "python": {"packages": ["a"]}}
    with pytest.raises(TemplateError) as caught:
        if text.startswith("{{ "):
            undeclared(text)
            expand(text, context)
        else:
            render("main", texts.get, context, Work(1 << 21))  # an eighth: the rows take 1 s, not 4
    return caught.value


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """What asks for more than MEMORY beside what the process has by now gets a MemoryError, which no row names."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_an_expression_is_bounded() -> None:
    for expression, message in EXPRESSIONS:
        assert message in problem_of(f"{{{{ {expression} }}}}").message, expression[:99]


def test_a_template_is_bounded() -> None:
    for text, message in TEMPLATES:
        problem = problem_of(text)
        assert message in problem.message, text[:99]
        assert (problem.template, problem.line) in {("main", 1), ("other", 1), ("", 0)}, text[:99]


USED = [
    ("'%s-%05.1f|%-4d|%x%%' % ('a', 2.25, 7, 255)", "a-002.2|7   |ff%"),
    ("'%(a)s' % {'a': 1} ~ '%s' | format(2)", "12"),
    ("'a' * 3 ~ 2 ** 10 ~ 7 // 2 ~ 7 % 4 ~ 1.5", "aaa1024331.5"),
    ("[1, 'a', none, true, {'b': (2,)}]", "[1, 'a', None, True, {'b': (2,)}]"),
    ("' A-b '.strip().lower().replace('-', '_').center(7, '.')", "..a_b.."),
    ("'a,b'.split(',') | map('upper') | join('+')", "A+B"),
    ("'7'.zfill(3) ~ 'x'.ljust(2) ~ 'a\\tb'.expandtabs(2) ~ ','.join(['a', 'b'])", "007x a ba,b"),
    ("python.packages | sort(reverse=true) | first ~ (python.packages | length)", "b2"),
    ("python.items() | list | length ~ python.get('x', 'y')", "1y"),
    ("{'b': 1, 'a': 2} | dictsort | map(attribute=0) | list", "['a', 'b']"),
    ("[1, 2, 3] | select('odd') | sum ~ ([3, 1] | min)", "41"),
    ("[{'n': 1}, {'n': 2}] | selectattr('n', 'gt', 1) | map(attribute='n') | list", "[2]"),
    ("[3, 1, 3] | unique | reverse | list ~ (range(4) | batch(3, 0) | list)", "[1, 3][[0, 1, 2], [3, 0, 0]]"),
    ("'a\\nb' | indent(2, true) ~ ('<&>' | e)", "  a\n  b&lt;&amp;&gt;"),
    ("1.25 | round(1) ~ ('x7' | int(3)) ~ ('2.5' | float)", "1.232.5"),
    ("u | default('d') ~ (u is defined) ~ ('' | d('e', true))", "dfalsee"),
    ("'é/ b' | urlencode ~ ('a b c' | title) ~ ('abc' | truncate(2, true, '', 0))", "%C3%A9/%20bA B Cab"),
    ("{'a': [1, none]} | tojson ~ (1500 | filesizeformat) ~ ('b c' | wordcount)", '{"a": [1, null]}1.5 kB2'),
    ("'a' < 'b' < 'c' and 'a' in 'abc' and 3 is divisibleby(3) and thread is string", "true"),
    ("thread[0] ~ thread[-1:] ~ python['packages'][1] ~ 'abc'[::-1]", "ttbcba"),
]  # fmt: skip


def test_what_profiles_use_works() -> None:
    context = {"thread": "t", "python": {"packages": ["a", "b"]}}
    for expression, expected in USED:
        assert expand(f"{{{{ {expression} }}}}", context) == expected, expression


TEMPLATE = """\
{% extends 'base' %}
{% import 'lib' as lib %}
{% from 'lib' import quoted with context %}
{% block body %}
{{ super() }}{{ lib.twice('x') }} {{ quoted(thread) }}
{% for name, value in {'b': 2, 'a': 1}.items() | sort if value %}
{{ loop.index }}/{{ loop.length }} {{ loop.cycle('odd', 'even') }} {{ name }}={{ value }}{{ '' if loop.last else ',' }}
{% else %}
none
{% endfor %}
{% set ns = namespace(found=false) %}
{% for i in range(3) %}{% if i == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}
{% with a = 1, b = 2 %}{{ a + b }} {{ ns.found }}{% endwith %}

{% call(word) lib.wrapped() %}{{ word }}!{% endcall %}

{% set block | upper %}in {{ self.title() }}{% endset %}
{{ block }}{% filter lower %} LOW{% endfilter %}

{% set comma, row = joiner(', '), cycler(1, 2) %}
{{ comma() }}a{{ comma() }}b {{ row.next() }}{{ row.next() }}{{ row.next() }}
{% include ['none', 'part'] %}
{% include 'none' ignore missing %}
{% for group in [{'k': 'x', 'v': 1}, {'k': 'x', 'v': 2}] | groupby('k') %}{{ group.grouper }}{{ group.list | length }}{% endfor %}
{% endblock %}
"""
OTHERS = {
    "base": "<{% block title %}t{% endblock %}>{% block body %}base{% endblock %}",
    "lib": "{% macro twice(x) %}{{ x * 2 }}{% endmacro %}"
    "{% macro quoted(x) %}{{ x | shell }}{{ thread }}{% endmacro %}"
    "{% macro wrapped() %}({{ caller('w') if caller is defined }}){% endmacro %}",
    "part": "part of {{ thread }}\n",
}
RENDERED = """\
<t>basexx 't't
1/2 odd a=1,
2/2 even b=2
3 true
(w!)
IN T low
a, b 121
part of t
x2"""


def test_what_templates_use_works() -> None:
    assert render("main", {"main": TEMPLATE, **OTHERS}.get, {"thread": "t"}) == RENDERED


def test_two_hundred_packages_in_a_loop_over_themselves_are_not_too_much() -> None:
    text = (
        "{% for p in packages %}{{ p | toml }}{{ ',' if p != packages | last }}{{ packages | length }}"
        "{{ packages | join(', ') | length }}{{ packages | sort | first }}{{ p in packages }}{% endfor %}"
    )
    packages = [f"package-{number}>=1.0" for number in range(200)]
    assert render("main", {"main": text}.get, {"packages": packages}).count("true") == 200


def test_a_profile_that_does_too_much_has_one_mistake() -> None:
    for column, text in ((26, "{{ 'a' * 1000000000 }}"), (35, "{% raw %}{{ 'a' * 1000000000 }}")):
        assert mistakes(f'{HEAD}dotfiles: {{a: {{content: "{text}"}}, b: {{content: "{text}"}}}}\n') == [
            f"4:{column}: {WORK} the 262144 steps or 16 MiB of text that all expressions and templates of a profile may take "
            "together. Repeat less, or make less text."
        ]
    many = "".join(f"  A{index}: \"{{{{ 'a' * 1000000 }}}}\"\n" for index in range(30))
    (mistake,) = mistakes(f"{HEAD}env:\n{many}")
    assert mistake.startswith("13:8: this needs more than")


def test_what_differs_each_time_is_refused() -> None:
    fix = "Write a value, or make it an input."
    dotfiles = 'dotfiles: {a: {content: "{{ lipsum(1) }}"}, b: {content: "{{ range(99999) | random }}"}}\n'
    assert mistakes(HEAD + dotfiles) == [
        f"4:26: 'lipsum' would render differently each time. {fix}",
        f"4:59: 'random' would render differently each time. {fix}",
    ]


PARTS = st.sampled_from(
    "a 9 'b' [1] {'c':a} range(9) 10**9 * + - ~ % // ** ( ) [ ] , | . center join replace format list map indent batch"
    " string json upper split items is odd in not if else == < a.upper ''.join dict namespace self".split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=10).map(" ".join))
def test_whatever_is_written_is_text_or_a_mistake_and_the_same_twice(text: str) -> None:
    try:
        first = expand(f"{{{{ {text} }}}}", {"a": "x"})
    except TemplateError as problem:
        assert problem.message
    else:
        assert first == expand(f"{{{{ {text} }}}}", {"a": "x"})
        assert "0x" not in first


def test_the_page_lists_what_may_be_used_and_the_bounds() -> None:
    page = (pages.TOP / "docs/profile.md").read_text().partition("## What expressions and templates may use")[2]
    rows = dict(re.findall(r"(?m)^\| ([^|]+) \| (.*) \|$", page))
    said = {what: set(re.findall(r"`([^`]+)`", row)) for what, row in rows.items()}
    assert said["filters that quote"] | said["other filters"] == set(functions.FILTERED)
    assert said["tests"] - {"select"} == set(functions.TESTED)
    assert said["functions"] - {"loop", "self"} == set(functions.GLOBALS)
    assert said["methods of text"] == set(functions.METHODS[str])
    assert said["methods of mappings"] == set(functions.METHODS[dict])
    assert said["methods of lists"] == set(functions.METHODS[list]) == set(functions.METHODS[tuple])
    numbers = (
        language.MAX_TEXT >> 10, language.MAX_TOKENS, language.MAX_BRACKETS, language.MAX_DEPTH, work.MAX_STEPS,
        work.MAX_WORK >> 20, work.MAX_NESTING, work.MAX_BITS, functions.MAX_RANGE,
    )  # fmt: skip
    for number in numbers:
        assert re.search(rf"\b{number:,}\b", page), number
