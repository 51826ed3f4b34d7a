"""Questions and their answers, as data; asking them so that one that breaks leaves the others alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from solven_env.documents.answers import Answer, Question, broken, run
from solven_env.errors import DocumentError, SolvenError, counted
from solven_env.system.failures import failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Subject = Literal["host", "profile", "thread"]

_END = 500
"""Characters of either end of an answer that are told."""

_About = TypeVar("_About")


class Finding(NamedTuple):
    """An answer, to which question, about what."""

    subject: Subject
    question: str
    answer: Answer


def told(error: SolvenError) -> Answer:
    """An error of ours as an answer."""
    if isinstance(error, DocumentError):
        count = len(error.diagnostics)
        return broken(f"{counted(count, 'mistake')} in the {error.what}", str(error))
    return broken(error.message, error.location, error.fix)


def needed(names: Iterable[str], questions: Iterable[Question[Any]]) -> frozenset[str]:
    """`names`, and the names of all that these questions need, directly or through others.

        >>> sorted(needed(["bun"], [Question("uv", print), Question("bun", print, needs=("uv",))]))
        ['bun', 'uv']

    A need that is none of `questions` is left out.
    """
    needs = {question.name: question.needs for question in questions}
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in needs and name not in found:
            found.add(name)
            left += needs[name]
    return frozenset(found)


def ask_all(
    subject: Subject, questions: Sequence[Question[_About]], about: _About, failed: set[str]
) -> Iterator[Finding | str]:
    """The finding of each question in their order; the name alone of one that is not asked, since it needs another.

    `failed` holds the names of those that were broken or not asked before, and gets these.
    """
    for question in questions:
        if failed.intersection(question.needs):
            failed.add(question.name)
            yield question.name
            continue
        answer = _ask(question, about)
        if answer is None:
            continue
        if answer.level == "broken":
            failed.add(question.name)
        yield Finding(subject, question.name, answer)


def _ask(question: Question[_About], about: _About) -> Answer | None:
    answer = _answer(question, about)
    return answer and answer._replace(detail=_shortened(answer.detail), cause=_shortened(answer.cause))


def _shortened(text: str) -> str:
    """The two ends of what is long: an agent may have written it."""
    return text if len(text) <= 2 * _END else f"{text[:_END]} … {text[-_END:]}"


def _answer(question: Question[_About], about: _About) -> Answer | None:
    try:
        return question.ask(about)
    except SolvenError as error:
        return told(error)
    except OSError as error:
        where = str(error.filename or "")
        answer = told(failure(SolvenError, where, error))
        return answer if answer.fix or not where else answer._replace(fix=run("ls", "-ld", where))
    except Exception as error:
        # Half of the system may be broken, in ways that nobody thought of: the others are still to be asked.
        return broken("it cannot be told", f"{type(error).__name__}: {error}", "Report it, with this line.")
