"""`solven-env status`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_status_of_a_thread_that_was_never_applied(cli: Cli) -> None:
    result = cli("status", "t9")
    assert (result.returncode, result.stdout) == (0, "t9: new, never applied\n")
    assert not cli.storage.exists()


def test_status_json(cli: Cli) -> None:
    cli("apply", cli.write("profile.yaml"), "t1")
    (cli.workspace() / "bin/hello").unlink()
    document = json.loads(cli("status", "t1", "--format", "json").stdout)
    assert document == {
        "format": 1,
        "command": "status",
        "threads": [
            {
                "thread": "t1",
                "state": "drift",
                "generation": 1,
                "error": None,
                "changes": [
                    {
                        "address": "file:bin/hello",
                        "kind": "file",
                        "action": "create",
                        "cause": "drift",
                        "reason": "it is missing from the workspace",
                        "before": None,
                        "after": document["threads"][0]["changes"][0]["after"],
                    }
                ],
                "builds": [],
                "added": {},
                "missing_links": [],
                "interrupted": False,
                "unenforced": [],
                "session": None,
            }
        ],
    }
    assert document["threads"][0]["changes"][0]["after"]["mode"] == "0755"
