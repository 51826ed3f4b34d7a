"""The values of inputs. The first of these counts: given, set in the environment, recorded, default."""

from __future__ import annotations

from solven_env.documents.diagnostics import did_you_mean
from solven_env.errors import UsageError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from solven_env.profile.model import Input

VARIABLE_PREFIX = "SOLVEN_INPUT_"


class Inputs(NamedTuple):
    """The inputs of one thread: `given` without defaults, as an apply records them; `values` with defaults."""

    given: Mapping[str, str]
    values: Mapping[str, str]


def choose(
    declared: Mapping[str, Input],
    *,
    given: Mapping[str, str],
    environ: Mapping[str, str],
    recorded: Mapping[str, str],
    unset: Collection[str] = (),
) -> Inputs:
    """The value of every declared input that has one. Raises `UsageError` for an undeclared name.

    >>> from solven_env.profile.model import Input
    >>> declared = {"user_id": Input("user_id", "user", True)}
    >>> choose(declared, given={}, environ={"SOLVEN_INPUT_USER_ID": "ada"}, recorded={}).values
    {'user_id': 'ada'}
    """
    for name in (*given, *unset):
        if name not in declared:
            raise UsageError(f"the profile has no input '{name}'", fix=did_you_mean(name, declared))
    chosen: dict[str, str] = {}
    for name in declared:
        variable = VARIABLE_PREFIX + name.upper()
        if name in given:
            chosen[name] = _checked(name, given[name])
        elif variable in environ:
            chosen[name] = _checked(name, environ[variable])
        elif name in recorded and name not in unset:
            chosen[name] = recorded[name]
    defaults = {name: item.default for name, item in declared.items() if item.default is not None}
    return Inputs(given=chosen, values={**defaults, **chosen})


def missing(declared: Mapping[str, Input], values: Mapping[str, str]) -> tuple[str, ...]:
    """The required inputs that have no value."""
    return tuple(name for name, item in declared.items() if item.required and name not in values)


def require(declared: Mapping[str, Input], values: Mapping[str, str]) -> None:
    """Raise a `UsageError` that names every required input without a value."""
    names = missing(declared, values)
    if names:
        options = " ".join(f"--set {name}=VALUE" for name in names)
        listed = ", ".join(f"'{name}'" for name in names)
        raise UsageError(f"the profile needs a value for {listed}", fix=f"Pass {options}, or give a default.")


def is_true(name: str, values: Mapping[str, str]) -> bool:
    """The meaning of `when: NAME`: true if the input is set, not empty and not `false`."""
    return values.get(name, "") not in ("", "false")


def _checked(name: str, value: str) -> str:
    if not isinstance(value, str):  # a program's mistake, in the words of --inputs
        raise UsageError(f"the value of input '{name}' is not text", fix=f"Pass {str(value)!r}.")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise UsageError(f"the value of input '{name}' is not Unicode text", fix="Pass it as UTF-8, without U+0000.")
    return value
