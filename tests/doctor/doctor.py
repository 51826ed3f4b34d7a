"""`solven-env doctor` as a user starts it, and what it says, taken apart."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.run.world import World

LEVELS = {"✓": "ok", "!": "limited", "✗": "broken"}
_ANSWER = re.compile(r"  ([✓!✗]) ([^:]+):")


class Told(NamedTuple):
    """Each answer's level and lines, by question: of one that was asked twice the last."""

    code: int
    text: str
    answers: dict[str, tuple[str, list[str]]]

    def level(self, question: str) -> str:
        return self.answers[question][0]

    def cause(self, question: str) -> str:
        """What stands on the answer's line and the two after it."""
        return " ".join(line.strip() for line in self.answers[question][1][:3])

    def fix(self, question: str) -> str:
        return " ".join(line.strip() for line in self.answers[question][1])

    def broken(self) -> set[str]:
        return {question for question, (level, _) in self.answers.items() if level == "broken"}


def doctor(
    world: World, *arguments: str, only: Iterable[str] = (), prefix: tuple[str, ...] = (), **environ: Any
) -> Told:
    """Ask all questions, or `only` some, in a process of its own. Whatever is broken: no traceback, a line for each finding, its cause and its fix,
    a fix for each ✗, and 1 only where a ✗ stands.
    """
    chosen = [word for name in only for word in ("--only", name)]
    done = world.cli("doctor", *arguments, *chosen, prefix=prefix, **environ)
    text = done.stdout.decode()
    assert b"Traceback" not in done.stdout + done.stderr, text + done.stderr.decode()
    assert "the probe itself failed" not in text
    told = Told(done.returncode, text + done.stderr.decode(), answers(text))
    assert told.answers, told.text
    assert told.code == (1 if told.broken() else 0), told.text
    for question in told.broken():
        assert 2 <= len(told.answers[question][1]) <= 3, told.text
    return told


def applied(world: World, thread: str, profile: Path | None = None) -> None:
    """A thread on the world's own host: `World.apply` is for tests that are on it themselves."""
    done = world.cli("apply", str(profile or world.profile), thread)
    assert done.returncode == 0, done.stderr


def answers(text: str) -> dict[str, tuple[str, list[str]]]:
    """The level and the lines of each answer, by its question."""
    found: dict[str, tuple[str, list[str]]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        answer = _ANSWER.match(line)
        if answer:
            lines = [line]
            found[answer[2]] = (LEVELS[answer[1]], lines)
        elif line.startswith("    "):
            lines.append(line)
        else:
            lines = []
    return found


@contextmanager
def edited(path: Path, text: str) -> Iterator[None]:
    """The file with another text, and afterwards as it was."""
    before = path.read_bytes()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Nothing at a path, and afterwards what was there."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            path.rmdir()
        aside.rename(path)
