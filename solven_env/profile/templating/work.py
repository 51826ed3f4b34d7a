"""Bounds of the work that expressions and templates of a profile may do, and the weight of each value.

One number bounds time and memory alike. A character of a text counts 1, a step 64: the evaluation of one part of an
expression, or the look at one item of a list. For what it counts, each takes a few nanoseconds and a few bytes. What an
operation costs is paid before it is carried out.
"""

from __future__ import annotations

from contextvars import ContextVar

from jinja2 import Undefined

from solven_env.profile.templating.problem import TemplateError
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_WORK = 16 << 20
STEP = 64
MAX_STEPS = MAX_WORK // STEP
_MAX_VALUE = MAX_WORK // 4

MAX_NESTING = 50
"""Lists in lists and mappings: json and repr() recurse."""

MAX_BITS = 1024
"""Of a whole number: what a float holds, too."""

_SCALAR = 24
"""The length of a number as text; a float is the longest."""

_BITS_A_DIGIT = 3
_KINDS = {
    "complex": "a complex number",
    "Cycler": "a cycler",
    "Joiner": "a joiner",
    "LoopContext": "a loop",
    "Macro": "a macro",
    "Namespace": "a namespace",
    "TemplateModule": "a template",
    "TemplateReference": "a template",
}


class Work:
    """The work that is left for one profile."""

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left

    @property
    def is_spent(self) -> bool:
        """True once too much work was asked for. This is reported once, and nothing more is rendered."""
        return self.left < 0


_current: ContextVar[Work] = ContextVar("work")


def paid_from(work: Work, render: Callable[[Mapping[str, object]], str], context: Mapping[str, object]) -> str:
    """The text that `render` makes of a context, paid for from `work`."""
    token = _current.set(work)
    try:
        return render(context)
    finally:
        _current.reset(token)


def spend(amount: int) -> None:
    """Pay for the next work. Raises `TemplateError` if it is more than is left.

    What is not above 0 costs nothing, and gives nothing back: a width of -5, one that is not a number.
    """
    if amount > 0:
        work = _current.get()
        work.left -= amount
        if work.left < 0:
            raise TemplateError(
                "SE407",
                f"this needs more than the {MAX_STEPS} steps or {MAX_WORK >> 20} MiB of text that all expressions and"
                " templates of a profile may take together",
                fix="Repeat less, or make less text.",
            )


def weigh(value: object, depth: int = 0) -> int:
    """The weight of a value with everything in it, counted as often as it occurs. Raises `TemplateError`.

    Functions, macros, loops and what else is no plain value is refused: as text, it would be an address in memory.
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, bool | float) or value is None or isinstance(value, Undefined):
        return _SCALAR
    if isinstance(value, int):
        return _SCALAR + bits(value) // _BITS_A_DIGIT
    if depth > MAX_NESTING:
        raise TemplateError("SE407", f"a value nests more than {MAX_NESTING} levels deep", fix="Nest it less.")
    if isinstance(value, range):
        return STEP * len(value)
    if isinstance(value, list | tuple):
        return _weigh_all(value, depth)
    if isinstance(value, dict):
        return _weigh_all(value.keys(), depth) + _weigh_all(value.values(), depth)
    raise TemplateError("SE409", f"{kind(value)} is no value", fix="Use text, numbers, lists and mappings here.")


def _weigh_all(values: Iterable[object], depth: int) -> int:
    total = 0
    for value in values:
        total += STEP + weigh(value, depth + 1)
        if total > _MAX_VALUE:  # a list that holds one twice, which holds one twice, and so on
            spend(MAX_WORK + 1)
    return total


def kind(value: object) -> str:
    """The kind of a value that is not a plain one, in words."""
    return _KINDS.get(type(value).__name__, "a function")


def bits(number: int) -> int:
    """The bits of a whole number. Raises `TemplateError` where it is too large."""
    size = number.bit_length()
    if size > MAX_BITS:
        raise TemplateError("SE407", f"a number has more than {MAX_BITS} bits", fix="Use smaller numbers.")
    return size
