"""Where builds and layers lie on this host: directories of the user that runs solven-env, on local disk."""

from __future__ import annotations

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
