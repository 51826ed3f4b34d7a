"""Questions to `uv pip compile` whose answers are compared or shown, and never locked.

No code of a package runs. uv reads the metadata of a wheel, and of an sdist where it stands there as data. Where it
would build an sdist to learn its metadata, the interpreter that it would build with runs nothing (`mute_interpreter`):
the package is then declared to need nothing, and uv is asked again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from solven_env.packages import programs
from solven_env.packages.ecosystems.python import indexes, mute_interpreter
from solven_env.packages.ecosystems.python.pip_compile import Declared, declared_to_uv, sources
from solven_env.packages.resolving import directory_away
from solven_env.packages.toolchain import ask_uv

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from solven_env.packages.toolchain import Toolchain

LISTED = ("--format", "pylock.toml")
"""The option for an answer that lists the files of each release; see `file_lists`."""
ANNOTATED = ("--annotation-style", "line", "--no-header")
"""The options for an answer that says what asks for each package; see `held_back.parents`."""
_ROUNDS = 50
_PURPOSE = "the Python packages cannot be resolved"
_FAILED = 1
"""uv's status where packages are at fault; 2 is for all else, such as an index that is not reached."""
# …/sdists-v11/INDEX/NAME/VERSION/ID/src, where uv's cache has an sdist unpacked
_UNPACKED = re.compile(r".*/([a-z0-9-]+)/([^/\s]+)/[^/]+/src(?:/.*)?")
_UNSOLVED = re.compile(r"No solution found when resolving dependencies(?: for split \([^)]*\))? cause: ")
_BECAUSE = re.compile(r"Because (.*) and you require [^,]*, we can conclude that your requirements are unsatisfiable")
_NAMED = re.compile(r"`([A-Za-z0-9._-]+)==([^`\s]+)`")


class UvAnswer(NamedTuple):
    """uv's answer: a text if it found a resolution, else the reason why not, in its last words."""

    text: str
    problem: str = ""
    is_about_packages: bool = True
    """False for a problem with the index, the network or uv itself."""
    declared: tuple[Declared, ...] = ()
    """The sdists whose metadata uv was given, or would have had to build."""


def with_wheels(
    requirements: Iterable[str],
    python: str,
    host: Toolchain,
    *options: str,
    declared: Iterable[Declared] = (),
    left_out: Iterable[str] = (),
) -> UvAnswer:
    """The resolution with wheels alone, but for the packages that are `declared`, which are sdists.

    The packages `left_out` are not there, whoever asks for them.
    """
    given = tuple(declared)
    with directory_away(host.cache) as scratch:
        overrides = scratch / "left-out.txt"
        overrides.write_text("".join(f"{name} ; python_version < '3'\n" for name in left_out))
        wanted = (*requirements, *indexes.requirements(host, scratch))
        return _ask(wanted, python, given, (*sources(given), "--overrides", str(overrides), *options), host, scratch)


def with_sdists(
    requirements: Iterable[str],
    python: str,
    host: Toolchain,
    *options: str,
    declared: Iterable[Declared] = (),
    limits: Iterable[str] = (),
) -> UvAnswer:
    """The resolution with wheels and sdists, in which an sdist that would have to be built needs nothing.

    `limits` are constraints.
    """
    given = tuple(declared)
    with directory_away(host.cache) as scratch:
        constraints = scratch / "limits.txt"
        constraints.write_text("".join(f"{limit}\n" for limit in limits))
        asked = ("--constraints", str(constraints), *options)
        wanted = (*requirements, *indexes.requirements(host, scratch))
        for _ in range(_ROUNDS):
            answer = _ask(wanted, python, given, asked, host, scratch)
            known = {(each.name, each.version) for each in given}
            met = [each for each in answer.declared if (each.name, each.version) not in known]
            if not answer.problem or not met:
                break
            given = (*given, *met)
    return answer._replace(declared=given)


def _ask(
    requirements: Iterable[str],
    python: str,
    declared: Iterable[Declared],
    options: Iterable[str],
    host: Toolchain,
    scratch: Path,
) -> UvAnswer:
    notes = scratch / "notes"
    notes.write_bytes(b"")
    (scratch / "uv.toml").write_text("".join(map(declared_to_uv, declared)))
    done = ask_uv(
        host,
        *("pip", "compile", "--quiet", *options),
        # With isolation uv would make an environment first, and fetch what the build needs.
        *("--no-build-isolation", "--python", mute_interpreter.find(host.cache), "--python-version", python, "-"),
        purpose=_PURPOSE,
        stdin="\n".join(requirements) + "\n",
        directory=scratch,
        variables={mute_interpreter.NOTES: str(notes)},
    )
    if not done.returncode:
        return UvAnswer(done.stdout.decode(errors="replace"))
    said = done.stderr or done.stdout
    first = said.decode(errors="replace").partition("\n")[0]
    met = dict.fromkeys((*_UNPACKED.findall(notes.read_text()), *_NAMED.findall(first)))
    declared = tuple(Declared(*each) for each in met)
    problem = plain(host.bound_sources.without_addresses(programs.last_words(said)))
    return UvAnswer("", problem, done.returncode == _FAILED, declared)


def plain(words: str) -> str:
    """uv's reason without the words around it.

    >>> plain("No solution found when resolving dependencies cause: Because there is no version of six==99 and you "
    ...       "require six==99, we can conclude that your requirements are unsatisfiable")
    'there is no version of six==99'
    """
    return _BECAUSE.sub(r"\1", _UNSOLVED.sub("", words), count=1)
