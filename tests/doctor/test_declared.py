"""Profiles that cannot be had on a host, and what doctor says of each."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.packages.ecosystems.python import NEWEST
from solven_env.sandbox import cgroups
from tests.doctor.doctor import doctor, edited
from tests.packages.registry import basic, serve
from tests.profiles import write_profile
from tests.run.world import DATA

if TYPE_CHECKING:
    from tests.run.world import World


def test_a_profile_with_all_that_it_needs(shared: World) -> None:
    told = doctor(shared, "--profile", str(shared.profile))
    assert not told.broken()
    assert {told.level(f"profile{part}") for part in ("", "'s lock", "'s python", "'s mounts")} == {"ok"}


def test_an_invalid_profile(shared: World, tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("version: 1\nname: p\nrelease: 1.0.0\nenvv: {}\n")
    told = doctor(shared, "--profile", str(profile))
    assert told.broken() == {"profile"}
    assert "p.yaml:4:1:" in told.fix("profile")
    assert "solven-env validate" in told.fix("profile")


def test_a_lock_that_is_out_of_date(shared: World, tmp_path: Path) -> None:
    profile = tmp_path / "small.yaml"
    profile.write_text((DATA / "small.yaml").read_text().replace("[six]", "[six, idna]"))
    shutil.copytree(DATA / "small.lock", tmp_path / "small.lock")
    told = doctor(shared, "--profile", str(profile), only=("profile's lock",))
    assert told.broken() == {"profile's lock"}
    assert "the lock is out of date" in told.cause("profile's lock")
    assert "solven-env lock" in told.fix("profile's lock")


@pytest.mark.parametrize(
    ("sections", "question", "level", "expected"),
    [
        ({"python": {"version": NEWEST}}, "profile's python", "broken", f"there is no Python {NEWEST} on this host"),
        ({"mounts": [{"source": "/no/where", "target": "/x", "why": "tea"}]}, "profile's mounts", "broken", "/no/where is not on this host it is mounted at /x for: tea"),
        ({"mounts": [{"source": "/no/where", "target": "/x", "optional": True}]}, "profile's mounts", "limited", "/no/where is not on this host"),
        ({"python": {"version": "3.12", "indexes": ["gone"]}}, "profile's sources", "broken", "the profile names the index 'gone', and this host's configuration has no index of that name"),
        ({"sandbox": {"network": "host"}}, "profile's network", "broken", "the network host is not allowed on this host"),
        ({"sandbox": {"limits": {"processes": 50}}}, "profile's limits", "ok", "enforced: processes"),
        (
            {"secrets": {"KEY": {"from": "environment", "name": "HOME"}}},
            "profile's secrets",
            "ok",
            "secrets.KEY from the variable HOME: ok",
        ),
        (
            {"secrets": {"KEY": {"from": "environment", "name": "NONE", "optional": True}}},
            "profile's secrets",
            "ok",
            "secrets.KEY from the variable NONE: missing, left out",
        ),
        (
            {"secrets": {"A": {"from": "environment", "name": "NONE"}, "B": {"from": "environment", "name": "HOME"}}},
            "profile's secrets",
            "broken",
            "secrets.A from the variable NONE: not to be had; secrets.B from the variable HOME: ok",
        ),
        (
            {"secrets": {"KEY": {"from": "file", "path": "/etc/hostname"}}},
            "profile's secrets",
            "broken",
            "which this host's configuration lets no profile name",
        ),
        ({"programs": {"sh": {"why": "shells"}}}, "profile's programs", "ok", "sh: found where commands look"),
        ({"programs": {"no-such": {"why": "tea", "package": "tea-maker"}}}, "profile's programs", "limited", "no-such is not on this host (tea needs it) Install"),
        ({"sandbox": {"backend": "proot"}}, "profile's backend", "broken", "the backend proot gives commands the network host"),
    ],
)  # fmt: skip
def test_what_a_profile_asks_and_this_host_has_not(
    shared: World, tmp_path: Path, sections: dict[str, Any], question: str, level: str, expected: str
) -> None:
    profile = write_profile(tmp_path / "asks.yaml", {}, **sections)
    with edited(shared.base / "config.yaml", "sandbox: {networks: [none, internet]}\n"):
        told = doctor(shared, "--profile", str(profile), only=(question,))
    assert told.level(question) == level, told.text
    assert expected in told.fix(question)


@pytest.mark.parametrize(("enforce", "level"), [("best-effort", "limited"), ("strict", "broken")])
def test_a_limit_that_is_not_enforced(shared: World, tmp_path: Path, enforce: str, level: str) -> None:
    if cgroups.find_parent() is not None:
        pytest.skip("here it is enforced")
    limits = {"memory": "1GiB", "enforce": enforce}
    profile = write_profile(tmp_path / "asks.yaml", {}, sandbox={"limits": limits})
    told = doctor(shared, "--profile", str(profile), only=("profile's limits",))
    assert told.level("profile's limits") == level
    assert "the limit of memory is not enforced on this host" in told.cause("profile's limits")


def test_a_profile_without_its_network_helper(shared: World, tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "asks.yaml", {}, sandbox={"network": "internet"})
    told = doctor(shared, "--profile", str(profile), PATH=str(tmp_path), only=("profile's network",))
    if any(Path(directory, "slirp4netns").exists() for directory in ("/usr/sbin", "/sbin")):
        pytest.skip("it is found without PATH")
    assert told.level("profile's network") == "broken"
    assert "slirp4netns is not installed" in told.cause("profile's network")


def test_a_profile_whose_network_isolates_nothing(shared: World, tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "asks.yaml", {}, sandbox={"network": "host"})
    told = doctor(shared, "--profile", str(profile), only=("profile's network",))
    assert told.level("profile's network") == "limited"
    assert "isolates no socket" in told.cause("profile's network")


def test_a_profile_that_is_not_there_is_wrong_usage(shared: World) -> None:
    done = shared.cli("doctor", "--profile", "nowhere.yaml")
    assert (done.returncode, done.stdout) == (2, b"")


def test_named_sources_are_asked_for_their_names_and_secrets(shared: World, tmp_path: Path) -> None:
    profile = tmp_path / "named.yaml"
    profile.write_text(
        "version: 1\nname: named\nrelease: 1.0.0\n"
        'python: {version: "3.12", packages: [six], indexes: [{name: company, packages: [six]}]}\n'
        'bun: {packages: {}, scopes: ["@company"]}\n'
    )
    with serve(basic("ada", "sesame")) as index, serve("Bearer sesame") as registry:
        configured = f"""\
