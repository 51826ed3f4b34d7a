"""A function is called again only for arguments that are none of its last ones."""

from __future__ import annotations

import pytest

from solven_env.system.lately import lately


def test_equal_arguments_get_the_same_result() -> None:
    called = []

    @lately(2)
    def total(prices: dict[str, int], more: int) -> list[int]:
        called.append(more)
        return [sum(prices.values()) + more]

    first = total({"a": 1}, 1)
    assert total({"a": 1}, 1) is first
    assert total({"a": 2}, 1) == [3]
    assert total({"a": 1}, 1) is first
    assert called == [1, 1]
    total({"a": 3}, 2)  # the third: the first is forgotten
    assert total({"a": 1}, 1) is not first


def test_an_error_is_raised_by_each_call() -> None:
    called = []

    @lately(2)
    def refuse(what: str) -> None:
        called.append(what)
        raise ValueError(what)

    for _ in range(2):
        with pytest.raises(ValueError, match="that"):
            refuse("that")
    assert called == ["that", "that"]
