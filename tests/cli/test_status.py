"""`solven-env status`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_status_of_a_thread_that_was_never_applied(cli: Cli) -> None:
    result = cli("status", "t9")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: thread t9 was never applied.\n  Run: solven-env apply PROFILE t9\n")
    assert not cli.storage.exists()
    document = json.loads(cli("status", "t9", "--profile", cli.write("profile.yaml"), "--format", "json").stdout)
    (thread,) = document["threads"]
    assert (thread["state"], thread["generation"], thread["error"]["code"]) == ("failed", 0, 1)
    assert thread["error"]["fix"] == "Run: solven-env apply PROFILE t9"


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
                "carried": {},
                "profile": {"name": "small", "release": "1.0.0"},
                "builds": [],
                "added": {},
                "missing_links": [],
                "interrupted": False,
                "remarks": [],
                "unenforced": [],
                "session": None,
            }
        ],
    }
    assert document["threads"][0]["changes"][0]["after"]["mode"] == "0755"
