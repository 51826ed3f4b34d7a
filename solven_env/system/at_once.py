"""Several calls at the same time, in threads of this process, which all end before their caller goes on.

Python gives an interrupt to the main thread alone, which waits for the others then. So whoever waits long in such a
thread, for a process or a lock, looks at `interruption` too, and raises the KeyboardInterrupt of its caller.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from _thread import get_ident
from functools import partial

from solven_env.errors import SolvenError, raise_together
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    _S = TypeVar("_S")
    _T = TypeVar("_T")

_PERIOD = 0.05
"""Seconds between two looks of a thread that waits for what has no descriptor."""

_GROUPS = 16
"""Calls at the same time of `in_groups`: each costs a thread, a tenth of a millisecond."""

_FIRST = 0.001
"""Seconds before a thread tries once more to have a lock; then twice as long, up to the period."""

_interruptions: dict[int, int] = {}
"""By thread, the reading end of a pipe whose writing end is closed when the caller is interrupted."""


def at_once(calls: Sequence[Callable[[], _T]]) -> list[_T]:
    """Make all calls at the same time, wait for all of them, and give their results in order.

        >>> at_once([lambda: 1, lambda: 2])
        [1, 2]

    A single call is made in this thread. Where calls raise a SolvenError, the first one is raised, with the others as
    its `further`. An exception in this thread while it waits, KeyboardInterrupt above all, ends the calls first.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    import threading  # nothing that starts a command waits for it

    inherited = interruption()
    reading, writing = os.pipe() if inherited is None else (inherited, None)
    results: dict[int, _T] = {}
    raised: dict[int, BaseException] = {}
    # Not by Thread.join: interrupted, it takes a thread that goes on for one that has ended (bpo-45274's mending).
    ended = [threading.Event() for _ in calls]
    begun: list[threading.Event] = []
    turn, is_over = threading.Lock(), threading.Event()

    def work(number: int, call: Callable[[], _T]) -> None:
        with turn:
            if is_over.is_set():  # an interrupt came while the threads were started
                return
            begun.append(ended[number])
        try:
            with interrupted_by(reading):
                results[number] = call()
        except BaseException as error:
            raised[number] = error
        finally:
            ended[number].set()

    try:
        for each in enumerate(calls):
            threading.Thread(target=work, args=each, daemon=True).start()
        for event in ended:
            event.wait()
    except BaseException:
        with turn:
            is_over.set()
        if writing is not None:
            os.close(writing)
            writing = None
        for event in begun:
            event.wait()
        raise
    finally:
        if writing is not None:
            os.close(writing)
        if inherited is None and all(event.is_set() for event in begun):  # not after a second interrupt
            os.close(reading)
    errors = [raised[number] for number in sorted(raised)]
    unforeseen = [error for error in errors if not isinstance(error, SolvenError)]
    try:
        if unforeseen:
            raise unforeseen[0]
        raise_together([error for error in errors if isinstance(error, SolvenError)])
    finally:
        # as in `raise_together`
        unforeseen.clear()
        errors.clear()
        raised.clear()
    return [results[number] for number in range(len(calls))]


def in_groups(call: Callable[[Sequence[_S]], Sequence[_T]], things: Sequence[_S]) -> list[_T]:
    """Give things to `call` in a few groups at the same time, and its results, one for each thing, in order.

        >>> in_groups(lambda group: [number + 1 for number in group], [1, 2, 3])
        [2, 3, 4]

    It is for what mostly waits for a slow mount. Errors as of `at_once`.
    """
    count = min(len(things), _GROUPS)
    results = at_once([partial(call, things[number::count]) for number in range(count)])
    return [results[number % count][number // count] for number in range(len(things))]


class interrupted_by:  # noqa: N801 (a context manager without contextlib, which a session's start must not import)
    """Have this thread end, in the block, as soon as a descriptor can be read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: int | None = None

    def __enter__(self) -> None:
        self._before = interruption()
        _interruptions[get_ident()] = self._descriptor

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del _interruptions[get_ident()]
        else:
            _interruptions[get_ident()] = self._before


def interruption() -> int | None:
    """The descriptor that can be read as soon as this thread shall end; None in a thread that Python interrupts."""
    return _interruptions.get(get_ident())


def wait() -> float | None:
    """Seconds that this thread may wait before it calls `check`; None for as long as it likes."""
    return None if interruption() is None else _PERIOD


def check() -> None:
    """Raise KeyboardInterrupt if this thread shall end."""
    descriptor = interruption()
    if descriptor is not None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if poll.poll(0):
            raise KeyboardInterrupt


def lock(descriptor: int, how: int = fcntl.LOCK_EX) -> None:
    """Wait for the lock (flock(2)) of an open file: the whole one, or one that is shared."""
    if interruption() is None:
        fcntl.flock(descriptor, how)
        return
    pause = _FIRST
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            check()  # only who has to wait ends before it has the lock
            time.sleep(pause)
            pause = min(2 * pause, _PERIOD)
        else:
            return
