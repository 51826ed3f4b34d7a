"""Answers of questions about a host, a profile or a thread, as data, and the questions."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Level = Literal["ok", "limited", "broken"]

_About = TypeVar("_About")


class Answer(NamedTuple):
    """The answer to a question. `limited` works with less; `fix` is a command that repairs what is not ok."""

    level: Level
    detail: str
    cause: str = ""
    fix: str = ""


class Question(NamedTuple, Generic[_About]):
    """A question is asked unless the answer to one of those that it `needs` was `broken`, or one of them was not asked.

    `ask` answers None where the question makes no sense. An error of ours or of the system's that it raises is its
    answer: broken.
    """

    name: str
    ask: Callable[[_About], Answer | None]
    needs: tuple[str, ...] = ()


def ok(detail: str) -> Answer:
    """All is well."""
    return Answer("ok", detail)


def limited(detail: str, cause: str = "", fix: str = "") -> Answer:
    """It works with less."""
    return Answer("limited", detail, cause, fix)


def broken(detail: str, cause: str = "", fix: str = "") -> Answer:
    """It does not work."""
    return Answer("broken", detail, cause, fix)


def run(*words: str | Path) -> str:
    """A fix: a command, quoted for a shell.

    >>> run("rm", "a b")
    "Run: rm 'a b'"
    """
    return f"Run: {shlex.join(map(str, words))}"
