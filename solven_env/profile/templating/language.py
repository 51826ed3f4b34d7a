"""Jinja, held to what `functions` lists and to what `work` allows.

The syntax tree of a text is woven through with payments before it is compiled: each part that can run by itself (a
template, a block, a macro, a loop's body) pays for its steps when it runs, and what is written, joined, compared, cut
or called pays for the size of its values. Nothing is computed while a text is compiled.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import jinja2
import jinja2.sandbox
from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.filters import _GroupTuple
from jinja2.lexer import TOKEN_DATA, TOKEN_STRING, Lexer, TokenStream
from jinja2.runtime import BlockReference, LoopContext, TemplateReference
from jinja2.utils import Cycler, Namespace, missing
from jinja2.visitor import NodeTransformer

from solven_env.profile.templating.functions import (
    FILTERED,
    GLOBALS,
    LISTED,
    METHODS,
    NEVER_THE_SAME,
    TESTED,
    as_text,
    pay_call,
    plain,
    printed,
)
from solven_env.profile.templating.problem import TemplateError
from solven_env.profile.templating.quoting import dumped
from solven_env.profile.templating.work import STEP, bits, spend, weigh

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jinja2.compiler import Frame
    from jinja2.lexer import Token
    from jinja2.runtime import Context

MAX_TEXT = 256 << 10
"""The characters of a text with expressions, and of a template."""

MAX_TOKENS = 10_000
MAX_BRACKETS = 40
MAX_DEPTH = 60
"""Of the syntax tree. Python itself takes 200 parentheses."""

_NODES = frozenset({
    # statements
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Macro, nodes.CallBlock,
    nodes.FilterBlock, nodes.With, nodes.Block, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends,
    nodes.Assign, nodes.AssignBlock, nodes.NSRef,
    # expressions
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr,
    nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare,
    nodes.Operand, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Add, nodes.Sub, nodes.Mod, nodes.Pow, nodes.And,
    nodes.Or, nodes.Not, nodes.Neg, nodes.Pos,
})  # fmt: skip

_INCLUDED = 20
"""The steps that it takes to begin a template that another one includes."""

_BRACKETS = {"lparen": 1, "lbracket": 1, "lbrace": 1, "rparen": -1, "rbracket": -1, "rbrace": -1}


def _pay(steps: int) -> bool:
    spend(steps * STEP)
    return True


def _weighed(value: object) -> object:
    spend(weigh(value))
    return value


def _joined(pieces: Iterable[object]) -> str:
    return _concat(map(as_text, pieces))


def _concat(pieces: Iterable[str]) -> str:
    """Texts joined, whose length is paid for first."""
    texts = list(pieces)
    spend(sum(map(len, texts)))
    return "".join(texts)


@jinja2.pass_context  # with a context, constants are not written out while a text is compiled
def _written(_context: Context, value: object) -> str:
    return value if type(value) is str else as_text(value)


def _counted(tokens: Iterable[Token], name: str) -> Iterator[Token]:
    """The tokens of a text, which end where it has too many of them, or brackets in brackets."""
    open_brackets = 0
    for count, token in enumerate(tokens):
        open_brackets += _BRACKETS.get(token.type, 0)
        if count == MAX_TOKENS:
            message = f"the text has over {MAX_TOKENS} words and signs in its expressions"
            raise TemplateError("SE407", message, fix="Make it smaller.", template=name, line=token.lineno)
        if open_brackets > MAX_BRACKETS:
            message = f"the text nests more than {MAX_BRACKETS} brackets"
            raise TemplateError("SE407", message, fix="Nest them less.", template=name, line=token.lineno)
        yield token


_OF_JINJA = (LoopContext, Namespace, Cycler, BlockReference, TemplateReference, jinja2.environment.TemplateModule)


class _Lexer(Lexer):
    """Jinja's lexer, but for the ends of lines, which stay as a text has them: Jinja makes all of them one."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        tokens = super().tokeniter(source, name, filename, state)
        if "\r" not in source:
            yield from tokens
            return
        ends = _LINE_END.findall(source)
        for line, token, text in tokens:
            yield line, token, _with_ends(text, ends[line - 1 :]) if token in (TOKEN_DATA, TOKEN_STRING) else text

    def _normalize_newlines(self, value: str) -> str:
        return value


_LEXERS: dict[str, _Lexer] = {}
"""The lexers, by what begins a statement."""
_LINE_END = re.compile(r"\r\n|\r|\n")


