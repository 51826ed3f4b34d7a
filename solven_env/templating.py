"""The sandboxed Jinja environments and the filters that quote values for shell, TOML and JSON.

Two kinds of text are rendered. A *template* is a file with all of Jinja. An *expression text* is a string in a profile:
only `{{ }}` is special there, so that shell text such as `${#name}` and `{%` stays as it is.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, NoReturn

import jinja2
import jinja2.meta
import jinja2.sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

_TOML_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


# Jinja makes every line end a "\n" (newline_sequence). U+0000 occurs in no profile: documents/ refuses it.
_RETURN = "\0r"


class TemplateError(Exception):
    """A text does not render.

    `name` is what is undefined, if that is why, and `attribute_of` the type that lacks it, where it is an attribute;
    `line` counts from 1, 0 if not known. `fix` says how to mend it, where that is more than writing another text.
    """

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        name: str = "",
        attribute_of: str = "",
        template: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.name = name
        self.attribute_of = attribute_of
        self.template = template
        self.line = line


def shell(value: object) -> str:
    """`value` as one word of a POSIX shell, always in single quotes (POSIX.1-2024, XCU 2.2.2)."""
    return "'" + str(value).replace("'", "'\\''") + "'"


def toml(value: object) -> str:
    """`value` as a basic string of TOML 1.0: control characters and DEL are escaped."""

    def escape(char: str) -> str:
        if char in _TOML_ESCAPES:
            return _TOML_ESCAPES[char]
        return f"\\u{ord(char):04X}" if ord(char) < 0x20 or ord(char) == 0x7F else char

    return '"' + "".join(map(escape, str(value))) + '"'


def as_json(value: object) -> str:
    """`value` as JSON (RFC 8259), in ASCII, so that no reader stumbles over U+2028."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises what says its name; json's own error does not
    return json.dumps(value)


def expand(text: str, context: Mapping[str, object]) -> str:
    """`text` with its `{{ }}` expressions replaced. Raises `TemplateError`."""
    if "{{" not in text:
        return text
    return _render(_expression(text.replace("\r", _RETURN)), context).replace(_RETURN, "\r")


def undeclared(text: str) -> frozenset[str]:
    """The names that the `{{ }}` expressions of `text` take from outside. Raises `TemplateError`."""
    if "{{" not in text:
        return frozenset()
    return _undeclared(text.replace("\r", _RETURN))


def render(name: str, read: Callable[[str], str | None], context: Mapping[str, object]) -> str:
    """The template `name` rendered. `read` gives a template's text by its name, or None. Raises `TemplateError`."""
    text = read(name)
    if text is None:
        raise TemplateError(f"there is no template '{name}'", template=name)
    environment = _template_environment().overlay(loader=jinja2.FunctionLoader(lambda wanted: _source(wanted, read)))
    return _render(_load(environment, _template_code(text, name)), context)


def _source(name: str, read: Callable[[str], str | None]) -> tuple[str, str, None]:
    text = read(name)
    if text is None:
        raise jinja2.TemplateNotFound(name)
    return text, name, None  # the second is what an error calls the file


@functools.cache
def _template_environment() -> jinja2.sandbox.SandboxedEnvironment:
    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {"shell": shell, "toml": toml, "json": as_json}
    return environment


@functools.cache
def _expression_environment() -> jinja2.sandbox.SandboxedEnvironment:
    return _template_environment().overlay(
        block_start_string="\0%", block_end_string="%\0", comment_start_string="\0#", comment_end_string="#\0"
    )


def _compile(environment: jinja2.Environment, text: str, name: str) -> CodeType:
    try:
        return environment.compile(text, name=name, filename=name)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(_sentence(error.message), template=name, line=error.lineno) from None


def _load(environment: jinja2.Environment, code: CodeType) -> jinja2.Template:
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


@functools.lru_cache(maxsize=256)
def _template_code(text: str, name: str) -> CodeType:
    return _compile(_template_environment(), text, name)


@functools.lru_cache(maxsize=1024)
def _expression(text: str) -> jinja2.Template:
    environment = _expression_environment()
    return _load(environment, _compile(environment, text, ""))


@functools.lru_cache(maxsize=1024)
def _undeclared(text: str) -> frozenset[str]:
    environment = _expression_environment()
    try:
        names = jinja2.meta.find_undeclared_variables(environment.parse(text))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(_sentence(error.message), line=error.lineno) from None
    return frozenset(names - environment.globals.keys())


def _render(template: jinja2.Template, context: Mapping[str, object]) -> str:
    try:
        text = template.render(context)
        text.encode()
        return text
    except Exception as error:  # an expression may raise whatever its operands raise
        _raise_problem(error)


def _raise_problem(error: Exception) -> NoReturn:
    template, line = "", 0
    frame = error.__traceback__
    while frame is not None:  # the innermost frame of a template says where
        if "__jinja_exception__" in frame.tb_frame.f_globals:
            template, line = frame.tb_frame.f_code.co_filename, frame.tb_lineno
        frame = frame.tb_next
    if isinstance(error, jinja2.TemplateSyntaxError):
        raise TemplateError(_sentence(error.message), template=error.name or "", line=error.lineno) from None
    name, owner = _undefined(error)
    fix = error.fix if isinstance(error, TemplateError) else ""
    raise TemplateError(_reason(error), fix=fix, name=name, attribute_of=owner, template=template, line=line) from None


def _undefined(error: Exception) -> tuple[str, str]:
    """The name that is undefined, and the type that lacks it where it is an attribute; both empty for other errors."""
    if isinstance(error, jinja2.UndefinedError):
        for pattern in (r"'(?P<name>\w+)' is undefined()", r"'(.+?)(?: object)?' has no attribute '(?P<name>.+)'"):
            found = re.fullmatch(pattern, error.message or "", re.DOTALL)
            if found:
                return found["name"], found[1] if found[1] != found["name"] else ""
    return "", ""


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateError):  # the reader's own
        return error.message
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template '{error.name}'"
    if isinstance(error, UnicodeEncodeError):
        return "the rendered text holds half a surrogate pair"
    if isinstance(error, jinja2.TemplateError):
        return _sentence(error.message)
    return f"rendering fails: {_sentence(str(error))}"


def _sentence(message: str | None) -> str:
    """A message of Jinja's as ours end: its own names of tokens said as they are written, no full stop."""
    text = (message or "it does not render").rstrip(".")
    for token, written in (("begin of print statement", "{{"), ("end of print statement", "}}"), ("template", "text")):
        text = text.replace(token, written)
    return text[:1].lower() + text[1:]
