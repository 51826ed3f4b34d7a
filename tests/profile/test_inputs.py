"""Which value an input has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import UsageError
from solven_env.profile.inputs import FileValue, choose, is_true, missing, require, typed, with_stand_ins
from solven_env.profile.model import Input

if TYPE_CHECKING:
    from solven_env.profile.inputs import InputValues

DECLARED = {
    "user_id": Input("user_id", default="user", required=False),
    "ticket": Input("ticket", default=None, required=False),
    "region": Input("region", default=None, required=True),
}


@pytest.mark.parametrize(
    ("given", "environ", "recorded", "unset", "expected"),
    [
        ({}, {}, {}, (), "user"),
        ({}, {}, {"user_id": "recorded"}, (), "recorded"),
        ({}, {"SOLVEN_INPUT_USER_ID": "environ"}, {"user_id": "recorded"}, (), "environ"),
        ({"user_id": "given"}, {"SOLVEN_INPUT_USER_ID": "environ"}, {"user_id": "recorded"}, (), "given"),
        ({}, {}, {"user_id": "recorded"}, ("user_id",), "user"),
        ({"user_id": ""}, {}, {"user_id": "recorded"}, (), ""),
        ({}, {"SOLVEN_INPUT_user_id": "x", "USER_ID": "y"}, {}, (), "user"),
        ({"user_id": "{{ region }}"}, {}, {}, (), "{{ region }}"),
    ],
)
def test_the_first_found_counts(
    given: dict[str, str], environ: dict[str, str], recorded: dict[str, str], unset: tuple[str, ...], expected: str
) -> None:
    assert choose(DECLARED, given=given, environ=environ, recorded=recorded, unset=unset).values["user_id"] == expected


def test_a_default_is_not_given() -> None:
    chosen = choose(DECLARED, given={"region": "eu"}, environ={}, recorded={"gone": "x"})
    assert (chosen.given, chosen.values) == ({"region": "eu"}, {"region": "eu", "user_id": "user"})


@pytest.mark.parametrize(
    ("given", "environ", "unset", "message"),
    [
        ({"user": "x"}, {}, (), "the profile has no input 'user'. Did you mean 'user_id'?"),
        ({"zzz": "x"}, {}, (), "the profile has no input 'zzz'. Known here: region, ticket, user_id."),
        ({}, {}, ("tickets",), "the profile has no input 'tickets'. Did you mean 'ticket'?"),
        ({"region": 5}, {}, (), "the value of input 'region' is not text. Pass '5'."),
        ({"region": "a\0b"}, {}, (), "the value of input 'region' is not Unicode text. Pass it as UTF-8, without U+0000."),
        ({}, {"SOLVEN_INPUT_REGION": "\udcff"}, (), "SOLVEN_INPUT_REGION, the value of input 'region', is not Unicode text. Pass it as UTF-8, without U+0000."),
    ],
)  # fmt: skip
def test_what_cannot_be_a_value(
    given: dict[str, str], environ: dict[str, str], unset: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(DECLARED, given=given, environ=environ, recorded={}, unset=unset)
    assert str(caught.value) == message


def test_a_required_input_without_a_value_is_named() -> None:
    assert missing(DECLARED, {"user_id": "x"}) == ("region",)
    with pytest.raises(UsageError) as caught:
        require(DECLARED, {})
    assert str(caught.value) == "the profile needs a value for 'region'. Pass --set region=VALUE, or give a default."
    require(DECLARED, {"region": ""})


@pytest.mark.parametrize(
    ("values", "expected"),
    [({}, False), ({"a": ""}, False), ({"a": "false"}, False), ({"a": "False"}, True), ({"a": "0"}, True), ({"a": "x"}, True)],
)  # fmt: skip
def test_when_names_an_input(values: dict[str, str], expected: bool) -> None:
    assert is_true("a", values) is expected


TYPED = {
    "port": Input("port", "8080", False, "integer", description="the port that the\n app listens on"),
    "debug": Input("debug", None, False, "boolean"),
    "stage": Input("stage", None, True, "enum", values=("development", "production"), description="which one"),
    "ticket": Input("ticket", None, True, pattern="[A-Z]+-[0-9]+", description="\x1b[2J"),
}
SLOW = {"name": Input("name", None, False, pattern="(a+)+$")}
ANOTHER = "Give another one: --set"


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"port": "-1"}, {"port": -1}),
        ({"port": 9}, {"port": 9}),
        ({"port": FileValue(9, "i.yaml:1:1")}, {"port": 9}),
        ({"port": "999999999999999999"}, {"port": 999999999999999999}),
        ({"debug": "true"}, {"debug": True, "port": 8080}),
        ({"debug": False}, {"debug": False, "port": 8080}),
        ({"stage": "production"}, {"stage": "production", "port": 8080}),
        ({"ticket": "AB-12"}, {"ticket": "AB-12", "port": 8080}),
    ],
)
def test_expressions_find_values_by_their_type(given: InputValues, values: dict[str, object]) -> None:
    chosen = choose(TYPED, given=given, environ={}, recorded={})
    assert all(type(value) is str for value in (*chosen.given.values(), *chosen.values.values()))
    found = typed(TYPED, chosen.values)
    assert (found, list(map(type, found.values()))) == (values, [type(values[name]) for name in found])
    again = choose(TYPED, given={}, environ={}, recorded=chosen.given)
    assert typed(TYPED, again.values) == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": "x"}, f"the value of input 'port' is not a whole number of at most 18 digits without leading zeros: 'x' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"port": ""}, f"the value of input 'port' is not a whole number of at most 18 digits without leading zeros: '' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"port": "0777"}, f"the value of input 'port' is not a whole number of at most 18 digits without leading zeros: '0777' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"port": "\u0665"}, f"the value of input 'port' is not a whole number of at most 18 digits without leading zeros: '\u0665' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"port": "1" * 5000}, f"the value of input 'port' is not a whole number of at most 18 digits without leading zeros: '{'1' * 59}…' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"port": 10**5000}, "the value of input 'port' is a number of more than 18 digits. Pass a smaller one."),
        ({"port": True}, f"the value of input 'port' is not a whole number of at most 18 digits without leading zeros: 'true' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"port": FileValue(True, "i.yaml:2:7")}, f"i.yaml:2:7: the value of input 'port' is not a whole number of at most 18 digits without leading zeros: 'true' (the port that the app listens on). {ANOTHER} port=NUMBER."),
        ({"debug": "True"}, "the value of input 'debug' is not true or false: 'True'. Did you mean 'true'?"),
        ({"debug": "yes"}, f"the value of input 'debug' is not true or false: 'yes'. {ANOTHER} debug=true."),
        ({"debug": ""}, f"the value of input 'debug' is not true or false: ''. {ANOTHER} debug=true."),
        ({"debug": 1}, f"the value of input 'debug' is not true or false: '1'. {ANOTHER} debug=true."),
        ({"stage": "prod"}, f"the value of input 'stage' is not development or production: 'prod' (which one). {ANOTHER} stage=development."),
        ({"stage": "Production"}, "the value of input 'stage' is not development or production: 'Production' (which one). Did you mean 'production'?"),
        ({"stage": FileValue("x", "i.yaml:3:2")}, f"i.yaml:3:2: the value of input 'stage' is not development or production: 'x' (which one). {ANOTHER} stage=development."),
        ({"ticket": "AB-12\n"}, rf"the value of input 'ticket' does not match the pattern [A-Z]+-[0-9]+: 'AB-12\n' (\x1b[2J). {ANOTHER} ticket=VALUE."),
        ({"ticket": 12}, "the value of input 'ticket' is not text. Pass '12'."),
    ],
)  # fmt: skip
def test_a_value_that_is_not_of_its_type(given: InputValues, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(TYPED, given=given, environ={}, recorded={})
    assert str(caught.value) == message


def test_every_way_to_give_a_value_is_held_against_its_type() -> None:
    with pytest.raises(UsageError) as caught:
        choose(TYPED, given={}, environ={"SOLVEN_INPUT_DEBUG": "1"}, recorded={})
    assert str(caught.value) == (
        f"SOLVEN_INPUT_DEBUG, the value of input 'debug', is not true or false: '1'. {ANOTHER} debug=true."
    )
    recorded = {"debug": "on"}
    with pytest.raises(UsageError) as caught:
        choose(TYPED, given={}, environ={}, recorded=recorded)
    assert str(caught.value) == (
        "the recorded value of input 'debug' is not true or false: 'on'. "
        f"{ANOTHER} debug=true, or forget it: --unset debug."
    )
    assert choose(TYPED, given={}, environ={}, recorded=recorded, unset=("debug",)).given == {}
    assert choose(TYPED, given={"debug": "true"}, environ={}, recorded=recorded).given == {"debug": "true"}


def test_no_pattern_makes_a_value_slow() -> None:
    begun = time.monotonic()
    for value in ("a" * 999 + "!", "a" * 1_000_000 + "!"):
        with pytest.raises(UsageError):
            choose(SLOW, given={"name": value}, environ={}, recorded={})
    assert time.monotonic() - begun < 5


def test_what_is_required_is_told_with_its_description() -> None:
    with pytest.raises(UsageError) as caught:
        require({name: TYPED[name] for name in ("stage", "port")}, {})
    assert str(caught.value) == (
        "the profile needs a value for 'stage' (which one). Pass --set stage=development, or give a default."
    )


def test_stand_ins_are_of_their_types() -> None:
    required = {name: item._replace(required=True) for name, item in TYPED.items()}
    assert typed(required, with_stand_ins(required, {})) == {
        "port": 1,
        "debug": True,
        "stage": "development",
        "ticket": "example",
    }
