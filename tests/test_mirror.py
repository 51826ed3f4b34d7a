"""`tests/` mirrors the package: a module is tested by the file of its name, or by one that is listed here."""

from __future__ import annotations

from pathlib import Path

import solven_env

PACKAGE, TESTS = Path(solven_env.__file__).parent, Path(__file__).parent
MODULES = {
    str(path.relative_to(PACKAGE))
    for path in PACKAGE.rglob("*.py")
    if "_shipped" not in path.parts and path.name not in ("__init__.py", "__main__.py", "model.py")
}

# By the file that tests them: what has no behaviour apart from what that file is about.
ELSEWHERE = {
    # Words and streams of every command are seen in a process, by what its caller gets.
    "cli/test_main.py": "cli/errors.py cli/options.py cli/output.py errors.py report.py",
    "cli/test_diff.py": "cli/unified.py",
    "cli/test_add.py": "cli/remove.py packages/profile_edits.py",
    "cli/test_list.py": "cli/du.py cli/rows.py cli/tables.py threads/overview.py",
    "run/test_cp.py": "cli/cp.py",
    "cli/test_history.py": "cli/show.py cli/rollback.py cli/recover.py cli/plan.py",
    "api/test_workspaces.py": "applying.py",
    "cli/test_outdated.py": "packages/ecosystems/python/newest_versions.py",
    "doctor/test_examining.py": "cli/doctor.py",
    # A command of a thread runs in a world, which these files make.
    "run/test_refusals.py": "api/commands.py",
    "run/test_orphans.py": "cli/orphans.py",
    "run/test_shell.py": "cli/shell.py",
    "run/test_detached.py": "cli/ps.py cli/kill.py cli/logs.py",
    "run/test_sessions.py": "cli/stop.py threads/sessions.py",
    "run/test_beginning.py": "threads/noting.py",
    "threads/test_collecting.py": "packages/garbage.py",
    "cli/test_delete.py": "cli/gc.py",
    "threads/test_promoting.py": "cli/layer_promote.py",
    "run/test_own_layers.py": "cli/layer.py threads/own_layers.py",
    "run/test_statuses.py": "sandbox/network/attempts.py",
    "run/test_uids.py": "threads/uids.py sandbox/roots/mapping.py sandbox/roots/trying.py",
    # Questions are asked of a host, a profile and a thread in which something is broken for real.
    "doctor/test_host.py": "doctor/basics.py",
    "doctor/test_declared.py": "doctor/asked_for.py",
    "doctor/test_outside.py": "doctor/listing.py",
    "doctor/test_inside.py": "doctor/shells.py doctor/surroundings.py",
    "test_config.py": "documents/value_origins.py",
    "documents/test_parsing.py": "documents/document.py documents/syntax.py",
    "doctor/test_questions.py": "documents/answers.py",
    # Builds are made whole: by uv and Bun, in a sandbox.
    "packages/test_builds.py": "packages/making.py packages/asking.py packages/manifest.py packages/verifying.py"
    " packages/ecosystems/bun/node_modules.py packages/ecosystems/python/virtual_environment.py"
    " packages/ecosystems/python/wheels.py packages/ecosystems/python/pip_pin.py",
    "packages/test_toolchain.py": "packages/tools.py packages/host_tools.py packages/ecosystems/bun/program.py",
    "packages/test_locks.py": "packages/lock_files.py packages/ecosystems/python/pins.py",
    "packages/test_resolving.py": "packages/ecosystems/bun/locking.py packages/ecosystems/python/pip_compile.py",
    "threads/test_shares.py": "packages/usage.py",
    "packages/test_registries.py": "packages/ecosystems/python/pip_settings.py",
    "packages/test_added.py": "packages/ecosystems/bun/tree.py packages/ecosystems/python/wheel_records.py"
    " packages/ecosystems/bun/installed_packages.py",
    "packages/test_carrying.py": "packages/about_layers.py packages/strays.py",
    "packages/test_finding.py": "packages/ecosystems/python/remembered.py",
    "packages/ecosystems/python/test_allowed_builds.py": "packages/ecosystems/python/build_hooks.py"
    " packages/ecosystems/python/sdists.py packages/ecosystems/python/stand_in.py"
    " packages/ecosystems/python/walled_builds.py",
    "packages/ecosystems/test_keys.py": "packages/ecosystems/bun/asked.py",
    "cli/test_explain.py": "cli/resolve.py",
    "profile/test_load.py": "profile/expressions.py",
    "profile/test_resolve.py": "profile/sections.py",
    # A template is rendered by all of its language at once.
    "profile/templating/test_templating.py": "profile/templating/functions.py profile/templating/language.py"
    " profile/templating/problem.py profile/templating/quoting.py",
    "profile/templating/test_bounds.py": "profile/templating/work.py",
    "reconcile/kinds/test_table.py": "reconcile/kinds/kind.py",
    "workspace/test_root.py": "workspace/adoption.py workspace/walking.py system/syscalls.py",
    # What a session is made of is seen from inside of one, and by what is left when a part of it is killed.
    "sandbox/backends/bubblewrap/test_session.py": "sandbox/backends/bubblewrap/holder.py"
    " sandbox/backends/bubblewrap/starting.py sandbox/backends/bubblewrap/session_roots.py"
    " sandbox/backends/bubblewrap/ending.py sandbox/roots/devices.py sandbox/roots/etc.py sandbox/roots/namespaces.py"
    " sandbox/roots/sources.py sandbox/roots/staging.py sandbox/runtime.py system/mounting.py system/blocks.py"
    " system/processes.py",
    "sandbox/test_limits.py": "sandbox/backends/bubblewrap/counting.py",
    "sandbox/backends/test_table.py": "sandbox/backends/protocol.py",
    "run/test_proot.py": "sandbox/backends/proot/bindings.py sandbox/backends/proot/client.py"
    " sandbox/backends/proot/on_disk.py sandbox/backends/proot/placeholders.py"
    " sandbox/backends/proot/supervisor.py sandbox/backends/proot/waiting.py",
    "sandbox/network/test_walls.py": "sandbox/network/netlink.py system/networks.py",
    "state/test_records.py": "state/grammar.py",
    "threads/test_known.py": "state/storage_root.py",
    "sandbox/test_streams.py": "system/pipes.py",
    "programs/test_awaiting.py": "programs/on_loop.py system/effects.py",
    "programs/test_blocking.py": "programs/core.py programs/result.py sandbox/capture.py",
    "programs/test_process.py": "sandbox/kept.py sandbox/backends/bubblewrap/keeper.py"
    " sandbox/backends/bubblewrap/keeping.py",
    "programs/test_files.py": "sandbox/file_access.py"
    " sandbox/backends/bubblewrap/file_client.py sandbox/backends/bubblewrap/file_server.py",
    # A library's own suite runs where that library is (scripts/conformance).
    "conformance/test_deepagents_door.py": "doors/deepagents.py",
    "conformance/test_inspect_ai_door.py": "doors/inspect_ai.py",
    "conformance/test_mcp_door.py": "doors/mcp.py doors/mcp_serving.py",
    "conformance/test_pydantic_ai_door.py": "doors/pydantic_ai.py",
    "sandbox/test_imports.py": "system/plain.py",
    "profile/test_source.py": "system/shipped.py",
}


def test_each_module_has_a_test_of_its_name_or_is_listed() -> None:
    listed = [module for modules in ELSEWHERE.values() for module in modules.split()]
    own = {module for module in MODULES if (TESTS / Path(module).parent / f"test_{Path(module).name}").exists()}
    assert len(listed) == len(set(listed))
    assert MODULES - own - set(listed) == set(), "write tests/…/test_NAME.py"
    assert own & set(listed) == set(), "take it from the list: it has a test of its name"
    assert set(listed) - MODULES == set(), "take it from the list: there is no such module"
    assert [test for test in ELSEWHERE if not (TESTS / test).exists()] == []
