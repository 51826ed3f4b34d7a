"""Dependency lists of real projects, locked, built and imported in a thread: what scripts/lists does.

Everything is made by the command line, as a reader of the README would, in a directory with a storage of its own. Each
package that a list names is imported by a process of its own: one that crashes or hangs takes no other with it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

LISTS = Path(__file__).parent
NAMES = sorted(path.stem for path in LISTS.glob("*.yaml"))
_LAST = 300
"""Characters of an error that are shown."""

_PYTHON = """
import importlib.metadata, json, re, subprocess, sys
canonical = lambda name: re.sub("[-_.]+", "-", name).lower()
modules = {}
for module, owners in importlib.metadata.packages_distributions().items():
    for owner in owners:
        modules.setdefault(canonical(owner), set()).add(module)
for name in sys.argv[1:]:
    own = sorted(m for m in modules.get(name, ()) if m.isidentifier() and m[0] != "_" and m not in ("tests", "docs"))
    code = "; ".join(f"import {module}" for module in own)
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
        said = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        said = "it takes more than 300 s"
    print(json.dumps([name, bool(own), said]), flush=True)
"""
_BUN = """
const { spawnSync } = require("child_process"), fs = require("fs");
for (const name of process.argv.slice(1)) {
    const about = JSON.parse(fs.readFileSync(`/node_modules/${name}/package.json`));
    const has = Boolean(about.main || about.module || about.exports) || fs.existsSync(`/node_modules/${name}/index.js`);
    const code = has && !name.startsWith("@types/") ? `await import(${JSON.stringify(name)}); process.exit(0)` : "";
    const done = code ? spawnSync(process.execPath, ["-e", code], { timeout: 300000, encoding: "utf8" }) : { status: 0 };
    const said = done.status === 0 ? "" : (done.stderr || "").trim().split("\\n").find(line => /error/i.test(line)) || `status ${done.status}`;
    console.log(JSON.stringify([name, Boolean(code), said]));
}
"""
"""Programs that import each package among their words, and print its name, whether it has anything to import, and the
error if it failed."""


class Attempt(NamedTuple):
    """What came out of one list. Times are in seconds."""

    name: str
    asked: int
    pinned: int = 0
    locked: float = 0
    built: float = 0
    imported: str = ""
    said: tuple[str, ...] = ()
    """What failed, and what `lock` had to say."""


def attempt(name: str, work: Path, last: str) -> Attempt:
    """Take one list as far as `last`: lock, build or import."""
    shutil.copy(LISTS / f"{name}.yaml", work)
    profile = f"{name}.yaml"
    packages = _packages(work / profile)
    result = Attempt(name, sum(map(len, packages.values())))
    began = time.monotonic()
    done = _run(work, "lock", profile, "--format", "json")
    if done.returncode:
        return result._replace(said=(_last(done.stderr),))
    lock = json.loads(done.stdout)["lock"]
    result = result._replace(
        pinned=sum(lock["pinned"].values()),
        locked=time.monotonic() - began,
        said=tuple(remark["message"] for remark in lock["remarks"]),
    )
    if last == "lock":
        return result
    began = time.monotonic()
    done = _run(work, "apply", profile, name)
    if done.returncode:
        return result._replace(said=(*result.said, _last(done.stderr)))
    result = result._replace(built=time.monotonic() - began)
    if last == "build":
        return result
    rows = []
    for words, asked in ((("python", "-c", _PYTHON), packages["python"]), (("bun", "-e", _BUN), packages["bun"])):
        if not asked:
            continue
        done = _run(work, "run", name, "--", *words, *asked)
        rows += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        if done.returncode:
            result = result._replace(said=(*result.said, _last(done.stderr)))
    failed = [f"import of {name} fails: {said[:_LAST]}" for name, _, said in rows if said]
    modules = [each for each in rows if each[1]]
    imported = f"{len(modules) - len(failed)} of {len(modules)}"
    return result._replace(imported=imported, said=(*result.said, *failed))


def _packages(profile: Path) -> dict[str, tuple[str, ...]]:
    """The names of the packages that a profile asks for, by ecosystem."""
    from solven_env.packages.ecosystems import ECOSYSTEMS, rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile

    found = example(find_profile(profile), rows(), os.environ).packages
    sections: dict[str, Any] = {kind: found[kind] for kind in ECOSYSTEMS}
    return {kind: section.names() if section else () for kind, section in sections.items()}


def _run(work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SOLVEN_ENV_STORAGE": str(work / "storage"), "XDG_DATA_HOME": str(work / "data")}
    argv = [sys.executable, "-m", "solven_env", *words]
    environ["PYTHONPATH"] = str(LISTS.parents[1])
    return subprocess.run(argv, cwd=work, env=environ, capture_output=True, text=True, check=False)


def _last(text: str) -> str:
    """The error in what a command said, without what it did before."""
    at = text.find("error: ")
    return " ".join(text[at:].split())[:2000] if at >= 0 else " ".join(text.split())[-_LAST:]


def main() -> None:
    """Print a table, and below it what there is to say of each list."""
    parser = argparse.ArgumentParser(prog="scripts/lists", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}; all of them without one")
    parser.add_argument("--only", choices=("lock", "build", "import"), default="import", help="the last step")
    parser.add_argument("--work", type=Path, help="a directory for all that is made; a temporary one without it")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no list {', '.join(unknown)}")
    work = given.work or Path(tempfile.mkdtemp(prefix="lists-"))
    work.mkdir(parents=True, exist_ok=True)
    print("| list | packages | pinned | locked | built | imported |\n|---|---|---|---|---|---|")
    done = []
    for name in given.names or NAMES:
        one = attempt(name, work, given.only)
        done.append(one)
        times = (f"{seconds:.0f} s" if seconds else "no" for seconds in (one.locked, one.built))
        print(f"| {name} | {one.asked} | {one.pinned} | {' | '.join(times)} | {one.imported or 'no'} |", flush=True)
    for one in done:
        for line in one.said:
            print(f"{one.name}: {line}")


if __name__ == "__main__":
    main()
