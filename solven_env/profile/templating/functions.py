"""The filters, tests, functions and methods that expressions and templates may use: what is not here, is not there.

Each is paid for before it runs: by the size of what it is given, and, where what it makes can be larger than that, by
what it says beside its name. What makes two renderings differ is not among them.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any

import markupsafe
from jinja2 import Undefined, tests
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.utils import Cycler, Joiner, Namespace, pass_environment

from solven_env.errors import to_read
from solven_env.profile.templating.problem import TemplateError
from solven_env.profile.templating.quoting import as_json, shell, toml, written
from solven_env.profile.templating.work import STEP, bits, kind, spend, weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jinja2 import Environment

LISTED = f"Read {to_read('profile')}: it lists them."
NEVER_THE_SAME = frozenset({"lipsum", "random"})

MAX_RANGE = 100_000

_FACTOR = 16
"""The most characters that a filter, test or method makes of one: json writes 12 for one above U+FFFF."""

_LOOKED_AT = 1
"""The price of each item of a list that a function goes through."""

_CALL = 10
"""The steps that the call of a macro takes."""

_AS_TEXT = 10
"""The most characters that repr() makes of one in a list."""

# One conversion after the other, none with a width that is another argument or has four digits.
_PRINTF = r"(?:[^%]|%%|%(?:\(\w+\))?[-#0 +]{0,5}[0-9]{0,3}(?:\.[0-9]{0,3})?[diouxXeEfFgGcrsa])*"
_PRINTED = 2000
"""The most characters that one conversion adds to its value: %.999f of 1e308."""


def printed(text: str, values: object) -> int:
    """The most characters that `text % values` adds to `text`. Raises `TemplateError` for an unknown format."""
    spend(_FACTOR * len(text))
    if not re.fullmatch(_PRINTF, text):
        message = "the format has a width of over 999 or an unknown conversion"
        raise TemplateError("SE409", message, fix="Write, say, %s or %5d.")
    return text.count("%") * (_PRINTED + _AS_TEXT * weigh(values))


def as_text(value: object) -> str:
    """`value` as it is written out: text as it is, booleans as true and false, anything else as Python writes it."""
    if type(value) is str:
        return value
    spend(_AS_TEXT * weigh(value))
    return written(value)


def plain(result: Any) -> Any:
    """A function's result as a plain value: Markup becomes text, an iterator a list."""
    if type(result) is str:
        return result
    if isinstance(result, markupsafe.Markup):
        return str(result)
    if isinstance(result, int):
        bits(result)
    elif isinstance(result, Iterator | KeysView | ValuesView | ItemsView):
        return _listed(result)
    return result


def _listed(items: Iterable[object]) -> list[object]:
    taken = []
    for item in items:
        spend(STEP)
        taken.append(item)
    return taken


def paid(
    function: Callable[..., Any], makes: Callable[..., int] | None = None, lists: int = _FACTOR
) -> Callable[..., Any]:
    """`function`, which is paid for before it runs.

    `makes` takes the same arguments, and gives what it makes more than that; `lists` is what lists count times.
    """
    first = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja passes an environment or a context

    def call(*args: Any, **options: Any) -> Any:
        given = args[first:]
        spend(_price((*given, *options.values()), lists))
        if makes is not None:
            spend(makes(*given, **options))
        return plain(function(*args, **options))

    vars(call).update(getattr(function, "__dict__", {}))  # what Jinja is to pass
    return call


def _price(values: Iterable[object], lists: int) -> int:
    price = STEP
    for value in values:
        price += _FACTOR * len(value) if type(value) is str else lists * weigh(value)
    return price


def _number(value: object) -> None:
    if not isinstance(value, int | float):  # a text would be repeated, or be a format
        raise TemplateError(
            "SE409", "only numbers can be counted with here", fix="Write a number, or turn text into one by | int."
        )


def _indented(s: Any, width: int | str = 4, *_: object, **__: object) -> int:
    return (len(str(s).splitlines()) + 1) * (len(width) if isinstance(width, str) else width)


def _replaced(s: Any, old: Any, new: Any, *_: object, **__: object) -> int:
    return as_text(s).count(as_text(old)) * len(as_text(new))


def _joined(value: Any, d: Any = "", *_: object, **__: object) -> int:
    return sum(0 if isinstance(item, str) else _AS_TEXT * weigh(item) for item in value) + len(value) * len(as_text(d))


def _rounded(value: Any, precision: int = 0, *_: object, **__: object) -> int:
    _number(value)
    return precision**2


def _digits(value: Any, *_: object, **__: object) -> int:
    return len(value) ** 2 if isinstance(value, str) else 0  # int() takes quadratic time


def _batched(value: Any, linecount: int, *_: object, **__: object) -> int:
    return STEP * (len(value) + linecount)


def _sliced(_value: Any, slices: int, *_: object, **__: object) -> int:
    return STEP * slices


def _dumped(value: Any, indent: int | str | None = None) -> int:
    return weigh(value) * (indent if isinstance(indent, int) else len(indent or ""))


def _of_number(value: Any, *_: object) -> int:
    _number(value)
    return 0


def _of_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of texts, for which a boolean is what is written for it."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    def call(*args: Any, **options: Any) -> Any:
        value = args[first]
        return function(
            *args[:first], written(value) if isinstance(value, bool) else value, *args[first + 1 :], **options
        )

    vars(call).update(vars(function))  # what Jinja is to pass
    return call


@pass_environment
def _join(environment: Environment, value: Any, d: Any = "", attribute: str | int | None = None) -> str:
    """Jinja's, of items as they are written."""
    items = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    return written(d).join(map(written, items))


