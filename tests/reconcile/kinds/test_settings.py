"""What only a launch needs, as records hold it, and the change that stands for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Python
from solven_env.profile.model import Link, Mount, Program, SandboxSection
from solven_env.reconcile.compare import changed_settings
from solven_env.reconcile.kinds.settings import settings
from solven_env.reconcile.plan import plan
from tests.reconcile.states import profile, record, seen, wanted

if TYPE_CHECKING:
    from solven_env.reconcile.model import Desired


def test_settings_come_back_from_a_record_as_they_were() -> None:
    full = profile(env={"A": "1"})._replace(
        path=("/bin",),
        mounts=(Mount("/usr", source="/usr", why="programs"), Mount("/tmp", kind="tmpfs", size="1GiB")),
        links=(Link("skills", "skills/x", optional=True),),
        packages={"python": Python("3.12", ("pandas",)), "bun": Bun({"docx": "^8.0.0"})},
    )
    found = settings(full)
    assert json.loads(json.dumps(found)) == found


def test_what_may_be_reached_is_a_setting_that_older_records_need_not_have() -> None:
    """A thread that was applied before there was `allow` is in sync, and pending once the profile says it."""
    closed = profile()
    opened = closed._replace(sandbox=SandboxSection(network="internet", allow=("10.20.0.0/16",)))
    assert "allow" not in settings(closed)
    assert settings(opened)["allow"] == ["10.20.0.0/16"]
    assert json.loads(json.dumps(settings(opened))) == settings(opened)


def test_programs_are_a_setting_that_older_records_need_not_have() -> None:
    """A thread that was applied before there was `programs` is in sync, and pending once the profile names one."""
    without = profile()
    named = without._replace(programs=(Program("tesseract", "pytesseract", "tesseract-ocr"), Program("gs", "agents")))
    assert "programs" not in settings(without)
    found = settings(named)
    assert found["programs"]["gs"] == {"why": "agents", "package": ""}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (wanted({}), wanted({}), ()),
        (wanted({}), wanted({}, env={"A": "1"}), ("env.A",)),
        (wanted({}, env={"A": "1", "B": "1"}), wanted({}, env={"A": "2"}), ("env.A", "env.B")),
        (wanted({}), wanted({}, release="1.1.0"), ("release",)),
        (wanted({}), wanted({}, name="q"), ("name",)),
        (wanted({}), wanted({}, inputs={"user_id": "ada"}), ("inputs.user_id",)),
        (wanted({}, inputs={"user_id": "ada"}), wanted({}), ("inputs.user_id",)),
    ],
)
def test_an_edit_of_the_settings_alone_is_one_change(before: Desired, after: Desired, names: tuple[str, ...]) -> None:
    recorded = record({}, like=before)
    assert changed_settings(recorded, after) == names
    computed = plan("t", after, seen({}, after, recorded), recorded)
    assert [change.address for change in computed.changes] == (["settings:launch"] if names else [])
    told = [name.replace("inputs.", "the input ") for name in names]
    assert all(name in change.reason for name in told for change in computed.changes)


def test_an_edit_of_limits_is_named() -> None:
    asked = wanted({})
    edited = {**asked.settings, "limits": {**asked.settings["limits"], "memory": "8GiB"}}
    recorded = record({}, like=type(asked)(asked.profile, {}, edited, asked.states, {}))
    (change,) = plan("t", asked, seen({}, asked, recorded), recorded).changes
    assert (change.address, change.reason) == ("settings:launch", "the profile changed limits.memory")
