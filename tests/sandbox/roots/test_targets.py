"""Mount points, where several commands make them at the same moment."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from solven_env.sandbox.roots.targets import open_target

if TYPE_CHECKING:
    from pathlib import Path


def test_a_mount_point_that_another_command_makes_meanwhile_is_no_error(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    failures: list[BaseException] = []

    def open_all(barrier: threading.Barrier) -> None:
        for number in range(200):
            barrier.wait()
            try:
                with open_target(root, f"/{number}/proc", directory=True):
                    pass
            except BaseException as error:
                failures.append(error)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=open_all, args=(barrier,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(root)
    assert failures == []
    assert (tmp_path / "199/proc").is_dir()
