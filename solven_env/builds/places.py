"""Where builds, layers and sessions of this host lie: directories of the user that runs solven-env, on local disk."""

from __future__ import annotations

import os
from pathlib import Path

_NAME = "solven-env"


def cache() -> Path:
    """What can be made again: builds, tools, packages that were fetched. `$XDG_CACHE_HOME/solven-env` on Linux."""
    from platformdirs import user_cache_path

    return Path(user_cache_path(_NAME, appauthor=False))


def data() -> Path:
    """What cannot: the layers of threads. `$XDG_DATA_HOME/solven-env` on Linux."""
    from platformdirs import user_data_path

    return Path(user_data_path(_NAME, appauthor=False))


def runtime() -> Path:
    """Where sessions are reached: `$XDG_RUNTIME_DIR/solven-env`, else a directory that is root's or this user's."""
    named = os.environ.get("XDG_RUNTIME_DIR")
    if named:
        return Path(named) / _NAME
    return Path("/run") / _NAME if os.geteuid() == 0 else Path(f"/tmp/{_NAME}-{os.geteuid()}")  # noqa: S108
