"""The driver of our coroutines (`system.effects`) on asyncio: no thread waits for a command."""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from solven_env.system import at_once
from solven_env.system.effects import Blocking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeAlias

    from solven_env.system.effects import Ready, Work

    Awaited: TypeAlias = deque[Awaitable[object]]
    """Callbacks that were called, and are to be awaited."""

_T = TypeVar("_T")

_CALLS = ThreadPoolExecutor(8, "solven-env")
"""The threads that make calls which may wait (`Blocking`), for all loops of this process. Each is made when it is
needed first."""


async def on_loop(work: Work[_T], called: Awaited | None = None) -> _T:
    """Run a coroutine to its end on the running loop; its value.

    Cancelled while it waits, it ends what it has started, waits for that, and is cancelled then. Cancelled during a
    call, it learns of it at its next wait, so that nothing that the call has begun is lost; the call itself is told
    (`at_once.interruption`). It learns of it once: anyio cancels again at every wait, and those after the first belong
    to the end.

    Before each wait the callbacks of the caller's in `called` are awaited, in order. Nothing is read meanwhile, and
    what one raises is raised at the wait.
    """
    called = deque() if called is None else called
    waits = _Epoll()
    cancelled: asyncio.CancelledError | None = None
    later: asyncio.CancelledError | None = None
    is_ending = False
    try:
        effect = work.send(None)
        while True:
            try:
                while called and not is_ending:
                    await called.popleft()
                if isinstance(effect, Blocking):
                    value, later = await _called(effect.call, is_told=not is_ending)
                    cancelled = cancelled or later
                elif cancelled is not None and not is_ending:
                    raise cancelled
                else:
                    value = await waits.ready(effect, is_cancelled=not is_ending)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    cancelled, is_ending = error, True
                effect = work.throw(error)
            else:
                effect = work.send(value)
    except StopIteration as end:
        if cancelled is not None:
            raise cancelled from None
        while called:
            await called.popleft()
        return end.value  # type: ignore[no-any-return]
    finally:
        for each in called:
            if isinstance(each, Coroutine):
                each.close()
        waits.close()
        cancelled = later = None  # its traceback refers to this frame, which would keep open what the command held


async def _called(call: Callable[[], Any], *, is_told: bool) -> tuple[Any, asyncio.CancelledError | None]:
    """The value of a call that another thread makes, and the cancellation that came meanwhile.

    The value is never lost, in whatever order the two come. The call is told of the cancellation where `is_told`.
    """
    interruption, interrupt = os.pipe()

    def interruptible() -> Any:
        with at_once.interrupted_by(interruption):
            return call()

    cancelled: asyncio.CancelledError | None = None
    try:
        future = asyncio.get_running_loop().run_in_executor(_CALLS, interruptible)
        while True:
            try:
                return await asyncio.shield(future), cancelled
            except asyncio.CancelledError as error:
                if future.cancelled():  # with the executor
                    raise
                if cancelled is None:
                    cancelled = error
                    if is_told:
                        os.close(interrupt)
                        interrupt = -1
            except KeyboardInterrupt:  # the call has ended early, as it was told
                if cancelled is None:
                    raise
                raise cancelled from None
    finally:
        os.close(interruption)
        if interrupt >= 0:
            os.close(interrupt)
        cancelled = None  # as above


class _Epoll:
    """An epoll of one coroutine: it tells all that poll(2) does, which a loop's readers and writers do not."""

    def __init__(self) -> None:
        self.epoll: select.epoll | None = None
        self.wanted: dict[int, int] = {}
        self.always: dict[int, int] = {}
        """Events of descriptors that epoll(7) knows nothing of, since they are always ready: files."""

    async def ready(self, effect: Ready, *, is_cancelled: bool) -> dict[int, int]:
        """The events that came; none when the time is over. Not `is_cancelled` ignores a cancellation."""
        if self.epoll is None:
            self.epoll = select.epoll()
        self._want(effect.wanted)
        found = self.always | dict(self.epoll.poll(0))
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        timer = None
        if found:  # one who always has something to do lets others have their turn
            loop.call_soon(woken.set)
        else:
            loop.add_reader(self.epoll.fileno(), woken.set)
            timer = loop.call_later(effect.seconds, woken.set) if effect.seconds is not None else None
        try:
            while not woken.is_set():
                try:
                    await woken.wait()
                except asyncio.CancelledError:
                    if is_cancelled:
                        raise
        finally:
            if not found:
                loop.remove_reader(self.epoll.fileno())
            if timer is not None:
                timer.cancel()
        return found or dict(self.epoll.poll(0))

    def _want(self, wanted: dict[int, int]) -> None:
        if wanted is self.wanted:
            return
        assert self.epoll is not None
        for descriptor in self.wanted.keys() - self.always.keys():
            try:
                self.epoll.unregister(descriptor)
            except OSError:  # it was closed
                continue
        self.wanted, self.always = wanted, {}
        for descriptor, events in wanted.items():
            try:
                self.epoll.register(descriptor, events)
            except PermissionError:
                self.always[descriptor] = events

    def close(self) -> None:
        if self.epoll is not None:
            self.epoll.close()
