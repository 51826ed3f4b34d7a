"""Programs of the host that commands would not find: looked for from outside, and held against a real command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.run import missing_programs
from solven_env.run.missing_programs import MissingProgram
from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

NAMED = {
    "tesseract": {"why": "pytesseract", "package": "tesseract-ocr"},
    "soffice": {"why": "the agents", "package": ""},
}
TESSERACT = MissingProgram("tesseract", "pytesseract", "tesseract-ocr")
SOFFICE = MissingProgram("soffice", "the agents")


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho found\n")
    path.chmod(mode)
    return path


def settings(mounts: dict[str, str], programs: tuple[str, ...] = ("tool",), **more: Any) -> dict[str, Any]:
    return {
        "path": ["/tools"],
        "mounts": [{"target": target, "source": source} for target, source in mounts.items()],
        "links": [],
        "programs": {name: {"why": "a package", "package": ""} for name in programs},
        **more,
    }


def missing(wanted: dict[str, Any], storage: Path | None = None) -> list[str]:
    return [each.program for each in missing_programs.find(wanted, storage, ())]


def test_words_for_a_person() -> None:
    assert missing_programs.told([TESSERACT, SOFFICE]) == (
        "tesseract is not on this host (pytesseract needs it); soffice is not on this host (the agents needs it)"
    )
    assert missing_programs.fix([SOFFICE]) == "Install soffice."
    assert missing_programs.fix([TESSERACT, SOFFICE]).endswith(" Install soffice.")
    assert missing_programs.fix([TESSERACT, SOFFICE, TESSERACT]).count("tesseract-ocr") == 1


def test_settings_without_programs_look_at_nothing() -> None:
    assert missing_programs.find({}, None, ()) == ()


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o755, []), (0o644, ["tool"]), (0o700, ["tool"] if os.geteuid() == 0 else [])]
)
def test_a_program_counts_if_commands_may_execute_it(tmp_path: Path, mode: int, expected: list[str]) -> None:
    program(tmp_path / "tool", mode)
    assert missing(settings({"/tools": str(tmp_path)})) == expected


def test_a_directory_of_its_name_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    assert missing(settings({"/tools": str(tmp_path)})) == ["tool"]


@pytest.mark.parametrize(
    ("mounts", "link", "expected"),
    [
        ({"/tools": "tools", "/opt/real": "real"}, "/opt/real/tool", []),
        ({"/tools": "tools", "/opt/real": "real"}, "../opt/real/tool", []),
        ({"/tools": "tools", "/opt/real": "real"}, "../../../opt/./real/tool", []),
        ({"/tools": "tools"}, "/opt/real/tool", ["tool"]),
        ({"/tools": "tools", "/opt/real": "real"}, "/opt/real/other", ["tool"]),
        ({"/tools": "tools"}, "tool", ["tool"]),
        ({"/tools": "tools"}, "{base}/real/tool", ["tool"]),
        ({"/tools": "tools", "/opt": "", "/opt/real": "real"}, "/opt/real/tool", []),
        ({"/tools": "tools", "/opt/real": "real", "/opt/real/tool": ""}, "/opt/real/tool", ["tool"]),
    ],
)
def test_a_link_leads_where_it_leads_inside(
    tmp_path: Path, mounts: dict[str, str], link: str, expected: list[str]
) -> None:
    """Not as on the host, where every one of these paths leads to the program, or to another file."""
    program(tmp_path / "real/tool")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/tool").symlink_to(link.format(base=tmp_path))
    shown = {target: str(tmp_path / source) if source else "" for target, source in mounts.items()}
    assert missing(settings(shown)) == expected


def test_what_solven_env_brings_needs_not_be_on_the_host() -> None:
    names = ("uv", "bun", "no-such-program")
    assert missing(settings({}, names, bun={"packages": {}})) == ["no-such-program"]


@pytest.mark.parametrize(
    ("to", "access", "expected"),
    [
        ("skills/tools", "read-only", []),
        ("skills/tools", "read-write", ["tool"]),
        ("threads/other", "read-only", ["tool"]),
    ],
)
def test_a_link_counts_if_no_agent_writes_there(tmp_path: Path, to: str, access: str, expected: list[str]) -> None:
    program(tmp_path / to / "tool")
    wanted = settings({}, links=[{"path": "tools", "to": to, "access": access}])
    assert missing(wanted, tmp_path) == expected
    assert missing(wanted) == ["tool"]


def test_apply_tells_what_is_missing_and_a_command_has_the_same_to_say(world: World) -> None:
    """Nothing that an agent makes counts, wherever it stands on PATH."""
    tools = program(world.base / "tools/there").parent
    programs = {name: {"why": "a test"} for name in ("sh", "there", "gone", "planted", "in-the-layer")}
    profile = write_profile(
        world.base / "programs.yaml",
        {},
        programs=programs,
        mounts=[{"source": str(tools), "target": "/opt/tools"}],
        path={"prepend": ["/own", "/.venv/bin", "/opt/tools"]},
        python={"version": "3.12"},
    )
    told: list[str] = []
    report = world.apply(profile=profile, progress=told.append)
    gone = ["gone", "in-the-layer", "planted"]
    assert [each.program for each in report.missing_programs] == gone
    words = "; ".join(f"{name} is not on this host (a test needs it)" for name in gone)
    assert told[-1] == f"programs: {words}. Install gone, in-the-layer, planted."
    assert world.sh("command -v there; command -v gone").lines == ["/opt/tools/there"]
    world.out("mkdir own; cp /bin/true own/planted; cp /bin/true /.venv/bin/in-the-layer")
    assert world.sh("command -v planted; command -v in-the-layer").lines == ["/own/planted", "/.venv/bin/in-the-layer"]
    assert [each.program for each in world.apply(profile=profile).missing_programs] == gone
    assert world.apply(profile=profile).changes == ()


def test_a_program_of_a_build_counts(world: World) -> None:
    """Even one that the thread removed from its layer: the profile's packages bring it."""
    profile = write_profile(
        world.base / "programs.yaml",
        {},
        programs={"pip": {"why": "a test"}},
        path={"prepend": ["/.venv/bin"]},
        python={"version": "3.12"},
    )
    assert world.apply(profile=profile).missing_programs == ()
