"""The values of inputs. The first of these counts: given, set in the environment, recorded, default.

A value is text, as it is recorded. Its type says which texts there are, and what an expression finds.
"""

from __future__ import annotations

import functools
import re

from solven_env.documents.diagnostics import closest, did_you_mean, quoted
from solven_env.errors import UsageError, printable
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import TypeAlias

    from solven_env.profile.model import Input
    from solven_env.profile.patterns import Pattern

VARIABLE_PREFIX = "SOLVEN_INPUT_"
EXAMPLE = "example"
"""The stand-in of a required text that has no value."""

_MOST_DIGITS = 18
_WHOLE_NUMBER = re.compile(rf"0|-?[1-9][0-9]{{0,{_MOST_DIGITS - 1}}}")
"""As YAML's are read (`documents.parsing`)."""


class FileValue(NamedTuple):
    """A value of `--inputs FILE`, with its place there: `inputs.yaml:3:7`."""

    value: str | int
    location: str


if TYPE_CHECKING:
    InputValues: TypeAlias = Mapping[str, str | int | FileValue]
    """Values by input, as a caller gives them: text, or a whole number or boolean for an input of that type."""


class Inputs(NamedTuple):
    """The inputs of one thread: `given` without defaults, as an apply records them; `values` with defaults."""

    given: Mapping[str, str]
    values: Mapping[str, str]


def choose(
    declared: Mapping[str, Input],
    *,
    given: InputValues,
    environ: Mapping[str, str],
    recorded: Mapping[str, str],
    unset: Collection[str] = (),
) -> Inputs:
    """The value of every declared input that has one.

    Raises `UsageError` for an undeclared name, and for a value that its input cannot have.

    >>> from solven_env.profile.model import Input
    >>> declared = {"user_id": Input("user_id", "user", True)}
    >>> choose(declared, given={}, environ={"SOLVEN_INPUT_USER_ID": "ada"}, recorded={}).values
    {'user_id': 'ada'}
    """
    for name in (*given, *unset):
        if name not in declared:
            raise UsageError(f"the profile has no input '{name}'", fix=did_you_mean(name, declared))
    chosen: dict[str, str] = {}
    for name, item in declared.items():
        variable = VARIABLE_PREFIX + name.upper()
        if name in given:
            chosen[name] = _checked(item, given[name], f"the value of input '{name}'")
        elif variable in environ:
            chosen[name] = _checked(item, environ[variable], f"{variable}, the value of input '{name}',")
        elif name in recorded and name not in unset:
            what = f"the recorded value of input '{name}'"
            chosen[name] = _checked(item, recorded[name], what, f", or forget it: --unset {name}")
    defaults = {name: item.default for name, item in declared.items() if item.default is not None}
    return Inputs(given=chosen, values={**defaults, **chosen})


def missing(declared: Mapping[str, Input], values: Mapping[str, str]) -> tuple[str, ...]:
    """The required inputs that have no value."""
    return tuple(name for name, item in declared.items() if item.required and name not in values)


def require(declared: Mapping[str, Input], values: Mapping[str, str]) -> None:
    """Raise a `UsageError` that names every required input without a value."""
    names = missing(declared, values)
    if names:
        options = " ".join(f"--set {name}={_shown(declared[name])}" for name in names)
        listed = ", ".join(f"'{name}'{_about(declared[name])}" for name in names)
        raise UsageError(f"the profile needs a value for {listed}", fix=f"Pass {options}, or give a default.")


def with_stand_ins(declared: Mapping[str, Input], values: Mapping[str, str]) -> dict[str, str]:
    """The values, and a stand-in for each required input that has none."""
    return {**{name: _stand_in(declared[name]) for name in missing(declared, values)}, **values}


def typed(declared: Mapping[str, Input], values: Mapping[str, str]) -> dict[str, str | int | bool]:
    """The values as expressions find them: whole numbers, booleans, text."""
    return {name: _typed(declared[name], text) if name in declared else text for name, text in values.items()}


def is_true(name: str, values: Mapping[str, str]) -> bool:
    """The meaning of `when: NAME`: true if the input is set, not empty and not `false`."""
    return values.get(name, "") not in ("", "false")


def problem(item: Input, text: str) -> str:
    """The reason against a value of an input, in words that follow it; empty if the input may have it.

    >>> from solven_env.profile.model import Input
    >>> problem(Input("stage", None, True, "enum", values=("dev", "prod")), "live")
    'is not dev or prod'
    """
    if item.values and text not in item.values:
        return f"is not {_either(item.values)}"
    if item.type == "integer" and not _WHOLE_NUMBER.fullmatch(text):
        return f"is not a whole number of at most {_MOST_DIGITS} digits without leading zeros"
    if item.type == "boolean" and text not in ("true", "false"):
        return "is not true or false"
    if item.pattern and not pattern(item.pattern).matches(text):
        return f"does not match the pattern {item.pattern}"
    return ""


@functools.lru_cache(maxsize=64)
def pattern(text: str) -> Pattern:
    """The pattern that a profile has as this text. Raises `PatternError`."""
    from solven_env.profile import patterns  # here: few profiles have one

    return patterns.Pattern(text)


def _checked(item: Input, given: object, what: str, or_else: str = "") -> str:
    """A value as text. `what` says in an error where it comes from, `or_else` what else can be done."""
    value, location = (given.value, given.location) if isinstance(given, FileValue) else (given, "")
    if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:  # more than str() takes, perhaps
        raise UsageError(f"{what} is a number of more than {_MOST_DIGITS} digits", fix="Pass a smaller one.")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str) and item.type in ("string", "enum"):
        raise UsageError(f"{what} is not text", fix=f"Pass {text!r}.", location=location)
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError(f"{what} is not Unicode text", fix="Pass it as UTF-8, without U+0000.", location=location)
    wrong = problem(item, text)
    if wrong:
        near = closest(text, ("true", "false") if item.type == "boolean" else item.values)
        other = f"Give another one: --set {item.name}={_shown(item)}{or_else}."
        fix = f"Did you mean '{near}'?" if near and not or_else else other
        raise UsageError(f"{what} {wrong}: {quoted(text)}{_about(item)}", fix=fix, location=location)
    return text


def _typed(item: Input, text: str) -> str | int | bool:
    if item.type == "boolean":
        return text == "true"
    return int(text) if item.type == "integer" else text


def _stand_in(item: Input) -> str:
    # true, so that what depends on it is looked at
    return {"boolean": "true", "integer": "1", "enum": next(iter(item.values), EXAMPLE)}.get(item.type, EXAMPLE)


def _shown(item: Input) -> str:
    """A word for a value in an option."""
    return {"boolean": "true", "integer": "NUMBER", "enum": next(iter(item.values), "VALUE")}.get(item.type, "VALUE")


def _about(item: Input) -> str:
    """The description of an input, in parentheses; empty without one."""
    return f" ({printable(' '.join(item.description.split()))})" if item.description else ""


def _either(words: Collection[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