@pass_environment
def _sum(environment: Environment, iterable: Any, attribute: str | int | None = None, start: Any = 0) -> Any:
    """Jinja's, of numbers alone: of lists, it takes quadratic time."""
    items = iterable if attribute is None else map(make_attrgetter(environment, attribute), iterable)
    numbers = [start, *items]
    for number in numbers:
        _number(number)
    return sum(numbers)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if max(map(abs, bounds)) > MAX_RANGE:
        message = f"a range has at most {MAX_RANGE} numbers, from -{MAX_RANGE} on"
        raise TemplateError("SE407", message, fix="Take a smaller one.")
    return numbers


def _padded(_text: str, width: int = 80, *_: object) -> int:
    return width


def _expanded(text: str, tabsize: int = 8) -> int:
    return text.count("\t") * tabsize


def _compared(value: Any, *_: object, **__: object) -> int:
    return _LOOKED_AT * weigh(value)  # sorting looks at each item some ten times, without us


_FREE = "boolean defined false float integer iterable mapping none number sequence string true undefined".split()
"""Tests that look at a value's kind alone, a macro's too."""

_JINJA_TESTS: Mapping[str, Any] = tests.TESTS
_TESTS = frozenset("lower upper in == eq equalto != ne > gt greaterthan ge >= < lt lessthan <= le".split())
_TESTS_OF_NUMBERS = frozenset("odd even divisibleby".split())

TESTED: Mapping[str, Callable[..., Any]] = {
    **{name: _JINJA_TESTS[name] for name in _FREE},
    **{name: paid(_JINJA_TESTS[name]) for name in _TESTS},
    **{name: paid(_JINJA_TESTS[name], _of_number) for name in _TESTS_OF_NUMBERS},
}

_FREE_FILTERS = "count d default first last length".split()
"""Those that look at no more than one item."""

_NUMBER_FILTERS = "abs filesizeformat float".split()
_TEXT_FILTERS = "capitalize e escape lower string title trim truncate upper urlencode wordcount".split()
_LIST_FILTERS = "items list map reject rejectattr reverse select selectattr".split()
_SORTING_FILTERS = "dictsort groupby max min sort unique".split()

FILTERED: Mapping[str, Callable[..., Any]] = {
    **{name: FILTERS[name] for name in _FREE_FILTERS},
    **{name: paid(FILTERS[name]) for name in _NUMBER_FILTERS},
    **{name: paid(_of_written(FILTERS[name])) for name in _TEXT_FILTERS},
    **{name: paid(FILTERS[name], lists=_LOOKED_AT) for name in _LIST_FILTERS},
    **{name: paid(FILTERS[name], _compared, _LOOKED_AT) for name in _SORTING_FILTERS},
    "batch": paid(FILTERS["batch"], _batched, _LOOKED_AT),
    "center": paid(FILTERS["center"], _padded),
    "format": paid(FILTERS["format"], lambda value, *args, **options: printed(as_text(value), options or args)),
    "indent": paid(FILTERS["indent"], _indented),
    "int": paid(FILTERS["int"], _digits),
    "join": paid(_join, _joined, _LOOKED_AT),
    "json": paid(as_json),
    "replace": paid(_of_written(FILTERS["replace"]), _replaced),
    "round": paid(FILTERS["round"], _rounded),
    "shell": paid(shell),
    "slice": paid(FILTERS["slice"], _sliced, _LOOKED_AT),
    "sum": paid(_sum, lists=_LOOKED_AT),
    "tojson": paid(FILTERS["tojson"], _dumped),
    "toml": paid(toml),
}

GLOBALS: Mapping[str, Callable[..., Any]] = {
    "cycler": Cycler,
    "dict": dict,
    "joiner": Joiner,
    "namespace": Namespace,
    "range": _range,
}

_PLAIN_METHODS = """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower
    isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex
    rpartition rsplit rstrip split splitlines startswith strip swapcase title upper
""".split()

METHODS: Mapping[type, Mapping[str, Callable[..., int]]] = {
    str: {
        **dict.fromkeys(_PLAIN_METHODS, lambda *_, **__: 0),
        **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
        "expandtabs": _expanded,
        "join": lambda text, items: _joined(items, text),
        "replace": _replaced,
    },
    dict: dict.fromkeys(("get", "items", "keys", "values"), lambda *_: 0),  # what they list, `plain` pays for
    list: dict.fromkeys(("count", "index"), lambda items, *_: weigh(items)),
    tuple: dict.fromkeys(("count", "index"), lambda items, *_: weigh(items)),
}
"""The methods of values, each with what it makes beside what it is given."""

_CALLED = (Macro, BlockReference, LoopContext, Joiner)
_OWNERS = (LoopContext, Cycler)


def pay_call(function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Pay for a call. Raises `TemplateError` for what is none of the functions and methods above."""
    if isinstance(function, (*_CALLED, Undefined)):  # what they do is paid for where it is done
        spend(_CALL * STEP)
        return
    owner = getattr(function, "__self__", None)
    makes = METHODS.get(type(owner), {}).get(getattr(function, "__name__", ""))
    if makes is not None:
        spend(_price((owner if isinstance(owner, str) else "", *args, *options.values()), _LOOKED_AT))
        spend(makes(owner, *args, **options))
    elif isinstance(owner, _OWNERS) or any(function is each for each in GLOBALS.values()):
        spend(_price((*args, *options.values()), _LOOKED_AT))
    else:
        raise TemplateError("SE406", f"{kind(function)} cannot be called here", fix=LISTED)