def _with_ends(text: str, ends: list[str]) -> str:
    """`text` with these ends of lines, in their order."""
    first, *lines = text.split("\n")
    return first + "".join(map(str.__add__, ends, lines))


class _Generator(CodeGenerator):
    """Writes what is woven in. Jinja lets nobody add types of nodes: two that autoescaping alone uses stand for it."""

    def visit_MarkSafe(self, node: nodes.MarkSafe, frame: Frame) -> None:  # noqa: N802
        self._call("weighed", node.expr, frame)

    def visit_MarkSafeIfAutoescape(self, node: nodes.MarkSafeIfAutoescape, frame: Frame) -> None:  # noqa: N802
        self._call("pay", node.expr, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self._call("joined", nodes.Tuple(node.nodes, "load"), frame)

    def _call(self, name: str, argument: nodes.Expr, frame: Frame) -> None:
        self.write(f"environment.{name}(")
        self.visit(argument, frame)
        self.write(")")


class UnknownError(jinja2.UndefinedError):
    """Something undefined was used. `owner` is the value that lacks it, if it is an attribute."""

    def __init__(self, owner: object, message: str) -> None:
        super().__init__(message)
        self.owner = owner


class _Undefined(jinja2.StrictUndefined):
    """Jinja's value for what is not defined; its error holds the value whose attribute was asked for."""

    __repr__ = jinja2.StrictUndefined.__str__  # as text, a list shows what it holds so

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = jinja2.UndefinedError
    ) -> None:
        if exc is jinja2.UndefinedError:
            exc = functools.partial(UnknownError, obj)
        super().__init__(hint, obj, name, exc)


