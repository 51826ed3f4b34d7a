"""The waits of a coroutine that serves a caller who may block and one who has an event loop alike, and the first of
these two drivers.

Such a coroutine awaits nothing but these two, and does not know who runs it: `drive` in the thread that calls it, or
`programs.on_loop` on asyncio. An exception at a wait, KeyboardInterrupt or CancelledError above all, is raised in the
coroutine there: it ends what it has started, waits for the end, and lets the exception go on.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Generic, TypeVar

from solven_env.system import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, TypeAlias

    Effect: TypeAlias = "Ready | Blocking[Any]"
    Work: TypeAlias = "Coroutine[Effect, Any, _T]"
    """A coroutine that either driver can run."""

_T = TypeVar("_T")

LONGEST = 86_400.0
"""Seconds of the longest wait: poll(2) counts milliseconds in an int."""


class Ready:
    """A wait for events of descriptors, as poll(2) names them; it gives those that came.

    They are none when `seconds` have passed. The same dict given again, unchanged, costs less than another one.
    """

    __slots__ = ("seconds", "wanted")

    def __init__(self, wanted: dict[int, int], seconds: float | None = None) -> None:
        self.wanted = wanted
        self.seconds = None if seconds is None else min(max(seconds, 0.0), LONGEST)

    def __await__(self) -> Generator[Effect, dict[int, int], dict[int, int]]:
        return (yield self)


class Blocking(Generic[_T]):
    """A call that may wait, for a file or a lock, and gives its value."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], _T]) -> None:
        self.call = call

    def __await__(self) -> Generator[Effect, _T, _T]:
        return (yield self)


def drive(work: Work[_T], raised: BaseException | None = None) -> _T:
    """Run a coroutine to its end in this thread; its value. With `raised` it goes on by raising that.

    KeyboardInterrupt, also in a thread that shall end (`at_once.interruption`), is raised where the coroutine waits.
    """
    try:
        poll = _Poll()
        effect = work.send(None) if raised is None else work.throw(raised)
        while True:
            try:
                value = effect.call() if isinstance(effect, Blocking) else poll.wait(effect)
            except BaseException as error:
                effect = work.throw(error)
            else:
                effect = work.send(value)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    except KeyboardInterrupt as error:
        if work.cr_frame is None:  # type: ignore[attr-defined]
            raise
        return drive(work, error)  # it came between two steps of ours


class _Poll:
    """poll(2) for the descriptors that are wanted, which are mostly those of the time before."""

    def __init__(self) -> None:
        self.interruption = at_once.interruption()
        self.wanted: dict[int, int] | None = None
        self.poll = select.poll()

    def wait(self, effect: Ready) -> dict[int, int]:
        if effect.wanted is not self.wanted:
            self.wanted, self.poll = effect.wanted, select.poll()
            for descriptor, events in effect.wanted.items():
                self.poll.register(descriptor, events)
            if self.interruption is not None:
                self.poll.register(self.interruption, select.POLLIN)
        ready = dict(self.poll.poll(None if effect.seconds is None else effect.seconds * 1000))
        if self.interruption in ready:
            self.interruption = None  # what is awaited after it belongs to the end
            self.wanted = None
            raise KeyboardInterrupt
        return ready
