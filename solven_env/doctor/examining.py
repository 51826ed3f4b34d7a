"""Asking about a host, a profile and a thread, in this order: everything, or selected questions and what they need."""

from __future__ import annotations

import difflib
import os
from itertools import chain
from typing import TYPE_CHECKING, Any

from solven_env.doctor import basics, declared, host, inside, outside, questions, shells, supplies, surroundings
from solven_env.documents.answers import Question
from solven_env.errors import UsageError, WorkspaceError
from solven_env.profile.source import find_profile
from solven_env.report import DoctorReport, ThreadReport, thread_report
from solven_env.state.storage_root import StorageRoot
from solven_env.system import names
from solven_env.threads import known
from solven_env.threads.thread import Thread
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from solven_env.doctor.questions import Finding
    from solven_env.documents.answers import Answer

PYTHON = "3.12"
"""The interpreter that is looked for where no thread and no profile says which: a profile's own default."""
_NEAR = 3
"""Names that are listed for one that is unknown, at most."""

_INSIDE = (*inside.QUESTIONS, *shells.QUESTIONS, *surroundings.QUESTIONS)


class Examination:
    """The subjects and questions that the caller named, and what is known about the thread."""

    def __init__(
        self,
        named: str | None,
        profile: str | Path | None,
        storage: str | Path | None,
        only: Sequence[str] = (),
    ) -> None:
        """Prepare to ask the questions `only`, or all of them; nothing is asked yet.

        UsageError for what is no thread's id, for a profile that is not there, for an unknown question, and for a
        question about a profile or a thread where none is named.
        """
        self.named = None if named is None else names.thread_id(named)
        self.profile = profile
        self.source = None if profile is None else find_profile(profile)
        self.storage = storage
        self.asked: outside.AskedThread | None = None
        self.host = (*host.QUESTIONS, *basics.QUESTIONS, *supplies.questions(), *self.own_questions())
        self.selected = self._select(only) if only else None

    def _select(self, only: Sequence[str]) -> frozenset[str]:
        """The names in `only`, and of all that they need."""
        here, about_profile = _names(self.host), _names(declared.QUESTIONS)
        about_thread = _names(outside.QUESTIONS) | _names(_INSIDE)
        for name in only:
            if name not in here | about_profile | about_thread:
                raise UsageError(f"unknown question {name!r}", fix=_near(name, here | about_profile | about_thread))
            if name in about_profile and self.source is None:
                raise UsageError(f"the question {name!r} is about a profile", fix="Name one: --profile PROFILE.")
            if name in about_thread - here and self.named is None:
                raise UsageError(f"the question {name!r} is about a thread", fix="Name one: solven-env doctor THREAD.")
        tables: list[Iterable[Question[Any]]] = [self.host]
        if self.source is not None:
            tables.append(declared.QUESTIONS)
        if self.named is not None:
            tables += [outside.QUESTIONS, _INSIDE]
        selected = questions.needed(only, chain(*tables))
        if self.source is not None and self.named is not None and selected & about_thread:
            selected |= {"profile"}  # the thread is held against it where it is valid
        return selected

    def _chosen(self, table: Sequence[Question[Any]]) -> tuple[Question[Any], ...]:
        """The questions of a table that are asked."""
        return tuple(question for question in table if self.selected is None or question.name in self.selected)

    def report(self, progress: Callable[[Finding], None]) -> DoctorReport:
        """Ask; `progress` is told each finding as it is made."""
        findings: list[Finding] = []
        not_asked: list[str] = []
        for found in self.findings():
            if isinstance(found, str):
                not_asked.append(found)
            else:
                findings.append(found)
                progress(found)
        return DoctorReport(tuple(self._threads()), tuple(findings), tuple(not_asked))

    def _threads(self) -> Iterator[ThreadReport]:
        if self.asked is not None and self.asked.drift is not None:
            yield thread_report(self.asked.drift)
        elif self.named is not None and self._chosen((outside.DRIFT,)):
            yield ThreadReport(self.named, "new" if self.asked is not None and self.asked.is_new else "failed", 0)

    def findings(self) -> Iterator[Finding | str]:
        """Every finding, and by its name alone each question that was not asked, since what it needs is broken."""
        here = host.Host.find()
        failed: set[str] = set()
        yield from questions.ask_all("host", self._chosen(self.host), here, failed)
        sought = None
        if self.source is not None:
            sought = declared.AskedProfile(str(self.profile), self.source, here)
            yield from questions.ask_all("profile", self._chosen(declared.QUESTIONS), sought, failed)
        from_outside, from_inside = self._chosen(outside.QUESTIONS), self._chosen(_INSIDE)
        if self.named is None or not from_outside:  # what is asked inside needs answers from outside
            return
        if failed & {"configuration", "storage"}:
            yield from (question.name for question in (*from_outside, *from_inside))
            return
        wanted = None if "profile" in failed else sought
        self.asked = outside.AskedThread(Thread.find(self.named, self.storage), here, wanted)
        yield from questions.ask_all("thread", from_outside, self.asked, failed)
        if self.asked.lacks_builds or failed & {"record", "workspace", "builds"}:
            yield from (question.name for question in from_inside)
            return
        yield from questions.ask_all("thread", from_inside, inside.Inside(self.asked), failed)

    def own_questions(self) -> Iterator[Question[host.Host]]:
        """The questions about the host that depend on what was named."""

        def storage(here: host.Host) -> Answer:
            asked = storages.locate(self.storage, os.environ, here.config)
            answer = supplies.directory(asked.root, WorkspaceError)
            if answer.level != "broken":  # one that does not answer would have this hang
                known.find(here.data, StorageRoot(asked.root), asked)  # whose error is the answer
            return answer

        def python(here: host.Host) -> Answer:
            return supplies.python(PYTHON, here, is_needed=False)

        def uids(here: host.Host) -> Answer | None:
            return supplies.uids_of_threads(storages.locate(self.storage, os.environ, here.config).root, here)

        yield Question("storage", storage, ("configuration",))
        yield Question("uids", uids, ("storage", "namespaces", "cache", "data"))
        if self.named is None and self.profile is None:
            yield Question("python", python, ("uv",))


def _names(table: Iterable[Question[Any]]) -> set[str]:
    return {question.name for question in table}


def _near(name: str, known: Iterable[str]) -> str:
    """A fix that lists the questions whose names are like `name`."""
    names = sorted(known)
    near = [each for each in names if name.lower() in each.lower()]
    near = near or difflib.get_close_matches(name, names, n=_NEAR)
    return f"Did you mean {' or '.join(map(repr, near[:_NEAR]))}?" if near else f"Questions: {', '.join(names)}."
