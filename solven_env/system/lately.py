"""Results of pure functions for the arguments that they had lately, which need not be hashable: mappings, say."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])


def lately(most: int) -> Callable[[Function], Function]:
    """Have a function give the same result again for arguments that are equal to some of its last `most` ones.

        >>> @lately(2)
        ... def total(prices):
        ...     return sum(prices.values())
        >>> total({"a": 1}), total({"a": 1})
        (1, 1)

    Arguments are positional, and are not changed afterwards. Where one is the very object of before, it is not looked
    into. An error is never given again. Two threads that ask at once may both compute.
    """

    def decorate(function: Function) -> Function:
        known: list[tuple[tuple[Any, ...], Any]] = []

        @functools.wraps(function)
        def remembering(*arguments: Any) -> Any:
            for before, result in tuple(known):
                if before == arguments:
                    return result
            result = function(*arguments)
            known[:] = [(arguments, result), *known[: most - 1]]
            return result

        return remembering  # type: ignore[return-value]

    return decorate
