"""Packages that a thread added: telling what became of them above another build, and installing what did not fit.

Installing happens once a layer, before the first command above it starts, in the thread's own sandbox: with the network
that its profile and this host give it, and with nothing of this host's credentials.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from solven_env.errors import SolvenError, printable
from solven_env.packages import carrying, layers
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.packages.steps import step
from solven_env.run import internal
from solven_env.system.publishing import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from solven_env.packages.about_layers import Begun, Fate
    from solven_env.packages.layers import Home
    from solven_env.packages.store import Build
    from solven_env.sandbox.request import Ended, Request

_SECONDS = 300.0
"""The longest time that installing by name may take, for each ecosystem."""
_SECONDS_ALONE = 60.0
"""The time after which no further package is tried alone, where all at once failed."""

_WORDS = {
    "carried": "carried {}",
    "installed": "installed by name {}",
    "brought": "the build brings {}",
    "removed": "still without {}",
}
_FORESEEN = _WORDS | {"carried": "will carry {}", "installed": "will install by name {}"}


def told(fates: Iterable[Fate], *, is_done: bool) -> list[str]:
    """Lines about what became of a thread's own packages, or will: one for each fate of a kind, the losses last.

    >>> from solven_env.packages.about_layers import Fate
    >>> told([Fate("python", "rich", "14.1.0", "carried", "", "")], is_done=True)
    ['python: carried rich 14.1.0']
    """
    found = list(fates)
    lines = []
    for kind in dict.fromkeys(each.kind for each in found):
        own = [each for each in found if each.kind == kind]
        for fate, words in (_WORDS if is_done else _FORESEEN).items():
            named = [_named(each) for each in own if each.fate == fate]
            if named:
                lines.append(f"{kind}: {words.format(', '.join(named))}")
        lines += [_told_left(each) for each in own if each.fate == "left"]
    return lines


def _named(fate: Fate) -> str:
    name = printable(f"{fate.name} {fate.version}".rstrip())
    return f"{name} ({printable(fate.why)})" if fate.why else name


def _told_left(fate: Fate) -> str:
    name = printable(f"{fate.name} {fate.version}".rstrip())
    fix = f". Run: {fate.command}" if fate.command else ""
    verb = "are" if name.endswith(" files") else "is"
    return f"{fate.kind}: {name} {verb} not carried: {printable(fate.why)}{fix}"


def install(
    home: Home,
    begun: Mapping[str, tuple[Build, Begun]],
    start: Callable[[Request], Ended],
    why_not: str,
    progress: Callable[[str], None],
    tell: Callable[[str], None],
) -> None:
    """Install by name what the layers still want, of which `progress` is told. `begun` are the layers, by kind.

    `start` runs a request in the thread's sandbox; with a reason `why_not` none is started. `tell` is told what came of
    it. What cannot be installed is not tried again; what cannot even be started is left to the next command.
    """
    with locked(layers.make(home), "installing"):
        for kind, (build, _) in begun.items():
            wanted = carrying.to_install(home, build)  # another command may have installed it meanwhile
            if not wanted:
                continue
            named = ", ".join(printable(f"{name} {version}") for name, version in sorted(wanted.items()))
            try:
                outcomes = dict.fromkeys(wanted, why_not)
                if not why_not:
                    with step(progress, f"{kind}: installing {named} by name", f"{kind}: ended installing by name"):
                        outcomes = _outcomes(kind, wanted, start)
            except SolvenError as error:
                progress(f"{kind}: {named} cannot be installed now ({error.message}); the next command tries again")
                continue
            fates = carrying.settle(home, build, outcomes)
            for line in told([each for each in fates if each.name in wanted], is_done=True):
                tell(line)


def _outcomes(kind: str, wanted: Mapping[str, str], start: Callable[[Request], Ended]) -> dict[str, str]:
    """Install packages; for each an empty text, or why it could not be.

    All at once, or none: where that fails, each is tried alone, so that one that no index has takes no other along.
    """

    def failure(packages: Mapping[str, str], seconds: float) -> str:
        return internal.failure(ECOSYSTEMS[kind].installing(packages), start, seconds=seconds)

    began = time.monotonic()
    outcomes = dict.fromkeys(wanted, failure(wanted, _SECONDS))
    if not any(outcomes.values()) or len(wanted) == 1 or time.monotonic() - began >= _SECONDS:
        return outcomes
    end = time.monotonic() + _SECONDS_ALONE
    for name, version in wanted.items():
        left = end - time.monotonic()
        if left <= 0:
            break
        outcomes[name] = failure({name: version}, left)
    return outcomes
