"""A launcher of its own process for the tests that kill one: `launcher SESSION WORKSPACE RUNTIME TEXT`."""

from __future__ import annotations

import sys

from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import LaunchPlan
from solven_env.sandbox.roots import etc
from solven_env.system.effects import drive
from tests.sandbox.running import BWRAP, SANDBOX_HOST_UID, SYSTEM, command


def run(name: str, workspace: str, runtime_dir: str, text: str) -> int:
    uid = SANDBOX_HOST_UID
    plan = LaunchPlan(name, workspace, SYSTEM, etc.identity("user"), uid=uid, gid=uid, program=BWRAP)
    return drive(session.run(plan, command("sh", "-c", text), runtime_dir)).status


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
