"""Runs every attack as root and as an ordinary user, and holds the table of docs/isolation.md against the run.

    python -m tests.hostile [--write] [--list]     (scripts/hostile)

An ordinary user runs it as that user alone, whose columns are then all that is compared.

How many tries there are of each class must be as on the page, on every machine, and none may get out. How many of them
could be tried depends on the kernel, its modules and devices: it must be as on the page where the kernel is the page's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.hostile.attacks import Attack
from tests.sandbox.running import ROOT
from tests.sandbox.test_unprivileged import CHECKOUT, run_as_user

WORKERS = str(len(os.sched_getaffinity(0)) * 3 // 2)
"""As many as scripts/test has: more than processors, since much of a test's time is waiting."""
PAGE = CHECKOUT / "docs/isolation.md"
BEGIN, END = "<!-- scripts/hostile writes from here -->", "<!-- to here -->"
USERS = ("root", "user") if ROOT else ("user",)
HEAD = (
    "| class of attack | as root: tried | held | as a user: tried | held |",
    "|---|---|---|---|---|",
)


class Counted(NamedTuple):
    """Of one class, and one who starts the commands: how many tries there are, were made here, and were held."""

    known: int
    tried: int
    held: int

    def told(self) -> str:
        """Two columns of the table."""
        tried = str(self.tried) if self.tried == self.known else f"{self.tried} of {self.known}"
        return f"{tried} | {self.held}"


NONE = Counted(0, 0, 0)
Table = dict[str, dict[str, Counted]]
"""By class, then by who starts the commands."""


def attack(who: str) -> tuple[list[Attack], str]:
    """Run the marked tests; how each try came out, and what pytest says when one has failed."""
    with tempfile.TemporaryDirectory(prefix="solven-hostile-") as home:
        found = Path(home) / "attacks.json"
        line = [sys.executable, "-m", "pytest", "-q", "-n", WORKERS, "-m", "attack", "--tb=short", "-p", "no:syrupy"]
        line += ["-p", "tests.hostile.attacks", f"--attacks={found}", "tests/hostile", "tests/sandbox", "tests/run"]
        if who == "user" and ROOT:
            done = run_as_user(line, home)
        else:
            done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        made = [Attack(*each) for each in json.loads(found.read_text())] if found.exists() else []
    return made, "" if done.returncode == 0 and made else done.stdout[-20_000:] + done.stderr[-5_000:]


def count(attacks: list[Attack]) -> dict[str, Counted]:
    outcomes = Counter((each.kind, each.outcome) for each in attacks)
    made = {}
    for kind in sorted({each.kind for each in attacks}):
        held, gone, untried = (outcomes[kind, outcome] for outcome in ("held", "open", "untried"))
        made[kind] = Counted(held + gone + untried, held + gone, held)
    return made


def write_table(table: Table, kernel: str) -> str:
    """The region of the page."""
    columns = [[counted.get(who, NONE) for counted in table.values()] for who in ("root", "user")]
    rows = [*zip(table, *columns, strict=True), ("**all**", total(columns[0]), total(columns[1]))]
    lines = [f"| {kind} | {root.told()} | {user.told()} |" for kind, root, user in rows]
    return "\n".join([BEGIN, "", *HEAD, *lines, "", f"Linux {kernel}.", "", END])


def total(column: list[Counted]) -> Counted:
    return Counted(
        sum(each.known for each in column), sum(each.tried for each in column), sum(each.held for each in column)
    )


def read_table(page: str) -> tuple[Table, str]:
    """The way back: the table on the page, and its kernel."""
    region = page[page.index(BEGIN) : page.index(END)]
    table: Table = {}
    for line in region.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and re.match(r"\d", cells[1]):
            table[cells[0]] = {who: _counted(*cells[at : at + 2]) for who, at in (("root", 1), ("user", 3))}
    table.pop("**all**", None)
    found = re.search(r"(?m)^Linux (.+)\.$", region)
    return table, found[1] if found else ""


def _counted(tried: str, held: str) -> Counted:
    made, _, known = tried.partition(" of ")
    return Counted(int(known or made), int(made), int(held))


def differences(page: Table, run: Table, *, is_same_kernel: bool) -> list[str]:
    """What is not on the page as it is in the run."""
    told = []
    for kind in sorted({*page, *run}):
        for who in USERS:
            written, made = page.get(kind, {}).get(who, NONE), run.get(kind, {}).get(who, NONE)
            if made.held != made.tried:
                told.append(f"{kind}, as {who}: {made.tried - made.held} got out")
            if made.known != written.known or (is_same_kernel and made != written):
                told.append(f"{kind}, as {who}: the page says {written.told()}, the run {made.told()}")
    return told


def main(*options: str) -> int:
    kernel = f"{os.uname().release} on {os.uname().machine}"
    runs = {who: attack(who) for who in USERS}
    counted = {who: count(made) for who, (made, _) in runs.items()}
    kinds = sorted({kind for each in counted.values() for kind in each})
    table = {kind: {who: each[kind] for who, each in counted.items() if kind in each} for kind in kinds}
    print("\n".join(write_table(table, kernel).splitlines()[2:-2]))
    for who, (made, problem) in runs.items():
        for each in made:
            if each.outcome == "open" or ("--list" in options and each.outcome == "untried"):
                print(f"{each.outcome}, as {who}: {each.kind}: {each.name}: {each.detail}")
        if problem:
            print(f"the tests failed as {who}:\n{problem}")
    if any(problem for _, problem in runs.values()):
        return 1
    page = PAGE.read_text()
    if "--write" in options:
        assert ROOT, "the page has columns that only root can fill"
        PAGE.write_text(page[: page.index(BEGIN)] + write_table(table, kernel) + page[page.index(END) + len(END) :])
        return 0
    written, of = read_table(page)
    told = differences(written, table, is_same_kernel=of == kernel)
    for line in told:
        print(line)
    if told:
        print("docs/isolation.md is not as this run: sh scripts/hostile --write")
    elif of != kernel:
        print(f"The page was written on another kernel ({of}): how many could be tried is not compared.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
