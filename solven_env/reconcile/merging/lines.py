"""Three-way merge of texts by lines, as `git merge-file` merges them, and without its markers. Pure.

Both sides' differences from the base are found by Myers' algorithm ("An O(ND) Difference Algorithm and Its Variations",
1986). Differences that neither overlap nor touch are all taken; such as do are a clash, unless both say the same.
"""

from __future__ import annotations

from array import array

from solven_env.reconcile.merging import Clash, Merged
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = 2_000_000
"""Steps of one comparison at most, a second: an agent may have made the file as hard as it likes."""
_SHOWN = 60
"""Characters of a line that a clash shows."""


class TooDifferentError(Exception):
    """Error for two texts that cannot be compared in so many steps."""


class _Hunk(NamedTuple):
    """The lines from `begin` to `end` of the base, in whose place one side has others, from `at` to `until`."""

    begin: int
    end: int
    at: int
    until: int


def merge(base: bytes | None, desired: bytes | None, observed: bytes, prefer: str = "") -> Merged:
    """Merge what the profile and the workspace each changed. Without a base, whatever differs is a clash.

    `prefer` is the side, "desired" or "observed", whose lines are taken where both clash.

    >>> merge(b"a\\nb\\nc\\n", b"A\\nb\\nc\\n", b"a\\nb\\nC\\n")
    Merged(data=b'A\\nb\\nC\\n', clashes=())
    >>> merge(b"a\\n", b"b\\n", b"c\\n").clashes
    (Clash(where='line 1', ours='b', theirs='c'),)
    """
    if desired in (observed, base):
        return Merged(observed, ())
    if base == observed:
        return Merged(desired, ())
    if desired is None or base is None:
        return _whole(desired, observed, prefer)
    if b"\0" in base + desired + observed:
        return _whole(desired, observed, prefer, "it is no text")
    try:
        return _merged(_lines(base), _lines(desired), _lines(observed), prefer)
    except TooDifferentError:
        return _whole(desired, observed, prefer, "too many of its lines changed")


def _lines(data: bytes) -> list[bytes]:
    """The lines with their ends. A carriage return ends none: it is a part of its line, as git has it."""
    *lines, last = data.split(b"\n")
    return [*(line + b"\n" for line in lines), *([last] if last else [])]


def _whole(desired: bytes | None, observed: bytes, prefer: str, why: str = "") -> Merged:
    """The clash of two files that are not merged by their lines."""
    ours = "drops it" if desired is None else f"{len(desired):,} bytes"
    theirs = f"{len(observed):,} bytes{f': {why}' if why else ''}"
    return Merged(observed if prefer == "observed" else desired, (Clash("the file", ours, theirs),))


def _merged(base: Sequence[bytes], desired: Sequence[bytes], observed: Sequence[bytes], prefer: str) -> Merged:
    ours, theirs = hunks(base, desired), hunks(base, observed)
    merged: list[bytes] = []
    clashes: list[Clash] = []
    done = 0
    for begin, end in _regions(ours, theirs):
        merged += base[done:begin]
        done = end
        mine, its, was = desired[_place(ours, begin, end)], observed[_place(theirs, begin, end)], base[begin:end]
        if its in (was, mine):
            merged += mine
        elif mine == was:
            merged += its
        else:
            clashes.append(Clash(_told(_place(theirs, begin, end)), _shown(mine), _shown(its)))
            merged += mine if prefer == "desired" else its
    merged += base[done:]
    return Merged(b"".join(merged), tuple(clashes))


def _regions(ours: Sequence[_Hunk], theirs: Sequence[_Hunk]) -> list[tuple[int, int]]:
    """The regions of the base that a side changed, those that overlap or touch as one."""
    regions: list[tuple[int, int]] = []
    for hunk in sorted((*ours, *theirs)):
        if regions and hunk.begin <= regions[-1][1]:
            begin, end = regions.pop()
            regions.append((begin, max(end, hunk.end)))
        else:
            regions.append((hunk.begin, hunk.end))
    return regions


def _place(found: Sequence[_Hunk], begin: int, end: int) -> slice:
    """The lines of a side that stand for a region of the base, which has each of its hunks whole or not at all."""
    before = after = 0
    for hunk in found:
        grown = (hunk.until - hunk.at) - (hunk.end - hunk.begin)
        before += grown if hunk.end < begin else 0
        after += grown if hunk.begin <= end else 0
    return slice(begin + before, end + after)


def _told(place: slice) -> str:
    """The lines of the workspace's file at a place, counted from 1."""
    return f"lines {place.start + 1}-{place.stop}" if place.stop > place.start + 1 else f"line {place.start + 1}"


def _shown(lines: Sequence[bytes]) -> str:
    """The first of the lines as a text, and how many more there are."""
    if not lines:
        return "nothing"
    text = lines[0].decode(errors="replace").strip()
    first = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"{first} (and {len(lines) - 1} more)" if len(lines) > 1 else first


def hunks(before: Sequence[bytes], after: Sequence[bytes]) -> list[_Hunk]:
    """The differences of two texts, in order, with at least one common line between two of them.

    TooDifferentError where finding them takes more than `_STEPS` steps.
    """
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    a, b = before[head : len(before) - tail], after[head : len(after) - tail]
    found: list[_Hunk] = []
    x = y = head
    for to_x, to_y in (*((head + i, head + j) for i, j in _pairs(a, b)), (len(before) - tail, len(after) - tail)):
        if (to_x, to_y) != (x, y):
            found.append(_Hunk(x, to_x, y, to_y))
        x, y = to_x + 1, to_y + 1
    return found


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Number of lines with which both begin."""
    count = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        count += 1
    return count


def _pairs(a: Sequence[bytes], b: Sequence[bytes]) -> list[tuple[int, int]]:
    """Positions of the lines of a longest common subsequence, by Myers' greedy algorithm.

    `trace[d][i]` is how far into `a` a path of d edits comes at most on the diagonal k = 2 * i - d, where that far into
    `a` is k less into `b`.
    """
    trace: list[array[int]] = []
    steps = 0
    while steps < _STEPS:
        edits = len(trace)
        reached = array("L")
        trace.append(reached)
        for i in range(edits + 1):
            x, _ = _before(trace, edits, i)
            y = x - (2 * i - edits)
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y, steps = x + 1, y + 1, steps + 1
            reached.append(x)
            if x >= len(a) and y >= len(b):
                return _way_back(trace, i)
        steps += edits + 1
    raise TooDifferentError


def _before(trace: Sequence[array[int]], edits: int, i: int) -> tuple[int, int]:
    """Position in the first text to which the last of so many edits leads, and the place in `trace` before it."""
    if not edits:
        return 0, 0
    former = trace[edits - 1]
    if i == 0 or (i < edits and former[i - 1] < former[i]):
        return former[i], i  # a line of the second text is added
    return former[i - 1] + 1, i - 1  # a line of the first one goes


def _way_back(trace: Sequence[array[int]], i: int) -> list[tuple[int, int]]:
    """The common lines of the path that ends at the last place of `trace`."""
    pairs = []
    for edits in range(len(trace) - 1, -1, -1):
        begin, former = _before(trace, edits, i)
        k = 2 * i - edits
        pairs += [(x, x - k) for x in range(trace[edits][i] - 1, begin - 1, -1)]
        i = former
    return pairs[::-1]
