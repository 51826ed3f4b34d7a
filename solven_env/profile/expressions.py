"""Expansion of a profile's expressions; mistakes in them are told in words for the profile's author."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from solven_env.documents.diagnostics import closest, did_you_mean, quoted
from solven_env.profile import templating
from solven_env.profile.paths import PathError, expand_path
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from solven_env.documents.diagnostics import Location
    from solven_env.documents.document import Document
    from solven_env.profile.templating.spans import Span

_MOST_PLACED = 100
"""The unknown names of one text that have places of their own; of more, all have that of the text."""
_MOST_TRIED = 20
"""The expressions of one text that are expanded once more, to find the one that fails."""


def explain_late(name: str, late: Mapping[str, str]) -> tuple[str, str, str]:
    """Code, message and fix for a text that reads a value which exists when a command runs only, or `secrets`."""
    if name in late:
        message = f"'{name}' is {late[name]}: its value exists when a command runs only, and no file or record holds it"
        return "SE313", message, "Have the program that needs it read it when it runs."
    message = "'secrets' is not defined: secrets exist when a command runs only, and no file or record holds one"
    return "SE313", message, f"Have the program that needs one read it when it runs. {templating.LITERAL}"


def find_late(reads: Collection[str], late: Collection[str]) -> str | None:
    """The first name in `late` that a text reads as a part of `env` or `secrets`, whatever it does without it."""
    return next((name for name in late if f"env.{name}" in reads or f"secrets.{name}" in reads), None)


def explain(
    problem: templating.TemplateError, names: Mapping[str, object], unset: frozenset[str], late: Mapping[str, str]
) -> tuple[str, str, str]:
    """Code, message and fix of a mistake in a template or an expression, which may use `names`.

    The fix may be empty. `late` are names of values that exist when a command runs only, with what they are.
    """
    if problem.name == "secrets" or (problem.name in late and problem.name not in unset):
        return explain_late(problem.name, late)
    if problem.name in unset:
        return (
            "SE402",
            f"the input '{problem.name}' has no value here",
            f"Give it a default, or write {{{{ {problem.name} | default('') }}}}.",
        )
    if problem.attribute_of == "None":
        return (
            "SE403",
            "the profile lacks the section that the expression reads",
            "Add the section 'python' or 'bun', or drop the expression.",
        )
    if problem.attribute_of:
        keys = problem.owner if isinstance(problem.owner, Mapping) else {}
        owner = next((name for name, value in names.items() if value is keys), "what the expression reads")
        return "SE404", f"there is no {quoted(problem.name)} in {owner}", did_you_mean(problem.name, map(str, keys))
    if problem.name:
        known = {*names, *unset}
        fix = did_you_mean(problem.name, known)
        literal = "" if closest(problem.name, known) else f" {templating.LITERAL}"
        return "SE401", f"{quoted(problem.name)} is not defined", fix + literal
    return problem.code, problem.message, problem.fix


def _places_of_names(
    texts: Mapping[str, str], where: Location, written: str, names: frozenset[str]
) -> dict[str, Location]:
    """The place of each of these names in the expression text that begins at `where`: where it stands first."""
    if not 0 < len(names) <= _MOST_PLACED:
        return dict.fromkeys(names, where)
    offsets: dict[str, int] = {}
    for span in _spans(written):
        for name, offset in span.names:
            offsets.setdefault(name, offset)
    return {
        name: _place_within(texts, where, written, offsets[name], len(name)) if name in offsets else where
        for name in names
    }


def _place_within(texts: Mapping[str, str], start: Location, value: str, offset: int, length: int) -> Location:
    from solven_env.documents.scalars import place_within  # here: a valid profile has nothing to place

    return place_within(texts, start, value, offset, length)


def _spans(written: str) -> tuple[Span, ...]:
    from solven_env.profile.templating import spans

    return spans.expressions(written)


def place_of_word(texts: Mapping[str, str], where: Location, written: str, word: str) -> Location:
    """The place of the first `word` in the text that begins at `where`; where it has none, that."""
    offset = written.find(word)
    return where if offset < 0 else _place_within(texts, where, written, offset, len(word))


def place_of_problem(
    texts: Mapping[str, str],
    where: Location,
    written: str,
    problem: templating.TemplateError,
    context: Mapping[str, object],
    again: templating.Work,
) -> Location:
    """The place of what fails in an expression text that begins at `where`: the name, else the expression.

    Of several expressions each is expanded once more, to find the one; `again` is what all that may cost.
    """
    spans = _spans(written)
    if len(spans) > 1:
        tried = spans if len(spans) <= _MOST_TRIED else ()
        fails = (_fails_so(written[each.begin : each.end], problem, context, again) for each in tried)
        span = next((each for each, is_it in zip(tried, fails, strict=True) if is_it), None)
    else:
        span = spans[0] if spans else None
    if span is None:
        return where
    offset = span.offset(problem.name, is_field=bool(problem.attribute_of)) if problem.name else None
    if offset is not None:
        return _place_within(texts, where, written, offset, len(problem.name))
    return _place_within(texts, where, written, span.begin, span.end - span.begin)


def _fails_so(
    expression: str, problem: templating.TemplateError, context: Mapping[str, object], again: templating.Work
) -> bool:
    if again.is_spent:
        return False
    try:
        text = templating.expand(expression, context, again)
    except templating.TemplateError as other:
        return (other.code, other.message) == (problem.code, problem.message)
    return problem.code == "SE410" and "\0" in text


class Expander(NamedTuple):
    """Expands expressions and reports those that fail, whose result is None.

    When the work that all expressions share is used up, this is reported once, and nothing more is expanded.
    """

    document: Document
    context: Mapping[str, object]
    unset: frozenset[str]
    late: Mapping[str, str]
    work: templating.Work
    again: templating.Work
    """For expressions that fail, to find them among others."""

    def text(self, written: str, where: Location) -> str | None:
        """`written` expanded."""
        if self.has_unknown_names(written, where) or self.work.is_spent:
            return None
        try:
            text = templating.expand(written, self.context, self.work)
        except templating.TemplateError as problem:
            self._report(problem, written, where)
            return None
        if "\0" in text:
            message = "the expression gives the character U+0000"
            self._report(templating.TemplateError("SE410", message, fix="No program can take it."), written, where)
            return None
        return text

    def path(self, written: str, where: Location) -> str | None:
        """`written` expanded, each expression within one component of the path."""
        if self.has_unknown_names(written, where) or self.work.is_spent:
            return None
        try:
            return expand_path(written, self.context, self.work)
        except templating.TemplateError as problem:
            self._report(problem, written, where)
        except PathError as problem:
            where = _place_within(self.document.texts, where, written, problem.offset, len("{{"))
            message = f"the path {quoted(written)} {problem}"
            self.document.report("SE501", where, message, "Give the input another value.")
        return None

    def has_unknown_names(self, written: str, where: Location) -> bool:
        """Report unknown names in every branch, also of an entry that `when:` leaves out; True if there are any."""
        try:
            unknown = templating.undeclared(written) - self.context.keys() - self.unset
        except templating.TemplateError as problem:
            self._report(problem, written, where)
            return True
        late = find_late(templating.reads(written), self.late) if self.late else None
        if late is not None:
            code, message, fix = explain_late(late, self.late)
            self.document.report(code, place_of_word(self.document.texts, where, written, late), message, fix)
            return True
        for name, place in _places_of_names(self.document.texts, where, written, unknown).items():
            self._tell(templating.TemplateError("SE401", "", name=name), place)
        return bool(unknown)

    def _report(self, problem: templating.TemplateError, written: str, where: Location) -> None:
        place = place_of_problem(self.document.texts, where, written, problem, self.context, self.again)
        self._tell(problem, place)

    def _tell(self, problem: templating.TemplateError, where: Location) -> None:
        lost = {path[:2] for path in self.document.taken_out} | self.document.unread
        if not {("inputs",), ("inputs", problem.name)} & lost:
            code, message, fix = explain(problem, self.context, self.unset, self.late)
            message += self.document.removal("inputs", problem.name) if code == "SE401" else ""
            self.document.report(code, where, message, fix or "Fix the expression.")
