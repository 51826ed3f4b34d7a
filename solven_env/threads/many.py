"""Many threads in one process: the same call for each, several at once, whose results come as they end.

Where a storage answers slowly, most calls wait for it: so there are the more of them at once, the less this process
computes. It begins with as many as there are CPUs.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from solven_env.errors import SolvenError
from solven_env.system import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator, Sequence

_Result = TypeVar("_Result")

MOST = 64
"""Calls at once at most: each has a stack, descriptors and perhaps processes of its own."""

_PERIOD = 0.05
"""Seconds between two looks at how much this process computes."""

_BUSY = 0.75
"""Share of one CPU. A process that computes more gets no more calls at once: they would wait for Python's own lock."""


def each(
    names: Sequence[str],
    call: Callable[[str], _Result],
    failed: Callable[[str, SolvenError], _Result],
    *,
    canary: int = 0,
    is_bad: Callable[[_Result], bool] = lambda _: False,
) -> Generator[_Result, None, None]:
    """Make the call for each name, once, and yield the results as they end.

        >>> sorted(each(["t1", "t2", "t1"], str.upper, lambda name, error: str(error)))
        ['T1', 'T2']

    Calls are made in other threads of this process. `failed` gives the result of a call that raised a SolvenError; any
    other exception is raised, once the calls that had begun have ended and their results were given. The first `canary`
    calls are made before the others, which are made unless one of these results `is_bad`.

    KeyboardInterrupt while the next result is waited for, and closing the iterator, let no more calls begin. Those that
    had begun end, and are interrupted where they wait (`at_once`). The results that still come are given before the
    interrupt is raised.
    """
    names = tuple(dict.fromkeys(names))

    def outcome(name: str) -> _Result:
        try:
            return call(name)
        except SolvenError as error:
            return failed(name, _without_frames(error))

    bad = False
    for result in _Calls(names[:canary], outcome).results():
        bad |= is_bad(result)
        yield result
    if not bad:
        yield from _Calls(names[canary:], outcome).results()


class Once:
    """Results of what is made once, whichever thread asks for it first: the others wait for it.

    >>> once = Once()
    >>> once("answer", lambda: 42), once("answer", lambda: 43)
    (42, 42)
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._made: dict[Hashable, _Made[Any]] = {}

    def __call__(self, key: Hashable, make: Callable[[], _Result]) -> _Result:
        """The result of the first `make` of this key, or its error: made again, it would only fail once more."""
        with self._turn:
            is_first = key not in self._made
            made: _Made[_Result] = self._made.setdefault(key, _Made())
        return made.by(make) if is_first else made.awaited()


class _Made(Generic[_Result]):
    """A result that one thread makes and others wait for."""

    def __init__(self) -> None:
        self._is_ended = threading.Event()
        self._results: list[_Result] = []
        self._error: BaseException | None = None

    def by(self, make: Callable[[], _Result]) -> _Result:
        """Make it."""
        try:
            self._results.append(make())
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._is_ended.set()
        return self._results[0]

    def awaited(self) -> _Result:
        """The result that another thread has, or its error."""
        while not self._is_ended.wait(at_once.wait()):
            at_once.check()
        if self._error is not None:
            raise self._error
        return self._results[0]


class _Calls(Generic[_Result]):
    """The calls for some names, in threads that end with the iterator of their results."""

    def __init__(self, names: Sequence[str], call: Callable[[str], _Result]) -> None:
        self._left = deque(names)
        self._call = call
        self._ended: SimpleQueue[_Ended[_Result] | None] = SimpleQueue()
        """The calls that ended; None when a thread did."""
        self._room = threading.Semaphore(MOST)
        """Results that may still be left to a caller who is slow."""
        self._width = self._begun = 0
        self._live = set[int]()
        """Threads that may have a call. One puts itself in before it takes a name, and out after its last result."""
        self._is_over = False
        self._writing = -1
        """Closed, it interrupts the calls that wait."""
        self._looked = (time.monotonic(), time.process_time())

    def results(self) -> Iterator[_Result]:
        """Make the calls, and yield their results as they end."""
        self._width = len(os.sched_getaffinity(0))
        inherited = at_once.interruption()
        reading, self._writing = os.pipe() if inherited is None else (inherited, -1)
        raised: BaseException | None = None
        try:
            while self._left or self._live or not self._ended.empty():
                try:
                    ended = self._next(reading)
                except KeyboardInterrupt as interrupt:
                    if raised is not None:  # a second one
                        raise
                    ended = _Ended(None, interrupt)
                if ended is not None and ended.error is None:
                    yield ended.result  # type: ignore[misc] # of a call that ended
                elif ended is not None and raised is None:
                    raised = ended.error
                    self._stop()
            if raised is not None:
                raise raised
        except BaseException as error:  # closed, or interrupted between two waits
            self._stop()
            is_second = raised is not None and isinstance(error, KeyboardInterrupt)
            while self._live and not is_second:
                self._next(reading)
            raise
        finally:
            raised = ended = None  # they refer to this frame, which keeps what its callers hold open
            self._stop()
            if inherited is None and not self._live:
                os.close(reading)

    def _stop(self) -> None:
        """Let no more calls begin, and interrupt those that wait."""
        self._is_over = True
        self._left.clear()
        writing, self._writing = self._writing, -1  # first: an interrupt may come behind the close
        if writing >= 0:
            os.close(writing)

    def _next(self, reading: int) -> _Ended[_Result] | None:
        """The next end of a call; None where none came for a while."""
        if not self._is_over:
            at_once.check()
            self._widen()
        while self._left and self._begun < self._width:
            try:
                threading.Thread(target=self._work, args=(reading,), daemon=True).start()
            except RuntimeError:  # this user may have no more processes
                if not self._begun:
                    raise
                self._width = self._begun
                break
            self._begun += 1
        try:
            ended = self._ended.get(timeout=_PERIOD)
        except Empty:
            return None
        if ended is not None:
            self._room.release()
        return ended

    def _widen(self) -> None:
        """Have more calls at once from now on, if all wait for something."""
        elapsed, computed = time.monotonic() - self._looked[0], time.process_time() - self._looked[1]
        if elapsed < _PERIOD:
            return
        if computed < _BUSY * elapsed:
            self._width = min(MOST, self._width + max(1, self._width // 2))
        self._looked = (time.monotonic(), time.process_time())

    def _work(self, reading: int) -> None:
        """Make calls until none is left."""
        self._live.add(threading.get_ident())
        with at_once.interrupted_by(reading):
            while True:
                try:
                    name = self._left.popleft()
                except IndexError:
                    break
                try:
                    ended = _Ended(self._call(name), None)
                except BaseException as error:
                    ended = _Ended[_Result](None, error)
                self._room.acquire()
                self._ended.put(ended)
                del ended
        self._live.remove(threading.get_ident())
        self._ended.put(None)


class _Ended(Generic[_Result]):
    """The end of a call: its result, or what it raised."""

    def __init__(self, result: _Result | None, error: BaseException | None) -> None:
        self.result = result
        self.error = error


def _without_frames(error: SolvenError) -> SolvenError:
    """The error without the frames that it came through: kept in a report, it would keep what these hold open."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error
