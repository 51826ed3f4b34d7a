"""Running the install scripts of the packages that a profile trusts, in a tree that Bun has installed without any.

They run as npm runs them, but one after the other. Bun's own way is none of ours: it trusts a list of packages of its
own besides, and it knows the trusted ones by 32 bits of their names' digests (TruncatedPackageNameHash in its source).

Each script runs in a sandbox of its own: the network `internet` where the host's configuration allows it, none else; no
credentials, no settings of registries, no cache but an empty one; of the host what any command has. What it leaves is
part of this build and of no other.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from solven_env.errors import BuildError, SandboxError, UsageError
from solven_env.packages import host_tools, lacking, making, programs
from solven_env.packages.ecosystems import bun as row
from solven_env.packages.ecosystems.bun import bun_lock, program, scripts
from solven_env.packages.steps import within
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.request import Request, check_fits
from solven_env.system.publishing import refusals_told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from solven_env.packages.ecosystems.bun.scripts import Scripted
    from solven_env.packages.making import Builder, BuildSandbox
    from solven_env.system.networks import Network

_SECONDS = 900.0
"""Seconds that one script may take: a compiler needs minutes."""
_LIMITS = Limits(processes=1024, open_files=4096, file_size=4 << 30, memory=4 << 30)
_MAX_DEPTH = 128
_MAX_PATH = 3000
_MAX_ENTRIES = 1_000_000
"""Directories above each other, bytes of a path, and entries that a tree may have: all that reads one can go so far."""
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_GYP = tuple(
    f"{prefix}/node-gyp/bin/node-gyp.js"
    for above in ("/usr/lib/node_modules", "/usr/local/lib/node_modules", "/usr/share/nodejs")
    for prefix in (f"{above}/npm/node_modules", above)
)
"""The places of the host's node-gyp, which comes with npm."""
# As the owner of all that is there: into each directory, no set-uid bits, and nothing but files, directories and links.
_SETTLE = """chmod -R u+rwX,ug-s,-t "$1" && find "$1" ! -type d ! -type f ! -type l -exec rm -f -- {} +"""


def run(scripted: Sequence[Scripted], made: Path, stage: Path, tools: host_tools.Tools, builder: Builder) -> None:
    """Run the scripts of these packages in the tree `made`: all of one event, then those of the next.

    BuildError with the last words of one that fails; a package that is optional is taken out instead. SandboxError
    where the backend would give scripts another network: it isolates nothing else either.
    """
    network, gone = _network(builder), set[str]()
    tools = host_tools.joined((tools, _node_gyp()))
    with making.make(builder, tools, stage, fetches=False, writable={row.TARGET: made}, network=network) as place:
        for event in scripts.EVENTS:
            for each in scripted:
                if event in each.scripts and each.key not in gone:
                    within(builder.host.progress, f"running the {event} script of {each.name} {each.version}")
                    failure = _failure(place, each, event)
                    if failure is not None and not each.is_optional:
                        raise failure
                    if failure is not None:
                        builder.host.progress(f"{failure.message}. It is optional, and is left out.")
                        gone.add(each.key)
                        _take_out(place, each)
        told = {"purpose": "what install scripts left cannot be put in order", "fix": ""}
        place.run("/bin/sh", "-c", _SETTLE, "sh", row.TARGET, **told)
    _check_size(made)


def _network(builder: Builder) -> Network:
    asked: Network = "internet" if "internet" in builder.networks else "none"
    given = builder.backend.network(asked)
    if given != asked:
        raise SandboxError(
            f"the backend {builder.backend.NAME} gives install scripts the network {given}",
            fix="Use the backend bubblewrap, or take the packages out of bun.trusted.",
        )
    return asked


