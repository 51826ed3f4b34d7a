"""The pages of the documentation, and the blocks of code in them.

A block says in its first line which kind it is, and where a reader saves it: ```yaml team.yaml
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
PAGES = (TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(?P<kind>[\w-]+)(?: (?P<name>\S+))?$")


class Block(NamedTuple):
    """One block: where it begins, its kind, the file that a reader makes of it ("" for none), its text."""

    page: Path
    line: int
    kind: str
    name: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def read(page: Path) -> tuple[list[Block], list[str]]:
    """The blocks of a page, and its other lines. ValueError for a block that is none of ours, since nothing checks it."""
    blocks: list[Block] = []
    prose: list[str] = []
    before = ""
    lines = iter(enumerate(page.read_text().splitlines(), start=1))
    for number, line in lines:
        if line.startswith("```"):
            match = _FENCE.match(line)
            if match is None:
                raise ValueError(f"{page.name}:{number}: {line} names no kind")
            text = []
            for _, inner in lines:
                if inner == "```":
                    break
                text.append(f"{inner}\n")
            blocks.append(Block(page, number, match["kind"], match["name"] or "", "".join(text)))
        elif (line.startswith("    ") and not before.strip()) or "```" in line:
            raise ValueError(f"{page.name}:{number}: a block that names no kind: begin it with ``` and one")
        else:
            prose.append(line)
        before = line
    return blocks, prose


def blocks(kind: str) -> list[Block]:
    """All blocks of a kind, in order."""
    return [block for page in PAGES for block in read(page)[0] if block.kind == kind]


def anchors(page: Path) -> set[str]:
    """What a link can name in a page: its headings, as GitHub spells them."""
    headings = (line.lstrip("#") for line in read(page)[1] if re.match(r"#+ ", line))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def recipe(title: str) -> list[str]:
    """The files that a recipe of the page for contributors numbers."""
    parts = re.split(r"^## ", (TOP / "CONTRIBUTING.md").read_text(), flags=re.M)
    (steps,) = (part for part in parts if part.startswith(f"{title}\n"))
    return re.findall(r"^\d+\. `([^`]+)`", steps, flags=re.M)
