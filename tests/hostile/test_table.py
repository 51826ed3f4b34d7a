"""The table of attacks on docs/isolation.md: what is written is read again, and what differs from a run is told."""

from __future__ import annotations

import pytest

from tests.hostile.__main__ import USERS, Counted, Table, count, differences, read_table, write_table
from tests.hostile.attacks import combine

PAGE: Table = {
    "mounts": {"root": Counted(18, 17, 17), "user": Counted(18, 12, 12)},
    "streams": {"root": Counted(4, 4, 4)},
}


def test_what_is_written_is_read_again() -> None:
    written = write_table(PAGE, "6.18.0 on x86_64")
    assert "| mounts | 17 of 18 | 17 | 12 of 18 | 12 |" in written
    assert "| **all** | 21 of 22 | 21 | 12 of 18 | 12 |" in written
    table, kernel = read_table(f"before\n{written}\nafter\n")
    assert kernel == "6.18.0 on x86_64"
    assert table["mounts"] == PAGE["mounts"]
    assert table["streams"]["root"] == PAGE["streams"]["root"]


@pytest.mark.parametrize(
    ("made", "is_same_kernel", "told"),
    [
        (Counted(18, 17, 17), True, 0),
        (Counted(18, 16, 16), True, 1),
        (Counted(18, 16, 16), False, 0),  # another kernel lacks another thing
        (Counted(19, 17, 17), False, 1),  # a try that the page does not know
        (Counted(17, 17, 17), False, 1),  # one that is gone
        (Counted(18, 17, 16), False, 1),  # one that got out
    ],
)
def test_what_differs(made: Counted, is_same_kernel: bool, told: int) -> None:
    who = USERS[0]
    page = {"mounts": {who: Counted(18, 17, 17)}}
    assert len(differences(page, {"mounts": {who: made}}, is_same_kernel=is_same_kernel)) == told


def test_what_succeeded_nowhere_is_untried_and_what_got_out_counts_whatever_the_control() -> None:
    def told(**outcomes: str) -> list[dict[str, str]]:
        return [{"kind": "k", "name": name, "outcome": outcome, "detail": "E"} for name, outcome in outcomes.items()]

    inside = told(a="held", b="held", c="held", d="open")
    made = combine(
        inside, [*told(a="open", b="held", c="held", d="held"), *told(a="held", b="held", c="open", d="held")]
    )
    assert [each.outcome for each in made] == ["held", "untried", "held", "open"]
    assert count(made) == {"k": Counted(4, 3, 2)}


def test_a_try_that_is_wrong_itself_is_no_wall() -> None:
    broken = [{"kind": "k", "name": "n", "outcome": "broken", "detail": "TypeError"}]
    with pytest.raises(AssertionError):
        combine(broken, broken)
