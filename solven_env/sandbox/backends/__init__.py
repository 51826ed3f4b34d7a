"""The backends: ways to isolate a command, one module or folder each, one row each in `BACKENDS`.

Rows are found by name and imported when they are used: the process that serves a session is in one of these folders,
and must start light.
"""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.sandbox.backends import bubblewrap, proot
    from solven_env.sandbox.backends.protocol import Backend

    ROWS: tuple[Backend, ...] = (bubblewrap, proot)  # mypy holds each module against the protocol

BACKENDS = {
    "bubblewrap": "solven_env.sandbox.backends.bubblewrap",
    "proot": "solven_env.sandbox.backends.proot",
}
"""The module of each backend, which is a `Backend`, by its name in profiles. The first one is the default."""

DEFAULT = next(iter(BACKENDS))


def find(name: str) -> Backend:
    """The backend of that name, a module. KeyError where there is none: profiles, records and requests are checked.

    >>> find("bubblewrap").NAME
    'bubblewrap'
    """
    import importlib

    module: Backend = importlib.import_module(BACKENDS[name])
    return module
