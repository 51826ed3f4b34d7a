"""Texts with expressions, and templates, rendered within bounds; see `language`, `functions` and `work`.

Two kinds of text are rendered. A *template* is a file with all statements of Jinja. An *expression text* is a string in
a profile: only `{{ }}` is special there, so that shell text such as `${#name}` and `{%` stays as it is.
"""

from __future__ import annotations

import functools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import jinja2
from jinja2 import nodes

from solven_env.profile.templating.language import MAX_TEXT, UnknownError, expressions, templates
from solven_env.profile.templating.problem import LITERAL, TemplateError
from solven_env.profile.templating.quoting import as_json, shell, toml
from solven_env.profile.templating.work import STEP, Work, paid_from, spend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping
    from types import CodeType
    from typing import Any

__all__ = [
    "LITERAL",
    "MAX_TEXT",
    "TemplateError",
    "Work",
    "as_json",
    "expand",
    "reads",
    "render",
    "shell",
    "toml",
    "undeclared",
]

_LOAD = 100
"""The steps that it takes to read a template that another one includes."""


def expand(text: str, context: Mapping[str, object], work: Work | None = None) -> str:
    """`text` with its `{{ }}` expressions replaced, paid for from `work`. Raises `TemplateError`."""
    if "{{" not in text:
        return text
    return _render(_expression(text), context, work or Work())


def undeclared(text: str) -> frozenset[str]:
    """The names that the `{{ }}` expressions of `text` take from outside. Raises `TemplateError`."""
    if "{{" not in text:
        return frozenset()
    return _undeclared(text)


def render(
    name: str, read: Callable[[str], str | None], context: Mapping[str, object], work: Work | None = None
) -> str:
    """The template `name` rendered, paid for from `work`. Raises `TemplateError`.

    `read` gives the text of a template by its name, or None: of this one, and of those that it includes.
    """
    text = read(name)
    if text is None:
        raise TemplateError("SE408", f"there is no template '{name}'", template=name)
    environment = templates().overlay(loader=_Loader(read))
    return _render(_load(environment, _template(text, name)[0]), context, work or Work())


@functools.lru_cache(maxsize=1024)  # each rendering asks
def reads(text: str, template: str = "") -> frozenset[str]:
    """The names that an expression text reads, or the template of this name: `python.version`, `env` for all of it.

    What the template includes has names of its own. Raises `TemplateError`.
    """
    if template:
        return _template(text, template)[1]
    return _names(_parsed(text)) if "{{" in text else frozenset()


def _names(tree: nodes.Template) -> frozenset[str]:
    found, owners = set(), set()
    methods = {id(call.node) for call in tree.find_all(nodes.Call)}  # `env.items()` reads all of it
    for part in tree.find_all((nodes.Getattr, nodes.Getitem)):
        owner = part.node  # type: ignore[attr-defined]
        key = part.attr if isinstance(part, nodes.Getattr) else getattr(part.arg, "value", None)  # type: ignore[attr-defined]
        if isinstance(owner, nodes.Name) and isinstance(key, str) and id(part) not in methods:
            found.add(f"{owner.name}.{key}")
            owners.add(id(owner))
    return frozenset(found | {name.name for name in tree.find_all(nodes.Name) if id(name) not in owners})


