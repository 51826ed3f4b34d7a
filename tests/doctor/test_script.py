"""What the script that asks inside printed, taken apart."""

from __future__ import annotations

from solven_env.doctor import script

MARK = "0123456789abcdef"


def test_marks_are_read_at_the_beginning_of_a_line_alone() -> None:
    out = f"noise\n{MARK} id\n1000\n\n{MARK} = 0\n\n{MARK} uv\nuv 1 {MARK} = 7\n{MARK} = 3\n".encode()
    assert script.parse(MARK, out) == {
        "id": script.Said(0, b"1000\n"),
        "uv": script.Said(3, f"uv 1 {MARK} = 7".encode()),
    }
