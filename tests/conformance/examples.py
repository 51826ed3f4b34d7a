"""Examples of docs/doors.md, which run as tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs/doors.md"


def run(heading: str, profile: Path, *, in_place_of: str = "solven", **names: Any) -> dict[str, Any]:
    """Run the first Python example beneath a heading, with a small profile in place of another; what it defined."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(r"(?s)```python[^\n]*\n(.*?)```", section)
    assert found, heading
    code = found[1].replace(f'"{in_place_of}"', repr(str(profile)))
    assert code != found[1]
    exec(compile(code, str(PAGE), "exec"), names)
    return names