def _failure(place: BuildSandbox, each: Scripted, event: str) -> BuildError | None:
    """The error of a script that failed."""
    directory = _directory(each)
    request = Request(
        ("/bin/sh", "-c", each.scripts[event]),
        cwd=directory,
        env=_environment(each, event, directory),
        timeout=_SECONDS,
        limits=_LIMITS,
    )
    lacks = " without a network, as this host's configuration has no 'internet' in sandbox.networks"
    purpose = f"the {event} script of {each.name} {each.version} failed{lacks if place.network == 'none' else ''}"
    remedy = f"Take {each.name} out of bun.trusted, or lock another version of it."
    try:
        check_fits(request)
    except UsageError as error:  # a NUL character in the script, say
        return BuildError(f"{purpose}: {error.message}", fix=remedy)
    ended, said = place.start(request)
    if not ended.status:
        return None
    reached = "".join(f" at the limit of {each.limit} ({each.value})" for each in ended.limits)
    return programs.failure(purpose + reached, said, lacking.fix(said.decode(errors="replace")) or remedy)


def _environment(each: Scripted, event: str, directory: str) -> dict[str, str]:
    """The variables that npm gives a script (github.com/npm/rfcs, 0021; @npmcli/run-script).

    The directories of the tree's own programs come last on PATH, so that no package takes the place of node or sh.
    """
    above = directory.split("/node_modules/")
    bins = ["/node_modules/".join(above[:depth]) + "/node_modules/.bin" for depth in range(len(above), 0, -1)]
    node = next(filter(os.path.exists, row.NODE), None)
    config = each.manifest.get("config")
    headers = os.path.dirname(os.path.dirname(node)) if node else ""
    return {
        **{
            f"npm_package_config_{name}": value
            for name, value in (config if isinstance(config, dict) else {}).items()
            if isinstance(value, str) and re.fullmatch(r"\w+", name)
        },
        "PATH": ":".join((host_tools.BIN, _SYSTEM_PATH, *bins)),
        "INIT_CWD": "/",
        "NODE": node or f"{host_tools.BIN}/node",
        "npm_node_execpath": node or f"{host_tools.BIN}/node",
        "npm_execpath": f"{host_tools.BIN}/bun",
        "npm_command": "install",
        "npm_config_user_agent": f"bun/{program.pin()[0]} npm/? node/?",
        "npm_config_local_prefix": "/",
        "npm_lifecycle_event": event,
        "npm_lifecycle_script": each.scripts[event],
        "npm_package_name": each.name,
        "npm_package_version": each.version,
        "npm_package_json": f"{directory}/package.json",
        "npm_package_optional": "1" if each.is_optional else "",
        # Of the node that is here, without which node-gyp fetches them.
        **({"npm_config_nodedir": headers} if os.path.exists(f"{headers}/include/node/node.h") else {}),
    }


def _node_gyp() -> host_tools.Tools:
    """The host's node-gyp under its name, as npm gives it to scripts; nothing where the host has none."""
    found = next(filter(os.path.exists, _GYP), None)
    return host_tools.Tools(files=(host_tools.script("node-gyp", f'exec node {found} "$@"'),) if found else ())


def _directory(each: Scripted) -> str:
    return "".join(f"/node_modules/{name}" for name in bun_lock.split_key(each.key))


def _take_out(place: BuildSandbox, each: Scripted) -> None:
    """Remove an optional package whose script failed, as npm does, and the names of its programs."""
    directory = _directory(each)
    bins = f"{directory[: directory.rindex('/node_modules/')]}/node_modules/.bin"
    text = 'rm -rf -- "$1"; [ ! -d "$2" ] || find -L "$2" -type l -exec rm -f -- {} +'
    told = {"purpose": f"{each.name} cannot be taken out again", "fix": ""}
    place.run("/bin/sh", "-c", text, "sh", directory, bins, **told)


def _check_size(made: Path) -> None:
    """BuildError for a tree that what reads builds could not go down, or would not come to the end of."""
    entries = 0
    with refusals_told(made):
        for path, directories, files, _ in os.fwalk(made):
            below = os.path.relpath(path, made)
            entries += len(directories) + len(files)
            if below.count("/") > _MAX_DEPTH or len(os.fsencode(below)) > _MAX_PATH or entries > _MAX_ENTRIES:
                raise BuildError(
                    f"an install script left more than {_MAX_DEPTH} directories above each other, paths of more than "
                    f"{_MAX_PATH} bytes, or more than {_MAX_ENTRIES} files",
                    fix="Take the packages out of bun.trusted, or lock other versions.",
                    location=f"{row.TARGET}/{below[:100]}…",
                )