class _Loader(jinja2.BaseLoader):
    """Loads what a template includes, imports or extends."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002, ARG002
    ) -> jinja2.Template:
        text = self._read(name) if isinstance(name, str) else None
        if text is None:
            raise jinja2.TemplateNotFound(name)
        spend(len(text) + _LOAD * STEP)
        return _load(environment, _template(text, name)[0])


def _load(environment: jinja2.Environment, code: CodeType) -> jinja2.Template:
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


@functools.lru_cache(maxsize=256)
def _template(text: str, name: str) -> tuple[CodeType, frozenset[str]]:
    with _reading(name):
        tree = templates().parse(text, name, name)
        return templates().compile(tree, name=name, filename=name), _names(tree)


@functools.lru_cache(maxsize=1024)
def _expression(text: str) -> jinja2.Template:
    with _reading(""):
        return _load(expressions(), expressions().compile(_parsed(text), name="", filename=""))


@functools.lru_cache(maxsize=1024)
def _undeclared(text: str) -> frozenset[str]:
    names = {name.name for name in _parsed(text).find_all(nodes.Name)}
    return frozenset(names - expressions().globals.keys() - {"self"})  # the template itself, in Jinja


@functools.lru_cache(maxsize=8)  # the names of a text are asked for just before it is expanded
def _parsed(text: str) -> nodes.Template:
    with _reading(""):
        return expressions().parse(text)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what goes wrong while a text is parsed and compiled into a `TemplateError`."""
    try:
        yield
    except TemplateError:
        raise
    except jinja2.TemplateSyntaxError as error:
        fix = "" if name else f"Fix the expression. {LITERAL}"
        raise TemplateError("SE405", _sentence(error.message), fix=fix, template=name, line=error.lineno) from None
    except (RecursionError, MemoryError):  # the second is how Python's parser says the first
        raise TemplateError("SE407", "the text nests too deeply", fix="Nest it less.", template=name, line=1) from None
    except SyntaxError as error:  # of what Jinja makes of the text: a name twice, loops in twenty others
        message = f"the text cannot be compiled: {_sentence(error.msg)}"
        raise TemplateError("SE405", message, template=name, line=1) from None
    except ValueError:  # sys.set_int_max_str_digits
        raise TemplateError(
            "SE407", "a number is too large", fix="Use smaller numbers.", template=name, line=1
        ) from None


def _render(template: jinja2.Template, context: Mapping[str, object], work: Work) -> str:
    try:
        text = paid_from(work, template.render, context)
        text.encode()
        return text
    except Exception as error:  # an expression may raise whatever its operands raise
        _raise_problem(error)


def _raise_problem(error: Exception) -> NoReturn:
    if isinstance(error, TemplateError) and error.line:  # of a template that is included
        raise error from None
    template, line = "", 0
    frame = error.__traceback__
    while frame is not None:  # the innermost frame of a template says where
        if "__jinja_exception__" in frame.tb_frame.f_globals:
            template, line = frame.tb_frame.f_code.co_filename, frame.tb_lineno
        frame = frame.tb_next
    name, owner = _undefined(error)
    fix = error.fix if isinstance(error, TemplateError) else ""
    code, message = _reason(error)
    raise TemplateError(
        code,
        message,
        fix=fix,
        name=name,
        attribute_of=owner,
        owner=error.owner if isinstance(error, UnknownError) else None,
        template=template,
        line=line,
    ) from None


def _undefined(error: Exception) -> tuple[str, str]:
    """The name that is undefined, and the type that lacks it where it is an attribute; both empty for other errors."""
    if isinstance(error, jinja2.UndefinedError):
        for pattern in (r"'(?P<name>\w+)' is undefined()", r"'(.+?)(?: object)?' has no attribute '(?P<name>.+)'"):
            found = re.fullmatch(pattern, error.message or "", re.DOTALL)
            if found:
                return found["name"], found[1] if found[1] != found["name"] else ""
    return "", ""


def _reason(error: Exception) -> tuple[str, str]:
    """The code and the message for what a rendering raised."""
    if isinstance(error, TemplateError):  # the reader's own
        return error.code, error.message
    if isinstance(error, jinja2.TemplateNotFound):
        return "SE408", f"there is no template '{error.name}'"
    if isinstance(error, RecursionError):
        return "SE407", "macros or templates call each other without end"
    if isinstance(error, UnicodeEncodeError):
        return "SE409", "the rendered text holds half a surrogate pair"
    if isinstance(error, jinja2.TemplateError):
        return "SE409", _sentence(error.message)
    return "SE409", f"rendering fails: {_sentence(str(error))}"


def _sentence(message: str | None) -> str:
    """A message of Jinja's as ours end: its own names of tokens said as they are written, no full stop."""
    text = (message or "it does not render").rstrip(".")
    for token, written in (("begin of print statement", "{{"), ("end of print statement", "}}"), ("template", "text")):
        text = text.replace(token, written)
    return text[:1].lower() + text[1:]