indexes:
  company: {{url: "{index.address}/simple", username: ada, password: {{from: environment, name: PASSWORD}}}}
  down: {{url: "http://127.0.0.1:9/canary"}}
npm_scopes: {{"@company": {{url: "{registry.address}", token: {{from: file, path: {tmp_path}/token}}}}}}
"""
        asked = ("profile's sources", "named indexes", "npm scopes")
        with edited(shared.base / "config.yaml", configured):
            told = doctor(shared, "--profile", str(profile), only=asked)
            assert told.level("profile's sources") == "broken"
            assert "indexes.company.password of the host configuration is not to be had" in told.cause(asked[0])
            assert "the environment has no PASSWORD" in told.cause("named indexes")
            assert "/token: No such file" in told.cause("npm scopes")
            (tmp_path / "token").write_text("sesame\n")
            told = doctor(shared, "--profile", str(profile), only=asked, PASSWORD="wrong")
            assert told.level("profile's sources") == told.level("npm scopes") == "ok"
            assert "this host has company, @company" in told.cause("profile's sources")
            assert "'company': it refuses: 401 Unauthorized" in told.cause("named indexes")
            assert "'down': " in told.cause("named indexes") and "canary" not in told.cause("named indexes")
            (tmp_path / "token").write_text("wrong\n")
            told = doctor(shared, only=("npm scopes",))
            assert told.level("npm scopes") == "limited" and "401" in told.cause("npm scopes")
        with edited(shared.base / "config.yaml", configured.replace("  down: ", "  # ")):
            told = doctor(shared, only=("named indexes",), PASSWORD="sesame")
            assert told.level("named indexes") == "ok"
    assert registry.seen[0] == "/@company%2fsolven-env-probe"
