"""Asking about a host, a profile and a thread, in this order, and telling what was not asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from solven_env.doctor import basics, declared, host, inside, outside, questions, shells, supplies, surroundings
from solven_env.doctor.questions import Question
from solven_env.errors import WorkspaceError
from solven_env.profile.source import find_profile
from solven_env.report import DoctorReport, ThreadReport, thread_report
from solven_env.state.storage_root import StorageRoot
from solven_env.threads import known
from solven_env.threads.thread import Thread
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from solven_env.doctor.questions import Answer, Finding

PYTHON = "3.12"
"""The interpreter that is looked for where no thread and no profile says which: a profile's own default."""


_HOST = (*host.QUESTIONS, *basics.QUESTIONS, *supplies.QUESTIONS)
_INSIDE = (*inside.QUESTIONS, *shells.QUESTIONS, *surroundings.QUESTIONS)


class Examination:
    """What a doctor is asked about, as the caller named it, and what is known of the thread in the end."""

    def __init__(self, named: str | None, profile: str | Path | None, storage: str | Path | None) -> None:
        """UsageError for what is no thread's id and for a profile that is not there."""
        self.named = None if named is None else storages.thread_id(named)
        self.profile = profile
        self.source = None if profile is None else find_profile(profile)
        self.storage = storage
        self.asked: outside.Asked | None = None

    def report(self, progress: Callable[[Finding], None]) -> DoctorReport:
        """Ask everything; `progress` is told each finding as it is made."""
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
        elif self.named is not None:
            yield ThreadReport(self.named, "new" if self.asked is not None and self.asked.is_new else "failed", 0)

    def findings(self) -> Iterator[Finding | str]:
        """Every finding, and by its name alone each question that was not asked, since what it needs is broken."""
        here = host.Host.find()
        failed: set[str] = set()
        yield from questions.ask_all("host", (*_HOST, *self.own_questions()), here, failed)
        if self.source is not None:
            sought = declared.Sought(str(self.profile), self.source, here)
            yield from questions.ask_all("profile", declared.QUESTIONS, sought, failed)
        if self.named is None:
            return
        if failed & {"configuration", "storage"}:
            yield from _names(outside.QUESTIONS, _INSIDE)
            return
        sought_by = (
            None if self.source is None or "profile" in failed else outside.Wanted(str(self.profile), self.source)
        )
        self.asked = outside.Asked(Thread.find(self.named, self.storage), here, sought_by)
        yield from questions.ask_all("thread", outside.QUESTIONS, self.asked, failed)
        if self.asked.lacks_builds or failed & {"record", "workspace", "builds"}:
            yield from _names(_INSIDE)
            return
        yield from questions.ask_all("thread", _INSIDE, inside.Inside(self.asked), failed)

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


def _names(*tables: tuple[Question[outside.Asked], ...] | tuple[Question[inside.Inside], ...]) -> Iterator[str]:
    for table in tables:
        for question in table:
            yield question.name