class Language(jinja2.sandbox.SandboxedEnvironment):
    """The environment of expressions and templates."""

    intercepted_binops = frozenset(jinja2.sandbox.SandboxedEnvironment.default_binop_table)
    code_generator_class = _Generator
    concat = staticmethod(_concat)
    pay, weighed, joined = staticmethod(_pay), staticmethod(_weighed), staticmethod(_joined)

    def __init__(self) -> None:
        super().__init__(
            undefined=_Undefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            optimized=False,  # it would compute constants, and takes seconds for a long sum
            finalize=_written,
        )
        self.policies["json.dumps_function"] = dumped  # of `tojson`
        self.filters = dict(FILTERED)
        self.tests = dict(TESTED)
        self.globals = dict(GLOBALS)

    @property
    def lexer(self) -> Lexer:
        """One lexer for each of the two languages: an overlay copies what its environment has."""
        found = _LEXERS.get(self.block_start_string)
        if found is None:
            _LEXERS[self.block_start_string] = found = _Lexer(self)
        return found

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        tokens = super()._tokenize(source, name, filename, state)
        brackets = sum(map(source.count, "([{")) - 2 * source.count("{{") - source.count("{%")
        if len(source) <= MAX_TOKENS and brackets <= MAX_BRACKETS:  # as nearly all are: counting takes a while
            return tokens
        return TokenStream(_counted(tokens, name or ""), name, filename)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_TEXT:
            raise TemplateError(
                "SE407",
                f"the text has over {MAX_TEXT >> 10} KiB",
                fix="Make it smaller, or a `source:`.",
                template=name or "",
                line=1,
            )
        tree = super()._parse(source, name, filename)
        _Weaver(name or "").visit(tree)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, _value: Any) -> bool:
        """True if a text may read an attribute: a listed method of a value, or one of Jinja's own objects."""
        if isinstance(obj, _OF_JINJA):
            return not attr.startswith("_")
        if isinstance(obj, _GroupTuple):
            return attr in ("grouper", "list")
        return attr in METHODS.get(type(obj), ())

    def wrap_str_format(self, _value: Any) -> None:
        """Let `format` be a method like others: one that is not listed."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The value of `obj[argument]`, and for filters that of `obj.argument`."""
        spend(STEP + (weigh(argument) if isinstance(argument, tuple) else 0))  # a tuple is hashed
        return super().getitem(obj, argument)

    def call(__self, __context: Context, __obj: Any, *args: Any, **options: Any) -> Any:  # noqa: N805
        """Call a function, a method or a macro."""
        given = {name: value for name, value in options.items() if name not in ("_loop_vars", "_block_vars")}
        pay_call(__obj, args, given)
        return plain(super().call(__context, __obj, *args, **options))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator with two values."""
        if operator == "%" and isinstance(left, str):
            spend(printed(left, right))
        elif operator == "*":
            spend(_repeated(left, right) + _repeated(right, left))
        elif operator == "+":
            spend(_length(left) + _length(right))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int) and right > 0:
            bits(1 << min(left.bit_length() * right, 1 << 20))
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int):
            bits(result)
        return result


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return STEP * len(value) if isinstance(value, list | tuple) else 0


def _repeated(value: object, times: object) -> int:
    return _length(value) * max(times, 0) if isinstance(times, int) else 0


class _Weaver(NodeTransformer):
    """Weaves payments into a syntax tree, and refuses what is not listed."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._depth = 0
        self._steps = 0

    def visit(self, node: nodes.Node, *args: Any, **options: Any) -> Any:
        if type(node) not in _NODES:
            raise self._refusal("SE406", node, "this statement is not supported", LISTED)
        if self._depth == MAX_DEPTH:
            raise self._refusal("SE407", node, f"the text nests more than {MAX_DEPTH} levels deep", "Nest it less.")
        self._steps += 1
        self._depth += 1
        woven = super().visit(node, *args, **options)
        self._depth -= 1
        return woven

    def visit_Template(self, node: nodes.Template) -> nodes.Node:  # noqa: N802
        return self._with_paying_body(node)

    visit_Block = visit_Macro = visit_CallBlock = visit_Template  # noqa: N815

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        test, node.test = node.test, None
        self._with_paying_body(node)
        if test is not None:
            steps, (woven,) = self._apart([test])
            node.test = nodes.And(self._payment(steps, node), woven, lineno=node.lineno)
        return node

    def visit_Include(self, node: nodes.Include) -> nodes.Node:  # noqa: N802
        self._steps += _INCLUDED
        return self.generic_visit(node)

    visit_Import = visit_FromImport = visit_Include  # noqa: N815

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        if node.ctx == "load":
            self._look_at_name(node)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self._look_at_name(node)
        if node.name not in FILTERED:
            raise self._refusal("SE406", node, f"no filter named '{node.name}'", LISTED)
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name not in TESTED:
            raise self._refusal("SE406", node, f"no test named '{node.name}'", LISTED)
        return self.generic_visit(node)

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        if isinstance(node.value, int):
            try:
                bits(node.value)
            except TemplateError as problem:
                raise self._refusal(problem.code, node, problem.message, problem.fix) from None
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = self._weighed(node.expr)
        for operand in node.ops:
            operand.expr = self._weighed(operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.key = self._weighed(node.key)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = nodes.MarkSafe(node.node, lineno=node.lineno)  # a constant too: Python warns of 1[0:2]
        return node

    def _with_paying_body(self, node: Any) -> nodes.Node:
        body, node.body = node.body, []
        self.generic_visit(node)
        steps, body = self._apart(body)
        node.body = [nodes.ExprStmt(self._payment(steps, node), lineno=node.lineno), *body]
        return node  # type: ignore[no-any-return]

    def _apart(self, parts: list[Any]) -> tuple[int, list[Any]]:
        """A part that runs by itself, woven, and its steps, which the parts around it do not count."""
        outside, self._steps = self._steps, 1
        woven = [self.visit(part) for part in parts]
        steps, self._steps = self._steps, outside
        return steps, woven

    def _payment(self, steps: int, node: nodes.Node) -> nodes.Expr:
        return nodes.MarkSafeIfAutoescape(nodes.Const(steps), lineno=node.lineno)

    def _weighed(self, node: nodes.Expr) -> nodes.Expr:
        is_small = isinstance(node, nodes.Const) and len(str(node.value)) <= STEP
        return node if is_small else nodes.MarkSafe(node, lineno=node.lineno)

    def _look_at_name(self, node: nodes.Name | nodes.Filter) -> None:
        if node.name in NEVER_THE_SAME:
            message = f"'{node.name}' would render differently each time"
            raise self._refusal("SE406", node, message, "Write a value, or make it an input.")

    def _refusal(self, code: str, node: nodes.Node, message: str, fix: str = "") -> TemplateError:
        line = node.lineno or next((child.lineno for child in node.iter_child_nodes() if child.lineno), 1)
        return TemplateError(code, message, fix=fix, template=self._template, line=line)


@functools.cache
def templates() -> Language:
    """The language of templates: all statements."""
    return Language()


@functools.cache
def expressions() -> jinja2.Environment:
    """The language of texts in a profile, where nothing but `{{ }}` is special."""
    return templates().overlay(
        block_start_string="\0%", block_end_string="%\0", comment_start_string="\0#", comment_end_string="#\0"
    )
