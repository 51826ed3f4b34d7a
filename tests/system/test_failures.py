"""An OSError as a person reads it."""

from __future__ import annotations

import errno
import os

import pytest

from solven_env.errors import StoreError
from solven_env.system.failures import failure, failures_as, shown

NUMBERS = [errno.EACCES, errno.ENOSPC, errno.ELOOP, errno.EIO, errno.ENOTCONN, errno.ESTALE]


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
def test_an_error_says_what_happened_where_and_how_to_fix_it(number: int) -> None:
    with pytest.raises(StoreError) as caught, failures_as(StoreError, "a/b"):
        raise OSError(number, os.strerror(number))
    assert caught.value.message
    assert caught.value.fix
    assert caught.value.location == "a/b"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY], ids=errno.errorcode.get)
def test_what_a_caller_decides_by_stays_what_it_is(number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)), failures_as(StoreError, "a/b"):
        raise OSError(number, os.strerror(number))


def test_an_error_without_a_meaning_of_ours_has_the_system_s() -> None:
    assert failure(StoreError, "x", OSError(errno.EDOM, "Numerical argument")).message == "numerical argument"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b", "a/b"), ("\x1b[2J", r"\x1b[2J"), ("x" * 500, "x" * 200 + "…" + "x" * 200)],
)
def test_a_name_that_an_agent_chose_is_safe_to_print(path: str, expected: str) -> None:
    assert shown(path) == expected
