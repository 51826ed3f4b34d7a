"""The checkout as a whole: what is committed, what is pinned, what the scripts are written in."""

import re
import shutil
import subprocess
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CHECKOUT = Path(__file__).resolve().parent.parent

# Written in parts, so that this file is no exception to its own rule.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    ]
]
# Only at the start of a path: the same names deeper in one may be ours.
MACHINE_PATHS = [rf"(?<![\w.}}-])/{directory}/" for directory in ("work", "root")] + [r"\.librar" + r"y\b"]
FORBIDDEN = re.compile("|".join([*map(re.escape, REGISTRY_HOSTS), *MACHINE_PATHS]).encode())


@cache
def committed_files() -> tuple[Path, ...]:
    if not (CHECKOUT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs git and a checkout made by it")
    # A checkout that another user owns (a mounted volume) is read, nothing in it is run.
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT), "ls-files", "-z"]
    listing = subprocess.run(command, check=True, capture_output=True).stdout
    paths = (CHECKOUT / name.decode() for name in listing.split(b"\0") if name)
    return tuple(path for path in paths if path.is_file())


def pinned(name: str) -> dict[str, list[str]]:
    """The requirements of `requirements/<name>`, each with its hashes; a line that is neither is an error."""
    text = (CHECKOUT / "requirements" / name).read_text()
    found: dict[str, list[str]] = {}
    for line in re.sub(r"(?m)^ *#.*\n", "", text).replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split(" --hash=")
        found[requirement.strip()] = [each.strip() for each in hashes]
    return found


def versions(name: str) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for requirement in map(Requirement, pinned(name)):
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", requirement
        found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


PINNED = sorted(path.name for path in (CHECKOUT / "requirements").glob("*.txt"))
DOORS = [name for name in PINNED if name.startswith("door-")]


def declared(name: str) -> list[Requirement]:
    """What the command in the first lines of a file asks for."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    words = (CHECKOUT / "requirements" / name).read_text().splitlines()[1].split()
    asked = [(before, word) for before, word in pairwise(words) if before.startswith("--")]
    groups = [word for option, word in asked if option == "--group"]
    texts = [*project["project"]["dependencies"], *(project["build-system"]["requires"] if name == "dev.txt" else ())]
    texts += [each for option, word in asked if option == "--extra" for each in _extra(project, word)]
    while groups:
        for entry in project["dependency-groups"][groups.pop()]:
            if isinstance(entry, str):
                texts.append(entry)
            else:
                groups.append(entry["include-group"])
    return [Requirement(text) for text in texts]


def _extra(project: dict[str, Any], name: str) -> list[str]:
    return list(project["project"]["optional-dependencies"][name])


def test_nothing_committed_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}: {line.decode(errors='replace').strip()}"
        for path in committed_files()
        for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "forbidden"),
    [
        ("--index-url https://" + REGISTRY_HOSTS[0] + "/simple", True),
        ("see " + "/wo" + "rk/shared/design.md", True),
        ('HOME="' + "/ro" + 'ot/.pyenv"', True),
        ("." + "librar" + "y/env", True),
        ("tests/workspace" + "/ro" + "ot/test_read.py", False),
        ("mount it at /root, say", False),
        ("importlib", False),
    ],
)
def test_the_rule_knows_a_machine_from_a_module(line: str, forbidden: bool) -> None:
    assert bool(FORBIDDEN.search(line.encode())) is forbidden


@pytest.mark.parametrize("name", PINNED)
def test_every_pin_has_hashes_and_no_address(name: str) -> None:
    requirements = pinned(name)
    assert requirements
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for hashes in requirements.values() for each in hashes)
    assert [requirement for requirement, hashes in requirements.items() if not hashes] == []
    assert "://" not in (CHECKOUT / "requirements" / name).read_text()


def test_the_uv_that_bootstraps_is_the_uv_that_tests_use() -> None:
    assert list(versions("uv.txt")) == ["uv"]
    assert versions("uv.txt")["uv"] == versions("dev.txt")["uv"]


@pytest.mark.parametrize("name", ["dev.txt", *DOORS])
def test_every_declared_dependency_is_pinned_within_its_bounds(name: str) -> None:
    pins = versions(name)
    missing = [str(each) for each in declared(name) if canonicalize_name(each.name) not in pins]
    outside = [
        str(each)
        for each in declared(name)
        if (version := pins.get(canonicalize_name(each.name))) and version not in each.specifier
    ]
    assert (missing, outside) == ([], [])


@pytest.mark.parametrize("script", sorted((CHECKOUT / "scripts").iterdir()), ids=lambda path: path.name)
def test_scripts_are_plain_sh(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert script.stat().st_mode & 0o111 == 0o111
    assert subprocess.run(["sh", "-n", script], capture_output=True, text=True).stderr == ""
