"""What a profile says of its inputs: types, values, patterns, defaults."""

import time

import pytest

from solven_env.profile.declared_inputs import MAX_PATTERNS
from solven_env.profile.model import Input
from tests.checking import HEAD, load, mistakes

SEE = "See what a pattern may have: solven-env docs profile"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        # types
        ("{type: strng, default: 8080}", ["5:13: inputs.a.type: 'strng' is not string, enum, integer or boolean. Did you mean 'string'?"]),
        ("{type: integer, default: x}", ["5:31: inputs.a.default must be a whole number, not text. Write, for example, 8080."]),
        ("{type: integer, default: '80'}", ["5:31: inputs.a.default must be a whole number, not text. Write it without quotes."]),
        ("{type: integer, default: true}", ["5:31: inputs.a.default must be a whole number, not a boolean. Write, for example, 8080."]),
        ("{type: integer, default: 1.5}", ["5:31: inputs.a.default must be a whole number, not 1.5. Write, for example, 8080."]),
        ("{type: integer, default: 0777}", ["5:31: inputs.a.default must be a whole number, not 0777. Write, for example, 8080."]),
        ("{type: integer, default: }", ["5:22: inputs.a.default has no value. Write, for example, 8080."]),
        (f"{{type: integer, default: {'9' * 19}}}", [f"5:31: inputs.a.default must be a whole number, not {'9' * 19}. Write, for example, 8080."]),
        ("{type: boolean, default: yes}", ["5:31: inputs.a.default must be true or false, not text. Write true or false."]),
        ("{type: boolean, default: 'true'}", ["5:31: inputs.a.default must be true or false, not text. Write it without quotes."]),
        ("{type: boolean, default: 1}", ["5:31: inputs.a.default must be true or false, not a number. Write true or false."]),
        ("{default: 8080}", ['5:16: inputs.a.default: 8080 is read as a number, not as text. Quote it: "8080".']),
        ("{default: true}", ['5:16: inputs.a.default: true is read as a boolean, not as text. Quote it: "true".']),
        ("{default: [x]}", ["5:16: inputs.a.default must be text, not a list. Write, for example, user."]),
        # enum
        ("{type: enum}", ["5:3: inputs.a has no 'values'. Add 'values: [development, production]'."]),
        ("{type: enum, vales: [a]}", ["5:19: unknown key 'vales' in inputs.a. Did you mean 'values'?"]),
        ("{type: enum, values: []}", ['5:27: inputs.a.values is not a list of 1 to 100 texts. Write, for example, [development, production].']),
        ("{type: enum, values: [a, b, a]}", ["5:34: 'a' stands here twice. Keep one of the two."]),
        ("{type: enum, values: [1, b]}", ['5:28: inputs.a.values[0]: 1 is read as a number, not as text. Quote it: "1".']),
        ("{type: enum, values: [dev, prod], default: prd}", ["5:49: inputs.a.default: 'prd' is not dev or prod. Did you mean 'prod'?"]),
        ("{type: enum, values: [dev, prod], default: ''}", ["5:49: inputs.a.default: '' is not dev or prod. Known here: dev, prod."]),
        ("{type: enum, values: {a: b}, default: x}", ['5:27: inputs.a.values must be a list, not a mapping. Write, for example, [development, production].']),
        ("{values: [a]}", ["5:7: an input of type string has no values. Write 'type: enum', or remove 'values'."]),
        ("{type: integer, values: [a]}", ["5:22: an input of type integer has no values. Write 'type: enum', or remove 'values'."]),
        # pattern
        ("{type: integer, pattern: x}", ["5:22: an input of type integer has no pattern. Write 'type: string', or remove 'pattern'."]),
        ("{pattern: '('}", [f"5:16: the pattern '(' lacks a ')'. {SEE}"]),
        (r"{pattern: '(a)\1'}", [rf"5:16: the pattern '(a)\1' has \1, which cannot stand there. {SEE}"]),
        ("{pattern: '((a{99}){99}){99}'}", [f"5:16: the pattern '((a{{99}}){{99}}){{99}}' has over 256 places, its repetitions written out. {SEE}"]),
        ("{pattern: ''}", ['5:16: inputs.a.pattern: \'\' is not a pattern of 1 to 250 characters. Write, for example, "[A-Z]+-[0-9]+".']),
        ("{pattern: '[A-Z]+', default: Ab}", ["5:35: inputs.a.default: 'Ab' does not match the pattern [A-Z]+. Write another default, or change the pattern."]),
        ("{pattern: '(a+)+$', default: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!}", ["5:35: inputs.a.default: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' does not match the pattern (a+)+$. Write another default, or change the pattern."]),
        # description
        ("{description: 5}", ['5:20: inputs.a.description: 5 is read as a number, not as text. Quote it: "5".']),
        # right
        ("{type: integer, default: -5}", []),
        ("{type: boolean, default: false}", []),
        ("{type: enum, values: ['', 'on'], default: ''}", []),
        ("{pattern: '[A-Z]+-[0-9]+', default: A-1, description: the ticket}", []),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_input(written: str, expected: list[str]) -> None:
    assert mistakes(f"{HEAD}inputs:\n  a: {written}\nenv: {{X: '{{{{ a }}}}'}}\n") == expected


def test_an_input_is_read() -> None:
    text = """\
inputs:
  a: {type: integer, default: 8080, description: the port}
  b: {type: boolean, default: true}
  c: {type: enum, values: [x, y], required: false}
  d: {pattern: "[a-z]+"}
"""
    assert load(HEAD + text).inputs == {
        "a": Input("a", "8080", False, "integer", description="the port"),
        "b": Input("b", "true", False, "boolean"),
        "c": Input("c", None, False, "enum", values=("x", "y")),
        "d": Input("d", None, True, "string", pattern="[a-z]+"),
    }


def test_many_slow_patterns_are_no_way_to_stop_a_validation() -> None:
    each = f"{{pattern: '(.?){{255}}', default: '{'x' * 900}'}}"
    begun = time.monotonic()
    found = mistakes(f"{HEAD}inputs:\n" + "".join(f"  a{number}: {each}\n" for number in range(MAX_PATTERNS + 200)))
    assert time.monotonic() - begun < 20
    assert [each for each in found if "have a pattern" in each] == [
        f"{5 + MAX_PATTERNS}:9: more than 32 inputs have a pattern. Remove some of them."
    ]
