"""Which value an input has."""

import pytest

from solven_env.errors import UsageError
from solven_env.profile.inputs import choose, is_true, missing, require
from solven_env.profile.model import Input

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
        ({}, {"SOLVEN_INPUT_REGION": "\udcff"}, (), "the value of input 'region' is not Unicode text. Pass it as UTF-8, without U+0000."),
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
