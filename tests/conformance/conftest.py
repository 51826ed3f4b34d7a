"""A host for the suites of other libraries, which know nothing of ours."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.profiles import write_profile
from tests.run.world import World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A host with a profile that has a Python, and this process on it.

    No interrupt is ignored there, even where the suite was started in the background, which has SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with closing(new_world(tmp_path_factory.mktemp("cache"))) as world, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("SOLVEN_", "XDG_"))]:
            patch.delenv(name)
        for name, value in world.environ.items():
            if name.startswith(("SOLVEN_", "XDG_")):
                patch.setenv(name, value)
        world.profile = write_profile(
            world.base / "python.yaml",
            {},
            env={"HOME": "/"},
            python={"version": "3.12"},
            path={"prepend": ["/.venv/bin"]},
        )
        yield world
        for thread in solven_env.list_threads(storage=world.storage):
            solven_env.stop(thread.thread, storage=world.storage)
